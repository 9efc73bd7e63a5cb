/* SPDX-License-Identifier: Apache-2.0 */
/* nests.c - compares the code of nests of every kind, for every target that runs here, with the evaluator: rows and
 * outer points along the lanes, several row axes, guards, rolls, all types. Units are divided in every way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "target/schedule.h"
#include "vitjit_half.h"
#include "vitjit_image.h"
#include "noise.h"

/* Buffers: 0 the input, 1 the output. */
typedef vj_program *(*maker)(vj_arena *arena, const int64_t *e);

static int32_t access_of(vj_kernel *k, int32_t buffer, const int64_t *stride) {
    vj_access access = {.buffer = buffer};
    memcpy(access.stride, stride, (size_t)k->rank * sizeof *stride);
    return vj_add_access(k, &access);
}
#define ACCESS(k, buffer, ...) access_of((k), (buffer), (const int64_t[VJ_MAX_AXES]){__VA_ARGS__})

static vj_program *program_of(vj_arena *arena, vj_dtype from, int64_t from_elements, vj_dtype to, int64_t to_elements) {
    vj_program *p = vj_program_new(arena, NULL);
    vj_add_buffer(p, VJ_BUFFER_INPUT, from, from_elements, "x");
    vj_add_buffer(p, VJ_BUFFER_OUTPUT, to, to_elements, "y");
    p->buffers[0].index = p->buffers[1].index = 0;
    p->phases = VJ_NEW(arena, vj_phase);
    p->phases[0] = (vj_phase){0, 1};
    p->phase_count = 1;
    return p;
}

static vj_kernel *kernel_of(vj_program *p, int32_t rank, int32_t row_axes, const int64_t *extent) {
    vj_kernel *k = vj_add_kernel(p, VJ_KERNEL_NEST, "nest");
    vj_set_axes(k, (const int32_t[]){rank - row_axes, row_axes}, extent);
    return k;
}

static void add_out(vj_kernel *k, int32_t access, int32_t expr) { k->out[k->out_count++] = (vj_out){access, expr, -1}; }

/* softmax over axis 1 of [e0, e1, e2] */
static vj_program *softmax_middle(vj_arena *a, const int64_t *e) {
    vj_program *p = program_of(a, VJ_F32, e[0] * e[1] * e[2], VJ_F32, e[0] * e[1] * e[2]);
    vj_kernel *k = kernel_of(p, 3, 1, (const int64_t[]){e[0], e[2], e[1]});
    const int32_t x = vj_x_load(a, k, VJ_F32, ACCESS(k, 0, e[1] * e[2], 1, e[2]));
    const int32_t top = vj_x(a, k, VJ_X_STAGE, VJ_F32, 0, -1, -1);
    const int32_t w = vj_x(a, k, VJ_X_EXP, VJ_F32, vj_x(a, k, VJ_X_SUB, VJ_F32, x, top, -1), -1, -1);
    const int32_t sum = vj_x(a, k, VJ_X_STAGE, VJ_F32, 1, -1, -1);
    k->stage[k->stage_count++] = (vj_stage){VJ_REDUCE_MAX, x};
    k->stage[k->stage_count++] = (vj_stage){VJ_REDUCE_SUM, w};
    const int32_t y = vj_x(a, k, VJ_X_DIV, VJ_F32, w, sum, -1);
    add_out(k, ACCESS(k, 1, e[1] * e[2], 1, e[2]), y);
    return p;
}

/* softmax over the last axis of [e0, e1 * e2] */
static vj_program *softmax_last(vj_arena *a, const int64_t *e) {
    return softmax_middle(a, (const int64_t[]){e[0], e[1] * e[2], 1});
}

/* y[c, a, b] = x[b, c, a]: no axis is adjacent in both */
static vj_program *transpose(vj_arena *a, const int64_t *e) {
    vj_program *p = program_of(a, VJ_F32, e[0] * e[1] * e[2], VJ_F32, e[0] * e[1] * e[2]);
    vj_kernel *k = kernel_of(p, 3, 0, e);
    const int32_t x = vj_x_load(a, k, VJ_F32, ACCESS(k, 0, e[1] * e[2], e[2], 1));
    add_out(k, ACCESS(k, 1, 1, e[2] * e[0], e[0]), x);
    return p;
}

