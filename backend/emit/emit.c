/* SPDX-License-Identifier: Apache-2.0 */
/* emit.c - the few verbs that the generators use: constants, loops, vector loads and stores, multiply-add, reductions.
 *
 * Nothing here knows a kernel. Vectors of booleans are <n x i1> in registers and bytes in memory.
 */
#include "gen.h"

#include <assert.h>
#include <llvm-c/Target.h>

#include <string.h>
#include <stdio.h>

LLVMValueRef vj_i64(const vj_gen *g, int64_t x) { return LLVMConstInt(g->i64, (unsigned long long)x, true); }

LLVMValueRef vj_f32(const vj_gen *g, double x) { return LLVMConstReal(g->f32, x); }

LLVMTypeRef vj_llvm_type(const vj_gen *g, vj_dtype dtype) {
    switch (dtype) {
    case VJ_F32:
        return g->f32;
    case VJ_F64:
        return g->f64;
    case VJ_BOOL:
    case VJ_I8:
    case VJ_U8:
        return g->i8;
    case VJ_F16: /* half.c */
    case VJ_BF16:
    case VJ_I16:
    case VJ_U16:
        return LLVMInt16TypeInContext(g->context);
    case VJ_I32:
    case VJ_U32:
        return g->i32;
    default:
        return g->i64;
    }
}

LLVMTypeRef vj_vector_type(const vj_gen *g, vj_dtype dtype, int32_t lanes) {
    LLVMTypeRef element = dtype == VJ_BOOL ? g->i1 : vj_llvm_type(g, dtype);
    return lanes == 1 ? element : LLVMVectorType(element, (unsigned)lanes);
}

LLVMValueRef vj_splat(const vj_gen *g, LLVMValueRef scalar, int32_t lanes) {
    if (lanes == 1) return scalar;
    LLVMTypeRef type = LLVMVectorType(LLVMTypeOf(scalar), (unsigned)lanes);
    LLVMValueRef one = LLVMBuildInsertElement(g->b, LLVMGetPoison(type), scalar, vj_i64(g, 0), "");
    LLVMValueRef zeros = LLVMConstNull(LLVMVectorType(g->i32, (unsigned)lanes));
    return LLVMBuildShuffleVector(g->b, one, LLVMGetPoison(type), zeros, "");
}

LLVMValueRef vj_element(const vj_gen *g, LLVMValueRef pointer, vj_dtype dtype, LLVMValueRef elements) {
    return LLVMBuildInBoundsGEP2(g->b, vj_llvm_type(g, dtype), pointer, &elements, 1, "");
}

LLVMValueRef vj_bytes_on(const vj_gen *g, LLVMValueRef pointer, LLVMValueRef bytes) {
    return vj_element(g, pointer, VJ_U8, bytes);
}

static LLVMValueRef pick(const vj_gen *g, LLVMIntPredicate order, LLVMValueRef a, LLVMValueRef b) {
    return LLVMBuildSelect(g->b, LLVMBuildICmp(g->b, order, a, b, ""), a, b, "");
}

LLVMValueRef vj_minimum(const vj_gen *g, LLVMValueRef a, LLVMValueRef b) { return pick(g, LLVMIntSLT, a, b); }
LLVMValueRef vj_maximum(const vj_gen *g, LLVMValueRef a, LLVMValueRef b) { return pick(g, LLVMIntSGT, a, b); }

LLVMValueRef vj_intrinsic(const vj_gen *g, const char *name, LLVMTypeRef *types, size_t type_count, LLVMValueRef *args,
                          unsigned arg_count) {
    unsigned id = LLVMLookupIntrinsicID(name, __builtin_strlen(name));
    assert(id != 0);
    LLVMValueRef function = LLVMGetIntrinsicDeclaration(g->module, id, types, type_count);
    return LLVMBuildCall2(g->b, LLVMGlobalGetValueType(function), function, args, arg_count, "");
}

LLVMValueRef vj_fma(const vj_gen *g, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c) {
    if (g->target->muladd == VJ_MULADD_SEPARATE) return LLVMBuildFAdd(g->b, LLVMBuildFMul(g->b, a, b, ""), c, "");
    LLVMTypeRef type = LLVMTypeOf(a);
    return vj_intrinsic(g, "llvm.fma", &type, 1, (LLVMValueRef[]){a, b, c}, 3);
}

