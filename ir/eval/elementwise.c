/* SPDX-License-Identifier: Apache-2.0 */
/* elementwise.c - one result element from the operands' elements of the same index, with broadcasting. Integers
 * wrap to their width; division truncates; min and max propagate NaN. What the ops mean is said in elementwise.def. */
#include "eval.h"
#include "ir/tensor/scalar.h"

static bool unsupported(vj_eval_context *c) {
    vj_fail(c->error, VJ_UNSUPPORTED, "%s: no meaning for %s", vj_op_table(c->node->op)->name,
            vj_element_name(c->args[0]->type.dtype));
    return false;
}

/* Maps. An op has a function for floats, one for integers, and one for unsigned 64-bit integers where it differs: the
 * others are exact in int64. (NULL: it has no such form.) */

typedef double (*float_map)(double);
typedef int64_t (*int_map)(int64_t);

static bool map(vj_eval_context *c, float_map f, int_map g, int_map u) {
    const vj_tensor *x = c->args[0];
    vj_tensor *y = c->results[0];
    const int_map h = x->type.dtype == VJ_U64 && u ? u : g;
    if (x->f ? !f : !h) return unsupported(c);
    if (x->f)
        for (int64_t i = 0; i < x->count; i++)
            y->f[i] = f(x->f[i]);
    else
        for (int64_t i = 0; i < x->count; i++)
            y->i[i] = vj_wrap(y->type.dtype, h(x->i[i]));
    return true;
}

static int64_t complement(int64_t x) { return ~x; }
static int64_t is_zero(int64_t x) { return x == 0; }

bool vj_eval_not(vj_eval_context *c) {
    return map(c, NULL, c->args[0]->type.dtype == VJ_BOOL ? is_zero : complement, NULL);
}

bool vj_eval_gelu(vj_eval_context *c) {
    const char *form = vj_attr_name(c->node, VJ_ATTR_FORM, "erf");
    return map(c, form[0] == 't' ? vj_f_gelu_tanh : form[0] == 'q' ? vj_f_gelu_quick : vj_f_gelu_erf, NULL, NULL);
}

/* Casts. Float to integer truncates and saturates, and NaN becomes 0; integers wrap; a bool is whether x is not 0. */

bool vj_eval_cast(vj_eval_context *c) {
    const vj_tensor *x = c->args[0];
    vj_tensor *y = c->results[0];
    const vj_dtype from = x->type.dtype, to = y->type.dtype;
    for (int64_t i = 0; i < x->count; i++) {
        if (x->f && y->f)
            y->f[i] = x->f[i];
        else if (x->f)
            y->i[i] = vj_float_to_int(to, x->f[i]);
        else if (y->f)
            y->f[i] = from == VJ_U64 ? (double)(uint64_t)x->i[i] : (double)x->i[i];
        else
            y->i[i] = vj_wrap(to, x->i[i]);
    }
    return true;
}

bool vj_eval_bitcast(vj_eval_context *c) {
    const vj_tensor *x = c->args[0];
    vj_tensor *y = c->results[0];
    for (int64_t i = 0; i < x->count; i++) {
        uint8_t bits[8] = {0};
        int64_t exact = 0;
        vj_element_store(x->type.dtype, x->f ? x->f[i] : 0, x->f ? 0 : x->i[i], bits);
        const double f = vj_element_of(y->type.dtype, bits, &exact);
        if (y->f)
            y->f[i] = f;
        else
            y->i[i] = exact;
    }
    return true;
}

/* Two operands. A comparison gives booleans, whatever it compares. */

typedef double (*float_zip)(double, double);
typedef int64_t (*int_zip)(int64_t, int64_t);

static bool zip(vj_eval_context *c, float_zip f, int_zip g, int_zip u) {
    const vj_tensor *a = c->args[0], *b = c->args[1];
    vj_tensor *y = c->results[0];
    const int_zip h = a->type.dtype == VJ_U64 && u ? u : g;
    if (a->f ? !f : !h) return unsupported(c);
    vj_walk w = vj_walk_over(y);
    vj_walk_broadcast(&w, a);
    vj_walk_broadcast(&w, b);
    for (int64_t i = 0; !w.done; vj_walk_next(&w))
        for (int64_t j = 0; j < w.inner; j++, i++) {
            const int64_t l = w.at[0] + j * w.step[0], r = w.at[1] + j * w.step[1];
            if (y->f)
                y->f[i] = f(a->f[l], b->f[r]);
            else if (a->f)
                y->i[i] = f(a->f[l], b->f[r]) != 0;
            else
                y->i[i] = vj_wrap(y->type.dtype, h(a->i[l], b->i[r]));
        }
    return true;
}

#define UNARY(id, ID, types, f, i, u, cost, traits)                                                                    \
    bool vj_eval_##id(vj_eval_context *c) { return map(c, f, i, u); }
#define TENSOR(id, types, f, i, u, traits)                                                                             \
    bool vj_eval_##id(vj_eval_context *c) { return map(c, f, i, u); }
#define BINARY(id, ID, types, result, f, i, u, cost, traits)                                                           \
    bool vj_eval_##id(vj_eval_context *c) { return zip(c, f, i, u); }
#include "ir/tensor/elementwise.def"

bool vj_eval_select(vj_eval_context *c) {
    const vj_tensor *condition = c->args[0], *a = c->args[1], *b = c->args[2];
    vj_tensor *y = c->results[0];
    vj_walk w = vj_walk_over(y);
    for (int32_t o = 0; o < 3; o++)
        vj_walk_broadcast(&w, c->args[o]);
    for (int64_t i = 0; !w.done; vj_walk_next(&w))
        for (int64_t j = 0; j < w.inner; j++, i++) {
            const bool then = condition->i[w.at[0] + j * w.step[0]] != 0;
            const vj_tensor *x = then ? a : b;
            const int64_t at = then ? w.at[1] + j * w.step[1] : w.at[2] + j * w.step[2];
            if (y->f)
                y->f[i] = x->f[at];
            else
                y->i[i] = x->i[at];
        }
    return true;
}
