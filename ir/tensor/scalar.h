/* SPDX-License-Identifier: Apache-2.0 */
/* scalar.h - what the rows of elementwise.def mean, on one element: floats in double, integers in 64 bits, which the
 * caller wraps to their width. Both reference evaluators and the reading of weights have their arithmetic from here;
 * generated code has nothing of it. */
#ifndef VITJIT_IR_TENSOR_SCALAR_H
#define VITJIT_IR_TENSOR_SCALAR_H

#include <math.h>

#include "ir.h"

/* round_blocks: a step is a 127th of the block's largest number, which counts as so much at least; in bytes so much stands for 0. */
#define VJ_STEPS_OF_BLOCK 127.0
#define VJ_LEAST_OF_BLOCK 1e-30
#define VJ_ZERO_OF_BLOCK  128

/* The types that an op takes. */
typedef enum vj_types {
    VJ_TYPES_ANY,
    VJ_TYPES_FLOAT,
    VJ_TYPES_NUMBER,   /* floats and integers */
    VJ_TYPES_SIGNED,   /* those of them that can be negative */
    VJ_TYPES_BITS,     /* booleans, and integers bit by bit */
    VJ_TYPES_UNSIGNED, /* integers */
} vj_types;

static inline bool vj_dtype_is_unsigned(vj_dtype dtype) {
    return dtype == VJ_U8 || dtype == VJ_U16 || dtype == VJ_U32 || dtype == VJ_U64;
}

static inline bool vj_types_have(vj_types types, vj_dtype dtype) {
    switch (types) {
    case VJ_TYPES_FLOAT:
        return vj_dtype_is_float(dtype);
    case VJ_TYPES_NUMBER:
        return dtype != VJ_BOOL;
    case VJ_TYPES_SIGNED:
        return dtype != VJ_BOOL && !vj_dtype_is_unsigned(dtype);
    case VJ_TYPES_BITS:
        return !vj_dtype_is_float(dtype);
    case VJ_TYPES_UNSIGNED:
        return vj_dtype_is_unsigned(dtype);
    case VJ_TYPES_ANY:
        break;
    }
    return true;
}

/* What one element of a vector costs in generated code, by the kind of its steps. */
typedef enum vj_cost {
    VJ_COST_NONE,        /* it is in a register */
    VJ_COST_STEP,        /* an instruction, or a few cheap ones */
    VJ_COST_DIVISION,    /* a division, a root */
    VJ_COST_SERIES,      /* a polynomial, with what leads to its interval and back */
    VJ_COST_LONG_SERIES, /* two of them, or a long one */
    VJ_COST_WIDE_SERIES, /* one in doubles: two vectors for one of floats */
    VJ_COST_COUNT
} vj_cost;

/* Of doubles */

static inline double vj_f_neg(double x) { return -x; }
static inline double vj_f_reciprocal(double x) { return 1 / x; }
static inline double vj_f_rsqrt(double x) { return 1 / sqrt(x); }
static inline double vj_f_sigmoid(double x) { return 1 / (1 + exp(-x)); }
static inline double vj_f_relu(double x) { return x < 0 ? 0 : x; }
static inline double vj_f_sign(double x) { return isnan(x) ? x : (x > 0) - (x < 0); }
/* 1 + erf cancels for negative x; erfc does not. */
static inline double vj_f_gelu_erf(double x) { return 0.5 * x * erfc(-x * 0.70710678118654752440); }
static inline double vj_f_gelu_tanh(double x) {
    const double root_2_over_pi = 0.79788456080286535588;
    return 0.5 * x * (1 + tanh(root_2_over_pi * (x + 0.044715 * x * x * x)));
}
static inline double vj_f_gelu_quick(double x) { return x * vj_f_sigmoid(1.702 * x); }

static inline double vj_f_add(double a, double b) { return a + b; }
static inline double vj_f_sub(double a, double b) { return a - b; }
static inline double vj_f_mul(double a, double b) { return a * b; }
static inline double vj_f_div(double a, double b) { return a / b; }
/* NaN in either is the result. */
static inline double vj_f_min(double a, double b) { return a < b || isnan(a) ? a : b; }
static inline double vj_f_max(double a, double b) { return a > b || isnan(a) ? a : b; }
/* A NaN in a is b: bounds for a. */
static inline double vj_f_at_least(double a, double b) { return a > b ? a : b; }
static inline double vj_f_at_most(double a, double b) { return a < b ? a : b; }
static inline double vj_f_eq(double a, double b) { return a == b; }
static inline double vj_f_lt(double a, double b) { return a < b; }
static inline double vj_f_le(double a, double b) { return a <= b; }

