/* lower_gather.c - a gather of activations by constant indices becomes movement: a slice for each evenly spaced run of
 * indices, joined. When there are too many runs, each element is picked by a constant mask. */
#include "lower.h"

#include <string.h>

enum { MOST_RUNS = 64, MOST_MASK = 1 << 22 };

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

/* [P, L, R] with L indexed by a list of Q: the sum over L of [P, 1, L, R] where a mask [1, Q, L, 1] says so. */
static vj_value picked(vj_func *f, vj_value x, int32_t axis, const int64_t *list, int64_t count,
                       const vj_origin *origin) {
    const vj_type type = *vj_type_at(f, x);
    const int64_t length = type.dims[axis].c, dims[4] = {1, count, length, 1};
    vj_dim apart[4] = {vj_dim_const(1), vj_dim_const(1), type.dims[axis], vj_dim_const(1)};
    for (int32_t d = 0; d < type.rank; d++) {
        if (d == axis) continue;
        vj_dim *to = &apart[d < axis ? 0 : 3];
        to->c *= type.dims[d].c;
        if (type.dims[d].sym) to->sym = type.dims[d].sym;
    }
    int64_t *mask = VJ_NEW_ARRAY(f->arena, int64_t, count *length + 1);
    for (int64_t i = 0; i < count; i++)
        mask[i * length + list[i]] = 1;
    const double zero = 0;
    const vj_value none = vj_dtype_is_float(type.dtype) ? vj_add_const_f64(f, type.dtype, 0, NULL, &zero)
                                                        : vj_add_const_i64(f, type.dtype, 0, NULL, &(int64_t){0});
    const vj_value here = vj_add_const_i64(f, VJ_BOOL, 4, dims, mask);
    const vj_value data = vj_make_reshape(f, x, 4, apart, origin);
    const vj_value kept = vj_make(f, VJ_OP_select, (vj_value[]){here, data, none}, 3, NULL, 0, origin);
    const int64_t over = 2;
    const vj_attr attrs[] = {vj_ints(VJ_ATTR_AXES, &over, 1), vj_int(VJ_ATTR_KEEP, 0), vj_name(VJ_ATTR_KIND, "sum")};
    return vj_make(f, VJ_OP_reduce, &kept, 1, attrs, 3, origin);
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
        if (list[i] < 0 || list[i] >= vj_type_at(f, x)->dims[axis].c) {
            vj_fail(c->error, VJ_BAD_INPUT, "node '%s': an index is out of range", vj_node_label(f, &node));
            return false;
        }
    const int32_t made = runs_of(list, count, runs, MOST_RUNS);
    if (made == 1) return true; /* a view */
    int64_t mask;
    if (!made && (!vj_mul(count, vj_type_at(f, x)->dims[axis].c, &mask) || mask > MOST_MASK ||
                  vj_type_at(f, x)->dtype == VJ_BOOL))
        return true;
    const vj_value y =
        made ? joined_runs(f, x, axis, runs, made, node.origin) : picked(f, x, axis, list, count, node.origin);
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
