/* SPDX-License-Identifier: Apache-2.0 */
/* windows.c - the windows of Conv and the pools, and the builders of the pools that have no indices. */
#include "windows.h"

#include <string.h>

bool vj_read_numbers(vj_importer *im, const char *name, int32_t count, int64_t least, int64_t otherwise, int64_t *out) {
    int32_t given;
    const int64_t *list = vj_ints_attribute(im, name, &given);
    if (!vj_going(im)) return false;
    if (list && given != count) return vj_stop(im, VJ_BAD_INPUT, "%s has %d numbers, not %d", name, given, count);
    for (int32_t i = 0; i < count; i++) {
        out[i] = list ? list[i] : otherwise;
        if (out[i] < least || out[i] > INT32_MAX)
            return vj_stop(im, VJ_BAD_INPUT, "%s has %lld", name, (long long)out[i]);
    }
    return true;
}

static bool auto_pads(vj_importer *im, const char *how, const vj_type *x, vj_windows *w) {
    bool upper = strcmp(how, "SAME_UPPER") == 0;
    if (!upper && strcmp(how, "SAME_LOWER") != 0 && strcmp(how, "VALID") != 0)
        return vj_stop(im, VJ_BAD_INPUT, "auto_pad is '%.20s'", how);
    for (int32_t i = 0; i < w->spatial; i++) {
        w->low[i] = w->high[i] = 0;
        if (how[0] == 'V') continue;
        int64_t size = x->dims[2 + i].c, count = vj_ceil_div(size, w->stride[i]);
        int64_t reach = (w->kernel[i] - 1) * w->dilation[i] + 1;
        int64_t total = vj_max64(0, (count - 1) * w->stride[i] + reach - size);
        w->low[i] = upper ? total / 2 : total - total / 2;
        w->high[i] = total - w->low[i];
    }
    return true;
}

bool vj_read_windows(vj_importer *im, const vj_type *x, const int64_t *kernel, vj_windows *w) {
    *w = (vj_windows){.spatial = x->rank - 2};
    if (w->spatial < 1) return vj_stop(im, VJ_BAD_INPUT, "%s has no spatial axes", vj_type_text(im->arena, x));
    if (w->spatial > VJ_MAX_SPATIAL)
        return vj_stop(im, VJ_UNSUPPORTED, "%s has %d spatial axes; at most %d are supported",
                       vj_type_text(im->arena, x), w->spatial, VJ_MAX_SPATIAL);
    for (int32_t i = 0; i < w->spatial; i++) {
        if (x->dims[2 + i].sym) return vj_stop(im, VJ_UNSUPPORTED, "slides over an open axis");
        if (x->dims[2 + i].c > INT32_MAX) return vj_stop(im, VJ_BAD_INPUT, "an axis is too long");
    }
    if (!kernel && !vj_find_attribute(im, "kernel_shape"))
        return vj_stop(im, VJ_BAD_INPUT, "has no kernel of the right rank");
    if (!vj_read_numbers(im, "kernel_shape", w->spatial, 1, 1, w->kernel)) return false;
    for (int32_t i = 0; kernel && i < w->spatial; i++) {
        if (vj_find_attribute(im, "kernel_shape") && w->kernel[i] != kernel[i])
            return vj_stop(im, VJ_BAD_INPUT, "kernel_shape contradicts the weight");
        if (kernel[i] < 1 || kernel[i] > INT32_MAX)
            return vj_stop(im, VJ_BAD_INPUT, "the kernel has a dim of %lld", (long long)kernel[i]);
        w->kernel[i] = kernel[i];
    }
    if (!vj_read_numbers(im, "strides", w->spatial, 1, 1, w->stride) ||
        !vj_read_numbers(im, "dilations", w->spatial, 1, 1, w->dilation))
        return false;
    int64_t pads[2 * VJ_MAX_SPATIAL];
    if (!vj_read_numbers(im, "pads", 2 * w->spatial, 0, 0, pads)) return false;
    for (int32_t i = 0; i < w->spatial; i++) {
        w->low[i] = pads[i];
        w->high[i] = pads[w->spatial + i];
        int64_t reach;
        if (!vj_mul(w->kernel[i] - 1, w->dilation[i], &reach) || reach > INT32_MAX)
            return vj_stop(im, VJ_BAD_INPUT, "its windows are too large");
    }
    const char *how = vj_text_attribute(im, "auto_pad", "NOTSET");
    if (!vj_going(im)) return false;
    return strcmp(how, "NOTSET") == 0 || auto_pads(im, how, x, w);
}

