/* SPDX-License-Identifier: Apache-2.0 */
/* gemm_blocks.c - bytes by blocks: the sums of a block are integers, and exact. In f32 they are multiplied by the block's scale times the
 * size of the row's step, and added to the sums of the whole depth, one block after the other. */
#include "gemm.h"

/* Vector j of 16 to a block and panel, from the place of the first one on; `panel` bytes lie between those of panels. */
static LLVMValueRef vector_of(const vj_gemm *m, LLVMValueRef first, int32_t j, int64_t panel, vj_dtype dtype) {
    vj_gen *g = m->g;
    const int64_t lane = (int64_t)j * m->lanes, number = lane / VJ_PANEL;
    LLVMValueRef at = vj_i64(g, number * panel + lane % VJ_PANEL * 4);
    return vj_load_vector(g, vj_bytes_on(g, first, at), dtype, m->lanes, NULL, NULL);
}

vj_gemm_block vj_gemm_block_at(const vj_gemm *m, const vj_gemm_tile *t, LLVMValueRef number) {
    vj_gen *g = m->g;
    LLVMValueRef width = vj_i64(g, VJ_PANEL), panel = LLVMBuildUDiv(g->b, t->first_col, width, "");
    LLVMValueRef column = LLVMBuildURem(g->b, t->first_col, width, "");
    LLVMValueRef at = LLVMBuildAdd(g->b, LLVMBuildMul(g->b, number, width, ""), column, "");
    LLVMValueRef panels = vj_bytes_on(g, m->b, LLVMBuildMul(g->b, panel, vj_i64(g, vj_blocks_panel(&m->blocks)), ""));
    return (vj_gemm_block){number, vj_element(g, m->start, VJ_I32, at), vj_element(g, panels, VJ_F32, at)};
}

void vj_gemm_begin_block(const vj_gemm *m, const vj_gemm_tile *t, const vj_gemm_block *block, LLVMValueRef *part) {
    const int64_t panel = vj_blocks_count(&m->blocks) * VJ_PANEL * 4;
    for (int32_t j = 0; j < t->width; j++) {
        LLVMValueRef start = vector_of(m, block->start, j, panel, VJ_I32);
        for (int32_t r = 0; r < t->height; r++)
            part[r * t->width + j] = start;
    }
}

void vj_gemm_add_bytes(const vj_gemm *m, const vj_gemm_tile *t, const vj_gemm_block *block, const LLVMValueRef *step,
                       const LLVMValueRef *part, LLVMValueRef *acc) {
    vj_gen *g = m->g;
    LLVMTypeRef floats = vj_vector_type(g, VJ_F32, m->lanes);
    for (int32_t j = 0; j < t->width; j++) {
        LLVMValueRef scale = vector_of(m, block->scale, j, vj_blocks_panel(&m->blocks), VJ_F32);
        for (int32_t r = 0; r < t->height; r++) {
            const int32_t i = r * t->width + j;
            LLVMValueRef both = LLVMBuildFMul(g->b, step[r], scale, "");
            acc[i] = vj_fma(g, LLVMBuildSIToFP(g->b, part[i], floats, ""), both, acc[i]);
        }
    }
}
