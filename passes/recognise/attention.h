/* SPDX-License-Identifier: Apache-2.0 */
/* attention.h - what attention*.c share: the walk from the weights of an attention up to the product of q and k. */
#ifndef VITJIT_PASSES_RECOGNISE_ATTENTION_H
#define VITJIT_PASSES_RECOGNISE_ATTENTION_H

#include "ir/tensor/grids.h"
#include "passes/rewrite/rewrite.h"

/* attention_moves.c: the movement ops that were passed on the way up, nearest to the attention first. What was found
 * above them is brought down through them, so that it stands in the attention's own axes [.., queries, keys]. */

enum { VJ_MOVES = 8 };
typedef struct vj_move {
    bool is_reshape;
    int64_t perm[VJ_MAX_RANK]; /* a transpose's */
    vj_type from, to;          /* above it, below it */
} vj_move;
typedef struct vj_moves {
    vj_move at[VJ_MOVES];
    int32_t count;
} vj_moves;
/* Passes one more; false: there are too many. Neighbours that are one move become one, or none. */
bool vj_pass_reshape(vj_moves *moves, const vj_type *from, const vj_type *to);
bool vj_pass_transpose(vj_moves *moves, const vj_type *from, const int64_t *perm, const vj_type *to);
/* v, which broadcasts to the dims above all moves, below them all; VJ_NONE when it cannot be said. */
vj_value vj_bring_down(vj_func *f, const vj_moves *moves, vj_value v);
/* The same for an operand of a product: its dims are those above, but axis *axis has another size. *axis follows. */
vj_value vj_bring_operand_down(vj_func *f, const vj_moves *moves, vj_value v, int32_t rank, int32_t *axis);

/* attention_walk.c */

/* score = select(keep, (q k^T) * scale * factor + bias, fill), and then from grid to grid. Values are in the attention's axes. */
typedef struct vj_scores {
    vj_func *f;
    vj_moves moves;
    double scale;
    vj_value factor;    /* VJ_NONE, or broadcasts to the scores, with one query or one key */
    vj_value bias;      /* VJ_NONE: none */
    vj_value keep;      /* VJ_NONE: all are kept */
    double fill;        /* with keep */
    bool empty_is_zero; /* a row of NaN weights counts as zeros */
    int32_t grids; /* of scores, and what is added behind each (VJ_NONE: nothing); the nearest to the softmax first */
    vj_grid grid[VJ_MOST_GRIDS];
    vj_value addend[VJ_MOST_GRIDS];
    bool rounds_weights;
    vj_grid weights; /* the grid of weights, whose size is 1; and by what they are multiplied behind it */
    double factor_of_weights;
    vj_value softmax;   /* its result */
    vj_value product;   /* of q and k */
    const char *reason; /* why this is no attention */
} vj_scores;
/* From a product's operand, which `moves` brought to the attention's axes, up to the product of q and k. */
bool vj_walk_up(vj_scores *s, vj_value weights);

/* attention_grids.c */

/* x, if v is that rounded and taken to a range: a grid, with a step and a size of 1; VJ_NONE: it is not. */
vj_value vj_rounded_on_grid(const vj_func *f, vj_value v, vj_grid *grid);
/* x, or what x divides by a number, which becomes the step. */
vj_value vj_divided_by_step(const vj_func *f, vj_value x, vj_grid *grid);
/* Does nothing else read what the grid v is made of? */
bool vj_reads_grid_alone(const vj_func *f, vj_value v);
/* bf16, with eight digits, holds all whole numbers up to this. */
#define VJ_EXACT_IN_BF16 256
/* Is v moved from whole numbers that are the same in bf16? Then v made of bf16. */
bool vj_is_small_whole(const vj_func *f, vj_value v);
vj_value vj_in_bf16(vj_func *f, vj_value v);
/* Factors of attentions that vj_in_bf16 made are all that is kept of what they are made of: its other readers widen them. */
void vj_share_bf16(vj_pass_context *c);
/* v on a grid, written out. */
vj_value vj_make_on_grid(vj_func *f, vj_value v, const vj_grid *grid, const vj_origin *origin);
/* The operand of an attention. */
vj_value vj_make_grids(vj_func *f, const vj_grid *grids, int32_t count);

#endif
