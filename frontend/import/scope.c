/* SPDX-License-Identifier: Apache-2.0 */
/* scope.c - the lists of nodes that are imported: the model's graph, bodies of functions, branches of If. */
#include "import.h"

#include <string.h>

bool vj_same_domain(const char *a, const char *b) {
    return (vj_is_default_domain(a) && vj_is_default_domain(b)) || strcmp(vj_text_of(a), vj_text_of(b)) == 0;
}

static int64_t opset_in(size_t count, Onnx__OperatorSetIdProto *const *opsets, const char *domain) {
    for (size_t i = 0; i < count; i++)
        if (vj_same_domain(opsets[i]->domain, domain)) return opsets[i]->version;
    return 0;
}

int64_t vj_opset_of(const vj_scope *scope, const char *domain) {
    const Onnx__FunctionProto *f = scope->function;
    int64_t own = f ? opset_in(f->n_opset_import, f->opset_import, domain) : 0;
    if (own) return own;
    const Onnx__ModelProto *m = scope->onnx->model;
    int64_t given = opset_in(m->n_opset_import, m->opset_import, domain);
    return given || vj_is_default_domain(domain) ? given
                                                 : 1; /* other domains begin at 1 and seldom have a second opset */
}

vj_scope vj_scope_of_model(const vj_onnx *onnx) {
    return (vj_scope){
        .onnx = onnx, .path = "", .nodes = onnx->graph->node, .node_count = onnx->graph->n_node, .graph = onnx->graph};
}

int32_t vj_find_function(const vj_onnx *onnx, const Onnx__NodeProto *node) {
    const Onnx__ModelProto *m = onnx->model;
    for (size_t i = 0; i < m->n_functions && i < VJ_FUNCTIONS; i++)
        if (strcmp(vj_text_of(m->functions[i]->name), vj_text_of(node->op_type)) == 0 &&
            vj_same_domain(m->functions[i]->domain, node->domain) &&
            strcmp(vj_text_of(m->functions[i]->overload), vj_text_of(node->overload)) == 0)
            return (int32_t)i;
    return -1;
}

vj_scope vj_scope_of_function(const vj_onnx *onnx, int32_t function) {
    const Onnx__FunctionProto *f = onnx->model->functions[function];
    return (vj_scope){.onnx = onnx, .path = "", .nodes = f->node, .node_count = f->n_node, .function = f};
}

size_t vj_scope_outputs(const vj_scope *scope) {
    return scope->graph ? scope->graph->n_output : scope->function->n_output;
}

const char *vj_scope_output(const vj_scope *scope, size_t i) {
    return vj_text_of(scope->graph ? scope->graph->output[i]->name : scope->function->output[i]);
}

/* The recursion is bounded: wire.c limits the nesting of graphs. */
static void add_used(vj_bindings *used, Onnx__NodeProto *const *nodes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < nodes[i]->n_input; j++)
            vj_bindings_add(used, nodes[i]->input[j]);
        for (size_t j = 0; j < nodes[i]->n_attribute; j++) {
            const Onnx__GraphProto *g = nodes[i]->attribute[j]->g;
            if (!g) continue;
            add_used(used, g->node, g->n_node);
            for (size_t k = 0; k < g->n_output; k++)
                vj_bindings_add(used, vj_text_of(g->output[k]->name));
        }
    }
}

/* All names that are used are noted when the first is asked for: many nodes have results that may be unused. */
bool vj_scope_uses(const vj_scope *scope, const char *name) {
    vj_bindings **used = vj_bindings_used(scope->names);
    if (!*used) {
        *used = vj_bindings_new(vj_bindings_arena(scope->names), 2 * scope->node_count, NULL);
        add_used(*used, scope->nodes, scope->node_count);
        for (size_t i = 0; i < vj_scope_outputs(scope); i++)
            vj_bindings_add(*used, vj_scope_output(scope, i));
    }
    return vj_bindings_find(*used, name) != NULL;
}

const Onnx__NodeProto *vj_scope_definer(const vj_scope *scope, const char *name) {
    for (; scope; scope = scope->is_branch ? scope->outer : NULL)
        for (size_t i = 0; i < scope->node_count; i++)
            for (size_t j = 0; j < scope->nodes[i]->n_output; j++)
                if (strcmp(scope->nodes[i]->output[j], name) == 0) return scope->nodes[i];
    return NULL;
}

bool vj_open_scope(vj_importer *im, const vj_scope *inner) {
    if (im->node->n_output > vj_scope_outputs(inner))
        return vj_stop(im, VJ_BAD_INPUT, "has %zu results, but its graph gives %zu", im->node->n_output,
                       vj_scope_outputs(inner));
    vj_scope *own = VJ_NEW(im->arena, vj_scope);
    *own = *inner;
    im->opened = own;
    return true;
}
