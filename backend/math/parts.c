/* SPDX-License-Identifier: Apache-2.0 */
/* parts.c - the steps that the functions of this room share. */
#include "vmath.h"

#include <assert.h>
#include <string.h>

LLVMTypeRef vj_like(LLVMTypeRef element, LLVMValueRef like) {
    LLVMTypeRef type = LLVMTypeOf(like);
    const bool vector = LLVMGetTypeKind(type) == LLVMVectorTypeKind;
    return vector ? LLVMVectorType(element, LLVMGetVectorSize(type)) : element;
}

static LLVMValueRef all_lanes(LLVMValueRef one, LLVMValueRef like) {
    LLVMTypeRef type = LLVMTypeOf(like);
    LLVMValueRef lane[64];
    if (LLVMGetTypeKind(type) != LLVMVectorTypeKind) return one;
    const unsigned lanes = LLVMGetVectorSize(type);
    assert(lanes <= 64);
    for (unsigned i = 0; i < lanes; i++)
        lane[i] = one;
    return LLVMConstVector(lane, lanes);
}

LLVMValueRef vj_real(const vj_gen *g, LLVMValueRef like, double x) {
    (void)g;
    LLVMTypeRef type = LLVMTypeOf(like);
    const bool vector = LLVMGetTypeKind(type) == LLVMVectorTypeKind;
    return all_lanes(LLVMConstReal(vector ? LLVMGetElementType(type) : type, x), like);
}

LLVMValueRef vj_whole(const vj_gen *g, LLVMTypeRef element, LLVMValueRef like, int64_t x) {
    (void)g;
    return all_lanes(LLVMConstInt(element, (unsigned long long)x, true), like);
}

LLVMValueRef vj_number(const vj_gen *g, LLVMValueRef like, double x) {
    LLVMTypeRef type = LLVMTypeOf(like);
    LLVMTypeRef element = LLVMGetTypeKind(type) == LLVMVectorTypeKind ? LLVMGetElementType(type) : type;
    const bool integer = LLVMGetTypeKind(element) == LLVMIntegerTypeKind;
    return integer ? vj_whole(g, element, like, (int64_t)x) : vj_real(g, like, x);
}

LLVMValueRef vj_polynomial(const vj_gen *g, LLVMValueRef x, const double *c, int32_t count) {
    LLVMValueRef sum = vj_real(g, x, c[count - 1]);
    for (int32_t i = count - 2; i >= 0; i--)
        sum = vj_fma(g, sum, x, vj_real(g, x, c[i]));
    return sum;
}

static LLVMValueRef same_type(const vj_gen *g, const char *name, LLVMValueRef *args, unsigned count) {
    LLVMTypeRef type = LLVMTypeOf(args[0]);
    return vj_intrinsic(g, name, &type, 1, args, count);
}

LLVMValueRef vj_size(const vj_gen *g, LLVMValueRef x) { return same_type(g, "llvm.fabs", &x, 1); }

LLVMValueRef vj_with_sign(const vj_gen *g, LLVMValueRef x, LLVMValueRef s) {
    return same_type(g, "llvm.copysign", (LLVMValueRef[]){x, s}, 2);
}

LLVMValueRef vj_root(const vj_gen *g, LLVMValueRef x) { return same_type(g, "llvm.sqrt", &x, 1); }

LLVMValueRef vj_at_most(const vj_gen *g, LLVMValueRef x, double limit) {
    LLVMValueRef l = vj_real(g, x, limit);
    return LLVMBuildSelect(g->b, LLVMBuildFCmp(g->b, LLVMRealOGT, x, l, ""), l, x, "");
}

LLVMValueRef vj_at_least(const vj_gen *g, LLVMValueRef x, double limit) {
    LLVMValueRef l = vj_real(g, x, limit);
    return LLVMBuildSelect(g->b, LLVMBuildFCmp(g->b, LLVMRealOLT, x, l, ""), l, x, "");
}

LLVMValueRef vj_as_i64(const vj_gen *g, LLVMValueRef x) { return LLVMBuildBitCast(g->b, x, vj_like(g->i64, x), ""); }

LLVMValueRef vj_as_f64(const vj_gen *g, LLVMValueRef x) { return LLVMBuildBitCast(g->b, x, vj_like(g->f64, x), ""); }

LLVMValueRef vj_real_equal(const vj_gen *g, LLVMValueRef x, double y) {
    return LLVMBuildFCmp(g->b, LLVMRealOEQ, x, vj_real(g, x, y), "");
}
