/* wide.c - sin, cos, pow and mod: through f64 vectors, as f32 does not hold their intermediate values.
 *
 *     sin, cos   2 ulp or 1e-7 absolute for |x| < 2^20 pi / 2; beyond, 6e-7 absolute up to 2^31; above
 *                that the argument modulo 2 pi is lost and the result some number in [-1, 1]
 *     mod        exact, as C's fmod
 *     pow        1 ulp, with the C standard's special values
 */
#include "vmath.h"

static LLVMValueRef as_i64(const vj_gen *g, LLVMValueRef x) {
    return LLVMBuildBitCast(g->b, x, vj_like(g->i64, x), "");
}
static LLVMValueRef as_f64(const vj_gen *g, LLVMValueRef x) {
    return LLVMBuildBitCast(g->b, x, vj_like(g->f64, x), "");
}
static LLVMValueRef real_equal(const vj_gen *g, LLVMValueRef x, double y) {
    return LLVMBuildFCmp(g->b, LLVMRealOEQ, x, vj_real(g, x, y), "");
}

/* Leaves the nearest integer in the last bits of the sum, as long as it is below 2^51. */
#define ROUNDER 6755399441055744.0

/* The rest of x, which is wide, by multiples of pi / 2: in [-pi/4, pi/4]; *rounded has the multiple in its last bits. */
static LLVMValueRef reduce(const vj_gen *g, LLVMValueRef wide, LLVMValueRef *rounded) {
    /* pi / 2 in parts of 33 bits: a multiple below 2^20 of each is exact (fdlibm's e_rem_pio2.c has the same split) */
    static const double half_pi[3] = {1.57079632673412561417e+00, 6.07710050630396597660e-11,
                                      2.02226624879595063154e-21};
    LLVMValueRef rounder = vj_real(g, wide, ROUNDER);
    *rounded = vj_fma(g, wide, vj_real(g, wide, 0.63661977236758134308), rounder);
    LLVMValueRef n = LLVMBuildFSub(g->b, *rounded, rounder, ""), reduced = wide;
    for (int32_t i = 0; i < 3; i++)
        reduced = vj_fma(g, n, vj_real(g, wide, -half_pi[i]), reduced);
    return vj_at_least(g, vj_at_most(g, reduced, 0.7854), -0.7854);
}

LLVMValueRef vj_reduce_half_pi(const vj_gen *g, LLVMValueRef wide, LLVMValueRef *turn) {
    LLVMValueRef rounded, r = reduce(g, wide, &rounded);
    *turn = as_i64(g, rounded);
    return r;
}

LLVMValueRef vj_sin_cos(vj_gen *g, LLVMValueRef x, bool cosine) {
    /* (sin(r) / r - 1) / r^2 and (cos(r) - 1 + r^2 / 2) / r^4 in r^2, |r| <= pi / 4: 4e-9 and 1e-10 */
    static const double s[] = {-0.166666549, 0.00833217584, -0.000195169765};
    static const double c[] = {0.0416666468, -0.00138873645, 2.44380891e-05};
    LLVMValueRef rounded, reduced = reduce(g, LLVMBuildFPExt(g->b, x, vj_like(g->f64, x), ""), &rounded);
    LLVMValueRef turn = LLVMBuildTrunc(g->b, as_i64(g, rounded), vj_like(g->i32, x), "");
    if (cosine) turn = LLVMBuildAdd(g->b, turn, vj_whole(g, g->i32, x, 1), "");
    LLVMValueRef r = LLVMBuildFPTrunc(g->b, reduced, LLVMTypeOf(x), ""), square = LLVMBuildFMul(g->b, r, r, "");
    LLVMValueRef cube = LLVMBuildFMul(g->b, square, r, "");
    LLVMValueRef sine = vj_fma(g, vj_polynomial(g, square, s, 3), cube, r);
    LLVMValueRef ones = vj_fma(g, square, vj_real(g, x, -0.5), vj_real(g, x, 1));
    LLVMValueRef fourth = LLVMBuildFMul(g->b, square, square, "");
    LLVMValueRef cosine_r = vj_fma(g, vj_polynomial(g, square, c, 3), fourth, ones);
    LLVMValueRef one = vj_whole(g, g->i32, x, 1), two = vj_whole(g, g->i32, x, 2), zero = vj_whole(g, g->i32, x, 0);
    LLVMValueRef odd = LLVMBuildICmp(g->b, LLVMIntNE, LLVMBuildAnd(g->b, turn, one, ""), zero, "");
    LLVMValueRef down = LLVMBuildICmp(g->b, LLVMIntNE, LLVMBuildAnd(g->b, turn, two, ""), zero, "");
    LLVMValueRef y = LLVMBuildSelect(g->b, odd, cosine_r, sine, "");
    return LLVMBuildSelect(g->b, down, LLVMBuildFNeg(g->b, y, ""), y, "");
}

