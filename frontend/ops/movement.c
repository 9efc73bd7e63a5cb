/* SPDX-License-Identifier: Apache-2.0 */
/* movement.c - builders of the ops that move elements: Transpose, Slice, Split, Concat, Gather, Pad, Trilu, ... */
#include "frontend/import/import.h"

#include <string.h>

enum { CONSTANT_LIMIT = 1 << 22 }; /* the most elements of index and mask constants that are read or made */

static const vj_type *type_of(vj_importer *im, vj_value v) { return vj_type_at(im->f, v); }

bool vj_build_transpose(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0);
    int32_t count, perm[VJ_MAX_RANK];
    const int64_t *given = vj_ints_attribute(im, "perm", &count);
    if (!vj_going(im)) return false;
    int32_t rank = type_of(im, x)->rank;
    if (given && count != rank)
        return vj_stop(im, VJ_BAD_INPUT, "perm has %d axes for a tensor of rank %d", count, rank);
    uint32_t seen = 0;
    for (int32_t i = 0; i < rank; i++) {
        int32_t axis = given ? vj_axis_of(im, given[i], rank) : rank - 1 - i;
        if (axis < 0) return false;
        perm[i] = axis;
        seen |= 1u << axis;
    }
    if (seen != (1u << rank) - 1) return vj_stop(im, VJ_BAD_INPUT, "perm is no permutation");
    return vj_bind(im, 0, vj_emit_transpose(im, x, perm));
}

/* An end of a slice that no batch reaches; tf2onnx writes this number where TensorFlow names no end. */
enum { NO_END = 1000000000 };

/* A slice of an axis of c * N: all of it, or a constant number of elements from the front that every batch has. */
static vj_value slice_open(vj_importer *im, vj_value x, int32_t axis, vj_affine start, vj_affine end, int64_t step) {
    vj_dim dim = type_of(im, x)->dims[axis];
    bool from_front = start.a == 0 && start.b == 0 && step == 1;
    bool whole = end.a >= dim.c ? end.b >= 0 : end.a == 0 && end.b >= NO_END;
    if (from_front && whole) return x;
    if (from_front && end.a == 0 && end.b >= 0 && end.b <= dim.c)
        return vj_emit_slice(im, x, axis, 0, vj_dim_const(end.b), 1);
    vj_stop(im, VJ_UNSUPPORTED, "cuts the batch apart (axis %d)", axis);
    vj_advise_batch(im->error, 1);
    return VJ_NONE;
}

/* Returns whether x <= y is known to hold. */
static bool at_most(vj_importer *im, vj_affine x, vj_affine y) {
    vj_affine yes;
    return vj_affine_combine(im, VJ_AFFINE_LE, x, y, &yes) && yes.b;
}

/* Turns a start or end of a slice into a bound in [0, n], counted from the front. Returns false when it has no affine
 * form. */
static bool bound_of(vj_importer *im, vj_affine at, vj_affine n, vj_affine *bound) {
    const vj_affine zero = {.b = 0}, below = {.b = -1};
    vj_affine from_end;
    if (at_most(im, at, below)) {
        if (at.a == 0 && at.b < -((int64_t)1 << 40)) return *bound = zero, true;
        return vj_affine_combine(im, VJ_AFFINE_ADD, at, n, &from_end) &&
               vj_affine_combine(im, VJ_AFFINE_MAX, from_end, zero, bound);
    }
    return at_most(im, zero, at) && vj_affine_combine(im, VJ_AFFINE_MIN, at, n, bound);
}

/* Gathers `size` elements start, start + step, ... of an axis. The data may decide the start. */
static vj_value rows_from(vj_importer *im, vj_value x, int32_t axis, vj_affine start, vj_dim size, int64_t step) {
    vj_affine number = vj_affine_of_dim(im, size);
    vj_value index = vj_emit_indices(im, number);
    if (step != 1) index = vj_emit2(im, VJ_OP_mul, index, vj_emit_number(im, VJ_I64, (double)step));
    index = vj_emit2(im, VJ_OP_add, index, vj_affine_value(im, start));
    const vj_attr attr = vj_int(VJ_ATTR_AXIS, axis);
    return vj_emit(im, VJ_OP_gather, (vj_value[]){x, index}, 2, &attr, 1);
}