/* 3 x 3 maximum or mean pooling with padding over [e0, e1, e2]; lanes run along the guarded axis */
static vj_program *pool(vj_arena *a, const int64_t *e, vj_reduce_kind kind, double outside) {
    vj_program *p = program_of(a, VJ_F32, e[0] * e[1] * e[2], VJ_F32, e[0] * e[1] * e[2]);
    vj_kernel *k = kernel_of(p, 5, 2, (const int64_t[]){e[0], e[1], e[2], 3, 3});
    vj_access in = {.buffer = 0, .stride = {e[1] * e[2]}, .term_count = 2, .otherwise = outside};
    in.terms[0] =
        (vj_term){.kind = VJ_TERM_GUARD, .stride = e[2], .extent = e[1], .constant = -1, .coef = {0, 1, 0, 1, 0}};
    in.terms[1] =
        (vj_term){.kind = VJ_TERM_GUARD, .stride = 1, .extent = e[2], .constant = -1, .coef = {0, 0, 1, 0, 1}};
    const int32_t x = vj_x_load(a, k, VJ_F32, vj_add_access(k, &in));
    k->stage[k->stage_count++] = (vj_stage){kind, x};
    add_out(k, ACCESS(k, 1, e[1] * e[2], e[2], 1), vj_x(a, k, VJ_X_STAGE, VJ_F32, 0, -1, -1));
    return p;
}
static vj_program *pool_max(vj_arena *a, const int64_t *e) { return pool(a, e, VJ_REDUCE_MAX, -INFINITY); }
static vj_program *pool_sum(vj_arena *a, const int64_t *e) { return pool(a, e, VJ_REDUCE_SUM, 0); }

/* y[i, j, l] = x[(i + e0 / 2) mod e0, j, (l + 1) mod e2] * l + 0.5 */
static vj_program *roll(vj_arena *a, const int64_t *e) {
    vj_program *p = program_of(a, VJ_F32, e[0] * e[1] * e[2], VJ_F32, e[0] * e[1] * e[2]);
    vj_kernel *k = kernel_of(p, 3, 0, e);
    vj_access in = {.buffer = 0, .stride = {0, e[2], 0}, .term_count = 2};
    in.terms[0] = (vj_term){
        .kind = VJ_TERM_MOD, .stride = e[1] * e[2], .extent = e[0], .constant = -(e[0] / 2), .coef = {1, 0, 0}};
    in.terms[1] = (vj_term){.kind = VJ_TERM_MOD, .stride = 1, .extent = e[2], .constant = 1, .coef = {0, 0, 1}};
    const int32_t x = vj_x_load(a, k, VJ_F32, vj_add_access(k, &in));
    const int32_t l = vj_x(a, k, VJ_X_CAST, VJ_F32, vj_x(a, k, VJ_X_AXIS, VJ_I64, 2, -1, -1), -1, -1);
    const int32_t y = vj_x(a, k, VJ_X_MUL, VJ_F32, x, l, -1);
    add_out(k, ACCESS(k, 1, e[1] * e[2], e[2], 1), vj_x(a, k, VJ_X_ADD, VJ_F32, y, vj_x_const(a, k, VJ_F32, 0.5), -1));
    return p;
}

/* y[i, j, l] = x[clip((8 i + j) mod 23 - 9), j, l]: one index for the lanes of a row; clipped at both ends */
static vj_program *indexed_rows(vj_arena *a, const int64_t *e) {
    vj_program *p = program_of(a, VJ_F32, e[0] * e[1] * e[2], VJ_F32, e[0] * e[1] * e[2]);
    vj_kernel *k = kernel_of(p, 3, 0, e);
    const int32_t i =
        vj_x(a, k, VJ_X_MUL, VJ_I64, vj_x(a, k, VJ_X_AXIS, VJ_I64, 0, -1, -1), vj_x_const(a, k, VJ_I64, 8), -1);
    const int32_t sum = vj_x(a, k, VJ_X_ADD, VJ_I64, i, vj_x(a, k, VJ_X_AXIS, VJ_I64, 1, -1, -1), -1);
    const int32_t rest = vj_x(a, k, VJ_X_MOD, VJ_I64, sum, vj_x_const(a, k, VJ_I64, 23), -1);
    const int32_t index = vj_x(a, k, VJ_X_SUB, VJ_I64, rest, vj_x_const(a, k, VJ_I64, 9), -1);
    vj_access in = {.buffer = 0, .stride = {0, e[2], 1}, .term_count = 1};
    in.terms[0] = (vj_term){.kind = VJ_TERM_INDEX, .stride = e[1] * e[2], .extent = e[0], .index = index};
    const int32_t x = vj_x_load(a, k, VJ_F32, vj_add_access(k, &in));
    add_out(k, ACCESS(k, 1, e[1] * e[2], e[2], 1), vj_x(a, k, VJ_X_ADD, VJ_F32, x, vj_x_const(a, k, VJ_F32, 0.5), -1));
    return p;
}

