/* SPDX-License-Identifier: Apache-2.0 */
/* reduce.c - evaluates ops along axes: reductions, softmax, layer normalisation. */
#include "eval.h"

#include <math.h>
#include <string.h>

typedef enum reduction { SUM, MEAN, MAX, MIN, PROD } reduction;

static reduction reduction_of(const vj_node *node) {
    const char *kind = vj_attr_name(node, VJ_ATTR_KIND, "sum");
    if (strcmp(kind, "mean") == 0) return MEAN;
    if (strcmp(kind, "max") == 0) return MAX;
    if (strcmp(kind, "min") == 0) return MIN;
    return strcmp(kind, "prod") == 0 ? PROD : SUM;
}

static double join(reduction how, double a, double b) {
    switch (how) {
    case PROD:
        return a * b;
    case MAX:
        return isnan(a) || isnan(b) ? NAN : a > b ? a : b;
    case MIN:
        return isnan(a) || isnan(b) ? NAN : a < b ? a : b;
    default:
        return a + b;
    }
}

static int64_t join_int(reduction how, bool is_u64, int64_t a, int64_t b) {
    const bool less = is_u64 ? (uint64_t)a < (uint64_t)b : a < b;
    switch (how) {
    case PROD:
        return (int64_t)((uint64_t)a * (uint64_t)b);
    case MAX:
        return less ? b : a;
    case MIN:
        return less ? a : b;
    default:
        return (int64_t)((uint64_t)a + (uint64_t)b);
    }
}

/* The value of a reduction over no elements. */
static double empty(reduction how) { return how == MAX ? -INFINITY : how == MIN ? INFINITY : how == PROD; }

/* The result's stride for every axis of x, which is 0 for those that are reduced. */
static int64_t reduced_strides(const vj_eval_context *c, int64_t stride[VJ_MAX_RANK]) {
    const vj_tensor *x = c->args[0];
    const vj_attr *axes = vj_attr_find(c->node, VJ_ATTR_AXES);
    bool reduced[VJ_MAX_RANK] = {false};
    int64_t count = 1, step = 1;
    for (int32_t i = 0; i < axes->count; i++)
        reduced[axes->as.ints[i] < 0 ? axes->as.ints[i] + x->type.rank : axes->as.ints[i]] = true;
    for (int32_t a = x->type.rank - 1; a >= 0; a--) {
        stride[a] = reduced[a] ? 0 : step;
        if (reduced[a])
            count *= vj_tensor_dim(x, a);
        else
            step *= vj_tensor_dim(x, a);
    }
    return count;
}

static void divide_by(vj_tensor *y, int64_t count) {
    for (int64_t i = 0; i < y->count; i++) {
        if (y->f)
            y->f[i] /= (double)count;
        else if (count != 0)
            y->i[i] /= count;
    }
}

bool vj_eval_reduce(vj_eval_context *c) {
    const reduction how = reduction_of(c->node);
    const vj_tensor *x = c->args[0];
    vj_tensor *y = c->results[0];
    const bool is_u64 = x->type.dtype == VJ_U64;
    int64_t stride[VJ_MAX_RANK];
    const int64_t count = reduced_strides(c, stride);
    for (int64_t i = 0; i < y->count; i++) {
        if (y->f)
            y->f[i] = empty(how);
        else
            y->i[i] = vj_float_to_int(y->type.dtype, empty(how));
    }
    vj_walk w = vj_walk_over(x);
    vj_walk_strided(&w, 0, stride);
    for (int64_t i = 0; !w.done; vj_walk_next(&w))
        for (int64_t j = 0; j < w.inner; j++, i++) {
            const int64_t to = w.at[0] + j * w.step[0];
            if (y->f)
                y->f[to] = join(how, y->f[to], x->f[i]);
            else
                y->i[to] = join_int(how, is_u64, y->i[to], x->i[i]);
        }
    if (how == MEAN) divide_by(y, count);
    for (int64_t i = 0; y->i && i < y->count; i++)
        y->i[i] = vj_wrap(y->type.dtype, y->i[i]);
    return true;
}

void vj_softmax_row(double *x, int64_t count, int64_t step) {
    double largest = -INFINITY, sum = 0;
    for (int64_t i = 0; i < count; i++)
        largest = fmax(largest, x[i * step]);
    for (int64_t i = 0; i < count; i++) {
        x[i * step] = exp(x[i * step] - largest); /* NaN when all are -inf, by the definition */
        sum += x[i * step];
    }
    for (int64_t i = 0; i < count; i++)
        x[i * step] /= sum;
}

bool vj_eval_softmax(vj_eval_context *c) {
    const vj_tensor *x = c->args[0];
    vj_tensor *y = c->results[0];
    const int64_t given = vj_attr_int(c->node, VJ_ATTR_AXIS, -1);
    const int32_t axis = (int32_t)(given < 0 ? given + x->type.rank : given);
    const int64_t outer = vj_tensor_extent(x, 0, axis), size = vj_tensor_dim(x, axis);
    const int64_t inner = vj_tensor_extent(x, axis + 1, x->type.rank);
    if (x->count > 0) memcpy(y->f, x->f, (size_t)x->count * sizeof *x->f);
    for (int64_t o = 0; o < outer; o++)
        for (int64_t i = 0; i < inner; i++)
            vj_softmax_row(y->f + o * size * inner + i, size, inner);
    return true;
}

static void normalise(const double *x, double *y, int64_t count, double eps) {
    double mean = 0, variance = 0;
    for (int64_t i = 0; i < count; i++)
        mean += x[i];
    mean /= (double)count;
    for (int64_t i = 0; i < count; i++)
        variance += (x[i] - mean) * (x[i] - mean);
    const double scale = 1 / sqrt(variance / (double)count + eps);
    for (int64_t i = 0; i < count; i++)
        y[i] = (x[i] - mean) * scale;
}

static void scale_and_shift(vj_tensor *y, const vj_tensor *gain, const vj_tensor *offset) {
    vj_walk w = vj_walk_over(y);
    vj_walk_broadcast(&w, gain ? gain : y);
    vj_walk_broadcast(&w, offset ? offset : y);
    for (int64_t i = 0; !w.done; vj_walk_next(&w))
        for (int64_t j = 0; j < w.inner; j++, i++) {
            if (gain) y->f[i] *= gain->f[w.at[0] + j * w.step[0]];
            if (offset) y->f[i] += offset->f[w.at[1] + j * w.step[1]];
        }
}

bool vj_eval_layernorm(vj_eval_context *c) {
    const vj_tensor *x = c->args[0];
    vj_tensor *y = c->results[0];
    const int64_t given = vj_attr_int(c->node, VJ_ATTR_AXIS, -1);
    const int32_t axis = (int32_t)(given < 0 ? given + x->type.rank : given);
    const int64_t rows = vj_tensor_extent(x, 0, axis), count = vj_tensor_extent(x, axis, x->type.rank);
    const double eps = vj_attr_float(c->node, VJ_ATTR_EPS, 0);
    for (int64_t r = 0; r < rows; r++)
        normalise(x->f + r * count, y->f + r * count, count, eps);
    scale_and_shift(y, vj_arg(c, 1), vj_arg(c, 2));
    return true;
}
