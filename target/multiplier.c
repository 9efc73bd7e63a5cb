/* SPDX-License-Identifier: Apache-2.0 */
/* multiplier.c - how a target multiplies, and how many sums its registers hold. */
#include "multiplier.h"

/* Without broadcasts from memory, A's elements take registers too. */
#define FEW_ACCUMULATORS 24
/* And what is widened takes some more. */
#define FEW_WIDENED 20
/* With 28 sums, two vectors of B and a broadcast, 31 of 32 registers are taken, and in some loops LLVM moves half of the sums to
 * the stack. */
#define MAX_ACCUMULATORS 26
#define MULADD_LATENCY   4.0
/* Instructions that multiply take so many slots for four integers where they are multiplied in pairs of words, and added apart. */
#define INTEGER_PRODUCTS 3
/* And so many where bytes are. */
#define WORD_PRODUCTS 1
/* Dot products of narrower vectors are no instructions. */
#define LEAST_DOT_LANES 4
/* The sums of a block become floats, are scaled and added, by so many instructions. */
#define ADD_BLOCK 3
/* Groups in the body of a loop over a block, of more of them. */
#define BLOCK_UNROLL 8

vj_multiplier vj_multiplier_of(const vj_target *target, vj_dtype a, vj_dtype b, bool packed, int32_t lanes) {
    const int32_t group = packed ? vj_panel_group(b) : b == VJ_BF16 ? 2 : 1;
    const bool dot = a == VJ_BF16 && b == VJ_BF16 && target->dot != VJ_DOT_NONE && lanes >= LEAST_DOT_LANES;
    const bool whole = target->dot8 == VJ_DOT8_VNNI || target->dot8 == VJ_DOT8_USDOT;
    if (dot) return (vj_multiplier){target, VJ_FORM_DOT, 1, group, false, 1, false, 0};
    if (b == VJ_I8)
        return (vj_multiplier){target, VJ_FORM_DOT, whole ? 1 : INTEGER_PRODUCTS, group, !whole, 1, false, 0};
    return (vj_multiplier){target, VJ_FORM_FMA, group, group, b != VJ_F32, 1, false, 0};
}

void vj_multiply_by_blocks(vj_multiplier *m, const vj_blocks *blocks, int32_t lanes) {
    m->block = (int32_t)(blocks->block / m->group);
    m->in_words = m->target->dot8 == VJ_DOT8_BYTES && blocks->bits == 4 && lanes >= LEAST_DOT_LANES;
    if (!m->in_words) {
        m->parts = vj_dot8_parts(vj_dot8_of(m->target, lanes));
        return;
    }
    m->products = WORD_PRODUCTS;
    m->widens = false;
}

double vj_step_cycles(const vj_multiplier *m, int32_t height, int32_t width) {
    const double products = height * width / 2.0, loads = (height + width) / 2.0;
    /* Narrow vectors: loads and moves of lanes take issue slots from the products, and so does what is widened. */
    const double moves = m->target->broadcast_operand && !m->widens ? 0 : 0.2 * loads;
    /* Groups in parts: each is multiplied and added by two instructions, four of which go a cycle, as what takes A's apart does. B's
     * come from the second level, where deep panels are. */
    const double parted = (2.0 * height * width + height + 3.0 * width) * m->parts / 4 + height / 4.0;
    const double whole = m->products * vj_larger_of(vj_larger_of(products, loads) + moves, MULADD_LATENCY);
    const double step = m->parts > 1 ? parted : whole;
    return m->block ? step + ADD_BLOCK * products / m->block : step;
}

/* One register stays free: without it the allocator moves accumulators about and spills some. */
int32_t vj_most_rows(const vj_multiplier *m, int32_t width) {
    const vj_target *target = m->target;
    /* Registers that a row takes: sums of the whole depth, of a block, of words. */
    const int32_t each = (1 + (m->block > 0) + m->in_words) * width;
    /* There are height x width sums, height + width operands, a product, and a register that the engine keeps. */
    if (target->machine->recompiled) return (target->registers - 2 - width) / (each + 1);
    const int32_t others = target->muladd == VJ_MULADD_FMA ? 2 : 3;
    const bool one_more = m->widens && target->broadcast_operand; /* a broadcast from memory would have taken none */
    int32_t height = (target->registers - others - one_more - width * m->parts - (m->parts > 1)) / each;
    const bool many = target->registers > FEW_ACCUMULATORS; /* with fewer registers the first bound is the lower */
    const int32_t narrow = (m->widens || m->block) && many ? FEW_WIDENED : FEW_ACCUMULATORS;
    const int32_t most = target->broadcast_operand && !m->in_words ? MAX_ACCUMULATORS : narrow;
    if (height * each > most) height = most / each;
    return height;
}

int32_t vj_block_unroll(const vj_multiplier *m) {
    return m->target->machine->recompiled ? 1 : (int32_t)vj_min64(m->block, BLOCK_UNROLL);
}

int32_t vj_k_unroll(const vj_target *target, int32_t accumulators, int32_t products) {
    if (target->machine->recompiled) return 1;
    return (int32_t)vj_max64(1, (accumulators >= VJ_LARGE_TILE ? 2 : 4) / products);
}
