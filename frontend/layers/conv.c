/* SPDX-License-Identifier: Apache-2.0 */
/* conv.c - builders of Conv and ConvTranspose.
 *
 * A transposed convolution of stride s is a convolution for each of the s phases of a spatial axis: results whose
 * indices have the same remainder by s use the same taps of the kernel, and their windows move by one. The phases are
 * then interleaved, which is movement. Nothing is multiplied by inserted zeros. Where windows neither overlap nor leave
 * gaps (stride = kernel), all phases are one product.
 */
#include "windows.h"

#include <string.h>

static const vj_type *type_of(vj_importer *im, vj_value v) { return vj_type_at(im->f, v); }

bool vj_read_conv(vj_importer *im, vj_value x, vj_value w, vj_windows *win) {
    const vj_type *xt = type_of(im, x), *wt = type_of(im, w);
    int64_t kernel[VJ_MAX_SPATIAL] = {0};
    for (int32_t i = 2; i < wt->rank && i < 2 + VJ_MAX_SPATIAL; i++)
        kernel[i - 2] = wt->dims[i].c;
    if (!vj_type_is_static(wt)) return vj_stop(im, VJ_UNSUPPORTED, "the weight has an open dim");
    return vj_read_windows(im, xt, wt->rank == xt->rank ? kernel : NULL, win) &&
           (wt->rank == xt->rank || vj_stop(im, VJ_BAD_INPUT, "the weight is %s, for an input of %s",
                                            vj_type_text(im->arena, wt), vj_type_text(im->arena, xt)));
}

vj_value vj_emit_conv(vj_importer *im, vj_value x, vj_value w, vj_value bias, const vj_windows *win, int64_t groups) {
    vj_attr attrs[] = {vj_ints(VJ_ATTR_STRIDE, win->stride, win->spatial),
                       vj_ints(VJ_ATTR_DILATION, win->dilation, win->spatial),
                       vj_ints(VJ_ATTR_LOW, win->low, win->spatial), vj_ints(VJ_ATTR_HIGH, win->high, win->spatial),
                       vj_int(VJ_ATTR_GROUPS, groups)};
    vj_value args[3] = {x, w, bias};
    return vj_emit(im, VJ_OP_conv, args, bias < 0 ? 2 : 3, attrs, 5);
}

bool vj_build_conv(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0), w = vj_operand_value(im, 1),
             bias = vj_has_operand(im, 2) ? vj_operand_value(im, 2) : VJ_NONE;
    int64_t groups = vj_int_attribute(im, "group", 1);
    vj_windows win;
    if (!vj_going(im) || !vj_read_conv(im, x, w, &win)) return false;
    return vj_bind(im, 0, vj_emit_conv(im, x, w, bias, &win, groups));
}

/* ConvTranspose */

typedef struct transposed {
    vj_importer *im;
    vj_windows win; /* low and high are what is cut from the full result, or, if negative, the zeros added to it */
    int64_t out[VJ_MAX_SPATIAL];
    int64_t groups, filters; /* filters: the sum over all groups */
} transposed;

