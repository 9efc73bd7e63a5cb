/* SPDX-License-Identifier: Apache-2.0 */
/* emit.c - tests emitted objects as a user would: compiles, links and runs them; checks that wrong weights are refused
 * and that no file is left half-written. */
#include <dirent.h>
#include <dlfcn.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "folder.h"
#include "vitjit_compiler.h"

#define N      5
#define STRICT "-O1 -Wall -Wextra -Wpedantic -Werror"

static const vj_compiler_api *api;
static const char *folder;

#define shell(...) assert_int_equal(status_of(__VA_ARGS__), 0)

static size_t read_file(const char *path, void *data, size_t room) {
    FILE *f = fopen(path, "rb");
    if (!f) fail_msg("%s is not there", path);
    const size_t size = fread(data, 1, room, f);
    fclose(f);
    return size;
}

static char message[4096];
static vj_status emit(const char *model, const char *cpu, const vj_emit_request *e) {
    const vj_options options = {.size = sizeof options, .cpu = cpu};
    const vj_compile_request request = {.path = model, .options = &options, .pass_limit = -1};
    char *summary = NULL;
    message[0] = 0;
    const vj_status status = api->emit(&request, e, &summary, message, sizeof message);
    assert_true((status == VJ_OK) == (summary != NULL) && (status == VJ_OK) == (message[0] == 0));
    free(summary);
    return status;
}

static void emit_well(const char *model, const vj_emit_request *e) {
    if (emit(model, NULL, e) != VJ_OK) fail_msg("%s", message);
}

/* Counts the files, including temporary ones. */
static int files_in(const char *path) {
    DIR *d = opendir(path);
    int count = 0;
    assert_non_null(d);
    for (const struct dirent *e; (e = readdir(d));)
        count += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    return count;
}

static bool is_there(const char *name) { return access(in_folder(name), F_OK) == 0; }

/* Inputs that are neither ordered nor small; writes `in`, and what libvitjit answers to `out`. */
static void ask_library(const char *model_path, const char *in, void *answer, size_t *answer_bytes) {
    vj_options options;
    vj_model *model;
    vj_session *session;
    int64_t dims[VJ_MODEL_MAX_RANK], count = 1;
    vj_options_init(&options);
    options.cache = "";
    options.threads = 1;
    if (vj_compile_file(model_path, &options, &model) != VJ_OK) fail_msg("%s", vj_error_message());
    const int32_t rank = vj_input_shape(model, 0, N, dims);
    for (int32_t i = 0; i < rank; i++)
        count *= dims[i];
    float *data = calloc((size_t)count, sizeof *data);
    for (int64_t i = 0; i < count; i++)
        data[i] = (float)((uint32_t)i * 2654435761u >> 8) * 0x1p-22f - 2;
    write_file(in_folder(in), data, (size_t)count * sizeof *data);
    assert_int_equal(vj_session_create(model, &session), VJ_OK);
    assert_int_equal(vj_bind_input(session, vj_input_name(model, 0), data, (size_t)count * 4, VJ_F32, dims, rank),
                     VJ_OK);
    *answer_bytes = vj_output_bound(session, 0);
    assert_true(*answer_bytes > 0 && *answer_bytes <= 65536);
    assert_int_equal(vj_bind_output(session, 0, answer, *answer_bytes), VJ_OK);
    if (vj_run(session) != VJ_OK) fail_msg("%s", vj_error_message());
    vj_session_free(session);
    vj_model_free(model);
    free(data);
}

static void same_as_library(const char *name, const void *answer, size_t bytes) {
    static char got[65536];
    assert_int_equal(read_file(in_folder(name), got, sizeof got), bytes);
    assert_memory_equal(got, answer, bytes);
}

static void build_program(const char *stem, const char *prefix, const char *upper) {
    shell(VJ_CC " -std=c17 -D_DEFAULT_SOURCE " STRICT
                " -DMODEL_HEADER='\"%s.h\"' -DPREFIX=%s -DUPPER=%s -I%s " VJ_TEST_DIR
                "/program.c %s/%s.o -o %s/program -lm",
          stem, prefix, upper, folder, folder, stem, folder);
}

static void test_weights_inside(void **state) {
    (void)state;
    static char answer[65536];
    size_t bytes;
    ask_library(VJ_DIGITS, "in", answer, &bytes);
    emit_well(VJ_DIGITS, &(vj_emit_request){.what = VJ_EMIT_OBJ, .output = folder, .weights_file = -1});
    assert_true(is_there("digits.o") && is_there("digits.h") && !is_there("digits.weights"));
    build_program("digits", "digits", "DIGITS");
    shell("%s/program %s/in %s/out", folder, folder, folder);
    same_as_library("out", answer, bytes);
}

