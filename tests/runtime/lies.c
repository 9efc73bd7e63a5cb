/* SPDX-License-Identifier: Apache-2.0 */
/* lies.c - a host believes nothing that comes of the compiler's process: what the program of liar.c says, and packets that are cut
 * short, too long or changed. The program stands beside this one, where the runtime looks for it.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "runtime/apart/answer.h"
#include "runtime/apart/limits.h"
#include "runtime/runtime.h"

static int descriptors(void) {
    int count = 0;
    for (int d = 0; d < 256; d++)
        count += fcntl(d, F_GETFD) >= 0;
    return count;
}

/* A cache in memory: what it was asked to keep is counted. */
static int created, committed;
static int find(void *self, const uint64_t digest[2], int64_t bytes) {
    (void)self, (void)digest, (void)bytes;
    return -1;
}
static int create(void *self, const uint64_t digest[2], int64_t bytes) {
    (void)self, (void)digest, (void)bytes;
    created++;
    return open("/dev/null", O_RDWR | O_CLOEXEC);
}
static void commit(void *self, const uint64_t digest[2], int descriptor, int32_t whole) {
    (void)self, (void)digest, (void)descriptor;
    assert_false(whole);
    committed++;
}

static vj_status hear(const char *lie, double seconds) {
    vj_options options;
    vj_options_init(&options);
    options.max_seconds = seconds;
    const vj_compile_request request = {.path = lie, .options = &options, .pass_limit = -1};
    const vj_weights_store store = {NULL, find, create, commit, NULL};
    vj_compiled compiled;
    void (*free_orc)(void *);
    const int before = descriptors();
    created = committed = 0;
    const vj_status status = vj_ask_compile(&request, &store, &compiled, &free_orc);
    assert_null(compiled.image);
    assert_null(compiled.files);
    assert_int_equal(compiled.weights_fd, -1);
    assert_int_equal(descriptors(), before);
    assert_int_equal(created, committed);
    return status;
}

static void is_nonsense(const char *lie, const char *word) {
    const vj_status status = hear(lie, 60);
    if (status != VJ_SYSTEM || !strstr(vj_error_message(), word))
        fail_msg("%s: %d, %s", lie, (int)status, vj_error_message());
}

static void lies_are_no_answers(void **state) {
    (void)state;
    static const char *const nonsense[] = {"frame",   "call",       "question", "answer", "empty",  "image",
                                           "weights", "descriptor", "commit",   "find",   "create", "cancel",
                                           "log",     "level",      "making",   "header", "wrote"};
    for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++)
        is_nonsense(nonsense[i], "makes no sense");
    for (int seed = 1; seed < 60; seed++) {
        char lie[32];
        snprintf(lie, sizeof lie, "nonsense %d", seed);
        assert_int_equal(hear(lie, 60), VJ_SYSTEM);
    }
}

static void ends_are_told(void **state) {
    (void)state;
    is_nonsense("status", "ended with status 9");
    is_nonsense("nothing", "ended with status 0");
    is_nonsense("half", "ended with status 0");
    is_nonsense("short", "ended with status 0");
    is_nonsense("abort", "crashed (signal 6)");
    is_nonsense("deaf", "killed (signal 9)");
    assert_int_equal(hear("sleep", 0.3), VJ_SYSTEM);
    assert_non_null(strstr(vj_error_message(), "given up after 0.3 seconds"));
    assert_int_equal(hear("error", 60), VJ_UNSUPPORTED);
    assert_string_equal(vj_error_message(), "told");
}

/* A call with something in every member. */
static void put_full_call(vj_packet *p) {
    static const vj_shape shapes[] = {{"x", 3, {1, -1, 7}}, {"y", 0, {0}}};
    static const vj_shape_set sets[] = {{shapes, 2}, {shapes, 1}};
    static const char *const texts[] = {"one", "", "three"};
    static const double values[] = {1, 2};
    static const vj_fixed_input fixed[] = {{"x", VJ_F64, 1, {2}, values, sizeof values}};
    vj_options o;
    vj_options_init(&o);
    o.cpu = "x86-64";
    o.shapes = shapes;
    o.shape_count = 2;
    o.also_outputs = texts;
    o.also_output_count = 3;
    o.fixed = fixed;
    o.fixed_count = 1;
    o.keep_attention = VJ_KEEP_ATTENTION;
    o.precision = VJ_I8;
    o.weight_format = VJ_I8;
    o.keep_f32 = texts;
    o.keep_f32_count = 2;
    o.calibration = "{}";
    o.calibration_bytes = 2;
    o.log_level = VJ_LOG_DEBUG;
    o.max_memory = 11;
    o.max_seconds = 12.5;
    o.log = (void (*)(void *, vj_log_level, const char *))(uintptr_t)1;
    o.cancel = (int32_t (*)(void *))(uintptr_t)1;
    vj_call call = {.errand = VJ_ERRAND_EMIT, .file_bytes = 13, .finds_images = true};
    call.request = (vj_compile_request){.path = "m.onnx",
                                        .options = &o,
                                        .fixed_batch = 14,
                                        .offered = fixed,
                                        .offered_count = 1,
                                        .picture = {15, 16, 17},
                                        .print_after = "a",
                                        .stop_after = "b",
                                        .print_rewrites = 1,
                                        .disabled_passes = texts,
                                        .disabled_pass_count = 3,
                                        .pass_limit = 18,
                                        .for_command = 1,
                                        .marks = 1,
                                        .probe = 1};
    call.emit = (vj_emit_request){.what = VJ_EMIT_LIB,
                                  .sets = sets,
                                  .set_count = 2,
                                  .cpus = texts,
                                  .cpu_count = 3,
                                  .output = "o",
                                  .prefix = "p",
                                  .weights_file = -1,
                                  .linker = "cc",
                                  .header_part = (char *(*)(void *, const vj_header_request *))(uintptr_t)1,
                                  .wrote = (void (*)(void *, const char *))(uintptr_t)1};
    vj_put_call(p, &call);
    assert_false(p->bad);
}

