/* attention_block.c - where a block of queries keeps its scores, its sums and its results so far. */
#include "attention.h"

LLVMValueRef vj_clamp(const vj_gen *g, LLVMValueRef x, int64_t low, int64_t high) {
    return vj_minimum(g, vj_maximum(g, x, vj_i64(g, low)), vj_i64(g, high));
}

LLVMValueRef vj_score_at(const vj_attention *m, LLVMValueRef row, LLVMValueRef key) {
    const vj_gen *g = m->g;
    LLVMValueRef offset = LLVMBuildNSWMul(g->b, row, vj_i64(g, m->row), "");
    LLVMValueRef column = LLVMBuildNSWSub(g->b, key, m->first_key, "");
    return vj_element(g, m->scores, VJ_F32, LLVMBuildNSWAdd(g->b, offset, column, ""));
}

int64_t vj_weights_row(const vj_attention *m) {
    return m->row * vj_element_bytes(VJ_F32) / vj_element_bytes(m->multiplied);
}

LLVMValueRef vj_weight_at(const vj_attention *m, LLVMValueRef row, LLVMValueRef key) {
    const vj_gen *g = m->g;
    LLVMValueRef offset = LLVMBuildNSWMul(g->b, row, vj_i64(g, vj_weights_row(m)), "");
    LLVMValueRef column = LLVMBuildNSWSub(g->b, key, m->first_key, "");
    return vj_element(g, m->scores, m->multiplied, LLVMBuildNSWAdd(g->b, offset, column, ""));
}

LLVMValueRef vj_of_row(const vj_attention *m, LLVMValueRef array, LLVMValueRef row) {
    return vj_element(m->g, array, VJ_F32, row);
}

LLVMValueRef vj_result_at(const vj_attention *m, LLVMValueRef row, LLVMValueRef dim) {
    const vj_gen *g = m->g;
    LLVMValueRef offset = LLVMBuildNSWMul(g->b, row, vj_i64(g, m->result_row), "");
    return vj_element(g, m->results, VJ_F32, LLVMBuildNSWAdd(g->b, offset, dim, ""));
}

LLVMValueRef vj_row_of_tile(const vj_attention *m, LLVMValueRef tile) {
    const vj_gen *g = m->g;
    LLVMValueRef row = vj_i64(g, 0);
    int64_t first = 0;
    for (int32_t i = 0; i < m->mix.tile_kinds; i++) {
        const vj_tile_rows *kind = &m->mix.tiles[i];
        LLVMValueRef count = LLVMBuildSub(g->b, vj_clamp(g, tile, first, first + kind->count), vj_i64(g, first), "");
        row = LLVMBuildAdd(g->b, row, LLVMBuildMul(g->b, count, vj_i64(g, kind->height), ""), "");
        first += kind->count;
    }
    return row;
}
