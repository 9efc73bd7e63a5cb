/* SPDX-License-Identifier: Apache-2.0 */
/* schedule.h - decisions: how a kernel is cut into tiles and units on a target. A schedule is a small struct that can be
 * printed, tested and overridden; the generators only carry it out.
 *
 * gemm rows: the last row axis (the inner rows) is cut into tiles: `tiles[i].count` times `tiles[i].height` rows, whose
 * sum is its extent; the other row axes are loops. Columns: tiles of `width` vectors; the rest of N narrower.
 * Every variant of a tile adds k in the same order, so results do not depend on the cut.
 */
#ifndef VITJIT_TARGET_SCHEDULE_H
#define VITJIT_TARGET_SCHEDULE_H

#include "target.h"

/* How products are multiplied: by multiply-adds of what is widened to f32, by dot products of groups of k, or by tiles of a matrix
 * unit. */
typedef enum vj_form { VJ_FORM_FMA, VJ_FORM_DOT, VJ_FORM_TILES } vj_form;

/* With tiles a product's tile has at most so many rows and columns: of three tiles of A and two of B, that is six of sums. */
#define VJ_BLOCK_ROWS    48
#define VJ_TILED_COLUMNS 32
/* And an attention's so many queries, of two tiles. */
#define VJ_TILED_ROWS 32

#define VJ_MAX_TILE_KINDS 3
typedef struct vj_tile_rows {
    int32_t height;
    int32_t count;
} vj_tile_rows;

typedef struct vj_gemm_schedule {
    vj_form form;
    int32_t lanes; /* of a vector of columns: fewer than a register's where a plain B is read by several axes */
    int32_t width; /* vectors of columns in a full tile */
    int32_t tile_kinds;
    vj_tile_rows tiles[VJ_MAX_TILE_KINDS];
    int32_t k_unroll;       /* groups of k in a loop's body */
    int32_t unit_col_tiles; /* how many column tiles a unit has */
    /* Into how many pieces the row tiles are cut for units; 1: not at all. With tiles: points of the outer row axes, and where there
     * are fewer of them, equally many pieces of each. */
    int32_t unit_row_blocks;
    /* Bytes of the next panel fetched an element of k, with tiles lines a step of a largest tile; 0: none. */
    int32_t prefetch;
    bool looped_store; /* results by a loop over a copy of the tile on the stack: long epilogues, shorter code */
    /* With tiles: they run along all row axes as one, not along the last alone; and rows of A, which are no one distance apart,
     * are copied side by side, a tile at a time. */
    bool flat_rows, gathered;
    /* With tiles: all panels pass by a block of rows before the next, as A is too large to stay near. */
    bool panels_pass;
} vj_gemm_schedule;

typedef struct vj_attention_schedule {
    vj_form form;
    int32_t query_block;    /* rows of scores at a time */
    int64_t key_block;      /* keys at a time, whole tiles; with fewer keys than that there are no blocks of them */
    int32_t height;         /* rows of a tile, at most */
    int32_t width;          /* vectors of keys (or of value dims) in a tile */
    int32_t units_per_head; /* query blocks are dealt to so many units of each head */
} vj_attention_schedule;

/* Rows of at most so many points (a window of 7 x 7) are written out. */
#define VJ_SHORT_ROW 50
#define VJ_MAX_BLOCK 8
typedef struct vj_nest_schedule {
    int32_t vector_axis; /* the axis that lanes run along; -1: scalar code */
    bool vector_is_row;  /* it is a row axis: reductions end with a horizontal step */
    int64_t unit_points; /* outer points a unit */
    int32_t block;       /* windows: so many neighbours along block_axis are computed together; else 1 */
    int32_t block_axis;  /* outer; -1: none */
    /* Squares of `block` vectors: of values that are made along vector_axis and rounded to a half that is stored along block_axis. */
    bool turned;
} vj_nest_schedule;

struct vj_schedule {
    vj_gemm_schedule gemm;
    vj_attention_schedule attention;
    vj_nest_schedule nest;
};

/* schedule.c: decides, and sets the kernel's schedule, units and unit_cost. */
void vj_schedule_kernel(vj_arena *arena, const vj_target *target, const vj_program *p, vj_kernel *k);
/* Cuts `rows` rows into tiles of at most `max_height`, which fit the registers: the fewest tiles, of heights that differ by
 * at most one. So 197 rows by 14 become 2 tiles of 14 rows and 13 of 13. Makes one or two kinds. */
void vj_tile_mix(int64_t rows, int32_t max_height, vj_gemm_schedule *schedule);
/* The same on tiles: as many tiles of VJ_BLOCK_ROWS as there are, and one of the rest. */
void vj_tiled_mix(int64_t rows, vj_gemm_schedule *schedule);
/* Bytes of a row of A that is copied for tiles: whole slices, and an odd number of lines, so that rows share no sets of a cache. */
static inline int64_t vj_gathered_row(int64_t depth, int64_t step) {
    const int64_t lines = vj_ceil_div(depth, step);
    return (lines | 1) * 64;
}
/* How many groups of k the body of a loop over them has: fewer of those that are multiplied element by element. */
int32_t vj_k_unroll(const vj_target *target, int32_t accumulators, int32_t products);
/* What was decided in a line: tile 13x32, row mix 5x13 + 11x12, ... */
char *vj_schedule_text(vj_arena *arena, const vj_kernel *k);

#endif
