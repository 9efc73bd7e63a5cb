/* SPDX-License-Identifier: Apache-2.0 */
/* conv.c - windows: conv as a gemm one of whose operands moves with window axes, a batch of gemms where it has
 * groups; depthwise conv, other types than kernels of products have, and pool as nests over windows. */
#include "lower.h"

#include <math.h>
#include <string.h>

/* x [n, c, spatial...] with windows; point dims of the outputs and of the window, by spatial axis. */
typedef struct windows {
    int32_t spatial;
    const int64_t *stride, *dilation, *low, *high;
    vj_view x; /* padded */
    int64_t kernel[VJ_MAX_RANK];
} windows;

static bool has_channels_last(const vj_view *x) { return vj_view_step(x, 1) == 1 && vj_view_step(x, x->rank - 1) != 1; }

/* A dense view of the dims. */
static vj_view framed(bool channels_last, int32_t rank, const int64_t *dims) {
    int64_t order[VJ_MAX_RANK], stand[VJ_MAX_RANK];
    if (!channels_last) return vj_view_dense(-1, rank, dims, 0, 1);
    vj_channels_last(rank, order);
    for (int32_t d = 0; d < rank; d++)
        stand[d] = dims[order[d]];
    vj_view to = vj_view_dense(-1, rank, stand, 0, 1);
    vj_view_untranspose(&to, order);
    return to;
}

/* Padding copies x, in the order in which it stands; for a product it may as well bring channels together. In types narrower than f32,
 * whose groups of the depth are multiplied together, they are brought together in any case. */
static bool open_windows(vj_lowering *l, const vj_node *node, double outside, bool product, windows *w) {
    int64_t dims[VJ_MAX_RANK], low[VJ_MAX_RANK] = {0};
    const int32_t rank = vj_image_dims(l->f, node->args[0], dims);
    w->spatial = rank - 2;
    w->stride = vj_attr_find(node, VJ_ATTR_STRIDE)->as.ints;
    w->dilation = vj_attr_find(node, VJ_ATTR_DILATION)->as.ints;
    w->low = vj_attr_find(node, VJ_ATTR_LOW)->as.ints;
    w->high = vj_attr_find(node, VJ_ATTR_HIGH)->as.ints;
    bool padded = false;
    if (rank > 2 + 3) return vj_lower_fail(l, node, "it has more than three spatial axes");
    if (!vj_view_of(l, node->args[0], &w->x)) return false;
    for (int32_t i = 0; i < w->spatial; i++) {
        padded |= w->low[i] != 0 || w->high[i] != 0;
        low[2 + i] = w->low[i];
        dims[2 + i] += w->low[i] + w->high[i];
    }
    if (!vj_view_is_simple(&w->x) && !vj_dense_view_of(l, node->args[0], &w->x)) return false;
    const bool channels_last = product && dims[1] >= VJ_MANY_CHANNELS;
    const bool narrow = vj_element_bytes(vj_dtype_at(l->f, node->args[0])) < 4;
    const bool turned = channels_last && !has_channels_last(&w->x) && narrow;
    if (!padded && !turned) return true;
    vj_view to = framed(channels_last || has_channels_last(&w->x), rank, dims);
    to.buffer = vj_add_buffer(l->p, VJ_BUFFER_ARENA, vj_dtype_at(l->f, node->args[0]), vj_view_elements(&to), NULL);
    if (!vj_lower_frame(l, &w->x, vj_dtype_at(l->f, node->args[0]), low, &to, outside, node->origin)) return false;
    w->x = to;
    return true;
}

static void push_windows(vj_subaxes *subaxes, const windows *w) {
    for (int32_t i = 0; i < w->spatial; i++)
        vj_subaxes_push(subaxes, w->kernel[i], w->dilation[i] * vj_view_step(&w->x, 2 + i));
}

static void push_pixels(vj_subaxes *subaxes, const windows *w, const int64_t *out) {
    for (int32_t i = 0; i < w->spatial; i++)
        vj_subaxes_push(subaxes, out[2 + i], w->stride[i] * vj_view_step(&w->x, 2 + i));
}

