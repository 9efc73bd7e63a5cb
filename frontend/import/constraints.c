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

bool vj_check_types(vj_importer *im) {
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
