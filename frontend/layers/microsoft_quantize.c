/* SPDX-License-Identifier: Apache-2.0 */
/* microsoft_quantize.c - quantised ops of the domain com.microsoft, as ONNX Runtime's quantiser and optimiser write them: products
 * of bytes as products of whole numbers, the others as what they compute between dequantising and quantising. ONNX Runtime's
 * ContribOperators documentation defines them. */
#include "quantize.h"
#include "windows.h"

#include <string.h>

static const vj_type *type_of(vj_importer *im, vj_value v) { return vj_type_at(im->f, v); }

/* Products */

static vj_value with_bias(vj_importer *im, vj_value y, int32_t operand) {
    return vj_has_operand(im, operand) ? vj_emit2(im, VJ_OP_add, y, vj_operand_value(im, operand)) : y;
}

/* A is quantised when it is known: A, B, B's scale, B's zero point?, bias? */
bool vj_build_ms_dynamic_quantize_matmul(vj_importer *im) {
    vj_value q, scale, zero, b = vj_operand_value(im, 1), b_scale = vj_scale_operand(im, 2);
    const vj_value b_zero = vj_zero_operand(im, 3, b);
    if (!vj_emit_dynamic_quantised(im, vj_operand_value(im, 0), &q, &scale, &zero)) return false;
    const vj_value whole = vj_emit_whole_product(im, q, zero, b, b_zero);
    if (!vj_going(im)) return false;
    const vj_value y = vj_emit_scaled(im, whole, scale, b_scale, VJ_NONE, type_of(im, whole)->rank - 1);
    return vj_bind(im, 0, with_bias(im, y, 4));
}

/* A, B, their scales, their zero points?, bias? */
bool vj_build_ms_matmul_integer_to_float(vj_importer *im) {
    const vj_value a = vj_operand_value(im, 0), b = vj_operand_value(im, 1);
    const vj_value a_scale = vj_scale_operand(im, 2), b_scale = vj_scale_operand(im, 3);
    const vj_value whole = vj_emit_whole_product(im, a, vj_zero_operand(im, 4, a), b, vj_zero_operand(im, 5, b));
    if (!vj_going(im)) return false;
    const vj_dtype to = type_of(im, a_scale)->dtype;
    vj_value y = vj_emit_scaled(im, whole, vj_one_number(im, a_scale), b_scale, VJ_NONE, type_of(im, whole)->rank - 1);
    return vj_bind(im, 0, with_bias(im, vj_emit_cast(im, y, to), 6));
}

static vj_value transposed(vj_importer *im, vj_value x, const char *attribute) {
    const bool yes = vj_int_attribute(im, attribute, 0) != 0;
    if (!vj_going(im)) return VJ_NONE;
    if (type_of(im, x)->rank != 2) {
        vj_stop(im, VJ_BAD_INPUT, "its operands are not matrices");
        return VJ_NONE;
    }
    return yes ? vj_emit_transpose(im, x, (int32_t[]){1, 0}) : x;
}

/* A, scale, zero point, B, scale, zero point, C (i32)?, Y's scale and zero point?: without these Y is f32. */
bool vj_build_ms_qgemm(vj_importer *im) {
    vj_value a = vj_operand_value(im, 0), b = vj_operand_value(im, 3);
    const vj_value a_zero = vj_zero_operand(im, 2, a), b_zero = vj_zero_operand(im, 5, b);
    vj_value a_scale = vj_one_number(im, vj_scale_operand(im, 1)), b_scale = vj_scale_operand(im, 4);
    const double alpha = vj_float_attribute(im, "alpha", 1);
    const bool is_float = !vj_has_operand(im, 7);
    if (vj_going(im) && is_float != !vj_has_operand(im, 8))
        return vj_stop(im, VJ_BAD_INPUT, "its result has a scale without a zero point, or the other way round");
    a = transposed(im, a, "transA");
    b = transposed(im, b, "transB");
    vj_value whole = vj_emit_whole_product(im, a, a_zero, b, b_zero);
    if (vj_has_operand(im, 6)) whole = vj_emit2(im, VJ_OP_add, whole, vj_operand_value(im, 6));
    if (!vj_going(im)) return false;
    if (alpha != 1) a_scale = vj_emit2(im, VJ_OP_mul, vj_emit_number(im, VJ_F32, alpha), a_scale);
    const vj_value y_scale = is_float ? VJ_NONE : vj_one_number(im, vj_scale_operand(im, 7));
    const vj_value y = vj_emit_scaled(im, whole, a_scale, b_scale, y_scale, 1);
    if (is_float || !vj_going(im)) return vj_bind(im, 0, y);
    const vj_value zero = vj_one_number(im, vj_operand_value(im, 8));
    return vj_going(im) && vj_bind(im, 0, vj_emit_saturated(im, y, zero, type_of(im, zero)->dtype));
}

/* Elementwise ops, between dequantising and quantising */

/* Operand i, with its scale and zero point behind it. */
static vj_value dequantised(vj_importer *im, int32_t i) {
    const vj_value x = vj_operand_value(im, i);
    return vj_emit_dequantised(im, x, vj_scale_operand(im, i + 1), vj_zero_operand(im, i + 2, x));
}

/* Result 0 from y, by the scale in operand i and the zero point behind it, in the type of operand `as`. */
static bool bind_quantised(vj_importer *im, vj_value y, int32_t i, int32_t as) {
    const vj_value like = vj_operand_value(im, as), scale = vj_scale_operand(im, i);
    const vj_value zero = vj_zero_operand(im, i + 1, like);
    return vj_going(im) && vj_bind(im, 0, vj_emit_quantised(im, y, scale, zero, type_of(im, like)->dtype));
}

