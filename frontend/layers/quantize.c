/* SPDX-License-Identifier: Apache-2.0 */
/* quantize.c - builders of quantised ops, whose integers are q = x / scale + zero point. They become exact integer
 * arithmetic in 32 bits and a few float operations, as ONNX defines them. */
#include "quantize.h"
#include "windows.h"

#include <math.h>
#include <string.h>

static const vj_type *type_of(vj_importer *im, vj_value v) { return vj_type_at(im->f, v); }
static vj_dtype dtype_of(vj_importer *im, vj_value v) {
    return vj_going(im) && v >= 0 ? type_of(im, v)->dtype : VJ_NO_DTYPE;
}

static bool is_byte(vj_dtype t) { return t == VJ_I8 || t == VJ_U8; }
static bool is_narrow(vj_dtype t) { return is_byte(t) || t == VJ_I16 || t == VJ_U16; }

vj_value vj_scale_operand(vj_importer *im, int32_t i) {
    const vj_value scale = vj_operand_value(im, i);
    if (!vj_going(im)) return VJ_NONE;
    if (!vj_dtype_is_float(dtype_of(im, scale))) {
        vj_stop(im, VJ_BAD_INPUT, "its scale is not a float");
        return VJ_NONE;
    }
    const vj_tensor *t = vj_fold(im, scale);
    /* the least and largest number of a block may decide its scale, which is 0 of none but zeros, and negative where they lie so */
    const bool any_sign = vj_int_attribute(im, "block_size", 0) > 0;
    for (int64_t n = 0; t && n < t->count; n++)
        if (!(any_sign || t->f[n] > 0) ||
            !isfinite(t->f[n])) { /* infinite: what a quantiser made of a constant of -infinity */
            vj_stop(im, VJ_BAD_INPUT, "a scale is %g, not a %s number", t->f[n], any_sign ? "finite" : "positive");
            return VJ_NONE;
        }
    return scale;
}

vj_value vj_zero_operand(vj_importer *im, int32_t i, vj_value x) {
    const vj_value zero = vj_has_operand(im, i) ? vj_operand_value(im, i) : VJ_NONE;
    if (!vj_going(im) || zero < 0 || dtype_of(im, zero) == dtype_of(im, x)) return zero;
    vj_stop(im, VJ_BAD_INPUT, "its zero point is of type %s, for elements of %s", vj_element_name(dtype_of(im, zero)),
            vj_element_name(dtype_of(im, x)));
    return VJ_NONE;
}

vj_value vj_one_number(vj_importer *im, vj_value v) {
    int64_t count;
    if (!vj_going(im) || v < 0) return VJ_NONE;
    const vj_type *t = type_of(im, v);
    if (vj_type_is_static(t) && vj_type_elements(im->f, t, &count) && count == 1)
        return vj_emit_reshape(im, v, NULL, 0);
    vj_stop(im, VJ_UNSUPPORTED, "a scale or zero point %s, which is not one number", vj_type_text(im->arena, t));
    return VJ_NONE;
}

vj_value vj_emit_difference(vj_importer *im, vj_value x, vj_value zero) {
    if (!vj_going(im)) return VJ_NONE;
    if (!is_narrow(dtype_of(im, x))) {
        vj_stop(im, VJ_BAD_INPUT, "its elements are %s, not of 8 bits", vj_element_name(dtype_of(im, x)));
        return VJ_NONE;
    }
    x = vj_emit_cast(im, x, VJ_F32);
    return zero < 0 ? x : vj_emit2(im, VJ_OP_sub, x, vj_emit_cast(im, vj_one_number(im, zero), VJ_F32));
}

vj_value vj_emit_dequantised(vj_importer *im, vj_value x, vj_value scale, vj_value zero) {
    const vj_value whole = vj_emit_difference(im, x, zero);
    return vj_emit2(im, VJ_OP_mul, whole, vj_one_number(im, scale));
}

