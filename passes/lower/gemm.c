/* SPDX-License-Identifier: Apache-2.0 */
/* gemm.c - linear and matmul: a gemm of floats or of 8-bit integers, and for other types a nest that sums over a row; and linear_blocks. */
#include "lower.h"

/* Operands a [lead, m, k] and b [lead, k, n] of a product; m is absent from a vector on the left, n from one on the
 * right. Indices of dims, -1: absent. */
typedef struct product {
    const vj_node *node;
    vj_value a, b, bias;
    int32_t a_rank, b_rank, rank;
    int64_t a_dim[VJ_MAX_RANK], b_dim[VJ_MAX_RANK], dim[VJ_MAX_RANK];
    int32_t lead;    /* leading dims of the result */
    int32_t m, n, k; /* point dims */
    vj_value weight; /* of the packed operand */
    vj_view weight_view;
    bool packs_a, packs_b;
    bool is_nest;
} product;

static bool lead_is_one(const int64_t *dims, int32_t rank) {
    for (int32_t d = 0; d + 2 < rank; d++)
        if (dims[d] != 1) return false;
    return true;
}

static void add_point(vj_build *b, const product *p, int64_t extent, vj_axis_group group) {
    vj_point_dim(b, extent, !p->is_nest ? group : group == VJ_GROUP_DEPTH ? VJ_GROUP_ROW : VJ_GROUP_OUTER);
}

static void add_points(vj_build *b, product *p) {
    const bool has_m = p->a_rank > 1, has_n = p->b_rank > 1;
    p->lead = p->rank - has_m - has_n;
    for (int32_t d = 0; d < p->lead; d++) {
        const int32_t in_b = d - p->lead + p->b_rank - 2;
        const bool moves_b = !p->packs_a && !p->packs_b && p->b_rank > 2 && in_b >= 0 && p->b_dim[in_b] != 1;
        add_point(b, p, p->dim[d], moves_b ? VJ_GROUP_BATCH : VJ_GROUP_ROWS);
    }
    p->m = p->n = -1;
    if (has_m) {
        p->m = b->dims;
        add_point(b, p, p->dim[p->lead], p->packs_a ? VJ_GROUP_COLS : VJ_GROUP_ROWS);
    }
    if (has_n) {
        p->n = b->dims;
        add_point(b, p, p->dim[p->rank - 1], p->packs_a ? VJ_GROUP_ROWS : VJ_GROUP_COLS);
    }
    p->k = b->dims;
    add_point(b, p, p->a_dim[p->a_rank - 1], VJ_GROUP_DEPTH);
}

static vj_view map_of_a(const vj_build *b, const product *p) {
    int32_t point[VJ_MAX_RANK];
    for (int32_t d = 0; d < p->a_rank; d++)
        point[d] = d == p->a_rank - 1 ? p->k : d == p->a_rank - 2 ? p->m : d + p->lead + 2 - p->a_rank;
    return vj_point_map(b, p->a_rank, p->a_dim, point);
}

static vj_view map_of_b(const vj_build *b, const product *p) {
    int32_t point[VJ_MAX_RANK];
    for (int32_t d = 0; d < p->b_rank; d++)
        point[d] = p->b_rank == 1 || d == p->b_rank - 2 ? p->k
                   : d == p->b_rank - 1                 ? p->n
                                                        : d + p->lead + 2 - p->b_rank;
    return vj_point_map(b, p->b_rank, p->b_dim, point);
}

/* The packed operand: its dims k and columns, which may be absent. */
static int32_t packed_access(vj_build *b, const product *p, int32_t k_dim, int32_t col_dim) {
    vj_subaxes k = {0}, n = {0}, still = {0};
    vj_push_dim(&k, &p->weight_view, k_dim);
    if (col_dim >= 0) vj_push_dim(&n, &p->weight_view, col_dim);
    const vj_dtype a = b->l->p->buffers[b->k->access[b->k->a].buffer].dtype, dtype = vj_packed_dtype(b, p->weight);
    int32_t buffer = -1;
    if (a == dtype && dtype == vj_dtype_at(b->l->f, p->weight))
        buffer = vj_packed_blocks(b->l, p->node, p->weight, p->weight_view.offset, 0, &k, &n);
    if (buffer < 0) buffer = vj_packed_weight(b->l, p->weight, dtype, p->weight_view.offset, &k, &n);
    vj_subaxes_push(&still, b->total, 0);
    return buffer < 0 ? -1 : vj_build_access(b, buffer, 0, &still);
}

