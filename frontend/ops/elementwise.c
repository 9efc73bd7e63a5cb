/* SPDX-License-Identifier: Apache-2.0 */
/* elementwise.c - builders of elementwise ops and activations. */
#include "frontend/import/import.h"

#include <math.h>
#include <string.h>

static vj_dtype dtype_of(vj_importer *im, vj_value v) { return v < 0 ? VJ_NO_DTYPE : vj_type_at(im->f, v)->dtype; }

bool vj_build_refused(vj_importer *im) { return vj_stop(im, VJ_UNSUPPORTED, "has a form that is not supported"); }

bool vj_build_identity(vj_importer *im) { return vj_bind(im, 0, vj_operand_value(im, 0)); }

/* Whether an operand is there at all. */
bool vj_build_has_element(vj_importer *im) {
    vj_known *k = vj_known_new(im, VJ_BOOL, 0, NULL);
    k->at[0].b = vj_has_operand(im, 0);
    return vj_bind_known(im, 0, k);
}

/* 1 where x is above the threshold, else 0. */
bool vj_build_binarizer(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0);
    vj_value least = vj_emit_number(im, dtype_of(im, x), vj_float_attribute(im, "threshold", 0));
    return vj_bind(im, 0, vj_emit_cast(im, vj_emit2(im, VJ_OP_lt, least, x), dtype_of(im, x)));
}

bool vj_build_dropout(vj_importer *im) {
    const vj_known *training = vj_known_operand(im, 2);
    if (vj_has_operand(im, 2) && !training) return vj_stop_unknown(im, 2, "training mode");
    if (training && training->count == 1 && training->at[0].b) {
        const vj_known *ratio = vj_known_operand(im, 1);
        if (!ratio && vj_has_operand(im, 1)) return vj_stop_unknown(im, 1, "ratio");
        if (!ratio || ratio->count != 1 || (vj_dtype_is_float(ratio->dtype) ? ratio->at[0].f : 1) != 0)
            return vj_stop(im, VJ_UNSUPPORTED, "is in training mode and draws random numbers");
    }
    vj_value x = vj_operand_value(im, 0);
    if (!vj_going(im)) return false;
    if (vj_result_is_used(im, 1)) { /* nothing is dropped */
        const vj_type *type = vj_type_at(im->f, x);
        vj_bind(im, 1, vj_emit_broadcast(im, vj_emit_number(im, VJ_BOOL, 1), type->dims, type->rank));
    }
    return vj_bind(im, 0, x);
}

bool vj_build_unary(vj_importer *im) {
    return vj_bind(im, 0, vj_emit1(im, (vj_op)im->row->ir_op, vj_operand_value(im, 0)));
}

bool vj_build_binary(vj_importer *im) {
    vj_value a = vj_operand_value(im, 0), b = vj_operand_value(im, 1);
    return vj_bind(im, 0, vj_emit2(im, (vj_op)im->row->ir_op, a, b));
}

/* Not, And, Or, Xor take booleans, and the Bitwise ops integers; the IR has one op for both. */
static bool on_type(vj_importer *im, bool wants_bool) {
    vj_value a = vj_operand_value(im, 0), b = im->row->min_operands > 1 ? vj_operand_value(im, 1) : VJ_NONE;
    if (!vj_going(im)) return false;
    if ((dtype_of(im, a) == VJ_BOOL) != wants_bool)
        return vj_stop(im, VJ_BAD_INPUT, "its operand is %s", vj_element_name(dtype_of(im, a)));
    const vj_op op = (vj_op)im->row->ir_op;
    return vj_bind(im, 0, b < 0 ? vj_emit1(im, op, a) : vj_emit2(im, op, a, b));
}

bool vj_build_logic(vj_importer *im) { return on_type(im, true); }
bool vj_build_bits(vj_importer *im) { return on_type(im, false); }

bool vj_build_bit_shift(vj_importer *im) {
    const char *direction = vj_text_attribute(im, "direction", "");
    const bool left = strcmp(direction, "LEFT") == 0;
    vj_value a = vj_operand_value(im, 0), b = vj_operand_value(im, 1);
    if (!left && strcmp(direction, "RIGHT") != 0) return vj_stop(im, VJ_BAD_INPUT, "direction is '%.20s'", direction);
    return vj_bind(im, 0, vj_emit2(im, left ? VJ_OP_shl : VJ_OP_shr, a, b));
}

