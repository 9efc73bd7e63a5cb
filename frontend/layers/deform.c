/* SPDX-License-Identifier: Apache-2.0 */
/* deform.c - the builder of DeformConv.
 *
 * A tap of a window reads between pixels: the sum of the four around it, each times how near it is. All taps of all
 * windows are gathered into rows, [pixels, taps * channels], which a product multiplies with the weight. The picture is
 * padded with zeros where samples outside may read, so that no sample is asked whether it is inside. Rows are made and
 * multiplied in pieces, some windows by some taps, which stay in the cache between the two, as their part of the weight
 * does.
 */
#include "windows.h"

static const vj_type *type_of(vj_importer *im, vj_value v) { return vj_type_at(im->f, v); }

/* PIECE: elements; DEPTH: elements of its rows; MOST_CUTS: of the taps */
enum { PIECE = 1 << 18, DEPTH = 1024, MOST_PIECES = 1024, MOST_CUTS = 64 };
enum { LOW = 1, HIGH = 2 }; /* zeros around the picture */

typedef struct deform {
    vj_importer *im;
    vj_windows win;
    vj_dim batch;
    int64_t groups, offset_groups, channels, filters, taps;
    int64_t size[2], out[2];
    int64_t taps_each, lines_each; /* of a piece: taps, and lines of windows */
    vj_dtype dtype, exact;         /* exact: of coordinates, which halves are too short for */
} deform;

/* The samples, [batch, offset groups, taps, out, out] */
typedef struct samples {
    vj_value at;        /* i32: of the padded picture, the pixel before the sample along both axes */
    vj_value weight[4]; /* of that pixel, the next along x, those along y */
} samples;

static vj_value number(const deform *d, double n) { return vj_emit_number(d->im, d->exact, n); }

/* Reads what is wanted of the offsets or the mask: [batch, offset groups * taps * each, out, out]. */
static bool is_field(const deform *d, vj_value v, const char *what, int64_t each) {
    vj_importer *im = d->im;
    const vj_type *type = type_of(im, v);
    const int64_t maps = d->offset_groups * d->taps * each;
    if (type->rank == 4 && type->dtype == d->dtype && vj_dim_equal(type->dims[0], d->batch) &&
        vj_dim_equal(type->dims[1], vj_dim_const(maps)) && vj_dim_equal(type->dims[2], vj_dim_const(d->out[0])) &&
        vj_dim_equal(type->dims[3], vj_dim_const(d->out[1])))
        return true;
    return vj_stop(im, VJ_BAD_INPUT, "the %s is %s, for %lld maps of %lld by %lld", what, vj_type_text(im->arena, type),
                   (long long)maps, (long long)d->out[0], (long long)d->out[1]);
}

/* The coordinate along an axis that each tap of each window reads when nothing is moved. */
static vj_value at_rest(const deform *d, int32_t axis) {
    const int64_t taps_x = d->win.kernel[1], count = d->out[axis];
    double *at = VJ_NEW_ARRAY(d->im->arena, double, d->taps *count + 1);
    for (int64_t tap = 0; tap < d->taps; tap++)
        for (int64_t i = 0; i < count; i++)
            at[tap * count + i] = (double)(i * d->win.stride[axis] - d->win.low[axis] +
                                           (axis ? tap % taps_x : tap / taps_x) * d->win.dilation[axis]);
    const int64_t dims[5] = {1, 1, d->taps, axis ? 1 : count, axis ? count : 1};
    return vj_add_const_f64(d->im->f, d->exact, 5, dims, at);
}

