/* SPDX-License-Identifier: Apache-2.0 */
/* expr.c - scalar expressions of values, and the chain of nodes that a kernel takes in behind its own:
 * elementwise ops whose other operands can be read already, movement ops between them, and in the end the cut into q, k
 * and v. */
#include "lower.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define MOST_EXACT 0x1p53 /* integers from there on are not all doubles */

static bool is_elementwise(const vj_node *node) { return vj_op_table(node->op)->flags & VJ_FLAG_ELEMENTWISE; }

bool vj_is_splat_value(const vj_lowering *l, vj_value v, double *number) {
    return vj_is_splat(l->f, l->moved_from[v], number);
}

int32_t vj_entries_of(const vj_lowering *l, const vj_node *node, vj_value known) {
    int32_t count = node->op == VJ_OP_gelu ? 5 : node->op == VJ_OP_relu ? 2 : 1; /* as emit_op has them */
    for (int32_t i = 0; i < node->arg_count; i++)
        if (node->args[i] != known) count += l->entries[node->args[i]];
    return count;
}

/* Operators */

/* The scalar operation that an op becomes; 0: none of its own. */
static int32_t xop_of(vj_op op) {
    static const int32_t scalar[VJ_OP_COUNT] = {
#define UNARY(id, ID, ...)   [VJ_OP_##id] = VJ_X_##ID,
#define BINARY(id, ID, ...)  [VJ_OP_##id] = VJ_X_##ID,
#define SPECIAL(id, ID, ...) [VJ_OP_##id] = VJ_X_##ID,
#include "ir/tensor/elementwise.def"
    };
    return scalar[op];
}

static int32_t emit_op(vj_build *b, const vj_node *node, const int32_t *args) {
    vj_arena *arena = b->l->p->arena;
    vj_kernel *k = b->k;
    const vj_dtype dtype = vj_dtype_at(b->l->f, node->first_result);
    if (node->op == VJ_OP_relu) return vj_x(arena, k, VJ_X_MAX, dtype, args[0], vj_x_const(arena, k, dtype, 0), -1);
    if (node->op == VJ_OP_gelu) {
        const char *form = vj_attr_name(node, VJ_ATTR_FORM, "erf");
        if (strcmp(form, "quick") != 0)
            return vj_x(arena, k, strcmp(form, "tanh") == 0 ? VJ_X_GELU_TANH : VJ_X_GELU_ERF, dtype, args[0], -1, -1);
        const int32_t scaled = vj_x(arena, k, VJ_X_MUL, dtype, args[0], vj_x_const(arena, k, dtype, 1.702), -1);
        return vj_x(arena, k, VJ_X_MUL, dtype, args[0], vj_x(arena, k, VJ_X_SIGMOID, dtype, scaled, -1, -1), -1);
    }
    const int32_t op = xop_of(node->op);
    assert(op > 0);
    return vj_x(arena, k, (vj_xop)op, dtype, args[0], args[1], args[2]);
}

/* The value of an elementwise node, whose dims follow by `map`; `known` is the operand that the kernel has already. */
int32_t vj_emit_node(vj_build *b, const vj_node *node, const vj_view *map, const vj_chain *known) {
    int32_t args[3] = {-1, -1, -1};
    int64_t dims[VJ_MAX_RANK];
    for (int32_t i = 0; i < node->arg_count; i++) {
        if (known && node->args[i] == known->value) {
            args[i] = known->expr;
            continue;
        }
        const int32_t rank = vj_image_dims(b->l->f, node->args[i], dims);
        const vj_view operand = vj_view_operand(map, rank, dims);
        args[i] = vj_emit_value(b, node->args[i], &operand);
        if (args[i] < 0) return -1;
    }
    return emit_op(b, node, args);
}

/* The value behind reshapes and transposes that is computed where it is used. */
static bool inlined_behind(const vj_build *b, vj_value *v, vj_view *map) {
    vj_lowering *l = b->l;
    while (!l->done[*v] && !vj_is_static_weight(l, *v)) {
        const vj_node *node = vj_producer(l->f, *v);
        if (is_elementwise(node) || l->inlined[*v]) return l->inlined[*v];
        if (!vj_unmove_view(l->f, node, map)) return false;
        *v = node->args[0];
    }
    return false;
}

