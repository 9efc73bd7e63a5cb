/* SPDX-License-Identifier: Apache-2.0 */
/* half.c - float16 and bfloat16. In registers and in memory they are their bits, i16, so that no target needs LLVM's types
 * of that width, which become calls where the CPU has no instructions. Casts are the only arithmetic.
 */
#include "gen.h"

#include "vitjit_half.h"

LLVMValueRef vj_half_constant(const vj_gen *g, vj_dtype dtype, double x) {
    return LLVMConstInt(vj_llvm_type(g, dtype), dtype == VJ_F16 ? vj_f16_of(x) : vj_bf16_of(x), false);
}

static LLVMTypeRef of_lanes(LLVMTypeRef element, int32_t lanes) {
    return lanes == 1 ? element : LLVMVectorType(element, (unsigned)lanes);
}

static LLVMValueRef bits(const vj_gen *g, uint32_t x, int32_t lanes) {
    return vj_splat(g, LLVMConstInt(g->i32, x, false), lanes);
}

/* float16 without instructions: exponent and fraction, moved to where float32 has them, are 2^-112 times the number,
 * subnormal or not; infinities and NaN have another exponent. */
static LLVMValueRef f32_of_f16(const vj_gen *g, LLVMValueRef word, int32_t lanes) {
    LLVMTypeRef floats = of_lanes(g->f32, lanes), ints = of_lanes(g->i32, lanes);
    LLVMValueRef size = LLVMBuildAnd(g->b, word, bits(g, 0x7fff, lanes), "");
    LLVMValueRef moved = LLVMBuildShl(g->b, size, bits(g, 13, lanes), "");
    LLVMValueRef scale = vj_splat(g, vj_f32(g, 0x1p112), lanes);
    LLVMValueRef number = LLVMBuildFMul(g->b, LLVMBuildBitCast(g->b, moved, floats, ""), scale, "");
    LLVMValueRef special = LLVMBuildOr(g->b, moved, bits(g, 0x7f800000, lanes), "");
    LLVMValueRef is_special = LLVMBuildICmp(g->b, LLVMIntUGE, size, bits(g, 0x7c00, lanes), "");
    LLVMValueRef y = LLVMBuildSelect(g->b, is_special, special, LLVMBuildBitCast(g->b, number, ints, ""), "");
    LLVMValueRef sign =
        LLVMBuildShl(g->b, LLVMBuildAnd(g->b, word, bits(g, 0x8000, lanes), ""), bits(g, 16, lanes), "");
    return LLVMBuildBitCast(g->b, LLVMBuildOr(g->b, y, sign, ""), floats, "");
}

LLVMValueRef vj_from_half(const vj_gen *g, vj_dtype dtype, LLVMValueRef x, int32_t lanes) {
    LLVMTypeRef floats = of_lanes(g->f32, lanes), ints = of_lanes(g->i32, lanes);
    if (dtype == VJ_F16 && g->target->half_conversions) {
        LLVMTypeRef half = of_lanes(LLVMHalfTypeInContext(g->context), lanes);
        return LLVMBuildFPExt(g->b, LLVMBuildBitCast(g->b, x, half, ""), floats, "");
    }
    LLVMValueRef word = LLVMBuildZExt(g->b, x, ints, "");
    if (dtype == VJ_F16) return f32_of_f16(g, word, lanes);
    return LLVMBuildBitCast(g->b, LLVMBuildShl(g->b, word, bits(g, 16, lanes), ""), floats, "");
}

/* Half of the last bit that stays is added, less one when that bit is 0: to nearest, ties to even. */
static LLVMValueRef rounded(const vj_gen *g, LLVMValueRef x, uint32_t dropped, int32_t lanes) {
    LLVMValueRef last = LLVMBuildAnd(g->b, LLVMBuildLShr(g->b, x, bits(g, dropped, lanes), ""), bits(g, 1, lanes), "");
    LLVMValueRef sum = LLVMBuildAdd(g->b, x, bits(g, (1u << (dropped - 1)) - 1, lanes), "");
    return LLVMBuildAdd(g->b, sum, last, "");
}

/* `size` is |x| as bits. Below 2^-14 the sum with 1/2 has 2^-24 as its last place, and rounds there. */
static LLVMValueRef f16_of_f32(const vj_gen *g, LLVMValueRef size, int32_t lanes) {
    LLVMTypeRef floats = of_lanes(g->f32, lanes), ints = of_lanes(g->i32, lanes);
    LLVMValueRef based = LLVMBuildSub(g->b, size, bits(g, 112u << 23, lanes), "");
    LLVMValueRef normal = LLVMBuildLShr(g->b, rounded(g, based, 13, lanes), bits(g, 13, lanes), "");
    LLVMValueRef half = vj_splat(g, vj_f32(g, 0.5), lanes);
    LLVMValueRef sum = LLVMBuildFAdd(g->b, LLVMBuildBitCast(g->b, size, floats, ""), half, "");
    LLVMValueRef small = LLVMBuildSub(g->b, LLVMBuildBitCast(g->b, sum, ints, ""), bits(g, 0x3f000000, lanes), "");
    LLVMValueRef is_small = LLVMBuildICmp(g->b, LLVMIntULT, size, bits(g, 0x38800000, lanes), "");
    LLVMValueRef is_large = LLVMBuildICmp(g->b, LLVMIntUGE, size, bits(g, 0x477ff000, lanes), ""); /* 65520 */
    LLVMValueRef is_nan = LLVMBuildICmp(g->b, LLVMIntUGT, size, bits(g, 0x7f800000, lanes), "");
    LLVMValueRef y = LLVMBuildSelect(g->b, is_small, small, normal, "");
    y = LLVMBuildSelect(g->b, is_large, bits(g, 0x7c00, lanes), y, "");
    return LLVMBuildSelect(g->b, is_nan, bits(g, 0x7e00, lanes), y, "");
}