/* A slice where the data decides its bounds or the axis's length. With a negative step it must start from the end. */
static vj_value slice_by_data(vj_importer *im, vj_value x, int32_t axis, vj_affine from, vj_affine to, int64_t step) {
    const vj_affine n = vj_affine_of_dim(im, type_of(im, x)->dims[axis]), zero = {.b = 0}, one = {.b = 1};
    vj_affine start, end, size;
    vj_dim dim;
    bool good;
    if (step == -1 && from.a == 0 && (from.b == -1 || from.b >= INT32_MAX) && to.a == 0 && to.b <= -INT32_MAX) {
        good = vj_affine_combine(im, VJ_AFFINE_SUB, n, one, &start);
        size = n;
    } else {
        good = step > 0 && bound_of(im, from, n, &start) && bound_of(im, to, n, &end) &&
               vj_affine_combine(im, VJ_AFFINE_SUB, end, start, &size) &&
               vj_affine_combine(im, VJ_AFFINE_ADD, size, (vj_affine){.b = step - 1}, &size) &&
               vj_affine_combine(im, VJ_AFFINE_DIV, size, (vj_affine){.b = step}, &size) &&
               vj_affine_combine(im, VJ_AFFINE_MAX, size, zero, &size);
    }
    if (!good) {
        if (vj_going(im)) vj_stop(im, VJ_UNSUPPORTED, "cuts axis %d at positions that the data decides", axis);
        return VJ_NONE;
    }
    if (!vj_dim_of_affine(im, size, "slice", &dim)) return VJ_NONE;
    return start.a || step < 0 ? rows_from(im, x, axis, start, dim, step)
                               : vj_emit_slice(im, x, axis, start.b, dim, step);
}

static vj_value slice_axis(vj_importer *im, vj_value x, int32_t axis, vj_affine from, vj_affine to, int64_t step) {
    vj_dim dim = type_of(im, x)->dims[axis];
    if (step == 0 || step == INT64_MIN) {
        vj_stop(im, VJ_BAD_INPUT, "has step %lld", (long long)step);
        return VJ_NONE;
    }
    if (vj_is_data_dim(dim) || (from.a && from.data) || (to.a && to.data))
        return slice_by_data(im, x, axis, from, to, step);
    if (dim.sym) return slice_open(im, x, axis, from, to, step);
    if (from.a || to.a) {
        vj_stop(im, VJ_UNSUPPORTED, "cuts axis %d at a position that depends on the batch", axis);
        return VJ_NONE;
    }
    int64_t n = dim.c, low = step < 0 ? -1 : 0, high = step < 0 ? n - 1 : n, start = from.b, end = to.b;
    if (start < 0) start = start < -n ? low : start + n;
    if (end < 0) end = end < -n ? low : end + n;
    start = vj_max64(low, vj_min64(start, high));
    end = vj_max64(low, vj_min64(end, high));
    int64_t span = step > 0 ? end - start : start - end, stride = step > 0 ? step : -step;
    int64_t size = span > 0 ? (span - 1) / stride + 1 : 0;
    return vj_emit_slice(im, x, axis, vj_max64(start, 0), vj_dim_const(size), size == 1 ? 1 : step);
}

