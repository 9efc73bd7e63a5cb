/* SPDX-License-Identifier: Apache-2.0 */
/* value.c - where values stand, and where they are to be written. */
#include "lower.h"

#include <assert.h>
#include <string.h>

/* Weights */

/* Has v a view of the weight that it is moved from? */
static bool moves_weight(const vj_lowering *l, vj_value v) {
    const vj_node *node = vj_producer(l->f, v);
    return node->op != VJ_OP_gather && vj_is_view_op(l->f, node) && vj_is_static_weight(l, node->args[0]);
}

static void whole_weight(const vj_lowering *l, vj_value v, vj_value *source, vj_view *view) {
    int64_t dims[VJ_MAX_RANK];
    const int32_t rank = vj_image_dims(l->f, v, dims);
    *view = vj_view_dense(-1, rank, dims, 0, 1);
    *source = v;
}

bool vj_has_weight_view(vj_lowering *l, vj_value v, vj_value *source, vj_view *view) {
    if (v < 0 || !vj_is_static_weight(l, v)) return false;
    int32_t count = 0;
    for (vj_value at = v; moves_weight(l, at); at = vj_producer(l->f, at)->args[0])
        l->ready[count++] = at;
    whole_weight(l, count ? vj_producer(l->f, l->ready[count - 1])->args[0] : v, source, view);
    while (count-- > 0)
        if (!vj_move_view(l->f, vj_producer(l->f, l->ready[count]), view))
            whole_weight(l, l->ready[count], source, view);
    return true;
}

static bool same_weight(const vj_weight *a, const vj_weight *b) {
    return a->kind == b->kind && a->source == b->source && a->k == b->k && a->n == b->n && a->k_rank == b->k_rank &&
           a->n_rank == b->n_rank && a->source_offset == b->source_offset && a->bits == b->bits &&
           a->block == b->block && a->least == b->least && a->table == b->table &&
           memcmp(a->k_extent, b->k_extent, sizeof a->k_extent) == 0 &&
           memcmp(a->k_stride, b->k_stride, sizeof a->k_stride) == 0 &&
           memcmp(a->n_extent, b->n_extent, sizeof a->n_extent) == 0 &&
           memcmp(a->n_stride, b->n_stride, sizeof a->n_stride) == 0;
}

static uint64_t weight_hash(const vj_weight *w) {
    const int64_t words[] = {w->kind, w->source, w->k, w->n, w->k_rank, w->n_rank, w->source_offset, w->bits, w->block};
    uint64_t hash = 0;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        hash = (hash ^ (uint64_t)words[i]) * 0x9e3779b97f4a7c15u; /* 2^64 over the golden ratio */
    for (int32_t i = 0; i < VJ_MAX_AXES; i++)
        hash = (hash ^ (uint64_t)(w->k_extent[i] * 3 + w->k_stride[i] * 5 + w->n_extent[i] * 7 + w->n_stride[i])) *
               0x9e3779b97f4a7c15u;
    return hash ^ hash >> 32;
}

/* The slot in the table of an equal weight, or the empty one where it belongs. */
static int32_t *find_weight(const vj_lowering *l, const vj_weight *weight, vj_dtype dtype) {
    const vj_program *p = l->p;
    for (uint64_t at = weight_hash(weight);; at++) {
        int32_t *slot = &l->weight_table[at & (uint64_t)(l->weight_room - 1)];
        if (*slot < 0 ||
            (p->buffers[*slot].dtype == dtype && same_weight(&p->weights[p->buffers[*slot].index], weight)))
            return slot;
    }
}

/* At most half of the table is full. */
static void make_room_for_weights(vj_lowering *l) {
    const vj_program *p = l->p;
    if (2 * (p->weight_count + 1) <= l->weight_room) return;
    l->weight_room = l->weight_room ? 2 * l->weight_room : 64;
    l->weight_table = VJ_NEW_ARRAY(l->arena, int32_t, l->weight_room);
    for (int32_t i = 0; i < l->weight_room; i++)
        l->weight_table[i] = -1;
    for (int32_t i = 0; i < p->buffer_count; i++)
        if (p->buffers[i].kind == VJ_BUFFER_WEIGHT)
            *find_weight(l, &p->weights[p->buffers[i].index], p->buffers[i].dtype) = i;
}

