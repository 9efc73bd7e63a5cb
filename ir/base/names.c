/* SPDX-License-Identifier: Apache-2.0 */
/* names.c - a map from names to indices: open addressing, FNV-1a. */
#include "names.h"

#include <string.h>

static uint32_t hash(int32_t kind, const char *name) {
    uint32_t h = 2166136261u ^ (uint32_t)kind;
    for (; *name; name++)
        h = (h ^ (unsigned char)*name) * 16777619u;
    return h ^ h >> 15;
}

/* The entry of a name, or the free one where the name belongs. */
static struct vj_names_entry *entry_of(const vj_names *names, int32_t kind, const char *name) {
    uint32_t mask = names->capacity - 1;
    for (uint32_t i = hash(kind, name) & mask;; i = (i + 1) & mask) {
        struct vj_names_entry *e = &names->entries[i];
        if (!e->name || (e->kind == kind && strcmp(e->name, name) == 0)) return e;
    }
}

int32_t vj_names_find(const vj_names *names, int32_t kind, const char *name) {
    if (!names->count) return -1;
    const struct vj_names_entry *e = entry_of(names, kind, name);
    return e->name ? e->index : -1;
}

static void grow(vj_names *names) {
    vj_names larger = {.arena = names->arena, .count = names->count};
    larger.capacity = names->capacity ? names->capacity * 2 : 64;
    larger.entries = VJ_NEW_ARRAY(names->arena, struct vj_names_entry, larger.capacity);
    for (uint32_t i = 0; i < names->capacity; i++) {
        struct vj_names_entry *old = &names->entries[i];
        if (old->name) *entry_of(&larger, old->kind, old->name) = *old;
    }
    *names = larger;
}

void vj_names_add(vj_names *names, int32_t kind, const char *name, int32_t index) {
    if (names->count >= names->capacity / 2) grow(names);
    *entry_of(names, kind, name) = (struct vj_names_entry){name, kind, index};
    names->count++;
}
