/* SPDX-License-Identifier: Apache-2.0 */
/* patches.c - a convolution in bf16 or of integers of patches of few channels is a product of a matrix that has a patch in each row: the kernel
 * that makes the picture's bf16 writes it so, as runs of a patch's few pixels are short for units that multiply groups. */
#include "lower.h"

static bool is_of_patches(const vj_func *f, const vj_node *node) {
    return node->op == VJ_OP_conv && (vj_dtype_at(f, node->args[0]) == VJ_BF16 || vj_packs_integers(f, node)) &&
           vj_type_at(f, node->args[0])->dims[1].c < VJ_MANY_CHANNELS && vj_is_patch_embedding(f, node) &&
           vj_is_weight(f, node->args[1]);
}

/* What the windows cover of v. */
static vj_value covered(vj_func *f, vj_value v, const vj_type *w, const vj_type *y, const vj_origin *origin) {
    for (int32_t i = 2; i < w->rank; i++) {
        const int64_t size = y->dims[i].c * w->dims[i].c;
        if (size < vj_type_at(f, v)->dims[i].c) v = vj_make_slice(f, v, i, 0, size, origin);
    }
    return v;
}

/* The narrow picture as far as it is covered: cut before it is cast, so that the cast can write where it is wanted. */
static vj_value covered_cast(vj_func *f, vj_value x, const vj_type *w, const vj_type *y, const vj_origin *origin) {
    const vj_node *node = vj_producer(f, x);
    if (node->op != VJ_OP_cast || vj_use_count(f, x) != 1) return covered(f, x, w, y, origin);
    const vj_value inside = covered(f, node->args[0], w, y, origin);
    return vj_make_cast(f, inside, vj_dtype_at(f, x), origin);
}

/* [B, C, h, kh, w, kw] as [B, h w, C kh kw] */
static vj_value rows_of(vj_func *f, vj_value x, const vj_type *w, const vj_type *y, const vj_origin *origin) {
    vj_dim dims[VJ_MAX_RANK] = {y->dims[0], w->dims[1]};
    int64_t perm[VJ_MAX_RANK] = {0}, pixels = 1, depth = w->dims[1].c;
    const int32_t spatial = w->rank - 2;
    for (int32_t i = 0; i < spatial; i++) {
        dims[2 + 2 * i] = y->dims[2 + i];
        dims[3 + 2 * i] = w->dims[2 + i];
        perm[1 + i] = 2 + 2 * i;
        perm[2 + spatial + i] = 3 + 2 * i;
        pixels *= y->dims[2 + i].c;
        depth *= w->dims[2 + i].c;
    }
    perm[1 + spatial] = 1;
    x = vj_make_transpose(f, vj_make_reshape(f, x, 2 + 2 * spatial, dims, origin), perm, origin);
    const vj_dim rows[3] = {y->dims[0], vj_dim_const(pixels), vj_dim_const(depth)};
    return vj_make_reshape(f, x, 3, rows, origin);
}

static vj_value product_of_patches(vj_func *f, const vj_node *node) {
    const vj_type w = *vj_type_at(f, node->args[1]), y = *vj_type_at(f, node->first_result);
    const vj_origin *origin = node->origin;
    const vj_value x = rows_of(f, covered_cast(f, node->args[0], &w, &y, origin), &w, &y, origin);
    const vj_dim flat[2] = {w.dims[0], vj_last_dim(vj_type_at(f, x))};
    static const int64_t swap[2] = {1, 0}, back[3] = {0, 2, 1};
    const vj_value filters = vj_make_reshape(f, node->args[1], 2, flat, origin);
    const vj_value args[3] = {x, vj_make_transpose(f, filters, swap, origin),
                              node->arg_count > 2 ? node->args[2] : VJ_NONE};
    const bool floats = vj_dtype_at(f, x) == VJ_BF16, has_bias = args[2] >= 0;
    vj_value rows = vj_make(f, floats ? VJ_OP_linear : VJ_OP_matmul, args, floats && has_bias ? 3 : 2, NULL, 0, origin);
    if (!floats && has_bias) rows = vj_make_binary(f, VJ_OP_add, rows, args[2], origin);
    return vj_make_reshape(f, vj_make_transpose(f, rows, back, origin), y.rank, y.dims, origin);
}

void vj_spread_patches(vj_pass_context *c) {
    vj_func *f = c->f;
    const int32_t count = f->node_count;
    for (int32_t n = 0; n < count; n++) {
        const vj_node node = f->nodes[n];
        if (node.dead || !is_of_patches(f, &node)) continue;
        vj_replace_uses(f, node.first_result, product_of_patches(f, &node));
        vj_kill(f, n);
    }
    vj_compact(f);
}
