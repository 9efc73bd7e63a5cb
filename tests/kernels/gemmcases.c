/* SPDX-License-Identifier: Apache-2.0 */
/* gemmcases.c - tests products of every form that lowering makes: packed and plain B, tails, several axes, segments,
 * transposed results, epilogues, windows with padding, rolls. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kernelcheck.h"

static void axes(vj_kernel *k, int32_t batch, int32_t rows, int32_t cols, int32_t depth, const int64_t *extent) {
    vj_set_axes(k, (const int32_t[]){batch, rows, cols, depth}, extent);
}

/* As f32; of integers it is exact, as no case has sums of more than 24 bits. */
static int32_t acc(kernel_case *c) {
    if (c->types.plain != VJ_U8) return vj_x(c->arena, c->k, VJ_X_ACC, VJ_F32, 0, 0, 0);
    return vj_x(c->arena, c->k, VJ_X_CAST, VJ_F32, vj_x(c->arena, c->k, VJ_X_ACC, VJ_I32, 0, 0, 0), 0, 0);
}

static int32_t load(kernel_case *c, const vj_access *access) {
    return vj_x_load(c->arena, c->k, VJ_F32, vj_add_access(c->k, access));
}

static int32_t binary(kernel_case *c, vj_xop op, int32_t a, int32_t b) {
    return vj_x(c->arena, c->k, op, VJ_F32, a, b, 0);
}

static void result(kernel_case *c, const vj_access *access, int32_t expr, int32_t segment) {
    c->k->out[c->k->out_count++] = (vj_out){vj_add_access(c->k, access), expr, segment};
}

/* C[m, n] = A[m, k] B[k, n]; A's and C's rows end in NaN that must not be read or written. */
static void plain(int64_t m, int64_t n, int64_t k, bool packed, bool transposed, uint64_t seed) {
    char name[128];
    snprintf(name, sizeof name, "gemm %dx%dx%d%s%s %s", (int)m, (int)n, (int)k, packed ? " packed" : "",
             transposed ? " transposed" : "", vj_element_name(packed ? use_types.packed : use_types.plain));
    kernel_case c = case_new(name, VJ_KERNEL_GEMM, seed);
    const int64_t lda = k + 3, ldb = n + 2, ldc = n + 1, ldt = m + 2;
    axes(c.k, 0, 1, 1, 1, (int64_t[]){m, n, k});
    const int32_t a = case_operand(&c, m * lda - 3);
    for (int64_t r = 0; r < m; r++)
        for (int64_t i = 0; i < k; i++)
            c.values[a][r * lda + i] = rng_float(&c.random, -1, 1);
    c.k->a = vj_add_access(c.k, &(vj_access){.buffer = a, .stride = {lda, 0, 1}});
    int32_t b;
    if (packed) {
        b = case_panels(&c, k, n);
        c.k->b = vj_add_access(c.k, &(vj_access){.buffer = b});
    } else {
        b = case_operand(&c, k * ldb - 2);
        case_fill(&c, b, k, n, ldb, -1, 1);
        c.k->b = vj_add_access(c.k, &(vj_access){.buffer = b, .stride = {0, 1, ldb}});
    }
    const int32_t out = case_buffer(&c, transposed ? n * ldt - 2 : m * ldc - 1);
    const vj_access straight = {.buffer = out, .stride = {ldc, 1, 0}}, turned = {.buffer = out, .stride = {1, ldt, 0}};
    result(&c, transposed ? &turned : &straight, acc(&c), -1);
    case_check(&c);
}

