/* elementwise.c - evaluates ops that compute a result element from the operands' elements of the same index, with
 * broadcasting. Integers wrap to their width; division truncates; min and max propagate NaN. */
#include "eval.h"

#include <math.h>

static bool is_unsigned(vj_dtype dtype) {
    return dtype == VJ_U8 || dtype == VJ_U16 || dtype == VJ_U32 || dtype == VJ_U64;
}

/* Ops of one operand. Each has a function for floats and one for integers; NULL means that the op has no such form. */

typedef double (*float_map)(double);
typedef int64_t (*int_map)(int64_t);

static bool unsupported(vj_eval_context *c) {
    vj_fail(c->error, VJ_UNSUPPORTED, "%s: no meaning for %s", vj_op_table(c->node->op)->name,
            vj_element_name(c->args[0]->type.dtype));
    return false;
}

static bool map(vj_eval_context *c, float_map f, int_map g) {
    const vj_tensor *x = c->args[0];
    vj_tensor *y = c->results[0];
    if (x->f ? !f : !g) return unsupported(c);
    if (x->f)
        for (int64_t i = 0; i < x->count; i++)
            y->f[i] = f(x->f[i]);
    else
        for (int64_t i = 0; i < x->count; i++)
            y->i[i] = vj_wrap(y->type.dtype, g(x->i[i]));
    return true;
}

static int64_t negate(int64_t x) { return (int64_t)(0 - (uint64_t)x); }
static int64_t magnitude(int64_t x) { return x < 0 ? negate(x) : x; }
static int64_t same(int64_t x) { return x; }
static int64_t positive(int64_t x) { return x > 0 ? x : 0; }
static int64_t int_sign(int64_t x) { return (x > 0) - (x < 0); }
static int64_t nonzero(int64_t x) { return x != 0; }
static int64_t complement(int64_t x) { return ~x; }
static int64_t is_zero(int64_t x) { return x == 0; }
static double minus(double x) { return -x; }
static double inverse(double x) { return 1 / x; }
static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double relu(double x) { return x < 0 ? 0 : x; }
static double sign(double x) { return isnan(x) ? x : (x > 0) - (x < 0); }

bool vj_eval_neg(vj_eval_context *c) { return map(c, minus, negate); }
bool vj_eval_abs(vj_eval_context *c) { return map(c, fabs, is_unsigned(c->args[0]->type.dtype) ? same : magnitude); }
bool vj_eval_exp(vj_eval_context *c) { return map(c, exp, NULL); }
bool vj_eval_log(vj_eval_context *c) { return map(c, log, NULL); }
bool vj_eval_sqrt(vj_eval_context *c) { return map(c, sqrt, NULL); }
bool vj_eval_reciprocal(vj_eval_context *c) { return map(c, inverse, NULL); }
bool vj_eval_erf(vj_eval_context *c) { return map(c, erf, NULL); }
bool vj_eval_tanh(vj_eval_context *c) { return map(c, tanh, NULL); }
bool vj_eval_sigmoid(vj_eval_context *c) { return map(c, sigmoid, NULL); }
bool vj_eval_relu(vj_eval_context *c) { return map(c, relu, is_unsigned(c->args[0]->type.dtype) ? same : positive); }
bool vj_eval_sin(vj_eval_context *c) { return map(c, sin, NULL); }
bool vj_eval_cos(vj_eval_context *c) { return map(c, cos, NULL); }
bool vj_eval_tan(vj_eval_context *c) { return map(c, tan, NULL); }
bool vj_eval_asin(vj_eval_context *c) { return map(c, asin, NULL); }
bool vj_eval_acos(vj_eval_context *c) { return map(c, acos, NULL); }
bool vj_eval_atan(vj_eval_context *c) { return map(c, atan, NULL); }
bool vj_eval_sinh(vj_eval_context *c) { return map(c, sinh, NULL); }
bool vj_eval_cosh(vj_eval_context *c) { return map(c, cosh, NULL); }
bool vj_eval_asinh(vj_eval_context *c) { return map(c, asinh, NULL); }
bool vj_eval_acosh(vj_eval_context *c) { return map(c, acosh, NULL); }
bool vj_eval_atanh(vj_eval_context *c) { return map(c, atanh, NULL); }
bool vj_eval_floor(vj_eval_context *c) { return map(c, floor, same); }
bool vj_eval_ceil(vj_eval_context *c) { return map(c, ceil, same); }
bool vj_eval_round(vj_eval_context *c) { return map(c, nearbyint, same); } /* half to even: the default mode */
bool vj_eval_sign(vj_eval_context *c) { return map(c, sign, is_unsigned(c->args[0]->type.dtype) ? nonzero : int_sign); }
bool vj_eval_not(vj_eval_context *c) { return map(c, NULL, c->args[0]->type.dtype == VJ_BOOL ? is_zero : complement); }