bool vj_build_slice(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0);
    const vj_known *starts = vj_known_list(im, 1, "starts"), *ends = vj_known_list(im, 2, "ends");
    int32_t axis_count = 0, step_count = 0;
    const int64_t *axes = vj_has_operand(im, 3) ? vj_constant_list(im, 3, "axes", &axis_count) : NULL;
    const int64_t *steps = vj_has_operand(im, 4) ? vj_constant_list(im, 4, "steps", &step_count) : NULL;
    if (!vj_going(im)) return false;
    int32_t rank = type_of(im, x)->rank;
    if (starts->count > rank || ends->count != starts->count || (axes && axis_count != starts->count) ||
        (steps && step_count != starts->count))
        return vj_stop(im, VJ_BAD_INPUT, "its starts, ends, axes and steps differ in length");
    uint32_t seen = 0;
    for (int32_t i = 0; i < starts->count && vj_going(im); i++) {
        int32_t axis = vj_axis_of(im, axes ? axes[i] : i, rank);
        if (axis < 0) return false;
        if (seen >> axis & 1) return vj_stop(im, VJ_BAD_INPUT, "axis %d is named twice", axis);
        seen |= 1u << axis;
        x = slice_axis(im, x, axis, starts->at[i], ends->at[i], steps ? steps[i] : 1);
    }
    return vj_bind(im, 0, x);
}

/* Before opset 10, starts and ends are attributes and all steps are 1. */
bool vj_build_slice_1(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0);
    int32_t start_count, end_count, axis_count;
    const int64_t *starts = vj_ints_attribute(im, "starts", &start_count);
    const int64_t *ends = vj_ints_attribute(im, "ends", &end_count), *axes = vj_ints_attribute(im, "axes", &axis_count);
    if (!vj_going(im)) return false;
    int32_t rank = type_of(im, x)->rank;
    if (!starts || !ends || start_count > rank || end_count != start_count || (axes && axis_count != start_count))
        return vj_stop(im, VJ_BAD_INPUT, "its starts, ends and axes differ in length");
    uint32_t seen = 0;
    for (int32_t i = 0; i < start_count && vj_going(im); i++) {
        int32_t axis = vj_axis_of(im, axes ? axes[i] : i, rank);
        if (axis < 0) return false;
        if (seen >> axis & 1) return vj_stop(im, VJ_BAD_INPUT, "axis %d is named twice", axis);
        seen |= 1u << axis;
        x = slice_axis(im, x, axis, (vj_affine){.b = starts[i]}, (vj_affine){.b = ends[i]}, 1);
    }
    return vj_bind(im, 0, x);
}

static const int64_t *split_sizes(vj_importer *im, int64_t total, int32_t parts) {
    int32_t count = 0;
    const int64_t *given =
        vj_has_operand(im, 1) ? vj_constant_list(im, 1, "sizes", &count) : vj_ints_attribute(im, "split", &count);
    if (!vj_going(im)) return NULL;
    if (given) {
        int64_t sum = 0;
        bool fits = count == parts;
        for (int32_t i = 0; fits && i < count; i++)
            fits = given[i] >= 0 && vj_add(sum, given[i], &sum);
        if (!fits || sum != total) vj_stop(im, VJ_BAD_INPUT, "its sizes do not add up to %lld", (long long)total);
        return given;
    }
    if (vj_int_attribute(im, "num_outputs", parts) != parts) vj_stop(im, VJ_BAD_INPUT, "has %d results", parts);
    int64_t *sizes = VJ_NEW_ARRAY(im->arena, int64_t, parts + 1), each = vj_ceil_div(total, parts), left = total;
    if (total % parts && im->row->since < 18)
        vj_stop(im, VJ_BAD_INPUT, "%lld does not divide by %d", (long long)total, parts);
    int64_t before = 0; /* the last part must not be beyond the end */
    if (!vj_mul(each, parts - 1, &before) || before > total)
        vj_stop(im, VJ_BAD_INPUT, "cuts %lld into %d parts", (long long)total, parts);
    for (int32_t i = 0; i < parts; i++) {
        sizes[i] = vj_min64(each, left);
        left -= sizes[i];
    }
    return sizes;
}