/* The right operand as it stands, with a unit stride over the columns. */
static int32_t plain_access(vj_build *b, const product *p) {
    vj_view view, map = map_of_b(b, p);
    if (!vj_view_of(b->l, p->b, &view)) return -1;
    const int32_t cols = p->b_rank - 1;
    int32_t access = -1;
    if (p->n < 0 || p->b_dim[cols] == 1 || (view.count[cols] > 0 && vj_view_step(&view, cols) == 1))
        access = vj_build_view(b, &view, &map);
    if (access >= 0) return access;
    if (!vj_dense_view_of(b->l, p->b, &view)) return -1;
    return vj_build_view(b, &view, &map);
}

/* Are the elements of the dim adjacent, in one run or in runs of whole groups? */
static bool has_groups(const vj_view *view, int32_t dim, int64_t group) {
    const int32_t count = view->count[dim];
    return count == 0 ||
           (vj_view_step(view, dim) == 1 && (count == 1 || view->subaxis[dim][count - 1].extent % group == 0));
}

/* A as it stands; narrower than f32 with adjacent groups of the depth, if need be by a copy. */
static int32_t rows_access(vj_build *b, vj_value v, int32_t depth, const vj_view *map) {
    vj_view view;
    int64_t order[VJ_MAX_RANK];
    const int64_t group = 4 / vj_element_bytes(vj_dtype_at(b->l->f, v));
    if (group == 1) return vj_build_operand(b, v, map);
    if (!vj_view_of(b->l, v, &view)) return -1;
    if (has_groups(&view, depth, group)) return vj_build_operand(b, v, map);
    for (int32_t d = 0; d < view.rank; d++)
        order[d] = d < depth ? d : d + 1 < view.rank ? d + 1 : depth;
    if (!vj_ordered_view_of(b->l, v, view.rank, map->dim, order, &view)) return -1;
    return vj_build_view(b, &view, map);
}

static bool add_operands(vj_build *b, const product *p) {
    const vj_view a_map = map_of_a(b, p), b_map = map_of_b(b, p);
    const int32_t depth = p->b_rank == 1 ? 0 : p->b_rank - 2; /* of b */
    if (p->packs_b) {
        b->k->a = rows_access(b, p->a, p->a_rank - 1, &a_map);
        if (b->k->a >= 0) b->k->b = packed_access(b, p, depth, p->b_rank == 1 ? -1 : p->b_rank - 1);
    } else if (p->packs_a) {
        b->k->a = rows_access(b, p->b, depth, &b_map);
        if (b->k->a >= 0) b->k->b = packed_access(b, p, p->a_rank - 1, p->a_rank == 1 ? -1 : p->a_rank - 2);
    } else {
        b->k->b = plain_access(b, p);
        b->k->a = rows_access(b, p->a, p->a_rank - 1, &a_map);
    }
    return (b->k->a >= 0 && b->k->b >= 0) || vj_lower_fail(b->l, p->node, "its operands cannot be addressed");
}

/* The sum over k of a * b, at one point of the result. */
static int32_t sum_of_products(vj_build *b, const product *p, vj_dtype dtype) {
    const vj_view a_map = map_of_a(b, p), b_map = map_of_b(b, p);
    vj_arena *arena = b->l->p->arena;
    const int32_t left = vj_build_operand(b, p->a, &a_map), right = left < 0 ? -1 : vj_build_operand(b, p->b, &b_map);
    if (right < 0) return -1;
    const int32_t x = vj_load_as(b, dtype, left), y = vj_load_as(b, dtype, right);
    b->k->stage[b->k->stage_count++] = (vj_stage){VJ_REDUCE_SUM, vj_x(arena, b->k, VJ_X_MUL, dtype, x, y, -1)};
    return vj_x(arena, b->k, VJ_X_STAGE, dtype, 0, -1, -1);
}

