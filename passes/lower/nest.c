/* SPDX-License-Identifier: Apache-2.0 */
/* nest.c - nests: elementwise regions, reductions over a row and what is made of them, concats. */
#include "lower.h"

#include <string.h>

static vj_build *nest(vj_lowering *l, const vj_node *node, const char *name) {
    return vj_build_new(l, VJ_KERNEL_NEST, name, node->origin);
}

/* Point dims are the dims of x; those of `row_dims` belong to the row. Returns the map of x. */
static bool points_of(vj_build *b, vj_value x, uint32_t row_dims, vj_view *map) {
    int64_t dims[VJ_MAX_RANK];
    int32_t same[VJ_MAX_RANK];
    const int32_t rank = vj_image_dims(b->l->f, x, dims);
    for (int32_t d = 0; d < rank; d++) {
        vj_point_dim(b, dims[d], row_dims >> d & 1 ? VJ_GROUP_ROW : VJ_GROUP_OUTER);
        same[d] = d;
    }
    if (!vj_points_ready(b)) return false;
    *map = vj_point_map(b, rank, dims, same);
    return true;
}

static int32_t add_stage(vj_build *b, vj_reduce_kind kind, int32_t expr) {
    vj_kernel *k = b->k;
    k->stage[k->stage_count++] = (vj_stage){kind, expr};
    return vj_x(b->l->p->arena, k, VJ_X_STAGE, k->expr[expr].dtype, k->stage_count - 1, -1, -1);
}

static int32_t binary(vj_build *b, vj_xop op, int32_t x, int32_t y) {
    return vj_x(b->l->p->arena, b->k, op, b->k->expr[x].dtype, x, y, -1);
}

static int32_t unary(vj_build *b, vj_xop op, int32_t x) { return binary(b, op, x, -1); }

static int32_t divided(vj_build *b, int32_t x, int64_t count) {
    return binary(b, VJ_X_DIV, x, vj_x_const(b->l->p->arena, b->k, b->k->expr[x].dtype, (double)count));
}

static bool lower_elementwise(vj_lowering *l, const vj_node *node, bool alone) {
    vj_build *b = nest(l, node, vj_op_table(node->op)->name);
    b->alone = alone;
    vj_chain chain = {.value = node->first_result};
    if (!points_of(b, chain.value, 0, &chain.map)) return false;
    chain.expr = vj_emit_node(b, node, &chain.map, NULL);
    return chain.expr >= 0 && vj_finish_chain(b, chain);
}

bool vj_lower_elementwise(vj_lowering *l, const vj_node *node) { return lower_elementwise(l, node, false); }

bool vj_lower_elementwise_alone(vj_lowering *l, const vj_node *node) { return lower_elementwise(l, node, true); }

/* An operand of the node, broadcast to the dims that the map is of. */
static int32_t operand(vj_build *b, const vj_node *node, int32_t i, const vj_view *map) {
    int64_t dims[VJ_MAX_RANK];
    const int32_t rank = vj_image_dims(b->l->f, node->args[i], dims);
    const vj_view own = vj_view_operand(map, rank, dims);
    return vj_emit_value(b, node->args[i], &own);
}

static bool has_operand(const vj_node *node, int32_t i) { return i < node->arg_count && node->args[i] >= 0; }