/* Along one axis: the pixel before the sample, and how far behind it the sample is. A coordinate that is NaN is outside. */
static void locate(const deform *d, vj_value offset, int32_t axis, vj_value *before, vj_value *rest) {
    vj_importer *im = d->im;
    const vj_dim dims[5] = {d->batch, vj_dim_const(d->offset_groups), vj_dim_const(d->taps), vj_dim_const(d->out[0]),
                            vj_dim_const(d->out[1])};
    const vj_value move = vj_emit_reshape(im, vj_emit_slice(im, offset, 3, axis, vj_dim_const(1), 1), dims, 5);
    if (!vj_going(im)) return;
    vj_value at = vj_emit2(im, VJ_OP_add, move, at_rest(d, axis));
    at = vj_emit2(im, VJ_OP_at_least, at, number(d, -LOW));
    at = vj_emit2(im, VJ_OP_at_most, at, number(d, (double)d->size[axis]));
    const vj_value whole = vj_emit1(im, VJ_OP_floor, at);
    *rest = vj_emit2(im, VJ_OP_sub, at, whole);
    *before = vj_emit_cast(im, vj_emit2(im, VJ_OP_add, whole, number(d, LOW)), VJ_I32);
}

static samples sampled(const deform *d, vj_value offset, vj_value mask) {
    vj_importer *im = d->im;
    const vj_dim dims[6] = {d->batch,        vj_dim_const(d->offset_groups), vj_dim_const(d->taps),
                            vj_dim_const(2), vj_dim_const(d->out[0]),        vj_dim_const(d->out[1])};
    const vj_dim each[5] = {dims[0], dims[1], dims[2], dims[4], dims[5]};
    vj_value before[2] = {VJ_NONE, VJ_NONE}, near[2][2] = {{VJ_NONE, VJ_NONE}, {VJ_NONE, VJ_NONE}};
    samples s;
    offset = vj_emit_reshape(im, vj_emit_cast(im, offset, d->exact), dims, 6);
    for (int32_t axis = 0; axis < 2; axis++) {
        locate(d, offset, axis, &before[axis], &near[axis][1]);
        near[axis][0] = vj_emit2(im, VJ_OP_sub, number(d, 1), near[axis][1]);
    }
    const vj_value row = vj_emit_number(im, VJ_I32, (double)(d->size[1] + LOW + HIGH));
    s.at = vj_emit2(im, VJ_OP_add, vj_emit2(im, VJ_OP_mul, before[0], row), before[1]);
    if (mask >= 0) {
        mask = vj_emit_reshape(im, vj_emit_cast(im, mask, d->exact), each, 5);
        for (int32_t i = 0; i < 2; i++)
            near[0][i] = vj_emit2(im, VJ_OP_mul, near[0][i], mask);
    }
    for (int32_t i = 0; i < 4; i++)
        s.weight[i] = vj_emit_cast(im, vj_emit2(im, VJ_OP_mul, near[0][i / 2], near[1][i % 2]), d->dtype);
    return s;
}

/* As [batch, out, out, taps, offset groups, 1]: the order of the rows. */
static vj_value in_rows(const deform *d, vj_value field) {
    vj_importer *im = d->im;
    const vj_dim dims[6] = {d->batch,
                            vj_dim_const(d->out[0]),
                            vj_dim_const(d->out[1]),
                            vj_dim_const(d->taps),
                            vj_dim_const(d->offset_groups),
                            vj_dim_const(1)};
    return vj_emit_reshape(im, vj_emit_transpose(im, field, (int32_t[]){0, 3, 4, 2, 1}), dims, 6);
}

/* The picture with its zeros, [batch, pixels, offset groups, channels of one]. */
static vj_value padded(const deform *d, vj_value x) {
    vj_importer *im = d->im;
    const int64_t low[4] = {0, 0, LOW, LOW}, high[4] = {0, 0, HIGH, HIGH};
    const vj_attr attrs[] = {vj_ints(VJ_ATTR_LOW, low, 4), vj_ints(VJ_ATTR_HIGH, high, 4),
                             vj_name(VJ_ATTR_MODE, "constant"), vj_float(VJ_ATTR_VALUE, 0)};
    const int64_t pixels = (d->size[0] + LOW + HIGH) * (d->size[1] + LOW + HIGH);
    const vj_dim dims[4] = {d->batch, vj_dim_const(pixels), vj_dim_const(d->offset_groups),
                            vj_dim_const(d->channels / d->offset_groups)};
    x = vj_emit_transpose(im, vj_emit(im, VJ_OP_pad, &x, 1, attrs, 4), (int32_t[]){0, 2, 3, 1});
    return vj_emit_reshape(im, x, dims, 4);
}

