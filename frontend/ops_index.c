/* ops_index.c - builders of ops whose indices the run computes: TopK, ArgMax, GatherElements, Scatter..., and CumSum.
 *
 * They are written with comparisons and reductions: element p of an axis is picked by `index == p`, a sorted place is
 * the number of elements that come before. This takes work of the order of (results * axis), needs no memory but the
 * results, vectorises, and keeps an open batch apart. */
#include "import.h"

#include <string.h>

static const vj_type *type_of(vj_importer *im, vj_value v) { return vj_type_at(im->f, v); }

/* 0, 1, ... count - 1 as a constant of `rank` dims, all 1 but `axis`. */
static vj_value iota(vj_importer *im, vj_dtype dtype, int64_t count, int32_t axis, int32_t rank) {
    enum { LIMIT = 1 << 22 };
    int64_t dims[VJ_MAX_RANK];
    if (!vj_going(im)) return VJ_NONE;
    if (count > LIMIT) {
        vj_stop(im, VJ_UNSUPPORTED, "an axis of %lld is too long", (long long)count);
        return VJ_NONE;
    }
    int64_t *list = VJ_NEW_ARRAY(im->arena, int64_t, count + 1);
    for (int64_t i = 0; i < count; i++)
        list[i] = i;
    for (int32_t d = 0; d < rank; d++)
        dims[d] = d == axis ? count : 1;
    return vj_add_const_i64(im->f, dtype, rank, dims, list);
}

/* Adds a dim of 1 in front of `axis`. */
static vj_value with_dim(vj_importer *im, vj_value x, int32_t axis) {
    if (!vj_going(im)) return VJ_NONE;
    const vj_type type = *type_of(im, x);
    vj_dim dims[VJ_MAX_RANK + 1];
    memcpy(dims, type.dims, (size_t)axis * sizeof *dims);
    dims[axis] = vj_dim_const(1);
    memcpy(dims + axis + 1, type.dims + axis, (size_t)(type.rank - axis) * sizeof *dims);
    return vj_emit_reshape(im, x, dims, type.rank + 1);
}

/* The length of an axis that must not be the batch. */
static bool closed_axis(vj_importer *im, vj_value x, int32_t axis, int64_t *length) {
    if (axis < 0 || !vj_going(im)) return false;
    const vj_dim dim = type_of(im, x)->dims[axis];
    *length = dim.c;
    if (!dim.sym) return true;
    if (vj_is_data_dim(dim)) return vj_stop(im, VJ_UNSUPPORTED, "works along a size that the data decides");
    vj_stop(im, VJ_UNSUPPORTED, "works along the batch");
    vj_hint(im->error, "fix the batch: --batch 1");
    return false;
}

/* The sum over `axis` of x where `at` says so: one element, or 0. */
static vj_value sum_where(vj_importer *im, vj_value at, vj_value x, int32_t axis, bool keep) {
    if (!vj_going(im)) return VJ_NONE;
    const vj_dtype dtype = type_of(im, x)->dtype;
    if (dtype == VJ_BOOL) x = vj_emit_cast(im, x, VJ_I32);
    vj_value zero = vj_going(im) ? vj_emit_number(im, type_of(im, x)->dtype, 0) : VJ_NONE;
    return vj_emit_cast(im, vj_emit_reduce(im, "sum", vj_emit3(im, VJ_OP_select, at, x, zero), &axis, 1, keep), dtype);
}

static vj_value from_front(vj_importer *im, vj_value index, int64_t length) {
    const vj_dtype dtype = vj_going(im) ? type_of(im, index)->dtype : VJ_NO_DTYPE;
    if (!vj_dtype_is_int(dtype)) {
        if (vj_going(im)) vj_stop(im, VJ_BAD_INPUT, "its indices are not integers");
        return VJ_NONE;
    }
    vj_value wrapped = vj_emit2(im, VJ_OP_add, index, vj_emit_number(im, dtype, (double)length));
    return vj_emit3(im, VJ_OP_select, vj_emit2(im, VJ_OP_lt, index, vj_emit_number(im, dtype, 0)), wrapped, index);
}

