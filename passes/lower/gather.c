/* SPDX-License-Identifier: Apache-2.0 */
/* gather.c - gathers. By constant indices of a few evenly spaced runs they are movement: a slice for each run,
 * joined. Others are a nest that reads through an index. */
#include "lower.h"

#include <string.h>

enum { MOST_RUNS = 4 };

typedef struct run {
    int64_t first, step, count;
} run;

/* The runs of the list; 0: more than `most`. */
static int32_t runs_of(const int64_t *list, int64_t count, run *runs, int32_t most) {
    int32_t made = 0;
    for (int64_t i = 0; i < count; i += runs[made++].count) {
        if (made == most) return 0;
        run *r = &runs[made];
        *r = (run){list[i], 1, 1};
        if (i + 1 < count && list[i + 1] > list[i]) r->step = list[i + 1] - list[i];
        while (i + r->count < count && list[i + r->count] - list[i + r->count - 1] == r->step)
            r->count++;
        if (r->count == 2 && r->step != 1) *r = (run){list[i], 1, 1}; /* two far apart: the second may begin a run */
    }
    return made;
}

static vj_value slice_of(vj_func *f, vj_value x, int32_t axis, const run *r, const vj_origin *origin) {
    const vj_type *type = vj_type_at(f, x);
    int64_t starts[VJ_MAX_RANK] = {0}, sizes[VJ_MAX_RANK], steps[VJ_MAX_RANK];
    for (int32_t d = 0; d < type->rank; d++) {
        sizes[d] = vj_dim_code(type->dims[d]);
        steps[d] = 1;
    }
    starts[axis] = r->first;
    sizes[axis] = r->count;
    steps[axis] = r->count > 1 ? r->step : 1;
    const vj_attr attrs[] = {vj_ints(VJ_ATTR_STARTS, starts, type->rank), vj_ints(VJ_ATTR_SIZES, sizes, type->rank),
                             vj_ints(VJ_ATTR_STEPS, steps, type->rank)};
    return vj_make(f, VJ_OP_slice, &x, 1, attrs, 3, origin);
}

static vj_value joined_runs(vj_func *f, vj_value x, int32_t axis, const run *runs, int32_t count,
                            const vj_origin *origin) {
    vj_value parts[MOST_RUNS];
    for (int32_t i = 0; i < count; i++)
        parts[i] = slice_of(f, x, axis, &runs[i], origin);
    const vj_attr attr = vj_int(VJ_ATTR_AXIS, axis);
    return count == 1 ? parts[0] : vj_make(f, VJ_OP_concat, parts, count, &attr, 1, origin);
}

static bool spread(vj_pass_context *c, int32_t n) {
    vj_func *f = c->f;
    const vj_node node = f->nodes[n];
    const vj_value x = node.args[0], index = node.args[1], result = node.first_result;
    const int32_t axis = (int32_t)vj_attr_int(&node, VJ_ATTR_AXIS, 0);
    int64_t count;
    run runs[MOST_RUNS];
    if (!vj_is_const(f, index) || !vj_type_elements(f, vj_type_at(f, index), &count) || count < 1) return true;
    if (vj_type_at(f, x)->dims[axis].sym || (vj_type_is_static(vj_type_at(f, result)) && vj_is_weight(f, result)))
        return true;
    int64_t *list = VJ_NEW_ARRAY(c->arena, int64_t, count + 1);
    if (!vj_const_read_i64(f, index, 0, count, list, c->error)) return false;
    for (int64_t i = 0; i < count; i++)
        if (list[i] < 0 || list[i] >= vj_type_at(f, x)->dims[axis].c) return true;
    const int32_t made = runs_of(list, count, runs, MOST_RUNS);
    if (made <= 1) return true; /* an index, or a view */
    const vj_value y = joined_runs(f, x, axis, runs, made, node.origin);
    const vj_type want = *vj_type_at(f, result);
    vj_replace_uses(f, result, vj_make_reshape(f, y, want.rank, want.dims, node.origin));
    vj_kill(f, n);
    return true;
}

bool vj_spread_gathers(vj_pass_context *c) {
    const int32_t count = c->f->node_count;
    for (int32_t n = 0; n < count; n++)
        if (!c->f->nodes[n].dead && c->f->nodes[n].op == VJ_OP_gather && !spread(c, n)) return false;
    vj_compact(c->f);
    return true;
}

/* A nest that reads through an index. `alone`: it takes nothing in behind the gather. */
static bool lower_gather(vj_lowering *l, const vj_node *node, bool alone) {
    vj_build *b = vj_build_new(l, VJ_KERNEL_NEST, "gather", node->origin);
    b->alone = alone;
    vj_chain chain = {.value = node->first_result};
    int64_t dims[VJ_MAX_RANK];
    int32_t same[VJ_MAX_RANK];
    const int32_t rank = vj_image_dims(l->f, chain.value, dims);
    for (int32_t d = 0; d < rank; d++) {
        vj_point_dim(b, dims[d], VJ_GROUP_OUTER);
        same[d] = d;
    }
    if (!vj_points_ready(b)) return false;
    chain.map = vj_point_map(b, rank, dims, same);
    chain.expr = vj_emit_gathered(b, node, &chain.map);
    if (chain.expr < 0) return vj_lower_fail(l, node, "its elements cannot be addressed");
    return vj_finish_chain(b, chain);
}

bool vj_lower_gather(vj_lowering *l, const vj_node *node) { return lower_gather(l, node, false); }

bool vj_lower_gather_alone(vj_lowering *l, const vj_node *node) { return lower_gather(l, node, true); }
