/* SPDX-License-Identifier: Apache-2.0 */
/* bindings.c - a map from ONNX value names to what they stand for: open addressing, FNV-1a. */
#include "import.h"

#include <string.h>

struct vj_bindings {
    vj_arena *arena;
    vj_binding **slots;
    size_t capacity, count; /* capacity: a power of two, at most half full */
    const vj_bindings *outer;
    vj_bindings *used;
};

static size_t hash(const char *name) {
    uint64_t h = 14695981039346656037u;
    for (; *name; name++)
        h = (h ^ (uint8_t)*name) * 1099511628211u;
    return (size_t)(h ^ h >> 32);
}

static vj_binding **slot_of(const vj_bindings *names, const char *name) {
    size_t at = hash(name) & (names->capacity - 1);
    while (names->slots[at] && strcmp(names->slots[at]->name, name) != 0)
        at = (at + 1) & (names->capacity - 1);
    return &names->slots[at];
}

vj_bindings *vj_bindings_new(vj_arena *arena, size_t expected, const vj_bindings *outer) {
    vj_bindings *names = VJ_NEW(arena, vj_bindings);
    names->outer = outer;
    names->arena = arena;
    names->capacity = 64;
    while (names->capacity < 2 * expected)
        names->capacity *= 2;
    names->slots = VJ_NEW_ARRAY(arena, vj_binding *, names->capacity);
    return names;
}

vj_binding *vj_bindings_find(const vj_bindings *names, const char *name) {
    vj_binding *found = NULL;
    for (; names && !found; names = names->outer)
        found = *slot_of(names, name);
    return found;
}

static void grow(vj_bindings *names) {
    vj_binding **old = names->slots;
    size_t old_capacity = names->capacity;
    names->capacity *= 2;
    names->slots = VJ_NEW_ARRAY(names->arena, vj_binding *, names->capacity);
    for (size_t i = 0; i < old_capacity; i++)
        if (old[i]) *slot_of(names, old[i]->name) = old[i];
}

vj_binding *vj_bindings_add(vj_bindings *names, const char *name) {
    if (2 * (names->count + 1) > names->capacity) grow(names);
    vj_binding **slot = slot_of(names, name);
    if (*slot) return NULL;
    *slot = VJ_NEW(names->arena, vj_binding);
    (*slot)->name = name;
    (*slot)->value = VJ_NONE;
    names->count++;
    return *slot;
}

vj_bindings **vj_bindings_used(vj_bindings *names) { return &names->used; }

vj_arena *vj_bindings_arena(const vj_bindings *names) { return names->arena; }