bool vj_build_split(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0);
    int64_t given = vj_int_attribute(im, "axis", 0);
    if (!vj_going(im)) return false;
    int32_t axis = vj_axis_of(im, given, type_of(im, x)->rank);
    if (axis < 0) return false;
    vj_dim dim = type_of(im, x)->dims[axis];
    if (im->node->n_output > 4096) return vj_stop(im, VJ_UNSUPPORTED, "has %zu results", im->node->n_output);
    int32_t parts = (int32_t)im->node->n_output;
    if (dim.sym && parts == 1) return vj_bind(im, 0, x);
    if (vj_is_data_dim(dim)) return vj_stop(im, VJ_UNSUPPORTED, "splits a size that the data decides (axis %d)", axis);
    if (dim.sym) {
        vj_stop(im, VJ_UNSUPPORTED, "cuts the batch apart (axis %d)", axis);
        vj_advise_batch(im->error, parts);
        return false;
    }
    const int64_t *sizes = split_sizes(im, dim.c, parts);
    int64_t start = 0;
    for (int32_t i = 0; i < parts && vj_going(im); i++) {
        vj_bind(im, i, vj_emit_slice(im, x, axis, start, vj_dim_const(sizes[i]), 1));
        start += sizes[i];
    }
    return vj_going(im);
}

bool vj_build_concat(vj_importer *im) {
    int32_t count = (int32_t)im->node->n_input;
    vj_value *parts = VJ_NEW_ARRAY(im->arena, vj_value, count + 1);
    for (int32_t i = 0; i < count; i++)
        parts[i] = vj_operand_value(im, i);
    if (!vj_find_attribute(im, "axis")) return vj_stop(im, VJ_BAD_INPUT, "names no axis");
    int64_t given = vj_int_attribute(im, "axis", 0);
    if (!vj_going(im)) return false;
    int32_t axis = vj_axis_of(im, given, type_of(im, parts[0])->rank);
    return axis >= 0 && vj_bind(im, 0, vj_emit_concat(im, parts, count, axis));
}

/* Gather */

/* Constant indices, counted from the front, or NULL when they are not constant. */
static int64_t *read_indices(vj_importer *im, vj_value v, int64_t bound, int64_t *count, bool *changed) {
    *count = 0;
    *changed = false;
    const vj_tensor *t = vj_fold(im, v);
    if (!t || !t->i) return NULL;
    *count = t->count;
    int64_t *list = VJ_NEW_ARRAY(im->arena, int64_t, *count + 1);
    *changed = !vj_is_const(im->f, v);
    for (int64_t i = 0; i < *count; i++) {
        list[i] = t->i[i];
        if (list[i] < 0) {
            list[i] += bound;
            *changed = true;
        }
        if (list[i] < 0 || list[i] >= bound) {
            vj_stop(im, VJ_BAD_INPUT, "an index is outside [0, %lld)", (long long)bound);
            return NULL;
        }
    }
    return list;
}

/* Returns whether the indices are evenly spaced. Such indices of rank 0 or 1 are a slice. */
static bool is_progression(const int64_t *list, int64_t count, int64_t *step) {
    *step = count > 1 ? list[1] - list[0] : 1;
    for (int64_t i = 1; i < count; i++)
        if (list[i] - list[i - 1] != *step) return false;
    return count > 0 && *step > 0;
}

static vj_value emit_gather(vj_importer *im, vj_value data, vj_value indices, int32_t axis) {
    const vj_attr attr = vj_int(VJ_ATTR_AXIS, axis);
    return vj_emit(im, VJ_OP_gather, (vj_value[]){data, indices}, 2, &attr, 1);
}

