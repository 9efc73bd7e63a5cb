/* attention.h - what attention*.c share: the walk from the weights of an attention up to the product of q and k. */
#ifndef VITJIT_PASSES_RECOGNISE_ATTENTION_H
#define VITJIT_PASSES_RECOGNISE_ATTENTION_H

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

/* score = select(keep, (q k^T) * scale * factor + bias, fill). Values are in the attention's axes. */
typedef struct vj_scores {
    vj_func *f;
    vj_moves moves;
    double scale;
    vj_value factor;    /* VJ_NONE, or broadcasts to the scores, with one query or one key */
    vj_value bias;      /* VJ_NONE: none */
    vj_value keep;      /* VJ_NONE: all are kept */
    double fill;        /* with keep */
    bool empty_is_zero; /* a row of NaN weights counts as zeros */
    vj_value softmax;   /* its result */
    vj_value product;   /* of q and k */
    const char *reason; /* why this is no attention */
} vj_scores;
/* From a product's operand, which `moves` brought to the attention's axes, up to the product of q and k. */
bool vj_walk_up(vj_scores *s, vj_value weights);

#endif
