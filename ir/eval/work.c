/* SPDX-License-Identifier: Apache-2.0 */
/* work.c - estimates how many steps the evaluator takes for a node. The frontend uses it to bound the cost of
 * folding. */
#include "ir/tensor/ir.h"
#include "ir/routines/routines.h"

/* The elements of a value, for one image, with sizes that the data decides at their bounds. */
static double elements(const vj_func *f, vj_value v) {
    double count = 1;
    for (int32_t d = 0; v >= 0 && d < vj_type_at(f, v)->rank; d++) {
        int64_t bound = INT64_MAX;
        if (!vj_dim_bound(f, vj_type_at(f, v)->dims[d], &bound)) bound = INT64_MAX;
        count *= (double)bound;
    }
    return v < 0 ? 0 : count;
}

static double dim_from_end(const vj_func *f, vj_value v, int32_t i) {
    const vj_type *type = vj_type_at(f, v);
    return type->rank < i ? 1 : (double)type->dims[type->rank - i].c;
}

static double product_of(const vj_attr *list) {
    double product = 1;
    for (int32_t i = 0; i < list->count; i++)
        product *= (double)list->as.ints[i];
    return product;
}

/* The steps for each element of the result. 0 means that the operands' elements decide the work. */
static double terms_of(const vj_func *f, const vj_node *node) {
    const vj_value w = node->arg_count > 1 ? node->args[1] : VJ_NONE;
    const double first = w >= 0 && vj_type_at(f, w)->rank ? (double)vj_type_at(f, w)->dims[0].c : 1;
    double each;
    switch (node->op) {
    case VJ_OP_matmul:
    case VJ_OP_linear:
        return dim_from_end(f, node->args[0], 1);
    case VJ_OP_linear_blocks:
        return dim_from_end(f, node->args[0], 1) * dim_from_end(f, node->args[0], 2);
    case VJ_OP_conv:
        return first > 0 ? elements(f, w) / first : 0;
    case VJ_OP_attention:
        return dim_from_end(f, w, 2) * (1 + dim_from_end(f, w, 1) / (1 + dim_from_end(f, node->args[2], 1)));
    case VJ_OP_pool:
        return product_of(vj_attr_find(node, VJ_ATTR_KERNEL));
    case VJ_OP_gridsample:
        return 64;
    case VJ_OP_roialign: /* adaptive sampling visits only samples inside the picture: a few for each pixel */
        each = (double)vj_attr_int(node, VJ_ATTR_SAMPLES, 0);
        return each > 0 ? each * each : 4 * dim_from_end(f, node->args[0], 1) * dim_from_end(f, node->args[0], 2);
    case VJ_OP_topk:
    case VJ_OP_unique:
        return 0;
    default:
        return 1;
    }
}

double vj_node_work(const vj_func *f, const vj_node *node) {
    const double terms = terms_of(f, node);
    double read = 0;
    for (int32_t i = 0; i < node->arg_count; i++)
        read += elements(f, node->args[i]);
    if (node->op == VJ_OP_nms) return elements(f, node->args[0]) * (read + 1); /* boxes are compared in pairs */
    if (node->op == VJ_OP_unique) return read * elements(f, node->first_result);
    return read * (terms > 0 ? 1 : 64) + elements(f, node->first_result) * terms;
}