/* A piece: some lines of windows and some of their taps. */
typedef struct piece {
    int64_t line, lines, tap, taps;
} piece;

/* The piece's part of a field, as [batch, samples, offset groups, 1]. */
static vj_value field_of(const deform *d, vj_value field, const piece *p) {
    vj_importer *im = d->im;
    const vj_dim dims[4] = {d->batch, vj_dim_const(p->lines * d->out[1] * p->taps), vj_dim_const(d->offset_groups),
                            vj_dim_const(1)};
    field = vj_emit_slice(im, field, 1, p->line, vj_dim_const(p->lines), 1);
    return vj_emit_reshape(im, vj_emit_slice(im, field, 3, p->tap, vj_dim_const(p->taps), 1), dims, 4);
}

/* The piece's rows: [batch, windows, taps * channels]. */
static vj_value rows_of(const deform *d, vj_value x, const samples *s, const piece *p) {
    vj_importer *im = d->im;
    const int64_t width = d->size[1] + LOW + HIGH, last = (d->size[0] + LOW + HIGH) * width - width - 1;
    const vj_dim dims[4] = {d->batch, vj_dim_const(p->lines * d->out[1] * p->taps), vj_dim_const(d->offset_groups),
                            vj_dim_const(d->channels / d->offset_groups)};
    const vj_value at = vj_emit_broadcast(im, field_of(d, s->at, p), dims, 4);
    vj_value sum = VJ_NONE;
    for (int32_t i = 0; i < 4; i++) {
        const vj_attr axis = vj_int(VJ_ATTR_AXIS, 1);
        const vj_value corner = vj_emit_slice(im, x, 1, i / 2 * width + i % 2, vj_dim_const(last), 1);
        const vj_value pixel = vj_emit(im, VJ_OP_gather_elements, (vj_value[]){corner, at}, 2, &axis, 1);
        const vj_value share = vj_emit2(im, VJ_OP_mul, pixel, field_of(d, s->weight[i], p));
        sum = sum < 0 ? share : vj_emit2(im, VJ_OP_add, sum, share);
    }
    const vj_dim flat[3] = {d->batch, vj_dim_const(p->lines * d->out[1]), vj_dim_const(p->taps * d->channels)};
    return vj_emit_reshape(im, sum, flat, 3);
}

/* The weight as [taps, channels of a group, filters of a group], with groups in front where there are several. */
static vj_value weight_of_taps(const deform *d, vj_value w) {
    vj_importer *im = d->im;
    const vj_dim each = vj_dim_const(d->channels / d->groups), filters = vj_dim_const(d->filters / d->groups);
    const vj_dim taps = vj_dim_const(d->taps), groups = vj_dim_const(d->groups);
    w = vj_emit_reshape(im, w, (vj_dim[]){groups, filters, each, taps}, 4);
    w = vj_emit_transpose(im, w, (int32_t[]){0, 3, 2, 1});
    return d->groups > 1 ? w : vj_emit_reshape(im, w, (vj_dim[]){taps, each, filters}, 3);
}