bool vj_build_bit_cast(vj_importer *im) {
    const int32_t code = (int32_t)vj_max64(-1, vj_min64(vj_int_attribute(im, "to", -1), 1000));
    const vj_dtype to = vj_dtype_of_onnx(code);
    vj_value x = vj_operand_value(im, 0);
    if (!vj_going(im)) return false;
    if (to == VJ_NO_DTYPE || to == VJ_BOOL)
        return vj_stop(im, VJ_UNSUPPORTED, "casts to %s (%d), which is not supported", vj_onnx_dtype_name(code), code);
    if (to == dtype_of(im, x)) return vj_bind(im, 0, x);
    const vj_attr attr = vj_name(VJ_ATTR_TO, vj_element_name(to));
    return vj_bind(im, 0, vj_emit(im, VJ_OP_bitcast, &x, 1, &attr, 1));
}

bool vj_build_swapped(vj_importer *im) {
    vj_value a = vj_operand_value(im, 0), b = vj_operand_value(im, 1);
    return vj_bind(im, 0, vj_emit2(im, (vj_op)im->row->ir_op, b, a));
}

/* The exponent may have a type of its own. */
bool vj_build_pow(vj_importer *im) {
    vj_value a = vj_operand_value(im, 0), b = vj_operand_value(im, 1);
    if (!vj_going(im)) return false;
    const vj_dtype dtype = dtype_of(im, a);
    if (vj_dtype_is_int(dtype) && vj_dtype_is_float(dtype_of(im, b))) { /* truncated; exact below 2^24 */
        vj_value power = vj_emit2(im, VJ_OP_pow, vj_emit_cast(im, a, VJ_F32), vj_emit_cast(im, b, VJ_F32));
        return vj_bind(im, 0, vj_emit_cast(im, power, dtype));
    }
    return vj_bind(im, 0, vj_emit2(im, VJ_OP_pow, a, vj_emit_cast(im, b, dtype_of(im, a))));
}

/* The IR's mod is floored for integers and C's fmod for floats, as ONNX's default is. */
bool vj_build_mod(vj_importer *im) {
    vj_value a = vj_operand_value(im, 0), b = vj_operand_value(im, 1);
    bool c_like = vj_int_attribute(im, "fmod", 0) != 0;
    if (!vj_going(im)) return false;
    if (vj_dtype_is_float(dtype_of(im, a)) && !c_like) return vj_stop(im, VJ_BAD_INPUT, "floats need fmod = 1");
    if (vj_dtype_is_float(dtype_of(im, a)) || !c_like) return vj_bind(im, 0, vj_emit2(im, VJ_OP_mod, a, b));
    vj_value whole = vj_emit2(im, VJ_OP_mul, vj_emit2(im, VJ_OP_div, a, b), b);
    return vj_bind(im, 0, vj_emit2(im, VJ_OP_sub, a, whole));
}

static vj_value chain(vj_importer *im, vj_op op) {
    vj_value v = vj_operand_value(im, 0);
    for (int32_t i = 1; vj_going(im) && (size_t)i < im->node->n_input; i++)
        v = vj_emit2(im, op, v, vj_operand_value(im, i));
    return v;
}

bool vj_build_variadic(vj_importer *im) { return vj_bind(im, 0, chain(im, (vj_op)im->row->ir_op)); }

bool vj_build_mean(vj_importer *im) {
    vj_value sum = chain(im, VJ_OP_add);
    vj_value count = vj_emit_number(im, dtype_of(im, sum), (double)im->node->n_input);
    return vj_bind(im, 0, vj_emit2(im, VJ_OP_div, sum, count));
}

bool vj_build_where(vj_importer *im) {
    vj_value condition = vj_operand_value(im, 0), a = vj_operand_value(im, 1), b = vj_operand_value(im, 2);
    return vj_bind(im, 0, vj_emit3(im, VJ_OP_select, condition, a, b));
}