/* y[i, j, l] = x[i, j, clip(3 x[i, j, l])]: each lane has an index, which x itself gives */
static vj_program *indexed_elements(vj_arena *a, const int64_t *e) {
    vj_program *p = program_of(a, VJ_F32, e[0] * e[1] * e[2], VJ_F32, e[0] * e[1] * e[2]);
    vj_kernel *k = kernel_of(p, 3, 0, e);
    const int32_t x = vj_x_load(a, k, VJ_F32, ACCESS(k, 0, e[1] * e[2], e[2], 1));
    const int32_t scaled = vj_x(a, k, VJ_X_MUL, VJ_F32, x, vj_x_const(a, k, VJ_F32, 3), -1);
    const int32_t index = vj_x(a, k, VJ_X_CAST, VJ_I64, scaled, -1, -1);
    vj_access in = {.buffer = 0, .stride = {e[1] * e[2], e[2], 0}, .term_count = 1};
    in.terms[0] = (vj_term){.kind = VJ_TERM_INDEX, .stride = 1, .extent = e[2], .index = index};
    const int32_t y = vj_x_load(a, k, VJ_F32, vj_add_access(k, &in));
    add_out(k, ACCESS(k, 1, e[1] * e[2], e[2], 1), vj_x(a, k, VJ_X_ADD, VJ_F32, y, x, -1));
    return p;
}

/* the sum over l of x[i, clip(x[i, j, l]), clip(l - 2)]: an index and a row axis */
static vj_program *indexed_sums(vj_arena *a, const int64_t *e) {
    vj_program *p = program_of(a, VJ_F32, e[0] * e[1] * e[2], VJ_F32, e[0] * e[1]);
    vj_kernel *k = kernel_of(p, 3, 1, e);
    const int32_t x = vj_x_load(a, k, VJ_F32, ACCESS(k, 0, e[1] * e[2], e[2], 1));
    const int32_t index = vj_x(a, k, VJ_X_CAST, VJ_I64, x, -1, -1);
    const int32_t column =
        vj_x(a, k, VJ_X_SUB, VJ_I64, vj_x(a, k, VJ_X_AXIS, VJ_I64, 2, -1, -1), vj_x_const(a, k, VJ_I64, 2), -1);
    vj_access in = {.buffer = 0, .stride = {e[1] * e[2], 0, 0}, .term_count = 2};
    in.terms[0] = (vj_term){.kind = VJ_TERM_INDEX, .stride = e[2], .extent = e[1], .index = index};
    in.terms[1] = (vj_term){.kind = VJ_TERM_INDEX, .stride = 1, .extent = e[2], .index = column};
    k->stage[k->stage_count++] = (vj_stage){VJ_REDUCE_SUM, vj_x_load(a, k, VJ_F32, vj_add_access(k, &in))};
    add_out(k, ACCESS(k, 1, e[1], 1, 0), vj_x(a, k, VJ_X_STAGE, VJ_F32, 0, -1, -1));
    return p;
}

/* sums over both inner axes, one a row; and the greatest over the first */
static vj_program *sum_rows(vj_arena *a, const int64_t *e) {
    vj_program *p = program_of(a, VJ_F32, e[0] * e[1] * e[2], VJ_F32, e[0]);
    vj_kernel *k = kernel_of(p, 3, 2, e);
    const int32_t x = vj_x_load(a, k, VJ_F32, ACCESS(k, 0, e[1] * e[2], e[2], 1));
    k->stage[k->stage_count++] = (vj_stage){VJ_REDUCE_SUM, x};
    add_out(k, ACCESS(k, 1, 1, 0, 0), vj_x(a, k, VJ_X_STAGE, VJ_F32, 0, -1, -1));
    return p;
}
static vj_program *min_columns(vj_arena *a, const int64_t *e) {
    vj_program *p = program_of(a, VJ_F32, e[0] * e[1] * e[2], VJ_F32, e[1] * e[2]);
    vj_kernel *k = kernel_of(p, 3, 1, (const int64_t[]){e[1], e[2], e[0]});
    const int32_t x = vj_x_load(a, k, VJ_F32, ACCESS(k, 0, e[2], 1, e[1] * e[2]));
    k->stage[k->stage_count++] = (vj_stage){VJ_REDUCE_MIN, x};
    add_out(k, ACCESS(k, 1, e[2], 1, 0), vj_x(a, k, VJ_X_STAGE, VJ_F32, 0, -1, -1));
    return p;
}

