/* SPDX-License-Identifier: Apache-2.0 */
/* kernel.c - making programs, buffers, kernels and expressions: the verbs that lowering and the parser use. */
#include "kernel.h"

#include <assert.h>
#include <stdlib.h>

static const struct {
    const char *name;
    int32_t args;
    vj_cost cost;
} xops[VJ_X_COUNT] = {
#define XOP(id, text, count, cost) {text, count, VJ_COST_##cost},
#include "xops.def"
#undef XOP
};

const char *vj_xop_name(vj_xop op) {
    assert(op >= 0 && op < VJ_X_COUNT);
    return xops[op].name;
}

int32_t vj_xop_args(vj_xop op) {
    assert(op >= 0 && op < VJ_X_COUNT);
    return xops[op].args;
}

vj_cost vj_xop_cost(vj_xop op) {
    assert(op >= 0 && op < VJ_X_COUNT);
    return xops[op].cost;
}

/* Those that are missing are leaves or special. */
static const struct {
    vj_types types;
    bool gives_bool;
} scalars[VJ_X_COUNT] = {
#define SAME                                                 false
#define BOOL                                                 true
#define UNARY(id, ID, takes, f, i, u, cost, traits)          [VJ_X_##ID] = {VJ_TYPES_##takes, SAME},
#define BINARY(id, ID, takes, result, f, i, u, cost, traits) [VJ_X_##ID] = {VJ_TYPES_##takes, result},
#define SCALAR(id, ID, f, cost)                              [VJ_X_##ID] = {VJ_TYPES_FLOAT, SAME},
#include "ir/tensor/elementwise.def"
#undef SAME
#undef BOOL
};

bool vj_xop_takes(vj_xop op, vj_dtype of) { return vj_types_have(scalars[op].types, of); }
bool vj_xop_gives_bool(vj_xop op) { return scalars[op].gives_bool; }

vj_program *vj_program_new(vj_arena *arena, const vj_func *f) {
    vj_program *p = VJ_NEW(arena, vj_program);
    p->arena = arena;
    p->f = f;
    p->name = f ? f->name : NULL;
    return p;
}

int32_t vj_add_buffer(vj_program *p, vj_buffer_kind kind, vj_dtype dtype, int64_t elements, const char *name) {
    vj_buffer *buffer = VJ_PUSH(p->arena, p->buffers, p->buffer_count, p->buffer_capacity);
    *buffer = (vj_buffer){.kind = kind, .dtype = dtype, .elements = elements, .index = -1};
    buffer->name = name ? vj_strdup(p->arena, name) : NULL;
    return p->buffer_count - 1;
}

vj_kernel *vj_kernel_new(vj_arena *arena, vj_kernel_kind kind, const char *name) {
    vj_kernel *k = VJ_NEW(arena, vj_kernel);
    k->kind = kind;
    k->name = vj_strdup(arena, name);
    k->score_expr = k->weight_expr = -1;
    for (int32_t i = 0; i < VJ_MAX_OPERANDS; i++)
        k->operand[i] = -1;
    return k;
}

vj_kernel *vj_add_kernel(vj_program *p, vj_kernel_kind kind, const char *name) {
    vj_kernel *k = vj_kernel_new(p->arena, kind, name);
    *VJ_PUSH(p->arena, p->kernels, p->kernel_count, p->kernel_capacity) = k;
    return k;
}

int32_t vj_add_access(vj_kernel *k, const vj_access *access) {
    if (k->access_count == VJ_MAX_ACCESSES) return -1;
    k->access[k->access_count] = *access;
    return k->access_count++;
}

static int32_t add_entry(vj_arena *arena, vj_kernel *k, const vj_expr *entry) {
    *VJ_PUSH(arena, k->expr, k->expr_count, k->expr_capacity) = *entry;
    return k->expr_count - 1;
}

