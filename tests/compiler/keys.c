/* SPDX-License-Identifier: Apache-2.0 */
/* keys.c - tests what the graph key and the weights' digest depend on; the notes; inspect and report. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "compiler/compiler.h"

static const char base[] = "func @main(%x: f32[N,8]) {\n"
                           "@w = const seed(1) : f32[8,4096]\n"
                           "@b = const [1,2,3,4,5,6,7,8] : f32[8]\n"
                           "%n = layernorm %x, @b, @b axis=1 eps=1e-6\n"
                           "%y = matmul %n, @w\n"
                           "return %y as y\n}\n";

typedef struct key {
    uint64_t half[2];
} key;

static key key_of_text(const char *text, const vj_compile_request *request) {
    vj_arena *arena = vj_arena_new();
    vj_unit *u = VJ_NEW(arena, vj_unit);
    u->arena = arena;
    u->request = request;
    u->target = vj_target_by_name("x86-64-v3");
    u->f = vj_parse(arena, text, ".", NULL, &u->error);
    if (!u->f || vj_graph_key_begin(u) != VJ_OK || vj_graph_key(u) != VJ_OK) fail_msg("%s\n%s", u->error.text, text);
    key k;
    memcpy(k.half, u->graph_key, sizeof k.half);
    vj_arena_free(arena);
    return k;
}

static char *replaced(const char *text, const char *from, const char *to) {
    const char *at = strstr(text, from);
    assert_non_null(at);
    char *out = malloc(strlen(text) + strlen(to) + 1);
    sprintf(out, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    return out;
}

static bool differs(const char *from, const char *to) {
    const vj_compile_request request = {.pass_limit = -1};
    char *other = replaced(base, from, to);
    const key a = key_of_text(base, &request), b = key_of_text(other, &request);
    free(other);
    return memcmp(&a, &b, sizeof a) != 0;
}

static void test_key_of_texts(void **state) {
    (void)state;
    /* Names of inner values do not count. */
    char *renamed = replaced(base, "%y = matmul %n, @w\nreturn %y", "%z = matmul %n, @w\nreturn %z");
    const vj_compile_request request = {.pass_limit = -1}, limited = {.pass_limit = 3};
    const key a = key_of_text(base, &request), b = key_of_text(renamed, &request), c = key_of_text(base, &limited);
    assert_memory_equal(&a, &b, sizeof a);
    assert_memory_not_equal(&a, &c, sizeof a);
    free(renamed);
    /* Everything else counts. */
    assert_true(differs("seed(1)", "seed(2)"));
    assert_true(differs("[1,2,3,4,5,6,7,8]", "[1,2,3,4,5,6,7,9]"));
    assert_true(differs("eps=1e-6", "eps=1e-5"));
    assert_true(differs("%x: f32[N,8]", "%x: f32[2,8]"));
    assert_true(differs("as y", "as z"));
    assert_true(differs("%y = matmul %n, @w", "%t = matmul %n, @w\n%y = neg %t"));
    assert_true(differs("@b, @b axis", "@b, _ axis"));
}

