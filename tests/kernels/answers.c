/* SPDX-License-Identifier: Apache-2.0 */
/* answers.c - what the evaluator says of a case, and how far code may be from it.
 *
 * The bound of a result's error is that of a sum of products: k terms added one after another in any order have an
 * error of at most (k + 1) * eps * sum |a||b| (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1),
 * times the epilogue's slope. The evaluator computes sum |a||b| from absolute values. BFDOT rounds to odd, which may be off by
 * twice as much, but adds two terms at a time: a term takes part in half as many additions.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "answers.h"
#include "vitjit_half.h"

static bool is_half(vj_dtype dtype) { return dtype == VJ_F16 || dtype == VJ_BF16; }

static bool is_narrow_integer(vj_dtype dtype) { return dtype == VJ_U8 || dtype == VJ_I8; }

/* An integer from a number in [-1, 1]: 0 stays 0 where there are negative ones. What may not be read is no small number. */
static float integer_of(vj_dtype dtype, float x) {
    if (isnan(x)) return dtype == VJ_U8 ? 165 : -91;
    const double least = dtype == VJ_U8 ? 0 : -128, y = floor(((double)x + (dtype == VJ_U8)) * 128);
    return (float)fmin(fmax(y, least), least + 255);
}

static void put(vj_dtype dtype, float x, void *memory, int64_t i) {
    if (dtype == VJ_F32)
        ((float *)memory)[i] = x;
    else if (dtype == VJ_I32)
        ((int32_t *)memory)[i] = isnan(x) ? INT32_MIN : (int32_t)x;
    else if (is_narrow_integer(dtype))
        ((uint8_t *)memory)[i] = (uint8_t)(int32_t)x;
    else
        ((uint16_t *)memory)[i] = dtype == VJ_F16 ? vj_f16_of_f32(x) : vj_bf16_of_f32(x);
}

void case_to_memory(vj_dtype dtype, const float *values, int64_t count, void *memory) {
    for (int64_t i = 0; i < count; i++)
        put(dtype, values[i], memory, i);
}

static double in_memory(vj_dtype dtype, const void *memory, int64_t i) {
    switch (dtype) {
    case VJ_I32:
        return ((const int32_t *)memory)[i];
    case VJ_U8:
        return ((const uint8_t *)memory)[i];
    case VJ_I8:
        return ((const int8_t *)memory)[i];
    case VJ_F16:
        return (double)vj_f32_of_f16(((const uint16_t *)memory)[i]);
    case VJ_BF16:
        return (double)vj_f32_of_bf16(((const uint16_t *)memory)[i]);
    default:
        return (double)((const float *)memory)[i];
    }
}

void case_round(const kernel_case *c) {
    for (int32_t b = 0; b < c->p->buffer_count; b++) {
        const vj_buffer *buffer = &c->p->buffers[b];
        for (int64_t i = 0; i < buffer->elements; i++) {
            float narrow, *x = &c->values[b][i];
            vj_blocks blocks;
            if (vj_has_blocks(c->p, b, &blocks)) continue;
            if (is_narrow_integer(buffer->dtype)) *x = integer_of(buffer->dtype, *x);
            if (!is_half(buffer->dtype)) continue;
            put(buffer->dtype, *x, &narrow, 0);
            *x = (float)in_memory(buffer->dtype, &narrow, 0);
        }
    }
}

/* Blocks as panels of the magnitudes of their elements, for the evaluator. */
static double *magnitudes_of(const kernel_case *c, int32_t b, const vj_blocks *blocks) {
    const vj_weight *w = &c->p->weights[c->p->buffers[b].index];
    const vj_dtype to = vj_operand_dtype(c->p, c->k, c->k->b);
    const int64_t depth = vj_group_extent(c->k, VJ_GROUP_DEPTH);
    int64_t elements = 0;
    assert_true(vj_panel_elements(VJ_F32, depth, w->n, &elements));
    double *values = VJ_NEW_ARRAY(c->arena, double, elements),
           *bytes = VJ_NEW_ARRAY(c->arena, double, c->p->buffers[b].elements);
    for (int64_t i = 0; i < c->p->buffers[b].elements; i++)
        bytes[i] = (double)c->values[b][i];
    for (int64_t k = 0; k < w->k; k++)
        for (int64_t n = 0; n < w->n; n++)
            values[vj_panel_at(VJ_F32, depth, k, n)] = fabs(vj_blocks_value(blocks, bytes, to, k, n));
    return values;
}

