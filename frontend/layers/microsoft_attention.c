/* SPDX-License-Identifier: Apache-2.0 */
/* microsoft_attention.c - Attention and MultiHeadAttention of the domain com.microsoft, as ONNX Runtime's transformer
 * scripts write them. A mask is added to the scores: 0 where a query sees a key, else mask_filter_value. So a query
 * that sees no key attends to all alike, as in ONNX Runtime. */
#include "quantize.h"

#include <math.h>
#include <string.h>

enum { MASK_LIMIT = 1 << 24 };

typedef struct heads {
    vj_importer *im;
    int64_t count;
    vj_value q, k, v; /* [B, heads, tokens, head_dim] */
    vj_value bias;    /* added to the scores; VJ_NONE when there is none */
    int64_t past;     /* keys before the first query's own */
} heads;

static const vj_type *type_of(vj_importer *im, vj_value v) { return vj_type_at(im->f, v); }

static bool stop(heads *h, const char *what) { return vj_stop(h->im, VJ_UNSUPPORTED, "%s not supported", what); }

/* [B, L, heads * D] as [B, heads, L, D] */
static vj_value by_heads(heads *h, vj_value x) {
    if (!vj_going(h->im)) return VJ_NONE;
    const vj_type t = *type_of(h->im, x);
    if (t.rank != 3 || t.dims[2].sym || t.dims[2].c % h->count) {
        vj_stop(h->im, VJ_BAD_INPUT, "%s does not divide into %lld heads", vj_type_text(h->im->arena, &t),
                (long long)h->count);
        return VJ_NONE;
    }
    vj_dim dims[4] = {t.dims[0], t.dims[1], vj_dim_const(h->count), vj_dim_const(t.dims[2].c / h->count)};
    return vj_emit_transpose(h->im, vj_emit_reshape(h->im, x, dims, 4), (int32_t[]){0, 2, 1, 3});
}

/* Part i of [B, L, heads, parts, D], as [B, heads, L, D] */
static vj_value packed_part(heads *h, vj_value x, int64_t parts, int64_t i) {
    if (!vj_going(h->im)) return VJ_NONE;
    const vj_type t = *type_of(h->im, x);
    if (t.rank != 5 || !vj_dim_equal(t.dims[2], vj_dim_const(h->count)) ||
        !vj_dim_equal(t.dims[3], vj_dim_const(parts))) {
        vj_stop(h->im, VJ_BAD_INPUT, "%s is not packed by %lld heads and %lld parts", vj_type_text(h->im->arena, &t),
                (long long)h->count, (long long)parts);
        return VJ_NONE;
    }
    vj_dim dims[4] = {t.dims[0], t.dims[1], t.dims[2], t.dims[4]};
    x = vj_emit_reshape(h->im, vj_emit_slice(h->im, x, 3, i, vj_dim_const(1), 1), dims, 4);
    return vj_emit_transpose(h->im, x, (int32_t[]){0, 2, 1, 3});
}

static bool read_heads(heads *h) {
    h->count = vj_int_attribute(h->im, "num_heads", 0);
    if (vj_going(h->im) && (h->count < 1 || h->count > INT32_MAX))
        return vj_stop(h->im, VJ_BAD_INPUT, "num_heads is %lld", (long long)h->count);
    return vj_going(h->im);
}

static bool are_heads(heads *h) {
    vj_importer *im = h->im;
    if (!vj_going(im)) return false;
    const vj_type q = *type_of(im, h->q), k = *type_of(im, h->k), v = *type_of(im, h->v);
    const bool good = q.rank == 4 && k.rank == 4 && v.rank == 4 && vj_dim_equal(q.dims[1], k.dims[1]) &&
                      vj_dim_equal(k.dims[1], v.dims[1]) && vj_dim_equal(q.dims[3], k.dims[3]) &&
                      vj_dim_equal(k.dims[2], v.dims[2]) && vj_dim_equal(q.dims[0], k.dims[0]) &&
                      vj_dim_equal(k.dims[0], v.dims[0]);
    if (!good) return vj_stop(im, VJ_BAD_INPUT, "queries, keys and values do not go together");
    if (q.dims[2].sym || k.dims[2].sym) return stop(h, "a number of tokens that is not known is");
    return true;
}

