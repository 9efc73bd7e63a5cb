/* SPDX-License-Identifier: Apache-2.0 */
/* shape.c - builders of the ops that change a shape: Reshape, Flatten, Squeeze, Unsqueeze, Expand, Tile. */
#include "frontend/import/import.h"

#include <string.h>

static const vj_type *type_of(vj_importer *im, vj_value v) { return vj_type_at(im->f, v); }

static bool cannot_take_batch(vj_importer *im, vj_dim total) {
    if (vj_is_data_dim(total))
        return vj_stop(im, VJ_UNSUPPORTED, "gives a shape of fixed size to a tensor whose size the data decides");
    vj_stop(im, VJ_UNSUPPORTED, "is written for one batch size, but the model leaves the batch open");
    vj_advise_own_batch(im->error);
    return false;
}

/* The dim that -1 stands for: `total` divided by the product of the other dims. */
static bool solve_rest(vj_importer *im, vj_dim total, vj_dim others, vj_dim *rest) {
    if (others.sym && total.sym != others.sym && vj_is_data_dim(others))
        return vj_stop(im, VJ_UNSUPPORTED, "solves the dim -1 beside a size that the data decides");
    if (others.c == 0 || (others.sym && !total.sym)) return vj_stop(im, VJ_BAD_INPUT, "cannot solve the dim -1");
    if (total.c % others.c) {
        if (total.sym) return cannot_take_batch(im, total);
        return vj_stop(im, VJ_BAD_INPUT, "%lld elements do not divide by the other dims' %lld", (long long)total.c,
                       (long long)others.c);
    }
    *rest = (vj_dim){total.c / others.c, others.sym ? VJ_SYM_NONE : total.sym};
    return true;
}

bool vj_build_reshape(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0);
    const vj_known *target = vj_known_list(im, 1, "target dims");
    bool zero_is_zero = vj_int_attribute(im, "allowzero", 0) != 0;
    if (!vj_going(im)) return false;
    const vj_type *type = type_of(im, x);
    if (target->count > VJ_MAX_RANK)
        return vj_stop(im, VJ_UNSUPPORTED, "makes a tensor of rank %d", (int)target->count);
    vj_dim dims[VJ_MAX_RANK], total, others;
    int32_t rank = (int32_t)target->count, open = -1;
    for (int32_t i = 0; i < rank; i++) {
        vj_affine t = target->at[i];
        if (t.a == 0 && t.b == -1) {
            if (open >= 0) return vj_stop(im, VJ_BAD_INPUT, "has -1 as target dim twice");
            open = i;
            dims[i] = vj_dim_const(1);
        } else if (t.a == 0 && t.b == 0 && !zero_is_zero) {
            if (i >= type->rank)
                return vj_stop(im, VJ_BAD_INPUT, "copies dim %d of a tensor of rank %d", i, type->rank);
            dims[i] = type->dims[i];
        } else if (!vj_dim_of_affine(im, t, "target", &dims[i])) {
            return false;
        }
    }
    if (!vj_dim_product(im, type->dims, type->rank, &total) || !vj_dim_product(im, dims, rank, &others)) return false;
    if (open >= 0 && !solve_rest(im, total, others, &dims[open])) return false;
    if (open < 0 && total.sym && !others.sym && others.c) return cannot_take_batch(im, total);
    return vj_bind(im, 0, vj_emit_reshape(im, x, dims, rank));
}

bool vj_build_flatten(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0);
    int64_t axis = vj_int_attribute(im, "axis", 1);
    if (!vj_going(im)) return false;
    const vj_type *type = type_of(im, x);
    if (axis < -type->rank || axis > type->rank)
        return vj_stop(im, VJ_BAD_INPUT, "axis %lld is outside", (long long)axis);
    int32_t at = (int32_t)(axis < 0 ? axis + type->rank : axis);
    vj_dim dims[2];
    if (!vj_dim_product(im, type->dims, at, &dims[0]) ||
        !vj_dim_product(im, type->dims + at, type->rank - at, &dims[1]))
        return false;
    return vj_bind(im, 0, vj_emit_reshape(im, x, dims, 2));
}

bool vj_build_squeeze(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0);
    int32_t axes[VJ_MAX_RANK], count, rank = 0;
    if (!vj_going(im)) return false;
    const vj_type *type = type_of(im, x);
    if (!vj_axes_of(im, 1, type->rank, axes, &count)) return false;
    vj_dim dims[VJ_MAX_RANK];
    for (int32_t i = 0, next = 0; i < type->rank; i++) {
        bool is_one = vj_dim_equal(type->dims[i], vj_dim_const(1));
        bool named = count < 0 ? is_one : next < count && axes[next] == i;
        if (named && count >= 0) next++;
        if (vj_is_data_dim(type->dims[i]) && (named || count < 0))
            return vj_stop(im, VJ_UNSUPPORTED, "drops dim %d, whose size the data decides, if it is 1", i);
        if (named && !is_one) return vj_stop(im, VJ_BAD_INPUT, "dim %d is not 1", i);
        if (!named) dims[rank++] = type->dims[i];
    }
    return vj_bind(im, 0, vj_emit_reshape(im, x, dims, rank));
}

