/* SPDX-License-Identifier: Apache-2.0 */
/* gen.h - private to backend/: what the generators share.
 *
 * A kernel becomes one LLVM function:
 *
 *     void kernel(ptr accesses, i64 first_unit, i64 last_unit)
 *
 * accesses[i] points at the element that access i reads when all axes are 0: the driver adds the buffer's base, the image
 * and the access' offset. So neither buffers, offsets nor names are in the code, and equal kernels are one function.
 * Pointers are aligned to their element only (packed weights: to 64 bytes). The function does units
 * [first_unit, last_unit) of kernel->units; every unit can run on any thread.
 */
#ifndef VITJIT_BACKEND_EMIT_GEN_H
#define VITJIT_BACKEND_EMIT_GEN_H

#include <llvm-c/Core.h>

#include "backend/backend.h"

typedef struct vj_gen {
    LLVMContextRef context;
    LLVMModuleRef module;
    LLVMBuilderRef b;
    const vj_target *target;
    const vj_program *p;
    const vj_kernel *k;
    LLVMValueRef function;
    LLVMValueRef access[VJ_MAX_ACCESSES]; /* the kernel's pointers, loaded where it begins */
    LLVMValueRef first_unit, last_unit;
    LLVMTypeRef i1, i8, i32, i64, f32, f64, ptr;
    int32_t lanes; /* of f32 in one vector register */
    vj_error *error;
} vj_gen;

/* kernel.c: makes the function for kernel k of p in the module, `name` its symbol; dispatches on the kind. */
LLVMValueRef vj_gen_kernel(LLVMModuleRef module, const vj_target *target, const vj_program *p, const vj_kernel *k,
                           const char *name, vj_error *error);
/* The passes of a kernel's module: its code is final but for repeated addresses and invariants. Never default<On>, which
 * unrolls and vectorizes once more. globaldce drops what a linked routine's file has beside it. instcombine stops the process when it needs a second round, unless told not to check. */
#define VJ_KERNEL_PASSES "globaldce,function(instcombine<no-verify-fixpoint>,simplifycfg,early-cse,loop-mssa(licm))"
/* The generator of each kind writes the body: vj_gen_gemm, ... */
#define KIND(id, name, ...) void vj_gen_##name(vj_gen *g);
#include "ir/kernel/kernel_kinds.def"

/* function.c: the function of that name, to be defined here or elsewhere; and the CPU, its features and vector width */
LLVMValueRef vj_declare_kernel(LLVMModuleRef module, const char *name);
void vj_set_target_attributes(const vj_gen *g, LLVMValueRef function);

/* emit.c: the verbs */

/* Calls LLVM's intrinsic of that name, overloaded over `types`. */
LLVMValueRef vj_intrinsic(const vj_gen *g, const char *name, LLVMTypeRef *types, size_t type_count, LLVMValueRef *args,
                          unsigned arg_count);

LLVMValueRef vj_i64(const vj_gen *g, int64_t x);
LLVMValueRef vj_f32(const vj_gen *g, double x);
LLVMTypeRef vj_llvm_type(const vj_gen *g, vj_dtype dtype);                  /* of an element in memory */
LLVMTypeRef vj_vector_type(const vj_gen *g, vj_dtype dtype, int32_t lanes); /* lanes 1: the scalar; bool is i1 */
LLVMValueRef vj_splat(const vj_gen *g, LLVMValueRef scalar, int32_t lanes);
/* p + elements * size of dtype */
LLVMValueRef vj_element(const vj_gen *g, LLVMValueRef pointer, vj_dtype dtype, LLVMValueRef elements);
LLVMValueRef vj_bytes_on(const vj_gen *g, LLVMValueRef pointer, LLVMValueRef bytes);
/* The smaller and the larger of two i64. */
LLVMValueRef vj_minimum(const vj_gen *g, LLVMValueRef a, LLVMValueRef b);
LLVMValueRef vj_maximum(const vj_gen *g, LLVMValueRef a, LLVMValueRef b);
/* a * b + c by the target's way (llvm.fma only where it is an instruction) */
LLVMValueRef vj_fma(const vj_gen *g, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c);
/* The same number, of which LLVM knows nothing: what is computed from it is not rewritten as steps of the loop around it,
 * which for a large body takes the code generator longer than all the rest. */
