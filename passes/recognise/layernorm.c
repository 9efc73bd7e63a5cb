/* SPDX-License-Identifier: Apache-2.0 */
/* layernorm.c - layer normalisation written out as means, differences and a root, and the gain and offset behind it. */
#include "passes/rewrite/rewrite.h"

#include <math.h>

#define MEAN(x)  "reduce(" x "){axes=last, kind=mean, keep=1}"
#define CENTRED  "d=sub(x, " MEAN("x") ")"
#define VARIANCE MEAN("mul(d, d)")
/* `d` is captured before it is compared, as operands are matched from the left */
#define ROOT_OF(variance) "sqrt(add(" variance ", e:uniform))"
#define ROOT              ROOT_OF(VARIANCE)

/* The mean of squares less the square of the mean, which flax and TensorFlow write. layernorm computes it in two passes,
 * which loses less. */
#define AROUND            "sub(x, m=" MEAN("x") ")"
#define MOMENTS           "sub(" MEAN("mul(x, x)") ", mul(m, m))"
#define MOMENTS_BY_ITSELF "sub(" MEAN("mul(x, x)") ", mul(m=" MEAN("x") ", m))"

/* Over whatever axes; the condition says which. */
#define MEAN_OF(name, x) name "=reduce(" x "){kind=mean, keep=1}"
#define CENTRED_BY_AXES  "d=sub(x, " MEAN_OF("m", "x") ")"
#define VARIANCE_BY_AXES MEAN_OF("v", "mul(d, d)")

static bool eps_is_given(vj_match *m) {
    double eps;
    if (!vj_is_uniform(m->f, vj_captured(m, "e"), &eps) || !(eps >= 0)) return false;
    vj_set_attr(m, vj_float(VJ_ATTR_EPS, eps));
    return true;
}

/* A number for each element that is normalised, behind a layernorm `n` that nobody else reads. */
static bool is_row_behind(vj_match *m) {
    const vj_value n = vj_captured(m, "n");
    const vj_node *node = vj_producer(m->f, n);
    const vj_type *x = vj_type_at(m->f, n), *type = vj_type_at(m->f, vj_captured(m, "g"));
    const int64_t axis = vj_attr_int(node, VJ_ATTR_AXIS, 0);
    const int32_t normalised = x->rank - (int32_t)axis;
    int64_t count, product = 1, *dims = VJ_NEW_ARRAY(m->f->arena, int64_t, normalised);
    if (axis < 0 || type->rank < normalised || !vj_has_one_use(m->f, n)) return false;
    for (int32_t i = 0; i < normalised; i++) {
        const vj_dim dim = type->dims[type->rank - normalised + i];
        dims[i] = dim.c;
        if (!vj_dim_equal(dim, x->dims[axis + i]) || !vj_mul(product, dim.c, &product)) return false;
    }
    if (!vj_type_elements(m->f, type, &count) || count != product) return false;
    vj_set_attr(m, vj_int(VJ_ATTR_AXIS, axis));
    vj_set_attr(m, vj_float(VJ_ATTR_EPS, vj_attr_float(node, VJ_ATTR_EPS, 0)));
    vj_set_attr(m, vj_ints(VJ_ATTR_DIMS, dims, normalised));
    return true;
}

static const vj_attr *axes_of(const vj_match *m, const char *name) {
    return vj_attr_find(vj_producer(m->f, vj_captured(m, name)), VJ_ATTR_AXES);
}

/* Mean and variance are over the same axes, in rising order. */
static bool same_axes(const vj_match *m) {
    const vj_attr *mean = axes_of(m, "m"), *variance = axes_of(m, "v");
    if (mean->count != variance->count) return false;
    for (int32_t i = 0; i < mean->count; i++)
        if (mean->as.ints[i] != variance->as.ints[i] || (i > 0 && mean->as.ints[i - 1] >= mean->as.ints[i]))
            return false;
    return true;
}

/* Several axes, the last ones. */
static bool over_last_axes(vj_match *m) {
    const vj_attr *axes = axes_of(m, "m");
    const int32_t rank = vj_type_at(m->f, m->root)->rank;
    if (!same_axes(m) || axes->count < 2 || axes->as.ints[0] != rank - axes->count || !eps_is_given(m)) return false;
    vj_set_attr(m, vj_int(VJ_ATTR_AXIS, axes->as.ints[0]));
    return true;
}