/* Every `step`-th size: code takes longer to make than to run. */
static void odd_sizes(int32_t step) {
    rng random = {7};
    for (int32_t i = 1; i <= 17; i += step) {
        plain(i, 1 + (int64_t)(rng_next(&random) % 40), 1 + (int64_t)(rng_next(&random) % 20), i & 1, i & 2,
              (uint64_t)i);
        plain(1 + (int64_t)(rng_next(&random) % 30), i, 1 + (int64_t)(rng_next(&random) % 9), !(i & 1), i & 4,
              (uint64_t)i);
        plain(1 + (int64_t)(rng_next(&random) % 30), 1 + (int64_t)(rng_next(&random) % 70), i, i & 1, !(i & 2),
              (uint64_t)i);
    }
    plain(197, 192, 64, true, false, 1);
    plain(197, 64, 48, true, true, 2);
    plain(1, 1000, 768, true, false, 3);
    plain(50, 48, 300, false, false, 4);
    plain(1, 1, 1, true, false, 5);
    plain(530, 33, 20, true, false, 6);
}

/* qkv: columns (s, h, d). Each third has a buffer of its own and a bias; keys are written transposed. */
static void qkv(int64_t tokens, int64_t heads, int64_t dim, int64_t depth) {
    char name[64];
    snprintf(name, sizeof name, "qkv %d tokens %d heads of %d", (int)tokens, (int)heads, (int)dim);
    kernel_case c = case_new(name, VJ_KERNEL_GEMM, 11);
    const int64_t pitch = vj_round_up(tokens, 16);
    axes(c.k, 0, 1, 3, 1, (int64_t[]){tokens, 3, heads, dim, depth});
    const int32_t a = case_operand(&c, tokens * depth), bias = case_buffer(&c, 3 * heads * dim);
    case_fill(&c, a, 1, tokens * depth, 0, -1, 1);
    case_fill(&c, bias, 1, 3 * heads * dim, 0, -1, 1);
    const int32_t b = case_panels(&c, depth, 3 * heads * dim);
    const int32_t q = case_buffer(&c, heads * tokens * dim), k = case_buffer(&c, heads * dim * pitch),
                  v = case_buffer(&c, heads * tokens * dim);
    c.k->a = vj_add_access(c.k, &(vj_access){.buffer = a, .stride = {depth, 0, 0, 0, 1}});
    c.k->b = vj_add_access(c.k, &(vj_access){.buffer = b});
    const int32_t sum =
        binary(&c, VJ_X_ADD, acc(&c), load(&c, &(vj_access){.buffer = bias, .stride = {0, heads * dim, dim, 1, 0}}));
    result(&c, &(vj_access){.buffer = q, .stride = {dim, 0, tokens * dim, 1, 0}}, sum, 0);
    result(&c, &(vj_access){.buffer = k, .stride = {1, 0, dim * pitch, pitch, 0}}, sum, 1);
    result(&c, &(vj_access){.buffer = v, .stride = {dim, 0, tokens * dim, 1, 0}}, sum, 2);
    case_check(&c);
}

/* acc + bias, then GELU or a residual, in place of the residual */
static void epilogue(bool gelu) {
    kernel_case c = case_new(gelu ? "gelu" : "residual", VJ_KERNEL_GEMM, 21);
    const int64_t m = 29, n = 50, k = 40;
    axes(c.k, 0, 1, 1, 1, (int64_t[]){m, n, k});
    const int32_t a = case_operand(&c, m * k), bias = case_buffer(&c, n);
    case_fill(&c, a, 1, m * k, 0, -1, 1);
    case_fill(&c, bias, 1, n, 0, -1, 1);
    const int32_t b = case_panels(&c, k, n), out = case_buffer(&c, m * n);
    case_fill(&c, out, 1, m * n, 0, -1, 1);
    c.k->a = vj_add_access(c.k, &(vj_access){.buffer = a, .stride = {k, 0, 1}});
    c.k->b = vj_add_access(c.k, &(vj_access){.buffer = b});
    int32_t x = binary(&c, VJ_X_ADD, acc(&c), load(&c, &(vj_access){.buffer = bias, .stride = {0, 1, 0}}));
    if (gelu) {
        x = vj_x(c.arena, c.k, VJ_X_GELU_ERF, VJ_F32, x, 0, 0);
        c.stretch = 1.13; /* the largest slope of GELU */
        c.own = 8 * EPS;
    } else {
        x = binary(&c, VJ_X_ADD, x, load(&c, &(vj_access){.buffer = out, .stride = {n, 1, 0}}));
    }
    result(&c, &(vj_access){.buffer = out, .stride = {n, 1, 0}}, x, -1);
    case_check(&c);
}

