/* SPDX-License-Identifier: Apache-2.0 */
/* windows.c - evaluates convolution and pooling over up to three spatial dims. Fewer are the last ones of three. */
#include "eval.h"

#include <math.h>
#include <string.h>

typedef struct geometry {
    int64_t stride[3], dilation[3], low[3], in[3], kernel[3], out[3];
} geometry;

static geometry geometry_of(const vj_eval_context *c, const int64_t *kernel) {
    const vj_tensor *x = c->args[0], *y = c->results[0];
    const int32_t spatial = x->type.rank - 2;
    geometry g = {{1, 1, 1}, {1, 1, 1}, {0, 0, 0}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}};
    for (int32_t i = 0; i < spatial; i++) {
        const int32_t to = 3 - spatial + i;
        g.stride[to] = vj_attr_find(c->node, VJ_ATTR_STRIDE)->as.ints[i];
        g.dilation[to] = vj_attr_find(c->node, VJ_ATTR_DILATION)->as.ints[i];
        g.low[to] = vj_attr_find(c->node, VJ_ATTR_LOW)->as.ints[i];
        g.in[to] = vj_tensor_dim(x, 2 + i);
        g.kernel[to] = kernel[i];
        g.out[to] = vj_tensor_dim(y, 2 + i);
    }
    return g;
}

static int64_t volume(const int64_t dims[3]) { return dims[0] * dims[1] * dims[2]; }

/* The index along an axis that tap `t` of window `i` reads, or -1 in the padding. */
static int64_t input_index(const geometry *g, int32_t axis, int64_t i, int64_t t) {
    const int64_t at = i * g->stride[axis] - g->low[axis] + t * g->dilation[axis];
    return at < g->in[axis] ? at : -1;
}

/* The elements as doubles. */
static const double *numbers_of(vj_eval_context *c, const vj_tensor *t) {
    if (t->f) return t->f;
    double *x = VJ_NEW_ARRAY(c->arena, double, t->count + 1);
    for (int64_t i = 0; i < t->count; i++)
        x[i] = (double)t->i[i];
    return x;
}

/* Adds one input volume times one tap of the kernel to the whole output volume. */
static void add_tap(const geometry *g, const double *x, double factor, int64_t tap, double *y) {
    const int64_t s = tap % g->kernel[2], r = tap / g->kernel[2] % g->kernel[1];
    const int64_t q = tap / g->kernel[2] / g->kernel[1];
    for (int64_t h = 0; h < g->out[0]; h++)
        for (int64_t i = 0; i < g->out[1]; i++) {
            const int64_t slice = input_index(g, 0, h, q), row = input_index(g, 1, i, r);
            if (slice < 0 || row < 0) continue;
            const double *from = x + (slice * g->in[1] + row) * g->in[2];
            double *to = y + (h * g->out[1] + i) * g->out[2];
            for (int64_t j = 0; j < g->out[2]; j++) {
                const int64_t column = input_index(g, 2, j, s);
                if (column >= 0) to[j] += factor * from[column];
            }
        }
}

bool vj_eval_conv(vj_eval_context *c) {
    const vj_tensor *x = c->args[0], *w = c->args[1], *bias = vj_arg(c, 2);
    vj_tensor *y = c->results[0];
    int64_t kernel[VJ_MAX_RANK];
    for (int32_t i = 0; i + 2 < w->type.rank; i++)
        kernel[i] = vj_tensor_dim(w, 2 + i);
    const geometry g = geometry_of(c, kernel);
    const int64_t groups = vj_attr_int(c->node, VJ_ATTR_GROUPS, 1);
    const int64_t images = vj_tensor_dim(x, 0), outputs = vj_tensor_dim(w, 0), inputs = vj_tensor_dim(w, 1);
    const int64_t in_volume = volume(g.in), out_volume = volume(g.out), taps = volume(g.kernel);
    /* Sums of integers are exact in doubles, up to 2^38 products of 8 bits. */
    const double *from = numbers_of(c, x), *factor = numbers_of(c, w), *first_sum = bias ? numbers_of(c, bias) : NULL;
    double *sums = y->f ? y->f : VJ_NEW_ARRAY(c->arena, double, y->count + 1);
    for (int64_t n = 0; n < images; n++)
        for (int64_t o = 0; o < outputs; o++) {
            double *to = sums + (n * outputs + o) * out_volume;
            const int64_t first = o / (outputs / groups) * inputs;
            for (int64_t i = 0; bias && i < out_volume; i++)
                to[i] = first_sum[o];
            for (int64_t ci = 0; ci < inputs; ci++)
                for (int64_t t = 0; t < taps; t++)
                    add_tap(&g, from + (n * vj_tensor_dim(x, 1) + first + ci) * in_volume,
                            factor[(o * inputs + ci) * taps + t], t, to);
        }
    for (int64_t i = 0; y->i && i < y->count; i++)
        y->i[i] = vj_wrap(y->type.dtype, (int64_t)sums[i]);
    return true;
}

