/* SPDX-License-Identifier: Apache-2.0 */
/* vmath.c - exp, log, erf, tanh, sigmoid and gelu on f32 scalars or vectors, without calls, branches or tables.
 *
 * Polynomials are minimax fits of this project (iterated least squares on 4000 Chebyshev points in double precision);
 * the reductions are Cody and Waite's, Software Manual for the Elementary Functions, 1980. Bounds, in units in the last
 * place of the result against the function in double precision, with FMA and without; tests/vmath measures them:
 *
 *     exp         2 ulp, denormal results within 1 of the least denormal
 *     log         2 ulp
 *     erf         3 ulp
 *     tanh        3 ulp
 *     sigmoid     4 ulp
 *     gelu_erf    absolute 1.5e-7 * max(|gelu|, 1): the error of x * Phi(x) does not grow where Phi is small
 *     gelu_tanh   absolute 4e-7 * max(|gelu|, 1), the rounding of the argument's cube included
 *
 * NaN gives NaN, infinities their limits (of gelu at minus infinity 0).
 */
#include "vmath.h"

static LLVMValueRef less(const vj_gen *g, LLVMValueRef a, LLVMValueRef b) {
    return LLVMBuildFCmp(g->b, LLVMRealOLT, a, b, "");
}
static LLVMValueRef mul(const vj_gen *g, LLVMValueRef a, LLVMValueRef b) { return LLVMBuildFMul(g->b, a, b, ""); }
static LLVMValueRef add(const vj_gen *g, LLVMValueRef a, LLVMValueRef b) { return LLVMBuildFAdd(g->b, a, b, ""); }
static LLVMValueRef sub(const vj_gen *g, LLVMValueRef a, LLVMValueRef b) { return LLVMBuildFSub(g->b, a, b, ""); }
static LLVMValueRef times(const vj_gen *g, LLVMValueRef a, double b) { return mul(g, a, vj_real(g, a, b)); }
static LLVMValueRef as_i32(const vj_gen *g, LLVMValueRef x) {
    return LLVMBuildBitCast(g->b, x, vj_like(g->i32, x), "");
}
static LLVMValueRef as_f32(const vj_gen *g, LLVMValueRef x) {
    return LLVMBuildBitCast(g->b, x, vj_like(g->f32, x), "");
}

/* ln 2 in two parts: the first has 10 bits, so n times it is exact for |n| < 2^14. */
#define LOG2_E   1.4426950408889634
#define LN2_HIGH 0.693359375
#define LN2_LOW  -2.12194440054690583e-4

/* Added to a number below 2^22 it leaves the nearest integer in the last bits of the sum; its own last nine are 0. */
#define ROUNDER      12582912.0
#define ROUNDER_BITS 0x4B400000

/* 2^n of n = bits - ROUNDER_BITS in [-126, 127] */
static LLVMValueRef power(const vj_gen *g, LLVMValueRef bits) {
    LLVMValueRef up = LLVMBuildShl(g->b, bits, vj_whole(g, g->i32, bits, 23), "");
    return as_f32(g, LLVMBuildAdd(g->b, up, vj_whole(g, g->i32, bits, 0x3f800000), ""));
}

/* p * 2^n for any n that a float's exponents differ by, in two steps, so that denormals are rounded once. */
static LLVMValueRef scale(const vj_gen *g, LLVMValueRef p, LLVMValueRef rounded) {
    LLVMValueRef n = LLVMBuildSub(g->b, as_i32(g, rounded), vj_whole(g, g->i32, p, ROUNDER_BITS), "");
    LLVMValueRef half = LLVMBuildAShr(g->b, n, vj_whole(g, g->i32, p, 1), "");
    return mul(g, mul(g, p, power(g, half)), power(g, LLVMBuildSub(g->b, n, half, "")));
}

/* e^r for |r| <= ln 2 / 2: 3e-9 relative, before rounding */
static LLVMValueRef exp_reduced(const vj_gen *g, LLVMValueRef r) {
    static const double c[] = {1, 1, 0.50000001, 0.166665188, 0.0416662058, 0.00836888956, 0.00139504892};
    return vj_polynomial(g, r, c, 7);
}