/* Any axes but the last alone, as the channels of [N, C, H, W]. They go behind the others; both keep their order. */
static bool over_axes(vj_match *m) {
    const vj_attr *axes = axes_of(m, "m");
    const int32_t rank = vj_type_at(m->f, m->root)->rank, others = rank - axes->count;
    int64_t *perm = VJ_NEW_ARRAY(m->f->arena, int64_t, rank);
    if (!same_axes(m) || axes->count < 1 || axes->as.ints[0] == rank - 1 || !eps_is_given(m)) return false;
    for (int32_t i = 0, next = 0; i < rank; i++) {
        const bool is_normalised = next < axes->count && axes->as.ints[next] == i;
        perm[is_normalised ? others + next : i - next] = i;
        next += is_normalised;
    }
    vj_set_attr(m, vj_ints(VJ_ATTR_PERM, perm, rank));
    vj_set_attr(m, vj_int(VJ_ATTR_AXIS, others));
    return true;
}

/* The same, and a mean `o` over those axes is in the offset. */
static bool over_axes_with_mean(vj_match *m) {
    const vj_attr *mean = axes_of(m, "m"), *again = axes_of(m, "o");
    if (again->count != mean->count) return false;
    for (int32_t i = 0; i < mean->count; i++)
        if (again->as.ints[i] != mean->as.ints[i]) return false;
    return over_axes(m);
}

/* Over the last axes, which the transpose `t` of x moves among themselves: the same numbers have the same mean. */
static bool over_moved_axes(vj_match *m) {
    if (!over_axes_with_mean(m)) return false;
    const vj_attr *axes = axes_of(m, "m"), *perm = vj_attr_find(vj_producer(m->f, vj_captured(m, "t")), VJ_ATTR_PERM);
    const int32_t others = perm->count - axes->count;
    if (axes->as.ints[0] != others) return false;
    for (int32_t i = 0; i < others; i++)
        if (perm->as.ints[i] != i) return false;
    return true;
}

/* A sum over so many elements as the number says, which divides it or is one over what multiplies it. */
static bool is_count(vj_match *m, bool divides) {
    double number;
    const vj_value s = vj_captured(m, "s");
    const vj_attr *axes = vj_attr_find(vj_producer(m->f, s), VJ_ATTR_AXES);
    const vj_type *type = vj_type_at(m->f, vj_captured(m, "x"));
    int64_t count = 1;
    if (!vj_dtype_is_float(type->dtype) || !vj_is_uniform(m->f, vj_captured(m, "c"), &number)) return false;
    for (int32_t i = 0; i < axes->count; i++) {
        const vj_dim dim = type->dims[axes->as.ints[i]];
        if (dim.sym != VJ_SYM_NONE || dim.c < 1 || !vj_mul(count, dim.c, &count)) return false;
    }
    const double meant = divides ? (double)count : 1 / (double)count;
    if (fabs(number - meant) > 0x1p-23 * meant) return false;
    vj_set_attr(m, vj_ints(VJ_ATTR_AXES, axes->as.ints, axes->count));
    return true;
}

static bool divides_by_count(vj_match *m) { return is_count(m, true); }
static bool is_over_count(vj_match *m) { return is_count(m, false); }

#define PLAIN      "layernorm(x){axis=last, eps=$}"
#define TIMES      "mul(" PLAIN ", g)"
#define NORMALISED "layernorm(transpose(x){perm=$}){axis=$, eps=$}"
#define BACK(of)   "transpose(" of "){perm=back}"
#define TURNED     BACK(NORMALISED)
#define GAINED     "layernorm(x, reshape(g){dims=$}){axis=$, eps=$}"
#define MOVED      "layernorm(x, _, reshape(g){dims=$}){axis=$, eps=$}"
#define BOTH       "layernorm(x, w, reshape(g){dims=$}){axis=$, eps=$}"

