/* SPDX-License-Identifier: Apache-2.0 */
/* scatter.c - copies the data and writes updates at the indices, or combines them with what is there, in their
 * order. */
#include "routines.h"

enum { OUTER, LENGTH, INNER, COUNT, INDEX_OUTER, INDEX_COUNT, INDEX_INNER, HOW };
enum { DATA, INDEX, UPDATES, Y };

/* How many elements the index must have for its strides. */
static bool index_elements(vj_routine_use *use, int64_t *elements) {
    const int64_t *p = use->param;
    int64_t last = 0, far;
    for (int32_t i = 0; i < 3; i++) {
        const int64_t points = i == 0 ? p[OUTER] : i == 1 ? p[COUNT] : p[INNER];
        if (p[INDEX_OUTER + i] < 0 || !vj_mul(p[INDEX_OUTER + i], points - 1, &far) || !vj_add(last, far, &last))
            return vj_routine_wrong(use, "its index has strides that make no sense");
    }
    return vj_add(last, 1, elements) || vj_routine_wrong(use, "its index is too large");
}

bool vj_bound_scatter(vj_routine_use *use) {
    const int64_t *p = use->param, updates[] = {p[OUTER], p[COUNT], p[INNER]};
    const vj_dtype dtype = use->dtype[DATA];
    if (!vj_routine_product(use, p, 3, &use->elements[DATA]) ||
        !vj_routine_product(use, updates, 3, &use->elements[UPDATES]) || !index_elements(use, &use->elements[INDEX]))
        return false;
    if (p[HOW] < 0 || p[HOW] > VJ_SCATTER_MIN) return vj_routine_wrong(use, "it knows no such reduction");
    if (dtype == VJ_F16 || dtype == VJ_BF16 || (dtype == VJ_BOOL && p[HOW] != VJ_SCATTER_SET))
        return vj_routine_wrong(use, "it scatters no such type");
    if (use->dtype[UPDATES] != dtype || use->dtype[Y] != dtype || use->dtype[INDEX] != VJ_I64)
        return vj_routine_wrong(use, "its operands have other types");
    use->elements[Y] = use->elements[DATA];
    return true;
}

static double combined_float(int64_t how, double a, double b) {
    switch (how) {
    case VJ_SCATTER_SUM:
        return a + b;
    case VJ_SCATTER_PROD:
        return a * b;
    case VJ_SCATTER_MAX:
        return a > b || a != a ? a : b;
    case VJ_SCATTER_MIN:
        return a < b || a != a ? a : b;
    default:
        return b;
    }
}

static int64_t combined(int64_t how, vj_dtype dtype, int64_t a, int64_t b) {
    const bool less = dtype == VJ_U64 ? (uint64_t)a < (uint64_t)b : a < b;
    switch (how) {
    case VJ_SCATTER_SUM:
        return vj_wrap(dtype, (int64_t)((uint64_t)a + (uint64_t)b));
    case VJ_SCATTER_PROD:
        return vj_wrap(dtype, (int64_t)((uint64_t)a * (uint64_t)b));
    case VJ_SCATTER_MAX:
        return less ? b : a;
    case VJ_SCATTER_MIN:
        return less ? a : b;
    default:
        return b;
    }
}

void vj_run_scatter(const vj_routine_run *run) {
    const int64_t *p = run->param;
    const vj_host_array *data = &run->array[DATA], *index = &run->array[INDEX];
    const vj_host_array *updates = &run->array[UPDATES], *y = &run->array[Y];
    for (int64_t i = 0; i < p[OUTER] * p[LENGTH] * p[INNER]; i++) {
        if (y->f)
            y->f[i] = data->f[i];
        else
            y->i[i] = data->i[i];
    }
    for (int64_t u = 0; u < p[OUTER] * p[COUNT] * p[INNER]; u++) {
        const int64_t o = u / (p[COUNT] * p[INNER]), m = u / p[INNER] % p[COUNT], i = u % p[INNER];
        int64_t at = index->i[o * p[INDEX_OUTER] + m * p[INDEX_COUNT] + i * p[INDEX_INNER]];
        if (at < 0) at += p[LENGTH];
        if (at < 0 || at >= p[LENGTH]) continue;
        at = (o * p[LENGTH] + at) * p[INNER] + i;
        if (y->f)
            y->f[at] = combined_float(p[HOW], y->f[at], updates->f[u]);
        else
            y->i[at] = combined(p[HOW], y->dtype, y->i[at], updates->i[u]);
    }
}

void vj_site_scatter(vj_site *site) {
    int64_t *p = site->param, axis = vj_attr_int(site->node, VJ_ATTR_AXIS, 0), before = 1, behind = 1;
    if (axis < 0) axis += site->rank[0];
    vj_site_axis(site);
    for (int32_t d = 0; d < site->rank[1]; d++) {
        if (d < axis) before *= site->dims[1][d];
        if (d > axis) behind *= site->dims[1][d];
    }
    p[COUNT] = site->dims[2][axis];
    p[INDEX_OUTER] = before > 1 ? p[COUNT] * behind : 0; /* an index whose dims are 1 serves all */
    p[INDEX_COUNT] = behind;
    p[INDEX_INNER] = behind > 1;
    p[HOW] = vj_word_of("set sum prod max min", vj_attr_name(site->node, VJ_ATTR_KIND, "set"));
    site->routine = VJ_ROUTINE_scatter;
    site->rows = p[OUTER] * p[INNER];
    site->cycles = (double)site->rows * ((double)p[LENGTH] + 4 * (double)p[COUNT]);
}
