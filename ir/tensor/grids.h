/* SPDX-License-Identifier: Apache-2.0 */
/* grids.h - the grids of an attention whose scores and weights are quantised and dequantised again.
 *
 * Operand `grids` of the op attention is f32[count, VJ_GRID_NUMBERS]: a row is a grid. All but the last are of scores, one after another,
 * the last is of weights. A number x becomes
 *
 *     round(x / step), taken to [low, high], times size        (NaN: `none` times size)
 *
 * and a score is then added to the addend behind its grid. A step of 0 leaves x as it is. */
#ifndef VITJIT_IR_TENSOR_GRIDS_H
#define VITJIT_IR_TENSOR_GRIDS_H

#include <math.h>

#include "ir.h"

typedef struct vj_grid {
    double step, low, high, none, size;
} vj_grid;

enum { VJ_GRID_NUMBERS = 5, VJ_MOST_GRIDS = 5 };
/* Operands of the op: the grids, and behind them the addend of each grid of scores. */
enum { VJ_GRIDS_OPERAND = 5, VJ_FIRST_ADDEND = 6 };

static inline vj_grid vj_grid_of(const double numbers[VJ_GRID_NUMBERS]) {
    return (vj_grid){numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]};
}

static inline double vj_on_grid(const vj_grid *g, double x) {
    if (g->step == 0) return x;
    const double whole = nearbyint(x / g->step);
    return (isnan(whole) ? g->none : whole < g->low ? g->low : whole > g->high ? g->high : whole) * g->size;
}

/* The grids of an attention, of weights the last; returns how many there are, 0: none, -1: they cannot be read (they are no constants
 * without an error). */
int32_t vj_read_grids(const vj_func *f, const vj_node *attention, vj_grid grids[VJ_MOST_GRIDS], vj_error *error);
/* What is added behind grid i; VJ_NONE: nothing. */
static inline vj_value vj_addend_of(const vj_node *attention, int32_t i) {
    const int32_t operand = VJ_FIRST_ADDEND + i;
    return operand < attention->arg_count ? attention->args[operand] : VJ_NONE;
}

#endif
