/* SPDX-License-Identifier: Apache-2.0 */
/* panels.h - the layout of packed weights: B of a product, in the order in which micro-kernels read it.
 *
 * A panel is 16 columns over the whole depth. Of a type that products multiply in pairs or fours (dot products, matrix
 * tiles), the elements of a column that fill four bytes stand together: a group of k. So a group of a panel is a vector of 64 bytes,
 * whatever the type, and 16 groups are one tile of a matrix unit: pairs of bfloat16, fours of 8-bit integers. Float32 and float16, which is
 * widened as it is read, have groups of one.
 *
 * The last panel is padded with columns of zeros, and a depth in groups of more than one with zeros to whole tiles: what is
 * multiplied there is nothing, and never a NaN. The layout depends on K, N and the type alone, never on the rows or the CPU.
 */
#ifndef VITJIT_IR_KERNEL_PANELS_H
#define VITJIT_IR_KERNEL_PANELS_H

#include "ir/base/base.h"
#include "vitjit_dtype.h"

#define VJ_PANEL       16                   /* columns */
#define VJ_TILE_GROUPS 16                   /* groups of k in a tile */
#define VJ_STEP        (2 * VJ_TILE_GROUPS) /* the step of a product of tiles of bfloat16, see vj_panel_step */
#define VJ_MOST_GROUP  4

/* So many products of u8 and i8 add up to what an i32 holds. */
#define VJ_INTEGER_DEPTH (INT32_MAX / (255 * 128))

/* Elements of k that stand together. */
static inline int32_t vj_panel_group(vj_dtype dtype) { return dtype == VJ_I8 ? 4 : dtype == VJ_BF16 ? 2 : 1; }

/* Elements of k that a tile of a matrix unit holds of a row of A: a step of a product of tiles. */
static inline int64_t vj_panel_step(vj_dtype dtype) { return (int64_t)vj_panel_group(dtype) * VJ_TILE_GROUPS; }

/* K with the padding. */
static inline int64_t vj_panel_depth(vj_dtype dtype, int64_t depth) {
    const int32_t group = vj_panel_group(dtype);
    return group == 1 ? depth : vj_round_up(depth, vj_panel_step(dtype));
}

/* All elements of a K x N matrix, padding included; false: more than an int64_t holds. */
static inline bool vj_panel_elements(vj_dtype dtype, int64_t depth, int64_t columns, int64_t *elements) {
    return vj_mul(vj_panel_depth(dtype, depth), vj_round_up(columns, VJ_PANEL), elements);
}

/* Where element (k, n) of a matrix of `depth` rows stands. */
static inline int64_t vj_panel_at(vj_dtype dtype, int64_t depth, int64_t k, int64_t n) {
    const int64_t group = vj_panel_group(dtype);
    return (n / VJ_PANEL * vj_panel_depth(dtype, depth) + k / group * group) * VJ_PANEL + n % VJ_PANEL * group +
           k % group;
}

#endif
