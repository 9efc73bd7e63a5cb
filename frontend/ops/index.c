/* SPDX-License-Identifier: Apache-2.0 */
/* index.c - builders of ops with indices that may be computed at run time: Gather..., TopK, ArgMax; and what they
 * share. */
#include "indices.h"

#include <math.h>
#include <string.h>

static const vj_type *type_of(vj_importer *im, vj_value v) { return vj_type_at(im->f, v); }

bool vj_closed_length(vj_importer *im, vj_value x, int32_t axis, int64_t *length) {
    if (axis < 0 || !vj_going(im)) return false;
    const vj_dim dim = type_of(im, x)->dims[axis];
    *length = dim.c;
    if (vj_is_data_dim(dim)) return vj_stop(im, VJ_UNSUPPORTED, "works along a size that the data decides");
    return vj_closed_axis(im, dim);
}

vj_value vj_emit_from_front(vj_importer *im, vj_value index, int64_t length) {
    const vj_dtype dtype = vj_going(im) ? type_of(im, index)->dtype : VJ_NO_DTYPE;
    if (!vj_dtype_is_int(dtype)) {
        if (vj_going(im)) vj_stop(im, VJ_BAD_INPUT, "its indices are not integers");
        return VJ_NONE;
    }
    vj_value wrapped = vj_emit2(im, VJ_OP_add, index, vj_emit_number(im, dtype, (double)length));
    return vj_emit3(im, VJ_OP_select, vj_emit2(im, VJ_OP_lt, index, vj_emit_number(im, dtype, 0)), wrapped, index);
}

bool vj_indices_fit(vj_importer *im, vj_value index, int64_t length) {
    const vj_tensor *known = vj_going(im) ? vj_fold(im, index) : NULL;
    if (!vj_going(im)) return false;
    if (!vj_dtype_is_int(type_of(im, index)->dtype)) return vj_stop(im, VJ_BAD_INPUT, "its indices are not integers");
    for (int64_t i = 0; known && i < known->count; i++)
        if (known->i[i] < -length || known->i[i] >= length)
            return vj_stop(im, VJ_BAD_INPUT, "index %lld is outside an axis of %lld", (long long)known->i[i],
                           (long long)length);
    return true;
}

/* Elements of the last axis: Gather there, of a result that has two axes at least. */
bool vj_build_feature_extractor(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0), index = vj_operand_value(im, 1);
    if (!vj_going(im)) return false;
    const int32_t rank = type_of(im, x)->rank;
    vj_dim count, dims[2] = {vj_dim_const(1)};
    const vj_type at = *type_of(im, index);
    if (rank < 1 || !vj_dim_product(im, at.dims, at.rank, &count))
        return vj_going(im) && vj_stop(im, VJ_BAD_INPUT, "takes elements of a number");
    vj_value y = vj_emit_gather(im, x, vj_emit_reshape(im, index, &count, 1), rank - 1);
    dims[1] = count;
    return vj_bind(im, 0, rank == 1 ? vj_emit_reshape(im, y, dims, 2) : y);
}

/* result[.., k, ..] = data[.., indices[.., k, ..], ..]; other axes of data may be longer. */
bool vj_build_gather_elements(vj_importer *im) {
    vj_value data = vj_operand_value(im, 0), index = vj_operand_value(im, 1);
    int64_t given = vj_int_attribute(im, "axis", 0), length;
    if (!vj_going(im)) return false;
    const vj_type to = *type_of(im, index);
    int32_t axis = vj_axis_of(im, given, to.rank);
    if (axis < 0) return false;
    if (to.rank != type_of(im, data)->rank) return vj_stop(im, VJ_BAD_INPUT, "data and indices differ in rank");
    if (!vj_is_data_dim(type_of(im, data)->dims[axis]) &&
        (!vj_closed_length(im, data, axis, &length) || !vj_indices_fit(im, index, length)))
        return false;
    for (int32_t d = 0; d < to.rank; d++) {
        const vj_dim have = type_of(im, data)->dims[d], want = to.dims[d];
        if (d == axis || vj_dim_equal(have, want)) continue;
        if (have.sym || want.sym || want.c > have.c)
            return vj_stop(im, VJ_BAD_INPUT, "its indices have more along axis %d than the data", d);
        data = vj_emit_slice(im, data, d, 0, want, 1);
    }
    const vj_attr attr = vj_int(VJ_ATTR_AXIS, axis);
    return vj_bind(im, 0, vj_emit(im, VJ_OP_gather_elements, (vj_value[]){data, index}, 2, &attr, 1));
}