int32_t vj_x(vj_arena *arena, vj_kernel *k, vj_xop op, vj_dtype dtype, int32_t a, int32_t b, int32_t c) {
    vj_expr entry = {.op = op, .dtype = dtype, .arg = {-1, -1, -1}, .index = -1};
    const int32_t given[3] = {a, b, c};
    if (op == VJ_X_LOAD || op == VJ_X_STAGE || op == VJ_X_AXIS) entry.index = a;
    for (int32_t i = 0; i < vj_xop_args(op); i++) {
        assert(given[i] >= 0 && given[i] < k->expr_count);
        entry.arg[i] = given[i];
    }
    return add_entry(arena, k, &entry);
}

int32_t vj_x_const(vj_arena *arena, vj_kernel *k, vj_dtype dtype, double imm) {
    const vj_expr entry = {.op = VJ_X_CONST, .dtype = dtype, .arg = {-1, -1, -1}, .index = -1, .imm = imm};
    return add_entry(arena, k, &entry);
}

int32_t vj_x_load(vj_arena *arena, vj_kernel *k, vj_dtype dtype, int32_t access) {
    const vj_expr entry = {.op = VJ_X_LOAD, .dtype = dtype, .arg = {-1, -1, -1}, .index = access};
    return add_entry(arena, k, &entry);
}

_Static_assert(VJ_MAX_TERMS <= VJ_MAX_NEEDS, "an index term each");

int32_t vj_expr_needs(const vj_kernel *k, int32_t entry, int32_t needs[VJ_MAX_NEEDS]) {
    const vj_expr *e = &k->expr[entry];
    int32_t count = 0;
    for (int32_t i = 0; i < vj_xop_args(e->op); i++)
        needs[count++] = e->arg[i];
    if (e->op != VJ_X_LOAD) return count;
    const vj_access *access = &k->access[e->index];
    for (int32_t t = 0; t < access->term_count; t++)
        if (access->terms[t].kind == VJ_TERM_INDEX) needs[count++] = access->terms[t].index;
    return count;
}

void vj_mark_needed(const vj_kernel *k, int32_t root, bool *needed) {
    int32_t needs[VJ_MAX_NEEDS];
    needed[root] = true;
    for (int32_t at = root; at >= 0; at--)
        for (int32_t i = needed[at] ? vj_expr_needs(k, at, needs) : 0; i > 0; i--)
            needed[needs[i - 1]] = true;
}

static bool index_moves(const vj_kernel *k, int32_t root, int32_t axis) {
    bool *needed = calloc((size_t)root + 1, sizeof *needed), moves = !needed; /* no memory: it may */
    if (needed) vj_mark_needed(k, root, needed);
    for (int32_t at = 0; at <= root && !moves; at++) {
        const vj_expr *e = &k->expr[at];
        if (!needed[at]) continue;
        if (e->op == VJ_X_AXIS) moves = e->index == axis;
        if (e->op != VJ_X_LOAD) continue;
        const vj_access *access = &k->access[e->index]; /* its own indices are among the needed */
        moves = access->stride[axis] != 0;
        for (int32_t t = 0; t < access->term_count; t++)
            moves |= access->terms[t].coef[axis] != 0;
    }
    free(needed);
    return moves;
}

bool vj_term_moves(const vj_kernel *k, const vj_term *term, int32_t axis) {
    return term->kind == VJ_TERM_INDEX ? index_moves(k, term->index, axis) : term->coef[axis] != 0;
}

bool vj_moved_by(const vj_kernel *k, const vj_access *access, uint32_t axes) {
    for (int32_t a = 0; a < k->rank; a++) {
        if (!(axes >> a & 1) || k->extent[a] == 1) continue;
        if (access->stride[a] != 0) return true;
        for (int32_t t = 0; t < access->term_count; t++)
            if (access->terms[t].coef[a] != 0) return true;
    }
    return false;
}

int64_t vj_extent_product(const vj_kernel *k, int32_t first, int32_t count) {
    int64_t product = 1;
    for (int32_t a = first; a < first + count; a++)
        product *= k->extent[a];
    return product;
}
