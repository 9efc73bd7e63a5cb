/* SPDX-License-Identifier: Apache-2.0 */
/* bound.h - private to the pass `bound`: the function that is made anew, its sizes and masks.
 *
 * bound.c         the pass: the walk, outputs
 * bound_nodes.c   what each op needs so that places behind the true size never count
 * bound_sizes.c   nodes of the new function: sizes, masks, packing
 */
#ifndef VITJIT_PASSES_ALGEBRA_BOUND_H
#define VITJIT_PASSES_ALGEBRA_BOUND_H

#include "passes/rewrite/rewrite.h"

typedef struct vj_bounding {
    vj_pass_context *c;
    const vj_func *f; /* with sizes that the data decides */
    vj_func *g;       /* the new one, all of whose dims are their bounds */
    vj_value *to;     /* of each value of f, that of g */
    const vj_node *node;
} vj_bounding;

/* Notes that the current node cannot be bounded; returns VJ_NONE. */
vj_value vj_bounds_fail(vj_bounding *b, const char *why);
static inline bool vj_bounds_going(const vj_bounding *b) { return b->c->error->status == VJ_OK; }

/* The types of operand i of the current node, and its value in g. */
static inline const vj_type *vj_bounds_type(const vj_bounding *b, int32_t i) {
    return vj_type_at(b->f, b->node->args[i]);
}
static inline vj_value vj_bounds_arg(const vj_bounding *b, int32_t i) {
    return i < b->node->arg_count && b->node->args[i] >= 0 ? b->to[b->node->args[i]] : VJ_NONE;
}
int64_t vj_bounds_of(const vj_bounding *b, vj_dim dim);

/* Nodes of g, with the origin of the current node. */
vj_value vj_bounds_emit(vj_bounding *b, vj_op op, const vj_value *args, int32_t count, const vj_attr *attrs,
                        int32_t attr_count);
vj_value vj_bounds_emit2(vj_bounding *b, vj_op op, vj_value x, vj_value y);
vj_value vj_bounds_integer(vj_bounding *b, int64_t number);          /* i64[] */
vj_value vj_bounds_number(vj_bounding *b, vj_dtype dtype, double x); /* of rank 0 */
vj_value vj_bounds_reshape(vj_bounding *b, vj_value x, int32_t rank, const int64_t *dims);
vj_value vj_bounds_cast(vj_bounding *b, vj_value x, vj_dtype to);
/* 0, 1, ... along `axis` of `rank` dims, all others 1. */
vj_value vj_bounds_iota(vj_bounding *b, int64_t count, int32_t axis, int32_t rank);
/* The true size of a dim: i64[]. */
vj_value vj_bounds_size(vj_bounding *b, vj_dim dim);
/* The true dims as an i64[rank]. */
vj_value vj_bounds_dims(vj_bounding *b, const vj_type *type);
/* x, whose type in f is given, with `fill` in all places that are outside along the axes of the mask. */
vj_value vj_bounds_mask(vj_bounding *b, vj_value x, const vj_type *type, uint32_t axes, vj_value fill);
/* Are the true elements the first ones, in their order? So it is when the only dim that the data decides is the first
 * but for ones. */
bool vj_bounds_is_dense(const vj_type *type);
/* The elements of x, which has this type in f, one behind the other; the other way. */
vj_value vj_bounds_pack(vj_bounding *b, vj_value x, const vj_type *type);
vj_value vj_bounds_unpack(vj_bounding *b, vj_value list, const vj_type *type);

/* bound_nodes.c: the current node in g; its first result, VJ_NONE on failure. */
vj_value vj_bounds_node(vj_bounding *b);

#endif
