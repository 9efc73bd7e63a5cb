/* SPDX-License-Identifier: Apache-2.0 */
/* truth.c - evaluates a function in double precision, and estimates how far rounding may lead from there.
 *
 * No fixed tolerance fits random graphs, as the effect of one rounding depends on all that follows. So the function is
 * evaluated many times with random errors of the size of rounding (Monte Carlo arithmetic; Parker, Pierce, Eggert
 * 2000): on every result that is rounded, and on the operands of sums of products, as much as summing that many terms
 * in any order may cost. How far an output moves is how far a correct program may be off. Where it jumps (a comparison,
 * a floor, an overflow), any result is accepted.
 */
#include "graph.h"

#include <math.h>
#include <string.h>

#include "vitjit_half.h"

enum { PLAIN_SAMPLES = 2 }; /* rounding alone, as hardware rounds: with small numbers flushed to zero, and not */
#define ROUNDINGS 4         /* roundings of an elementwise op: the functions of vmath.h are good to four at most */
#define SAFETY    4         /* samples seldom meet the worst case */

static double unit(vj_dtype dtype) {
    return dtype == VJ_F64 ? 0x1p-53 : dtype == VJ_F16 ? 0x1p-11 : dtype == VJ_BF16 ? 0x1p-8 : 0x1p-24;
}

static double smallest(vj_dtype dtype) { return dtype == VJ_F64 ? 0x1p-1022 : dtype == VJ_F16 ? 0x1p-14 : 0x1p-126; }

static bool is_word(const vj_node *node, vj_attr_key key, const char *a, const char *b) {
    const char *word = vj_attr_name(node, key, "");
    return strcmp(word, a) == 0 || strcmp(word, b) == 0;
}

/* Returns whether results are elements of operands, or exact for all operands. */
static bool is_exact(const vj_func *f, const vj_node *node) {
    if (vj_op_table(node->op)->flags & VJ_FLAG_MOVEMENT) return true;
    switch (node->op) {
    case VJ_OP_param:
    case VJ_OP_const:
    case VJ_OP_neg:
    case VJ_OP_abs:
    case VJ_OP_relu:
    case VJ_OP_floor:
    case VJ_OP_ceil:
    case VJ_OP_round:
    case VJ_OP_sign:
    case VJ_OP_min:
    case VJ_OP_max:
    case VJ_OP_select:
        return true;
    case VJ_OP_cast:
        return vj_type_at(f, node->args[0])->dtype == vj_type_at(f, node->first_result)->dtype;
    case VJ_OP_reduce:
    case VJ_OP_pool:
        return is_word(node, VJ_ATTR_KIND, "max", "min");
    default:
        return false;
    }
}

/* About how many terms one result sums. */
static double terms_of(const vj_node *node, vj_tensor *const *args, const vj_tensor *result) {
    const vj_tensor *x = args[0], *w = node->arg_count > 1 ? args[1] : NULL;
    const int32_t rank = x ? x->type.rank : 0;
    const double last = rank ? (double)x->type.dims[rank - 1].c : 1;
    switch (node->op) {
    case VJ_OP_conv:
        return w->type.dims[0].c ? (double)w->count / (double)w->type.dims[0].c : 1;
    case VJ_OP_attention:
        return last + (double)w->type.dims[w->type.rank - 2].c;
    case VJ_OP_matmul:
    case VJ_OP_linear:
    case VJ_OP_softmax:
        return node->op == VJ_OP_softmax ? (double)x->count : last;
    default:
        return result->count && x ? fmax((double)x->count / (double)result->count, last) : 1;
    }
}

static double sign_of(rng *r) { return rng_bits(r) >> 63 ? 1 : -1; }

double rounded(vj_dtype dtype, double x, bool flush) {
    if (dtype == VJ_F16) x = vj_round_f16(x);
    if (dtype == VJ_BF16) x = vj_round_bf16(x);
    if (dtype != VJ_F64) x = (float)x;
    return flush && fabs(x) < smallest(dtype) ? copysign(0, x) : x;
}

/* Some functions' errors are absolute (vmath.c, wide.c). */
static double absolute_error(const vj_node *node, const vj_tensor *t) {
    if (t->type.dtype != VJ_F32) return smallest(t->type.dtype);
    if (node->op == VJ_OP_gelu) return 4e-7;
    return node->op == VJ_OP_sin || node->op == VJ_OP_cos ? 1e-7 : smallest(t->type.dtype);
}