/* 1 + erf cancels for negative x; erfc does not. */
double vj_gelu_erf(double x) { return 0.5 * x * erfc(-x * 0.70710678118654752440); }
double vj_gelu_tanh(double x) {
    const double root_2_over_pi = 0.79788456080286535588;
    return 0.5 * x * (1 + tanh(root_2_over_pi * (x + 0.044715 * x * x * x)));
}
static double gelu_quick(double x) { return x * sigmoid(1.702 * x); }

bool vj_eval_gelu(vj_eval_context *c) {
    const char *form = vj_attr_name(c->node, VJ_ATTR_FORM, "erf");
    return map(c, form[0] == 't' ? vj_gelu_tanh : form[0] == 'q' ? gelu_quick : vj_gelu_erf, NULL);
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

/* Ops of two operands. `u` is the form for unsigned 64-bit integers where it differs; int64 holds all other types. */

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
            else
                y->i[i] = vj_wrap(y->type.dtype, h(a->i[l], b->i[r]));
        }
    return true;
}

static double f_add(double a, double b) { return a + b; }
static double f_sub(double a, double b) { return a - b; }
static double f_mul(double a, double b) { return a * b; }
static double f_div(double a, double b) { return a / b; }
static double f_min(double a, double b) { return isnan(a) || isnan(b) ? NAN : a < b ? a : b; }
static double f_max(double a, double b) { return isnan(a) || isnan(b) ? NAN : a > b ? a : b; }
static int64_t i_add(int64_t a, int64_t b) { return (int64_t)((uint64_t)a + (uint64_t)b); }
static int64_t i_sub(int64_t a, int64_t b) { return (int64_t)((uint64_t)a - (uint64_t)b); }
static int64_t i_mul(int64_t a, int64_t b) { return (int64_t)((uint64_t)a * (uint64_t)b); }
/* Quotient and remainder by zero are 0, as in numpy. The least integer divided by -1 wraps to itself. */
static int64_t i_div(int64_t a, int64_t b) { return b == 0 ? 0 : b == -1 ? negate(a) : a / b; }
static int64_t i_mod(int64_t a, int64_t b) {
    const int64_t r = b == 0 || b == -1 ? 0 : a % b;
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}
static int64_t i_min(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t i_max(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t u_div(int64_t a, int64_t b) { return b == 0 ? 0 : (int64_t)((uint64_t)a / (uint64_t)b); }
static int64_t u_mod(int64_t a, int64_t b) { return b == 0 ? 0 : (int64_t)((uint64_t)a % (uint64_t)b); }
static int64_t u_min(int64_t a, int64_t b) { return (uint64_t)a < (uint64_t)b ? a : b; }
static int64_t u_max(int64_t a, int64_t b) { return (uint64_t)a > (uint64_t)b ? a : b; }
static int64_t i_and(int64_t a, int64_t b) { return a & b; }
static int64_t i_or(int64_t a, int64_t b) { return a | b; }
static int64_t i_xor(int64_t a, int64_t b) { return a ^ b; }
static int64_t u_shl(int64_t a, int64_t b) { return (uint64_t)b < 64 ? (int64_t)((uint64_t)a << b) : 0; }
static int64_t u_shr(int64_t a, int64_t b) { return (uint64_t)b < 64 ? (int64_t)((uint64_t)a >> b) : 0; }

/* Powers by squaring. With a negative exponent, 1 / base^n is truncated to 0, except for the bases 1 and -1. */
static int64_t u_pow(int64_t base, int64_t exponent) {
    uint64_t result = 1, square = (uint64_t)base;
    for (uint64_t n = (uint64_t)exponent; n != 0; n >>= 1, square *= square)
        if (n & 1) result *= square;
    return (int64_t)result;
}
static int64_t i_pow(int64_t base, int64_t exponent) {
    if (exponent >= 0) return u_pow(base, exponent);
    if (base == 1) return 1;
    return base == -1 ? (exponent % 2 == 0 ? 1 : -1) : 0;
}

bool vj_eval_add(vj_eval_context *c) { return zip(c, f_add, i_add, NULL); }
bool vj_eval_sub(vj_eval_context *c) { return zip(c, f_sub, i_sub, NULL); }
bool vj_eval_mul(vj_eval_context *c) { return zip(c, f_mul, i_mul, NULL); }
bool vj_eval_div(vj_eval_context *c) { return zip(c, f_div, i_div, u_div); }
bool vj_eval_pow(vj_eval_context *c) { return zip(c, pow, i_pow, u_pow); }
bool vj_eval_mod(vj_eval_context *c) { return zip(c, fmod, i_mod, u_mod); }
bool vj_eval_min(vj_eval_context *c) { return zip(c, f_min, i_min, u_min); }
bool vj_eval_max(vj_eval_context *c) { return zip(c, f_max, i_max, u_max); }
bool vj_eval_and(vj_eval_context *c) { return zip(c, NULL, i_and, NULL); }
bool vj_eval_or(vj_eval_context *c) { return zip(c, NULL, i_or, NULL); }
bool vj_eval_xor(vj_eval_context *c) { return zip(c, NULL, i_xor, NULL); }
bool vj_eval_shl(vj_eval_context *c) { return zip(c, NULL, u_shl, NULL); }
bool vj_eval_shr(vj_eval_context *c) { return zip(c, NULL, u_shr, NULL); }

/* Comparisons of two numbers, which give a bool. */

typedef enum comparison { EQUAL, LESS, LESS_OR_EQUAL } comparison;

static bool holds(comparison how, bool less, bool equal) {
    return how == EQUAL ? equal : how == LESS ? less : less || equal;
}

static bool compare(vj_eval_context *c, comparison how) {
    const vj_tensor *a = c->args[0], *b = c->args[1];
    vj_tensor *y = c->results[0];
    vj_walk w = vj_walk_over(y);
    vj_walk_broadcast(&w, a);
    vj_walk_broadcast(&w, b);
    for (int64_t i = 0; !w.done; vj_walk_next(&w))
        for (int64_t j = 0; j < w.inner; j++, i++) {
            const int64_t l = w.at[0] + j * w.step[0], r = w.at[1] + j * w.step[1];
            if (a->f)
                y->i[i] = holds(how, a->f[l] < b->f[r], a->f[l] == b->f[r]);
            else if (a->type.dtype == VJ_U64)
                y->i[i] = holds(how, (uint64_t)a->i[l] < (uint64_t)b->i[r], a->i[l] == b->i[r]);
            else
                y->i[i] = holds(how, a->i[l] < b->i[r], a->i[l] == b->i[r]);
        }
    return true;
}

bool vj_eval_eq(vj_eval_context *c) { return compare(c, EQUAL); }
bool vj_eval_lt(vj_eval_context *c) { return compare(c, LESS); }
bool vj_eval_le(vj_eval_context *c) { return compare(c, LESS_OR_EQUAL); }

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
