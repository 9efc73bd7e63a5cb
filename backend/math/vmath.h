/* SPDX-License-Identifier: Apache-2.0 */
/* vmath.h - private to the vector maths: constants, and the steps that its functions share. Files stand on those above
 * them in this list.
 *
 * parts.c        constants, polynomials, signs, limits
 * wide.c         steps in f64: log2, 2^x, the rest by multiples of pi / 2
 * far.c          that rest of large floats
 * double.c       exp, log, tanh, sigmoid, sin, cos, tan: of f64
 * whole.c        division, power and shifts of integers
 * arithmetic.c   what is an instruction or a few
 * vmath.c        exp, log, erf, tanh, sigmoid, gelu: in f32
 * coarse.c       exp, gelu: in f32, for results in bfloat16
 * trig.c         sin, cos, tan, the inverse trigonometric and the hyperbolic functions: through f64
 * power.c        pow, mod: through f64
 * scalar.c       all of them, by the table
 */
#ifndef VITJIT_BACKEND_MATH_VMATH_H
#define VITJIT_BACKEND_MATH_VMATH_H

#include "backend/emit/gen.h"

/* The code of an elementwise op, on scalars or vectors of elements of `dtype`, which the op takes; NULL: there is none
 * for this type. */
#define UNARY(id, ...)  LLVMValueRef vj_gen_##id(vj_gen *g, vj_dtype dtype, LLVMValueRef x);
#define SCALAR(id, ...) LLVMValueRef vj_gen_##id(vj_gen *g, vj_dtype dtype, LLVMValueRef x);
#define BINARY(id, ...) LLVMValueRef vj_gen_##id(vj_gen *g, vj_dtype dtype, LLVMValueRef a, LLVMValueRef b);
#include "ir/tensor/elementwise.def"

/* parts.c */

/* A type of `element` with as many lanes as `like`. */
LLVMTypeRef vj_like(LLVMTypeRef element, LLVMValueRef like);
/* Constants with the shape of `like`: floats of its own type, i32 or i64, and a number of its own type, be it a float
 * or an integer. */
LLVMValueRef vj_real(const vj_gen *g, LLVMValueRef like, double x);
LLVMValueRef vj_whole(const vj_gen *g, LLVMTypeRef element, LLVMValueRef like, int64_t x);
LLVMValueRef vj_number(const vj_gen *g, LLVMValueRef like, double x);
/* c[0] + x (c[1] + x (c[2] + ...)) */
LLVMValueRef vj_polynomial(const vj_gen *g, LLVMValueRef x, const double *c, int32_t count);
/* |x|, x with the sign of s, and the square root */
LLVMValueRef vj_size(const vj_gen *g, LLVMValueRef x);
LLVMValueRef vj_with_sign(const vj_gen *g, LLVMValueRef x, LLVMValueRef s);
LLVMValueRef vj_root(const vj_gen *g, LLVMValueRef x);
/* x but no larger or smaller than the limit; NaN stays */
LLVMValueRef vj_at_most(const vj_gen *g, LLVMValueRef x, double limit);
LLVMValueRef vj_at_least(const vj_gen *g, LLVMValueRef x, double limit);

/* The bits of f64 as i64, and back; where x is the number y. */
LLVMValueRef vj_as_i64(const vj_gen *g, LLVMValueRef x);
LLVMValueRef vj_as_f64(const vj_gen *g, LLVMValueRef x);
LLVMValueRef vj_real_equal(const vj_gen *g, LLVMValueRef x, double y);

/* wide.c: log2 of x > 0; 2^x, cut to 2^-200 .. 2^200; the rest of x by multiples of pi / 2, the multiple in the last
 * bits of `quadrant`. */
LLVMValueRef vj_wide_log2(const vj_gen *g, LLVMValueRef x);
LLVMValueRef vj_wide_exp2(const vj_gen *g, LLVMValueRef x);
LLVMValueRef vj_reduce_half_pi(const vj_gen *g, LLVMValueRef x, LLVMValueRef *quadrant);

/* far.c: the same of any f32, in f64. */
LLVMValueRef vj_reduce_half_pi_of(vj_gen *g, LLVMValueRef x, LLVMValueRef *quadrant);

/* double.c */
LLVMValueRef vj_double_exp(const vj_gen *g, LLVMValueRef x);
LLVMValueRef vj_double_log(const vj_gen *g, LLVMValueRef x);
LLVMValueRef vj_double_tanh(const vj_gen *g, LLVMValueRef x);
LLVMValueRef vj_double_sigmoid(const vj_gen *g, LLVMValueRef x);
typedef enum vj_circular { VJ_SINE, VJ_COSINE, VJ_TANGENT } vj_circular;
LLVMValueRef vj_double_circular(const vj_gen *g, vj_circular which, LLVMValueRef x);

/* whole.c */
LLVMValueRef vj_whole_quotient(vj_gen *g, vj_dtype dtype, LLVMValueRef a, LLVMValueRef b);
LLVMValueRef vj_whole_remainder(vj_gen *g, vj_dtype dtype, LLVMValueRef a, LLVMValueRef b);
LLVMValueRef vj_whole_power(vj_gen *g, vj_dtype dtype, LLVMValueRef a, LLVMValueRef b);

#endif
