/* plan.c - every buffer gets its place. Scratch: greedy into the lowest gap (Pisarchyk and Lee, "Efficient Memory
 * Management for Deep Neural Net Inference", 2020, section 5), by several orders that are mended until the lower bound is
 * reached, with lifetimes in phases. A result takes the place of an operand that is read for the last time element by
 * element, as the element is written. */
#include "passes/rewrite/rewrite.h"

#include <string.h>

typedef struct slot {
    int32_t first, last; /* phases that touch the buffer; first > last: none does */
    int32_t leader;      /* buffers that share a place in time have one */
    int64_t bytes;
} slot;

static slot *slots_of(const vj_program *p, vj_arena *arena) {
    slot *slots = VJ_NEW_ARRAY(arena, slot, p->buffer_count + 1);
    for (int32_t i = 0; i < p->buffer_count; i++) {
        const int64_t bytes = p->buffers[i].elements * vj_element_bytes(p->buffers[i].dtype);
        slots[i] = (slot){p->phase_count, -1, i, vj_round_up(bytes, VJ_ALIGN)};
    }
    for (int32_t phase = 0; phase < p->phase_count; phase++)
        for (int32_t n = 0; n < p->phases[phase].count; n++) {
            const vj_kernel *k = p->kernels[p->phases[phase].first + n];
            for (int32_t a = 0; a < k->access_count; a++) {
                slot *s = &slots[k->access[a].buffer];
                if (phase < s->first) s->first = phase;
                s->last = phase;
            }
        }
    return slots;
}

static bool same_map(const vj_kernel *k, const vj_access *a, const vj_access *b) {
    if (a->offset != b->offset || a->term_count || b->term_count) return false;
    for (int32_t x = 0; x < k->rank; x++)
        if (k->extent[x] > 1 && a->stride[x] != b->stride[x]) return false;
    return true;
}

/* In this phase, does one kernel alone write `to`, reading `from` at the same elements only, and no other touch it? */
static bool written_over(const vj_program *p, const vj_phase *phase, int32_t from, int32_t to) {
    int32_t results = 0;
    for (int32_t n = 0; n < phase->count; n++) {
        const vj_kernel *k = p->kernels[phase->first + n];
        const vj_access *out = NULL;
        for (int32_t o = 0; o < k->out_count; o++)
            if (k->access[k->out[o].access].buffer == to) {
                if (k->out[o].segment >= 0) return false; /* the other segments read the same elements */
                out = &k->access[k->out[o].access];
                results++;
            }
        for (int32_t a = 0; a < k->access_count; a++) {
            if (k->access[a].buffer == to && !vj_is_result(k, a)) return false;
            if (k->access[a].buffer != from) continue;
            /* What one segment reads, another may read too, at a point of its own. */
            if (vj_kind_at(k->kind)->is_call || vj_has_segments(k)) return false;
            if (!out || vj_is_result(k, a) || vj_operand_of(k, a) >= 0 || !same_map(k, &k->access[a], out))
                return false;
        }
    }
    return results == 1;
}

static void share_buffers(const vj_program *p, slot *slots) {
    for (int32_t to = 0; to < p->buffer_count; to++) {
        if (p->buffers[to].kind != VJ_BUFFER_ARENA || slots[to].last < 0) continue;
        for (int32_t from = 0; from < p->buffer_count; from++) {
            const vj_buffer *b = &p->buffers[from];
            if (b->kind != VJ_BUFFER_ARENA || slots[from].last != slots[to].first || from == to) continue;
            if (slots[from].first >= slots[to].first || b->dtype != p->buffers[to].dtype) continue;
            bool free_after = slots[to].leader == to; /* no other took to's place yet, nor from's */
            for (int32_t i = 0; i < p->buffer_count; i++)
                free_after &= i == from || slots[i].leader != slots[from].leader || slots[i].last <= slots[from].first;
            if (!free_after || !written_over(p, &p->phases[slots[to].first], from, to)) continue;
            for (int32_t i = 0; i < p->buffer_count; i++)
                if (slots[i].leader == to) slots[i].leader = slots[from].leader;
            break;
        }
    }
}

