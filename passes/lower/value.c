/* value.c - where values stand, and where they are to be written. */
#include "lower.h"

#include <assert.h>
#include <string.h>

bool vj_is_static_weight(const vj_lowering *l, vj_value v) {
    return vj_type_is_static(vj_type_at(l->f, v)) && vj_is_weight(l->f, v);
}

int32_t vj_only_user(const vj_lowering *l, vj_value v) {
    return l->uses[v] == 1 && l->output[v] < 0 ? l->use_node[l->use_first[v]] : -1;
}

bool vj_is_available(const vj_lowering *l, vj_value v) {
    const vj_node *node = vj_producer(l->f, v);
    if (l->done[v] || node->op == VJ_OP_param || vj_is_static_weight(l, v)) return true;
    if (vj_is_view_op(l->f, node)) return vj_is_available(l, node->args[0]);
    if (!(vj_op_table(node->op)->flags & VJ_FLAG_ELEMENTWISE)) return false;
    for (int32_t i = 0; i < node->arg_count; i++)
        if (!vj_is_available(l, node->args[i])) return false;
    return true;
}

void vj_set_done(vj_lowering *l, vj_value v, const vj_view *view) {
    l->done[v] = l->placed[v] = true;
    l->view[v] = VJ_NEW(l->arena, vj_view);
    *l->view[v] = *view;
}

/* Weights */

bool vj_has_weight_view(vj_lowering *l, vj_value v, vj_value *source, vj_view *view) {
    if (v < 0 || !vj_is_static_weight(l, v)) return false;
    const vj_node *node = vj_producer(l->f, v);
    if (node->op != VJ_OP_gather && vj_is_view_op(l->f, node) && vj_is_static_weight(l, node->args[0]) &&
        vj_has_weight_view(l, node->args[0], source, view) && vj_move_view(l->f, node, view))
        return true;
    int64_t dims[VJ_MAX_RANK];
    const int32_t rank = vj_image_dims(l->f, v, dims);
    *view = vj_view_dense(-1, rank, dims, 0, 1);
    *source = v;
    return true;
}

static bool same_weight(const vj_weight *a, const vj_weight *b) {
    return a->kind == b->kind && a->source == b->source && a->k == b->k && a->n == b->n && a->k_rank == b->k_rank &&
           a->n_rank == b->n_rank && a->source_offset == b->source_offset &&
           memcmp(a->k_extent, b->k_extent, sizeof a->k_extent) == 0 &&
           memcmp(a->k_stride, b->k_stride, sizeof a->k_stride) == 0 &&
           memcmp(a->n_extent, b->n_extent, sizeof a->n_extent) == 0 &&
           memcmp(a->n_stride, b->n_stride, sizeof a->n_stride) == 0;
}

/* The buffer of a weight; one that is there already when it is the same. */
static int32_t weight_buffer(vj_lowering *l, const vj_weight *weight) {
    vj_program *p = l->p;
    for (int32_t i = 0; i < p->buffer_count; i++)
        if (p->buffers[i].kind == VJ_BUFFER_WEIGHT && same_weight(&p->weights[p->buffers[i].index], weight)) return i;
    *VJ_PUSH(p->arena, p->weights, p->weight_count, p->weight_capacity) = *weight;
    const int64_t wide = weight->kind == VJ_PACK_PANELS ? vj_round_up(weight->n, VJ_PANEL) : weight->n;
    const int32_t buffer = vj_add_buffer(p, VJ_BUFFER_WEIGHT, vj_dtype_at(l->f, weight->source), weight->k * wide,
                                         l->f->values[weight->source].name);
    p->buffers[buffer].index = p->weight_count - 1;
    return buffer;
}

static void list_subaxes(const vj_subaxes *subaxes, int32_t *rank, int64_t *extent, int64_t *stride, int64_t *product) {
    *product = 1;
    *rank = subaxes->count;
    for (int32_t i = 0; i < subaxes->count; i++) {
        extent[i] = subaxes->at[i].extent;
        stride[i] = subaxes->at[i].stride;
        *product *= extent[i];
    }
}

int32_t vj_packed_weight(vj_lowering *l, vj_value source, int64_t offset, const vj_subaxes *k, const vj_subaxes *n) {
    vj_weight weight = {.kind = VJ_PACK_PANELS, .source = source, .source_offset = offset};
    if (k->count > VJ_MAX_AXES || n->count > VJ_MAX_AXES) return -1;
    list_subaxes(k, &weight.k_rank, weight.k_extent, weight.k_stride, &weight.k);
    list_subaxes(n, &weight.n_rank, weight.n_extent, weight.n_stride, &weight.n);
    return weight_buffer(l, &weight);
}