/* Gathers read through an index. */

/* Where the dims of an operand come from among those of the result; -1: the axis of data that the index moves. */
typedef struct gather_dims {
    int32_t axis;
    int32_t data[VJ_MAX_RANK], index[VJ_MAX_RANK];
} gather_dims;

static gather_dims dims_of(const vj_func *f, const vj_node *node) {
    const int32_t data_rank = vj_type_at(f, node->args[0])->rank, index_rank = vj_type_at(f, node->args[1])->rank;
    const bool elements = node->op == VJ_OP_gather_elements;
    gather_dims all = {.axis = (int32_t)vj_attr_int(node, VJ_ATTR_AXIS, 0)};
    for (int32_t d = 0; d < data_rank; d++)
        all.data[d] = d == all.axis ? -1 : d < all.axis || elements ? d : d + index_rank - 1;
    for (int32_t d = 0; d < index_rank; d++)
        all.index[d] = elements ? d : all.axis + d;
    return all;
}

/* The map of an operand whose dims are dims of the result, or (-1) do not move. */
static vj_view map_of_dims(const vj_view *map, int32_t rank, const int32_t *from) {
    vj_view own = {.rank = rank};
    for (int32_t d = 0; d < rank; d++) {
        own.dim[d] = from[d] < 0 ? 1 : map->dim[from[d]];
        own.count[d] = from[d] < 0 ? 0 : map->count[from[d]];
        if (from[d] >= 0) memcpy(own.subaxis[d], map->subaxis[from[d]], sizeof own.subaxis[d]);
    }
    return own;
}

/* The index as an i64 that counts from the front; -1: an error. */
static int32_t emit_index(vj_build *b, vj_value index, const vj_view *map, int64_t extent) {
    vj_arena *arena = b->l->p->arena;
    const vj_dtype dtype = vj_dtype_at(b->l->f, index);
    int32_t at = vj_emit_value(b, index, map);
    if (at < 0) return -1;
    if (dtype != VJ_I64) at = vj_x(arena, b->k, VJ_X_CAST, VJ_I64, at, -1, -1);
    if (dtype != VJ_I64 && dtype != VJ_I32 && dtype != VJ_I16 && dtype != VJ_I8) return at;
    const int32_t zero = vj_x_const(arena, b->k, VJ_I64, 0), whole = vj_x_const(arena, b->k, VJ_I64, (double)extent);
    const int32_t below = vj_x(arena, b->k, VJ_X_LT, VJ_BOOL, at, zero, -1);
    return vj_x(arena, b->k, VJ_X_SELECT, VJ_I64, below, vj_x(arena, b->k, VJ_X_ADD, VJ_I64, at, whole, -1), at);
}

/* The data without the axis, which the term moves; -1: its address cannot be said so. */
static int32_t read_data(vj_build *b, const vj_view *data, const vj_view *map, int32_t axis, int32_t index) {
    vj_view still = *data;
    const vj_term term = {
        .kind = VJ_TERM_INDEX, .stride = vj_view_step(data, axis), .extent = data->dim[axis], .index = index};
    if (data->count[axis] > 1) return -1;
    still.count[axis] = 0;
    still.dim[axis] = 1;
    return vj_build_indexed(b, &still, map, &term);
}

int32_t vj_emit_gathered(vj_build *b, const vj_node *node, const vj_view *map) {
    vj_lowering *l = b->l;
    const gather_dims from = dims_of(l->f, node);
    int64_t dims[VJ_MAX_RANK];
    const vj_view index_map = map_of_dims(map, vj_type_at(l->f, node->args[1])->rank, from.index);
    const int32_t rank = vj_image_dims(l->f, node->args[0], dims);
    const int32_t index = emit_index(b, node->args[1], &index_map, dims[from.axis]);
    if (index < 0) return -1;
    const vj_view data_map = map_of_dims(map, rank, from.data);
    vj_view data;
    if (!vj_view_of(l, node->args[0], &data)) return -1;
    int32_t access = read_data(b, &data, &data_map, from.axis, index);
    if (access < 0) {
        if (!vj_dense_view_of(l, node->args[0], &data)) return -1;
        access = read_data(b, &data, &data_map, from.axis, index);
    }
    return access < 0 ? -1 : vj_x_load(l->p->arena, b->k, vj_dtype_at(l->f, node->first_result), access);
}

