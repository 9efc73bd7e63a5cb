/* SPDX-License-Identifier: Apache-2.0 */
/* norm.c - builders of the normalisations. */
#include "frontend/import/import.h"

static const vj_type *type_of(vj_importer *im, vj_value v) { return vj_type_at(im->f, v); }

static vj_value number_like(vj_importer *im, vj_value x, double n) {
    return vj_going(im) ? vj_emit_number(im, type_of(im, x)->dtype, n) : VJ_NONE;
}

static vj_value normalised(vj_importer *im, vj_value x, vj_value gain, vj_value offset, int32_t axis, double eps) {
    vj_attr attrs[] = {vj_int(VJ_ATTR_AXIS, axis), vj_float(VJ_ATTR_EPS, eps)};
    vj_value args[3] = {x, gain, offset};
    return vj_emit(im, VJ_OP_layernorm, args, offset >= 0 ? 3 : gain >= 0 ? 2 : 1, attrs, 2);
}

/* Returns whether v has exactly the dims of x from `axis` on, so that layernorm takes it as gain or offset. */
static bool is_row(vj_importer *im, vj_value v, vj_value x, int32_t axis) {
    const vj_type *t = type_of(im, v), *xt = type_of(im, x);
    if (t->rank != xt->rank - axis || t->dtype != xt->dtype) return false;
    for (int32_t i = 0; i < t->rank; i++)
        if (!vj_dim_equal(t->dims[i], xt->dims[axis + i])) return false;
    return true;
}

static int32_t axes_from(int32_t axis, int32_t rank, int32_t *axes) {
    for (int32_t i = axis; i < rank; i++)
        axes[i - axis] = i;
    return rank - axis;
}

/* Binds the mean and the inverse of the deviation, in ONNX's stash_type. */
static bool bind_statistics(vj_importer *im, vj_value x, int32_t axis, double eps) {
    static const int64_t float32 = 1, bfloat16 = 16;
    if (!vj_result_is_used(im, 1) && !vj_result_is_used(im, 2)) return true;
    const int64_t stash = vj_int_attribute(im, "stash_type", 1);
    if (!vj_going(im)) return false;
    if (stash != float32 && stash != bfloat16) return vj_stop(im, VJ_UNSUPPORTED, "stash_type %lld", (long long)stash);
    int32_t axes[VJ_MAX_RANK];
    const int32_t count = axes_from(axis, type_of(im, x)->rank, axes);
    const vj_dtype dtype = type_of(im, x)->dtype, to = stash == bfloat16 ? VJ_BF16 : VJ_F32;
    x = vj_emit_cast(im, x, dtype == VJ_F64 ? VJ_F64 : VJ_F32);
    vj_value mean = vj_emit_reduce(im, "mean", x, axes, count, true), around = vj_emit2(im, VJ_OP_sub, x, mean);
    vj_value var = vj_emit_reduce(im, "mean", vj_emit2(im, VJ_OP_mul, around, around), axes, count, true);
    vj_value root = vj_emit1(im, VJ_OP_sqrt, vj_emit2(im, VJ_OP_add, var, number_like(im, var, eps)));
    return vj_bind(im, 1, vj_emit_cast(im, mean, to)) &&
           vj_bind(im, 2, vj_emit_cast(im, vj_emit1(im, VJ_OP_reciprocal, root), to));
}

bool vj_build_layer_norm(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0), gain = vj_operand_value(im, 1), offset = VJ_NONE;
    if (vj_has_operand(im, 2)) offset = vj_operand_value(im, 2);
    double eps = vj_epsilon(im, 1e-5f);
    int64_t given = vj_int_attribute(im, "axis", -1);
    if (!vj_going(im)) return false;
    int32_t axis = vj_axis_of(im, given, type_of(im, x)->rank);
    if (axis < 0 || !bind_statistics(im, x, axis, eps)) return false;
    if (is_row(im, gain, x, axis) && (offset < 0 || is_row(im, offset, x, axis)))
        return vj_bind(im, 0, normalised(im, x, gain, offset, axis, eps));
    vj_value y = vj_emit2(im, VJ_OP_mul, normalised(im, x, VJ_NONE, VJ_NONE, axis, eps), gain);
    return vj_bind(im, 0, offset < 0 ? y : vj_emit2(im, VJ_OP_add, y, offset));
}

bool vj_build_rms_norm(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0), gain = vj_operand_value(im, 1);
    int64_t given = vj_int_attribute(im, "axis", -1);
    double eps = vj_epsilon(im, 1e-5f);
    if (!vj_going(im)) return false;
    int32_t rank = type_of(im, x)->rank, axis = vj_axis_of(im, given, rank), axes[VJ_MAX_RANK];
    if (axis < 0) return false;
    const int32_t count = axes_from(axis, rank, axes);
    vj_value mean = vj_emit_reduce(im, "mean", vj_emit2(im, VJ_OP_mul, x, x), axes, count, true);
    vj_value root = vj_emit1(im, VJ_OP_sqrt, vj_emit2(im, VJ_OP_add, mean, number_like(im, x, eps)));
    return vj_bind(im, 0, vj_emit2(im, VJ_OP_mul, vj_emit2(im, VJ_OP_div, x, root), gain));
}

