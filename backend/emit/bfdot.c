/* SPDX-License-Identifier: Apache-2.0 */
/* bfdot.c - aarch64's dot product of pairs of bfloat16 (FEAT_BF16), by the instruction or by its twin.
 *
 * BFDOT (Arm's architecture manual, BFDotAdd with FPCR.EBF = 0, as Linux has it) multiplies both pairs, adds the products,
 * and adds that to the sum: sum + (a0 b0 + a1 b1). Products are exact; each of the two additions rounds to odd: what is not exact
 * is cut, and its last bit is set. Operands and results below 2^-126 before rounding become zeros with their sign, what reaches
 * 2^128 becomes infinity, and every NaN is the default one. FPCR has no say, but for FPCR.AH, which Linux leaves at 0.
 */
#include "gen.h"

#include <assert.h>
#include <stdio.h>

/* A double has so many bits of fraction more than a float. */
#define DROPPED 29

static LLVMTypeRef vector_like(LLVMTypeRef element, LLVMValueRef x) {
    return LLVMVectorType(element, LLVMGetVectorSize(LLVMTypeOf(x)));
}

static LLVMValueRef number(const vj_gen *g, LLVMValueRef like, uint64_t x) {
    return vj_splat(g, LLVMConstInt(g->i64, x, false), (int32_t)LLVMGetVectorSize(LLVMTypeOf(like)));
}

static LLVMValueRef is_not_zero(const vj_gen *g, LLVMValueRef x) {
    return LLVMBuildICmp(g->b, LLVMIntNE, x, LLVMConstNull(LLVMTypeOf(x)), "");
}

/* Doubles rounded to odd floats, as doubles. All that is below a float's last bit is in the double's fraction. */
static LLVMValueRef to_float(const vj_gen *g, LLVMValueRef x) {
    LLVMValueRef bits = LLVMBuildBitCast(g->b, x, vector_like(g->i64, x), "");
    const uint64_t below = (UINT64_C(1) << DROPPED) - 1, sign = UINT64_C(1) << 63;
    LLVMValueRef inexact = is_not_zero(g, LLVMBuildAnd(g->b, bits, number(g, x, below), ""));
    LLVMValueRef last = LLVMBuildSelect(g->b, inexact, number(g, x, below + 1), number(g, x, 0), "");
    LLVMValueRef y = LLVMBuildOr(g->b, LLVMBuildAnd(g->b, bits, number(g, x, ~below), ""), last, "");
    LLVMValueRef size = LLVMBuildAnd(g->b, y, number(g, x, ~sign), "");
    const uint64_t least = UINT64_C(0x381) << 52, most = UINT64_C(0x47f) << 52, none = UINT64_C(0x7ff) << 52;
    LLVMValueRef signs = LLVMBuildAnd(g->b, bits, number(g, x, sign), "");
    LLVMValueRef infinities = LLVMBuildOr(g->b, signs, number(g, x, none), "");
    LLVMValueRef tiny = LLVMBuildICmp(g->b, LLVMIntULT, size, number(g, x, least), "");
    LLVMValueRef large = LLVMBuildICmp(g->b, LLVMIntUGE, size, number(g, x, most), "");
    y = LLVMBuildSelect(g->b, tiny, signs, LLVMBuildSelect(g->b, large, infinities, y, ""), "");
    LLVMValueRef is_nan = LLVMBuildFCmp(g->b, LLVMRealUNO, x, x, "");
    y = LLVMBuildSelect(g->b, is_nan, number(g, x, none | UINT64_C(1) << 51), y, "");
    return LLVMBuildBitCast(g->b, y, LLVMTypeOf(x), "");
}

/* x + y of doubles, rounded to odd: to nearest, then, if that is even and not exact, one step towards the exact sum. */
static LLVMValueRef odd_sum(const vj_gen *g, LLVMValueRef x, LLVMValueRef y) {
    LLVMTypeRef words = vector_like(g->i64, x);
    LLVMValueRef sum = LLVMBuildFAdd(g->b, x, y, ""), of_y = LLVMBuildFSub(g->b, sum, x, "");
    LLVMValueRef left_x = LLVMBuildFSub(g->b, x, LLVMBuildFSub(g->b, sum, of_y, ""), "");
    LLVMValueRef left = LLVMBuildFAdd(g->b, left_x, LLVMBuildFSub(g->b, y, of_y, ""), "");
    LLVMValueRef bits = LLVMBuildBitCast(g->b, sum, words, ""), rest = LLVMBuildBitCast(g->b, left, words, "");
    LLVMValueRef inexact = LLVMBuildFCmp(g->b, LLVMRealONE, left, LLVMConstNull(LLVMTypeOf(x)), "");
    LLVMValueRef odd = is_not_zero(g, LLVMBuildAnd(g->b, bits, number(g, x, 1), ""));
    LLVMValueRef moves = LLVMBuildAnd(g->b, inexact, LLVMBuildNot(g->b, odd, ""), "");
    /* -1 where the rest has the other sign, else 1 */
    LLVMValueRef other = LLVMBuildAShr(g->b, LLVMBuildXor(g->b, bits, rest, ""), number(g, x, 63), "");
    LLVMValueRef step = LLVMBuildOr(g->b, other, number(g, x, 1), "");
    bits = LLVMBuildAdd(g->b, bits, LLVMBuildSelect(g->b, moves, step, number(g, x, 0), ""), "");
    return LLVMBuildBitCast(g->b, bits, LLVMTypeOf(x), "");
}

