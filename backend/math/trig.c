/* SPDX-License-Identifier: Apache-2.0 */
/* trig.c - sin, cos, tan, the inverse trigonometric and the hyperbolic functions: through f64 vectors. But for the
 * first two they are rare, so that short code and few ways go before speed: plain Taylor series on small intervals, log2
 * and 2^x of wide.c.
 *
 *     sin, cos   2 ulp or 1e-7 absolute
 *     others     2 ulp, with the C standard's special values
 */
#include "vmath.h"

#define LN2    0.69314718055994530942
#define LOG2_E 1.44269504088896340736
#define PI     3.14159265358979323846

static LLVMValueRef add(const vj_gen *g, LLVMValueRef a, LLVMValueRef b) { return LLVMBuildFAdd(g->b, a, b, ""); }
static LLVMValueRef sub(const vj_gen *g, LLVMValueRef a, LLVMValueRef b) { return LLVMBuildFSub(g->b, a, b, ""); }
static LLVMValueRef mul(const vj_gen *g, LLVMValueRef a, LLVMValueRef b) { return LLVMBuildFMul(g->b, a, b, ""); }
static LLVMValueRef over(const vj_gen *g, LLVMValueRef a, LLVMValueRef b) { return LLVMBuildFDiv(g->b, a, b, ""); }
static LLVMValueRef times(const vj_gen *g, LLVMValueRef a, double b) { return mul(g, a, vj_real(g, a, b)); }
static LLVMValueRef plus(const vj_gen *g, LLVMValueRef a, double b) { return add(g, a, vj_real(g, a, b)); }
static LLVMValueRef above(const vj_gen *g, LLVMValueRef a, double b) {
    return LLVMBuildFCmp(g->b, LLVMRealOGT, a, vj_real(g, a, b), "");
}
static LLVMValueRef choose(const vj_gen *g, LLVMValueRef which, LLVMValueRef a, LLVMValueRef b) {
    return LLVMBuildSelect(g->b, which, a, b, "");
}

/* x (1 + c x^2): odd functions where the next term is below 2^-30 of them, |x| < 2^-8 */
#define SMALL 0x1p-8
static LLVMValueRef near_zero(const vj_gen *g, LLVMValueRef x, double cubic) {
    return vj_fma(g, mul(g, mul(g, x, x), x), vj_real(g, x, cubic), x);
}

/* y where |x| is not small, with the sign of x; its series where it is. */
static LLVMValueRef odd(const vj_gen *g, LLVMValueRef x, LLVMValueRef y, double cubic) {
    LLVMValueRef small = LLVMBuildFCmp(g->b, LLVMRealOLT, vj_size(g, x), vj_real(g, x, SMALL), "");
    return choose(g, small, near_zero(g, x, cubic), vj_with_sign(g, y, x));
}

/* |x| above 1 is turned over, what is then above tan(pi/8) is turned by pi/4: |r| <= 0.4143, where 12 terms of the series
 * leave 1e-10. */
static LLVMValueRef wide_atan(const vj_gen *g, LLVMValueRef x) {
    double c[12];
    for (int32_t i = 0; i < 12; i++)
        c[i] = (i % 2 ? -1.0 : 1.0) / (2 * i + 1);
    LLVMValueRef size = vj_size(g, x), one = vj_real(g, x, 1), zero = vj_real(g, x, 0);
    LLVMValueRef large = above(g, size, 1), r = choose(g, large, over(g, one, size), size);
    LLVMValueRef wide = above(g, r, 0.41421356237309504880);
    LLVMValueRef t = choose(g, wide, over(g, sub(g, r, one), add(g, r, one)), r);
    LLVMValueRef y = mul(g, vj_polynomial(g, mul(g, t, t), c, 12), t);
    y = add(g, y, choose(g, wide, vj_real(g, x, PI / 4), zero));
    y = choose(g, large, sub(g, vj_real(g, x, PI / 2), y), y);
    return vj_with_sign(g, y, x);
}

/* The angle whose sine is x and whose cosine is sqrt(1 - x^2). */
static LLVMValueRef wide_asin(const vj_gen *g, LLVMValueRef x) {
    LLVMValueRef one = vj_real(g, x, 1);
    return wide_atan(g, over(g, x, vj_root(g, mul(g, sub(g, one, x), add(g, one, x)))));
}

