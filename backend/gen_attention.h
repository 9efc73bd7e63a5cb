/* gen_attention.h - private to the attention generator.
 *
 * gen_attention.c          units, blocks of queries, the softmax of a block of scores
 * gen_attention_product.c  scores from queries and keys, results from scores and values
 */
#ifndef VITJIT_BACKEND_GEN_ATTENTION_H
#define VITJIT_BACKEND_GEN_ATTENTION_H

#include "gen.h"

typedef struct vj_attention {
    vj_gen *g;
    const vj_kernel *k;
    const vj_attention_schedule *s;
    int32_t i, j, d, e;              /* axes */
    int32_t lanes;                   /* along keys, and along value dims */
    int64_t row;                     /* floats of a row of scores: keys, whole vectors, no power of two */
    LLVMValueRef scores;             /* query_block rows on the stack */
    LLVMValueRef scale;              /* 1 / sum of each row */
    LLVMValueRef keys;               /* a tile of keys turned to [d][width * lanes]; NULL: they are read as they are */
    LLVMValueRef batch[VJ_MAX_AXES]; /* indices of the batch axes */
    vj_gemm_schedule mix;            /* all queries in tiles */
    LLVMValueRef first, last;        /* the block's tiles */
    LLVMValueRef query;              /* first row of the block */
} vj_attention;

/* A stack row a query; keys, values, results by their accesses. */
void vj_attention_plan(vj_attention *m);
void vj_attention_scores(const vj_attention *m);
void vj_attention_results(const vj_attention *m);
LLVMValueRef vj_clamp(const vj_gen *g, LLVMValueRef x, int64_t low, int64_t high);

#endif
