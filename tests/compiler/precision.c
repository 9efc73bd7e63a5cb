/* SPDX-License-Identifier: Apache-2.0 */
/* precision.c - tests objects and libraries whose products are in bf16, or whose weights are narrow: one weights file serves all
 * CPUs, each CPU's code gives the bits of compilation just in time for it, and a program that is compiled already takes no
 * other precision. */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "folder.h"
#include "vitjit_compiler.h"
#include "vitjit_model.h"

enum { N = 3, CLASSES = 10, PIXELS = 64, CPUS = 4 };

/* Those of x86-64 that multiply halves in three ways. */
static const char *const cpus[CPUS] = {"x86-64-v3", "x86-64-v4", "x86-64-v4-bf16", "x86-64-v4-amx"};

static const vj_compiler_api *api;
static const char *folder;
static float in[N * PIXELS];

static bool is_x86_64(void) {
#ifdef __x86_64__
    return true;
#else
    return false;
#endif
}

static vj_options options_of(vj_dtype precision, vj_dtype format) {
    vj_options o;
    vj_options_init(&o);
    o.cache = "";
    o.precision = precision;
    o.weight_format = format;
    return o;
}

static void emit(const vj_options *o, const vj_emit_request *e) {
    const vj_compile_request request = {.path = VJ_DIGITS, .options = o, .pass_limit = -1};
    char message[4096] = "", *summary = NULL;
    if (api->emit(&request, e, &summary, message, sizeof message) != VJ_OK) fail_msg("%s", message);
    free(summary);
}

static void emit_object(vj_options o, const char *name, const char *const *names, int32_t count) {
    char path[300];
    snprintf(path, sizeof path, "%s", in_folder(name));
    o.cpu = names[0];
    emit(&o, &(vj_emit_request){.what = VJ_EMIT_OBJ,
                                .output = path,
                                .prefix = "m",
                                .weights_file = 1,
                                .cpus = count > 1 ? names : NULL,
                                .cpu_count = count > 1 ? count : 0});
}

static size_t read_whole(const char *name, void *data, size_t room) {
    FILE *f = fopen(in_folder(name), "rb");
    if (!f) return 0;
    const size_t size = fread(data, 1, room, f);
    fclose(f);
    return size;
}

static void answers(vj_model *model, float *out) {
    vj_session *session;
    assert_int_equal(vj_session_create(model, &session), VJ_OK);
    const int64_t dims[] = {N, 1, 8, 8};
    assert_int_equal(vj_bind_input(session, "image", in, sizeof in, VJ_F32, dims, 4), VJ_OK);
    assert_int_equal(vj_bind_output(session, 0, out, N * CLASSES * sizeof *out), VJ_OK);
    if (vj_run(session) != VJ_OK) fail_msg("%s", vj_error_message());
    vj_session_free(session);
}

static void just_in_time(vj_options o, const char *cpu, float *out) {
    vj_model *model;
    o.cpu = cpu;
    if (vj_compile_file(VJ_DIGITS, &o, &model) != VJ_OK) fail_msg("%s", vj_error_message());
    answers(model, out);
    vj_model_free(model);
}

/* The weights file of all CPUs is that of each alone. */
static void same_weights(vj_options o) {
    static char all[1 << 20], one[1 << 20];
    const size_t size = read_whole("m.weights", all, sizeof all);
    assert_true(size > 4096 && size < sizeof all);
    for (int i = 0; i < CPUS; i++) {
        emit_object(o, "one.o", &cpus[i], 1);
        assert_int_equal(read_whole("one.weights", one, sizeof one), size);
        assert_memory_equal(all, one, size);
    }
}

