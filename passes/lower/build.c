/* SPDX-License-Identifier: Apache-2.0 */
/* build.c - a kernel in the making. Accesses are subaxes of the number of the point; axes are the intervals
 * between the values where any of them has a new subaxis, merged again where no access minds. */
#include "lower.h"

#include <assert.h>
#include <string.h>

vj_build *vj_build_new(vj_lowering *l, vj_kernel_kind kind, const char *name, const vj_origin *origin) {
    vj_build *b = l->spare;
    if (b)
        l->spare = b->next;
    else
        b = VJ_NEW(l->arena, vj_build);
    *b = (vj_build){.l = l};
    b->k = vj_kernel_new(l->p->arena, kind, name);
    b->k->origin = origin;
    return b;
}

void vj_point_dim(vj_build *b, int64_t extent, vj_axis_group group) {
    assert(b->dims < VJ_POINT_DIMS);
    b->extent[b->dims] = extent;
    b->group[b->dims++] = group;
}

static bool insert_cut(vj_build *b, int64_t value) {
    int32_t at = 0;
    while (at < b->cut_count && b->cut[at] < value)
        at++;
    if (at < b->cut_count && b->cut[at] == value) return true;
    if (b->cut_count == VJ_MAX_CUTS) return false;
    if (at > 0 && value % b->cut[at - 1] != 0) return false;
    if (at < b->cut_count && b->cut[at] % value != 0) return false;
    memmove(b->cut + at + 1, b->cut + at, (size_t)(b->cut_count - at) * sizeof *b->cut);
    b->cut[at] = value;
    b->cut_count++;
    return true;
}

bool vj_points_ready(vj_build *b) {
    int64_t value = 1;
    insert_cut(b, 1);
    for (int32_t d = b->dims - 1; d >= 0; d--) {
        b->stride[d] = value;
        if (!vj_mul(value, b->extent[d], &value)) {
            vj_fail(b->l->error, VJ_UNSUPPORTED, "a product of this size cannot be computed");
            return false;
        }
        if (d > 0 && b->group[d] != b->group[d - 1]) insert_cut(b, value);
    }
    b->total = value;
    insert_cut(b, value);
    return true;
}

vj_view vj_point_map(const vj_build *b, int32_t rank, const int64_t *dims, const int32_t *point_dims) {
    vj_view map = {.buffer = -1, .rank = rank};
    for (int32_t d = 0; d < rank; d++) {
        map.dim[d] = dims[d];
        if (dims[d] == 1 || point_dims[d] < 0) continue;
        assert(b->extent[point_dims[d]] == dims[d]);
        map.count[d] = 1;
        map.subaxis[d][0] = (vj_subaxis){dims[d], b->stride[point_dims[d]]};
    }
    return map;
}

/* Would the cut split a group that must stay one axis? */
static bool splits_single(const vj_build *b, int64_t value) {
    for (int32_t d = 0; d < b->dims; d++)
        if ((b->single >> b->group[d] & 1) && value > b->stride[d] && value < b->stride[d] * b->extent[d]) return true;
    return false;
}

/* All of them or none. */
static bool add_cuts_at(vj_build *b, const int64_t *values, int32_t count) {
    int64_t before[VJ_MAX_CUTS];
    const int32_t before_count = b->cut_count;
    memcpy(before, b->cut, sizeof before);
    for (int32_t i = 0; i < count; i++) {
        if (!splits_single(b, values[i]) && insert_cut(b, values[i])) continue;
        memcpy(b->cut, before, sizeof before);
        b->cut_count = before_count;
        return false;
    }
    return true;
}

bool vj_add_cuts(vj_build *b, const vj_subaxes *subaxes) {
    int64_t values[VJ_FLAT_SUBAXES], value = 1;
    for (int32_t i = subaxes->count - 1; i >= 0; i--)
        values[i] = value *= subaxes->at[i].extent;
    assert(value == b->total);
    return add_cuts_at(b, values, subaxes->count);
}

bool vj_add_map_cuts(vj_build *b, const vj_view *map) {
    int64_t values[2 * VJ_MAX_RANK * VJ_DIM_SUBAXES];
    int32_t count = 0;
    for (int32_t d = 0; d < map->rank; d++)
        for (int32_t i = 0; i < map->count[d]; i++) {
            values[count++] = map->subaxis[d][i].stride;
            values[count++] = map->subaxis[d][i].stride * map->subaxis[d][i].extent;
        }
    return add_cuts_at(b, values, count);
}

