/* SPDX-License-Identifier: Apache-2.0 */
/* verify.c - what must hold of every function, whoever made or changed it. A failure is a bug of the one before. */
#include "users.h"

#include <stdio.h>
#include <string.h>

typedef struct verifier {
    const vj_func *f;
    vj_error *error;
    int32_t node;
} verifier;

static bool wrong(verifier *v, const char *format, ...) VJ_PRINTF(2, 3);
static bool wrong(verifier *v, const char *format, ...) {
    char text[1200];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const vj_node *node = v->node >= 0 ? &v->f->nodes[v->node] : NULL;
    const char *origin = node && node->origin && node->origin->node ? node->origin->node : NULL;
    const char *op = node && node->op < VJ_OP_COUNT ? vj_op_table(node->op)->name : "?";
    if (!node)
        vj_fail(v->error, VJ_BAD_INPUT, "func @%s: %s", v->f->name, text);
    else
        vj_fail(v->error, VJ_BAD_INPUT, "func @%s: node %d (%s%s%s): %s", v->f->name, v->node, op,
                origin ? ", from " : "", origin ? origin : "", text);
    return false;
}

static bool operands_are_defined(verifier *v, const vj_node *node) {
    for (int32_t i = 0; i < node->arg_count; i++) {
        vj_value arg = node->args[i];
        if (arg == VJ_NONE) continue;
        if (arg < 0 || arg >= v->f->value_count) return wrong(v, "operand %d is no value (%d)", i, arg);
        int32_t producer = v->f->values[arg].node;
        if (producer < 0 || producer >= v->f->node_count) return wrong(v, "operand %d has no producer", i);
        if (producer >= v->node) return wrong(v, "operand %d is used before node %d makes it", i, producer);
        if (v->f->nodes[producer].dead) return wrong(v, "operand %d is the result of a killed node", i);
    }
    return true;
}

static bool results_are_linked(verifier *v, const vj_node *node) {
    int32_t expected = vj_op_table(node->op)->results;
    if (node->result_count != expected) return wrong(v, "%d results, not %d", node->result_count, expected);
    if (node->first_result < 0 || node->first_result > v->f->value_count - expected)
        return wrong(v, "its results are no values");
    for (int32_t r = 0; r < expected; r++)
        if (v->f->values[node->first_result + r].node != v->node)
            return wrong(v, "result %d names node %d as its producer", r, v->f->values[node->first_result + r].node);
    return true;
}

static bool types_are_inferred(verifier *v, const vj_node *node) {
    enum { MAX_RESULTS = 8 };
    vj_type types[MAX_RESULTS];
    vj_error why = {0};
    if (node->result_count > MAX_RESULTS) return wrong(v, "too many results");
    if (!vj_infer(v->f, node, types, &why)) return wrong(v, "%s", why.text);
    for (int32_t r = 0; r < node->result_count; r++)
        if (!vj_type_equal(&types[r], vj_type_at(v->f, node->first_result + r)))
            return wrong(v, "result %d does not have the type that inference gives", r);
    return true;
}

/* A size is there before what has it. */
static bool sizes_are_defined(verifier *v, const vj_node *node) {
    for (int32_t r = 0; r < node->result_count; r++) {
        const vj_type *type = vj_type_at(v->f, node->first_result + r);
        for (int32_t i = 0; i < type->rank; i++) {
            if (!vj_is_data_dim(type->dims[i])) continue;
            vj_value size = v->f->symbols[type->dims[i].sym - VJ_SYM_FIRST_DATA].value;
            if (size == VJ_NONE) continue;
            if (node->op == VJ_OP_param) return wrong(v, "an input's dim %d has a size that a node makes", i);
            if (v->f->values[size].node > v->node) return wrong(v, "dim %d of result %d has a size made later", i, r);
        }
    }
    return true;
}

static bool symbols_are_values(verifier *v) {
    for (int32_t i = 0; i < v->f->symbol_count; i++) {
        const vj_symbol *symbol = &v->f->symbols[i];
        if (symbol->bound < 0) return wrong(v, "the bound of s%d is negative", i);
        if (symbol->value == VJ_NONE) continue;
        if (symbol->value < 0 || symbol->value >= v->f->value_count) return wrong(v, "s%d is no value", i);
        const vj_type *type = vj_type_at(v->f, symbol->value);
        if (vj_producer(v->f, symbol->value)->dead) return wrong(v, "s%d is the result of a killed node", i);
        if (type->dtype != VJ_I64 || type->rank) return wrong(v, "s%d is no i64[]", i);
    }
    return true;
}

