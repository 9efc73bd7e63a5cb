/* SPDX-License-Identifier: Apache-2.0 */
/* weight_apply.c - elementwise ops on blocks of weights: each element by the function that the op means in double, and
 * rounded to f32. */
#include "ir/tensor/scalar.h"
#include "vitjit_half.h"
#include "weight_read.h"

#define UNARY(id, ID, types, f, i, u, cost, traits)                                                                    \
    static void apply_##id(int64_t count, float *restrict x, const float *restrict y) {                                \
        (void)y;                                                                                                       \
        for (int64_t at = 0; at < count; at++)                                                                         \
            x[at] = (float)f((double)x[at]);                                                                           \
    }
#define BINARY(id, ID, types, result, f, i, u, cost, traits)                                                           \
    static void apply_##id(int64_t count, float *restrict x, const float *restrict y) {                                \
        for (int64_t at = 0; at < count; at++)                                                                         \
            x[at] = (float)f((double)x[at], (double)y[at]);                                                            \
    }
#define BITWISE(...)
#include "ir/tensor/elementwise.def"

void vj_weight_apply(vj_op op, int64_t count, float *restrict x, const float *restrict y) {
    static void (*const apply[VJ_OP_COUNT])(int64_t count, float *restrict x, const float *restrict y) = {
#define UNARY(id, ...)  [VJ_OP_##id] = apply_##id,
#define BINARY(id, ...) [VJ_OP_##id] = apply_##id,
#define BITWISE(...)
#include "ir/tensor/elementwise.def"
    };
    if (apply[op]) apply[op](count, x, y); /* else a cast to f32, which reading a constant has done */
}

void vj_weight_round(vj_dtype to, int64_t count, float *x) {
    for (int64_t at = 0; at < count; at++) {
        if (to == VJ_F16) x[at] = vj_f32_of_f16(vj_f16_of((double)x[at]));
        if (to == VJ_BF16) x[at] = vj_f32_of_bf16(vj_bf16_of((double)x[at]));
        if (to == VJ_I8) x[at] = (float)vj_float_to_int(VJ_I8, (double)x[at]);
    }
}
