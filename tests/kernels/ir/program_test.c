/* SPDX-License-Identifier: Apache-2.0 */
/* program_test.c - compares the kernel evaluator with the tensor evaluator. */
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "programs.h"

static double noise(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 40) / 0x1p23 - 1;
}

static void fill(vj_tensor *t, uint64_t seed) {
    for (int64_t i = 0; i < t->count; i++)
        t->f[i] = noise(&seed);
}

/* Evaluates the tensor-level function on random inputs. The arena owns inputs and outputs. */
static void evaluate(vj_arena *arena, const char *text, vj_tensor **inputs, vj_tensor **outputs) {
    vj_error error = {0};
    const char *rest;
    vj_func *f = vj_parse(arena, text, NULL, &rest, &error);
    if (!f) print_error("%s\n", error.text);
    assert_non_null(f);
    for (int32_t i = 0; i < f->input_count; i++) {
        inputs[i] = vj_tensor_new(arena, vj_type_at(f, f->inputs[i]), &error);
        fill(inputs[i], 17 + (uint64_t)i);
    }
    assert_true(vj_eval(arena, f, 1, inputs, outputs, false, &error));
}

static double *room(vj_arena *arena, const vj_program *p, int32_t buffer) {
    double *at = VJ_NEW_ARRAY(arena, double, p->buffers[buffer].elements);
    for (int64_t i = 0; i < p->buffers[buffer].elements; i++)
        at[i] = NAN; /* what is not written shows */
    return at;
}

static void run_kernel(const vj_program *p, int32_t kernel, double **buffers) {
    vj_error error = {0};
    if (!vj_eval_kernel(p, p->kernels[kernel], buffers, &error)) print_error("%s\n", error.text);
    assert_int_equal(error.status, VJ_OK);
}

static void assert_close(const double *expected, const double *got, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        if (!(fabs(expected[i] - got[i]) <= 1e-13 * (1 + fabs(expected[i])))) {
            print_error("[%" PRId64 "] is %.17g, not %.17g\n", i, got[i], expected[i]);
            fail();
        }
}

/* The panels as kernel.h defines them: element (k, n) at ((n / 16) * K + k) * 16 + n % 16. */
static double *packed(vj_arena *arena, const vj_weight *w, const double *source) {
    double *panels = VJ_NEW_ARRAY(arena, double, w->k *vj_round_up(w->n, VJ_PANEL));
    for (int64_t n = 0; n < w->n; n++)
        for (int64_t k = 0; k < w->k; k++)
            panels[(n / 16 * w->k + k) * 16 + n % 16] = source[n * w->k + k];
    return panels;
}

static void gemm_is_a_convolution(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    vj_tensor *in[3], *y;
    evaluate(arena,
             "func @main(%x: f32[1,2,5,6], %w: f32[5,2,3,3], %b: f32[5]) -> f32[1,5,3,3] {\n  %y = conv %x, %w, %b "
             "stride=[2,2] dilation=[1,1] low=[1,1] high=[1,1] groups=1 : f32[1,5,3,3]\n  return %y\n}\n",
             in, &y);
    vj_program *p = parse_program(arena, conv);
    double *buffers[] = {in[0]->f, packed(arena, &p->weights[0], in[1]->f), in[2]->f, room(arena, p, 3),
                         room(arena, p, 4)};
    run_kernel(p, 0, buffers);
    assert_close(y->f, buffers[3], y->count);
    run_kernel(p, 1, buffers);
    for (int i = 0; i < 45; i++) {
        const double t = 2 * y->f[i], gelu = 0.5 * t * (1 + erf(t / sqrt(2)));
        const double expected = (t < -0.5 ? -INFINITY : (t - (y->f[i] + 1)) / gelu) - (double)(i / 7);
        if (isinf(expected))
            assert_true(buffers[4][i] == expected);
        else
            assert_close(&expected, &buffers[4][i], 1);
    }
    vj_arena_free(arena);
}

static void attention_is_attention(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    vj_tensor *in[4], *y;
    evaluate(arena,
             "func @main(%q: f32[2,4,5], %k: f32[2,6,5], %v: f32[2,6,3], %m: f32[4,6]) -> f32[2,4,3] {\n"
             "  %y = attention %q, %k, %v, %m scale=0.25 : f32[2,4,3]\n  return %y\n}\n",
             in, &y);
    vj_program *p = parse_program(arena, attention);
    double *buffers[] = {in[0]->f, in[1]->f, in[2]->f, in[3]->f, room(arena, p, 4)};
    run_kernel(p, 0, buffers);
    assert_close(y->f, buffers[4], y->count);
    for (int j = 0; j < 6; j++)
        in[3]->f[6 + j] = -INFINITY; /* all of query 1 */
    run_kernel(p, 0, buffers);
    assert_true(isnan(buffers[4][3]) && !isnan(buffers[4][6]));
    vj_arena_free(arena);
}

