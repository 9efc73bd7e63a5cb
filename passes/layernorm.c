/* layernorm.c - layer normalisation written out as means, differences and a root, and the gain and offset behind it. */
#include "internal.h"

#define MEAN(x)  "reduce(" x "){axes=last, kind=mean, keep=1}"
#define CENTRED  "d=sub(x, " MEAN("x") ")"
#define VARIANCE MEAN("mul(d, d)")
/* `d` is captured before it is compared, as operands are matched from the left */
#define ROOT "sqrt(add(" VARIANCE ", e:uniform))"

static bool eps_is_given(vj_match *m) {
    double eps;
    if (!vj_is_uniform(m->f, vj_captured(m, "e"), &eps) || !(eps >= 0)) return false;
    vj_set_attr(m, vj_float(VJ_ATTR_EPS, eps));
    return true;
}

/* A vector along the last axis, behind a layernorm `n` of the last axis that nobody else reads. */
static bool is_row_behind(vj_match *m) {
    vj_value n = vj_captured(m, "n"), g = vj_captured(m, "g");
    const vj_node *node = vj_producer(m->f, n);
    const vj_type *x = vj_type_at(m->f, n), *type = vj_type_at(m->f, g);
    int64_t count, axis = vj_attr_int(node, VJ_ATTR_AXIS, 0);
    if (axis != x->rank - 1 || type->rank == 0 || !vj_dim_equal(vj_last_dim(type), vj_last_dim(x)) ||
        !vj_type_elements(m->f, type, &count) || count != vj_last_dim(x).c || !vj_has_one_use(m->f, n))
        return false;
    vj_set_attr(m, vj_int(VJ_ATTR_AXIS, axis));
    vj_set_attr(m, vj_float(VJ_ATTR_EPS, vj_attr_float(node, VJ_ATTR_EPS, 0)));
    vj_set_attr(m, vj_ints(VJ_ATTR_DIMS, &vj_type_at(m->f, g)->dims[type->rank - 1].c, 1));
    return true;
}

#define GAINED "layernorm(x, reshape(g){dims=$}){axis=$, eps=$}"
#define MOVED  "layernorm(x, _, reshape(g){dims=$}){axis=$, eps=$}"
#define BOTH   "layernorm(x, w, reshape(g){dims=$}){axis=$, eps=$}"

static const vj_rule rules[] = {
    {"div(" CENTRED ", " ROOT ")", "layernorm(x){axis=last, eps=$}", eps_is_given},
    {"mul(" CENTRED ", pow(add(" VARIANCE ", e:uniform), -0.5))", "layernorm(x){axis=last, eps=$}", eps_is_given},
    {"mul(" CENTRED ", reciprocal(" ROOT "))", "layernorm(x){axis=last, eps=$}", eps_is_given},
    {"mul(n=layernorm(x), g:weight)", GAINED, is_row_behind},
    {"mul(n=layernorm(x, _, _), g:weight)", GAINED, is_row_behind},
    {"add(n=layernorm(x), g:weight)", MOVED, is_row_behind},
    {"add(n=layernorm(x, _, _), g:weight)", MOVED, is_row_behind},
    {"add(n=layernorm(x, w), g:weight)", BOTH, is_row_behind},
    {"add(n=layernorm(x, w, _), g:weight)", BOTH, is_row_behind},
};

/* The reshape of a vector that is one already goes. */
static vj_value plain_vector(vj_pass_context *c, int32_t n) {
    const vj_node *node = &c->f->nodes[n];
    if (node->op != VJ_OP_reshape) return VJ_NONE;
    return vj_type_equal(vj_type_at(c->f, node->args[0]), vj_type_at(c->f, node->first_result)) ? node->args[0]
                                                                                                : VJ_NONE;
}

vj_status vj_pass_layernorm(vj_pass_context *c) {
    vj_apply_rules(c, rules, (int32_t)(sizeof rules / sizeof *rules), plain_vector);
    return c->error->status;
}
