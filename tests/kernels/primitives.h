/* SPDX-License-Identifier: Apache-2.0 */
/* primitives.h - single operations of generated code as functions, and what products of bfloat16 are held to. */
#ifndef VITJIT_TESTS_KERNELS_PRIMITIVES_H
#define VITJIT_TESTS_KERNELS_PRIMITIVES_H

#include "backend/emit/gen.h"
#include "harness.h"

/* sum, a and b are pointers; what they point at is the test's. */
typedef void (*primitive_entry)(float *sum, const uint32_t *a, const uint32_t *b);

/* A function of three pointers whose body `write` writes. */
typedef struct primitive primitive;
typedef void (*primitive_body)(vj_gen *g, const void *what);
/* Fails where the code needs a symbol of others. NULL: the row does not run here. */
primitive *primitive_make(const vj_target *target, primitive_body write, const void *what);
primitive_entry primitive_at(const primitive *p);
void primitive_free(primitive *p);

/* sum + a b by one rounding to nearest even; subnormal operands and results are zeros. a and b are bfloat16. */
float add_product(float sum, uint16_t a, uint16_t b);
/* Fails unless the bits are those wanted, or both are NaN. */
void same_bits(const char *name, float got, float want);

/* A sum, two pairs of factors. */
typedef struct pair_sum {
    uint32_t sum, a, b; /* a float; pairs of bfloat16 */
} pair_sum;
enum { ORDINARY, ANY_BITS, NEAR_UNDERFLOW, NEAR_OVERFLOW, CANCELLING, SPECIAL, KINDS };
/* Numbers at which products, sums or their order could be rounded, flushed or lost otherwise. */
pair_sum pair_sum_of(rng *r, int32_t kind);

#endif