static void test_key_of_precisions(void **state) {
    (void)state;
    enum { CASES = 17 };
    static const char *const patterns[] = {"a", "b", "ab", "a"};
    const vj_options options[CASES] = {
        {.precision = VJ_F32},
        {.precision = VJ_BF16},
        {.weight_format = VJ_BF16},
        {.weight_format = VJ_F16},
        {.precision = VJ_BF16, .weight_format = VJ_BF16},
        {.weight_format = VJ_I8},
        {.weight_format = VJ_I4},
        {.precision = VJ_BF16, .weight_format = VJ_I8},
        {.precision = VJ_BF16, .weight_format = VJ_I4},
        {.precision = VJ_I8},
        {.precision = VJ_BF16, .keep_f32 = patterns, .keep_f32_count = 1},
        {.precision = VJ_BF16, .keep_f32 = patterns + 1, .keep_f32_count = 1},
        {.precision = VJ_BF16, .keep_f32 = patterns, .keep_f32_count = 2},
        {.precision = VJ_BF16, .keep_f32 = patterns + 2, .keep_f32_count = 1},
        {.precision = VJ_BF16, .keep_f32 = patterns + 2, .keep_f32_count = 2},
        {.precision = VJ_I8, .calibration = "{}", .calibration_bytes = 2},
        {.precision = VJ_I8, .calibration = "[]", .calibration_bytes = 2},
    };
    key keys[CASES];
    for (int i = 0; i < CASES; i++) {
        const vj_compile_request request = {.pass_limit = -1, .options = &options[i]};
        keys[i] = key_of_text(base, &request);
        for (int j = 0; j < i; j++)
            if (memcmp(&keys[i], &keys[j], sizeof keys[i]) == 0) fail_msg("options %d and %d have one key", j, i);
    }
    /* What is not given is f32. */
    const vj_options none = {0}, both = {.precision = VJ_F32, .weight_format = VJ_F32};
    const vj_compile_request given = {.pass_limit = -1, .options = &both},
                             not_given = {.pass_limit = -1, .options = &none};
    const key a = key_of_text(base, &given), b = key_of_text(base, &not_given);
    assert_memory_equal(&a, &keys[0], sizeof a);
    assert_memory_equal(&b, &keys[0], sizeof b);
}

/* A whole model */

typedef struct model {
    char *bytes;
    size_t size;
} model;

static model read_model(void) {
    FILE *f = fopen(VJ_DIGITS, "rb");
    assert_non_null(f);
    model m = {malloc(1 << 22), 0};
    m.size = fread(m.bytes, 1, 1 << 22, f);
    fclose(f);
    return m;
}

/* Replaces every `from` by `to`, which must have the same length. */
static int32_t change(model *m, const char *from, const char *to) {
    const size_t length = strlen(from);
    int32_t count = 0;
    for (size_t i = 0; i + length <= m->size; i++)
        if (memcmp(m->bytes + i, from, length) == 0) {
            memcpy(m->bytes + i, to, length);
            count++;
        }
    return count;
}

typedef struct both {
    int64_t batch; /* 0: open */
    key graph, weights;
} both;

static vj_status take_keys(vj_unit *u, void *self) {
    both *keys = self;
    u->keyed = true;
    u->fixed_batch = keys->batch;
    vj_status status = vj_unit_open(u);
    if (status == VJ_OK) status = vj_unit_plan(u);
    if (status == VJ_OK) status = vj_share_weights(u);
    memcpy(&keys->graph, u->graph_key, sizeof keys->graph);
    memcpy(&keys->weights, u->weights_digest, sizeof keys->weights);
    return status;
}

static both keys_of(const model *m, int64_t batch, const char *cpu) {
    const vj_options options = {.size = sizeof options, .cpu = cpu};
    const vj_compile_request request = {
        .path = "digits.onnx", .bytes = m->bytes, .bytes_size = m->size, .options = &options, .pass_limit = -1};
    both keys = {.batch = batch};
    char error[4096] = "";
    if (vj_with_unit(&request, take_keys, &keys, error, sizeof error) != VJ_OK) fail_msg("%s", error);
    return keys;
}

static bool equal(const key *a, const key *b) { return memcmp(a, b, sizeof *a) == 0; }

static void test_key_of_models(void **state) {
    (void)state;
    model m = read_model();
    const both first = keys_of(&m, 0, NULL), again = keys_of(&m, 0, NULL);
    assert_true(equal(&first.graph, &again.graph) && equal(&first.weights, &again.weights));

    assert_true(change(&m, "blocks.0", "blokks.9") > 0);
    assert_true(change(&m, "/patch/Conv", "/puttsh/Con") > 0);
    const both renamed = keys_of(&m, 0, NULL);
    assert_true(equal(&first.graph, &renamed.graph) && equal(&first.weights, &renamed.weights));

    const both baseline = keys_of(&m, 0, "x86-64"), fixed = keys_of(&m, 3, NULL);
    assert_false(equal(&first.graph, &baseline.graph));
    assert_false(equal(&first.graph, &fixed.graph));
    /* Packed weights are shared by targets. */
    assert_true(equal(&first.weights, &baseline.weights));

    m.bytes[m.size / 2] ^= 1; /* among the weights */
    const both other = keys_of(&m, 0, NULL);
    assert_false(equal(&first.graph, &other.graph));
    assert_false(equal(&first.weights, &other.weights));
    free(m.bytes);
}

