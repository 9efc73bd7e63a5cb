/* SPDX-License-Identifier: Apache-2.0 */
/* pack_blocks.h - private to packing weights. */
#ifndef VITJIT_COMPILER_PACK_BLOCKS_H
#define VITJIT_COMPILER_PACK_BLOCKS_H

#include "passes/passes.h"

/* Where some values of a group of subaxes stand: the lowest at base, all at base + offset[i] with offset[i] in [0, span). */
typedef struct vj_side {
    int64_t *offset, count, base, span;
} vj_side;
/* Values [first, first + count) of the group. */
vj_side vj_side_of(vj_arena *arena, int32_t rank, const int64_t *extent, const int64_t *stride, int64_t first,
                   int64_t count);

/* Panels of blocks of `columns` columns from `first`, whole panels, on. */
bool vj_pack_blocks(vj_weight_reader *reader, const vj_func *f, vj_arena *arena, const vj_weight *w, int64_t first,
                    int64_t columns, uint8_t *to, vj_error *error) VJ_MUST_USE;

#endif
