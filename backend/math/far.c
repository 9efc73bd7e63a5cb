/* SPDX-License-Identifier: Apache-2.0 */
/* far.c - the rest of large floats by multiples of pi / 2: Payne and Hanek, Radian reduction for trigonometric functions, 1983.
 *
 * x is a whole number of 24 bits times 2^e. Of the digits of 2 / pi those that make multiples of 4 in the product are left out, and 96
 * of the others taken: what follows changes it by less than 2^-70, and no float is nearer than 2^-31 to a multiple of pi / 2.
 */
#include "vmath.h"

#define LEAST 0x1.8p20 /* below, wide.c's rest is exact */

/* Words j + first and the one behind it, of 32 zeros and the digits of 2 / pi. */
static LLVMValueRef digits_from(const vj_gen *g, LLVMValueRef j, int32_t first) {
    static const uint32_t two_over_pi[] = {0,          0xa2f9836e, 0x4e441529, 0xfc2757d1,
                                           0xf534ddc0, 0xdb629599, 0x3c439041, 0xfe5163ab};
    LLVMValueRef digits = NULL;
    for (int32_t i = 0; i < 5; i++) {
        const uint64_t pair = (uint64_t)two_over_pi[first + i] << 32 | two_over_pi[first + i + 1];
        LLVMValueRef here = vj_whole(g, g->i64, j, (int64_t)pair);
        LLVMValueRef is = LLVMBuildICmp(g->b, LLVMIntEQ, j, vj_whole(g, g->i64, j, i), "");
        digits = digits ? LLVMBuildSelect(g->b, is, here, digits, "") : here;
    }
    return digits;
}

/* x times the 32 digits from number `start` of word j + first on. */
static LLVMValueRef product_with(const vj_gen *g, LLVMValueRef x, LLVMValueRef j, LLVMValueRef start, int32_t first) {
    LLVMValueRef pair = LLVMBuildShl(g->b, digits_from(g, j, first), start, "");
    return LLVMBuildMul(g->b, x, LLVMBuildLShr(g->b, pair, vj_whole(g, g->i64, x, 32), ""), "");
}

/* Of a float that is at least LEAST, widened. */
static LLVMValueRef reduce_far(const vj_gen *g, LLVMValueRef wide, LLVMValueRef *quadrant) {
    LLVMValueRef bits = vj_as_i64(g, wide), half = vj_whole(g, g->i64, bits, 32), top = vj_whole(g, g->i64, bits, 62);
    LLVMValueRef fraction = LLVMBuildAnd(g->b, bits, vj_whole(g, g->i64, bits, 0xfffffffffffff), "");
    LLVMValueRef whole = LLVMBuildOr(g->b, fraction, vj_whole(g, g->i64, bits, INT64_C(1) << 52), "");
    whole = LLVMBuildLShr(g->b, whole, vj_whole(g, g->i64, bits, 52 - 23), "");
    /* e is the exponent's field - 1046. The first digit that counts is that of 2^(1 - e), number e + 30 of the words. */
    LLVMValueRef field = LLVMBuildLShr(g->b, bits, vj_whole(g, g->i64, bits, 52), "");
    field = LLVMBuildAnd(g->b, field, vj_whole(g, g->i64, bits, 0x7ff), "");
    LLVMValueRef at = LLVMBuildSub(g->b, field, vj_whole(g, g->i64, bits, 1016), "");
    LLVMValueRef j = LLVMBuildLShr(g->b, at, vj_whole(g, g->i64, bits, 5), "");
    LLVMValueRef start = LLVMBuildAnd(g->b, at, vj_whole(g, g->i64, bits, 31), "");
    LLVMValueRef high = LLVMBuildShl(g->b, product_with(g, whole, j, start, 0), half, "");
    LLVMValueRef low = LLVMBuildLShr(g->b, product_with(g, whole, j, start, 2), half, "");
    LLVMValueRef sum = LLVMBuildAdd(g->b, high, product_with(g, whole, j, start, 1), "");
    sum =
        LLVMBuildAdd(g->b, sum, low, ""); /* the first two digits are a whole number modulo 4, the others a fraction */
    LLVMValueRef nearest = LLVMBuildAdd(g->b, sum, vj_whole(g, g->i64, bits, INT64_C(1) << 61), "");
    nearest = LLVMBuildLShr(g->b, nearest, top, "");
    LLVMValueRef rest = LLVMBuildSub(g->b, sum, LLVMBuildShl(g->b, nearest, top, ""), "");
    LLVMValueRef r = LLVMBuildSIToFP(g->b, rest, LLVMTypeOf(wide), "");
    r = LLVMBuildFMul(g->b, r, vj_real(g, wide, 0x1p-62 * 1.57079632679489661923), "");
    LLVMValueRef negative = LLVMBuildFCmp(g->b, LLVMRealOLT, wide, vj_real(g, wide, 0), "");
    *quadrant = LLVMBuildSelect(g->b, negative, LLVMBuildNeg(g->b, nearest, ""), nearest, "");
    return LLVMBuildSelect(g->b, negative, LLVMBuildFNeg(g->b, r, ""), r, "");
}

static LLVMValueRef any_of(const vj_gen *g, LLVMValueRef which) {
    LLVMTypeRef type = LLVMTypeOf(which);
    if (LLVMGetTypeKind(type) == LLVMVectorTypeKind)
        which = vj_intrinsic(g, "llvm.vector.reduce.or", &type, 1, &which, 1);
    return LLVMBuildZExt(g->b, which, g->i64, "");
}

LLVMValueRef vj_reduce_half_pi_of(vj_gen *g, LLVMValueRef x, LLVMValueRef *quadrant) {
    LLVMValueRef wide = LLVMBuildFPExt(g->b, x, vj_like(g->f64, x), ""), result[2], next[2];
    result[0] = vj_reduce_half_pi(g, wide, &result[1]);
    LLVMValueRef far = LLVMBuildFCmp(g->b, LLVMRealOGE, vj_size(g, x), vj_real(g, x, LEAST), "");
    vj_loop loop; /* once, or not at all */
    vj_loop_begin(g, &loop, vj_i64(g, 0), any_of(g, far), 1, false, result, 2);
    next[0] = reduce_far(g, wide, &next[1]);
    LLVMValueRef infinite = vj_real_equal(g, vj_size(g, wide), __builtin_inf());
    next[0] = LLVMBuildSelect(g->b, infinite, vj_real(g, wide, __builtin_nan("")), next[0], "");
    for (int32_t i = 0; i < 2; i++)
        next[i] = LLVMBuildSelect(g->b, far, next[i], loop.carried[i], "");
    vj_loop_end(g, &loop, next);
    *quadrant = loop.carried[1];
    return loop.carried[0];
}
