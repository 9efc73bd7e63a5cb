/* SPDX-License-Identifier: Apache-2.0 */
/* block_bytes.c - panels of blocks (ir/kernel/blocks.h), widened to groups of four bytes, as products of bytes read them: the differences of
 * numbers and zero points, which fit into signed bytes. Beside them, for each column of a block, what its sums begin with: A's bytes stand
 * 128 above what they are, so it is -128 times the sum of the differences. */
#include "gen.h"

typedef struct widening {
    vj_gen *g;
    const vj_blocks *blocks;
    int32_t lanes;
    LLVMValueRef panel, column; /* bytes of the panel, the first column of the vector */
    LLVMValueRef out, start;    /* where its group 0 goes, and the start of block 0 */
    int32_t parts;              /* that a group is stored in, a row of 16 lanes each; 1: as it is */
    LLVMValueRef zero;          /* of the block at hand, in each byte */
} widening;

enum { GROUP = 4 };

static LLVMValueRef same_word(const widening *w, uint32_t word) {
    return vj_splat(w->g, LLVMConstInt(w->g->i32, word, false), w->lanes);
}

/* `lanes` bytes of the panel, so many from its beginning on, a lane each. */
static LLVMValueRef bytes_at(const widening *w, LLVMValueRef at) {
    const vj_gen *g = w->g;
    LLVMValueRef from = vj_bytes_on(g, w->panel, LLVMBuildAdd(g->b, at, w->column, ""));
    LLVMValueRef bytes = vj_load_vector(g, from, VJ_U8, w->lanes, NULL, NULL);
    return LLVMBuildZExt(g->b, bytes, vj_vector_type(g, VJ_I32, w->lanes), "");
}

static LLVMValueRef up(const widening *w, LLVMValueRef x, uint32_t bits) {
    return bits ? LLVMBuildShl(w->g->b, x, same_word(w, bits), "") : x;
}

/* The four numbers from k on, a multiple of four. */
static LLVMValueRef numbers_at(const widening *w, LLVMValueRef k) {
    const vj_gen *g = w->g;
    const int64_t each = w->blocks->bits == 4 ? 2 : 1; /* elements of k in a row of bytes */
    LLVMValueRef first = LLVMBuildMul(g->b, k, vj_i64(g, VJ_PANEL / each), ""), all = NULL;
    first = LLVMBuildAdd(g->b, first, vj_i64(g, vj_blocks_number(w->blocks, 0, 0)), "");
    for (uint32_t row = 0; row < GROUP / each; row++) {
        LLVMValueRef x = bytes_at(w, LLVMBuildAdd(g->b, first, vj_i64(g, row * VJ_PANEL), ""));
        if (each == 2) {
            LLVMValueRef low = LLVMBuildAnd(g->b, x, same_word(w, 15), "");
            LLVMValueRef high = LLVMBuildAnd(g->b, x, same_word(w, 15 << 4), "");
            x = LLVMBuildOr(g->b, low, up(w, high, 4), "");
        }
        x = up(w, x, row * 8 * (uint32_t)each);
        all = all ? LLVMBuildOr(g->b, all, x, "") : x;
    }
    return all;
}

static LLVMValueRef as_bytes(const widening *w, LLVMValueRef x) {
    return LLVMBuildBitCast(w->g->b, x, LLVMVectorType(w->g->i8, (unsigned)(w->lanes * GROUP)), "");
}

static LLVMValueRef differences_at(const widening *w, LLVMValueRef k) {
    const vj_gen *g = w->g;
    LLVMValueRef x = LLVMBuildSub(g->b, as_bytes(w, numbers_at(w, k)), as_bytes(w, w->zero), "");
    return LLVMBuildBitCast(g->b, x, vj_vector_type(g, VJ_I32, w->lanes), "");
}

static void widen_block(widening *w, LLVMValueRef number) {
    vj_gen *g = w->g;
    LLVMValueRef row = LLVMBuildMul(g->b, number, vj_i64(g, VJ_PANEL), "");
    LLVMValueRef zero = bytes_at(w, LLVMBuildAdd(g->b, row, vj_i64(g, vj_blocks_zero(w->blocks, 0, 0)), ""));
    w->zero = LLVMBuildMul(g->b, zero, same_word(w, 0x01010101), "");
    LLVMValueRef first = LLVMBuildMul(g->b, number, vj_i64(g, w->blocks->block), "");
    LLVMValueRef sum = LLVMConstNull(vj_vector_type(g, VJ_I32, w->lanes));
    const vj_fours ones = vj_fours_of(g, same_word(w, 0x01010101), false);
    vj_loop loop;
    vj_loop_begin(g, &loop, vj_i64(g, 0), vj_i64(g, w->blocks->block), GROUP, true, &sum, 1);
    LLVMValueRef k = LLVMBuildAdd(g->b, first, loop.index, ""), x = differences_at(w, k);
    const vj_fours fours = vj_fours_of(g, x, true);
    LLVMValueRef at = vj_bytes_on(g, w->out, LLVMBuildMul(g->b, k, vj_i64(g, VJ_PANEL * w->parts), ""));
    for (int32_t i = 0; i < w->parts; i++) {
        LLVMValueRef part = w->parts == 1 ? x : LLVMBuildBitCast(g->b, fours.part[i], LLVMTypeOf(x), "");
        vj_store_vector(g, vj_bytes_on(g, at, vj_i64(g, i * VJ_PANEL * GROUP)), part, NULL);
    }
    sum = vj_dot_fours(g, loop.carried[0], &ones, &fours);
    vj_loop_end(g, &loop, &sum);
    LLVMValueRef start =
        LLVMBuildNeg(g->b, LLVMBuildMul(g->b, loop.carried[0], same_word(w, VJ_ZERO_OF_BLOCK), ""), "");
    vj_store_vector(g, vj_element(g, w->start, VJ_I32, row), start, NULL);
}

void vj_widen_to_bytes(vj_gen *g, const vj_blocks *blocks, int32_t parts, LLVMValueRef panel, LLVMValueRef column,
                       int32_t lanes, LLVMValueRef out, LLVMValueRef start) {
    widening w = {.g = g, .blocks = blocks, .lanes = lanes, .parts = parts, .panel = panel, .column = column};
    w.out = vj_bytes_on(g, out, LLVMBuildMul(g->b, column, vj_i64(g, GROUP), ""));
    w.start = vj_element(g, start, VJ_I32, column);
    vj_loop loop;
    vj_loop_begin(g, &loop, vj_i64(g, 0), vj_i64(g, vj_blocks_count(blocks)), 1, true, NULL, 0);
    widen_block(&w, loop.index);
    vj_loop_end(g, &loop, NULL);
}
