/* SPDX-License-Identifier: Apache-2.0 */
/* movement.c - result types of the ops that move elements and compute nothing. */
#include "infer.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

static bool decode_dims(vj_inference *in, vj_attr_key key, vj_type *type) {
    const vj_attr *dims = vj_attr_find(in->node, key);
    if (dims->count > VJ_MAX_RANK)
        return vj_infer_fail(in, "%d dims, but at most %d are possible", dims->count, VJ_MAX_RANK);
    type->rank = dims->count;
    for (int32_t i = 0; i < dims->count; i++)
        if (!vj_infer_decode_dim(in, dims->as.ints[i], &type->dims[i])) return false;
    return true;
}

/* The product of the constants and the sorted symbols of the dims. A reshape must keep both. */
static bool factors(vj_inference *in, const vj_type *type, int64_t *product, int32_t symbols[VJ_MAX_RANK],
                    int32_t *symbol_count) {
    *product = 1;
    *symbol_count = 0;
    bool is_empty = false;
    for (int32_t i = 0; i < type->rank; i++) {
        vj_dim d = type->dims[i];
        if (d.sym == VJ_SYM_NONE && d.c == 0)
            is_empty = true;
        else if (!vj_mul(*product, d.c, product))
            return vj_infer_fail(in, "%s is too large", vj_brief_type(type).text);
        if (d.sym == VJ_SYM_NONE) continue;
        int32_t at = (*symbol_count)++;
        for (; at > 0 && symbols[at - 1] > d.sym; at--)
            symbols[at] = symbols[at - 1];
        symbols[at] = d.sym;
    }
    if (is_empty) *product = 0, *symbol_count = 0;
    return true;
}

bool vj_infer_reshape(vj_inference *in) {
    const vj_type *x = vj_infer_arg(in, 0);
    vj_type *y = &in->results[0];
    *y = (vj_type){.dtype = x->dtype};
    int64_t have, want;
    int32_t have_symbols[VJ_MAX_RANK], want_symbols[VJ_MAX_RANK], have_count, want_count;
    if (!decode_dims(in, VJ_ATTR_DIMS, y) || !factors(in, x, &have, have_symbols, &have_count) ||
        !factors(in, y, &want, want_symbols, &want_count))
        return false;
    if (have != want || have_count != want_count ||
        memcmp(have_symbols, want_symbols, (size_t)have_count * sizeof *have_symbols) != 0)
        return vj_infer_fail(in, "%s and %s differ in their number of elements", vj_brief_type(x).text,
                             vj_brief_type(y).text);
    return true;
}

bool vj_infer_transpose(vj_inference *in) {
    const vj_type *x = vj_infer_arg(in, 0);
    const int64_t *perm = vj_infer_ints(in, VJ_ATTR_PERM, x->rank, 0);
    if (!perm) return false;
    uint32_t seen = 0;
    in->results[0] = *x;
    for (int32_t i = 0; i < x->rank; i++) {
        if (perm[i] >= x->rank || (seen >> perm[i] & 1)) return vj_infer_fail(in, "perm is no permutation");
        seen |= 1u << perm[i];
        in->results[0].dims[i] = x->dims[perm[i]];
    }
    return true;
}

/* Checks a slice with sizes that the data decides: its bound must lie inside that of the axis. Whoever builds the node
 * ensures that the elements exist. */
static bool slice_data_size(vj_inference *in, int32_t axis, vj_dim dim, int64_t start, vj_dim size, int64_t step) {
    int64_t most, taken, end;
    if (start < 0 || step < 1) return vj_infer_fail(in, "axis %d: a size that the data decides goes forward", axis);
    if (!vj_dim_bound(in->f, size, &taken) || !vj_dim_bound(in->f, dim, &most)) return false;
    if (taken == 0) return true;
    return (vj_mul(taken - 1, step, &end) && vj_add(end, start, &end) && end < most) ||
           vj_infer_fail(in, "up to %" PRId64 " elements from %" PRId64 " in steps of %" PRId64 " leave axis %d of %s",
                         taken, start, step, axis, vj_brief_dim(dim).text);
}

/* Checks that the first and the last element taken are inside. N is at least 1, so c * N has at least c elements. */
static bool slice_axis(vj_inference *in, int32_t axis, vj_dim dim, int64_t start, vj_dim size, int64_t step) {
    int64_t last;
    if (step == 0) return vj_infer_fail(in, "steps[%d] is 0", axis);
    if (vj_dim_equal(dim, size) && start == 0 && step == 1) return true;
    if ((vj_is_data_dim(size) && dim.sym != VJ_SYM_BATCH) || (vj_is_data_dim(dim) && size.sym == VJ_SYM_NONE))
        return slice_data_size(in, axis, dim, start, size, step);
    if (size.sym != VJ_SYM_NONE || vj_is_data_dim(dim))
        return vj_infer_fail(in, "axis %d of %s elements can only be taken whole or by a constant size", axis,
                             vj_brief_dim(dim).text);
    if (start < 0) return vj_infer_fail(in, "starts[%d] is negative (%" PRId64 ")", axis, start);
    if (size.c == 0) return start <= dim.c || vj_infer_fail(in, "starts[%d] is outside the axis", axis);
    if (start >= dim.c || !vj_mul(size.c - 1, step, &last) || !vj_add(last, start, &last) || last < 0 || last >= dim.c)
        return vj_infer_fail(in, "%" PRId64 " elements from %" PRId64 " in steps of %" PRId64 " leave axis %d of %s",
                             size.c, start, step, axis, vj_brief_dim(dim).text);
    return true;
}

