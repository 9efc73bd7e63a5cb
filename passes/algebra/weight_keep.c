/* SPDX-License-Identifier: Apache-2.0 */
/* weight_keep.c - what a reader of weights keeps: a few ranges of values, and the room of its recursion. */
#include <stdlib.h>

#include "weight_read.h"

vj_weight_slot *vj_weight_find(vj_weight_reader *r, vj_value v, int64_t first, int64_t count) {
    for (int32_t i = 0; i < VJ_WEIGHT_SLOTS; i++) {
        vj_weight_slot *s = &r->slots[i];
        if (s->v == v && first >= s->first && first + count <= s->first + s->count) return s;
    }
    return NULL;
}

vj_weight_slot *vj_weight_slot_for(vj_weight_reader *r, int64_t count, vj_error *error) {
    for (int32_t tries = 0; tries < VJ_WEIGHT_SLOTS; tries++) {
        vj_weight_slot *s = &r->slots[r->next++ % VJ_WEIGHT_SLOTS];
        if (s->pinned) continue;
        s->v = VJ_NONE;
        if (s->capacity < count) {
            free(s->at);
            s->capacity = 0;
            s->at = malloc((size_t)vj_max64(count, 1) * sizeof(float));
            if (!s->at) vj_out_of_memory(r->arena);
            s->capacity = count;
        }
        return s;
    }
    vj_fail(error, VJ_SYSTEM, "a weight's expression needs too much at once");
    return NULL;
}

vj_weight_level *vj_weight_enter(vj_weight_reader *r, vj_error *error) {
    if (r->level == VJ_WEIGHT_LEVELS) {
        vj_fail(error, VJ_SYSTEM, "a weight's expression is too deep");
        return NULL;
    }
    if (!r->levels[r->level]) r->levels[r->level] = malloc(sizeof *r->levels[0]);
    if (!r->levels[r->level]) vj_out_of_memory(r->arena);
    return r->levels[r->level++];
}