/* Masks */

/* The constant [1, 1, 1, keys] of 0, 1, 2, ... */
static vj_value key_indices(heads *h, vj_dtype dtype, int64_t keys) {
    int64_t *at = VJ_NEW_ARRAY(h->im->arena, int64_t, keys + 1);
    for (int64_t i = 0; i < keys; i++)
        at[i] = i;
    return vj_add_const_i64(h->im->f, dtype, 4, (int64_t[]){1, 1, 1, keys}, at);
}

/* Part i of a list of numbers, one a batch, as [B, 1, 1, 1] */
static vj_value batch_numbers(heads *h, vj_value list, int64_t part, vj_dim batch) {
    vj_dim dims[4] = {batch, vj_dim_const(1), vj_dim_const(1), vj_dim_const(1)};
    vj_value own = vj_emit_slice(h->im, list, 0, part * batch.c, batch, 1);
    return vj_emit_reshape(h->im, own, dims, 4);
}

/* The keys that are seen, [start, end), from a list of [B] ends or [2 B] ends and starts. */
static vj_value between(heads *h, vj_value list, vj_dim batch, int64_t keys) {
    vj_importer *im = h->im;
    const vj_type t = *type_of(im, list);
    vj_value key = key_indices(h, t.dtype, keys);
    if (vj_dim_equal(t.dims[0], batch)) return vj_emit2(im, VJ_OP_lt, key, batch_numbers(h, list, 0, batch));
    if (batch.sym || t.dims[0].sym || t.dims[0].c != 2 * batch.c) {
        stop(h, "a mask of lengths of that size is");
        return VJ_NONE;
    }
    vj_value before = vj_emit2(im, VJ_OP_lt, key, batch_numbers(h, list, 0, batch));
    vj_value from = vj_emit2(im, VJ_OP_le, batch_numbers(h, list, 1, batch), key);
    return vj_emit2(im, VJ_OP_and, before, from);
}

/* The mask operand as booleans that broadcast to [B, heads, queries, keys]: whether the key is seen. */
static vj_value looked_at(heads *h, vj_value mask, vj_dim batch, int64_t queries, int64_t keys) {
    vj_importer *im = h->im;
    if (!vj_going(im)) return VJ_NONE;
    const vj_type t = *type_of(im, mask);
    if (!vj_dtype_is_int(t.dtype)) {
        vj_stop(im, VJ_BAD_INPUT, "its mask is not of integers");
        return VJ_NONE;
    }
    if (t.rank == 1) return between(h, mask, batch, keys);
    const bool rows = t.rank == 3;
    if ((t.rank != 2 && !rows) || !vj_dim_equal(t.dims[t.rank - 1], vj_dim_const(keys)) ||
        (rows && !vj_dim_equal(t.dims[1], vj_dim_const(queries)))) {
        stop(h, "a mask of that shape is");
        return VJ_NONE;
    }
    vj_dim dims[4] = {t.dims[0], vj_dim_const(1), rows ? t.dims[1] : vj_dim_const(1), t.dims[t.rank - 1]};
    return vj_emit2(im, VJ_OP_lt, vj_emit_number(im, t.dtype, 0), vj_emit_reshape(im, mask, dims, 4));
}

static void add_bias(heads *h, vj_value bias) {
    h->bias = h->bias < 0 ? bias : vj_emit2(h->im, VJ_OP_add, h->bias, bias);
}

/* Adds the constant [queries, keys] that is mask_filter_value for keys after the query, else 0. */
static bool add_causal(heads *h, vj_dtype dtype, int64_t queries, int64_t keys) {
    int64_t count;
    if (!vj_mul(queries, keys, &count) || count > MASK_LIMIT) return stop(h, "a causal mask of that size is");
    double *at = VJ_NEW_ARRAY(h->im->arena, double, count + 1);
    for (int64_t i = 0; i < count; i++)
        at[i] = i % keys <= i / keys + h->past ? 0 : -(double)INFINITY;
    add_bias(h, vj_add_const_f64(h->im->f, dtype, 2, (int64_t[]){queries, keys}, at));
    return vj_going(h->im);
}

