/* trig.c - tan, the inverse trigonometric and the hyperbolic functions: through f64 vectors. They are rare, so
 * that short code and few ways go before speed: plain Taylor series on small intervals, log2 and 2^x of wide.c.
 *
 *     all        2 ulp, with the C standard's special values; but
 *     tan        2 ulp for |x| < 2^20 pi / 2; beyond, as far as sin and cos are right there
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

static LLVMValueRef root(const vj_gen *g, LLVMValueRef x) {
    LLVMTypeRef type = LLVMTypeOf(x);
    LLVMValueRef f = LLVMGetIntrinsicDeclaration(g->module, LLVMLookupIntrinsicID("llvm.sqrt", 9), &type, 1);
    return LLVMBuildCall2(g->b, LLVMGlobalGetValueType(f), f, &x, 1, "");
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

/* tan of the rest r of a multiple of pi / 2, |r| <= pi / 4, is sin / cos; of an odd multiple -cos / sin. The series leave
 * 1e-10. */
static LLVMValueRef wide_tan(const vj_gen *g, LLVMValueRef x) {
    static const double s[] = {1, -1 / 6.0, 1 / 120.0, -1 / 5040.0, 1 / 362880.0, -1 / 39916800.0};
    static const double c[] = {1, -1 / 2.0, 1 / 24.0, -1 / 720.0, 1 / 40320.0, -1 / 3628800.0, 1 / 479001600.0};
    LLVMValueRef quadrant, r = vj_reduce_half_pi(g, x, &quadrant), square = mul(g, r, r);
    LLVMValueRef low = LLVMBuildAnd(g->b, quadrant, vj_whole(g, g->i64, x, 1), "");
    LLVMValueRef is_odd = LLVMBuildICmp(g->b, LLVMIntNE, low, vj_whole(g, g->i64, x, 0), "");
    LLVMValueRef sine = mul(g, vj_polynomial(g, square, s, 6), r), cosine = vj_polynomial(g, square, c, 7);
    LLVMValueRef top = choose(g, is_odd, LLVMBuildFNeg(g->b, cosine, ""), sine);
    return over(g, top, choose(g, is_odd, sine, cosine));
}

static LLVMValueRef wide_asinh(const vj_gen *g, LLVMValueRef x) {
    LLVMValueRef size = vj_size(g, x);
    LLVMValueRef sum = add(g, size, root(g, plus(g, mul(g, x, x), 1)));
    return odd(g, x, times(g, vj_wide_log2(g, sum), LN2), -1.0 / 6);
}

/* (x - 1) (x + 1) is negative where there is no result */
static LLVMValueRef wide_acosh(const vj_gen *g, LLVMValueRef x) {
    LLVMValueRef sum = add(g, x, root(g, mul(g, plus(g, x, -1), plus(g, x, 1))));
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
static LLVMValueRef wide_sinh_cosh(const vj_gen *g, LLVMValueRef x, bool cosine) {
    LLVMValueRef e = vj_wide_exp2(g, times(g, vj_size(g, x), LOG2_E)), inverse = over(g, vj_real(g, x, 1), e);
    if (cosine) return times(g, add(g, e, inverse), 0.5);
    return odd(g, x, times(g, sub(g, e, inverse), 0.5), 1.0 / 6);
}

static LLVMValueRef wide(vj_gen *g, vj_xop op, LLVMValueRef x) {
    LLVMValueRef one = vj_real(g, x, 1);
    switch (op) {
    case VJ_X_TAN:
        return wide_tan(g, x);
    case VJ_X_ATAN:
        return wide_atan(g, x);
    case VJ_X_ASIN: /* the angle whose sine is x and whose cosine is sqrt(1 - x^2) */
        return wide_atan(g, over(g, x, root(g, mul(g, sub(g, one, x), add(g, one, x)))));
    case VJ_X_ACOS: /* twice the angle whose tangent is sqrt((1 - x) / (1 + x)) */
        return times(g, wide_atan(g, root(g, over(g, sub(g, one, x), add(g, one, x)))), 2);
    case VJ_X_SINH:
    case VJ_X_COSH:
        return wide_sinh_cosh(g, x, op == VJ_X_COSH);
    case VJ_X_ASINH:
        return wide_asinh(g, x);
    case VJ_X_ACOSH:
        return wide_acosh(g, x);
    default:
        return wide_atanh(g, x);
    }
}

LLVMValueRef vj_trigonometric(vj_gen *g, vj_xop op, LLVMValueRef x) {
    LLVMValueRef y = wide(g, op, LLVMBuildFPExt(g->b, x, vj_like(g->f64, x), ""));
    y = LLVMBuildFPTrunc(g->b, y, LLVMTypeOf(x), "");
    return LLVMBuildSelect(g->b, LLVMBuildFCmp(g->b, LLVMRealUNO, x, x, ""), x, y, "");
}