/* Buffers of one leader as one: its whole life and its largest size. */
static void join(const vj_program *p, slot *slots, slot *joined) {
    for (int32_t i = 0; i < p->buffer_count; i++)
        joined[i] = (slot){p->phase_count, -1, i, 0};
    for (int32_t i = 0; i < p->buffer_count; i++) {
        if (p->buffers[i].kind != VJ_BUFFER_ARENA || slots[i].last < 0) continue;
        slot *s = &joined[slots[i].leader];
        if (slots[i].first < s->first) s->first = slots[i].first;
        if (slots[i].last > s->last) s->last = slots[i].last;
        s->bytes = vj_max64(s->bytes, slots[i].bytes);
    }
}

/* In each phase, what lives, with buffers that share a place counted once. */
static int64_t lower_bound(const vj_program *p, vj_arena *arena, const slot *slots) {
    int64_t most = 0;
    for (int32_t phase = 0; phase < p->phase_count; phase++) {
        const vj_arena_mark mark = vj_arena_save(arena);
        int64_t *live = VJ_NEW_ARRAY(arena, int64_t, p->buffer_count + 1), sum = 0;
        for (int32_t i = 0; i < p->buffer_count; i++)
            if (p->buffers[i].kind == VJ_BUFFER_ARENA && slots[i].first <= phase && phase <= slots[i].last)
                live[slots[i].leader] = vj_max64(live[slots[i].leader], slots[i].bytes);
        for (int32_t i = 0; i < p->buffer_count; i++)
            sum += live[i];
        vj_arena_release(arena, mark);
        most = vj_max64(most, sum);
    }
    return most;
}

/* Places */

/* Buffers that are to be placed, in an order, and where they are. */
typedef struct placement {
    const slot *joined;
    int32_t *order, count;
    int64_t *offset; /* of each buffer */
    int32_t *placed; /* those that are, by their offsets */
    int64_t bytes;   /* where the last one ends */
} placement;

static bool meet(const slot *a, const slot *b) { return a->first <= b->last && b->first <= a->last; }

/* The lowest gap among those already placed that live at the same time. */
static int64_t lowest_gap(const placement *p, int32_t count, int32_t buffer) {
    const slot *wanted = &p->joined[buffer];
    int64_t at = 0;
    for (int32_t i = 0; i < count; i++) {
        const slot *s = &p->joined[p->placed[i]];
        if (!meet(s, wanted)) continue;
        if (at + wanted->bytes <= p->offset[p->placed[i]]) break;
        at = vj_max64(at, p->offset[p->placed[i]] + s->bytes);
    }
    return at;
}

/* One after another into the lowest gap. */
static void place_in_order(placement *p) {
    p->bytes = 0;
    for (int32_t n = 0; n < p->count; n++) {
        const int32_t buffer = p->order[n];
        const int64_t offset = lowest_gap(p, n, buffer);
        p->offset[buffer] = offset;
        p->bytes = vj_max64(p->bytes, offset + p->joined[buffer].bytes);
        int32_t at = n;
        for (; at > 0 && p->offset[p->placed[at - 1]] > offset; at--)
            p->placed[at] = p->placed[at - 1];
        p->placed[at] = buffer;
    }
}

#define SCATTERED_ROUND 16

/* What an order puts first. */
typedef enum ranking { BY_SIZE, BY_AREA, BY_LIFE, RANKINGS } ranking;

static double rank_of(const slot *s, ranking r) {
    const double life = (double)s->last - (double)s->first + 1, bytes = (double)s->bytes;
    return r == BY_SIZE ? bytes : r == BY_AREA ? bytes * life : life;
}