/* log2 of x > 0, in f64: 2e-15. Zero gives -inf, infinity itself. */
LLVMValueRef vj_wide_log2(const vj_gen *g, LLVMValueRef x) {
    /* log2((1 + f) / (1 - f)) / f in f^2 */
    static const double c[] = {2.8853900817779277,  0.96179669392426903, 0.57707801726912322, 0.41219839894148635,
                               0.32061658678086496, 0.26143827736542946, 0.24298416907978768};
    const int64_t root_half = 0x3fe6a09e667f3bcd;
    LLVMValueRef above = LLVMBuildSub(g->b, as_i64(g, x), vj_whole(g, g->i64, x, root_half), "");
    LLVMValueRef n = LLVMBuildAShr(g->b, above, vj_whole(g, g->i64, x, 52), "");
    LLVMValueRef m = LLVMBuildAnd(g->b, above, vj_whole(g, g->i64, x, 0xfffffffffffff), "");
    m = as_f64(g, LLVMBuildAdd(g->b, m, vj_whole(g, g->i64, x, root_half), ""));
    LLVMValueRef one = vj_real(g, x, 1);
    LLVMValueRef f = LLVMBuildFDiv(g->b, LLVMBuildFSub(g->b, m, one, ""), LLVMBuildFAdd(g->b, m, one, ""), "");
    LLVMValueRef p = vj_polynomial(g, LLVMBuildFMul(g->b, f, f, ""), c, 7);
    LLVMValueRef e = LLVMBuildSIToFP(g->b, LLVMBuildTrunc(g->b, n, vj_like(g->i32, x), ""), LLVMTypeOf(x), "");
    LLVMValueRef log = vj_fma(g, f, p, e), infinity = vj_real(g, x, __builtin_inf());
    log = LLVMBuildSelect(g->b, real_equal(g, x, 0), LLVMBuildFNeg(g->b, infinity, ""), log, "");
    return LLVMBuildSelect(g->b, real_equal(g, x, __builtin_inf()), infinity, log, "");
}

/* 2^x in f64: 2e-14; x is cut to [-200, 200], beyond any float */
LLVMValueRef vj_wide_exp2(const vj_gen *g, LLVMValueRef x) {
    static const double c[] = {1,
                               0.69314718055995106,
                               0.24022650695716596,
                               0.055504108664352104,
                               0.0096181291826974158,
                               0.0013333558248550545,
                               0.00015403439813204534,
                               1.5252645784297649e-05,
                               1.325856079960292e-06,
                               1.0210937632146167e-07};
    x = vj_at_least(g, vj_at_most(g, x, 200), -200);
    LLVMValueRef rounder = vj_real(g, x, ROUNDER), rounded = LLVMBuildFAdd(g->b, x, rounder, "");
    LLVMValueRef r = LLVMBuildFSub(g->b, x, LLVMBuildFSub(g->b, rounded, rounder, ""), "");
    LLVMValueRef n = LLVMBuildShl(g->b, as_i64(g, rounded), vj_whole(g, g->i64, x, 52), "");
    LLVMValueRef power = as_f64(g, LLVMBuildAdd(g->b, n, vj_whole(g, g->i64, x, 0x3ff0000000000000), ""));
    return LLVMBuildFMul(g->b, vj_polynomial(g, r, c, 10), power, "");
}

LLVMValueRef vj_math_pow(vj_gen *g, LLVMValueRef x, LLVMValueRef y) {
    LLVMTypeRef wide = vj_like(g->f64, x);
    LLVMValueRef size = vj_size(g, x), height = vj_size(g, y), infinity = vj_real(g, x, (double)__builtin_inff());
    LLVMValueRef log = vj_wide_log2(g, LLVMBuildFPExt(g->b, size, wide, ""));
    LLVMValueRef product = LLVMBuildFMul(g->b, LLVMBuildFPExt(g->b, y, wide, ""), log, "");
    LLVMValueRef r = LLVMBuildFPTrunc(g->b, vj_wide_exp2(g, product), LLVMTypeOf(x), "");
    r = LLVMBuildSelect(g->b, real_equal(g, size, 1), vj_real(g, x, 1), r, "");
    /* Is y an integer, and an odd one? From 2^24 on all floats are even; an infinity counts as even. */
    LLVMValueRef small = LLVMBuildFCmp(g->b, LLVMRealOLT, height, vj_real(g, x, 0x1p24), "");
    LLVMValueRef kept = LLVMBuildSelect(g->b, small, y, vj_real(g, x, 0), "");
    LLVMValueRef digits = LLVMBuildFPToSI(g->b, kept, vj_like(g->i32, x), "");
    LLVMValueRef back = LLVMBuildSIToFP(g->b, digits, LLVMTypeOf(x), "");
    LLVMValueRef whole = LLVMBuildFCmp(g->b, LLVMRealOEQ, back, kept, "");
    LLVMValueRef low = LLVMBuildAnd(g->b, digits, vj_whole(g, g->i32, x, 1), "");
    LLVMValueRef odd =
        LLVMBuildAnd(g->b, whole, LLVMBuildICmp(g->b, LLVMIntNE, low, vj_whole(g, g->i32, x, 0), ""), "");
    r = LLVMBuildSelect(g->b, odd, vj_with_sign(g, r, x), r, "");
    /* A negative number has no power that is no integer; minus zero and minus infinity have. */
    LLVMValueRef zero = vj_real(g, x, 0), nan = vj_real(g, x, (double)__builtin_nanf(""));
    LLVMValueRef negative = LLVMBuildFCmp(g->b, LLVMRealOLT, x, zero, "");
    LLVMValueRef finite = LLVMBuildFCmp(g->b, LLVMRealOLT, size, infinity, "");
    LLVMValueRef bad = LLVMBuildAnd(g->b, LLVMBuildAnd(g->b, negative, finite, ""), LLVMBuildNot(g->b, whole, ""), "");
    bad = LLVMBuildOr(g->b, bad, LLVMBuildFCmp(g->b, LLVMRealUNO, x, y, ""), "");
    r = LLVMBuildSelect(g->b, bad, nan, r, "");
    LLVMValueRef unit = LLVMBuildOr(g->b, real_equal(g, x, 1), real_equal(g, y, 0), "");
    return LLVMBuildSelect(g->b, unit, vj_real(g, x, 1), r, "");
}