static bool lower_product(vj_lowering *l, const vj_node *node, vj_value bias, const char *name) {
    const vj_dtype dtype = vj_dtype_at(l->f, node->first_result);
    product p = {.node = node, .a = node->args[0], .b = node->args[1], .bias = bias};
    p.is_nest = dtype != VJ_F32 && !vj_packs_integers(l->f, node);
    p.a_rank = vj_image_dims(l->f, p.a, p.a_dim);
    p.b_rank = vj_image_dims(l->f, p.b, p.b_dim);
    p.rank = vj_image_dims(l->f, node->first_result, p.dim);
    p.packs_b = !p.is_nest && lead_is_one(p.b_dim, p.b_rank) && vj_has_weight_view(l, p.b, &p.weight, &p.weight_view);
    p.packs_a = !p.is_nest && !p.packs_b && lead_is_one(p.a_dim, p.a_rank) &&
                vj_has_weight_view(l, p.a, &p.weight, &p.weight_view);
    vj_build *b = vj_build_new(l, p.is_nest ? VJ_KERNEL_NEST : VJ_KERNEL_GEMM, name, node->origin);
    add_points(b, &p);
    if (!vj_points_ready(b)) return false;
    vj_chain chain = {.value = node->first_result};
    if (p.is_nest) {
        chain.expr = sum_of_products(b, &p, dtype);
        if (chain.expr < 0) return false;
    } else {
        if (!add_operands(b, &p)) return false;
        chain.expr = vj_x(l->p->arena, b->k, VJ_X_ACC, dtype, -1, -1, -1);
    }
    int32_t same[VJ_MAX_RANK];
    for (int32_t d = 0; d < p.rank; d++)
        same[d] = d;
    chain.map = vj_point_map(b, p.rank, p.dim, same);
    if (bias >= 0) {
        const vj_view along = vj_view_operand(&chain.map, 1, p.dim + p.rank - 1);
        const int32_t add = vj_emit_value(b, bias, &along);
        if (add < 0) return false;
        chain.expr = vj_x(l->p->arena, b->k, VJ_X_ADD, dtype, chain.expr, add, -1);
    }
    return vj_finish_chain(b, chain);
}

bool vj_lower_linear(vj_lowering *l, const vj_node *node) {
    return lower_product(l, node, node->arg_count > 2 ? node->args[2] : VJ_NONE, "linear");
}

bool vj_lower_matmul(vj_lowering *l, const vj_node *node) { return lower_product(l, node, VJ_NONE, "matmul"); }

/* Products of bytes by weights in blocks, which are the innermost axis of the depth. */

/* The dims of operand i are the point dims from the first on, but for those in front of `from` as they are. */
static int32_t blocks_access(vj_build *b, const vj_node *node, int32_t i, int32_t lead) {
    int64_t dims[VJ_MAX_RANK];
    int32_t point[VJ_MAX_RANK];
    const int32_t rank = vj_image_dims(b->l->f, node->args[i], dims);
    for (int32_t d = 0; d < rank; d++)
        point[d] = d < lead ? d : d + 1; /* the columns stand between */
    const vj_view map = vj_point_map(b, rank, dims, point);
    return vj_build_operand(b, node->args[i], &map);
}

static int32_t block_weight_access(vj_build *b, const vj_node *node, int64_t block) {
    vj_value weight;
    vj_view view;
    vj_subaxes k = {0}, n = {0}, still = {0};
    if (!vj_has_weight_view(b->l, node->args[2], &weight, &view)) return -1;
    vj_push_dim(&k, &view, 0);
    vj_push_dim(&n, &view, 1);
    const int32_t buffer = vj_packed_blocks(b->l, node, weight, view.offset, block, &k, &n);
    vj_subaxes_push(&still, b->total, 0);
    return buffer < 0 ? -1 : vj_build_access(b, buffer, 0, &still);
}

bool vj_lower_linear_blocks(vj_lowering *l, const vj_node *node) {
    int64_t q[VJ_MAX_RANK], dims[VJ_MAX_RANK];
    int32_t same[VJ_MAX_RANK];
    const int32_t rank = vj_image_dims(l->f, node->first_result, dims), lead = rank - 1;
    vj_image_dims(l->f, node->args[0], q);
    vj_build *b = vj_build_new(l, VJ_KERNEL_GEMM, "linear", node->origin);
    for (int32_t d = 0; d < rank; d++) {
        vj_point_dim(b, dims[d], d < lead ? VJ_GROUP_ROWS : VJ_GROUP_COLS);
        same[d] = d;
    }
    vj_point_dim(b, q[lead], VJ_GROUP_DEPTH);
    vj_point_dim(b, q[lead + 1], VJ_GROUP_DEPTH);
    if (!vj_points_ready(b)) return false;
    b->k->a = blocks_access(b, node, 0, lead);
    b->k->b = block_weight_access(b, node, q[lead + 1]);
    b->k->s = blocks_access(b, node, 1, lead);
    if (b->k->a < 0 || b->k->b < 0 || b->k->s < 0) return vj_lower_fail(l, node, "its operands cannot be addressed");
    vj_chain chain = {.value = node->first_result, .expr = vj_x(l->p->arena, b->k, VJ_X_ACC, VJ_F32, -1, -1, -1)};
    chain.map = vj_point_map(b, rank, dims, same);
    return vj_finish_chain(b, chain);
}
