/* SPDX-License-Identifier: Apache-2.0 */
/* micro.h - what multiplies: the sums of a tile, and a step of k that adds to them. Whoever walks through k (a gemm, an
 * attention) says how operands are loaded; the form says what is done with them.
 *
 *     FMA   operands are widened to f32 as they are loaded, and multiplied and added element by element of k
 *     DOT   a step adds the products of all elements of a group, by one instruction where the target has it: of pairs of bfloat16
 *           to f32, of fours of u8 (A) and i8 (B) to i32
 *
 * Elements of k come in groups: as many as panels hold together, or as are multiplied together; else one. A group of A is
 * a scalar of its bits, a group of B a vector of such, a lane a column.
 */
#ifndef VITJIT_BACKEND_KERNELS_MICRO_H
#define VITJIT_BACKEND_KERNELS_MICRO_H

#include "backend/emit/gen.h"

/* height * width sums stay in registers, of which no target has more than this */
#define VJ_MAX_TILE 32

typedef struct vj_micro {
    vj_gen *g;
    vj_form form;
    vj_dtype a, b; /* as they are stored */
    vj_dtype sum;
    int32_t lanes; /* columns of a vector */
    int32_t group; /* elements of k */
    int32_t step;  /* elements of k that are added at a time: a group, or with `in_words` some */
    int32_t
        parts; /* in which panels have groups of B: 1, or as products of bytes need them, part i where element 4 i / parts would be */
    bool in_words; /* B is within 15 of 0, and the target adds such products in words */
} vj_micro;

/* Loads of elements [k, k + count) of a group from the step's base on: of row r of A as a scalar, of vector j of B as a vector, of
 * the type that vj_group_type says. With `again` the group is read for a second time, and from memory rather than from a
 * register that was kept. */
typedef struct vj_micro_loads {
    const void *self;
    LLVMValueRef (*a)(const void *self, int64_t k, int32_t count, int32_t r, bool again);
    LLVMValueRef (*b)(const void *self, int64_t k, int32_t count, int32_t j, bool again);
} vj_micro_loads;

/* How operands of these types, B packed or not, are multiplied in this form. */
vj_micro vj_micro_of(vj_gen *g, vj_form form, vj_dtype a, vj_dtype b, bool packed, int32_t lanes);

/* A's bytes are multiplied by differences of so many bits and a sign, whose panels are made for it. */
void vj_micro_by_blocks(vj_micro *m, int32_t bits);

/* sum[r * width + j] of height x width vectors. */
void vj_micro_clear(const vj_micro *m, int32_t count, LLVMValueRef *sum);
/* Adds elements [k, k + count) of one step: fewer than it has at the end of k alone. */
void vj_micro_step(const vj_micro *m, const vj_micro_loads *loads, int64_t k, int32_t count, int32_t height,
                   int32_t width, LLVMValueRef *sum);

/* Narrow elements as the bits of one i32, the first lowest; those that are left out are 0. */
LLVMValueRef vj_group_of(const vj_gen *g, const LLVMValueRef *elements, int32_t count);
/* Element `e` of pairs of bfloat16, as f32: such a number is the upper half of a float. */
LLVMValueRef vj_of_pairs(const vj_gen *g, LLVMValueRef pairs, int32_t e, int32_t lanes);
/* The four bytes from the pointer on, to elements of this type: a whole group of A. */
LLVMValueRef vj_load_group(const vj_gen *g, LLVMValueRef pointer, vj_dtype dtype);

#endif
