/* attention.c - softmax(q k^T * scale + bias) v becomes one node. The search starts at the softmax: upwards through
 * factors, biases and masks to the product of q and k, downwards to the product with v. Factors on q and on k, in front
 * of movement ops too, are found and taken out. Splitting and merging heads stays as movement ops around the node. */
#include "internal.h"

#include <math.h>

/* What stands between the product of q and k and the softmax. */
typedef struct scores {
    vj_func *f;
    vj_value product;
    double scale;
    vj_value bias; /* in the terms of the softmax's operand */
    const char *reason;
} scores;

static bool is_negative_infinity(const vj_func *f, vj_value v) {
    double x;
    return vj_is_uniform(f, v, &x) && x == -INFINITY;
}

static vj_value scaled(vj_func *f, vj_value v, double factor) {
    if (factor == 1) return v;
    vj_value c = vj_add_const_f64(f, vj_type_at(f, v)->dtype, 0, NULL, &factor);
    return vj_make_binary(f, VJ_OP_mul, v, c, NULL);
}

static bool leads_to_product(const vj_func *f, vj_value v) {
    double x;
    switch (vj_op_of(f, v)) {
    case VJ_OP_matmul:
        return true;
    case VJ_OP_div:
        return vj_is_uniform(f, vj_operand(f, v, 1), &x) && leads_to_product(f, vj_operand(f, v, 0));
    case VJ_OP_mul:
    case VJ_OP_add:
        return leads_to_product(f, vj_operand(f, v, 0)) || leads_to_product(f, vj_operand(f, v, 1));
    case VJ_OP_sub:
        return leads_to_product(f, vj_operand(f, v, 0));
    case VJ_OP_select:
        return leads_to_product(f, vj_operand(f, v, 1)) || leads_to_product(f, vj_operand(f, v, 2));
    default:
        return false;
    }
}

static void add_bias(scores *s, vj_value bias, double factor) {
    bias = scaled(s->f, bias, factor);
    s->bias = s->bias < 0 ? bias : vj_make_binary(s->f, VJ_OP_add, s->bias, bias, NULL);
}

/* select(keep, scores, -inf) adds 0 where it keeps and -inf elsewhere. */
static vj_value mask_as_bias(vj_func *f, vj_value select, bool scores_when_true) {
    double zero = 0, least = -INFINITY;
    vj_dtype dtype = vj_type_at(f, select)->dtype;
    vj_value kept = vj_add_const_f64(f, dtype, 0, NULL, &zero), cut = vj_add_const_f64(f, dtype, 0, NULL, &least);
    vj_value args[] = {vj_operand(f, select, 0), scores_when_true ? kept : cut, scores_when_true ? cut : kept};
    return vj_make(f, VJ_OP_select, args, 3, NULL, 0, NULL);
}

/* One step up from v; VJ_NONE when it is not understood. `s->scale` is what stands between v and the softmax. */
static vj_value step_up(scores *s, vj_value v) {
    vj_func *f = s->f;
    vj_value a = vj_operand(f, v, 0), b = vj_operand(f, v, 1);
    double x;
    switch (vj_op_of(f, v)) {
    case VJ_OP_mul:
        if (vj_is_uniform(f, b, &x)) return s->scale *= x, a;
        if (vj_is_uniform(f, a, &x)) return s->scale *= x, b;
        break;
    case VJ_OP_div:
        if (vj_is_uniform(f, b, &x) && x != 0) return s->scale /= x, a;
        break;
    case VJ_OP_add:
        if (leads_to_product(f, a)) return add_bias(s, b, s->scale), a;
        if (leads_to_product(f, b)) return add_bias(s, a, s->scale), b;
        break;
    case VJ_OP_sub:
        if (leads_to_product(f, a)) return add_bias(s, b, -s->scale), a;
        break;
    case VJ_OP_select:
        b = vj_operand(f, v, 2);
        a = vj_operand(f, v, 1);
        if (s->scale > 0 && is_negative_infinity(f, b)) return add_bias(s, mask_as_bias(f, v, true), 1), a;
        if (s->scale > 0 && is_negative_infinity(f, a)) return add_bias(s, mask_as_bias(f, v, false), 1), b;
        s->reason = "the mask puts another number than -inf";
        return VJ_NONE;
    default:
        break;
    }
    s->reason = "the scores are not a product with factors, biases and masks";
    return VJ_NONE;
}

static bool find_product(scores *s, vj_value v) {
    for (; vj_op_of(s->f, v) != VJ_OP_matmul; v = step_up(s, v))
        if (v < 0) return false;
    s->product = v;
    return true;
}

static bool is_plain_movement(vj_op op) { return op == VJ_OP_reshape || op == VJ_OP_transpose || op == VJ_OP_slice; }

