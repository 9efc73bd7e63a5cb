/* SPDX-License-Identifier: Apache-2.0 */
/* import.c - imports the graph node by node through the table of builders. */
#include "import.h"

#include <string.h>

#include "vitjit_image.h"

static bool is_listed(const char *names, const char *name) {
    size_t length = strlen(name);
    for (const char *at = names; length && *at;) {
        size_t word = strcspn(at, " ");
        if (word == length && memcmp(at, name, length) == 0) return true;
        at += word + (at[word] == ' ');
    }
    return false;
}

static bool check_node(vj_importer *im) {
    const Onnx__NodeProto *n = im->node;
    const vj_import_row *row = im->row;
    if ((row->max_operands >= 0 && n->n_input > (size_t)row->max_operands) || n->n_input > INT16_MAX)
        return vj_stop(im, VJ_BAD_INPUT, "has %zu operands; at most %d are allowed", n->n_input,
                       row->max_operands < 0 ? INT16_MAX : row->max_operands);
    for (int32_t i = 0; i < row->min_operands; i++)
        if (!vj_has_operand(im, i)) return vj_stop(im, VJ_BAD_INPUT, "operand %d is missing", i);
    if (n->n_output == 0) return vj_stop(im, VJ_BAD_INPUT, "has no result");
    for (size_t i = 0; i < n->n_attribute; i++) {
        const char *name = vj_text_of(n->attribute[i]->name);
        if (!is_listed(row->attributes, name)) return vj_stop(im, VJ_UNSUPPORTED, "attribute '%.60s' is unknown", name);
        if (n->attribute[i]->ref_attr_name && *n->attribute[i]->ref_attr_name)
            return vj_stop(im, VJ_BAD_INPUT, "attribute '%.60s' refers to a function's", name);
        for (size_t j = 0; j < i; j++)
            if (strcmp(vj_text_of(n->attribute[j]->name), name) == 0)
                return vj_stop(im, VJ_BAD_INPUT, "attribute '%.60s' stands twice", name);
    }
    return true;
}

/* Returns whether an operand of the current node has a size that the data decides. */
static bool meets_data(const vj_importer *im) {
    for (size_t i = 0; i < im->node->n_input; i++) {
        const vj_binding *b = vj_bindings_find(im->names, im->node->input[i]);
        if (b && b->value >= 0 && vj_type_has_data_dims(vj_type_at(im->f, b->value))) return true;
        for (int64_t k = 0; b && b->known && k < b->known->count; k++)
            if (b->known->at[k].a && b->known->at[k].data) return true;
    }
    return false;
}

/* A builder that meets a symbol where it needs a number calls the model wrong. With sizes that the data decides, the
 * model is right and only unsupported; with sizes that the caller chose, they may be wrong. */
static bool stop_node(vj_importer *im) {
    const bool is_sized = im->took_picture || (im->options && im->options->shape_count);
    if (im->error->status == VJ_BAD_INPUT && is_sized) vj_blame_constant(im);
    if (im->error->status == VJ_BAD_INPUT && im->unknown_count && meets_data(im)) im->error->status = VJ_UNSUPPORTED;
    return false;
}

/* Imports a node, or leaves in im->opened the scope that it opens. */
static bool import_node(vj_importer *im, const Onnx__NodeProto *node) {
    vj_origin *origin = VJ_NEW(im->arena, vj_origin);
    im->row = vj_find_row(im->scope, node);
    im->origin = origin;
    origin->node = vj_sprintf(im->arena, "%s%s", im->scope->path, vj_onnx_node_name(node));
    origin->op = vj_onnx_op_name(im->arena, node);
    origin->opset = (int32_t)vj_min64(INT32_MAX, vj_opset_of(im->scope, node->domain));
    im->node = node = vj_resolve_references(im, node);
    if (!vj_going(im)) return false;
    if (!im->row) return vj_open_call(im, vj_find_function(im->onnx, node));
    if (!check_node(im) || !vj_check_types(im)) return false;
    bool done = vj_solve(im) || im->row->build(im);
    if (!done && vj_going(im)) vj_stop(im, VJ_UNSUPPORTED, "has a form that is not supported");
    return vj_going(im) || stop_node(im);
}

static bool check_results(vj_importer *im) {
    const Onnx__NodeProto *node = im->node;
    for (size_t i = 0; i < node->n_output; i++)
        if (*node->output[i] && !vj_bindings_find(im->names, node->output[i]) && vj_result_is_used(im, (int32_t)i))
            return vj_stop(im, VJ_UNSUPPORTED, "its result '%.100s' is not supported", node->output[i]);
    return true;
}

/* Binds the results of the node that opened a scope to the scope's outputs. */
static bool bind_results(vj_importer *im, const vj_scope *inner) {
    for (size_t i = 0; i < im->node->n_output; i++) {
        if (!*im->node->output[i]) continue;
        const char *name = vj_scope_output(inner, i);
        vj_binding *from = vj_bindings_find(inner->names, name);
        if (!from || from->is_absent)
            return vj_stop(im, VJ_BAD_INPUT, "nothing in its graph defines its result '%.100s'", name);
        if (!vj_bind_same(im, (int32_t)i, from)) return false;
    }
    return true;
}