/* fmod by f64: each step takes away the quotient's first 24 bits times |y|, which is exact; a float's quotient has at
 * most 277 bits. A quotient that was rounded up leaves a negative rest, put right at the end. */
LLVMValueRef vj_math_mod(vj_gen *g, LLVMValueRef x, LLVMValueRef y) {
    const int32_t steps = 13;
    LLVMTypeRef wide = vj_like(g->f64, x);
    LLVMValueRef b = LLVMBuildFPExt(g->b, vj_size(g, y), wide, ""),
                 rest = LLVMBuildFPExt(g->b, vj_size(g, x), wide, "");
    vj_loop loop;
    vj_loop_begin(g, &loop, vj_i64(g, 0), vj_i64(g, steps), 1, true, &rest, 1);
    LLVMValueRef q = LLVMBuildFDiv(g->b, loop.carried[0], b, "");
    LLVMValueRef first = LLVMBuildAnd(g->b, as_i64(g, q), vj_whole(g, g->i64, q, ~INT64_C(0x1fffffff)), "");
    first = as_f64(g, first);
    /* Below 2^24 the quotient's fraction goes; it stays where it is when it is larger. */
    LLVMValueRef small = LLVMBuildFCmp(g->b, LLVMRealOLT, vj_size(g, first), vj_real(g, q, 0x1p24), "");
    LLVMValueRef kept = LLVMBuildSelect(g->b, small, first, vj_real(g, q, 0), "");
    LLVMValueRef digits = LLVMBuildFPToSI(g->b, kept, vj_like(g->i32, x), "");
    LLVMValueRef whole = LLVMBuildSIToFP(g->b, digits, wide, "");
    LLVMValueRef part = LLVMBuildSelect(g->b, small, whole, first, "");
    LLVMValueRef next = LLVMBuildFSub(g->b, loop.carried[0], LLVMBuildFMul(g->b, part, b, ""), "");
    vj_loop_end(g, &loop, &next);
    rest = loop.carried[0];
    LLVMValueRef below = LLVMBuildFCmp(g->b, LLVMRealOLT, rest, vj_real(g, rest, 0), "");
    rest = LLVMBuildSelect(g->b, below, LLVMBuildFAdd(g->b, rest, b, ""), rest, "");
    LLVMValueRef r = vj_with_sign(g, LLVMBuildFPTrunc(g->b, rest, LLVMTypeOf(x), ""), x);
    /* What is finite modulo an infinity is itself; infinities, zero divisors and NaN have no remainder. */
    LLVMValueRef infinity = vj_real(g, x, (double)__builtin_inff());
    LLVMValueRef finite = LLVMBuildFCmp(g->b, LLVMRealOLT, vj_size(g, x), infinity, "");
    LLVMValueRef same = LLVMBuildAnd(g->b, finite, real_equal(g, vj_size(g, y), (double)__builtin_inff()), "");
    r = LLVMBuildSelect(g->b, same, x, r, "");
    LLVMValueRef none = LLVMBuildOr(g->b, LLVMBuildNot(g->b, finite, ""), real_equal(g, y, 0), "");
    none = LLVMBuildOr(g->b, none, LLVMBuildFCmp(g->b, LLVMRealUNO, x, y, ""), "");
    return LLVMBuildSelect(g->b, none, vj_real(g, x, (double)__builtin_nanf("")), r, "");
}