/* x is a float; `zero` may be VJ_NONE. NaN becomes 0. */
vj_value vj_emit_saturated(vj_importer *im, vj_value x, vj_value zero, vj_dtype to) {
    const vj_dtype dtype = dtype_of(im, x);
    if (!vj_going(im)) return VJ_NONE;
    if (!is_narrow(to)) {
        vj_stop(im, VJ_UNSUPPORTED, "quantises to %s", vj_element_name(to));
        return VJ_NONE;
    }
    const bool is_signed = to == VJ_I8 || to == VJ_I16, wide = to == VJ_I16 || to == VJ_U16;
    const double low = is_signed ? (wide ? -32768 : -128) : 0, span = wide ? 65535 : 255;
    x = vj_emit1(im, VJ_OP_round, x);
    if (zero >= 0) x = vj_emit2(im, VJ_OP_add, x, vj_emit_cast(im, zero, dtype));
    x = vj_emit2(im, VJ_OP_max, x, vj_emit_number(im, dtype, low));
    x = vj_emit2(im, VJ_OP_min, x, vj_emit_number(im, dtype, low + span));
    return vj_emit_cast(im, x, to);
}

vj_value vj_emit_quantised(vj_importer *im, vj_value x, vj_value scale, vj_value zero, vj_dtype to) {
    x = vj_emit2(im, VJ_OP_div, x, vj_one_number(im, scale));
    return vj_emit_saturated(im, x, vj_one_number(im, zero), to);
}

/* A scale or zero point in a form that broadcasts to x: one number, one for each index of the axis, or one for each
 * block along it. */
static vj_value beside(vj_importer *im, vj_value v, vj_value x) {
    int64_t given = vj_int_attribute(im, "axis", 1), block = vj_int_attribute(im, "block_size", 0);
    if (!vj_going(im)) return VJ_NONE;
    const vj_type t = *type_of(im, x), s = *type_of(im, v);
    int64_t count;
    if (s.rank == 0 || (s.rank == 1 && vj_type_elements(im->f, &s, &count) && count == 1 && !s.dims[0].sym))
        return vj_emit_reshape(im, v, NULL, 0);
    const int32_t axis = vj_axis_of(im, given, t.rank);
    if (axis < 0) return VJ_NONE;
    if (s.rank == 1 && block == 0) return vj_emit_column(im, v, axis, t.rank);
    bool fits = s.rank == t.rank && block > 0 && !t.dims[axis].sym && !s.dims[axis].sym && t.rank < VJ_MAX_RANK;
    int64_t covered;
    fits = fits && vj_mul(s.dims[axis].c, block, &covered) && covered >= t.dims[axis].c &&
           covered - t.dims[axis].c < block;
    if (!fits) {
        vj_stop(im, VJ_BAD_INPUT, "its scale does not fit its operand");
        return VJ_NONE;
    }
    vj_dim apart[VJ_MAX_RANK + 1], dims[VJ_MAX_RANK];
    memcpy(dims, s.dims, sizeof s.dims);
    memcpy(apart, s.dims, (size_t)(axis + 1) * sizeof *apart);
    apart[axis + 1] = vj_dim_const(1);
    memcpy(apart + axis + 2, s.dims + axis + 1, (size_t)(t.rank - axis - 1) * sizeof *apart);
    v = vj_emit_reshape(im, v, apart, t.rank + 1);
    apart[axis + 1] = vj_dim_const(block);
    v = vj_emit_broadcast(im, v, apart, t.rank + 1);
    dims[axis] = vj_dim_const(covered);
    return vj_emit_slice(im, vj_emit_reshape(im, v, dims, t.rank), axis, 0, t.dims[axis], 1);
}

static vj_dtype dtype_attribute(vj_importer *im, const char *name) {
    const int64_t code = vj_int_attribute(im, name, 0);
    if (code == 0 || !vj_going(im)) return VJ_NO_DTYPE;
    const vj_dtype dtype = vj_dtype_of_onnx((int32_t)vj_max64(-1, vj_min64(code, 1000)));
    if (dtype == VJ_NO_DTYPE) vj_stop(im, VJ_UNSUPPORTED, "%s is a type that is not supported", name);
    return dtype;
}