bool vj_infer_slice(vj_inference *in) {
    const vj_type *x = vj_infer_arg(in, 0);
    const int64_t *starts = vj_infer_ints(in, VJ_ATTR_STARTS, x->rank, INT64_MIN);
    const int64_t *steps = starts ? vj_infer_ints(in, VJ_ATTR_STEPS, x->rank, INT64_MIN) : NULL;
    in->results[0] = (vj_type){.dtype = x->dtype};
    if (!steps || !vj_infer_ints(in, VJ_ATTR_SIZES, x->rank, INT64_MIN) ||
        !decode_dims(in, VJ_ATTR_SIZES, &in->results[0]))
        return false;
    for (int32_t i = 0; i < x->rank; i++)
        if (!slice_axis(in, i, x->dims[i], starts[i], in->results[0].dims[i], steps[i])) return false;
    return true;
}

/* Checks that the dtype can hold the padding's value. */
static bool pad_value_fits(vj_inference *in, vj_dtype dtype) {
    double value = vj_attr_float(in->node, VJ_ATTR_VALUE, 0);
    if (vj_dtype_is_float(dtype)) return true;
    int32_t bits = dtype == VJ_BOOL ? 1 : (int32_t)vj_element_bytes(dtype) * 8;
    bool is_signed = dtype == VJ_I8 || dtype == VJ_I16 || dtype == VJ_I32 || dtype == VJ_I64;
    double low = is_signed ? -ldexp(1, bits - 1) : 0, end = ldexp(1, is_signed ? bits - 1 : bits);
    return (value >= low && value < end && trunc(value) == value) ||
           vj_infer_fail(in, "value %g is no %s", value, vj_element_name(dtype));
}

static bool pad_axis(vj_inference *in, const char *mode, int32_t axis, vj_dim dim, int64_t low, int64_t high,
                     vj_dim *out) {
    *out = dim;
    if (low == 0 && high == 0) return true;
    if (dim.sym != VJ_SYM_NONE) return vj_infer_fail(in, "axis %d is open (%s)", axis, vj_brief_dim(dim).text);
    int64_t most = strcmp(mode, "constant") == 0  ? INT64_MAX
                   : strcmp(mode, "reflect") == 0 ? dim.c - 1
                   : strcmp(mode, "wrap") == 0    ? dim.c
                   : dim.c > 0                    ? INT64_MAX
                                                  : 0; /* edge */
    if (low > most || high > most)
        return vj_infer_fail(in, "%s padding of axis %d is wider than its %" PRId64 " elements allow", mode, axis,
                             dim.c);
    if (!vj_add(dim.c, low, &out->c) || !vj_add(out->c, high, &out->c))
        return vj_infer_fail(in, "the padding is too wide");
    return true;
}

bool vj_infer_pad(vj_inference *in) {
    static const char *const modes[] = {"constant", "reflect", "edge", "wrap"};
    const vj_type *x = vj_infer_arg(in, 0);
    const int64_t *low = vj_infer_ints(in, VJ_ATTR_LOW, x->rank, 0);
    const int64_t *high = low ? vj_infer_ints(in, VJ_ATTR_HIGH, x->rank, 0) : NULL;
    if (!high || !vj_infer_word(in, VJ_ATTR_MODE, modes, 4) || !pad_value_fits(in, x->dtype)) return false;
    in->results[0] = *x;
    const char *mode = vj_attr_name(in->node, VJ_ATTR_MODE, "");
    for (int32_t i = 0; i < x->rank; i++)
        if (!pad_axis(in, mode, i, x->dims[i], low[i], high[i], &in->results[0].dims[i])) return false;
    return true;
}

/* Concatenates sizes that the data decides. The bound of the sum is the sum of the bounds. */
static bool concat_size(vj_inference *in, int32_t axis, int64_t code, vj_dim *sum) {
    int64_t total = 0, part, bound;
    for (int32_t a = 0; a < in->node->arg_count; a++) {
        vj_dim dim = vj_infer_arg(in, a)->dims[axis];
        if (dim.sym == VJ_SYM_BATCH) return vj_infer_fail(in, "a size on an axis with N");
        if (!vj_dim_bound(in->f, dim, &part) || !vj_add(total, part, &total))
            return vj_infer_fail(in, "too many elements");
    }
    if (!vj_infer_decode_dim(in, code, sum) || !vj_dim_bound(in->f, *sum, &bound)) return false;
    if (!vj_is_data_dim(*sum)) return vj_infer_fail(in, "size is no size that the data decides");
    return bound == total ||
           vj_infer_fail(in, "size is at most %" PRId64 ", but the parts together %" PRId64, bound, total);
}

