/* SPDX-License-Identifier: Apache-2.0 */
/* library.c - tests emitted shared libraries: vj_load gives the same bits as compilation just in time, the dynamic
 * linker loads them too, and a file that is damaged, cut short, foreign or for another machine is refused before any of
 * it runs. */
#include <dlfcn.h>
#include <elf.h>
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
#include <xxhash.h>

#include "folder.h"
#include "vitjit_compiler.h"

#define N       3
#define CLASSES 10
#define PIXELS  64

static const vj_compiler_api *api;
static const char *folder;

typedef struct file {
    uint8_t *at;
    size_t size;
} file;

static file read_file(const char *path) {
    struct stat st;
    FILE *f = fopen(path, "rb");
    if (!f || stat(path, &st) != 0) fail_msg("%s is not there", path);
    file got = {malloc((size_t)st.st_size), (size_t)st.st_size};
    assert_int_equal(fread(got.at, 1, got.size, f), got.size);
    fclose(f);
    return got;
}

static char message[4096];
static vj_status emit_request(const char *model, const char *cpu, const vj_emit_request *e) {
    const vj_options options = {.size = sizeof options, .cpu = cpu};
    const vj_compile_request request = {.path = model, .options = &options, .pass_limit = -1};
    char *summary = NULL;
    message[0] = 0;
    const vj_status status = api->emit(&request, e, &summary, message, sizeof message);
    free(summary);
    return status;
}

static vj_status emit(const char *model, const char *output, const char *cpu, const char *linker, int32_t apart) {
    const vj_emit_request e = {
        .what = VJ_EMIT_LIB, .output = output, .prefix = "model", .weights_file = apart, .linker = linker};
    return emit_request(model, cpu, &e);
}

static void pixels(float *in) {
    for (int32_t i = 0; i < N * PIXELS; i++)
        in[i] = (float)((uint32_t)i * 2654435761u >> 8) * 0x1p-23f - 1;
}

/* The digits model's logits of N pictures. */
static void answers(vj_model *model, float *out) {
    float in[N * PIXELS];
    vj_session *session;
    pixels(in);
    assert_int_equal(vj_session_create(model, &session), VJ_OK);
    const int64_t dims[] = {N, 1, 8, 8};
    assert_int_equal(vj_bind_input(session, "image", in, sizeof in, VJ_F32, dims, 4), VJ_OK);
    assert_int_equal(vj_bind_output(session, 0, out, N * CLASSES * sizeof *out), VJ_OK);
    if (vj_run(session) != VJ_OK) fail_msg("%s", vj_error_message());
    vj_session_free(session);
}

static void load_well(const char *path, float *out) {
    vj_model *model;
    if (vj_load(path, NULL, &model) != VJ_OK) fail_msg("%s: %s", path, vj_error_message());
    answers(model, out);
    vj_model_free(model);
}

/* Returns whether the file is refused with this status and a text. */
static void refused(const char *path, vj_status want, const char *text) {
    vj_model *model = (vj_model *)&path;
    const vj_status status = vj_load(path, NULL, &model);
    if (status != want || !strstr(vj_error_message(), text) || model)
        fail_msg("%s: status %d, '%s'", path, (int)status, vj_error_message());
}

static float truth[N * CLASSES];

static void test_same_bits(void **state) {
    (void)state;
    float out[N * CLASSES];
    vj_model *model;
    load_well(in_folder("inside.so"), out);
    assert_memory_equal(out, truth, sizeof truth);
    load_well(in_folder("beside.so"), out);
    assert_memory_equal(out, truth, sizeof truth);
    /* Options of the compiler are refused for a program that is already compiled. */
    vj_options options;
    vj_options_init(&options);
    options.cpu = "x86-64";
    assert_int_equal(vj_load(in_folder("inside.so"), &options, &model), VJ_USAGE);
    assert_int_equal(vj_load(NULL, NULL, &model), VJ_USAGE);
    assert_int_equal(vj_load(in_folder("inside.so"), NULL, NULL), VJ_USAGE);
}

