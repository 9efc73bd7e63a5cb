/* SPDX-License-Identifier: Apache-2.0 */
/* weights_half.c - factors of weights that the model stores in a half: they go in only where every product is a number of that
 * half, so that it is still stored so. */
#include "weights.h"

#include <math.h>

#include "vitjit_half.h"

static bool is_power_of_two(double x) {
    int exponent;
    return x != 0 && isfinite(x) && fabs(frexp(x, &exponent)) == 0.5;
}

/* The vector, when its elements are powers of two: with others hardly a product is exact. */
static double *powers_of_two(vj_func *f, vj_arena *scratch, vj_value vector, int64_t count) {
    double *x = VJ_NEW_ARRAY(scratch, double, count + 1);
    vj_error ignored = {0};
    if (!vj_is_const(f, vector) || !vj_const_read_f64(f, vector, 0, count, x, &ignored)) return NULL;
    for (int64_t i = 0; i < count; i++)
        if (!is_power_of_two(x[i])) return NULL;
    return x;
}

static bool are_halves(vj_func *f, vj_arena *scratch, vj_value w, const double *x, int32_t axis, vj_dtype half) {
    enum { BLOCK = 4096 };
    const vj_type *type = vj_type_at(f, w);
    vj_weight_reader *reader = vj_weight_reader_new(scratch, f);
    float block[BLOCK];
    int64_t total, inner = 1;
    vj_error ignored = {0};
    for (int32_t d = axis + 1; d < type->rank; d++)
        inner *= type->dims[d].c;
    if (!vj_type_elements(f, type, &total)) return false;
    for (int64_t at = 0; at < total; at += BLOCK) {
        const int64_t part = vj_min64(BLOCK, total - at);
        if (!vj_weight_read(reader, w, at, part, block, &ignored)) return false;
        for (int64_t i = 0; i < part; i++) {
            const double y = (double)block[i] * x[(at + i) / inner % type->dims[axis].c];
            if (isfinite(y) && (half == VJ_F16 ? vj_round_f16(y) : vj_round_bf16(y)) != y) return false;
        }
    }
    return true;
}

bool vj_may_scale(vj_func *f, vj_value w, vj_value vector, int32_t axis) {
    const vj_dtype half = vj_stored_half(f, w);
    if (vj_is_in_blocks(f, w)) return false;
    if (half == VJ_NO_DTYPE) return true;
    vj_arena *scratch = vj_arena_scratch(f->arena);
    const double *x = powers_of_two(f, scratch, vector, vj_type_at(f, w)->dims[axis].c);
    const bool exact = x && are_halves(f, scratch, w, x, axis, half);
    vj_arena_free(scratch);
    return exact;
}

/* Products take halves as they are, too: then the weight is one behind the factor as before it. */
vj_value vj_scale_weight(vj_func *f, vj_value w, vj_value vector, int32_t axis, const vj_origin *origin) {
    const vj_dtype half = vj_stored_half(f, w);
    const vj_type type = *vj_type_at(f, w);
    vj_dim dims[VJ_MAX_RANK];
    for (int32_t d = 0; d < type.rank; d++)
        dims[d] = d == axis ? type.dims[d] : vj_dim_const(1);
    if (vj_is_half(type.dtype)) w = vj_make_cast(f, w, VJ_F32, origin);
    w = vj_make_binary(f, VJ_OP_mul, w, vj_make_reshape(f, vector, type.rank, dims, origin), origin);
    if (half == VJ_NO_DTYPE) return w;
    w = vj_make_cast(f, w, half, origin);
    return vj_is_half(type.dtype) ? w : vj_make_cast(f, w, VJ_F32, origin);
}
