/* control.c - the builder of If, whose condition must be known while importing: the branch replaces the node. */
#include "frontend/import/import.h"

static const Onnx__GraphProto *branch_of(vj_importer *im, const char *name) {
    const Onnx__AttributeProto *a = vj_find_attribute(im, name);
    if (!a || !a->g) {
        vj_stop(im, VJ_BAD_INPUT, "attribute '%s' is no graph", name);
        return NULL;
    }
    if (a->g->n_input) {
        vj_stop(im, VJ_BAD_INPUT, "attribute '%s' is a graph with inputs", name);
        return NULL;
    }
    return a->g;
}

bool vj_build_if(vj_importer *im) {
    const Onnx__GraphProto *then_branch = branch_of(im, "then_branch"), *else_branch = branch_of(im, "else_branch");
    const vj_known *condition = vj_known_operand(im, 0);
    if (!vj_going(im)) return false;
    if (!condition) return vj_stop_unknown(im, 0, vj_sprintf(im->arena, "condition '%.100s'", im->node->input[0]));
    if (condition->dtype != VJ_BOOL || condition->count != 1)
        return vj_stop(im, VJ_BAD_INPUT, "its condition is not one boolean");
    const Onnx__GraphProto *g = condition->at[0].b ? then_branch : else_branch;
    vj_scope branch = {.onnx = im->onnx,
                       .outer = im->scope,
                       .is_branch = true,
                       .path = vj_sprintf(im->arena, "%.400s/", im->origin->node),
                       .nodes = g->node,
                       .node_count = g->n_node,
                       .graph = g,
                       .function = im->scope->function,
                       .call = im->scope->call,
                       .depth = im->scope->depth,
                       .names = vj_bindings_new(im->arena, g->n_node + g->n_initializer, im->names)};
    if (!vj_check_support(im, &branch) || !vj_bind_initializers(im, &branch)) return false;
    return vj_open_scope(im, &branch);
}
