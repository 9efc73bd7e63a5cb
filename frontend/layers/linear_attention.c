/* SPDX-License-Identifier: Apache-2.0 */
/* linear_attention.c - the builder of LinearAttention. Each token updates and reads a state [B, heads, key dim, value
 * dim]; the recurrence is written out token by token. */
#include "frontend/import/import.h"

#include <math.h>
#include <string.h>

/* A limit, as each token becomes a few kernels of its own. */
enum { MOST_TOKENS = 32 };

typedef struct linear_attention {
    vj_importer *im;
    vj_value q, k, v, decay, beta; /* [B, T, heads * dim]; VJ_NONE when the rule does not use it */
    vj_dim batch;
    int64_t tokens, q_heads, heads, d, e; /* heads: of keys and values; d, e: the dims of a key and a value */
    double scale;
} linear_attention;

static const vj_type *type_of(vj_importer *im, vj_value v) { return vj_type_at(im->f, v); }

/* The part of x for token t, as [B, heads, rows, columns]. */
static vj_value token(const linear_attention *a, vj_value x, int64_t t, int64_t heads, int64_t rows, int64_t columns) {
    const vj_dim dims[4] = {a->batch, vj_dim_const(heads), vj_dim_const(rows), vj_dim_const(columns)};
    return vj_emit_reshape(a->im, vj_emit_slice(a->im, x, 1, t, vj_dim_const(1), 1), dims, 4);
}

static bool has_width(const linear_attention *a, vj_value x, int64_t width) {
    const vj_type *t = type_of(a->im, x);
    return t->rank == 3 && vj_dim_equal(t->dims[0], a->batch) && vj_dim_equal(t->dims[1], vj_dim_const(a->tokens)) &&
           vj_dim_equal(t->dims[2], vj_dim_const(width));
}

static bool read_sizes(linear_attention *a) {
    vj_importer *im = a->im;
    a->q_heads = vj_int_attribute(im, "q_num_heads", 0);
    a->heads = vj_int_attribute(im, "kv_num_heads", 0);
    a->scale = vj_float_attribute(im, "scale", 0);
    if (!vj_going(im)) return false;
    const vj_type q = *type_of(im, a->q), v = *type_of(im, a->v);
    bool fits = q.rank == 3 && v.rank == 3 && a->heads > 0 && a->q_heads > 0 && a->q_heads % a->heads == 0 &&
                !q.dims[1].sym && !q.dims[2].sym && !v.dims[2].sym && q.dims[2].c > 0 && v.dims[2].c > 0 &&
                q.dims[2].c % a->q_heads == 0 && v.dims[2].c % a->heads == 0;
    if (fits) {
        a->batch = q.dims[0];
        a->tokens = q.dims[1].c;
        a->d = q.dims[2].c / a->q_heads;
        a->e = v.dims[2].c / a->heads;
        fits = has_width(a, a->k, a->heads * a->d) && has_width(a, a->v, a->heads * a->e);
    }
    if (fits && a->decay >= 0) fits = has_width(a, a->decay, a->heads) || has_width(a, a->decay, a->heads * a->d);
    if (fits && a->beta >= 0) fits = has_width(a, a->beta, a->heads) || has_width(a, a->beta, 1);
    if (!fits) return vj_stop(im, VJ_BAD_INPUT, "its operands do not fit together, or not its heads");
    if (a->scale == 0) a->scale = 1 / sqrt((double)a->d);
    return a->tokens <= MOST_TOKENS ||
           vj_stop(im, VJ_UNSUPPORTED, "%lld tokens; at most %d are supported", (long long)a->tokens, MOST_TOKENS);
}

static bool read_rule(linear_attention *a) {
    vj_importer *im = a->im;
    const char *rule = vj_text_attribute(im, "update_rule", "gated_delta");
    if (!vj_going(im)) return false;
    const bool gated = strncmp(rule, "gated", 5) == 0, both = strcmp(rule, "gated_delta") == 0;
    const bool delta = both || strcmp(rule, "delta") == 0;
    if (!delta && strcmp(rule, "gated") != 0 && strcmp(rule, "linear") != 0)
        return vj_stop(im, VJ_BAD_INPUT, "update_rule is '%.20s'", rule);
    a->decay = gated ? vj_operand_value(im, 4) : VJ_NONE;
    a->beta = delta ? vj_operand_value(im, 5) : VJ_NONE;
    return vj_going(im);
}