/* TopK, ArgMax */

/* TopK where the data decides k or the axis's length. k must be at most the length whatever the data. */
static bool top_k_of_data(vj_importer *im, vj_value x, int32_t axis, vj_affine k, bool largest) {
    const vj_affine length = vj_affine_of_dim(im, type_of(im, x)->dims[axis]);
    vj_affine fits;
    int64_t least, most;
    vj_dim size;
    if (!vj_affine_combine(im, VJ_AFFINE_LE, k, length, &fits) || !fits.b || !vj_affine_range(im, k, &least, &most))
        return vj_stop(im, VJ_UNSUPPORTED, "takes a number of elements that the data may not have");
    if (!vj_dim_of_affine(im, k, "k", &size)) return false;
    const vj_attr attrs[] = {vj_int(VJ_ATTR_AXIS, axis), vj_int(VJ_ATTR_K, most), vj_int(VJ_ATTR_LARGEST, largest),
                             vj_int(VJ_ATTR_SIZE, vj_dim_code(size))};
    const vj_value values = vj_emit(im, VJ_OP_topk, &x, 1, attrs, vj_is_data_dim(size) ? 4 : 3);
    return vj_going(im) && vj_bind(im, 0, values) && (!vj_result_is_used(im, 1) || vj_bind(im, 1, values + 1));
}

static bool top_k(vj_importer *im, vj_affine at_most) {
    const int64_t k = at_most.b;
    vj_value x = vj_operand_value(im, 0);
    int64_t given = vj_int_attribute(im, "axis", -1), length;
    bool largest = vj_int_attribute(im, "largest", 1) != 0;
    vj_int_attribute(im, "sorted", 1); /* 0 allows any order, so the sorted one will do */
    if (!vj_going(im)) return false;
    const int32_t axis = vj_axis_of(im, given, type_of(im, x)->rank);
    if (axis < 0) return false;
    if (at_most.a || vj_is_data_dim(type_of(im, x)->dims[axis])) return top_k_of_data(im, x, axis, at_most, largest);
    if (!vj_closed_length(im, x, axis, &length)) return false;
    if (k < 0 || k > length)
        return vj_stop(im, VJ_BAD_INPUT, "takes %lld of %lld elements", (long long)k, (long long)length);
    const vj_attr attrs[] = {vj_int(VJ_ATTR_AXIS, axis), vj_int(VJ_ATTR_K, k), vj_int(VJ_ATTR_LARGEST, largest)};
    const vj_value values = vj_emit(im, VJ_OP_topk, &x, 1, attrs, 3);
    return vj_going(im) && vj_bind(im, 0, values) && (!vj_result_is_used(im, 1) || vj_bind(im, 1, values + 1));
}

bool vj_build_top_k(vj_importer *im) {
    const vj_known *k = vj_known_list(im, 1, "k");
    if (!vj_going(im)) return false;
    if (k->count != 1) return vj_stop(im, VJ_BAD_INPUT, "needs one k");
    if (k->at[0].a && !k->at[0].data) { /* vj_constant_list reports that it depends on the batch */
        int32_t count;
        return vj_constant_list(im, 1, "k", &count) != NULL;
    }
    return top_k(im, k->at[0]);
}

bool vj_build_top_k_1(vj_importer *im) { return top_k(im, (vj_affine){.b = vj_int_attribute(im, "k", -1)}); }

