/* SPDX-License-Identifier: Apache-2.0 */
/* attention.h - private to the attention generator.
 *
 * attention.c          units, blocks of queries, blocks of keys
 * attention_softmax.c  the softmax of a block of scores
 * attention_product.c  scores from queries and keys, results from scores and values
 * attention_place.c    where the product's tiles of keys and values are, transposed or paired where they must be; where a block's scores and
 *                      results stand
 * attention_tiles.c    both products and the softmax between them, by the tiles of a matrix unit
 */
#ifndef VITJIT_BACKEND_KERNELS_ATTENTION_H
#define VITJIT_BACKEND_KERNELS_ATTENTION_H

#include "backend/emit/tiles.h"

typedef struct vj_attention {
    vj_gen *g;
    const vj_kernel *k;
    const vj_attention_schedule *s;
    int32_t i, j, d, e;        /* axes */
    int32_t lanes;             /* along keys, and along value dims */
    vj_dtype dtype;            /* of the operands, and of the weights */
    vj_dtype multiplied;       /* what both products multiply: that, or f32 where it is widened first */
    bool blocked;              /* by keys: the softmax goes on from block to block */
    bool late_scores;          /* the score expression is the softmax's, which reads a row of memory in one go */
    int64_t row;               /* floats of a row of scores: keys of a block, whole vectors, no power of two */
    int64_t result_row;        /* floats of a row of results so far: value dims, whole vectors */
    LLVMValueRef scores;       /* query_block rows on the stack */
    LLVMValueRef scale;        /* what each row is yet to be multiplied by: 1 / sum; between blocks, see softmax */
    LLVMValueRef largest, sum; /* blocked: of each row so far */
    LLVMValueRef results;      /* blocked: sums of weights times values so far */
    LLVMValueRef tile;         /* of keys transposed to [d][width * lanes], or of pairs of halves; NULL: none */
    int64_t tile_row;          /* of its elements from row to row; 0: width * lanes */
    LLVMValueRef wide_queries; /* of the block, in f32, where operands are widened; else NULL */
    vj_tile_unit unit;         /* VJ_FORM_TILES; and what it multiplies, see attention_tiles.c: */
    LLVMValueRef queries, keys, values, product;
    LLVMValueRef batch[VJ_MAX_AXES];  /* indices of the batch axes */
    vj_gemm_schedule mix;             /* all queries in tiles */
    LLVMValueRef first, last;         /* the block's tiles */
    LLVMValueRef query;               /* first row of the block */
    LLVMValueRef first_key, last_key; /* the block's keys; constants when not blocked */
} vj_attention;

/* attention_place.c */
LLVMValueRef vj_clamp(const vj_gen *g, LLVMValueRef x, int64_t low, int64_t high);
/* Where the block keeps the score of its row `row` and of key `key`. */
LLVMValueRef vj_score_at(const vj_attention *m, LLVMValueRef row, LLVMValueRef key);
/* Where its weight is, as it is multiplied, and how many of them a row has room for: weights take the place of scores. */
LLVMValueRef vj_weight_at(const vj_attention *m, LLVMValueRef row, LLVMValueRef key);
int64_t vj_weights_row(const vj_attention *m);
/* Element `row` of `scale`, `largest`, `sum`. */
LLVMValueRef vj_of_row(const vj_attention *m, LLVMValueRef array, LLVMValueRef row);
/* Where tile number `tile` of queries has its first row. */
LLVMValueRef vj_row_of_tile(const vj_attention *m, LLVMValueRef tile);
/* The results so far of row `row`, from value dim `dim` on. */
LLVMValueRef vj_result_at(const vj_attention *m, LLVMValueRef row, LLVMValueRef dim);

/* attention_softmax.c: makes weights of the scores of the block's `rows` rows. */
void vj_attention_softmax(const vj_attention *m, LLVMValueRef rows);
void vj_attention_softmax_begin(const vj_attention *m); /* blocked: before the first block of keys */
void vj_attention_softmax_end(const vj_attention *m);   /* blocked: after the last */

/* Where weights have an expression: makes them behind the softmax, of blocks of keys of the scores once more, after the last. */
void vj_attention_weights(const vj_attention *m, LLVMValueRef rows);

/* attention_place.c: the stack that tiles need; and the queries of a block of `rows`, widened where they must be */
void vj_attention_plan(vj_attention *m);
void vj_attention_widen_queries(const vj_attention *m, LLVMValueRef rows);

/* attention_product.c: a query has a row on the stack; keys, values and results are reached by their accesses. */
void vj_attention_scores(const vj_attention *m);
void vj_attention_results(const vj_attention *m);
void vj_attention_results_begin(const vj_attention *m); /* blocked: nothing yet */
void vj_attention_results_end(const vj_attention *m);   /* blocked: scales and stores them */

/* attention_tiles.c */
void vj_attention_tiles_begin(vj_attention *m); /* makes room on the stack */
/* Scores, softmax and results of the block's queries for its keys. */
void vj_attention_tiles(const vj_attention *m);
void vj_attention_tiles_finish(const vj_attention *m, LLVMValueRef rows); /* blocked: scales and stores them */

#endif