/* A result for a product of halves that comes later: GELU, rounded. Two rows are all that is left for the last tile. */
static void narrow_result(vj_dtype to) {
    kernel_case c = case_new("narrow result", VJ_KERNEL_GEMM, 23);
    const int64_t m = 30, n = 53, k = 32;
    axes(c.k, 0, 1, 1, 1, (int64_t[]){m, n, k});
    const int32_t a = case_operand(&c, m * k), b = case_panels(&c, k, n), out = case_buffer(&c, m * n);
    case_fill(&c, a, 1, m * k, 0, -1, 1);
    c.p->buffers[out].dtype = to;
    c.k->a = vj_add_access(c.k, &(vj_access){.buffer = a, .stride = {k, 0, 1}});
    c.k->b = vj_add_access(c.k, &(vj_access){.buffer = b});
    int32_t sum = acc(&c);
    /* Sums of integers are more than a float16 holds. */
    if (use_types.plain == VJ_U8) sum = binary(&c, VJ_X_MUL, sum, vj_x_const(c.arena, c.k, VJ_F32, 0x1p-8));
    const int32_t x = vj_x(c.arena, c.k, VJ_X_GELU_ERF, VJ_F32, sum, 0, 0);
    c.stretch = 1.13; /* the largest slope of GELU */
    c.own = 8 * EPS;
    result(&c, &(vj_access){.buffer = out, .stride = {n, 1, 0}}, vj_x(c.arena, c.k, VJ_X_CAST, to, x, 0, 0), -1);
    case_check(&c);
}

/* Rows (g, r), and a residual that is replaced: in place, so that each result must be stored once. With `turned` it is written
 * transposed. */
static void grouped(int64_t groups, int64_t rows, int64_t n, int64_t k, bool turned) {
    kernel_case c = case_new(turned ? "grouped transposed" : "grouped", VJ_KERNEL_GEMM, 25);
    axes(c.k, 0, 2, 1, 1, (int64_t[]){groups, rows, n, k});
    const int32_t a = case_operand(&c, groups * rows * k), b = case_panels(&c, k, n);
    const int32_t out = case_buffer(&c, groups * rows * n);
    case_fill(&c, a, 1, groups * rows * k, 0, -1, 1);
    case_fill(&c, out, 1, groups * rows * n, 0, -1, 1);
    c.k->a = vj_add_access(c.k, &(vj_access){.buffer = a, .stride = {rows * k, k, 0, 1}});
    c.k->b = vj_add_access(c.k, &(vj_access){.buffer = b});
    vj_access to = {.buffer = out, .stride = {rows * n, turned ? 1 : n, turned ? rows : 1, 0}};
    result(&c, &to, binary(&c, VJ_X_ADD, acc(&c), load(&c, &to)), -1);
    case_check(&c);
}

/* Windows of 7 x 7 pixels: of a picture's rows one after another, or back to their places in it. */
static void windows(int64_t down, int64_t across, int64_t n, int64_t k, bool back) {
    enum { SIDE = 7 };
    kernel_case c = case_new(back ? "windows back" : "windows", VJ_KERNEL_GEMM, 28);
    axes(c.k, 0, 4, 1, 1, (int64_t[]){down, across, SIDE, SIDE, n, k});
    const int64_t pixels = down * across * SIDE * SIDE, wide = across * SIDE;
    const int32_t a = case_operand(&c, pixels * k), b = case_panels(&c, k, n), out = case_buffer(&c, pixels * n);
    case_fill(&c, a, 1, pixels * k, 0, -1, 1);
    const int64_t picture[4] = {SIDE * wide, SIDE, wide, 1};
    const int64_t apart[4] = {across * SIDE * SIDE, SIDE * SIDE, SIDE, 1};
    vj_access from = {.buffer = a, .stride = {0, 0, 0, 0, 0, 1}}, to = {.buffer = out, .stride = {0, 0, 0, 0, 1, 0}};
    for (int32_t d = 0; d < 4; d++) {
        from.stride[d] = (back ? apart : picture)[d] * k;
        to.stride[d] = (back ? picture : apart)[d] * n;
    }
    c.k->a = vj_add_access(c.k, &from);
    c.k->b = vj_add_access(c.k, &(vj_access){.buffer = b});
    result(&c, &to, acc(&c), -1);
    case_check(&c);
}