bool vj_build_cast(vj_importer *im) {
    int32_t code = (int32_t)vj_max64(-1, vj_min64(vj_int_attribute(im, "to", -1), 1000));
    vj_dtype to = vj_dtype_of_onnx(code);
    vj_value x = vj_operand_value(im, 0);
    if (to == VJ_NO_DTYPE && !vj_is_onnx_dtype(code)) return vj_stop(im, VJ_BAD_INPUT, "casts to no type (%d)", code);
    if (to == VJ_NO_DTYPE)
        return vj_stop(im, VJ_UNSUPPORTED, "casts to %s (%d), which is not supported", vj_onnx_dtype_name(code), code);
    return vj_bind(im, 0, vj_emit_cast(im, x, to));
}

bool vj_build_cast_like(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0), like = vj_operand_value(im, 1);
    return vj_bind(im, 0, vj_emit_cast(im, x, dtype_of(im, like)));
}

bool vj_build_clip(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0);
    if (vj_has_operand(im, 1)) x = vj_emit2(im, VJ_OP_max, x, vj_operand_value(im, 1));
    if (vj_has_operand(im, 2)) x = vj_emit2(im, VJ_OP_min, x, vj_operand_value(im, 2));
    return vj_bind(im, 0, x);
}

bool vj_build_clip_6(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0);
    const vj_dtype dtype = dtype_of(im, x);
    if (vj_find_attribute(im, "min"))
        x = vj_emit2(im, VJ_OP_max, x, vj_emit_number(im, dtype, vj_float_attribute(im, "min", 0)));
    if (vj_find_attribute(im, "max"))
        x = vj_emit2(im, VJ_OP_min, x, vj_emit_number(im, dtype, vj_float_attribute(im, "max", 0)));
    return vj_bind(im, 0, x);
}

bool vj_build_is_inf(vj_importer *im) {
    const bool negative = vj_int_attribute(im, "detect_negative", 1) != 0;
    const bool positive = vj_int_attribute(im, "detect_positive", 1) != 0;
    vj_value x = vj_operand_value(im, 0);
    if (!vj_going(im)) return false;
    if (!negative && !positive) {
        const vj_type *type = vj_type_at(im->f, x);
        return vj_bind(im, 0, vj_emit_broadcast(im, vj_emit_number(im, VJ_BOOL, 0), type->dims, type->rank));
    }
    if (negative && positive) x = vj_emit1(im, VJ_OP_abs, x);
    vj_value end = vj_emit_number(im, dtype_of(im, x), positive ? (double)INFINITY : -(double)INFINITY);
    return vj_bind(im, 0, vj_emit2(im, VJ_OP_eq, x, end));
}

bool vj_build_is_nan(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0);
    return vj_bind(im, 0, vj_emit1(im, VJ_OP_not, vj_emit2(im, VJ_OP_eq, x, x)));
}

/* What tf2onnx leaves of TensorFlow's op of that name, which ONNX does not have. */
bool vj_build_erfc(vj_importer *im) {
    const vj_value x = vj_operand_value(im, 0);
    return vj_bind(im, 0, vj_emit2(im, VJ_OP_sub, vj_emit_number(im, dtype_of(im, x), 1), vj_emit1(im, VJ_OP_erf, x)));
}

/* Activations. `number` makes a constant of x's type. */

static vj_value number(vj_importer *im, vj_value x, double n) { return vj_emit_number(im, dtype_of(im, x), n); }
static vj_value scaled(vj_importer *im, vj_value x, double n) {
    return n == 1 ? x : vj_emit2(im, VJ_OP_mul, x, number(im, x, n));
}
static vj_value is_negative(vj_importer *im, vj_value x) { return vj_emit2(im, VJ_OP_lt, x, number(im, x, 0)); }

bool vj_build_gelu(vj_importer *im) {
    const char *form = vj_text_attribute(im, "approximate", "none");
    bool is_tanh = strcmp(form, "tanh") == 0;
    vj_value x = vj_operand_value(im, 0);
    if (!is_tanh && strcmp(form, "none") != 0) return vj_stop(im, VJ_BAD_INPUT, "approximate is '%.20s'", form);
    vj_attr attr = vj_name(VJ_ATTR_FORM, is_tanh ? "tanh" : "erf");
    return vj_bind(im, 0, vj_emit(im, VJ_OP_gelu, &x, 1, &attr, 1));
}