LLVMValueRef vj_opaque(const vj_gen *g, LLVMValueRef number);
/* The same of a vector: LLVM moves a broadcast behind the operations on it, where it is no load any more. */
LLVMValueRef vj_opaque_vector(const vj_gen *g, LLVMValueRef vector);
/* The same number, known only when the vector is: what is loaded by it takes no register before. */
LLVMValueRef vj_after(const vj_gen *g, LLVMValueRef number, LLVMValueRef vector);
/* A scalar in all lanes, for instructions that multiply by a lane: of a load LLVM would make one to all lanes. The letter is that of
 * a vector register in inline assembly. */
LLVMValueRef vj_lane_splat(const vj_gen *g, LLVMValueRef scalar, int32_t lanes, const char *letter);
/* What a step's loads start from. Where the code is compiled again, LLVM's steps would become an addition a load: opaque
 * pointers keep the distances in the loads. */
LLVMValueRef vj_step_base(const vj_gen *g, LLVMValueRef pointer);
/* A counted loop: for (i = first; i < last; i += step). Between begin and end the builder stands in the body.
 * `carried` values (accumulators) enter with their initial values, are read from loop->carried[] inside, get their next
 * values from vj_loop_end, and hold the final ones after it. Runs at least once only if `nonempty`. */
#define VJ_MAX_CARRIED 80
typedef struct vj_loop {
    LLVMValueRef index; /* i64 */
    LLVMValueRef carried[VJ_MAX_CARRIED];
    int32_t carried_count;
    LLVMBasicBlockRef head, body, exit;
    LLVMValueRef last, step;
    LLVMValueRef phi[VJ_MAX_CARRIED + 1];
} vj_loop;
void vj_loop_begin(vj_gen *g, vj_loop *loop, LLVMValueRef first, LLVMValueRef last, int64_t step, bool nonempty,
                   const LLVMValueRef *carried, int32_t carried_count);
void vj_loop_end(vj_gen *g, vj_loop *loop, const LLVMValueRef *next);
/* A stack array of `elements` of dtype, 64-byte aligned, in the entry block. */
LLVMValueRef vj_stack(const vj_gen *g, vj_dtype dtype, int64_t elements);
/* Lanes [0, count) of `lanes`, as <lanes x i1>; count is i64. */
LLVMValueRef vj_mask_first(const vj_gen *g, LLVMValueRef count, int32_t lanes);
LLVMValueRef vj_load_vector(const vj_gen *g, LLVMValueRef pointer, vj_dtype dtype, int32_t lanes, LLVMValueRef mask,
                            LLVMValueRef otherwise); /* mask NULL: all lanes */
void vj_store_vector(const vj_gen *g, LLVMValueRef pointer, LLVMValueRef value, LLVMValueRef mask);
void vj_prefetch(const vj_gen *g, LLVMValueRef pointer); /* the line at pointer into the second level; may be nowhere */

/* blocks.c: a panel of blocks, from the pointer `panel` on, becomes rows of 16 elements of f32, or pairs of rows of bf16, from `out` on:
 * `lanes` columns of it, the first of which is number `column` */
void vj_widen_blocks(vj_gen *g, const vj_blocks *blocks, vj_dtype to, LLVMValueRef panel, LLVMValueRef column,
                     int32_t lanes, LLVMValueRef out);

/* block_bytes.c: the same columns become groups of four bytes, numbers less zero points, in `parts` rows, taken apart as products need them
 * (vj_fours), or 1; and 16 i32 for each block from `start` on, which are -128 times the sums of its columns */