bool vj_build_quantize(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0), scale = vj_scale_operand(im, 1),
             zero = vj_has_operand(im, 2) ? vj_operand_value(im, 2) : VJ_NONE;
    vj_dtype to = dtype_attribute(im, "output_dtype"), precision = dtype_attribute(im, "precision");
    if (!vj_going(im)) return false;
    if (zero >= 0 && to != VJ_NO_DTYPE && to != dtype_of(im, zero))
        return vj_stop(im, VJ_BAD_INPUT, "its zero point is not of the type that output_dtype says");
    if (zero >= 0) to = dtype_of(im, zero);
    if (to == VJ_NO_DTYPE) to = VJ_U8;
    const vj_dtype in = precision != VJ_NO_DTYPE ? precision : dtype_of(im, scale);
    if (!vj_dtype_is_float(in)) return vj_stop(im, VJ_BAD_INPUT, "its scale is not a float");
    scale = vj_emit_cast(im, beside(im, scale, x), in);
    if (zero >= 0) zero = beside(im, zero, x);
    vj_value q = vj_emit2(im, VJ_OP_div, vj_emit_cast(im, x, in), scale);
    return vj_bind(im, 0, vj_emit_saturated(im, q, zero, to));
}

bool vj_build_dequantize(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0), scale = vj_scale_operand(im, 1), zero = vj_zero_operand(im, 2, x);
    const vj_dtype to = dtype_attribute(im, "output_dtype");
    if (!vj_going(im)) return false;
    const vj_dtype from = dtype_of(im, x), in = dtype_of(im, scale);
    if (!is_narrow(from) && from != VJ_I32) return vj_stop(im, VJ_UNSUPPORTED, "dequantises %s", vj_element_name(from));
    scale = beside(im, scale, x);
    /* what the difference is exact in: a weight in floats is read in blocks when it is packed */
    const vj_dtype exact = is_byte(from) || (is_narrow(from) && in == VJ_F32) ? in : VJ_I32;
    vj_value whole = vj_emit_cast(im, x, exact);
    if (zero >= 0) whole = vj_emit2(im, VJ_OP_sub, whole, vj_emit_cast(im, beside(im, zero, x), exact));
    vj_value y = vj_emit2(im, VJ_OP_mul, vj_emit_cast(im, whole, in), scale);
    return vj_bind(im, 0, to == VJ_NO_DTYPE ? y : vj_emit_cast(im, y, to));
}

/* The scale maps the range of x, extended to include 0, to 0 .. 255. */
bool vj_emit_dynamic_quantised(vj_importer *im, vj_value x, vj_value *q, vj_value *scale, vj_value *zero) {
    if (!vj_going(im)) return false;
    const vj_type t = *type_of(im, x);
    int32_t axes[VJ_MAX_RANK];
    if (t.dtype != VJ_F32) return vj_stop(im, VJ_BAD_INPUT, "quantises %s", vj_element_name(t.dtype));
    for (int32_t d = 0; d < t.rank; d++) {
        axes[d] = d;
        if (!vj_closed_axis(im, t.dims[d])) return false;
    }
    vj_value none = vj_emit_number(im, VJ_F32, 0), full = vj_emit_number(im, VJ_F32, 255);
    vj_value low = vj_emit2(im, VJ_OP_min, vj_emit_reduce(im, "min", x, axes, t.rank, false), none);
    vj_value high = vj_emit2(im, VJ_OP_max, vj_emit_reduce(im, "max", x, axes, t.rank, false), none);
    vj_value step = vj_emit2(im, VJ_OP_div, vj_emit2(im, VJ_OP_sub, high, low), full);
    /* the range is empty when all of x is 0 */
    *scale = vj_emit3(im, VJ_OP_select, vj_emit2(im, VJ_OP_eq, step, none), vj_emit_number(im, VJ_F32, 1), step);
    vj_value first = vj_emit1(im, VJ_OP_neg, vj_emit2(im, VJ_OP_div, low, *scale));
    *zero = vj_emit_saturated(im, first, VJ_NONE, VJ_U8);
    *q = vj_emit_saturated(im, vj_emit2(im, VJ_OP_div, x, *scale), *zero, VJ_U8);
    return vj_going(im);
}

