/* blocks.c - panels of blocks (ir/kernel/blocks.h), widened to panels of f32 or bf16. Differences and scales are those of the definition:
 * an integer less another, as a float, times the scale; and for bf16 one rounding. */
#include "gen.h"

typedef struct widening {
    vj_gen *g;
    const vj_blocks *blocks;
    vj_dtype to;
    int32_t lanes;
    LLVMValueRef panel, column,
        out; /* bytes of the panel, the first column of the vector, and where its element (0, column) goes */
    LLVMValueRef zero, scale; /* of the block at hand */
} widening;

/* `lanes` bytes of the panel, so many bytes from its beginning on, as integers. */
static LLVMValueRef bytes_at(const widening *w, LLVMValueRef at) {
    const vj_gen *g = w->g;
    LLVMValueRef from = vj_bytes_on(g, w->panel, LLVMBuildAdd(g->b, at, w->column, ""));
    return vj_load_vector(g, from, VJ_U8, w->lanes, NULL, NULL);
}

static LLVMValueRef as_i32(const widening *w, LLVMValueRef bytes) {
    return LLVMBuildZExt(w->g->b, bytes, vj_vector_type(w->g, VJ_I32, w->lanes), "");
}

static LLVMValueRef same_byte(const widening *w, uint8_t byte) {
    return vj_splat(w->g, LLVMConstInt(vj_llvm_type(w->g, VJ_U8), byte, false), w->lanes);
}

static LLVMValueRef value_of(const widening *w, LLVMValueRef number) {
    const vj_gen *g = w->g;
    LLVMValueRef whole = LLVMBuildSub(g->b, as_i32(w, number), w->zero, "");
    LLVMValueRef x = LLVMBuildSIToFP(g->b, whole, vj_vector_type(g, VJ_F32, w->lanes), "");
    return LLVMBuildFMul(g->b, x, w->scale, "");
}

/* The values at k and k + 1, which is even. */
static void values_at(const widening *w, LLVMValueRef k, LLVMValueRef value[2]) {
    const vj_gen *g = w->g;
    LLVMValueRef number[2], first = vj_i64(g, vj_blocks_number(w->blocks, 0, 0));
    if (w->blocks->bits == 4) {
        LLVMValueRef at = LLVMBuildMul(g->b, k, vj_i64(g, VJ_PANEL / 2), "");
        LLVMValueRef both = bytes_at(w, LLVMBuildAdd(g->b, at, first, ""));
        number[0] = LLVMBuildAnd(g->b, both, same_byte(w, 15), "");
        number[1] = LLVMBuildLShr(g->b, both, same_byte(w, 4), "");
    } else {
        LLVMValueRef at = LLVMBuildAdd(g->b, LLVMBuildMul(g->b, k, vj_i64(g, VJ_PANEL), ""), first, "");
        number[0] = bytes_at(w, at);
        number[1] = bytes_at(w, LLVMBuildAdd(g->b, at, vj_i64(g, VJ_PANEL), ""));
    }
    for (int32_t i = 0; i < 2; i++)
        value[i] = value_of(w, number[i]);
}

/* Stores two rows, or one of pairs. */
static void store_at(const widening *w, LLVMValueRef k, const LLVMValueRef value[2]) {
    const vj_gen *g = w->g;
    LLVMValueRef row = LLVMBuildMul(g->b, k, vj_i64(g, VJ_PANEL), "");
    LLVMValueRef at = vj_element(g, w->out, w->to, row);
    if (w->to == VJ_F32) {
        vj_store_vector(g, at, value[0], NULL);
        vj_store_vector(g, vj_element(g, at, VJ_F32, vj_i64(g, VJ_PANEL)), value[1], NULL);
        return;
    }
    LLVMValueRef low = as_i32(w, vj_to_half(g, w->to, value[0], w->lanes));
    LLVMValueRef high = as_i32(w, vj_to_half(g, w->to, value[1], w->lanes));
    high = LLVMBuildShl(g->b, high, vj_splat(g, LLVMConstInt(g->i32, 16, false), w->lanes), "");
    vj_store_vector(g, at, LLVMBuildOr(g->b, low, high, ""), NULL);
}

/* Elements of k in the body of the loop over a block. */
static int32_t step_of(const vj_blocks *blocks) { return blocks->block % 8 == 0 ? 8 : 2; }

static void widen_block(widening *w, LLVMValueRef number) {
    vj_gen *g = w->g;
    const int32_t step = step_of(w->blocks);
    LLVMValueRef row = LLVMBuildMul(g->b, number, vj_i64(g, VJ_PANEL), "");
    w->zero = as_i32(w, bytes_at(w, LLVMBuildAdd(g->b, row, vj_i64(g, vj_blocks_zero(w->blocks, 0, 0)), "")));
    LLVMValueRef scale = vj_element(g, w->panel, VJ_F32, LLVMBuildAdd(g->b, row, w->column, ""));
    w->scale = vj_load_vector(g, scale, VJ_F32, w->lanes, NULL, NULL);
    LLVMValueRef first = LLVMBuildMul(g->b, number, vj_i64(g, w->blocks->block), "");
    vj_loop loop;
    vj_loop_begin(g, &loop, vj_i64(g, 0), vj_i64(g, w->blocks->block), step, true, NULL, 0);
    LLVMValueRef k = LLVMBuildAdd(g->b, first, loop.index, "");
    for (int32_t i = 0; i < step; i += 2) {
        LLVMValueRef at = LLVMBuildAdd(g->b, k, vj_i64(g, i), ""), value[2];
        values_at(w, at, value);
        store_at(w, at, value);
    }
    vj_loop_end(g, &loop, NULL);
}

/* Rows behind the last block, which groups of k are padded with. */
static void clear_rest(const widening *w) {
    vj_gen *g = w->g;
    const int64_t first = vj_blocks_count(w->blocks) * w->blocks->block, last = vj_blocks_rows(w->blocks, w->to);
    if (first >= last) return;
    LLVMValueRef none = LLVMConstNull(vj_vector_type(g, VJ_F32, w->lanes)), zeros[2] = {none, none};
    vj_loop loop;
    vj_loop_begin(g, &loop, vj_i64(g, first), vj_i64(g, last), 2, true, NULL, 0);
    store_at(w, loop.index, zeros);
    vj_loop_end(g, &loop, NULL);
}

void vj_widen_blocks(vj_gen *g, const vj_blocks *blocks, vj_dtype to, LLVMValueRef panel, LLVMValueRef column,
                     int32_t lanes, LLVMValueRef out) {
    widening w = {.g = g, .blocks = blocks, .to = to, .lanes = lanes, .panel = panel, .column = column};
    w.out = vj_element(g, out, to, LLVMBuildMul(g->b, column, vj_i64(g, vj_panel_group(to)), ""));
    vj_loop loop;
    vj_loop_begin(g, &loop, vj_i64(g, 0), vj_i64(g, vj_blocks_count(blocks)), 1, true, NULL, 0);
    widen_block(&w, loop.index);
    vj_loop_end(g, &loop, NULL);
    clear_rest(&w);
}
