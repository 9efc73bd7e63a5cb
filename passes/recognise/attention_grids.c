/* SPDX-License-Identifier: Apache-2.0 */
/* attention_grids.c - scores and weights of an attention that are quantised and dequantised again: what the pass `fake_quantise` made of
 * them,
 *
 *     at_most(at_least(round(x), low), high)        a NaN becoming another number, if there is a select
 *
 * is a step of its grids. The numbers of a quantised attention's queries, keys, values and weights are whole and small, so that they
 * are the same in bf16, and so are the products: there they take half of the memory. */
#include "attention.h"

#include <math.h>

static bool number_beside(const vj_func *f, vj_value v, double *number) {
    return vj_is_uniform(f, vj_operand(f, v, 1), number);
}

/* v is select(x == x, x taken to a range, none). */
static vj_value without_none(const vj_func *f, vj_value v, double *none) {
    const vj_value is_number = vj_operand(f, v, 0);
    if (vj_op_of(f, v) != VJ_OP_select || vj_op_of(f, is_number) != VJ_OP_eq) return VJ_NONE;
    if (vj_operand(f, is_number, 0) != vj_operand(f, is_number, 1)) return VJ_NONE;
    return vj_is_uniform(f, vj_operand(f, v, 2), none) ? vj_operand(f, v, 1) : VJ_NONE;
}

vj_value vj_rounded_on_grid(const vj_func *f, vj_value v, vj_grid *grid) {
    double none = 0;
    const vj_value inside = without_none(f, v, &none), most = inside >= 0 ? inside : v;
    if (vj_op_of(f, most) != VJ_OP_at_most || !number_beside(f, most, &grid->high)) return VJ_NONE;
    const vj_value least = vj_operand(f, most, 0), whole = vj_operand(f, least, 0);
    if (vj_op_of(f, least) != VJ_OP_at_least || !number_beside(f, least, &grid->low)) return VJ_NONE;
    if (vj_op_of(f, whole) != VJ_OP_round || vj_type_at(f, whole)->dtype != VJ_F32) return VJ_NONE;
    if (inside >= 0 && vj_operand(f, vj_operand(f, v, 0), 0) != whole) return VJ_NONE;
    grid->none = inside >= 0 ? none : grid->low;
    grid->step = grid->size = 1;
    const vj_value x = vj_operand(f, whole, 0);
    return vj_type_equal(vj_type_at(f, x), vj_type_at(f, v)) ? x : VJ_NONE;
}

/* A division by the step is the grid's own. */
vj_value vj_divided_by_step(const vj_func *f, vj_value x, vj_grid *grid) {
    double step;
    if (vj_op_of(f, x) != VJ_OP_div || !number_beside(f, x, &step) || !(step > 0) || isinf(step)) return x;
    grid->step = step;
    return vj_operand(f, x, 0);
}

bool vj_reads_grid_alone(const vj_func *f, vj_value v) {
    double none;
    const vj_value inside = without_none(f, v, &none), most = inside >= 0 ? inside : v;
    const vj_value least = vj_operand(f, most, 0), whole = vj_operand(f, least, 0);
    /* besides, it is compared with itself */
    return vj_has_one_use(f, most) && vj_has_one_use(f, least) && vj_use_count(f, whole) == (inside >= 0 ? 3 : 1) &&
           vj_has_one_use(f, vj_operand(f, whole, 0));
}

/* Casts and sums, one behind the other. */
enum { MOST_STEPS = 24 };

/* Bounds of whole numbers: bytes, and what is rounded to a grid, less a whole number. */
static bool whole_range(const vj_func *f, vj_value v, int32_t steps, double *least, double *most) {
    vj_grid grid;
    double number;
    if (steps == 0) return false;
    if (vj_rounded_on_grid(f, v, &grid) >= 0) {
        *least = fmin(grid.low, grid.none);
        *most = fmax(grid.high, grid.none);
        return grid.none == nearbyint(grid.none) && grid.low == nearbyint(grid.low) &&
               grid.high == nearbyint(grid.high);
    }
    const vj_value x = vj_operand(f, v, 0);
    if (vj_op_of(f, v) == VJ_OP_cast) {
        const vj_dtype dtype = vj_type_at(f, x)->dtype;
        if (dtype == VJ_F32 || dtype == VJ_I32 || dtype == VJ_BF16) return whole_range(f, x, steps - 1, least, most);
        *least = dtype == VJ_U8 ? 0 : -128;
        *most = *least + 255;
        return vj_is_byte(dtype);
    }
    const bool is_sub = vj_op_of(f, v) == VJ_OP_sub;
    if ((!is_sub && vj_op_of(f, v) != VJ_OP_add) || !number_beside(f, v, &number) || number != nearbyint(number))
        return false;
    if (vj_op_of(f, x) != VJ_OP_cast || !whole_range(f, x, steps - 1, least, most)) return false;
    *least += is_sub ? -number : number;
    *most += is_sub ? -number : number;
    return true;
}

bool vj_is_small_whole(const vj_func *f, vj_value v) {
    double least, most;
    const vj_value source = vj_source_of_head(f, v);
    return vj_type_at(f, source)->dtype == VJ_F32 && whole_range(f, source, MOST_STEPS, &least, &most) &&
           least >= -VJ_EXACT_IN_BF16 && most <= VJ_EXACT_IN_BF16;
}