bool vj_build_dynamic_quantize(vj_importer *im) {
    vj_value q, scale, zero;
    return vj_emit_dynamic_quantised(im, vj_operand_value(im, 0), &q, &scale, &zero) && vj_bind(im, 0, q) &&
           vj_bind(im, 1, scale) && vj_bind(im, 2, zero);
}

/* Products. `x` as 32-bit integers less its zero point, which is one number, or one for each index of `axis`. */
static vj_value centred(vj_importer *im, vj_value x, vj_value zero, int32_t axis) {
    if (!vj_going(im)) return VJ_NONE;
    if (!is_narrow(type_of(im, x)->dtype)) {
        vj_stop(im, VJ_BAD_INPUT, "multiplies %s", vj_element_name(type_of(im, x)->dtype));
        return VJ_NONE;
    }
    vj_value whole = vj_emit_cast(im, x, VJ_I32);
    if (zero < 0) return whole;
    zero = vj_emit_cast(im, zero, VJ_I32);
    int64_t count;
    if (!vj_going(im)) return VJ_NONE;
    const vj_type *t = type_of(im, zero);
    if (t->rank == 1 && vj_type_elements(im->f, t, &count) && count == 1)
        zero = vj_emit_reshape(im, zero, NULL, 0);
    else if (t->rank == 1)
        zero = vj_emit_column(im, zero, axis, type_of(im, x)->rank);
    return vj_emit2(im, VJ_OP_sub, whole, zero);
}

vj_value vj_emit_whole_product(vj_importer *im, vj_value a, vj_value a_zero, vj_value b, vj_value b_zero) {
    if (!vj_going(im)) return VJ_NONE;
    const int32_t a_rank = type_of(im, a)->rank, b_rank = type_of(im, b)->rank;
    a = centred(im, a, a_zero, a_rank > 1 ? a_rank - 2 : 0);
    return vj_emit2(im, VJ_OP_matmul, a, centred(im, b, b_zero, b_rank - 1));
}

bool vj_build_matmul_integer(vj_importer *im) {
    vj_value a = vj_operand_value(im, 0), b = vj_operand_value(im, 1);
    vj_value a_zero = vj_zero_operand(im, 2, a), b_zero = vj_zero_operand(im, 3, b);
    return vj_bind(im, 0, vj_emit_whole_product(im, a, a_zero, b, b_zero));
}

/* A scale in f32 that broadcasts to x: one number, or one for each index of `axis`. */
static vj_value scale_beside(vj_importer *im, vj_value scale, vj_value x, int32_t axis) {
    int64_t count;
    scale = vj_emit_cast(im, scale, VJ_F32);
    if (!vj_going(im)) return VJ_NONE;
    const vj_type *t = type_of(im, scale);
    if (t->rank == 1 && vj_type_elements(im->f, t, &count) && count == 1) return vj_emit_reshape(im, scale, NULL, 0);
    return t->rank == 1 ? vj_emit_column(im, scale, axis, type_of(im, x)->rank) : scale;
}

vj_value vj_emit_scaled(vj_importer *im, vj_value whole, vj_value a_scale, vj_value b_scale, vj_value y_scale,
                        int32_t axis) {
    vj_value factor =
        vj_emit2(im, VJ_OP_mul, scale_beside(im, a_scale, whole, axis), scale_beside(im, b_scale, whole, axis));
    if (y_scale >= 0) factor = vj_emit2(im, VJ_OP_div, factor, scale_beside(im, y_scale, whole, axis));
    return vj_emit2(im, VJ_OP_mul, vj_emit_cast(im, whole, VJ_F32), factor);
}

