/* SPDX-License-Identifier: Apache-2.0 */
/* nonzero.c - the indices of the elements that are not 0, in row-major order. */
#include "routines.h"

enum { RANK, SIZE, D0 };
enum { X, PLACES, NUMBER };

bool vj_bound_nonzero(vj_routine_use *use) {
    const int64_t *p = use->param, dims[] = {p[RANK], p[SIZE]};
    if (!vj_routine_product(use, &p[D0], VJ_MAX_RANK, &use->elements[X]) ||
        !vj_routine_product(use, dims, 2, &use->elements[PLACES]))
        return false;
    if (p[RANK] > VJ_MAX_RANK) return vj_routine_wrong(use, "its rank is too large");
    for (int64_t d = p[RANK]; d < VJ_MAX_RANK; d++)
        if (p[D0 + d] != 1) return vj_routine_wrong(use, "it has more dims than its rank");
    const vj_dtype dtype = use->dtype[X];
    if (dtype == VJ_F16 || dtype == VJ_BF16) return vj_routine_wrong(use, "it looks at no such type");
    if (use->dtype[PLACES] != VJ_I64 || use->dtype[NUMBER] != VJ_I64)
        return vj_routine_wrong(use, "its results have other types");
    use->elements[NUMBER] = 1;
    return true;
}

void vj_run_nonzero(const vj_routine_run *run) {
    const int64_t *p = run->param;
    const vj_host_array *x = &run->array[X];
    int64_t index[VJ_MAX_RANK] = {0}, *places = run->array[PLACES].i, found = 0, count = 1;
    for (int64_t d = 0; d < p[RANK]; d++)
        count *= p[D0 + d];
    for (int64_t i = 0; i < p[RANK] * p[SIZE]; i++)
        places[i] = 0;
    for (int64_t i = 0; i < count; i++) {
        if ((x->f ? x->f[i] != 0 : x->i[i] != 0) && found < p[SIZE]) {
            for (int64_t d = 0; d < p[RANK]; d++)
                places[d * p[SIZE] + found] = index[d];
            found++;
        }
        for (int64_t d = p[RANK] - 1; d >= 0 && ++index[d] == p[D0 + d]; d--)
            index[d] = 0;
    }
    run->array[NUMBER].i[0] = found;
}
