/* SPDX-License-Identifier: Apache-2.0 */
/* scan.c - running sums or products along rows. */
#include "routines.h"

enum { OUTER, LENGTH, INNER, EXCLUSIVE, REVERSE, PRODUCT };
enum { X, Y };

bool vj_bound_scan(vj_routine_use *use) {
    const vj_dtype dtype = use->dtype[X];
    if (!vj_routine_product(use, use->param, 3, &use->elements[X])) return false;
    if (!vj_dtype_is_int(dtype) && dtype != VJ_F32 && dtype != VJ_F64)
        return vj_routine_wrong(use, "it sums no such type");
    use->elements[Y] = use->elements[X];
    return use->dtype[Y] == dtype || vj_routine_wrong(use, "its result has another type");
}

void vj_run_scan(const vj_routine_run *run) {
    const int64_t *p = run->param;
    const vj_host_array *x = &run->array[X], *y = &run->array[Y];
    for (int64_t row = 0; row < p[OUTER] * p[INNER]; row++) {
        double sum = p[PRODUCT] ? 1 : 0;
        uint64_t whole = p[PRODUCT] ? 1 : 0;
        for (int64_t l = 0; l < p[LENGTH]; l++) {
            const int64_t place = p[REVERSE] ? p[LENGTH] - 1 - l : l;
            const int64_t at = (row / p[INNER] * p[LENGTH] + place) * p[INNER] + row % p[INNER];
            if (x->f) {
                const double next = p[PRODUCT] ? sum * x->f[at] : sum + x->f[at];
                y->f[at] = p[EXCLUSIVE] ? sum : next;
                sum = next;
            } else {
                const uint64_t next = p[PRODUCT] ? whole * (uint64_t)x->i[at] : whole + (uint64_t)x->i[at];
                y->i[at] = vj_wrap(y->dtype, (int64_t)(p[EXCLUSIVE] ? whole : next));
                whole = next;
            }
        }
    }
}

void vj_site_scan(vj_site *site) {
    int64_t *p = site->param;
    vj_site_axis(site);
    p[EXCLUSIVE] = vj_attr_int(site->node, VJ_ATTR_EXCLUSIVE, 0);
    p[REVERSE] = vj_attr_int(site->node, VJ_ATTR_REVERSE, 0);
    p[PRODUCT] = vj_word_of("sum prod", vj_attr_name(site->node, VJ_ATTR_KIND, "sum"));
    site->routine = VJ_ROUTINE_scan;
    site->rows = p[OUTER] * p[INNER];
    site->cycles = 4 * (double)site->rows * (double)p[LENGTH];
}
