/* SPDX-License-Identifier: Apache-2.0 */
/* eval.c - the reference evaluator. It evaluates on demand from the outputs, so that constants and what follows from
 * them exist only from their first use to their last. The results of a node have an arena of their own, which is freed
 * after their last use. */
#include "eval.h"
#include "vitjit_half.h"

#include <string.h>

static bool (*const evaluators[VJ_OP_COUNT])(vj_eval_context *) = {
#define OP(id, ...) vj_eval_##id,
#include "ir/tensor/ops.def"
#undef OP
};

bool vj_eval_param(vj_eval_context *c) {
    vj_fail(c->error, VJ_USAGE, "an input has no value");
    return false;
}

bool vj_eval_const(vj_eval_context *c) {
    vj_tensor *t = c->results[0];
    const vj_value v = c->node->first_result;
    return t->f ? vj_const_read_f64(c->f, v, 0, t->count, t->f, c->error)
                : vj_const_read_i64(c->f, v, 0, t->count, t->i, c->error);
}

static bool has_open_size(const vj_type *type, const int64_t *sizes) {
    for (int32_t i = 0; i < type->rank; i++)
        if (vj_is_data_dim(type->dims[i]) && sizes[type->dims[i].sym - VJ_SYM_FIRST_DATA] < 0) return true;
    return false;
}

/* Notes the sizes that the node has found. */
static bool take_sizes(vj_eval_context *c) {
    for (int32_t i = 0; i < c->f->symbol_count; i++) {
        const vj_symbol *symbol = &c->f->symbols[i];
        int32_t r = symbol->value - c->node->first_result;
        if (symbol->value < 0 || r < 0 || r >= c->node->result_count) continue;
        c->sizes[i] = c->results[r]->i[0];
        if (c->sizes[i] >= 0 && c->sizes[i] <= symbol->bound) continue;
        vj_fail(c->error, VJ_BAD_INPUT, "s%d is %lld, not 0 to %lld", (int)i, (long long)c->sizes[i],
                (long long)symbol->bound);
        return false;
    }
    return true;
}

static bool eval_for_sizes(vj_eval_context *c) {
    const bool finds_size = vj_op_table(c->node->op)->flags & VJ_FLAG_DATA_SHAPE;
    for (int32_t r = 0; r < c->node->result_count; r++) {
        c->results[r] = NULL;
        if (finds_size && has_open_size(vj_type_at(c->f, c->node->first_result + r), c->sizes)) continue;
        if (!vj_eval_make(c, r, -1)) return false;
    }
    return evaluators[c->node->op](c) && take_sizes(c);
}

/* The batch size of the operands, or 1 when none of them has the batch. */
static int64_t batch_of(const vj_func *f, const vj_node *node, vj_tensor *const *args) {
    for (int32_t a = 0; a < node->arg_count; a++) {
        if (node->args[a] == VJ_NONE) continue;
        const vj_type *type = vj_type_at(f, node->args[a]);
        for (int32_t i = 0; i < type->rank; i++)
            if (type->dims[i].sym == VJ_SYM_BATCH && type->dims[i].c > 0)
                return args[a]->type.dims[i].c / type->dims[i].c;
    }
    return 1;
}

static int64_t *unknown_sizes(const vj_func *f, vj_arena *arena) {
    int64_t *sizes = VJ_NEW_ARRAY(arena, int64_t, f->symbol_count + 1);
    for (int32_t i = 0; i < f->symbol_count; i++)
        sizes[i] = -1;
    return sizes;
}

/* Notes the sizes that follow from the dims of a tensor of this type. */
static void learn_sizes(const vj_type *type, const vj_tensor *t, int64_t *sizes) {
    for (int32_t i = 0; i < type->rank; i++)
        if (vj_is_data_dim(type->dims[i]))
            sizes[type->dims[i].sym - VJ_SYM_FIRST_DATA] = t->type.dims[i].c / type->dims[i].c;
}