int32_t vj_emit_value(vj_build *b, vj_value v, const vj_view *map) {
    vj_arena *arena = b->l->p->arena;
    double number;
    const vj_dtype dtype = vj_dtype_at(b->l->f, v);
    if (vj_is_splat_value(b->l, v, &number) && (!vj_dtype_is_int(dtype) || fabs(number) < MOST_EXACT))
        return vj_x_const(arena, b->k, dtype, number);
    vj_view behind = *map;
    vj_value inner = v;
    if (inlined_behind(b, &inner, &behind) && vj_add_map_cuts(b, &behind)) {
        const vj_node *node = vj_producer(b->l->f, inner);
        if (is_elementwise(node)) return vj_emit_node(b, node, &behind, NULL);
        const int32_t gathered = vj_emit_gathered(b, node, &behind);
        if (gathered >= 0) return gathered;
    }
    const int32_t access = vj_build_operand(b, v, map);
    if (access < 0) return -1;
    return vj_x_load(arena, b->k, dtype, access);
}

/* Chains */

static bool is_in_result(const vj_build *b, vj_value v) {
    const int32_t buffer = b->l->view[v]->buffer;
    for (int32_t i = 0; i < b->k->out_count; i++)
        if (b->k->access[b->k->out[i].access].buffer == buffer) return true;
    for (int32_t i = 0; i < b->copy_count; i++)
        if (b->copies[i].to.buffer == buffer) return true;
    return false;
}

/* Does v follow from a result of this kernel? Another segment writes that one, for other columns and on other threads. */
static bool follows_from_result(const vj_build *b, vj_value v) {
    vj_lowering *l = b->l;
    bool follows = false;
    int32_t count = 0;
    if (b->k->out_count == 0 && b->copy_count == 0) return false;
    const vj_arena_mark mark = vj_arena_save(l->arena);
    bool *seen = VJ_NEW_ARRAY(l->arena, bool, l->f->value_count + 1);
    seen[v] = true;
    for (l->ready[count++] = v; count > 0 && !follows;) {
        const vj_value at = l->ready[--count];
        const vj_node *node = vj_producer(l->f, at);
        if (l->done[at]) {
            follows = is_in_result(b, at);
            continue;
        }
        for (int32_t i = 0; i < node->arg_count && !vj_is_static_weight(l, at); i++) {
            const vj_value from = node->args[i];
            if (from < 0 || seen[from]) continue;
            seen[from] = true;
            l->ready[count++] = from;
        }
    }
    vj_arena_release(l->arena, mark);
    return follows;
}

/* Over reshapes and transposes to the elementwise node that takes the value in; -1: there is none. */
static int32_t next_node(vj_build *b, vj_chain *chain) {
    vj_lowering *l = b->l;
    vj_chain ahead = *chain;
    for (;;) {
        const int32_t user = vj_only_user(l, ahead.value);
        if (user < 0) return -1;
        const vj_node *node = &l->f->nodes[user];
        if (is_elementwise(node)) {
            if (vj_image_elements(l->f, node->first_result) != vj_image_elements(l->f, ahead.value)) return -1;
            for (int32_t i = 0; i < node->arg_count; i++)
                if (node->args[i] != ahead.value &&
                    (!vj_is_available(l, node->args[i]) || follows_from_result(b, node->args[i])))
                    return -1;
            *chain = ahead;
            return user;
        }
        if ((node->op != VJ_OP_reshape && node->op != VJ_OP_transpose) || !vj_move_view(l->f, node, &ahead.map) ||
            !vj_add_map_cuts(b, &ahead.map))
            return -1;
        ahead.value = node->first_result;
    }
}

/* Room for what one more node reads: each operand may bring several. */
static bool has_room(const vj_build *b) { return b->k->access_count + VJ_MAX_OUTS + 6 <= VJ_MAX_ACCESSES; }

