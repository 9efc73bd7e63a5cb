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

/* Reading through an index */

/* Where the dims of an operand come from among those of the result; -1: the axis of data that the index moves. */
typedef struct gather_dims {
    int32_t axis;
    int32_t data[VJ_MAX_RANK], index[VJ_MAX_RANK];
} gather_dims;

static gather_dims dims_of(const vj_func *f, const vj_node *node) {
    const int32_t data_rank = vj_type_at(f, node->args[0])->rank, index_rank = vj_type_at(f, node->args[1])->rank;
    const bool elements = node->op == VJ_OP_gather_elements;
    gather_dims all = {.axis = (int32_t)vj_attr_int(node, VJ_ATTR_AXIS, 0)};
    for (int32_t d = 0; d < data_rank; d++)
        all.data[d] = d == all.axis ? -1 : d < all.axis || elements ? d : d + index_rank - 1;
    for (int32_t d = 0; d < index_rank; d++)
        all.index[d] = elements ? d : all.axis + d;
    return all;
}

/* The index as an i64 that counts from the front; -1: an error. */
static int32_t emit_index(vj_build *b, vj_value index, const vj_view *map, int64_t extent) {
    vj_arena *arena = b->l->p->arena;
    const vj_dtype dtype = vj_dtype_at(b->l->f, index);
    int32_t at = vj_emit_value(b, index, map);
    if (at < 0) return -1;
    if (dtype != VJ_I64) at = vj_x(arena, b->k, VJ_X_CAST, VJ_I64, at, -1, -1);
    if (dtype != VJ_I64 && dtype != VJ_I32 && dtype != VJ_I16 && dtype != VJ_I8) return at;
    const int32_t zero = vj_x_const(arena, b->k, VJ_I64, 0), whole = vj_x_const(arena, b->k, VJ_I64, (double)extent);
    const int32_t below = vj_x(arena, b->k, VJ_X_LT, VJ_BOOL, at, zero, -1);
    return vj_x(arena, b->k, VJ_X_SELECT, VJ_I64, below, vj_x(arena, b->k, VJ_X_ADD, VJ_I64, at, whole, -1), at);
}

/* The data without the axis, which the term moves; -1: its address cannot be said so. */
static int32_t read_data(vj_build *b, const vj_view *data, const vj_view *map, int32_t axis, int32_t index) {
    vj_view still = *data;
    const vj_term term = {
        .kind = VJ_TERM_INDEX, .stride = vj_view_step(data, axis), .extent = data->dim[axis], .index = index};
    if (data->count[axis] > 1) return -1;
    still.count[axis] = 0;
    still.dim[axis] = 1;
    return vj_build_indexed(b, &still, map, &term);
}

bool vj_lower_gather(vj_lowering *l, const vj_node *node) {
    const gather_dims from = dims_of(l->f, node);
    vj_build *b = vj_build_new(l, VJ_KERNEL_NEST, "gather", node->origin);
    vj_chain chain = {.value = node->first_result};
    int64_t dims[VJ_MAX_RANK];
    int32_t same[VJ_MAX_RANK];
    int32_t rank = vj_image_dims(l->f, chain.value, dims);
    for (int32_t d = 0; d < rank; d++) {
        vj_point_dim(b, dims[d], VJ_GROUP_OUTER);
        same[d] = d;
    }
    if (!vj_points_ready(b)) return false;
    chain.map = vj_point_map(b, rank, dims, same);
    rank = vj_image_dims(l->f, node->args[1], dims);
    const vj_view index_map = vj_point_map(b, rank, dims, from.index);
    rank = vj_image_dims(l->f, node->args[0], dims);
    const int32_t index = emit_index(b, node->args[1], &index_map, dims[from.axis]);
    if (index < 0) return false;
    dims[from.axis] = 1;
    const vj_view data_map = vj_point_map(b, rank, dims, from.data);
    vj_view data;
    if (!vj_view_of(l, node->args[0], &data)) return false;
    int32_t access = read_data(b, &data, &data_map, from.axis, index);
    if (access < 0) {
        if (!vj_dense_view_of(l, node->args[0], &data)) return false;
        access = read_data(b, &data, &data_map, from.axis, index);
    }
    if (access < 0) return vj_lower_fail(l, node, "its elements cannot be addressed");
    chain.expr = vj_x_load(l->p->arena, b->k, vj_dtype_at(l->f, chain.value), access);
    return vj_finish_chain(b, chain);
}
