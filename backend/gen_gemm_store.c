/* gen_gemm_store.c - the epilogue of a tile: each result's expression at each vector of the tile, stored.
 *
 * Where a result's rows are adjacent in memory and its columns are not (keys that attention wants transposed, pixels of
 * a convolution in NCHW), blocks of lanes x lanes sums are transposed in registers first and lanes run along the rows.
 */
#include "gen_gemm.h"

static void store_transposed(const vj_gemm *m, const vj_gemm_tile *t, const vj_out *out, const LLVMValueRef *acc,
                             int32_t j) {
    vj_gen *g = m->g;
    const int32_t columns = vj_tile_lanes(m, t, j);
    for (int32_t first = 0; first < t->height; first += m->lanes) {
        const int32_t rows = t->height - first < m->lanes ? t->height - first : m->lanes;
        LLVMValueRef block[64];
        for (int32_t r = 0; r < m->lanes; r++)
            block[r] = r < rows ? acc[(first + r) * t->width + j] : LLVMGetPoison(LLVMTypeOf(acc[0]));
        vj_transpose(g, block, m->lanes);
        for (int32_t c = 0; c < columns; c++) {
            vj_point point = {0};
            vj_gemm_point(m, t, first, j, &point);
            LLVMValueRef column = point.index[m->last_col];
            point.index[m->last_col] = c == 0 ? column : LLVMBuildNSWAdd(g->b, column, vj_i64(g, c), "");
            vj_store_lanes(g, out, &point, m->inner_row, block[c], rows);
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
        vj_store_lanes(m->g, out, &point, m->last_col, acc[r * t->width + j], vj_tile_lanes(m, t, j));
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
