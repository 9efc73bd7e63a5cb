/* SPDX-License-Identifier: Apache-2.0 */
/* movement.c - movement ops on views, and the pieces that values are cut into. */
#include "lower.h"

#include <string.h>

int32_t vj_image_dims(const vj_func *f, vj_value v, int64_t dims[VJ_MAX_RANK]) {
    const vj_type *type = vj_type_at(f, v);
    for (int32_t d = 0; d < type->rank; d++)
        dims[d] = type->dims[d].c;
    return type->rank;
}

int64_t vj_image_elements(const vj_func *f, vj_value v) {
    int64_t dims[VJ_MAX_RANK], count = 1;
    const int32_t rank = vj_image_dims(f, v, dims);
    for (int32_t d = 0; d < rank; d++)
        count *= dims[d];
    return count;
}

static bool slice_view(const vj_func *f, const vj_node *node, vj_view *view) {
    const int64_t *starts = vj_attr_find(node, VJ_ATTR_STARTS)->as.ints;
    const int64_t *steps = vj_attr_find(node, VJ_ATTR_STEPS)->as.ints;
    int64_t dims[VJ_MAX_RANK];
    vj_view made = *view;
    vj_image_dims(f, node->first_result, dims);
    for (int32_t d = 0; d < view->rank; d++)
        if (!vj_view_slice(&made, d, starts[d], dims[d], steps[d])) return false;
    *view = made;
    return true;
}

/* Constant indices first, first + step, ... into the axis of a gather: a slice. */
static bool arithmetic_indices(const vj_func *f, const vj_node *gather, int64_t *first, int64_t *step, int64_t *count) {
    enum { MOST = 4096 };
    const vj_value indices = gather->args[1];
    const vj_dim dim = vj_type_at(f, gather->args[0])->dims[vj_attr_int(gather, VJ_ATTR_AXIS, 0)];
    int64_t read[MOST];
    vj_error ignored = {0};
    if (!vj_is_const(f, indices) || !vj_type_elements(f, vj_type_at(f, indices), count) || *count < 1 ||
        *count > MOST || !vj_const_read_i64(f, indices, 0, *count, read, &ignored))
        return false;
    *first = read[0];
    *step = *count > 1 ? read[1] - read[0] : 1;
    for (int64_t i = 1; i < *count; i++)
        if (read[i] - read[i - 1] != *step) return false;
    const int64_t last = read[*count - 1];
    return *step != 0 && !dim.sym && *first >= 0 && *first < dim.c && last >= 0 && last < dim.c;
}

bool vj_is_view_op(const vj_func *f, const vj_node *node) {
    int64_t first, step, count;
    if (node->op == VJ_OP_gather) return arithmetic_indices(f, node, &first, &step, &count);
    return node->op == VJ_OP_reshape || node->op == VJ_OP_transpose || node->op == VJ_OP_slice ||
           node->op == VJ_OP_broadcast;
}

static bool gather_view(const vj_func *f, const vj_node *node, vj_view *view) {
    int64_t first, step, count, dims[VJ_MAX_RANK];
    const int32_t axis = (int32_t)vj_attr_int(node, VJ_ATTR_AXIS, 0);
    if (!arithmetic_indices(f, node, &first, &step, &count)) return false;
    vj_view made = *view;
    if (!vj_view_slice(&made, axis, first, count, step)) return false;
    const int32_t rank = vj_image_dims(f, node->first_result, dims);
    if (vj_type_at(f, node->args[1])->rank == 0)
        vj_view_drop_dim(&made, axis);
    else if (vj_type_at(f, node->args[1])->rank > 1 && !vj_view_reshape(&made, rank, dims))
        return false;
    *view = made;
    return true;
}

bool vj_move_view(const vj_func *f, const vj_node *node, vj_view *view) {
    int64_t dims[VJ_MAX_RANK];
    const int32_t rank = vj_image_dims(f, node->first_result, dims);
    switch (node->op) {
    case VJ_OP_reshape:
        return vj_view_reshape(view, rank, dims);
    case VJ_OP_transpose:
        vj_view_transpose(view, vj_attr_find(node, VJ_ATTR_PERM)->as.ints);
        return true;
    case VJ_OP_slice:
        return slice_view(f, node, view);
    case VJ_OP_broadcast:
        vj_view_broadcast(view, rank, dims);
        return true;
    case VJ_OP_gather:
        return gather_view(f, node, view);
    default:
        return false;
    }
}

bool vj_unmove_view(const vj_func *f, const vj_node *node, vj_view *view) {
    int64_t dims[VJ_MAX_RANK];
    const int32_t rank = vj_image_dims(f, node->args[0], dims);
    if (node->op == VJ_OP_reshape) return vj_view_reshape(view, rank, dims);
    if (node->op != VJ_OP_transpose) return false;
    vj_view_untranspose(view, vj_attr_find(node, VJ_ATTR_PERM)->as.ints);
    return true;
}

bool vj_piece_of(const vj_func *f, const vj_node *node, int32_t *axis, int64_t *start, int64_t *size) {
    int64_t from[VJ_MAX_RANK], to[VJ_MAX_RANK], step;
    const int32_t rank = vj_image_dims(f, node->args[0], from);
    vj_image_dims(f, node->first_result, to);
    *axis = -1;
    if (node->op == VJ_OP_gather) {
        *axis = (int32_t)vj_attr_int(node, VJ_ATTR_AXIS, 0);
        return arithmetic_indices(f, node, start, &step, size) && *size == 1;
    }
    if (node->op != VJ_OP_slice) return false;
    for (int32_t d = 0; d < rank; d++) {
        if (from[d] == to[d] && vj_attr_find(node, VJ_ATTR_STEPS)->as.ints[d] == 1) continue;
        if (*axis >= 0 || (to[d] > 1 && vj_attr_find(node, VJ_ATTR_STEPS)->as.ints[d] != 1)) return false;
        *axis = d;
        *start = vj_attr_find(node, VJ_ATTR_STARTS)->as.ints[d];
        *size = to[d];
    }
    return *axis >= 0 && *size > 0;
}
