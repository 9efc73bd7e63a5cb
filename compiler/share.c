/* SPDX-License-Identifier: Apache-2.0 */
/* share.c - where the packed weights of several programs stand, in one file that serves them all: equal ones once. Those
 * of one program stay where they were planned. */
#include "compiler.h"

#include <xxhash.h>

/* The weights placed so far, by their keys: open addressing, at most half full. */
typedef struct placed {
    vj_weight_key key;
    int64_t offset; /* -1: an empty slot */
} placed;

typedef struct sharing {
    placed *table;
    int64_t room; /* a power of two */
    int64_t bytes;
    XXH3_state_t digest;
    vj_error *error;
} sharing;

static int64_t count_weights(vj_unit *const *units, int32_t count) {
    int64_t weights = 0;
    for (int32_t i = 0; i < count; i++)
        weights += units[i]->program->weight_count;
    return weights;
}

static void make_room(sharing *s, vj_arena *arena, int64_t weights) {
    s->room = 16;
    while (s->room < 2 * weights)
        s->room *= 2;
    s->table = VJ_NEW_ARRAY(arena, placed, s->room);
    for (int64_t i = 0; i < s->room; i++)
        s->table[i].offset = -1;
}

static placed *find(const sharing *s, const vj_weight_key *key) {
    for (uint64_t at = key->half[0];; at++) {
        placed *p = &s->table[at & (uint64_t)(s->room - 1)];
        if (p->offset < 0 || (p->key.half[0] == key->half[0] && p->key.half[1] == key->half[1])) return p;
    }
}

static void feed(sharing *s, const vj_weight_key *key, int64_t offset) {
    XXH3_128bits_update(&s->digest, key, sizeof *key);
    XXH3_128bits_update(&s->digest, &offset, sizeof offset);
}

/* An offset of its own behind the others, or that of its equal; *is_new tells which. */
static bool set_offset(sharing *s, const vj_weight_key *key, vj_buffer *buffer, bool *is_new) {
    placed *p = find(s, key);
    *is_new = p->offset < 0;
    if (*is_new) {
        *p = (placed){*key, vj_round_up(s->bytes, VJ_ALIGN)};
        feed(s, key, p->offset);
        if (!vj_add(p->offset, buffer->elements * vj_element_bytes(buffer->dtype), &s->bytes)) {
            vj_fail(s->error, VJ_UNSUPPORTED, "the weights are too large");
            return false;
        }
    }
    buffer->offset = p->offset;
    return true;
}

static bool share(sharing *s, vj_unit *u, bool alone) {
    vj_program *p = u->program;
    vj_weight_key *keys = VJ_NEW_ARRAY(u->arena, vj_weight_key, p->buffer_count + 1);
    bool *packs = VJ_NEW_ARRAY(u->arena, bool, p->buffer_count + 1);
    u->packs = packs;
    if (vj_weight_keys(u, keys) != VJ_OK) {
        *s->error = u->error;
        return false;
    }
    for (int32_t i = 0; i < p->buffer_count; i++) {
        if (p->buffers[i].kind != VJ_BUFFER_WEIGHT) continue;
        packs[i] = true;
        if (alone)
            feed(s, &keys[i], p->buffers[i].offset);
        else if (!set_offset(s, &keys[i], &p->buffers[i], &packs[i]))
            return false;
    }
    return true;
}

vj_status vj_share_weights(vj_unit *u) {
    vj_unit *const alone[] = {u}, *const *units = u->group ? u->group : alone;
    const int32_t count = u->group ? u->group_count : 1;
    const int64_t version = VJ_IMAGE_VERSION;
    sharing s = {.error = &u->error};
    XXH3_128bits_reset(&s.digest);
    XXH3_128bits_update(&s.digest, &version, sizeof version);
    make_room(&s, u->arena, count_weights(units, count));
    for (int32_t i = 0; i < count; i++)
        if (!share(&s, units[i], count == 1)) return u->error.status;
    const XXH128_hash_t hash = XXH3_128bits_digest(&s.digest);
    for (int32_t i = 0; i < count; i++) {
        units[i]->weights_digest[0] = hash.low64;
        units[i]->weights_digest[1] = hash.high64;
        if (count > 1) units[i]->program->weights_bytes = s.bytes;
    }
    return VJ_OK;
}