/* Indices that are known must be in range; others are taken to the nearest place when they are not. */
static bool in_range(vj_importer *im, vj_value index, int64_t length) {
    const vj_tensor *known = vj_going(im) ? vj_fold(im, index) : NULL;
    if (!vj_going(im)) return false;
    if (!vj_dtype_is_int(type_of(im, index)->dtype)) return vj_stop(im, VJ_BAD_INPUT, "its indices are not integers");
    for (int64_t i = 0; known && i < known->count; i++)
        if (known->i[i] < -length || known->i[i] >= length)
            return vj_stop(im, VJ_BAD_INPUT, "index %lld is outside an axis of %lld", (long long)known->i[i],
                           (long long)length);
    return true;
}

/* result[.., k, ..] = data[.., indices[.., k, ..], ..]; other axes of data may be longer. */
bool vj_build_gather_elements(vj_importer *im) {
    vj_value data = vj_operand(im, 0), index = vj_operand(im, 1);
    int64_t given = vj_int_attribute(im, "axis", 0), length;
    if (!vj_going(im)) return false;
    const vj_type to = *type_of(im, index);
    int32_t axis = vj_axis_of(im, given, to.rank);
    if (axis < 0) return false;
    if (to.rank != type_of(im, data)->rank) return vj_stop(im, VJ_BAD_INPUT, "data and indices differ in rank");
    if (!closed_axis(im, data, axis, &length) || !in_range(im, index, length)) return false;
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

/* Places in an order */

static bool top_k(vj_importer *im, int64_t k) {
    vj_value x = vj_operand(im, 0);
    int64_t given = vj_int_attribute(im, "axis", -1), length;
    bool largest = vj_int_attribute(im, "largest", 1) != 0;
    vj_int_attribute(im, "sorted", 1); /* 0: any order, so also this one */
    if (!vj_going(im)) return false;
    const int32_t axis = vj_axis_of(im, given, type_of(im, x)->rank);
    if (!closed_axis(im, x, axis, &length)) return false;
    if (k < 0 || k > length)
        return vj_stop(im, VJ_BAD_INPUT, "takes %lld of %lld elements", (long long)k, (long long)length);
    const vj_attr attrs[] = {vj_int(VJ_ATTR_AXIS, axis), vj_int(VJ_ATTR_K, k), vj_int(VJ_ATTR_LARGEST, largest)};
    const vj_value values = vj_emit(im, VJ_OP_topk, &x, 1, attrs, 3);
    return vj_going(im) && vj_bind(im, 0, values) && (!vj_result_is_used(im, 1) || vj_bind(im, 1, values + 1));
}

bool vj_build_top_k(vj_importer *im) {
    int32_t count;
    const int64_t *k = vj_constant_list(im, 1, "k", &count);
    if (!vj_going(im)) return false;
    return count == 1 ? top_k(im, k[0]) : vj_stop(im, VJ_BAD_INPUT, "needs one k");
}

bool vj_build_top_k_1(vj_importer *im) { return top_k(im, vj_int_attribute(im, "k", -1)); }

bool vj_build_arg(vj_importer *im) {
    vj_value x = vj_operand(im, 0);
    int64_t given = vj_int_attribute(im, "axis", 0), length;
    bool keep = vj_int_attribute(im, "keepdims", 1) != 0, last = vj_int_attribute(im, "select_last_index", 0) != 0;
    if (!vj_going(im)) return false;
    int32_t rank = type_of(im, x)->rank, axis = vj_axis_of(im, given, rank);
    if (!closed_axis(im, x, axis, &length)) return false;
    vj_value best = vj_emit_reduce(im, im->row->ir_op ? "min" : "max", x, &axis, 1, true);
    vj_value other = vj_emit_number(im, VJ_I32, last ? -1 : (double)length);
    vj_value index =
        vj_emit3(im, VJ_OP_select, vj_emit2(im, VJ_OP_eq, x, best), iota(im, VJ_I32, length, axis, rank), other);
    index = vj_emit_reduce(im, last ? "max" : "min", index, &axis, 1, keep);
    return vj_bind(im, 0, vj_emit_cast(im, index, VJ_I64));
}

/* Scatter. data [P, R], index [M] or [M, R] (counted from the front), updates [M, R]. */

static const char *reduction_of(vj_importer *im) {
    static const char *const names[][2] = {
        {"none", ""}, {"add", "sum"}, {"mul", "prod"}, {"max", "max"}, {"min", "min"}};
    const char *given = vj_text_attribute(im, "reduction", "none");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(given, names[i][0]) == 0) return names[i][1];
    vj_stop(im, VJ_BAD_INPUT, "reduction is '%.20s'", given);
    return "";
}

