/* SPDX-License-Identifier: Apache-2.0 */
/* attention.c - softmax(q k^T * scale + bias) v becomes one node. The search starts at the product with v and goes up
 * (attention_walk.c) through the softmax, factors, biases, masks and movement ops to the product of q and k. Factors on
 * q and on k, in front of movement ops too, are found and taken out. Splitting and merging heads stays as movement ops
 * around the node. */
#include "attention.h"

#include <math.h>

static bool is_plain_movement(vj_op op) { return op == VJ_OP_reshape || op == VJ_OP_transpose || op == VJ_OP_slice; }

/* Is v a product with one number? Then what is multiplied, of the same type; else VJ_NONE. */
static vj_value scaled_by(const vj_func *f, vj_value v, double *factor) {
    const vj_op op = vj_op_of(f, v);
    const vj_value a = vj_operand(f, v, 0), b = vj_operand(f, v, 1);
    vj_value rest = VJ_NONE;
    if (op == VJ_OP_mul && vj_is_uniform(f, b, factor))
        rest = a;
    else if (op == VJ_OP_mul && vj_is_uniform(f, a, factor))
        rest = b;
    else if (op == VJ_OP_div && vj_is_uniform(f, b, factor) && *factor != 0)
        rest = a, *factor = 1 / *factor;
    return rest >= 0 && vj_type_equal(vj_type_at(f, rest), vj_type_at(f, v)) ? rest : VJ_NONE;
}

/* v without the factors on the way up to its source through movement ops; *scale takes them. Movement ops below a factor
 * are made anew. */
static vj_value without_factor(vj_func *f, vj_value v, double *scale) {
    vj_arena *scratch = vj_arena_scratch(f->arena);
    vj_value *moved = NULL; /* the movement ops' results, the lowest first */
    int32_t count = 0, capacity = 0;
    for (bool is_on_way = true; is_on_way;) {
        double factor;
        const vj_value rest = scaled_by(f, v, &factor);
        if (rest >= 0) *scale *= factor;
        is_on_way = rest >= 0 || is_plain_movement(vj_op_of(f, v));
        if (rest < 0 && is_on_way) *VJ_PUSH(scratch, moved, count, capacity) = v;
        if (is_on_way) v = rest >= 0 ? rest : vj_operand(f, v, 0);
    }
    while (count > 0) {
        const vj_value below = moved[--count];
        const vj_node node = *vj_producer(f, below);
        v = v == node.args[0] ? below : vj_make(f, node.op, &v, 1, node.attrs, node.attr_count, node.origin);
    }
    vj_arena_free(scratch);
    return v;
}

/* A scale that is 1 / sqrt(head dim) but for the rounding of its parts to float is meant to be that. */
static double meant_scale(double scale, int64_t head_dim) {
    double ideal = 1 / sqrt((double)head_dim);
    return fabs(scale - ideal) <= 4 * 0x1p-24 * ideal ? ideal : scale;
}

/* The operands of the product as q [.., I, D] and k [.., J, D] in the attention's axes. */
static bool queries_and_keys(vj_scores *s, vj_value *q, vj_value *k) {
    vj_func *f = s->f;
    vj_value a = vj_operand(f, s->product, 0), b = vj_operand(f, s->product, 1);
    if (vj_type_at(f, a)->rank < 2 || vj_type_at(f, b)->rank < 2) {
        s->reason = "its operands are vectors";
        return false;
    }
    const int32_t rank = vj_type_at(f, s->product)->rank;
    const int32_t below = s->moves.count ? s->moves.at[0].to.rank : rank;
    int32_t depth_of_a = rank - 1, depth_of_b = rank - 2;
    a = vj_bring_operand_down(f, &s->moves, a, rank, &depth_of_a);
    b = vj_bring_operand_down(f, &s->moves, b, rank, &depth_of_b);
    const bool straight = depth_of_a == below - 1 && depth_of_b == below - 2;
    const bool transposed = depth_of_a == below - 2 && depth_of_b == below - 1;
    if (a < 0 || b < 0 || !(straight || transposed)) {
        s->reason = "its scores are grouped in another way than its weights";
        return false;
    }
    a = without_factor(f, a, &s->scale);
    b = without_factor(f, b, &s->scale);
    *q = straight ? a : b;
    *k = vj_swap_last(f, straight ? b : a);
    return true;
}