/* What is divided by a root, with the gain behind, within or in front. */
#define SPELLINGS(name, centred, root)                                                                                 \
    {name "_over_root", "div(" centred ", " root ")", PLAIN, eps_is_given},                                            \
        {name "_by_reciprocal", "mul(" centred ", reciprocal(" root "))", PLAIN, eps_is_given},                        \
        {name "_gain_first", "div(mul(" centred ", g:weight), " root ")", TIMES, eps_is_given}, {                      \
        name "_gain_over_root", "mul(" centred ", div(g:weight, " root "))", TIMES, eps_is_given                       \
    }

/* x * i + (b - mean * i) with i = gain / root, or 1 / root, and without b. Keras adds the product with the negated mean. */
#define SPREADS(name, root)                                                                                            \
    {name "_gain_and_offset", "add(mul(x, i=div(g:weight, " root ")), sub(b:weight, mul(" MEAN("x") ", i)))",          \
     "add(" TIMES ", b)", eps_is_given},                                                                               \
        {name "_gain", "sub(mul(x, i=div(g:weight, " root ")), mul(" MEAN("x") ", i))", TIMES, eps_is_given},          \
        {name "_offset", "add(div(x, i=" root "), sub(b:weight, div(" MEAN("x") ", i)))", "add(" PLAIN ", b)",         \
         eps_is_given},                                                                                                \
    {                                                                                                                  \
        name, "sub(div(x, i=" root "), div(" MEAN("x") ", i))", PLAIN, eps_is_given                                    \
    }

/* The same over other axes, several or an inner one: where TensorFlow normalises the last one, tf2onnx may move the transposes and leave the
 * channels second. */
#define ROOT_BY_AXES   ROOT_OF("v=reduce(mul(" CENTRED_BY_AXES ", d)){kind=mean, keep=1}")
#define MEAN_BY_AXES   MEAN_OF("o", "x")
#define TURNED_ROW(of) "transpose(" of "){perm=$}"
#define SPREADS_BY_AXES(name)                                                                                          \
    {name "_gain_and_offset",                                                                                          \
     "add(mul(x, i=div(g:weight, " ROOT_BY_AXES ")), sub(b:weight, mul(" MEAN_BY_AXES ", i)))",                        \
     BACK("add(mul(" NORMALISED ", " TURNED_ROW("g") "), " TURNED_ROW("b") ")"), over_axes_with_mean},                 \
        {name "_gain", "sub(mul(x, i=div(g:weight, " ROOT_BY_AXES ")), mul(" MEAN_BY_AXES ", i))",                     \
         BACK("mul(" NORMALISED ", " TURNED_ROW("g") ")"), over_axes_with_mean},                                       \
        {name "_offset", "add(div(x, i=" ROOT_BY_AXES "), sub(b:weight, div(" MEAN_BY_AXES ", i)))",                   \
         BACK("add(" NORMALISED ", " TURNED_ROW("b") ")"), over_axes_with_mean},                                       \
    {                                                                                                                  \
        name, "sub(div(x, i=" ROOT_BY_AXES "), div(" MEAN_BY_AXES ", i))", TURNED, over_axes_with_mean                 \
    }

/* The same over all axes that a transpose moves, of what is in front of the transpose. */
#define ALL "layernorm(t){axis=$, eps=$}"
#define SPREADS_MOVED(name)                                                                                            \
    {name "_gain_and_offset",                                                                                          \
     "add(mul(t=transpose(x), i=div(g:weight, " ROOT_BY_AXES ")), sub(b:weight, mul(" MEAN_BY_AXES ", i)))",           \
     "add(mul(" ALL ", g), b)", over_moved_axes},                                                                      \
        {name "_gain", "sub(mul(t=transpose(x), i=div(g:weight, " ROOT_BY_AXES ")), mul(" MEAN_BY_AXES ", i))",        \
         "mul(" ALL ", g)", over_moved_axes},                                                                          \
        {name "_offset", "add(div(t=transpose(x), i=" ROOT_BY_AXES "), sub(b:weight, div(" MEAN_BY_AXES ", i)))",      \
         "add(" ALL ", b)", over_moved_axes},                                                                          \
    {                                                                                                                  \
        name, "sub(div(t=transpose(x), i=" ROOT_BY_AXES "), div(" MEAN_BY_AXES ", i))", ALL, over_moved_axes           \
    }

