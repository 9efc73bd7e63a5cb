/* SPDX-License-Identifier: Apache-2.0 */
/* kernelcheck.h - runs one kernel for every target that this CPU has, between guard pages, and compares it with the
 * evaluator in double precision. */
#ifndef VITJIT_TESTS_KERNELS_KERNELCHECK_H
#define VITJIT_TESTS_KERNELS_KERNELCHECK_H

#include "harness.h"

#define EPS 0x1p-24 /* half a unit in the last place of 1: a rounding's relative error */

/* Types of operands: of what is not packed, and of panels. */
typedef struct case_types {
    vj_dtype plain, packed;
    int32_t bits;  /* of u8 panels that are blocks; 0: they are none */
    int64_t block; /* 0: the whole depth */
    bool table;    /* numbers are places in a table */
} case_types;
extern case_types use_types; /* of the cases that are made from now on */

typedef struct kernel_case {
    const char *name;
    case_types types;
    vj_arena *arena;
    vj_program *p;
    vj_kernel *k;
    float *values
        [16]; /* of each buffer, rounded to its type when the case is checked (from [-1, 1] to all of an integer's range); NaN where
                          nothing may be read */
    rng random;
    /* the factor by which an epilogue stretches an error of the sum, and the relative error that it adds */
    double stretch, own;
    double
        lean; /* by which a float that is rounded to a whole number may be off, see vj_eval_kernel_leaning; 0: exact */
} kernel_case;

kernel_case case_new(const char *name, vj_kernel_kind kind, uint64_t seed);
/* Adds a buffer of NaN. case_fill then sets rows of `length` numbers in [low, high] that are `pitch` elements apart. */
int32_t case_buffer(kernel_case *c, int64_t elements);
/* The same for an operand of the product, which has its type. */
int32_t case_operand(kernel_case *c, int64_t elements);
void case_fill(kernel_case *c, int32_t buffer, int64_t rows, int64_t length, int64_t pitch, float low, float high);
/* Adds a buffer with B as packed panels and fills it. Padding is zero. */
int32_t case_panels(kernel_case *c, int64_t depth, int64_t columns);
/* Runs the case, compares and frees it; leaves out one whose depth does not suit panels of its type, and of integers with a plain B. */
void case_check(kernel_case *c);
/* From now on every count-th case is checked, beginning with number `of`; with --all each. */
void case_turns(int32_t of, int32_t count);

void gemm_cases(void **state);
void attention_cases(void **state);
void narrow_gemm_cases(void **state); /* the same of halves */
void narrow_attention_cases(void **state);
void integer_gemm_cases(void **state); /* the same of u8 and i8 */
void block_gemm_cases(void **state);   /* the same of blocks */
void byte_block_cases(void **state);   /* of u8 and blocks, with steps */

#endif