static vj_packet copy_of(const vj_packet *p, size_t size) {
    vj_packet copy = {.bytes = malloc(size + 1), .size = size, .room = size + 1};
    assert_non_null(copy.bytes);
    memcpy(copy.bytes, p->bytes, size < p->size ? size : p->size);
    return copy;
}

static void calls_arrive_whole(void **state) {
    (void)state;
    vj_packet put = {0}, again = {0};
    vj_call call;
    put_full_call(&put);
    vj_packet taken = copy_of(&put, put.size);
    assert_true(vj_take_call(&taken, &call));
    /* Functions are not carried over, only that there are some. */
    assert_true(call.logs && call.cancels && call.finds_images && call.adds_header && call.hears_wrote);
    call.options.log = (void (*)(void *, vj_log_level, const char *))(uintptr_t)1;
    call.options.cancel = (int32_t (*)(void *))(uintptr_t)1;
    call.emit.header_part = (char *(*)(void *, const vj_header_request *))(uintptr_t)1;
    call.emit.wrote = (void (*)(void *, const char *))(uintptr_t)1;
    assert_string_equal(call.request.path, "m.onnx");
    assert_int_equal(call.options.fixed[0].bytes, 2 * sizeof(double));
    assert_float_equal(((const double *)call.options.fixed[0].data)[1], 2, 0);
    assert_string_equal(call.emit.sets[0].shapes[1].name, "y");
    vj_put_call(&again, &call);
    assert_int_equal(again.size, put.size);
    assert_memory_equal(again.bytes, put.bytes, put.size);
    vj_packet_free(&taken);
    vj_packet_free(&again);
    for (size_t size = 0; size < put.size; size += 8) {
        vj_packet cut = copy_of(&put, size);
        assert_false(vj_take_call(&cut, &call));
        vj_packet_free(&cut);
    }
    srand(1);
    for (int i = 0; i < 2000; i++) {
        vj_packet changed = copy_of(&put, put.size);
        changed.bytes[(size_t)rand() % put.size] ^= (uint8_t)(1 << rand() % 8);
        vj_take_call(&changed, &call);
        vj_packet_free(&changed);
    }
    vj_packet_free(&put);
}

static void header_requests_are_checked(void **state) {
    (void)state;
    const vj_tensor_info input = {"image", VJ_F32, 4, {1, 3, 8, 8}, 768, 0};
    const vj_model shape = {.input_count = 1, .inputs = &input, .output_count = 1, .outputs = &input};
    const vj_header_request request = {
        .shapes = &shape, .shape_count = 1, .metadata = "{}", .prefix = "a", .macros = "A"};
    vj_header_request taken;
    vj_packet put = {0};
    vj_put_header_request(&put, &request);
    vj_packet copy = copy_of(&put, put.size);
    assert_true(vj_take_header_request(&copy, &taken));
    assert_int_equal(taken.shapes[0].outputs[0].dims[3], 8);
    vj_packet_free(&copy);
    for (size_t size = 0; size < put.size; size += 8) {
        copy = copy_of(&put, size);
        assert_false(vj_take_header_request(&copy, &taken));
        vj_packet_free(&copy);
    }
    srand(2);
    for (int i = 0; i < 2000; i++) {
        copy = copy_of(&put, put.size);
        copy.bytes[(size_t)rand() % put.size] ^= (uint8_t)(1 << rand() % 8);
        if (vj_take_header_request(&copy, &taken))
            assert_in_range(taken.shapes[0].inputs[0].rank, 0, VJ_MODEL_MAX_RANK);
        vj_packet_free(&copy);
    }
    vj_packet_free(&put);
}

/* Of a compiled model: what would lead a host to read where it must not. */
static bool takes(int64_t content_bytes, const char *name, int64_t offset, int64_t length) {
    vj_file_part parts[] = {{0, 16, {1, 2}}, {offset, length, {3, 4}}};
    char copy[64] = "";
    if (name) strcpy(copy, name);
    vj_model_file files[] = {{NULL, parts, 2}, {copy, parts, 1}};
    const vj_answer answer = {
        .compiled = {.image = copy, .image_bytes = 8, .weights_fd = -1, .files = files, .file_count = name ? 2 : 1}};
    vj_answer taken;
    vj_packet p = {0};
    vj_put_answer(&p, VJ_ERRAND_COMPILE, &answer);
    const bool good = vj_take_answer(&p, VJ_ERRAND_COMPILE, content_bytes, &taken);
    vj_packet_free(&p);
    if (!good) return false;
    vj_compiled_free_files(&taken.compiled);
    free(taken.compiled.image);
    return true;
}

