/* SPDX-License-Identifier: Apache-2.0 */
/* softmax.c - softmax written out: exponentials, with the row's largest element taken off or not, over their sum; and masks
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

static const vj_rule rules[] = {
    {"softmax_of_differences",
     "div(e=exp(sub(x, reduce(x){axes=last, kind=max, keep=1})), reduce(e=exp(y)){axes=last, kind=sum, keep=1})",
     "softmax(x){axis=last}", NULL},
    {"mask_by_products", "softmax(add(mul(cast(m), y), mul(cast(not(m)), c:uniform)))",
     "softmax(select(m, y, c)){axis=$}", is_masked_by_number},
    {"softmax", "div(e=exp(x), reduce(e=exp(x)){axes=last, kind=sum, keep=1})", "softmax(x){axis=last}", NULL},
};

vj_status vj_pass_softmax(vj_pass_context *c) {
    vj_apply_rules(c, rules, (int32_t)(sizeof rules / sizeof *rules), NULL, NULL);
    return c->error->status;
}