vj_value vj_in_bf16(vj_func *f, vj_value v) {
    vj_arena *scratch = vj_arena_scratch(f->arena);
    vj_value *moved = NULL; /* the movement ops' results, the lowest first */
    int32_t count = 0, capacity = 0;
    const vj_value source = vj_source_of_head(f, v);
    for (; v != source; v = vj_operand(f, v, 0))
        *VJ_PUSH(scratch, moved, count, capacity) = v;
    const vj_value before = vj_operand(f, source, 0);
    const bool was_bf16 = vj_op_of(f, source) == VJ_OP_cast && vj_type_at(f, before)->dtype == VJ_BF16;
    v = was_bf16 ? before : vj_make_cast(f, source, VJ_BF16, vj_producer(f, source)->origin);
    while (count > 0) {
        const vj_node node = *vj_producer(f, moved[--count]);
        v = vj_make(f, node.op, &v, 1, node.attrs, node.attr_count, node.origin);
    }
    vj_arena_free(scratch);
    return v;
}

static bool has_grids(const vj_node *node) {
    return !node->dead && node->op == VJ_OP_attention && node->arg_count > VJ_GRIDS_OPERAND;
}

enum { MOST_MOVES = 12 };

/* Whoever reads x reads `narrow`, the same in bf16: ops that move it move that, others widen it. Not the node `maker`. */
static void read_narrow(vj_func *f, vj_value x, vj_value narrow, int32_t maker, int32_t moves) {
    int32_t *users;
    vj_value wide = VJ_NONE;
    const int32_t count = vj_users(f, x, f->arena, &users);
    for (int32_t u = 0; u < count; u++) {
        const vj_node user = f->nodes[users[u]];
        if (users[u] == maker) continue;
        if (moves > 0 && (user.op == VJ_OP_reshape || user.op == VJ_OP_transpose || user.op == VJ_OP_slice)) {
            const vj_value moved = vj_make(f, user.op, &narrow, 1, user.attrs, user.attr_count, user.origin);
            read_narrow(f, user.first_result, moved, -1, moves - 1);
            continue;
        }
        if (wide < 0) wide = vj_make_cast(f, narrow, VJ_F32, user.origin);
        for (int32_t i = 0; i < user.arg_count; i++)
            if (user.args[i] == x) vj_set_operand(f, users[u], i, wide);
    }
}

void vj_share_bf16(vj_pass_context *c) {
    vj_func *f = c->f;
    bool any = false;
    for (int32_t n = 0; n < f->node_count; n++)
        any = any || has_grids(&f->nodes[n]);
    if (!any) return;
    vj_merge_equal_nodes(c); /* queries, keys and values are moved from one tensor */
    const int32_t end = f->node_count;
    for (int32_t n = 0; n < end; n++)
        for (int32_t i = 0; i < 3 && has_grids(&f->nodes[n]); i++) {
            const vj_value narrow = vj_source_of_head(f, f->nodes[n].args[i]), x = vj_operand(f, narrow, 0);
            if (vj_op_of(f, narrow) != VJ_OP_cast || vj_type_at(f, narrow)->dtype != VJ_BF16) continue;
            if (!vj_is_small_whole(f, x) || vj_use_count(f, x) < 2) continue;
            if (!vj_may_rewrite(c, "shared_in_bf16", &f->nodes[n])) return;
            read_narrow(f, x, narrow, (int32_t)(vj_producer(f, narrow) - f->nodes), MOST_MOVES);
        }
    vj_compact(f);
}

static vj_value number(vj_func *f, double x) { return vj_add_const_f64(f, VJ_F32, 0, NULL, &x); }

vj_value vj_make_on_grid(vj_func *f, vj_value v, const vj_grid *grid, const vj_origin *origin) {
    if (grid->step == 0) return v;
    if (grid->step != 1) v = vj_make_binary(f, VJ_OP_div, v, number(f, grid->step), origin);
    const vj_value whole = vj_make(f, VJ_OP_round, &v, 1, NULL, 0, origin);
    v = vj_make_binary(f, VJ_OP_at_least, whole, number(f, grid->low), origin);
    v = vj_make_binary(f, VJ_OP_at_most, v, number(f, grid->high), origin);
    if (grid->none != grid->low) {
        const vj_value args[] = {vj_make_binary(f, VJ_OP_eq, whole, whole, origin), v, number(f, grid->none)};
        v = vj_make(f, VJ_OP_select, args, 3, NULL, 0, origin);
    }
    return grid->size == 1 ? v : vj_make_binary(f, VJ_OP_mul, v, number(f, grid->size), origin);
}

vj_value vj_make_grids(vj_func *f, const vj_grid *grids, int32_t count) {
    double numbers[VJ_MOST_GRIDS * VJ_GRID_NUMBERS];
    for (int32_t i = 0; i < count; i++) {
        const double row[] = {grids[i].step, grids[i].low, grids[i].high, grids[i].none, grids[i].size};
        for (int32_t n = 0; n < VJ_GRID_NUMBERS; n++)
            numbers[i * VJ_GRID_NUMBERS + n] = row[n];
    }
    const int64_t dims[] = {count, VJ_GRID_NUMBERS};
    return vj_add_const_f64(f, VJ_F32, 2, dims, numbers);
}