void vj_widen_to_bytes(vj_gen *g, const vj_blocks *blocks, int32_t parts, LLVMValueRef panel, LLVMValueRef column,
                       int32_t lanes, LLVMValueRef out, LLVMValueRef start);

/* dot.c: acc + the products of the two bfloat16 numbers in each i32 of a and b, in the order and with the roundings of the target's
 * instruction; of at least four lanes */
LLVMValueRef vj_dot_bf16(const vj_gen *g, LLVMValueRef acc, LLVMValueRef a, LLVMValueRef b);
/* A pair in all lanes, as vj_dot_bf16 takes it for a. */
LLVMValueRef vj_dot_splat(const vj_gen *g, LLVMValueRef pair, int32_t lanes);
/* bfdot.c: those of aarch64, for dot.c */
LLVMValueRef vj_bfdot_splat(const vj_gen *g, LLVMValueRef pair, int32_t lanes);
LLVMValueRef vj_bfdot(const vj_gen *g, LLVMValueRef acc, LLVMValueRef a, LLVMValueRef b);
/* For twins: vectors of floats given as their bits. Subnormal ones become zeros with their sign; acc + a b, by one rounding to nearest
 * even, of operands and to a result that are flushed so. */
LLVMValueRef vj_flushed(const vj_gen *g, LLVMValueRef x);
LLVMValueRef vj_add_product_flushed(const vj_gen *g, LLVMValueRef acc, LLVMValueRef a, LLVMValueRef b);

/* dot_integers.c: groups of four 8-bit integers in each i32, taken apart as the target multiplies them; and acc + the products of
 * those of a, unsigned, and of b, signed */
typedef struct vj_fours {
    vj_dot8 form;
    int32_t count;
    LLVMValueRef part[4];
} vj_fours;
vj_fours vj_fours_of(const vj_gen *g, LLVMValueRef groups, bool is_signed);
LLVMValueRef vj_dot_fours(const vj_gen *g, LLVMValueRef acc, const vj_fours *a, const vj_fours *b);

/* Where b is within 15 of 0: groups of bytes are multiplied and added to words, two a lane, of at most so many groups (NULL: none yet);
 * and those are added to acc. */
#define VJ_WORD_GROUPS 4
bool vj_can_add_in_words(const vj_gen *g, int32_t lanes);
LLVMValueRef vj_dot_in_words(const vj_gen *g, LLVMValueRef sum, LLVMValueRef a, LLVMValueRef b);
LLVMValueRef vj_add_words(const vj_gen *g, LLVMValueRef acc, LLVMValueRef sum);

/* lookup.c: can the target look so many bytes up at once, and those of a table of 256 bytes at these indices, bytes */
#define VJ_LOOKUP_BYTES 256
bool vj_can_look_up(const vj_gen *g, int32_t lanes);
LLVMValueRef vj_look_up(const vj_gen *g, LLVMValueRef table, LLVMValueRef index, int32_t lanes);
/* A table of 16 floats, in registers where the CPU permutes them; and, for each lane of a vector of i32, the float at the place that its
 * four bits from number `bit` on have. */
typedef struct vj_table {
    LLVMValueRef at, part[2]; /* where it stands; NULL: no register */
    int32_t lanes;
} vj_table;
vj_table vj_load_table(const vj_gen *g, LLVMValueRef at, int32_t lanes);
LLVMValueRef vj_look_up_float(const vj_gen *g, const vj_table *table, LLVMValueRef word, int32_t bit);