static LLVMValueRef exp_split(const vj_gen *g, LLVMValueRef x, LLVMValueRef *rounded) {
    LLVMValueRef rounder = vj_real(g, x, ROUNDER);
    *rounded = vj_fma(g, x, vj_real(g, x, LOG2_E), rounder);
    LLVMValueRef n = sub(g, *rounded, rounder);
    LLVMValueRef r = vj_fma(g, n, vj_real(g, x, -LN2_HIGH), x);
    return exp_reduced(g, vj_fma(g, n, vj_real(g, x, -LN2_LOW), r));
}

static LLVMValueRef emit_exp(const vj_gen *g, LLVMValueRef x) {
    LLVMValueRef rounded, p = exp_split(g, vj_at_least(g, vj_at_most(g, x, 89), -105), &rounded);
    return scale(g, p, rounded);
}

LLVMValueRef vj_exp_negative(vj_gen *g, LLVMValueRef x) {
    const double least = -87.33654;
    LLVMValueRef rounded, p = exp_split(g, vj_at_least(g, x, least), &rounded);
    LLVMValueRef y = mul(g, p, power(g, as_i32(g, rounded)));
    return LLVMBuildSelect(g->b, less(g, x, vj_real(g, x, least)), vj_real(g, x, 0), y, "");
}

/* 2^x for -127 <= x <= 127, or NaN; 2^-127 and what rounds to it is 0. The rounder puts the exponent's bits in place.
 */
static LLVMValueRef exp2_normal(const vj_gen *g, LLVMValueRef x) {
    /* 2^r for |r| <= 1/2: 2e-9 relative */
    static const double c[] = {1, 0.693147206, 0.240226513, 0.0555032768, 0.00961800531, 0.00134003098, 0.000154759275};
    LLVMValueRef rounder = vj_real(g, x, ROUNDER + 127), rounded = add(g, x, rounder);
    LLVMValueRef p = vj_polynomial(g, sub(g, x, sub(g, rounded, rounder)), c, 7);
    return mul(g, p, as_f32(g, LLVMBuildShl(g->b, as_i32(g, rounded), vj_whole(g, g->i32, x, 23), "")));
}

LLVMValueRef vj_exp2_negative(vj_gen *g, LLVMValueRef x) { return exp2_normal(g, vj_at_least(g, x, -127)); }

static LLVMValueRef emit_log(const vj_gen *g, LLVMValueRef x) {
    /* (log(1 + f) - f + f^2 / 2) / f^3 on sqrt(1/2) - 1 <= f <= sqrt(2) - 1: 7e-10 of log */
    static const double c[] = {0.333333104,  -0.249999866, 0.200022272,  -0.166692504, 0.142186457,
                               -0.123843469, 0.1187307,    -0.117898663, 0.0691523086};
    const int64_t root_half = 0x3f3504f3;
    LLVMValueRef small = less(g, x, vj_real(g, x, 0x1p-126));
    LLVMValueRef bits = as_i32(g, LLVMBuildSelect(g->b, small, times(g, x, 0x1p23), x, ""));
    LLVMValueRef above = LLVMBuildSub(g->b, bits, vj_whole(g, g->i32, x, root_half), "");
    LLVMValueRef n = LLVMBuildAShr(g->b, above, vj_whole(g, g->i32, x, 23), "");
    LLVMValueRef m = LLVMBuildAnd(g->b, above, vj_whole(g, g->i32, x, 0x7fffff), "");
    m = as_f32(g, LLVMBuildAdd(g->b, m, vj_whole(g, g->i32, x, root_half), ""));
    LLVMValueRef e = LLVMBuildSIToFP(g->b, n, LLVMTypeOf(x), "");
    e = LLVMBuildSelect(g->b, small, sub(g, e, vj_real(g, x, 23)), e, "");
    LLVMValueRef f = sub(g, m, vj_real(g, x, 1)), square = mul(g, f, f);
    LLVMValueRef r = mul(g, mul(g, f, square), vj_polynomial(g, f, c, 9));
    r = vj_fma(g, e, vj_real(g, x, LN2_LOW), r);
    r = vj_fma(g, square, vj_real(g, x, -0.5), r);
    r = vj_fma(g, e, vj_real(g, x, LN2_HIGH), add(g, f, r));
    /* NaN, infinity and +0 are not numbers that the bits above speak of; x < 0 has no logarithm. */
    LLVMValueRef zero = vj_real(g, x, 0), infinity = vj_real(g, x, (double)__builtin_inff());
    LLVMValueRef plain = LLVMBuildFCmp(g->b, LLVMRealOLT, x, infinity, "");
    r = LLVMBuildSelect(g->b, plain, r, x, "");
    r = LLVMBuildSelect(g->b, less(g, x, zero), vj_real(g, x, (double)__builtin_nanf("")), r, "");
    LLVMValueRef none = LLVMBuildFCmp(g->b, LLVMRealOEQ, x, zero, "");
    return LLVMBuildSelect(g->b, none, LLVMBuildFNeg(g->b, infinity, ""), r, "");
}