/* The upper half of the result. The same bits as vcvtneps2bf16: a NaN keeps the upper part of its payload, and is quiet; what is
 * subnormal becomes a zero of its sign. */
static LLVMValueRef bf16_of_f32(const vj_gen *g, LLVMValueRef x, LLVMValueRef word, int32_t lanes) {
    LLVMValueRef is_nan = LLVMBuildFCmp(g->b, LLVMRealUNO, x, x, "");
    LLVMValueRef exponent = LLVMBuildAnd(g->b, word, bits(g, 0x7f800000, lanes), "");
    LLVMValueRef is_small = LLVMBuildICmp(g->b, LLVMIntEQ, exponent, bits(g, 0, lanes), "");
    LLVMValueRef quiet = LLVMBuildOr(g->b, word, bits(g, 0x00400000, lanes), "");
    LLVMValueRef y = LLVMBuildSelect(g->b, is_nan, quiet, rounded(g, word, 16, lanes), "");
    LLVMValueRef zero = LLVMBuildAnd(g->b, word, bits(g, 0x80000000u, lanes), "");
    y = LLVMBuildSelect(g->b, is_small, zero, y, "");
    return LLVMBuildLShr(g->b, y, bits(g, 16, lanes), "");
}

LLVMValueRef vj_bf16_number(const vj_gen *g, LLVMValueRef x, int32_t lanes) {
    LLVMValueRef word = LLVMBuildBitCast(g->b, x, of_lanes(g->i32, lanes), "");
    LLVMValueRef y = LLVMBuildAnd(g->b, rounded(g, word, 16, lanes), bits(g, 0xffff0000u, lanes), "");
    return LLVMBuildBitCast(g->b, y, of_lanes(g->f32, lanes), "");
}

/* By the instruction, where the row has it for so many lanes; NULL: it has not. */
static LLVMValueRef bf16_by_instruction(const vj_gen *g, LLVMValueRef x, int32_t lanes) {
    if (!g->target->bf16_conversions || (lanes != 8 && lanes != 16)) return NULL;
    const char *name = lanes == 16 ? "llvm.x86.avx512bf16.cvtneps2bf16.512" : "llvm.x86.avx512bf16.cvtneps2bf16.256";
    return vj_intrinsic(g, name, NULL, 0, &x, 1);
}

/* Two vectors of 16 by one instruction, which leaves them one behind the other. */
static LLVMValueRef pairs_by_instruction(const vj_gen *g, LLVMValueRef low, LLVMValueRef high, int32_t lanes) {
    enum { LANES = 16 };
    if (!g->target->bf16_conversions || lanes != LANES) return NULL;
    LLVMValueRef both =
        vj_intrinsic(g, "llvm.x86.avx512bf16.cvtne2ps2bf16.512", NULL, 0, (LLVMValueRef[]){high, low}, 2);
    LLVMValueRef words = LLVMBuildBitCast(g->b, both, of_lanes(vj_llvm_type(g, VJ_BF16), 2 * LANES), "");
    LLVMValueRef order[2 * LANES];
    for (int32_t i = 0; i < 2 * LANES; i++)
        order[i] = LLVMConstInt(g->i32, (unsigned)(i / 2 + i % 2 * LANES), false);
    words = LLVMBuildShuffleVector(g->b, words, words, LLVMConstVector(order, 2 * LANES), "");
    return LLVMBuildBitCast(g->b, words, of_lanes(g->i32, LANES), "");
}

LLVMValueRef vj_to_bf16_pairs(const vj_gen *g, LLVMValueRef low, LLVMValueRef high, int32_t lanes) {
    LLVMValueRef pairs = pairs_by_instruction(g, low, high, lanes);
    if (pairs) return pairs;
    LLVMValueRef half[2] = {vj_to_half(g, VJ_BF16, low, lanes), vj_to_half(g, VJ_BF16, high, lanes)};
    for (int32_t i = 0; i < 2; i++)
        half[i] = LLVMBuildZExt(g->b, half[i], of_lanes(g->i32, lanes), "");
    return LLVMBuildOr(g->b, half[0], LLVMBuildShl(g->b, half[1], bits(g, 16, lanes), ""), "");
}

LLVMValueRef vj_to_half(const vj_gen *g, vj_dtype dtype, LLVMValueRef x, int32_t lanes) {
    LLVMTypeRef words = of_lanes(vj_llvm_type(g, dtype), lanes);
    if (dtype == VJ_F16 && g->target->half_conversions) {
        LLVMTypeRef half = of_lanes(LLVMHalfTypeInContext(g->context), lanes);
        return LLVMBuildBitCast(g->b, LLVMBuildFPTrunc(g->b, x, half, ""), words, "");
    }
    LLVMValueRef narrow = dtype == VJ_BF16 ? bf16_by_instruction(g, x, lanes) : NULL;
    if (narrow) return LLVMBuildBitCast(g->b, narrow, words, "");
    LLVMValueRef word = LLVMBuildBitCast(g->b, x, of_lanes(g->i32, lanes), "");
    if (dtype == VJ_BF16) return LLVMBuildTrunc(g->b, bf16_of_f32(g, x, word, lanes), words, "");
    LLVMValueRef size = LLVMBuildAnd(g->b, word, bits(g, 0x7fffffff, lanes), "");
    LLVMValueRef sign =
        LLVMBuildLShr(g->b, LLVMBuildAnd(g->b, word, bits(g, 0x80000000u, lanes), ""), bits(g, 16, lanes), "");
    return LLVMBuildTrunc(g->b, LLVMBuildOr(g->b, f16_of_f32(g, size, lanes), sign, ""), words, "");
}