static void files_are_checked(void **state) {
    (void)state;
    assert_true(takes(-1, "w.bin", 16, 100));
    assert_true(takes(-1, "data/..w/w.bin", 20, 1));
    assert_true(takes(116, NULL, 16, 100));
    assert_false(takes(115, NULL, 16, 100));    /* behind the model in memory */
    assert_false(takes(200, "w.bin", 16, 100)); /* which has no external data */
    assert_false(takes(-1, "w.bin", 15, 100));  /* within the first */
    assert_false(takes(-1, "w.bin", -1, 100));
    assert_false(takes(-1, "w.bin", 16, -1));
    assert_false(takes(-1, "w.bin", INT64_MAX - 3, 100));
    static const char *const names[] = {"", "/etc/passwd", "..", "../w.bin", "a/../../w.bin", "a/..", "a\nb"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_false(takes(-1, names[i], 16, 100));
}

static bool takes_data(vj_dtype dtype, int32_t rank, int64_t dim, size_t bytes) {
    char name[] = "x", data[64] = "";
    vj_answer answer = {.data = {name, dtype, rank, {dim, 2}, data, bytes}}, taken;
    vj_packet p = {0};
    vj_put_answer(&p, VJ_ERRAND_TENSOR, &answer);
    const bool good = vj_take_answer(&p, VJ_ERRAND_TENSOR, -1, &taken);
    vj_packet_free(&p);
    if (good) {
        free(taken.data.name);
        free(taken.data.data);
    }
    return good;
}

static void tensors_are_checked(void **state) {
    (void)state;
    assert_true(takes_data(VJ_F32, 2, 3, 24));
    assert_true(takes_data(VJ_F32, 2, 0, 0));
    assert_false(takes_data(VJ_F32, 2, 3, 20));
    assert_false(takes_data(VJ_F64, 2, 3, 24));
    assert_false(takes_data(VJ_F32, 2, -3, 24));
    assert_false(takes_data(VJ_F32, 2, INT64_MAX / 4, 24));
    assert_false(takes_data(VJ_NO_DTYPE, 2, 3, 24));
    assert_false(takes_data((vj_dtype)99, 2, 3, 24));
}

/* As docs/c-api.md has them. */
static void limits_follow_sizes(void **state) {
    (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    const double longer = 20;
    const int64_t memory = 0;
#else
    const double longer = 1;
    const int64_t memory = 1;
#endif
    const int64_t mib = 1 << 20, stacks = 16 * mib * sysconf(_SC_NPROCESSORS_ONLN);
    vj_options options;
    vj_options_init(&options);
    vj_call call = {.errand = VJ_ERRAND_COMPILE, .file_bytes = mib / 4, .request.options = &options};
    vj_limits limits = vj_limits_of(&call, 0);
    assert_int_equal(limits.memory, memory * (769 * mib + stacks));
    assert_float_equal(limits.processors, longer * 9, 1e-9);
    assert_float_equal(limits.seconds, longer * 27, 1e-9);
    limits = vj_limits_of(&call, 1000 * mib);
    assert_int_equal(limits.memory, memory * (4769 * mib + stacks));
    assert_float_equal(limits.processors, longer * 4009, 1e-9);
    assert_true(vj_limits_of(&call, INT64_MAX).memory >= 0);
    call.errand = VJ_ERRAND_EMIT;
    call.emit.set_count = 3;
    call.emit.cpu_count = 2;
    limits = vj_limits_of(&call, 0);
    assert_int_equal(limits.memory, memory * ((6 * 768 + 1) * mib + stacks));
    assert_float_equal(limits.processors, longer * 6 * 9, 1e-9);
    call.errand = VJ_ERRAND_CHECK;
    limits = vj_limits_of(&call, 0);
    assert_true(limits.memory == 0 && !(limits.seconds > 0) && !(limits.processors > 0));
    options.max_memory = 1000;
    options.max_seconds = 2.5;
    limits = vj_limits_of(&call, 1000 * mib);
    assert_int_equal(limits.memory, memory * 1000);
    assert_float_equal(limits.seconds, 2.5, 0);
    options.max_memory = -1;
    options.max_seconds = -1;
    call.errand = VJ_ERRAND_COMPILE;
    limits = vj_limits_of(&call, 0);
    assert_true(limits.memory == 0 && !(limits.seconds > 0) && !(limits.processors > 0));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lies_are_no_answers), cmocka_unit_test(ends_are_told),
        cmocka_unit_test(calls_arrive_whole),  cmocka_unit_test(header_requests_are_checked),
        cmocka_unit_test(files_are_checked),   cmocka_unit_test(tensors_are_checked),
        cmocka_unit_test(limits_follow_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