static vj_value combined(vj_importer *im, const char *how, vj_value a, vj_value b) {
    return vj_emit2(im,
                    how[0] == 's'   ? VJ_OP_add
                    : how[0] == 'p' ? VJ_OP_mul
                    : how[2] == 'x' ? VJ_OP_max
                                    : VJ_OP_min,
                    a, b);
}

/* The axis of updates is `axis`, that of places axis + 1, of all three operands (ready to broadcast). */
static vj_value scattered(vj_importer *im, const char *how, vj_value data, vj_value index, vj_value updates,
                          int32_t axis, int64_t length) {
    if (!vj_going(im)) return VJ_NONE;
    const int32_t rank = type_of(im, data)->rank + 1;
    index = from_front(im, with_dim(im, index, axis + 1), length);
    updates = with_dim(im, updates, axis + 1);
    if (!vj_going(im)) return VJ_NONE;
    vj_value here = vj_emit2(im, VJ_OP_eq, index, iota(im, type_of(im, index)->dtype, length, axis + 1, rank));
    vj_value any =
        vj_emit_cast(im, vj_emit_reduce(im, "max", vj_emit_cast(im, here, VJ_I32), &axis, 1, false), VJ_BOOL);
    if (!*how) return vj_emit3(im, VJ_OP_select, any, sum_where(im, here, updates, axis, false), data);
    if (how[0] == 's') return vj_emit2(im, VJ_OP_add, data, sum_where(im, here, updates, axis, false));
    if (how[0] == 'p') {
        vj_value one = vj_going(im) ? vj_emit_number(im, type_of(im, data)->dtype, 1) : VJ_NONE;
        vj_value factor = vj_emit_reduce(im, how, vj_emit3(im, VJ_OP_select, here, updates, one), &axis, 1, false);
        return vj_emit2(im, VJ_OP_mul, data, factor);
    }
    vj_value neutral = with_dim(im, vj_emit_reduce(im, how[2] == 'x' ? "min" : "max", updates, &axis, 1, false), axis);
    vj_value best = vj_emit_reduce(im, how, vj_emit3(im, VJ_OP_select, here, updates, neutral), &axis, 1, false);
    return vj_emit3(im, VJ_OP_select, any, combined(im, how, data, best), data);
}