/* In training mode, mean and variance are computed from x, over all axes but the channels, and the running ones move
 * towards them. Exporters write weight standardisation this way. */
static bool batch_norm_in_training(vj_importer *im, const vj_value *at, double eps) {
    const double momentum = vj_float_attribute(im, "momentum", 0.9f);
    const int32_t rank = type_of(im, at[0])->rank;
    int32_t axes[VJ_MAX_RANK];
    if (type_of(im, at[0])->dims[0].sym) {
        vj_stop(im, VJ_UNSUPPORTED, "takes its mean over the batch");
        vj_advise_batch(im->error, 1);
        return false;
    }
    for (int32_t d = 1; d < rank; d++)
        axes[d - 1] = d == 1 ? 0 : d;
    vj_value mean = vj_emit_reduce(im, "mean", at[0], axes, rank - 1, true);
    vj_value centred = vj_emit2(im, VJ_OP_sub, at[0], mean);
    vj_value var = vj_emit_reduce(im, "mean", vj_emit2(im, VJ_OP_mul, centred, centred), axes, rank - 1, true);
    vj_value root = vj_emit1(im, VJ_OP_sqrt, vj_emit2(im, VJ_OP_add, var, number_like(im, var, eps)));
    vj_value gain = vj_emit2(im, VJ_OP_div, vj_emit_column(im, at[1], 1, rank), root);
    vj_value y = vj_emit2(im, VJ_OP_mul, centred, gain);
    const vj_value running[2] = {mean, var};
    for (int32_t i = 0; i < 2; i++) {
        if (!vj_result_is_used(im, 1 + i) || !vj_going(im)) continue;
        vj_value own = vj_emit_reshape(im, running[i], type_of(im, at[3 + i])->dims, 1);
        vj_value old = vj_emit2(im, VJ_OP_mul, at[3 + i], number_like(im, own, momentum));
        own = vj_emit2(im, VJ_OP_mul, own, number_like(im, own, 1 - momentum));
        if (!vj_bind(im, 1 + i, vj_emit2(im, VJ_OP_add, old, own))) return false;
    }
    return vj_bind(im, 0, vj_emit2(im, VJ_OP_add, y, vj_emit_column(im, at[2], 1, rank)));
}

/* x * g + (offset - mean * g) with g = scale / sqrt(var + eps). Both factors are usually expressions of constants. */
bool vj_build_batch_norm(vj_importer *im) {
    vj_value at[5];
    for (int32_t i = 0; i < 5; i++)
        at[i] = vj_operand_value(im, i);
    double eps = vj_epsilon(im, 1e-5f);
    const bool training = vj_int_attribute(im, "training_mode", 0) != 0;
    if (vj_int_attribute(im, "spatial", 1) == 0)
        return vj_stop(im, VJ_UNSUPPORTED, "has statistics for each pixel (spatial=0)");
    if (!vj_going(im)) return false;
    int32_t rank = type_of(im, at[0])->rank;
    if (rank < 2) return vj_stop(im, VJ_BAD_INPUT, "needs channels");
    if (training) return batch_norm_in_training(im, at, eps);
    for (int32_t i = 1; i < 5; i++)
        if (vj_result_is_used(im, i)) return vj_stop(im, VJ_UNSUPPORTED, "only its first result is supported");
    vj_value deviation = vj_emit1(im, VJ_OP_sqrt, vj_emit2(im, VJ_OP_add, at[4], number_like(im, at[4], eps)));
    vj_value gain = vj_emit2(im, VJ_OP_div, at[1], deviation);
    vj_value offset = vj_emit2(im, VJ_OP_sub, at[2], vj_emit2(im, VJ_OP_mul, at[3], gain));
    vj_value y = vj_emit2(im, VJ_OP_mul, at[0], vj_emit_column(im, gain, 1, rank));
    return vj_bind(im, 0, vj_emit2(im, VJ_OP_add, y, vj_emit_column(im, offset, 1, rank)));
}

/* Normalises x [N, C, ...] as [N, groups, the rest] over the rest. */
static vj_value normalised_groups(vj_importer *im, vj_value x, int64_t groups, double eps) {
    if (!vj_going(im)) return VJ_NONE;
    const vj_type t = *type_of(im, x);
    vj_dim flat[3], channels = t.rank < 3 ? vj_dim_const(-1) : t.dims[1];
    if (channels.c < 0 || channels.sym || groups < 1 || channels.c % groups) {
        vj_stop(im, VJ_BAD_INPUT, "%s does not divide into %lld groups of channels", vj_type_text(im->arena, &t),
                (long long)groups);
        return VJ_NONE;
    }
    if (!vj_dim_product(im, t.dims + 1, t.rank - 1, &flat[2])) return VJ_NONE;
    flat[0] = t.dims[0];
    flat[1] = vj_dim_const(groups);
    flat[2].c /= groups;
    vj_value y = normalised(im, vj_emit_reshape(im, x, flat, 3), VJ_NONE, VJ_NONE, 2, eps);
    return vj_emit_reshape(im, y, t.dims, t.rank);
}

