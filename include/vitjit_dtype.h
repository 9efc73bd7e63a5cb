/* SPDX-License-Identifier: Apache-2.0 */
/* vitjit_dtype.h - sizes and names of element types: one table for the compiler, the runtime and the code of emitted objects.
 * Private to the project (not installed). Freestanding.
 */
#ifndef VITJIT_DTYPE_H
#define VITJIT_DTYPE_H

#include <stdbool.h>

#include "vitjit_model.h"

/* Bytes of one element; 0 for VJ_NO_DTYPE. */
static inline int64_t vj_element_bytes(vj_dtype dtype) {
    static const int8_t bytes[VJ_DTYPE_COUNT] = {0, 4, 8, 2, 2, 1, 1, 2, 2, 4, 4, 8, 8, 1};
    return (unsigned)dtype < VJ_DTYPE_COUNT ? bytes[dtype] : 0;
}

static inline const char *vj_element_name(vj_dtype dtype) {
    static const char names[VJ_DTYPE_COUNT][5] = {"none", "f32", "f64", "f16", "bf16", "i8",  "u8",
                                                  "i16",  "u16", "i32", "u32", "i64",  "u64", "bool"};
    return names[(unsigned)dtype < VJ_DTYPE_COUNT ? dtype : VJ_NO_DTYPE];
}

/* Of options whose zero stands for float32. */
static inline vj_dtype vj_or_f32(vj_dtype dtype) { return dtype == VJ_NO_DTYPE ? VJ_F32 : dtype; }

/* What products are computed in and how weights are stored, as people name it. */
static inline const char *vj_precision_name(vj_dtype precision) {
    return precision == VJ_I8 ? "int8" : precision == VJ_I4 ? "int4" : vj_element_name(precision);
}

static inline bool vj_is_precision(vj_dtype dtype) { return dtype == VJ_F32 || dtype == VJ_BF16 || dtype == VJ_I8; }
static inline bool vj_is_weight_format(vj_dtype dtype) {
    return dtype == VJ_F32 || dtype == VJ_F16 || dtype == VJ_BF16 || dtype == VJ_I8 || dtype == VJ_I4;
}

#endif
