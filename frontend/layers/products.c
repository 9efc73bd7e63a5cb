/* SPDX-License-Identifier: Apache-2.0 */
/* products.c - the builder of Gemm. */
#include "frontend/import/import.h"

#include <math.h>

static const vj_type *type_of(vj_importer *im, vj_value v) { return vj_type_at(im->f, v); }

static vj_value scaled(vj_importer *im, vj_value x, double factor) {
    if (!vj_going(im) || factor == 1) return x;
    return vj_emit2(im, VJ_OP_mul, x, vj_emit_number(im, type_of(im, x)->dtype, factor));
}

static vj_value transposed(vj_importer *im, vj_value x, bool yes) {
    return yes ? vj_emit_transpose(im, x, (int32_t[]){1, 0}) : x;
}

/* Gemm's C as a row of `width`, or VJ_NONE when it is not the same for all rows. */
static vj_value as_row(vj_importer *im, vj_value c, vj_dim width) {
    const vj_type type = *type_of(im, c);
    bool is_row = type.rank >= 1 && type.rank <= 2 && vj_dim_equal(type.dims[type.rank - 1], width) &&
                  (type.rank == 1 || vj_dim_equal(type.dims[0], vj_dim_const(1)));
    return is_row ? vj_emit_reshape(im, c, &width, 1) : VJ_NONE;
}

bool vj_build_gemm(vj_importer *im) {
    vj_value a = vj_operand_value(im, 0), b = vj_operand_value(im, 1);
    double alpha = vj_float_attribute(im, "alpha", 1), beta = vj_float_attribute(im, "beta", 1);
    bool trans_a = vj_int_attribute(im, "transA", 0) != 0, trans_b = vj_int_attribute(im, "transB", 0) != 0;
    if (!vj_going(im)) return false;
    if (type_of(im, a)->rank != 2 || type_of(im, b)->rank != 2)
        return vj_stop(im, VJ_BAD_INPUT, "its operands are not matrices");
    a = transposed(im, a, trans_a);
    b = transposed(im, b, trans_b);
    if (!vj_going(im)) return false;
    const bool is_float = vj_dtype_is_float(type_of(im, a)->dtype);
    if (!is_float && (alpha != floor(alpha) || beta != floor(beta)))
        return vj_stop(im, VJ_UNSUPPORTED, "integer matrices with factors of %g and %g", alpha, beta);
    vj_value c = vj_has_operand(im, 2) && beta != 0 ? vj_operand_value(im, 2) : VJ_NONE;
    c = c < 0 ? c : scaled(im, c, beta);
    if (!vj_going(im)) return false;
    vj_value row = c < 0 || alpha != 1 || !is_float ? VJ_NONE : as_row(im, c, type_of(im, b)->dims[1]);
    vj_value y = is_float ? vj_emit(im, VJ_OP_linear, (vj_value[]){a, b, row}, row < 0 ? 2 : 3, NULL, 0)
                          : vj_emit2(im, VJ_OP_matmul, a, b);
    y = scaled(im, y, alpha);
    if (c >= 0 && row < 0) {
        vj_type out;
        if (!vj_going(im)) return false;
        if (!vj_broadcast(type_of(im, y), type_of(im, c), &out) || !vj_type_equal(&out, type_of(im, y)))
            return vj_stop(im, VJ_BAD_INPUT, "C does not broadcast to the product");
        y = vj_emit2(im, VJ_OP_add, y, c);
    }
    return vj_bind(im, 0, y);
}
