/* SPDX-License-Identifier: Apache-2.0 */
/* scalar.c - the code of a scalar operation: vj_gen_<id> of the rows of elementwise.def. */
#include "vmath.h"

typedef LLVMValueRef (*of_one)(vj_gen *g, vj_dtype dtype, LLVMValueRef x);
typedef LLVMValueRef (*of_two)(vj_gen *g, vj_dtype dtype, LLVMValueRef a, LLVMValueRef b);

static const struct {
    of_one one;
    of_two two;
} generators[VJ_X_COUNT] = {
#define UNARY(id, ID, ...)  [VJ_X_##ID] = {.one = vj_gen_##id},
#define SCALAR(id, ID, ...) [VJ_X_##ID] = {.one = vj_gen_##id},
#define BINARY(id, ID, ...) [VJ_X_##ID] = {.two = vj_gen_##id},
#include "ir/tensor/elementwise.def"
};

LLVMValueRef vj_emit_scalar(vj_gen *g, vj_xop op, vj_dtype dtype, LLVMValueRef a, LLVMValueRef b) {
    if (!vj_xop_takes(op, dtype)) return NULL;
    if (generators[op].one) return generators[op].one(g, dtype, a);
    return generators[op].two ? generators[op].two(g, dtype, a, b) : NULL;
}
