/* SPDX-License-Identifier: Apache-2.0 */
/* dot.c - dot products of pairs of bfloat16, by an instruction or by its twin.
 *
 * vdpbf16ps (Intel's manual, volume 2; what a Zen 4 computes agrees with it on 570 million sums, ordinary and made to differ):
 * the upper products are added to the sum first, then the lower ones, each by a fused multiply-add that rounds to nearest
 * even. Subnormal operands count as zero, and what is subnormal once it is rounded becomes zero, whatever MXCSR says.
 */
#include "gen.h"

#include <assert.h>

static LLVMValueRef bits(const vj_gen *g, LLVMValueRef like, uint32_t x) {
    return vj_splat(g, LLVMConstInt(g->i32, x, false), (int32_t)LLVMGetVectorSize(LLVMTypeOf(like)));
}

static LLVMValueRef as_float(const vj_gen *g, LLVMValueRef x) {
    return LLVMBuildBitCast(g->b, x, LLVMVectorType(g->f32, LLVMGetVectorSize(LLVMTypeOf(x))), "");
}

LLVMValueRef vj_flushed(const vj_gen *g, LLVMValueRef x) {
    LLVMValueRef exponent = LLVMBuildAnd(g->b, x, bits(g, x, 0x7f800000), "");
    LLVMValueRef small = LLVMBuildICmp(g->b, LLVMIntEQ, exponent, bits(g, x, 0), "");
    return LLVMBuildSelect(g->b, small, LLVMBuildAnd(g->b, x, bits(g, x, 0x80000000), ""), x, "");
}

/* A sum of 24 digits and a product of 16, added up in 53 and then cut to 24, are rounded as in one step, and the double tells what
 * rounds to less than 2^-126 with 24 digits. Rows without a multiply-add come to the same bits. */
LLVMValueRef vj_add_product_flushed(const vj_gen *g, LLVMValueRef acc, LLVMValueRef a, LLVMValueRef b) {
    const unsigned lanes = LLVMGetVectorSize(LLVMTypeOf(acc));
    LLVMTypeRef wide = LLVMVectorType(g->f64, lanes), floats = LLVMVectorType(g->f32, lanes);
    LLVMValueRef x = as_float(g, vj_flushed(g, a)), y = as_float(g, vj_flushed(g, b)),
                 z = as_float(g, vj_flushed(g, acc));
    LLVMValueRef product =
        LLVMBuildFMul(g->b, LLVMBuildFPExt(g->b, x, wide, ""), LLVMBuildFPExt(g->b, y, wide, ""), "");
    LLVMValueRef exact = LLVMBuildFAdd(g->b, product, LLVMBuildFPExt(g->b, z, wide, ""), "");
    LLVMValueRef sum = LLVMBuildBitCast(g->b, LLVMBuildFPTrunc(g->b, exact, floats, ""), LLVMTypeOf(acc), "");
    const double least = 0x1p-126 * (1 - 0x1p-25);
    LLVMValueRef low = vj_splat(g, LLVMConstReal(g->f64, -least), (int32_t)lanes);
    LLVMValueRef high = vj_splat(g, LLVMConstReal(g->f64, least), (int32_t)lanes);
    LLVMValueRef tiny = LLVMBuildAnd(g->b, LLVMBuildFCmp(g->b, LLVMRealOGT, exact, low, ""),
                                     LLVMBuildFCmp(g->b, LLVMRealOLT, exact, high, ""), "");
    return LLVMBuildSelect(g->b, tiny, LLVMBuildAnd(g->b, sum, bits(g, sum, 0x80000000), ""), sum, "");
}

static LLVMValueRef twin(const vj_gen *g, LLVMValueRef acc, LLVMValueRef a, LLVMValueRef b) {
    LLVMValueRef upper = bits(g, a, 0xffff0000), half = bits(g, a, 16);
    LLVMValueRef sum = LLVMBuildBitCast(g->b, acc, LLVMTypeOf(a), "");
    sum = vj_add_product_flushed(g, sum, LLVMBuildAnd(g->b, a, upper, ""), LLVMBuildAnd(g->b, b, upper, ""));
    sum = vj_add_product_flushed(g, sum, LLVMBuildShl(g->b, a, half, ""), LLVMBuildShl(g->b, b, half, ""));
    return as_float(g, sum);
}

LLVMValueRef vj_dot_bf16(const vj_gen *g, LLVMValueRef acc, LLVMValueRef a, LLVMValueRef b) {
    const unsigned lanes = LLVMGetVectorSize(LLVMTypeOf(acc));
    if (g->target->dot == VJ_DOT_BFDOT || g->target->dot == VJ_DOT_BFDOT_TWIN) return vj_bfdot(g, acc, a, b);
    if (g->target->dot == VJ_DOT_AVX512_TWIN) return twin(g, acc, a, b);
    assert(g->target->dot == VJ_DOT_AVX512 && (lanes == 4 || lanes == 8 || lanes == 16));
    const char *name = lanes == 16  ? "llvm.x86.avx512bf16.dpbf16ps.512"
                       : lanes == 8 ? "llvm.x86.avx512bf16.dpbf16ps.256"
                                    : "llvm.x86.avx512bf16.dpbf16ps.128";
    LLVMTypeRef pairs = LLVMVectorType(LLVMBFloatTypeInContext(g->context), 2 * lanes);
    LLVMValueRef args[] = {acc, LLVMBuildBitCast(g->b, a, pairs, ""), LLVMBuildBitCast(g->b, b, pairs, "")};
    return vj_intrinsic(g, name, NULL, 0, args, 3);
}

LLVMValueRef vj_dot_splat(const vj_gen *g, LLVMValueRef pair, int32_t lanes) {
    return g->target->dot == VJ_DOT_BFDOT ? vj_bfdot_splat(g, pair, lanes) : vj_splat(g, pair, lanes);
}