/* Computes the sizes of the result, and what is cut from both ends of the full result (ONNX, ConvTranspose). */
static bool read_result(transposed *t, const vj_type *x) {
    vj_importer *im = t->im;
    vj_windows *w = &t->win;
    int64_t more[VJ_MAX_SPATIAL];
    const bool has_shape = vj_find_attribute(im, "output_shape") != NULL;
    const char *how = vj_text_attribute(im, "auto_pad", "NOTSET");
    if (!vj_read_numbers(im, "output_padding", w->spatial, 0, 0, more)) return false;
    /* some exporters write the whole shape, with batch and channels */
    int32_t listed = 0;
    const int64_t *shape = vj_ints_attribute(im, "output_shape", &listed);
    if (has_shape && vj_going(im) && listed != w->spatial && listed != w->spatial + 2)
        return vj_stop(im, VJ_BAD_INPUT, "output_shape has %d numbers", listed);
    for (int32_t i = 0; i < w->spatial && vj_going(im); i++) {
        const int64_t in = x->dims[2 + i].c, reach = (w->kernel[i] - 1) * w->dilation[i] + 1;
        int64_t full;
        if (in < 1 || !vj_mul(in - 1, w->stride[i], &full) || full > INT32_MAX)
            return vj_stop(im, VJ_BAD_INPUT, "an axis of %lld is too long, or empty", (long long)in);
        full += reach + more[i];
        const int64_t given = has_shape ? shape[listed - w->spatial + i] : in * w->stride[i];
        const bool same = strncmp(how, "SAME", 4) == 0;
        if (has_shape || same) {
            const int64_t total = full - given, half = total < 0 ? -vj_ceil_div(-total, 2) : total / 2;
            if (given < 1 || given > INT32_MAX) return vj_stop(im, VJ_BAD_INPUT, "output_shape is impossible");
            w->low[i] = strcmp(how, "SAME_UPPER") == 0 ? half : total - half;
            if (!same && total < 0) w->low[i] = 0; /* zeros are added at the end only */
            w->high[i] = total - w->low[i];
        }
        t->out[i] = full - w->low[i] - w->high[i];
        if (t->out[i] < 1 || t->out[i] > INT32_MAX) return vj_stop(im, VJ_BAD_INPUT, "its result would be empty");
    }
    return vj_going(im);
}

/* One phase of one axis: its taps of the kernel, from the last to the first, and the elements of x that they read. */
typedef struct phase {
    int64_t taps;       /* how many; 0: the results of this phase are empty sums */
    int64_t last, step; /* the taps are last, last - step, ... */
    int64_t apart;      /* the distance in x between the elements that neighbouring taps read */
    int64_t first;      /* the index in x that the last tap reads for the first result; may be negative */
    int64_t results;
} phase;

static int64_t common_divisor(int64_t a, int64_t b) { return b ? common_divisor(b, a % b) : a; }

/* The phase of results `rest`, rest + stride, ... Tap t of input i falls on result o = stride * i + t * dilation - low.
 * All phases have the same number of results; the surplus at the end is cut later. */
static phase phase_of(const transposed *t, int32_t axis, int64_t rest) {
    const vj_windows *w = &t->win;
    const int64_t s = w->stride[axis], d = w->dilation[axis], divisor = common_divisor(s, d);
    phase p = {.step = s / divisor, .apart = d / divisor, .results = vj_ceil_div(t->out[axis], s)};
    int64_t tap = 0;
    while (tap < p.step && (rest + w->low[axis] - tap * d) % s != 0)
        tap++;
    if (tap < p.step && tap < w->kernel[axis]) p.taps = vj_ceil_div(w->kernel[axis] - tap, p.step);
    p.last = tap + (p.taps - 1) * p.step;
    p.first = p.taps ? (rest + w->low[axis] - p.last * d) / s : 0;
    return p;
}

/* The phase's taps of w [C, M / groups, kernel] in reverse, as the weight [M, C / groups, taps] of a convolution. */
static vj_value phase_weight(const transposed *t, vj_value w, const phase *p) {
    vj_importer *im = t->im;
    const int32_t spatial = t->win.spatial;
    for (int32_t i = 0; i < spatial; i++)
        w = vj_emit_slice(im, w, 2 + i, p[i].last, vj_dim_const(p[i].taps), -p[i].step);
    if (!vj_going(im)) return VJ_NONE;
    const int64_t channels = type_of(im, w)->dims[0].c, each = t->filters / t->groups;
    vj_dim apart[VJ_MAX_RANK] = {vj_dim_const(t->groups), vj_dim_const(channels / t->groups), vj_dim_const(each)};
    vj_dim flat[VJ_MAX_RANK] = {vj_dim_const(t->filters), vj_dim_const(channels / t->groups)};
    int32_t perm[VJ_MAX_RANK] = {0, 2, 1};
    for (int32_t i = 0; i < spatial; i++) {
        apart[3 + i] = flat[2 + i] = vj_dim_const(p[i].taps);
        perm[3 + i] = 3 + i;
    }
    w = vj_emit_transpose(im, vj_emit_reshape(im, w, apart, spatial + 3), perm);
    return vj_emit_reshape(im, w, flat, spatial + 2);
}

