/* SPDX-License-Identifier: Apache-2.0 */
/* routine.c - the table of routines. */
#include "routines.h"

#include <assert.h>
#include <string.h>

static const struct {
    vj_routine_row row;
    bool (*bound)(vj_routine_use *use);
    void (*run)(const vj_routine_run *run);
} routines[VJ_ROUTINE_COUNT] = {
#define ROUTINE(id, reads, writes, scratches, typed_by, params, numbers)                                               \
    {{#id, reads, writes, scratches, typed_by, params, numbers}, vj_bound_##id, vj_run_##id},
#include "routines.def"
#undef ROUTINE
};

const vj_routine_row *vj_routine_at(vj_routine routine) {
    assert(routine >= 0 && routine < VJ_ROUTINE_COUNT);
    return &routines[routine].row;
}

vj_routine vj_routine_by_name(const char *name, size_t length) {
    int32_t at = 0;
    while (at < VJ_ROUTINE_COUNT &&
           (strlen(routines[at].row.name) != length || memcmp(routines[at].row.name, name, length) != 0))
        at++;
    return (vj_routine)at;
}

bool vj_routine_bound(vj_routine routine, vj_routine_use *use) {
    if (use->units < 1) return vj_routine_wrong(use, "it has no units");
    return routines[routine].bound(use);
}

void vj_routine_evaluate(vj_routine routine, const vj_routine_run *run) { routines[routine].run(run); }