vj_value vj_emit_gather(vj_importer *im, vj_value data, vj_value indices, int32_t axis) {
    if (!vj_going(im)) return VJ_NONE;
    const vj_type type = *type_of(im, data), index_type = *type_of(im, indices);
    int64_t count, step;
    bool changed;
    if (!vj_dtype_is_int(index_type.dtype)) {
        vj_stop(im, VJ_BAD_INPUT, "its indices are not integers");
        return VJ_NONE;
    }
    if (vj_is_data_dim(type.dims[axis])) return emit_gather(im, data, indices, axis);
    int64_t *list = read_indices(im, indices, type.dims[axis].c, &count, &changed);
    if (!vj_going(im)) return VJ_NONE;
    if (type.dims[axis].sym == VJ_SYM_BATCH && (!list || changed)) {
        vj_stop(im, VJ_UNSUPPORTED, "indexes the batch");
        vj_advise_batch(im->error, 1);
        return VJ_NONE;
    }
    if (list && index_type.rank <= 1 && is_progression(list, count, &step)) {
        vj_value part = vj_emit_slice(im, data, axis, list[0], vj_dim_const(count), step);
        vj_dim dims[VJ_MAX_RANK];
        int32_t rank = 0;
        for (int32_t i = 0; i < type.rank; i++)
            if (i != axis || index_type.rank) dims[rank++] = i == axis ? vj_dim_const(count) : type.dims[i];
        return vj_emit_reshape(im, part, dims, rank);
    }
    if (list && changed) {
        int64_t dims[VJ_MAX_RANK];
        for (int32_t i = 0; i < index_type.rank; i++)
            dims[i] = index_type.dims[i].c;
        indices = vj_add_const_i64(im->f, VJ_I64, index_type.rank, dims, list);
    }
    return emit_gather(im, data, indices, axis);
}

bool vj_build_gather(vj_importer *im) {
    vj_value data = vj_operand_value(im, 0), indices = vj_operand_value(im, 1);
    int64_t given = vj_int_attribute(im, "axis", 0);
    if (!vj_going(im)) return false;
    int32_t axis = vj_axis_of(im, given, type_of(im, data)->rank);
    return axis >= 0 && vj_bind(im, 0, vj_emit_gather(im, data, indices, axis));
}

vj_value vj_emit_rows(vj_importer *im, vj_value x, const int64_t *rows, int64_t count) {
    if (!vj_going(im)) return VJ_NONE;
    return vj_emit_gather(im, x, vj_add_const_i64(im->f, VJ_I64, 1, &count, rows), 0);
}

/* Pad */

static bool scalar_constant(vj_importer *im, int32_t i, vj_value like, double *number) {
    if (!vj_has_operand(im, i)) return true;
    const vj_tensor *t = vj_fold(im, vj_operand_value(im, i));
    if (!vj_going(im)) return false;
    if (!t) return vj_stop_unknown(im, i, "value");
    if (t->count != 1) return vj_stop(im, VJ_BAD_INPUT, "its value is not one number");
    if (t->type.dtype != type_of(im, like)->dtype) return vj_stop(im, VJ_BAD_INPUT, "its value is of another type");
    *number = t->f ? t->f[0] : (double)t->i[0];
    if (t->i && (t->i[0] > INT64_C(1) << 53 || t->i[0] < -(INT64_C(1) << 53)))
        return vj_stop(im, VJ_UNSUPPORTED, "its value has more than 53 bits");
    return true;
}

/* The index that element i of a padded axis copies: the nearest one (e), the one mirrored at the ends (r), or the one
 * that continues from the other end. */
static int64_t source_of_padding(char mode, int64_t i, int64_t n) {
    const int64_t period = mode == 'r' ? 2 * (n - 1) : n;
    if (mode == 'e') return vj_max64(0, vj_min64(i, n - 1));
    const int64_t at = period > 0 ? (i % period + period) % period : 0;
    return at < n ? at : period - at;
}

/* All modes but `constant` copy elements of x. */
static vj_value padded_by_elements(vj_importer *im, vj_value x, const char *mode, const int64_t *low,
                                   const int64_t *high) {
    const vj_type t = *type_of(im, x);
    for (int32_t axis = 0; axis < t.rank && vj_going(im); axis++) {
        int64_t count;
        if (!low[axis] && !high[axis]) continue;
        if (!vj_closed_axis(im, t.dims[axis])) return VJ_NONE;
        const int64_t n = t.dims[axis].c;
        if (n < 1 || !vj_add(n, low[axis], &count) || !vj_add(count, high[axis], &count) || count > CONSTANT_LIMIT) {
            vj_stop(im, n < 1 ? VJ_BAD_INPUT : VJ_UNSUPPORTED, "cannot pad axis %d of %lld elements", axis,
                    (long long)n);
            return VJ_NONE;
        }
        int64_t *from = VJ_NEW_ARRAY(im->arena, int64_t, count + 1);
        for (int64_t i = 0; i < count; i++)
            from[i] = source_of_padding(mode[0], i - low[axis], n);
        x = vj_emit_gather(im, x, vj_add_const_i64(im->f, VJ_I64, 1, &count, from), axis);
    }
    return x;
}

