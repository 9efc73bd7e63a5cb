/* SPDX-License-Identifier: Apache-2.0 */
/* elementwise.c - result types of the elementwise ops. */
#include "infer.h"
#include "ir/tensor/scalar.h"

#include <string.h>

static bool like_operand(vj_inference *in) {
    in->results[0] = *vj_infer_arg(in, 0);
    return true;
}

/* The types that operand 0 may have. */
static bool has_types(vj_inference *in, vj_types types) {
    const vj_dtype dtype = vj_infer_arg(in, 0)->dtype;
    const char *name = vj_element_name(dtype);
    if (vj_types_have(types, dtype)) return true;
    switch (types) {
    case VJ_TYPES_FLOAT:
        return vj_infer_float(in, 0);
    case VJ_TYPES_BITS:
        return vj_infer_fail(in, "operand 0 is %s, not bool or integers", name);
    case VJ_TYPES_UNSIGNED:
        return vj_infer_fail(in, "%s is no unsigned integer", name);
    case VJ_TYPES_SIGNED:
        if (dtype != VJ_BOOL) return vj_infer_fail(in, "%s has no negative numbers", name);
        return vj_infer_number(in, 0);
    case VJ_TYPES_NUMBER:
    case VJ_TYPES_ANY:
        break;
    }
    return vj_infer_number(in, 0);
}

static bool unary(vj_inference *in, vj_types types) { return has_types(in, types) && like_operand(in); }

static bool binary(vj_inference *in, vj_types types, bool gives_bool) {
    if (!has_types(in, types) || !vj_infer_same_dtype(in, 0, 1) ||
        !vj_infer_meet(in, vj_infer_arg(in, 0), vj_infer_arg(in, 1), &in->results[0]))
        return false;
    if (gives_bool) in->results[0].dtype = VJ_BOOL;
    return true;
}

#define SAME false
#define BOOL true
#define UNARY(id, ID, types, f, i, u, cost, traits)                                                                    \
    bool vj_infer_##id(vj_inference *in) { return unary(in, VJ_TYPES_##types); }
#define TENSOR(id, types, f, i, u, traits)                                                                             \
    bool vj_infer_##id(vj_inference *in) { return unary(in, VJ_TYPES_##types); }
#define BINARY(id, ID, types, result, f, i, u, cost, traits)                                                           \
    bool vj_infer_##id(vj_inference *in) { return binary(in, VJ_TYPES_##types, result); }
#include "ir/tensor/elementwise.def"
#undef SAME
#undef BOOL

bool vj_infer_not(vj_inference *in) { return unary(in, VJ_TYPES_BITS); }

bool vj_infer_gelu(vj_inference *in) {
    static const char *const forms[] = {"erf", "tanh", "quick"};
    return vj_infer_word(in, VJ_ATTR_FORM, forms, 3) && unary(in, VJ_TYPES_FLOAT);
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

bool vj_infer_select(vj_inference *in) {
    vj_type values;
    const vj_dtype condition = vj_infer_arg(in, 0)->dtype;
    if (condition != VJ_BOOL) return vj_infer_fail(in, "operand 0 is %s, not bool", vj_element_name(condition));
    return vj_infer_same_dtype(in, 1, 2) && vj_infer_meet(in, vj_infer_arg(in, 1), vj_infer_arg(in, 2), &values) &&
           vj_infer_meet(in, &values, vj_infer_arg(in, 0), &in->results[0]);
}
