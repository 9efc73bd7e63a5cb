/* SPDX-License-Identifier: Apache-2.0 */
/* blocks.h - the layout of packed weights of 4 and 8 bits: numbers with a scale and a zero point for every block of the depth.
 *
 * Element (k, n) is (number - zero point) * scale, in f32; or, where numbers of 4 bits are places in a table (NF4, FP4), table[number] *
 * scale. Of a product of bfloat16 it is rounded to that. As in panels.h a panel is 16 columns over the whole depth, but of bytes, in three
 * parts, each of whole lines:
 *
 *     scales        f32, 16 for each block
 *     zero points   bytes, 16 for each block; or the table, 16 f32
 *     numbers       of 8 bits: 16 for each k; of 4 bits: 16 bytes for each pair of k, the first one in the low half
 *
 * The depth is padded to whole blocks by zero points, or places of a 0, so that what stands there is 0. The layout depends on K, N, the
 * bits, the block and whether there is a table alone. Whoever multiplies widens a panel once, for all rows, to a panel as panels.h has it.
 */
#ifndef VITJIT_IR_KERNEL_BLOCKS_H
#define VITJIT_IR_KERNEL_BLOCKS_H

#include "panels.h"

/* Blocks have an even number of elements, so that pairs do not straddle them. */
typedef struct vj_blocks {
    int32_t bits; /* 4 or 8 */
    int64_t block, depth;
    bool table; /* numbers, of 4 bits, are places in a table */
} vj_blocks;

enum { VJ_BLOCK_LINE = 64, VJ_LEAST_BLOCK = 16, VJ_BLOCK_TABLE = 16 };

/* A deeper product's panel would take too much of a stack when it is widened. */
#define VJ_BLOCKS_DEPTH 8192

/* Rows of a widened panel of this type: whole blocks, and all that panels of it have. */
static inline int64_t vj_blocks_rows(const vj_blocks *b, vj_dtype to) {
    return vj_max64(vj_round_up(b->depth, b->block), vj_panel_depth(to, b->depth));
}

static inline int64_t vj_blocks_count(const vj_blocks *b) { return vj_ceil_div(b->depth, b->block); }

/* Bytes from a panel's beginning on: the scale and the zero point of a block's column, the table, and what holds the number at k. */
static inline int64_t vj_blocks_scale(int64_t number, int64_t column) { return (number * VJ_PANEL + column) * 4; }
static inline int64_t vj_blocks_zero(const vj_blocks *b, int64_t number, int64_t column) {
    return vj_blocks_scale(vj_blocks_count(b), 0) + number * VJ_PANEL + column;
}
static inline int64_t vj_blocks_table(const vj_blocks *b) { return vj_blocks_scale(vj_blocks_count(b), 0); }
static inline int64_t vj_blocks_number(const vj_blocks *b, int64_t k, int64_t column) {
    const int64_t before =
        b->table ? vj_blocks_table(b) + VJ_BLOCK_TABLE * 4 : vj_blocks_zero(b, vj_blocks_count(b), 0);
    return vj_round_up(before, VJ_BLOCK_LINE) + (b->bits == 4 ? k / 2 : k) * VJ_PANEL + column;
}

static inline int64_t vj_blocks_panel(const vj_blocks *b) {
    return vj_round_up(vj_blocks_number(b, vj_blocks_count(b) * b->block, 0), VJ_BLOCK_LINE);
}

/* All bytes of N columns; false: the sizes make no sense, or are more than an int64_t holds. */
static inline bool vj_blocks_bytes(const vj_blocks *b, int64_t columns, int64_t *bytes) {
    if ((b->bits != 4 && (b->bits != 8 || b->table)) || b->block < VJ_LEAST_BLOCK || b->block % 2 != 0) return false;
    if (b->depth < 1 || b->depth > INT64_C(1) << 40 || b->block > INT64_C(1) << 40) return false;
    return vj_mul(vj_blocks_panel(b), vj_ceil_div(columns, VJ_PANEL), bytes);
}

#endif