bool vj_build_pad(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0);
    int32_t pad_count, axis_count = 0;
    const bool by_operand = im->row->since >= 11;
    const int64_t *pads =
        by_operand ? vj_constant_list(im, 1, "pads", &pad_count) : vj_ints_attribute(im, "pads", &pad_count);
    const int64_t *axes = vj_has_operand(im, 3) ? vj_constant_list(im, 3, "axes", &axis_count) : NULL;
    const char *mode = vj_text_attribute(im, "mode", "constant");
    double value = by_operand ? 0 : vj_float_attribute(im, "value", 0);
    if (!scalar_constant(im, 2, x, &value) || !vj_going(im)) return false;
    int32_t rank = type_of(im, x)->rank, n = axes ? axis_count : rank;
    if (n > rank || pad_count != 2 * n) return vj_stop(im, VJ_BAD_INPUT, "has %d pads for %d axes", pad_count, n);
    int64_t low[VJ_MAX_RANK] = {0}, high[VJ_MAX_RANK] = {0};
    bool any = false, seen[VJ_MAX_RANK] = {false};
    for (int32_t i = 0; i < n; i++) {
        int32_t axis = vj_axis_of(im, axes ? axes[i] : i, rank);
        if (axis < 0) return false;
        if (seen[axis]) return vj_stop(im, VJ_BAD_INPUT, "axis %d is named twice", axis);
        seen[axis] = true;
        vj_dim dim = type_of(im, x)->dims[axis];
        int64_t cut_low = pads[i] < 0 ? pads[i] : 0, cut_high = pads[n + i] < 0 ? pads[n + i] : 0, size;
        if (cut_low || cut_high) {
            if (dim.sym || !vj_add(cut_low, cut_high, &size) || !vj_add(size, dim.c, &size) || size < 0)
                return vj_stop(im, VJ_BAD_INPUT, "cuts away more than axis %d has", axis);
            x = vj_emit_slice(im, x, axis, -cut_low, vj_dim_const(size), 1);
        }
        low[axis] = pads[i] - cut_low;
        high[axis] = pads[n + i] - cut_high;
        any = any || low[axis] || high[axis];
    }
    if (!any) return vj_bind(im, 0, x);
    if (strcmp(mode, "constant") != 0) {
        if (strcmp(mode, "edge") != 0 && strcmp(mode, "reflect") != 0 && strcmp(mode, "wrap") != 0)
            return vj_stop(im, VJ_BAD_INPUT, "mode is '%.20s'", mode);
        return vj_bind(im, 0, padded_by_elements(im, x, mode, low, high));
    }
    vj_attr attrs[] = {vj_ints(VJ_ATTR_LOW, low, rank), vj_ints(VJ_ATTR_HIGH, high, rank), vj_name(VJ_ATTR_MODE, mode),
                       vj_float(VJ_ATTR_VALUE, value)};
    return vj_bind(im, 0, vj_emit(im, VJ_OP_pad, &x, 1, attrs, 4));
}

/* Blocks of pixels and channels */

static bool block_of(vj_importer *im, vj_value x, int64_t *block) {
    *block = vj_int_attribute(im, "blocksize", 0);
    if (!vj_going(im)) return false;
    const vj_type *type = type_of(im, x);
    if (type->rank != 4 || *block < 1 || *block > INT16_MAX || type->dims[1].sym || type->dims[2].sym ||
        type->dims[3].sym)
        return vj_stop(im, VJ_BAD_INPUT, "needs [N, C, H, W] and a block size");
    return true;
}