static void attention_is_rounded(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    vj_tensor *in[3], *y;
    evaluate(arena,
             "func @main(%q: f32[2,4,5], %k: f32[2,6,5], %v: f32[2,6,3]) -> f32[2,4,3] {\n"
             "  @c = const [0.75] : f32[]\n  @low = const [-3] : f32[]\n  @high = const [4] : f32[]\n"
             "  @d = const [0.125] : f32[]\n  @one = const [1] : f32[]\n  @five = const [5] : f32[]\n"
             "  %t = transpose %k perm=[0,2,1] : f32[2,5,6]\n  %p = matmul %q, %t : f32[2,4,6]\n"
             "  %s = mul %p, @c : f32[2,4,6]\n  %r = round %s : f32[2,4,6]\n  %a = max %r, @low : f32[2,4,6]\n"
             "  %b = min %a, @high : f32[2,4,6]\n  %w = softmax %b axis=2 : f32[2,4,6]\n"
             "  %e = div %w, @d : f32[2,4,6]\n  %f = round %e : f32[2,4,6]\n  %g = max %f, @one : f32[2,4,6]\n"
             "  %h = min %g, @five : f32[2,4,6]\n  %m = matmul %h, %v : f32[2,4,3]\n"
             "  %y = mul %m, @d : f32[2,4,3]\n  return %y\n}\n",
             in, &y);
    vj_program *p = parse_program(arena, rounded);
    double *buffers[] = {in[0]->f, in[1]->f, in[2]->f, room(arena, p, 3)};
    run_kernel(p, 0, buffers);
    assert_close(y->f, buffers[3], y->count);
    vj_arena_free(arena);
}

static void nest_is_a_layernorm(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    vj_tensor *in[1], *y;
    evaluate(arena,
             "func @main(%x: f32[3,7]) -> f32[3,7] {\n  %y = layernorm %x axis=1 eps=0.001 : f32[3,7]\n"
             "  return %y\n}\n",
             in, &y);
    vj_program *p = parse_program(arena, norm);
    double *buffers[] = {in[0]->f, room(arena, p, 1)};
    run_kernel(p, 0, buffers);
    assert_close(y->f, buffers[1], y->count);
    run_kernel(p, 0, (double *[]){in[0]->f, in[0]->f}); /* in place: rows are read before they are written */
    assert_close(y->f, in[0]->f, y->count);
    vj_arena_free(arena);
}

static void totals_are_added_once(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    const vj_program *p = parse_program(arena, totals);
    double x[21], y[3] = {1, 2, 3};
    const double expected[3] = {1 + 21, 2 + 2 * 70, 3 + 3 * 119}; /* sums of 0 to 6, 7 to 13, 14 to 20 */
    for (int e = 0; e < 21; e++)
        x[e] = e;
    run_kernel(p, 0, (double *[]){x, y});
    assert_close(expected, y, 3);
    vj_arena_free(arena);
}

static void segments_go_their_ways(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    vj_tensor *in[2], *y;
    evaluate(arena,
             "func @main(%x: f32[5,4], %w: f32[4,6]) -> f32[5,6] {\n  %y = matmul %x, %w : f32[5,6]\n  return %y\n}\n",
             in, &y);
    vj_program *p = parse_program(arena, segments);
    double *buffers[] = {in[0]->f, in[1]->f, room(arena, p, 2), room(arena, p, 3)};
    run_kernel(p, 0, buffers);
    for (int i = 0; i < 5; i++)
        for (int c = 0; c < 3; c++) {
            const double *row = y->f + (i + 3) % 5 * 6, minus = -row[3 + c]; /* rolled by two */
            assert_close(&row[c], &buffers[2][3 * i + c], 1);
            assert_close(&minus, &buffers[3][i + 5 * c], 1);
        }
    vj_arena_free(arena);
}

static void blocks_are_widened(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    vj_program *p = parse_program(arena, blocks);
    double x[40], y[10], bytes[448] = {0};
    for (int e = 0; e < 40; e++)
        x[e] = e % 7 - 3;
    for (int n = 0; n < 5; n++)
        for (int k = 0; k < 20; k++) {
            const float scale = k < 16 ? 0.5F + (float)n : -0.25F;
            uint8_t stored[4];
            memcpy(stored, &scale, sizeof stored);
            for (int i = 0; i < 4; i++)
                bytes[k / 16 * 64 + 4 * n + i] = stored[i];
            bytes[128 + k / 16 * 16 + n] = k < 16 ? 8 : 3;
            bytes[192 + k / 2 * 16 + n] += (k + n) % 16 * (k % 2 ? 16 : 1);
        }
    run_kernel(p, 0, (double *[]){x, bytes, y});
    for (int e = 0; e < 10; e++) {
        double expected = 0;
        for (int k = 0; k < 20; k++)
            expected += x[e / 5 * 20 + k] * ((k + e % 5) % 16 - (k < 16 ? 8 : 3)) * (k < 16 ? 0.5 + e % 5 : -0.25);
        assert_close(&expected, &y[e], 1);
    }
    vj_arena_free(arena);
}