/* The residual stream, written in f32 in place of an operand, and rounded for the product that reads it. The last result is the one
 * in place: what is stored before it is made of the operand too. Columns are (g, c); with `turned` both are written transposed. */
static void two_results(int64_t groups, int64_t columns, bool turned) {
    kernel_case c = case_new(turned ? "two results transposed" : "two results", VJ_KERNEL_GEMM, 27);
    const int64_t m = 53, n = groups * columns, k = 70;
    axes(c.k, 0, 1, 2, 1, (int64_t[]){m, groups, columns, k});
    const int32_t a = case_operand(&c, m * k), b = case_panels(&c, k, n);
    const int32_t out = case_buffer(&c, m * n), narrow = case_buffer(&c, m * n);
    case_fill(&c, a, 1, m * k, 0, -1, 1);
    case_fill(&c, out, 1, m * n, 0, -1, 1);
    c.p->buffers[narrow].dtype = VJ_BF16;
    c.k->a = vj_add_access(c.k, &(vj_access){.buffer = a, .stride = {k, 0, 0, 1}});
    c.k->b = vj_add_access(c.k, &(vj_access){.buffer = b});
    const int64_t row = turned ? 1 : n, column = turned ? m : 1;
    const vj_access to = {.buffer = out, .stride = {row, columns * column, column, 0}};
    const vj_access beside = {.buffer = narrow, .stride = {row, columns * column, column, 0}};
    const int32_t sum = binary(&c, VJ_X_ADD, acc(&c), load(&c, &to));
    result(&c, &beside, vj_x(c.arena, c.k, VJ_X_CAST, VJ_BF16, sum, 0, 0), -1);
    result(&c, &to, sum, -1);
    case_check(&c);
}

/* Patches of an image in NCHW. The result begins at the second row, as after a class token. */
static void patches(int64_t grid, int64_t patch, int64_t columns) {
    kernel_case c = case_new("patches", VJ_KERNEL_GEMM, 31);
    const int64_t side = grid * patch, depth = 3 * patch * patch;
    axes(c.k, 0, 2, 1, 3, (int64_t[]){grid, grid, columns, 3, patch, patch});
    const int32_t image = case_operand(&c, 3 * side * side), b = case_panels(&c, depth, columns);
    case_fill(&c, image, 1, 3 * side * side, 0, -1, 1);
    const int32_t out = case_buffer(&c, (1 + grid * grid) * columns);
    c.k->a =
        vj_add_access(c.k, &(vj_access){.buffer = image, .stride = {patch * side, patch, 0, side * side, side, 1}});
    c.k->b = vj_add_access(c.k, &(vj_access){.buffer = b});
    result(&c, &(vj_access){.buffer = out, .offset = columns, .stride = {grid * columns, columns, 1, 0, 0, 0}}, acc(&c),
           -1);
    case_check(&c);
}