static unsigned element_bytes(LLVMTypeRef type) {
    switch (LLVMGetTypeKind(type)) {
    case LLVMFloatTypeKind:
        return 4;
    case LLVMDoubleTypeKind:
        return 8;
    case LLVMHalfTypeKind:
    case LLVMBFloatTypeKind:
        return 2;
    default:
        assert(LLVMGetTypeKind(type) == LLVMIntegerTypeKind && LLVMGetIntTypeWidth(type) % 8 == 0);
        return LLVMGetIntTypeWidth(type) / 8;
    }
}

/* Assembly without instructions, whose result is its operand, in a register that the letter names. */
static LLVMValueRef through_nothing(const vj_gen *g, LLVMValueRef x, const char *letter) {
    LLVMTypeRef type = LLVMTypeOf(x), function = LLVMFunctionType(type, &type, 1, false);
    char in_place[8];
    const int length = snprintf(in_place, sizeof in_place, "=%s,0", letter);
    LLVMValueRef nothing =
        LLVMGetInlineAsm(function, "", 0, in_place, (size_t)length, false, false, LLVMInlineAsmDialectATT, false);
    return LLVMBuildCall2(g->b, function, nothing, &x, 1, "");
}

LLVMValueRef vj_opaque(const vj_gen *g, LLVMValueRef number) {
    return LLVMIsAConstant(number) ? number : through_nothing(g, number, "r");
}

LLVMValueRef vj_opaque_vector(const vj_gen *g, LLVMValueRef vector) {
    enum { LEAST_REGISTER = 16 }; /* bytes */
    const char *letter = g->target->machine->vector_letter;
    LLVMTypeRef type = LLVMTypeOf(vector);
    if (!*letter || LLVMGetTypeKind(type) != LLVMVectorTypeKind) return vector;
    const unsigned bytes = LLVMGetVectorSize(type) * element_bytes(LLVMGetElementType(type));
    return bytes < LEAST_REGISTER ? vector : through_nothing(g, vector, letter);
}

LLVMValueRef vj_after(const vj_gen *g, LLVMValueRef number, LLVMValueRef vector) {
    const char *letter = g->target->machine->vector_letter;
    LLVMTypeRef type = LLVMTypeOf(number), types[] = {type, LLVMTypeOf(vector)};
    if (!*letter || LLVMGetTypeKind(types[1]) != LLVMVectorTypeKind) return vj_opaque(g, number);
    char constraints[16];
    snprintf(constraints, sizeof constraints, "=r,0,%s", letter);
    LLVMTypeRef function = LLVMFunctionType(type, types, 2, false);
    LLVMValueRef nothing = LLVMGetInlineAsm(function, "", 0, constraints, strlen(constraints), false, false,
                                            LLVMInlineAsmDialectATT, false);
    return LLVMBuildCall2(g->b, function, nothing, (LLVMValueRef[]){number, vector}, 2, "");
}

LLVMValueRef vj_lane_splat(const vj_gen *g, LLVMValueRef scalar, int32_t lanes, const char *letter) {
    LLVMTypeRef type = LLVMVectorType(LLVMTypeOf(scalar), (unsigned)lanes);
    LLVMValueRef one = LLVMBuildInsertElement(g->b, LLVMGetPoison(type), scalar, vj_i64(g, 0), "");
    LLVMValueRef zeros = LLVMConstNull(LLVMVectorType(g->i32, (unsigned)lanes));
    return LLVMBuildShuffleVector(g->b, through_nothing(g, one, letter), LLVMGetPoison(type), zeros, "");
}

LLVMValueRef vj_step_base(const vj_gen *g, LLVMValueRef pointer) {
    return g->target->machine->recompiled ? vj_opaque(g, pointer) : pointer;
}