/* A dense buffer of what the view of a weight reaches, each element once, in the order of the view's subaxes. */
static void pack_dense(vj_lowering *l, vj_value source, vj_view *view) {
    vj_subaxes subaxes = {0};
    for (int32_t d = 0; d < view->rank; d++)
        for (int32_t i = 0; i < view->count[d]; i++)
            if (view->subaxis[d][i].stride != 0)
                vj_subaxes_push(&subaxes, view->subaxis[d][i].extent, view->subaxis[d][i].stride);
    vj_weight weight = {.kind = VJ_PACK_DENSE, .source = source, .k = 1, .source_offset = view->offset};
    list_subaxes(&subaxes, &weight.n_rank, weight.n_extent, weight.n_stride, &weight.n);
    int64_t stride = weight.n;
    for (int32_t d = 0; d < view->rank; d++)
        for (int32_t i = 0; i < view->count[d]; i++)
            if (view->subaxis[d][i].stride != 0) view->subaxis[d][i].stride = stride /= view->subaxis[d][i].extent;
    view->offset = 0;
    view->buffer = weight_buffer(l, &weight);
}

static bool has_few_subaxes(const vj_view *view) {
    int32_t count = 0;
    for (int32_t d = 0; d < view->rank; d++)
        count += view->count[d];
    return count <= VJ_MAX_AXES;
}

/* A weight, reshaped to `dims` (NULL: its own), whose dims stand in this order (NULL: as they are). */
static void dense_weight(vj_lowering *l, vj_value v, int32_t rank, const int64_t *dims, const int64_t *order,
                         vj_view *view) {
    int64_t own[VJ_MAX_RANK];
    vj_value source = VJ_NONE;
    const bool is_weight = vj_has_weight_view(l, v, &source, view);
    assert(is_weight);
    if (!dims) {
        rank = vj_image_dims(l->f, v, own);
        dims = own;
    }
    if (!is_weight || !vj_view_reshape(view, rank, dims) || !has_few_subaxes(view)) {
        source = v;
        *view = vj_view_dense(-1, rank, dims, 0, 1);
    }
    if (order) vj_view_transpose(view, order);
    pack_dense(l, source, view);
    if (order) vj_view_untranspose(view, order);
}

bool vj_weight_view_in_order(vj_lowering *l, vj_value v, const int64_t *order, vj_view *view) {
    if (v < 0 || !vj_is_static_weight(l, v)) return false;
    dense_weight(l, v, 0, NULL, order, view);
    return true;
}

/* Reading */

bool vj_dense_view_of(vj_lowering *l, vj_value v, vj_view *view) {
    int64_t dims[VJ_MAX_RANK];
    vj_view from;
    if (!vj_view_of(l, v, &from)) return false;
    const int32_t rank = vj_image_dims(l->f, v, dims);
    const int32_t buffer =
        vj_add_buffer(l->p, VJ_BUFFER_ARENA, vj_dtype_at(l->f, v), vj_image_elements(l->f, v), l->f->values[v].name);
    *view = vj_view_dense(buffer, rank, dims, 0, 1);
    return vj_lower_copy(l, &from, view, vj_dtype_at(l->f, v), "copy", vj_producer(l->f, v)->origin);
}

bool vj_ordered_view_of(vj_lowering *l, vj_value v, int32_t rank, const int64_t *dims, const int64_t *perm,
                        vj_view *view) {
    if (vj_is_static_weight(l, v)) {
        dense_weight(l, v, rank, dims, perm, view);
        return true;
    }
    vj_view from;
    if (!vj_view_of(l, v, &from)) return false;
    if (!vj_view_reshape(&from, rank, dims) && (!vj_dense_view_of(l, v, &from) || !vj_view_reshape(&from, rank, dims)))
        return false;
    vj_view_transpose(&from, perm);
    const int32_t buffer =
        vj_add_buffer(l->p, VJ_BUFFER_ARENA, vj_dtype_at(l->f, v), vj_image_elements(l->f, v), l->f->values[v].name);
    *view = vj_view_dense(buffer, rank, from.dim, 0, 1);
    if (!vj_lower_copy(l, &from, view, vj_dtype_at(l->f, v), "copy", vj_producer(l->f, v)->origin)) return false;
    vj_view_untranspose(view, perm);
    return true;
}

static bool moved_view_of(vj_lowering *l, const vj_node *node, vj_view *view) {
    if (!vj_view_of(l, node->args[0], view)) return false;
    if (vj_move_view(l->f, node, view)) return true;
    return vj_dense_view_of(l, node->args[0], view) &&
           (vj_move_view(l->f, node, view) || vj_lower_fail(l, node, "these elements cannot be addressed"));
}

bool vj_view_of(vj_lowering *l, vj_value v, vj_view *view) {
    const vj_node *node = vj_producer(l->f, v);
    if (!l->done[v]) {
        if (vj_is_static_weight(l, v))
            dense_weight(l, v, 0, NULL, NULL, view);
        else if (vj_is_view_op(l->f, node)) {
            if (!moved_view_of(l, node, view)) return false;
        } else if (vj_op_table(node->op)->flags & VJ_FLAG_ELEMENTWISE)
            return vj_lower_elementwise_alone(l, node) && vj_view_of(l, v, view);
        else
            return vj_lower_fail(l, node, "it is used before it is computed");
        vj_set_done(l, v, view);
    }
    *view = *l->view[v];
    return true;
}

