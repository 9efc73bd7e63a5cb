/* SPDX-License-Identifier: Apache-2.0 */
/* plan.c - every buffer gets its place: scratch by lifetimes in phases (place.c). A result takes the place of an operand
 * that is read for the last time element by element, as the element is written. */
#include "place.h"

#include "passes/rewrite/rewrite.h"

#include <stdlib.h>

typedef struct slot {
    int32_t first, last; /* phases that touch the buffer; first > last: none does */
    int32_t leader;      /* buffers that share a place in time have one */
    int64_t bytes;
    int32_t writer;                      /* the last kernel of phase `first` that writes it; -1: none */
    int32_t first_touches, last_touches; /* accesses of it in these phases */
} slot;

static void touch(slot *s, int32_t phase, int32_t kernel, bool writes) {
    if (s->last < 0) s->first = phase;
    if (s->last != phase) s->last_touches = 0;
    s->last = phase;
    s->last_touches++;
    s->first_touches += s->first == phase;
    if (writes && s->first == phase) s->writer = kernel;
}

static slot *slots_of(const vj_program *p, vj_arena *arena) {
    slot *slots = VJ_NEW_ARRAY(arena, slot, p->buffer_count + 1);
    for (int32_t i = 0; i < p->buffer_count; i++) {
        const int64_t bytes = p->buffers[i].elements * vj_element_bytes(p->buffers[i].dtype);
        slots[i] = (slot){p->phase_count, -1, i, vj_round_up(bytes, VJ_ALIGN), -1, 0, 0};
    }
    for (int32_t phase = 0; phase < p->phase_count; phase++)
        for (int32_t n = 0; n < p->phases[phase].count; n++) {
            const int32_t number = p->phases[phase].first + n;
            const vj_kernel *k = p->kernels[number];
            for (int32_t a = 0; a < k->access_count; a++)
                touch(&slots[k->access[a].buffer], phase, number, vj_is_result(k, a));
        }
    return slots;
}

static bool same_map(const vj_kernel *k, const vj_access *a, const vj_access *b) {
    if (a->offset != b->offset || a->term_count || b->term_count) return false;
    for (int32_t x = 0; x < k->rank; x++)
        if (k->extent[x] > 1 && a->stride[x] != b->stride[x]) return false;
    return true;
}

/* Are the product's results stored in their order? Those whose rows are adjacent, and whose columns are not, are stored for
 * themselves, before or behind all others. */
static bool has_an_order(const vj_kernel *k) {
    int32_t turned = 0;
    if (k->kind != VJ_KERNEL_GEMM) return true;
    const int32_t row = vj_group(k, VJ_GROUP_COLS).first - 1, column = vj_group(k, VJ_GROUP_DEPTH).first - 1;
    for (int32_t o = 0; o < k->out_count; o++) {
        const vj_access *out = &k->access[k->out[o].access];
        turned += out->stride[column] != 1 && out->stride[row] == 1;
    }
    return turned == 0 || turned == k->out_count;
}

/* In the phase where `from` is read last and `to` written first, does kernel k alone write `to`, reading `from` at the
 * same elements only, and no other touch them? */
static bool written_over(const vj_kernel *k, const slot *slots, int32_t from, int32_t to) {
    int32_t results = 0, of_from = 0, of_to = 0;
    const vj_access *out = NULL;
    if (vj_kind_at(k->kind)->is_call || vj_has_segments(k))
        return false; /* other segments may read the same elements */
    for (int32_t o = 0; o < k->out_count; o++)
        if (k->access[k->out[o].access].buffer == to) {
            out = &k->access[k->out[o].access];
            results++;
        }
    for (int32_t a = 0; a < k->access_count; a++) {
        of_from += k->access[a].buffer == from;
        of_to += k->access[a].buffer == to;
        if (k->access[a].buffer == to && !vj_is_result(k, a)) return false;
        if (k->access[a].buffer != from) continue;
        if (!out || vj_is_result(k, a) || vj_operand_of(k, a) >= 0 || !same_map(k, &k->access[a], out)) return false;
    }
    return results == 1 && of_from == slots[from].last_touches && of_to == slots[to].first_touches;
}

/* Buffers that share a place: a tree each. The root knows whose place it is, and how long the two last of them live. */
typedef struct sharing {
    const vj_program *p;
    slot *slots;
    int32_t *parent;                /* of a buffer; its own number: the root */
    int32_t *leader;                /* of a root */
    int32_t *longest, *second_last; /* of a root: who lives longest, and the last phase of all others; -1: none */
    bool *has_last;                 /* of a kernel: its last result was chosen */
} sharing;

