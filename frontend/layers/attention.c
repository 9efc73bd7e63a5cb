/* SPDX-License-Identifier: Apache-2.0 */
/* attention.c - the builder of Attention.
 *
 * Whatever limits the keys that a query sees (a boolean mask, causality, windows, padding of the keys) is combined into
 * one boolean mask, which is a constant as far as its parts are. A float mask is added to the scores. The plain case is
 * one attention node. Capped scores, scores that are a result, and a softmax of another precision are written out as
 * nodes.
 */
#include "frontend/import/import.h"

#include <math.h>
#include <string.h>

enum { MASK_LIMIT = 1 << 24 };

static const vj_type *type_of(vj_importer *im, vj_value v) { return vj_type_at(im->f, v); }

typedef struct attention {
    vj_importer *im;
    vj_value q, k, v; /* [B, heads, tokens, head dim] */
    vj_dtype dtype;
    vj_dim batch, queries, keys;
    int64_t offset;   /* keys before the first query's own; with an external cache, a number to add to `lengths` */
    vj_value lengths; /* i64 [B, 1, 1, 1]: how many keys are not padding; VJ_NONE: all of them */
    vj_value may;   /* which keys a query sees, as booleans that broadcast to [B, heads, queries, keys]; VJ_NONE: all */
    vj_value bias;  /* added to the scores */
    vj_value looks; /* which queries see any key, boolean [.., queries, 1]; VJ_NONE: all do */
    double scale, softcap;
    vj_dtype precision; /* of the softmax */
} attention;

/* [B, L, H * D] as [B, H, L, D]. A tensor of rank 4 has that layout already. */
static vj_value by_heads(vj_importer *im, vj_value x, int64_t heads) {
    if (!vj_going(im)) return VJ_NONE;
    const vj_type t = *type_of(im, x);
    if (t.rank == 4) return x;
    if (t.rank != 3 || heads < 1 || t.dims[2].sym || t.dims[2].c % heads) {
        vj_stop(im, VJ_BAD_INPUT, "%s does not divide into %lld heads", vj_type_text(im->arena, &t), (long long)heads);
        return VJ_NONE;
    }
    vj_dim dims[4] = {t.dims[0], t.dims[1], vj_dim_const(heads), vj_dim_const(t.dims[2].c / heads)};
    return vj_emit_transpose(im, vj_emit_reshape(im, x, dims, 4), (int32_t[]){0, 2, 1, 3});
}

/* Repeats the heads of keys or values that several heads of queries share. */
static vj_value share_heads(vj_importer *im, vj_value x, vj_dim q_heads) {
    if (!vj_going(im)) return VJ_NONE;
    const vj_type t = *type_of(im, x);
    vj_dim heads = t.dims[1];
    if (vj_dim_equal(heads, q_heads)) return x;
    if (heads.sym || q_heads.sym || heads.c < 1 || q_heads.c % heads.c) {
        vj_stop(im, VJ_BAD_INPUT, "%lld heads of queries do not divide among %lld", (long long)q_heads.c,
                (long long)heads.c);
        return VJ_NONE;
    }
    vj_dim one[5] = {t.dims[0], heads, vj_dim_const(1), t.dims[2], t.dims[3]};
    vj_dim all[5] = {t.dims[0], heads, vj_dim_const(q_heads.c / heads.c), t.dims[2], t.dims[3]};
    vj_dim out[4] = {t.dims[0], q_heads, t.dims[2], t.dims[3]};
    return vj_emit_reshape(im, vj_emit_broadcast(im, vj_emit_reshape(im, x, one, 5), all, 5), out, 4);
}

/* Constraints. Each is a boolean mask; they are combined with `and`. */

static void meet(attention *a, vj_value may) { a->may = a->may < 0 ? may : vj_emit2(a->im, VJ_OP_and, a->may, may); }

static bool mask_fits(const attention *a) {
    int64_t count;
    if (!a->queries.sym && !a->keys.sym && vj_mul(a->queries.c, a->keys.c, &count) && count <= MASK_LIMIT) return true;
    return vj_stop(a->im, VJ_UNSUPPORTED, "a causal mask or window of that size");
}

/* The constant [queries, keys] of the distances j - i - offset between key j and query i. Without `lengths` it is
 * boolean: whether the distance is at most (or at least) `bound`. With `lengths` it is the distance less `bound`, to be
 * compared with them. */
