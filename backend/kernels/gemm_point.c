/* gemm_point.c - where an element of a tile is: the indices of its axes. */
#include "gemm.h"

#include <string.h>

void vj_gemm_point(const vj_gemm *m, const vj_gemm_tile *t, int32_t r, int32_t j, vj_point *point) {
    const vj_gen *g = m->g;
    const int32_t lanes = vj_tile_lanes(m, t, j);
    memcpy(point->index, t->index, sizeof point->index);
    for (int32_t axis = m->cols.first; axis <= m->last_col; axis++)
        point->index[axis] = t->col_index[j][axis];
    point->index[m->inner_row] = r == 0 ? t->row : LLVMBuildNSWAdd(g->b, t->row, vj_i64(g, r), "");
    point->lanes = m->lanes;
    point->vector_axis = m->lanes > 1 ? m->last_col : -1;
    point->mask = lanes < m->lanes ? vj_mask_first(g, vj_i64(g, lanes), m->lanes) : NULL;
}

void vj_gemm_unflatten(const vj_gemm *m, LLVMValueRef number, vj_axes axes, LLVMValueRef *index) {
    const vj_gen *g = m->g;
    for (int32_t axis = axes.first + axes.count - 1; axis >= axes.first; axis--) {
        if (axis == axes.first) {
            index[axis] = number;
            break;
        }
        LLVMValueRef extent = vj_i64(g, m->k->extent[axis]);
        index[axis] = LLVMBuildURem(g->b, number, extent, "");
        number = LLVMBuildUDiv(g->b, number, extent, "");
    }
}
