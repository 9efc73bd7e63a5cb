/* SPDX-License-Identifier: Apache-2.0 */
/* control.c - graphs in attributes: the builder of If. A branch replaces the node where its condition is known while importing; else both
 * do, and each result is selected. */
#include "frontend/import/import.h"

static const vj_type *type_of(vj_importer *im, vj_value v) { return vj_type_at(im->f, v); }

const Onnx__GraphProto *vj_graph_attribute(vj_importer *im, const char *name, size_t inputs) {
    const Onnx__AttributeProto *a = vj_find_attribute(im, name);
    if (!a || !a->g) {
        vj_stop(im, VJ_BAD_INPUT, "attribute '%s' is no graph", name);
        return NULL;
    }
    if (a->g->n_input != inputs) {
        vj_stop(im, VJ_BAD_INPUT, "attribute '%s' is a graph with inputs: %zu, not %zu", name, a->g->n_input, inputs);
        return NULL;
    }
    return a->g;
}

bool vj_graph_scope(vj_importer *im, const Onnx__GraphProto *g, const char *path,
                    bool (*finish)(vj_importer *im, const vj_scope *inner), void *state, vj_scope *scope) {
    *scope = (vj_scope){.onnx = im->onnx,
                        .outer = im->scope,
                        .is_branch = true,
                        .path = path,
                        .nodes = g->node,
                        .node_count = g->n_node,
                        .graph = g,
                        .function = im->scope->function,
                        .call = im->scope->call,
                        .depth = im->scope->depth,
                        .finish = finish,
                        .state = state,
                        .names = vj_bindings_new(im->arena, g->n_node + g->n_initializer, im->names)};
    return vj_bind_initializers(im, scope);
}

vj_binding *vj_graph_input(vj_importer *im, const vj_scope *scope, size_t i) {
    const char *name = vj_text_of(scope->graph->input[i]->name);
    vj_binding *b = vj_bindings_add(scope->names, name);
    if (!b) vj_stop(im, VJ_BAD_INPUT, "its graph has two values named '%.100s'", name);
    return b;
}

bool vj_open_graph(vj_importer *im, const Onnx__GraphProto *g, vj_value input,
                   bool (*finish)(vj_importer *im, const vj_scope *inner), void *state) {
    vj_scope branch;
    const char *path = vj_sprintf(im->arena, "%.400s/", im->origin->node);
    if (!vj_graph_scope(im, g, path, finish, state, &branch) || !vj_check_support(im, &branch)) return false;
    vj_binding *b = g->n_input ? vj_graph_input(im, &branch, 0) : NULL;
    if (b) b->value = input;
    return vj_going(im) && vj_open_scope(im, &branch);
}

vj_binding *vj_graph_result(vj_importer *im, const vj_scope *inner, size_t i) {
    const char *name = vj_scope_output(inner, i);
    vj_binding *found = vj_bindings_find(inner->names, name);
    if (found && !found->is_absent) return found;
    vj_stop(im, VJ_BAD_INPUT, "nothing in its graph defines its result '%.100s'", name);
    return NULL;
}

/* An If that is decided while it runs. */
typedef struct both {
    const Onnx__GraphProto *else_branch;
    vj_value *then_result; /* for each result of the node */
} both;

static bool wants(const vj_importer *im, size_t result) {
    return *im->node->output[result] && vj_result_is_used(im, (int32_t)result);
}

/* A select takes both results as one type. */
static bool agree(vj_importer *im, size_t result, vj_value a, vj_value b) {
    if (vj_type_equal(type_of(im, a), type_of(im, b))) return true;
    const char *what = vj_sprintf(im->arena, "condition (its branches give %s and %s for '%.100s')",
                                  vj_type_text(im->arena, type_of(im, a)), vj_type_text(im->arena, type_of(im, b)),
                                  im->node->output[result]);
    return vj_stop_unknown(im, 0, what);
}

static bool select_results(vj_importer *im, const vj_scope *inner) {
    const both *b = inner->state;
    vj_value condition = vj_emit_reshape(im, vj_operand_value(im, 0), NULL, 0);
    for (size_t i = 0; i < im->node->n_output && vj_going(im); i++) {
        if (!wants(im, i)) continue;
        vj_binding *from = vj_graph_result(im, inner, i);
        vj_value y = from ? vj_materialise(im, from) : VJ_NONE, x = b->then_result[i];
        if (!vj_going(im) || !agree(im, i, x, y)) return false;
        if (!vj_bind(im, (int32_t)i, x == y ? x : vj_emit3(im, VJ_OP_select, condition, x, y))) return false;
    }
    return vj_going(im);
}

static bool keep_results(vj_importer *im, const vj_scope *inner) {
    both *b = inner->state;
    for (size_t i = 0; i < im->node->n_output; i++) {
        if (!wants(im, i)) continue;
        vj_binding *from = vj_graph_result(im, inner, i);
        b->then_result[i] = from ? vj_materialise(im, from) : VJ_NONE;
        if (!vj_going(im)) return false;
    }
    return vj_open_graph(im, b->else_branch, VJ_NONE, select_results, b);
}

bool vj_build_if(vj_importer *im) {
    const Onnx__GraphProto *then_branch = vj_graph_attribute(im, "then_branch", 0);
    const Onnx__GraphProto *else_branch = vj_graph_attribute(im, "else_branch", 0);
    const vj_known *known = vj_known_operand(im, 0);
    vj_value condition = known ? VJ_NONE : vj_operand_value(im, 0);
    if (!vj_going(im)) return false;
    const bool is_bool = (known ? known->dtype : type_of(im, condition)->dtype) == VJ_BOOL;
    int64_t count = known ? known->count : 0;
    if (!is_bool || (known ? count : !vj_type_elements(im->f, type_of(im, condition), &count) ? 0 : count) != 1)
        return vj_stop(im, VJ_BAD_INPUT, "its condition is not one boolean");
    if (known) return vj_open_graph(im, known->at[0].b ? then_branch : else_branch, VJ_NONE, NULL, NULL);
    if (vj_takes_offers(im, 0)) return false;
    both *b = VJ_NEW(im->arena, both);
    b->else_branch = else_branch;
    b->then_result = VJ_NEW_ARRAY(im->arena, vj_value, im->node->n_output + 1);
    return vj_open_graph(im, then_branch, VJ_NONE, keep_results, b);
}
