/* SPDX-License-Identifier: Apache-2.0 */
/* scatter.c - builders of ops that write at given indices, Scatter..., TensorScatter, MaxUnpool; and of running
 * sums. */
#include "indices.h"

#include <string.h>

static const vj_type *type_of(vj_importer *im, vj_value v) { return vj_type_at(im->f, v); }

/* The IR's word for the attribute `reduction`. An unknown value is an error and gives "". */
static const char *reduction_of(vj_importer *im) {
    static const char *const names[][2] = {
        {"none", "set"}, {"add", "sum"}, {"mul", "prod"}, {"max", "max"}, {"min", "min"}};
    const char *given = vj_text_attribute(im, "reduction", "none");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(given, names[i][0]) == 0) return names[i][1];
    vj_stop(im, VJ_BAD_INPUT, "reduction is '%.20s'", given);
    return "";
}

/* Booleans are combined as the numbers 0 and 1. */
vj_value vj_emit_scatter(vj_importer *im, const char *how, vj_value data, vj_value index, vj_value updates,
                         int32_t axis) {
    if (!vj_going(im)) return VJ_NONE;
    const vj_dtype dtype = type_of(im, data)->dtype;
    const bool counts = dtype == VJ_BOOL && strcmp(how, "set") != 0;
    if (type_of(im, updates)->dtype != dtype) {
        vj_stop(im, VJ_BAD_INPUT, "its updates have another type than the data");
        return VJ_NONE;
    }
    index = vj_emit_cast(im, index, VJ_I64);
    if (counts) {
        data = vj_emit_cast(im, data, VJ_I32);
        updates = vj_emit_cast(im, updates, VJ_I32);
    }
    const vj_attr attrs[] = {vj_int(VJ_ATTR_AXIS, axis), vj_name(VJ_ATTR_KIND, how)};
    vj_value y = vj_emit(im, VJ_OP_scatter, (vj_value[]){data, index, updates}, 3, attrs, 2);
    return counts ? vj_emit_cast(im, y, VJ_BOOL) : y;
}

bool vj_build_scatter_elements(vj_importer *im) {
    vj_value data = vj_operand_value(im, 0), index = vj_operand_value(im, 1), updates = vj_operand_value(im, 2);
    int64_t given = vj_int_attribute(im, "axis", 0), length;
    const char *how = reduction_of(im);
    if (!vj_going(im)) return false;
    const vj_type type = *type_of(im, data), from = *type_of(im, index);
    int32_t axis = vj_axis_of(im, given, type.rank);
    if (axis < 0 || (!vj_is_data_dim(type.dims[axis]) &&
                     (!vj_closed_length(im, data, axis, &length) || !vj_indices_fit(im, index, length))))
        return false;
    if (from.rank != type.rank || type_of(im, updates)->rank != type.rank)
        return vj_stop(im, VJ_BAD_INPUT, "its operands differ in rank");
    vj_value part = data;
    bool is_part = false;
    int64_t high[VJ_MAX_RANK] = {0};
    for (int32_t d = 0; d < type.rank; d++) {
        if (!vj_dim_equal(type_of(im, updates)->dims[d], from.dims[d]))
            return vj_stop(im, VJ_BAD_INPUT, "indices and updates differ in shape");
        if (d == axis || vj_dim_equal(from.dims[d], type.dims[d])) continue;
        if (from.dims[d].sym || type.dims[d].sym || from.dims[d].c > type.dims[d].c)
            return vj_stop(im, VJ_BAD_INPUT, "its indices have more along axis %d than the data", d);
        part = vj_emit_slice(im, part, d, 0, from.dims[d], 1);
        high[d] = type.dims[d].c - from.dims[d].c;
        is_part = true;
    }
    vj_value y = vj_emit_scatter(im, how, part, index, updates, axis);
    for (int32_t d = 0; is_part && d < type.rank && vj_going(im); d++) { /* data outside of the part stays as it is */
        if (!high[d]) continue;
        vj_value rest = data;
        for (int32_t e = d + 1; e < type.rank; e++)
            if (high[e]) rest = vj_emit_slice(im, rest, e, 0, from.dims[e], 1);
        if (!vj_going(im)) return false;
        rest = vj_emit_slice(im, rest, d, from.dims[d].c, vj_dim_const(high[d]), 1);
        y = vj_emit_concat(im, (vj_value[]){y, rest}, 2, d);
    }
    return vj_bind(im, 0, y);
}