/* Beyond this magnitude a sum of products may overflow on the way, and an angle in f64 is not reduced exactly
 * (double.c). */
static double largest_operand(const vj_node *node, vj_dtype dtype, bool sums) {
    if (node->op == VJ_OP_tan || node->op == VJ_OP_sin || node->op == VJ_OP_cos)
        return dtype == VJ_F64 ? 0x1p20 : INFINITY;
    return sums && dtype != VJ_F64 ? 1e15 : INFINITY;
}

/* Infinite weights of a convolution may or may not be multiplied by the zeros of its padding. */
static bool is_lost(const vj_node *node, vj_tensor *const *args, bool sums) {
    for (int32_t a = 0; a < node->arg_count; a++)
        for (int64_t i = 0; args[a] && args[a]->f && i < args[a]->count; i++) {
            const double x = args[a]->f[i];
            if (isfinite(x) ? fabs(x) > largest_operand(node, args[a]->type.dtype, sums)
                            : node->op == VJ_OP_conv && a == 1)
                return true;
        }
    return false;
}

static const vj_node *node_of(const vj_func *f, vj_value v) { return v < 0 ? NULL : vj_producer(f, v); }

/* Is it erf or tanh, or half of one? */
static bool is_curve(const vj_func *f, vj_value v, bool halved) {
    const vj_node *node = node_of(f, v);
    if (!node || node->op == VJ_OP_erf || node->op == VJ_OP_tanh) return node;
    for (int32_t i = 0; node->op == VJ_OP_mul && !halved && i < node->arg_count; i++)
        if (is_curve(f, node->args[i], true)) return true;
    return false;
}

/* Is it 1 + erf or 1 + tanh, perhaps halved as a sum or in its terms? */
static bool is_gate(const vj_func *f, vj_value v, bool halved) {
    const vj_node *node = node_of(f, v);
    for (int32_t i = 0; node && i < node->arg_count; i++) {
        if (node->op == VJ_OP_add && is_curve(f, node->args[i], halved)) return true;
        if (node->op == VJ_OP_mul && !halved && is_gate(f, node->args[i], true)) return true;
    }
    return false;
}

/* A GELU, or the last product of one that is spelt out. */
static bool is_gelu(const vj_func *f, const vj_node *node) {
    if (node->op == VJ_OP_gelu) return true;
    for (int32_t a = 0; node->op == VJ_OP_mul && a < node->arg_count; a++)
        if (is_gate(f, node->args[a], false)) return true;
    return false;
}

/* Adds a sample's errors to a result. */
static void disturb(const vj_func *f, const vj_node *node, vj_tensor *t, int32_t sample, rng *r) {
    const vj_dtype dtype = t->type.dtype;
    const bool exact = is_exact(f, node), gelu = is_gelu(f, node);
    const double part = ROUNDINGS * unit(dtype), least = absolute_error(node, t);
    const double largest = dtype == VJ_F64 ? INFINITY : dtype == VJ_F16 ? 65504 : 0x1.fffffep127;
    for (int64_t i = 0; t->f && i < t->count; i++) {
        double *x = &t->f[i];
        if (sample < PLAIN_SAMPLES) {
            *x = rounded(dtype, *x, sample == 0);
            if (gelu && isnan(*x) && sample == 1) *x = 0; /* the limit at minus infinity */
            continue;
        }
        if (!exact && isfinite(*x)) *x += (fabs(*x) * part + least) * sign_of(r);
        if (*x == 0 || isnan(*x)) *x = copysign(*x, sign_of(r)); /* which zero or NaN it is, no op promises */
        if (fabs(*x) > largest * (1 - part)) *x = copysign((double)INFINITY, *x);
    }
}

/* The operand as the sums of a product may see it: each element with the roundings of itself and of `beside`. */
static vj_tensor *disturbed_operand(vj_arena *arena, vj_tensor *x, double terms, double beside, rng *r) {
    if (!x || !x->f) return x;
    vj_tensor *t = VJ_NEW(arena, vj_tensor);
    *t = *x;
    t->f = VJ_NEW_ARRAY(arena, double, x->count + 1);
    const double part = unit(x->type.dtype) * (2 + sqrt(terms));
    for (int64_t i = 0; i < x->count; i++)
        t->f[i] = x->f[i] + (fabs(x->f[i]) + beside) * part * sign_of(r);
    return t;
}