static void test_weights_beside(void **state) {
    (void)state;
    static char answer[65536], weights[1 << 22];
    size_t bytes;
    ask_library(VJ_DIGITS, "in", answer, &bytes);
    /* Another model's weights; the right ones with another digest; cut short. */
    emit_well(VJ_OTHER, &(vj_emit_request){.what = VJ_EMIT_OBJ, .output = in_folder("foreign.o"), .weights_file = 1});
    emit_well(VJ_DIGITS,
              &(vj_emit_request){
                  .what = VJ_EMIT_OBJ, .output = in_folder("apart.o"), .prefix = "Apart_2", .weights_file = 1});
    const size_t size = read_file(in_folder("apart.weights"), weights, sizeof weights);
    assert_true(size > 500000 && size < sizeof weights);
    write_file(in_folder("cut"), weights, size - 4096);
    write_file(in_folder("header"), weights, 4096);
    weights[8] ^= 1;
    write_file(in_folder("changed"), weights, size);
    memset(weights, 0, size);
    write_file(in_folder("zeros"), weights, size);
    build_program("apart", "Apart_2", "APART_2");
    shell("cd %s && ./program in out apart.weights foreign.weights cut header changed zeros", folder);
    same_as_library("out", answer, bytes);
}

static void test_two_models(void **state) {
    (void)state;
    static char digits[65536], other[65536];
    size_t digits_bytes, other_bytes;
    ask_library(VJ_DIGITS, "in1", digits, &digits_bytes);
    ask_library(VJ_OTHER, "in2", other, &other_bytes);
    emit_well(VJ_DIGITS, &(vj_emit_request){.what = VJ_EMIT_OBJ, .output = folder, .weights_file = 0});
    emit_well(VJ_OTHER, &(vj_emit_request){
                            .what = VJ_EMIT_OBJ, .output = in_folder("other.o"), .prefix = "other", .weights_file = 0});
    shell(VJ_CC " -std=c17 " STRICT " -I%s -I" VJ_INCLUDE_DIR " " VJ_TEST_DIR
                "/two.c %s/digits.o %s/other.o -o %s/two -lm",
          folder, folder, folder, folder);
    shell("cd %s && ./two in1 in2 out1 out2", folder);
    same_as_library("out1", digits, digits_bytes);
    same_as_library("out2", other, other_bytes);
}

/* Compiles the headers alone, in C and C++, before and after the library's header. */
static void test_headers(void **state) {
    (void)state;
    static const char text[] =
        "#include \"digits.h\"\n#include \"vitjit.h\"\n#include \"a b.h\"\n#include \"digits.h\"\n"
        "static unsigned char x[DIGITS_SCRATCH_BYTES(3, 2) + M1_A_B_WEIGHTS_BYTES];\n"
        "int main(void) { digits_context c; x[0] = 1; return digits_init(&c, x, 0); }\n";
    shell("cp " VJ_OTHER " '%s/1*a b.onnx'", folder);
    emit_well(VJ_DIGITS, &(vj_emit_request){.what = VJ_EMIT_OBJ, .output = folder, .weights_file = 0});
    emit_well(
        in_folder("1*a b.onnx"),
        &(vj_emit_request){.what = VJ_EMIT_OBJ, .output = in_folder("a b.o"), .prefix = "m1_a_b", .weights_file = 1});
    emit_well(in_folder("1*a b.onnx"), &(vj_emit_request){.what = VJ_EMIT_OBJ, .output = folder});
    assert_true(is_there("1_a_b.o"));
    shell("nm %s/1_a_b.o | grep -q ' T m1_a_b_run$'", folder);
    write_file(in_folder("text.c"), text, sizeof text - 1);
    write_file(in_folder("text.cc"), text, sizeof text - 1);
    shell(VJ_CC " -std=c17 " STRICT " -I%s -I" VJ_INCLUDE_DIR " -c %s/text.c -o %s/text.o", folder, folder, folder);
    if (*VJ_CXX)
        shell(VJ_CXX " -std=c++17 " STRICT " -I%s -I" VJ_INCLUDE_DIR " %s/text.cc %s/digits.o -o %s/text", folder,
              folder, folder, folder);
}