/* y[i, j, l] = the sum over r < 3 of x[i, j + r, l] * w[r, l], plus j: neighbours along j share w and the common part
 * of their windows. w is at the start of x. */
static vj_program *windows(vj_arena *a, const int64_t *e) {
    const int64_t line = (e[1] + 2) * e[2];
    vj_program *p = program_of(a, VJ_F32, e[0] * line, VJ_F32, e[0] * e[1] * e[2]);
    vj_kernel *k = kernel_of(p, 4, 1, (const int64_t[]){e[0], e[1], e[2], 3});
    const int32_t x = vj_x_load(a, k, VJ_F32, ACCESS(k, 0, line, e[2], 1, e[2]));
    const int32_t w = vj_x_load(a, k, VJ_F32, ACCESS(k, 0, 0, 0, 1, e[2]));
    k->stage[k->stage_count++] = (vj_stage){VJ_REDUCE_SUM, vj_x(a, k, VJ_X_MUL, VJ_F32, x, w, -1)};
    const int32_t sum = vj_x(a, k, VJ_X_STAGE, VJ_F32, 0, -1, -1);
    const int32_t j = vj_x(a, k, VJ_X_CAST, VJ_F32, vj_x(a, k, VJ_X_AXIS, VJ_I64, 1, -1, -1), -1, -1);
    add_out(k, ACCESS(k, 1, e[1] * e[2], e[2], 1), vj_x(a, k, VJ_X_ADD, VJ_F32, sum, j, -1));
    return p;
}

/* integers: (x / 3) * 5 + x mod 7, where x is not 0; wraps */
static vj_program *whole(vj_arena *a, const int64_t *e, vj_dtype dtype) {
    vj_program *p = program_of(a, dtype, e[0] * e[1] * e[2], dtype, e[0] * e[1] * e[2]);
    vj_kernel *k = kernel_of(p, 3, 0, e);
    const int32_t x = vj_x_load(a, k, dtype, ACCESS(k, 0, e[1] * e[2], e[2], 1));
    const int32_t third = vj_x(a, k, VJ_X_DIV, dtype, x, vj_x_const(a, k, dtype, 3), -1);
    const int32_t scaled = vj_x(a, k, VJ_X_MUL, dtype, third, vj_x_const(a, k, dtype, 5), -1);
    const int32_t rest = vj_x(a, k, VJ_X_MOD, dtype, x, vj_x_const(a, k, dtype, 7), -1);
    const int32_t y = vj_x(a, k, VJ_X_ADD, dtype, scaled, rest, -1);
    const int32_t none = vj_x(a, k, VJ_X_EQ, VJ_BOOL, x, vj_x_const(a, k, dtype, 0), -1);
    const int32_t chosen = vj_x(a, k, VJ_X_SELECT, dtype, none, vj_x_const(a, k, dtype, 9), y);
    add_out(k, ACCESS(k, 1, e[1] * e[2], e[2], 1), chosen);
    return p;
}
static vj_program *whole_i64(vj_arena *a, const int64_t *e) { return whole(a, e, VJ_I64); }
static vj_program *whole_i32(vj_arena *a, const int64_t *e) { return whole(a, e, VJ_I32); }
static vj_program *whole_u8(vj_arena *a, const int64_t *e) { return whole(a, e, VJ_U8); }

