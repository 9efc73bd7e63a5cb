/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_verify_plan.c - the planned level: every buffer has its place, no two that live at once share bytes, and no
 * kernel of a phase reads what another of the phase writes. */
#include "kernel_verify.h"

typedef struct lifetime {
    int32_t first, last; /* phases; first > last: never used */
} lifetime;

static bool fail(vj_error *error, const char *what, const vj_buffer *a, const vj_buffer *b) {
    vj_fail(error, VJ_UNSUPPORTED, "plan: %s: '%s'%s%s%s", what, a->name ? a->name : "", b ? " and '" : "",
            b && b->name ? b->name : "", b ? "'" : "");
    return false;
}

static int64_t bytes_of(const vj_buffer *b) { return b->elements * vj_element_bytes(b->dtype); }

static bool writes(const vj_program *p, const vj_kernel *k, int32_t buffer) {
    (void)p;
    for (int32_t o = 0; o < k->out_count; o++)
        if (k->access[k->out[o].access].buffer == buffer) return true;
    return false;
}

static bool check_phases(const vj_program *p, vj_error *error) {
    int32_t next = 0;
    for (int32_t i = 0; i < p->phase_count; i++) {
        if (p->phases[i].first != next || p->phases[i].count < 1) {
            vj_fail(error, VJ_UNSUPPORTED, "plan: phase %d does not follow the one before", (int)i);
            return false;
        }
        next += p->phases[i].count;
    }
    if (next == p->kernel_count) return true;
    vj_fail(error, VJ_UNSUPPORTED, "plan: the phases have %d kernels of %d", (int)next, (int)p->kernel_count);
    return false;
}

/* No kernel reads or writes a buffer that another kernel of its phase writes. */
static bool check_phase(const vj_program *p, const vj_phase *phase, vj_error *error) {
    for (int32_t i = phase->first; i < phase->first + phase->count; i++)
        for (int32_t j = phase->first; j < phase->first + phase->count; j++) {
            const vj_kernel *k = p->kernels[j];
            for (int32_t a = 0; i != j && a < k->access_count; a++)
                if (!vj_is_result(k, a) && writes(p, p->kernels[i], k->access[a].buffer))
                    return fail(error, "a kernel reads what its own phase writes", &p->buffers[k->access[a].buffer],
                                NULL);
        }
    return true;
}

/* Threads may be anywhere within a phase: a buffer lives from the first to the last phase that touches it. */
static lifetime *lifetimes(const vj_program *p, vj_arena *arena) {
    lifetime *live = VJ_NEW_ARRAY(arena, lifetime, p->buffer_count + 1);
    for (int32_t i = 0; i < p->buffer_count; i++)
        live[i] = (lifetime){p->phase_count, -1};
    for (int32_t phase = 0; phase < p->phase_count; phase++)
        for (int32_t i = 0; i < p->phases[phase].count; i++) {
            const vj_kernel *k = p->kernels[p->phases[phase].first + i];
            for (int32_t a = 0; a < k->access_count; a++) {
                lifetime *l = &live[k->access[a].buffer];
                if (phase < l->first) l->first = phase;
                if (phase > l->last) l->last = phase;
            }
        }
    return live;
}

static bool same_bytes(const vj_buffer *a, const vj_buffer *b) {
    return a->offset < b->offset + bytes_of(b) && b->offset < a->offset + bytes_of(a);
}

static bool same_map(const vj_kernel *k, const vj_access *a, const vj_access *b) {
    if (a->offset != b->offset || a->term_count != 0 || b->term_count != 0) return false;
    for (int32_t axis = 0; axis < k->rank; axis++)
        if (k->extent[axis] > 1 && a->stride[axis] != b->stride[axis]) return false;
    return true;
}

/* May result o overwrite what others are made of? All but nests store their results one after the other: only the last may. Nor
 * may it where a product's results are stored in two ways, for then it need not be the last: some with adjacent rows, some
 * without. */
