/* SPDX-License-Identifier: Apache-2.0 */
/* bound.c - sizes that the data decides become their bounds, so that all passes behind work with numbers.
 *
 * The function is made anew. Values have room for the most there can be; what lies behind the true size is anything,
 * infinities and NaN included, and is masked wherever it could reach what lies inside (bound_nodes.c). The sizes stay
 * as i64 scalars. An output with such dims is dense: its true elements are its first ones; one more output, an
 * i64[rank], holds its true dims (vj_func.output_dims). */
#include "bound.h"

#include <string.h>

static bool move_node(vj_bounding *b) {
    const vj_node *node = b->node;
    const vj_value first = node->first_result;
    vj_value v;
    if (node->op == VJ_OP_param) {
        v = vj_add_param(b->g, b->f->values[first].name, vj_type_at(b->f, first));
        if (vj_type_has_data_dims(vj_type_at(b->f, first))) vj_bounds_fail(b, "an input's size has no bound");
    } else if (node->op == VJ_OP_const) {
        v = vj_add_const(b->g, NULL, vj_type_at(b->f, first), vj_attr_find(node, VJ_ATTR_CONSTANT)->as.constant);
    } else {
        v = vj_bounds_node(b);
    }
    for (int32_t r = 0; r < node->result_count && vj_bounds_going(b); r++) {
        b->to[first + r] = v + r;
        if (!b->g->values[v + r].name) b->g->values[v + r].name = b->f->values[first + r].name;
    }
    return vj_bounds_going(b);
}

static bool is_output_name(const vj_func *f, const char *name) {
    for (int32_t i = 0; i < f->output_count; i++)
        if (strcmp(f->output_names[i], name) == 0) return true;
    return false;
}

/* The outputs stand as they did; behind them the dims of those that have dims of the data's. */
static void move_outputs(vj_bounding *b) {
    const vj_func *f = b->f;
    int32_t last = f->output_count;
    vj_value *dims = VJ_NEW_ARRAY(b->c->arena, vj_value, f->output_count);
    int32_t *at = VJ_NEW_ARRAY(b->g->arena, int32_t, 2 * f->output_count);
    for (int32_t i = 0; i < f->output_count && vj_bounds_going(b); i++) {
        const vj_type *type = vj_type_at(f, f->outputs[i]);
        vj_value y = b->to[f->outputs[i]];
        b->node = vj_producer(f, f->outputs[i]);
        dims[i] = vj_type_has_data_dims(type) ? vj_bounds_dims(b, type) : VJ_NONE;
        if (dims[i] >= 0 && !vj_bounds_is_dense(type)) {
            int64_t bounds[VJ_MAX_RANK];
            for (int32_t d = 0; d < type->rank; d++)
                bounds[d] = vj_bounds_of(b, type->dims[d]);
            y = vj_bounds_reshape(b, vj_bounds_pack(b, y, type), type->rank, bounds);
        }
        if (vj_bounds_going(b)) vj_add_output(b->g, f->output_names[i], y);
    }
    for (int32_t i = 0; i < 2 * f->output_count; i++)
        at[i] = -1;
    for (int32_t i = 0; i < f->output_count && vj_bounds_going(b); i++) {
        if (dims[i] < 0) continue;
        const char *name = vj_sprintf(b->g->arena, "%s.dims", f->output_names[i]);
        while (is_output_name(b->g, name))
            name = vj_sprintf(b->g->arena, "%s_", name);
        vj_add_output(b->g, name, dims[i]);
        at[i] = last++;
    }
    b->g->output_dims = at;
}

static bool has_data_dims(const vj_func *f) {
    for (vj_value v = 0; v < f->value_count; v++)
        if (!f->nodes[f->values[v].node].dead && vj_type_has_data_dims(vj_type_at(f, v))) return true;
    return false;
}

vj_status vj_pass_bound(vj_pass_context *c) {
    vj_func *f = c->f;
    if (f->symbol_count == 0) return VJ_OK;
    vj_compact(f);
    if (has_data_dims(f) && f->batch_is_open) {
        vj_fail(c->error, VJ_UNSUPPORTED, "sizes that the data decides need a fixed batch");
        vj_advise_batch(c->error, 1);
        return c->error->status;
    }
    if (!vj_may_rewrite(c, "bounds", NULL)) return VJ_OK;
    vj_bounding b = {.c = c, .f = f, .g = vj_func_new(f->arena, f->name)};
    b.to = VJ_NEW_ARRAY(c->arena, vj_value, f->value_count);
    for (int32_t n = 0; n < f->node_count; n++) {
        b.node = &f->nodes[n];
        if (!move_node(&b)) return c->error->status;
    }
    move_outputs(&b);
    if (!vj_bounds_going(&b)) return c->error->status;
    b.g->required = f->required;
    *f = *b.g;
    vj_compact(f);
    return VJ_OK;
}