/* A layernorm again, with a mean that is rounded. Errors of the elements alone do not show what that does, for the mean
 * follows them: two elements are 1 and -1 behind every layernorm that computes exactly. The mean of n elements is off by
 * at most part * mean |x|, with the part that summing n terms in any order may cost as for operands; then all elements of
 * a row are off by the same d, and the variance, taken about that mean, is var + d^2. */
static void disturb_mean(const vj_node *node, vj_tensor *const *args, vj_tensor *y, rng *r) {
    const vj_tensor *x = args[0], *gain = node->arg_count > 1 ? args[1] : NULL;
    const vj_tensor *offset = node->arg_count > 2 ? args[2] : NULL;
    const double eps = vj_attr_float(node, VJ_ATTR_EPS, 0);
    int64_t n = 1;
    for (int64_t d = vj_attr_int(node, VJ_ATTR_AXIS, 0); d < x->type.rank; d++)
        n *= x->type.dims[d].c;
    const double part = unit(x->type.dtype) * (2 + sqrt((double)n));
    for (int64_t row = 0; row + n <= x->count && n > 0; row += n) {
        double mean = 0, size = 0, square = 0;
        for (int64_t i = 0; i < n; i++) {
            mean += x->f[row + i] / (double)n;
            size += fabs(x->f[row + i]) / (double)n;
        }
        for (int64_t i = 0; i < n; i++)
            square += (x->f[row + i] - mean) * (x->f[row + i] - mean) / (double)n;
        const double d = size * part * sign_of(r), deviation = sqrt(square + d * d + eps);
        for (int64_t i = 0; i < n; i++)
            y->f[row + i] =
                (x->f[row + i] - mean - d) / deviation * (gain ? gain->f[i] : 1) + (offset ? offset->f[i] : 0);
    }
}

typedef struct sampling {
    vj_arena *arena;
    const vj_func *f;
    vj_tensor **value;
    rng random;
    vj_error *error;
} sampling;

/* sample -1: undisturbed */
static bool eval_node(sampling *s, const vj_node *node, int32_t sample) {
    vj_tensor **args = VJ_NEW_ARRAY(s->arena, vj_tensor *, node->arg_count + 1);
    vj_tensor **results = &s->value[node->first_result];
    for (int32_t a = 0; a < node->arg_count; a++)
        args[a] = node->args[a] < 0 ? NULL : s->value[node->args[a]];
    const bool inexact = !is_exact(s->f, node);
    const bool sums = inexact && !(vj_op_table(node->op)->flags & (VJ_FLAG_ELEMENTWISE | VJ_FLAG_MOVEMENT));
    if (sample >= PLAIN_SAMPLES && sums && node->arg_count) {
        vj_tensor shape = {.type = *vj_type_at(s->f, node->first_result), .count = 1};
        for (int32_t i = 0; i < shape.type.rank; i++)
            shape.count *= shape.type.dims[i].c;
        const double terms = terms_of(node, args, &shape);
        /* a coordinate in pixels is (grid + 1) * size / 2, so that the error is that of rounding the sum */
        for (int32_t a = 0; a < node->arg_count; a++)
            args[a] = disturbed_operand(s->arena, args[a], terms, node->op == VJ_OP_gridsample && a == 1, &s->random);
    }
    if (!vj_eval_node(s->arena, s->f, node, args, results, s->error)) return false;
    if (sample >= PLAIN_SAMPLES && node->op == VJ_OP_layernorm) disturb_mean(node, args, results[0], &s->random);
    /* What may be anything is a NaN once and a number once, for either could be what another op makes of it. */
    const bool lost = sample >= 0 && sample < PLAIN_SAMPLES && is_lost(node, args, sums);
    for (int32_t r = 0; sample >= 0 && r < node->result_count; r++) {
        disturb(s->f, node, results[r], sample, &s->random);
        for (int64_t i = 0; lost && results[r]->f && i < results[r]->count; i++)
            results[r]->f[i] = sample == 0 ? (double)NAN : 0;
    }
    return true;
}

