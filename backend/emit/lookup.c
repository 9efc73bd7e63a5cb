/* SPDX-License-Identifier: Apache-2.0 */
/* lookup.c - what tables have.
 *
 * Bytes from a table of 256, a byte each: by permutations of registers that hold the table, where the CPU permutes bytes (AVX-512 VBMI),
 * two that look among 128 bytes each and a choice by the index's upper bit.
 *
 * Floats from a table of 16: by a permutation of the register that holds it (AVX-512), or of two, which look at three bits of the index,
 * and a choice by the fourth (AVX2). Elsewhere they are loaded one by one. */
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

enum { FLOATS = 16, HALF = FLOATS / 2 };

vj_table vj_load_table(const vj_gen *g, LLVMValueRef at, int32_t lanes) {
    vj_table table = {.at = at, .lanes = lanes};
    const uint64_t has = g->target->cpu_feature_bits;
    const bool permutes = (lanes == FLOATS && has & VJ_CPU_AVX512F) || (lanes == HALF && has & VJ_CPU_AVX2);
    for (int32_t i = 0; permutes && i < FLOATS / lanes; i++)
        table.part[i] =
            vj_load_vector(g, vj_element(g, at, VJ_F32, vj_i64(g, (int64_t)i * lanes)), VJ_F32, lanes, NULL, NULL);
    return table;
}

static LLVMValueRef same_word(const vj_gen *g, const vj_table *table, int32_t word) {
    return vj_splat(g, LLVMConstInt(g->i32, (uint32_t)word, false), table->lanes);
}

static LLVMValueRef load_at(const vj_gen *g, const vj_table *table, LLVMValueRef place) {
    LLVMValueRef at = vj_element(g, table->at, VJ_F32, LLVMBuildZExt(g->b, place, g->i64, ""));
    return vj_load_vector(g, at, VJ_F32, 1, NULL, NULL);
}

static LLVMValueRef load_each(const vj_gen *g, const vj_table *table, LLVMValueRef index) {
    LLVMValueRef found = LLVMGetPoison(vj_vector_type(g, VJ_F32, table->lanes));
    if (table->lanes == 1) return load_at(g, table, index);
    for (int32_t i = 0; i < table->lanes; i++) {
        LLVMValueRef one = load_at(g, table, LLVMBuildExtractElement(g->b, index, vj_i64(g, i), ""));
        found = LLVMBuildInsertElement(g->b, found, one, vj_i64(g, i), "");
    }
    return found;
}

LLVMValueRef vj_look_up_float(const vj_gen *g, const vj_table *table, LLVMValueRef word, int32_t bit) {
    LLVMValueRef index = bit ? LLVMBuildLShr(g->b, word, same_word(g, table, bit), "") : word;
    if (!table->part[0]) return load_each(g, table, LLVMBuildAnd(g->b, index, same_word(g, table, FLOATS - 1), ""));
    if (table->lanes == FLOATS)
        return vj_intrinsic(g, "llvm.x86.avx512.permvar.sf.512", NULL, 0, (LLVMValueRef[]){table->part[0], index}, 2);
    LLVMValueRef half[2];
    for (int32_t i = 0; i < 2; i++)
        half[i] = vj_intrinsic(g, "llvm.x86.avx2.permps", NULL, 0, (LLVMValueRef[]){table->part[i], index}, 2);
    LLVMValueRef fourth = LLVMBuildShl(g->b, word, same_word(g, table, 28 - bit), "");
    LLVMValueRef upper = LLVMBuildICmp(g->b, LLVMIntSLT, fourth, LLVMConstNull(LLVMTypeOf(fourth)), "");
    return LLVMBuildSelect(g->b, upper, half[1], half[0], "");
}
