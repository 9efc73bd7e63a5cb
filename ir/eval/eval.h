/* SPDX-License-Identifier: Apache-2.0 */
/* eval.h - what the files of the reference evaluator share. Private to ir/eval.
 *
 * eval.c         the driver: the order of evaluation, lifetimes, rounding
 * make.c         tensors, and the results of a node
 * walk.c         steps through several tensors at once, by strides
 * work.c         estimates how many steps a node takes
 * elementwise.c, movement.c, products.c, blocks.c, reduce.c, windows.c, data.c, routines.c
 *                one function vj_eval_<id> for each op of ops.def
 * ir/kernel/evaluate.c does the same for kernels.
 */
#ifndef VITJIT_IR_EVAL_EVAL_H
#define VITJIT_IR_EVAL_EVAL_H

#include "ir/tensor/ir.h"

typedef struct vj_eval_context {
    vj_arena *arena;
    const vj_func *f;
    const vj_node *node;
    vj_tensor *const *args; /* NULL for an absent operand */
    vj_tensor **results;    /* allocated and zeroed, or NULL where the op finds the size (vj_eval_make) */
    int64_t n;              /* the batch size */
    int64_t *sizes;         /* for each symbol; -1 while it is not known */
    vj_error *error;
} vj_eval_context;

/* The static type for a batch of n and these sizes. A size that is not known yet becomes `open`; -1: none may be unknown. */
bool vj_eval_type(const vj_type *type, int64_t n, const int64_t *sizes, int64_t open, vj_type *out, vj_error *error);
/* Allocates a result, unless it is there. A size that is not known yet is `size`, which the node has found, or -1. */
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

/* An odometer over all dims but the last. The caller loops over the `inner` elements of the last one, in which operand
 * o steps by step[o] from at[o]. */
#define VJ_WALK_OPERANDS 6
typedef struct vj_walk {
    int32_t rank, operands;
    int64_t inner;
    int64_t dims[VJ_MAX_RANK], index[VJ_MAX_RANK];
    int64_t stride[VJ_WALK_OPERANDS][VJ_MAX_RANK];
    int64_t at[VJ_WALK_OPERANDS], step[VJ_WALK_OPERANDS];
    bool done;
} vj_walk;

/* Starts a walk over the dims of `space`. vj_walk_broadcast and vj_walk_strided add operands to it. */
vj_walk vj_walk_over(const vj_tensor *space);
/* Adds a dense tensor that is broadcast to the space by numpy's rules. */
void vj_walk_broadcast(vj_walk *w, const vj_tensor *t);
void vj_walk_strided(vj_walk *w, int64_t base, const int64_t *stride);
void vj_walk_next(vj_walk *w);

/* The softmax of `count` scores that are `step` elements apart, in place. */
void vj_softmax_row(double *x, int64_t count, int64_t step);

#endif