/* (x mod 4 - 2) ^ (x mod 7 - 1): (-1)^-1 among them, but no 0^-1 */
static vj_program *powers(vj_arena *a, const int64_t *e) {
    vj_program *p = program_of(a, VJ_I64, e[0] * e[1] * e[2], VJ_I64, e[0] * e[1] * e[2]);
    vj_kernel *k = kernel_of(p, 3, 0, e);
    const int32_t x = vj_x_load(a, k, VJ_I64, ACCESS(k, 0, e[1] * e[2], e[2], 1));
    const int32_t four = vj_x(a, k, VJ_X_MOD, VJ_I64, x, vj_x_const(a, k, VJ_I64, 4), -1);
    const int32_t seven = vj_x(a, k, VJ_X_MOD, VJ_I64, x, vj_x_const(a, k, VJ_I64, 7), -1);
    const int32_t base = vj_x(a, k, VJ_X_SUB, VJ_I64, four, vj_x_const(a, k, VJ_I64, 2), -1);
    const int32_t exponent = vj_x(a, k, VJ_X_SUB, VJ_I64, seven, vj_x_const(a, k, VJ_I64, 1), -1);
    const int32_t none = vj_x(a, k, VJ_X_EQ, VJ_BOOL, base, vj_x_const(a, k, VJ_I64, 0), -1);
    const int32_t safe = vj_x(a, k, VJ_X_SELECT, VJ_I64, none, vj_x_const(a, k, VJ_I64, 3), base);
    add_out(k, ACCESS(k, 1, e[1] * e[2], e[2], 1), vj_x(a, k, VJ_X_POW, VJ_I64, safe, exponent, -1));
    return p;
}

/* floats to booleans and to integers; f64 */
static vj_program *above(vj_arena *a, const int64_t *e) {
    vj_program *p = program_of(a, VJ_F32, e[0] * e[1] * e[2], VJ_BOOL, e[0] * e[1] * e[2]);
    vj_kernel *k = kernel_of(p, 3, 0, e);
    const int32_t x = vj_x_load(a, k, VJ_F32, ACCESS(k, 0, e[1] * e[2], e[2], 1));
    const int32_t low = vj_x(a, k, VJ_X_LT, VJ_BOOL, x, vj_x_const(a, k, VJ_F32, 0.25), -1);
    const int32_t high = vj_x(a, k, VJ_X_LE, VJ_BOOL, vj_x_const(a, k, VJ_F32, -1), x, -1);
    const int32_t both = vj_x(a, k, VJ_X_XOR, VJ_BOOL, low, high, -1);
    add_out(k, ACCESS(k, 1, e[1] * e[2], e[2], 1), vj_x(a, k, VJ_X_NOT, VJ_BOOL, both, -1, -1));
    return p;
}
static vj_program *to_int(vj_arena *a, const int64_t *e) {
    vj_program *p = program_of(a, VJ_F32, e[0] * e[1] * e[2], VJ_I32, e[0] * e[1] * e[2]);
    vj_kernel *k = kernel_of(p, 3, 0, e);
    const int32_t x = vj_x_load(a, k, VJ_F32, ACCESS(k, 0, e[1] * e[2], e[2], 1));
    const int32_t big = vj_x(a, k, VJ_X_MUL, VJ_F32, x, vj_x_const(a, k, VJ_F32, 0x1p29), -1);
    const int32_t f = vj_x(a, k, VJ_X_FLOOR, VJ_F32, big, -1, -1);
    add_out(k, ACCESS(k, 1, e[1] * e[2], e[2], 1), vj_x(a, k, VJ_X_CAST, VJ_I32, f, -1, -1));
    return p;
}
static vj_program *rounds(vj_arena *a, const int64_t *e) {
    vj_program *p = program_of(a, VJ_F64, e[0] * e[1] * e[2], VJ_F64, e[0] * e[1] * e[2]);
    vj_kernel *k = kernel_of(p, 3, 0, e);
    const int32_t x = vj_x_load(a, k, VJ_F64, ACCESS(k, 0, e[1] * e[2], e[2], 1));
    const int32_t r = vj_x(a, k, VJ_X_ROUND, VJ_F64, x, -1, -1), c = vj_x(a, k, VJ_X_CEIL, VJ_F64, x, -1, -1);
    const int32_t f = vj_x(a, k, VJ_X_FLOOR, VJ_F64, x, -1, -1), s = vj_x(a, k, VJ_X_SIGN, VJ_F64, x, -1, -1);
    const int32_t m = vj_x(a, k, VJ_X_MAX, VJ_F64, vj_x(a, k, VJ_X_MUL, VJ_F64, r, s, -1),
                           vj_x(a, k, VJ_X_ABS, VJ_F64, c, -1, -1), -1);
    add_out(k, ACCESS(k, 1, e[1] * e[2], e[2], 1), vj_x(a, k, VJ_X_ADD, VJ_F64, m, f, -1));
    return p;
}