/* Writing */

static vj_view whole_buffer(const vj_lowering *l, vj_value v, int32_t buffer) {
    int64_t dims[VJ_MAX_RANK];
    const int32_t rank = vj_image_dims(l->f, v, dims);
    return vj_view_dense(buffer, rank, dims, 0, 1);
}

/* The keys of an attention stand transposed, a row a head dim, so that scores are made for adjacent keys. */
static bool wants_keys(const vj_lowering *l, vj_value v) {
    const int32_t user = vj_only_user(l, v);
    return user >= 0 && l->f->nodes[user].op == VJ_OP_attention && l->f->nodes[user].args[1] == v;
}

/* The dims in the order in which they stand, the last one's elements adjacent. */
static void order_of_dims(const vj_lowering *l, vj_value v, int32_t rank, int64_t *order) {
    for (int32_t d = 0; d < rank; d++)
        order[d] = d;
    if (wants_keys(l, v)) {
        order[rank - 1] = rank - 2;
        order[rank - 2] = rank - 1;
    } else if (l->channels_last[v]) {
        vj_channels_last(rank, order);
    }
}

vj_view vj_own_location(vj_lowering *l, vj_value v) {
    int64_t dims[VJ_MAX_RANK], order[VJ_MAX_RANK], stand[VJ_MAX_RANK] = {0}, row = 0;
    const int32_t rank = vj_image_dims(l->f, v, dims);
    const vj_dtype dtype = vj_dtype_at(l->f, v);
    const int32_t buffer = vj_add_buffer(l->p, VJ_BUFFER_ARENA, dtype, 1, l->f->values[v].name);
    order_of_dims(l, v, rank, order);
    for (int32_t d = 0; d < rank; d++)
        stand[d] = dims[order[d]];
    if (rank >= 2 && dtype == VJ_F32 && vj_image_elements(l->f, v) > stand[rank - 1])
        row = vj_padded_row(stand[rank - 1]);
    vj_view view = vj_view_dense(buffer, rank, stand, row, 1);
    l->p->buffers[buffer].elements = row > 0 ? vj_image_elements(l->f, v) / stand[rank - 1] * row : vj_view_end(&view);
    vj_view_untranspose(&view, order);
    return view;
}

static bool locate_in_output(vj_lowering *l, vj_value v, vj_view *view) {
    const int32_t output = l->output[v];
    if (output < 0 || l->filled[output]) return false;
    l->filled[output] = true;
    *view = whole_buffer(l, v, l->out[output]);
    return true;
}

vj_view vj_dense_location(vj_lowering *l, vj_value v) {
    vj_view view;
    if (l->placed[v] || !locate_in_output(l, v, &view))
        view = whole_buffer(l, v,
                            vj_add_buffer(l->p, VJ_BUFFER_ARENA, vj_dtype_at(l->f, v), vj_image_elements(l->f, v),
                                          l->f->values[v].name));
    return view;
}

/* v's part of a concat; what stands in front of it there says where. A value that comes twice is copied the second
 * time. */
static bool locate_in_concat(vj_lowering *l, vj_value v, vj_view *view) {
    for (int32_t u = l->use_first[v]; u < l->use_first[v + 1]; u++) {
        const vj_node *node = &l->f->nodes[l->use_node[u]];
        if (node->op != VJ_OP_concat) continue;
        const int32_t axis = (int32_t)vj_attr_int(node, VJ_ATTR_AXIS, 0);
        vj_view whole = vj_location(l, node->first_result);
        int64_t start = 0, dims[VJ_MAX_RANK];
        for (int32_t i = 0; node->args[i] != v; i++) {
            vj_image_dims(l->f, node->args[i], dims);
            start += dims[axis];
        }
        vj_image_dims(l->f, v, dims);
        if (!vj_view_slice(&whole, axis, start, dims[axis], 1)) continue;
        *view = whole;
        return true;
    }
    return false;
}

static bool locate_behind_movement(vj_lowering *l, vj_value v, vj_view *view) {
    const int32_t user = vj_only_user(l, v);
    if (user < 0) return false;
    const vj_node *node = &l->f->nodes[user];
    if (node->op != VJ_OP_reshape && node->op != VJ_OP_transpose) return false;
    *view = vj_location(l, node->first_result);
    return vj_unmove_view(l->f, node, view);
}

vj_view vj_location(vj_lowering *l, vj_value v) {
    vj_view view;
    if (l->placed[v]) return *l->view[v];
    if (!locate_in_output(l, v, &view) && !locate_in_concat(l, v, &view) && !locate_behind_movement(l, v, &view))
        view = vj_own_location(l, v);
    l->placed[v] = true;
    l->view[v] = VJ_NEW(l->arena, vj_view);
    *l->view[v] = view;
    return view;
}
