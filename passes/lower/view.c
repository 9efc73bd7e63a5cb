/* SPDX-License-Identifier: Apache-2.0 */
/* view.c - movement ops on subaxes. */
#include "view.h"

#include <assert.h>
#include <string.h>

vj_view vj_view_dense(int32_t buffer, int32_t rank, const int64_t *dims, int64_t row, int64_t step) {
    vj_view v = {.buffer = buffer, .rank = rank};
    int64_t stride = step;
    for (int32_t d = rank - 1; d >= 0; d--) {
        v.dim[d] = dims[d];
        if (dims[d] > 1) v.subaxis[d][v.count[d]++] = (vj_subaxis){dims[d], stride};
        stride *= d == rank - 1 && row > 0 ? row : dims[d];
    }
    return v;
}

int64_t vj_view_elements(const vj_view *v) {
    int64_t count = 1;
    for (int32_t d = 0; d < v->rank; d++)
        count *= v->dim[d];
    return count;
}

int64_t vj_view_end(const vj_view *v) {
    int64_t end = v->offset + 1;
    for (int32_t d = 0; d < v->rank; d++)
        for (int32_t i = 0; i < v->count[d]; i++)
            end += (v->subaxis[d][i].extent - 1) * v->subaxis[d][i].stride;
    return end;
}

bool vj_view_is_simple(const vj_view *v) {
    for (int32_t d = 0; d < v->rank; d++)
        if (v->count[d] > 1) return false;
    return true;
}

int64_t vj_view_step(const vj_view *v, int32_t dim) {
    return v->count[dim] ? v->subaxis[dim][v->count[dim] - 1].stride : 0;
}

void vj_subaxes_push(vj_subaxes *d, int64_t extent, int64_t stride) {
    if (extent == 1) return;
    if (d->count > 0) {
        vj_subaxis *last = &d->at[d->count - 1];
        if (last->stride == extent * stride) {
            *last = (vj_subaxis){last->extent * extent, stride};
            return;
        }
    }
    assert(d->count < VJ_FLAT_SUBAXES);
    d->at[d->count++] = (vj_subaxis){extent, stride};
}

/* Takes `size` off the minor end of the flat subaxes into dim `d`: whole subaxes, and a part of one where it divides. */
static bool take_dim(vj_subaxes *flat, vj_view *v, int32_t d, int64_t size) {
    vj_subaxes minor_first = {0};
    while (size > 1) {
        if (flat->count == 0) return false;
        vj_subaxis *last = &flat->at[flat->count - 1];
        if (last->extent <= size) {
            if (size % last->extent != 0) return false;
            minor_first.at[minor_first.count++] = *last;
            size /= last->extent;
            flat->count--;
        } else {
            if (last->extent % size != 0) return false;
            minor_first.at[minor_first.count++] = (vj_subaxis){size, last->stride};
            *last = (vj_subaxis){last->extent / size, last->stride * size};
            size = 1;
        }
        if (minor_first.count > VJ_DIM_SUBAXES) return false;
    }
    v->count[d] = minor_first.count;
    for (int32_t i = 0; i < minor_first.count; i++)
        v->subaxis[d][i] = minor_first.at[minor_first.count - 1 - i];
    return true;
}

bool vj_view_reshape(vj_view *v, int32_t rank, const int64_t *dims) {
    vj_subaxes flat = {0};
    int32_t count = 0;
    for (int32_t d = 0; d < v->rank; d++)
        count += v->count[d] + 1;
    if (count > VJ_FLAT_SUBAXES) return false;
    for (int32_t d = 0; d < v->rank; d++) {
        if (v->count[d] == 0) vj_subaxes_push(&flat, v->dim[d], 0);
        for (int32_t i = 0; i < v->count[d]; i++)
            vj_subaxes_push(&flat, v->subaxis[d][i].extent, v->subaxis[d][i].stride);
    }
    vj_view made = {.buffer = v->buffer, .offset = v->offset, .rank = rank};
    for (int32_t d = rank - 1; d >= 0; d--) {
        made.dim[d] = dims[d];
        if (!take_dim(&flat, &made, d, dims[d])) return false;
    }
    if (flat.count != 0) return false;
    *v = made;
    return true;
}

static void copy_dim(vj_view *to, int32_t to_dim, const vj_view *from, int32_t from_dim) {
    to->dim[to_dim] = from->dim[from_dim];
    to->count[to_dim] = from->count[from_dim];
    memcpy(to->subaxis[to_dim], from->subaxis[from_dim], sizeof to->subaxis[to_dim]);
}

void vj_view_transpose(vj_view *v, const int64_t *perm) {
    const vj_view from = *v;
    for (int32_t d = 0; d < v->rank; d++)
        copy_dim(v, d, &from, (int32_t)perm[d]);
}

void vj_view_untranspose(vj_view *v, const int64_t *perm) {
    const vj_view from = *v;
    for (int32_t d = 0; d < v->rank; d++)
        copy_dim(v, (int32_t)perm[d], &from, d);
}