static bool with_columns(vj_importer *im, vj_value y, vj_value gain, vj_value offset) {
    if (!vj_going(im)) return false;
    int32_t rank = type_of(im, y)->rank;
    y = vj_emit2(im, VJ_OP_mul, y, vj_emit_column(im, gain, 1, rank));
    return vj_bind(im, 0, vj_emit2(im, VJ_OP_add, y, vj_emit_column(im, offset, 1, rank)));
}

bool vj_build_instance_norm(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0), gain = vj_operand_value(im, 1), offset = vj_operand_value(im, 2);
    if (!vj_going(im)) return false;
    int64_t channels = type_of(im, x)->rank > 2 ? type_of(im, x)->dims[1].c : 0;
    return with_columns(im, normalised_groups(im, x, channels, vj_epsilon(im, 1e-5f)), gain, offset);
}

/* Repeats the number of each group for each of its channels. */
static vj_value by_channel(vj_importer *im, vj_value v, int64_t groups, int64_t channels) {
    if (!vj_going(im) || groups < 1) return v;
    vj_dim one[2] = {vj_dim_const(groups), vj_dim_const(1)},
           all[2] = {vj_dim_const(groups), vj_dim_const(channels / groups)};
    vj_dim out = vj_dim_const(channels);
    return vj_emit_reshape(im, vj_emit_broadcast(im, vj_emit_reshape(im, v, one, 2), all, 2), &out, 1);
}

/* Scale and bias have a number for each group in opset 18, for each channel in opset 21. */
bool vj_build_group_norm(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0), gain = vj_operand_value(im, 1), offset = vj_operand_value(im, 2);
    int64_t groups = vj_int_attribute(im, "num_groups", 0);
    double eps = vj_epsilon(im, 1e-5f);
    vj_value y = normalised_groups(im, x, groups, eps);
    if (!vj_going(im)) return false;
    if (im->row->ir_op) {
        int64_t channels = type_of(im, x)->dims[1].c;
        gain = by_channel(im, gain, groups, channels);
        offset = by_channel(im, offset, groups, channels);
    }
    return with_columns(im, y, gain, offset);
}

bool vj_build_lp_norm(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0);
    int64_t p = vj_int_attribute(im, "p", 2), given = vj_int_attribute(im, "axis", -1);
    if (!vj_going(im)) return false;
    int32_t axis = vj_axis_of(im, given, type_of(im, x)->rank);
    if (p != 1 && p != 2) return vj_stop(im, VJ_BAD_INPUT, "p is %lld", (long long)p);
    if (axis < 0) return false;
    vj_value size = p == 1 ? vj_emit1(im, VJ_OP_abs, x) : vj_emit2(im, VJ_OP_mul, x, x);
    vj_value norm = vj_emit_reduce(im, "sum", size, &axis, 1, true);
    if (p == 2) norm = vj_emit1(im, VJ_OP_sqrt, norm);
    /* where the norm is 0, x is 0 and the result must be 0 */
    vj_value is_zero = vj_emit2(im, VJ_OP_eq, norm, number_like(im, x, 0));
    norm = vj_emit3(im, VJ_OP_select, is_zero, number_like(im, x, 1), norm);
    return vj_bind(im, 0, vj_emit2(im, VJ_OP_div, x, norm));
}

/* (x - mean) / (deviation + 1e-9) over the axes */
bool vj_build_mean_variance_norm(vj_importer *im) {
    static const int64_t usual[] = {0, 2, 3};
    vj_value x = vj_operand_value(im, 0);
    int32_t count, axes[VJ_MAX_RANK];
    const int64_t *given = vj_ints_attribute(im, "axes", &count);
    if (!vj_going(im)) return false;
    const vj_type t = *type_of(im, x);
    if (!given) {
        given = usual;
        count = 3;
    }
    if (count > t.rank) return vj_stop(im, VJ_BAD_INPUT, "names %d axes", count);
    bool named[VJ_MAX_RANK] = {false};
    for (int32_t i = 0; i < count; i++) {
        const int32_t axis = vj_axis_of(im, given[i], t.rank);
        if (axis < 0 || !vj_closed_axis(im, t.dims[axis])) return false;
        named[axis] = true;
    }
    count = 0;
    for (int32_t d = 0; d < t.rank; d++)
        if (named[d]) axes[count++] = d;
    vj_value centred = vj_emit2(im, VJ_OP_sub, x, vj_emit_reduce(im, "mean", x, axes, count, true));
    vj_value var = vj_emit_reduce(im, "mean", vj_emit2(im, VJ_OP_mul, centred, centred), axes, count, true);
    vj_value below = vj_emit2(im, VJ_OP_add, vj_emit1(im, VJ_OP_sqrt, var), number_like(im, x, 1e-9));
    return vj_bind(im, 0, vj_emit2(im, VJ_OP_div, centred, below));
}