bool vj_infer_concat(vj_inference *in) {
    const vj_type *first = vj_infer_arg(in, 0);
    int64_t axis = vj_attr_int(in->node, VJ_ATTR_AXIS, 0);
    if (!vj_infer_axis(in, axis, first->rank)) return false;
    vj_type *y = &in->results[0];
    *y = *first;
    const vj_attr *size = vj_attr_find(in->node, VJ_ATTR_SIZE);
    if (in->node->arg_count > 1 && !size && vj_is_data_dim(first->dims[axis]))
        return vj_infer_fail(in, "axis %" PRId64 " is a size that the data decides; the sum needs a size", axis);
    for (int32_t a = 1; a < in->node->arg_count; a++) {
        const vj_type *x = vj_infer_arg(in, a);
        bool fits = x->rank == y->rank;
        for (int32_t i = 0; fits && i < x->rank; i++)
            fits = i == axis ? size || x->dims[i].sym == y->dims[i].sym : vj_dim_equal(x->dims[i], y->dims[i]);
        if (!vj_infer_same_dtype(in, 0, a)) return false;
        if (!fits)
            return vj_infer_fail(in, "operand %d is %s, which does not join %s on axis %" PRId64, a,
                                 vj_brief_type(x).text, vj_brief_type(first).text, axis);
        if (!size && !vj_add(y->dims[axis].c, x->dims[axis].c, &y->dims[axis].c))
            return vj_infer_fail(in, "too many elements");
    }
    return !size || concat_size(in, (int32_t)axis, size->as.i, &y->dims[axis]);
}

bool vj_infer_broadcast(vj_inference *in) {
    const vj_type *x = vj_infer_arg(in, 0);
    vj_type target = {.dtype = x->dtype}, both;
    if (!decode_dims(in, VJ_ATTR_DIMS, &target)) return false;
    if (!vj_broadcast(&target, x, &both) || !vj_type_equal(&both, &target))
        return vj_infer_fail(in, "%s does not broadcast to %s", vj_brief_type(x).text, vj_brief_type(&target).text);
    in->results[0] = target;
    return true;
}

/* The type of operand 1, which must be integer indices into an axis of data; else NULL and an error. */
static const vj_type *indices_into(vj_inference *in, const vj_type *data, int64_t axis) {
    const vj_type *indices = vj_infer_arg(in, 1);
    if (!vj_infer_axis(in, axis, data->rank)) return NULL;
    if (!vj_dtype_is_int(indices->dtype)) {
        vj_infer_fail(in, "the indices are %s, not integers", vj_element_name(indices->dtype));
        return NULL;
    }
    bool none = false;
    for (int32_t i = 0; i < indices->rank; i++)
        none |= vj_dim_equal(indices->dims[i], vj_dim_const(0));
    if (vj_dim_equal(data->dims[axis], vj_dim_const(0)) && !none) {
        vj_infer_fail(in, "takes elements of axis %" PRId64 ", which has none", axis);
        return NULL;
    }
    return indices;
}

bool vj_infer_gather_elements(vj_inference *in) {
    const vj_type *data = vj_infer_arg(in, 0);
    const int64_t axis = vj_attr_int(in->node, VJ_ATTR_AXIS, 0);
    const vj_type *indices = indices_into(in, data, axis);
    if (!indices) return false;
    bool fits = data->rank == indices->rank;
    for (int32_t i = 0; fits && i < data->rank; i++)
        fits = i == axis || vj_dim_equal(data->dims[i], indices->dims[i]);
    if (!fits)
        return vj_infer_fail(in, "the indices are %s, which is not %s but for axis %" PRId64,
                             vj_brief_type(indices).text, vj_brief_type(data).text, axis);
    in->results[0] = *indices;
    in->results[0].dtype = data->dtype;
    return true;
}

bool vj_infer_gather(vj_inference *in) {
    const vj_type *data = vj_infer_arg(in, 0);
    const int64_t axis = vj_attr_int(in->node, VJ_ATTR_AXIS, 0);
    const vj_type *indices = indices_into(in, data, axis);
    if (!indices) return false;
    if (data->rank - 1 + indices->rank > VJ_MAX_RANK)
        return vj_infer_fail(in, "the result has more than %d dims", VJ_MAX_RANK);
    vj_type *y = &in->results[0];
    *y = (vj_type){.dtype = data->dtype, .rank = data->rank - 1 + indices->rank};
    for (int32_t i = 0; i < y->rank; i++)
        y->dims[i] = i < axis                   ? data->dims[i]
                     : i < axis + indices->rank ? indices->dims[i - axis]
                                                : data->dims[i - indices->rank + 1];
    return true;
}
