/* plan.c - every buffer gets its place. Scratch: greedy by size into the lowest gap (Pisarchyk and Lee, "Efficient
 * Memory Management for Deep Neural Net Inference", 2020, section 5), with lifetimes in phases. A result takes the
 * place of an operand that is read for the last time element by element, as the element is written. */
#include "internal.h"

#include <string.h>

typedef struct slot {
    int32_t first, last; /* phases that touch the buffer; first > last: none does */
    int32_t leader;      /* buffers that share a place in time have one */
    int64_t bytes;
} slot;

static bool is_result(const vj_kernel *k, int32_t access) {
    for (int32_t o = 0; o < k->out_count; o++)
        if (k->out[o].access == access) return true;
    return false;
}

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

static bool is_operand(const vj_kernel *k, int32_t access) {
    return access == k->a || access == k->b || access == k->q || access == k->k || access == k->v;
}

/* Has the kernel columns of several kinds? What one of them reads, another may read too, at a point of its own. */
static bool has_segments(const vj_kernel *k) {
    for (int32_t o = 0; o < k->out_count; o++)
        if (k->out[o].segment >= 0) return true;
    return false;
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
            if (k->access[a].buffer == to && !is_result(k, a)) return false;
            if (k->access[a].buffer != from) continue;
            if (k->kind == VJ_KERNEL_CALL || has_segments(k)) return false;
            if (!out || is_result(k, a) || is_operand(k, a) || !same_map(k, &k->access[a], out)) return false;
        }
    }
    return results == 1;
}

static void share_places(const vj_program *p, slot *slots) {
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

/* The lowest gap among those already placed that live at the same time; the placed stand in order of their offsets. */
static int64_t lowest_gap(const vj_program *p, const slot *joined, const int32_t *placed, int32_t count,
                          int32_t buffer) {
    int64_t at = 0;
    for (int32_t i = 0; i < count; i++) {
        const slot *s = &joined[placed[i]];
        if (s->last < joined[buffer].first || joined[buffer].last < s->first) continue;
        const int64_t offset = p->buffers[placed[i]].offset;
        if (at + joined[buffer].bytes <= offset) break;
        at = vj_max64(at, offset + s->bytes);
    }
    return at;
}

static void place_all(vj_program *p, vj_arena *arena, const slot *slots, const slot *joined) {
    int32_t *order = VJ_NEW_ARRAY(arena, int32_t, p->buffer_count + 1), *placed = order, count = 0;
    for (int32_t i = 0; i < p->buffer_count; i++) { /* by size, then by first use */
        if (joined[i].bytes == 0) continue;
        int32_t at = count++;
        for (; at > 0; at--) {
            const slot *other = &joined[order[at - 1]];
            if (other->bytes > joined[i].bytes || (other->bytes == joined[i].bytes && other->first <= joined[i].first))
                break;
            order[at] = order[at - 1];
        }
        order[at] = i;
    }
    placed = VJ_NEW_ARRAY(arena, int32_t, count + 1);
    p->per_image_bytes = 0;
    for (int32_t n = 0; n < count; n++) {
        const int64_t offset = lowest_gap(p, joined, placed, n, order[n]);
        p->buffers[order[n]].offset = offset;
        p->per_image_bytes = vj_max64(p->per_image_bytes, offset + joined[order[n]].bytes);
        int32_t at = n;
        for (; at > 0 && p->buffers[placed[at - 1]].offset > offset; at--)
            placed[at] = placed[at - 1];
        placed[at] = order[n];
    }
    for (int32_t i = 0; i < p->buffer_count; i++)
        if (p->buffers[i].kind == VJ_BUFFER_ARENA) p->buffers[i].offset = p->buffers[slots[i].leader].offset;
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
    share_places(p, slots);
    join(p, slots, joined);
    p->lower_bound_bytes = lower_bound(p, scratch, slots);
    place_all(p, scratch, slots, joined);
    vj_arena_free(scratch);
    c->rewrites += p->buffer_count;
    return place_weights(p, c->error) ? VJ_OK : c->error->status;
}
