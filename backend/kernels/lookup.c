/* lookup.c - bytes from a table of 256, a byte each: by permutations of registers that hold the table, where the CPU permutes bytes
 * (AVX-512 VBMI), two that look among 128 bytes each and a choice by the index's upper bit. */
#include "access.h"

enum { TABLE = 256, REGISTER = 64 };

/* The byte that is the index of a lookup in such a table; -1: the access is something else. */
static int32_t index_byte(const vj_gen *g, const vj_access *access, const vj_point *point) {
    const vj_kernel *k = g->k;
    const vj_term *term = &access->terms[0];
    if (!(g->target->cpu_feature_bits & VJ_CPU_AVX512VBMI) || point->lanes < 8 || point->lanes > REGISTER) return -1;
    if (access->term_count != 1 || term->kind != VJ_TERM_INDEX || term->extent != TABLE || term->stride != 1) return -1;
    for (int32_t axis = 0; axis < k->rank; axis++)
        if (access->stride[axis] != 0) return -1;
    const vj_dtype dtype = g->p->buffers[access->buffer].dtype;
    const vj_expr *index = &k->expr[term->index];
    if ((dtype != VJ_U8 && dtype != VJ_I8) || index->op != VJ_X_CAST) return -1;
    return k->expr[index->arg[0]].dtype == VJ_U8 ? index->arg[0] : -1;
}

/* The first `from` of lanes as `to` lanes. */
static LLVMValueRef resized(const vj_gen *g, LLVMValueRef x, int32_t from, int32_t to) {
    LLVMValueRef lane[REGISTER];
    if (from == to) return x;
    for (int32_t i = 0; i < to; i++)
        lane[i] = i < from ? LLVMConstInt(g->i32, (unsigned)i, false) : LLVMGetPoison(g->i32);
    return LLVMBuildShuffleVector(g->b, x, LLVMGetPoison(LLVMTypeOf(x)), LLVMConstVector(lane, (unsigned)to), "");
}

LLVMValueRef vj_emit_lookup(vj_gen *g, int32_t access_number, const vj_point *point) {
    const vj_access *access = &g->k->access[access_number];
    const int32_t byte = index_byte(g, access, point);
    if (byte < 0) return NULL;
    LLVMValueRef index = resized(g, vj_emit_expr(g, byte, point), point->lanes, REGISTER), part[TABLE / REGISTER];
    for (int32_t i = 0; i < TABLE / REGISTER; i++) {
        LLVMValueRef at = vj_element(g, g->access[access_number], VJ_U8, vj_i64(g, access->offset + i * REGISTER));
        part[i] = vj_load_vector(g, at, VJ_U8, REGISTER, NULL, NULL);
    }
    LLVMValueRef half[2];
    for (int32_t i = 0; i < 2; i++)
        half[i] = vj_intrinsic(g, "llvm.x86.avx512.vpermi2var.qi.512", NULL, 0,
                               (LLVMValueRef[]){part[2 * i], index, part[2 * i + 1]}, 3);
    LLVMValueRef upper = LLVMBuildICmp(g->b, LLVMIntSLT, index, LLVMConstNull(LLVMTypeOf(index)), "");
    return resized(g, LLVMBuildSelect(g->b, upper, half[1], half[0], ""), REGISTER, point->lanes);
}