/* y[i, l, j] = floor(4 x[i, j, l]) + i, with 16 j: numbers of a half that stand turned */
static vj_program *turned(vj_arena *a, const int64_t *e, vj_dtype to) {
    const int64_t channels = 16 * e[1], all = e[0] * channels * e[2];
    vj_program *p = program_of(a, VJ_F32, all, to, all);
    vj_kernel *k = kernel_of(p, 3, 0, (const int64_t[]){e[0], e[2], channels});
    const int32_t x = vj_x_load(a, k, VJ_F32, ACCESS(k, 0, channels * e[2], 1, e[2]));
    const int32_t scaled = vj_x(a, k, VJ_X_MUL, VJ_F32, x, vj_x_const(a, k, VJ_F32, 4), -1);
    const int32_t i = vj_x(a, k, VJ_X_CAST, VJ_F32, vj_x(a, k, VJ_X_AXIS, VJ_I64, 0, -1, -1), -1, -1);
    const int32_t sum = vj_x(a, k, VJ_X_ADD, VJ_F32, vj_x(a, k, VJ_X_FLOOR, VJ_F32, scaled, -1, -1), i, -1);
    add_out(k, ACCESS(k, 1, channels * e[2], channels, 1), vj_x(a, k, VJ_X_CAST, to, sum, -1, -1));
    return p;
}
static vj_program *turned_bf16(vj_arena *a, const int64_t *e) { return turned(a, e, VJ_BF16); }
static vj_program *turned_f16(vj_arena *a, const int64_t *e) { return turned(a, e, VJ_F16); }

typedef struct kind {
    const char *name;
    maker make;
    double tolerance; /* of max(|truth|, 1) */
} kind;
static const kind kinds[] = {{"softmax_middle", softmax_middle, 1e-6},
                             {"softmax_last", softmax_last, 1e-6},
                             {"transpose", transpose, 0},
                             {"pool_max", pool_max, 0},
                             {"pool_sum", pool_sum, 2e-6},
                             {"roll", roll, 1e-6},
                             {"indexed_rows", indexed_rows, 1e-6},
                             {"indexed_elements", indexed_elements, 1e-6},
                             {"indexed_sums", indexed_sums, 2e-5},
                             {"sum_rows", sum_rows, 2e-5},
                             {"windows", windows, 1e-5},
                             {"min_columns", min_columns, 0},
                             {"whole_i64", whole_i64, 0},
                             {"whole_i32", whole_i32, 0},
                             {"whole_u8", whole_u8, 0},
                             {"above", above, 0},
                             {"powers", powers, 0},
                             {"to_int", to_int, 0},
                             {"rounds", rounds, 0},
                             {"turned_bf16", turned_bf16, 0},
                             {"turned_f16", turned_f16, 0}};

static double element(const void *data, vj_dtype dtype, int64_t i) {
    switch (dtype) {
    case VJ_F32:
        return (double)((const float *)data)[i];
    case VJ_F64:
        return ((const double *)data)[i];
    case VJ_I32:
        return ((const int32_t *)data)[i];
    case VJ_I64:
        return (double)((const int64_t *)data)[i];
    case VJ_BF16:
        return (double)vj_f32_of_bf16(((const uint16_t *)data)[i]);
    case VJ_F16:
        return (double)vj_f32_of_f16(((const uint16_t *)data)[i]);
    default:
        return ((const uint8_t *)data)[i];
    }
}

static void fill(void *data, vj_dtype dtype, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        const uint32_t bits = noise((uint32_t)i + 99);
        const double x = ((double)(bits >> 8) * 0x1p-23 - 1) * 4;
        if (dtype == VJ_F32)
            ((float *)data)[i] = i % 31 == 3 ? -0.0f : (float)x;
        else if (dtype == VJ_F64)
            ((double *)data)[i] = i % 7 == 3 ? (double)(int)x + 0.5 : x;
        else if (dtype == VJ_I32)
            ((int32_t *)data)[i] = i % 5 == 3 ? INT32_MIN : i % 11 == 0 ? 0 : (int32_t)bits;
        else if (dtype == VJ_I64)
            ((int64_t *)data)[i] = i % 11 == 0 ? 0 : (int32_t)bits;
        else
            ((uint8_t *)data)[i] = (uint8_t)bits;
    }
}