/* Runs the evaluator on all buffers. With `magnitude`, it takes absolute values and the result is the bare sum. */
static double **evaluate_leaning(const kernel_case *c, bool magnitude, double lean) {
    vj_program *p = c->p;
    double **buffers = VJ_NEW_ARRAY(c->arena, double *, p->buffer_count);
    for (int32_t b = 0; b < p->buffer_count; b++) {
        buffers[b] = VJ_NEW_ARRAY(c->arena, double, p->buffers[b].elements);
        for (int64_t i = 0; i < p->buffers[b].elements; i++)
            buffers[b][i] = magnitude ? fabs((double)c->values[b][i]) : (double)c->values[b][i];
    }
    vj_kernel k = *c->k;
    if (magnitude) {
        const int32_t acc = vj_x(c->arena, &k, VJ_X_ACC, VJ_F32, 0, 0, 0);
        for (int32_t i = 0; i < k.out_count; i++)
            k.out[i].expr = acc;
        for (int32_t i = 0; i < k.access_count; i++)
            k.access[i].otherwise = fabs(k.access[i].otherwise);
    }
    const bool by_blocks = k.kind == VJ_KERNEL_GEMM && k.s >= 0;
    const int32_t of_a = by_blocks ? k.access[k.a].buffer : 0;
    for (int64_t i = 0; magnitude && by_blocks && i < p->buffers[of_a].elements; i++) /* 128 stands for 0 */
        buffers[of_a][i] = VJ_ZERO_OF_BLOCK + fabs(buffers[of_a][i] - VJ_ZERO_OF_BLOCK);
    vj_blocks blocks;
    const int32_t of_b = k.kind == VJ_KERNEL_GEMM ? k.access[k.b].buffer : -1;
    const bool as_panels = magnitude && of_b >= 0 && vj_has_blocks(p, of_b, &blocks);
    vj_buffer *buffer = &p->buffers[as_panels ? of_b : 0];
    if (as_panels) {
        buffers[of_b] = magnitudes_of(c, of_b, &blocks);
        p->weights[buffer->index].kind = VJ_PACK_PANELS;
        buffer->dtype = VJ_F32;
    }
    vj_error error = {0};
    if (!vj_eval_kernel_leaning(p, &k, buffers, lean, &error)) fail_msg("%s: %s", c->name, error.text);
    if (as_panels) {
        p->weights[buffer->index].kind = VJ_PACK_BLOCKS;
        buffer->dtype = VJ_U8;
    }
    return buffers;
}

static double **evaluate(const kernel_case *c, bool magnitude) { return evaluate_leaning(c, magnitude, 0); }

static bool is_out(const vj_kernel *k, int32_t buffer) {
    for (int32_t i = 0; i < k->out_count; i++)
        if (k->access[k->out[i].access].buffer == buffer) return true;
    return false;
}

/* The relative error of the weights of a softmax, which depends on the largest score's magnitude. */
static double attention_bound(const kernel_case *c) {
    const vj_kernel *k = c->k;
    const double d = (double)vj_group_extent(k, VJ_GROUP_DIM), j = (double)vj_group_extent(k, VJ_GROUP_KEYS);
    double q = 0, keys = 0, others = 0, v = 0;
    for (int32_t b = 0; b < c->p->buffer_count; b++) {
        if (is_out(k, b)) continue;
        double largest = 0;
        for (int64_t i = 0; i < c->p->buffers[b].elements; i++)
            if (isfinite(c->values[b][i])) largest = fmax(largest, fabs((double)c->values[b][i]));
        if (b == k->access[k->q].buffer) {
            q = largest;
        } else if (b == k->access[k->k].buffer) {
            keys = largest;
        } else if (b == k->access[k->v].buffer) {
            v = largest;
        } else {
            others += largest;
        }
    }
    /* scores: |s| <= c * d * |q||k| + |bias|, each with (d + 3) roundings; exp: the difference of two of them, three
     * roundings more of up to twice |s|, and 4 ulp of its own; two sums of J terms; a quotient and a product */
    const double score = c->stretch * d * q * keys + others;
    const double weight = 2 * (d + 3) * EPS * score + 3 * 2 * score * EPS + 8 * EPS;
    /* halves: weights are rounded to them, by half a unit in the last of 8 digits */
    const double narrow = c->types.plain == VJ_F32 ? 0 : 0x1p-8;
    if (k->weight_expr >= 0) return 0; /* they are rounded, and sums of whole numbers are exact */
    return v * (2 * weight + (2 * j + 8) * EPS + narrow);
}