void vj_loop_begin(vj_gen *g, vj_loop *loop, LLVMValueRef first, LLVMValueRef last, int64_t step, bool nonempty,
                   const LLVMValueRef *carried, int32_t carried_count) {
    assert(carried_count <= VJ_MAX_CARRIED);
    loop->head = LLVMGetInsertBlock(g->b);
    loop->body = LLVMAppendBasicBlockInContext(g->context, g->function, "loop");
    loop->exit = LLVMAppendBasicBlockInContext(g->context, g->function, "done");
    loop->last = last;
    loop->step = vj_i64(g, step);
    loop->carried_count = carried_count;
    if (nonempty) {
        LLVMBuildBr(g->b, loop->body);
    } else {
        LLVMValueRef any = LLVMBuildICmp(g->b, LLVMIntSLT, first, last, "");
        LLVMBuildCondBr(g->b, any, loop->body, loop->exit);
        /* What stands after a loop that did not run: the initial values, joined at its exit. */
        LLVMPositionBuilderAtEnd(g->b, loop->exit);
        for (int32_t i = 0; i < carried_count; i++) {
            loop->phi[i] = LLVMBuildPhi(g->b, LLVMTypeOf(carried[i]), "");
            LLVMAddIncoming(loop->phi[i], (LLVMValueRef *)&carried[i], &loop->head, 1);
        }
    }
    LLVMPositionBuilderAtEnd(g->b, loop->body);
    loop->index = LLVMBuildPhi(g->b, g->i64, "i");
    LLVMAddIncoming(loop->index, &first, &loop->head, 1);
    for (int32_t i = 0; i < carried_count; i++) {
        loop->carried[i] = LLVMBuildPhi(g->b, LLVMTypeOf(carried[i]), "");
        LLVMAddIncoming(loop->carried[i], (LLVMValueRef *)&carried[i], &loop->head, 1);
        if (nonempty) loop->phi[i] = NULL;
    }
}

/* The counter of a loop around others: as steps of its own their many addresses cost LLVM more than all the rest, and
 * gain nothing (see vj_opaque). */
static void hide_counter(const vj_gen *g, const vj_loop *loop) {
    LLVMValueRef first = LLVMGetFirstInstruction(loop->body);
    while (LLVMGetInstructionOpcode(first) == LLVMPHI)
        first = LLVMGetNextInstruction(first);
    LLVMPositionBuilderBefore(g->b, first);
    LLVMValueRef hidden = vj_opaque(g, loop->index);
    LLVMReplaceAllUsesWith(loop->index, hidden);
    LLVMSetOperand(hidden, 0, loop->index);
}

void vj_loop_end(vj_gen *g, vj_loop *loop, const LLVMValueRef *next) {
    LLVMBasicBlockRef latch = LLVMGetInsertBlock(g->b);
    if (latch != loop->body) hide_counter(g, loop);
    LLVMPositionBuilderAtEnd(g->b, latch);
    LLVMValueRef index = LLVMBuildNSWAdd(g->b, loop->index, loop->step, "");
    LLVMBuildCondBr(g->b, LLVMBuildICmp(g->b, LLVMIntSLT, index, loop->last, ""), loop->body, loop->exit);
    LLVMAddIncoming(loop->index, &index, &latch, 1);
    for (int32_t i = 0; i < loop->carried_count; i++) {
        LLVMAddIncoming(loop->carried[i], (LLVMValueRef *)&next[i], &latch, 1);
        if (loop->phi[i]) LLVMAddIncoming(loop->phi[i], (LLVMValueRef *)&next[i], &latch, 1);
        loop->carried[i] = loop->phi[i] ? loop->phi[i] : next[i];
    }
    LLVMMoveBasicBlockAfter(loop->exit, latch);
    LLVMPositionBuilderAtEnd(g->b, loop->exit);
}

LLVMValueRef vj_stack(const vj_gen *g, vj_dtype dtype, int64_t elements) {
    LLVMBuilderRef b = LLVMCreateBuilderInContext(g->context);
    LLVMBasicBlockRef entry = LLVMGetEntryBasicBlock(g->function);
    LLVMValueRef first = LLVMGetFirstInstruction(entry);
    if (first) {
        LLVMPositionBuilderBefore(b, first);
    } else {
        LLVMPositionBuilderAtEnd(b, entry);
    }
    LLVMValueRef at = LLVMBuildAlloca(b, LLVMArrayType2(vj_llvm_type(g, dtype), (uint64_t)elements), "");
    LLVMSetAlignment(at, 64);
    LLVMDisposeBuilder(b);
    return at;
}