/* Scatters rows at constant indices: gathers from the rows of the data followed by those of the updates. */
static vj_value placed_rows(vj_importer *im, vj_value data, const vj_tensor *index, vj_value updates, int64_t length) {
    vj_arena *scratch = vj_arena_scratch(im->arena);
    int64_t *from = VJ_NEW_ARRAY(scratch, int64_t, length + 1);
    bool fits = true;
    for (int64_t i = 0; i < length; i++)
        from[i] = i;
    for (int64_t i = 0; i < index->count && fits; i++) {
        fits = index->i[i] >= 0 && index->i[i] < length;
        if (fits) from[index->i[i]] = length + i;
    }
    if (!fits) vj_stop(im, VJ_BAD_INPUT, "an index is out of range");
    vj_value rows = vj_emit_concat(im, (vj_value[]){data, updates}, 2, 0);
    rows = vj_emit_rows(im, rows, from, length);
    vj_arena_free(scratch);
    return rows;
}

/* The row of x [its first k dims flattened] that a tuple of k indices names, or -1 and an error. */
static int64_t row_of(vj_importer *im, const vj_type *type, const int64_t *tuple, int32_t k) {
    int64_t row = 0;
    for (int32_t i = 0; i < k; i++) {
        const int64_t extent = type->dims[i].c;
        if (tuple[i] < -extent || tuple[i] >= extent) {
            vj_stop(im, VJ_BAD_INPUT, "index %lld is outside an axis of %lld", (long long)tuple[i], (long long)extent);
            return -1;
        }
        row = row * extent + (tuple[i] < 0 ? tuple[i] + extent : tuple[i]);
    }
    return row;
}

/* Scatters constants at once: as nodes they would be a dozen constants of the size of the indices. */
static vj_value placed_constants(vj_importer *im, const vj_tensor *data, const vj_tensor *index,
                                 const vj_tensor *updates, int32_t k) {
    vj_tensor *y = vj_tensor_new(im->arena, &data->type, im->error);
    if (!y) return VJ_NONE;
    int64_t row = 1;
    for (int32_t d = k; d < data->type.rank; d++)
        row *= data->type.dims[d].c;
    const size_t bytes = (size_t)row * sizeof *y->f;
    if (y->count)
        memcpy(y->f ? (void *)y->f : (void *)y->i, data->f ? (void *)data->f : (void *)data->i,
               (size_t)y->count * sizeof *y->f);
    for (int64_t n = 0; n < index->count / k; n++) {
        const int64_t at = row_of(im, &data->type, index->i + n * k, k);
        if (at < 0) return VJ_NONE;
        if (y->f) memcpy(y->f + at * row, updates->f + n * row, bytes);
        if (y->i) memcpy(y->i + at * row, updates->i + n * row, bytes);
    }
    return vj_emit_tensor(im, y);
}

static vj_value scattered(vj_importer *im, const char *how, vj_value data, vj_value index, vj_value updates) {
    if (!vj_going(im)) return VJ_NONE;
    const vj_type type = *type_of(im, data), tuples = *type_of(im, index), from = *type_of(im, updates);
    if (!vj_tuples_fit(im, &tuples, &type, 0)) return VJ_NONE;
    const int32_t k = (int32_t)tuples.dims[tuples.rank - 1].c;
    const vj_dim one = vj_dim_const(1);
    vj_dim count, row, length;
    if (!vj_dim_product(im, tuples.dims, tuples.rank - 1, &count) ||
        !vj_dim_product(im, type.dims + k, type.rank - k, &row))
        return VJ_NONE;
    bool fits = from.rank == tuples.rank - 1 + type.rank - k && count.sym != VJ_SYM_BATCH;
    for (int32_t d = 0; fits && d < from.rank; d++)
        fits = vj_dim_equal(from.dims[d], d < tuples.rank - 1 ? tuples.dims[d] : type.dims[k + d - tuples.rank + 1]);
    if (!fits) vj_stop(im, VJ_BAD_INPUT, "its updates do not fit the data and the indices");
    if (!fits) return VJ_NONE;
    const vj_tensor *tensors[] = {vj_fold(im, data), vj_fold(im, index), vj_fold(im, updates)};
    if (tensors[0] && tensors[1] && tensors[2] && from.dtype == type.dtype && strcmp(how, "set") == 0)
        return placed_constants(im, tensors[0], tensors[1], tensors[2], k);
    vj_value flat = vj_emit_flat_index(im, index, &type, 0, &length);
    if (!vj_going(im)) return VJ_NONE;
    flat = vj_emit_reshape(im, flat, (vj_dim[]){count}, 1);
    data = vj_emit_reshape(im, data, (vj_dim[]){length, row}, 2);
    updates = vj_emit_reshape(im, updates, (vj_dim[]){count, row}, 2);
    const vj_tensor *known = vj_fold(im, flat);
    vj_value y = known && !length.sym && strcmp(how, "set") == 0
                     ? placed_rows(im, data, known, updates, length.c)
                     : vj_emit_scatter(im, how, data, vj_emit_reshape(im, flat, (vj_dim[]){count, one}, 2), updates, 0);
    return vj_emit_reshape(im, y, type.dims, type.rank);
}

