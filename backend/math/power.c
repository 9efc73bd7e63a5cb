/* SPDX-License-Identifier: Apache-2.0 */
/* power.c - pow and mod: of f32 through f64 vectors, as f32 does not hold their intermediate values; of integers
 * (whole.c).
 *
 *     mod        exact, as C's fmod; of f64 too
 *     pow        1 ulp, of f64 2e-12 of the result, with the C standard's special values
 */
#include "vmath.h"

#define LN2 0.69314718055994530942

static LLVMValueRef widened(const vj_gen *g, LLVMValueRef x, bool is_double) {
    return is_double ? x : LLVMBuildFPExt(g->b, x, vj_like(g->f64, x), "");
}

/* log2 of |x|; that of a subnormal double by a larger one */
static LLVMValueRef wide_log2(const vj_gen *g, LLVMValueRef size, bool is_double) {
    if (!is_double) return vj_wide_log2(g, widened(g, size, false));
    LLVMValueRef small = LLVMBuildFCmp(g->b, LLVMRealOLT, size, vj_real(g, size, 0x1p-1022), "");
    LLVMValueRef larger = LLVMBuildFMul(g->b, size, vj_real(g, size, 0x1p54), "");
    LLVMValueRef log = vj_wide_log2(g, LLVMBuildSelect(g->b, small, larger, size, ""));
    return LLVMBuildSelect(g->b, small, LLVMBuildFSub(g->b, log, vj_real(g, log, 54), ""), log, "");
}

static LLVMValueRef power(const vj_gen *g, LLVMValueRef x, LLVMValueRef y, bool is_double) {
    LLVMTypeRef integer = vj_like(is_double ? g->i64 : g->i32, x), element = is_double ? g->i64 : g->i32;
    LLVMValueRef size = vj_size(g, x), height = vj_size(g, y), infinity = vj_real(g, x, (double)__builtin_inff());
    LLVMValueRef r = LLVMBuildFMul(g->b, widened(g, y, is_double), wide_log2(g, size, is_double), "");
    if (is_double)
        r = vj_double_exp(g, LLVMBuildFMul(g->b, r, vj_real(g, r, LN2), ""));
    else
        r = LLVMBuildFPTrunc(g->b, vj_wide_exp2(g, r), LLVMTypeOf(x), "");
    r = LLVMBuildSelect(g->b, vj_real_equal(g, size, 1), vj_real(g, x, 1), r, "");
    /* Is y an integer, and an odd one? From 2^24 on all floats are even, from 2^53 on doubles; an infinity counts as even. */
    LLVMValueRef small = LLVMBuildFCmp(g->b, LLVMRealOLT, height, vj_real(g, x, is_double ? 0x1p53 : 0x1p24), "");
    LLVMValueRef kept = LLVMBuildSelect(g->b, small, y, vj_real(g, x, 0), "");
    LLVMValueRef digits = LLVMBuildFPToSI(g->b, kept, integer, "");
    LLVMValueRef back = LLVMBuildSIToFP(g->b, digits, LLVMTypeOf(x), "");
    LLVMValueRef whole = LLVMBuildFCmp(g->b, LLVMRealOEQ, back, kept, "");
    LLVMValueRef low = LLVMBuildAnd(g->b, digits, vj_whole(g, element, x, 1), "");
    LLVMValueRef odd =
        LLVMBuildAnd(g->b, whole, LLVMBuildICmp(g->b, LLVMIntNE, low, vj_whole(g, element, x, 0), ""), "");
    r = LLVMBuildSelect(g->b, odd, vj_with_sign(g, r, x), r, "");
    /* A negative number has no power that is no integer; minus zero and minus infinity have. */
    LLVMValueRef zero = vj_real(g, x, 0), nan = vj_real(g, x, (double)__builtin_nanf(""));
    LLVMValueRef negative = LLVMBuildFCmp(g->b, LLVMRealOLT, x, zero, "");
    LLVMValueRef finite = LLVMBuildFCmp(g->b, LLVMRealOLT, size, infinity, "");
    LLVMValueRef bad = LLVMBuildAnd(g->b, LLVMBuildAnd(g->b, negative, finite, ""), LLVMBuildNot(g->b, whole, ""), "");
    bad = LLVMBuildOr(g->b, bad, LLVMBuildFCmp(g->b, LLVMRealUNO, x, y, ""), "");
    r = LLVMBuildSelect(g->b, bad, nan, r, "");
    LLVMValueRef unit = LLVMBuildOr(g->b, vj_real_equal(g, x, 1), vj_real_equal(g, y, 0), "");
    return LLVMBuildSelect(g->b, unit, vj_real(g, x, 1), r, "");
}

/* a - part b, where part has 24 bits: exact. A double b is taken in two parts, of 26 bits and of the others. */
static LLVMValueRef less(const vj_gen *g, LLVMValueRef a, LLVMValueRef part, LLVMValueRef b, bool is_double) {
    if (!is_double) return LLVMBuildFSub(g->b, a, LLVMBuildFMul(g->b, part, b, ""), "");
    LLVMValueRef high = LLVMBuildAnd(g->b, vj_as_i64(g, b), vj_whole(g, g->i64, b, ~INT64_C(0x7ffffff)), "");
    high = vj_as_f64(g, high);
    a = LLVMBuildFSub(g->b, a, LLVMBuildFMul(g->b, part, high, ""), "");
    return LLVMBuildFSub(g->b, a, LLVMBuildFMul(g->b, part, LLVMBuildFSub(g->b, b, high, ""), ""), "");
}