static bool is_stored_last(const vj_kernel *k, int32_t o) {
    if (k->kind == VJ_KERNEL_NEST || k->out_count == 1) return true;
    if (o + 1 < k->out_count) return false;
    if (k->kind != VJ_KERNEL_GEMM) return true;
    const vj_axes rows = vj_group(k, VJ_GROUP_ROWS), cols = vj_group(k, VJ_GROUP_COLS);
    const int32_t row = rows.first + rows.count - 1, column = cols.first + cols.count - 1;
    bool ways[2] = {false, false};
    for (int32_t i = 0; i < k->out_count; i++) {
        const int64_t *stride = k->access[k->out[i].access].stride;
        ways[stride[row] == 1 && stride[column] != 1] = true;
    }
    return !ways[0] || !ways[1];
}

/* `to` may take the place of `from` where `from` is read last, by one kernel alone that writes `to` with the same map,
 * element by element: each is read by the thread that overwrites it, before it does. */
static bool in_place(const vj_program *p, int32_t phase, int32_t from, int32_t to) {
    if (p->buffers[from].offset != p->buffers[to].offset || p->buffers[from].dtype != p->buffers[to].dtype)
        return false;
    bool found = false;
    for (int32_t i = 0; i < p->phases[phase].count; i++) {
        const vj_kernel *k = p->kernels[p->phases[phase].first + i];
        const vj_access *out = NULL;
        for (int32_t o = 0; o < k->out_count; o++)
            if (k->access[k->out[o].access].buffer == to) {
                if (out || k->out[o].segment >= 0) return false; /* other segments read the same elements */
                if (!is_stored_last(k, o)) return false;
                out = &k->access[k->out[o].access];
            }
        for (int32_t a = 0; a < k->access_count; a++) {
            if (k->access[a].buffer == from && (vj_kind_at(k->kind)->is_call || vj_has_segments(k))) return false;
            if (k->access[a].buffer == from && (!out || !same_map(k, &k->access[a], out))) return false;
            if (k->access[a].buffer == from && vj_operand_of(k, a) >= 0) return false;
        }
        found |= out != NULL;
    }
    return found;
}

static bool may_overlap(const vj_program *p, const lifetime *live, int32_t a, int32_t b) {
    if (live[a].last < live[b].first || live[b].last < live[a].first) return true;
    if (live[a].last == live[b].first && in_place(p, live[a].last, a, b)) return true;
    return live[b].last == live[a].first && in_place(p, live[b].last, b, a);
}

static bool check_offsets(const vj_program *p, vj_buffer_kind kind, int64_t room, vj_error *error) {
    for (int32_t i = 0; i < p->buffer_count; i++) {
        const vj_buffer *b = &p->buffers[i];
        if (b->kind != kind) continue;
        if (b->offset % VJ_ALIGN != 0) return fail(error, "an offset is not aligned", b, NULL);
        if (!vj_range_inside(b->offset, bytes_of(b), room)) return fail(error, "a buffer has no room", b, NULL);
    }
    return true;
}

static bool check_overlaps(const vj_program *p, const lifetime *live, vj_error *error) {
    for (int32_t i = 0; i < p->buffer_count; i++)
        for (int32_t j = 0; j < i; j++) {
            const vj_buffer *a = &p->buffers[i], *b = &p->buffers[j];
            if (a->kind != b->kind || live[i].last < 0 || live[j].last < 0 || !same_bytes(a, b)) continue;
            if (a->kind == VJ_BUFFER_WEIGHT) return fail(error, "two weights share bytes", a, b);
            if (a->kind == VJ_BUFFER_ARENA && !may_overlap(p, live, i, j))
                return fail(error, "two buffers that live at once share bytes", a, b);
        }
    return true;
}

bool vj_verify_plan(const vj_program *p, vj_error *error) {
    if (!check_phases(p, error)) return false;
    for (int32_t i = 0; i < p->phase_count; i++)
        if (!check_phase(p, &p->phases[i], error)) return false;
    if (p->per_image_bytes == 0 && p->weights_bytes == 0) return true; /* phases, but no places yet */
    vj_arena *arena = vj_arena_scratch(p->arena);
    const bool fine = check_offsets(p, VJ_BUFFER_ARENA, p->per_image_bytes, error) &&
                      check_offsets(p, VJ_BUFFER_WEIGHT, p->weights_bytes, error) &&
                      check_overlaps(p, lifetimes(p, arena), error);
    vj_arena_free(arena);
    return fine;
}