/* (x - mean) / sqrt(var + eps) * gain + offset, in two passes: mean, then the mean of squares around it. */
bool vj_lower_layernorm(vj_lowering *l, const vj_node *node) {
    vj_build *b = nest(l, node, "layernorm");
    vj_chain chain = {.value = node->first_result};
    int64_t dims[VJ_MAX_RANK], count = 1;
    const int32_t rank = vj_image_dims(l->f, chain.value, dims);
    int32_t axis = (int32_t)vj_attr_int(node, VJ_ATTR_AXIS, -1);
    if (axis < 0) axis += rank;
    for (int32_t d = axis; d < rank; d++)
        count *= dims[d];
    if (!points_of(b, chain.value, ~0u << axis, &chain.map)) return false;
    const int32_t x = operand(b, node, 0, &chain.map);
    if (x < 0) return false;
    const int32_t around = binary(b, VJ_X_SUB, x, divided(b, add_stage(b, VJ_REDUCE_SUM, x), count));
    const int32_t var = divided(b, add_stage(b, VJ_REDUCE_SUM, binary(b, VJ_X_MUL, around, around)), count);
    const int32_t eps =
        vj_x_const(l->p->arena, b->k, vj_dtype_at(l->f, chain.value), vj_attr_float(node, VJ_ATTR_EPS, 0));
    chain.expr = binary(b, VJ_X_MUL, around, unary(b, VJ_X_RSQRT, binary(b, VJ_X_ADD, var, eps)));
    for (int32_t i = 1; i <= 2; i++) {
        if (!has_operand(node, i)) continue;
        const int32_t by = operand(b, node, i, &chain.map);
        if (by < 0) return false;
        chain.expr = binary(b, i == 1 ? VJ_X_MUL : VJ_X_ADD, chain.expr, by);
    }
    return vj_finish_chain(b, chain);
}

bool vj_lower_softmax(vj_lowering *l, const vj_node *node) {
    vj_build *b = nest(l, node, "softmax");
    vj_chain chain = {.value = node->first_result};
    int32_t axis = (int32_t)vj_attr_int(node, VJ_ATTR_AXIS, -1);
    if (axis < 0) axis += vj_type_at(l->f, chain.value)->rank;
    if (!points_of(b, chain.value, 1u << axis, &chain.map)) return false;
    const int32_t x = operand(b, node, 0, &chain.map);
    if (x < 0) return false;
    const int32_t raised = unary(b, VJ_X_EXP, binary(b, VJ_X_SUB, x, add_stage(b, VJ_REDUCE_MAX, x)));
    chain.expr = binary(b, VJ_X_MUL, raised, unary(b, VJ_X_RECIPROCAL, add_stage(b, VJ_REDUCE_SUM, raised)));
    return vj_finish_chain(b, chain);
}

/* A row's largest number, and its steps in bytes. */
bool vj_lower_byte_rows(vj_lowering *l, const vj_node *node) {
    vj_build *b = nest(l, node, "byte_rows");
    vj_arena *arena = l->p->arena;
    vj_chain q = {.value = node->first_result}, size = {.value = node->first_result + 1};
    int64_t dims[VJ_MAX_RANK];
    int32_t same[VJ_MAX_RANK];
    const int32_t rank = vj_image_dims(l->f, size.value, dims);
    for (int32_t d = 0; d < rank; d++)
        same[d] = d;
    if (!points_of(b, q.value, 1u << rank, &q.map)) return false;
    size.map = vj_point_map(b, rank, dims, same);
    const int32_t x = operand(b, node, 0, &q.map);
    if (x < 0) return false;
    const int32_t least = vj_x_const(arena, b->k, VJ_F32, VJ_LEAST_OF_BLOCK);
    const int32_t most = vj_x_const(arena, b->k, VJ_F32, VJ_STEPS_OF_BLOCK);
    const int32_t largest = binary(b, VJ_X_MAX, add_stage(b, VJ_REDUCE_MAX, unary(b, VJ_X_ABS, x)), least);
    const int32_t steps = unary(b, VJ_X_ROUND, binary(b, VJ_X_MUL, x, binary(b, VJ_X_DIV, most, largest)));
    const int32_t above = binary(b, VJ_X_ADD, steps, vj_x_const(arena, b->k, VJ_F32, VJ_ZERO_OF_BLOCK));
    q.expr = vj_x(arena, b->k, VJ_X_CAST, VJ_U8, above, -1, -1);
    size.expr = binary(b, VJ_X_DIV, largest, most);
    return vj_add_result(b, &q, -1) && vj_add_result(b, &size, -1) && vj_build_finish(b);
}

