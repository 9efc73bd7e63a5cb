/* SPDX-License-Identifier: Apache-2.0 */
/* several.c - one opened model planned for several sets of sizes, and for several CPUs: a unit each, in one arena. */
#include "compiler.h"

#include <string.h>

/* A unit beside the first: what does not depend on sizes or CPU is the first one's. */
static vj_unit *beside(const vj_unit *first) {
    vj_unit *u = VJ_NEW(first->arena, vj_unit);
    *u = (vj_unit){.request = first->request,
                   .arena = first->arena,
                   .onnx = first->onnx,
                   .facts = first->facts,
                   .keyed = first->keyed,
                   .digests = first->digests,
                   .quiet = true};
    return u;
}

/* image=Nx3x224x224 mask=... */
static const char *sizes_text(vj_arena *arena, const vj_shape_set *set) {
    vj_text text = {.arena = arena};
    vj_text_add(&text, "%s", "");
    for (int32_t i = 0; i < set->count; i++) {
        vj_text_add(&text, "%s%.60s=", i ? " " : "", set->shapes[i].name);
        for (int32_t d = 0; d < set->shapes[i].rank; d++)
            if (set->shapes[i].dims[d] == VJ_BATCH_DIM)
                vj_text_add(&text, "%sN", d ? "x" : "");
            else
                vj_text_add(&text, "%s%lld", d ? "x" : "", (long long)set->shapes[i].dims[d]);
    }
    return text.at;
}

/* The error of a unit beside the first becomes the first one's. */
static vj_status hand_on(vj_unit *first, const vj_unit *u) {
    if (u != first) first->error = u->error;
    return first->error.status;
}

static vj_status plan_one(vj_unit *first, vj_unit *u) {
    vj_status status = vj_unit_plan(u);
    if (status == VJ_OK && !u->program) status = vj_fail(&u->error, VJ_USAGE, "stopped before there is code");
    first->digests = u->digests;
    return hand_on(first, u);
}

static bool same_tensor(const vj_func *a, vj_value x, const vj_func *b, vj_value y) {
    const vj_type *s = vj_type_at(a, x), *t = vj_type_at(b, y);
    return s->dtype == t->dtype && s->rank == t->rank;
}

/* Callers bind the same tensors whatever the sizes: names, types and ranks must not depend on them. */
static bool same_interface(const vj_func *a, const vj_func *b) {
    if (a->input_count != b->input_count || a->output_count != b->output_count) return false;
    for (int32_t i = 0; i < a->input_count; i++)
        if (strcmp(a->values[a->inputs[i]].name, b->values[b->inputs[i]].name) != 0 ||
            !same_tensor(a, a->inputs[i], b, b->inputs[i]))
            return false;
    for (int32_t i = 0; i < a->output_count; i++) {
        const int32_t x = a->output_dims ? a->output_dims[i] : -1, y = b->output_dims ? b->output_dims[i] : -1;
        if (strcmp(a->output_names[i], b->output_names[i]) != 0 || x != y ||
            !same_tensor(a, a->outputs[i], b, b->outputs[i]))
            return false;
    }
    return true;
}

/* The same program twice: the second could never be told from the first. */
static bool same_sizes(const vj_func *a, const vj_func *b) {
    for (int32_t i = 0; i < a->input_count; i++)
        if (!vj_type_equal(vj_type_at(a, a->inputs[i]), vj_type_at(b, b->inputs[i]))) return false;
    return true;
}

static vj_status judge(vj_unit *first, vj_unit *const *units, int32_t sets, int32_t targets) {
    for (int32_t i = 1; i < sets; i++) {
        const vj_func *f = units[i * targets]->f;
        if (!same_interface(first->f, f))
            return vj_fail(&first->error, VJ_UNSUPPORTED,
                           "names, types or ranks of its inputs or outputs depend on the sizes given");
        for (int32_t j = 0; j < i; j++)
            if (same_sizes(units[j * targets]->f, f))
                return vj_fail(&first->error, VJ_USAGE, "shapes %d and %d are the same", (int)j, (int)i);
    }
    return VJ_OK;
}

vj_status vj_plan_several(vj_unit *first, const vj_shape_set *sets, int32_t set_count, const vj_target *const *targets,
                          int32_t target_count, vj_unit *const **units) {
    vj_unit **all = VJ_NEW_ARRAY(first->arena, vj_unit *, set_count * target_count);
    for (int32_t i = 0; i < set_count * target_count; i++) {
        vj_unit *u = all[i] = i ? beside(first) : first;
        u->sizes = sets[i / target_count];
        u->target = targets[i % target_count];
        if (plan_one(first, u) == VJ_OK) continue;
        if (set_count > 1) {
            const vj_error why = first->error;
            first->error = (vj_error){0};
            vj_fail(&first->error, why.status, "for %s: %s", sizes_text(first->arena, &u->sizes), why.text);
            if (why.hint[0]) vj_hint(&first->error, "%s", why.hint);
        }
        return first->error.status;
    }
    *units = all;
    for (int32_t i = 0; i < set_count * target_count; i++) {
        all[i]->group = all;
        all[i]->group_count = set_count * target_count;
    }
    return judge(first, all, set_count, target_count);
}