static vj_value padded(vj_importer *im, vj_value x, const vj_windows *w) {
    int64_t low[VJ_MAX_RANK] = {0}, high[VJ_MAX_RANK] = {0};
    bool any = false;
    for (int32_t i = 0; i < w->spatial; i++) {
        low[2 + i] = w->low[i];
        high[2 + i] = w->high[i];
        any = any || low[2 + i] || high[2 + i];
    }
    vj_attr attrs[] = {vj_ints(VJ_ATTR_LOW, low, w->spatial + 2), vj_ints(VJ_ATTR_HIGH, high, w->spatial + 2),
                       vj_name(VJ_ATTR_MODE, "constant"), vj_float(VJ_ATTR_VALUE, 0)};
    return any ? vj_emit(im, VJ_OP_pad, &x, 1, attrs, 4) : x;
}

vj_value vj_empty_pool(vj_importer *im, vj_value x, const vj_windows *w, vj_dtype dtype) {
    const vj_type type = *vj_type_at(im->f, x);
    vj_dim dims[VJ_MAX_RANK] = {type.dims[0], type.dims[1]};
    for (int32_t i = 0; i < w->spatial; i++)
        dims[2 + i] = vj_dim_const(w->count[i]);
    return vj_emit_broadcast(im, vj_emit_number(im, dtype, 0), dims, type.rank);
}

#define MOST_WORK 0x1p36 /* steps for an image */

static vj_value pooled(vj_importer *im, vj_value x, const vj_windows *w, bool is_max, bool count_pad) {
    if (w->none) return vj_empty_pool(im, x, w, vj_type_at(im->f, x)->dtype);
    vj_attr attrs[] = {vj_name(VJ_ATTR_KIND, is_max ? "max" : "mean"),
                       vj_ints(VJ_ATTR_KERNEL, w->kernel, w->spatial),
                       vj_ints(VJ_ATTR_STRIDE, w->stride, w->spatial),
                       vj_ints(VJ_ATTR_DILATION, w->dilation, w->spatial),
                       vj_ints(VJ_ATTR_LOW, w->low, w->spatial),
                       vj_ints(VJ_ATTR_HIGH, w->high, w->spatial),
                       vj_int(VJ_ATTR_COUNT_PAD, count_pad)};
    const vj_value y = vj_emit(im, VJ_OP_pool, &x, 1, attrs, is_max ? 6 : 7);
    if (vj_going(im) && vj_node_work(im->f, vj_producer(im->f, y)) > MOST_WORK) {
        vj_stop(im, VJ_UNSUPPORTED, "reads more than 2^36 elements: its windows are too many and too large");
        return VJ_NONE;
    }
    return y;
}

/* Counts the windows along spatial axis i as ONNX Runtime does, for all opsets alike. ceil_mode adds one where it begins
 * inside the input or its left padding. A window that is too long for the axis stays while it is so by less than a stride,
 * and without ceil_mode too, for the division is towards 0; longer by less than two there is none. `more` is the padding
 * that the windows need behind. */
static bool count_windows(vj_importer *im, const vj_type *x, int32_t i, bool ceil_mode, vj_windows *w, int64_t *more) {
    const int64_t size = x->dims[2 + i].c, stride = w->stride[i], padded = size + w->low[i] + w->high[i];
    const int64_t reach = (w->kernel[i] - 1) * w->dilation[i] + 1, room = padded - reach;
    w->count[i] = room / stride + 1;
    if (w->count[i] < 0)
        return vj_stop(im, VJ_BAD_INPUT, "a window of %lld does not fit on axis %d, of %lld with its padding",
                       (long long)reach, 2 + i, (long long)padded);
    if (ceil_mode && room > 0 && room % stride != 0 && w->count[i] * stride < size + w->low[i]) w->count[i]++;
    w->none = w->none || w->count[i] == 0;
    *more = vj_max64(0, (w->count[i] - 1) * stride - room);
    return true;
}

