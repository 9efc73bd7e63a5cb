/* SPDX-License-Identifier: Apache-2.0 */
/* dot_integers.c - dot products of fours of 8-bit integers, unsigned by signed, added to 32 bits: exact in every form, so that all
 * targets have the same bits.
 *
 *     VNNI    vpdpbusd, which takes a group whole and does not saturate (Intel's manual, volume 2)
 *     USDOT   the same of aarch64 (FEAT_I8MM)
 *     PAIRS   even and odd elements apart, as words; an instruction multiplies words and adds neighbours (pmaddwd, which is exact
 *             here: two products of 8 bits are below 2^17)
 *     BYTES   the same; and bytes in pairs (pmaddubsw) where the signed ones have 4 bits and a sign, so that sums of some fit into words
 *     PLAIN   each element by itself, as 32 bits
 */
#include "gen.h"

#include <assert.h>

static int32_t lanes_of(LLVMValueRef x) {
    LLVMTypeRef type = LLVMTypeOf(x);
    return LLVMGetTypeKind(type) == LLVMVectorTypeKind ? (int32_t)LLVMGetVectorSize(type) : 1;
}

static LLVMValueRef number(const vj_gen *g, LLVMValueRef like, uint32_t x) {
    return vj_splat(g, LLVMConstInt(g->i32, x, false), lanes_of(like));
}

/* Bits [8 e, 8 e + 8) of each lane as a number. */
static LLVMValueRef element(const vj_gen *g, LLVMValueRef groups, int32_t e, bool is_signed) {
    LLVMValueRef top = LLVMBuildShl(g->b, groups, number(g, groups, 24 - 8 * (uint32_t)e), "");
    LLVMValueRef down = number(g, groups, 24);
    return is_signed ? LLVMBuildAShr(g->b, top, down, "") : LLVMBuildLShr(g->b, top, down, "");
}

/* Elements e and e + 2 of each lane as its two words. */
static LLVMValueRef words(const vj_gen *g, LLVMValueRef groups, int32_t e, bool is_signed) {
    LLVMTypeRef type = LLVMVectorType(vj_llvm_type(g, VJ_I16), 2 * (unsigned)lanes_of(groups));
    LLVMValueRef x = LLVMBuildBitCast(g->b, groups, type, "");
    LLVMValueRef byte = vj_splat(g, LLVMConstInt(vj_llvm_type(g, VJ_I16), 8, false), 2 * lanes_of(groups));
    if (e == 0) x = LLVMBuildShl(g->b, x, byte, "");
    return is_signed ? LLVMBuildAShr(g->b, x, byte, "") : LLVMBuildLShr(g->b, x, byte, "");
}

vj_fours vj_fours_of(const vj_gen *g, LLVMValueRef groups, bool is_signed) {
    vj_fours x = {.form = vj_dot8_of(g->target, lanes_of(groups)), .part = {groups}};
    x.count = vj_dot8_parts(x.form);
    for (int32_t i = 0; i < x.count && x.count > 1; i++)
        x.part[i] = x.count == 2 ? words(g, groups, i, is_signed) : element(g, groups, i, is_signed);
    return x;
}

static LLVMValueRef vnni(const vj_gen *g, LLVMValueRef acc, LLVMValueRef a, LLVMValueRef b) {
    const int32_t lanes = lanes_of(acc);
    const char *name = lanes == 16  ? "llvm.x86.avx512.vpdpbusd.512"
                       : lanes == 8 ? "llvm.x86.avx512.vpdpbusd.256"
                                    : "llvm.x86.avx512.vpdpbusd.128";
    return vj_intrinsic(g, name, NULL, 0, (LLVMValueRef[]){acc, a, b}, 3);
}

static LLVMValueRef usdot(const vj_gen *g, LLVMValueRef acc, LLVMValueRef a, LLVMValueRef b) {
    LLVMTypeRef types[] = {LLVMTypeOf(acc), LLVMVectorType(vj_llvm_type(g, VJ_I8), 16)};
    LLVMValueRef args[] = {acc, LLVMBuildBitCast(g->b, a, types[1], ""), LLVMBuildBitCast(g->b, b, types[1], "")};
    return vj_intrinsic(g, "llvm.aarch64.neon.usdot", types, 2, args, 3);
}

static LLVMValueRef pairs(const vj_gen *g, LLVMValueRef acc, LLVMValueRef a, LLVMValueRef b) {
    const int32_t lanes = lanes_of(acc);
    const char *name = g->target->machine->recompiled ? "llvm.wasm.dot"
                       : lanes == 16                  ? "llvm.x86.avx512.pmaddw.d.512"
                       : lanes == 8                   ? "llvm.x86.avx2.pmadd.wd"
                                                      : "llvm.x86.sse2.pmadd.wd";
    return LLVMBuildAdd(g->b, acc, vj_intrinsic(g, name, NULL, 0, (LLVMValueRef[]){a, b}, 2), "");
}

LLVMValueRef vj_dot_fours(const vj_gen *g, LLVMValueRef acc, const vj_fours *a, const vj_fours *b) {
    assert(a->form == b->form);
    for (int32_t i = 0; i < a->count; i++) {
        LLVMValueRef x = a->part[i], y = b->part[i];
        if (a->form == VJ_DOT8_VNNI)
            acc = vnni(g, acc, x, y);
        else if (a->form == VJ_DOT8_USDOT)
            acc = usdot(g, acc, x, y);
        else if (a->form == VJ_DOT8_PAIRS)
            acc = pairs(g, acc, x, y);
        else
            acc = LLVMBuildAdd(g->b, acc, LLVMBuildMul(g->b, x, y, ""), "");
    }
    return acc;
}

bool vj_can_add_in_words(const vj_gen *g, int32_t lanes) {
    return g->target->dot8 == VJ_DOT8_BYTES && vj_dot8_of(g->target, lanes) == VJ_DOT8_PAIRS;
}

LLVMValueRef vj_dot_in_words(const vj_gen *g, LLVMValueRef sum, LLVMValueRef a, LLVMValueRef b) {
    const int32_t lanes = lanes_of(a);
    const char *name = lanes == 16  ? "llvm.x86.avx512.pmaddubs.w.512"
                       : lanes == 8 ? "llvm.x86.avx2.pmadd.ub.sw"
                                    : "llvm.x86.ssse3.pmadd.ub.sw.128";
    LLVMTypeRef bytes = LLVMVectorType(g->i8, 4 * (unsigned)lanes);
    LLVMValueRef args[] = {LLVMBuildBitCast(g->b, a, bytes, ""), LLVMBuildBitCast(g->b, b, bytes, "")};
    LLVMValueRef pairs = vj_intrinsic(g, name, NULL, 0, args, 2);
    return sum ? LLVMBuildAdd(g->b, sum, pairs, "") : pairs;
}

LLVMValueRef vj_add_words(const vj_gen *g, LLVMValueRef acc, LLVMValueRef sum) {
    LLVMValueRef one = LLVMConstInt(vj_llvm_type(g, VJ_I16), 1, false);
    return pairs(g, acc, sum, vj_splat(g, one, 2 * lanes_of(acc)));
}