/* What the program wrote for the CPUs that it could run. Returns which, a bit each. */
static unsigned same_answers(vj_options o, float answer[CPUS][N * CLASSES]) {
    unsigned ran = 0;
    for (int i = 0; i < CPUS; i++) {
        char name[64];
        float truth[N * CLASSES];
        snprintf(name, sizeof name, "out.%s", cpus[i]);
        if (read_whole(name, answer[i], sizeof truth) == 0) continue;
        just_in_time(o, cpus[i], truth);
        assert_memory_equal(answer[i], truth, sizeof truth);
        unlink(in_folder(name));
        ran |= 1U << i;
    }
    return ran;
}

static unsigned check_object(vj_options o, float answer[CPUS][N * CLASSES]) {
    char command[2048];
    emit_object(o, "m.o", cpus, CPUS);
    same_weights(o);
    assert_int_equal(status_of(VJ_CC " -std=c17 -O1 -Wall -Wextra -Werror -I%s " VJ_TEST_DIR
                                     "/variants.c %s/m.o -o %s/variants -lm",
                               folder, folder, folder),
                     0);
    snprintf(command, sizeof command, "cd %s && ./variants m.weights in out", folder);
    const struct {
        const char *taken;
        uint64_t features;
    } told[] = {{cpus[0], VJ_CPU_X86_64_V3},
                {cpus[1], VJ_CPU_X86_64_V4},
                {cpus[1], VJ_CPU_X86_64_V4 | VJ_CPU_AVX512BF16}, /* Intel's */
                {cpus[1], VJ_CPU_X86_64_V4 | VJ_CPU_SSE4A},
                {cpus[2], VJ_CPU_X86_64_V4 | VJ_CPU_AVX512VNNI | VJ_CPU_AVX512VBMI | VJ_CPU_AVX512BF16 | VJ_CPU_SSE4A},
                {cpus[0], VJ_CPU_X86_64_V3 | VJ_CPU_AVX512BF16 | VJ_CPU_SSE4A},
                {cpus[3], VJ_CPU_X86_64_V4 | VJ_CPU_AVX512VNNI | VJ_CPU_AVX512VBMI | VJ_CPU_AVX512BF16 | VJ_CPU_AMX},
                {cpus[1], VJ_CPU_X86_64_V4 | VJ_CPU_AMX}};
    for (size_t i = 0; i < sizeof told / sizeof *told; i++) {
        const size_t at = strlen(command);
        snprintf(command + at, sizeof command - at, " %s=%llu", told[i].taken, (unsigned long long)told[i].features);
    }
    assert_int_equal(status_of("%s", command), 0);
    return same_answers(o, answer);
}

static void objects_for_several_cpus(void **state) {
    (void)state;
    if (!is_x86_64()) skip();
    float halves[CPUS][N * CLASSES], wide[CPUS][N * CLASSES], blocks[CPUS][N * CLASSES];
    const unsigned ran = check_object(options_of(VJ_BF16, VJ_NO_DTYPE), halves);
    assert_int_equal(check_object(options_of(VJ_F32, VJ_F16), wide), ran);
    assert_int_equal(check_object(options_of(VJ_BF16, VJ_I4), blocks), ran);
    for (int i = 0; i < CPUS; i++) {
        if (!(ran >> i & 1)) continue;
        assert_memory_not_equal(halves[i], wide[i], sizeof halves[i]);
        assert_memory_not_equal(halves[i], blocks[i], sizeof halves[i]);
    }
}

static void load_well(const char *name, vj_dtype precision, vj_dtype format, const float *truth) {
    float out[N * CLASSES];
    vj_model *model;
    vj_model_stats stats = {.size = sizeof stats};
    if (vj_load(in_folder(name), NULL, &model) != VJ_OK) fail_msg("%s: %s", name, vj_error_message());
    answers(model, out);
    assert_memory_equal(out, truth, sizeof out);
    assert_int_equal(vj_model_get_stats(model, &stats), VJ_OK);
    assert_int_equal(stats.precision, precision);
    assert_int_equal(stats.weight_format, format);
    vj_model_free(model);
}

