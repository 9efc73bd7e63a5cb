/* eval.h - private to the reference evaluator: what its files share.
 *
 * eval.c              the driver: order, lifetimes, rounding
 * work.c              what a node's evaluation works with
 * walk.c              stepping through several tensors at once, by strides
 * elementwise.c, movement.c, products.c, reduce.c, windows.c,
 * data.c, routines.c   one function vj_eval_<id> an op of ops.def
 *
 * The same for kernels is ir/kernel/evaluate.c, with some of the arithmetic shared.
 */
#ifndef VITJIT_IR_EVAL_EVAL_H
#define VITJIT_IR_EVAL_EVAL_H

#include "ir/tensor/ir.h"

typedef struct vj_eval_context {
    vj_arena *arena;
    const vj_func *f;
    const vj_node *node;
    vj_tensor *const *args; /* of absent operands, NULL */
    vj_tensor **results;    /* made, zeroed; NULL where the data decides: vj_eval_make */
    int64_t n;              /* the batch */
    int64_t *sizes;         /* of each symbol; -1: not known yet */
    vj_error *error;
} vj_eval_context;

/* Makes a result of a node that finds out its size itself. */
vj_tensor *vj_eval_make(vj_eval_context *c, int32_t result, int64_t size);

#define OP(id, ...) bool vj_eval_##id(vj_eval_context *c);
#include "ir/tensor/ops.def"
#undef OP

static inline const vj_tensor *vj_arg(const vj_eval_context *c, int32_t i) {
    return i < c->node->arg_count ? c->args[i] : NULL;
}

static inline int64_t vj_tensor_dim(const vj_tensor *t, int32_t axis) { return t->type.dims[axis].c; }

/* Element strides of a dense row-major tensor. */
void vj_dense_strides(const vj_tensor *t, int64_t stride[VJ_MAX_RANK]);

/* The product of dims [first, last). */
int64_t vj_tensor_extent(const vj_tensor *t, int32_t first, int32_t last);

/* An odometer over all dims but the last. The caller loops over the last one, `inner` elements, in which operand o
 * steps by step[o] from at[o]. */
#define VJ_WALK_OPERANDS 4
typedef struct vj_walk {
    int32_t rank, operands;
    int64_t inner;
    int64_t dims[VJ_MAX_RANK], index[VJ_MAX_RANK];
    int64_t stride[VJ_WALK_OPERANDS][VJ_MAX_RANK];
    int64_t at[VJ_WALK_OPERANDS], step[VJ_WALK_OPERANDS];
    bool done;
} vj_walk;

/* Walks the dims of `space`; operands are added by vj_walk_broadcast or vj_walk_strided. */
vj_walk vj_walk_over(const vj_tensor *space);
/* Adds a dense tensor that is broadcast to the space as numpy does. */
void vj_walk_broadcast(vj_walk *w, const vj_tensor *t);
void vj_walk_strided(vj_walk *w, int64_t base, const int64_t *stride);
void vj_walk_next(vj_walk *w);

double vj_gelu_erf(double x);
double vj_gelu_tanh(double x);

/* attention and softmax: turns `count` scores into weights, in place. */
void vj_softmax_row(double *x, int64_t count, int64_t step);

#endif