/* Of equals the one that is used first. */
static void sort(placement *p, ranking r) {
    for (int32_t n = 1; n < p->count; n++) {
        const int32_t buffer = p->order[n];
        const slot *s = &p->joined[buffer];
        int32_t at = n;
        for (; at > 0; at--) {
            const slot *other = &p->joined[p->order[at - 1]];
            const double mine = rank_of(s, r), theirs = rank_of(other, r);
            if (theirs > mine || (theirs == mine && other->first <= s->first)) break;
            p->order[at] = p->order[at - 1];
        }
        p->order[at] = buffer;
    }
}

/* Whoever ends highest had too few gaps left: it goes forward, to the front or, in later rounds, to some other place. */
static void promote_highest(placement *p, uint32_t round) {
    for (int32_t n = p->count - 1; n > 0; n--) {
        const int32_t buffer = p->order[n];
        if (p->offset[buffer] + p->joined[buffer].bytes < p->bytes) continue;
        const uint32_t scattered = round * 2654435761u >> 16; /* Knuth's multiplicative hash */
        const int32_t to = round < SCATTERED_ROUND ? 0 : (int32_t)(scattered % (uint32_t)n);
        memmove(p->order + to + 1, p->order + to, (size_t)(n - to) * sizeof *p->order);
        p->order[to] = buffer;
        return;
    }
}

/* How often an order is mended: less when a round, of count^2 steps, takes long. */
static int32_t rounds_for(int64_t count) {
    enum { MOST = 64, STEPS = 20000000 };
    return (int32_t)vj_max64(1, vj_min64(MOST, STEPS / vj_max64(1, count * count)));
}

/* The best of several orders, each mended a few times; none is tried when the bound is reached. */
static void place_all(vj_program *p, vj_arena *arena, const slot *slots, const slot *joined) {
    const int32_t room = p->buffer_count + 1;
    placement it = {joined,
                    VJ_NEW_ARRAY(arena, int32_t, room),
                    0,
                    VJ_NEW_ARRAY(arena, int64_t, room),
                    VJ_NEW_ARRAY(arena, int32_t, room),
                    0};
    for (int32_t i = 0; i < p->buffer_count; i++)
        if (joined[i].bytes > 0) it.order[it.count++] = i;
    p->per_image_bytes = INT64_MAX;
    const int32_t rounds = rounds_for(it.count);
    for (ranking r = BY_SIZE; r < RANKINGS; r++) {
        sort(&it, r);
        for (int32_t round = 0; round < rounds && p->per_image_bytes > p->lower_bound_bytes; round++) {
            place_in_order(&it);
            if (it.bytes < p->per_image_bytes) {
                p->per_image_bytes = it.bytes;
                for (int32_t i = 0; i < p->buffer_count; i++)
                    if (p->buffers[i].kind == VJ_BUFFER_ARENA) p->buffers[i].offset = it.offset[slots[i].leader];
            }
            promote_highest(&it, (uint32_t)round);
        }
    }
}

static bool place_weights(vj_program *p, vj_error *error) {
    p->weights_bytes = 0;
    for (int32_t i = 0; i < p->buffer_count; i++) {
        vj_buffer *b = &p->buffers[i];
        if (b->kind != VJ_BUFFER_WEIGHT) continue;
        b->offset = vj_round_up(p->weights_bytes, VJ_ALIGN);
        if (vj_add(b->offset, b->elements * vj_element_bytes(b->dtype), &p->weights_bytes)) continue;
        vj_fail(error, VJ_UNSUPPORTED, "the weights are too large");
        return false;
    }
    return true;
}

vj_status vj_pass_plan(vj_pass_context *c) {
    vj_program *p = c->p;
    vj_arena *scratch = vj_arena_new();
    slot *slots = slots_of(p, scratch), *joined = VJ_NEW_ARRAY(scratch, slot, p->buffer_count + 1);
    share_buffers(p, slots);
    join(p, slots, joined);
    p->lower_bound_bytes = lower_bound(p, scratch, slots);
    place_all(p, scratch, slots, joined);
    vj_arena_free(scratch);
    c->rewrites += p->buffer_count;
    return place_weights(p, c->error) ? VJ_OK : c->error->status;
}