/* half.c: float16 and bfloat16, whose registers hold their bits */
static inline bool vj_is_half(vj_dtype dtype) { return dtype == VJ_F16 || dtype == VJ_BF16; }
LLVMValueRef vj_half_constant(const vj_gen *g, vj_dtype dtype, double x);
LLVMValueRef vj_from_half(const vj_gen *g, vj_dtype dtype, LLVMValueRef x, int32_t lanes); /* to f32 */
/* To nearest even, NaN stays NaN; bfloat16 has no subnormal numbers, they become zeros. The same bits on every target. */
LLVMValueRef vj_to_half(const vj_gen *g, vj_dtype dtype, LLVMValueRef x, int32_t lanes);
/* The same of two vectors as pairs, the first number in the low half. */
LLVMValueRef vj_to_bf16_pairs(const vj_gen *g, LLVMValueRef low, LLVMValueRef high, int32_t lanes);
/* An f32 that is no NaN, rounded to a bfloat16 (subnormal ones too), as f32. */
LLVMValueRef vj_bf16_number(const vj_gen *g, LLVMValueRef x, int32_t lanes);

/* expr.c: scalar expressions at a point of the iteration space, for one element or for `lanes` along one axis */

typedef struct vj_point {
    int32_t lanes;                   /* 1: scalars */
    int32_t vector_axis;             /* lanes run along this axis; -1 with lanes 1 */
    LLVMValueRef index[VJ_MAX_AXES]; /* i64 counters; of lane 0 for the vector axis; NULL where no access needs it */
    int64_t shift[VJ_MAX_AXES]; /* to be added to the counters: of neighbours, whose addresses differ by a constant */
    LLVMValueRef mask;          /* <lanes x i1>: the lanes that exist; NULL: all. Others are never touched. */
    LLVMValueRef acc;           /* VJ_X_ACC */
    const LLVMValueRef *stage;  /* VJ_X_STAGE */
} vj_point;
LLVMValueRef vj_emit_expr(vj_gen *g, int32_t expr, const vj_point *point);
/* Loads through access i: a vector load where the vector axis has stride 1, a splat where 0, element by element else;
 * terms are obeyed. Booleans are bytes in memory and i1 in registers. */
LLVMValueRef vj_emit_load(vj_gen *g, int32_t access, const vj_point *point);
void vj_emit_store(vj_gen *g, int32_t access, const vj_point *point, LLVMValueRef value);
/* Sum of stride * (index + shift) over the axes, i64 elements; what is constant is added last. */
LLVMValueRef vj_emit_offset(vj_gen *g, const vj_access *access, const vj_point *point);

/* lanes.c */

/* Result `out` at `count` lanes of `vector` (its ACC) along `axis` from the point on: whole, masked where masks are cheap,
 * else in pieces of 8, 4, 2, 1. */
void vj_store_lanes(vj_gen *g, const vj_out *out, const vj_point *start, int32_t axis, LLVMValueRef vector,
                    int32_t count);
/* The same of several results. */
void vj_store_lanes_of(vj_gen *g, const vj_out *const *outs, int32_t out_count, const vj_point *start, int32_t axis,
                       LLVMValueRef vector, int32_t count);
/* Transposes `lanes` vectors of as many lanes in place. */
void vj_transpose(const vj_gen *g, LLVMValueRef *rows, int32_t lanes);

/* math/scalar.c: the code of a scalar operation on scalars or vectors of `dtype` (b: of those with two arguments); NULL:
 * there is none for this type. Bounds are stated where the functions are, and tested in tests/vmath. */
LLVMValueRef vj_emit_scalar(vj_gen *g, vj_xop op, vj_dtype dtype, LLVMValueRef a, LLVMValueRef b);

/* math/vmath.c: 2^x and e^x for f32 x <= 0 or NaN: short; results below 2^-126 are 0 or denormal */
LLVMValueRef vj_exp2_negative(vj_gen *g, LLVMValueRef x);
LLVMValueRef vj_exp_negative(vj_gen *g, LLVMValueRef x);
/* math/coarse.c: the same for results that are rounded to bfloat16; an elementwise op of f32 for such a result, NULL: there is none. */
LLVMValueRef vj_exp_negative_coarse(vj_gen *g, LLVMValueRef x);
LLVMValueRef vj_emit_coarse(vj_gen *g, vj_xop op, LLVMValueRef x);

#endif