static vj_view result_map(const vj_build *b, int32_t rank, const int64_t *dims) {
    int32_t same[VJ_MAX_RANK];
    for (int32_t d = 0; d < rank; d++)
        same[d] = d;
    return vj_point_map(b, rank, dims, same);
}

static bool add_bias(vj_build *b, const vj_node *node, vj_chain *chain) {
    if (node->arg_count < 3 || node->args[2] < 0) return true;
    vj_view along = {.buffer = -1, .rank = 1};
    along.dim[0] = chain->map.dim[1];
    along.count[0] = chain->map.count[1];
    memcpy(along.subaxis[0], chain->map.subaxis[1], sizeof along.subaxis[0]);
    const int32_t bias = vj_emit_value(b, node->args[2], &along);
    if (bias < 0) return false;
    const vj_dtype dtype = vj_dtype_at(b->l->f, node->first_result);
    chain->expr = vj_x(b->l->p->arena, b->k, VJ_X_ADD, dtype, chain->expr, bias, -1);
    return true;
}

/* A convolution as a gemm of the dims below. Depth runs over (c, window), or (window, c) where channels are adjacent. */
typedef struct product {
    vj_build *b;
    const vj_node *node;
    const windows *w;
    int64_t groups, inner, outer; /* channels of a group, in and out */
    int32_t rank;
    int64_t out[VJ_MAX_RANK];
    bool channels_last;
} product;

/* The subaxes of the depth: the channel's and the window's, of x or of a weight [.., c, window]. */
static void push_depth(vj_subaxes *subaxes, const product *p, const vj_view *weight, int32_t c) {
    const windows *w = p->w;
    for (int32_t pass = 0; pass < 2; pass++) {
        if ((pass == 0) == p->channels_last) {
            if (weight)
                for (int32_t i = 0; i < w->spatial; i++)
                    vj_push_dim(subaxes, weight, c + 1 + i);
            else
                push_windows(subaxes, w);
        } else if (weight) {
            vj_push_dim(subaxes, weight, c);
        } else {
            vj_subaxes_push(subaxes, p->inner, vj_view_step(&w->x, 1));
        }
    }
}

static void add_depth(const product *p) {
    if (!p->channels_last) vj_point_dim(p->b, p->inner, VJ_GROUP_DEPTH);
    for (int32_t i = 0; i < p->w->spatial; i++)
        vj_point_dim(p->b, p->w->kernel[i], VJ_GROUP_DEPTH);
    if (p->channels_last) vj_point_dim(p->b, p->inner, VJ_GROUP_DEPTH);
}

/* The result's [n, o, pixels]: o is the subaxes of group and filter, which stand behind each other. */
static vj_view whole_map(const product *p) {
    const vj_build *b = p->b;
    vj_view map = {.buffer = -1, .rank = p->rank};
    for (int32_t d = 0; d < p->rank; d++) {
        const int32_t point = d == 0 ? 0 : d + (p->groups > 1);
        map.dim[d] = p->out[d];
        if (p->out[d] == 1) continue;
        map.count[d] = 1;
        map.subaxis[d][0] = (vj_subaxis){p->out[d], b->stride[point]};
    }
    return map;
}

static bool finish_product(const product *p) {
    vj_chain chain = {.value = p->node->first_result, .map = whole_map(p)};
    const vj_dtype dtype = vj_dtype_at(p->b->l->f, p->node->first_result);
    chain.expr = vj_x(p->b->l->p->arena, p->b->k, VJ_X_ACC, dtype, -1, -1, -1);
    return add_bias(p->b, p->node, &chain) && vj_finish_chain(p->b, chain);
}

/* The subaxes of x at all points: those of the group and the pixels, then the depth's. */
static vj_subaxes subaxes_of_x(const product *p) {
    vj_subaxes x = {0};
    vj_push_dim(&x, &p->w->x, 0);
    if (p->groups > 1) vj_subaxes_push(&x, p->groups, vj_view_step(&p->w->x, 1) * p->inner);
    vj_subaxes_push(&x, p->outer, 0);
    push_pixels(&x, p->w, p->out);
    push_depth(&x, p, NULL, 0);
    return x;
}