/* A step of doubles, whose quotient may be infinite: then a is above 2^-51 and b below 1, and both are multiplied by powers of two. */
typedef struct scaled {
    LLVMValueRef a, b, back; /* `back` takes a back */
    LLVMValueRef near;       /* where nothing is multiplied */
} scaled;

static scaled brought_near(const vj_gen *g, LLVMValueRef a, LLVMValueRef b) {
    LLVMValueRef far = vj_real_equal(g, LLVMBuildFDiv(g->b, a, b, ""), __builtin_inf()), one = vj_real(g, a, 1);
    LLVMValueRef down = LLVMBuildSelect(g->b, far, vj_real(g, a, 0x1p-500), one, "");
    LLVMValueRef up = LLVMBuildSelect(g->b, far, vj_real(g, a, 0x1p1000), one, "");
    return (scaled){.a = LLVMBuildFMul(g->b, a, down, ""),
                    .b = LLVMBuildFMul(g->b, b, up, ""),
                    .back = LLVMBuildSelect(g->b, far, vj_real(g, a, 0x1p500), one, ""),
                    .near = LLVMBuildNot(g->b, far, "")};
}

/* fmod by f64: each step takes away the quotient's first 24 bits times |y|, which is exact; a float's quotient has at
 * most 277 bits, a double's 2098. A quotient that was rounded up leaves a negative rest, put right at the end. */
static LLVMValueRef remainder_of(vj_gen *g, LLVMValueRef x, LLVMValueRef y, bool is_double) {
    const int32_t steps = is_double ? 100 : 13;
    LLVMTypeRef wide = vj_like(g->f64, x);
    LLVMValueRef b = widened(g, vj_size(g, y), is_double), rest = widened(g, vj_size(g, x), is_double);
    vj_loop loop;
    vj_loop_begin(g, &loop, vj_i64(g, 0), vj_i64(g, steps), 1, true, &rest, 1);
    scaled at = {.a = loop.carried[0], .b = b};
    if (is_double) at = brought_near(g, at.a, b);
    LLVMValueRef q = LLVMBuildFDiv(g->b, at.a, at.b, "");
    LLVMValueRef first = LLVMBuildAnd(g->b, vj_as_i64(g, q), vj_whole(g, g->i64, q, ~INT64_C(0x1fffffff)), "");
    first = vj_as_f64(g, first);
    /* Below 2^24 the quotient's fraction goes; it stays where it is when it is larger. */
    LLVMValueRef small = LLVMBuildFCmp(g->b, LLVMRealOLT, vj_size(g, first), vj_real(g, q, 0x1p24), "");
    if (is_double) small = LLVMBuildAnd(g->b, small, at.near, "");
    LLVMValueRef kept = LLVMBuildSelect(g->b, small, first, vj_real(g, q, 0), "");
    LLVMValueRef digits = LLVMBuildFPToSI(g->b, kept, vj_like(g->i32, x), "");
    LLVMValueRef whole = LLVMBuildSIToFP(g->b, digits, wide, "");
    LLVMValueRef part = LLVMBuildSelect(g->b, small, whole, first, "");
    LLVMValueRef next = less(g, at.a, part, at.b, is_double);
    if (is_double) next = LLVMBuildFMul(g->b, next, at.back, "");
    vj_loop_end(g, &loop, &next);
    rest = loop.carried[0];
    LLVMValueRef below = LLVMBuildFCmp(g->b, LLVMRealOLT, rest, vj_real(g, rest, 0), "");
    rest = LLVMBuildSelect(g->b, below, LLVMBuildFAdd(g->b, rest, b, ""), rest, "");
    LLVMValueRef r = vj_with_sign(g, is_double ? rest : LLVMBuildFPTrunc(g->b, rest, LLVMTypeOf(x), ""), x);
    /* What is finite modulo an infinity is itself; infinities, zero divisors and NaN have no remainder. */
    LLVMValueRef infinity = vj_real(g, x, (double)__builtin_inff());
    LLVMValueRef finite = LLVMBuildFCmp(g->b, LLVMRealOLT, vj_size(g, x), infinity, "");
    LLVMValueRef same = LLVMBuildAnd(g->b, finite, vj_real_equal(g, vj_size(g, y), (double)__builtin_inff()), "");
    r = LLVMBuildSelect(g->b, same, x, r, "");
    LLVMValueRef none = LLVMBuildOr(g->b, LLVMBuildNot(g->b, finite, ""), vj_real_equal(g, y, 0), "");
    none = LLVMBuildOr(g->b, none, LLVMBuildFCmp(g->b, LLVMRealUNO, x, y, ""), "");
    return LLVMBuildSelect(g->b, none, vj_real(g, x, (double)__builtin_nanf("")), r, "");
}

LLVMValueRef vj_gen_pow(vj_gen *g, vj_dtype dtype, LLVMValueRef x, LLVMValueRef y) {
    if (vj_dtype_is_int(dtype)) return vj_whole_power(g, dtype, x, y);
    return power(g, x, y, dtype == VJ_F64);
}

LLVMValueRef vj_gen_mod(vj_gen *g, vj_dtype dtype, LLVMValueRef x, LLVMValueRef y) {
    if (vj_dtype_is_int(dtype)) return vj_whole_remainder(g, dtype, x, y);
    return remainder_of(g, x, y, dtype == VJ_F64);
}