static vj_value zeros(vj_importer *im, const vj_type *type) {
    return vj_emit_broadcast(im, vj_emit_number(im, type->dtype, 0), type->dims, type->rank);
}

/* The results of one phase of all axes. */
static vj_value phase_result(const transposed *t, vj_value x, vj_value w, vj_value bias, const phase *p) {
    vj_importer *im = t->im;
    const int32_t spatial = t->win.spatial;
    vj_windows win = {.spatial = spatial};
    if (!vj_going(im)) return VJ_NONE;
    vj_type type = *type_of(im, x);
    bool empty = false;
    type.dims[1] = vj_dim_const(t->filters);
    for (int32_t i = 0; i < spatial; i++) {
        const int64_t in = type.dims[2 + i].c;
        const int64_t end = p[i].first + (p[i].taps - 1) * p[i].apart + p[i].results; /* behind the last index read */
        const int64_t begin = vj_max64(0, p[i].first), stop = vj_min64(in, end);
        type.dims[2 + i] = vj_dim_const(p[i].results);
        win.stride[i] = 1;
        win.dilation[i] = p[i].apart;
        win.low[i] = begin - p[i].first;
        win.high[i] = end - stop;
        empty = empty || p[i].taps == 0 || begin >= stop;
        if (!empty) x = vj_emit_slice(im, x, 2 + i, begin, vj_dim_const(stop - begin), 1);
    }
    if (!empty) return vj_emit_conv(im, x, phase_weight(t, w, p), bias, &win, t->groups);
    vj_value none = zeros(im, &type);
    return bias < 0 ? none : vj_emit2(im, VJ_OP_add, none, vj_emit_column(im, bias, 1, type.rank));
}

/* Interleaves the phases of `axis`: concatenates them along a new axis behind it, merges the two axes and cuts the
 * ends. */
static vj_value interleaved(const transposed *t, int32_t axis, const vj_value *phases, int64_t count) {
    vj_importer *im = t->im;
    vj_value parts[64];
    if (!vj_going(im)) return VJ_NONE;
    const vj_type type = *type_of(im, phases[0]);
    const int32_t at = 2 + axis;
    vj_dim dims[VJ_MAX_RANK];
    memcpy(dims, type.dims, sizeof dims);
    memmove(dims + at + 2, dims + at + 1, (size_t)(type.rank - at - 1) * sizeof *dims);
    dims[at + 1] = vj_dim_const(1);
    for (int64_t i = 0; i < count; i++)
        parts[i] = vj_emit_reshape(im, phases[i], dims, type.rank + 1);
    vj_value y = vj_emit_concat(im, parts, (int32_t)count, at + 1);
    memcpy(dims, type.dims, sizeof dims);
    dims[at].c *= count;
    return vj_emit_slice(im, vj_emit_reshape(im, y, dims, type.rank), at, 0, vj_dim_const(t->out[axis]), 1);
}

/* Builds all phases of the axes from `axis` on. p has the phases of the axes before. */
static vj_value by_phases(const transposed *t, int32_t axis, vj_value x, vj_value w, vj_value bias, phase *p) {
    vj_value phases[64];
    if (axis >= t->win.spatial || axis >= VJ_MAX_SPATIAL) return phase_result(t, x, w, bias, p);
    const int64_t count = t->win.stride[axis];
    for (int64_t rest = 0; rest < count && vj_going(t->im); rest++) {
        p[axis] = phase_of(t, axis, rest);
        phases[rest] = by_phases(t, axis + 1, x, w, bias, p);
    }
    return interleaved(t, axis, phases, count);
}