bool vj_eval_node(vj_arena *arena, const vj_func *f, const vj_node *node, vj_tensor *const *args, vj_tensor **results,
                  vj_error *error) {
    vj_eval_context c = {.arena = arena,
                         .f = f,
                         .node = node,
                         .args = args,
                         .results = results,
                         .n = batch_of(f, node, args),
                         .sizes = unknown_sizes(f, arena),
                         .error = error};
    for (int32_t a = 0; a < node->arg_count; a++)
        if (node->args[a] != VJ_NONE) learn_sizes(vj_type_at(f, node->args[a]), args[a], c.sizes);
    return eval_for_sizes(&c);
}

static void round_to_own_precision(vj_tensor *t) {
    for (int64_t i = 0; t->f && i < t->count; i++) {
        if (t->type.dtype == VJ_F32) t->f[i] = (float)t->f[i];
        if (t->type.dtype == VJ_F16) t->f[i] = vj_round_f16(t->f[i]);
        if (t->type.dtype == VJ_BF16) t->f[i] = vj_round_bf16(t->f[i]);
    }
}

/* A run of the evaluator. */

typedef struct state {
    const vj_func *f;
    int64_t n;
    int64_t *sizes; /* for each symbol */
    bool round;
    vj_arena *results; /* holds the outputs */
    vj_arena *scratch; /* holds these tables */
    vj_tensor **value; /* for each value; NULL while it does not exist */
    vj_arena **owner;  /* for each node the arena of its results; NULL for inputs */
    int32_t *uses;     /* for each node the uses of its results that are still to come, by needed nodes and outputs */
    int32_t *stack;    /* the nodes to evaluate, the topmost first */
    int32_t stack_count, stack_capacity;
    vj_error *error;
} state;

static void push(state *s, int32_t node) { *VJ_PUSH(s->scratch, s->stack, s->stack_count, s->stack_capacity) = node; }

static void count_use(state *s, bool *needed, int32_t node) {
    s->uses[node]++;
    if (!needed[node]) push(s, node);
    needed[node] = true;
}

/* The node that finds dim i of the type, or -1 when the data does not decide the dim or the node is `self`. */
static int32_t size_maker(const vj_func *f, const vj_type *type, int32_t i, int32_t self) {
    if (!vj_is_data_dim(type->dims[i])) return -1;
    const vj_value size = f->symbols[type->dims[i].sym - VJ_SYM_FIRST_DATA].value;
    return size < 0 || f->values[size].node == self ? -1 : f->values[size].node;
}

/* Counts the uses of every node's results by the nodes that the outputs need. Sizes are small and never released. */
static void count_uses(state *s) {
    bool *needed = VJ_NEW_ARRAY(s->scratch, bool, s->f->node_count + 1);
    for (int32_t o = 0; o < s->f->output_count; o++)
        count_use(s, needed, s->f->values[s->f->outputs[o]].node);
    while (s->stack_count > 0) {
        const int32_t at = s->stack[--s->stack_count];
        const vj_node *node = &s->f->nodes[at];
        for (int32_t a = 0; a < node->arg_count; a++)
            if (node->args[a] != VJ_NONE) count_use(s, needed, s->f->values[node->args[a]].node);
        for (int32_t r = 0; s->f->symbol_count && r < node->result_count; r++) {
            const vj_type *type = vj_type_at(s->f, node->first_result + r);
            for (int32_t i = 0; i < type->rank; i++) {
                const int32_t maker = size_maker(s->f, type, i, at);
                if (maker >= 0) count_use(s, needed, maker);
            }
        }
    }
}

static void release(state *s, int32_t node) {
    if (--s->uses[node] > 0) return;
    vj_arena_free(s->owner[node]);
    s->owner[node] = NULL;
}

static bool run_node(state *s, int32_t at) {
    const vj_node *node = &s->f->nodes[at];
    vj_arena *arena = s->owner[at] = vj_arena_scratch(s->scratch);
    vj_tensor **args = VJ_NEW_ARRAY(arena, vj_tensor *, node->arg_count + 1);
    for (int32_t a = 0; a < node->arg_count; a++)
        args[a] = node->args[a] == VJ_NONE ? NULL : s->value[node->args[a]];
    vj_tensor **results = &s->value[node->first_result];
    vj_eval_context c = {.arena = arena,
                         .f = s->f,
                         .node = node,
                         .args = args,
                         .results = results,
                         .n = s->n,
                         .sizes = s->sizes,
                         .error = s->error};
    if (!eval_for_sizes(&c)) return false;
    for (int32_t r = 0; s->round && r < node->result_count; r++)
        round_to_own_precision(results[r]);
    for (int32_t a = 0; a < node->arg_count; a++)
        if (node->args[a] != VJ_NONE) release(s, s->f->values[node->args[a]].node);
    return true;
}