static bool read_masks(heads *h, int32_t mask_operand, int32_t bias_operand) {
    vj_importer *im = h->im;
    const vj_type q = *type_of(im, h->q), k = *type_of(im, h->k);
    const double filter = vj_float_attribute(im, "mask_filter_value", -10000);
    h->bias = VJ_NONE;
    if (vj_has_operand(im, mask_operand)) {
        vj_value may = looked_at(h, vj_operand_value(im, mask_operand), q.dims[0], q.dims[2].c, k.dims[2].c);
        vj_value zero = vj_emit_number(im, q.dtype, 0), never = vj_emit_number(im, q.dtype, filter);
        add_bias(h, vj_emit3(im, VJ_OP_select, may, zero, never));
    }
    if (vj_has_operand(im, bias_operand)) add_bias(h, vj_operand_value(im, bias_operand));
    if (vj_int_attribute(im, "unidirectional", 0) && vj_going(im))
        return add_causal(h, q.dtype, q.dims[2].c, k.dims[2].c);
    return vj_going(im);
}

/* [B, heads, L, D] as [B, L, heads * D] */
static bool bind_attention(heads *h) {
    vj_importer *im = h->im;
    double scale = vj_float_attribute(im, "scale", 0);
    if (!vj_going(im)) return false;
    if (scale == 0) scale = 1 / sqrt((double)type_of(im, h->q)->dims[3].c);
    vj_attr attr = vj_float(VJ_ATTR_SCALE, scale);
    vj_value args[4] = {h->q, h->k, h->v, h->bias};
    vj_value y = vj_emit(im, VJ_OP_attention, args, h->bias < 0 ? 3 : 4, &attr, 1);
    if (!vj_going(im)) return false;
    const vj_type t = *type_of(im, y);
    vj_dim dims[3] = {t.dims[0], t.dims[2]};
    if (!vj_dim_product(im, (vj_dim[]){t.dims[1], t.dims[3]}, 2, &dims[2])) return false;
    return vj_bind(im, 0, vj_emit_reshape(im, vj_emit_transpose(im, y, (int32_t[]){0, 2, 1, 3}), dims, 3));
}

/* How many columns of `width` queries, keys and values have: by the attribute, or three equal parts. */
static bool read_widths(heads *h, int64_t width, int64_t *widths) {
    int32_t count;
    const int64_t *given = vj_ints_attribute(h->im, "qkv_hidden_sizes", &count);
    if (!vj_going(h->im)) return false;
    bool good = given ? count == 3 : width % 3 == 0;
    int64_t sum = 0;
    for (int32_t i = 0; i < 3 && good; i++) {
        widths[i] = given ? given[i] : width / 3;
        good = widths[i] > 0 && widths[i] % h->count == 0 && vj_add(sum, widths[i], &sum);
    }
    if (good && sum == width && widths[0] == widths[1]) return true;
    return vj_stop(h->im, VJ_BAD_INPUT, "the weights' %lld columns do not divide into queries, keys and values",
                   (long long)width);
}

/* Attention of what `all` [B, L, columns] holds side by side. */
static bool attend(heads *h, vj_value all, const int64_t *widths, int32_t mask_operand, int32_t bias_operand) {
    vj_importer *im = h->im;
    vj_value part[3];
    int64_t start = 0;
    if (vj_going(im) && type_of(im, all)->rank != 3) return vj_stop(im, VJ_BAD_INPUT, "its input is not of rank 3");
    for (int32_t i = 0; i < 3; i++) {
        part[i] = by_heads(h, vj_emit_slice(im, all, 2, start, vj_dim_const(widths[i]), 1));
        start += widths[i];
    }
    h->q = part[0];
    h->k = part[1];
    h->v = part[2];
    return are_heads(h) && read_masks(h, mask_operand, bias_operand) && bind_attention(h);
}

/* The columns of the weights in operand 1, for queries, keys and values. */
static bool read_columns(heads *h, int64_t *widths) {
    vj_importer *im = h->im;
    const vj_value w = vj_operand_value(im, 1);
    if (!vj_going(im)) return false;
    const vj_type *wt = type_of(im, w);
    if (wt->rank != 2 || wt->dims[1].sym) return vj_stop(im, VJ_BAD_INPUT, "its weights are not a matrix");
    return read_widths(h, wt->dims[1].c, widths);
}

