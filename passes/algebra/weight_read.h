/* SPDX-License-Identifier: Apache-2.0 */
/* weight_read.h - private to the reading of weight expressions, in blocks.
 *
 * weight_apply.c   elementwise ops on a block, from the table
 * weight_keep.c    what a reader keeps: slabs of transposes, small operands
 * weight_plan.c    which parts of a long expression are kept whole, so that reading one goes a few levels deep, and
 *                  computes every part once
 * weight_read.c    the rest: ranges of a result from ranges of its operands
 */
#ifndef VITJIT_PASSES_ALGEBRA_WEIGHT_READ_H
#define VITJIT_PASSES_ALGEBRA_WEIGHT_READ_H

#include "passes/passes.h"

enum { VJ_WEIGHT_CHUNK = 2048, VJ_WEIGHT_SLOTS = 8, VJ_WEIGHT_LEVELS = 32 };

/* Elements [first, first + count) of a value, kept. */
typedef struct vj_weight_slot {
    vj_value v;
    int64_t first, count, capacity;
    float *at;
    int32_t pinned; /* in use further up the recursion */
} vj_weight_slot;

/* Room of one level of the recursion. */
typedef struct vj_weight_level {
    float other[VJ_WEIGHT_CHUNK];
    int64_t index[VJ_WEIGHT_CHUNK];
} vj_weight_level;

/* How reading a value goes: elements read of its leaves for one of its own, levels of recursion, slots in use at once.
 * Of a value that is kept whole: as of a leaf, for who uses it. */
typedef struct vj_weight_shape {
    int32_t work; /* 0: not known yet */
    int16_t depth, slots;
} vj_weight_shape;

typedef struct vj_weight_part {
    vj_weight_shape shape;
    bool whole;    /* to be kept whole when it is a part of what is read */
    float *kept;   /* NULL: it is not */
    int32_t seen;  /* the last plan that it was part of */
    int32_t until; /* there, the place of the last part that reads it */
} vj_weight_part;

/* The parts of the expression that is read, operands first. */
typedef struct vj_weight_plan {
    vj_weight_part *part; /* of each value; NULL: no expression was long yet */
    vj_value *order, *stack, *kept;
    int32_t count, stack_count, order_capacity, stack_capacity, kept_count, kept_capacity, number;
    int64_t kept_elements;
    float *room; /* of the part that is being computed, which has it afterwards */
} vj_weight_plan;

struct vj_weight_reader {
    const vj_func *f;
    vj_arena *arena; /* whose way out is taken when there is no memory */
    vj_value ready;  /* what is kept suffices to read this value */
    vj_weight_slot slots[VJ_WEIGHT_SLOTS];
    int32_t next, level;
    vj_weight_level *levels[VJ_WEIGHT_LEVELS];
    vj_weight_plan plan;
};

static inline int64_t vj_weight_extent(const vj_type *type, int32_t from, int32_t to) {
    int64_t n = 1;
    for (int32_t i = from; i < to; i++)
        n *= type->dims[i].c;
    return n;
}
static inline int64_t vj_weight_elements(const vj_func *f, vj_value v) {
    return vj_weight_extent(vj_type_at(f, v), 0, vj_type_at(f, v)->rank);
}

/* weight_apply.c: x = op(x), or op(x, y) */
void vj_weight_apply(vj_op op, int64_t count, float *restrict x, const float *restrict y);
void vj_weight_round(vj_dtype to, int64_t count, float *x); /* to numbers of a half or i8, as a cast does; f32 stays */

/* weight_keep.c */
vj_weight_slot *vj_weight_find(vj_weight_reader *r, vj_value v, int64_t first, int64_t count);
vj_weight_slot *vj_weight_slot_for(vj_weight_reader *r, int64_t count, vj_error *error); /* NULL: all are pinned */
vj_weight_level *vj_weight_enter(vj_weight_reader *r, vj_error *error); /* the next level; NULL: too deep */

/* weight_plan.c */
bool vj_weight_is_short(const vj_func *f, vj_value v); /* it can be read as it is */
void vj_weight_plan_of(vj_weight_reader *r, vj_value v);
/* Room for part `number` of the plan, which is to be kept whole; gives up what no later part reads when much is kept. */
float *vj_weight_room(vj_weight_reader *r, int32_t number);
void vj_weight_plan_free(vj_weight_plan *plan);

#endif