static void check(const kind *what, const vj_target *target, const int64_t *e) {
    vj_arena *arena = vj_arena_new();
    vj_program *p = what->make(arena, e);
    vj_error error = {0};
    if (!vj_verify_program(p, &error)) fail_msg("%s: %s", what->name, error.text);
    vj_schedule_kernel(arena, target, p, p->kernels[0]);
    const vj_codegen_options options = {.target = target, .kind = VJ_EMIT_OBJECT};
    vj_bytes object;
    vj_codegen_stats stats;
    if (vj_generate(p, &options, &object, &stats, &error) != VJ_OK) fail_msg("%s: %s", what->name, error.text);
    void *function = NULL;
    vj_orc *orc = vj_orc_load(&object, "vj_phase", &function, &error);
    if (!orc) fail_msg("%s: %s", what->name, error.text);
    const vj_phase_fn phase = (vj_phase_fn)(uintptr_t)function;
    const vj_buffer *from = &p->buffers[0], *to = &p->buffers[1];
    const size_t from_bytes = (size_t)(from->elements * vj_element_bytes(from->dtype));
    const size_t to_bytes = (size_t)(to->elements * vj_element_bytes(to->dtype));
    void *x = malloc(from_bytes), *y = malloc(to_bytes), *first = malloc(to_bytes);
    fill(x, from->dtype, from->elements);
    for (int32_t parts = 1; parts <= 5; parts++) {
        memset(y, 0x55, to_bytes);
        const vj_args args = {(const void *const[]){x}, (void *const[]){y}, NULL, NULL, 1, 0};
        for (int32_t number = 0; number <= 1; number++)
            for (int32_t part = parts; part-- > 0;)
                phase(&args, number, part, parts);
        if (parts == 1) memcpy(first, y, to_bytes);
        assert_memory_equal(first, y, to_bytes);
    }
    double *buffers[2] = {calloc((size_t)from->elements, sizeof(double)), calloc((size_t)to->elements, sizeof(double))};
    for (int64_t i = 0; i < from->elements; i++)
        buffers[0][i] = element(x, from->dtype, i);
    assert_true(vj_eval_kernel(p, p->kernels[0], buffers, &error));
    for (int64_t i = 0; i < to->elements; i++) {
        const double got = element(y, to->dtype, i), want = buffers[1][i];
        const double scale = fabs(want) > 1 ? fabs(want) : 1;
        if (!(got == want || fabs(got - want) <= what->tolerance * scale))
            fail_msg("%s on %s, %dx%dx%d: element %d: %.9g, truly %.9g", what->name, target->name, (int)e[0], (int)e[1],
                     (int)e[2], (int)i, got, want);
    }
    free(buffers[0]);
    free(buffers[1]);
    free(x);
    free(y);
    free(first);
    vj_orc_free(orc);
    vj_bytes_free(&object);
    vj_arena_free(arena);
}

/* A sanitizer's build does not see what LLVM makes: there each row takes two of the sizes. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define INSTRUMENTED true
#else
#define INSTRUMENTED false
#endif

static void test_kind(void **state) {
    static const int64_t sizes[][3] = {{1, 1, 1},  {2, 3, 5},   {3, 4, 16}, {5, 7, 33},
                                       {4, 17, 3}, {1, 2, 131}, {9, 1, 64}};
    enum { SIZES = sizeof sizes / sizeof *sizes };
    for (int32_t t = 0; t < vj_target_count(); t++) {
        const vj_target *target = vj_target_at(t);
        if (!vj_target_runs_here(target)) continue;
        for (size_t i = 0; i < SIZES; i++)
            if (!INSTRUMENTED || ((size_t)t + i) % SIZES < 2) check(*state, target, sizes[i]);
    }
}

int main(void) {
    enum { COUNT = sizeof kinds / sizeof *kinds };
    struct CMUnitTest tests[COUNT];
    for (size_t i = 0; i < COUNT; i++)
        tests[i] = (struct CMUnitTest){kinds[i].name, test_kind, NULL, NULL, (void *)(uintptr_t)&kinds[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
