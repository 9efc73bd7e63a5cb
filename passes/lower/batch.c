/* SPDX-License-Identifier: Apache-2.0 */
/* batch.c - a program is compiled for one image: does the function keep the images of an open batch apart?
 *
 * A dim c * N becomes c when every node treats its N as an index of its own. N is the major part of its dim; a reshape
 * must leave as many elements before it, and nothing may sum, slice, join or index along it. */
#include "lower.h"

/* The dim with N; -1: none, -2: several. *before: elements of the dims in front of it. */
static int32_t batch_dim(const vj_type *type, int64_t *before) {
    int32_t found = -1;
    *before = 1;
    for (int32_t d = 0; d < type->rank; d++) {
        if (type->dims[d].sym == VJ_SYM_BATCH)
            found = found == -1 ? d : -2;
        else if (found == -1)
            *before *= type->dims[d].c;
    }
    return found;
}

static int32_t normal_axis(const vj_node *node, int32_t rank) {
    const int64_t axis = vj_attr_int(node, VJ_ATTR_AXIS, 0);
    return (int32_t)(axis < 0 ? axis + rank : axis);
}

static bool has_axis(const vj_node *node, int32_t dim, int32_t rank) {
    const vj_attr *axes = vj_attr_find(node, VJ_ATTR_AXES);
    for (int32_t i = 0; i < axes->count; i++)
        if (axes->as.ints[i] == dim || axes->as.ints[i] + rank == dim) return true;
    return false;
}

/* Does the node treat the dims of operand `i` that have N one by one? `d` is that dim. */
static bool keeps_apart(const vj_func *f, const vj_node *node, int32_t i, int32_t d, int64_t before) {
    const vj_type *x = vj_type_at(f, node->args[i]), *y = vj_type_at(f, node->first_result);
    int64_t after;
    switch (node->op) {
    case VJ_OP_reshape:
        return batch_dim(y, &after) >= 0 && before == after;
    case VJ_OP_slice:
        return batch_dim(y, &after) >= 0;
    case VJ_OP_concat:
    case VJ_OP_softmax:
        return normal_axis(node, x->rank) != d;
    case VJ_OP_layernorm:
        return d < normal_axis(node, x->rank);
    case VJ_OP_gather:
        return i == 1 || normal_axis(node, x->rank) != d;
    case VJ_OP_gridsample:
        return d == 0;
    case VJ_OP_roialign:
        return false; /* regions are of any image */
    case VJ_OP_topk:
    case VJ_OP_scatter:
    case VJ_OP_scan:
    case VJ_OP_gather_elements:
        return normal_axis(node, x->rank) != d;
    case VJ_OP_reduce:
        return !has_axis(node, d, x->rank);
    case VJ_OP_round_blocks:
    case VJ_OP_byte_rows:
        return d != x->rank - 1;
    case VJ_OP_linear_blocks:
        return i == 0 ? d < x->rank - 2 : i == 1 && d < x->rank - 1;
    case VJ_OP_linear:
        return i == 0 && d != x->rank - 1;
    case VJ_OP_matmul:
        return i == 0 ? d != x->rank - 1 : x->rank > 1 && d != x->rank - 2;
    case VJ_OP_conv:
    case VJ_OP_pool:
        return i == 0 && d == 0;
    case VJ_OP_attention:
        return d < x->rank - 2;
    default:
        return true;
    }
}

static bool fail(const vj_func *f, const vj_node *node, vj_error *error) {
    vj_fail(error, VJ_UNSUPPORTED, "node '%s' mixes images of the batch", vj_node_label(f, node));
    vj_hint(error, "give the batch a fixed size");
    return false;
}

static bool is_first(const vj_func *f, vj_value v) {
    int64_t before;
    const int32_t d = batch_dim(vj_type_at(f, v), &before);
    return d == -1 || (d >= 0 && before == 1);
}

bool vj_images_stay_apart(const vj_func *f, vj_error *error) {
    for (int32_t n = 0; n < f->node_count; n++) {
        const vj_node *node = &f->nodes[n];
        int64_t before;
        if (node->dead) continue;
        for (int32_t i = 0; i < node->arg_count; i++) {
            const int32_t d = node->args[i] < 0 ? -1 : batch_dim(vj_type_at(f, node->args[i]), &before);
            if (d == -2 || (d >= 0 && !keeps_apart(f, node, i, d, before))) return fail(f, node, error);
        }
        for (int32_t r = 0; r < node->result_count; r++)
            if (batch_dim(vj_type_at(f, node->first_result + r), &before) == -2) return fail(f, node, error);
    }
    for (int32_t i = 0; i < f->input_count + f->output_count; i++) {
        const vj_value v = i < f->input_count ? f->inputs[i] : f->outputs[i - f->input_count];
        if (!is_first(f, v)) return fail(f, vj_producer(f, v), error);
    }
    return true;
}
