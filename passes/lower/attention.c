/* SPDX-License-Identifier: Apache-2.0 */
/* attention.c - softmax(q k^T * scale + bias, masked) v as one kernel; scores and weights on their grids. */
#include "ir/tensor/grids.h"
#include "lower.h"

/* The map of an operand [lead, first, second] of the given rank, lead dims as far as they are not 1. */
static vj_view map_of(const vj_build *b, vj_value v, int32_t lead, int32_t first, int32_t second) {
    int64_t dims[VJ_MAX_RANK];
    int32_t point[VJ_MAX_RANK];
    const int32_t rank = vj_image_dims(b->l->f, v, dims);
    for (int32_t d = 0; d < rank; d++)
        point[d] = d == rank - 1 ? second : d == rank - 2 ? first : d + lead + 2 - rank;
    return vj_point_map(b, rank, dims, point);
}

/* Keys with adjacent keys or adjacent elements of a key. */
static int32_t keys_access(vj_build *b, vj_value v, const vj_view *map) {
    vj_view view;
    if (!vj_view_of(b->l, v, &view)) return -1;
    const int32_t d = view.rank - 1, j = d - 1;
    const bool unit =
        view.dim[j] == 1 || view.dim[d] == 1 || vj_view_step(&view, j) == 1 || vj_view_step(&view, d) == 1;
    const int32_t access = unit ? vj_build_view(b, &view, map) : -1;
    if (access >= 0) return access;
    return vj_dense_view_of(b->l, v, &view) ? vj_build_view(b, &view, map) : -1;
}

/* An operand that broadcasts to the scores, as an entry of the expression; -1 after an error. */
static int32_t at_score(vj_build *b, vj_value v, int32_t lead) {
    int64_t dims[VJ_MAX_RANK], full[VJ_MAX_RANK];
    int32_t point[VJ_MAX_RANK];
    for (int32_t d = 0; d < lead + 2; d++) {
        full[d] = b->extent[d];
        point[d] = d;
    }
    const vj_view map = vj_point_map(b, lead + 2, full, point);
    const int32_t rank = vj_image_dims(b->l->f, v, dims);
    const vj_view own = vj_view_operand(&map, rank, dims);
    return vj_emit_value(b, v, &own);
}

static int32_t times(vj_build *b, int32_t x, double factor) {
    vj_arena *arena = b->l->p->arena;
    return factor == 1 ? x : vj_x(arena, b->k, VJ_X_MUL, VJ_F32, x, vj_x_const(arena, b->k, VJ_F32, factor), -1);
}

/* x * *factor + v, of which the factor is taken. */
static bool add_operand(vj_build *b, vj_value v, int32_t lead, int32_t *x, double *factor) {
    const int32_t scaled = times(b, *x, *factor), addend = at_score(b, v, lead);
    if (addend < 0) return false;
    *x = vj_x(b->l->p->arena, b->k, VJ_X_ADD, VJ_F32, scaled, addend, -1);
    *factor = 1;
    return true;
}

/* x, which is in steps of the grid, as a whole number in its range. */
static int32_t rounded(vj_build *b, const vj_grid *g, int32_t x) {
    vj_arena *arena = b->l->p->arena;
    vj_kernel *k = b->k;
    const int32_t whole = vj_x(arena, k, VJ_X_ROUND, VJ_F32, x, -1, -1);
    x = vj_x(arena, k, VJ_X_AT_LEAST, VJ_F32, whole, vj_x_const(arena, k, VJ_F32, g->low), -1);
    x = vj_x(arena, k, VJ_X_AT_MOST, VJ_F32, x, vj_x_const(arena, k, VJ_F32, g->high), -1);
    if (g->none == g->low) return x; /* which a NaN is already */
    const int32_t is_number = vj_x(arena, k, VJ_X_EQ, VJ_BOOL, whole, whole, -1);
    return vj_x(arena, k, VJ_X_SELECT, VJ_F32, is_number, x, vj_x_const(arena, k, VJ_F32, g->none));
}

/* Scores from grid to grid, and weights on theirs. To divide takes as long as ten products: numbers are multiplied by 1 / step, together
 * with the factor that they have before. */