vj_value vj_emit_arg(vj_importer *im, vj_value x, int32_t axis, bool least, bool last, int64_t otherwise) {
    if (!vj_going(im)) return VJ_NONE;
    const vj_type type = *type_of(im, x);
    const bool is_float = vj_dtype_is_float(type.dtype);
    const double length = (double)type.dims[axis].c, end = least ? (double)INFINITY : -(double)INFINITY;
    vj_value numbers = x;
    if (is_float)
        numbers = vj_emit2(im, least ? VJ_OP_at_most : VJ_OP_at_least, x, vj_emit_number(im, type.dtype, end));
    vj_value best = vj_emit_reduce(im, least ? "min" : "max", numbers, &axis, 1, true);
    vj_value none = vj_emit_number(im, VJ_I32, last ? -1 : length);
    vj_value index = vj_emit3(im, VJ_OP_select, vj_emit2(im, VJ_OP_eq, x, best),
                              vj_emit_iota(im, VJ_I32, type.dims[axis].c, axis, type.rank), none);
    index = vj_emit_reduce(im, last ? "max" : "min", index, &axis, 1, true);
    if (!is_float) return index;
    vj_value first = vj_emit_slice(im, x, axis, 0, vj_dim_const(1), 1);
    return vj_emit3(im, VJ_OP_select, vj_emit2(im, VJ_OP_eq, first, first), index,
                    vj_emit_number(im, VJ_I32, (double)otherwise));
}

bool vj_build_arg(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0);
    int64_t given = vj_int_attribute(im, "axis", 0), length;
    bool keep = vj_int_attribute(im, "keepdims", 1) != 0, last = vj_int_attribute(im, "select_last_index", 0) != 0;
    if (!vj_going(im)) return false;
    const int32_t axis = vj_axis_of(im, given, type_of(im, x)->rank);
    if (!vj_closed_length(im, x, axis, &length)) return false;
    if (length < 1)
        return vj_stop(im, VJ_BAD_INPUT, "looks for the %s of no elements", im->row->ir_op ? "least" : "most");
    vj_value index = vj_emit_arg(im, x, axis, im->row->ir_op != 0, last, 0);
    if (!vj_going(im)) return false;
    vj_type type = *type_of(im, index);
    if (!keep) memmove(type.dims + axis, type.dims + axis + 1, (size_t)(--type.rank - axis) * sizeof *type.dims);
    return vj_bind(im, 0, vj_emit_cast(im, vj_emit_reshape(im, index, type.dims, type.rank), VJ_I64));
}

/* Numbers that count along `dim`, from its front. */
static vj_value from_front_of(vj_importer *im, vj_value index, vj_dim dim) {
    if (!vj_is_data_dim(dim)) return vj_indices_fit(im, index, dim.c) ? vj_emit_from_front(im, index, dim.c) : VJ_NONE;
    vj_value wrapped = vj_emit2(im, VJ_OP_add, index, vj_affine_value(im, vj_affine_of_dim(im, dim)));
    vj_value below = vj_emit2(im, VJ_OP_lt, index, vj_emit_number(im, VJ_I64, 0));
    return vj_emit3(im, VJ_OP_select, below, wrapped, index);
}

vj_value vj_emit_flat_index(vj_importer *im, vj_value index, const vj_type *data, int32_t first, vj_dim *length) {
    const vj_type type = *type_of(im, index);
    const int64_t k = type.dims[type.rank - 1].c;
    vj_value sum = VJ_NONE;
    *length = vj_dim_const(1);
    for (int64_t i = 0; i < k; i++)
        if (vj_is_data_dim(data->dims[first + i])) index = vj_emit_cast(im, index, VJ_I64);
    for (int64_t i = k - 1; i >= 0 && vj_going(im); i--) {
        const vj_dim both[2] = {*length, data->dims[first + i]};
        vj_value at = vj_emit_slice(im, index, type.rank - 1, i, vj_dim_const(1), 1);
        at = from_front_of(im, vj_emit_reshape(im, at, type.dims, type.rank - 1), both[1]);
        if (!vj_going(im)) return VJ_NONE;
        if (length->sym)
            at = vj_emit2(im, VJ_OP_mul, at, vj_affine_value(im, vj_affine_of_dim(im, *length)));
        else if (length->c != 1)
            at = vj_emit2(im, VJ_OP_mul, at, vj_emit_number(im, type_of(im, at)->dtype, (double)length->c));
        sum = sum < 0 ? at : vj_emit2(im, VJ_OP_add, sum, at);
        if (!vj_dim_product(im, both, 2, length)) return VJ_NONE;
    }
    return sum;
}