static const vj_rule rules[] = {
    {"mean_by_count", "div(s=reduce(x){kind=sum, keep=1}, c:uniform)", "reduce(x){kind=mean, axes=$, keep=1}",
     divides_by_count},
    {"mean_by_factor", "mul(s=reduce(x){kind=sum, keep=1}, c:uniform)", "reduce(x){kind=mean, axes=$, keep=1}",
     is_over_count},
    SPELLINGS("centred", CENTRED, ROOT),
    SPELLINGS("moments", AROUND, ROOT_OF(MOMENTS)),
    SPELLINGS("clipped_moments", AROUND, ROOT_OF("relu(" MOMENTS ")")),
    {"centred_without_epsilon", "div(" CENTRED ", sqrt(" VARIANCE "))", "layernorm(x){axis=last, eps=0}", NULL},
    {"power_without_epsilon", "mul(" CENTRED ", pow(" VARIANCE ", -0.5))", "layernorm(x){axis=last, eps=0}", NULL},
    {"centred_by_power", "mul(" CENTRED ", pow(add(" VARIANCE ", e:uniform), -0.5))", PLAIN, eps_is_given},
    {"moments_by_power", "mul(" AROUND ", pow(add(" MOMENTS ", e:uniform), -0.5))", PLAIN, eps_is_given},
    {"negated_mean_times", "add(y, mul(neg(" MEAN_OF("m", "x") "), i))", "sub(y, mul(m, i))", NULL},
    {"negated_mean_over", "add(y, div(neg(" MEAN_OF("m", "x") "), i))", "sub(y, div(m, i))", NULL},
    SPREADS("spread_centred", ROOT),
    SPREADS("spread_moments", ROOT_OF(MOMENTS_BY_ITSELF)),
    SPREADS_BY_AXES("spread_by_axes"),
    SPREADS_MOVED("spread_moved"),
    {"last_axes", "div(" CENTRED_BY_AXES ", " ROOT_OF(VARIANCE_BY_AXES) ")", "layernorm(x){axis=$, eps=$}",
     over_last_axes},
    {"axes", "div(" CENTRED_BY_AXES ", " ROOT_OF(VARIANCE_BY_AXES) ")", TURNED, over_axes},
    {"axes_by_power", "mul(" CENTRED_BY_AXES ", pow(add(" VARIANCE_BY_AXES ", e:uniform), -0.5))", TURNED, over_axes},
    {"gain", "mul(n=layernorm(x), g:weight)", GAINED, is_row_behind},
    {"gain_of_absent", "mul(n=layernorm(x, _, _), g:weight)", GAINED, is_row_behind},
    {"offset", "add(n=layernorm(x), g:weight)", MOVED, is_row_behind},
    {"offset_of_absent", "add(n=layernorm(x, _, _), g:weight)", MOVED, is_row_behind},
    {"offset_behind_gain", "add(n=layernorm(x, w), g:weight)", BOTH, is_row_behind},
    {"offset_behind_gain_of_absent", "add(n=layernorm(x, w, _), g:weight)", BOTH, is_row_behind},
};

/* A reshape to the same dims goes, as does a transpose that moves nothing: the rules make such. */
static vj_value unmoved(vj_pass_context *c, int32_t n) {
    const vj_node *node = &c->f->nodes[n];
    if (node->op == VJ_OP_transpose) {
        const vj_attr *perm = vj_attr_find(node, VJ_ATTR_PERM);
        for (int32_t i = 0; i < perm->count; i++)
            if (perm->as.ints[i] != i) return VJ_NONE;
        return node->args[0];
    }
    if (node->op != VJ_OP_reshape) return VJ_NONE;
    return vj_type_equal(vj_type_at(c->f, node->args[0]), vj_type_at(c->f, node->first_result)) ? node->args[0]
                                                                                                : VJ_NONE;
}

vj_status vj_pass_layernorm(vj_pass_context *c) {
    vj_apply_rules(c, rules, (int32_t)(sizeof rules / sizeof *rules), unmoved, "unmoved");
    return c->error->status;
}