static bool grow(vj_build *b, vj_chain *chain) {
    for (;;) {
        vj_chain ahead = *chain;
        const int32_t user = has_room(b) ? next_node(b, &ahead) : -1;
        if (user < 0) return true;
        const vj_node *node = &b->l->f->nodes[user];
        if (b->k->expr_count + vj_entries_of(b->l, node, ahead.value) > VJ_MOST_ENTRIES) return true;
        *chain = ahead;
        int64_t dims[VJ_MAX_RANK];
        const int32_t rank = vj_image_dims(b->l->f, node->first_result, dims);
        vj_view map = chain->map;
        vj_view_broadcast(&map, rank, dims);
        const int32_t expr = vj_emit_node(b, node, &map, chain);
        if (expr < 0) return false;
        *chain = (vj_chain){node->first_result, map, expr};
        b->l->taken[user] = true;
    }
}

/* The kernel's result; when it cannot be written where it belongs, to a buffer of its own and from there by a copy. */
bool vj_add_result(vj_build *b, const vj_chain *chain, int32_t segment) {
    vj_lowering *l = b->l;
    vj_view to = vj_location(l, chain->value);
    const vj_view wanted = to;
    int32_t access = vj_build_view(b, &to, &chain->map);
    if (access < 0) {
        int64_t dims[VJ_MAX_RANK];
        const int32_t rank = vj_image_dims(l->f, chain->value, dims);
        const int32_t buffer = vj_add_buffer(l->p, VJ_BUFFER_ARENA, vj_dtype_at(l->f, chain->value),
                                             vj_image_elements(l->f, chain->value), NULL);
        to = vj_view_dense(buffer, rank, dims, 0, 1);
        access = vj_build_view(b, &to, &chain->map);
        b->copies[b->copy_count].value = chain->value;
        b->copies[b->copy_count].from = to;
        b->copies[b->copy_count++].to = wanted;
    }
    if (access < 0) {
        vj_fail(l->error, VJ_UNSUPPORTED, "kernel %s has a result that cannot be written", b->k->name);
        return false;
    }
    b->k->out[b->k->out_count++] = (vj_out){access, chain->expr, segment};
    vj_set_done(l, chain->value, &wanted);
    return true;
}

/* Besides other readers a cast to a half wants the value: the kernel that has it writes that too. */
static bool add_casts(vj_build *b, const vj_chain *chain) {
    vj_lowering *l = b->l;
    for (int32_t u = l->use_first[chain->value]; u < l->use_first[chain->value + 1]; u++) {
        const int32_t user = l->use_node[u];
        const vj_node *node = &l->f->nodes[user];
        const vj_value v = node->first_result;
        if (node->op != VJ_OP_cast || !vj_is_half(vj_dtype_at(l->f, v)) || l->done[v] || l->inlined[v] ||
            l->uses[v] == 0)
            continue;
        if (b->k->out_count == VJ_MAX_OUTS || !has_room(b)) return true;
        const int32_t expr = vj_emit_node(b, node, &chain->map, chain);
        const vj_chain narrow = {v, chain->map, expr};
        if (expr < 0 || !vj_add_result(b, &narrow, -1)) return false;
        l->taken[user] = true;
    }
    return true;
}

/* Segments: every use of the value takes one of `count` equal pieces of one dim, whose major subaxis is the major subaxis
 * of the columns. */

typedef struct cut {
    int32_t axis, count;
} cut;

static bool is_cut(const vj_lowering *l, vj_value v, cut *found) {
    int64_t dims[VJ_MAX_RANK], each = 0;
    const int32_t uses = l->use_first[v + 1] - l->use_first[v];
    if (l->output[v] >= 0 || uses < 2 || uses > VJ_MAX_OUTS) return false;
    vj_image_dims(l->f, v, dims);
    found->axis = -1;
    for (int32_t u = l->use_first[v]; u < l->use_first[v + 1]; u++) {
        const vj_node *node = &l->f->nodes[l->use_node[u]];
        int32_t axis;
        int64_t start, size;
        if ((node->op != VJ_OP_slice && node->op != VJ_OP_gather) || node->args[0] != v ||
            !vj_piece_of(l->f, node, &axis, &start, &size))
            return false;
        if (found->axis >= 0 && (axis != found->axis || size != each)) return false;
        if (start % size != 0 || dims[axis] % size != 0) return false;
        found->axis = axis;
        each = size;
    }
    if (dims[found->axis] / each > VJ_MAX_OUTS) return false;
    found->count = (int32_t)(dims[found->axis] / each);
    return found->count > 1;
}

