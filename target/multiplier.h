/* SPDX-License-Identifier: Apache-2.0 */
/* multiplier.h - private to the schedule: how a target multiplies operands of some types, and what a step of it takes. */
#ifndef VITJIT_TARGET_MULTIPLIER_H
#define VITJIT_TARGET_MULTIPLIER_H

#include "schedule.h"

typedef struct vj_multiplier {
    const vj_target *target;
    vj_form form;
    int32_t products; /* instructions that a group of k takes for each vector of sums */
    int32_t group;    /* elements of k in it */
    bool widens;      /* operands are widened as they are loaded */
    int32_t parts;    /* rows that such a group of B has in widened panels */
    bool in_words;    /* bytes are multiplied and added in words first */
    int32_t block;    /* groups of k that bytes by blocks are added up over before they become floats; else 0 */
} vj_multiplier;

/* With so many accumulators a step of k is long enough to hide the loop's own instructions. */
#define VJ_LARGE_TILE 20

static inline double vj_larger_of(double a, double b) { return a > b ? a : b; }

vj_multiplier vj_multiplier_of(const vj_target *target, vj_dtype a, vj_dtype b, bool packed, int32_t lanes);
/* Of bytes by blocks. */
void vj_multiply_by_blocks(vj_multiplier *m, const vj_blocks *blocks, int32_t lanes);
/* A group of k on a tile of height x width vectors takes so many cycles. */
double vj_step_cycles(const vj_multiplier *m, int32_t height, int32_t width);
/* How many rows of accumulators fit beside `width` vectors of B, a broadcast and, where multiplying and adding are two
 * instructions, a product. */
int32_t vj_most_rows(const vj_multiplier *m, int32_t width);
/* Groups of a block in a loop's body: all of a short one. */
int32_t vj_block_unroll(const vj_multiplier *m);

#endif