/* Every target gives an object that needs no symbol of others, and listings that are not empty. */
static void test_targets(void **state) {
    (void)state;
    static const char *const cpus[] = {"x86-64", "x86-64-v3", "x86-64-v4", "aarch64"};
    for (size_t i = 0; i < sizeof cpus / sizeof *cpus; i++) {
        const vj_emit_request e = {.what = VJ_EMIT_OBJ, .output = in_folder("t.o"), .prefix = "t", .weights_file = 0};
        if (emit(VJ_DIGITS, cpus[i], &e) != VJ_OK) fail_msg("%s", message);
        shell("test -z \"$(nm -u %s/t.o | grep -v -e memcpy -e memset)\" && grep -q 'CPU  *%s$' %s/t.h", folder,
              cpus[i], folder);
    }
    emit_well(VJ_DIGITS, &(vj_emit_request){.what = VJ_EMIT_ASM, .output = folder});
    emit_well(VJ_DIGITS, &(vj_emit_request){.what = VJ_EMIT_LL, .output = folder});
    emit_well(VJ_DIGITS, &(vj_emit_request){.what = VJ_EMIT_IR, .output = folder});
    shell(
        "cd %s && grep -q digits_run: digits.s && grep -q 'define.*@digits_run(' digits.ll && grep -q '^ *kernel gemm' "
        "digits.vj",
        folder);
}

static void test_bad_requests(void **state) {
    (void)state;
    char empty[300];
    snprintf(empty, sizeof empty, "%s", in_folder("empty"));
    assert_int_equal(mkdir(empty, 0700), 0);
    static const char *const outputs[] = {"empty/none/", "empty/none/x.o", "digits.o/x.o"};
    emit_well(VJ_DIGITS, &(vj_emit_request){.what = VJ_EMIT_OBJ, .output = folder, .weights_file = 0});
    for (size_t i = 0; i < sizeof outputs / sizeof *outputs; i++) {
        assert_int_equal(emit(VJ_DIGITS, NULL, &(vj_emit_request){.output = in_folder(outputs[i])}), VJ_USAGE);
        assert_int_equal(files_in(empty), 0);
    }
    static const char *const prefixes[] = {"", "9a", "a-b", "a b", "a\"", "\xc3\xa4"};
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        assert_int_equal(emit(VJ_DIGITS, NULL, &(vj_emit_request){.output = empty, .prefix = prefixes[i]}), VJ_USAGE);
    assert_int_equal(emit(VJ_DIGITS, "z80", &(vj_emit_request){.output = empty}), VJ_USAGE);
    assert_int_equal(emit(in_folder("no.onnx"), NULL, &(vj_emit_request){.output = empty}), VJ_BAD_INPUT);
    assert_int_equal(files_in(empty), 0);
    /* A folder has the header's name, so the object is not written either. */
    assert_int_equal(mkdir(in_folder("empty/digits.h"), 0700), 0);
    assert_int_equal(emit(VJ_DIGITS, NULL, &(vj_emit_request){.output = empty, .weights_file = 1}), VJ_USAGE);
    assert_int_equal(files_in(empty), 1);
}

/* Files may grow to `bytes` only, as on a full disk, so that one of the files that are written in turn (weights,
 * header, object) fails. The old files must stay. */
static void test_no_room(void **state) {
    (void)state;
    char full[300], text[16];
    snprintf(full, sizeof full, "%s", in_folder("full"));
    assert_int_equal(mkdir(full, 0700), 0);
    write_file(in_folder("full/digits.o"), "old", 3);
    static const struct {
        rlim_t bytes;
        int32_t weights_file;
    } rooms[] = {{0, 1}, {4096, 1}, {400000, 1}, {0, 0}, {4096, 0}, {100000, 0}, {800000, 0}};
    struct rlimit before;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++) {
        const struct rlimit limit = {rooms[i].bytes, before.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        const vj_status status =
            emit(VJ_DIGITS, NULL, &(vj_emit_request){.output = full, .weights_file = rooms[i].weights_file});
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
        if (status != VJ_SYSTEM) fail_msg("room %zu: status %d", i, (int)status);
        assert_int_equal(files_in(full), 1);
        assert_int_equal(read_file(in_folder("full/digits.o"), text, sizeof text), 3);
    }
    emit_well(VJ_DIGITS, &(vj_emit_request){.output = full, .weights_file = 1});
    assert_int_equal(files_in(full), 3);
}

static int set_up(void **state) {
    (void)state;
    void *library = dlopen(VJ_COMPILER_LIBRARY, RTLD_NOW);
    const vj_compiler_api *(*get)(void) = NULL;
    void *symbol = library ? dlsym(library, "vj_compiler_get") : NULL;
    memcpy(&get, &symbol, sizeof symbol);
    if (!get) printf("%s\n", dlerror());
    api = get ? get() : NULL;
    const bool made = folder_make();
    folder = folder_path();
    return api && made ? 0 : 1;
}

static int tear_down(void **state) {
    (void)state;
    return !folder_remove();
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_weights_inside), cmocka_unit_test(test_weights_beside),
                                       cmocka_unit_test(test_two_models),     cmocka_unit_test(test_headers),
                                       cmocka_unit_test(test_targets),        cmocka_unit_test(test_bad_requests),
                                       cmocka_unit_test(test_no_room)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
