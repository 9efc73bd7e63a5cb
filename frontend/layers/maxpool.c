/* SPDX-License-Identifier: Apache-2.0 */
/* maxpool.c - the builder of MaxPool. Its indices come from a walk through the taps of the window: a tap of all windows
 * is a slice of the padded input, and its index is kept where its value is larger than those of the taps before. */
#include "windows.h"

#include <string.h>

enum { MOST_TAPS = 64 };

typedef struct walk {
    vj_importer *im;
    const vj_windows *w;
    vj_type x, y; /* of the input and of the result */
    int64_t tap[VJ_MAX_SPATIAL];
    bool column_major; /* storage_order */
} walk;

static vj_value padded(const walk *k, vj_value x) {
    int64_t low[VJ_MAX_RANK] = {0}, high[VJ_MAX_RANK] = {0};
    bool any = false;
    for (int32_t i = 0; i < k->w->spatial; i++) {
        low[2 + i] = k->w->low[i];
        high[2 + i] = k->w->high[i];
        any = any || low[2 + i] || high[2 + i];
    }
    vj_attr attrs[] = {vj_ints(VJ_ATTR_LOW, low, k->x.rank), vj_ints(VJ_ATTR_HIGH, high, k->x.rank),
                       vj_name(VJ_ATTR_MODE, "constant"), vj_float(VJ_ATTR_VALUE, vj_lowest(k->x.dtype))};
    return any ? vj_emit(k->im, VJ_OP_pad, &x, 1, attrs, 4) : x;
}

static vj_value slice_at_tap(const walk *k, vj_value x) {
    for (int32_t i = 0; i < k->w->spatial; i++)
        x = vj_emit_slice(k->im, x, 2 + i, k->tap[i] * k->w->dilation[i], k->y.dims[2 + i], k->w->stride[i]);
    return x;
}

/* The index in its plane of the element that the current tap of the window at `at` reads; -1 in the padding. */
static int64_t index_of(const walk *k, const int64_t *at) {
    int64_t index = 0, step = 1;
    for (int32_t n = 0; n < k->w->spatial; n++) {
        const int32_t i = k->column_major ? n : k->w->spatial - 1 - n;
        const int64_t position = at[i] * k->w->stride[i] - k->w->low[i] + k->tap[i] * k->w->dilation[i];
        if (position < 0 || position >= k->x.dims[2 + i].c) return -1;
        index += position * step;
        step *= k->x.dims[2 + i].c;
    }
    return index;
}

static bool next(int64_t *index, const int64_t *extents, int32_t count) {
    for (int32_t i = count - 1; i >= 0; i--) {
        if (++index[i] < extents[i]) return true;
        index[i] = 0;
    }
    return false;
}

/* Updates the largest values so far and their indices, [1, 1, spatial], by the current tap. */
static void take(const walk *k, vj_value x, bool *seen, vj_value *best, vj_value *index) {
    vj_importer *im = k->im;
    int64_t dims[VJ_MAX_RANK] = {1, 1}, at[VJ_MAX_SPATIAL] = {0}, windows = 1, n = 0;
    for (int32_t i = 0; i < k->w->spatial; i++)
        windows *= dims[2 + i] = k->y.dims[2 + i].c;
    int64_t *here = VJ_NEW_ARRAY(im->arena, int64_t, windows), *valid = VJ_NEW_ARRAY(im->arena, int64_t, windows);
    int64_t *first = VJ_NEW_ARRAY(im->arena, int64_t, windows);
    do {
        const int64_t found = index_of(k, at);
        here[n] = found < 0 ? 0 : found;
        valid[n] = found >= 0;
        first[n] = found >= 0 && !seen[n];
        seen[n] = seen[n] || found >= 0;
        n++;
    } while (next(at, dims + 2, k->w->spatial));
    vj_value value = slice_at_tap(k, x), indices = vj_add_const_i64(im->f, VJ_I64, k->x.rank, dims, here);
    if (*best < 0) {
        *best = value;
        *index = indices;
        return;
    }
    vj_value better = vj_emit2(im, VJ_OP_lt, *best, value);
    better = vj_emit2(im, VJ_OP_and, better, vj_add_const_i64(im->f, VJ_BOOL, k->x.rank, dims, valid));
    better = vj_emit2(im, VJ_OP_or, better, vj_add_const_i64(im->f, VJ_BOOL, k->x.rank, dims, first));
    *best = vj_emit3(im, VJ_OP_select, better, value, *best);
    *index = vj_emit3(im, VJ_OP_select, better, indices, *index);
}

/* The offset of each plane, which is added to the indices within a plane. */
static vj_value plane_offsets(vj_importer *im, const vj_type *x) {
    int64_t dims[VJ_MAX_RANK] = {x->dims[0].c, x->dims[1].c, 1, 1, 1}, planes, volume = 1;
    for (int32_t i = 2; i < x->rank; i++)
        volume *= x->dims[i].c;
    if (!vj_mul(dims[0], dims[1], &planes) || planes > 1 << 22) {
        vj_stop(im, VJ_UNSUPPORTED, "has too many channels for indices");
        return VJ_NONE;
    }
    int64_t *offset = VJ_NEW_ARRAY(im->arena, int64_t, planes + 1);
    for (int64_t i = 0; i < planes; i++)
        offset[i] = i * volume;
    return vj_add_const_i64(im->f, VJ_I64, x->rank, dims, offset);
}

static bool bind_indices(vj_importer *im, vj_value x, vj_value y, const vj_windows *w) {
    if (!vj_going(im)) return false;
    if (w->none) return vj_bind(im, 1, vj_empty_pool(im, x, w, VJ_I64));
    walk k = {.im = im, .w = w, .x = *vj_type_at(im->f, x), .y = *vj_type_at(im->f, y)};
    k.column_major = vj_int_attribute(im, "storage_order", 0) != 0;
    int64_t taps = 1, windows = 1, elements;
    for (int32_t i = 0; i < w->spatial; i++)
        if (!vj_mul(taps, w->kernel[i], &taps) || taps > MOST_TAPS)
            return vj_stop(im, VJ_UNSUPPORTED, "indices of maxima among more than %d taps", MOST_TAPS);
    if (k.x.dims[0].sym) {
        vj_stop(im, VJ_UNSUPPORTED, "the indices of the maxima depend on the image's position in the batch");
        vj_advise_batch(im->error, 1);
        return false;
    }
    if (!vj_type_elements(im->f, &k.x, &elements)) return vj_stop(im, VJ_BAD_INPUT, "its operand is too large");
    for (int32_t i = 0; i < w->spatial; i++)
        if (!vj_mul(windows, k.y.dims[2 + i].c, &windows) || windows > 1 << 22)
            return vj_stop(im, VJ_UNSUPPORTED, "indices of more than %d maxima a channel", 1 << 22);
    bool *seen = VJ_NEW_ARRAY(im->arena, bool, windows + 1);
    vj_value from = padded(&k, x), best = VJ_NONE, index = VJ_NONE;
    do {
        take(&k, from, seen, &best, &index);
    } while (vj_going(im) && next(k.tap, w->kernel, w->spatial));
    return vj_bind(im, 1, vj_emit2(im, VJ_OP_add, index, plane_offsets(im, &k.x)));
}

bool vj_build_max_pool(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0);
    bool count_pad = false;
    vj_windows w;
    if (!vj_read_pool(im, &x, &w, &count_pad, VJ_BY_PADDED)) return false;
    vj_value y = vj_max_pool(im, x, &w);
    if (vj_result_is_used(im, 1) && !bind_indices(im, x, y, &w)) return false;
    return vj_bind(im, 0, y);
}