static void demand_sizes(state *s, int32_t at, const vj_type *type) {
    for (int32_t i = 0; i < type->rank; i++) {
        const int32_t maker = size_maker(s->f, type, i, at);
        if (maker >= 0 && s->sizes[type->dims[i].sym - VJ_SYM_FIRST_DATA] < 0) push(s, maker);
    }
}

/* Evaluates what the node needs, then the node. The depth-first walk has a stack of its own, as graphs can be deep. */
static bool demand(state *s, int32_t wanted) {
    push(s, wanted);
    while (s->stack_count > 0) {
        const int32_t at = s->stack[s->stack_count - 1];
        const vj_node *node = &s->f->nodes[at];
        const int32_t before = s->stack_count;
        if (s->value[node->first_result] == NULL) {
            for (int32_t a = node->arg_count - 1; a >= 0; a--)
                if (node->args[a] != VJ_NONE && s->value[node->args[a]] == NULL)
                    push(s, s->f->values[node->args[a]].node);
            for (int32_t r = 0; s->f->symbol_count && r < node->result_count; r++)
                demand_sizes(s, at, vj_type_at(s->f, node->first_result + r));
        }
        if (s->stack_count > before) continue;
        s->stack_count--;
        if (s->value[node->first_result] == NULL && !run_node(s, at)) return false;
    }
    return true;
}

static void copy_tensor(vj_tensor *to, const vj_tensor *from) {
    if (from->count == 0) return;
    if (from->f)
        memcpy(to->f, from->f, (size_t)from->count * sizeof *to->f);
    else
        memcpy(to->i, from->i, (size_t)from->count * sizeof *to->i);
}

static bool run(state *s, vj_tensor **outputs) {
    count_uses(s);
    for (int32_t o = 0; o < s->f->output_count; o++) {
        const vj_value v = s->f->outputs[o];
        if (!demand(s, s->f->values[v].node)) return false;
        outputs[o] = vj_tensor_new(s->results, &s->value[v]->type, s->error);
        if (!outputs[o]) return false;
        copy_tensor(outputs[o], s->value[v]);
        release(s, s->f->values[v].node);
    }
    return true;
}

static bool take_inputs(state *s, vj_tensor *const *inputs) {
    for (int32_t i = 0; i < s->f->input_count; i++) {
        const vj_value v = s->f->inputs[i];
        vj_type type;
        if (inputs[i]->type.rank == vj_type_at(s->f, v)->rank) learn_sizes(vj_type_at(s->f, v), inputs[i], s->sizes);
        if (!vj_eval_type(vj_type_at(s->f, v), s->n, s->sizes, -1, &type, s->error)) return false;
        if (!vj_type_equal(&type, &inputs[i]->type)) {
            vj_fail(s->error, VJ_BAD_INPUT, "input %d is %s, not %s", (int)i,
                    vj_type_text(s->scratch, &inputs[i]->type), vj_type_text(s->scratch, &type));
            return false;
        }
        s->value[v] = inputs[i];
    }
    return true;
}

bool vj_eval(vj_arena *arena, const vj_func *f, int64_t n, vj_tensor *const *inputs, vj_tensor **outputs, bool round,
             vj_error *error) {
    vj_arena *scratch = vj_arena_scratch(arena);
    state *s = VJ_NEW(scratch, state);
    *s = (state){.f = f, .n = n, .round = round, .results = arena, .scratch = scratch, .error = error};
    s->sizes = unknown_sizes(f, scratch);
    s->value = VJ_NEW_ARRAY(scratch, vj_tensor *, f->value_count + 1);
    s->owner = VJ_NEW_ARRAY(scratch, vj_arena *, f->node_count + 1);
    s->uses = VJ_NEW_ARRAY(scratch, int32_t, f->node_count + 1);
    const bool fine = take_inputs(s, inputs) && run(s, outputs);
    vj_arena_free(scratch);
    return fine;
}