static vj_value distance(const attention *a, bool at_most, int64_t bound) {
    vj_importer *im = a->im;
    const int64_t queries = a->queries.c, keys = a->keys.c, dims[2] = {queries, keys};
    int64_t *list = VJ_NEW_ARRAY(im->arena, int64_t, queries *keys + 1);
    for (int64_t n = 0; n < queries * keys; n++) {
        const int64_t far = n % keys - n / keys - a->offset;
        list[n] = a->lengths >= 0 ? far - bound : at_most ? far <= bound : far >= bound;
    }
    return vj_add_const_i64(im->f, a->lengths >= 0 ? VJ_I64 : VJ_BOOL, 2, dims, list);
}

/* Limits the keys that a query sees to those whose distance is at most (or at least) `bound`. */
static void limit(attention *a, bool at_most, int64_t bound) {
    if (!vj_going(a->im) || !mask_fits(a)) return;
    vj_value known = distance(a, at_most, bound);
    if (a->lengths < 0)
        meet(a, known);
    else
        meet(a, at_most ? vj_emit2(a->im, VJ_OP_le, known, a->lengths) : vj_emit2(a->im, VJ_OP_le, a->lengths, known));
}

static int64_t read_window(vj_importer *im, const char *name) {
    const int64_t size = vj_int_attribute(im, name, -1);
    if (vj_going(im) && size < -1) vj_stop(im, VJ_BAD_INPUT, "%s is %lld", name, (long long)size);
    return vj_max64(-1, vj_min64(size, INT32_MAX));
}

static void read_lengths(attention *a) {
    vj_importer *im = a->im;
    if (!vj_has_operand(im, 6)) return;
    vj_value lengths = vj_operand_value(im, 6);
    if (!vj_going(im)) return;
    const vj_type t = *type_of(im, lengths);
    if (t.rank != 1 || !vj_dim_equal(t.dims[0], a->batch) || !vj_dtype_is_int(t.dtype)) {
        vj_stop(im, VJ_BAD_INPUT, "nonpad_kv_seqlen is %s", vj_type_text(im->arena, &t));
        return;
    }
    if (a->keys.sym || a->queries.sym || a->keys.c > MASK_LIMIT) {
        vj_stop(im, VJ_UNSUPPORTED, "nonpad_kv_seqlen for so many keys");
        return;
    }
    vj_dim dims[4] = {a->batch, vj_dim_const(1), vj_dim_const(1), vj_dim_const(1)};
    a->lengths = vj_emit_reshape(im, vj_emit_cast(im, lengths, VJ_I64), dims, 4);
    a->offset = -a->queries.c;
    int64_t *index = VJ_NEW_ARRAY(im->arena, int64_t, a->keys.c + 1);
    for (int64_t j = 0; j < a->keys.c; j++)
        index[j] = j;
    meet(a, vj_emit2(im, VJ_OP_lt, vj_add_const_i64(im->f, VJ_I64, 1, &a->keys.c, index), a->lengths));
}

/* The mask extended to the number of keys. Keys that it lacks are not seen. */
static vj_value padded_mask(attention *a, vj_value mask) {
    vj_importer *im = a->im;
    const vj_type t = *type_of(im, mask);
    const int32_t last = t.rank - 1;
    if (t.rank == 0 || t.dims[last].c == 1 || t.dims[last].sym || a->keys.sym || t.dims[last].c >= a->keys.c)
        return mask;
    int64_t low[VJ_MAX_RANK] = {0}, high[VJ_MAX_RANK] = {0};
    high[last] = a->keys.c - t.dims[last].c;
    vj_attr attrs[] = {vj_ints(VJ_ATTR_LOW, low, t.rank), vj_ints(VJ_ATTR_HIGH, high, t.rank),
                       vj_name(VJ_ATTR_MODE, "constant"),
                       vj_float(VJ_ATTR_VALUE, t.dtype == VJ_BOOL ? 0 : -(double)INFINITY)};
    return vj_emit(im, VJ_OP_pad, &mask, 1, attrs, 4);
}

static void read_mask(attention *a) {
    vj_importer *im = a->im;
    if (!vj_has_operand(im, 3)) return;
    vj_value mask = vj_operand_value(im, 3);
    if (!vj_going(im)) return;
    const vj_dtype dtype = type_of(im, mask)->dtype;
    if (type_of(im, mask)->rank > 4 || (dtype != VJ_BOOL && !vj_dtype_is_float(dtype))) {
        vj_stop(im, VJ_BAD_INPUT, "the mask is %s", vj_type_text(im->arena, type_of(im, mask)));
        return;
    }
    mask = padded_mask(a, mask);
    if (dtype == VJ_BOOL)
        meet(a, mask);
    else
        a->bias = vj_emit_cast(im, mask, a->dtype);
}