/* A window that is too long for axis i stands alone there. It loses the taps behind the axis, which may be millions. */
static bool shorten(vj_importer *im, const vj_type *x, int32_t i, vj_windows *w) {
    const int64_t last = (x->dims[2 + i].c + w->low[i] - 1) / w->dilation[i]; /* the last tap that is on the axis */
    if (last * w->dilation[i] < w->low[i]) return vj_stop(im, VJ_BAD_INPUT, "its window has no tap on axis %d", 2 + i);
    w->kernel[i] = last + 1;
    w->high[i] = 0;
    w->stride[i] = vj_max64(w->stride[i], w->dilation[i]); /* so that no second one fits */
    return true;
}

bool vj_read_pool(vj_importer *im, vj_value *x, vj_windows *w, bool *count_pad, vj_divisor divisor) {
    int64_t more[VJ_MAX_SPATIAL] = {0};
    const bool ceil_mode = vj_int_attribute(im, "ceil_mode", 0) != 0;
    if (!vj_going(im) || !vj_read_windows(im, vj_type_at(im->f, *x), NULL, w)) return false;
    bool beyond = false;
    for (int32_t i = 0; i < w->spatial; i++) {
        if (!count_windows(im, vj_type_at(im->f, *x), i, ceil_mode, w, &more[i])) return false;
        beyond = beyond || more[i];
    }
    if (w->none) return true;
    if (beyond && *count_pad && divisor == VJ_BY_PADDED) {
        *x = padded(im, *x, w);
        if (!vj_going(im)) return false;
        memset(w->low, 0, sizeof w->low);
        memset(w->high, 0, sizeof w->high);
        *count_pad = false;
    }
    for (int32_t i = 0; i < w->spatial; i++) {
        w->high[i] += more[i];
        if (more[i] && w->count[i] == 1 && !*count_pad && !shorten(im, vj_type_at(im->f, *x), i, w)) return false;
    }
    return true;
}

bool vj_average_pool(vj_importer *im, vj_value x, vj_divisor divisor, vj_value *y) {
    bool count_pad = vj_int_attribute(im, "count_include_pad", 0) != 0;
    vj_windows w;
    if (!vj_read_pool(im, &x, &w, &count_pad, divisor)) return false;
    *y = pooled(im, x, &w, false, count_pad);
    return vj_going(im);
}

/* Before opset 19 ONNX Runtime divides by all taps, unless there is a ceil_mode. */
bool vj_build_average_pool(vj_importer *im) {
    const bool by_all = im->row->ir_op == 0 && vj_int_attribute(im, "ceil_mode", 0) == 0;
    vj_value y;
    return vj_average_pool(im, vj_operand_value(im, 0), by_all ? VJ_BY_ALL : VJ_BY_PADDED, &y) && vj_bind(im, 0, y);
}

vj_value vj_max_pool(vj_importer *im, vj_value x, const vj_windows *w) { return pooled(im, x, w, true, false); }

/* The sums of windows, as means times the number of taps. */
static vj_value summed(vj_importer *im, vj_value x, const vj_windows *w) {
    double taps = 1;
    for (int32_t i = 0; i < w->spatial; i++)
        taps *= (double)w->kernel[i];
    vj_value mean = pooled(im, x, w, false, true);
    return vj_going(im) ? vj_emit2(im, VJ_OP_mul, mean, vj_emit_number(im, vj_type_at(im->f, x)->dtype, taps))
                        : VJ_NONE;
}

/* |x|^p, and below its inverse, for x >= 0 */
static vj_value raised(vj_importer *im, vj_value x, int64_t p) {
    if (!vj_going(im) || p == 1) return vj_emit1(im, VJ_OP_abs, x);
    if (p == 2) return vj_emit2(im, VJ_OP_mul, x, x);
    return vj_emit2(im, VJ_OP_pow, vj_emit1(im, VJ_OP_abs, x),
                    vj_emit_number(im, vj_type_at(im->f, x)->dtype, (double)p));
}

static vj_value rooted(vj_importer *im, vj_value x, int64_t p) {
    if (!vj_going(im) || p == 1) return x;
    if (p == 2) return vj_emit1(im, VJ_OP_sqrt, x);
    return vj_emit2(im, VJ_OP_pow, x, vj_emit_number(im, vj_type_at(im->f, x)->dtype, 1 / (double)p));
}