LLVMValueRef vj_mask_first(const vj_gen *g, LLVMValueRef count, int32_t lanes) {
    assert(lanes <= 64);
    LLVMValueRef lane[64], bits[64];
    if (LLVMIsAConstantInt(count)) {
        long long n = LLVMConstIntGetSExtValue(count);
        for (int32_t i = 0; i < lanes; i++)
            bits[i] = LLVMConstInt(g->i1, i < n, false);
        return lanes == 1 ? bits[0] : LLVMConstVector(bits, (unsigned)lanes);
    }
    if (lanes == 1) return LLVMBuildICmp(g->b, LLVMIntSGT, count, vj_i64(g, 0), "");
    /* Lanes are compared as i32, of which a register holds as many as of f32. */
    LLVMValueRef many = LLVMBuildICmp(g->b, LLVMIntSGT, count, vj_i64(g, lanes), "");
    LLVMValueRef some = LLVMBuildTrunc(g->b, LLVMBuildSelect(g->b, many, vj_i64(g, lanes), count, ""), g->i32, "");
    for (int32_t i = 0; i < lanes; i++)
        lane[i] = LLVMConstInt(g->i32, (unsigned long long)i, false);
    return LLVMBuildICmp(g->b, LLVMIntSGT, vj_splat(g, some, lanes), LLVMConstVector(lane, (unsigned)lanes), "");
}

void vj_prefetch(const vj_gen *g, LLVMValueRef pointer) {
    const unsigned read = 0, second_level = 2, data = 1;
    LLVMValueRef args[4] = {pointer, LLVMConstInt(g->i32, read, false), LLVMConstInt(g->i32, second_level, false),
                            LLVMConstInt(g->i32, data, false)};
    vj_intrinsic(g, "llvm.prefetch", (LLVMTypeRef *)&g->ptr, 1, args, 4);
}

/* Boolean bytes become i1 by "is not zero". */
static LLVMValueRef byte_to_bool(const vj_gen *g, LLVMValueRef bytes) {
    return LLVMBuildICmp(g->b, LLVMIntNE, bytes, LLVMConstNull(LLVMTypeOf(bytes)), "");
}

LLVMValueRef vj_load_vector(const vj_gen *g, LLVMValueRef pointer, vj_dtype dtype, int32_t lanes, LLVMValueRef mask,
                            LLVMValueRef otherwise) {
    LLVMTypeRef element = vj_llvm_type(g, dtype);
    LLVMTypeRef type = lanes == 1 ? element : LLVMVectorType(element, (unsigned)lanes);
    unsigned align = element_bytes(element);
    LLVMValueRef value;
    if (!mask) {
        value = LLVMBuildLoad2(g->b, type, pointer, "");
        LLVMSetAlignment(value, align);
        return dtype == VJ_BOOL ? byte_to_bool(g, value) : value;
    }
    assert(lanes > 1);
    LLVMValueRef pass = otherwise ? otherwise : LLVMConstNull(type);
    if (dtype == VJ_BOOL && otherwise) pass = LLVMBuildZExt(g->b, otherwise, type, "");
    LLVMValueRef args[4] = {pointer, LLVMConstInt(g->i32, align, false), mask, pass};
    LLVMTypeRef types[2] = {type, g->ptr};
    value = vj_intrinsic(g, "llvm.masked.load", types, 2, args, 4);
    return dtype == VJ_BOOL ? byte_to_bool(g, value) : value;
}

void vj_store_vector(const vj_gen *g, LLVMValueRef pointer, LLVMValueRef value, LLVMValueRef mask) {
    LLVMTypeRef type = LLVMTypeOf(value);
    bool vector = LLVMGetTypeKind(type) == LLVMVectorTypeKind;
    if ((vector ? LLVMGetElementType(type) : type) == g->i1) {
        type = vector ? LLVMVectorType(g->i8, LLVMGetVectorSize(type)) : g->i8;
        value = LLVMBuildZExt(g->b, value, type, "");
    }
    unsigned align = element_bytes(vector ? LLVMGetElementType(type) : type);
    if (!mask) {
        LLVMSetAlignment(LLVMBuildStore(g->b, value, pointer), align);
        return;
    }
    assert(vector);
    LLVMTypeRef types[2] = {type, g->ptr};
    LLVMValueRef args[4] = {value, pointer, LLVMConstInt(g->i32, align, false), mask};
    vj_intrinsic(g, "llvm.masked.store", types, 2, args, 4);
}
