/* lower_conv.c - windows: conv as a gemm whose A moves with window axes, grouped conv and pool as nests over windows.
 */
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

/* A dense view of the dims, in the order in which x stands. */
static vj_view framed(const vj_view *x, int32_t rank, const int64_t *dims) {
    int64_t order[VJ_MAX_RANK], stand[VJ_MAX_RANK];
    if (!has_channels_last(x)) return vj_view_dense(-1, rank, dims, 0, 1);
    vj_channels_last(rank, order);
    for (int32_t d = 0; d < rank; d++)
        stand[d] = dims[order[d]];
    vj_view to = vj_view_dense(-1, rank, stand, 0, 1);
    vj_view_untranspose(&to, order);
    return to;
}

static bool open_windows(vj_lowering *l, const vj_node *node, double outside, windows *w) {
    int64_t dims[VJ_MAX_RANK], low[VJ_MAX_RANK] = {0};
    const int32_t rank = vj_image_dims(l->f, node->args[0], dims);
    w->spatial = rank - 2;
    w->stride = vj_attr_find(node, VJ_ATTR_STRIDE)->as.ints;
    w->dilation = vj_attr_find(node, VJ_ATTR_DILATION)->as.ints;
    w->low = vj_attr_find(node, VJ_ATTR_LOW)->as.ints;
    w->high = vj_attr_find(node, VJ_ATTR_HIGH)->as.ints;
    bool padded = false;
    if (!vj_view_of(l, node->args[0], &w->x)) return false;
    for (int32_t i = 0; i < w->spatial; i++) {
        padded |= w->low[i] != 0 || w->high[i] != 0;
        low[2 + i] = w->low[i];
        dims[2 + i] += w->low[i] + w->high[i];
    }
    if (!vj_view_is_simple(&w->x) && !vj_dense_view_of(l, node->args[0], &w->x)) return false;
    if (!padded) return true;
    vj_view to = framed(&w->x, rank, dims);
    to.buffer = vj_add_buffer(l->p, VJ_BUFFER_ARENA, vj_dtype_at(l->f, node->args[0]), vj_view_elements(&to), NULL);
    if (!vj_lower_frame(l, &w->x, vj_dtype_at(l->f, node->args[0]), low, &to, outside, node->origin)) return false;
    w->x = to;
    return true;
}

static void push_windows(vj_digits *digits, const windows *w) {
    for (int32_t i = 0; i < w->spatial; i++)
        vj_digits_push(digits, w->kernel[i], w->dilation[i] * vj_view_step(&w->x, 2 + i));
}

static void push_places(vj_digits *digits, const windows *w, const int64_t *out) {
    for (int32_t i = 0; i < w->spatial; i++)
        vj_digits_push(digits, out[2 + i], w->stride[i] * vj_view_step(&w->x, 2 + i));
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
    memcpy(along.digit[0], chain->map.digit[1], sizeof along.digit[0]);
    const int32_t bias = vj_emit_value(b, node->args[2], &along);
    if (bias < 0) return false;
    chain->expr = vj_x(b->l->p->arena, b->k, VJ_X_ADD, VJ_F32, chain->expr, bias, -1);
    return true;
}