/* The offset in its volume that this tap of window (h, i, j) reads, or -1 in the padding. */
static int64_t input_of_tap(const geometry *g, int64_t h, int64_t i, int64_t j, int64_t tap) {
    const int64_t slice = input_index(g, 0, h, tap / g->kernel[2] / g->kernel[1]);
    const int64_t row = input_index(g, 1, i, tap / g->kernel[2] % g->kernel[1]);
    const int64_t column = input_index(g, 2, j, tap % g->kernel[2]);
    return slice < 0 || row < 0 || column < 0 ? -1 : (slice * g->in[1] + row) * g->in[2] + column;
}

/* Reduces one window over the elements that exist, and counts them. */
static double pool_window(const geometry *g, const double *x, int64_t h, int64_t i, int64_t j, bool is_max,
                          int64_t *found) {
    double result = is_max ? -INFINITY : 0;
    *found = 0;
    for (int64_t tap = 0; tap < volume(g->kernel); tap++) {
        const int64_t at = input_of_tap(g, h, i, j, tap);
        if (at < 0) continue;
        const double value = x[at];
        if (!is_max)
            result += value;
        else
            result = isnan(result) || isnan(value) ? NAN : result > value ? result : value;
        ++*found;
    }
    return result;
}

/* The largest element of a window of integers. */
static int64_t largest_of(const geometry *g, const int64_t *x, int64_t h, int64_t i, int64_t j, vj_dtype dtype) {
    int64_t result = vj_float_to_int(dtype, -INFINITY);
    for (int64_t tap = 0; tap < volume(g->kernel); tap++) {
        const int64_t at = input_of_tap(g, h, i, j, tap);
        if (at >= 0 && (dtype == VJ_U64 ? (uint64_t)x[at] > (uint64_t)result : x[at] > result)) result = x[at];
    }
    return result;
}

bool vj_eval_pool(vj_eval_context *c) {
    const vj_tensor *x = c->args[0];
    vj_tensor *y = c->results[0];
    const bool is_max = strcmp(vj_attr_name(c->node, VJ_ATTR_KIND, "max"), "max") == 0;
    const bool count_padding = vj_attr_int(c->node, VJ_ATTR_COUNT_PAD, 0) != 0;
    const geometry g = geometry_of(c, vj_attr_find(c->node, VJ_ATTR_KERNEL)->as.ints);
    const int64_t planes = vj_tensor_extent(x, 0, 2), out_volume = volume(g.out);
    for (int64_t at = 0; at < planes * out_volume; at++) {
        const int64_t j = at % g.out[2], i = at / g.out[2] % g.out[1], h = at / g.out[2] / g.out[1] % g.out[0];
        const int64_t plane = at / out_volume * volume(g.in);
        int64_t found;
        if (y->i) {
            y->i[at] = largest_of(&g, x->i + plane, h, i, j, x->type.dtype);
            continue;
        }
        const double value = pool_window(&g, x->f + plane, h, i, j, is_max, &found);
        y->f[at] = is_max ? value : value / (double)(count_padding ? volume(g.kernel) : found);
    }
    return true;
}
