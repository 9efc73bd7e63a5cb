/* SPDX-License-Identifier: Apache-2.0 */
/* microsoft.c - ops of the domain com.microsoft that ONNX Runtime's optimiser writes, except its attentions. Each
 * becomes the IR of the ONNX ops that it stands for. ONNX Runtime's ContribOperators documentation defines them. */
#include "frontend/import/import.h"

#include <math.h>
#include <string.h>

static const vj_type *type_of(vj_importer *im, vj_value v) { return vj_type_at(im->f, v); }

static vj_value number_like(vj_importer *im, vj_value x, double n) {
    return vj_going(im) ? vj_emit_number(im, type_of(im, x)->dtype, n) : VJ_NONE;
}

static vj_value scaled(vj_importer *im, vj_value x, double factor) {
    return !vj_going(im) || factor == 1 ? x : vj_emit2(im, VJ_OP_mul, x, number_like(im, x, factor));
}

/* GELUs. The table's row gives the form; operand 1 is a bias. */

static vj_value gelu_of(vj_importer *im, vj_value x, const char *form) {
    vj_attr attr = vj_name(VJ_ATTR_FORM, form);
    return vj_emit(im, VJ_OP_gelu, &x, 1, &attr, 1);
}

static vj_value with_bias(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0);
    return vj_has_operand(im, 1) ? vj_emit2(im, VJ_OP_add, x, vj_operand_value(im, 1)) : x;
}

bool vj_build_ms_gelu(vj_importer *im) { return vj_bind(im, 0, gelu_of(im, with_bias(im), "erf")); }

bool vj_build_ms_fast_gelu(vj_importer *im) { return vj_bind(im, 0, gelu_of(im, with_bias(im), "tanh")); }

/* x * sigmoid(alpha * x); with alpha 1 it is SiLU. */
bool vj_build_ms_quick_gelu(vj_importer *im) {
    const double alpha = vj_float_attribute(im, "alpha", 1.702);
    vj_value x = vj_operand_value(im, 0);
    if (fabs(alpha - 1.702) < 1e-6) return vj_bind(im, 0, gelu_of(im, x, "quick"));
    return vj_bind(im, 0, vj_emit2(im, VJ_OP_mul, x, vj_emit1(im, VJ_OP_sigmoid, scaled(im, x, alpha))));
}

/* Products */

/* Transposes an operand as FusedMatMul's attributes ask. With `batch`, its dims are [M, B.., K] and become [B.., M, K];
 * with `matrix`, the last two dims are exchanged. */
static vj_value transposed(vj_importer *im, vj_value x, bool matrix, bool batch) {
    if (!vj_going(im)) return VJ_NONE;
    const int32_t rank = type_of(im, x)->rank;
    int32_t perm[VJ_MAX_RANK];
    if (rank < 2) return x; /* a vector is a row or a column, whichever is needed */
    for (int32_t i = 0; i < rank; i++)
        perm[i] = i;
    if (batch && rank > 2) {
        for (int32_t i = 0; i < rank - 2; i++)
            perm[i] = i + 1;
        perm[rank - 2] = 0;
    }
    if (matrix) {
        const int32_t row = perm[rank - 2];
        perm[rank - 2] = perm[rank - 1];
        perm[rank - 1] = row;
    }
    return vj_emit_transpose(im, x, perm);
}

bool vj_build_ms_matmul(vj_importer *im) {
    const bool a_transposed = vj_int_attribute(im, "transA", 0) != 0,
               b_transposed = vj_int_attribute(im, "transB", 0) != 0;
    const bool a_batch = vj_int_attribute(im, "transBatchA", 0) != 0;
    const bool b_batch = vj_int_attribute(im, "transBatchB", 0) != 0;
    const double alpha = vj_float_attribute(im, "alpha", 1);
    vj_value a = transposed(im, vj_operand_value(im, 0), a_transposed, a_batch);
    vj_value b = transposed(im, vj_operand_value(im, 1), b_transposed, b_batch);
    return vj_bind(im, 0, scaled(im, vj_emit2(im, VJ_OP_matmul, a, b), alpha));
}

