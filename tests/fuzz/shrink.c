/* SPDX-License-Identifier: Apache-2.0 */
/* shrink.c - finds a smaller function that fails in the same way, by removing outputs, nodes and sizes as long as it
 * does. */
#include "graph.h"

#include <string.h>

#include "vitjit_clock.h"

typedef struct shrinking {
    vj_arena *arena;
    const vj_func *f;
    uint64_t seed;
    double end;
    outcome *out;
} shrinking;

/* Returns whether two faults are the same, by their first words, without numbers. */
static bool alike(const char *a, const char *b) {
    const char *kinds[] = {"passes fail", "no code",   "bits differ", "signal",       "exit status", "no end",
                           "read back",   "evaluator", "not valid",   "code differs", "bytes before"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strstr(a, kinds[i]) != !strstr(b, kinds[i])) return false;
    return true;
}

static bool try(shrinking *s, const clone_plan *plan) {
    outcome out;
    if (vj_clock_seconds() > s->end) return false;
    const vj_func *smaller = clone(s->arena, s->f, plan);
    if (!smaller) return false;
    check_apart(smaller, s->seed, &out);
    if (out.what != WRONG || !alike(out.text, s->out->text)) return false;
    s->f = smaller;
    *s->out = out;
    return true;
}

/* Tries functions with one value as the only output, the earliest value first. */
static bool one_output(shrinking *s) {
    for (vj_value v = 0; v < s->f->value_count; v++) {
        clone_plan plan = CLONE_PLAIN;
        plan.only = v;
        if (s->f->output_count == 1 && s->f->outputs[0] == v) return false;
        if (try(s, &plan)) return true;
    }
    return false;
}

static bool without_output(shrinking *s) {
    bool dropped[64] = {false};
    for (int32_t i = 0; s->f->output_count > 1 && s->f->output_count < 64 && i < s->f->output_count; i++) {
        clone_plan plan = CLONE_PLAIN;
        dropped[i] = true;
        plan.dropped = dropped;
        if (try(s, &plan)) return true;
        dropped[i] = false;
    }
    return false;
}

/* Tries to replace a node's result by an operand of the same type, or by an input. */
static bool without_node(shrinking *s) {
    for (int32_t n = s->f->node_count - 1; n >= 0; n--) {
        const vj_node *node = &s->f->nodes[n];
        if (node->op == VJ_OP_param || node->op == VJ_OP_const || node->result_count != 1) continue;
        clone_plan plan = CLONE_PLAIN;
        plan.skipped = node->first_result;
        for (int32_t a = 0; a < node->arg_count; a++) {
            plan.instead = node->args[a];
            if (plan.instead >= 0 &&
                vj_type_equal(vj_type_at(s->f, node->first_result), vj_type_at(s->f, plan.instead)) && try(s, &plan))
                return true;
        }
        plan.instead = VJ_NONE;
        if (try(s, &plan)) return true;
    }
    return false;
}

static bool smaller_dims(shrinking *s) {
    for (vj_value v = 0; v < s->f->value_count; v++)
        for (int32_t i = 0; i < vj_type_at(s->f, v)->rank; i++) {
            clone_plan plan = CLONE_PLAIN;
            const vj_dim dim = vj_type_at(s->f, v)->dims[i];
            if (dim.sym != VJ_SYM_NONE || dim.c < 2) continue;
            plan.dim = dim.c;
            for (plan.dim_after = 1; plan.dim_after < dim.c; plan.dim_after++)
                if (try(s, &plan)) return true;
        }
    return false;
}

static bool without_inputs(shrinking *s) {
    clone_plan plan = CLONE_PLAIN;
    const int32_t before = s->f->input_count;
    plan.drop_inputs = true;
    return try(s, &plan) && s->f->input_count < before;
}

const vj_func *shrink(vj_arena *arena, const vj_func *f, uint64_t seed, double seconds, outcome *out) {
    shrinking s = {arena, f, seed, vj_clock_seconds() + seconds, out};
    while (one_output(&s) || without_output(&s) || without_node(&s) || without_inputs(&s) || smaller_dims(&s))
        ;
    return s.f;
}
