/* SPDX-License-Identifier: Apache-2.0 */
/* softmax.c - softmax written out: exponentials, with the row's largest element taken off or not, over their sum or less its logarithm; and masks
 * of scores written as products. */
#include "passes/rewrite/rewrite.h"

#include <math.h>

/* m is a mask, and what stands in the place of masked scores a number: then the products are y and c themselves where they are not 0. */
static bool is_masked_by_number(vj_match *m) {
    double number;
    if (vj_type_at(m->f, vj_captured(m, "m"))->dtype != VJ_BOOL || !vj_is_uniform(m->f, vj_captured(m, "c"), &number) ||
        !isfinite(number))
        return false;
    vj_set_attr(m, vj_int(VJ_ATTR_AXIS, vj_attr_int(vj_producer(m->f, m->root), VJ_ATTR_AXIS, -1)));
    return true;
}

/* The sum `s` is over the last axes, along which the shift `c` does not change: for the softmax they are one. */
static bool over_last_axes(vj_match *m) {
    const vj_attr *axes = vj_attr_find(vj_producer(m->f, vj_captured(m, "s")), VJ_ATTR_AXES);
    const vj_type *x = vj_type_at(m->f, m->root), *shift = vj_type_at(m->f, vj_captured(m, "c"));
    const int32_t first = x->rank - axes->count;
    int64_t *dims = VJ_NEW_ARRAY(m->f->arena, int64_t, x->rank), product = 1;
    if (axes->count < 1 || !vj_type_equal(x, vj_type_at(m->f, vj_captured(m, "x")))) return false;
    for (int32_t i = 0; i < axes->count; i++) {
        const vj_dim dim = x->dims[first + i];
        const int32_t of_shift = shift->rank - axes->count + i;
        if (axes->as.ints[i] != first + i || dim.sym != VJ_SYM_NONE || !vj_mul(product, dim.c, &product)) return false;
        if (of_shift >= 0 && !vj_dim_equal(shift->dims[of_shift], vj_dim_const(1))) return false;
    }
    for (int32_t i = 0; i < first; i++)
        dims[i] = vj_dim_code(x->dims[i]);
    dims[first] = product;
    vj_set_attr(m, vj_ints(VJ_ATTR_DIMS, dims, first + 1));
    return true;
}

static const vj_rule rules[] = {
    {"softmax_of_differences",
     "div(e=exp(sub(x, reduce(x){axes=last, kind=max, keep=1})), reduce(e=exp(y)){axes=last, kind=sum, keep=1})",
     "softmax(x){axis=last}", NULL},
    {"mask_by_products", "softmax(add(mul(cast(m), y), mul(cast(not(m)), c:uniform)))",
     "softmax(select(m, y, c)){axis=$}", is_masked_by_number},
    {"softmax_by_logarithm", "exp(sub(x, add(log(s=reduce(exp(sub(x, c))){kind=sum, keep=1}), c)))",
     "reshape(softmax(reshape(x){dims=$}){axis=last}){dims=back}", over_last_axes},
    {"softmax", "div(e=exp(x), reduce(e=exp(x)){axes=last, kind=sum, keep=1})", "softmax(x){axis=last}", NULL},
};

vj_status vj_pass_softmax(vj_pass_context *c) {
    vj_apply_rules(c, rules, (int32_t)(sizeof rules / sizeof *rules), NULL, NULL);
    return c->error->status;
}
