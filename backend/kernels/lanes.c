/* SPDX-License-Identifier: Apache-2.0 */
/* lanes.c - what the generators do with the lanes of a tile: storing some of them, transposing a square of them. */
#include "backend/emit/gen.h"

/* Lanes [first, first + lanes) of a vector. */
static LLVMValueRef part(const vj_gen *g, LLVMValueRef vector, int32_t first, int32_t lanes) {
    if (LLVMGetTypeKind(LLVMTypeOf(vector)) != LLVMVectorTypeKind) return vector;
    if (lanes == 1) return LLVMBuildExtractElement(g->b, vector, vj_i64(g, first), "");
    if (first == 0 && (unsigned)lanes == LLVMGetVectorSize(LLVMTypeOf(vector))) return vector;
    LLVMValueRef index[64];
    for (int32_t i = 0; i < lanes; i++)
        index[i] = LLVMConstInt(g->i32, (unsigned long long)(first + i), false);
    LLVMValueRef mask = LLVMConstVector(index, (unsigned)lanes);
    return LLVMBuildShuffleVector(g->b, vector, LLVMGetPoison(LLVMTypeOf(vector)), mask, "");
}

/* All results are computed, then stored: what they have in common, loads among it, is computed once. */
static void store_piece(vj_gen *g, const vj_out *const *outs, int32_t out_count, const vj_point *point) {
    LLVMValueRef value[VJ_MAX_OUTS];
    for (int32_t o = 0; o < out_count; o++)
        value[o] = vj_emit_expr(g, outs[o]->expr, point);
    for (int32_t o = 0; o < out_count; o++)
        vj_emit_store(g, outs[o]->access, point, value[o]);
}

void vj_store_lanes_of(vj_gen *g, const vj_out *const *outs, int32_t out_count, const vj_point *start, int32_t axis,
                       LLVMValueRef vector, int32_t count) {
    LLVMTypeRef type = LLVMTypeOf(vector);
    int32_t size = LLVMGetTypeKind(type) == LLVMVectorTypeKind ? (int32_t)LLVMGetVectorSize(type) : 1;
    const bool masked = g->target->masked_stores && count < size && size > 1;
    for (int32_t first = 0; first < count; first += size) {
        while (!masked && size > count - first)
            size /= 2;
        vj_point point = *start;
        point.lanes = size;
        point.vector_axis = size > 1 ? axis : -1;
        point.index[axis] =
            first == 0 ? start->index[axis] : LLVMBuildNSWAdd(g->b, start->index[axis], vj_i64(g, first), "");
        point.mask = masked ? vj_mask_first(g, vj_i64(g, count), size) : NULL;
        point.acc = part(g, vector, first, size);
        store_piece(g, outs, out_count, &point);
    }
}

void vj_store_lanes(vj_gen *g, const vj_out *out, const vj_point *start, int32_t axis, LLVMValueRef vector,
                    int32_t count) {
    vj_store_lanes_of(g, &out, 1, start, axis, vector, count);
}

/* Blocks of half the lanes, a quarter, ... change places across the diagonal. */
void vj_transpose(const vj_gen *g, LLVMValueRef *rows, int32_t lanes) {
    for (int32_t block = lanes / 2; block; block /= 2) {
        LLVMValueRef low[64], high[64];
        for (int32_t lane = 0; lane < lanes; lane++) {
            const int32_t stay = lane, other = lanes + lane;
            const bool second = (lane & block) != 0;
            low[lane] = LLVMConstInt(g->i32, (unsigned long long)(second ? other - block : stay), false);
            high[lane] = LLVMConstInt(g->i32, (unsigned long long)(second ? other : stay + block), false);
        }
        LLVMValueRef low_mask = LLVMConstVector(low, (unsigned)lanes),
                     high_mask = LLVMConstVector(high, (unsigned)lanes);
        for (int32_t i = 0; i < lanes; i++) {
            if (i & block) continue;
            LLVMValueRef a = rows[i], b = rows[i + block];
            rows[i] = LLVMBuildShuffleVector(g->b, a, b, low_mask, "");
            rows[i + block] = LLVMBuildShuffleVector(g->b, a, b, high_mask, "");
        }
    }
}
