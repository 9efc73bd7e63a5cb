/* softmax.c - softmax written out: exponentials, with the row's largest element taken off or not, over their sum. */
#include "passes/rewrite/rewrite.h"

static const vj_rule rules[] = {
    {"softmax_of_differences",
     "div(e=exp(sub(x, reduce(x){axes=last, kind=max, keep=1})), reduce(e=exp(y)){axes=last, kind=sum, keep=1})",
     "softmax(x){axis=last}", NULL},
    {"softmax", "div(e=exp(x), reduce(e=exp(x)){axes=last, kind=sum, keep=1})", "softmax(x){axis=last}", NULL},
};

vj_status vj_pass_softmax(vj_pass_context *c) {
    vj_apply_rules(c, rules, (int32_t)(sizeof rules / sizeof *rules), NULL, NULL);
    return c->error->status;
}