/* Those that recurrent ops name, too, have two parameters. */

static vj_value leaky_relu(vj_importer *im, vj_value x, double alpha, double beta) {
    (void)beta;
    return vj_emit3(im, VJ_OP_select, is_negative(im, x), scaled(im, x, alpha), x);
}

bool vj_build_leaky_relu(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0);
    return vj_bind(im, 0, leaky_relu(im, x, vj_float_attribute(im, "alpha", 0.01), 0));
}

static vj_value thresholded_relu(vj_importer *im, vj_value x, double alpha, double beta) {
    (void)beta;
    return vj_emit3(im, VJ_OP_select, vj_emit2(im, VJ_OP_lt, number(im, x, alpha), x), x, number(im, x, 0));
}

bool vj_build_thresholded_relu(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0);
    return vj_bind(im, 0, thresholded_relu(im, x, vj_float_attribute(im, "alpha", 1), 0));
}

/* x, moved by bias towards 0, where |x| is above lambd, else 0. */
bool vj_build_shrink(vj_importer *im) {
    const double lambd = vj_float_attribute(im, "lambd", 0.5), bias = vj_float_attribute(im, "bias", 0);
    vj_value x = vj_operand_value(im, 0);
    vj_value above = vj_emit2(im, VJ_OP_lt, number(im, x, lambd), x);
    vj_value below = vj_emit2(im, VJ_OP_lt, x, number(im, x, -lambd));
    vj_value up = vj_emit2(im, VJ_OP_add, x, number(im, x, bias)),
             down = vj_emit2(im, VJ_OP_sub, x, number(im, x, bias));
    vj_value low = vj_emit3(im, VJ_OP_select, below, up, number(im, x, 0));
    return vj_bind(im, 0, vj_emit3(im, VJ_OP_select, above, down, low));
}

bool vj_build_prelu(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0), low = vj_emit2(im, VJ_OP_mul, x, vj_operand_value(im, 1));
    return vj_bind(im, 0, vj_emit3(im, VJ_OP_select, is_negative(im, x), low, x));
}

/* a * (exp(min(x, 0) / c) - 1) where x < 0, else x. The argument of exp is never large. */
static vj_value exponential(vj_importer *im, vj_value x, double a, double c) {
    vj_value low = scaled(im, vj_emit2(im, VJ_OP_min, x, number(im, x, 0)), 1 / c);
    low = vj_emit2(im, VJ_OP_sub, vj_emit1(im, VJ_OP_exp, low), number(im, x, 1));
    return vj_emit3(im, VJ_OP_select, is_negative(im, x), scaled(im, low, a), x);
}

bool vj_build_elu(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0);
    return vj_bind(im, 0, exponential(im, x, vj_float_attribute(im, "alpha", 1), 1));
}

bool vj_build_celu(vj_importer *im) {
    double alpha = vj_float_attribute(im, "alpha", 1);
    if (alpha == 0) return vj_stop(im, VJ_BAD_INPUT, "alpha is 0");
    return vj_bind(im, 0, exponential(im, vj_operand_value(im, 0), alpha, alpha));
}

bool vj_build_selu(vj_importer *im) {
    double alpha = vj_float_attribute(im, "alpha", 1.67326319217681884765625);
    double gamma = vj_float_attribute(im, "gamma", 1.05070102214813232421875);
    return vj_bind(im, 0, scaled(im, exponential(im, vj_operand_value(im, 0), alpha, 1), gamma));
}

static vj_value hard_sigmoid(vj_importer *im, vj_value x, double alpha, double beta) {
    vj_value line = vj_emit2(im, VJ_OP_add, scaled(im, x, alpha), number(im, x, beta));
    return vj_emit2(im, VJ_OP_max, vj_emit2(im, VJ_OP_min, line, number(im, x, 1)), number(im, x, 0));
}

