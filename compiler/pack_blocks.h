/* pack_blocks.h - private to packing weights. */
#ifndef VITJIT_COMPILER_PACK_BLOCKS_H
#define VITJIT_COMPILER_PACK_BLOCKS_H

#include "passes/passes.h"

/* Panels of blocks of `columns` columns from `first`, whole panels, on. */
bool vj_pack_blocks(vj_weight_reader *reader, const vj_func *f, vj_arena *arena, const vj_weight *w, int64_t first,
                    int64_t columns, uint8_t *to, vj_error *error) VJ_MUST_USE;

#endif