static bool read_p(vj_importer *im, int64_t *p) {
    *p = vj_int_attribute(im, "p", 2);
    return vj_going(im) && (*p >= 1 || vj_stop(im, VJ_BAD_INPUT, "p is %lld", (long long)*p));
}

bool vj_build_lp_pool(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0);
    int64_t p;
    bool count_pad = false;
    vj_windows w;
    if (!read_p(im, &p) || !vj_read_pool(im, &x, &w, &count_pad, VJ_BY_PADDED)) return false;
    return vj_bind(im, 0, rooted(im, summed(im, raised(im, x, p), &w), p));
}

static bool spatial_axes(vj_importer *im, vj_value x, int32_t *axes, int32_t *count) {
    *count = 0;
    if (!vj_going(im)) return false;
    const int32_t rank = vj_type_at(im->f, x)->rank;
    if (rank < 3) return vj_stop(im, VJ_BAD_INPUT, "has no spatial axes");
    *count = rank - 2;
    for (int32_t i = 2; i < rank; i++)
        axes[i - 2] = i;
    return true;
}

bool vj_build_global_pool(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0);
    int32_t axes[VJ_MAX_RANK] = {0}, count;
    return spatial_axes(im, x, axes, &count) &&
           vj_bind(im, 0, vj_emit_reduce(im, im->row->ir_op ? "max" : "mean", x, axes, count, true));
}

bool vj_build_global_lp_pool(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0);
    int32_t axes[VJ_MAX_RANK] = {0}, count;
    int64_t p;
    if (!spatial_axes(im, x, axes, &count) || !read_p(im, &p)) return false;
    return vj_bind(im, 0, rooted(im, vj_emit_reduce(im, "sum", raised(im, x, p), axes, count, true), p));
}

/* x / (bias + alpha * mean of x^2 over `size` channels)^beta. The mean is a pool over two axes, of which the channels
 * are the first. */
bool vj_build_lrn(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0);
    const double alpha = vj_float_attribute(im, "alpha", 1e-4f), beta = vj_float_attribute(im, "beta", 0.75);
    const double bias = vj_float_attribute(im, "bias", 1);
    const int64_t size = vj_int_attribute(im, "size", 0);
    if (!vj_going(im)) return false;
    const vj_type t = *vj_type_at(im->f, x);
    if (size < 1 || size > INT32_MAX || t.rank < 2) return vj_stop(im, VJ_BAD_INPUT, "size is %lld", (long long)size);
    if (t.dims[1].sym) return vj_stop(im, VJ_UNSUPPORTED, "slides over an open axis");
    vj_dim flat[4] = {t.dims[0], vj_dim_const(1), t.dims[1]};
    if (!vj_dim_product(im, t.dims + 2, t.rank - 2, &flat[3])) return false;
    if (flat[3].sym) return vj_stop(im, VJ_UNSUPPORTED, "slides over an open axis");
    /* the padding is at most the number of channels; the mean is still over `size` */
    const int64_t before = vj_min64((size - 1) / 2, t.dims[1].c), behind = vj_min64(size / 2, t.dims[1].c);
    const int64_t window = before + 1 + behind;
    const vj_windows w = {.spatial = 2,
                          .kernel = {window, 1},
                          .stride = {1, 1},
                          .dilation = {1, 1},
                          .low = {before, 0},
                          .high = {behind, 0}};
    vj_value mean = pooled(im, vj_emit_reshape(im, vj_emit2(im, VJ_OP_mul, x, x), flat, 4), &w, false, true);
    vj_value scaled = vj_emit2(im, VJ_OP_mul, mean, vj_emit_number(im, t.dtype, alpha * (double)window / (double)size));
    vj_value sum = vj_emit2(im, VJ_OP_add, scaled, vj_emit_number(im, t.dtype, bias));
    vj_value by = vj_emit2(im, VJ_OP_pow, sum, vj_emit_number(im, t.dtype, beta));
    return vj_bind(im, 0, vj_emit2(im, VJ_OP_div, x, vj_emit_reshape(im, by, t.dims, t.rank)));
}