bool vj_tuples_fit(vj_importer *im, const vj_type *index, const vj_type *data, int32_t first) {
    if (index->rank < 1 || index->dims[index->rank - 1].sym || index->dims[index->rank - 1].c < 1 ||
        index->dims[index->rank - 1].c > data->rank - first)
        return vj_stop(im, VJ_BAD_INPUT, "its index tuples do not fit a tensor of rank %d", data->rank);
    for (int32_t i = 0; i < index->dims[index->rank - 1].c; i++)
        if (data->dims[first + i].sym == VJ_SYM_BATCH) {
            vj_stop(im, VJ_UNSUPPORTED, "indexes the batch");
            vj_advise_batch(im->error, 1);
            return false;
        }
    return true;
}

bool vj_build_gather_nd(vj_importer *im) {
    vj_value data = vj_operand_value(im, 0), index = vj_operand_value(im, 1);
    int64_t given = vj_int_attribute(im, "batch_dims", 0);
    if (!vj_going(im)) return false;
    const vj_type type = *type_of(im, data), tuples = *type_of(im, index);
    if (given < 0 || given >= type.rank || given >= tuples.rank)
        return vj_stop(im, VJ_BAD_INPUT, "has %lld batch dims", (long long)given);
    const int32_t lead = (int32_t)given;
    for (int32_t d = 0; d < lead; d++)
        if (!vj_dim_equal(type.dims[d], tuples.dims[d])) return vj_stop(im, VJ_BAD_INPUT, "batch dims differ");
    if (!vj_tuples_fit(im, &tuples, &type, lead)) return false;
    const int32_t k = (int32_t)tuples.dims[tuples.rank - 1].c, rest = type.rank - lead - k;
    const int32_t rank = tuples.rank - 1 + rest;
    if (rank > VJ_MAX_RANK) return vj_stop(im, VJ_UNSUPPORTED, "makes a tensor of rank %d", rank);
    vj_dim batch, count, row, length, out[VJ_MAX_RANK];
    memcpy(out, tuples.dims, (size_t)(tuples.rank - 1) * sizeof *out);
    memcpy(out + tuples.rank - 1, type.dims + lead + k, (size_t)rest * sizeof *out);
    vj_value flat = vj_emit_flat_index(im, index, &type, lead, &length);
    if (!vj_dim_product(im, type.dims, lead, &batch) ||
        !vj_dim_product(im, tuples.dims + lead, tuples.rank - 1 - lead, &count) ||
        !vj_dim_product(im, type.dims + lead + k, rest, &row) || !vj_going(im))
        return false;
    const vj_tensor *known = lead ? NULL : vj_fold(im, flat);
    if (known) {
        data = vj_emit_reshape(im, data, (vj_dim[]){length, row}, 2);
        return vj_bind(im, 0, vj_emit_reshape(im, vj_emit_rows(im, data, known->i, known->count), out, rank));
    }
    const vj_attr attr = vj_int(VJ_ATTR_AXIS, 1);
    data = vj_emit_reshape(im, data, (vj_dim[]){batch, length, row}, 3);
    flat = vj_emit_reshape(im, flat, (vj_dim[]){batch, count, vj_dim_const(1)}, 3);
    flat = vj_emit_broadcast(im, flat, (vj_dim[]){batch, count, row}, 3);
    vj_value y = vj_emit(im, VJ_OP_gather_elements, (vj_value[]){data, flat}, 2, &attr, 1);
    return vj_going(im) && vj_bind(im, 0, vj_emit_reshape(im, y, out, rank));
}