bool vj_build_ms_qlinear_add(vj_importer *im) {
    return bind_quantised(im, vj_emit2(im, VJ_OP_add, dequantised(im, 0), dequantised(im, 3)), 6, 0);
}

/* The product of the differences is exact; the scales are one number. */
bool vj_build_ms_qlinear_mul(vj_importer *im) {
    const vj_value a = vj_operand_value(im, 0), b = vj_operand_value(im, 3);
    const vj_value whole = vj_emit2(im, VJ_OP_mul, vj_emit_difference(im, a, vj_zero_operand(im, 2, a)),
                                    vj_emit_difference(im, b, vj_zero_operand(im, 5, b)));
    const vj_value scale =
        vj_emit2(im, VJ_OP_mul, vj_one_number(im, vj_scale_operand(im, 1)), vj_one_number(im, vj_scale_operand(im, 4)));
    const vj_value by = vj_emit2(im, VJ_OP_div, scale, vj_one_number(im, vj_scale_operand(im, 6)));
    const vj_value zero = vj_one_number(im, vj_zero_operand(im, 7, a));
    if (!vj_going(im)) return false;
    return vj_bind(im, 0, vj_emit_saturated(im, vj_emit2(im, VJ_OP_mul, whole, by), zero, type_of(im, a)->dtype));
}

bool vj_build_ms_qlinear_sigmoid(vj_importer *im) {
    return bind_quantised(im, vj_emit1(im, VJ_OP_sigmoid, dequantised(im, 0)), 3, 0);
}

bool vj_build_ms_qlinear_leaky_relu(vj_importer *im) {
    const double alpha = vj_float_attribute(im, "alpha", 0.01f);
    const vj_value x = dequantised(im, 0);
    const vj_value is_negative = vj_emit2(im, VJ_OP_lt, x, vj_emit_number(im, VJ_F32, 0));
    const vj_value scaled = vj_emit2(im, VJ_OP_mul, x, vj_emit_number(im, VJ_F32, alpha));
    return bind_quantised(im, vj_emit3(im, VJ_OP_select, is_negative, scaled, x), 3, 0);
}

/* condition, X, scale, zero point, Y, scale, zero point, Z's scale and zero point */
bool vj_build_ms_qlinear_where(vj_importer *im) {
    const vj_value condition = vj_operand_value(im, 0);
    return bind_quantised(im, vj_emit3(im, VJ_OP_select, condition, dequantised(im, 1), dequantised(im, 4)), 7, 1);
}

/* Y's scale and zero point, then each part with its own. */
bool vj_build_ms_qlinear_concat(vj_importer *im) {
    const int64_t given = vj_int_attribute(im, "axis", 0);
    const int32_t operands = (int32_t)im->node->n_input;
    if (!vj_going(im)) return false;
    if (operands % 3 != 2) return vj_stop(im, VJ_BAD_INPUT, "a part has no scale and zero point");
    vj_value *parts = VJ_NEW_ARRAY(im->arena, vj_value, operands / 3);
    for (int32_t i = 2; i < operands; i += 3)
        parts[i / 3] = dequantised(im, i);
    if (!vj_going(im)) return false;
    const int32_t axis = vj_axis_of(im, given, type_of(im, parts[0])->rank);
    return axis >= 0 && bind_quantised(im, vj_emit_concat(im, parts, operands / 3, axis), 0, 2);
}

/* Along axes */

/* `opset` is that of the Softmax it stands for: before 13 it is over all dims from the axis on. */
bool vj_build_ms_qlinear_softmax(vj_importer *im) {
    const bool is_flat = vj_int_attribute(im, "opset", 13) < 13;
    const int64_t given = vj_int_attribute(im, "axis", -1);
    vj_value x = dequantised(im, 0);
    if (!vj_going(im)) return false;
    const vj_type type = *type_of(im, x);
    const int32_t axis = vj_axis_of(im, given, type.rank);
    if (axis < 0) return false;
    vj_dim flat[VJ_MAX_RANK];
    memcpy(flat, type.dims, sizeof flat);
    if (is_flat && !vj_dim_product(im, type.dims + axis, type.rank - axis, &flat[axis])) return false;
    const vj_attr along = vj_int(VJ_ATTR_AXIS, axis);
    if (is_flat) x = vj_emit_reshape(im, x, flat, axis + 1);
    x = vj_emit(im, VJ_OP_softmax, &x, 1, &along, 1);
    return bind_quantised(im, vj_emit_reshape(im, x, type.dims, type.rank), 3, 0);
}

static bool has_channels_last(vj_importer *im) {
    return vj_int_attribute(im, "channels_last", 0) != 0 &&
           (!vj_going(im) || !vj_stop(im, VJ_UNSUPPORTED, "channels_last is not supported"));
}

bool vj_build_ms_qlinear_average_pool(vj_importer *im) {
    vj_value y;
    if (has_channels_last(im)) return false;
    return vj_average_pool(im, dequantised(im, 0), VJ_BY_ALL, &y) && bind_quantised(im, y, 3, 0);
}

bool vj_build_ms_qlinear_global_average_pool(vj_importer *im) {
    const bool last = vj_int_attribute(im, "channels_last", 0) != 0;
    const vj_value x = dequantised(im, 0);
    int32_t axes[VJ_MAX_RANK];
    if (!vj_going(im)) return false;
    const int32_t spatial = type_of(im, x)->rank - 2;
    if (spatial < 1) return vj_stop(im, VJ_BAD_INPUT, "has no spatial axes");
    for (int32_t i = 0; i < spatial; i++)
        axes[i] = (last ? 1 : 2) + i;
    return bind_quantised(im, vj_emit_reduce(im, "mean", x, axes, spatial, true), 3, 0);
}
