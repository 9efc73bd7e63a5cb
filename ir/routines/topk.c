/* SPDX-License-Identifier: Apache-2.0 */
/* topk.c - the k largest or smallest elements of rows, sorted. Of equal elements the first come first. NaN is larger
 * than all numbers. */
#include "routines.h"

enum { OUTER, LENGTH, INNER, K, LARGEST };
enum { X, VALUES, INDICES, HEAP };

bool vj_bound_topk(vj_routine_use *use) {
    const int64_t *p = use->param, k[] = {p[OUTER], p[K], p[INNER]};
    if (!vj_routine_product(use, p, 3, &use->elements[X]) || !vj_routine_product(use, k, 3, &use->elements[VALUES]))
        return false;
    if (p[K] > p[LENGTH]) return vj_routine_wrong(use, "k is more than the length");
    const vj_dtype dtype = use->dtype[X];
    if (!vj_dtype_is_int(dtype) && dtype != VJ_F32 && dtype != VJ_F64)
        return vj_routine_wrong(use, "it sorts no such type");
    if (use->dtype[VALUES] != dtype || use->dtype[INDICES] != VJ_I64)
        return vj_routine_wrong(use, "its results have other types");
    use->elements[INDICES] = use->elements[VALUES];
    /* each unit has one row's heap of k entries: a value and an index, 16 bytes */
    return vj_routine_product(use, (const int64_t[]){use->units, p[K], 16}, 3, &use->elements[HEAP]);
}

/* Returns whether element a of a row comes before element b. The row's elements are `inner` apart. */
static bool before(const vj_host_array *x, int64_t base, int64_t inner, bool largest, int64_t a, int64_t b) {
    const int64_t i = base + a * inner, j = base + b * inner;
    if (!x->f && x->dtype == VJ_U64 && x->i[i] != x->i[j]) return largest == ((uint64_t)x->i[i] > (uint64_t)x->i[j]);
    if (!x->f) return x->i[i] != x->i[j] ? largest == (x->i[i] > x->i[j]) : a < b;
    const double l = x->f[i], r = x->f[j];
    const bool l_nan = l != l, r_nan = r != r;
    if (l_nan || r_nan) return l_nan != r_nan ? largest == l_nan : a < b;
    return l != r ? largest == (l > r) : a < b;
}

/* Merge-sorts the indices order[0, count), with `other` as scratch. */
static void sort(const vj_host_array *x, int64_t base, int64_t inner, bool largest, int64_t *order, int64_t *other,
                 int64_t count) {
    if (count < 2) return;
    const int64_t half = count / 2;
    sort(x, base, inner, largest, order, other, half);
    sort(x, base, inner, largest, order + half, other + half, count - half);
    for (int64_t i = 0, l = 0, r = half; i < count; i++) {
        const bool left = l < half && (r == count || before(x, base, inner, largest, order[l], order[r]));
        other[i] = left ? order[l++] : order[r++];
    }
    for (int64_t i = 0; i < count; i++)
        order[i] = other[i];
}

void vj_run_topk(const vj_routine_run *run) {
    const int64_t *p = run->param;
    const vj_host_array *x = &run->array[X], *values = &run->array[VALUES], *indices = &run->array[INDICES];
    int64_t *order = VJ_NEW_ARRAY(run->arena, int64_t, p[LENGTH]);
    int64_t *other = VJ_NEW_ARRAY(run->arena, int64_t, p[LENGTH]);
    for (int64_t row = 0; row < p[OUTER] * p[INNER]; row++) {
        const int64_t outer = row / p[INNER], column = row % p[INNER];
        const int64_t from = outer * p[LENGTH] * p[INNER] + column, to = outer * p[K] * p[INNER] + column;
        for (int64_t i = 0; i < p[LENGTH]; i++)
            order[i] = i;
        sort(x, from, p[INNER], p[LARGEST] != 0, order, other, p[LENGTH]);
        for (int64_t i = 0; i < p[K]; i++) {
            indices->i[to + i * p[INNER]] = order[i];
            if (x->f)
                values->f[to + i * p[INNER]] = x->f[from + order[i] * p[INNER]];
            else
                values->i[to + i * p[INNER]] = x->i[from + order[i] * p[INNER]];
        }
    }
}

void vj_site_topk(vj_site *site) {
    int64_t *p = site->param;
    double steps = 2;
    vj_site_axis(site);
    p[K] = vj_attr_int(site->node, VJ_ATTR_K, 0);
    p[LARGEST] = vj_attr_int(site->node, VJ_ATTR_LARGEST, 1);
    for (int64_t i = 1; i < p[K]; i *= 2)
        steps += 4;
    site->routine = VJ_ROUTINE_topk;
    site->rows = p[OUTER] * p[INNER];
    site->cycles = (double)site->rows * (double)p[LENGTH] * steps;
}
