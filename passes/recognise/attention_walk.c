/* SPDX-License-Identifier: Apache-2.0 */
/* attention_walk.c - what stands between the product of q and k and the product with v: the softmax, factors, biases,
 * masks, movement ops, grids. The walk goes upwards and notes what each does in the attention's own axes. */
#include "attention.h"

#include <math.h>

/* No score reaches half a unit in the last place of such a number: added to a score it is the number itself. */
#define ABSORBS (-1e30)
/* Ops between the softmax and the product. */
enum { LONGEST_WAY = 16 };

static bool is_movement_of_scores(vj_op op) { return op == VJ_OP_reshape || op == VJ_OP_transpose; }

/* Is there a product of activations (or of weights too, unless `strict`) above v? */
static bool is_above(const vj_func *f, vj_value v, bool strict, int32_t steps, int32_t grids) {
    double x;
    vj_grid grid;
    if (v < 0 || steps == 0) return false;
    const vj_value inside = vj_rounded_on_grid(f, v, &grid);
    if (inside >= 0 && grids > 0) return is_above(f, vj_divided_by_step(f, inside, &grid), strict, steps, grids - 1);
    const vj_value a = vj_operand(f, v, 0), b = vj_operand(f, v, 1);
    switch (vj_op_of(f, v)) {
    case VJ_OP_matmul:
        return !strict || (!vj_is_weight(f, a) && !vj_is_weight(f, b));
    case VJ_OP_div:
        return is_above(f, a, strict, steps - 1, grids);
    case VJ_OP_sub:
    case VJ_OP_mul:
    case VJ_OP_add:
        if (vj_is_uniform(f, b, &x)) return is_above(f, a, strict, steps - 1, grids);
        return is_above(f, a, strict, steps - 1, grids) || is_above(f, b, strict, steps - 1, grids);
    case VJ_OP_select:
        return is_above(f, b, strict, steps - 1, grids) || is_above(f, vj_operand(f, v, 2), strict, steps - 1, grids);
    case VJ_OP_neg:
    case VJ_OP_reshape:
    case VJ_OP_transpose:
        return is_above(f, a, strict, steps - 1, grids);
    default:
        return false;
    }
}

static bool leads_to_product(const vj_func *f, vj_value v, bool strict) {
    return is_above(f, v, strict, LONGEST_WAY, VJ_MOST_GRIDS);
}

/* Which of a node's operands holds the scores? Of two that do, the one that is not broadcast. -1: none. */
static int32_t side_of_scores(const vj_func *f, vj_value v, int32_t first, int32_t second) {
    const vj_type *type = vj_type_at(f, v);
    for (int32_t strict = 1; strict >= 0; strict--) {
        int32_t found = -1;
        for (int32_t side = second; side >= first; side -= second > first ? second - first : 1) {
            const vj_value operand = vj_operand(f, v, side);
            if (!leads_to_product(f, operand, strict != 0)) continue;
            if (found < 0 || vj_type_equal(vj_type_at(f, operand), type)) found = side;
        }
        if (found >= 0) return found;
    }
    return -1;
}

static bool stop(vj_scores *s, const char *reason) {
    s->reason = reason;
    return false;
}

static vj_value number_like(vj_func *f, vj_value like, double x) {
    return vj_add_const_f64(f, vj_type_at(f, like)->dtype, 0, NULL, &x);
}

static vj_value scaled(vj_func *f, vj_value v, double factor) {
    return factor == 1 ? v : vj_make_binary(f, VJ_OP_mul, v, number_like(f, v, factor), NULL);
}

static bool add_bias(vj_scores *s, vj_value bias, double sign) {
    bias = vj_bring_down(s->f, &s->moves, bias);
    if (bias < 0) return stop(s, "a bias in another grouping of the axes");
    bias = scaled(s->f, bias, s->scale * sign);
    if (s->factor >= 0) bias = vj_make_binary(s->f, VJ_OP_mul, bias, s->factor, NULL);
    s->bias = s->bias < 0 ? bias : vj_make_binary(s->f, VJ_OP_add, s->bias, bias, NULL);
    return true;
}