/* Rows are pixels, columns filters, from panels: one group with a constant weight. */
static bool by_panels(product *p, vj_value source, const vj_view *weight) {
    vj_build *b = p->b;
    vj_subaxes k = {0}, n = {0}, still = {0};
    for (int32_t d = 0; d < p->rank; d++)
        vj_point_dim(b, p->out[d], d == 1 ? VJ_GROUP_COLS : VJ_GROUP_ROWS);
    add_depth(p);
    if (!vj_points_ready(b)) return false;
    const vj_subaxes x = subaxes_of_x(p);
    push_depth(&k, p, weight, 1);
    vj_push_dim(&n, weight, 0);
    b->k->a = vj_build_access(b, p->w->x.buffer, p->w->x.offset, &x);
    vj_subaxes_push(&still, b->total, 0);
    if (b->k->a < 0) return vj_lower_fail(b->l, p->node, "its operands cannot be addressed");
    const int32_t packed = vj_packed_weight(b->l, source, vj_packed_dtype(b, source), weight->offset, &k, &n);
    b->k->b = packed < 0 ? -1 : vj_build_access(b, packed, 0, &still);
    if (b->k->b < 0) return vj_lower_fail(b->l, p->node, "its operands cannot be addressed");
    return finish_product(p);
}

/* The weight as [group, depth, filter], or [group, filter, depth], dense. */
static bool weight_by_group(const product *p, bool filters_last, vj_view *view) {
    vj_lowering *l = p->b->l;
    const int32_t rank = p->rank + 1;
    int64_t dims[VJ_MAX_RANK] = {p->groups, p->outer, p->inner}, perm[VJ_MAX_RANK];
    for (int32_t i = 0; i < p->w->spatial; i++)
        dims[3 + i] = p->w->kernel[i];
    int32_t to = 0;
    perm[to++] = 0;
    if (!filters_last) perm[to++] = 1;
    if (!p->channels_last) perm[to++] = 2;
    for (int32_t i = 0; i < p->w->spatial; i++)
        perm[to++] = 3 + i;
    if (p->channels_last) perm[to++] = 2;
    if (filters_last) perm[to++] = 1;
    return vj_ordered_view_of(l, p->node->args[1], rank, dims, perm, view);
}

/* The filters stay the same over images and pixels. */
static vj_subaxes subaxes_of_filters(const product *p, const vj_view *weight) {
    vj_subaxes y = {0};
    vj_subaxes_push(&y, p->out[0], 0);
    vj_push_dim(&y, weight, 0);
    vj_push_dim(&y, weight, 1);
    for (int32_t i = 0; i < p->w->spatial; i++)
        vj_subaxes_push(&y, p->out[2 + i], 0);
    push_depth(&y, p, weight, 2);
    return y;
}

/* Rows are pixels, columns the filters of a group. */
static bool by_filters(product *p) {
    vj_build *b = p->b;
    vj_view weight;
    if (!weight_by_group(p, true, &weight)) return false;
    for (int32_t d = 0; d < p->rank; d++) {
        if (d == 1 && p->groups > 1) vj_point_dim(b, p->groups, VJ_GROUP_BATCH);
        vj_point_dim(b, d == 1 ? p->outer : p->out[d], d == 1 ? VJ_GROUP_COLS : VJ_GROUP_ROWS);
    }
    add_depth(p);
    if (!vj_points_ready(b)) return false;
    const vj_subaxes x = subaxes_of_x(p), y = subaxes_of_filters(p, &weight);
    b->k->a = vj_build_access(b, p->w->x.buffer, p->w->x.offset, &x);
    b->k->b = vj_build_access(b, weight.buffer, weight.offset, &y);
    if (b->k->a < 0 || b->k->b < 0) return vj_lower_fail(b->l, p->node, "its operands cannot be addressed");
    return finish_product(p);
}

/* Rows are the filters of a group, columns the pixels of the last axis, which are adjacent: for the few filters of many
 * groups, which would leave the lanes of a vector empty. */