/* Exporters spell the table of relative positions anew in each layer, by scatters of constants as large as the scores:
 * it is made once. */
bool vj_build_scatter_nd(vj_importer *im) {
    const vj_value operands[] = {vj_operand_value(im, 0), vj_operand_value(im, 1), vj_operand_value(im, 2)};
    const char *how = reduction_of(im);
    vj_value *made = vj_going(im) ? vj_made_of(im, VJ_OP_scatter, how, operands, 3) : NULL;
    if (made && *made >= 0) return vj_bind(im, 0, *made);
    const vj_value y = scattered(im, how, operands[0], operands[1], operands[2]);
    if (made) *made = y;
    return vj_going(im) && vj_bind(im, 0, y);
}

/* The operands are cache [B, .., S, D], update [B, .., s, D] and, optionally, the first index for each batch element
 * [B] (opset 24). */
bool vj_build_tensor_scatter(vj_importer *im) {
    vj_value data = vj_operand_value(im, 0), updates = vj_operand_value(im, 1);
    const int64_t given = vj_int_attribute(im, "axis", -2);
    const char *mode = vj_text_attribute(im, "mode", "linear");
    int64_t length;
    if (!vj_going(im)) return false;
    const vj_type from = *type_of(im, updates);
    const int32_t axis = vj_axis_of(im, given, type_of(im, data)->rank);
    const bool circular = strcmp(mode, "circular") == 0;
    if (!vj_closed_length(im, data, axis, &length)) return false;
    if (axis == 0 || from.rank != type_of(im, data)->rank || from.dims[axis].sym)
        return vj_stop(im, VJ_BAD_INPUT, "its update does not fit the cache");
    if (!circular && strcmp(mode, "linear") != 0) return vj_stop(im, VJ_BAD_INPUT, "mode is '%.20s'", mode);
    vj_value index = vj_emit_iota(im, VJ_I64, from.dims[axis].c, axis, from.rank);
    if (vj_has_operand(im, 2)) {
        vj_value start = vj_operand_value(im, 2);
        if (!vj_going(im)) return false;
        if (type_of(im, start)->rank != 1) return vj_stop(im, VJ_BAD_INPUT, "its write indices are no list");
        start = vj_emit_column(im, vj_emit_cast(im, start, VJ_I64), 0, from.rank);
        index = vj_emit2(im, VJ_OP_add, start, index);
    }
    if (circular) index = vj_emit2(im, VJ_OP_mod, index, vj_emit_number(im, VJ_I64, (double)length));
    vj_dim dims[VJ_MAX_RANK];
    memcpy(dims, from.dims, sizeof dims);
    for (int32_t d = axis + 1; d < from.rank; d++)
        dims[d] = vj_dim_const(1);
    index = vj_emit_broadcast(im, index, dims, from.rank);
    return vj_bind(im, 0, vj_emit_scatter(im, "set", data, index, updates, axis));
}