/* Depth runs over (c, window), or (window, c) where channels are adjacent. */
static bool lower_whole(vj_lowering *l, const vj_node *node, windows *w, const vj_view *weight, vj_value source) {
    int64_t out[VJ_MAX_RANK];
    const int32_t rank = vj_image_dims(l->f, node->first_result, out);
    const bool channels_last = has_channels_last(&w->x);
    const int64_t channels = w->x.dim[1];
    vj_build *b = vj_build_new(l, VJ_KERNEL_GEMM, "conv", node->origin);
    for (int32_t d = 0; d < rank; d++)
        vj_point_dim(b, out[d], d == 1 ? VJ_GROUP_COLS : VJ_GROUP_ROWS);
    vj_digits a = {0}, k = {0}, n = {0}, still = {0};
    vj_push_dim(&a, &w->x, 0);
    vj_digits_push(&a, out[1], 0);
    push_places(&a, w, out);
    if (!channels_last) {
        vj_point_dim(b, channels, VJ_GROUP_DEPTH);
        vj_push_dim(&a, &w->x, 1);
        vj_push_dim(&k, weight, 1);
    }
    for (int32_t i = 0; i < w->spatial; i++) {
        vj_point_dim(b, w->kernel[i], VJ_GROUP_DEPTH);
        vj_push_dim(&k, weight, 2 + i);
    }
    push_windows(&a, w);
    if (channels_last) {
        vj_point_dim(b, channels, VJ_GROUP_DEPTH);
        vj_push_dim(&a, &w->x, 1);
        vj_push_dim(&k, weight, 1);
    }
    vj_push_dim(&n, weight, 0);
    if (!vj_points_ready(b)) return false;
    b->k->a = vj_build_access(b, w->x.buffer, w->x.offset, &a);
    vj_digits_push(&still, b->total, 0);
    const int32_t packed = vj_packed_weight(l, source, weight->offset, &k, &n);
    b->k->b = packed < 0 ? -1 : vj_build_access(b, packed, 0, &still);
    if (b->k->a < 0 || b->k->b < 0) return vj_lower_fail(l, node, "its operands cannot be addressed");
    vj_chain chain = {.value = node->first_result, .map = result_map(b, rank, out)};
    chain.expr = vj_x(l->p->arena, b->k, VJ_X_ACC, VJ_F32, -1, -1, -1);
    return add_bias(b, node, &chain) && vj_finish_chain(b, chain);
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

/* Each group has its own channels: a nest with the group's channels and the window as row. */
static bool lower_grouped(vj_lowering *l, const vj_node *node, windows *w, int64_t groups) {
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
    vj_digits x = {0}, y = {0};
    vj_push_dim(&x, &w->x, 0);
    vj_digits_push(&x, groups, step * inner);
    vj_digits_push(&x, outer, 0);
    push_places(&x, w, out);
    vj_digits_push(&x, inner, step);
    push_windows(&x, w);
    vj_digits_push(&y, out[0], 0);
    vj_push_dim(&y, &weight, 0);
    for (int32_t i = 0; i < w->spatial; i++)
        vj_digits_push(&y, out[2 + i], 0);
    for (int32_t d = 1; d < rank; d++)
        vj_push_dim(&y, &weight, d);
    const int32_t a = vj_build_access(b, w->x.buffer, w->x.offset, &x);
    const int32_t by = vj_build_access(b, weight.buffer, weight.offset, &y);
    if (a < 0 || by < 0) return vj_lower_fail(l, node, "its operands cannot be addressed");
    vj_arena *arena = l->p->arena;
    const int32_t left = vj_x_load(arena, b->k, VJ_F32, a), right = vj_x_load(arena, b->k, VJ_F32, by);
    b->k->stage[b->k->stage_count++] = (vj_stage){VJ_REDUCE_SUM, vj_x(arena, b->k, VJ_X_MUL, VJ_F32, left, right, -1)};
    vj_chain chain = {.value = node->first_result, .map = result_map(b, rank, out)};
    chain.expr = vj_x(arena, b->k, VJ_X_STAGE, VJ_F32, 0, -1, -1);
    return add_bias(b, node, &chain) && vj_finish_chain(b, chain);
}

bool vj_lower_conv(vj_lowering *l, const vj_node *node) {
    windows w = {0};
    vj_view weight;
    vj_value source;
    int64_t dims[VJ_MAX_RANK];
    if (vj_dtype_at(l->f, node->first_result) != VJ_F32) return vj_lower_fail(l, node, "only conv in f32 is supported");
    const int64_t groups = vj_attr_int(node, VJ_ATTR_GROUPS, 1);
    if (!open_windows(l, node, 0, &w)) return false;
    const int32_t rank = vj_image_dims(l->f, node->args[1], dims);
    for (int32_t i = 0; i + 2 < rank; i++)
        w.kernel[i] = dims[2 + i];
    if (groups > 1) return lower_grouped(l, node, &w, groups);
    if (!vj_has_weight_view(l, node->args[1], &source, &weight))
        return vj_lower_fail(l, node, "its weight must be a constant");
    return lower_whole(l, node, &w, &weight, source);
}

bool vj_lower_pool(vj_lowering *l, const vj_node *node) {
    windows w = {0};
    int64_t out[VJ_MAX_RANK], count = 1;
    const int32_t rank = vj_image_dims(l->f, node->first_result, out);
    const bool is_max = strcmp(vj_attr_name(node, VJ_ATTR_KIND, "max"), "max") == 0;
    const vj_dtype dtype = vj_dtype_at(l->f, node->first_result);
    const int64_t *kernel = vj_attr_find(node, VJ_ATTR_KERNEL)->as.ints;
    if (!open_windows(l, node, is_max ? -INFINITY : 0, &w)) return false;
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
    vj_digits x = {0};
    vj_push_dim(&x, &w.x, 0);
    vj_push_dim(&x, &w.x, 1);
    push_places(&x, &w, out);
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