static void emit_library(vj_options o, const char *name, const char *const *names, int32_t count) {
    char path[300];
    snprintf(path, sizeof path, "%s", in_folder(name));
    emit(&o, &(vj_emit_request){.what = VJ_EMIT_LIB,
                                .output = path,
                                .prefix = "model",
                                .linker = VJ_CC,
                                .cpus = names,
                                .cpu_count = count});
}

/* A sanitizer's build, in which LLVM takes the time, takes every third. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { STEP = 3 };
#else
enum { STEP = 1 };
#endif

static void libraries(void **state) {
    (void)state;
    static const vj_dtype types[][2] = {{VJ_BF16, VJ_F32}, {VJ_BF16, VJ_BF16}, {VJ_F32, VJ_F16}, {VJ_F32, VJ_BF16},
                                        {VJ_F32, VJ_I8},   {VJ_F32, VJ_I4},    {VJ_BF16, VJ_I4}};
    for (size_t i = 0; i < sizeof types / sizeof *types; i += STEP) {
        float truth[N * CLASSES];
        const vj_options o = options_of(types[i][0], types[i][1]);
        just_in_time(o, NULL, truth);
        emit_library(o, "host.so", NULL, 0);
        load_well("host.so", types[i][0], types[i][1], truth);
    }
}

/* The best that this CPU can run is loaded. */
static void library_for_several_cpus(void **state) {
    (void)state;
    if (!is_x86_64()) skip();
    static const char *const all[] = {"x86-64-v4-bf16", "x86-64",        "x86-64-v3",
                                      "x86-64-v2",      "x86-64-v4-amx", "x86-64-v4"};
    enum { ALL = sizeof all / sizeof *all };
    float truth[N * CLASSES];
    vj_options o = options_of(VJ_BF16, VJ_NO_DTYPE);
    just_in_time(o, NULL, truth);
    o.cpu = all[0];
    emit_library(o, "several.so", all, ALL);
    load_well("several.so", VJ_BF16, VJ_F32, truth);
}

static void loading_changes_no_precision(void **state) {
    (void)state;
    static const char *const pattern = "*";
    const vj_options o = options_of(VJ_BF16, VJ_NO_DTYPE);
    emit_library(o, "taken.so", NULL, 0);
    vj_options refused[] = {options_of(VJ_BF16, VJ_NO_DTYPE), options_of(VJ_F32, VJ_NO_DTYPE),
                            options_of(VJ_NO_DTYPE, VJ_BF16), options_of(VJ_BF16, VJ_NO_DTYPE),
                            options_of(VJ_NO_DTYPE, VJ_I4)};
    enum { REFUSED = sizeof refused / sizeof *refused };
    static const char *const named[REFUSED] = {"precision", "precision", "weight_format", "precision", "weight_format"};
    refused[3].keep_f32 = &pattern;
    refused[3].keep_f32_count = 1;
    for (int i = 0; i < REFUSED; i++) {
        vj_model *model;
        refused[i].cache = NULL;
        assert_int_equal(vj_load(in_folder("taken.so"), &refused[i], &model), VJ_USAGE);
        if (!strstr(vj_error_message(), named[i])) fail_msg("'%s' lacks '%s'", vj_error_message(), named[i]);
        assert_null(model);
    }
}

static int set_up(void **state) {
    (void)state;
    void *library = dlopen(VJ_COMPILER_LIBRARY, RTLD_NOW);
    const vj_compiler_api *(*get)(void) = NULL;
    *(void **)&get = library ? dlsym(library, "vj_compiler_get") : NULL;
    api = get ? get() : NULL;
    if (!api || !folder_make()) return 1;
    folder = folder_path();
    for (int32_t i = 0; i < N * PIXELS; i++)
        in[i] = (float)((uint32_t)i * 2654435761u >> 8) * 0x1p-23f - 1;
    write_file(in_folder("in"), in, sizeof in);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    return !folder_remove();
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_for_several_cpus),
        cmocka_unit_test(libraries),
        cmocka_unit_test(library_for_several_cpus),
        cmocka_unit_test(loading_changes_no_precision),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