bool vj_build_ms_attention(vj_importer *im) {
    heads h = {.im = im};
    int64_t widths[3];
    if (!read_heads(&h)) return false;
    if (vj_int_attribute(im, "do_rotary", 0)) return stop(&h, "do_rotary is");
    if (vj_has_operand(im, 4) || vj_has_operand(im, 6) || vj_result_is_used(im, 1))
        return stop(&h, "past and present keys and values are");
    vj_value x = vj_operand_value(im, 0), w = vj_operand_value(im, 1);
    vj_value b = vj_has_operand(im, 2) ? vj_operand_value(im, 2) : VJ_NONE;
    if (!read_columns(&h, widths)) return false;
    vj_value all = vj_emit(im, VJ_OP_linear, (vj_value[]){x, w, b}, b < 0 ? 2 : 3, NULL, 0);
    return attend(&h, all, widths, 3, 5);
}

/* x, w, bias, their scales, mask?, zero points?, past?: the projection is of bytes, the attention of floats. */
bool vj_build_ms_qattention(vj_importer *im) {
    enum { NO_BIAS = 9 };
    heads h = {.im = im};
    int64_t widths[3];
    if (!read_heads(&h)) return false;
    if (vj_int_attribute(im, "do_rotary", 0)) return stop(&h, "do_rotary is");
    if (vj_has_operand(im, 8) || vj_result_is_used(im, 1)) return stop(&h, "past and present keys and values are");
    const vj_value x = vj_operand_value(im, 0), w = vj_operand_value(im, 1);
    const vj_value x_zero = vj_zero_operand(im, 6, x), w_zero = vj_zero_operand(im, 7, w);
    const vj_value x_scale = vj_one_number(im, vj_scale_operand(im, 3)), w_scale = vj_scale_operand(im, 4);
    if (!read_columns(&h, widths)) return false;
    const vj_value whole = vj_emit_whole_product(im, x, x_zero, w, w_zero);
    if (vj_going(im) && type_of(im, whole)->rank != 3) return vj_stop(im, VJ_BAD_INPUT, "its input is not of rank 3");
    const vj_value scaled = vj_emit_scaled(im, whole, x_scale, w_scale, VJ_NONE, 2);
    return attend(&h, vj_emit2(im, VJ_OP_add, scaled, vj_operand_value(im, 2)), widths, 5, NO_BIAS);
}

/* MultiHeadAttention */

/* x [B, L, width] plus columns [start, start + width) of the bias of the projections. */
static vj_value projected(heads *h, vj_value x, int64_t *start) {
    vj_importer *im = h->im;
    if (!vj_going(im) || !vj_has_operand(im, 3)) return x;
    const vj_dim width = type_of(im, x)->dims[type_of(im, x)->rank - 1];
    vj_value bias = vj_operand_value(im, 3);
    if (!vj_going(im)) return VJ_NONE;
    const vj_type *t = type_of(im, bias);
    if (t->rank != 1 || t->dims[0].sym || width.sym || *start > t->dims[0].c - width.c) {
        vj_stop(im, VJ_BAD_INPUT, "its bias has too few elements");
        return VJ_NONE;
    }
    bias = vj_emit_slice(im, bias, 0, *start, width, 1);
    *start += width.c;
    return vj_emit2(im, VJ_OP_add, x, bias);
}

/* The same for x that is split by heads already: the bias [width] becomes [heads, 1, D]. */
static vj_value projected_heads(heads *h, vj_value x, int64_t *start) {
    vj_importer *im = h->im;
    if (!vj_going(im) || !vj_has_operand(im, 3)) return x;
    const vj_type t = *type_of(im, x);
    vj_value bias = vj_operand_value(im, 3);
    vj_dim dims[3] = {t.dims[1], vj_dim_const(1), t.dims[3]}, width;
    if (!vj_dim_product(im, (vj_dim[]){t.dims[1], t.dims[3]}, 2, &width)) return VJ_NONE;
    const vj_type *bt = type_of(im, bias);
    if (bt->rank != 1 || bt->dims[0].sym || width.sym || *start > bt->dims[0].c - width.c) {
        vj_stop(im, VJ_BAD_INPUT, "its bias has too few elements");
        return VJ_NONE;
    }
    bias = vj_emit_reshape(im, vj_emit_slice(im, bias, 0, *start, width, 1), dims, 3);
    *start += width.c;
    return vj_emit2(im, VJ_OP_add, x, bias);
}