/* Texts */

static void test_inspect(void **state) {
    (void)state;
    model m = read_model();
    const vj_options options = {.size = sizeof options};
    vj_compile_request request = {
        .path = "a/digits.onnx", .bytes = m.bytes, .bytes_size = m.size, .options = &options, .pass_limit = -1};
    char error[4096] = "", *text;
    const vj_compiler_api *api = vj_compiler_get();
    assert_int_equal(api->inspect(&request, &text, error, sizeof error), VJ_OK);
    assert_non_null(strstr(text, "digits.onnx: pytorch"));
    assert_non_null(strstr(text, "attention 4 of 4"));
    assert_non_null(strstr(text, "f32[batch,1,8,8]"));
    assert_non_null(strstr(text, "parameters  202,186"));
    free(text);
    assert_int_equal(api->report(&request, &text, error, sizeof error), VJ_OK);
    assert_non_null(strstr(text, "gelu 4 of 4\n"));
    free(text);

    /* A model with an unknown op can be inspected, but not reported. */
    assert_true(change(&m, "Softmax", "Sotfmax") > 0);
    assert_int_equal(api->inspect(&request, &text, error, sizeof error), VJ_OK);
    assert_non_null(strstr(text, "Sotfmax 4 (not supported)"));
    assert_non_null(strstr(text, "unsupported "));
    assert_null(strstr(text, "kernels"));
    free(text);
    assert_int_equal(api->report(&request, &text, error, sizeof error), VJ_UNSUPPORTED);
    assert_null(text);
    assert_non_null(strstr(error, "Sotfmax"));
    request.bytes_size = 100;
    assert_int_equal(api->inspect(&request, &text, error, sizeof error), VJ_BAD_INPUT);
    free(m.bytes);
}

static void test_metadata(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    vj_unit *u = VJ_NEW(arena, vj_unit);
    const vj_compile_request request = {.path = "x.onnx"};
    u->arena = arena;
    u->request = &request;
    u->facts.producer = "one\x1b[2J";
    u->facts.metadata =
        (struct vj_metadata[]){{"a\"b", "c\\d\n\x01"}, {"\xc3\xa4", "\xff\xed\xa0\x80\xc0\xaf!"}, {"", ""}};
    u->facts.metadata_count = 3;
    size_t bytes;
    const char *notes = vj_notes(u, &bytes), *json = notes + strlen(notes) + 1;
    assert_null(strchr(notes, '\x1b'));
    assert_int_equal(bytes, strlen(notes) + strlen(json) + 2);
    assert_string_equal(json, "{\"a\\\"b\":\"c\\\\d\\u000a\\u0001\",\"\xc3\xa4\":"
                              "\"\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd!\",\"\":\"\"}");
    vj_arena_free(arena);
}

static void test_api(void **state) {
    (void)state;
    const vj_compiler_api *api = vj_compiler_get();
    assert_ptr_equal(api, vj_compiler_get());
    assert_int_equal(api->version, VJ_COMPILER_API);
    assert_true(strncmp(api->build_id, VITJIT_VERSION "+", sizeof VITJIT_VERSION) == 0);
    assert_true(strlen(api->build_id) >= sizeof VITJIT_VERSION + 8);
    assert_true(strncmp(api->llvm_version, "19.", 3) == 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_key_of_texts),  cmocka_unit_test(test_key_of_precisions),
                                       cmocka_unit_test(test_key_of_models), cmocka_unit_test(test_inspect),
                                       cmocka_unit_test(test_metadata),      cmocka_unit_test(test_api)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
