/* SPDX-License-Identifier: Apache-2.0 */
/* reduce.c - reductions: the value to start from, two values as one, the lanes of a vector as one. */
#include "reduce.h"
#include "ir/tensor/scalar.h"

#include <assert.h>

LLVMValueRef vj_reduce_identity(const vj_gen *g, vj_dtype dtype, vj_reduce_kind kind, int32_t lanes) {
    LLVMTypeRef type = vj_vector_type(g, dtype, 1);
    if (vj_dtype_is_float(dtype)) {
        const double inf = __builtin_inf();
        const double x = kind == VJ_REDUCE_SUM ? 0 : kind == VJ_REDUCE_PROD ? 1 : kind == VJ_REDUCE_MAX ? -inf : inf;
        return vj_splat(g, LLVMConstReal(type, x), lanes);
    }
    const bool is_unsigned = dtype == VJ_BOOL || vj_dtype_is_unsigned(dtype);
    const unsigned bits = LLVMGetIntTypeWidth(type);
    const uint64_t ones = bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1, top = ones / 2;
    uint64_t x = kind == VJ_REDUCE_PROD ? 1 : 0;
    if (kind == VJ_REDUCE_MAX) x = is_unsigned ? 0 : top + 1;
    if (kind == VJ_REDUCE_MIN) x = is_unsigned ? ones : top;
    return vj_splat(g, LLVMConstInt(type, x, false), lanes);
}

/* The greatest or least of two floats: an instruction that gives b where one is a NaN, and a choice for a NaN in a. */
static LLVMValueRef extreme(vj_gen *g, bool max, LLVMValueRef a, LLVMValueRef b) {
    LLVMValueRef first = LLVMBuildFCmp(g->b, max ? LLVMRealOGT : LLVMRealOLT, a, b, "");
    LLVMValueRef either = LLVMBuildSelect(g->b, first, a, b, "");
    return LLVMBuildSelect(g->b, LLVMBuildFCmp(g->b, LLVMRealUNO, a, a, ""), a, either, "");
}

LLVMValueRef vj_reduce_two(vj_gen *g, vj_dtype dtype, vj_reduce_kind kind, LLVMValueRef a, LLVMValueRef b) {
    const vj_dtype number = dtype == VJ_BOOL ? VJ_U8 : dtype; /* a bit is compared, and added, as an unsigned number */
    if (kind == VJ_REDUCE_SUM) return vj_gen_add(g, number, a, b);
    if (kind == VJ_REDUCE_PROD) return vj_gen_mul(g, number, a, b);
    if (vj_dtype_is_float(dtype)) return extreme(g, kind == VJ_REDUCE_MAX, a, b);
    return kind == VJ_REDUCE_MAX ? vj_gen_max(g, number, a, b) : vj_gen_min(g, number, a, b);
}

/* The lower and the upper half of a vector. */
static void halve(const vj_gen *g, LLVMValueRef vector, LLVMValueRef half[2]) {
    const unsigned count = LLVMGetVectorSize(LLVMTypeOf(vector)) / 2;
    for (unsigned upper = 0; upper < 2; upper++) {
        LLVMValueRef lane[32];
        for (unsigned i = 0; i < count; i++)
            lane[i] = LLVMConstInt(g->i32, upper * count + i, false);
        LLVMValueRef none = LLVMGetPoison(LLVMTypeOf(vector));
        half[upper] = LLVMBuildShuffleVector(g->b, vector, none, LLVMConstVector(lane, count), "");
    }
}

LLVMValueRef vj_reduce_lanes(vj_gen *g, vj_dtype dtype, vj_reduce_kind kind, LLVMValueRef vector) {
    if (LLVMGetTypeKind(LLVMTypeOf(vector)) != LLVMVectorTypeKind) return vector;
    const unsigned lanes = LLVMGetVectorSize(LLVMTypeOf(vector));
    assert((lanes & (lanes - 1)) == 0 && lanes <= 64);
    for (unsigned rest = lanes; rest > 1; rest /= 2) {
        LLVMValueRef half[2];
        halve(g, vector, half);
        vector = vj_reduce_two(g, dtype, kind, half[0], half[1]);
    }
    return LLVMBuildExtractElement(g->b, vector, vj_i64(g, 0), "");
}

LLVMValueRef vj_larger(const vj_gen *g, LLVMValueRef a, LLVMValueRef b) {
    return LLVMBuildSelect(g->b, LLVMBuildFCmp(g->b, LLVMRealOGT, a, b, ""), a, b, "");
}

LLVMValueRef vj_largest_lane(const vj_gen *g, LLVMValueRef vector) {
    if (LLVMGetTypeKind(LLVMTypeOf(vector)) != LLVMVectorTypeKind) return vector;
    for (unsigned rest = LLVMGetVectorSize(LLVMTypeOf(vector)); rest > 1; rest /= 2) {
        LLVMValueRef half[2];
        halve(g, vector, half);
        vector = vj_larger(g, half[0], half[1]);
    }
    return LLVMBuildExtractElement(g->b, vector, vj_i64(g, 0), "");
}
