/* SPDX-License-Identifier: Apache-2.0 */
/* spread.c - nodes that no kernel computes as they are become several: attention in another type than f32, and
 * means over padded windows that do not count the padding. */
#include "lower.h"

#include <string.h>

static vj_value number(vj_func *f, vj_dtype dtype, double x) { return vj_add_const_f64(f, dtype, 0, NULL, &x); }

/* softmax(q k^T * scale + bias, where keep) v */
static vj_value attention(vj_func *f, const vj_node *node) {
    const vj_type k = *vj_type_at(f, node->args[1]);
    const vj_origin *origin = node->origin;
    int64_t perm[VJ_MAX_RANK];
    for (int32_t d = 0; d < k.rank; d++)
        perm[d] = d < k.rank - 2 ? d : 2 * k.rank - 3 - d;
    const vj_value keys = vj_make_transpose(f, node->args[1], perm, origin);
    vj_value scores = vj_make_binary(f, VJ_OP_matmul, node->args[0], keys, origin);
    const double scale = vj_attr_float(node, VJ_ATTR_SCALE, 1);
    if (scale != 1) scores = vj_make_binary(f, VJ_OP_mul, scores, number(f, vj_dtype_at(f, scores), scale), origin);
    if (node->arg_count > 3 && node->args[3] >= 0) scores = vj_make_binary(f, VJ_OP_add, scores, node->args[3], origin);
    if (node->arg_count > 4 && node->args[4] >= 0) {
        const vj_value other = number(f, vj_dtype_at(f, scores), vj_attr_float(node, VJ_ATTR_VALUE, 0));
        scores = vj_make(f, VJ_OP_select, (vj_value[]){node->args[4], scores, other}, 3, NULL, 0, origin);
    }
    const vj_attr last = vj_int(VJ_ATTR_AXIS, vj_type_at(f, scores)->rank - 1);
    const vj_value weights = vj_make(f, VJ_OP_softmax, &scores, 1, &last, 1, origin);
    return vj_make_binary(f, VJ_OP_matmul, weights, node->args[2], origin);
}

/* Of window `i` along an axis: how many places are the input's own. */
static int64_t taps_inside(int64_t size, int64_t begin, int64_t kernel, int64_t dilation) {
    const int64_t first = begin < 0 ? vj_ceil_div(-begin, dilation) : 0;
    const int64_t end = size > begin ? vj_ceil_div(size - begin, dilation) : 0; /* behind the last inside */
    return vj_max64(0, vj_min64(end, kernel) - first);
}

/* The mean that counts padding, times how many places a window has over how many are the input's own: a product of one
 * factor for each axis. */
static vj_value mean_of_inside(vj_func *f, vj_arena *arena, const vj_node *node) {
    const vj_type x = *vj_type_at(f, node->args[0]), y = *vj_type_at(f, node->first_result);
    vj_attr attrs[8];
    int32_t count = 0;
    for (int32_t i = 0; i < node->attr_count; i++)
        if (node->attrs[i].key != VJ_ATTR_COUNT_PAD) attrs[count++] = node->attrs[i];
    attrs[count++] = vj_int(VJ_ATTR_COUNT_PAD, 1);
    vj_value value = vj_make(f, VJ_OP_pool, node->args, 1, attrs, count, node->origin), factor = VJ_NONE;
    for (int32_t i = 0; i < x.rank - 2; i++) {
        const int64_t size = x.dims[2 + i].c, out = y.dims[2 + i].c;
        const int64_t low = vj_attr_find(node, VJ_ATTR_LOW)->as.ints[i];
        const int64_t kernel = vj_attr_find(node, VJ_ATTR_KERNEL)->as.ints[i];
        double *ratio = VJ_NEW_ARRAY(arena, double, out + 1);
        int64_t dims[VJ_MAX_RANK];
        for (int32_t d = 0; d < x.rank; d++)
            dims[d] = d == 2 + i ? out : 1;
        for (int64_t at = 0; at < out; at++)
            ratio[at] =
                (double)kernel / (double)taps_inside(size, at * vj_attr_find(node, VJ_ATTR_STRIDE)->as.ints[i] - low,
                                                     kernel, vj_attr_find(node, VJ_ATTR_DILATION)->as.ints[i]);
        const vj_value along = vj_add_const_f64(f, x.dtype, x.rank, dims, ratio);
        factor = factor < 0 ? along : vj_make_binary(f, VJ_OP_mul, factor, along, node->origin);
    }
    return vj_make_binary(f, VJ_OP_mul, value, factor, node->origin);
}

static bool has_uncounted_padding(const vj_node *node) {
    if (strcmp(vj_attr_name(node, VJ_ATTR_KIND, "max"), "mean") != 0 || vj_attr_int(node, VJ_ATTR_COUNT_PAD, 0))
        return false;
    const vj_attr *low = vj_attr_find(node, VJ_ATTR_LOW), *high = vj_attr_find(node, VJ_ATTR_HIGH);
    for (int32_t i = 0; i < low->count; i++)
        if (low->as.ints[i] || high->as.ints[i]) return true;
    return false;
}

void vj_spread_nodes(vj_pass_context *c) {
    vj_func *f = c->f;
    const int32_t count = f->node_count;
    for (int32_t n = 0; n < count; n++) {
        const vj_node node = f->nodes[n];
        vj_value made = VJ_NONE;
        if (node.dead) continue;
        if (node.op == VJ_OP_attention && vj_type_at(f, node.first_result)->dtype != VJ_F32)
            made = attention(f, &node);
        else if (node.op == VJ_OP_pool && has_uncounted_padding(&node))
            made = mean_of_inside(f, c->arena, &node);
        else if (node.op == VJ_OP_round_blocks)
            made = vj_make_rounded_blocks(f, &node);
        if (made < 0) continue;
        vj_replace_uses(f, node.first_result, made);
        vj_kill(f, n);
    }
    vj_compact(f);
}