/* Multiplies the factor into q, or into k when it differs from key to key. */
static void take_factor(vj_scores *s, vj_value *q, vj_value *k) {
    vj_func *f = s->f;
    if (s->factor < 0) return;
    const vj_type *type = vj_type_at(f, s->factor);
    if (type->rank < 1 || vj_dim_equal(vj_last_dim(type), vj_dim_const(1))) {
        *q = vj_make_binary(f, VJ_OP_mul, *q, s->factor, NULL);
        return;
    }
    vj_dim dims[VJ_MAX_RANK];
    int32_t rank = type->rank < 2 ? 2 : type->rank;
    for (int32_t i = 0; i < rank; i++)
        dims[i] = i < type->rank - 2 ? type->dims[i] : vj_dim_const(1);
    dims[rank - 2] = vj_last_dim(type);
    *k = vj_make_binary(f, VJ_OP_mul, *k, vj_make_reshape(f, s->factor, rank, dims, NULL), NULL);
}

/* Rows with nothing but -inf give 0 where the weights were guarded against NaN. */
static vj_value with_empty_rows(vj_scores *s, vj_value attention) {
    vj_func *f = s->f;
    double least = -INFINITY, zero = 0;
    if (!s->empty_is_zero || s->bias < 0) return attention;
    const vj_type *type = vj_type_at(f, s->bias);
    const vj_dtype dtype = type->dtype;
    if (type->rank < 1) return attention;
    const int64_t axis = type->rank - 1;
    const vj_attr attrs[] = {vj_ints(VJ_ATTR_AXES, &axis, 1), vj_int(VJ_ATTR_KEEP, 1), vj_name(VJ_ATTR_KIND, "max")};
    const vj_value most = vj_make(f, VJ_OP_reduce, &s->bias, 1, attrs, 3, NULL);
    const vj_value nothing = vj_add_const_f64(f, dtype, 0, NULL, &least);
    const vj_value looks = vj_make_binary(f, VJ_OP_lt, nothing, most, NULL);
    const vj_value args[] = {looks, attention, vj_add_const_f64(f, dtype, 0, NULL, &zero)};
    return vj_make(f, VJ_OP_select, args, 3, NULL, 0, NULL);
}

static bool has_grids(const vj_scores *s) { return s->grids > 0 || s->rounds_weights; }

/* The operands behind the mask; returns how many there are in all. */
static int32_t take_grids(const vj_scores *s, vj_value *args) {
    vj_grid grids[VJ_MOST_GRIDS];
    int32_t count = VJ_FIRST_ADDEND;
    for (int32_t i = 0; i < s->grids; i++) {
        grids[i] = s->grid[s->grids - 1 - i];
        args[VJ_FIRST_ADDEND + i] = s->addend[s->grids - 1 - i];
        if (args[VJ_FIRST_ADDEND + i] >= 0) count = VJ_FIRST_ADDEND + i + 1;
    }
    grids[s->grids] = s->rounds_weights ? s->weights : (vj_grid){.size = 1};
    args[VJ_GRIDS_OPERAND] = vj_make_grids(s->f, grids, s->grids + 1);
    return count;
}

/* Whole numbers that bf16 holds, and whose sums f32 holds as before. */
static void multiply_in_bf16(const vj_scores *s, vj_value *args) {
    const double most = fmax(fmax(fabs(s->weights.low), fabs(s->weights.high)), fabs(s->weights.none));
    if (!s->rounds_weights || most > VJ_EXACT_IN_BF16) return;
    for (int32_t i = 0; i < 3; i++)
        if (!vj_is_small_whole(s->f, args[i])) return;
    for (int32_t i = 0; i < 3; i++)
        args[i] = vj_in_bf16(s->f, args[i]);
}

static vj_value add_attention(vj_scores *s, vj_value q, vj_value k, vj_value v, const vj_origin *origin) {
    vj_func *f = s->f;
    take_factor(s, &q, &k);
    vj_attr attrs[2] = {vj_float(VJ_ATTR_SCALE, meant_scale(s->scale, vj_last_dim(vj_type_at(f, q)).c)),
                        vj_float(VJ_ATTR_VALUE, s->fill)};
    vj_value args[VJ_FIRST_ADDEND + VJ_MOST_GRIDS] = {q, k, v, s->bias, s->keep};
    const int32_t count = has_grids(s) ? take_grids(s, args) : s->keep >= 0 ? 5 : s->bias >= 0 ? 4 : 3;
    double factor = 1;
    if (has_grids(s)) {
        args[2] = without_factor(f, v, &factor);
        factor *= s->factor_of_weights;
        multiply_in_bf16(s, args);
    }
    vj_error error = {0};
    vj_value made = vj_add_node(f, VJ_OP_attention, args, count, attrs, s->keep >= 0 ? 2 : 1, origin, &error);
    if (made >= 0 && factor != 1)
        made = vj_make_binary(f, VJ_OP_mul, made, vj_add_const_f64(f, VJ_F32, 0, NULL, &factor), origin);
    return made < 0 ? made : with_empty_rows(s, made);
}

