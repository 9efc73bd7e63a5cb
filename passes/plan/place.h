/* SPDX-License-Identifier: Apache-2.0 */
/* place.h - private to planning: places for buffers whose lifetimes are known. */
#ifndef VITJIT_PASSES_PLAN_PLACE_H
#define VITJIT_PASSES_PLAN_PLACE_H

#include "ir/base/base.h"

/* The phases in which a buffer lives, and its bytes; 0 bytes: it needs no place. */
typedef struct vj_life {
    int32_t first, last;
    int64_t bytes;
} vj_life;

/* An offset for each of `count` buffers, such as do not meet in time may overlap; *bytes becomes where the last one ends.
 * No less than `bound` is possible. */
int64_t *vj_place(vj_arena *arena, const vj_life *lives, int32_t count, int64_t bound, int64_t *bytes);

#endif