static vj_value first_state(const linear_attention *a) {
    vj_importer *im = a->im;
    const vj_dim dims[4] = {a->batch, vj_dim_const(a->heads), vj_dim_const(a->d), vj_dim_const(a->e)};
    if (!vj_has_operand(im, 3)) return vj_emit_broadcast(im, vj_emit_number(im, type_of(im, a->q)->dtype, 0), dims, 4);
    vj_value state = vj_operand_value(im, 3);
    if (!vj_going(im)) return VJ_NONE;
    const vj_type t = *type_of(im, state);
    bool fits = t.rank == 4;
    for (int32_t d = 0; fits && d < 4; d++)
        fits = vj_dim_equal(t.dims[d], dims[d]);
    if (!fits) vj_stop(im, VJ_BAD_INPUT, "the state is %s", vj_type_text(im->arena, &t));
    return vj_emit_cast(im, state, type_of(im, a->q)->dtype);
}

/* The state after token t. */
static vj_value next_state(const linear_attention *a, vj_value state, int64_t t) {
    vj_importer *im = a->im;
    const int32_t rows = 2;
    if (!vj_going(im)) return VJ_NONE;
    vj_value key = token(a, a->k, t, a->heads, a->d, 1), value = token(a, a->v, t, a->heads, 1, a->e);
    if (a->decay >= 0) {
        const bool by_row = vj_dim_equal(type_of(im, a->decay)->dims[2], vj_dim_const(a->heads * a->d));
        vj_value decay = token(a, a->decay, t, a->heads, by_row ? a->d : 1, 1);
        state = vj_emit2(im, VJ_OP_mul, vj_emit1(im, VJ_OP_exp, decay), state);
    }
    if (a->beta >= 0) {
        const bool by_head = vj_dim_equal(type_of(im, a->beta)->dims[2], vj_dim_const(a->heads));
        vj_value known = vj_emit_reduce(im, "sum", vj_emit2(im, VJ_OP_mul, state, key), &rows, 1, true);
        value = vj_emit2(im, VJ_OP_mul, token(a, a->beta, t, by_head ? a->heads : 1, 1, 1),
                         vj_emit2(im, VJ_OP_sub, value, known));
    }
    return vj_emit2(im, VJ_OP_add, state, vj_emit2(im, VJ_OP_mul, key, value));
}

static vj_value read_state(const linear_attention *a, vj_value state, int64_t t) {
    vj_importer *im = a->im;
    vj_value q = token(a, a->q, t, a->heads, a->q_heads / a->heads, a->d);
    if (!vj_going(im)) return VJ_NONE;
    vj_value y = vj_emit2(im, VJ_OP_matmul, q, state);
    y = vj_going(im) ? vj_emit2(im, VJ_OP_mul, y, vj_emit_number(im, type_of(im, y)->dtype, a->scale)) : VJ_NONE;
    const vj_dim dims[3] = {a->batch, vj_dim_const(1), vj_dim_const(a->q_heads * a->e)};
    return vj_emit_reshape(im, y, dims, 3);
}

bool vj_build_linear_attention(vj_importer *im) {
    linear_attention a = {
        .im = im, .q = vj_operand_value(im, 0), .k = vj_operand_value(im, 1), .v = vj_operand_value(im, 2)};
    vj_value rows[MOST_TOKENS];
    if (!vj_going(im) || !read_rule(&a) || !read_sizes(&a)) return false;
    vj_value state = first_state(&a);
    for (int64_t t = 0; t < a.tokens && vj_going(im); t++) {
        state = next_state(&a, state, t);
        rows[t] = read_state(&a, state, t);
    }
    if (!vj_going(im)) return false;
    if (a.tokens < 1) return vj_stop(im, VJ_UNSUPPORTED, "has no tokens");
    return vj_bind(im, 0, vj_emit_concat(im, rows, (int32_t)a.tokens, 1)) && vj_bind(im, 1, state);
}