static bool by_pixels(product *p) {
    vj_build *b = p->b;
    vj_view weight;
    if (!weight_by_group(p, false, &weight)) return false;
    for (int32_t d = 0; d < p->rank; d++) {
        if (d == 1) vj_point_dim(b, p->groups, VJ_GROUP_BATCH);
        vj_point_dim(b, d == 1 ? p->outer : p->out[d],
                     d == 1             ? VJ_GROUP_ROWS
                     : d == p->rank - 1 ? VJ_GROUP_COLS
                                        : VJ_GROUP_BATCH);
    }
    add_depth(p);
    if (!vj_points_ready(b)) return false;
    const vj_subaxes x = subaxes_of_x(p), y = subaxes_of_filters(p, &weight);
    b->k->a = vj_build_access(b, weight.buffer, weight.offset, &y);
    b->k->b = vj_build_access(b, p->w->x.buffer, p->w->x.offset, &x);
    if (b->k->a < 0 || b->k->b < 0) return vj_lower_fail(b->l, p->node, "its operands cannot be addressed");
    return finish_product(p);
}

/* Parts of vectors of sixteen that n lanes fill. */
static double filled(int64_t n) { return (double)n / (double)vj_round_up(n, VJ_PANEL); }

static bool wants_pixels(const product *p) {
    const int32_t last = p->rank - 1;
    const bool adjacent = vj_view_step(&p->w->x, last) * p->w->stride[p->w->spatial - 1] == 1;
    return p->groups > 1 && adjacent && filled(p->out[last]) > filled(p->outer);
}

/* The weight with the channels adjacent, as lanes want them where a filter has one channel. */
static bool filters_last(vj_lowering *l, vj_value v, vj_view *view) {
    int64_t order[VJ_MAX_RANK];
    const int32_t rank = vj_type_at(l->f, v)->rank;
    for (int32_t d = 0; d < rank; d++)
        order[d] = (d + 1) % rank;
    if (!vj_weight_view_in_order(l, v, order, view)) return vj_view_of(l, v, view);
    return true;
}

/* A nest with the group's channels and the window as row. */
static bool by_sums(vj_lowering *l, const vj_node *node, windows *w, int64_t groups) {
    int64_t out[VJ_MAX_RANK], dims[VJ_MAX_RANK];
    vj_view weight;
    const int32_t rank = vj_image_dims(l->f, node->first_result, out);
    const int64_t inner = w->x.dim[1] / groups, outer = out[1] / groups, step = vj_view_step(&w->x, 1);
    vj_image_dims(l->f, node->args[1], dims);
    vj_build *b = vj_build_new(l, VJ_KERNEL_NEST, "conv", node->origin);
    for (int32_t d = 0; d < rank; d++)
        vj_point_dim(b, out[d], VJ_GROUP_OUTER);
    vj_point_dim(b, inner, VJ_GROUP_ROW);
    for (int32_t i = 0; i < w->spatial; i++)
        vj_point_dim(b, w->kernel[i], VJ_GROUP_ROW);
    if (!vj_points_ready(b)) return false;
    if (inner == 1 ? !filters_last(l, node->args[1], &weight) : !vj_view_of(l, node->args[1], &weight)) return false;
    vj_subaxes x = {0}, y = {0};
    vj_push_dim(&x, &w->x, 0);
    vj_subaxes_push(&x, groups, step * inner);
    vj_subaxes_push(&x, outer, 0);
    push_pixels(&x, w, out);
    vj_subaxes_push(&x, inner, step);
    push_windows(&x, w);
    vj_subaxes_push(&y, out[0], 0);
    vj_push_dim(&y, &weight, 0);
    for (int32_t i = 0; i < w->spatial; i++)
        vj_subaxes_push(&y, out[2 + i], 0);
    for (int32_t d = 1; d < rank; d++)
        vj_push_dim(&y, &weight, d);
    const int32_t a = vj_build_access(b, w->x.buffer, w->x.offset, &x);
    const int32_t by = vj_build_access(b, weight.buffer, weight.offset, &y);
    if (a < 0 || by < 0) return vj_lower_fail(l, node, "its operands cannot be addressed");
    vj_arena *arena = l->p->arena;
    const vj_dtype dtype = vj_dtype_at(l->f, node->first_result);
    const int32_t left = vj_load_as(b, dtype, a), right = vj_load_as(b, dtype, by);
    b->k->stage[b->k->stage_count++] = (vj_stage){VJ_REDUCE_SUM, vj_x(arena, b->k, VJ_X_MUL, dtype, left, right, -1)};
    vj_chain chain = {.value = node->first_result, .map = result_map(b, rank, out)};
    chain.expr = vj_x(arena, b->k, VJ_X_STAGE, dtype, 0, -1, -1);
    return add_bias(b, node, &chain) && vj_finish_chain(b, chain);
}

