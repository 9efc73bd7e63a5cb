/* gelu.c - GELU in the spellings of the exporters: the factors x, 1/2 and 1 + erf (or tanh) in every order. */
#include "internal.h"

#define ERF_BY_DIV            "erf(div(x, 1.41421356))"
#define ERF_BY_MUL            "erf(mul(x, 0.70710678))"
#define CUBE_BY_POW           "pow(x, 3)"
#define CUBE_BY_MUL           "mul(mul(x, x), x)"
#define TANH_OF(cube)         "tanh(mul(add(x, mul(" cube ", 0.044715)), 0.79788456))"
#define SQUARE_THEN_SCALE     "mul(mul(x, x), 0.044715)"
#define SCALE_THEN_SQUARE     "mul(mul(x, 0.044715), x)"
#define TANH_FACTORED(u)      "tanh(mul(mul(x, 0.79788456), add(" u ", 1)))"
#define TANH_FACTORED_LATE(u) "tanh(mul(mul(x, add(" u ", 1)), 0.79788456))"

/* The product of x, 1/2 and 1 + `curve`. */
#define SPELLINGS(curve, form)                                                                                         \
    {"mul(mul(x, add(" curve ", 1)), 0.5)", "gelu(x){form=" form "}", NULL},                                           \
        {"mul(mul(x, 0.5), add(" curve ", 1))", "gelu(x){form=" form "}", NULL},                                       \
        {"mul(x, mul(add(" curve ", 1), 0.5))", "gelu(x){form=" form "}", NULL}, {                                     \
        "mul(x, add(mul(" curve ", 0.5), 0.5))", "gelu(x){form=" form "}", NULL                                        \
    }

static const vj_rule rules[] = {
    SPELLINGS(ERF_BY_DIV, "erf"),
    SPELLINGS(ERF_BY_MUL, "erf"),
    SPELLINGS(TANH_OF(CUBE_BY_POW), "tanh"),
    SPELLINGS(TANH_OF(CUBE_BY_MUL), "tanh"),
    SPELLINGS(TANH_FACTORED(SQUARE_THEN_SCALE), "tanh"),
    SPELLINGS(TANH_FACTORED(SCALE_THEN_SQUARE), "tanh"),
    SPELLINGS(TANH_FACTORED_LATE(SQUARE_THEN_SCALE), "tanh"),
    SPELLINGS(TANH_FACTORED_LATE(SCALE_THEN_SQUARE), "tanh"),
    {"mul(x, sigmoid(mul(x, 1.702)))", "gelu(x){form=quick}", NULL},
};

vj_status vj_pass_gelu(vj_pass_context *c) {
    vj_apply_rules(c, rules, (int32_t)(sizeof rules / sizeof *rules), NULL);
    return c->error->status;
}