/* Leaves the dim with the subaxes from `first` on. */
static void keep_subaxes(vj_view *v, int32_t dim, int32_t first) {
    v->count[dim] -= first;
    memmove(v->subaxis[dim], v->subaxis[dim] + first, (size_t)v->count[dim] * sizeof *v->subaxis[dim]);
}

/* Of a dim of several subaxes: inside one value of the major subaxis, or whole values of it. */
static bool slice_subaxes(vj_view *v, int32_t dim, int32_t first, int64_t start, int64_t size, int64_t step) {
    vj_subaxis *major = &v->subaxis[dim][first];
    int64_t minor = 1;
    for (int32_t i = first + 1; i < v->count[dim]; i++)
        minor *= v->subaxis[dim][i].extent;
    const int64_t last = start + (size - 1) * step;
    if (start / minor == last / minor) {
        v->offset += start / minor * major->stride;
        if (first + 1 < v->count[dim]) return slice_subaxes(v, dim, first + 1, start % minor, size, step);
        v->count[dim] = 0;
        return true;
    }
    if (minor == 1) {
        v->offset += start * major->stride;
        *major = (vj_subaxis){size, major->stride * step};
    } else {
        if (step != 1 || start % minor != 0 || size % minor != 0) return false;
        v->offset += start / minor * major->stride;
        major->extent = size / minor;
    }
    keep_subaxes(v, dim, first);
    return true;
}

bool vj_view_slice(vj_view *v, int32_t dim, int64_t start, int64_t size, int64_t step) {
    vj_view made = *v;
    if (made.count[dim] > 0 && !slice_subaxes(&made, dim, 0, start, size, step)) return false;
    made.dim[dim] = size;
    *v = made;
    return true;
}

void vj_view_broadcast(vj_view *v, int32_t rank, const int64_t *dims) {
    const vj_view from = *v;
    const int32_t lead = rank - v->rank;
    v->rank = rank;
    for (int32_t d = 0; d < rank; d++) {
        v->count[d] = 0;
        if (d >= lead) copy_dim(v, d, &from, d - lead);
        v->dim[d] = dims[d];
    }
}

vj_view vj_view_operand(const vj_view *v, int32_t rank, const int64_t *dims) {
    vj_view made = {.buffer = v->buffer, .offset = v->offset, .rank = rank};
    const int32_t lead = v->rank - rank;
    for (int32_t d = 0; d < rank; d++) {
        if (d + lead >= 0 && dims[d] != 1) copy_dim(&made, d, v, d + lead);
        made.dim[d] = dims[d];
    }
    return made;
}

void vj_view_drop_dim(vj_view *v, int32_t dim) {
    assert(v->dim[dim] == 1);
    for (int32_t d = dim; d + 1 < v->rank; d++)
        copy_dim(v, d, v, d + 1);
    v->rank--;
}

typedef struct pair {
    int64_t extent, point, element; /* strides in the number of the point and in the buffer */
} pair;

/* The common subaxes of one dim, minor first. */
static bool match_dim(const vj_view *v, const vj_view *map, int32_t dim, pair *pairs, int32_t *count) {
    if (v->count[dim] == 0 || v->dim[dim] == 1) return true;
    int32_t i = v->count[dim] - 1, j = map->count[dim] - 1;
    vj_subaxis a = v->subaxis[dim][i], b = j >= 0 ? map->subaxis[dim][j] : (vj_subaxis){1, 0};
    while (i >= 0 && j >= 0) {
        const int64_t e = a.extent < b.extent ? a.extent : b.extent;
        if (a.extent % e != 0 || b.extent % e != 0 || *count == VJ_FLAT_SUBAXES / 2 - 1) return false;
        pairs[(*count)++] = (pair){e, b.stride, a.stride};
        a = (vj_subaxis){a.extent / e, a.stride * e};
        b = (vj_subaxis){b.extent / e, b.stride * e};
        if (a.extent == 1 && --i >= 0) a = v->subaxis[dim][i];
        if (b.extent == 1 && --j >= 0) b = map->subaxis[dim][j];
    }
    return i < 0 && j < 0;
}

bool vj_view_pull_back(const vj_view *v, const vj_view *map, int64_t total, vj_subaxes *out) {
    pair pairs[VJ_FLAT_SUBAXES / 2];
    int32_t count = 0;
    assert(v->rank == map->rank);
    for (int32_t d = 0; d < v->rank; d++)
        if (!match_dim(v, map, d, pairs, &count)) return false;
    for (int32_t i = 1; i < count; i++) /* by place in the number, major first */
        for (int32_t j = i; j > 0 && pairs[j].point > pairs[j - 1].point; j--) {
            const pair swap = pairs[j];
            pairs[j] = pairs[j - 1];
            pairs[j - 1] = swap;
        }
    out->count = 0;
    int64_t above = total; /* the place value of what is still to be covered */
    for (int32_t i = 0; i < count; i++) {
        const int64_t top = pairs[i].point * pairs[i].extent;
        if (top > above || above % top != 0) return false;
        vj_subaxes_push(out, above / top, 0);
        vj_subaxes_push(out, pairs[i].extent, pairs[i].element);
        above = pairs[i].point;
    }
    vj_subaxes_push(out, above, 0);
    return true;
}