bool vj_lower_conv(vj_lowering *l, const vj_node *node) {
    windows w = {0};
    vj_view weight;
    vj_value source;
    int64_t dims[VJ_MAX_RANK];
    product p = {.node = node, .w = &w, .groups = vj_attr_int(node, VJ_ATTR_GROUPS, 1)};
    const bool is_gemm = vj_dtype_at(l->f, node->first_result) == VJ_F32 || vj_packs_integers(l->f, node);
    if (!open_windows(l, node, 0, p.groups == 1 && is_gemm, &w)) return false;
    p.rank = vj_image_dims(l->f, node->first_result, p.out);
    vj_image_dims(l->f, node->args[1], dims);
    for (int32_t i = 0; i < w.spatial; i++)
        w.kernel[i] = dims[2 + i];
    p.inner = w.x.dim[1] / p.groups;
    p.outer = p.out[1] / p.groups;
    p.channels_last = has_channels_last(&w.x);
    if (!is_gemm || (p.groups > 1 && p.inner == 1)) return by_sums(l, node, &w, p.groups);
    p.b = vj_build_new(l, VJ_KERNEL_GEMM, "conv", node->origin);
    if (p.groups == 1 && vj_has_weight_view(l, node->args[1], &source, &weight)) return by_panels(&p, source, &weight);
    return wants_pixels(&p) ? by_pixels(&p) : by_filters(&p);
}

bool vj_lower_pool(vj_lowering *l, const vj_node *node) {
    windows w = {0};
    int64_t out[VJ_MAX_RANK], count = 1;
    const int32_t rank = vj_image_dims(l->f, node->first_result, out);
    const bool is_max = strcmp(vj_attr_name(node, VJ_ATTR_KIND, "max"), "max") == 0;
    const vj_dtype dtype = vj_dtype_at(l->f, node->first_result);
    const int64_t *kernel = vj_attr_find(node, VJ_ATTR_KERNEL)->as.ints;
    if (!open_windows(l, node, is_max ? vj_lowest(dtype) : 0, false, &w)) return false;
    for (int32_t i = 0; i < w.spatial; i++) {
        w.kernel[i] = kernel[i];
        count *= kernel[i];
        if (!is_max && (w.low[i] || w.high[i]) && !vj_attr_int(node, VJ_ATTR_COUNT_PAD, 0))
            return vj_lower_fail(l, node, "means over padded windows that do not count the padding are not supported");
    }
    vj_build *b = vj_build_new(l, VJ_KERNEL_NEST, "pool", node->origin);
    for (int32_t d = 0; d < rank; d++)
        vj_point_dim(b, out[d], VJ_GROUP_OUTER);
    for (int32_t i = 0; i < w.spatial; i++)
        vj_point_dim(b, kernel[i], VJ_GROUP_ROW);
    if (!vj_points_ready(b)) return false;
    vj_subaxes x = {0};
    vj_push_dim(&x, &w.x, 0);
    vj_push_dim(&x, &w.x, 1);
    push_pixels(&x, &w, out);
    push_windows(&x, &w);
    const int32_t access = vj_build_access(b, w.x.buffer, w.x.offset, &x);
    if (access < 0) return vj_lower_fail(l, node, "its operand cannot be addressed");
    vj_arena *arena = l->p->arena;
    const int32_t load = vj_x_load(arena, b->k, dtype, access);
    b->k->stage[b->k->stage_count++] = (vj_stage){is_max ? VJ_REDUCE_MAX : VJ_REDUCE_SUM, load};
    vj_chain chain = {.value = node->first_result, .map = result_map(b, rank, out)};
    chain.expr = vj_x(arena, b->k, VJ_X_STAGE, dtype, 0, -1, -1);
    if (!is_max)
        chain.expr = vj_x(arena, b->k, VJ_X_DIV, dtype, chain.expr, vj_x_const(arena, b->k, dtype, (double)count), -1);
    return vj_finish_chain(b, chain);
}
