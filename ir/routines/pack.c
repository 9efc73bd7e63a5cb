/* SPDX-License-Identifier: Apache-2.0 */
/* pack.c - pack and unpack: move elements between a padded tensor and a dense list. */
#include "routines.h"

enum { RANK, D0 };
enum { N = 0, TO = 1 }; /* the parameters of unpack begin with `n` */
enum { FROM, GIVEN, RESULT };

/* Checks the parameters from the rank on, and sets the elements of the padded tensor and of the true dims. */
static bool dims_are_sound(vj_routine_use *use, const int64_t *p, int64_t *padded) {
    if (!vj_routine_product(use, &p[D0], VJ_MAX_RANK, padded)) return false;
    if (p[RANK] < 1 || p[RANK] > VJ_MAX_RANK) return vj_routine_wrong(use, "its rank makes no sense");
    for (int64_t d = p[RANK]; d < VJ_MAX_RANK; d++)
        if (p[D0 + d] != 1) return vj_routine_wrong(use, "it has more dims than its rank");
    if (use->dtype[GIVEN] != VJ_I64 || use->dtype[FROM] != use->dtype[RESULT])
        return vj_routine_wrong(use, "its operands have other types");
    use->elements[GIVEN] = p[RANK];
    return true;
}

bool vj_bound_pack(vj_routine_use *use) {
    if (!dims_are_sound(use, use->param, &use->elements[FROM])) return false;
    use->elements[RESULT] = use->elements[FROM];
    return true;
}

bool vj_bound_unpack(vj_routine_use *use) {
    return vj_routine_product(use, &use->param[N], 1, &use->elements[FROM]) &&
           dims_are_sound(use, &use->param[TO], &use->elements[RESULT]);
}

static void move(const vj_host_array *from, int64_t i, const vj_host_array *to, int64_t k) {
    if (to->f)
        to->f[k] = from->f[i];
    else
        to->i[k] = from->i[i];
}

static void clear(const vj_host_array *a, int64_t count) {
    for (int64_t i = 0; i < count; i++) {
        if (a->f)
            a->f[i] = 0;
        else
            a->i[i] = 0;
    }
}

/* Visits the padded tensor in order. The elements inside the true dims form the list, of which the first n are
 * copied. */
static void copy(const vj_routine_run *run, const int64_t *p, bool to_list, int64_t n) {
    int64_t index[VJ_MAX_RANK] = {0}, count = 1, at = 0;
    const int64_t *given = run->array[GIVEN].i;
    for (int64_t d = 0; d < p[RANK]; d++)
        count *= p[D0 + d];
    clear(&run->array[RESULT], to_list ? n : count);
    for (int64_t i = 0; i < count; i++) {
        bool is_inside = true;
        for (int64_t d = 0; d < p[RANK]; d++)
            is_inside &= index[d] < given[d];
        if (is_inside && at < n) move(&run->array[FROM], to_list ? i : at, &run->array[RESULT], to_list ? at : i);
        at += is_inside;
        for (int64_t d = p[RANK] - 1; d >= 0 && ++index[d] == p[D0 + d]; d--)
            index[d] = 0;
    }
}

void vj_run_pack(const vj_routine_run *run) {
    int64_t n = 1;
    for (int64_t d = 0; d < VJ_MAX_RANK; d++)
        n *= run->param[D0 + d];
    copy(run, run->param, true, n);
}

void vj_run_unpack(const vj_routine_run *run) { copy(run, &run->param[TO], false, run->param[N]); }