/* Loads it like any library, by the dynamic linker. */
static void test_dlopen(void **state) {
    (void)state;
    static float in[N * PIXELS], out[N * CLASSES];
    void *library = dlopen(in_folder("inside.so"), RTLD_NOW | RTLD_LOCAL);
    if (!library) fail_msg("%s", dlerror());
    int (*init)(vj_context *, const void *, size_t);
    int (*run)(const vj_context *, int64_t, const void *const *, void *const *, void *);
    const vj_model *(*describe)(void);
    *(void **)&init = dlsym(library, "model_init");
    *(void **)&run = dlsym(library, "model_run");
    *(void **)&describe = dlsym(library, "model_model");
    assert_true(init && run && describe);
    pixels(in);
    vj_context context;
    const void *inputs[] = {in};
    void *outputs[] = {out}, *scratch = NULL;
    const size_t bytes = (size_t)(describe()->scratch_fixed + describe()->scratch_per_image);
    assert_int_equal(posix_memalign(&scratch, 64, bytes), 0);
    assert_int_equal(init(&context, NULL, 0), VJ_RUN_OK);
    assert_int_equal(run(&context, N, inputs, outputs, scratch), VJ_RUN_OK);
    assert_memory_equal(out, truth, sizeof truth);
    free(scratch);
    dlclose(library);
}

/* vj_load must not run a constructor, which here would end the process. */
static void test_nothing_of_it_runs(void **state) {
    (void)state;
    static const char text[] = "void _exit(int);\n__attribute__((constructor)) static void now(void) { _exit(99); }\n";
    char command[400];
    float out[N * CLASSES];
    write_file(in_folder("ends.c"), text, sizeof text - 1);
    snprintf(command, sizeof command, VJ_CC " %s", in_folder("ends.c"));
    assert_int_equal(emit(VJ_DIGITS, in_folder("ends.so"), NULL, command, 0), VJ_OK);
    load_well(in_folder("ends.so"), out);
    assert_memory_equal(out, truth, sizeof truth);
}

static void test_cut(void **state) {
    (void)state;
    const file whole = read_file(in_folder("inside.so"));
    float out[N * CLASSES];
    int32_t loaded = 0;
    for (size_t size = 0; size < whole.size; size += size < 1200 ? 37 : 9973) {
        vj_model *model;
        write_file(in_folder("cut.so"), whole.at, size);
        if (vj_load(in_folder("cut.so"), NULL, &model) == VJ_OK) { /* what is missing nobody needs */
            answers(model, out);
            assert_memory_equal(out, truth, sizeof truth);
            vj_model_free(model);
            loaded++;
        } else {
            assert_true(*vj_error_message());
        }
    }
    assert_true(loaded < 12);
    free(whole.at);
}

/* Damages every byte of the headers and notes, and some of the others. */
static void test_changed_bytes(void **state) {
    (void)state;
    const file whole = read_file(in_folder("inside.so"));
    char path[300];
    snprintf(path, sizeof path, "%s/changed.so", folder);
    float out[N * CLASSES];
    for (size_t at = 0; at < whole.size; at += at < 1400 ? 3 : 15013) {
        static const uint8_t changes[] = {0x01, 0x80, 0xff};
        const uint8_t was = whole.at[at];
        vj_model *model;
        whole.at[at] ^= changes[at % 3];
        write_file(path, whole.at, whole.size);
        if (vj_load(path, NULL, &model) == VJ_OK) {
            answers(model, out);
            assert_memory_equal(out, truth, sizeof truth);
            vj_model_free(model);
        }
        whole.at[at] = was;
    }
    free(whole.at);
}

/* Finds the note in the file. The name's padding is behind it. */
static vj_library_note *note_in(const file *f) {
    static const char start[] = {
        7, 0, 0, 0, (char)(sizeof(vj_library_note) & 255), 1, 0, 0, 1, 0, 0, 0, 'v', 'i', 't', 'j', 'i', 't', 0, 0};
    uint8_t *at = memmem(f->at, f->size, start, sizeof start);
    assert_non_null(at);
    return (vj_library_note *)(void *)(at + sizeof start);
}

/* Puts another note into a library, which must then be refused. */
static void with_note(const char *from, const vj_library_note *note, vj_status want, const char *text) {
    const file f = read_file(from);
    memcpy(note_in(&f), note, sizeof *note);
    write_file(in_folder("note.so"), f.at, f.size);
    refused(in_folder("note.so"), want, text);
    free(f.at);
}