static bool add_grids(vj_build *b, const vj_node *node, int32_t lead, double *factor) {
    vj_kernel *k = b->k;
    vj_grid grids[VJ_MOST_GRIDS];
    const int32_t count = vj_read_grids(b->l->f, node, grids, b->l->error);
    if (count < 0) return b->l->error->status ? false : vj_lower_fail(b->l, node, "its grids are no constants");
    for (int32_t i = 0; i + 1 < count; i++) {
        if (grids[i].step != 0) {
            k->score_expr = rounded(b, &grids[i], times(b, k->score_expr, *factor / grids[i].step));
            *factor = grids[i].size;
        }
        const vj_value addend = vj_addend_of(node, i);
        if (addend >= 0 && !add_operand(b, addend, lead, &k->score_expr, factor)) return false;
    }
    if (count == 0 || grids[count - 1].step == 0) return true;
    const int32_t weight = vj_x(b->l->p->arena, k, VJ_X_ACC, VJ_F32, -1, -1, -1);
    k->weight_expr = rounded(b, &grids[count - 1], times(b, weight, 1 / grids[count - 1].step));
    k->weight_expr = times(b, k->weight_expr, grids[count - 1].size);
    return true;
}

/* Scores are dot products times scale, plus the bias; another number where the mask does not keep them. */
static bool add_score(vj_build *b, const vj_node *node, int32_t lead) {
    vj_arena *arena = b->l->p->arena;
    vj_kernel *k = b->k;
    double factor = vj_attr_float(node, VJ_ATTR_SCALE, 1);
    k->score_expr = vj_x(arena, k, VJ_X_ACC, VJ_F32, -1, -1, -1);
    if (node->arg_count > 3 && node->args[3] >= 0 && !add_operand(b, node->args[3], lead, &k->score_expr, &factor))
        return false;
    if (node->arg_count > 4 && node->args[4] >= 0) {
        const int32_t scores = times(b, k->score_expr, factor), keep = at_score(b, node->args[4], lead);
        if (keep < 0) return false;
        const int32_t other = vj_x_const(arena, k, VJ_F32, vj_attr_float(node, VJ_ATTR_VALUE, 0));
        k->score_expr = vj_x(arena, k, VJ_X_SELECT, VJ_F32, keep, scores, other);
        factor = 1;
    }
    if (!add_grids(b, node, lead, &factor)) return false;
    k->score_expr = times(b, k->score_expr, factor);
    return true;
}

bool vj_lower_attention(vj_lowering *l, const vj_node *node) {
    int64_t q[VJ_MAX_RANK], keys[VJ_MAX_RANK], dims[VJ_MAX_RANK];
    const int32_t rank = vj_image_dims(l->f, node->first_result, dims), lead = rank - 2;
    const int32_t q_rank = vj_image_dims(l->f, node->args[0], q), k_rank = vj_image_dims(l->f, node->args[1], keys);
    if (vj_dtype_at(l->f, node->first_result) != VJ_F32)
        return vj_lower_fail(l, node, "only attention in f32 is supported");
    vj_build *b = vj_build_new(l, VJ_KERNEL_ATTENTION, "attention", node->origin);
    for (int32_t d = 0; d < lead; d++)
        vj_point_dim(b, dims[d], VJ_GROUP_BATCH);
    const int32_t i = lead, j = i + 1, d = i + 2, e = i + 3;
    vj_point_dim(b, dims[rank - 2], VJ_GROUP_QUERIES);
    vj_point_dim(b, keys[k_rank - 2], VJ_GROUP_KEYS);
    vj_point_dim(b, q[q_rank - 1], VJ_GROUP_DIM);
    vj_point_dim(b, dims[rank - 1], VJ_GROUP_VALUE);
    b->single = 1u << VJ_GROUP_QUERIES | 1u << VJ_GROUP_KEYS | 1u << VJ_GROUP_DIM | 1u << VJ_GROUP_VALUE;
    if (!vj_points_ready(b)) return false;
    const vj_view q_map = map_of(b, node->args[0], lead, i, d), k_map = map_of(b, node->args[1], lead, j, d);
    const vj_view v_map = map_of(b, node->args[2], lead, j, e);
    b->k->q = vj_build_operand(b, node->args[0], &q_map);
    b->k->k = keys_access(b, node->args[1], &k_map);
    b->k->v = vj_build_operand(b, node->args[2], &v_map);
    if (b->k->q < 0 || b->k->k < 0 || b->k->v < 0) return vj_lower_fail(l, node, "its operands cannot be addressed");
    if (!add_score(b, node, lead)) return false;
    vj_chain chain = {.value = node->first_result, .expr = vj_x(l->p->arena, b->k, VJ_X_ACC, VJ_F32, -1, -1, -1)};
    chain.map = map_of(b, node->first_result, lead, i, e);
    return vj_finish_chain(b, chain);
}
