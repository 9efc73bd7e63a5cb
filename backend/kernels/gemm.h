/* SPDX-License-Identifier: Apache-2.0 */
/* gemm.h - private to the gemm generator.
 *
 * gemm.c        units, columns and row tiles: the loops around a tile
 * gemm_tile.c   a tile: the place of its elements, and its walk through the whole depth, which micro.h multiplies along
 * gemm_blocks.c bytes by blocks: from the sums of a block to those of the whole depth
 * gemm_units.c  units on a matrix unit: the loops around a block of its tiles, and what is done beside them
 * gemm_tiles.c  a block's walk through the whole of the depth
 * gemm_store.c  the epilogue: results from accumulators, transposed where the result's rows are adjacent
 */
#ifndef VITJIT_BACKEND_KERNELS_GEMM_H
#define VITJIT_BACKEND_KERNELS_GEMM_H

#include "backend/emit/tiles.h"
#include "micro.h"

/* How the elements of A are found. */
typedef enum vj_a_mode {
    VJ_A_AFFINE,   /* one pointer, constant row stride */
    VJ_A_POINTERS, /* a pointer a row, new for each step of the outer depth axes: terms that the innermost does not move
                    */
    VJ_A_ANY       /* every element by vj_emit_load */
} vj_a_mode;
typedef enum vj_b_mode { VJ_B_PANELS, VJ_B_ROWS, VJ_B_ANY } vj_b_mode;

/* Depth axes, adjacent ones merged where that is one walk through both A and B. */
typedef struct vj_depth {
    int32_t axis; /* the innermost of those merged */
    int64_t extent;
    int64_t a, b; /* strides */
} vj_depth;

typedef struct vj_gemm {
    vj_gen *g;
    const vj_kernel *k;
    const vj_gemm_schedule *s;
    int32_t lanes;
    vj_axes rows, outer_rows, cols,
        depth_axes;              /* outer_rows: the row axes but the last, none with the schedule's flat_rows */
    int64_t row_extent;          /* points that tiles run along */
    int32_t inner_row, last_col; /* the last row axis, which tiles run along, and the last column axis */
    int64_t n, depth;            /* points of all columns, of all depth axes */
    vj_a_mode a_mode;
    vj_b_mode b_mode;
    vj_micro micro;
    vj_dtype sum; /* of the whole depth */
    int32_t depth_count;
    vj_depth depths[VJ_MAX_AXES];
    LLVMValueRef a, b, steps; /* parameters; steps: the operand S, or NULL */
    vj_blocks blocks;         /* of B, */
    LLVMValueRef
        wide; /* whose panels are widened to the stack, for a tile's columns or, VJ_FORM_TILES, a unit's; NULL: it has none */
    LLVMValueRef start; /* with steps: what the sums of each block begin with, i32, as blocks have scales */
    bool ragged;        /* vectors straddle the last column axis: results go through `tile` */
    LLVMValueRef tile;  /* of sums, on the stack: ragged, or the schedule's looped_store; VJ_FORM_TILES: of two units */
    vj_tile_unit unit;  /* VJ_FORM_TILES */
    LLVMValueRef
        rest; /* VJ_FORM_TILES: the last step of A, where it is no whole one; the schedule's gathered: rows of A */
    LLVMValueRef outside; /* VJ_A_POINTERS with guards: a row of A's value outside */
} vj_gemm;

/* One tile: what is known when its code is made, and its place at run time. */
typedef struct vj_gemm_tile {
    int32_t height, width;
    int32_t last_lanes;                               /* columns of the last vector */
    LLVMValueRef first_col;                           /* number of the first column */
    LLVMValueRef row;                                 /* of the inner row axis, or of all with flat_rows */
    LLVMValueRef index[VJ_MAX_AXES];                  /* batch and outer row axes */
    LLVMValueRef col_index[VJ_MAX_TILE][VJ_MAX_AXES]; /* column axes at lane 0 of each vector */
    LLVMValueRef fetch;                               /* where to prefetch from; NULL: nowhere */
    LLVMValueRef sums;                                /* where they are kept, rows of vj_gemm_pitch */
} vj_gemm_tile;

static inline int32_t vj_tile_lanes(const vj_gemm *m, const vj_gemm_tile *t, int32_t j) {
    return j == t->width - 1 ? t->last_lanes : m->lanes;
}

