/* SPDX-License-Identifier: Apache-2.0 */
/* gelu.c - GELU in the spellings of the exporters: the factors x, 1/2 and 1 + erf (or tanh) in every order, and what else
 * comes to the same. */
#include "passes/rewrite/rewrite.h"

#define ERF_BY_DIV "erf(div(x, 1.41421356))"
#define ERF_BY_MUL "erf(mul(x, 0.70710678))"

/* x + 0.044715 x^3, and what a factor sqrt(2 / pi) = 0.79788456 in other places makes of it */
#define WITH_CUBE(cube)       "add(x, mul(" cube ", 0.044715))"
#define CUBE_BY_POW           "pow(x, 3)"
#define CUBE_BY_MUL           "mul(mul(x, x), x)"
#define SCALED_CUBE(c)        "mul(mul(mul(x, " c "), x), x)"
#define SCALED_POW(c)         "mul(pow(x, 3), " c ")"
#define SQUARE_THEN_SCALE     "mul(mul(x, x), 0.044715)"
#define SCALE_THEN_SQUARE     "mul(mul(x, 0.044715), x)"
#define TANH_OF(inner)        "tanh(mul(" inner ", 0.79788456))"
#define TANH_FACTORED(u)      "tanh(mul(mul(x, 0.79788456), add(" u ", 1)))"
#define TANH_FACTORED_LATE(u) "tanh(mul(mul(x, add(" u ", 1)), 0.79788456))"
#define TANH_EXPANDED(cube)   "tanh(add(mul(x, 0.79788456), " cube("0.035677408") "))"
/* (1 + tanh(u)) / 2 is sigmoid(2 u) */
#define BY_SIGMOID(inner) {"gelu_by_sigmoid", "mul(x, sigmoid(mul(" inner ", 1.59576912)))", "gelu(x){form=tanh}", NULL}

/* The product of x, 1/2 and 1 + `curve`. */
#define SPELLINGS(curve, form)                                                                                         \
    {"gelu_" form "_half_last", "mul(mul(x, add(" curve ", 1)), 0.5)", "gelu(x){form=" form "}", NULL},                \
        {"gelu_" form "_half_first", "mul(mul(x, 0.5), add(" curve ", 1))", "gelu(x){form=" form "}", NULL},           \
        {"gelu_" form "_half_of_curve", "mul(x, mul(add(" curve ", 1), 0.5))", "gelu(x){form=" form "}", NULL},        \
        {"gelu_" form "_half_of_terms", "mul(x, add(mul(" curve ", 0.5), 0.5))", "gelu(x){form=" form "}", NULL},      \
        {"gelu_" form "_sum_of_halves", "add(mul(x, 0.5), mul(mul(x, 0.5), " curve "))", "gelu(x){form=" form "}",     \
         NULL},                                                                                                        \
    {                                                                                                                  \
        "gelu_" form "_difference", "sub(x, mul(mul(x, 0.5), sub(1, " curve ")))", "gelu(x){form=" form "}", NULL      \
    }

static const vj_rule rules[] = {
    /* erfc(-u) = 1 + erf(u) */
    {"erfc_of_negated", "sub(1, erf(neg(u)))", "add(erf(u), 1)", NULL},
    {"erfc_of_negated_product", "sub(1, erf(mul(neg(x), c:uniform)))", "add(erf(mul(x, c)), 1)", NULL},
    {"erfc_of_negated_quotient", "sub(1, erf(div(neg(x), c:uniform)))", "add(erf(div(x, c)), 1)", NULL},
    SPELLINGS(ERF_BY_DIV, "erf"),
    SPELLINGS(ERF_BY_MUL, "erf"),
    SPELLINGS(TANH_OF(WITH_CUBE(CUBE_BY_POW)), "tanh"),
    SPELLINGS(TANH_OF(WITH_CUBE(CUBE_BY_MUL)), "tanh"),
    SPELLINGS(TANH_OF("add(x, " SCALED_CUBE("0.044715") ")"), "tanh"),
    SPELLINGS(TANH_FACTORED(SQUARE_THEN_SCALE), "tanh"),
    SPELLINGS(TANH_FACTORED(SCALE_THEN_SQUARE), "tanh"),
    SPELLINGS(TANH_FACTORED_LATE(SQUARE_THEN_SCALE), "tanh"),
    SPELLINGS(TANH_FACTORED_LATE(SCALE_THEN_SQUARE), "tanh"),
    SPELLINGS(TANH_EXPANDED(SCALED_CUBE), "tanh"),
    SPELLINGS(TANH_EXPANDED(SCALED_POW), "tanh"),
    BY_SIGMOID(WITH_CUBE(CUBE_BY_POW)),
    BY_SIGMOID(WITH_CUBE(CUBE_BY_MUL)),
    BY_SIGMOID("add(x, " SCALED_CUBE("0.044715") ")"),
    {"gelu_quick", "mul(x, sigmoid(mul(x, 1.702)))", "gelu(x){form=quick}", NULL},
};

vj_status vj_pass_gelu(vj_pass_context *c) {
    vj_apply_rules(c, rules, (int32_t)(sizeof rules / sizeof *rules), NULL, NULL);
    return c->error->status;
}
