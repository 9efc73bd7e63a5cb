/* SPDX-License-Identifier: Apache-2.0 */
/* empty.c - nodes that read a tensor without elements (a dim of 0) and make one that has some: a sum over nothing, a concat
 * with nothing, a frame around nothing. They become constants, or lose that operand. Behind this pass an empty tensor is
 * read by those alone whose result is empty too, and for these there is nothing to compute. */
#include "passes/rewrite/rewrite.h"

#include <math.h>
#include <string.h>

static bool is_empty(const vj_func *f, vj_value v) {
    int64_t count;
    return v >= 0 && vj_type_elements(f, vj_type_at(f, v), &count) && count == 0;
}

/* A number of the type, as a constant of rank 0. */
static vj_value number(vj_func *f, vj_dtype dtype, double x) {
    const int64_t whole = vj_float_to_int(dtype, x);
    return vj_dtype_is_float(dtype) ? vj_add_const_f64(f, dtype, 0, NULL, &x)
                                    : vj_add_const_i64(f, dtype, 0, NULL, &whole);
}

/* The number that a reduction over nothing gives, as a constant of rank 0. */
static vj_value neutral(vj_func *f, const char *kind, vj_dtype dtype) {
    const bool is_max = strcmp(kind, "max") == 0, is_min = strcmp(kind, "min") == 0,
               is_prod = strcmp(kind, "prod") == 0;
    const double real = is_max                      ? -(double)INFINITY
                        : is_min                    ? (double)INFINITY
                        : strcmp(kind, "mean") == 0 ? (double)NAN
                                                    : is_prod;
    return number(f, dtype, real);
}

static vj_value spread(vj_func *f, vj_value scalar, const vj_type *type, const vj_origin *origin) {
    int64_t dims[VJ_MAX_RANK];
    for (int32_t d = 0; d < type->rank; d++)
        dims[d] = vj_dim_code(type->dims[d]);
    const vj_attr attr = vj_ints(VJ_ATTR_DIMS, dims, type->rank);
    return type->rank ? vj_make(f, VJ_OP_broadcast, &scalar, 1, &attr, 1, origin) : scalar;
}

static vj_value without_empty_parts(vj_func *f, vj_arena *arena, const vj_node *node) {
    vj_value *parts = VJ_NEW_ARRAY(arena, vj_value, node->arg_count + 1);
    int32_t count = 0;
    for (int32_t i = 0; i < node->arg_count; i++)
        if (!is_empty(f, node->args[i])) parts[count++] = node->args[i];
    if (count == 1) return parts[0];
    return vj_make(f, VJ_OP_concat, parts, count, node->attrs, node->attr_count, node->origin);
}

static vj_value rewritten(vj_pass_context *c, int32_t n) {
    const vj_node node = c->f->nodes[n];
    vj_func *f = c->f;
    bool reads_nothing = false;
    for (int32_t i = 0; i < node.arg_count; i++)
        reads_nothing |= is_empty(f, node.args[i]);
    if (!reads_nothing || node.result_count != 1 || is_empty(f, node.first_result)) return VJ_NONE;
    const vj_type type = *vj_type_at(f, node.first_result);
    switch (node.op) {
    case VJ_OP_reduce:
        return spread(f, neutral(f, vj_attr_name(&node, VJ_ATTR_KIND, ""), type.dtype), &type, node.origin);
    case VJ_OP_concat:
        return without_empty_parts(f, c->arena, &node);
    case VJ_OP_scatter:
        return node.args[0]; /* no updates */
    case VJ_OP_pad:
        return spread(f, number(f, type.dtype, vj_attr_float(&node, VJ_ATTR_VALUE, 0)), &type, node.origin);
    case VJ_OP_matmul:
        return spread(f, number(f, type.dtype, 0), &type, node.origin);
    case VJ_OP_linear:
        return spread(f, node.arg_count > 2 && node.args[2] >= 0 ? node.args[2] : number(f, type.dtype, 0), &type,
                      node.origin);
    default:
        return VJ_NONE;
    }
}

vj_status vj_pass_empty(vj_pass_context *c) {
    vj_apply_rules(c, NULL, 0, rewritten, "empty_operand");
    return c->error->status;
}