static void bytes_have_steps(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    vj_program *p = parse_program(arena, steps);
    double x[64], y[10], bytes[448] = {0}, step[32] = {0.5, 2, -1, 0.25};
    for (int e = 0; e < 64; e++)
        x[e] = 128 + e % 7 - 3;
    for (int n = 0; n < 5; n++)
        for (int k = 0; k < 20; k++) {
            const float scale = k < 16 ? 0.5F + (float)n : -0.25F;
            uint8_t stored[4];
            memcpy(stored, &scale, sizeof stored);
            for (int i = 0; i < 4; i++)
                bytes[k / 16 * 64 + 4 * n + i] = stored[i];
            bytes[128 + k / 16 * 16 + n] = k < 16 ? 8 : 3;
            bytes[192 + k / 2 * 16 + n] += (k + n) % 16 * (k % 2 ? 16 : 1);
        }
    run_kernel(p, 0, (double *[]){x, bytes, step, y});
    for (int e = 0; e < 10; e++) {
        double expected = 0;
        for (int k = 0; k < 20; k++)
            expected += (x[e / 5 * 32 + k] - 128) * step[e / 5 * 2 + k / 16] * ((k + e % 5) % 16 - (k < 16 ? 8 : 3)) *
                        (k < 16 ? 0.5 + e % 5 : -0.25);
        assert_close(&expected, &y[e], 1);
    }
    vj_arena_free(arena);
}

static void put_float(double *bytes, float x) {
    uint8_t stored[4];
    memcpy(stored, &x, sizeof stored);
    for (int i = 0; i < 4; i++)
        bytes[i] = stored[i];
}

/* A number of the table times a scale, rounded to f32. */
static void tables_are_looked_up(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    vj_program *p = parse_program(arena, table);
    double x[40], y[10], bytes[448] = {0};
    for (int e = 0; e < 40; e++)
        x[e] = e % 7 - 3;
    for (int q = 0; q < 16; q++)
        put_float(bytes + 128 + (ptrdiff_t)4 * q, (float)q / 7 - 1);
    for (int n = 0; n < 5; n++)
        for (int k = 0; k < 20; k++) {
            put_float(bytes + k / 16 * 64 + (ptrdiff_t)4 * n, k < 16 ? 0.3F + (float)n : -0.1F);
            bytes[192 + k / 2 * 16 + n] += (k + n) % 16 * (k % 2 ? 16 : 1);
        }
    run_kernel(p, 0, (double *[]){x, bytes, y});
    for (int e = 0; e < 10; e++) {
        double expected = 0;
        for (int k = 0; k < 20; k++) {
            const float number = (float)((k + e % 5) % 16) / 7 - 1, scale = k < 16 ? 0.3F + (float)(e % 5) : -0.1F;
            expected += x[e / 5 * 20 + k] * (double)(number * scale);
        }
        assert_close(&expected, &y[e], 1);
    }
    vj_arena_free(arena);
}

static void indices_are_taken_inside(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    vj_program *p = parse_program(arena, indexed);
    double t[28], u[10], i[6] = {0, 6, -1, -7, 100, -100}, y[24];
    const int at[6] = {0, 6, 6, 0, 6, 0};
    for (int e = 0; e < 28; e++)
        t[e] = e;
    for (int e = 0; e < 10; e++)
        u[e] = e < 2 ? (double)NAN : 100.0 * (e - 2);
    run_kernel(p, 0, (double *[]){t, i, u, y});
    for (int e = 0; e < 24; e++) {
        const int index = i[e / 4] < 0 ? (int)i[e / 4] + 7 : (int)i[e / 4], sum = index + e % 4;
        const double expected = 4 * at[e / 4] + e % 4 + 100.0 * (sum < 0 ? 0 : sum > 7 ? 7 : sum);
        assert_close(&expected, &y[e], 1);
    }
    vj_arena_free(arena);
}

static void calls_compute(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    vj_program *p = parse_program(arena, call);
    double x[20] = {99, 99, 1, 5, 5, 0, -1, 2, 2, 2, 2, 3, 3, 3, 4, 3, 3, 3, 3, 3}, v[4], i[4], scratch[64];
    run_kernel(p, 0, (double *[]){x, v, i, scratch});
    const double values[4] = {5, 5, 4, 3}, indices[4] = {1, 2, 3, 0};
    assert_close(values, v, 4);
    assert_close(indices, i, 4);
    vj_arena_free(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gemm_is_a_convolution), cmocka_unit_test(attention_is_attention),
        cmocka_unit_test(attention_is_rounded),  cmocka_unit_test(nest_is_a_layernorm),
        cmocka_unit_test(totals_are_added_once), cmocka_unit_test(segments_go_their_ways),
        cmocka_unit_test(blocks_are_widened),    cmocka_unit_test(bytes_have_steps),
        cmocka_unit_test(tables_are_looked_up),  cmocka_unit_test(indices_are_taken_inside),
        cmocka_unit_test(calls_compute),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
