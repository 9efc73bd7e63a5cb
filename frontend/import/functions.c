/* SPDX-License-Identifier: Apache-2.0 */
/* functions.c - inlines the local functions of a model where they are called.
 *
 * A call opens a scope of its own: its operands become the function's inputs, its attributes replace the references to
 * them in the body, and the function's own opsets define the ops. As in ONNX Runtime, an op that vitjit knows is never
 * looked up among the functions: their bodies are for runtimes without the op.
 */
#include "import.h"

#include <string.h>

enum {
    DEPTH = 64,     /* the most calls within calls */
    NODES = 1 << 17 /* the most nodes that all calls add: a small file can ask for any number */
};

static bool has_duplicates(const vj_onnx *onnx, size_t i) {
    const Onnx__FunctionProto *const f = onnx->model->functions[i];
    for (size_t j = 0; j < i; j++) {
        const Onnx__FunctionProto *const other = onnx->model->functions[j];
        if (strcmp(vj_text_of(f->name), vj_text_of(other->name)) == 0 && vj_same_domain(f->domain, other->domain) &&
            strcmp(vj_text_of(f->overload), vj_text_of(other->overload)) == 0)
            return true;
    }
    return false;
}

static bool check_function(vj_importer *im, size_t i) {
    const Onnx__FunctionProto *const f = im->onnx->model->functions[i];
    const char *name = vj_text_of(f->name);
    if (has_duplicates(im->onnx, i)) return vj_stop(im, VJ_BAD_INPUT, "the function '%.100s' stands twice", name);
    const vj_scope body = vj_scope_of_function(im->onnx, (int32_t)i);
    return vj_check_opset(im, vj_opset_of(&body, ""), vj_sprintf(im->arena, "the function '%.100s': ", name));
}

bool vj_check_functions(vj_importer *im) {
    if (im->onnx->model->n_functions > VJ_FUNCTIONS)
        return vj_stop(im, VJ_UNSUPPORTED, "has %zu functions; at most %d are supported", im->onnx->model->n_functions,
                       VJ_FUNCTIONS);
    for (size_t i = 0; i < im->onnx->model->n_functions; i++)
        if (!check_function(im, i)) return false;
    return true;
}

static const Onnx__AttributeProto *named(size_t count, Onnx__AttributeProto *const *list, const char *name) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(vj_text_of(list[i]->name), name) == 0) return list[i];
    return NULL;
}

static bool is_reference(const Onnx__AttributeProto *a) { return a->ref_attr_name && *a->ref_attr_name; }

/* The call's attribute, else the function's default, else NULL. */
static const Onnx__AttributeProto *given(const vj_scope *scope, const char *name) {
    const Onnx__AttributeProto *a = named(scope->call->n_attribute, scope->call->attribute, name);
    return a ? a : named(scope->function->n_attribute_proto, scope->function->attribute_proto, name);
}

const Onnx__NodeProto *vj_resolve_references(vj_importer *im, const Onnx__NodeProto *node) {
    size_t references = 0;
    for (size_t i = 0; i < node->n_attribute; i++)
        references += is_reference(node->attribute[i]);
    if (!references || !im->scope->function) return node; /* check_node refuses a reference outside of a function */
    Onnx__NodeProto *own = VJ_NEW(im->arena, Onnx__NodeProto);
    *own = *node;
    own->attribute = VJ_NEW_ARRAY(im->arena, Onnx__AttributeProto *, node->n_attribute);
    own->n_attribute = 0;
    for (size_t i = 0; i < node->n_attribute; i++) {
        Onnx__AttributeProto *a = node->attribute[i];
        if (is_reference(a)) {
            const Onnx__AttributeProto *from = given(im->scope, a->ref_attr_name);
            if (!from) continue;
            if (a->type && from->type && a->type != from->type) {
                vj_stop(im, VJ_BAD_INPUT, "attribute '%.60s' is of another kind than '%.60s', which it refers to",
                        vj_text_of(a->name), a->ref_attr_name);
                return node;
            }
            Onnx__AttributeProto *copy = VJ_NEW(im->arena, Onnx__AttributeProto);
            *copy = *from;
            copy->name = a->name;
            a = copy;
        }
        own->attribute[own->n_attribute++] = a;
    }
    return own;
}

static bool is_recursive(const vj_scope *scope, const Onnx__FunctionProto *f) {
    for (; scope; scope = scope->outer)
        if (scope->function == f) return true;
    return false;
}

static bool bind_operands(vj_importer *im, vj_scope *body) {
    const Onnx__FunctionProto *f = body->function;
    if (im->node->n_input > f->n_input)
        return vj_stop(im, VJ_BAD_INPUT, "has %zu operands, but the function takes %zu", im->node->n_input, f->n_input);
    for (size_t i = 0; i < f->n_input; i++) {
        vj_binding *from = NULL, *to = vj_bindings_add(body->names, f->input[i]);
        if (!to) return vj_stop(im, VJ_BAD_INPUT, "the function has the input '%.100s' twice", f->input[i]);
        if (vj_has_operand(im, (int32_t)i) && !(from = vj_operand_binding(im, (int32_t)i))) return false;
        if (!from) {
            to->is_absent = true;
            continue;
        }
        to->value = from->value;
        to->known = from->known;
        to->asked = from->asked;
    }
    return true;
}

bool vj_count_inlined(vj_importer *im, size_t nodes) {
    if (nodes > (size_t)(NODES - im->inlined))
        return vj_stop(im, VJ_UNSUPPORTED, "functions and loops, written out, have more than %d nodes", NODES);
    im->inlined += (int32_t)nodes;
    return true;
}

bool vj_open_call(vj_importer *im, int32_t function) {
    const Onnx__FunctionProto *f = im->onnx->model->functions[function];
    const int32_t depth = im->scope->depth + 1;
    if (is_recursive(im->scope, f)) return vj_stop(im, VJ_BAD_INPUT, "the function calls itself");
    if (depth > DEPTH) return vj_stop(im, VJ_UNSUPPORTED, "is a call within %d others", DEPTH);
    if (!vj_count_inlined(im, f->n_node)) return false;
    vj_scope body = vj_scope_of_function(im->onnx, function);
    body.outer = im->scope;
    body.path = vj_sprintf(im->arena, "%.400s/", im->origin->node);
    body.call = im->node;
    body.depth = depth;
    body.names = vj_bindings_new(im->arena, f->n_node + f->n_input, NULL);
    return bind_operands(im, &body) && vj_open_scope(im, &body);
}
