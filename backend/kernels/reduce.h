/* SPDX-License-Identifier: Apache-2.0 */
/* reduce.h - reductions of nests and of attention's softmax, on scalars and vectors of elements of `dtype`. */
#ifndef VITJIT_BACKEND_KERNELS_REDUCE_H
#define VITJIT_BACKEND_KERNELS_REDUCE_H

#include "backend/math/vmath.h"

/* What changes nothing: 0, 1, the least, the greatest. */
LLVMValueRef vj_reduce_identity(const vj_gen *g, vj_dtype dtype, vj_reduce_kind kind, int32_t lanes);
/* A NaN in either is the greatest and the least. */
LLVMValueRef vj_reduce_two(vj_gen *g, vj_dtype dtype, vj_reduce_kind kind, LLVMValueRef a, LLVMValueRef b);
/* All lanes as one, by halves, in the same order always; a scalar stays as it is. */
LLVMValueRef vj_reduce_lanes(vj_gen *g, vj_dtype dtype, vj_reduce_kind kind, LLVMValueRef vector);
/* Of floats whose NaNs need not be found: an instruction for a step, b where a is a NaN. */
LLVMValueRef vj_larger(const vj_gen *g, LLVMValueRef a, LLVMValueRef b);
LLVMValueRef vj_largest_lane(const vj_gen *g, LLVMValueRef vector);

#endif
