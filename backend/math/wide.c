/* SPDX-License-Identifier: Apache-2.0 */
/* wide.c - steps in f64 that functions of f32 and of f64 go through: log2, 2^x, and the rest by multiples of pi / 2. */
#include "vmath.h"

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

LLVMValueRef vj_reduce_half_pi(const vj_gen *g, LLVMValueRef wide, LLVMValueRef *quadrant) {
    LLVMValueRef rounded, r = reduce(g, wide, &rounded);
    *quadrant = vj_as_i64(g, rounded);
    return r;
}

/* log2 of x > 0, in f64: 2e-15. Zero gives -inf, infinity itself. */
LLVMValueRef vj_wide_log2(const vj_gen *g, LLVMValueRef x) {
    /* log2((1 + f) / (1 - f)) / f in f^2 */
    static const double c[] = {2.8853900817779277,  0.96179669392426903, 0.57707801726912322, 0.41219839894148635,
                               0.32061658678086496, 0.26143827736542946, 0.24298416907978768};
    const int64_t root_half = 0x3fe6a09e667f3bcd;
    LLVMValueRef above = LLVMBuildSub(g->b, vj_as_i64(g, x), vj_whole(g, g->i64, x, root_half), "");
    LLVMValueRef n = LLVMBuildAShr(g->b, above, vj_whole(g, g->i64, x, 52), "");
    LLVMValueRef m = LLVMBuildAnd(g->b, above, vj_whole(g, g->i64, x, 0xfffffffffffff), "");
    m = vj_as_f64(g, LLVMBuildAdd(g->b, m, vj_whole(g, g->i64, x, root_half), ""));
    LLVMValueRef one = vj_real(g, x, 1);
    LLVMValueRef f = LLVMBuildFDiv(g->b, LLVMBuildFSub(g->b, m, one, ""), LLVMBuildFAdd(g->b, m, one, ""), "");
    LLVMValueRef p = vj_polynomial(g, LLVMBuildFMul(g->b, f, f, ""), c, 7);
    LLVMValueRef e = LLVMBuildSIToFP(g->b, LLVMBuildTrunc(g->b, n, vj_like(g->i32, x), ""), LLVMTypeOf(x), "");
    LLVMValueRef log = vj_fma(g, f, p, e), infinity = vj_real(g, x, __builtin_inf());
    log = LLVMBuildSelect(g->b, vj_real_equal(g, x, 0), LLVMBuildFNeg(g->b, infinity, ""), log, "");
    return LLVMBuildSelect(g->b, vj_real_equal(g, x, __builtin_inf()), infinity, log, "");
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
    LLVMValueRef n = LLVMBuildShl(g->b, vj_as_i64(g, rounded), vj_whole(g, g->i64, x, 52), "");
    LLVMValueRef power = vj_as_f64(g, LLVMBuildAdd(g->b, n, vj_whole(g, g->i64, x, 0x3ff0000000000000), ""));
    return LLVMBuildFMul(g->b, vj_polynomial(g, r, c, 10), power, "");
}
