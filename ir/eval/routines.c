/* SPDX-License-Identifier: Apache-2.0 */
/* routines.c - evaluates ops that a routine computes, with the definition in ir/routines. */
#include "eval.h"
#include "ir/routines/routines.h"

#include <string.h>

/* Runs the routine with the operands and results as its arrays. It does nothing when one of them is empty. */
static bool run(vj_eval_context *c, void (*site_of)(vj_site *site)) {
    vj_site *site = VJ_NEW(c->arena, vj_site);
    site->node = c->node;
    for (int32_t i = 0; i < c->node->arg_count; i++) {
        site->rank[i] = c->args[i]->type.rank;
        for (int32_t d = 0; d < site->rank[i]; d++)
            site->dims[i][d] = vj_tensor_dim(c->args[i], d);
    }
    site_of(site);
    const vj_routine_row *row = vj_routine_at(site->routine);
    vj_routine_run *all = VJ_NEW(c->arena, vj_routine_run);
    *all = (vj_routine_run){.param = site->param, .number = site->number, .arena = c->arena};
    for (int32_t i = 0; i < row->reads + row->writes; i++) {
        const vj_tensor *t = i < row->reads ? c->args[i] : c->results[i - row->reads];
        all->array[i] = (vj_host_array){t->type.dtype, t->f, t->i};
        if (t->count == 0) return true;
    }
    vj_routine_evaluate(site->routine, all);
    return true;
}

/* Where the data decides k, k is the size of the result. */
bool vj_eval_topk(vj_eval_context *c) {
    const vj_node *own = c->node;
    const vj_attr *size = vj_attr_find(own, VJ_ATTR_SIZE);
    if (!size) return run(c, vj_site_topk);
    const int32_t axis = (int32_t)vj_attr_int(own, VJ_ATTR_AXIS, 0);
    const int64_t taken = vj_tensor_dim(c->results[0], axis);
    if (taken > vj_tensor_dim(c->args[0], axis)) {
        vj_fail(c->error, VJ_BAD_INPUT, "topk: takes more than there is");
        return false;
    }
    vj_node copy = *own;
    copy.attrs = VJ_NEW_ARRAY(c->arena, vj_attr, own->attr_count);
    memcpy(copy.attrs, own->attrs, (size_t)own->attr_count * sizeof *copy.attrs);
    for (int32_t i = 0; i < copy.attr_count; i++)
        if (copy.attrs[i].key == VJ_ATTR_K) copy.attrs[i].as.i = taken;
    c->node = &copy;
    const bool done = run(c, vj_site_topk);
    c->node = own;
    return done;
}
bool vj_eval_scatter(vj_eval_context *c) {
    const vj_tensor *data = c->args[0];
    if (c->args[2]->count > 0) return run(c, vj_site_scatter);
    for (int64_t i = 0; i < data->count; i++) {
        if (data->f)
            c->results[0]->f[i] = data->f[i];
        else
            c->results[0]->i[i] = data->i[i];
    }
    return true;
}
bool vj_eval_scan(vj_eval_context *c) { return run(c, vj_site_scan); }
bool vj_eval_roialign(vj_eval_context *c) { return run(c, vj_site_roialign); }
bool vj_eval_gridsample(vj_eval_context *c) { return run(c, vj_site_gridsample); }