/* The activation that an attribute names. */
static vj_value activated(vj_importer *im, vj_value x, const char *name, const float *p, size_t count) {
    static const struct {
        const char *name;
        vj_op op;
    } plain[] = {{"Relu", VJ_OP_relu}, {"Tanh", VJ_OP_tanh}, {"Sigmoid", VJ_OP_sigmoid}};
    if (!vj_going(im) || !*name) return x;
    for (size_t i = 0; i < sizeof plain / sizeof *plain; i++)
        if (strcmp(plain[i].name, name) == 0) return vj_emit1(im, plain[i].op, x);
    if (strcmp(name, "LeakyRelu") == 0) {
        vj_value is_negative = vj_emit2(im, VJ_OP_lt, x, number_like(im, x, 0));
        return vj_emit3(im, VJ_OP_select, is_negative, scaled(im, x, count > 0 ? (double)p[0] : 0.01), x);
    }
    if (strcmp(name, "HardSigmoid") == 0 && count == 2) {
        vj_value line = vj_emit2(im, VJ_OP_add, scaled(im, x, (double)p[0]), number_like(im, x, (double)p[1]));
        return vj_emit2(im, VJ_OP_max, vj_emit2(im, VJ_OP_min, line, number_like(im, x, 1)), number_like(im, x, 0));
    }
    if (strcmp(name, "Clip") == 0 && count == 2) {
        vj_value low = vj_emit2(im, VJ_OP_max, x, number_like(im, x, (double)p[0]));
        return vj_emit2(im, VJ_OP_min, low, number_like(im, x, (double)p[1]));
    }
    vj_stop(im, VJ_UNSUPPORTED, "the activation '%.40s' with %zu parameters is not supported", name, count);
    return VJ_NONE;
}

/* Conv, then the addition of Z, then the activation. */
bool vj_build_ms_conv(vj_importer *im) {
    const Onnx__AttributeProto *params = vj_find_attribute(im, "activation_params");
    const char *activation = vj_text_attribute(im, "activation", "");
    if (!vj_build_conv(im)) return false;
    vj_value y = vj_bound(im, 0);
    if (y < 0) return vj_going(im);
    if (vj_has_operand(im, 3)) y = vj_emit2(im, VJ_OP_add, y, vj_operand_value(im, 3));
    y = activated(im, y, activation, params ? params->floats : NULL, params ? params->n_floats : 0);
    return vj_rebind(im, 0, y);
}

bool vj_build_ms_gemm(vj_importer *im) {
    const char *activation = vj_text_attribute(im, "activation", "");
    const char *const names[] = {"activation_alpha", "activation_beta", "activation_gamma"};
    float params[3];
    size_t count = 0;
    while (count < 3 && vj_find_attribute(im, names[count])) {
        params[count] = (float)vj_float_attribute(im, names[count], 0);
        count++;
    }
    if (!vj_build_gemm(im)) return false;
    vj_value y = vj_bound(im, 0);
    return y < 0 ? vj_going(im) : vj_rebind(im, 0, activated(im, y, activation, params, count));
}

/* Sums and normalisations */

bool vj_build_ms_bias_add(vj_importer *im) {
    vj_value x = vj_emit2(im, VJ_OP_add, vj_operand_value(im, 0), vj_operand_value(im, 1));
    return vj_bind(im, 0, vj_emit2(im, VJ_OP_add, x, vj_operand_value(im, 2)));
}

/* The softmax of data + bias over all dims from `axis` on. The bias has dims of 1 where it is broadcast. */
bool vj_build_ms_bias_softmax(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0), bias = vj_operand_value(im, 1);
    const int64_t given = vj_int_attribute(im, "axis", 1);
    const bool inner = vj_int_attribute(im, "is_inner_broadcast", 0) != 0;
    if (!vj_going(im)) return false;
    const vj_type type = *type_of(im, x);
    const int32_t axis = vj_axis_of(im, given, type.rank);
    if (axis < 0) return false;
    if (inner && type_of(im, bias)->rank != type.rank)
        return vj_stop(im, VJ_UNSUPPORTED, "an inner bias of another rank than the data's");
    x = vj_emit2(im, VJ_OP_add, x, bias);
    if (!vj_going(im)) return false;
    if (!vj_type_equal(type_of(im, x), &type)) return vj_stop(im, VJ_BAD_INPUT, "the bias is larger than the data");
    vj_dim flat[VJ_MAX_RANK];
    memcpy(flat, type.dims, sizeof flat);
    if (!vj_dim_product(im, type.dims + axis, type.rank - axis, &flat[axis])) return false;
    vj_attr last = vj_int(VJ_ATTR_AXIS, axis);
    x = vj_emit_reshape(im, x, flat, axis + 1);
    x = vj_emit(im, VJ_OP_softmax, &x, 1, &last, 1);
    return vj_bind(im, 0, vj_emit_reshape(im, x, type.dims, type.rank));
}

