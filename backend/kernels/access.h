/* access.h - private to expr.c, access.c and lookup.c: loads whose index terms are known, and those that look bytes up. */
#ifndef VITJIT_BACKEND_KERNELS_ACCESS_H
#define VITJIT_BACKEND_KERNELS_ACCESS_H

#include "backend/emit/gen.h"

/* The values of the index terms, inside of their extents: one each where all lanes share it, else a lane each. */
typedef struct vj_indices {
    LLVMValueRef at[VJ_MAX_TERMS];
    bool vary;
} vj_indices;

LLVMValueRef vj_load_indexed(vj_gen *g, int32_t access, const vj_point *point, const vj_indices *indexed);
/* lookup.c: the elements, when that is a lookup in a table of bytes that the target has a way for; NULL: it is not. */
LLVMValueRef vj_emit_lookup(vj_gen *g, int32_t access, const vj_point *point);
/* lane 0, 1, 2, ... times step, as i64 */
LLVMValueRef vj_lane_steps(const vj_gen *g, int32_t lanes, int64_t step);

#endif