/* Twice the angle whose tangent is sqrt((1 - x) / (1 + x)). */
static LLVMValueRef wide_acos(const vj_gen *g, LLVMValueRef x) {
    LLVMValueRef one = vj_real(g, x, 1);
    return times(g, wide_atan(g, vj_root(g, over(g, sub(g, one, x), add(g, one, x)))), 2);
}

/* tan of the rest r of a multiple of pi / 2, |r| <= pi / 4, is sin / cos; of an odd multiple -cos / sin. The series leave
 * 1e-10. */
static LLVMValueRef wide_tan(vj_gen *g, LLVMValueRef x) { /* x is an f32 */
    static const double s[] = {1, -1 / 6.0, 1 / 120.0, -1 / 5040.0, 1 / 362880.0, -1 / 39916800.0};
    static const double c[] = {1, -1 / 2.0, 1 / 24.0, -1 / 720.0, 1 / 40320.0, -1 / 3628800.0, 1 / 479001600.0};
    LLVMValueRef quadrant, r = vj_reduce_half_pi_of(g, x, &quadrant), square = mul(g, r, r);
    LLVMValueRef low = LLVMBuildAnd(g->b, quadrant, vj_whole(g, g->i64, x, 1), "");
    LLVMValueRef is_odd = LLVMBuildICmp(g->b, LLVMIntNE, low, vj_whole(g, g->i64, x, 0), "");
    LLVMValueRef sine = mul(g, vj_polynomial(g, square, s, 6), r), cosine = vj_polynomial(g, square, c, 7);
    LLVMValueRef top = choose(g, is_odd, LLVMBuildFNeg(g->b, cosine, ""), sine);
    return over(g, top, choose(g, is_odd, sine, cosine));
}

static LLVMValueRef wide_asinh(const vj_gen *g, LLVMValueRef x) {
    LLVMValueRef size = vj_size(g, x);
    LLVMValueRef sum = add(g, size, vj_root(g, plus(g, mul(g, x, x), 1)));
    return odd(g, x, times(g, vj_wide_log2(g, sum), LN2), -1.0 / 6);
}

/* (x - 1) (x + 1) is negative where there is no result */
static LLVMValueRef wide_acosh(const vj_gen *g, LLVMValueRef x) {
    LLVMValueRef sum = add(g, x, vj_root(g, mul(g, plus(g, x, -1), plus(g, x, 1))));
    LLVMValueRef y = times(g, vj_wide_log2(g, sum), LN2);
    LLVMValueRef good = LLVMBuildFCmp(g->b, LLVMRealOGE, x, vj_real(g, x, 1), "");
    return choose(g, good, y, vj_real(g, x, __builtin_nan("")));
}

static LLVMValueRef wide_atanh(const vj_gen *g, LLVMValueRef x) {
    LLVMValueRef size = vj_size(g, x), one = vj_real(g, x, 1);
    LLVMValueRef ratio = over(g, add(g, one, size), sub(g, one, size));
    LLVMValueRef y = odd(g, x, times(g, vj_wide_log2(g, ratio), LN2 / 2), 1.0 / 3);
    LLVMValueRef good = LLVMBuildFCmp(g->b, LLVMRealOLE, size, one, "");
    return choose(g, good, y, vj_real(g, x, __builtin_nan("")));
}

/* From e^|x|, which 2^x holds far beyond any float's logarithm. */
static LLVMValueRef wide_exp(const vj_gen *g, LLVMValueRef x) {
    return vj_wide_exp2(g, times(g, vj_size(g, x), LOG2_E));
}

static LLVMValueRef wide_sinh(const vj_gen *g, LLVMValueRef x) {
    LLVMValueRef e = wide_exp(g, x), inverse = over(g, vj_real(g, x, 1), e);
    return odd(g, x, times(g, sub(g, e, inverse), 0.5), 1.0 / 6);
}

static LLVMValueRef wide_cosh(const vj_gen *g, LLVMValueRef x) {
    LLVMValueRef e = wide_exp(g, x), inverse = over(g, vj_real(g, x, 1), e);
    return times(g, add(g, e, inverse), 0.5);
}

