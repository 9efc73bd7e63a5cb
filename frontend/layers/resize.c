/* SPDX-License-Identifier: Apache-2.0 */
/* resize.c - builders of Resize and Upsample. Every mode is separable and linear, and sizes are known, so each axis
 * that changes is a product with a constant matrix [in, out], or, in mode nearest, a gather. */
#include "frontend/import/import.h"

#include <math.h>
#include <string.h>

enum { MATRIX_LIMIT = 1 << 24, AXIS_LIMIT = 1 << 22 };

typedef enum coordinates {
    HALF_PIXEL,
    HALF_PIXEL_SYMMETRIC,
    PYTORCH_HALF_PIXEL,
    ALIGN_CORNERS,
    ASYMMETRIC,
    CROP_AND_RESIZE
} coordinates;
typedef enum rounding { PREFER_FLOOR, PREFER_CEIL, FLOOR, CEIL, SIMPLE } rounding;

typedef struct resize {
    coordinates coordinates;
    rounding rounding;
    int32_t degree; /* of the interpolation: 0 nearest, 1 linear, 3 cubic */
    bool antialias, exclude_outside;
    double cubic_a, extrapolation;
} resize;

/* One axis: `in` elements become `out`. `scale` is out / in, unless the model gives it. */
typedef struct axis_plan {
    int64_t in, out;
    double scale, roi_start, roi_end;
} axis_plan;

static const vj_type *type_of(vj_importer *im, vj_value v) { return vj_type_at(im->f, v); }

static int32_t word(vj_importer *im, const char *name, const char *otherwise, const char *const *words, int32_t count) {
    const char *given = vj_text_attribute(im, name, otherwise);
    for (int32_t i = 0; i < count; i++)
        if (strcmp(given, words[i]) == 0) return i;
    vj_stop(im, VJ_BAD_INPUT, "%s is '%.30s'", name, given);
    return 0;
}

/* The coordinate of result element i on the source's axis (ONNX, Resize: coordinate_transformation_mode). */
static double source_of(const resize *r, const axis_plan *a, int64_t i) {
    const double at = (double)i, length = a->scale * (double)a->in;
    switch (r->coordinates) {
    case ALIGN_CORNERS:
        return length == 1 ? 0 : at * (double)(a->in - 1) / (length - 1);
    case ASYMMETRIC:
        return at / a->scale;
    case CROP_AND_RESIZE:
        return a->roi_start * (double)(a->in - 1) +
               (length == 1 ? (a->roi_end - a->roi_start) * (double)(a->in - 1) / 2
                            : at * (a->roi_end - a->roi_start) * (double)(a->in - 1) / (length - 1));
    case PYTORCH_HALF_PIXEL:
        return length == 1 ? -0.5 : (at + 0.5) / a->scale - 0.5;
    case HALF_PIXEL_SYMMETRIC:
        return (double)a->in / 2 * (1 - (double)a->out / length) + (at + 0.5) / a->scale - 0.5;
    default:
        return (at + 0.5) / a->scale - 0.5;
    }
}

static bool is_outside(const resize *r, const axis_plan *a, int64_t i) {
    const double x = source_of(r, a, i);
    return r->coordinates == CROP_AND_RESIZE && (x < 0 || x > (double)(a->in - 1));
}

static int64_t nearest(const resize *r, const axis_plan *a, int64_t i) {
    const double x = (double)(float)source_of(r, a, i), below = floor(x); /* ties as float32 sees them */
    double at = ceil(x);
    if (r->rounding == FLOOR || (r->rounding == SIMPLE && a->scale >= 1)) at = below;
    if (r->rounding == PREFER_FLOOR) at = x - below <= 0.5 ? below : ceil(x);
    if (r->rounding == PREFER_CEIL) at = x - below < 0.5 ? below : ceil(x);
    return (int64_t)fmax(0, fmin(at, (double)(a->in - 1)));
}

