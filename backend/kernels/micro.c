/* SPDX-License-Identifier: Apache-2.0 */
/* micro.c - forms of multiplying: fused multiply-adds of what is widened to f32, and dot products of groups. */
#include "micro.h"

#include <assert.h>

vj_micro vj_micro_of(vj_gen *g, vj_form form, vj_dtype a, vj_dtype b, bool packed, int32_t lanes) {
    /* An unpacked B of halves is paired as it is loaded, as pairs of A are read at once. */
    const int32_t group = packed ? vj_panel_group(b) : b == VJ_BF16 ? 2 : 1;
    const vj_dtype sum = a == VJ_U8 ? VJ_I32 : VJ_F32;
    return (vj_micro){
        .g = g, .form = form, .a = a, .b = b, .sum = sum, .lanes = lanes, .group = group, .step = group, .parts = 1};
}

void vj_micro_by_blocks(vj_micro *m, int32_t bits) {
    m->in_words = bits == 4 && vj_can_add_in_words(m->g, m->lanes);
    if (m->in_words)
        m->step = m->group * VJ_WORD_GROUPS;
    else
        m->parts = vj_dot8_parts(vj_dot8_of(m->g->target, m->lanes));
}

void vj_micro_clear(const vj_micro *m, int32_t count, LLVMValueRef *sum) {
    for (int32_t i = 0; i < count; i++)
        sum[i] = LLVMConstNull(vj_vector_type(m->g, m->sum, m->lanes));
}

static LLVMValueRef resized(const vj_gen *g, LLVMValueRef narrow) {
    LLVMTypeRef type = LLVMTypeOf(narrow);
    const bool vector = LLVMGetTypeKind(type) == LLVMVectorTypeKind;
    return LLVMBuildZExt(g->b, narrow, vector ? LLVMVectorType(g->i32, LLVMGetVectorSize(type)) : g->i32, "");
}

static LLVMValueRef number_like(const vj_gen *g, LLVMValueRef x, uint32_t number) {
    LLVMTypeRef type = LLVMTypeOf(x);
    LLVMValueRef one = LLVMConstInt(g->i32, number, false);
    return LLVMGetTypeKind(type) == LLVMVectorTypeKind ? vj_splat(g, one, (int32_t)LLVMGetVectorSize(type)) : one;
}

static unsigned bits_of(LLVMValueRef x) {
    LLVMTypeRef type = LLVMTypeOf(x);
    return LLVMGetIntTypeWidth(LLVMGetTypeKind(type) == LLVMVectorTypeKind ? LLVMGetElementType(type) : type);
}

LLVMValueRef vj_group_of(const vj_gen *g, const LLVMValueRef *elements, int32_t count) {
    LLVMValueRef group = resized(g, elements[0]);
    for (int32_t e = 1; e < count; e++) {
        LLVMValueRef next = resized(g, elements[e]), by = number_like(g, next, (uint32_t)e * bits_of(elements[0]));
        group = LLVMBuildOr(g->b, group, LLVMBuildShl(g->b, next, by, ""), "");
    }
    return group;
}

LLVMValueRef vj_load_group(const vj_gen *g, LLVMValueRef pointer, vj_dtype dtype) {
    LLVMValueRef group = LLVMBuildLoad2(g->b, g->i32, pointer, "");
    LLVMSetAlignment(group, (unsigned)vj_element_bytes(dtype));
    return group;
}

LLVMValueRef vj_of_pairs(const vj_gen *g, LLVMValueRef pairs, int32_t e, int32_t lanes) {
    LLVMValueRef bits = e == 0 ? LLVMBuildShl(g->b, pairs, number_like(g, pairs, 16), "")
                               : LLVMBuildAnd(g->b, pairs, number_like(g, pairs, 0xffff0000), "");
    return LLVMBuildBitCast(g->b, bits, vj_vector_type(g, VJ_F32, lanes), "");
}

/* Element `e` of a group of B, widened. */
static LLVMValueRef wide_b(const vj_micro *m, LLVMValueRef group, int32_t e) {
    if (m->b == VJ_F32) return group;
    if (m->group == 2) return vj_of_pairs(m->g, group, e, m->lanes);
    return vj_from_half(m->g, m->b, group, m->lanes);
}

/* Element k + e of row r, widened, in all lanes. */
static LLVMValueRef wide_a(const vj_micro *m, const vj_micro_loads *loads, int64_t k, int32_t e, int32_t count,
                           int32_t r) {
    if (m->a == VJ_F32) return vj_splat(m->g, loads->a(loads->self, k + e, 1, r, false), m->lanes);
    LLVMValueRef pairs = vj_splat(m->g, loads->a(loads->self, k, count, r, e > 0), m->lanes);
    return vj_of_pairs(m->g, vj_opaque_vector(m->g, pairs), e, m->lanes);
}