bool vj_build_scatter_elements(vj_importer *im) {
    vj_value data = vj_operand(im, 0), index = vj_operand(im, 1), updates = vj_operand(im, 2);
    int64_t given = vj_int_attribute(im, "axis", 0), length;
    const char *how = reduction_of(im);
    if (!vj_going(im)) return false;
    const vj_type type = *type_of(im, data), from = *type_of(im, index);
    int32_t axis = vj_axis_of(im, given, type.rank);
    if (!closed_axis(im, data, axis, &length)) return false;
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
    if (type.rank == VJ_MAX_RANK) return vj_stop(im, VJ_UNSUPPORTED, "scatters into a tensor of rank %d", type.rank);
    vj_value y = scattered(im, how, part, index, updates, axis, length);
    for (int32_t d = 0; is_part && d < type.rank && vj_going(im); d++) { /* what lies outside of the part stays */
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

/* Index tuples [.., k] as numbers [..] of the k axes from `first` on, flattened. */
static vj_value flat_index(vj_importer *im, vj_value index, const vj_type *data, int32_t first, int64_t *length) {
    const vj_type type = *type_of(im, index);
    const int64_t k = type.dims[type.rank - 1].c;
    vj_value sum = VJ_NONE;
    *length = 1;
    for (int64_t i = k - 1; i >= 0 && vj_going(im); i--) {
        const int64_t extent = data->dims[first + i].c;
        vj_value at = vj_emit_slice(im, index, type.rank - 1, i, vj_dim_const(1), 1);
        at = from_front(im, vj_going(im) ? vj_emit_reshape(im, at, type.dims, type.rank - 1) : VJ_NONE, extent);
        if (*length != 1) at = vj_emit2(im, VJ_OP_mul, at, vj_emit_number(im, type.dtype, (double)*length));
        sum = sum < 0 ? at : vj_emit2(im, VJ_OP_add, sum, at);
        if (!vj_mul(*length, extent, length)) vj_stop(im, VJ_BAD_INPUT, "has too many elements");
    }
    return sum;
}

/* Are `first` .. `first + k` - 1 axes of data, without the batch? */
static bool indexes(vj_importer *im, const vj_type *index, const vj_type *data, int32_t first) {
    if (index->rank < 1 || index->dims[index->rank - 1].sym || index->dims[index->rank - 1].c < 1 ||
        index->dims[index->rank - 1].c > data->rank - first)
        return vj_stop(im, VJ_BAD_INPUT, "its index tuples do not fit a tensor of rank %d", data->rank);
    for (int32_t i = 0; i < index->dims[index->rank - 1].c; i++)
        if (data->dims[first + i].sym) {
            vj_stop(im, VJ_UNSUPPORTED, "indexes the batch");
            vj_hint(im->error, "fix the batch: --batch 1");
            return false;
        }
    return true;
}

/* Constant places: rows of the data and of the updates behind them, in their new order. */
static vj_value placed_rows(vj_importer *im, vj_value data, const vj_tensor *index, vj_value updates, int64_t length) {
    int64_t *from = VJ_NEW_ARRAY(im->arena, int64_t, length + 1);
    for (int64_t i = 0; i < length; i++)
        from[i] = i;
    for (int64_t i = 0; i < index->count; i++) {
        if (index->i[i] < 0 || index->i[i] >= length) {
            vj_stop(im, VJ_BAD_INPUT, "an index is out of range");
            return VJ_NONE;
        }
        from[index->i[i]] = length + i;
    }
    vj_value rows = vj_emit_concat(im, (vj_value[]){data, updates}, 2, 0);
    return vj_emit_rows(im, rows, from, length);
}

bool vj_build_scatter_nd(vj_importer *im) {
    vj_value data = vj_operand(im, 0), index = vj_operand(im, 1), updates = vj_operand(im, 2);
    const char *how = reduction_of(im);
    if (!vj_going(im)) return false;
    const vj_type type = *type_of(im, data), tuples = *type_of(im, index), from = *type_of(im, updates);
    if (!indexes(im, &tuples, &type, 0)) return false;
    const int32_t k = (int32_t)tuples.dims[tuples.rank - 1].c;
    vj_dim count, row, rows[2];
    int64_t length;
    if (!vj_dim_product(im, tuples.dims, tuples.rank - 1, &count) ||
        !vj_dim_product(im, type.dims + k, type.rank - k, &row))
        return false;
    bool fits = from.rank == tuples.rank - 1 + type.rank - k && !count.sym;
    for (int32_t d = 0; fits && d < from.rank; d++)
        fits = vj_dim_equal(from.dims[d], d < tuples.rank - 1 ? tuples.dims[d] : type.dims[k + d - tuples.rank + 1]);
    if (!fits) return vj_stop(im, VJ_BAD_INPUT, "its updates do not fit the data and the indices");
    vj_value flat = flat_index(im, index, &type, 0, &length);
    if (!vj_going(im)) return false;
    flat = vj_emit_reshape(im, flat, (vj_dim[]){count}, 1);
    rows[0] = vj_dim_const(length);
    rows[1] = row;
    data = vj_emit_reshape(im, data, rows, 2);
    updates = vj_emit_reshape(im, updates, (vj_dim[]){count, row}, 2);
    const vj_tensor *known = vj_fold(im, flat);
    vj_value y = known && !*how ? placed_rows(im, data, known, updates, length)
                                : scattered(im, how, data, with_dim(im, flat, 1), updates, 0, length);
    return vj_going(im) && vj_bind(im, 0, vj_emit_reshape(im, y, type.dims, type.rank));
}

bool vj_build_gather_nd(vj_importer *im) {
    vj_value data = vj_operand(im, 0), index = vj_operand(im, 1);
    int64_t given = vj_int_attribute(im, "batch_dims", 0), length;
    if (!vj_going(im)) return false;
    const vj_type type = *type_of(im, data), tuples = *type_of(im, index);
    if (given < 0 || given >= type.rank || given >= tuples.rank)
        return vj_stop(im, VJ_BAD_INPUT, "has %lld batch dims", (long long)given);
    const int32_t lead = (int32_t)given;
    for (int32_t d = 0; d < lead; d++)
        if (!vj_dim_equal(type.dims[d], tuples.dims[d])) return vj_stop(im, VJ_BAD_INPUT, "batch dims differ");
    if (!indexes(im, &tuples, &type, lead)) return false;
    const int32_t k = (int32_t)tuples.dims[tuples.rank - 1].c, rest = type.rank - lead - k;
    const int32_t rank = tuples.rank - 1 + rest;
    if (rank > VJ_MAX_RANK) return vj_stop(im, VJ_UNSUPPORTED, "makes a tensor of rank %d", rank);
    vj_dim batch, count, row, out[VJ_MAX_RANK];
    memcpy(out, tuples.dims, (size_t)(tuples.rank - 1) * sizeof *out);
    memcpy(out + tuples.rank - 1, type.dims + lead + k, (size_t)rest * sizeof *out);
    vj_value flat = flat_index(im, index, &type, lead, &length);
    if (!vj_dim_product(im, type.dims, lead, &batch) ||
        !vj_dim_product(im, tuples.dims + lead, tuples.rank - 1 - lead, &count) ||
        !vj_dim_product(im, type.dims + lead + k, rest, &row) || !vj_going(im))
        return false;
    const vj_tensor *known = lead ? NULL : vj_fold(im, flat);
    if (known) {
        data = vj_emit_reshape(im, data, (vj_dim[]){vj_dim_const(length), row}, 2);
        return vj_bind(im, 0, vj_emit_reshape(im, vj_emit_rows(im, data, known->i, known->count), out, rank));
    }
    const vj_attr attr = vj_int(VJ_ATTR_AXIS, 1);
    data = vj_emit_reshape(im, data, (vj_dim[]){batch, vj_dim_const(length), row}, 3);
    flat = vj_emit_reshape(im, flat, (vj_dim[]){batch, count, vj_dim_const(1)}, 3);
    flat = vj_emit_broadcast(im, flat, (vj_dim[]){batch, count, row}, 3);
    vj_value y = vj_emit(im, VJ_OP_gather_elements, (vj_value[]){data, flat}, 2, &attr, 1);
    return vj_going(im) && vj_bind(im, 0, vj_emit_reshape(im, y, out, rank));
}

/* A product with a triangle of ones. */
bool vj_build_cum_sum(vj_importer *im) {
    vj_value x = vj_operand(im, 0);
    int32_t one, perm[VJ_MAX_RANK];
    const int64_t *given = vj_constant_list(im, 1, "axis", &one);
    bool exclusive = vj_int_attribute(im, "exclusive", 0) != 0, reverse = vj_int_attribute(im, "reverse", 0) != 0;
    int64_t length;
    if (!vj_going(im)) return false;
    if (one != 1) return vj_stop(im, VJ_BAD_INPUT, "needs one axis");
    const vj_type type = *type_of(im, x);
    int32_t axis = vj_axis_of(im, given[0], type.rank);
    if (!closed_axis(im, x, axis, &length)) return false;
    if (length > 4096 || type.rank == VJ_MAX_RANK) return vj_stop(im, VJ_UNSUPPORTED, "its axis is too long");
    for (int32_t d = 0; d < type.rank; d++)
        perm[d] = d;
    perm[axis] = type.rank - 1;
    perm[type.rank - 1] = axis;
    x = vj_emit_transpose(im, x, perm);
    int64_t *in = VJ_NEW_ARRAY(im->arena, int64_t, length *length + 1);
    double *weight = VJ_NEW_ARRAY(im->arena, double, length *length + 1);
    for (int64_t i = 0; i < length * length; i++) { /* row: the element, column: the sum */
        const int64_t ahead = reverse ? i / length - i % length : i % length - i / length;
        in[i] = exclusive ? ahead > 0 : ahead >= 0;
        weight[i] = (double)in[i];
    }
    const int64_t dims[2] = {length, length};
    vj_value y;
    if (vj_dtype_is_float(type.dtype))
        y = vj_emit2(im, VJ_OP_linear, x, vj_add_const_f64(im->f, type.dtype, 2, dims, weight));
    else
        y = sum_where(im, vj_add_const_i64(im->f, VJ_BOOL, 2, dims, in), with_dim(im, x, type.rank), type.rank - 1,
                      false);
    return vj_bind(im, 0, vj_emit_transpose(im, y, perm));
}