answers case_answers(const kernel_case *c) {
    /* Sums of integers are exact. */
    const bool of_integers = c->types.plain == VJ_U8 && !c->types.bits;
    const bool summed = c->k->kind == VJ_KERNEL_GEMM && !of_integers;
    answers a = {.expected = evaluate(c, false), .magnitude = summed ? evaluate(c, true) : NULL};
    if (c->lean == 0) return a;
    a.less = evaluate_leaning(c, false, -c->lean);
    a.more = evaluate_leaning(c, false, c->lean);
    return a;
}

static double off(const answers *a, int32_t b, int64_t i, double is) {
    const double want = a->expected[b][i];
    if (!a->less || isnan(want)) return fabs(is - want);
    const double low = fmin(want, fmin(a->less[b][i], a->more[b][i]));
    const double high = fmax(want, fmax(a->less[b][i], a->more[b][i]));
    return isnan(is) ? NAN : is < low ? low - is : is > high ? is - high : 0;
}

void answers_compare(const kernel_case *c, const vj_target *target, const char *how, void *const *got,
                     const answers *a) {
    const vj_kernel *k = c->k;
    const bool of_integers = c->types.plain == VJ_U8 && !c->types.bits, is_gemm = k->kind == VJ_KERNEL_GEMM;
    /* Sums of bytes by blocks are exact within a block. */
    const int64_t added = is_gemm ? vj_group_extent(k, VJ_GROUP_DEPTH) : 0;
    const bool by_blocks = is_gemm && k->s >= 0;
    const int64_t exact = by_blocks ? k->extent[k->rank - 1] : 1;
    const double terms = is_gemm && !of_integers ? (double)(added / exact) + 2 : 0;
    const double uniform = k->kind == VJ_KERNEL_ATTENTION ? attention_bound(c) : 0;
    for (int32_t b = 0; b < c->p->buffer_count; b++) {
        const vj_dtype dtype = c->p->buffers[b].dtype;
        const float *was = c->values[b];
        /* One that lies between two halves may be rounded to either. */
        const double own = is_half(dtype) ? c->own + 0x1p-7 : dtype == VJ_F32 ? c->own : 0;
        for (int64_t i = 0; i < c->p->buffers[b].elements; i++) {
            /* The evaluator starts from the same bytes, as elements that no result writes must keep them. */
            const double want = a->expected[b][i];
            const double is = in_memory(dtype, got[b], i);
            if (isnan(want) ? isnan(is) || dtype == VJ_I32
                            : (float)is == (float)want && (dtype != VJ_I32 || is == want))
                continue;
            if (!is_out(k, b))
                fail_msg("%s (%s, %s): operand %d changed at %lld", c->name, target->name, how, b, (long long)i);
            const double sum = a->magnitude ? a->magnitude[b][i] : of_integers ? 1 : 0;
            const double underflow = (2 * terms + 2) * 0x1p-150; /* a product or sum below the normal range */
            const double bound = c->stretch * terms * EPS * sum + uniform + own * (fabs(want) + sum) + underflow;
            if (!(off(a, b, i, is) <= bound))
                fail_msg("%s (%s, %s): buffer %d element %lld is %.9g, not %.9g (bound %.3g, was %.9g)", c->name,
                         target->name, how, b, (long long)i, is, want, bound, (double)was[i]);
        }
    }
}