static void test_notes(void **state) {
    (void)state;
    char inside[300], beside[300];
    snprintf(inside, sizeof inside, "%s/inside.so", folder);
    snprintf(beside, sizeof beside, "%s/beside.so", folder);
    const file f = read_file(inside), g = read_file(beside);
    const vj_library_note *at = note_in(&f);
    vj_library_note n, b;
    memcpy(&b, note_in(&g), sizeof b);
#define CHANGED(change, status, text) (memcpy(&n, at, sizeof n), (change), with_note(inside, &n, status, text))
    CHANGED(n.abi++, VJ_BAD_INPUT, "ABI");
    CHANGED(n.version++, VJ_BAD_INPUT, "version");
    CHANGED(n.model_hash[1]++, VJ_BAD_INPUT, "two models");
    CHANGED(n.weights_check[0]++, VJ_BAD_INPUT, "weights are damaged");
    CHANGED(n.weights_bytes--, VJ_BAD_INPUT, "damaged");
    CHANGED(n.weights_bytes = UINT64_MAX, VJ_BAD_INPUT, "damaged");
    CHANGED(n.image_bytes = 1, VJ_BAD_INPUT, "damaged");
    CHANGED(n.image_bytes = UINT64_MAX - 4095, VJ_BAD_INPUT, "damaged");
    CHANGED(n.image = INT64_MIN, VJ_BAD_INPUT, "damaged");
    CHANGED(n.image -= 64, VJ_BAD_INPUT, "not a compiled image");
    CHANGED(n.weights += 4, VJ_BAD_INPUT, "damaged");
    CHANGED(n.weights = 0, VJ_BAD_INPUT, "weights");
    CHANGED(memset(n.weights_file, 'x', sizeof n.weights_file), VJ_BAD_INPUT, "damaged");
    strcpy(b.weights_file, "../beside.weights");
    with_note(beside, &b, VJ_BAD_INPUT, "no file's name");
    strcpy(b.weights_file, "nowhere.weights");
    with_note(beside, &b, VJ_BAD_INPUT, "nowhere.weights");
    strcpy(b.weights_file, "foreign.weights");
    with_note(beside, &b, VJ_BAD_INPUT, "packed weights");
    free(f.at);
    free(g.at);
}

/* An image with other demands on the CPU, but a correct checksum. */
static void test_cpu(void **state) {
    (void)state;
    const file f = read_file(in_folder("inside.so"));
    vj_image_header h;
    const uint64_t magic = VJ_IMAGE_MAGIC;
    uint8_t *image = memmem(f.at, f.size, &magic, sizeof magic);
    assert_non_null(image);
    memcpy(&h, image, sizeof h);
    h.cpu_feature_bits |= UINT64_C(1) << 62;
    memcpy(image, &h, sizeof h);
    const size_t from = offsetof(vj_image_header, check) + sizeof h.check;
    const XXH128_hash_t check = XXH3_128bits(image + from, h.bytes - from);
    h.check[0] = check.low64;
    h.check[1] = check.high64;
    memcpy(image, &h, sizeof h);
    write_file(in_folder("cpu.so"), f.at, f.size);
    refused(in_folder("cpu.so"), VJ_USAGE, "CPU");
    free(f.at);
}

/* A library for all CPUs of this machine, in any order: the best that it can run is loaded, and those it cannot are left
 * alone. */
static void test_several_cpus(void **state) {
    (void)state;
    const char *cpus[32];
    vj_target_info row, host = {0};
    vj_emit_request e = {
        .what = VJ_EMIT_LIB, .output = in_folder("several.so"), .prefix = "model", .linker = VJ_CC, .cpus = cpus};
    for (int32_t i = 0; api->target(i, &row); i++)
        if (row.is_host) host = row;
    for (int32_t i = 0; api->target(i, &row) && e.cpu_count < 32; i++)
        if (strcmp(row.triple, host.triple) == 0) cpus[e.cpu_count++] = row.name;
    assert_int_equal(emit_request(VJ_DIGITS, cpus[0], &e), VJ_OK);
    float out[N * CLASSES];
    load_well(in_folder("several.so"), out);
    assert_memory_equal(out, truth, sizeof truth);
    for (int32_t i = 0; i < e.cpu_count / 2; i++) {
        const char *other = cpus[i];
        cpus[i] = cpus[e.cpu_count - 1 - i];
        cpus[e.cpu_count - 1 - i] = other;
    }
    assert_int_equal(emit_request(VJ_DIGITS, cpus[0], &e), VJ_OK);
    load_well(in_folder("several.so"), out);
    assert_memory_equal(out, truth, sizeof truth);
    const char *twice[] = {cpus[0], cpus[0]};
    e.cpus = twice;
    e.cpu_count = 2;
    assert_int_equal(emit_request(VJ_DIGITS, cpus[0], &e), VJ_USAGE);
}