bool vj_build_unsqueeze(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0);
    int32_t axes[VJ_MAX_RANK], added = 0, count;
    if (vj_has_operand(im, 1))
        vj_constant_list(im, 1, "axes", &added);
    else if (!vj_ints_attribute(im, "axes", &added))
        return vj_stop(im, VJ_BAD_INPUT, "names no axes");
    if (!vj_going(im)) return false;
    const vj_type *type = type_of(im, x);
    int32_t rank = type->rank + added;
    if (rank > VJ_MAX_RANK) return vj_stop(im, VJ_UNSUPPORTED, "makes a tensor of rank %d", rank);
    if (!vj_axes_of(im, 1, rank, axes, &count)) return false;
    vj_dim dims[VJ_MAX_RANK];
    for (int32_t i = 0, next = 0, own = 0; i < rank; i++) {
        bool is_new = next < count && axes[next] == i;
        dims[i] = is_new ? vj_dim_const(1) : type->dims[own++];
        next += is_new;
    }
    return vj_bind(im, 0, vj_emit_reshape(im, x, dims, rank));
}

/* Broadcasts both ways: where the target dim is 1, x's dim stays. */
bool vj_build_expand(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0);
    const vj_known *target = vj_known_list(im, 1, "target dims");
    if (!vj_going(im)) return false;
    if (target->count > VJ_MAX_RANK)
        return vj_stop(im, VJ_UNSUPPORTED, "makes a tensor of rank %d", (int)target->count);
    vj_type wanted = {.dtype = type_of(im, x)->dtype, .rank = (int32_t)target->count}, both;
    for (int32_t i = 0; i < wanted.rank; i++)
        if (!vj_dim_of_affine(im, target->at[i], "target", &wanted.dims[i])) return false;
    if (!vj_broadcast(type_of(im, x), &wanted, &both))
        return vj_stop(im, VJ_BAD_INPUT, "%s does not expand to %s", vj_type_text(im->arena, type_of(im, x)),
                       vj_type_text(im->arena, &wanted));
    return vj_bind(im, 0, vj_emit_broadcast(im, x, both.dims, both.rank));
}

/* Repeats one axis: [a, d, b] as [a, 1, d, b] is broadcast to [a, r, d, b]. A dim of 1 needs no reshape. */
static vj_value repeat(vj_importer *im, vj_value x, int32_t axis, vj_dim times) {
    const vj_type type = *type_of(im, x);
    vj_dim dims[VJ_MAX_RANK + 1];
    memcpy(dims, type.dims, sizeof type.dims);
    if (vj_dim_equal(type.dims[axis], vj_dim_const(1))) {
        dims[axis] = times;
        return vj_emit_broadcast(im, x, dims, type.rank);
    }
    vj_dim joined;
    if (!vj_dim_product(im, (vj_dim[]){times, type.dims[axis]}, 2, &joined)) return VJ_NONE;
    if (type.rank == VJ_MAX_RANK) {
        vj_stop(im, VJ_UNSUPPORTED, "repeats an axis of a tensor of rank %d", type.rank);
        return VJ_NONE;
    }
    memmove(dims + axis + 1, type.dims + axis, (size_t)(type.rank - axis) * sizeof *dims);
    dims[axis] = vj_dim_const(1);
    x = vj_emit_reshape(im, x, dims, type.rank + 1);
    dims[axis] = times;
    x = vj_emit_broadcast(im, x, dims, type.rank + 1);
    memcpy(dims, type.dims, sizeof type.dims);
    dims[axis] = joined;
    return vj_emit_reshape(im, x, dims, type.rank);
}

bool vj_build_tile(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0);
    const vj_known *repeats = vj_known_list(im, 1, "repeats");
    if (!vj_going(im)) return false;
    if (repeats->count != type_of(im, x)->rank) return vj_stop(im, VJ_BAD_INPUT, "needs one repeat for each dim");
    for (int32_t axis = 0; vj_going(im) && axis < repeats->count; axis++) {
        vj_dim times;
        if (!vj_dim_of_affine(im, repeats->at[axis], "repeats", &times)) return false;
        if (!vj_dim_equal(times, vj_dim_const(1))) x = repeat(im, x, axis, times);
    }
    return vj_bind(im, 0, x);
}