/* Windows that lie side by side: [N, inputs, C] times [C, M * kernel] gives the whole result. */
static vj_value side_by_side(const transposed *t, vj_value x, vj_value w, vj_value bias) {
    vj_importer *im = t->im;
    const int32_t spatial = t->win.spatial;
    const vj_type xt = *type_of(im, x), wt = *type_of(im, w);
    int32_t perm[VJ_MAX_RANK] = {0}, back[VJ_MAX_RANK] = {0, spatial + 1};
    vj_dim flat[2] = {wt.dims[0]}, apart[VJ_MAX_RANK] = {xt.dims[0]}, out[VJ_MAX_RANK] = {xt.dims[0], wt.dims[1]};
    if (!vj_dim_product(im, wt.dims + 1, spatial + 1, &flat[1])) return VJ_NONE;
    apart[spatial + 1] = wt.dims[1];
    perm[spatial + 1] = 1;
    for (int32_t i = 0; i < spatial; i++) {
        perm[1 + i] = 2 + i;
        apart[1 + i] = xt.dims[2 + i];
        apart[spatial + 2 + i] = wt.dims[2 + i];
        back[2 + 2 * i] = 1 + i;
        back[3 + 2 * i] = spatial + 2 + i;
        out[2 + i] = vj_dim_const(xt.dims[2 + i].c * wt.dims[2 + i].c);
    }
    vj_value y = vj_emit2(im, VJ_OP_linear, vj_emit_transpose(im, x, perm), vj_emit_reshape(im, w, flat, 2));
    y = vj_emit_transpose(im, vj_emit_reshape(im, y, apart, 2 * spatial + 2), back);
    y = vj_emit_reshape(im, y, out, spatial + 2);
    for (int32_t i = 0; i < spatial; i++)
        y = vj_emit_slice(im, y, 2 + i, t->win.low[i], vj_dim_const(t->out[i]), 1);
    return bias < 0 ? y : vj_emit2(im, VJ_OP_add, y, vj_emit_column(im, bias, 1, spatial + 2));
}

static bool has_windows_side_by_side(const transposed *t, const vj_type *x) {
    for (int32_t i = 0; i < t->win.spatial; i++) {
        const int64_t full = x->dims[2 + i].c * t->win.kernel[i];
        if (t->win.stride[i] != t->win.kernel[i] || t->win.dilation[i] != 1 || t->win.low[i] < 0 ||
            t->win.low[i] + t->out[i] > full)
            return false;
    }
    return t->groups == 1 && 2 * t->win.spatial + 2 <= VJ_MAX_RANK;
}

bool vj_build_conv_transpose(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0), w = vj_operand_value(im, 1),
             bias = vj_has_operand(im, 2) ? vj_operand_value(im, 2) : VJ_NONE;
    transposed t = {.im = im, .groups = vj_int_attribute(im, "group", 1)};
    phase p[VJ_MAX_SPATIAL] = {{0}};
    if (!vj_going(im) || !vj_read_conv(im, x, w, &t.win) || !read_result(&t, type_of(im, x))) return false;
    const vj_type *xt = type_of(im, x), *wt = type_of(im, w);
    if (t.groups < 1 || !vj_dim_equal(xt->dims[1], wt->dims[0]) || wt->dims[0].c % t.groups ||
        !vj_mul(wt->dims[1].c, t.groups, &t.filters) || t.filters < 1)
        return vj_stop(im, VJ_BAD_INPUT, "the weight %s in %lld groups does not fit an input of %s",
                       vj_type_text(im->arena, wt), (long long)t.groups, vj_type_text(im->arena, xt));
    int64_t phases = 1;
    for (int32_t i = 0; i < t.win.spatial; i++)
        if (!vj_mul(phases, t.win.stride[i], &phases) || phases > 64)
            return vj_stop(im, VJ_UNSUPPORTED, "strides that multiply to more than 64");
    if (has_windows_side_by_side(&t, xt)) return vj_bind(im, 0, side_by_side(&t, x, w, bias));
    return vj_bind(im, 0, by_phases(&t, 0, x, w, bias, p));
}