/* Is the major subaxis of the dim, cut into so many, the top of the columns? Those are the dims of columns that stand
 * together first, but for dims of 1. */
static bool heads_columns(const vj_build *b, const vj_view *map, const cut *found) {
    int64_t top = 0, bottom = 0;
    for (int32_t d = 0; d < b->dims; d++) {
        if (b->extent[d] == 1) continue;
        if (b->group[d] != VJ_GROUP_COLS && top > 0) break;
        if (b->group[d] != VJ_GROUP_COLS) continue;
        if (top == 0) top = b->stride[d] * b->extent[d];
        bottom = b->stride[d];
    }
    if (map->count[found->axis] == 0) return false;
    const vj_subaxis major = map->subaxis[found->axis][0];
    return major.extent % found->count == 0 && major.extent * major.stride == top && top / found->count >= bottom;
}

/* Finds the cut behind reshapes and transposes, and takes the chain there. */
static bool find_cut(vj_build *b, vj_chain *chain, cut *found) {
    vj_lowering *l = b->l;
    vj_chain ahead = *chain;
    if (b->k->kind != VJ_KERNEL_GEMM || b->segments) return false;
    while (!is_cut(l, ahead.value, found)) {
        const int32_t user = vj_only_user(l, ahead.value);
        if (user < 0) return false;
        const vj_node *node = &l->f->nodes[user];
        if ((node->op != VJ_OP_reshape && node->op != VJ_OP_transpose) || !vj_move_view(l->f, node, &ahead.map))
            return false;
        ahead.value = node->first_result;
    }
    if (!heads_columns(b, &ahead.map, found) || !vj_add_map_cuts(b, &ahead.map)) return false;
    vj_subaxes subaxes = {0};
    const int64_t top = ahead.map.subaxis[found->axis][0].extent * ahead.map.subaxis[found->axis][0].stride;
    vj_subaxes_push(&subaxes, b->total / top, 1);
    subaxes.at[subaxes.count++] = (vj_subaxis){found->count, 0};
    subaxes.at[subaxes.count++] = (vj_subaxis){top / found->count, 0};
    if (!vj_add_cuts(b, &subaxes)) return false;
    *chain = ahead;
    return true;
}

static bool finish_segments(vj_build *b, const vj_chain *whole, const cut *found) {
    vj_lowering *l = b->l;
    b->segments = found->count;
    b->k->name = "qkv";
    for (int32_t u = l->use_first[whole->value]; u < l->use_first[whole->value + 1]; u++) {
        const vj_node *node = &l->f->nodes[l->use_node[u]];
        int32_t axis;
        int64_t start, size;
        if (l->done[node->first_result]) continue;
        vj_chain piece = {node->first_result, whole->map, whole->expr};
        if (!vj_piece_of(l->f, node, &axis, &start, &size) || !vj_move_view(l->f, node, &piece.map)) {
            return vj_lower_fail(l, node, "this piece cannot be written by itself");
        }
        if (!grow(b, &piece) || b->k->out_count == VJ_MAX_OUTS || !vj_add_result(b, &piece, (int32_t)(start / size)))
            return vj_lower_fail(l, node, "this piece cannot be written by itself");
    }
    return true;
}

bool vj_finish_chain(vj_build *b, vj_chain chain) {
    cut found;
    if (!b->alone && !grow(b, &chain)) return false;
    if (find_cut(b, &chain, &found)) {
        if (!finish_segments(b, &chain, &found)) return false;
    } else if (!vj_add_result(b, &chain, -1) || (!b->alone && !add_casts(b, &chain))) {
        return false;
    }
    return vj_build_finish(b);
}