/* Returns whether the mask is known and every row of it has a key that is seen: true, or not minus infinity. */
static bool every_row_looks(vj_importer *im, vj_value mask) {
    const vj_tensor *t = vj_fold(im, mask);
    if (!t) return false;
    const int64_t keys = t->type.rank ? t->type.dims[t->type.rank - 1].c : 1;
    for (int64_t at = 0; at < t->count; at += keys) {
        bool any = false;
        for (int64_t j = at; j < at + keys; j++)
            any = any || (t->f ? t->f[j] != -(double)INFINITY : t->i[j] != 0);
        if (!any) return false;
    }
    return true;
}

/* Makes the boolean mask part of the bias, and finds the queries that see no key. */
static void finish_mask(attention *a) {
    vj_importer *im = a->im;
    if (!vj_going(im) || (a->may < 0 && a->bias < 0)) return;
    vj_value never = vj_emit_number(im, a->dtype, -(double)INFINITY), seen = a->may;
    const bool only_may = a->bias < 0;
    if (only_may)
        a->bias = vj_emit3(im, VJ_OP_select, a->may, vj_emit_number(im, a->dtype, 0), never);
    else if (a->may >= 0)
        a->bias = vj_emit3(im, VJ_OP_select, a->may, a->bias, never);
    if (!only_may) seen = a->bias;
    if (!vj_going(im) || every_row_looks(im, seen) || !vj_going(im)) return;
    seen = only_may ? vj_emit_cast(im, seen, a->dtype) : seen;
    const int32_t last = vj_going(im) ? type_of(im, seen)->rank - 1 : -1;
    vj_value most = last < 0 ? seen : vj_emit_reduce(im, "max", seen, &last, 1, true);
    a->looks =
        vj_emit1(im, VJ_OP_not, vj_emit2(im, VJ_OP_eq, most, only_may ? vj_emit_number(im, a->dtype, 0) : never));
}

/* The operands */

static vj_value joined(vj_importer *im, int32_t past, vj_value now) {
    vj_value parts[2] = {vj_operand_value(im, past), now};
    if (!vj_going(im)) return VJ_NONE;
    const vj_type t = *type_of(im, parts[0]);
    if (t.rank != 4 || t.dims[2].sym) {
        vj_stop(im, VJ_BAD_INPUT, "past keys or values are %s", vj_type_text(im->arena, &t));
        return VJ_NONE;
    }
    if (t.dims[2].c == 0) return now;
    parts[0] = vj_emit_cast(im, parts[0], type_of(im, now)->dtype);
    return vj_emit_concat(im, parts, 2, 2);
}

static bool read_operands(attention *a) {
    vj_importer *im = a->im;
    a->q = vj_operand_value(im, 0);
    a->k = vj_operand_value(im, 1);
    a->v = vj_operand_value(im, 2);
    int64_t q_heads = vj_int_attribute(im, "q_num_heads", 0), kv_heads = vj_int_attribute(im, "kv_num_heads", 0);
    const bool past = vj_has_operand(im, 4);
    if (past != vj_has_operand(im, 5)) return vj_stop(im, VJ_BAD_INPUT, "has past keys or past values alone");
    if (past && vj_has_operand(im, 6)) return vj_stop(im, VJ_BAD_INPUT, "has past keys and nonpad_kv_seqlen");
    if (!vj_going(im)) return false;
    const int32_t rank = type_of(im, a->q)->rank;
    if (type_of(im, a->k)->rank != rank || type_of(im, a->v)->rank != rank)
        return vj_stop(im, VJ_BAD_INPUT, "queries, keys and values differ in rank");
    a->q = by_heads(im, a->q, q_heads);
    a->k = by_heads(im, a->k, kv_heads);
    a->v = by_heads(im, a->v, kv_heads);
    if (!vj_going(im)) return false;
    const vj_type qt = *type_of(im, a->q), kt = *type_of(im, a->k), vt = *type_of(im, a->v);
    const vj_dim one = vj_dim_const(1);
    if ((!vj_dim_equal(kt.dims[0], qt.dims[0]) && !vj_dim_equal(kt.dims[0], one)) ||
        (!vj_dim_equal(vt.dims[0], qt.dims[0]) && !vj_dim_equal(vt.dims[0], one)))
        return vj_stop(im, VJ_BAD_INPUT, "queries, keys and values differ in batch");
    if (qt.dtype != kt.dtype) return vj_stop(im, VJ_BAD_INPUT, "queries and keys differ in type");
    a->dtype = qt.dtype;
    if (past) {
        a->k = joined(im, 4, a->k);
        a->v = joined(im, 5, a->v);
        if (!vj_going(im)) return false;
        a->offset = type_of(im, a->k)->dims[2].c - kt.dims[2].c;
    }
    if (!vj_bind(im, 1, a->k) || !vj_bind(im, 2, a->v)) return false;
    a->batch = qt.dims[0];
    a->queries = qt.dims[2];
    a->keys = type_of(im, a->k)->dims[2];
    a->k = vj_emit_cast(im, share_heads(im, a->k, qt.dims[1]), a->dtype);
    a->v = vj_emit_cast(im, share_heads(im, a->v, qt.dims[1]), a->dtype);
    a->scale = vj_float_attribute(im, "scale", 0);
    if (!vj_find_attribute(im, "scale")) a->scale = 1 / sqrt((double)qt.dims[3].c);
    a->softcap = vj_float_attribute(im, "softcap", 0);
    return vj_going(im);
}

