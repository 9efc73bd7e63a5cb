/* eval_routines.c - the ops that a routine computes, by its own definition. */
#include "eval.h"
#include "routines.h"

static int32_t axis_of(const vj_node *node, int32_t rank) {
    const int64_t axis = vj_attr_int(node, VJ_ATTR_AXIS, 0);
    return (int32_t)(axis < 0 ? axis + rank : axis);
}

/* Operands, then results, are the routine's arrays. Nothing is done where a result is empty. */
static bool run(vj_eval_context *c, vj_routine routine, const int64_t *param, const double *number) {
    const vj_routine_row *row = vj_routine_at(routine);
    vj_routine_run run = {.param = param, .number = number, .arena = c->arena};
    for (int32_t i = 0; i < row->reads + row->writes; i++) {
        const vj_tensor *t = i < row->reads ? c->args[i] : c->results[i - row->reads];
        run.array[i] = (vj_array){t->type.dtype, t->f, t->i};
        if (t->count == 0) return true;
    }
    vj_routine_evaluate(routine, &run);
    return true;
}

bool vj_eval_topk(vj_eval_context *c) {
    const vj_tensor *x = c->args[0];
    const int32_t rank = x->type.rank, axis = axis_of(c->node, rank);
    const int64_t param[] = {vj_tensor_extent(x, 0, axis), vj_tensor_dim(x, axis), vj_tensor_extent(x, axis + 1, rank),
                             vj_attr_int(c->node, VJ_ATTR_K, 0), vj_attr_int(c->node, VJ_ATTR_LARGEST, 1)};
    return run(c, VJ_ROUTINE_topk, param, NULL);
}
