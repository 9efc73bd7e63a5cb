/* SPDX-License-Identifier: Apache-2.0 */
/* eval_test.c - compares the reference evaluator with eval.cases (by PyTorch in double precision, checked by ONNX
 * Runtime), and tests what those cases cannot express: rounding, an open batch, values that are not evaluated, bad
 * indices. */
#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ir/tensor/ir.h"

/* Both sides compute in double, but may add in another order. */
#define RTOL 1e-12
#define ATOL 1e-13

static char *read_file(const char *path) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    const long size = ftell(file);
    rewind(file);
    char *text = malloc((size_t)size + 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, (size_t)size, file), (size_t)size);
    text[size] = 0;
    fclose(file);
    return text;
}

static const char *next_line(const char *at) {
    at += strcspn(at, "\n");
    return *at ? at + 1 : at;
}

/* The numbers of a line that begins with `word`. */
static void read_values(const char *line, const char *word, vj_tensor *t) {
    assert_int_equal(strncmp(line, word, strlen(word)), 0);
    const char *at = line + strlen(word), *end = line + strcspn(line, "\n");
    for (int64_t i = 0; i < t->count; i++) {
        char *rest;
        if (t->f)
            t->f[i] = strtod(at, &rest);
        else
            t->i[i] = strtoll(at, &rest, 10);
        assert_true(rest > at && rest <= end);
        at = rest;
    }
    while (at < end && *at == ' ')
        at++;
    assert_ptr_equal(at, end);
}

static bool same(double expected, double got) {
    if (isnan(expected) || isnan(got)) return isnan(expected) && isnan(got);
    if (isinf(expected) || isinf(got)) return expected == got;
    if (expected == 0 && got == 0) return !signbit(expected) == !signbit(got);
    return fabs(expected - got) <= ATOL + RTOL * fabs(expected);
}

static int differences(const char *name, const vj_tensor *expected, const vj_tensor *got) {
    int wrong = 0;
    for (int64_t i = 0; i < expected->count; i++) {
        if (expected->f && !same(expected->f[i], got->f[i])) {
            print_error("%s[%lld]: %.17g, not %.17g\n", name, (long long)i, got->f[i], expected->f[i]);
            wrong++;
        } else if (expected->i && expected->i[i] != got->i[i]) {
            print_error("%s[%lld]: %lld, not %lld\n", name, (long long)i, (long long)got->i[i],
                        (long long)expected->i[i]);
            wrong++;
        }
    }
    return wrong;
}

/* Runs the case at `at` ("case name", a function, its inputs, its output). *rest becomes the text after it. */
static int run_case(const char *at, const char **rest) {
    char name[80];
    vj_error error = {0};
    vj_arena *arena = vj_arena_new();
    assert_int_equal(sscanf(at, "case %79s", name), 1);
    vj_func *f = vj_parse(arena, next_line(at), NULL, &at, &error);
    if (!f || !vj_verify(f, &error)) {
        print_error("%s: %s\n", name, error.text);
        fail();
    }
    at += strspn(at, " \n");
    vj_tensor *inputs[8] = {NULL}, *outputs[1];
    for (int32_t i = 0; i < f->input_count; i++, at = next_line(at)) {
        inputs[i] = vj_tensor_new(arena, vj_type_at(f, f->inputs[i]), &error);
        read_values(at, "in", inputs[i]);
    }
    vj_tensor *expected = vj_tensor_new(arena, vj_type_at(f, f->outputs[0]), &error);
    read_values(at, "out", expected);
    *rest = next_line(at);
    int wrong = 1;
    if (vj_eval(arena, f, 1, inputs, outputs, false, &error))
        wrong = differences(name, expected, outputs[0]);
    else
        print_error("%s: %s\n", name, error.text);
    vj_arena_free(arena);
    return wrong;
}

static void cases_agree(void **state) {
    (void)state;
    char *text = read_file(VJ_TEST_DIR "/eval.cases");
    int wrong = 0, count = 0;
    for (const char *at = strstr(text, "\ncase "); at; at = strstr(at, "case "), count++) {
        const char *rest;
        wrong += run_case(*at == '\n' ? at + 1 : at, &rest);
        at = rest;
    }
    free(text);
    assert_true(count > 100);
    assert_int_equal(wrong, 0);
}

/* Evaluates a function of one float input for a batch of n. It has one output. */
static bool evaluate(vj_arena *arena, const char *text, int64_t n, const double *x, bool round, vj_tensor **outputs,
                     vj_error *error) {
    const char *rest;
    vj_func *f = vj_parse(arena, text, NULL, &rest, error);
    if (!f) print_error("%s\n", error->text);
    assert_non_null(f);
    vj_type type = *vj_type_at(f, f->inputs[0]);
    for (int32_t i = 0; i < type.rank; i++)
        if (type.dims[i].sym == VJ_SYM_BATCH) type.dims[i] = vj_dim_const(type.dims[i].c * n);
    vj_tensor *input = vj_tensor_new(arena, &type, error);
    for (int64_t i = 0; i < input->count; i++) {
        if (input->f)
            input->f[i] = x[i];
        else
            input->i[i] = (int64_t)x[i];
    }
    return vj_eval(arena, f, n, &input, outputs, round, error);
}