/* A 3x3 convolution with padding, in NHWC or NCHW. */
static void convolution(bool nhwc, int64_t stride, double otherwise) {
    kernel_case c = case_new(nhwc ? "conv nhwc" : "conv nchw", VJ_KERNEL_GEMM, 41);
    /* Groups of channels are multiplied together. */
    const int64_t channels = vj_panel_group(use_types.bits ? use_types.plain : use_types.packed) > 1 ? 8 : 5;
    const int64_t side = 9, columns = 20, out_side = (side - 1) / stride + 1;
    const int64_t extent_nhwc[] = {out_side, out_side, columns, 3, 3, channels};
    const int64_t extent_nchw[] = {out_side, out_side, columns, channels, 3, 3};
    axes(c.k, 0, 2, 1, 3, nhwc ? extent_nhwc : extent_nchw);
    const int32_t image = case_operand(&c, side * side * channels), b = case_panels(&c, 9 * channels, columns);
    case_fill(&c, image, 1, side * side * channels, 0, -1, 1);
    const int32_t out = case_buffer(&c, out_side * out_side * columns);
    if (use_types.plain == VJ_U8) otherwise = ceil(fabs(otherwise));
    vj_access a = {.buffer = image, .term_count = 2, .otherwise = otherwise};
    a.stride[nhwc ? 5 : 3] = nhwc ? 1 : side * side;
    const int64_t pixel = nhwc ? channels : 1;
    a.terms[0] = (vj_term){.kind = VJ_TERM_GUARD, .stride = side * pixel, .extent = side, .constant = -1};
    a.terms[0].coef[0] = stride;
    a.terms[0].coef[nhwc ? 3 : 4] = 1;
    a.terms[1] = (vj_term){.kind = VJ_TERM_GUARD, .stride = pixel, .extent = side, .constant = -1};
    a.terms[1].coef[1] = stride;
    a.terms[1].coef[nhwc ? 4 : 5] = 1;
    c.k->a = vj_add_access(c.k, &a);
    c.k->b = vj_add_access(c.k, &(vj_access){.buffer = b});
    const vj_access to = {.buffer = out, .stride = {out_side * columns, columns, 1}};
    const vj_access turned = {.buffer = out, .stride = {out_side, 1, out_side * out_side}};
    result(&c, nhwc ? &to : &turned, acc(&c), -1);
    case_check(&c);
}

/* Windows of a rolled image: rows (wy, wx, y, x) */
static void roll(void) {
    kernel_case c = case_new("rolled windows", VJ_KERNEL_GEMM, 51);
    const int64_t windows = 2, side = 7, whole = windows * side, channels = 24, columns = 32;
    axes(c.k, 0, 4, 1, 1, (int64_t[]){windows, windows, side, side, columns, channels});
    const int32_t x = case_operand(&c, whole * whole * channels), b = case_panels(&c, channels, columns);
    case_fill(&c, x, 1, whole * whole * channels, 0, -1, 1);
    const int32_t out = case_buffer(&c, whole * whole * columns);
    vj_access a = {.buffer = x, .term_count = 2, .stride = {0, 0, 0, 0, 0, 1}};
    a.terms[0] = (vj_term){.kind = VJ_TERM_MOD, .stride = whole * channels, .extent = whole, .constant = 3};
    a.terms[1] = (vj_term){.kind = VJ_TERM_MOD, .stride = channels, .extent = whole, .constant = -3};
    for (int32_t i = 0; i < 2; i++) {
        a.terms[i].coef[i] = side;
        a.terms[i].coef[i + 2] = 1;
    }
    c.k->a = vj_add_access(c.k, &a);
    c.k->b = vj_add_access(c.k, &(vj_access){.buffer = b});
    const int64_t window = side * side * columns;
    result(&c, &(vj_access){.buffer = out, .stride = {windows * window, window, side * columns, columns, 1, 0}},
           acc(&c), -1);
    case_check(&c);
}

