/* SPDX-License-Identifier: Apache-2.0 */
/* turn.c - a half that stands turned is rounded by a kernel of its own.
 *
 * A normalisation over channels of a picture walks along pixels, and the product behind it reads adjacent channels. What it would
 * store for that product element by element, beside all that it reads, is stored as f32 where nothing more is needed: as the
 * sum that is wanted in f32 too, or in place of an operand that is read for the last time. A kernel behind it turns that by squares, when the
 * operands are gone. */
#include "passes/rewrite/rewrite.h"

/* Fewer points are not worth a kernel. Squares are at most 16 wide, that of the widest vectors. */
enum { LEAST_POINTS = 1 << 14, SQUARE = 16 };

/* What kernels did up to the one at hand. */
typedef struct progress {
    int32_t touched, written; /* the last kernel that touched a buffer, and that wrote it; -1: none */
    int32_t last;             /* of all kernels */
} progress;

typedef struct turning {
    vj_program *p;
    progress *at; /* of a buffer */
} turning;

/* Points of a kernel that reads through one access and writes through another. */
typedef struct walk {
    int32_t count;
    int64_t extent[VJ_MAX_AXES], from[VJ_MAX_AXES], to[VJ_MAX_AXES];
} walk;

/* The axes in the order of the result, the last adjacent; those that are one walk through both are one. */
static walk walk_of(const vj_kernel *k, const vj_access *from, const vj_access *to) {
    walk w = {0};
    for (int32_t a = 0; a < k->rank; a++) {
        if (k->extent[a] == 1) continue;
        int32_t i = w.count++;
        for (; i > 0 && w.to[i - 1] < to->stride[a]; i--) {
            w.extent[i] = w.extent[i - 1];
            w.from[i] = w.from[i - 1];
            w.to[i] = w.to[i - 1];
        }
        w.extent[i] = k->extent[a];
        w.from[i] = from->stride[a];
        w.to[i] = to->stride[a];
    }
    int32_t kept = 0;
    for (int32_t i = 0; i < w.count; i++) {
        const bool joins =
            kept > 0 && w.from[kept - 1] == w.from[i] * w.extent[i] && w.to[kept - 1] == w.to[i] * w.extent[i];
        if (!joins) kept++;
        w.extent[kept - 1] = joins ? w.extent[kept - 1] * w.extent[i] : w.extent[i];
        w.from[kept - 1] = w.from[i];
        w.to[kept - 1] = w.to[i];
    }
    w.count = kept;
    return w;
}

/* Is it read along one axis and written along another, both long enough for squares? */
static bool is_turned(const walk *w) {
    int64_t points = 1;
    bool reads = false;
    for (int32_t i = 0; i < w->count; i++) {
        points *= w->extent[i];
        if (w->from[i] == 0) return false;
        reads |= i + 1 < w->count && w->from[i] == 1 && w->extent[i] >= SQUARE;
    }
    return reads && points >= LEAST_POINTS && w->to[w->count - 1] == 1 && w->extent[w->count - 1] % SQUARE == 0;
}

/* The result of f32 that the half `o` is rounded from; -1: there is none in the arena. */
static int32_t rounded_from(const vj_program *p, const vj_kernel *k, int32_t o) {
    for (int32_t i = 0; i < k->out_count; i++)
        if (k->out[i].expr == k->expr[k->out[o].expr].arg[0] &&
            p->buffers[k->access[k->out[i].access].buffer].kind == VJ_BUFFER_ARENA)
            return i;
    return -1;
}

/* The last of the kernels that write what kernel `number` reads: it is in another phase than that, and so are all before it. */
static int32_t phase_before(const turning *t, int32_t number) {
    const vj_kernel *k = t->p->kernels[number];
    int32_t last = -1;
    for (int32_t a = 0; a < k->access_count; a++)
        if (!vj_is_result(k, a) && t->at[k->access[a].buffer].written > last) last = t->at[k->access[a].buffer].written;
    return last;
}

static bool is_read_once(const vj_kernel *k, int32_t buffer) {
    int32_t count = 0;
    for (int32_t a = 0; a < k->access_count; a++)
        count += k->access[a].buffer == buffer;
    return count == 1;
}

/* The access of an operand whose place the kernel's result in f32 may take, so that the half is made of it turned; -1: none. */
static int32_t operand_to_replace(const turning *t, int32_t number, const vj_access *half) {
    const vj_kernel *k = t->p->kernels[number];
    const int32_t before = phase_before(t, number);
    for (int32_t a = 0; a < k->access_count; a++) {
        const vj_access *access = &k->access[a];
        const vj_buffer *b = &t->p->buffers[access->buffer];
        const progress *at = &t->at[access->buffer];
        if (vj_is_result(k, a) || b->kind != VJ_BUFFER_ARENA || b->dtype != VJ_F32 || access->term_count > 0) continue;
        if (at->last != number || at->touched > before || !is_read_once(k, access->buffer)) continue;
        const walk w = walk_of(k, access, half);
        if (is_turned(&w)) return a;
    }
    return -1;
}

