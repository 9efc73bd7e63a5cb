/* SPDX-License-Identifier: Apache-2.0 */
/* access.h - private to expr.c and access.c: loads whose index terms are known. */
#ifndef VITJIT_BACKEND_KERNELS_ACCESS_H
#define VITJIT_BACKEND_KERNELS_ACCESS_H

#include "backend/emit/gen.h"

/* The values of the index terms, inside of their extents: one each where all lanes share it, else a lane each. */
typedef struct vj_indices {
    LLVMValueRef at[VJ_MAX_TERMS];
    bool vary;
} vj_indices;

LLVMValueRef vj_load_indexed(vj_gen *g, int32_t access, const vj_point *point, const vj_indices *indexed);
/* lane 0, 1, 2, ... times step, as i64 */
LLVMValueRef vj_lane_steps(const vj_gen *g, int32_t lanes, int64_t step);

#endif