/* Reads packed operands: query [B, L, heads, 3, D] alone, or query [B, S, hidden] with key [B, L, heads, 2, D]. */
static bool read_packed(heads *h) {
    vj_importer *im = h->im;
    vj_value q = vj_operand_value(im, 0);
    int64_t start = 0;
    if (vj_has_operand(im, 2)) return vj_stop(im, VJ_BAD_INPUT, "values beside packed ones");
    if (!vj_has_operand(im, 1)) {
        h->q = projected_heads(h, packed_part(h, q, 3, 0), &start);
        h->k = projected_heads(h, packed_part(h, q, 3, 1), &start);
        h->v = projected_heads(h, packed_part(h, q, 3, 2), &start);
        return vj_going(im);
    }
    if (vj_has_operand(im, 3)) return stop(h, "a bias with packed keys and values is");
    h->q = by_heads(h, q);
    h->k = packed_part(h, vj_operand_value(im, 1), 2, 0);
    h->v = packed_part(h, vj_operand_value(im, 1), 2, 1);
    return vj_going(im);
}

/* Reads separate operands. Keys and values of rank 4 come from a cache, are split by heads already and get no bias. */
static bool read_separate(heads *h) {
    vj_importer *im = h->im;
    vj_value q = vj_operand_value(im, 0), k = vj_operand_value(im, 1), v = vj_operand_value(im, 2);
    int64_t start = 0;
    if (!vj_going(im)) return false;
    const bool cached = type_of(im, k)->rank == 4;
    if (cached != (type_of(im, v)->rank == 4)) return vj_stop(im, VJ_BAD_INPUT, "keys and values differ in rank");
    h->q = by_heads(h, projected(h, q, &start));
    h->k = cached ? k : by_heads(h, projected(h, k, &start));
    h->v = cached ? v : by_heads(h, projected(h, v, &start));
    return vj_going(im);
}

/* Puts past keys and values in front. The joined ones are results 1 and 2. */
static bool read_past(heads *h) {
    vj_importer *im = h->im;
    if (vj_has_operand(im, 6) != vj_has_operand(im, 7))
        return vj_stop(im, VJ_BAD_INPUT, "past keys without values, or values without keys");
    if (vj_has_operand(im, 6)) {
        vj_value past[2] = {vj_operand_value(im, 6), vj_operand_value(im, 7)};
        if (!vj_going(im)) return false;
        const vj_type *t = type_of(im, past[0]);
        if (t->rank != 4 || t->dims[2].sym) return vj_stop(im, VJ_BAD_INPUT, "past keys are not of rank 4");
        h->past = t->dims[2].c;
        h->k = vj_emit_concat(im, (vj_value[]){past[0], h->k}, 2, 2);
        h->v = vj_emit_concat(im, (vj_value[]){past[1], h->v}, 2, 2);
    }
    if (vj_result_is_used(im, 1) && !vj_bind(im, 1, h->k)) return false;
    if (vj_result_is_used(im, 2) && !vj_bind(im, 2, h->v)) return false;
    return vj_going(im);
}

bool vj_build_ms_multi_head_attention(vj_importer *im) {
    heads h = {.im = im};
    if (!read_heads(&h)) return false;
    if (vj_has_operand(im, 8) || vj_has_operand(im, 9)) return stop(&h, "a shared buffer of past keys and values is");
    if (vj_result_is_used(im, 3)) return stop(&h, "its scores as a result are");
    const bool packed = !vj_has_operand(im, 2);
    return (packed ? read_packed(&h) : read_separate(&h)) && read_past(&h) && are_heads(&h) && read_masks(&h, 4, 5) &&
           bind_attention(&h);
}