static int32_t root_of(const sharing *s, int32_t buffer) {
    while (s->parent[buffer] != buffer) {
        s->parent[buffer] = s->parent[s->parent[buffer]];
        buffer = s->parent[buffer];
    }
    return buffer;
}

/* Who takes the place of `from` must come when all others that have it are gone. */
static bool is_free_after(const sharing *s, int32_t from) {
    const int32_t root = root_of(s, from), longest = s->longest[root];
    const int32_t last = longest == from ? s->second_last[root] : s->slots[longest].last;
    return last <= s->slots[from].first;
}

/* The tree of `to` goes below that of `from`, whose place it takes. */
static void merge(const sharing *s, int32_t from, int32_t to) {
    const int32_t a = root_of(s, from), b = root_of(s, to);
    const int32_t longer = s->slots[s->longest[b]].last > s->slots[s->longest[a]].last ? b : a, other = a + b - longer;
    const int32_t left = s->slots[s->longest[other]].last;
    s->second_last[a] = left > s->second_last[longer] ? left : s->second_last[longer];
    s->longest[a] = s->longest[longer];
    s->parent[b] = a;
}

/* A nest computes all its results at a point before it stores one. Other kernels store one after the other, so that the last
 * alone may overwrite what they read; which one that is, is chosen once. */
static bool may_be_last(const sharing *s, int32_t kernel) {
    const vj_kernel *k = s->p->kernels[kernel];
    return k->kind == VJ_KERNEL_NEST || k->out_count == 1 || (!s->has_last[kernel] && has_an_order(k));
}

static void put_last(const sharing *s, int32_t kernel, int32_t buffer) {
    vj_kernel *k = s->p->kernels[kernel];
    s->has_last[kernel] = true;
    if (k->kind == VJ_KERNEL_NEST) return;
    for (int32_t o = 0; o + 1 < k->out_count; o++) {
        if (k->access[k->out[o].access].buffer != buffer) continue;
        const vj_out moved = k->out[o];
        k->out[o] = k->out[o + 1];
        k->out[o + 1] = moved;
    }
}

static bool may_take(const sharing *s, int32_t from, int32_t to) {
    const slot *a = &s->slots[from], *b = &s->slots[to];
    const vj_buffer *x = &s->p->buffers[from], *y = &s->p->buffers[to];
    if (x->kind != VJ_BUFFER_ARENA || a->last != b->first || from == to) return false;
    if (a->first >= b->first || x->dtype != y->dtype) return false;
    return s->leader[root_of(s, to)] == to && is_free_after(s, from) && may_be_last(s, b->writer) &&
           written_over(s->p->kernels[b->writer], s->slots, from, to);
}

/* Of all that the writer of `to` reads, the buffer with the lowest number whose place `to` may take; -1: none. */
static int32_t place_for(const sharing *s, int32_t to) {
    const vj_kernel *k = s->p->kernels[s->slots[to].writer];
    int32_t found = -1;
    for (int32_t a = 0; a < k->access_count; a++) {
        const int32_t from = k->access[a].buffer;
        if ((found < 0 || from < found) && may_take(s, from, to)) found = from;
    }
    return found;
}

static void share_buffers(const vj_program *p, vj_arena *arena, slot *slots) {
    const int32_t room = p->buffer_count + 1;
    const sharing s = {p,
                       slots,
                       VJ_NEW_ARRAY(arena, int32_t, room),
                       VJ_NEW_ARRAY(arena, int32_t, room),
                       VJ_NEW_ARRAY(arena, int32_t, room),
                       VJ_NEW_ARRAY(arena, int32_t, room),
                       VJ_NEW_ARRAY(arena, bool, p->kernel_count + 1)};
    for (int32_t i = 0; i < p->buffer_count; i++) {
        s.parent[i] = s.leader[i] = s.longest[i] = i;
        s.second_last[i] = -1;
    }
    for (int32_t to = 0; to < p->buffer_count; to++) {
        if (p->buffers[to].kind != VJ_BUFFER_ARENA || slots[to].last < 0 || slots[to].writer < 0) continue;
        const int32_t from = place_for(&s, to);
        if (from < 0) continue;
        merge(&s, from, to);
        put_last(&s, slots[to].writer, to);
    }
    for (int32_t i = 0; i < p->buffer_count; i++)
        slots[i].leader = s.leader[root_of(&s, i)];
}