/* Columns (h, d) with a last extent that no vector divides, packed and plain */
static void ragged_columns(int64_t heads, int64_t dim, bool packed) {
    kernel_case c = case_new("ragged columns", VJ_KERNEL_GEMM, 61);
    const int64_t m = 9, k = 21, n = heads * dim;
    axes(c.k, 0, 1, 2, 1, (int64_t[]){m, heads, dim, k});
    const int32_t a = case_operand(&c, m * k);
    case_fill(&c, a, 1, m * k, 0, -1, 1);
    c.k->a = vj_add_access(c.k, &(vj_access){.buffer = a, .stride = {k, 0, 0, 1}});
    if (packed) {
        c.k->b = vj_add_access(c.k, &(vj_access){.buffer = case_panels(&c, k, n)});
    } else {
        const int32_t b = case_operand(&c, k * n);
        case_fill(&c, b, 1, k * n, 0, -1, 1);
        c.k->b = vj_add_access(c.k, &(vj_access){.buffer = b, .stride = {0, dim * k, 1, dim}});
    }
    const int32_t out = case_buffer(&c, m * n);
    result(&c, &(vj_access){.buffer = out, .stride = {dim, m * dim, 1, 0}}, acc(&c), -1);
    case_check(&c);
}

/* B of each point of a batch axis, as in the product of two activations; rows (g, r) */
static void batched(void) {
    kernel_case c = case_new("batched", VJ_KERNEL_GEMM, 65);
    const int64_t batch = 5, g = 2, r = 11, n = 37, k = 10, m = g * r;
    axes(c.k, 1, 2, 1, 1, (int64_t[]){batch, g, r, n, k});
    const int32_t a = case_operand(&c, batch * m * k), b = case_operand(&c, batch * k * n);
    case_fill(&c, a, 1, batch * m * k, 0, -1, 1);
    case_fill(&c, b, 1, batch * k * n, 0, -1, 1);
    const int32_t out = case_buffer(&c, batch * m * n);
    c.k->a = vj_add_access(c.k, &(vj_access){.buffer = a, .stride = {m * k, r * k, k, 0, 1}});
    c.k->b = vj_add_access(c.k, &(vj_access){.buffer = b, .stride = {k * n, 0, 0, 1, n}});
    result(&c, &(vj_access){.buffer = out, .stride = {m * n, r * n, n, 1, 0}}, acc(&c), -1);
    case_check(&c);
}

/* Infinities and NaN of A must stay in their rows. Denormals and zeros of both signs are ordinary numbers. */
static void adversarial(void) {
    kernel_case c = case_new("adversarial", VJ_KERNEL_GEMM, 71);
    const int64_t m = 30, n = 40, k = 12;
    axes(c.k, 0, 1, 1, 1, (int64_t[]){m, n, k});
    const int32_t a = case_operand(&c, m * k), b = case_panels(&c, k, n), out = case_buffer(&c, m * n);
    case_fill(&c, a, 1, m * k, 0, -1, 1);
    c.values[a][3 * k + 5] = INFINITY;
    c.values[a][4 * k + 11] = NAN;
    c.values[a][29 * k] = -INFINITY;
    for (int64_t i = 0; i < k; i++) {
        c.values[a][7 * k + i] = 0x1p-140F;
        c.values[a][8 * k + i] = i & 1 ? -0.0F : 0.0F;
        c.values[a][9 * k + i] = 1e30F;
    }
    c.k->a = vj_add_access(c.k, &(vj_access){.buffer = a, .stride = {k, 0, 1}});
    c.k->b = vj_add_access(c.k, &(vj_access){.buffer = b});
    result(&c, &(vj_access){.buffer = out, .stride = {n, 1, 0}}, acc(&c), -1);
    case_check(&c);
}

/* The largest sums that there are, of either sign: nothing saturates, and none is lost. */
static void extreme_integers(float b_value) {
    const int64_t m = 14, n = 19, k = VJ_INTEGER_DEPTH;
    kernel_case c = case_new("extreme integers", VJ_KERNEL_GEMM, 81);
    axes(c.k, 0, 1, 1, 1, (int64_t[]){m, n, k});
    const int32_t a = case_operand(&c, m * k), b = case_panels(&c, k, n), out = case_buffer(&c, m * n);
    case_fill(&c, a, 1, m * k, 0, 1, 1);
    for (int64_t i = 0; i < c.p->buffers[b].elements; i++)
        c.values[b][i] = b_value;
    c.p->buffers[out].dtype = VJ_I32;
    c.k->a = vj_add_access(c.k, &(vj_access){.buffer = a, .stride = {k, 0, 1}});
    c.k->b = vj_add_access(c.k, &(vj_access){.buffer = b});
    result(&c, &(vj_access){.buffer = out, .stride = {n, 1, 0}}, vj_x(c.arena, c.k, VJ_X_ACC, VJ_I32, 0, 0, 0), -1);
    case_check(&c);
}