/* One number for each query, or for each key: it can be multiplied into q, or k. */
static bool add_factor(vj_scores *s, vj_value factor, bool divides) {
    vj_func *f = s->f;
    factor = vj_bring_down(f, &s->moves, factor);
    if (factor < 0) return stop(s, "a factor in another grouping of the axes");
    if (divides) factor = vj_make(f, VJ_OP_reciprocal, &factor, 1, NULL, 0, NULL);
    s->factor = s->factor < 0 ? factor : vj_make_binary(f, VJ_OP_mul, s->factor, factor, NULL);
    const vj_type *type = vj_type_at(f, s->factor);
    const bool of_queries = type->rank < 1 || vj_dim_equal(vj_last_dim(type), vj_dim_const(1));
    const bool of_keys = type->rank < 2 || vj_dim_equal(type->dims[type->rank - 2], vj_dim_const(1));
    return of_queries || of_keys || stop(s, "its scores are multiplied by a number for every query and key");
}

/* select(condition, scores, fill), or with the scores second. */
static bool add_mask(vj_scores *s, vj_value select, bool scores_when_true) {
    vj_func *f = s->f;
    double fill;
    vj_value keep = vj_operand(f, select, 0);
    if (!vj_is_uniform(f, vj_operand(f, select, scores_when_true ? 2 : 1), &fill) || isnan(fill))
        return stop(s, "its mask puts values that differ");
    if (s->scale > 0 && s->factor < 0 && fill * s->scale <= ABSORBS) {
        const vj_value kept = number_like(f, select, 0), cut = number_like(f, select, fill);
        const vj_value args[] = {keep, scores_when_true ? kept : cut, scores_when_true ? cut : kept};
        return add_bias(s, vj_make(f, VJ_OP_select, args, 3, NULL, 0, NULL), 1);
    }
    if (s->bias >= 0 || s->factor >= 0) return stop(s, "a bias or factor behind a mask that puts a finite number");
    if (s->keep >= 0 && s->fill != fill * s->scale) return stop(s, "two masks that put different numbers");
    if (!scores_when_true) keep = vj_make(f, VJ_OP_not, &keep, 1, NULL, 0, NULL);
    keep = vj_bring_down(f, &s->moves, keep);
    if (keep < 0) return stop(s, "a mask in another grouping of the axes");
    s->keep = s->keep < 0 ? keep : vj_make_binary(f, VJ_OP_and, s->keep, keep, NULL);
    s->fill = fill * s->scale;
    return true;
}

static bool pass_movement(vj_scores *s, vj_value v) {
    const vj_node *node = vj_producer(s->f, v);
    const vj_type from = *vj_type_at(s->f, node->args[0]), to = *vj_type_at(s->f, v);
    const bool passed = node->op == VJ_OP_reshape
                            ? vj_pass_reshape(&s->moves, &from, &to)
                            : vj_pass_transpose(&s->moves, &from, vj_attr_find(node, VJ_ATTR_PERM)->as.ints, &to);
    return passed || stop(s, "too many movement ops on the way to its scores");
}

/* Why the walk ends at an op that it does not know. */
static const char *why_not(const vj_func *f, vj_value v) {
    switch (vj_op_of(f, v)) {
    case VJ_OP_linear:
    case VJ_OP_conv:
        return leads_to_product(f, vj_operand(f, v, 0), true)
                   ? "its scores are mixed across heads by weights (talking heads)"
                   : "its scores are a product with weights, not of queries and keys";
    case VJ_OP_tanh:
        return "its scores pass through tanh (a soft cap)";
    case VJ_OP_min:
    case VJ_OP_max:
        return "its scores are cut off at a number";
    default:
        return "its scores are not a product with factors, biases and masks";
    }
}

