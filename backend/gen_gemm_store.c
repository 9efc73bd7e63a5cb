/* gen_gemm_store.c - the epilogue of a tile: each result's expression at each vector of the tile, stored.
 *
 * Where a result's rows are adjacent in memory and its columns are not (keys that attention wants transposed, pixels of
 * a convolution in NCHW), blocks of lanes x lanes sums are transposed in registers first and lanes run along the rows.
 */
#include "gen_gemm.h"

#include <assert.h>

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

/* The result at `count` lanes of `vector` along `axis` from the point: whole or masked where masks are cheap, else in
 * pieces of 8, 4, 2, 1. */
static void store_lanes(const vj_gemm *m, const vj_out *out, const vj_point *start, int32_t axis, LLVMValueRef vector,
                        int32_t count) {
    vj_gen *g = m->g;
    int32_t size = m->lanes;
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
        vj_emit_store(g, out->access, &point, vj_emit_expr(g, out->expr, &point));
    }
}

/* Transposes the `lanes` vectors in place: blocks of half, quarter, ... change places across the diagonal. */
static void transpose(const vj_gen *g, LLVMValueRef *rows, int32_t lanes) {
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

static void store_transposed(const vj_gemm *m, const vj_gemm_tile *t, const vj_out *out, const LLVMValueRef *acc,
                             int32_t j) {
    vj_gen *g = m->g;
    const int32_t columns = vj_tile_lanes(m, t, j);
    for (int32_t first = 0; first < t->height; first += m->lanes) {
        const int32_t rows = t->height - first < m->lanes ? t->height - first : m->lanes;
        LLVMValueRef block[64];
        for (int32_t r = 0; r < m->lanes; r++)
            block[r] = r < rows ? acc[(first + r) * t->width + j] : LLVMGetPoison(LLVMTypeOf(acc[0]));
        transpose(g, block, m->lanes);
        for (int32_t c = 0; c < columns; c++) {
            vj_point point = {0};
            vj_gemm_point(m, t, first, j, &point);
            LLVMValueRef column = point.index[m->last_col];
            point.index[m->last_col] = c == 0 ? column : LLVMBuildNSWAdd(g->b, column, vj_i64(g, c), "");
            store_lanes(m, out, &point, m->inner_row, block[c], rows);
        }
    }
}

static bool wants_transposition(const vj_gemm *m, const vj_gemm_tile *t, const vj_access *access) {
    return m->inner_row >= 0 && m->lanes > 1 && t->height > 1 && access->stride[m->last_col] != 1 &&
           access->stride[m->inner_row] == 1;
}

static void store_vector(const vj_gemm *m, const vj_gemm_tile *t, const vj_out *out, const LLVMValueRef *acc,
                         int32_t j) {
    if (wants_transposition(m, t, &m->k->access[out->access])) {
        store_transposed(m, t, out, acc, j);
        return;
    }
    for (int32_t r = 0; r < t->height; r++) {
        vj_point point = {0};
        vj_gemm_point(m, t, r, j, &point);
        store_lanes(m, out, &point, m->last_col, acc[r * t->width + j], vj_tile_lanes(m, t, j));
    }
}

void vj_gemm_store(const vj_gemm *m, const vj_gemm_tile *t, const LLVMValueRef *acc) {
    vj_gen *g = m->g;
    for (int32_t j = 0; j < t->width; j++) {
        for (int32_t o = 0; o < m->k->out_count; o++) {
            const vj_out *out = &m->k->out[o];
            if (out->segment < 0) {
                store_vector(m, t, out, acc, j);
                continue;
            }
            /* A vector lies in one segment: lanes never straddle column axes. */
            LLVMBasicBlockRef then = LLVMAppendBasicBlockInContext(g->context, g->function, "segment");
            LLVMBasicBlockRef next = LLVMAppendBasicBlockInContext(g->context, g->function, "next");
            LLVMValueRef here =
                LLVMBuildICmp(g->b, LLVMIntEQ, t->col_index[j][m->first_col], vj_i64(g, out->segment), "");
            LLVMBuildCondBr(g->b, here, then, next);
            LLVMPositionBuilderAtEnd(g->b, then);
            store_vector(m, t, out, acc, j);
            LLVMBuildBr(g->b, next);
            LLVMPositionBuilderAtEnd(g->b, next);
        }
    }
}