static bool node_is_sound(verifier *v) {
    const vj_node *node = &v->f->nodes[v->node];
    if (node->op < 0 || node->op >= VJ_OP_COUNT) return wrong(v, "unknown op %d", (int)node->op);
    if (node->arg_count < 0 || node->attr_count < 0) return wrong(v, "a negative count");
    return operands_are_defined(v, node) && results_are_linked(v, node) && types_are_inferred(v, node) &&
           sizes_are_defined(v, node);
}

/* Each input is the result of a param, each param an input, once. */
static bool inputs_are_params(verifier *v, int32_t *input_of) {
    int32_t params = 0;
    for (int32_t n = 0; n < v->f->node_count; n++)
        params += v->f->nodes[n].op == VJ_OP_param && !v->f->nodes[n].dead;
    if (params != v->f->input_count) return wrong(v, "%d params, but %d inputs", params, v->f->input_count);
    for (int32_t i = 0; i < v->f->input_count; i++) {
        vj_value input = v->f->inputs[i];
        if (input < 0 || input >= v->f->value_count) return wrong(v, "input %d is no value", i);
        const vj_node *node = vj_producer(v->f, input);
        if (node->op != VJ_OP_param || node->dead) return wrong(v, "input %d is no param", i);
        if (input_of[input]) return wrong(v, "input %d is input %d again", i, input_of[input] - 1);
        input_of[input] = i + 1;
    }
    return true;
}

static bool outputs_are_values(verifier *v) {
    for (int32_t i = 0; i < v->f->output_count; i++) {
        vj_value output = v->f->outputs[i];
        if (output < 0 || output >= v->f->value_count) return wrong(v, "output %d is no value", i);
        if (vj_producer(v->f, output)->dead) return wrong(v, "output %d is the result of a killed node", i);
        if (!v->f->output_names[i]) return wrong(v, "output %d has no name", i);
        if (!v->f->output_dims || v->f->output_dims[i] == -1) continue;
        int32_t dims = v->f->output_dims[i];
        if (dims < 0 || dims >= v->f->output_count || dims == i) return wrong(v, "output %d has no such dims", i);
        vj_type list = vj_type_of(VJ_I64, 1, (int64_t[]){vj_type_at(v->f, output)->rank});
        if (!vj_type_equal(vj_type_at(v->f, v->f->outputs[dims]), &list))
            return wrong(v, "output %d is no list of the dims of output %d", dims, i);
    }
    return true;
}

/* What values know of their uses and of being weights is what a recount says. */
static bool notes_are_true(verifier *v) {
    const vj_value listed = vj_wrongly_indexed(v->f);
    if (listed >= 0) return wrong(v, "the uses of value %d are not those that are listed", listed);
    for (int32_t n = 0; n < v->f->node_count; n++) {
        const vj_node *node = &v->f->nodes[n];
        if (!node->dead && node->result_count == 1 &&
            vj_makes_weight(v->f, node) != vj_is_weight(v->f, node->first_result))
            return wrong(v, "value %d is noted wrongly as a weight or none", node->first_result);
    }
    return true;
}

bool vj_verify(const vj_func *f, vj_error *error) {
    verifier v = {.f = f, .error = error, .node = -1};
    for (int32_t i = 0; i < f->value_count; i++)
        if (f->values[i].node < 0 || f->values[i].node >= f->node_count)
            return wrong(&v, "value %d has no producer", i);
    if (!symbols_are_values(&v)) return false;
    for (v.node = 0; v.node < f->node_count; v.node++)
        if (!f->nodes[v.node].dead && !node_is_sound(&v)) return false;
    v.node = -1;
    vj_arena *scratch = vj_arena_scratch(f->arena);
    const bool is_sound = inputs_are_params(&v, VJ_NEW_ARRAY(scratch, int32_t, f->value_count + 1)) &&
                          outputs_are_values(&v) && notes_are_true(&v);
    vj_arena_free(scratch);
    return is_sound;
}