static void test_foreign(void **state) {
    (void)state;
    refused(in_folder("none.so"), VJ_BAD_INPUT, "cannot be read");
    refused(folder, VJ_BAD_INPUT, "not a file");
    assert_int_equal(mkfifo(in_folder("fifo.so"), 0600), 0);
    refused(in_folder("fifo.so"), VJ_BAD_INPUT, "not a file");
    refused(VJ_DIGITS, VJ_BAD_INPUT, "no shared library");
    refused("/proc/self/exe", VJ_BAD_INPUT, "");
    refused(VJ_COMPILER_LIBRARY, VJ_BAD_INPUT, "no model in it");
    file f = read_file(in_folder("inside.so"));
    Elf64_Ehdr h;
    memcpy(&h, f.at, sizeof h);
    h.e_machine = h.e_machine == EM_S390 ? EM_PPC64 : EM_S390;
    memcpy(f.at, &h, sizeof h);
    write_file(in_folder("machine.so"), f.at, f.size);
    refused(in_folder("machine.so"), VJ_USAGE, "another kind of machine");
    free(f.at);
    f = read_file(in_folder("beside.weights"));
    write_file(in_folder("kept"), f.at, f.size);
    f.at[f.size - 9] ^= 1;
    write_file(in_folder("beside.weights"), f.at, f.size);
    refused(in_folder("beside.so"), VJ_BAD_INPUT, "damaged");
    write_file(in_folder("beside.weights"), f.at, f.size - 4096);
    refused(in_folder("beside.so"), VJ_BAD_INPUT, "bytes");
    assert_int_equal(rename(in_folder("kept"), in_folder("beside.weights")), 0);
    free(f.at);
}

/* A library that cannot be linked leaves no file. */
static void test_linkers(void **state) {
    (void)state;
    char *path = strdup(getenv("PATH"));
    char output[400];
    snprintf(output, sizeof output, "%s", in_folder("empty"));
    assert_int_equal(mkdir(output, 0700), 0);
    assert_int_equal(emit(VJ_DIGITS, output, NULL, "false", 1), VJ_SYSTEM);
    assert_non_null(strstr(message, "'false' failed"));
    assert_int_equal(emit(VJ_DIGITS, output, NULL, " ", 0), VJ_USAGE);
    setenv("PATH", output, 1);
    assert_int_equal(emit(VJ_DIGITS, output, NULL, NULL, 0), VJ_SYSTEM);
    assert_true(strstr(message, "'cc'") && strstr(message, "apt-get install gcc"));
    assert_int_equal(emit(VJ_DIGITS, output, "aarch64", NULL, 0), VJ_SYSTEM);
    assert_non_null(strstr(message, "apt-get install gcc-aarch64-linux-gnu"));
    setenv("PATH", path, 1);
    free(path);
    assert_int_equal(rmdir(output), 0);
}

static int set_up(void **state) {
    (void)state;
    vj_options options;
    vj_model *model;
    void *library = dlopen(VJ_COMPILER_LIBRARY, RTLD_NOW);
    const vj_compiler_api *(*get)(void) = NULL;
    *(void **)&get = library ? dlsym(library, "vj_compiler_get") : NULL;
    api = get ? get() : NULL;
    if (!api || !folder_make()) return 1;
    folder = folder_path();
    vj_options_init(&options);
    options.cache = "";
    if (vj_compile_file(VJ_DIGITS, &options, &model) != VJ_OK) return 1;
    answers(model, truth);
    vj_model_free(model);
    const bool made = emit(VJ_DIGITS, in_folder("inside.so"), NULL, VJ_CC, 0) == VJ_OK &&
                      emit(VJ_DIGITS, in_folder("beside.so"), NULL, NULL, 1) == VJ_OK &&
                      emit(VJ_OTHER, in_folder("foreign.so"), NULL, NULL, 1) == VJ_OK;
    if (!made) printf("%s\n", message);
    return made ? 0 : 1;
}

static int tear_down(void **state) {
    (void)state;
    return !folder_remove();
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_bits),
                                       cmocka_unit_test(test_dlopen),
                                       cmocka_unit_test(test_nothing_of_it_runs),
                                       cmocka_unit_test(test_cut),
                                       cmocka_unit_test(test_changed_bytes),
                                       cmocka_unit_test(test_notes),
                                       cmocka_unit_test(test_cpu),
                                       cmocka_unit_test(test_several_cpus),
                                       cmocka_unit_test(test_foreign),
                                       cmocka_unit_test(test_linkers)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