static LLVMValueRef sin_cos(vj_gen *g, LLVMValueRef x, bool cosine) {
    /* (sin(r) / r - 1) / r^2 and (cos(r) - 1 + r^2 / 2) / r^4 in r^2, |r| <= pi / 4: 4e-9 and 1e-10 */
    static const double s[] = {-0.166666549, 0.00833217584, -0.000195169765};
    static const double c[] = {0.0416666468, -0.00138873645, 2.44380891e-05};
    LLVMValueRef quadrants, reduced = vj_reduce_half_pi_of(g, x, &quadrants);
    LLVMValueRef quadrant = LLVMBuildTrunc(g->b, quadrants, vj_like(g->i32, x), "");
    if (cosine) quadrant = LLVMBuildAdd(g->b, quadrant, vj_whole(g, g->i32, x, 1), "");
    LLVMValueRef r = LLVMBuildFPTrunc(g->b, reduced, LLVMTypeOf(x), ""), square = LLVMBuildFMul(g->b, r, r, "");
    LLVMValueRef cube = LLVMBuildFMul(g->b, square, r, "");
    LLVMValueRef sine = vj_fma(g, vj_polynomial(g, square, s, 3), cube, r);
    LLVMValueRef ones = vj_fma(g, square, vj_real(g, x, -0.5), vj_real(g, x, 1));
    LLVMValueRef fourth = LLVMBuildFMul(g->b, square, square, "");
    LLVMValueRef cosine_r = vj_fma(g, vj_polynomial(g, square, c, 3), fourth, ones);
    LLVMValueRef one = vj_whole(g, g->i32, x, 1), two = vj_whole(g, g->i32, x, 2), zero = vj_whole(g, g->i32, x, 0);
    LLVMValueRef is_odd = LLVMBuildICmp(g->b, LLVMIntNE, LLVMBuildAnd(g->b, quadrant, one, ""), zero, "");
    LLVMValueRef down = LLVMBuildICmp(g->b, LLVMIntNE, LLVMBuildAnd(g->b, quadrant, two, ""), zero, "");
    LLVMValueRef y = LLVMBuildSelect(g->b, is_odd, cosine_r, sine, "");
    return LLVMBuildSelect(g->b, down, LLVMBuildFNeg(g->b, y, ""), y, "");
}

LLVMValueRef vj_gen_sin(vj_gen *g, vj_dtype dtype, LLVMValueRef x) {
    return dtype == VJ_F32 ? sin_cos(g, x, false) : vj_double_circular(g, VJ_SINE, x);
}

LLVMValueRef vj_gen_cos(vj_gen *g, vj_dtype dtype, LLVMValueRef x) {
    return dtype == VJ_F32 ? sin_cos(g, x, true) : vj_double_circular(g, VJ_COSINE, x);
}

static LLVMValueRef widened(const vj_gen *g, LLVMValueRef x) { return LLVMBuildFPExt(g->b, x, vj_like(g->f64, x), ""); }

/* A function's value at x, from that in f64. NaN stays as it is. */
static LLVMValueRef narrowed(const vj_gen *g, LLVMValueRef x, LLVMValueRef y) {
    y = LLVMBuildFPTrunc(g->b, y, LLVMTypeOf(x), "");
    return LLVMBuildSelect(g->b, LLVMBuildFCmp(g->b, LLVMRealUNO, x, x, ""), x, y, "");
}

LLVMValueRef vj_gen_tan(vj_gen *g, vj_dtype dtype, LLVMValueRef x) {
    return dtype == VJ_F32 ? narrowed(g, x, wide_tan(g, x)) : vj_double_circular(g, VJ_TANGENT, x);
}

#define THROUGH_DOUBLE(id)                                                                                             \
    LLVMValueRef vj_gen_##id(vj_gen *g, vj_dtype dtype, LLVMValueRef x) {                                              \
        return dtype == VJ_F32 ? narrowed(g, x, wide_##id(g, widened(g, x))) : NULL;                                   \
    }
THROUGH_DOUBLE(asin)
THROUGH_DOUBLE(acos)
THROUGH_DOUBLE(atan)
THROUGH_DOUBLE(sinh)
THROUGH_DOUBLE(cosh)
THROUGH_DOUBLE(asinh)
THROUGH_DOUBLE(acosh)
THROUGH_DOUBLE(atanh)