/* Columns of a row of `tile`: those of matrix units are whole panels. */
static inline int64_t vj_gemm_pitch(const vj_gemm *m, const vj_gemm_tile *t) {
    const int64_t columns = (int64_t)t->width * m->lanes;
    return m->s->form == VJ_FORM_TILES ? vj_round_up(columns, VJ_PANEL) : columns;
}

/* gemm_tile.c */

/* Widens the panels of a tile, or a unit, of these columns. */
void vj_gemm_widen(const vj_gemm *m, const vj_gemm_tile *t);

/* The point of row r and vector j: indices of rows and columns. */
void vj_gemm_point(const vj_gemm *m, const vj_gemm_tile *t, int32_t r, int32_t j, vj_point *point);
/* The indices of point `number` of the axes, the last fastest. */
void vj_gemm_unflatten(const vj_gemm *m, LLVMValueRef number, vj_axes axes, LLVMValueRef *index);
/* Says which columns the tile has. */
void vj_gemm_place_columns(const vj_gemm *m, vj_gemm_tile *t, LLVMValueRef first, int64_t columns);
int64_t vj_gemm_row_tiles(const vj_gemm *m); /* of the inner row axis */

void vj_gemm_plan_depth(vj_gemm *m);
/* acc[r * width + j]: the sums of the whole depth. */
void vj_gemm_accumulate(const vj_gemm *m, const vj_gemm_tile *t, LLVMValueRef *acc);

/* gemm_blocks.c: adds a block of bytes, the sums of which are in `part`, to the sums of the whole depth; and what those begin with */

typedef struct vj_gemm_block {
    LLVMValueRef number;       /* of the block; */
    LLVMValueRef start, scale; /* its first column's, in the first vector */
} vj_gemm_block;
vj_gemm_block vj_gemm_block_at(const vj_gemm *m, const vj_gemm_tile *t, LLVMValueRef number);
void vj_gemm_begin_block(const vj_gemm *m, const vj_gemm_tile *t, const vj_gemm_block *block, LLVMValueRef *part);
/* `step`: of each row, in all lanes. */
void vj_gemm_add_bytes(const vj_gemm *m, const vj_gemm_tile *t, const vj_gemm_block *block, const LLVMValueRef *step,
                       const LLVMValueRef *part, LLVMValueRef *acc);

/* gemm_units.c */

void vj_gemm_by_tiles(vj_gemm *m);

/* gemm_tiles.c */

/* What is done beside the steps of a unit. `done` says how much of it was. */
typedef struct vj_gemm_beside vj_gemm_beside;
struct vj_gemm_beside {
    void (*at_load)(const vj_gemm_beside *self, LLVMValueRef done, int32_t load, int32_t of); /* a load of several */
    LLVMValueRef (*at_end)(const vj_gemm_beside *self, LLVMValueRef done, int32_t loads);     /* of a step of so many */
};

void vj_gemm_tiles_begin(vj_gemm *m);
/* Says which row, counted over all row axes, the tile is of. */
void vj_gemm_place_row(const vj_gemm *m, vj_gemm_tile *t, LLVMValueRef row);
/* The schedule's gathered: copies the rows of A that the block multiplies. */
void vj_gemm_gather(const vj_gemm *m, const vj_gemm_tile *t);
int32_t vj_gemm_tile_rows(const vj_gemm *m); /* of a tile; a block has at least as many */
int64_t vj_gemm_steps(const vj_gemm *m);     /* whole ones of the depth */
int32_t vj_gemm_step_loads(int32_t height, int32_t panels);
/* The sums of a block go to t->sums: those of the tile's rows by `panels` panels, from number `panel` of the tile's on. */
LLVMValueRef vj_gemm_add_block(const vj_gemm *m, const vj_gemm_tile *t, LLVMValueRef panel, int32_t panels,
                               const vj_gemm_beside *beside, LLVMValueRef done);

/* gemm_store.c */

void vj_gemm_plan_store(vj_gemm *m);
void vj_gemm_store(const vj_gemm *m, const vj_gemm_tile *t, const LLVMValueRef *acc);
/* The same for one row of t->sums, without the results that are transposed; and those, for the whole tile. */
void vj_gemm_store_row(const vj_gemm *m, const vj_gemm_tile *t);
void vj_gemm_store_turned(const vj_gemm *m, const vj_gemm_tile *t);
/* Are there results of the one kind, or of the other? */
bool vj_gemm_has_results(const vj_gemm *m, const vj_gemm_tile *t, bool turned);

#endif