/* One element after another. A group is loaded again for its second element: kept, it would take registers from the sums. */
static void step_fma(const vj_micro *m, const vj_micro_loads *loads, int64_t k, int32_t count, int32_t height,
                     int32_t width, LLVMValueRef *sum) {
    for (int32_t e = 0; e < count; e++) {
        LLVMValueRef b[VJ_MAX_TILE];
        for (int32_t j = 0; j < width; j++)
            b[j] = wide_b(m, loads->b(loads->self, k, count, j, e > 0), e);
        for (int32_t r = 0; r < height; r++) {
            LLVMValueRef a = wide_a(m, loads, k, e, count, r);
            for (int32_t j = 0; j < width; j++)
                sum[r * width + j] = vj_fma(m->g, a, b[j], sum[r * width + j]);
        }
    }
}

/* A group that panels have in parts. */
static vj_fours parts_of_b(const vj_micro *m, const vj_micro_loads *loads, int64_t k, int32_t j) {
    vj_fours x = {.form = vj_dot8_of(m->g->target, m->lanes), .count = m->parts};
    for (int32_t i = 0; i < m->parts; i++) {
        x.part[i] = loads->b(loads->self, k + i * m->group / m->parts, m->group, j, false);
        if (x.form == VJ_DOT8_PAIRS)
            x.part[i] = LLVMBuildBitCast(m->g->b, x.part[i],
                                         LLVMVectorType(vj_llvm_type(m->g, VJ_I16), 2 * (unsigned)m->lanes), "");
    }
    return x;
}

static void step_dot_integers(const vj_micro *m, const vj_micro_loads *loads, int64_t k, int32_t count, int32_t height,
                              int32_t width, LLVMValueRef *sum) {
    vj_fours b[VJ_MAX_TILE];
    for (int32_t j = 0; j < width; j++)
        b[j] = m->parts == 1 ? vj_fours_of(m->g, loads->b(loads->self, k, count, j, false), true)
                             : parts_of_b(m, loads, k, j);
    for (int32_t r = 0; r < height; r++) {
        LLVMValueRef group = vj_splat(m->g, loads->a(loads->self, k, count, r, false), m->lanes);
        const vj_fours a = vj_fours_of(m->g, group, false);
        for (int32_t j = 0; j < width; j++)
            sum[r * width + j] = vj_dot_fours(m->g, sum[r * width + j], &a, &b[j]);
    }
}

/* A group of B is read for all rows, a group of A for all columns. */
static void step_in_words(const vj_micro *m, const vj_micro_loads *loads, int64_t k, int32_t count, int32_t height,
                          int32_t width, LLVMValueRef *sum) {
    LLVMValueRef words[VJ_MAX_TILE] = {NULL};
    for (int32_t e = 0; e < count; e += m->group) {
        LLVMValueRef b[VJ_MAX_TILE];
        for (int32_t j = 0; j < width; j++)
            b[j] = loads->b(loads->self, k + e, m->group, j, false);
        for (int32_t r = 0; r < height; r++) {
            LLVMValueRef a = vj_splat(m->g, loads->a(loads->self, k + e, m->group, r, false), m->lanes);
            for (int32_t j = 0; j < width; j++) { /* LLVM would add them in a tree, for which it has no registers */
                LLVMValueRef sum_so_far = vj_dot_in_words(m->g, words[r * width + j], a, b[j]);
                words[r * width + j] = vj_opaque_vector(m->g, sum_so_far);
            }
        }
    }
    for (int32_t i = 0; i < height * width; i++)
        sum[i] = vj_add_words(m->g, sum[i], words[i]);
}

static void step_dot(const vj_micro *m, const vj_micro_loads *loads, int64_t k, int32_t count, int32_t height,
                     int32_t width, LLVMValueRef *sum) {
    LLVMValueRef b[VJ_MAX_TILE];
    for (int32_t j = 0; j < width; j++)
        b[j] = loads->b(loads->self, k, count, j, false);
    for (int32_t r = 0; r < height; r++) {
        LLVMValueRef a = loads->a(loads->self, k, count, r, false);
        a = vj_dot_splat(m->g, a, m->lanes);
        for (int32_t j = 0; j < width; j++)
            sum[r * width + j] = vj_dot_bf16(m->g, sum[r * width + j], a, b[j]);
    }
}

void vj_micro_step(const vj_micro *m, const vj_micro_loads *loads, int64_t k, int32_t count, int32_t height,
                   int32_t width, LLVMValueRef *sum) {
    assert(height * width <= VJ_MAX_TILE && count <= m->step);
    if (m->in_words)
        step_in_words(m, loads, k, count, height, width, sum);
    else if (m->sum == VJ_I32)
        step_dot_integers(m, loads, k, count, height, width, sum);
    else
        (m->form == VJ_FORM_DOT ? step_dot : step_fma)(m, loads, k, count, height, width, sum);
}