bool vj_build_depth_to_space(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0);
    const char *mode = vj_text_attribute(im, "mode", "DCR");
    int64_t b;
    if (!vj_going(im) || !block_of(im, x, &b)) return false;
    if (strcmp(mode, "DCR") != 0 && strcmp(mode, "CRD") != 0) return vj_stop(im, VJ_BAD_INPUT, "mode is '%.20s'", mode);
    const vj_type t = *type_of(im, x);
    if (t.dims[1].c % (b * b)) return vj_stop(im, VJ_BAD_INPUT, "channels do not divide by the block");
    vj_dim block = vj_dim_const(b), c = vj_dim_const(t.dims[1].c / (b * b));
    bool depth_first = strcmp(mode, "CRD") != 0;
    vj_dim apart[6] = {t.dims[0], depth_first ? block : c, block, depth_first ? c : block, t.dims[2], t.dims[3]};
    static const int32_t dcr[6] = {0, 3, 4, 1, 5, 2}, crd[6] = {0, 1, 4, 2, 5, 3};
    vj_value moved = vj_emit_transpose(im, vj_emit_reshape(im, x, apart, 6), depth_first ? dcr : crd);
    vj_dim out[4] = {t.dims[0], c, vj_dim_const(t.dims[2].c * b), vj_dim_const(t.dims[3].c * b)};
    return vj_bind(im, 0, vj_emit_reshape(im, moved, out, 4));
}

bool vj_build_space_to_depth(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0);
    int64_t b;
    if (!vj_going(im) || !block_of(im, x, &b)) return false;
    const vj_type t = *type_of(im, x);
    if (t.dims[2].c % b || t.dims[3].c % b)
        return vj_stop(im, VJ_BAD_INPUT, "height or width does not divide by the block");
    vj_dim block = vj_dim_const(b), h = vj_dim_const(t.dims[2].c / b), w = vj_dim_const(t.dims[3].c / b);
    vj_dim apart[6] = {t.dims[0], t.dims[1], h, block, w, block};
    static const int32_t perm[6] = {0, 3, 5, 1, 2, 4};
    vj_value moved = vj_emit_transpose(im, vj_emit_reshape(im, x, apart, 6), perm);
    vj_dim out[4] = {t.dims[0], vj_dim_const(t.dims[1].c * b * b), h, w};
    return vj_bind(im, 0, vj_emit_reshape(im, moved, out, 4));
}

/* Keeps a triangle of x and makes the rest 0, by a constant mask and a select. */
bool vj_build_trilu(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0);
    bool upper = vj_int_attribute(im, "upper", 1) != 0;
    int32_t count = 1;
    const int64_t *k = vj_has_operand(im, 1) ? vj_constant_list(im, 1, "k", &count) : NULL;
    if (!vj_going(im)) return false;
    const vj_type *type = type_of(im, x);
    if (type->rank < 2 || count != 1) return vj_stop(im, VJ_BAD_INPUT, "needs matrices and one k");
    vj_dim rows = type->dims[type->rank - 2], cols = type->dims[type->rank - 1];
    int64_t diagonal = k ? vj_max64(-CONSTANT_LIMIT, vj_min64(k[0], CONSTANT_LIMIT)) : 0, elements;
    if (rows.sym || cols.sym || !vj_mul(rows.c, cols.c, &elements) || elements > CONSTANT_LIMIT)
        return vj_stop(im, VJ_UNSUPPORTED, "its matrices are too large or depend on the batch");
    int64_t *mask = VJ_NEW_ARRAY(im->arena, int64_t, elements + 1);
    for (int64_t i = 0; i < elements; i++) {
        int64_t right = i % cols.c - i / cols.c; /* how far right of the main diagonal */
        mask[i] = upper ? right >= diagonal : right <= diagonal;
    }
    vj_value inside = vj_add_const_i64(im->f, VJ_BOOL, 2, (int64_t[]){rows.c, cols.c}, mask);
    vj_value zero = vj_emit_number(im, type->dtype, 0);
    return vj_bind(im, 0, vj_emit3(im, VJ_OP_select, inside, x, zero));
}
