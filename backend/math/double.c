/* SPDX-License-Identifier: Apache-2.0 */
/* double.c - exp, log, tanh, sigmoid, sin, cos and tan of f64, without calls, branches or tables. Doubles are rare in
 * the models that come here; the series are Taylor's on small intervals. Against the C library in extended precision, as a
 * part of the result; tests/vmath measures them:
 *
 *     exp              4e-16, denormal results within 1 of the least denormal
 *     sigmoid          8e-16, the same
 *     log              1e-14, or 1e-14 absolute where the result is below 1
 *     tanh             2e-15
 *     sin, cos, tan    1e-14, or 1e-15 absolute, for |x| < 2^20 pi / 2
 */
#include "vmath.h"

#define LOG2_E   1.44269504088896340736
#define LN2      0.69314718055994530942
#define LN2_HIGH 0.693147180369123816490 /* 33 bits: n times it is exact; fdlibm's e_exp.c has the same split */
#define LN2_LOW  1.90821492927058770002e-10

/* Leaves the nearest integer in the last bits of the sum, as long as it is below 2^51. */
#define ROUNDER 6755399441055744.0

static LLVMValueRef mul(const vj_gen *g, LLVMValueRef a, LLVMValueRef b) { return LLVMBuildFMul(g->b, a, b, ""); }
static LLVMValueRef sub(const vj_gen *g, LLVMValueRef a, LLVMValueRef b) { return LLVMBuildFSub(g->b, a, b, ""); }
static LLVMValueRef add(const vj_gen *g, LLVMValueRef a, LLVMValueRef b) { return LLVMBuildFAdd(g->b, a, b, ""); }
static LLVMValueRef below(const vj_gen *g, LLVMValueRef a, double b) {
    return LLVMBuildFCmp(g->b, LLVMRealOLT, a, vj_real(g, a, b), "");
}

/* 1, x, x^2 / 2!, ... of which only those with n % step == first are taken, with alternating signs or not */
static void series(double *c, int32_t count, int32_t first, int32_t step, bool alternates) {
    double factorial = 1;
    for (int32_t n = 1; n <= first; n++)
        factorial *= n;
    for (int32_t i = 0, n = first; i < count; i++) {
        c[i] = (alternates && i % 2 ? -1 : 1) / factorial;
        for (int32_t j = 0; j < step; j++)
            factorial *= ++n;
    }
}

/* 2^n, -1022 <= n <= 1023 */
static LLVMValueRef power(const vj_gen *g, LLVMValueRef n) {
    LLVMValueRef biased = LLVMBuildAdd(g->b, n, vj_whole(g, g->i64, n, 1023), "");
    LLVMValueRef bits = LLVMBuildShl(g->b, biased, vj_whole(g, g->i64, n, 52), "");
    return LLVMBuildBitCast(g->b, bits, vj_like(g->f64, n), "");
}

LLVMValueRef vj_double_exp(const vj_gen *g, LLVMValueRef x) {
    double c[14];
    series(c, 14, 0, 1, false); /* |r| <= ln 2 / 2 leaves 4e-18 */
    x = vj_at_least(g, vj_at_most(g, x, 710), -746);
    LLVMValueRef rounder = vj_real(g, x, ROUNDER), rounded = vj_fma(g, x, vj_real(g, x, LOG2_E), rounder);
    LLVMValueRef n = sub(g, rounded, rounder);
    LLVMValueRef r = vj_fma(g, n, vj_real(g, x, -LN2_HIGH), x);
    LLVMValueRef p = vj_polynomial(g, vj_fma(g, n, vj_real(g, x, -LN2_LOW), r), c, 14);
    /* in two steps, so that denormals are rounded once */
    LLVMValueRef digits = LLVMBuildBitCast(g->b, rounded, vj_like(g->i64, x), "");
    digits = LLVMBuildSub(g->b, digits, vj_whole(g, g->i64, x, 0x4338000000000000), "");
    LLVMValueRef half = LLVMBuildAShr(g->b, digits, vj_whole(g, g->i64, x, 1), "");
    return mul(g, mul(g, p, power(g, half)), power(g, LLVMBuildSub(g->b, digits, half, "")));
}

