/* SPDX-License-Identifier: Apache-2.0 */
/* unique.c - the distinct rows, in the order of their values (NaN last, and equal to nothing) or of their first
 * occurrence. */
#include "routines.h"

#include <math.h>

enum { ROWS, WIDTH, SIZE, SORTED };
enum { X, COUNT, PLACE, KIND, MANY, NUMBER, ORDER };

bool vj_bound_unique(vj_routine_use *use) {
    const int64_t *p = use->param;
    if (!vj_routine_product(use, p, 2, &use->elements[X]) ||
        !vj_routine_product(use, &p[SIZE], 1, &use->elements[PLACE]))
        return false;
    const vj_dtype dtype = use->dtype[X];
    if (dtype == VJ_F16 || dtype == VJ_BF16) return vj_routine_wrong(use, "it compares no such type");
    for (int32_t i = COUNT; i <= NUMBER; i++)
        if (use->dtype[i] != VJ_I64) return vj_routine_wrong(use, "its numbers have other types");
    use->elements[COUNT] = use->elements[NUMBER] = 1;
    use->elements[KIND] = p[ROWS];
    use->elements[MANY] = p[SIZE];
    return vj_routine_product(use, (const int64_t[]){use->units, p[ROWS], 16}, 3, &use->elements[ORDER]);
}

static int compare_rows(const vj_host_array *x, int64_t width, int64_t a, int64_t b) {
    for (int64_t i = 0; i < width; i++) {
        if (!x->f) {
            const int64_t p = x->i[a * width + i], q = x->i[b * width + i];
            const bool is_less = x->dtype == VJ_U64 ? (uint64_t)p < (uint64_t)q : p < q;
            if (p != q) return is_less ? -1 : 1;
            continue;
        }
        const double p = x->f[a * width + i], q = x->f[b * width + i];
        if (p == q) continue;
        if (p < q) return -1;
        if (p > q) return 1;
        if (isnan(p) != isnan(q)) return isnan(p) ? 1 : -1;
        return a < b ? -1 : a > b;
    }
    return 0;
}

/* Compares each row with all distinct rows so far, as the plainest definition. */
void vj_run_unique(const vj_routine_run *run) {
    const int64_t *p = run->param, width = p[WIDTH];
    const vj_host_array *x = &run->array[X];
    const int64_t rows = vj_max64(0, vj_min64(run->array[COUNT].i[0], p[ROWS]));
    int64_t *found = run->array[PLACE].i, *kind = run->array[KIND].i, *many = run->array[MANY].i, kinds = 0;
    int64_t *first = VJ_NEW_ARRAY(run->arena, int64_t, rows + 1), *to = VJ_NEW_ARRAY(run->arena, int64_t, rows + 1);
    for (int64_t i = 0; i < p[SIZE]; i++)
        found[i] = many[i] = 0;
    for (int64_t r = 0; r < p[ROWS]; r++)
        kind[r] = 0;
    for (int64_t r = 0; r < rows; r++) {
        int64_t k = 0;
        while (k < kinds && compare_rows(x, width, first[k], r) != 0)
            k++;
        if (k == kinds) first[kinds++] = r;
        kind[r] = k;
    }
    for (int64_t k = 0; k < kinds; k++) {
        to[k] = p[SORTED] ? 0 : k;
        for (int64_t j = 0; p[SORTED] && j < kinds; j++)
            to[k] += compare_rows(x, width, first[j], first[k]) < 0;
        if (to[k] < p[SIZE]) found[to[k]] = first[k];
    }
    for (int64_t r = 0; r < rows; r++) {
        kind[r] = to[kind[r]];
        if (kind[r] < p[SIZE]) many[kind[r]]++;
    }
    run->array[NUMBER].i[0] = vj_min64(kinds, p[SIZE]);
}