/* The buffer of a weight; one that is there already when it is the same. */
static int32_t weight_buffer(vj_lowering *l, const vj_weight *weight, vj_dtype dtype) {
    vj_program *p = l->p;
    make_room_for_weights(l);
    int32_t *slot = find_weight(l, weight, dtype);
    if (*slot >= 0) return *slot;
    *VJ_PUSH(p->arena, p->weights, p->weight_count, p->weight_capacity) = *weight;
    int64_t elements = 0; /* a size that is no int64_t is refused when the program is verified */
    (void)vj_packed_elements(weight, dtype, &elements);
    *slot = vj_add_buffer(p, VJ_BUFFER_WEIGHT, dtype, elements, l->f->values[weight->source].name);
    p->buffers[*slot].index = p->weight_count - 1;
    return *slot;
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

/* Panels of 16-bit elements hold pairs of neighbours of the depth, which A must find together: it walks the depth in one
 * run, or in runs of pairs. Else the same numbers are packed as f32. */
vj_dtype vj_packed_dtype(const vj_build *b, vj_value source) {
    const vj_dtype dtype = vj_dtype_at(b->l->f, source);
    const vj_subaxes *a = &b->subaxes[b->k->a];
    int64_t depth = 1;
    for (int32_t d = 0; d < b->dims; d++)
        if (b->group[d] == VJ_GROUP_DEPTH) depth *= b->extent[d];
    const int64_t run = a->count > 0 ? a->at[a->count - 1].extent : depth;
    return run >= depth || run % (4 / vj_element_bytes(dtype)) == 0 ? dtype : VJ_F32;
}

int32_t vj_load_as(vj_build *b, vj_dtype dtype, int32_t access) {
    const vj_dtype own = b->l->p->buffers[b->k->access[access].buffer].dtype;
    const int32_t load = vj_x_load(b->l->p->arena, b->k, own, access);
    return own == dtype ? load : vj_x(b->l->p->arena, b->k, VJ_X_CAST, dtype, load, -1, -1);
}

int32_t vj_packed_weight(vj_lowering *l, vj_value source, vj_dtype dtype, int64_t offset, const vj_subaxes *k,
                         const vj_subaxes *n) {
    vj_weight weight = {.kind = VJ_PACK_PANELS, .source = source, .source_offset = offset};
    if (k->count > VJ_MAX_AXES || n->count > VJ_MAX_AXES) return -1;
    list_subaxes(k, &weight.k_rank, weight.k_extent, weight.k_stride, &weight.k);
    list_subaxes(n, &weight.n_rank, weight.n_extent, weight.n_stride, &weight.n);
    return weight_buffer(l, &weight, dtype);
}

int32_t vj_packed_blocks(vj_lowering *l, const vj_node *product, vj_value source, int64_t offset, int64_t block,
                         const vj_subaxes *k, const vj_subaxes *n) {
    vj_weight weight = {.kind = VJ_PACK_PANELS, .source = source, .source_offset = offset, .block = block};
    vj_block_parts parts;
    if (k->count > VJ_MAX_AXES || n->count > VJ_MAX_AXES || !vj_find_blocks(l->f, source, &parts)) return -1;
    list_subaxes(k, &weight.k_rank, weight.k_extent, weight.k_stride, &weight.k);
    list_subaxes(n, &weight.n_rank, weight.n_extent, weight.n_stride, &weight.n);
    const char *why = vj_pack_in_blocks(l->f, l->arena, &weight);
    vj_report_seen(l->report, "block_weights");
    if (why)
        vj_report_reason(l->report, "block_weights", "node '%s': %s", vj_node_label(l->f, product), why);
    else
        vj_report_fused(l->report, "block_weights");
    return why ? -1 : weight_buffer(l, &weight, VJ_U8);
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
    view->buffer = weight_buffer(l, &weight, vj_dtype_at(l->f, source));
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

/* The view of a movement's result from that of its operand. */
static bool move_view(vj_lowering *l, const vj_node *node, vj_view *view) {
    if (vj_move_view(l->f, node, view)) return true;
    return vj_dense_view_of(l, node->args[0], view) &&
           (vj_move_view(l->f, node, view) || vj_lower_fail(l, node, "these elements cannot be addressed"));
}

static bool is_elementwise(const vj_node *node) { return vj_op_table(node->op)->flags & VJ_FLAG_ELEMENTWISE; }

/* Behind elementwise and movement ops, what v waits for comes first: the walk is by a list, for it can be as long as the
 * graph. Values that go into their users are computed there. */
static bool lower_waiting(vj_lowering *l, vj_value v) {
    vj_value *list = NULL;
    int32_t count = 0, capacity = 0;
    *VJ_PUSH(l->arena, list, count, capacity) = v;
    while (count > 0) {
        const vj_value at = list[count - 1];
        const vj_node *node = vj_producer(l->f, at);
        const bool waits = !l->done[at] && !vj_is_static_weight(l, at);
        const bool is_computed = is_elementwise(node) || l->inlined[at];
        if (waits && !l->entered[at] && (is_computed || vj_is_view_op(l->f, node))) {
            const int32_t operands = is_computed ? node->arg_count : 1;
            l->entered[at] = true;
            for (int32_t i = operands - 1; i >= 0; i--)
                *VJ_PUSH(l->arena, list, count, capacity) = node->args[i];
            continue;
        }
        count--;
        if (waits && is_computed && (at == v || !l->inlined[at]) && !l->compute(l, node)) return false;
    }
    return true;
}

/* Where a value stands that is not moved, or moved already. */
static bool source_view_of(vj_lowering *l, vj_value v, vj_view *view) {
    const vj_node *node = vj_producer(l->f, v);
    if (!l->done[v]) {
        if (vj_is_static_weight(l, v)) {
            dense_weight(l, v, 0, NULL, NULL, view);
            vj_set_done(l, v, view);
        } else if (!is_elementwise(node) && !l->inlined[v]) {
            return vj_lower_fail(l, node, "it is used before it is computed");
        } else if (!lower_waiting(l, v)) {
            return false;
        }
    }
    *view = *l->view[v];
    return true;
}

static bool is_moved(const vj_lowering *l, vj_value v) {
    return !l->done[v] && !vj_is_static_weight(l, v) && vj_is_view_op(l->f, vj_producer(l->f, v));
}

bool vj_view_of(vj_lowering *l, vj_value v, vj_view *view) {
    vj_value *moved = NULL, at = v;
    int32_t count = 0, capacity = 0;
    for (; is_moved(l, at); at = vj_producer(l->f, at)->args[0])
        *VJ_PUSH(l->arena, moved, count, capacity) = at;
    if (!source_view_of(l, at, view)) return false;
    while (count-- > 0) {
        if (!move_view(l, vj_producer(l->f, moved[count]), view)) return false;
        vj_set_done(l, moved[count], view);
    }
    return true;
}

int32_t vj_build_operand(vj_build *b, vj_value v, const vj_view *map) {
    vj_view view;
    if (!vj_view_of(b->l, v, &view)) return -1;
    int32_t access = vj_build_view(b, &view, map);
    if (access >= 0) return access;
    if (!vj_dense_view_of(b->l, v, &view)) return -1;
    access = vj_build_view(b, &view, map);
    if (access < 0)
        vj_fail(b->l->error, VJ_UNSUPPORTED, "kernel %s reads too many tensors, or too crookedly", b->k->name);
    return access;
}

/* Writing */

static vj_view whole_buffer(const vj_lowering *l, vj_value v, int32_t buffer) {
    int64_t dims[VJ_MAX_RANK];
    const int32_t rank = vj_image_dims(l->f, v, dims);
    return vj_view_dense(buffer, rank, dims, 0, 1);
}

/* The keys of an attention stand transposed, a row a head dim, so that scores are made for adjacent keys; keys in bf16
 * stand as they are, for pairs of a key's elements are multiplied together. */
static bool wants_keys(const vj_lowering *l, vj_value v) {
    const int32_t user = vj_only_user(l, v);
    return vj_dtype_at(l->f, v) == VJ_F32 && user >= 0 && l->f->nodes[user].op == VJ_OP_attention &&
           l->f->nodes[user].args[1] == v;
}

/* What a packed weight on the left multiplies has its depth in front of its rows; in bf16 it stands turned, for pairs of the
 * depth are multiplied together. */
static bool wants_depth(const vj_lowering *l, vj_value v) {
    const int32_t user = vj_only_user(l, v);
    if (user < 0 || vj_dtype_at(l->f, v) != VJ_BF16 || vj_type_at(l->f, v)->rank < 2) return false;
    const vj_node *node = &l->f->nodes[user];
    return node->op == VJ_OP_matmul && node->args[1] == v && vj_packed_factor(l->f, node) == 0;
}

/* The dims in the order in which they stand, the last one's elements adjacent. */
static void order_of_dims(const vj_lowering *l, vj_value v, int32_t rank, int64_t *order) {
    for (int32_t d = 0; d < rank; d++)
        order[d] = d;
    if (wants_keys(l, v) || wants_depth(l, v)) {
        order[rank - 1] = rank - 2;
        order[rank - 2] = rank - 1;
    } else if (l->channels_last[v]) {
        vj_channels_last(rank, order);
    }
}

/* What kernels of products read by rows. */
static bool is_factor_type(vj_dtype dtype) { return dtype == VJ_F32 || dtype == VJ_BF16 || dtype == VJ_U8; }

vj_view vj_own_location(vj_lowering *l, vj_value v) {
    int64_t dims[VJ_MAX_RANK], order[VJ_MAX_RANK], stand[VJ_MAX_RANK] = {0}, row = 0;
    const int32_t rank = vj_image_dims(l->f, v, dims);
    const vj_dtype dtype = vj_dtype_at(l->f, v);
    const int32_t buffer = vj_add_buffer(l->p, VJ_BUFFER_ARENA, dtype, 1, l->f->values[v].name);
    order_of_dims(l, v, rank, order);
    for (int32_t d = 0; d < rank; d++)
        stand[d] = dims[order[d]];
    if (rank >= 2 && is_factor_type(dtype) && vj_image_elements(l->f, v) > stand[rank - 1])
        row = vj_padded_row(stand[rank - 1], dtype);
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

/* Where the part of each operand begins along the concat's axis. */
static const int64_t *piece_starts(vj_lowering *l, int32_t n) {
    const vj_node *node = &l->f->nodes[n];
    const int32_t axis = (int32_t)vj_attr_int(node, VJ_ATTR_AXIS, 0);
    if (l->piece_start[n]) return l->piece_start[n];
    int64_t *starts = l->piece_start[n] = VJ_NEW_ARRAY(l->arena, int64_t, node->arg_count + 1), dims[VJ_MAX_RANK];
    for (int32_t i = 0; i < node->arg_count; i++) {
        vj_image_dims(l->f, node->args[i], dims);
        starts[i + 1] = starts[i] + dims[axis];
    }
    return starts;
}

/* v's part of a concat; what stands in front of it there says where. A value that comes twice is copied the second
 * time. `first` becomes the result whose location must be known before; false: there is no such part. */
static bool locate_in_concat(vj_lowering *l, vj_value v, vj_view *view, vj_value *first) {
    for (int32_t u = l->use_first[v]; u < l->use_first[v + 1]; u++) {
        const int32_t n = l->use_node[u];
        const vj_node *node = &l->f->nodes[n];
        if (node->op != VJ_OP_concat || (u > l->use_first[v] && l->use_node[u - 1] == n)) continue;
        if (!l->placed[node->first_result]) {
            *first = node->first_result;
            return true;
        }
        const int64_t *starts = piece_starts(l, n);
        const int32_t axis = (int32_t)vj_attr_int(node, VJ_ATTR_AXIS, 0), i = l->use_operand[u];
        *view = *l->view[node->first_result];
        if (vj_view_slice(view, axis, starts[i], starts[i + 1] - starts[i], 1)) return true;
    }
    return false;
}

static bool locate_behind_movement(vj_lowering *l, vj_value v, vj_view *view, vj_value *first) {
    const int32_t user = vj_only_user(l, v);
    if (user < 0) return false;
    const vj_node *node = &l->f->nodes[user];
    if (node->op != VJ_OP_reshape && node->op != VJ_OP_transpose) return false;
    if (!l->placed[node->first_result]) {
        *first = node->first_result;
        return true;
    }
    *view = *l->view[node->first_result];
    return vj_unmove_view(l->f, node, view);
}

/* Gives v a location; returns VJ_NONE, or the value that needs one first. */
static vj_value locate(vj_lowering *l, vj_value v) {
    vj_view view;
    vj_value first = VJ_NONE;
    if (l->placed[v]) return VJ_NONE;
    const bool found = locate_in_output(l, v, &view) || locate_in_concat(l, v, &view, &first) ||
                       locate_behind_movement(l, v, &view, &first);
    if (first >= 0) return first;
    if (!found) view = vj_own_location(l, v);
    l->placed[v] = true;
    l->view[v] = VJ_NEW(l->arena, vj_view);
    *l->view[v] = view;
    return VJ_NONE;
}

vj_view vj_location(vj_lowering *l, vj_value v) {
    int32_t count = 0;
    for (l->ready[count++] = v; count > 0;) {
        const vj_value first = locate(l, l->ready[count - 1]);
        if (first >= 0)
            l->ready[count++] = first;
        else
            count--;
    }
    return *l->view[v];
}