/* The piece's rows times its part of the weight: [batch, windows, filters] */
static vj_value multiplied(const deform *d, vj_value rows, vj_value w, vj_value bias, const piece *p) {
    vj_importer *im = d->im;
    const vj_dim each = vj_dim_const(d->channels / d->groups), filters = vj_dim_const(d->filters / d->groups);
    const vj_dim taps = vj_dim_const(p->taps), depth = vj_dim_const(p->taps * each.c), groups = vj_dim_const(d->groups);
    const vj_dim windows = vj_dim_const(p->lines * d->out[1]);
    w = vj_emit_slice(im, w, d->groups > 1, p->tap, taps, 1);
    if (d->groups == 1) {
        w = vj_emit_reshape(im, w, (vj_dim[]){depth, filters}, 2);
        return vj_emit(im, VJ_OP_linear, (vj_value[]){rows, w, bias}, bias < 0 ? 2 : 3, NULL, 0);
    }
    w = vj_emit_reshape(im, w, (vj_dim[]){groups, depth, filters}, 3);
    rows = vj_emit_reshape(im, rows, (vj_dim[]){d->batch, windows, taps, groups, each}, 5);
    rows = vj_emit_transpose(im, rows, (int32_t[]){0, 3, 1, 2, 4});
    rows = vj_emit_reshape(im, rows, (vj_dim[]){d->batch, groups, windows, depth}, 4);
    vj_value y = vj_emit_transpose(im, vj_emit2(im, VJ_OP_matmul, rows, w), (int32_t[]){0, 2, 1, 3});
    y = vj_emit_reshape(im, y, (vj_dim[]){d->batch, windows, vj_dim_const(d->filters)}, 3);
    return bias < 0 ? y : vj_emit2(im, VJ_OP_add, y, bias);
}

static void choose_pieces(deform *d) {
    const int64_t least = vj_ceil_div(d->taps, MOST_CUTS);
    const int64_t most = vj_max64(least, vj_min64(d->taps, DEPTH / d->channels)), cuts = vj_ceil_div(d->taps, most);
    d->taps_each = vj_ceil_div(d->taps, cuts);
    d->lines_each = vj_max64(1, PIECE / (d->taps_each * d->channels * d->out[1]));
    d->lines_each = vj_max64(d->lines_each, vj_ceil_div(d->out[0] * cuts, MOST_PIECES));
}

static vj_value convolved(const deform *d, vj_value x, const samples *s, vj_value w, vj_value bias) {
    vj_importer *im = d->im;
    vj_value *parts = VJ_NEW_ARRAY(im->arena, vj_value, d->out[0]);
    int32_t count = 0;
    for (int64_t line = 0; line < d->out[0] && vj_going(im); line += d->lines_each) {
        vj_value sum = VJ_NONE;
        for (int64_t tap = 0; tap < d->taps && vj_going(im); tap += d->taps_each) {
            const piece p = {line, vj_min64(d->lines_each, d->out[0] - line), tap,
                             vj_min64(d->taps_each, d->taps - tap)};
            const vj_value y = multiplied(d, rows_of(d, x, s, &p), w, tap ? VJ_NONE : bias, &p);
            sum = sum < 0 ? y : vj_emit2(im, VJ_OP_add, y, sum);
        }
        parts[count++] = sum;
    }
    const vj_dim dims[4] = {d->batch, vj_dim_const(d->out[0]), vj_dim_const(d->out[1]), vj_dim_const(d->filters)};
    if (!vj_going(im)) return VJ_NONE;
    const vj_value y = vj_emit_reshape(im, vj_emit_concat(im, parts, count, 1), dims, 4);
    return vj_emit_transpose(im, y, (int32_t[]){0, 3, 1, 2});
}

