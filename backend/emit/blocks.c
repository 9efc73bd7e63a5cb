/* SPDX-License-Identifier: Apache-2.0 */
/* blocks.c - panels of blocks (ir/kernel/blocks.h), widened to panels of f32 or bf16: the difference of two integers, or what a table has,
 * times the scale, rounded once, and for bf16 once more.
 *
 * An integer below 2^23 in the low bits of the float 2^23 is their sum; less 2^23 and the zero point that is the difference, exactly. A
 * number in the high half of a byte stays there: 16 times the difference, times a sixteenth of the scale, which is no subnormal number, is
 * the same. What a table has is looked up as lookup.c can. */
#include "gen.h"

typedef struct widening {
    vj_gen *g;
    const vj_blocks *blocks;
    vj_dtype to;
    int32_t lanes;
    LLVMValueRef panel, column,
        out; /* bytes of the panel, the first column of the vector, and where its element (0, column) goes */
    /* Of the block at hand: 2^23 and the zero point, the scale; 2^23 and 16 times the zero point, a sixteenth of the scale. */
    LLVMValueRef zero[2], scale[2];
    vj_table table;
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

static LLVMValueRef same_word(const widening *w, uint32_t word) {
    return vj_splat(w->g, LLVMConstInt(w->g->i32, word, false), w->lanes);
}

static LLVMValueRef same_float(const widening *w, double x) { return vj_splat(w->g, vj_f32(w->g, x), w->lanes); }

#define TWO_TO_23  0x1p23
#define BITS_OF_IT 0x4b000000u
enum { LOW = 0, HIGH = 1 }; /* halves of a byte; whole bytes are as the low one */

static LLVMValueRef value_of(const widening *w, LLVMValueRef word, int32_t half) {
    const vj_gen *g = w->g;
    if (w->blocks->table) return LLVMBuildFMul(g->b, vj_look_up_float(g, &w->table, word, half * 4), w->scale[LOW], "");
    word = LLVMBuildAnd(g->b, word, same_word(w, w->blocks->bits == 8 ? 255 : 15U << half * 4), "");
    LLVMValueRef x = LLVMBuildOr(g->b, word, same_word(w, BITS_OF_IT), "");
    x = LLVMBuildBitCast(g->b, x, vj_vector_type(g, VJ_F32, w->lanes), "");
    return LLVMBuildFMul(g->b, LLVMBuildFSub(g->b, x, w->zero[half], ""), w->scale[half], "");
}

/* The values at k and k + 1, which is even. */
static void values_at(const widening *w, LLVMValueRef k, LLVMValueRef value[2]) {
    const vj_gen *g = w->g;
    LLVMValueRef first = vj_i64(g, vj_blocks_number(w->blocks, 0, 0));
    if (w->blocks->bits == 4) {
        LLVMValueRef at = LLVMBuildMul(g->b, k, vj_i64(g, VJ_PANEL / 2), "");
        LLVMValueRef both = as_i32(w, bytes_at(w, LLVMBuildAdd(g->b, at, first, "")));
        value[0] = value_of(w, both, LOW);
        value[1] = value_of(w, both, HIGH);
        return;
    }
    LLVMValueRef at = LLVMBuildAdd(g->b, LLVMBuildMul(g->b, k, vj_i64(g, VJ_PANEL), ""), first, "");
    value[0] = value_of(w, as_i32(w, bytes_at(w, at)), LOW);
    value[1] = value_of(w, as_i32(w, bytes_at(w, LLVMBuildAdd(g->b, at, vj_i64(g, VJ_PANEL), ""))), LOW);
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
    vj_store_vector(g, at, vj_to_bf16_pairs(g, value[0], value[1], w->lanes), NULL);
}

/* Elements of k in the body of the loop over a block. */
static int32_t step_of(const vj_blocks *blocks) { return blocks->block % 8 == 0 ? 8 : 2; }

/* What all numbers of a block share. */
static void load_block(widening *w, LLVMValueRef number) {
    vj_gen *g = w->g;
    LLVMValueRef row = LLVMBuildMul(g->b, number, vj_i64(g, VJ_PANEL), "");
    LLVMValueRef scale = vj_element(g, w->panel, VJ_F32, LLVMBuildAdd(g->b, row, w->column, ""));
    w->scale[LOW] = vj_load_vector(g, scale, VJ_F32, w->lanes, NULL, NULL);
    if (w->blocks->table) return;
    LLVMValueRef zero = as_i32(w, bytes_at(w, LLVMBuildAdd(g->b, row, vj_i64(g, vj_blocks_zero(w->blocks, 0, 0)), "")));
    zero = LLVMBuildUIToFP(g->b, zero, vj_vector_type(g, VJ_F32, w->lanes), "");
    w->zero[LOW] = LLVMBuildFAdd(g->b, zero, same_float(w, TWO_TO_23), "");
    w->zero[HIGH] = LLVMBuildFAdd(g->b, LLVMBuildFMul(g->b, zero, same_float(w, 16), ""), same_float(w, TWO_TO_23), "");
    w->scale[HIGH] = LLVMBuildFMul(g->b, w->scale[LOW], same_float(w, 0x1p-4), "");
}

static void widen_block(widening *w, LLVMValueRef number) {
    vj_gen *g = w->g;
    const int32_t step = step_of(w->blocks);
    load_block(w, number);
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
    if (blocks->table) w.table = vj_load_table(g, vj_bytes_on(g, panel, vj_i64(g, vj_blocks_table(blocks))), lanes);
    vj_loop loop;
    vj_loop_begin(g, &loop, vj_i64(g, 0), vj_i64(g, vj_blocks_count(blocks)), 1, true, NULL, 0);
    widen_block(&w, loop.index);
    vj_loop_end(g, &loop, NULL);
    clear_rest(&w);
}