static vj_reduce_kind reduce_kind(const char *kind) {
    return strcmp(kind, "max") == 0    ? VJ_REDUCE_MAX
           : strcmp(kind, "min") == 0  ? VJ_REDUCE_MIN
           : strcmp(kind, "prod") == 0 ? VJ_REDUCE_PROD
                                       : VJ_REDUCE_SUM;
}

bool vj_lower_reduce(vj_lowering *l, const vj_node *node) {
    vj_build *b = nest(l, node, "reduce");
    const vj_attr *axes = vj_attr_find(node, VJ_ATTR_AXES);
    const char *kind = vj_attr_name(node, VJ_ATTR_KIND, "sum");
    vj_chain chain = {.value = node->first_result};
    int64_t from[VJ_MAX_RANK], dims[VJ_MAX_RANK], count = 1;
    int32_t point[VJ_MAX_RANK], kept = 0;
    uint32_t row = 0;
    vj_view map;
    const int32_t rank = vj_image_dims(l->f, node->args[0], from);
    for (int32_t i = 0; i < axes->count; i++)
        row |= 1u << (axes->as.ints[i] < 0 ? axes->as.ints[i] + rank : axes->as.ints[i]);
    const bool keep = vj_attr_int(node, VJ_ATTR_KEEP, 0) != 0;
    for (int32_t d = 0; d < rank; d++) {
        if (row >> d & 1) count *= from[d];
        if (row >> d & 1 && !keep) continue;
        point[kept++] = row >> d & 1 ? -1 : d;
    }
    if (!points_of(b, node->args[0], row, &map)) return false;
    vj_image_dims(l->f, chain.value, dims);
    chain.map = vj_point_map(b, kept, dims, point);
    const int32_t x = vj_emit_value(b, node->args[0], &map);
    if (x < 0) return false;
    chain.expr = add_stage(b, reduce_kind(kind), x);
    if (strcmp(kind, "mean") == 0) chain.expr = divided(b, chain.expr, count);
    return vj_finish_chain(b, chain);
}

static bool is_at(const vj_lowering *l, vj_value v, const vj_view *location) {
    if (!l->done[v]) return false;
    const vj_view *view = l->view[v];
    if (view->buffer != location->buffer || view->offset != location->offset) return false;
    return memcmp(view->count, location->count, (size_t)location->rank * sizeof *location->count) == 0;
}

bool vj_lower_concat(vj_lowering *l, const vj_node *node) {
    const int32_t axis = (int32_t)vj_attr_int(node, VJ_ATTR_AXIS, 0);
    int64_t dims[VJ_MAX_RANK], start = 0;
    vj_view whole = vj_location(l, node->first_result), part = whole, from;
    for (int32_t i = 0; i < node->arg_count; i++, start += dims[axis]) { /* can the location be cut? */
        vj_image_dims(l->f, node->args[i], dims);
        part = whole;
        if (vj_view_slice(&part, axis, start, dims[axis], 1)) continue;
        whole = vj_own_location(l, node->first_result);
        break;
    }
    start = 0;
    for (int32_t i = 0; i < node->arg_count; i++, start += dims[axis]) {
        vj_image_dims(l->f, node->args[i], dims);
        part = whole;
        if (!vj_view_slice(&part, axis, start, dims[axis], 1)) return vj_lower_fail(l, node, "its parts cannot be cut");
        if (is_at(l, node->args[i], &part)) continue;
        if (!vj_view_of(l, node->args[i], &from)) return false;
        if (is_at(l, node->args[i], &part)) continue;
        if (!vj_lower_copy(l, &from, &part, vj_dtype_at(l->f, node->first_result), "copy", node->origin)) return false;
    }
    vj_set_done(l, node->first_result, &whole);
    return true;
}