bool vj_build_hard_sigmoid(vj_importer *im) {
    double alpha = vj_float_attribute(im, "alpha", 0.2f), beta = vj_float_attribute(im, "beta", 0.5);
    return vj_bind(im, 0, hard_sigmoid(im, vj_operand_value(im, 0), alpha, beta));
}

bool vj_build_hard_swish(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0);
    return vj_bind(im, 0, vj_emit2(im, VJ_OP_mul, x, hard_sigmoid(im, x, 1.0 / 6, 0.5)));
}

/* log(1 + exp(x)) as max(x, 0) + log(1 + exp(-|x|)), which never overflows. */
static vj_value softplus(vj_importer *im, vj_value x) {
    vj_value small = vj_emit1(im, VJ_OP_exp, vj_emit1(im, VJ_OP_neg, vj_emit1(im, VJ_OP_abs, x)));
    vj_value rest = vj_emit1(im, VJ_OP_log, vj_emit2(im, VJ_OP_add, small, number(im, x, 1)));
    return vj_emit2(im, VJ_OP_add, vj_emit1(im, VJ_OP_relu, x), rest);
}

bool vj_build_softplus(vj_importer *im) { return vj_bind(im, 0, softplus(im, vj_operand_value(im, 0))); }

static vj_value softsign(vj_importer *im, vj_value x) {
    vj_value below = vj_emit2(im, VJ_OP_add, vj_emit1(im, VJ_OP_abs, x), number(im, x, 1));
    return vj_emit2(im, VJ_OP_div, x, below);
}

bool vj_build_softsign(vj_importer *im) { return vj_bind(im, 0, softsign(im, vj_operand_value(im, 0))); }

bool vj_build_mish(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0);
    return vj_bind(im, 0, vj_emit2(im, VJ_OP_mul, x, vj_emit1(im, VJ_OP_tanh, softplus(im, x))));
}

bool vj_build_swish(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0), inner = scaled(im, x, vj_float_attribute(im, "alpha", 1));
    return vj_bind(im, 0, vj_emit2(im, VJ_OP_mul, x, vj_emit1(im, VJ_OP_sigmoid, inner)));
}

/* What recurrent ops call by name. */

static vj_value affine(vj_importer *im, vj_value x, double alpha, double beta) {
    return vj_emit2(im, VJ_OP_add, scaled(im, x, alpha), number(im, x, beta));
}

static vj_value scaled_tanh(vj_importer *im, vj_value x, double alpha, double beta) {
    return scaled(im, vj_emit1(im, VJ_OP_tanh, scaled(im, x, beta)), alpha);
}

static vj_value elu(vj_importer *im, vj_value x, double alpha, double beta) {
    (void)beta;
    return exponential(im, x, alpha, 1);
}

#define PLAIN(name, value)                                                                                             \
    static vj_value plain_##name(vj_importer *im, vj_value x, double alpha, double beta) {                             \
        (void)alpha;                                                                                                   \
        (void)beta;                                                                                                    \
        return value;                                                                                                  \
    }
PLAIN(relu, vj_emit1(im, VJ_OP_relu, x))
PLAIN(tanh, vj_emit1(im, VJ_OP_tanh, x))
PLAIN(sigmoid, vj_emit1(im, VJ_OP_sigmoid, x))
PLAIN(softsign, softsign(im, x))
PLAIN(softplus, softplus(im, x))

const vj_activation *vj_find_activation(const char *name) {
    static const vj_activation all[] = {
        {"Tanh", plain_tanh, 0, 0, 0},
        {"Sigmoid", plain_sigmoid, 0, 0, 0},
        {"Relu", plain_relu, 0, 0, 0},
        {"Affine", affine, 2, (double)NAN, (double)NAN},
        {"LeakyRelu", leaky_relu, 1, 0.01, 0},
        {"ThresholdedRelu", thresholded_relu, 1, 1, 0},
        {"ScaledTanh", scaled_tanh, 2, (double)NAN, (double)NAN},
        {"HardSigmoid", hard_sigmoid, 2, 0.2f, 0.5},
        {"Elu", elu, 1, 1, 0},
        {"Softsign", plain_softsign, 0, 0, 0},
        {"Softplus", plain_softplus, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(all[i].name, name) == 0) return &all[i];
    return NULL;
}