static void rounds_when_told(void **state) {
    (void)state;
    static const char *const text = "func @main(%x: f32[1]) -> f32[1] {\n"
                                    "  %y = reciprocal %x : f32[1]\n  return %y\n}\n";
    vj_arena *arena = vj_arena_new();
    vj_error error = {0};
    vj_tensor *y;
    assert_true(evaluate(arena, text, 1, (double[]){3}, false, &y, &error));
    assert_true(y->f[0] == 1.0 / 3);
    assert_true(evaluate(arena, text, 1, (double[]){3}, true, &y, &error));
    assert_true(y->f[0] == 0x1.555556p-2); /* 1/3 in f32 */
    vj_arena_free(arena);
}

static void rounds_halves(void **state) {
    (void)state;
    static const char *const text = "func @main(%x: f32[4]) -> f16[4] {\n"
                                    "  %y = cast %x to=f16 : f16[4]\n  return %y\n}\n";
    vj_arena *arena = vj_arena_new();
    vj_error error = {0};
    vj_tensor *y;
    assert_true(evaluate(arena, text, 1, (double[]){2049, 2051, 65520, 0x1p-25}, true, &y, &error));
    assert_true(y->f[0] == 2048 && y->f[1] == 2052); /* half to even: f16 has 11 bits */
    assert_true(isinf(y->f[2]));
    assert_true(y->f[3] == 0); /* half of the smallest subnormal */
    vj_arena_free(arena);
}

static void takes_a_batch(void **state) {
    (void)state;
    static const char *const text = "func @main(%x: f32[N,2]) -> f32[N,3] {\n"
                                    "  @t = const splat(7.0) : f32[1,1]\n"
                                    "  %c = broadcast @t dims=[1N,1] : f32[N,1]\n"
                                    "  %y = concat %c, %x axis=1 : f32[N,3]\n  return %y\n}\n";
    vj_arena *arena = vj_arena_new();
    vj_error error = {0};
    vj_tensor *y;
    assert_true(evaluate(arena, text, 3, (double[]){1, 2, 3, 4, 5, 6}, false, &y, &error));
    static const double expected[] = {7, 1, 2, 7, 3, 4, 7, 5, 6};
    assert_int_equal(y->count, 9);
    for (int i = 0; i < 9; i++)
        assert_true(y->f[i] == expected[i]);
    vj_arena_free(arena);
}

/* u64 is stored as the bits of an int64, in which 2^64 - 1 is -1. */
static void keeps_unsigned_64(void **state) {
    (void)state;
    static const struct {
        const char *op, *result;
        int64_t expected;
    } cases[] = {
        {"div", "u64", INT64_MAX}, {"mod", "u64", 1}, {"max", "u64", -1}, {"min", "u64", 2}, {"lt", "bool", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        vj_arena *arena = vj_arena_new();
        vj_error error = {0};
        vj_tensor *y;
        const char *text = vj_sprintf(arena,
                                      "func @main(%%x: u64[1]) -> %s[1] {\n  @t = const splat(2.0) : u64[1]\n"
                                      "  %%y = %s %%x, @t : %s[1]\n  return %%y\n}\n",
                                      cases[i].result, cases[i].op, cases[i].result);
        assert_true(evaluate(arena, text, 1, (double[]){-1}, false, &y, &error));
        assert_int_equal(y->i[0], cases[i].expected);
        vj_arena_free(arena);
    }
    vj_arena *arena = vj_arena_new();
    vj_error error = {0};
    vj_tensor *y;
    assert_true(evaluate(arena, "func @main(%x: u64[1]) -> f64[1] {\n  %y = cast %x to=f64 : f64[1]\n  return %y\n}\n",
                         1, (double[]){-1}, false, &y, &error));
    assert_true(y->f[0] == 0x1p64);
    vj_arena_free(arena);
}

/* Constants are read when a node needs them, so a function may have constants that cannot be read. */
static void leaves_out_what_no_output_needs(void **state) {
    (void)state;
    static const char *const text =
        "func @main(%x: f32[1]) -> f32[1] {\n  @t = const splat(1.0) : f32[1000000,1000000]\n"
        "  %u = neg @t : f32[1000000,1000000]\n"
        "  %y = neg %x : f32[1]\n  return %y\n}\n";
    vj_arena *arena = vj_arena_new();
    vj_error error = {0};
    vj_tensor *y;
    assert_true(evaluate(arena, text, 1, (double[]){2}, false, &y, &error));
    assert_true(y->f[0] == -2);
    vj_arena_free(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cases_agree),
        cmocka_unit_test(rounds_when_told),
        cmocka_unit_test(rounds_halves),
        cmocka_unit_test(takes_a_batch),
        cmocka_unit_test(leaves_out_what_no_output_needs),
        cmocka_unit_test(keeps_unsigned_64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