/* Of halves it is behind a cast. */
static bool is_product(const vj_func *f, vj_value v) {
    if (vj_producer(f, v)->op == VJ_OP_cast) v = vj_producer(f, v)->args[0];
    const vj_op op = vj_producer(f, v)->op;
    return op == VJ_OP_matmul || op == VJ_OP_linear;
}

/* input + skip + bias. The bias belongs to a projection before and is added to it first, so that they can fuse. */
static vj_value skip_sum(vj_importer *im, int32_t bias) {
    vj_value x = vj_operand_value(im, 0), skip = vj_operand_value(im, 1);
    if (!vj_going(im)) return VJ_NONE;
    const vj_type type = *type_of(im, x);
    if (vj_has_operand(im, bias)) {
        if (is_product(im->f, skip) && !is_product(im->f, x))
            skip = vj_emit2(im, VJ_OP_add, skip, vj_operand_value(im, bias));
        else
            x = vj_emit2(im, VJ_OP_add, x, vj_operand_value(im, bias));
    }
    vj_value sum = vj_emit2(im, VJ_OP_add, x, skip);
    if (vj_going(im) && !vj_type_equal(type_of(im, sum), &type)) {
        vj_stop(im, VJ_BAD_INPUT, "skip or bias does not broadcast to the input");
        return VJ_NONE;
    }
    return sum;
}

/* Binds result 0, and result 3, the sum. Results 1 and 2, mean and deviation, are for training. */
static bool bind_normalised(vj_importer *im, vj_value y, vj_value sum) {
    if (vj_result_is_used(im, 1) || vj_result_is_used(im, 2))
        return vj_stop(im, VJ_UNSUPPORTED, "its mean and deviation as results are not supported");
    return vj_bind(im, 0, y) && (!vj_result_is_used(im, 3) || vj_bind(im, 3, sum));
}

bool vj_build_ms_skip_layer_norm(vj_importer *im) {
    const double eps = vj_epsilon(im, 1e-12f);
    vj_value sum = skip_sum(im, 4);
    vj_value args[3] = {sum, vj_operand_value(im, 2), vj_has_operand(im, 3) ? vj_operand_value(im, 3) : VJ_NONE};
    if (!vj_going(im)) return false;
    vj_attr attrs[] = {vj_int(VJ_ATTR_AXIS, type_of(im, sum)->rank - 1), vj_float(VJ_ATTR_EPS, eps)};
    return bind_normalised(im, vj_emit(im, VJ_OP_layernorm, args, args[2] < 0 ? 2 : 3, attrs, 2), sum);
}

bool vj_build_ms_skip_rms_norm(vj_importer *im) {
    const double eps = vj_epsilon(im, 1e-12f);
    vj_value sum = skip_sum(im, 3), gain = vj_operand_value(im, 2);
    if (!vj_going(im)) return false;
    const int32_t last = type_of(im, sum)->rank - 1;
    if (last < 0) return vj_stop(im, VJ_BAD_INPUT, "a scalar has no last axis");
    vj_value mean = vj_emit_reduce(im, "mean", vj_emit2(im, VJ_OP_mul, sum, sum), &last, 1, true);
    vj_value root = vj_emit1(im, VJ_OP_sqrt, vj_emit2(im, VJ_OP_add, mean, number_like(im, sum, eps)));
    return bind_normalised(im, vj_emit2(im, VJ_OP_mul, vj_emit2(im, VJ_OP_div, sum, root), gain), sum);
}
