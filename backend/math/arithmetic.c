/* SPDX-License-Identifier: Apache-2.0 */
/* arithmetic.c - the scalar operations that are an instruction or a few: arithmetic, roundings, extremes, comparisons,
 * bits. Integers wrap; division by zero gives 0 (the evaluator's rules; the machine would trap). */
#include "vmath.h"

LLVMValueRef vj_gen_neg(vj_gen *g, vj_dtype dtype, LLVMValueRef x) {
    return vj_dtype_is_float(dtype) ? LLVMBuildFNeg(g->b, x, "") : LLVMBuildNeg(g->b, x, "");
}

LLVMValueRef vj_gen_abs(vj_gen *g, vj_dtype dtype, LLVMValueRef x) {
    if (vj_dtype_is_float(dtype)) return vj_size(g, x);
    if (vj_dtype_is_unsigned(dtype)) return x;
    LLVMValueRef below = LLVMBuildICmp(g->b, LLVMIntSLT, x, vj_number(g, x, 0), "");
    return LLVMBuildSelect(g->b, below, LLVMBuildNeg(g->b, x, ""), x, "");
}

LLVMValueRef vj_gen_reciprocal(vj_gen *g, vj_dtype dtype, LLVMValueRef x) {
    (void)dtype;
    return LLVMBuildFDiv(g->b, vj_number(g, x, 1), x, "");
}

LLVMValueRef vj_gen_sqrt(vj_gen *g, vj_dtype dtype, LLVMValueRef x) {
    (void)dtype;
    return vj_root(g, x);
}

LLVMValueRef vj_gen_rsqrt(vj_gen *g, vj_dtype dtype, LLVMValueRef x) {
    return vj_gen_reciprocal(g, dtype, vj_root(g, x));
}

/* To the nearest integer, ties to even: by an instruction on CPUs with AVX or NEON, which those with conversions of float16 are, else by
 * adding and taking away a number whose last digit is 1: no call on any target. Numbers too large to have a fraction, infinities and NaN
 * stay as they are. */
static LLVMValueRef round_even(vj_gen *g, LLVMValueRef x, vj_dtype dtype) {
    LLVMTypeRef type = LLVMTypeOf(x);
    if (g->target->half_conversions) return vj_intrinsic(g, "llvm.roundeven", &type, 1, &x, 1);
    LLVMValueRef large = vj_number(g, x, dtype == VJ_F32 ? 0x1p23 : 0x1p52), size = vj_size(g, x);
    LLVMValueRef whole = LLVMBuildFSub(g->b, LLVMBuildFAdd(g->b, size, large, ""), large, "");
    LLVMValueRef fraction = LLVMBuildFCmp(g->b, LLVMRealOLT, size, large, "");
    return LLVMBuildSelect(g->b, fraction, vj_with_sign(g, whole, x), x, "");
}

/* The nearest integer, which a step takes to the other side of x when it is on the wrong one. */
static LLVMValueRef round_towards(vj_gen *g, LLVMValueRef x, vj_dtype dtype, bool down) {
    LLVMValueRef whole = round_even(g, x, dtype);
    LLVMValueRef wrong = LLVMBuildFCmp(g->b, down ? LLVMRealOGT : LLVMRealOLT, whole, x, "");
    LLVMValueRef step = LLVMBuildFAdd(g->b, whole, vj_number(g, x, down ? -1 : 1), "");
    return vj_with_sign(g, LLVMBuildSelect(g->b, wrong, step, whole, ""), x);
}

LLVMValueRef vj_gen_round(vj_gen *g, vj_dtype dtype, LLVMValueRef x) { return round_even(g, x, dtype); }
LLVMValueRef vj_gen_floor(vj_gen *g, vj_dtype dtype, LLVMValueRef x) { return round_towards(g, x, dtype, true); }
LLVMValueRef vj_gen_ceil(vj_gen *g, vj_dtype dtype, LLVMValueRef x) { return round_towards(g, x, dtype, false); }

LLVMValueRef vj_gen_sign(vj_gen *g, vj_dtype dtype, LLVMValueRef x) {
    LLVMValueRef zero = vj_number(g, x, 0), one = vj_number(g, x, 1);
    if (vj_dtype_is_float(dtype)) {
        LLVMValueRef up = LLVMBuildFCmp(g->b, LLVMRealOGT, x, zero, "");
        LLVMValueRef down = LLVMBuildFCmp(g->b, LLVMRealOLT, x, zero, "");
        return LLVMBuildSelect(g->b, up, one, LLVMBuildSelect(g->b, down, vj_number(g, x, -1), x, ""), "");
    }
    LLVMValueRef up = LLVMBuildICmp(g->b, vj_dtype_is_unsigned(dtype) ? LLVMIntUGT : LLVMIntSGT, x, zero, "");
    LLVMValueRef down = LLVMBuildSelect(g->b, LLVMBuildICmp(g->b, LLVMIntEQ, x, zero, ""), x, vj_number(g, x, -1), "");
    return LLVMBuildSelect(g->b, up, one, down, "");
}