/* Reads sizes and checks that they fit. */
static bool read_sizes(deform *d, vj_value x, vj_value w) {
    enum { MOST_SAMPLES = 1 << 28, MOST_PIXELS = 1 << 30, MOST_PLACES = 1 << 22 }; /* places: along an axis, at rest */
    vj_importer *im = d->im;
    const vj_type *xt = type_of(im, x), *wt = type_of(im, w);
    if (xt->rank != 4)
        return vj_stop(im, VJ_UNSUPPORTED, "only pictures of two axes are supported, not %s",
                       vj_type_text(im->arena, xt));
    if (!vj_read_conv(im, x, w, &d->win)) return false;
    d->batch = xt->dims[0];
    d->dtype = xt->dtype;
    d->exact = d->dtype == VJ_F64 ? VJ_F64 : VJ_F32;
    d->channels = xt->dims[1].c;
    d->filters = wt->dims[0].c;
    if (!vj_dtype_is_float(d->dtype) || wt->dtype != d->dtype || xt->dims[1].sym || d->groups < 1 ||
        d->offset_groups < 1 || d->channels < 1 || d->filters < 1 || d->channels % d->groups ||
        d->filters % d->groups || d->channels % d->offset_groups || wt->dims[1].c != d->channels / d->groups)
        return vj_stop(im, VJ_BAD_INPUT,
                       "the weight %s in %lld groups and %lld groups of offsets does not fit an input of %s",
                       vj_type_text(im->arena, wt), (long long)d->groups, (long long)d->offset_groups,
                       vj_type_text(im->arena, xt));
    int64_t points = d->offset_groups, pixels = 1, rows = d->channels;
    bool fits = true;
    d->taps = 1;
    for (int32_t i = 0; i < 2; i++) {
        d->size[i] = xt->dims[2 + i].c;
        const int64_t reach = (d->win.kernel[i] - 1) * d->win.dilation[i] + 1;
        const int64_t room = d->size[i] + d->win.low[i] + d->win.high[i] - reach;
        if (d->size[i] < 1 || room < 0) return vj_stop(im, VJ_BAD_INPUT, "its windows are larger than the picture");
        d->out[i] = room / d->win.stride[i] + 1;
        fits = fits && vj_mul(d->taps, d->win.kernel[i], &d->taps) && vj_mul(points, d->win.kernel[i], &points) &&
               vj_mul(points, d->out[i], &points) && vj_mul(pixels, d->size[i] + LOW + HIGH, &pixels) &&
               vj_mul(rows, d->win.kernel[i], &rows) && points <= MOST_SAMPLES && pixels <= MOST_PIXELS &&
               rows <= MOST_SAMPLES;
    }
    fits = fits && d->taps * vj_max64(d->out[0], d->out[1]) <= MOST_PLACES;
    return fits || vj_stop(im, VJ_UNSUPPORTED, "has more than 2^28 samples, 2^22 along an axis, or 2^30 pixels");
}

bool vj_build_deform_conv(vj_importer *im) {
    deform d = {.im = im};
    vj_value x = vj_operand_value(im, 0), w = vj_operand_value(im, 1), offset = vj_operand_value(im, 2);
    vj_value bias = vj_has_operand(im, 3) ? vj_operand_value(im, 3) : VJ_NONE;
    vj_value mask = vj_has_operand(im, 4) ? vj_operand_value(im, 4) : VJ_NONE;
    d.groups = vj_int_attribute(im, "group", 1);
    d.offset_groups = vj_int_attribute(im, "offset_group", 1);
    if (!vj_going(im) || !read_sizes(&d, x, w) || !is_field(&d, offset, "offset", 2)) return false;
    if (mask >= 0 && !is_field(&d, mask, "mask", 1)) return false;
    if (bias >= 0 &&
        (type_of(im, bias)->rank != 1 || !vj_dim_equal(type_of(im, bias)->dims[0], vj_dim_const(d.filters))))
        return vj_stop(im, VJ_BAD_INPUT, "the bias is %s, for %lld filters", vj_type_text(im->arena, type_of(im, bias)),
                       (long long)d.filters);
    samples s = sampled(&d, offset, mask);
    s.at = in_rows(&d, s.at);
    for (int32_t i = 0; i < 4; i++)
        s.weight[i] = in_rows(&d, s.weight[i]);
    choose_pieces(&d);
    return vj_bind(im, 0, convolved(&d, padded(&d, x), &s, weight_of_taps(&d, w), bias));
}