int32_t vj_build_access(vj_build *b, int32_t buffer, int64_t offset, const vj_subaxes *subaxes) {
    for (int32_t i = 0; i < b->k->access_count; i++)
        if (b->k->access[i].buffer == buffer && b->k->access[i].offset == offset && !b->k->access[i].term_count &&
            b->subaxes[i].count == subaxes->count &&
            memcmp(b->subaxes[i].at, subaxes->at, (size_t)subaxes->count * sizeof *subaxes->at) == 0)
            return i;
    if (b->k->access_count == VJ_MAX_ACCESSES || !vj_add_cuts(b, subaxes)) return -1;
    const int32_t access = vj_add_access(b->k, &(vj_access){.buffer = buffer, .offset = offset});
    b->subaxes[access] = *subaxes;
    return access;
}

int32_t vj_build_indexed(vj_build *b, const vj_view *view, const vj_view *map, const vj_term *term) {
    vj_subaxes subaxes;
    if (b->k->access_count == VJ_MAX_ACCESSES || !vj_view_pull_back(view, map, b->total, &subaxes) ||
        !vj_add_cuts(b, &subaxes))
        return -1;
    const vj_access access = {.buffer = view->buffer, .offset = view->offset, .term_count = 1, .terms = {*term}};
    const int32_t number = vj_add_access(b->k, &access);
    b->subaxes[number] = subaxes;
    return number;
}

void vj_push_dim(vj_subaxes *subaxes, const vj_view *view, int32_t dim) {
    if (view->count[dim] == 0) vj_subaxes_push(subaxes, view->dim[dim], 0);
    for (int32_t i = 0; i < view->count[dim]; i++)
        vj_subaxes_push(subaxes, view->subaxis[dim][i].extent, view->subaxis[dim][i].stride);
}

int32_t vj_build_view(vj_build *b, const vj_view *view, const vj_view *map) {
    vj_subaxes subaxes;
    if (!vj_view_pull_back(view, map, b->total, &subaxes)) return -1;
    return vj_build_access(b, view->buffer, view->offset, &subaxes);
}

/* Finishing */

typedef struct axis {
    int64_t extent, value;
    vj_axis_group group;
    bool apart; /* not to be merged with the next */
} axis;

typedef struct vj_axis_list {
    int32_t count;
    axis at[VJ_MAX_CUTS + VJ_GROUP_COUNT];
    int64_t stride[VJ_MAX_CUTS + VJ_GROUP_COUNT][VJ_MAX_ACCESSES];
} axes;

static int64_t stride_at(const vj_subaxes *subaxes, int64_t value) {
    int64_t below = 1;
    for (int32_t i = subaxes->count - 1; i >= 0; i--) {
        const int64_t above = below * subaxes->at[i].extent;
        if (value < above) return subaxes->at[i].stride * (value / below);
        below = above;
    }
    return 0;
}

static vj_axis_group group_at(const vj_build *b, int64_t value) {
    for (int32_t d = b->dims - 1; d >= 0; d--)
        if (value < b->stride[d] * b->extent[d]) return b->group[d];
    return VJ_GROUP_BATCH;
}

static void add_axis(const vj_build *b, axes *all, int64_t extent, int64_t value, vj_axis_group group) {
    const int32_t at = all->count++;
    all->at[at] = (axis){extent, value, group, false};
    for (int32_t i = 0; i < b->k->access_count; i++)
        all->stride[at][i] = value > 0 ? stride_at(&b->subaxes[i], value) : 0;
}

static bool may_merge(const vj_build *b, const axes *all, int32_t major) {
    const int32_t minor = major + 1;
    if (all->at[major].apart || all->at[major].group != all->at[minor].group) return false;
    for (int32_t i = 0; i < b->k->access_count; i++)
        if (all->stride[major][i] != all->stride[minor][i] * all->at[minor].extent) return false;
    return true;
}

static void merge_axes(const vj_build *b, axes *all) {
    for (int32_t a = all->count - 2; a >= 0; a--) {
        if (!may_merge(b, all, a)) continue;
        all->at[a + 1].extent *= all->at[a].extent;
        all->count--;
        memmove(all->at + a, all->at + a + 1, (size_t)(all->count - a) * sizeof *all->at);
        memmove(all->stride + a, all->stride + a + 1, (size_t)(all->count - a) * sizeof *all->stride);
    }
}

/* Groups that may not be empty get an axis of one point, and so do the outer axes of a nest. */
static bool needs_axis(const vj_build *b, vj_axis_group group) {
    const vj_group_row *row = &vj_kind_at(b->k->kind)->group[group];
    return row->least > 0 || (row->most > 0 && group == VJ_GROUP_OUTER);
}