static LLVMValueRef emit_erf(vj_gen *g, LLVMValueRef x) {
    /* erf(x) / x - 1 in x^2, |x| <= 0.9277: 5e-10; log(erfc(t)) / t on 0.9 <= t <= 4: 9e-10 of erf */
    static const double near[] = {0.128379167,   -0.376126338,    0.112836962,  -0.0268593953,
                                  0.00520094462, -0.000814096347, 8.3601179e-05};
    static const double far[] = {-0.128637075,   -0.635198034,   -0.106159049,   0.0236945659,
                                 -0.00361034195, 0.000314858113, -1.04331144e-05};
    const double limit = 0.92;
    LLVMValueRef size = vj_size(g, x), t = vj_at_most(g, size, 4);
    LLVMValueRef inner = vj_fma(g, vj_polynomial(g, mul(g, x, x), near, 7), x, x);
    LLVMValueRef decay = vj_fma(g, vj_polynomial(g, t, far, 7), t, LLVMBuildFNeg(g->b, t, ""));
    LLVMValueRef outer = sub(g, vj_real(g, x, 1), vj_exp_negative(g, decay));
    LLVMValueRef is_near = less(g, size, vj_real(g, x, limit));
    return LLVMBuildSelect(g->b, is_near, inner, vj_with_sign(g, outer, x), "");
}

static LLVMValueRef emit_tanh(const vj_gen *g, LLVMValueRef x) {
    /* (tanh(x) / x - 1) / x^2 in x^2, |x| <= 0.625: 4e-9; beyond, 1 - 2 / (e^2|x| + 1) */
    static const double near[] = {-0.333332837, 0.133314849, -0.053742934, 0.0206486461, -0.00571477263};
    LLVMValueRef size = vj_size(g, x), one = vj_real(g, x, 1), square = mul(g, x, x);
    LLVMValueRef inner = vj_fma(g, mul(g, vj_polynomial(g, square, near, 5), square), x, x);
    LLVMValueRef t = vj_at_most(g, size, 10), rounded;
    LLVMValueRef p = exp_split(g, add(g, t, t), &rounded);
    LLVMValueRef e = mul(g, p, power(g, as_i32(g, rounded)));
    LLVMValueRef outer = sub(g, one, LLVMBuildFDiv(g->b, vj_real(g, x, 2), add(g, e, one), ""));
    LLVMValueRef is_near = less(g, size, vj_real(g, x, 0.625));
    return LLVMBuildSelect(g->b, is_near, inner, vj_with_sign(g, outer, x), "");
}

/* From e^-|x|, so that both tails keep their digits. */
static LLVMValueRef emit_sigmoid(const vj_gen *g, LLVMValueRef x) {
    LLVMValueRef one = vj_real(g, x, 1), e = emit_exp(g, LLVMBuildFNeg(g->b, vj_size(g, x), ""));
    LLVMValueRef top = LLVMBuildSelect(g->b, less(g, x, vj_real(g, x, 0)), e, one, "");
    return LLVMBuildFDiv(g->b, top, add(g, one, e), "");
}

/* The same by halves (Estrin, 1960; Knuth, The Art of Computer Programming, volume 2, 4.6.4): some multiplications more, and
 * an eighth coefficient is three steps from the result instead of seven. `count` is a power of two. */