static bool read_precision(attention *a) {
    const int64_t given = vj_int_attribute(a->im, "softmax_precision", 0);
    static const struct {
        int64_t onnx;
        vj_dtype dtype;
    } types[] = {{1, VJ_F32}, {10, VJ_F16}, {11, VJ_F64}, {16, VJ_BF16}};
    a->precision = a->dtype;
    if (!vj_going(a->im) || given == 0) return vj_going(a->im);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].onnx == given) {
            a->precision = types[i].dtype;
            return true;
        }
    return vj_stop(a->im, VJ_BAD_INPUT, "softmax_precision is %lld", (long long)given);
}

/* Returns whether one attention node will do. 16-bit types are computed in float32 anyway. */
static bool is_plain(const attention *a) {
    const bool is_half = a->dtype == VJ_F16 || a->dtype == VJ_BF16;
    return a->softcap <= 0 && !vj_result_is_used(a->im, 3) &&
           (a->precision == a->dtype || (is_half && a->precision == VJ_F32));
}

static vj_value zero_where_blind(const attention *a, vj_value x) {
    if (a->looks < 0 || !vj_going(a->im)) return x;
    return vj_emit3(a->im, VJ_OP_select, a->looks, x, vj_emit_number(a->im, type_of(a->im, x)->dtype, 0));
}

/* Attention written out as nodes. Binds the fourth result, the scores. */
static vj_value written_out(const attention *a) {
    vj_importer *im = a->im;
    const int64_t mode = vj_int_attribute(im, "qk_matmul_output_mode", 0);
    if (vj_going(im) && (mode < 0 || mode > 3))
        vj_stop(im, VJ_BAD_INPUT, "qk_matmul_output_mode is %lld", (long long)mode);
    vj_value keys = vj_emit_transpose(im, a->k, (int32_t[]){0, 1, 3, 2});
    vj_value stage[4];
    stage[0] = vj_emit2(im, VJ_OP_mul, vj_emit2(im, VJ_OP_matmul, a->q, keys), vj_emit_number(im, a->dtype, a->scale));
    stage[1] = stage[0];
    if (a->softcap > 0) {
        vj_value cap = vj_emit_number(im, a->dtype, a->softcap);
        stage[1] = vj_emit2(im, VJ_OP_mul, vj_emit1(im, VJ_OP_tanh, vj_emit2(im, VJ_OP_div, stage[0], cap)), cap);
    }
    stage[2] = a->bias < 0 ? stage[1] : vj_emit2(im, VJ_OP_add, stage[1], a->bias);
    const vj_attr last = vj_int(VJ_ATTR_AXIS, 3);
    vj_value scores = vj_emit_cast(im, stage[2], a->precision);
    stage[3] = vj_emit_cast(im, zero_where_blind(a, vj_emit(im, VJ_OP_softmax, &scores, 1, &last, 1)), a->dtype);
    if (!vj_going(im) || !vj_bind(im, 3, stage[mode])) return VJ_NONE;
    return vj_emit2(im, VJ_OP_matmul, stage[3], a->v);
}

/* FlexAttention whose scores or weights are changed by graphs. */
typedef struct flexible {
    vj_value x, v; /* scores or weights at hand, in the softmax's precision; and the values */
    vj_dtype dtype;
    bool has_weights;
} flexible;

static bool weigh(vj_importer *im, flexible *s);

