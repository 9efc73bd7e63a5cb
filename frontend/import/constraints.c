/* SPDX-License-Identifier: Apache-2.0 */
/* constraints.c - element types that ONNX forbids, for ops that the IR would accept with any type. What an IR op
 * refuses itself, like the exponential of an integer, needs no row. */
#include "import.h"

#include <string.h>

enum { FLOATS, NUMBERS };

static const struct {
    const char *op;
    int8_t first; /* what operand 0 must be */
} constraints[] = {
    {"LeakyRelu", FLOATS},
    {"ThresholdedRelu", FLOATS},
    {"HardSigmoid", FLOATS},
    {"HardSwish", FLOATS},
    {"Softsign", FLOATS},
    {"IsNaN", FLOATS},
    {"IsInf", FLOATS},
    {"LayerNormalization", FLOATS},
    {"RMSNormalization", FLOATS},
    {"BatchNormalization", FLOATS},
    {"InstanceNormalization", FLOATS},
    {"GroupNormalization", FLOATS},
    {"LpNormalization", FLOATS},
    {"Conv", FLOATS},
    {"AveragePool", FLOATS},
    {"GlobalAveragePool", FLOATS},
    {"GlobalMaxPool", FLOATS},
    {"ReduceSum", NUMBERS},
    {"ReduceMean", NUMBERS},
    {"ReduceProd", NUMBERS},
    {"ReduceL1", NUMBERS},
    {"ReduceL2", NUMBERS},
    {"ReduceSumSquare", NUMBERS},
    {"ReduceLogSum", NUMBERS},
    {"ReduceLogSumExp", NUMBERS},
    {"CumSum", NUMBERS},
    {"TopK", NUMBERS},
    {"ArgMax", NUMBERS},
    {"ArgMin", NUMBERS},
};

static vj_dtype dtype_of_operand(vj_importer *im, int32_t i) {
    const vj_binding *b = vj_bindings_find(im->names, im->node->input[i]);
    if (!b) return VJ_NO_DTYPE;
    return b->value >= 0 ? vj_type_at(im->f, b->value)->dtype : b->known ? b->known->dtype : VJ_NO_DTYPE;
}

bool vj_is_of_nibbles(const vj_func *f, vj_value v) {
    while (v >= 0 && (vj_op_table(vj_producer(f, v)->op)->flags & VJ_FLAG_MOVEMENT))
        v = vj_producer(f, v)->args[0];
    return v >= 0 && vj_const_nibbles(f, v) != VJ_NO_NIBBLES;
}

static bool is_of_nibbles(vj_importer *im, int32_t i) {
    const vj_binding *b = vj_has_operand(im, i) ? vj_bindings_find(im->names, im->node->input[i]) : NULL;
    return b && vj_is_of_nibbles(im->f, b->value);
}

/* They may be moved, widened and dequantised: what computes with them would take them for 8 bits. */
static bool check_nibbles(vj_importer *im) {
    static const char *const known[] = {
        "DequantizeLinear", "Cast",      "Identity", "Reshape", "Flatten", "Squeeze",
        "Unsqueeze",        "Transpose", "Gather",   "Slice",   "Shape",   "com.microsoft::GatherBlockQuantized"};
    bool any = false, may = false;
    for (int32_t i = 0; i < (int32_t)im->node->n_input; i++)
        any = any || is_of_nibbles(im, i);
    for (size_t i = 0; any && i < sizeof known / sizeof *known; i++)
        may = may || strcmp(known[i], im->row->op) == 0;
    if (any && !may)
        return vj_stop(im, VJ_UNSUPPORTED, "its operand has numbers of 4 bits, which it is not known to take");
    if (any && strcmp(im->row->op, "DequantizeLinear") == 0 && vj_has_operand(im, 2) &&
        is_of_nibbles(im, 0) != is_of_nibbles(im, 2))
        return vj_stop(im, VJ_BAD_INPUT, "its zero point is of another type");
    return true;
}

bool vj_check_types(vj_importer *im) {
    if (!check_nibbles(im)) return false;
    for (size_t i = 0; i < sizeof constraints / sizeof constraints[0]; i++) {
        if (strcmp(constraints[i].op, im->row->op) != 0 || !vj_has_operand(im, 0)) continue;
        const vj_dtype dtype = dtype_of_operand(im, 0);
        if (dtype == VJ_NO_DTYPE || vj_dtype_is_float(dtype)) return true;
        if (constraints[i].first == NUMBERS && dtype != VJ_BOOL) return true;
        return vj_stop(im, VJ_BAD_INPUT, "its operand is of type %s, not of %s", vj_element_name(dtype),
                       constraints[i].first == FLOATS ? "floats" : "numbers");
    }
    return true;
}