/* Scores that are rounded: what stands below the grid is its size and its addend. */
static bool pass_grid(vj_scores *s, const vj_grid *grid) {
    if (s->keep >= 0 || s->factor >= 0) return stop(s, "a mask or a factor behind the rounding of its scores");
    if (s->grids == VJ_MOST_GRIDS - 1) return stop(s, "its scores are rounded too many times");
    s->grid[s->grids] = *grid;
    s->grid[s->grids].size = s->scale;
    s->addend[s->grids++] = s->bias;
    s->scale = 1;
    s->bias = VJ_NONE;
    return true;
}

/* One step up from v, which is not the product. */
static bool step_up(vj_scores *s, vj_value *v) {
    vj_func *f = s->f;
    const vj_op op = vj_op_of(f, *v);
    const vj_value a = vj_operand(f, *v, 0), b = vj_operand(f, *v, 1);
    double x;
    vj_grid grid;
    const vj_value inside = vj_rounded_on_grid(f, *v, &grid);
    if (inside >= 0) {
        *v = vj_divided_by_step(f, inside, &grid);
        return pass_grid(s, &grid);
    }
    if (is_movement_of_scores(op)) {
        if (!pass_movement(s, *v)) return false;
        *v = a;
        return true;
    }
    if (op == VJ_OP_neg) {
        s->scale = -s->scale;
        *v = a;
        return true;
    }
    const bool is_select = op == VJ_OP_select, is_div = op == VJ_OP_div;
    if (!is_select && !is_div && op != VJ_OP_mul && op != VJ_OP_add && op != VJ_OP_sub) return stop(s, why_not(f, *v));
    const int32_t first = is_select, side = side_of_scores(f, *v, first, is_div ? first : first + 1);
    if (side < 0) return stop(s, why_not(f, a));
    const vj_value scores = vj_operand(f, *v, side), other = side == first ? vj_operand(f, *v, first + 1) : a;
    const vj_value at = *v;
    *v = scores;
    switch (op) {
    case VJ_OP_select:
        return add_mask(s, at, side == 1);
    case VJ_OP_add:
        return add_bias(s, other, 1);
    case VJ_OP_sub:
        if (side == 0) return add_bias(s, b, -1);
        if (!add_bias(s, a, 1)) return false;
        s->scale = -s->scale;
        return true;
    default:
        if (!vj_is_uniform(f, other, &x)) return add_factor(s, other, is_div);
        if (is_div && x == 0) return stop(s, "its scores are divided by 0");
        s->scale = is_div ? s->scale / x : s->scale * x;
        return true;
    }
}

/* The product of which NaN is replaced by 0: select(isnan(w), 0, w), in either order; VJ_NONE: that is not it. */
static vj_value without_guard(const vj_func *f, vj_value v) {
    double x;
    if (vj_op_of(f, v) != VJ_OP_select) return VJ_NONE;
    vj_value condition = vj_operand(f, v, 0), weights = vj_operand(f, v, 1), zero = vj_operand(f, v, 2);
    if (vj_op_of(f, condition) == VJ_OP_not) {
        condition = vj_operand(f, condition, 0);
        zero = weights;
        weights = vj_operand(f, v, 2);
    }
    const bool is_guard = vj_op_of(f, condition) == VJ_OP_eq && vj_operand(f, condition, 0) == weights &&
                          vj_operand(f, condition, 1) == weights && vj_is_uniform(f, zero, &x) && x == 0;
    return is_guard ? weights : VJ_NONE;
}

/* Readers of v other than those of its guard against NaN. */
static bool has_other_readers(const vj_func *f, vj_value v, bool is_guarded) {
    return vj_use_count(f, v) != (is_guarded ? 3 : 1);
}

/* One step up from weights, through what does not move them: the grid that they are on, and in front of it and behind it factors.
 * VJ_NONE: there is none. */