static void all_cases(int32_t step) {
    odd_sizes(step);
    qkv(17, 3, 16, 24);
    qkv(13, 2, 20, 8);
    qkv(197, 3, 64, 32);
    qkv(37, 4, 36, 24);
    qkv(1, 2, 10, 5);
    epilogue(false);
    epilogue(true);
    for (vj_dtype to = VJ_F16; to <= VJ_BF16; to++)
        narrow_result(to);
    grouped(3, 49, 70, 33, false);
    grouped(2, 20, 16, 96, false);
    grouped(1, 53, 24, 33, true);
    grouped(2, 17, 40, 32, true);
    grouped(1, 49, 40, 64, true);
    windows(2, 3, 72, 40, false);
    windows(2, 1, 24, 96, false);
    windows(1, 2, 50, 64, true);
    two_results(1, 44, false);
    two_results(2, 32, false);
    two_results(4, 11, false);
    two_results(1, 44, true);
    two_results(4, 11, true);
    patches(5, 4, 33);
    patches(14, 16, 64);
    convolution(true, 1, 0);
    convolution(true, 2, -3);
    convolution(false, 1, 0);
    convolution(false, 2, 0.5);
    roll();
    ragged_columns(3, 20, true);
    ragged_columns(2, 7, false);
    ragged_columns(4, 36, true);
    batched();
    adversarial();
}

void gemm_cases(void **state) {
    (void)state;
    use_types = (case_types){.plain = VJ_F32, .packed = VJ_F32};
    all_cases(1);
}

void narrow_gemm_cases(void **state) {
    static const case_types types[] = {{.plain = VJ_BF16, .packed = VJ_BF16},
                                       {.plain = VJ_F32, .packed = VJ_BF16},
                                       {.plain = VJ_F32, .packed = VJ_F16}};
    (void)state;
    use_types = types[0];
    all_cases(2);
    for (int32_t i = 1; i < 3; i++) { /* the weight alone is narrow: each shape has it in one of both types */
        use_types = types[i];
        case_turns(i - 1, 2);
        all_cases(4);
    }
    case_turns(0, 1);
}

void integer_gemm_cases(void **state) {
    (void)state;
    use_types = (case_types){.plain = VJ_U8, .packed = VJ_I8};
    all_cases(2);
    extreme_integers(-1);
    extreme_integers(1);
}

/* Of 4 and 8 bits, in blocks that the depth is no multiple of, and in one; and of places in a table. Each has several blocks and tails of
 * rows, columns and depth; every other shape comes with one of the three forms, for A in f32 and in bf16. */
void block_gemm_cases(void **state) {
    static const case_types types[] = {{.plain = VJ_F32, .packed = VJ_U8, .bits = 4, .block = 32},
                                       {.plain = VJ_BF16, .packed = VJ_U8, .bits = 8, .block = 16},
                                       {.plain = VJ_F32, .packed = VJ_U8, .bits = 8, .block = 0},
                                       {.plain = VJ_BF16, .packed = VJ_U8, .bits = 4, .block = 128},
                                       {.plain = VJ_F32, .packed = VJ_U8, .bits = 4, .block = 16, .table = true},
                                       {.plain = VJ_BF16, .packed = VJ_U8, .bits = 4, .block = 64, .table = true}};
    (void)state;
    for (int32_t i = 0; i < 6; i++) {
        use_types = types[i];
        plain(30, 53, 200, true, false, 7);
        plain(29, 35, 144, true, true, 8);
        case_turns(i / 2, 3);
        all_cases(4);
        case_turns(0, 1);
    }
}
