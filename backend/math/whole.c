/* SPDX-License-Identifier: Apache-2.0 */
/* whole.c - integer arithmetic beyond one instruction: division, power, shifts. It wraps, and never
 * traps. */
#include "vmath.h"

/* Division that cannot trap: by 0 it gives 0, the least integer by -1 wraps to itself. */
static LLVMValueRef divide(vj_gen *g, vj_dtype dtype, LLVMValueRef a, LLVMValueRef b, bool remainder) {
    LLVMValueRef zero = vj_number(g, b, 0), one = vj_number(g, b, 1), minus = vj_number(g, b, -1);
    LLVMValueRef none = LLVMBuildICmp(g->b, LLVMIntEQ, b, zero, "");
    if (vj_dtype_is_unsigned(dtype)) {
        LLVMValueRef safe = LLVMBuildSelect(g->b, none, one, b, "");
        LLVMValueRef q = remainder ? LLVMBuildURem(g->b, a, safe, "") : LLVMBuildUDiv(g->b, a, safe, "");
        return LLVMBuildSelect(g->b, none, zero, q, "");
    }
    LLVMValueRef negates = LLVMBuildICmp(g->b, LLVMIntEQ, b, minus, "");
    LLVMValueRef safe = LLVMBuildSelect(g->b, LLVMBuildOr(g->b, none, negates, ""), one, b, "");
    if (!remainder) {
        LLVMValueRef q =
            LLVMBuildSelect(g->b, negates, LLVMBuildNeg(g->b, a, ""), LLVMBuildSDiv(g->b, a, safe, ""), "");
        return LLVMBuildSelect(g->b, none, zero, q, "");
    }
    /* The remainder has the divisor's sign. By 1, -1 and 0 it is 0. */
    LLVMValueRef r = LLVMBuildSRem(g->b, a, safe, "");
    LLVMValueRef differ = LLVMBuildICmp(g->b, LLVMIntSLT, LLVMBuildXor(g->b, r, safe, ""), zero, "");
    LLVMValueRef some = LLVMBuildICmp(g->b, LLVMIntNE, r, zero, "");
    LLVMValueRef moved = LLVMBuildAdd(g->b, r, safe, "");
    return LLVMBuildSelect(g->b, LLVMBuildAnd(g->b, differ, some, ""), moved, r, "");
}

LLVMValueRef vj_whole_quotient(vj_gen *g, vj_dtype dtype, LLVMValueRef a, LLVMValueRef b) {
    return divide(g, dtype, a, b, false);
}

LLVMValueRef vj_whole_remainder(vj_gen *g, vj_dtype dtype, LLVMValueRef a, LLVMValueRef b) {
    return divide(g, dtype, a, b, true);
}

/* a^b of integers, wrapping, by squaring over all bits of b; of a negative exponent what truncation leaves of 1 / a^-b:
 * nothing, but for 1 and -1. (0 to a negative power has no integer value and gives 0.) */
LLVMValueRef vj_whole_power(vj_gen *g, vj_dtype dtype, LLVMValueRef a, LLVMValueRef b) {
    LLVMValueRef zero = vj_number(g, b, 0), one = vj_number(g, b, 1), carried[3] = {one, a, b};
    vj_loop loop;
    vj_loop_begin(g, &loop, vj_i64(g, 0), vj_i64(g, vj_element_bytes(dtype) * 8), 1, true, carried, 3);
    LLVMValueRef low = LLVMBuildAnd(g->b, loop.carried[2], one, "");
    LLVMValueRef set = LLVMBuildICmp(g->b, LLVMIntNE, low, zero, "");
    LLVMValueRef product = LLVMBuildMul(g->b, loop.carried[0], loop.carried[1], "");
    LLVMValueRef next[3] = {LLVMBuildSelect(g->b, set, product, loop.carried[0], ""),
                            LLVMBuildMul(g->b, loop.carried[1], loop.carried[1], ""),
                            LLVMBuildLShr(g->b, loop.carried[2], one, "")};
    vj_loop_end(g, &loop, next);
    if (vj_dtype_is_unsigned(dtype)) return loop.carried[0];
    LLVMValueRef minus = vj_number(g, a, -1), unit = LLVMBuildICmp(g->b, LLVMIntEQ, a, one, "");
    unit = LLVMBuildOr(g->b, unit, LLVMBuildICmp(g->b, LLVMIntEQ, a, minus, ""), "");
    LLVMValueRef nothing =
        LLVMBuildAnd(g->b, LLVMBuildICmp(g->b, LLVMIntSLT, b, zero, ""), LLVMBuildNot(g->b, unit, ""), "");
    return LLVMBuildSelect(g->b, nothing, zero, loop.carried[0], "");
}

/* By as many bits as there are, or more, nothing is left. */
static LLVMValueRef shift(vj_gen *g, vj_dtype dtype, LLVMValueRef a, LLVMValueRef b, bool left) {
    LLVMValueRef zero = vj_number(g, b, 0), bits = vj_number(g, b, (double)(8 * vj_element_bytes(dtype)));
    LLVMValueRef inside = LLVMBuildICmp(g->b, LLVMIntULT, b, bits, "");
    LLVMValueRef by = LLVMBuildSelect(g->b, inside, b, zero, "");
    LLVMValueRef moved = left ? LLVMBuildShl(g->b, a, by, "") : LLVMBuildLShr(g->b, a, by, "");
    return LLVMBuildSelect(g->b, inside, moved, zero, "");
}

LLVMValueRef vj_gen_shl(vj_gen *g, vj_dtype dtype, LLVMValueRef a, LLVMValueRef b) {
    return shift(g, dtype, a, b, true);
}

LLVMValueRef vj_gen_shr(vj_gen *g, vj_dtype dtype, LLVMValueRef a, LLVMValueRef b) {
    return shift(g, dtype, a, b, false);
}
