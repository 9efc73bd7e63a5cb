/* SPDX-License-Identifier: Apache-2.0 */
/* tiles.h - the tiles of a matrix unit (AMX), by their instructions or by a twin that computes the same bits in memory.
 *
 * There are eight tiles of at most 16 rows of 64 bytes. A configuration says how many rows each has; rows are whole here. Tiles
 * belong to a thread; ldtilecfg clears them, tilerelease gives them back.
 */
#ifndef VITJIT_BACKEND_EMIT_TILES_H
#define VITJIT_BACKEND_EMIT_TILES_H

#include "gen.h"

#define VJ_TILES     8
#define VJ_TILE_ROWS 16
#define VJ_TILE_ROW  64 /* bytes */

typedef struct vj_tile_unit {
    vj_gen *g;
    LLVMValueRef memory;         /* the configuration; of the twin, its tiles */
    LLVMValueRef rows[VJ_TILES]; /* of the configuration at hand, i64; NULL: the tile is not used */
} vj_tile_unit;

/* Makes room on the stack. */
vj_tile_unit vj_tiles_new(vj_gen *g);
/* 1 to 16 rows each, which may be known at run time alone. */
void vj_tiles_configure(vj_tile_unit *u, const LLVMValueRef rows[VJ_TILES]);
void vj_tile_zero(const vj_tile_unit *u, int32_t tile);
/* Rows stand `stride` bytes apart (an i64). */
void vj_tile_load(const vj_tile_unit *u, int32_t tile, LLVMValueRef pointer, LLVMValueRef stride);
void vj_tile_store(const vj_tile_unit *u, int32_t tile, LLVMValueRef pointer, LLVMValueRef stride);
/* sum[m][n] += the products of the 16 pairs of bfloat16 in row m of a with the pairs (k, n) of b. */
void vj_tile_dot_bf16(const vj_tile_unit *u, int32_t sum, int32_t a, int32_t b);
/* The same of 16 fours of u8 and of i8; sums are i32, and exact. */
void vj_tile_dot_u8_i8(const vj_tile_unit *u, int32_t sum, int32_t a, int32_t b);
void vj_tiles_release(const vj_tile_unit *u);

#endif