/* v without the factors on the way up to its source through movement ops; *scale takes them. */
static vj_value without_factor(vj_func *f, vj_value v, double *scale) {
    double x;
    vj_op op = vj_op_of(f, v);
    vj_value a = vj_operand(f, v, 0), b = vj_operand(f, v, 1), rest = VJ_NONE;
    if (op == VJ_OP_mul && vj_is_uniform(f, b, &x))
        rest = a;
    else if (op == VJ_OP_mul && vj_is_uniform(f, a, &x))
        rest = b;
    else if (op == VJ_OP_div && vj_is_uniform(f, b, &x) && x != 0)
        rest = a, x = 1 / x;
    if (rest >= 0 && vj_type_equal(vj_type_at(f, rest), vj_type_at(f, v))) {
        *scale *= x;
        return without_factor(f, rest, scale);
    }
    if (!is_plain_movement(op)) return v;
    rest = without_factor(f, a, scale);
    if (rest == a) return v;
    vj_node node = *vj_producer(f, v);
    return vj_make(f, op, &rest, 1, node.attrs, node.attr_count, node.origin);
}

static vj_value with_last_dims_swapped(vj_func *f, vj_value v) {
    int64_t perm[VJ_MAX_RANK], merged[VJ_MAX_RANK];
    int32_t rank = vj_type_at(f, v)->rank;
    for (int32_t i = 0; i < rank; i++)
        perm[i] = i < rank - 2 ? i : 2 * rank - 3 - i;
    if (vj_op_of(f, v) != VJ_OP_transpose) return vj_make_transpose(f, v, perm, vj_producer(f, v)->origin);
    const int64_t *inner = vj_attr_find(vj_producer(f, v), VJ_ATTR_PERM)->as.ints;
    bool is_identity = true;
    for (int32_t i = 0; i < rank; i++) {
        merged[i] = inner[perm[i]];
        is_identity = is_identity && merged[i] == i;
    }
    vj_value source = vj_operand(f, v, 0);
    return is_identity ? source : vj_make_transpose(f, source, merged, vj_producer(f, v)->origin);
}

/* A scale that is 1 / sqrt(head dim) but for the rounding of its parts to float is meant to be that. */
static double meant_scale(double scale, int64_t head_dim) {
    double ideal = 1 / sqrt((double)head_dim);
    return fabs(scale - ideal) <= 4 * 0x1p-24 * ideal ? ideal : scale;
}

static vj_value attention_at(vj_func *f, int32_t n, const char **reason) {
    vj_node node = f->nodes[n];
    vj_value weights = node.args[0];
    *reason = NULL;
    if (node.op != VJ_OP_matmul || vj_op_of(f, weights) != VJ_OP_softmax) return VJ_NONE;
    const vj_node softmax = *vj_producer(f, weights);
    if (vj_attr_int(&softmax, VJ_ATTR_AXIS, 0) != vj_type_at(f, weights)->rank - 1) {
        *reason = "the softmax is not over the last axis";
        return VJ_NONE;
    }
    if (!vj_has_one_use(f, weights)) {
        *reason = "its weights are used elsewhere too";
        return VJ_NONE;
    }
    scores s = {.f = f, .product = VJ_NONE, .scale = 1, .bias = VJ_NONE};
    if (!find_product(&s, softmax.args[0])) {
        *reason = s.reason;
        return VJ_NONE;
    }
    vj_value q = vj_operand(f, s.product, 0), k = vj_operand(f, s.product, 1);
    if (vj_type_at(f, q)->rank < 2 || vj_type_at(f, k)->rank < 2 || vj_type_at(f, node.args[1])->rank < 2) {
        *reason = "its operands are vectors";
        return VJ_NONE;
    }
    q = without_factor(f, q, &s.scale);
    k = without_factor(f, k, &s.scale);
    k = with_last_dims_swapped(f, k);
    vj_attr scale = vj_float(VJ_ATTR_SCALE, meant_scale(s.scale, vj_last_dim(vj_type_at(f, q)).c));
    vj_value args[] = {q, k, node.args[1], s.bias};
    vj_error error = {0};
    vj_value made = vj_add_node(f, VJ_OP_attention, args, s.bias < 0 ? 3 : 4, &scale, 1, softmax.origin, &error);
    if (made < 0 || !vj_type_equal(vj_type_at(f, made), vj_type_at(f, node.first_result))) {
        *reason = "its operands do not fit together";
        return VJ_NONE;
    }
    return made;
}

static vj_value rewrite(vj_pass_context *c, int32_t n) {
    const char *reason;
    return attention_at(c->f, n, &reason);
}

const char *vj_why_no_attention(vj_func *f, vj_value softmax) {
    const char *reason = NULL;
    for (int32_t n = 0; n < f->node_count; n++)
        if (f->nodes[n].op == VJ_OP_matmul && f->nodes[n].args[0] == softmax) {
            attention_at(f, n, &reason);
            return reason ? reason : "the rewrite was not allowed";
        }
    return "no product reads its weights";
}

vj_status vj_pass_attention(vj_pass_context *c) {
    vj_apply_rules(c, NULL, 0, rewrite);
    return c->error->status;
}