static vj_value above_weights(vj_scores *s, vj_value v) {
    const vj_func *f = s->f;
    const vj_op op = vj_op_of(f, v);
    const vj_value inside = s->rounds_weights ? VJ_NONE : vj_rounded_on_grid(f, v, &s->weights);
    double x;
    if (inside >= 0) {
        s->rounds_weights = true;
        return inside;
    }
    if ((op != VJ_OP_mul && op != VJ_OP_div) || !vj_is_uniform(f, vj_operand(f, v, 1), &x) || !(x > 0) || isinf(x))
        return VJ_NONE;
    if (!s->rounds_weights)
        s->factor_of_weights *= op == VJ_OP_mul ? x : 1 / x;
    else
        s->weights.step *= op == VJ_OP_mul ? 1 / x : x;
    return vj_operand(f, v, 0);
}

/* Without a grid weights that are multiplied are others. */
static bool is_moved_softmax(const vj_scores *s, vj_value v) {
    const vj_func *f = s->f;
    vj_scores probe = *s;
    for (int32_t steps = 0; steps < LONGEST_WAY; steps++) {
        const vj_value guarded = without_guard(f, v);
        if (guarded >= 0) v = guarded;
        const vj_value up = is_movement_of_scores(vj_op_of(f, v)) ? vj_operand(f, v, 0) : above_weights(&probe, v);
        if (up < 0) return vj_op_of(f, v) == VJ_OP_softmax && (probe.rounds_weights || probe.factor_of_weights == 1);
        v = up;
    }
    return false;
}

/* Up to the softmax. */
static bool find_softmax(vj_scores *s, vj_value v) {
    static const char kept[] = "its weights are kept, as they are used elsewhere too";
    const vj_func *f = s->f;
    if (!is_moved_softmax(s, v)) return stop(s, NULL);
    for (vj_value up;; v = up) {
        vj_grid grid;
        const vj_value guarded = without_guard(f, v);
        if (has_other_readers(f, v, false) || (guarded >= 0 && has_other_readers(f, guarded, true)))
            return stop(s, kept);
        if (guarded >= 0) v = guarded;
        s->empty_is_zero = s->empty_is_zero || guarded >= 0;
        if (vj_op_of(f, v) == VJ_OP_softmax) break;
        const bool is_grid = vj_rounded_on_grid(f, v, &grid) >= 0;
        if (is_grid && !vj_reads_grid_alone(f, v)) return stop(s, kept);
        up = is_movement_of_scores(vj_op_of(f, v)) ? vj_operand(f, v, 0) : above_weights(s, v);
        if (is_movement_of_scores(vj_op_of(f, v)) && !pass_movement(s, v)) return false;
    }
    s->softmax = v;
    return !(s->empty_is_zero && s->rounds_weights) || stop(s, "its weights are rounded, and guarded against NaN");
}

/* Which of the softmax's axes are the attention's keys? Behind a reshape of the weights it must stay an axis. */
static bool sums_over_keys(vj_scores *s) {
    const vj_node *softmax = vj_producer(s->f, s->softmax);
    const vj_type *type = vj_type_at(s->f, s->softmax);
    int32_t axis = (int32_t)vj_attr_int(softmax, VJ_ATTR_AXIS, 0);
    vj_value probe = s->softmax;
    const int32_t below = s->moves.count ? s->moves.at[0].to.rank : type->rank;
    if (s->moves.count && vj_bring_operand_down(s->f, &s->moves, probe, type->rank, &axis) < 0)
        return stop(s, "its weights are grouped in another way behind the softmax");
    return axis == below - 1 || stop(s, "the softmax is not over what the product with v sums over");
}

bool vj_walk_up(vj_scores *s, vj_value weights) {
    if (!find_softmax(s, weights) || !sums_over_keys(s)) return false;
    vj_value v = vj_operand(s->f, s->softmax, 0);
    for (int32_t steps = 0, grids = 0; vj_op_of(s->f, v) != VJ_OP_matmul; steps++) {
        if (steps == LONGEST_WAY || !step_up(s, &v))
            return s->reason ? false : stop(s, "its scores are too far from a product");
        if (s->grids > grids) steps = 0; /* they take a few each */
        grids = s->grids;
    }
    if (s->empty_is_zero && s->grids > 0) return stop(s, "its scores are rounded, and its weights guarded against NaN");
    s->product = v;
    return true;
}