static bool evaluate(sampling *s, vj_tensor *const *inputs, int32_t sample, vj_tensor **outputs) {
    for (int32_t i = 0; i < s->f->input_count; i++)
        s->value[s->f->inputs[i]] = inputs[i];
    for (int32_t n = 0; n < s->f->node_count; n++)
        if (s->f->nodes[n].op != VJ_OP_param && !eval_node(s, &s->f->nodes[n], sample)) return false;
    for (int32_t i = 0; i < s->f->output_count; i++)
        outputs[i] = s->value[s->f->outputs[i]];
    return true;
}

static void note_sample(const vj_tensor *exact, const vj_tensor *sample, double *apart) {
    for (int64_t i = 0; i < exact->count; i++) {
        if (exact->i) {
            if (exact->i[i] != sample->i[i]) apart[i] = INFINITY;
            continue;
        }
        const double x = exact->f[i], y = sample->f[i];
        if (isnan(x) && isnan(y)) continue;
        if (isinf(x) && x == y) continue;
        apart[i] = !isfinite(x) || !isfinite(y) ? INFINITY : fmax(apart[i], fabs(x - y));
    }
}

truth *truth_of(vj_arena *arena, const vj_func *f, vj_tensor *const *inputs, uint64_t seed, int32_t samples,
                vj_error *error) {
    truth *t = VJ_NEW(arena, truth);
    *t = (truth){.count = f->output_count, .samples = samples};
    sampling s = {arena, f, VJ_NEW_ARRAY(arena, vj_tensor *, f->value_count + 1), {seed ^ 0x5bd1e995}, error};
    t->exact = VJ_NEW_ARRAY(arena, vj_tensor *, f->output_count + 1);
    t->apart = VJ_NEW_ARRAY(arena, double *, f->output_count + 1);
    if (!evaluate(&s, inputs, -1, t->exact)) return NULL;
    for (int32_t i = 0; i < t->count; i++)
        t->apart[i] = VJ_NEW_ARRAY(arena, double, t->exact[i]->count + 1);
    vj_tensor **sample = VJ_NEW_ARRAY(arena, vj_tensor *, f->output_count + 1);
    for (int32_t k = 0; k < samples; k++) {
        const vj_arena_mark mark = vj_arena_save(arena);
        if (!evaluate(&s, inputs, k, sample)) return NULL;
        for (int32_t i = 0; i < t->count; i++)
            note_sample(t->exact[i], sample[i], t->apart[i]);
        vj_arena_release(arena, mark);
    }
    return t;
}

static const char *element_differs(vj_arena *arena, const truth *t, int32_t o, int64_t i, const vj_tensor *got) {
    const vj_tensor *exact = t->exact[o];
    if (isinf(t->apart[o][i])) return NULL;
    if (exact->i) {
        if (exact->i[i] == got->i[i]) return NULL;
        return vj_sprintf(arena, "output %d, element %lld: %lld, not %lld", (int)o, (long long)i, (long long)got->i[i],
                          (long long)exact->i[i]);
    }
    const double x = exact->f[i], y = got->f[i];
    const double bound =
        SAFETY * t->apart[o][i] + fabs(x) * ROUNDINGS * unit(exact->type.dtype) + smallest(exact->type.dtype);
    if (isnan(x) ? isnan(y) : x == y || fabs(x - y) <= bound) return NULL;
    return vj_sprintf(arena, "output %d, element %lld: %.9g, not %.9g (%.3g apart, %.3g allowed)", (int)o, (long long)i,
                      y, x, fabs(x - y), bound);
}

const char *differs(vj_arena *arena, const truth *t, vj_tensor *const *got) {
    for (int32_t o = 0; o < t->count; o++)
        for (int64_t i = 0; i < t->exact[o]->count; i++) {
            const char *text = element_differs(arena, t, o, i, got[o]);
            if (text) return text;
        }
    return NULL;
}

void count_judged(const truth *t, int64_t *judged, int64_t *all) {
    for (int32_t o = 0; o < t->count; o++)
        for (int64_t i = 0; i < t->exact[o]->count; i++, ++*all)
            *judged += !isinf(t->apart[o][i]);
}
