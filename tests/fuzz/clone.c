/* SPDX-License-Identifier: Apache-2.0 */
/* clone.c - copies functions with changes. A copy is made node by node through inference, so that it is always
 * valid. */
#include "graph.h"

typedef struct copying {
    const vj_func *from;
    vj_func *to;
    const clone_plan *plan;
    vj_value *value; /* of from's values, in `to` */
} copying;

static int64_t changed(const clone_plan *plan, int64_t c) { return plan->dim && c == plan->dim ? plan->dim_after : c; }

static vj_type changed_type(const copying *c, const vj_type *type) {
    vj_type out = *type;
    for (int32_t i = 0; i < out.rank; i++) {
        if (out.dims[i].sym == VJ_SYM_BATCH && c->plan->batch > 0)
            out.dims[i] = vj_dim_const(out.dims[i].c * c->plan->batch);
        else if (out.dims[i].sym == VJ_SYM_NONE)
            out.dims[i].c = changed(c->plan, out.dims[i].c);
    }
    return out;
}

/* In attributes, the dim c * N is -1 - c. */
static vj_attr changed_attr(copying *c, const vj_attr *attr) {
    vj_attr out = *attr;
    if (vj_attr_key_kind(attr->key) != VJ_KIND_INTS) return out;
    int64_t *ints = VJ_NEW_ARRAY(c->to->arena, int64_t, attr->count + 1);
    const bool sizes = attr->key == VJ_ATTR_DIMS || attr->key == VJ_ATTR_SIZES;
    for (int32_t i = 0; i < attr->count; i++) {
        ints[i] = attr->as.ints[i];
        if (sizes && ints[i] < 0 && c->plan->batch > 0)
            ints[i] = (-1 - ints[i]) * c->plan->batch;
        else if (sizes || attr->key == VJ_ATTR_KERNEL)
            ints[i] = changed(c->plan, ints[i]);
    }
    out.as.ints = ints;
    return out;
}

static vj_value copy_const(copying *c, const vj_node *node, const vj_value_info *info) {
    const vj_type type = changed_type(c, &info->type);
    vj_const constant = *vj_attr_find(node, VJ_ATTR_CONSTANT)->as.constant;
    int64_t had, has;
    if (!vj_type_elements(c->from, &info->type, &had) || !vj_type_elements(c->to, &type, &has)) return VJ_NONE;
    if (has > had && constant.kind == VJ_CONST_BYTES) return VJ_NONE;
    if (constant.kind == VJ_CONST_BYTES && !vj_stored_bytes(type.dtype, constant.nibbles, has, &constant.length))
        return VJ_NONE;
    return vj_add_const(c->to, info->name, &type, &constant);
}

static bool copy_node(copying *c, const vj_node *node) {
    const vj_value_info *info = &c->from->values[node->first_result];
    vj_error error = {0};
    if (node->op == VJ_OP_const) {
        c->value[node->first_result] = copy_const(c, node, info);
        return c->value[node->first_result] >= 0;
    }
    if (node->first_result == c->plan->skipped) {
        const vj_type type = changed_type(c, &info->type);
        c->value[node->first_result] =
            c->plan->instead >= 0
                ? c->value[c->plan->instead]
                : vj_add_param(c->to, vj_sprintf(c->to->arena, "cut%d", (int)node->first_result), &type);
        return true;
    }
    vj_value *args = VJ_NEW_ARRAY(c->to->arena, vj_value, node->arg_count + 1);
    vj_attr *attrs = VJ_NEW_ARRAY(c->to->arena, vj_attr, node->attr_count + 1);
    for (int32_t i = 0; i < node->arg_count; i++)
        args[i] = node->args[i] < 0 ? VJ_NONE : c->value[node->args[i]];
    for (int32_t i = 0; i < node->attr_count; i++)
        attrs[i] = changed_attr(c, &node->attrs[i]);
    const vj_value v =
        vj_add_node(c->to, node->op, args, node->arg_count, attrs, node->attr_count, node->origin, &error);
    for (int32_t r = 0; v >= 0 && r < node->result_count; r++)
        c->value[node->first_result + r] = v + r;
    return v >= 0;
}

static void copy_outputs(copying *c) {
    if (c->plan->only >= 0) {
        vj_add_output(c->to, "out", c->value[c->plan->only]);
        return;
    }
    for (int32_t i = 0; i < c->from->output_count; i++)
        if (!c->plan->dropped || !c->plan->dropped[i])
            vj_add_output(c->to, c->from->output_names[i], c->value[c->from->outputs[i]]);
}

void settle(vj_func *f) {
    vj_compact(f);
    f->batch_is_open = false;
    for (vj_value v = 0; v < f->value_count; v++)
        for (int32_t i = 0; i < vj_type_at(f, v)->rank; i++)
            f->batch_is_open |= vj_type_at(f, v)->dims[i].sym == VJ_SYM_BATCH;
}

vj_func *clone(vj_arena *arena, const vj_func *f, const clone_plan *plan) {
    copying c = {.from = f, .to = vj_func_new(arena, f->name), .plan = plan};
    c.value = VJ_NEW_ARRAY(arena, vj_value, f->value_count + 1);
    const int32_t *uses = vj_use_counts(f, arena);
    for (int32_t i = 0; i < f->input_count; i++) {
        if (plan->drop_inputs && uses[f->inputs[i]] == 0) continue;
        const vj_type type = changed_type(&c, vj_type_at(f, f->inputs[i]));
        c.value[f->inputs[i]] = vj_add_param(c.to, f->values[f->inputs[i]].name, &type);
    }
    for (int32_t n = 0; n < f->node_count; n++)
        if (f->nodes[n].op != VJ_OP_param && !f->nodes[n].dead && !copy_node(&c, &f->nodes[n])) return NULL;
    copy_outputs(&c);
    settle(c.to);
    vj_error error = {0};
    return vj_verify(c.to, &error) ? c.to : NULL;
}