LLVMValueRef vj_double_log(const vj_gen *g, LLVMValueRef x) {
    LLVMValueRef small = below(g, x, 0x1p-1022), scaled = mul(g, x, vj_real(g, x, 0x1p54));
    LLVMValueRef log = vj_wide_log2(g, LLVMBuildSelect(g->b, small, scaled, x, ""));
    log = LLVMBuildSelect(g->b, small, sub(g, log, vj_real(g, x, 54)), log, "");
    log = mul(g, log, vj_real(g, x, LN2));
    LLVMValueRef none = LLVMBuildOr(g->b, below(g, x, 0), LLVMBuildFCmp(g->b, LLVMRealUNO, x, x, ""), "");
    return LLVMBuildSelect(g->b, none, vj_real(g, x, __builtin_nan("")), log, "");
}

/* sinh / cosh near 0, elsewhere 1 - 2 / (e^2|x| + 1) */
LLVMValueRef vj_double_tanh(const vj_gen *g, LLVMValueRef x) {
    double s[8], c[8];
    series(s, 8, 1, 2, false);
    series(c, 8, 0, 2, false);
    LLVMValueRef size = vj_size(g, x), square = mul(g, x, x), one = vj_real(g, x, 1), kept = vj_at_most(g, square, 1);
    LLVMValueRef near = LLVMBuildFDiv(g->b, mul(g, vj_polynomial(g, kept, s, 8), x), vj_polynomial(g, kept, c, 8), "");
    LLVMValueRef t = vj_at_most(g, size, 20), e = vj_double_exp(g, add(g, t, t));
    LLVMValueRef far = sub(g, one, LLVMBuildFDiv(g->b, vj_real(g, x, 2), add(g, e, one), ""));
    return LLVMBuildSelect(g->b, below(g, size, 0.5), near, vj_with_sign(g, far, x), "");
}

/* From e^-|x|, so that both tails keep their digits. */
LLVMValueRef vj_double_sigmoid(const vj_gen *g, LLVMValueRef x) {
    LLVMValueRef one = vj_real(g, x, 1), e = vj_double_exp(g, LLVMBuildFNeg(g->b, vj_size(g, x), ""));
    LLVMValueRef top = LLVMBuildSelect(g->b, below(g, x, 0), e, one, "");
    return LLVMBuildFDiv(g->b, top, add(g, one, e), "");
}

/* The sine and the cosine of the rest r, |r| <= pi / 4, change places at odd multiples of pi / 2. */
LLVMValueRef vj_double_circular(const vj_gen *g, vj_circular which, LLVMValueRef x) {
    double s[9], c[9];
    series(s, 9, 1, 2, true);
    series(c, 9, 0, 2, true);
    LLVMValueRef quadrant, r = vj_reduce_half_pi(g, x, &quadrant), square = mul(g, r, r);
    LLVMValueRef sine = mul(g, vj_polynomial(g, square, s, 9), r), cosine = vj_polynomial(g, square, c, 9);
    LLVMValueRef zero = vj_whole(g, g->i64, x, 0), one = vj_whole(g, g->i64, x, 1), two = vj_whole(g, g->i64, x, 2);
    if (which == VJ_COSINE) quadrant = LLVMBuildAdd(g->b, quadrant, one, "");
    LLVMValueRef odd = LLVMBuildICmp(g->b, LLVMIntNE, LLVMBuildAnd(g->b, quadrant, one, ""), zero, "");
    LLVMValueRef down = LLVMBuildICmp(g->b, LLVMIntNE, LLVMBuildAnd(g->b, quadrant, two, ""), zero, "");
    LLVMValueRef y = LLVMBuildSelect(g->b, odd, cosine, sine, "");
    if (which != VJ_TANGENT) return LLVMBuildSelect(g->b, down, LLVMBuildFNeg(g->b, y, ""), y, "");
    LLVMValueRef under = LLVMBuildSelect(g->b, odd, LLVMBuildFNeg(g->b, sine, ""), cosine, "");
    return LLVMBuildFDiv(g->b, y, under, "");
}