/* Of integers; the arithmetic wraps. */

static inline int64_t vj_i_same(int64_t x) { return x; }
static inline int64_t vj_i_neg(int64_t x) { return (int64_t)(0 - (uint64_t)x); }
static inline int64_t vj_i_abs(int64_t x) { return x < 0 ? vj_i_neg(x) : x; }
static inline int64_t vj_i_relu(int64_t x) { return x > 0 ? x : 0; }
static inline int64_t vj_i_sign(int64_t x) { return (x > 0) - (x < 0); }
static inline int64_t vj_u_sign(int64_t x) { return x != 0; }

static inline int64_t vj_i_add(int64_t a, int64_t b) { return (int64_t)((uint64_t)a + (uint64_t)b); }
static inline int64_t vj_i_sub(int64_t a, int64_t b) { return (int64_t)((uint64_t)a - (uint64_t)b); }
static inline int64_t vj_i_mul(int64_t a, int64_t b) { return (int64_t)((uint64_t)a * (uint64_t)b); }
/* By zero, quotient and remainder are 0, as numpy's; the least integer by -1 wraps to itself. */
static inline int64_t vj_i_div(int64_t a, int64_t b) { return b == 0 ? 0 : b == -1 ? vj_i_neg(a) : a / b; }
static inline int64_t vj_u_div(int64_t a, int64_t b) { return b == 0 ? 0 : (int64_t)((uint64_t)a / (uint64_t)b); }
/* The remainder has the divisor's sign. */
static inline int64_t vj_i_mod(int64_t a, int64_t b) {
    const int64_t r = b == 0 || b == -1 ? 0 : a % b;
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
static inline int64_t vj_u_mod(int64_t a, int64_t b) { return b == 0 ? 0 : (int64_t)((uint64_t)a % (uint64_t)b); }
/* By squaring; a negative exponent truncates 1 / base^n: only the powers of 1 and -1 stay. */
static inline int64_t vj_u_pow(int64_t base, int64_t exponent) {
    uint64_t result = 1, square = (uint64_t)base;
    for (uint64_t n = (uint64_t)exponent; n != 0; n >>= 1, square *= square)
        if (n & 1) result *= square;
    return (int64_t)result;
}
static inline int64_t vj_i_pow(int64_t base, int64_t exponent) {
    if (exponent >= 0) return vj_u_pow(base, exponent);
    if (base == 1) return 1;
    return base == -1 ? (exponent % 2 == 0 ? 1 : -1) : 0;
}
static inline int64_t vj_i_min(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t vj_i_max(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t vj_u_min(int64_t a, int64_t b) { return (uint64_t)a < (uint64_t)b ? a : b; }
static inline int64_t vj_u_max(int64_t a, int64_t b) { return (uint64_t)a > (uint64_t)b ? a : b; }
static inline int64_t vj_i_eq(int64_t a, int64_t b) { return a == b; }
static inline int64_t vj_i_lt(int64_t a, int64_t b) { return a < b; }
static inline int64_t vj_i_le(int64_t a, int64_t b) { return a <= b; }
static inline int64_t vj_u_lt(int64_t a, int64_t b) { return (uint64_t)a < (uint64_t)b; }
static inline int64_t vj_u_le(int64_t a, int64_t b) { return (uint64_t)a <= (uint64_t)b; }
static inline int64_t vj_i_and(int64_t a, int64_t b) { return a & b; }
static inline int64_t vj_i_or(int64_t a, int64_t b) { return a | b; }
static inline int64_t vj_i_xor(int64_t a, int64_t b) { return a ^ b; }
static inline int64_t vj_i_shl(int64_t a, int64_t b) { return (uint64_t)b < 64 ? (int64_t)((uint64_t)a << b) : 0; }
static inline int64_t vj_i_shr(int64_t a, int64_t b) { return (uint64_t)b < 64 ? (int64_t)((uint64_t)a >> b) : 0; }

#endif