static LLVMValueRef polynomial_by_halves(const vj_gen *g, LLVMValueRef x, const double *c, int32_t count) {
    if (count == 1) return vj_real(g, x, c[0]);
    const int32_t half = count / 2;
    LLVMValueRef power = x;
    for (int32_t i = 1; i < half; i *= 2) /* those of the halves are the same: CSE */
        power = LLVMBuildFMul(g->b, power, power, "");
    LLVMValueRef high = polynomial_by_halves(g, x, c + half, half);
    return vj_fma(g, high, power, polynomial_by_halves(g, x, c, half));
}

/* gelu(x) = max(x, 0) - a Q(a) with a = |x| and Q the upper tail of the normal distribution, Q(a) = 2^q(a), so that what
 * counts is the error of a Q(a), which is nowhere above 0.17. It is systematic: with 3e-8 of it, half an ulp, models that
 * magnify theirs (Visformer) were three times as far from the truth. */
static LLVMValueRef emit_gelu_erf(vj_gen *g, LLVMValueRef x) {
    /* log2 Q(a) on 0 <= a <= 6.5: 7e-9 of a Q(a); a Q(a) is 3e-10 at the end */
    static const double q[] = {-0.999998874,    -1.15112326,     -0.459115438,   -0.0527141981,  0.00733338349,
                               -0.000323341784, -0.000114462788, 2.50833254e-05, -1.69040287e-06};
    LLVMValueRef zero = vj_real(g, x, 0), a = vj_at_most(g, vj_size(g, x), 6.5);
    LLVMValueRef tail = exp2_normal(g, vj_fma(g, polynomial_by_halves(g, a, q + 1, 8), a, vj_real(g, a, q[0])));
    LLVMValueRef top = LLVMBuildSelect(g->b, less(g, zero, x), x, zero, "");
    return vj_fma(g, LLVMBuildFNeg(g->b, a, ""), tail, top);
}

/* x sigmoid(2 u), u = sqrt(2/pi) (x + 0.044715 x^3); below -15 the result is less than the least denormal. */
static LLVMValueRef emit_gelu_tanh(const vj_gen *g, LLVMValueRef x) {
    const double twice_root = 1.5957691216057308, cubic = 0.044715 * 1.5957691216057308;
    LLVMValueRef low = vj_at_least(g, x, -15), t = vj_at_most(g, low, 15);
    LLVMValueRef u = vj_fma(g, mul(g, t, t), vj_real(g, x, cubic), vj_real(g, x, twice_root));
    return mul(g, low, emit_sigmoid(g, mul(g, t, u)));
}

LLVMValueRef vj_gen_exp(vj_gen *g, vj_dtype dtype, LLVMValueRef x) {
    return dtype == VJ_F32 ? emit_exp(g, x) : vj_double_exp(g, x);
}

LLVMValueRef vj_gen_log(vj_gen *g, vj_dtype dtype, LLVMValueRef x) {
    return dtype == VJ_F32 ? emit_log(g, x) : vj_double_log(g, x);
}

LLVMValueRef vj_gen_tanh(vj_gen *g, vj_dtype dtype, LLVMValueRef x) {
    return dtype == VJ_F32 ? emit_tanh(g, x) : vj_double_tanh(g, x);
}

LLVMValueRef vj_gen_sigmoid(vj_gen *g, vj_dtype dtype, LLVMValueRef x) {
    return dtype == VJ_F32 ? emit_sigmoid(g, x) : vj_double_sigmoid(g, x);
}

LLVMValueRef vj_gen_erf(vj_gen *g, vj_dtype dtype, LLVMValueRef x) { return dtype == VJ_F32 ? emit_erf(g, x) : NULL; }

LLVMValueRef vj_gen_gelu_erf(vj_gen *g, vj_dtype dtype, LLVMValueRef x) {
    return dtype == VJ_F32 ? emit_gelu_erf(g, x) : NULL;
}

LLVMValueRef vj_gen_gelu_tanh(vj_gen *g, vj_dtype dtype, LLVMValueRef x) {
    return dtype == VJ_F32 ? emit_gelu_tanh(g, x) : NULL;
}
