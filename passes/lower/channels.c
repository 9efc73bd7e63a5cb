/* SPDX-License-Identifier: Apache-2.0 */
/* channels.c - which pictures [B, C, spatial...] stand channels last, as [B, spatial..., C].
 *
 * A window reads adjacent channels then, and lanes run along them: products, depthwise windows, pools and padding
 * stream through memory. It is a matter of whole groups of values: elementwise ops and concats of channels read and write
 * one place after another, so what they join stands alike. A group stands channels last when a window reads or writes a
 * value of it, unless another reader wants its rows of pixels (a reshape across the channels, as group normalisation
 * has, or a product along the last dim). Padding copies: it joins too, but where one side may not stand channels last and
 * the other wants to, it turns. */
#include "lower.h"

#include <string.h>

typedef struct groups {
    vj_lowering *l;
    int32_t *next;   /* union-find: the way to the group's first value */
    bool *wanted;    /* of the first value */
    bool *forbidden; /* of the first value */
} groups;

static int32_t first_of(const groups *g, vj_value v) {
    while (g->next[v] != v) {
        g->next[v] = g->next[g->next[v]];
        v = g->next[v];
    }
    return v;
}

static void join(const groups *g, vj_value a, vj_value b) {
    const int32_t x = first_of(g, a), y = first_of(g, b);
    if (x == y) return;
    g->next[y] = x;
    g->wanted[x] |= g->wanted[y];
    g->forbidden[x] |= g->forbidden[y];
}

static bool is_picture(const groups *g, vj_value v) {
    return vj_type_at(g->l->f, v)->rank >= 3 && !vj_is_static_weight(g->l, v);
}

static bool same_dims(const vj_func *f, vj_value a, vj_value b) {
    int64_t x[VJ_MAX_RANK], y[VJ_MAX_RANK];
    const int32_t rank = vj_image_dims(f, a, x);
    return rank == vj_image_dims(f, b, y) && memcmp(x, y, (size_t)rank * sizeof *x) == 0;
}

static void join_elementwise(const groups *g, const vj_node *node) {
    const vj_value v = node->first_result;
    for (int32_t i = 0; i < node->arg_count; i++)
        if (node->args[i] >= 0 && is_picture(g, node->args[i]) && same_dims(g->l->f, node->args[i], v))
            join(g, v, node->args[i]);
}

static void want(const groups *g, vj_value v) {
    int64_t dims[VJ_MAX_RANK];
    vj_image_dims(g->l->f, v, dims);
    if (is_picture(g, v) && dims[1] >= VJ_MANY_CHANNELS) g->wanted[first_of(g, v)] = true;
}

static void forbid(const groups *g, vj_value v) { g->forbidden[first_of(g, v)] = true; }

/* A reshape of the spatial dims alone goes with either order. */
static void see_reshape(const groups *g, vj_value from, vj_value to) {
    int64_t x[VJ_MAX_RANK], y[VJ_MAX_RANK];
    if (vj_image_dims(g->l->f, from, x) >= 2 && vj_image_dims(g->l->f, to, y) >= 2 && x[0] == y[0] && x[1] == y[1])
        return;
    forbid(g, from);
    forbid(g, to);
}

static void see(const groups *g, const vj_node *node) {
    const vj_value v = node->first_result;
    const bool turns = node->op == VJ_OP_cast && vj_is_half(vj_dtype_at(g->l->f, v)); /* it is written beside f32 */
    if ((vj_op_table(node->op)->flags & VJ_FLAG_ELEMENTWISE) && !turns) join_elementwise(g, node);
    switch (node->op) {
    case VJ_OP_conv:
    case VJ_OP_pool:
        want(g, node->args[0]);
        want(g, v);
        break;
    case VJ_OP_concat:
        if (vj_attr_int(node, VJ_ATTR_AXIS, 0) == 1)
            for (int32_t i = 0; i < node->arg_count; i++)
                if (is_picture(g, node->args[i])) join(g, v, node->args[i]);
        break;
    case VJ_OP_reshape:
        see_reshape(g, node->args[0], v);
        break;
    case VJ_OP_matmul:
    case VJ_OP_attention:
        for (int32_t i = 0; i < node->arg_count; i++)
            if (node->args[i] >= 0) forbid(g, node->args[i]);
        forbid(g, v);
        break;
    case VJ_OP_linear:
        forbid(g, node->args[0]);
        forbid(g, v);
        break;
    default:
        break;
    }
}

/* After all else is seen. */
static void see_pad(const groups *g, const vj_node *node) {
    const vj_value v = node->first_result, from = node->args[0];
    const int64_t *low = vj_attr_find(node, VJ_ATTR_LOW)->as.ints, *high = vj_attr_find(node, VJ_ATTR_HIGH)->as.ints;
    if (vj_type_at(g->l->f, v)->rank < 3 || low[0] || low[1] || high[0] || high[1]) return;
    if (g->forbidden[first_of(g, v)] == g->forbidden[first_of(g, from)]) join(g, v, from);
}

void vj_choose_channels_last(vj_lowering *l) {
    const vj_func *f = l->f;
    groups g = {.l = l,
                .next = VJ_NEW_ARRAY(l->arena, int32_t, f->value_count + 1),
                .wanted = VJ_NEW_ARRAY(l->arena, bool, f->value_count + 1),
                .forbidden = VJ_NEW_ARRAY(l->arena, bool, f->value_count + 1)};
    l->channels_last = VJ_NEW_ARRAY(l->arena, bool, f->value_count + 1);
    for (int32_t v = 0; v < f->value_count; v++)
        g.next[v] = v;
    for (int32_t n = 0; n < f->node_count; n++)
        if (!f->nodes[n].dead && f->nodes[n].result_count > 0) see(&g, &f->nodes[n]);
    for (int32_t n = 0; n < f->node_count; n++)
        if (!f->nodes[n].dead && f->nodes[n].op == VJ_OP_pad) see_pad(&g, &f->nodes[n]);
    for (int32_t v = 0; v < f->value_count; v++) {
        const int32_t first = first_of(&g, v);
        l->channels_last[v] = g.wanted[first] && !g.forbidden[first];
    }
}

void vj_channels_last(int32_t rank, int64_t *perm) {
    perm[0] = 0;
    for (int32_t d = 1; d + 1 < rank; d++)
        perm[d] = d + 1;
    perm[rank - 1] = 1;
}
