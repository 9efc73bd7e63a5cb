/* SPDX-License-Identifier: Apache-2.0 */
/* tiling.h - private to the schedule: what is decided for products on a matrix unit, and what blocks of weights take. */
#ifndef VITJIT_TARGET_TILING_H
#define VITJIT_TARGET_TILING_H

#include "schedule.h"

/* Cycles. A unit is worth handing to a thread from 2 us on; finer units than 20000 cycles are only made until there are enough for sixteen
 * threads to balance. */
#define VJ_UNIT_LEAST   6000.0
#define VJ_UNITS_ENOUGH 16
/* How many units work of so many cycles is worth. */
int64_t vj_wanted_units(double total);

static inline int32_t vj_last_of(vj_axes axes) { return axes.first + axes.count - 1; }

static inline int64_t vj_tile_count(const vj_gemm_schedule *s) {
    int64_t count = 0;
    for (int32_t i = 0; i < s->tile_kinds; i++)
        count += s->tiles[i].count;
    return count;
}

/* Panels of blocks are widened on the stack, for all columns of a tile; of more than a panel they have at most so many bytes. */
#define VJ_WIDENED_BYTES (512 << 10)
/* Bytes of a column there, of this type, of which there are so many parts; 0: B is no blocks. */
int64_t vj_widened_row(const vj_program *p, const vj_kernel *k, vj_dtype to, int32_t parts);
/* Bytes of B that a tile of so many columns reads, as they are stored. */
int64_t vj_tile_bytes(const vj_program *p, const vj_kernel *k, int64_t columns);

/* Can tiles multiply it? */
bool vj_suits_tiles(const vj_target *target, const vj_program *p, const vj_kernel *k, int32_t lanes);
/* Chooses tiles, of steps of so many elements; returns what a point of the outer row axes takes, in cycles. */
double vj_schedule_tiles(const vj_kernel *k, int32_t lanes, int64_t n, int64_t step, vj_gemm_schedule *s);
/* Cuts rows and columns: units as large as their sums may be, but for enough of them. A row of A has `row` bytes, as a column of B. */
void vj_cut_for_tiles(const vj_target *target, int64_t outer, int64_t rows, int64_t n, int64_t row, int64_t wanted,
                      vj_gemm_schedule *s);

/* Can tiles multiply both products of an attention? */
bool vj_attention_suits_tiles(const vj_target *target, const vj_program *p, const vj_kernel *k);
/* Cuts it. */
void vj_schedule_attention_tiles(vj_kernel *k, int32_t lanes, vj_attention_schedule *s);

#endif
