/* SPDX-License-Identifier: Apache-2.0 */
/* choice.c - builders of ops that write ones at chosen indices: OneHot, Hardmax, EyeLike. */
#include "frontend/import/import.h"

#include <string.h>

enum { ELEMENTS = 1 << 22 }; /* the most elements of a constant that is made */

static const vj_type *type_of(vj_importer *im, vj_value v) { return vj_type_at(im->f, v); }

/* Reads an operand that must be one known number. */
static bool known_count(vj_importer *im, int32_t operand, const char *what, int64_t *number) {
    const vj_tensor *t = vj_fold(im, vj_operand_value(im, operand));
    if (!vj_going(im)) return false;
    if (!t) return vj_stop_unknown(im, operand, what);
    if (t->count != 1) return vj_stop(im, VJ_BAD_INPUT, "its %s is not one number", what);
    const double x = t->f ? t->f[0] : (double)t->i[0];
    if (!(x >= 0 && x <= (double)ELEMENTS)) return vj_stop(im, VJ_BAD_INPUT, "its %s is %g", what, x);
    *number = (int64_t)x;
    return true;
}

/* Selects the off or on value, [2], by whether the index is that of the new axis. An index below 0 counts from the
 * end. */
bool vj_build_one_hot(vj_importer *im) {
    vj_value index = vj_operand_value(im, 0), values = vj_operand_value(im, 2);
    int64_t depth = 0, given = vj_int_attribute(im, "axis", -1);
    if (!known_count(im, 1, "depth", &depth)) return false;
    const vj_type t = *type_of(im, index);
    const int32_t rank = t.rank + 1, axis = rank > VJ_MAX_RANK ? -1 : vj_axis_of(im, given, rank);
    if (rank > VJ_MAX_RANK) return vj_stop(im, VJ_UNSUPPORTED, "makes a tensor of rank %d", rank);
    if (axis < 0) return false;
    if (type_of(im, values)->rank != 1 || !vj_dim_equal(type_of(im, values)->dims[0], vj_dim_const(2)))
        return vj_stop(im, VJ_BAD_INPUT, "needs two values: off and on");
    vj_dim dims[VJ_MAX_RANK];
    for (int32_t d = 0; d < rank; d++)
        dims[d] = d == axis ? vj_dim_const(1) : t.dims[d - (d > axis)];
    index = vj_emit_cast(im, vj_emit_reshape(im, index, dims, rank), VJ_I64);
    vj_value wrapped = vj_emit2(im, VJ_OP_add, index, vj_emit_number(im, VJ_I64, (double)depth));
    vj_value below = vj_emit2(im, VJ_OP_lt, index, vj_emit_number(im, VJ_I64, 0));
    index = vj_emit3(im, VJ_OP_select, below, wrapped, index);
    vj_value here = vj_emit2(im, VJ_OP_eq, index, vj_emit_iota(im, VJ_I64, depth, axis, rank));
    vj_value value[2];
    for (int32_t i = 0; i < 2; i++)
        value[i] = vj_emit_reshape(im, vj_emit_slice(im, values, 0, i, vj_dim_const(1), 1), NULL, 0);
    return vj_bind(im, 0, vj_emit3(im, VJ_OP_select, here, value[1], value[0]));
}

/* 1 at the first of the largest elements along the axis, else 0. A NaN that is the first element leaves no 1. */
static vj_value hardmax(vj_importer *im, vj_value x, int32_t axis) {
    if (!vj_going(im)) return VJ_NONE;
    const vj_type t = *type_of(im, x);
    if (!vj_closed_axis(im, t.dims[axis])) return VJ_NONE;
    if (vj_dim_equal(t.dims[axis], vj_dim_const(0))) return x;
    vj_value index = vj_emit_iota(im, VJ_I32, t.dims[axis].c, axis, t.rank);
    vj_value first = vj_emit_arg(im, x, axis, false, false, t.dims[axis].c);
    return vj_emit_cast(im, vj_emit2(im, VJ_OP_eq, index, first), t.dtype);
}

bool vj_build_hardmax(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0);
    int64_t given = vj_int_attribute(im, "axis", -1);
    if (!vj_going(im)) return false;
    int32_t axis = vj_axis_of(im, given, type_of(im, x)->rank);
    return axis >= 0 && vj_bind(im, 0, hardmax(im, x, axis));
}

/* Before opset 13, Hardmax is over all dims from the axis on, flattened. */
bool vj_build_hardmax_2d(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0);
    int64_t given = vj_int_attribute(im, "axis", 1);
    if (!vj_going(im)) return false;
    const vj_type t = *type_of(im, x);
    int32_t axis = vj_axis_of(im, given, t.rank);
    vj_dim flat[2];
    if (axis < 0 || !vj_dim_product(im, t.dims, axis, &flat[0]) ||
        !vj_dim_product(im, t.dims + axis, t.rank - axis, &flat[1]))
        return false;
    return vj_bind(im, 0, vj_emit_reshape(im, hardmax(im, vj_emit_reshape(im, x, flat, 2), 1), t.dims, t.rank));
}

bool vj_build_eye_like(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0);
    int64_t k = vj_int_attribute(im, "k", 0), count;
    if (!vj_going(im)) return false;
    const vj_type t = *type_of(im, x);
    vj_dtype dtype = t.dtype;
    if (vj_find_attribute(im, "dtype"))
        dtype = vj_dtype_of_onnx((int32_t)vj_max64(-1, vj_min64(vj_int_attribute(im, "dtype", -1), 1000)));
    if (dtype == VJ_NO_DTYPE) return vj_stop(im, VJ_UNSUPPORTED, "makes elements of a type that is not supported");
    if (t.rank != 2) return vj_stop(im, VJ_BAD_INPUT, "is like a tensor of rank %d", t.rank);
    if (t.dims[0].sym || t.dims[1].sym || !vj_mul(t.dims[0].c, t.dims[1].c, &count) || count > ELEMENTS)
        return vj_stop(im, VJ_UNSUPPORTED, "makes a matrix that is too large or depends on the batch");
    int64_t *at = VJ_NEW_ARRAY(im->arena, int64_t, count + 1), dims[2] = {t.dims[0].c, t.dims[1].c};
    k = vj_max64(-ELEMENTS, vj_min64(k, ELEMENTS));
    for (int64_t i = 0; i < count; i++)
        at[i] = i % dims[1] - i / dims[1] == k;
    return vj_bind(im, 0, vj_emit_cast(im, vj_add_const_i64(im->f, VJ_BOOL, 2, dims, at), dtype));
}