LLVMValueRef vj_gen_add(vj_gen *g, vj_dtype dtype, LLVMValueRef a, LLVMValueRef b) {
    return vj_dtype_is_float(dtype) ? LLVMBuildFAdd(g->b, a, b, "") : LLVMBuildAdd(g->b, a, b, "");
}

LLVMValueRef vj_gen_sub(vj_gen *g, vj_dtype dtype, LLVMValueRef a, LLVMValueRef b) {
    return vj_dtype_is_float(dtype) ? LLVMBuildFSub(g->b, a, b, "") : LLVMBuildSub(g->b, a, b, "");
}

LLVMValueRef vj_gen_mul(vj_gen *g, vj_dtype dtype, LLVMValueRef a, LLVMValueRef b) {
    return vj_dtype_is_float(dtype) ? LLVMBuildFMul(g->b, a, b, "") : LLVMBuildMul(g->b, a, b, "");
}

LLVMValueRef vj_gen_div(vj_gen *g, vj_dtype dtype, LLVMValueRef a, LLVMValueRef b) {
    return vj_dtype_is_float(dtype) ? LLVMBuildFDiv(g->b, a, b, "") : vj_whole_quotient(g, dtype, a, b);
}

/* The least and the greatest; NaN in either is the result. */
static LLVMValueRef extreme(vj_gen *g, vj_dtype dtype, LLVMValueRef a, LLVMValueRef b, bool max) {
    if (!vj_dtype_is_float(dtype)) {
        const LLVMIntPredicate above = vj_dtype_is_unsigned(dtype) ? LLVMIntUGT : LLVMIntSGT;
        LLVMValueRef first = LLVMBuildICmp(g->b, above, max ? a : b, max ? b : a, "");
        return LLVMBuildSelect(g->b, first, a, b, "");
    }
    LLVMValueRef first = LLVMBuildFCmp(g->b, max ? LLVMRealOGT : LLVMRealOLT, a, b, "");
    LLVMValueRef nan = LLVMBuildFCmp(g->b, LLVMRealUNO, a, a, "");
    return LLVMBuildSelect(g->b, LLVMBuildOr(g->b, first, nan, ""), a, b, "");
}

LLVMValueRef vj_gen_min(vj_gen *g, vj_dtype dtype, LLVMValueRef a, LLVMValueRef b) {
    return extreme(g, dtype, a, b, false);
}

LLVMValueRef vj_gen_max(vj_gen *g, vj_dtype dtype, LLVMValueRef a, LLVMValueRef b) {
    return extreme(g, dtype, a, b, true);
}

LLVMValueRef vj_gen_at_least(vj_gen *g, vj_dtype dtype, LLVMValueRef a, LLVMValueRef b) {
    (void)dtype;
    return LLVMBuildSelect(g->b, LLVMBuildFCmp(g->b, LLVMRealOGT, a, b, ""), a, b, "");
}

LLVMValueRef vj_gen_at_most(vj_gen *g, vj_dtype dtype, LLVMValueRef a, LLVMValueRef b) {
    (void)dtype;
    return LLVMBuildSelect(g->b, LLVMBuildFCmp(g->b, LLVMRealOLT, a, b, ""), a, b, "");
}

/* Ordered: with NaN none of them holds. */
static LLVMValueRef compare(vj_gen *g, vj_dtype of, LLVMValueRef a, LLVMValueRef b, LLVMRealPredicate floats,
                            LLVMIntPredicate with_sign, LLVMIntPredicate without) {
    if (vj_dtype_is_float(of)) return LLVMBuildFCmp(g->b, floats, a, b, "");
    return LLVMBuildICmp(g->b, vj_dtype_is_unsigned(of) ? without : with_sign, a, b, "");
}

LLVMValueRef vj_gen_eq(vj_gen *g, vj_dtype of, LLVMValueRef a, LLVMValueRef b) {
    return compare(g, of, a, b, LLVMRealOEQ, LLVMIntEQ, LLVMIntEQ);
}

LLVMValueRef vj_gen_lt(vj_gen *g, vj_dtype of, LLVMValueRef a, LLVMValueRef b) {
    return compare(g, of, a, b, LLVMRealOLT, LLVMIntSLT, LLVMIntULT);
}

LLVMValueRef vj_gen_le(vj_gen *g, vj_dtype of, LLVMValueRef a, LLVMValueRef b) {
    return compare(g, of, a, b, LLVMRealOLE, LLVMIntSLE, LLVMIntULE);
}

LLVMValueRef vj_gen_and(vj_gen *g, vj_dtype dtype, LLVMValueRef a, LLVMValueRef b) {
    (void)dtype;
    return LLVMBuildAnd(g->b, a, b, "");
}

LLVMValueRef vj_gen_or(vj_gen *g, vj_dtype dtype, LLVMValueRef a, LLVMValueRef b) {
    (void)dtype;
    return LLVMBuildOr(g->b, a, b, "");
}

LLVMValueRef vj_gen_xor(vj_gen *g, vj_dtype dtype, LLVMValueRef a, LLVMValueRef b) {
    (void)dtype;
    return LLVMBuildXor(g->b, a, b, "");
}
