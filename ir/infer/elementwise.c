/* elementwise.c - result types of the elementwise ops. */
#include "infer.h"

#include <string.h>

static bool like_operand(vj_inference *in) {
    in->results[0] = *vj_infer_arg(in, 0);
    return true;
}

static bool unary_float(vj_inference *in) { return vj_infer_float(in, 0) && like_operand(in); }
static bool unary_number(vj_inference *in) { return vj_infer_number(in, 0) && like_operand(in); }

#define UNARY(id, rule)                                                                                                \
    bool vj_infer_##id(vj_inference *in) { return rule(in); }
UNARY(abs, unary_number)
UNARY(sign, unary_number)
UNARY(relu, unary_number)
UNARY(exp, unary_float)
UNARY(log, unary_float)
UNARY(sqrt, unary_float)
UNARY(reciprocal, unary_float)
UNARY(erf, unary_float)
UNARY(tanh, unary_float)
UNARY(sigmoid, unary_float)
UNARY(sin, unary_float)
UNARY(cos, unary_float)
UNARY(tan, unary_float)
UNARY(asin, unary_float)
UNARY(acos, unary_float)
UNARY(atan, unary_float)
UNARY(sinh, unary_float)
UNARY(cosh, unary_float)
UNARY(asinh, unary_float)
UNARY(acosh, unary_float)
UNARY(atanh, unary_float)
UNARY(floor, unary_float)
UNARY(ceil, unary_float)
UNARY(round, unary_float)
#undef UNARY

bool vj_infer_neg(vj_inference *in) {
    vj_dtype dtype = vj_infer_arg(in, 0)->dtype;
    if (dtype == VJ_U8 || dtype == VJ_U16 || dtype == VJ_U32 || dtype == VJ_U64)
        return vj_infer_fail(in, "%s has no negative numbers", vj_element_name(dtype));
    return unary_number(in);
}

static bool is_bool(vj_inference *in, int32_t operand) {
    vj_dtype dtype = vj_infer_arg(in, operand)->dtype;
    return dtype == VJ_BOOL || vj_infer_fail(in, "operand %d is %s, not bool", operand, vj_element_name(dtype));
}

/* Checks that an operand is boolean, or an integer, which is combined bit by bit. */
static bool is_bits(vj_inference *in, int32_t operand) {
    vj_dtype dtype = vj_infer_arg(in, operand)->dtype;
    return !vj_dtype_is_float(dtype) ||
           vj_infer_fail(in, "operand %d is %s, not bool or integers", operand, vj_element_name(dtype));
}

bool vj_infer_not(vj_inference *in) { return is_bits(in, 0) && like_operand(in); }

bool vj_infer_gelu(vj_inference *in) {
    static const char *const forms[] = {"erf", "tanh", "quick"};
    return vj_infer_word(in, VJ_ATTR_FORM, forms, 3) && unary_float(in);
}

bool vj_infer_cast(vj_inference *in) {
    const char *to = vj_attr_name(in->node, VJ_ATTR_TO, "");
    vj_dtype dtype = vj_dtype_by_name(to, strlen(to));
    if (dtype == VJ_NO_DTYPE) return vj_infer_fail(in, "to=%.40s is unknown", to);
    in->results[0] = *vj_infer_arg(in, 0);
    in->results[0].dtype = dtype;
    return true;
}

bool vj_infer_bitcast(vj_inference *in) {
    const char *to = vj_attr_name(in->node, VJ_ATTR_TO, "");
    const vj_dtype dtype = vj_dtype_by_name(to, strlen(to)), from = vj_infer_arg(in, 0)->dtype;
    if (dtype == VJ_NO_DTYPE) return vj_infer_fail(in, "to=%.40s is unknown", to);
    if (vj_element_bytes(dtype) != vj_element_bytes(from) || (dtype == VJ_BOOL && from != VJ_BOOL))
        return vj_infer_fail(in, "%s has not the bits of %s", vj_element_name(from), to);
    in->results[0] = *vj_infer_arg(in, 0);
    in->results[0].dtype = dtype;
    return true;
}

static bool binary(vj_inference *in) {
    return vj_infer_same_dtype(in, 0, 1) &&
           vj_infer_meet(in, vj_infer_arg(in, 0), vj_infer_arg(in, 1), &in->results[0]);
}

static bool binary_number(vj_inference *in) { return vj_infer_number(in, 0) && binary(in); }
static bool binary_bits(vj_inference *in) { return is_bits(in, 0) && binary(in); }
static bool binary_unsigned(vj_inference *in) {
    const vj_dtype dtype = vj_infer_arg(in, 0)->dtype;
    const bool is_unsigned = dtype == VJ_U8 || dtype == VJ_U16 || dtype == VJ_U32 || dtype == VJ_U64;
    return is_unsigned ? binary(in) : vj_infer_fail(in, "%s is no unsigned integer", vj_element_name(dtype));
}

static bool equality(vj_inference *in) {
    if (!binary(in)) return false;
    in->results[0].dtype = VJ_BOOL;
    return true;
}

static bool ordering(vj_inference *in) { return vj_infer_number(in, 0) && equality(in); }

#define BINARY(id, rule)                                                                                               \
    bool vj_infer_##id(vj_inference *in) { return rule(in); }
BINARY(add, binary_number)
BINARY(sub, binary_number)
BINARY(mul, binary_number)
BINARY(div, binary_number)
BINARY(pow, binary_number)
BINARY(mod, binary_number)
BINARY(min, binary_number)
BINARY(max, binary_number)
BINARY(eq, equality)
BINARY(lt, ordering)
BINARY(le, ordering)
BINARY(and, binary_bits)
BINARY(or, binary_bits)
BINARY(xor, binary_bits)
BINARY(shl, binary_unsigned)
BINARY(shr, binary_unsigned)
#undef BINARY

bool vj_infer_select(vj_inference *in) {
    vj_type values;
    return is_bool(in, 0) && vj_infer_same_dtype(in, 1, 2) &&
           vj_infer_meet(in, vj_infer_arg(in, 1), vj_infer_arg(in, 2), &values) &&
           vj_infer_meet(in, &values, vj_infer_arg(in, 0), &in->results[0]);
}