static void swap_axes(axes *all, int32_t a, int32_t b) {
    int64_t strides[VJ_MAX_ACCESSES];
    const axis moved = all->at[a];
    all->at[a] = all->at[b];
    all->at[b] = moved;
    memcpy(strides, all->stride[a], sizeof strides);
    memcpy(all->stride[a], all->stride[b], sizeof strides);
    memcpy(all->stride[b], strides, sizeof strides);
}

/* The outer axes of a nest, in the order in which its result stands: lanes and lines of the cache go along the last. A
 * result moves with every outer axis of more than one point. */
static void order_outer(const vj_build *b, axes *all) {
    const int32_t result = b->k->out[0].access;
    for (int32_t a = 1; a < all->count && all->at[a].group == VJ_GROUP_OUTER; a++)
        for (int32_t i = a; i > 0 && all->stride[i - 1][result] < all->stride[i][result]; i--)
            swap_axes(all, i - 1, i);
}

/* Where the columns of a product are not adjacent in its result but some rows are, those become the inner rows: tiles
 * are transposed in registers then, and stored by whole vectors. */
static void order_rows(const vj_build *b, axes *all) {
    const int32_t result = b->k->out[0].access;
    int32_t last_row = -1, adjacent = -1, last_col = -1;
    for (int32_t a = 0; a < all->count; a++) {
        const bool unit = all->at[a].extent > 1 && all->stride[a][result] == 1;
        if (all->at[a].group == VJ_GROUP_COLS) last_col = a;
        if (all->at[a].group != VJ_GROUP_ROWS) continue;
        last_row = a;
        if (unit) adjacent = a;
    }
    if (adjacent < 0 || all->stride[last_col][result] == 1) return;
    for (int32_t a = adjacent; a < last_row; a++)
        swap_axes(all, a, a + 1);
}

static void order_axes(const vj_build *b, axes *all) {
    if (b->k->out_count == 0) return;
    if (b->k->kind == VJ_KERNEL_NEST) order_outer(b, all);
    if (b->k->kind == VJ_KERNEL_GEMM) order_rows(b, all);
}

static void list_axes(const vj_build *b, axes *all) {
    for (int32_t number = 0; number < VJ_GROUP_COUNT; number++) {
        const vj_axis_group group = (vj_axis_group)number;
        const int32_t first = all->count;
        for (int32_t i = b->cut_count - 2; i >= 0; i--)
            if (group_at(b, b->cut[i]) == group) add_axis(b, all, b->cut[i + 1] / b->cut[i], b->cut[i], group);
        if (all->count == first && needs_axis(b, group)) add_axis(b, all, 1, 0, group);
        if (b->segments && b->k->kind == VJ_KERNEL_GEMM && group == VJ_GROUP_COLS) all->at[first].apart = true;
    }
}

static double count_flops(const vj_kernel *k) {
    double points = 1, computed = 0;
    for (int32_t a = 0; a < k->rank; a++)
        points *= (double)k->extent[a];
    for (int32_t i = 0; i < k->expr_count; i++)
        computed += vj_xop_args(k->expr[i].op) > 0;
    if (k->kind == VJ_KERNEL_NEST) return points * (computed + k->stage_count);
    if (k->kind == VJ_KERNEL_GEMM) return 2 * points + points / (double)vj_group_extent(k, VJ_GROUP_DEPTH) * computed;
    const double d = (double)vj_group_extent(k, VJ_GROUP_DIM), e = (double)vj_group_extent(k, VJ_GROUP_VALUE);
    return points / (d * e) * 2 * (d + e);
}

bool vj_build_append(vj_build *b) {
    vj_kernel *k = b->k;
    if (!b->l->axes) b->l->axes = VJ_NEW(b->l->arena, axes);
    axes *all = b->l->axes;
    all->count = 0;
    list_axes(b, all);
    order_axes(b, all);
    merge_axes(b, all);
    if (all->count > VJ_MAX_AXES) {
        vj_fail(b->l->error, VJ_UNSUPPORTED, "kernel %s needs %d axes", k->name, (int)all->count);
        return false;
    }
    for (int32_t a = 0; a < all->count; a++) {
        vj_add_axis(k, all->at[a].group, all->at[a].extent);
        for (int32_t i = 0; i < k->access_count; i++)
            k->access[i].stride[a] = all->stride[a][i];
    }
    k->flops = count_flops(k);
    vj_program *p = b->l->p;
    *VJ_PUSH(p->arena, p->kernels, p->kernel_count, p->kernel_capacity) = k;
    return true;
}