/* Floats given as their bits, as doubles; subnormal ones become zeros. */
static LLVMValueRef flushed(const vj_gen *g, LLVMValueRef bits) {
    LLVMValueRef x = LLVMBuildBitCast(g->b, bits, vector_like(g->f32, bits), "");
    return to_float(g, LLVMBuildFPExt(g->b, x, vector_like(g->f64, bits), ""));
}

/* The product of the lower or the upper numbers of pairs. */
static LLVMValueRef product(const vj_gen *g, LLVMValueRef a, LLVMValueRef b, bool upper) {
    const int32_t lanes = (int32_t)LLVMGetVectorSize(LLVMTypeOf(a));
    LLVMValueRef factor[2] = {a, b};
    for (int32_t i = 0; i < 2; i++) {
        LLVMValueRef bits =
            upper ? LLVMBuildAnd(g->b, factor[i], vj_splat(g, LLVMConstInt(g->i32, 0xffff0000, false), lanes), "")
                  : LLVMBuildShl(g->b, factor[i], vj_splat(g, LLVMConstInt(g->i32, 16, false), lanes), "");
        factor[i] = flushed(g, bits);
    }
    return to_float(g, LLVMBuildFMul(g->b, factor[0], factor[1], ""));
}

static LLVMValueRef twin_result(const vj_gen *g, LLVMValueRef acc, LLVMValueRef a, LLVMValueRef b) {
    LLVMValueRef products = to_float(g, odd_sum(g, product(g, a, b, false), product(g, a, b, true)));
    LLVMValueRef sum = flushed(g, LLVMBuildBitCast(g->b, acc, LLVMTypeOf(a), ""));
    return LLVMBuildFPTrunc(g->b, to_float(g, odd_sum(g, sum, products)), LLVMTypeOf(acc), "");
}

/* The twin's function for vectors of such a length: a tile calls it many times. */
static LLVMValueRef twin_function(const vj_gen *g, LLVMTypeRef type, const char *name) {
    LLVMValueRef function = LLVMGetNamedFunction(g->module, name);
    if (function) return function;
    function = LLVMAddFunction(g->module, name, type);
    LLVMSetLinkage(function, LLVMInternalLinkage);
    vj_set_target_attributes(g, function);
    vj_gen inside = *g;
    inside.b = LLVMCreateBuilderInContext(g->context);
    LLVMPositionBuilderAtEnd(inside.b, LLVMAppendBasicBlockInContext(g->context, function, ""));
    LLVMValueRef argument[3];
    LLVMGetParams(function, argument);
    LLVMBuildRet(inside.b, twin_result(&inside, argument[0], argument[1], argument[2]));
    LLVMDisposeBuilder(inside.b);
    return function;
}

static LLVMValueRef twin(const vj_gen *g, LLVMValueRef acc, LLVMValueRef a, LLVMValueRef b) {
    LLVMTypeRef taken[] = {LLVMTypeOf(acc), LLVMTypeOf(a), LLVMTypeOf(b)};
    LLVMTypeRef type = LLVMFunctionType(taken[0], taken, 3, false);
    char name[24];
    snprintf(name, sizeof name, "bfdot_twin_%u", LLVMGetVectorSize(taken[0]));
    return LLVMBuildCall2(g->b, type, twin_function(g, type, name), (LLVMValueRef[]){acc, a, b}, 3, "");
}

LLVMValueRef vj_bfdot(const vj_gen *g, LLVMValueRef acc, LLVMValueRef a, LLVMValueRef b) {
    if (g->target->dot == VJ_DOT_BFDOT_TWIN) return twin(g, acc, a, b);
    assert(g->target->dot == VJ_DOT_BFDOT && LLVMGetVectorSize(LLVMTypeOf(acc)) == 4);
    LLVMTypeRef types[] = {LLVMTypeOf(acc), LLVMVectorType(LLVMBFloatTypeInContext(g->context), 8)};
    /* a comes second: that is the operand of which a lane can be taken */
    LLVMValueRef args[] = {acc, LLVMBuildBitCast(g->b, b, types[1], ""), LLVMBuildBitCast(g->b, a, types[1], "")};
    return vj_intrinsic(g, "llvm.aarch64.neon.bfdot", types, 2, args, 3);
}

/* By a lane: a load to all lanes takes a vector unit from the products. The lane is a float's, as LLVM's pattern wants it. */
LLVMValueRef vj_bfdot_splat(const vj_gen *g, LLVMValueRef pair, int32_t lanes) {
    return vj_lane_splat(g, LLVMBuildBitCast(g->b, pair, g->f32, ""), lanes, "w");
}