/* Node n as an attention whose weights are its left operand, or, `transposed`, its right one: (v^T w^T) is (w v)^T. */
static vj_value attention_from(vj_func *f, int32_t n, bool transposed, const char **reason) {
    const vj_node node = f->nodes[n];
    const vj_value weights = node.args[transposed ? 1 : 0];
    vj_value v = node.args[transposed ? 0 : 1], q, k;
    const vj_type type = *vj_type_at(f, weights);
    vj_scores s = {.f = f, .scale = 1, .factor = VJ_NONE, .bias = VJ_NONE, .keep = VJ_NONE, .factor_of_weights = 1};
    if (type.rank < 2 || vj_type_at(f, v)->rank < 2) return VJ_NONE;
    if (transposed) {
        vj_type to = type;
        int64_t perm[VJ_MAX_RANK];
        for (int32_t i = 0; i < type.rank; i++) {
            perm[i] = i < type.rank - 2 ? i : 2 * type.rank - 3 - i;
            to.dims[i] = type.dims[perm[i]];
        }
        vj_pass_transpose(&s.moves, &type, perm, &to);
        v = vj_swap_last(f, v);
    }
    vj_value made = VJ_NONE;
    if (vj_walk_up(&s, weights) && queries_and_keys(&s, &q, &k)) {
        made = add_attention(&s, q, k, v, vj_producer(f, s.softmax)->origin);
        if (made >= 0 && transposed) made = vj_swap_last(f, made);
        if (made >= 0 && vj_type_equal(vj_type_at(f, made), vj_type_at(f, node.first_result))) return made;
        s.reason = "its operands do not fit together";
    }
    if (s.reason) *reason = s.reason;
    return VJ_NONE;
}

/* *reason stays NULL where there is no softmax to begin with. */
static vj_value attention_at(vj_func *f, int32_t n, const char **reason) {
    *reason = NULL;
    if (f->nodes[n].op != VJ_OP_matmul) return VJ_NONE;
    const vj_value made = attention_from(f, n, false, reason);
    return made >= 0 ? made : attention_from(f, n, true, reason);
}

static vj_value rewrite(vj_pass_context *c, int32_t n) {
    const char *reason;
    return attention_at(c->f, n, &reason);
}

vj_status vj_pass_attention(vj_pass_context *c) {
    vj_apply_rules(c, NULL, 0, rewrite, "attention");
    vj_share_bf16(c);
    return c->error->status;
}

/* The report: what became of a softmax that is no part of an attention */

/* Ops that weights pass through on their way to values. */
static bool carries_weights(const vj_node *node) {
    const uint32_t flags = vj_op_table(node->op)->flags;
    return node->op != VJ_OP_concat && (flags & (VJ_FLAG_ELEMENTWISE | VJ_FLAG_MOVEMENT)) != 0;
}

enum { MOST_STEPS = 10 };

/* Does the node divide by a number that is computed? */
static bool divides_by_computed(const vj_func *f, const vj_node *node) {
    int64_t count;
    return node->op == VJ_OP_div && !vj_is_weight(f, node->args[1]) &&
           vj_type_elements(f, vj_type_at(f, node->args[1]), &count) && count == 1;
}

/* The product of two activations that v feeds; *mixed: past ops that change the weights. */
static int32_t product_behind(const vj_func *f, vj_value v, int32_t steps, const char **mixed) {
    int32_t *users;
    const int32_t count = vj_users(f, v, f->arena, &users);
    for (int32_t u = 0; u < count; u++) {
        const vj_node *node = &f->nodes[users[u]];
        if (node->op == VJ_OP_matmul) return users[u];
        const bool mixes = node->op == VJ_OP_linear || node->op == VJ_OP_conv;
        if (steps == 0 || !(mixes || carries_weights(node))) continue;
        const int32_t found = product_behind(f, node->first_result, steps - 1, mixed);
        if (found < 0) continue;
        if (mixes)
            *mixed = "its weights are mixed across heads by weights (talking heads)";
        else if (divides_by_computed(f, node))
            *mixed = "its weights are quantised by a scale that is found over all of them when it runs";
        else if (!*mixed && (vj_op_table(node->op)->flags & VJ_FLAG_ELEMENTWISE))
            *mixed = "its weights are changed between the softmax and the product with v";
        return found;
    }
    return -1;
}

bool vj_why_no_attention(vj_func *f, vj_value softmax, const char **reason) {
    const char *mixed = NULL;
    const int32_t n = product_behind(f, softmax, MOST_STEPS, &mixed);
    if (n < 0) return false;
    attention_at(f, n, reason);
    if (!*reason) *reason = mixed ? mixed : "no product reads its weights alone";
    return true;
}