static bool take_changed(vj_importer *im, const vj_scope *inner) {
    flexible *s = inner->state;
    vj_binding *from = vj_graph_result(im, inner, 0);
    vj_value y = from ? vj_materialise(im, from) : VJ_NONE;
    if (!vj_going(im)) return false;
    if (!vj_type_equal(type_of(im, y), type_of(im, s->x)))
        return vj_stop(im, VJ_BAD_INPUT, "%s makes %s of %s", s->has_weights ? "prob_mod" : "score_mod",
                       vj_type_text(im->arena, type_of(im, y)), vj_type_text(im->arena, type_of(im, s->x)));
    s->x = y;
    return weigh(im, s);
}

/* From scores to weights, or from weights to the result. */
static bool weigh(vj_importer *im, flexible *s) {
    const vj_attr last = vj_int(VJ_ATTR_AXIS, 3);
    if (s->has_weights) return vj_bind(im, 0, vj_emit2(im, VJ_OP_matmul, vj_emit_cast(im, s->x, s->dtype), s->v));
    s->x = vj_emit(im, VJ_OP_softmax, &s->x, 1, &last, 1);
    s->has_weights = true;
    if (!vj_find_attribute(im, "prob_mod")) return weigh(im, s);
    const Onnx__GraphProto *g = vj_graph_attribute(im, "prob_mod", 1);
    return vj_going(im) && vj_open_graph(im, g, s->x, take_changed, s);
}

bool vj_build_flex_attention(vj_importer *im) {
    attention a = {.im = im, .may = VJ_NONE, .bias = VJ_NONE, .looks = VJ_NONE, .lengths = VJ_NONE};
    if (!vj_find_attribute(im, "score_mod") && !vj_find_attribute(im, "prob_mod")) return vj_build_attention(im);
    if (!read_operands(&a) || !read_precision(&a)) return false;
    if (type_of(im, a.q)->rank != 4 || type_of(im, vj_operand_value(im, 0))->rank != 4)
        return vj_stop(im, VJ_BAD_INPUT, "its queries are not of rank 4");
    if (!vj_find_attribute(im, "softmax_precision") && a.dtype != VJ_F64) a.precision = VJ_F32;
    flexible *s = VJ_NEW(im->arena, flexible);
    vj_value keys = vj_emit_transpose(im, a.k, (int32_t[]){0, 1, 3, 2});
    vj_value scores =
        vj_emit2(im, VJ_OP_mul, vj_emit2(im, VJ_OP_matmul, a.q, keys), vj_emit_number(im, a.dtype, a.scale));
    *s = (flexible){.x = vj_emit_cast(im, scores, a.precision), .v = a.v, .dtype = a.dtype};
    if (!vj_find_attribute(im, "score_mod")) return weigh(im, s);
    const Onnx__GraphProto *g = vj_graph_attribute(im, "score_mod", 1);
    return vj_going(im) && vj_open_graph(im, g, s->x, take_changed, s);
}

bool vj_build_attention(vj_importer *im) {
    attention a = {.im = im, .may = VJ_NONE, .bias = VJ_NONE, .looks = VJ_NONE, .lengths = VJ_NONE};
    if (!read_operands(&a) || !read_precision(&a)) return false;
    const bool causal = vj_int_attribute(im, "is_causal", 0) != 0;
    const int64_t left = read_window(im, "left_window_size"), right = read_window(im, "right_window_size");
    read_mask(&a);
    read_lengths(&a);
    if (causal) limit(&a, true, 0);
    if (right >= 0 && !(causal && right > 0)) limit(&a, true, right);
    if (left >= 0) limit(&a, false, -left);
    finish_mask(&a);
    if (!vj_going(im)) return false;
    vj_value y;
    if (is_plain(&a)) {
        vj_attr attr = vj_float(VJ_ATTR_SCALE, a.scale);
        y = vj_emit(im, VJ_OP_attention, (vj_value[]){a.q, a.k, a.v, a.bias}, a.bias < 0 ? 3 : 4, &attr, 1);
        y = zero_where_blind(&a, y);
    } else {
        y = written_out(&a);
    }
    if (!vj_going(im)) return false;
    vj_value q = vj_operand_value(im, 0);
    if (type_of(im, q)->rank != 3) return vj_bind(im, 0, y);
    const vj_type yt = *type_of(im, y);
    vj_dim dims[3] = {yt.dims[0], yt.dims[2]};
    if (!vj_dim_product(im, (vj_dim[]){yt.dims[1], yt.dims[3]}, 2, &dims[2])) return false;
    return vj_bind(im, 0, vj_emit_reshape(im, vj_emit_transpose(im, y, (int32_t[]){0, 2, 1, 3}), dims, 3));
}
