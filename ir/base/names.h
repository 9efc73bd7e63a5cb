/* SPDX-License-Identifier: Apache-2.0 */
/* names.h - a map from names to indices, for the parser and the printer. */
#ifndef VITJIT_IR_BASE_NAMES_H
#define VITJIT_IR_BASE_NAMES_H

#include "base.h"

typedef struct vj_names {
    vj_arena *arena;
    struct vj_names_entry {
        const char *name; /* NULL: free */
        int32_t kind;     /* names of different kinds never meet */
        int32_t index;
    } *entries;
    uint32_t count, capacity; /* a power of two */
} vj_names;

/* Returns -1 when the name is not there. */
int32_t vj_names_find(const vj_names *names, int32_t kind, const char *name);
/* The name is borrowed; it must not be there yet. */
void vj_names_add(vj_names *names, int32_t kind, const char *name, int32_t index);

#endif