/* A scope on the way from the model's graph to the current node. */
typedef struct frame {
    const vj_scope *scope;
    size_t next; /* the next of its nodes */
    /* the node that opened the scope above */
    const Onnx__NodeProto *node;
    const vj_import_row *row;
    const vj_origin *origin;
} frame;

static void enter(vj_importer *im, frame *from, frame *to) {
    from->node = im->node;
    from->row = im->row;
    from->origin = im->origin;
    *to = (frame){.scope = im->opened};
    im->scope = im->opened;
    im->names = im->opened->names;
    im->opened = NULL;
}

static bool leave(vj_importer *im, const frame *to) {
    const vj_scope *inner = im->scope;
    im->scope = to->scope;
    im->names = to->scope->names;
    im->node = to->node;
    im->row = to->row;
    im->origin = to->origin;
    if (!(inner->finish ? inner->finish(im, inner) : bind_results(im, inner))) return !vj_going(im) && stop_node(im);
    return im->opened || check_results(im);
}

/* Imports the nodes of im->scope. The walk is no recursion: a node that opens a scope is left until the nodes of the
 * scope are imported, whose results then become its own. */
static bool import_nodes(vj_importer *im) {
    frame *stack = NULL;
    int32_t depth = 0, capacity = 0;
    *VJ_PUSH(im->arena, stack, depth, capacity) = (frame){.scope = im->scope};
    for (;;) {
        frame *top = &stack[depth - 1];
        if (top->next == top->scope->node_count) {
            if (--depth == 0) return true;
            if (!leave(im, &stack[depth - 1])) return false;
        } else if (!import_node(im, top->scope->nodes[top->next++]) || (!im->opened && !check_results(im))) {
            return false;
        }
        if (!im->opened) continue;
        frame *above = VJ_PUSH(im->arena, stack, depth, capacity); /* may move the stack */
        enter(im, &stack[depth - 2], above);
    }
}

static bool add_output(vj_importer *im, vj_bindings *outputs, const char *name, const Onnx__ValueInfoProto *info) {
    if (!vj_bindings_add(outputs, name))
        return info ? vj_stop(im, VJ_BAD_INPUT, "'%.100s' is an output twice", name) : true;
    vj_binding *b = vj_bindings_find(im->names, name);
    if (!b)
        return vj_stop(im, info ? VJ_BAD_INPUT : VJ_USAGE,
                       info ? "no node defines the output '%.100s'" : "there is no value '%.100s' to be an output",
                       name);
    vj_value value = vj_materialise(im, b);
    if (!vj_going(im) || (info && !vj_check_output_type(im, info, value))) return false;
    vj_add_output(im->f, name, value);
    return true;
}

#define MOST_TENSORS (VJ_IMAGE_MOST_TENSORS / 2) /* an output may need a second one for its dims */

static bool add_outputs(vj_importer *im) {
    const Onnx__GraphProto *g = im->onnx->graph;
    vj_bindings *outputs = vj_bindings_new(im->arena, g->n_output, NULL);
    im->origin = NULL;
    if (!g->n_output) return vj_stop(im, VJ_BAD_INPUT, "the graph has no outputs");
    if (g->n_input > MOST_TENSORS || g->n_output > MOST_TENSORS)
        return vj_stop(im, VJ_UNSUPPORTED, "the graph has %zu inputs and %zu outputs; at most %d of each are taken",
                       g->n_input, g->n_output, MOST_TENSORS);
    for (size_t i = 0; i < g->n_output; i++)
        if (!add_output(im, outputs, vj_text_of(g->output[i]->name), g->output[i])) return false;
    for (int32_t i = 0; im->options && i < im->options->also_output_count; i++)
        if (!add_output(im, outputs, im->options->also_outputs[i], NULL)) return false;
    return true;
}

static bool import_graph(vj_importer *im) {
    return vj_check_opset(im, im->onnx->opset, "") && vj_check_functions(im) && vj_check_support(im, im->scope) &&
           vj_bind_inputs(im) && import_nodes(im) && add_outputs(im);
}

vj_func *vj_import(vj_arena *arena, vj_onnx *onnx, const vj_import_options *options, vj_error *error) {
    const Onnx__GraphProto *g = onnx->graph;
    bool *taken = VJ_NEW_ARRAY(arena, bool, options ? options->offered_count + 1 : 1);
    vj_importer im;
    vj_scope scope = vj_scope_of_model(onnx);
    int32_t restarts = 0;
    for (bool done = false; !done;) {
        im = (vj_importer){.arena = arena,
                           .onnx = onnx,
                           .options = options,
                           .error = error,
                           .taken = taken,
                           .scope = &scope,
                           .is_repeat = restarts > 0};
        im.f = vj_func_new(arena, "main");
        im.names = scope.names = vj_bindings_new(arena, g->n_node + g->n_initializer + g->n_input, NULL);
        done = import_graph(&im);
        if (!done && !vj_import_again(&im, &restarts)) return NULL;
    }
    vj_compact(im.f);
    return vj_verify(im.f, error) ? im.f : NULL;
}