/* The size of a spatial axis of the input from which MaxPool made its result. */
static bool unpooled(vj_importer *im, int32_t i, int32_t spatial, int64_t pooled, int64_t *size) {
    int32_t kernels, strides, pads;
    const int64_t *kernel = vj_ints_attribute(im, "kernel_shape", &kernels);
    const int64_t *stride = vj_ints_attribute(im, "strides", &strides), *pad = vj_ints_attribute(im, "pads", &pads);
    if (!vj_going(im)) return false;
    if (kernels != spatial || (strides && strides != spatial) || (pads && pads != 2 * spatial))
        return vj_stop(im, VJ_BAD_INPUT, "its attributes do not fit %d spatial axes", spatial);
    if (!vj_mul(pooled - 1, strides ? stride[i] : 1, size) || !vj_add(*size, kernel[i], size) ||
        (pads && (!vj_add(*size, -pad[i], size) || !vj_add(*size, -pad[spatial + i], size))) || *size < 1)
        return vj_stop(im, VJ_BAD_INPUT, "its result has a size that makes no sense");
    return true;
}

/* Indices count in the whole result, images and channels included. A larger output_shape adds zeros at the end. */
bool vj_build_max_unpool(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0), index = vj_operand_value(im, 1);
    if (!vj_going(im)) return false;
    const vj_type type = *type_of(im, x);
    vj_dim dims[VJ_MAX_RANK], all, count;
    if (type.rank < 3) return vj_stop(im, VJ_BAD_INPUT, "has no spatial axes");
    memcpy(dims, type.dims, sizeof dims);
    for (int32_t d = 2; d < type.rank; d++)
        if (type.dims[d].sym || !unpooled(im, d - 2, type.rank - 2, type.dims[d].c, &dims[d].c))
            return vj_stop(im, VJ_UNSUPPORTED, "the size of axis %d is open", d);
    if (!vj_dim_product(im, dims, type.rank, &all) || !vj_dim_product(im, type.dims, type.rank, &count)) return false;
    if (all.sym) {
        vj_stop(im, VJ_UNSUPPORTED, "indexes the batch");
        vj_advise_batch(im->error, 1);
        return false;
    }
    vj_value zeros = vj_emit_broadcast(im, vj_emit_number(im, type.dtype, 0), &all, 1);
    vj_value y =
        vj_emit_scatter(im, "set", zeros, vj_emit_reshape(im, index, &count, 1), vj_emit_reshape(im, x, &count, 1), 0);
    y = vj_emit_reshape(im, y, dims, type.rank);
    int32_t wanted = 0;
    const int64_t *shape = vj_has_operand(im, 2) ? vj_constant_list(im, 2, "output shape", &wanted) : NULL;
    if (!vj_going(im)) return false;
    if (!shape) return vj_bind(im, 0, y);
    if (wanted != type.rank) return vj_stop(im, VJ_BAD_INPUT, "its output shape has another rank");
    for (int32_t d = 0; d < type.rank; d++) {
        if (shape[d] < dims[d].c) return vj_stop(im, VJ_BAD_INPUT, "its output shape is smaller than what it makes");
        if (shape[d] == dims[d].c) continue;
        vj_dim more[VJ_MAX_RANK];
        memcpy(more, dims, sizeof more);
        more[d] = vj_dim_const(shape[d] - dims[d].c);
        zeros = vj_emit_broadcast(im, vj_emit_number(im, type.dtype, 0), more, type.rank);
        y = vj_emit_concat(im, (vj_value[]){y, zeros}, 2, d);
        dims[d] = vj_dim_const(shape[d]);
    }
    return vj_bind(im, 0, y);
}

/* CumSum, CumProd */
bool vj_build_scan(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0);
    int32_t one;
    const int64_t *given = vj_constant_list(im, 1, "axis", &one);
    const bool exclusive = vj_int_attribute(im, "exclusive", 0) != 0, reverse = vj_int_attribute(im, "reverse", 0) != 0;
    int64_t length;
    if (!vj_going(im)) return false;
    if (one != 1) return vj_stop(im, VJ_BAD_INPUT, "needs one axis");
    const int32_t axis = vj_axis_of(im, given[0], type_of(im, x)->rank);
    if (!vj_closed_length(im, x, axis, &length)) return false;
    const vj_attr attrs[] = {vj_int(VJ_ATTR_AXIS, axis), vj_name(VJ_ATTR_KIND, im->row->ir_op ? "prod" : "sum"),
                             vj_int(VJ_ATTR_EXCLUSIVE, exclusive), vj_int(VJ_ATTR_REVERSE, reverse)};
    return vj_bind(im, 0, vj_emit(im, VJ_OP_scan, &x, 1, attrs, 4));
}
