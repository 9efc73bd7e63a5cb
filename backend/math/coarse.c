/* SPDX-License-Identifier: Apache-2.0 */
/* coarse.c - functions of f32 whose results are rounded to bfloat16, which has eight bits: in two thirds of the steps of vmath.c's.
 *
 * Polynomials are fits as there. Errors in f32, before the rounding:
 *
 *     exp_negative   6e-6 relative (3e-6 with fused multiply-adds, where the exponent is not rounded)
 *     gelu_erf       2e-6 * max(|gelu|, 1), and 3e-5 relative near 0
 *     gelu_tanh      8e-6 * max(|gelu|, 1), and 3e-4 relative near 0
 */
#include "vmath.h"

/* Added to a number below 2^21 it leaves the nearest integer, plus 127, in the last bits of the sum. */
#define ROUNDER (12582912.0 + 127)
#define LOG2_E  1.4426950408889634

/* 2^(n + r) for |r| <= 1/2 and an integer n >= -127, given as rounded = n + ROUNDER; 2^-127 is 0. */
static LLVMValueRef exp2_of(const vj_gen *g, LLVMValueRef rounded, LLVMValueRef r) {
    /* 2^r: 2.7e-6 relative */
    static const double c[] = {0.999999261, 0.693121815, 0.240247448, 0.0559178603, 0.0095701017};
    LLVMValueRef bits = LLVMBuildBitCast(g->b, rounded, vj_like(g->i32, rounded), "");
    bits = LLVMBuildShl(g->b, bits, vj_whole(g, g->i32, rounded, 23), "");
    LLVMValueRef power = LLVMBuildBitCast(g->b, bits, LLVMTypeOf(rounded), "");
    return LLVMBuildFMul(g->b, vj_polynomial(g, r, c, 5), power, "");
}

LLVMValueRef vj_exp_negative_coarse(vj_gen *g, LLVMValueRef x) {
    const double least = -88.0296919; /* 2^-127 */
    x = vj_at_least(g, x, least);
    LLVMValueRef rounder = vj_real(g, x, ROUNDER), log2_e = vj_real(g, x, LOG2_E);
    LLVMValueRef rounded = vj_fma(g, x, log2_e, rounder), n = LLVMBuildFSub(g->b, rounder, rounded, "");
    return exp2_of(g, rounded, vj_fma(g, x, log2_e, n));
}

/* max(x, 0) - a 2^q(a), a = |x|, as vmath.c has it. */
static LLVMValueRef gelu(vj_gen *g, LLVMValueRef x, const double q[6]) {
    const double most = 5.5; /* where a 2^q(a) is 1e-7 */
    LLVMValueRef zero = vj_real(g, x, 0), a = vj_at_most(g, vj_size(g, x), most), rounder = vj_real(g, x, ROUNDER);
    LLVMValueRef exponent = vj_polynomial(g, a, q, 6), rounded = LLVMBuildFAdd(g->b, exponent, rounder, "");
    LLVMValueRef n = LLVMBuildFSub(g->b, rounded, rounder, "");
    LLVMValueRef tail = exp2_of(g, rounded, LLVMBuildFSub(g->b, exponent, n, ""));
    LLVMValueRef above = LLVMBuildFCmp(g->b, LLVMRealOLT, zero, x, "");
    LLVMValueRef top = LLVMBuildSelect(g->b, above, x, zero, "");
    return vj_fma(g, LLVMBuildFNeg(g->b, a, ""), tail, top);
}

LLVMValueRef vj_emit_coarse(vj_gen *g, vj_xop op, LLVMValueRef x) {
    static const double q_erf[] = {-1.00003763, -1.15078777, -0.459992643, -0.05182717, 0.00708446161, -0.000473294057};
    static const double q_tanh[] = {-1.00036437,   -1.14828925,   -0.465378049,
                                    -0.0473770531, 0.00871883518, -0.00197706995};
    if (op == VJ_X_GELU_ERF) return gelu(g, x, q_erf);
    if (op == VJ_X_GELU_TANH) return gelu(g, x, q_tanh);
    return NULL;
}