static double filter(const resize *r, double x) {
    const double a = r->cubic_a;
    x = fabs(x);
    if (r->degree == 1) return fmax(0, 1 - x);
    if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

/* Adds the weights of result element i to column i of w [in, out]. Outside of the axis, the edge elements are
 * repeated. */
static void weigh(const resize *r, const axis_plan *a, int64_t i, double *w) {
    const double shrink = r->antialias && a->scale < 1 ? a->scale : 1, reach = (r->degree == 1 ? 1 : 2) / shrink;
    /* far outside, only the edge is seen */
    const double x = fmax(-reach - 1, fmin(source_of(r, a, i), (double)a->in + reach));
    const double first = ceil(x - reach), last = floor(x + reach);
    double sum = 0;
    for (double p = first; p <= last; p++)
        if (!r->exclude_outside || (p >= 0 && p <= (double)(a->in - 1))) sum += filter(r, (p - x) * shrink);
    for (double p = first; p <= last; p++) {
        if (r->exclude_outside && (p < 0 || p > (double)(a->in - 1))) continue;
        const int64_t at = (int64_t)fmax(0, fmin(p, (double)(a->in - 1)));
        w[at * a->out + i] += filter(r, (p - x) * shrink) / sum;
    }
}

static vj_value by_matrix(vj_importer *im, const resize *r, const axis_plan *a, vj_value x, int32_t axis) {
    const vj_type type = *type_of(im, x);
    int64_t elements;
    if (!vj_mul(a->in, a->out, &elements) || elements > MATRIX_LIMIT) {
        vj_stop(im, VJ_UNSUPPORTED, "an axis of %lld becomes %lld: too large", (long long)a->in, (long long)a->out);
        return VJ_NONE;
    }
    double *w = VJ_NEW_ARRAY(im->arena, double, elements + 1);
    for (int64_t i = 0; i < a->out; i++)
        if (!is_outside(r, a, i)) weigh(r, a, i, w);
    vj_value matrix = vj_add_const_f64(im->f, type.dtype, 2, (int64_t[]){a->in, a->out}, w);
    int32_t perm[VJ_MAX_RANK];
    for (int32_t d = 0; d < type.rank; d++)
        perm[d] = d;
    perm[axis] = type.rank - 1;
    perm[type.rank - 1] = axis;
    vj_value y = vj_emit2(im, VJ_OP_linear, vj_emit_transpose(im, x, perm), matrix);
    return vj_emit_transpose(im, y, perm);
}

static vj_value by_index(vj_importer *im, const resize *r, const axis_plan *a, vj_value x, int32_t axis) {
    int64_t *list = VJ_NEW_ARRAY(im->arena, int64_t, a->out + 1);
    const int64_t times = a->in ? a->out / a->in : 0;
    bool repeats = times * a->in == a->out;
    for (int64_t i = 0; i < a->out; i++) {
        list[i] = nearest(r, a, i);
        repeats = repeats && list[i] == i / times;
    }
    if (repeats) { /* every element is repeated `times` times: a broadcast will do */
        vj_dim dims[VJ_MAX_RANK + 1];
        const vj_type type = *type_of(im, x);
        if (type.rank == VJ_MAX_RANK) {
            vj_stop(im, VJ_UNSUPPORTED, "resizes a tensor of rank %d", type.rank);
            return VJ_NONE;
        }
        memcpy(dims, type.dims, sizeof type.dims);
        memmove(dims + axis + 2, dims + axis + 1, (size_t)(type.rank - axis - 1) * sizeof *dims);
        dims[axis + 1] = vj_dim_const(1);
        x = vj_emit_reshape(im, x, dims, type.rank + 1);
        dims[axis + 1] = vj_dim_const(times);
        x = vj_emit_broadcast(im, x, dims, type.rank + 1);
        memcpy(dims, type.dims, sizeof type.dims);
        dims[axis] = vj_dim_const(a->out);
        return vj_emit_reshape(im, x, dims, type.rank);
    }
    vj_value indices = vj_add_const_i64(im->f, VJ_I64, 1, &a->out, list);
    vj_attr attr = vj_int(VJ_ATTR_AXIS, axis);
    return vj_emit(im, VJ_OP_gather, (vj_value[]){x, indices}, 2, &attr, 1);
}

/* For CROP_AND_RESIZE: replaces what lies outside of the source by one number. */
static vj_value with_outside(vj_importer *im, const resize *r, const axis_plan *a, vj_value y, int32_t axis) {
    int64_t dims[VJ_MAX_RANK], *outside = VJ_NEW_ARRAY(im->arena, int64_t, a->out + 1), any = 0;
    for (int64_t i = 0; i < a->out; i++)
        any |= outside[i] = is_outside(r, a, i);
    if (!any || !vj_going(im)) return y;
    const int32_t rank = type_of(im, y)->rank;
    for (int32_t d = 0; d < rank; d++)
        dims[d] = d == axis ? a->out : 1;
    vj_value mask = vj_add_const_i64(im->f, VJ_BOOL, rank, dims, outside);
    return vj_emit3(im, VJ_OP_select, mask, vj_emit_number(im, type_of(im, y)->dtype, r->extrapolation), y);
}

static bool resize_axes(vj_importer *im, const resize *r, vj_value x, const axis_plan *plan) {
    for (int32_t d = type_of(im, x)->rank - 1; d >= 0 && vj_going(im); d--) {
        const axis_plan *a = &plan[d];
        bool same = a->out == a->in && a->in <= AXIS_LIMIT;
        for (int64_t i = 0; same && i < a->out; i++)
            same = r->degree ? fabs(source_of(r, a, i) - (double)i) < 1e-9 : nearest(r, a, i) == i;
        if (same || type_of(im, x)->dims[d].sym) continue;
        if (a->in < 1 || a->out < 1 || a->out > AXIS_LIMIT)
            return vj_stop(im, VJ_BAD_INPUT, "axis %d of %lld would become %lld", d, (long long)a->in,
                           (long long)a->out);
        x = r->degree ? by_matrix(im, r, a, x, d) : by_index(im, r, a, x, d);
        x = with_outside(im, r, a, x, d);
    }
    return vj_bind(im, 0, x);
}

/* Reading the operands, which have one number for each axis in `axes`. */

static const double *known_floats(vj_importer *im, int32_t i, int32_t count, const char *what) {
    vj_value v = vj_operand_value(im, i);
    const vj_tensor *t = vj_fold(im, v);
    if (!vj_going(im)) return NULL;
    if (!t)
        vj_stop_unknown(im, i, what);
    else if (!t->f)
        vj_stop(im, VJ_BAD_INPUT, "its %s are no floats", what);
    else if (t->type.rank != 1 || t->count != count)
        vj_stop(im, VJ_BAD_INPUT, "has %lld %s for %d axes", (long long)t->count, what, count);
    else
        return t->f;
    return NULL;
}

static bool is_empty_list(vj_importer *im, int32_t i) {
    if (!vj_has_operand(im, i)) return true;
    vj_value v = vj_operand_value(im, i);
    return vj_going(im) && type_of(im, v)->rank == 1 && vj_dim_equal(type_of(im, v)->dims[0], vj_dim_const(0));
}

static bool plan_scale(vj_importer *im, axis_plan *a, vj_dim dim, double scale) {
    if (dim.sym) return scale == 1 || vj_stop(im, VJ_UNSUPPORTED, "resizes the batch");
    if (!(scale > 0) || scale * (double)dim.c > (double)AXIS_LIMIT)
        return vj_stop(im, VJ_BAD_INPUT, "scales an axis of %lld by %g", (long long)dim.c, scale);
    a->scale = scale;
    a->out = (int64_t)floorf((float)scale * (float)a->in); /* 5 * 1.4f is 7 only in float32 */
    return true;
}

static bool plan_size(vj_importer *im, axis_plan *a, vj_dim dim, vj_affine size) {
    if (dim.sym) return vj_affine_is_dim(im, size, dim) || vj_stop(im, VJ_UNSUPPORTED, "resizes the batch");
    if (size.a || size.b < 1 || size.b > AXIS_LIMIT || a->in < 1)
        return vj_stop(im, VJ_BAD_INPUT, "gives an axis of %lld an impossible size", (long long)dim.c);
    a->out = size.b;
    a->scale = (double)a->out / (double)a->in;
    return true;
}

/* Gives all axes one scale: the smallest, or the largest, of those that the sizes ask for. */
static void keep_aspect(axis_plan *plan, const int32_t *axes, int32_t count, bool larger) {
    double scale = plan[axes[0]].scale;
    for (int32_t i = 1; i < count; i++)
        scale = larger ? fmax(scale, plan[axes[i]].scale) : fmin(scale, plan[axes[i]].scale);
    for (int32_t i = 0; i < count; i++) {
        axis_plan *a = &plan[axes[i]];
        a->scale = scale;
        a->out = (int64_t)floor(scale * (double)a->in + 0.5);
    }
}

static bool plan_axes(vj_importer *im, const resize *r, const vj_type *type, int32_t roi, int32_t scales, int32_t sizes,
                      axis_plan *plan) {
    static const char *const policies[] = {"stretch", "not_larger", "not_smaller"};
    const int32_t policy = word(im, "keep_aspect_ratio_policy", "stretch", policies, 3);
    int32_t axes[VJ_MAX_RANK], count;
    const int64_t *given = vj_ints_attribute(im, "axes", &count);
    if (!vj_going(im)) return false;
    if (count > type->rank) return vj_stop(im, VJ_BAD_INPUT, "names %d axes", count);
    if (!given) count = type->rank;
    for (int32_t i = 0; i < count; i++) {
        if ((axes[i] = vj_axis_of(im, given ? given[i] : i, type->rank)) < 0) return false;
        for (int32_t j = 0; j < i; j++)
            if (axes[j] == axes[i]) return vj_stop(im, VJ_BAD_INPUT, "axis %d is named twice", axes[i]);
    }
    for (int32_t d = 0; d < type->rank; d++)
        plan[d] = (axis_plan){type->dims[d].c, type->dims[d].c, 1, 0, 1};
    const bool by_scale = !is_empty_list(im, scales);
    if (by_scale && vj_has_operand(im, sizes) && !is_empty_list(im, sizes))
        return vj_stop(im, VJ_BAD_INPUT, "has scales and sizes");
    const double *scale = by_scale ? known_floats(im, scales, count, "scales") : NULL;
    const vj_known *size = by_scale ? NULL : vj_known_list(im, sizes, "sizes");
    const double *box = r->coordinates == CROP_AND_RESIZE ? known_floats(im, roi, 2 * count, "roi") : NULL;
    if (!vj_going(im)) return false;
    if (size && size->count != count)
        return vj_stop(im, VJ_BAD_INPUT, "has %lld sizes for %d axes", (long long)size->count, count);
    for (int32_t i = 0; i < count; i++) {
        axis_plan *a = &plan[axes[i]];
        const vj_dim dim = type->dims[axes[i]];
        if (scale ? !plan_scale(im, a, dim, scale[i]) : !plan_size(im, a, dim, size->at[i])) return false;
        if (box) a->roi_start = box[i], a->roi_end = box[count + i];
    }
    if (policy && size && count) keep_aspect(plan, axes, count, policy == 2);
    return true;
}

static bool build(vj_importer *im, resize *r, int32_t roi, int32_t scales, int32_t sizes) {
    static const char *const modes[] = {"nearest", "linear", "cubic"};
    axis_plan plan[VJ_MAX_RANK];
    const int32_t mode = word(im, "mode", "nearest", modes, 3);
    vj_value x = vj_operand_value(im, 0);
    r->degree = mode == 2 ? 3 : mode;
    r->antialias = vj_int_attribute(im, "antialias", 0) != 0 && r->degree;
    if (!vj_going(im) || !plan_axes(im, r, type_of(im, x), roi, scales, sizes, plan)) return false;
    if (r->degree && !vj_dtype_is_float(type_of(im, x)->dtype))
        return vj_stop(im, VJ_UNSUPPORTED, "interpolates integers");
    return resize_axes(im, r, x, plan);
}

/* Upsample of opset 7 has its scales in an attribute. */
bool vj_build_upsample_7(vj_importer *im) {
    const Onnx__AttributeProto *a = vj_find_attribute(im, "scales");
    vj_value x = vj_operand_value(im, 0);
    if (!vj_going(im)) return false;
    const vj_type *type = type_of(im, x);
    if (!a || (int64_t)a->n_floats != type->rank) return vj_stop(im, VJ_BAD_INPUT, "needs one scale for each dim");
    resize r = {.coordinates = ASYMMETRIC, .rounding = SIMPLE};
    axis_plan plan[VJ_MAX_RANK];
    for (int32_t d = 0; d < type->rank; d++) {
        plan[d] = (axis_plan){type->dims[d].c, type->dims[d].c, 1, 0, 1};
        if (!plan_scale(im, &plan[d], type->dims[d], (double)a->floats[d])) return false;
    }
    r.degree = strcmp(vj_text_attribute(im, "mode", "nearest"), "linear") == 0;
    return resize_axes(im, &r, x, plan);
}

/* Resize of opset 10, and Upsample: coordinates are asymmetric; the nearest element is the one below, or above where
 * the axis shrinks. */
bool vj_build_resize_10(vj_importer *im) {
    return build(im, &(resize){.coordinates = ASYMMETRIC, .rounding = SIMPLE}, -1, 1, -1);
}

bool vj_build_resize(vj_importer *im) {
    static const char *const how[] = {"half_pixel",    "half_pixel_symmetric", "pytorch_half_pixel",
                                      "align_corners", "asymmetric",           "tf_crop_and_resize"};
    static const char *const round[] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"};
    resize r = {.coordinates = (coordinates)word(im, "coordinate_transformation_mode", "half_pixel", how, 6),
                .rounding = (rounding)word(im, "nearest_mode", "round_prefer_floor", round, 4),
                .exclude_outside = vj_int_attribute(im, "exclude_outside", 0) != 0,
                .cubic_a = vj_float_attribute(im, "cubic_coeff_a", -0.75),
                .extrapolation = vj_float_attribute(im, "extrapolation_value", 0)};
    return build(im, &r, 1, 2, 3);
}
