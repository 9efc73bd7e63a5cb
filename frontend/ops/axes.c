/* SPDX-License-Identifier: Apache-2.0 */
/* axes.c - builders of the ops along axes: the Softmax family and the Reduce family. */
#include "frontend/import/import.h"

#include <math.h>
#include <string.h>

static const vj_type *type_of(vj_importer *im, vj_value v) { return vj_type_at(im->f, v); }

/* softmax(x), or with `log` its logarithm, computed so that a weight of almost 0 loses no precision. */
static vj_value softmax_along(vj_importer *im, vj_value x, int32_t axis, bool log) {
    if (!log) {
        vj_attr attr = vj_int(VJ_ATTR_AXIS, axis);
        return vj_emit(im, VJ_OP_softmax, &x, 1, &attr, 1);
    }
    vj_value low = vj_emit2(im, VJ_OP_sub, x, vj_emit_reduce(im, "max", x, &axis, 1, true));
    vj_value sum = vj_emit_reduce(im, "sum", vj_emit1(im, VJ_OP_exp, low), &axis, 1, true);
    return vj_emit2(im, VJ_OP_sub, low, vj_emit1(im, VJ_OP_log, sum));
}

vj_value vj_emit_log_softmax(vj_importer *im, vj_value x, int32_t axis) { return softmax_along(im, x, axis, true); }

bool vj_build_softmax(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0);
    int64_t given = vj_int_attribute(im, "axis", -1);
    if (!vj_going(im)) return false;
    int32_t axis = vj_axis_of(im, given, type_of(im, x)->rank);
    return axis >= 0 && vj_bind(im, 0, softmax_along(im, x, axis, im->row->ir_op != 0));
}

/* Before opset 13, the softmax is over all dims from the axis on, flattened. */
bool vj_build_softmax_2d(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0);
    int64_t given = vj_int_attribute(im, "axis", 1);
    bool log = im->row->ir_op != 0;
    if (!vj_going(im)) return false;
    const vj_type t = *type_of(im, x);
    int32_t axis = vj_axis_of(im, given, t.rank);
    if (axis < 0) return false;
    bool alone = true;
    for (int32_t i = axis + 1; i < t.rank; i++)
        alone = alone && vj_dim_equal(t.dims[i], vj_dim_const(1));
    if (alone) return vj_bind(im, 0, softmax_along(im, x, axis, log));
    vj_dim flat[2];
    if (!vj_dim_product(im, t.dims, axis, &flat[0]) || !vj_dim_product(im, t.dims + axis, t.rank - axis, &flat[1]))
        return false;
    vj_value y = softmax_along(im, vj_emit_reshape(im, x, flat, 2), 1, log);
    return vj_bind(im, 0, vj_emit_reshape(im, y, t.dims, t.rank));
}

/* log(sum(exp(x))), with the largest x subtracted first, unless it is infinite: then the sum is 0 or infinite by itself. */
static vj_value log_sum_exp(vj_importer *im, vj_value x, const int32_t *axes, int32_t count, bool keep) {
    vj_value top = vj_emit_reduce(im, "max", x, axes, count, true);
    if (!vj_going(im)) return VJ_NONE;
    const vj_dtype dtype = type_of(im, top)->dtype;
    vj_value infinite =
        vj_emit2(im, VJ_OP_eq, vj_emit1(im, VJ_OP_abs, top), vj_emit_number(im, dtype, (double)INFINITY));
    top = vj_emit3(im, VJ_OP_select, infinite, vj_emit_number(im, dtype, 0), top);
    vj_value low = vj_emit1(im, VJ_OP_exp, vj_emit2(im, VJ_OP_sub, x, top));
    vj_value sum = vj_emit1(im, VJ_OP_log, vj_emit_reduce(im, "sum", low, axes, count, keep));
    if (!vj_going(im)) return VJ_NONE;
    return vj_emit2(im, VJ_OP_add, sum, vj_emit_reshape(im, top, type_of(im, sum)->dims, type_of(im, sum)->rank));
}

static vj_value square(vj_importer *im, vj_value x) { return vj_emit2(im, VJ_OP_mul, x, x); }

/* The largest or smallest element. Of booleans, the largest is whether any is true, the smallest whether all are. */
static vj_value extreme(vj_importer *im, const char *kind, vj_value x, const int32_t *axes, int32_t count, bool keep) {
    const bool is_bool = vj_going(im) && type_of(im, x)->dtype == VJ_BOOL;
    if (!is_bool) return vj_emit_reduce(im, kind, x, axes, count, keep);
    return vj_emit_cast(im, vj_emit_reduce(im, kind, vj_emit_cast(im, x, VJ_I32), axes, count, keep), VJ_BOOL);
}

static vj_value reduce_as(vj_importer *im, const char *op, vj_value x, const int32_t *axes, int32_t count, bool keep) {
    static const char *const plain[][2] = {{"ReduceSum", "sum"},
                                           {"ReduceMean", "mean"},
                                           {"ReduceMax", "max"},
                                           {"ReduceMin", "min"},
                                           {"ReduceProd", "prod"}};
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        if (strcmp(op, plain[i][0]) == 0) return extreme(im, plain[i][1], x, axes, count, keep);
    if (strcmp(op, "ReduceL1") == 0) return vj_emit_reduce(im, "sum", vj_emit1(im, VJ_OP_abs, x), axes, count, keep);
    if (strcmp(op, "ReduceSumSquare") == 0) return vj_emit_reduce(im, "sum", square(im, x), axes, count, keep);
    if (strcmp(op, "ReduceL2") == 0)
        return vj_emit1(im, VJ_OP_sqrt, vj_emit_reduce(im, "sum", square(im, x), axes, count, keep));
    if (strcmp(op, "ReduceLogSum") == 0)
        return vj_emit1(im, VJ_OP_log, vj_emit_reduce(im, "sum", x, axes, count, keep));
    return log_sum_exp(im, x, axes, count, keep);
}

bool vj_build_reduce(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0);
    bool keep = vj_int_attribute(im, "keepdims", 1) != 0, noop = vj_int_attribute(im, "noop_with_empty_axes", 0) != 0;
    if (!vj_going(im)) return false;
    int32_t rank = type_of(im, x)->rank, axes[VJ_MAX_RANK], count;
    if (!vj_axes_of(im, 1, rank, axes, &count)) return false;
    if (count <= 0) {
        count = noop ? 0 : rank;
        for (int32_t i = 0; i < count; i++)
            axes[i] = i;
    }
    for (int32_t i = 0; i < count; i++)
        if (type_of(im, x)->dims[axes[i]].sym == VJ_SYM_BATCH) {
            vj_stop(im, VJ_UNSUPPORTED, "reduces over the batch");
            vj_advise_batch(im->error, 1);
            return false;
        }
    return vj_bind(im, 0, reduce_as(im, im->row->op, x, axes, count, keep));
}