/* Buffers of one leader as one: its whole life and its largest size. */
static void join(const vj_program *p, const slot *slots, vj_life *joined) {
    for (int32_t i = 0; i < p->buffer_count; i++)
        joined[i] = (vj_life){p->phase_count, -1, 0};
    for (int32_t i = 0; i < p->buffer_count; i++) {
        if (p->buffers[i].kind != VJ_BUFFER_ARENA || slots[i].last < 0) continue;
        vj_life *s = &joined[slots[i].leader];
        if (slots[i].first < s->first) s->first = slots[i].first;
        if (slots[i].last > s->last) s->last = slots[i].last;
        s->bytes = vj_max64(s->bytes, slots[i].bytes);
    }
}

/* The lower bound: in each phase what lives, with buffers that share a place counted once. */

typedef struct member {
    int32_t leader, first, last;
    int64_t bytes;
} member;

static int by_leader_and_first(const void *a, const void *b) {
    const member *x = a, *y = b;
    if (x->leader != y->leader) return (x->leader > y->leader) - (x->leader < y->leader);
    return (x->first > y->first) - (x->first < y->first);
}

/* The height of one place over the phases, as changes: the largest of those that live there. A buffer begins where its
 * predecessor ends, so few live at once. `living` has room for all. */
static void add_changes(const member *members, int32_t count, int32_t *living, int64_t *change) {
    int32_t next = 0, alive = 0;
    int64_t height = 0;
    for (int32_t phase = members[0].first; next < count || alive > 0;) {
        int32_t kept = 0, until = INT32_MAX;
        int64_t now = 0;
        for (; next < count && members[next].first == phase; next++)
            living[alive++] = next;
        for (int32_t i = 0; i < alive; i++) {
            const member *m = &members[living[i]];
            if (m->last < phase) continue;
            living[kept++] = living[i];
            now = vj_max64(now, m->bytes);
            if (m->last < until) until = m->last + 1;
        }
        alive = kept;
        change[phase] += now - height;
        height = now;
        phase = next < count && members[next].first < until ? members[next].first : until;
    }
}

static int64_t lower_bound(const vj_program *p, vj_arena *arena, const slot *slots) {
    member *members = VJ_NEW_ARRAY(arena, member, p->buffer_count + 1);
    int32_t *living = VJ_NEW_ARRAY(arena, int32_t, p->buffer_count + 1), count = 0;
    int64_t *change = VJ_NEW_ARRAY(arena, int64_t, p->phase_count + 2), most = 0, sum = 0;
    for (int32_t i = 0; i < p->buffer_count; i++)
        if (p->buffers[i].kind == VJ_BUFFER_ARENA && slots[i].last >= 0)
            members[count++] = (member){slots[i].leader, slots[i].first, slots[i].last, slots[i].bytes};
    if (count) qsort(members, (size_t)count, sizeof *members, by_leader_and_first);
    for (int32_t from = 0, to; from < count; from = to) {
        for (to = from + 1; to < count && members[to].leader == members[from].leader;)
            to++;
        add_changes(members + from, to - from, living, change);
    }
    for (int32_t phase = 0; phase < p->phase_count; phase++) {
        sum += change[phase];
        most = vj_max64(most, sum);
    }
    return most;
}

static void place_all(vj_program *p, vj_arena *arena, const slot *slots) {
    vj_life *lives = VJ_NEW_ARRAY(arena, vj_life, p->buffer_count + 1);
    join(p, slots, lives);
    const int64_t *offset = vj_place(arena, lives, p->buffer_count, p->lower_bound_bytes, &p->per_image_bytes);
    for (int32_t i = 0; i < p->buffer_count; i++)
        if (p->buffers[i].kind == VJ_BUFFER_ARENA) p->buffers[i].offset = offset[slots[i].leader];
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
    vj_arena *scratch = vj_arena_scratch(c->arena);
    slot *slots = slots_of(p, scratch);
    share_buffers(p, scratch, slots);
    p->lower_bound_bytes = lower_bound(p, scratch, slots);
    place_all(p, scratch, slots);
    vj_arena_free(scratch);
    c->rewrites += p->buffer_count;
    return place_weights(p, c->error) ? VJ_OK : c->error->status;
}