/* The kernel that rounds what stands by `from` to where the half belongs. */
static vj_kernel *turned_cast(const turning *t, const vj_kernel *of, const vj_access *from, const vj_access *half) {
    vj_arena *arena = t->p->arena;
    vj_kernel *k = vj_kernel_new(arena, VJ_KERNEL_NEST, "turn");
    vj_access read = {.buffer = from->buffer, .offset = from->offset};
    vj_access written = {.buffer = half->buffer, .offset = half->offset};
    const walk w = walk_of(of, from, half);
    k->origin = of->origin;
    k->flops = 1;
    for (int32_t i = 0; i < w.count; i++) {
        vj_add_axis(k, VJ_GROUP_OUTER, w.extent[i]);
        read.stride[i] = w.from[i];
        written.stride[i] = w.to[i];
        k->flops *= (double)w.extent[i];
    }
    const int32_t x = vj_x_load(arena, k, VJ_F32, vj_add_access(k, &read));
    const vj_dtype dtype = t->p->buffers[half->buffer].dtype;
    k->out[k->out_count++] = (vj_out){vj_add_access(k, &written), vj_x(arena, k, VJ_X_CAST, dtype, x, -1, -1), -1};
    return k;
}

static void drop_result(vj_kernel *k, int32_t o) {
    const int32_t access = k->out[o].access;
    for (int32_t a = access; a + 1 < k->access_count; a++)
        k->access[a] = k->access[a + 1];
    k->access_count--;
    for (int32_t i = 0; i < k->expr_count; i++)
        k->expr[i].index -= k->expr[i].op == VJ_X_LOAD && k->expr[i].index > access;
    for (int32_t i = o; i + 1 < k->out_count; i++)
        k->out[i] = k->out[i + 1];
    k->out_count--;
    for (int32_t i = 0; i < k->out_count; i++)
        k->out[i].access -= k->out[i].access > access;
}

/* Takes the half `o` from the kernel; returns the one that makes it, NULL: it stays. */
static vj_kernel *take_half(const turning *t, int32_t number, int32_t o) {
    vj_program *p = t->p;
    vj_kernel *k = p->kernels[number];
    const vj_access half = k->access[k->out[o].access];
    const vj_expr *root = &k->expr[k->out[o].expr];
    if (root->op != VJ_X_CAST || p->buffers[half.buffer].dtype == VJ_F32 || k->expr[root->arg[0]].dtype != VJ_F32)
        return NULL;
    if (p->buffers[half.buffer].kind != VJ_BUFFER_ARENA) return NULL;
    const int32_t wide = rounded_from(p, k, o);
    if (wide >= 0) {
        const walk w = walk_of(k, &k->access[k->out[wide].access], &half);
        if (!is_turned(&w)) return NULL;
        vj_kernel *turned = turned_cast(t, k, &k->access[k->out[wide].access], &half);
        drop_result(k, o);
        return turned;
    }
    const int32_t operand = k->out_count == 1 ? operand_to_replace(t, number, &half) : -1;
    if (operand < 0) return NULL;
    vj_access *to = &k->access[k->out[o].access];
    *to = k->access[operand];
    to->buffer = vj_add_buffer(p, VJ_BUFFER_ARENA, VJ_F32, p->buffers[to->buffer].elements, NULL);
    k->out[o].expr = root->arg[0];
    return turned_cast(t, k, to, &half);
}

static bool is_half(const vj_program *p, const vj_kernel *k, int32_t o) {
    const vj_dtype dtype = p->buffers[k->access[k->out[o].access].buffer].dtype;
    return dtype == VJ_BF16 || dtype == VJ_F16;
}

static turning turning_of(vj_program *p, vj_arena *arena) {
    turning t = {p, VJ_NEW_ARRAY(arena, progress, p->buffer_count + 1)};
    for (int32_t i = 0; i < p->buffer_count; i++)
        t.at[i] = (progress){-1, -1, -1};
    for (int32_t n = 0; n < p->kernel_count; n++)
        for (int32_t a = 0; a < p->kernels[n]->access_count; a++)
            t.at[p->kernels[n]->access[a].buffer].last = n;
    return t;
}

vj_status vj_pass_turn(vj_pass_context *c) {
    vj_program *p = c->p;
    const turning t = turning_of(p, c->arena);
    const int32_t buffers = p->buffer_count;
    vj_kernel **kernels = NULL;
    int32_t count = 0, capacity = 0;
    for (int32_t n = 0; n < p->kernel_count; n++) {
        vj_kernel *k = p->kernels[n], *turned = NULL;
        *VJ_PUSH(p->arena, kernels, count, capacity) = k;
        for (int32_t o = 0; k->kind == VJ_KERNEL_NEST && k->stage_count > 0 && o < k->out_count && !turned; o++)
            if (is_half(p, k, o)) turned = take_half(&t, n, o);
        if (turned) *VJ_PUSH(p->arena, kernels, count, capacity) = turned;
        c->rewrites += turned != NULL;
        for (int32_t a = 0; a < k->access_count; a++) {
            const int32_t buffer = k->access[a].buffer;
            if (buffer >= buffers) continue; /* it came just now */
            t.at[buffer].touched = n;
            if (vj_is_result(k, a)) t.at[buffer].written = n;
        }
        for (int32_t a = 0; turned && a < turned->access_count; a++)
            if (vj_is_result(turned, a))
                t.at[turned->access[a].buffer].touched = t.at[turned->access[a].buffer].written = n;
    }
    p->kernels = kernels;
    p->kernel_count = count;
    p->kernel_capacity = capacity;
    return VJ_OK;
}