/* The operands of QLinearMatMul and QLinearConv, but for the bias. */
typedef struct qlinear {
    vj_value x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero;
} qlinear;

static bool read_qlinear(vj_importer *im, qlinear *q) {
    q->x = vj_operand_value(im, 0);
    q->x_scale = vj_scale_operand(im, 1);
    q->x_zero = vj_zero_operand(im, 2, q->x);
    q->w = vj_operand_value(im, 3);
    q->w_scale = vj_scale_operand(im, 4);
    q->w_zero = vj_zero_operand(im, 5, q->w);
    q->y_scale = vj_scale_operand(im, 6);
    q->y_zero = vj_one_number(im, vj_operand_value(im, 7));
    return vj_going(im);
}

/* whole, scaled, in the type of y's zero point. The scale of w may be one for each index of `axis`. */
static vj_value requantised(vj_importer *im, const qlinear *q, vj_value whole, int32_t axis) {
    const vj_value y = vj_emit_scaled(im, whole, q->x_scale, q->w_scale, q->y_scale, axis);
    return vj_going(im) ? vj_emit_saturated(im, y, q->y_zero, dtype_of(im, q->y_zero)) : VJ_NONE;
}

bool vj_build_qlinear_matmul(vj_importer *im) {
    qlinear q;
    if (!read_qlinear(im, &q)) return false;
    const vj_value whole = vj_emit_whole_product(im, q.x, q.x_zero, q.w, q.w_zero);
    return vj_going(im) && vj_bind(im, 0, requantised(im, &q, whole, type_of(im, whole)->rank - 1));
}

static vj_value whole_conv(vj_importer *im, vj_value x, vj_value x_zero, vj_value w, vj_value w_zero) {
    vj_windows win;
    const int64_t groups = vj_int_attribute(im, "group", 1);
    if (!vj_going(im)) return VJ_NONE;
    const vj_type *t = type_of(im, x), *f = type_of(im, w);
    int64_t channels;
    bool fits = t->rank >= 3 && f->rank == t->rank && vj_type_is_static(f) && groups >= 1 && !t->dims[1].sym;
    fits = fits && f->dims[0].c % groups == 0 && vj_mul(f->dims[1].c, groups, &channels) && channels == t->dims[1].c;
    if (!fits) {
        vj_stop(im, VJ_BAD_INPUT, "its weight does not fit %s in %lld groups", vj_type_text(im->arena, t),
                (long long)groups);
        return VJ_NONE;
    }
    if (!vj_read_conv(im, x, w, &win)) return VJ_NONE;
    return vj_emit_conv(im, centred(im, x, x_zero, 1), centred(im, w, w_zero, 0), VJ_NONE, &win, groups);
}

bool vj_build_conv_integer(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0), w = vj_operand_value(im, 1);
    vj_value x_zero = vj_zero_operand(im, 2, x), w_zero = vj_zero_operand(im, 3, w);
    return vj_bind(im, 0, whole_conv(im, x, x_zero, w, w_zero));
}

bool vj_build_qlinear_conv(vj_importer *im) {
    qlinear q;
    if (vj_int_attribute(im, "channels_last", 0)) return vj_stop(im, VJ_UNSUPPORTED, "channels_last is not supported");
    if (!read_qlinear(im, &q)) return false;
    vj_value whole = whole_conv(im, q.x, q.x_zero, q.w, q.w_zero);
    if (!vj_going(im)) return false;
    if (vj_has_operand(im, 8))
        whole =
            vj_emit2(im, VJ_OP_add, whole, vj_emit_column(im, vj_operand_value(im, 8), 1, type_of(im, whole)->rank));
    return vj_bind(im, 0, requantised(im, &q, whole, 1));
}
