/* vmath.h - private to the vector maths: constants, and the steps that its functions share.
 *
 * vmath.c        exp, log, erf, tanh, sigmoid, gelu: in f32
 * wide.c   sin, cos, pow, mod: through f64
 * double.c exp, log, tanh, sigmoid, sin, cos, tan: of f64
 * trig.c   tan, the inverse trigonometric and the hyperbolic functions: through f64
 */
#ifndef VITJIT_BACKEND_MATH_VMATH_H
#define VITJIT_BACKEND_MATH_VMATH_H

#include "backend/emit/gen.h"

/* A type of `element` with as many lanes as `like`. */
LLVMTypeRef vj_like(LLVMTypeRef element, LLVMValueRef like);
/* Constants with the shape of `like`: floats of its own type, and i32 or i64. */
LLVMValueRef vj_real(const vj_gen *g, LLVMValueRef like, double x);
LLVMValueRef vj_whole(const vj_gen *g, LLVMTypeRef element, LLVMValueRef like, int64_t x);
/* c[0] + x (c[1] + x (c[2] + ...)) */
LLVMValueRef vj_polynomial(const vj_gen *g, LLVMValueRef x, const double *c, int32_t count);
/* |x|, and x with the sign of s */
LLVMValueRef vj_size(const vj_gen *g, LLVMValueRef x);
LLVMValueRef vj_with_sign(const vj_gen *g, LLVMValueRef x, LLVMValueRef s);
/* x but no larger or smaller than the limit; NaN stays */
LLVMValueRef vj_at_most(const vj_gen *g, LLVMValueRef x, double limit);
LLVMValueRef vj_at_least(const vj_gen *g, LLVMValueRef x, double limit);

/* wide.c */
LLVMValueRef vj_sin_cos(vj_gen *g, LLVMValueRef x, bool cosine);
/* Those of f64: log2 of x > 0; 2^x, cut to 2^-200 .. 2^200; the rest of x by multiples of pi / 2, the multiple in the last
 * bits of `turn`. */
LLVMValueRef vj_wide_log2(const vj_gen *g, LLVMValueRef x);
LLVMValueRef vj_wide_exp2(const vj_gen *g, LLVMValueRef x);
LLVMValueRef vj_reduce_half_pi(const vj_gen *g, LLVMValueRef x, LLVMValueRef *turn);

/* double.c: x of f64 */
LLVMValueRef vj_math_double(vj_gen *g, vj_xop op, LLVMValueRef x);

/* trig.c */
LLVMValueRef vj_trigonometric(vj_gen *g, vj_xop op, LLVMValueRef x);

#endif
