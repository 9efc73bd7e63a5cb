/* lookup.c - bytes from a table of 256, a byte each: by permutations of registers that hold the table, where the CPU permutes bytes
 * (AVX-512 VBMI), two that look among 128 bytes each and a choice by the index's upper bit. */
#include "gen.h"

enum { REGISTER = 64, PARTS = VJ_LOOKUP_BYTES / REGISTER };

bool vj_can_look_up(const vj_gen *g, int32_t lanes) {
    return (g->target->cpu_feature_bits & VJ_CPU_AVX512VBMI) && lanes >= 8 && lanes <= REGISTER;
}

/* The first `from` of lanes as `to` lanes. */
static LLVMValueRef resized(const vj_gen *g, LLVMValueRef x, int32_t from, int32_t to) {
    LLVMValueRef lane[REGISTER];
    if (from == to) return x;
    for (int32_t i = 0; i < to; i++)
        lane[i] = i < from ? LLVMConstInt(g->i32, (unsigned)i, false) : LLVMGetPoison(g->i32);
    return LLVMBuildShuffleVector(g->b, x, LLVMGetPoison(LLVMTypeOf(x)), LLVMConstVector(lane, (unsigned)to), "");
}

LLVMValueRef vj_look_up(const vj_gen *g, LLVMValueRef table, LLVMValueRef index, int32_t lanes) {
    LLVMValueRef part[PARTS], half[PARTS / 2];
    index = resized(g, index, lanes, REGISTER);
    for (int32_t i = 0; i < PARTS; i++) {
        LLVMValueRef at = vj_element(g, table, VJ_U8, vj_i64(g, (int64_t)i * REGISTER));
        part[i] = vj_load_vector(g, at, VJ_U8, REGISTER, NULL, NULL);
    }
    for (int32_t i = 0; i < PARTS / 2; i++)
        half[i] = vj_intrinsic(g, "llvm.x86.avx512.vpermi2var.qi.512", NULL, 0,
                               (LLVMValueRef[]){part[2 * i], index, part[2 * i + 1]}, 3);
    LLVMValueRef upper = LLVMBuildICmp(g->b, LLVMIntSLT, index, LLVMConstNull(LLVMTypeOf(index)), "");
    return resized(g, LLVMBuildSelect(g->b, upper, half[1], half[0], ""), REGISTER, lanes);
}
