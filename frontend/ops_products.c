/* ops_products.c - builders of Gemm, Conv and Attention. */
#include "import.h"

#include <math.h>
#include <string.h>

#include "windows.h"

enum { MASK_LIMIT = 1 << 24 };

static const vj_type *type_of(vj_importer *im, vj_value v) { return vj_type_at(im->f, v); }

static vj_value scaled(vj_importer *im, vj_value x, double factor) {
    if (!vj_going(im) || factor == 1) return x;
    return vj_emit2(im, VJ_OP_mul, x, vj_emit_number(im, type_of(im, x)->dtype, factor));
}

static vj_value transposed(vj_importer *im, vj_value x, bool yes) {
    return yes ? vj_emit_transpose(im, x, (int32_t[]){1, 0}) : x;
}

/* C as a row of `width`, or VJ_NONE when it is not the same for all rows. */
static vj_value as_row(vj_importer *im, vj_value c, vj_dim width) {
    const vj_type type = *type_of(im, c);
    bool is_row = type.rank >= 1 && type.rank <= 2 && vj_dim_equal(type.dims[type.rank - 1], width) &&
                  (type.rank == 1 || vj_dim_equal(type.dims[0], vj_dim_const(1)));
    return is_row ? vj_emit_reshape(im, c, &width, 1) : VJ_NONE;
}

bool vj_build_gemm(vj_importer *im) {
    vj_value a = vj_operand(im, 0), b = vj_operand(im, 1);
    double alpha = vj_float_attribute(im, "alpha", 1), beta = vj_float_attribute(im, "beta", 1);
    bool trans_a = vj_int_attribute(im, "transA", 0) != 0, trans_b = vj_int_attribute(im, "transB", 0) != 0;
    if (!vj_going(im)) return false;
    if (type_of(im, a)->rank != 2 || type_of(im, b)->rank != 2)
        return vj_stop(im, VJ_BAD_INPUT, "its operands are not matrices");
    a = transposed(im, a, trans_a);
    b = transposed(im, b, trans_b);
    if (!vj_going(im)) return false;
    if (!vj_dtype_is_float(type_of(im, a)->dtype)) return vj_stop(im, VJ_UNSUPPORTED, "integer matrices");
    vj_value c = vj_has_operand(im, 2) && beta != 0 ? vj_operand(im, 2) : VJ_NONE;
    c = c < 0 ? c : scaled(im, c, beta);
    if (!vj_going(im)) return false;
    vj_value row = c < 0 || alpha != 1 ? VJ_NONE : as_row(im, c, type_of(im, b)->dims[1]);
    vj_value y = vj_emit(im, VJ_OP_linear, (vj_value[]){a, b, row}, row < 0 ? 2 : 3, NULL, 0);
    y = scaled(im, y, alpha);
    if (c >= 0 && row < 0) {
        vj_type out;
        if (!vj_going(im)) return false;
        if (!vj_broadcast(type_of(im, y), type_of(im, c), &out) || !vj_type_equal(&out, type_of(im, y)))
            return vj_stop(im, VJ_BAD_INPUT, "C does not broadcast to the product");
        y = vj_emit2(im, VJ_OP_add, y, c);
    }
    return vj_bind(im, 0, y);
}

bool vj_build_conv(vj_importer *im) {
    vj_value args[3] = {vj_operand(im, 0), vj_operand(im, 1), VJ_NONE};
    if (vj_has_operand(im, 2)) args[2] = vj_operand(im, 2);
    int64_t groups = vj_int_attribute(im, "group", 1);
    if (!vj_going(im)) return false;
    const vj_type *w = type_of(im, args[1]);
    vj_windows win;
    int64_t kernel[2] = {1, 1};
    for (int32_t i = 2; i < w->rank && i < 4; i++)
        kernel[i - 2] = w->dims[i].c;
    if (!vj_read_windows(im, type_of(im, args[0]), w->rank == type_of(im, args[0])->rank ? kernel : NULL, &win))
        return false;
    vj_attr attrs[] = {vj_ints(VJ_ATTR_STRIDE, win.stride, win.spatial),
                       vj_ints(VJ_ATTR_DILATION, win.dilation, win.spatial), vj_ints(VJ_ATTR_LOW, win.low, win.spatial),
                       vj_ints(VJ_ATTR_HIGH, win.high, win.spatial), vj_int(VJ_ATTR_GROUPS, groups)};
    return vj_bind(im, 0, vj_emit(im, VJ_OP_conv, args, args[2] < 0 ? 2 : 3, attrs, 5));
}

/* Attention */

/* [B, L, H * D] as [B, H, L, D]; a tensor of rank 4 is so already. */
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

/* Heads of keys or values that several heads of queries share. */
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

/* The constant [queries, keys]: may query i look at key j <= i? As a boolean, or as 0 and -infinity. */
static vj_value causal_mask(vj_importer *im, vj_dtype dtype, vj_dim queries, vj_dim keys) {
    int64_t count;
    if (queries.sym || keys.sym || !vj_mul(queries.c, keys.c, &count) || count > MASK_LIMIT) {
        vj_stop(im, VJ_UNSUPPORTED, "a causal mask of that size");
        return VJ_NONE;
    }
    double *bias = VJ_NEW_ARRAY(im->arena, double, count + 1);
    int64_t *may = VJ_NEW_ARRAY(im->arena, int64_t, count + 1);
    for (int64_t i = 0; i < count; i++) {
        may[i] = i % keys.c <= i / keys.c;
        bias[i] = may[i] ? 0 : -(double)INFINITY;
    }
    const int64_t dims[2] = {queries.c, keys.c};
    return dtype == VJ_BOOL ? vj_add_const_i64(im->f, VJ_BOOL, 2, dims, may)
                            : vj_add_const_f64(im->f, dtype, 2, dims, bias);
}

/* Does every row of a constant mask have a key to look at? */
static bool every_row_looks(vj_importer *im, vj_value mask) {
    const vj_type *type = type_of(im, mask);
    int64_t count, keys = type->rank ? type->dims[type->rank - 1].c : 1, row = 0;
    if (!vj_is_const(im->f, mask) || !vj_type_elements(im->f, type, &count) || count > MASK_LIMIT) return false;
    int64_t *may = VJ_NEW_ARRAY(im->arena, int64_t, count + 1);
    if (!vj_const_read_i64(im->f, mask, 0, count, may, im->error)) return false;
    for (int64_t i = 0; i < count; i++) {
        row += may[i];
        if ((i + 1) % keys) continue;
        if (!row) return false;
        row = 0;
    }
    return true;
}

/* The operand that says where queries may look. */
typedef struct attention_mask {
    vj_value bias;  /* added to the scores; VJ_NONE: nothing is */
    vj_value looks; /* boolean [.., queries, 1]: has the row a key to look at? VJ_NONE: all have */
} attention_mask;

static attention_mask read_mask(vj_importer *im, vj_dtype dtype, vj_dim queries, vj_dim keys) {
    bool causal = vj_int_attribute(im, "is_causal", 0) != 0;
    attention_mask m = {VJ_NONE, VJ_NONE};
    vj_value mask = vj_has_operand(im, 3) ? vj_operand(im, 3) : VJ_NONE;
    if (!vj_going(im)) return m;
    if (mask < 0 || type_of(im, mask)->dtype != VJ_BOOL) {
        m.bias = mask;
        if (!causal) return m;
        vj_value triangle = causal_mask(im, dtype, queries, keys);
        m.bias = mask < 0 ? triangle : vj_emit2(im, VJ_OP_add, mask, triangle);
        return m;
    }
    if (causal) mask = vj_emit2(im, VJ_OP_and, mask, causal_mask(im, VJ_BOOL, queries, keys));
    vj_value zero = vj_emit_number(im, dtype, 0), never = vj_emit_number(im, dtype, -(double)INFINITY);
    m.bias = vj_emit3(im, VJ_OP_select, mask, zero, never);
    if (!vj_going(im) || every_row_looks(im, mask)) return m;
    const int32_t last = type_of(im, mask)->rank - 1;
    if (last < 0) return m;
    vj_value most = vj_emit_reduce(im, "max", vj_emit_cast(im, mask, dtype), &last, 1, true);
    m.looks = vj_emit2(im, VJ_OP_lt, zero, most);
    return m;
}

static bool plain_attention(vj_importer *im) {
    for (int32_t i = 4; i < 7; i++)
        if (vj_has_operand(im, i)) return vj_stop(im, VJ_UNSUPPORTED, "past keys and values are not supported");
    for (int32_t i = 1; i < 4; i++)
        if (vj_result_is_used(im, i)) return vj_stop(im, VJ_UNSUPPORTED, "only its first result is supported");
    if (vj_float_attribute(im, "softcap", 0) != 0) return vj_stop(im, VJ_UNSUPPORTED, "softcap is not supported");
    return true;
}

bool vj_build_attention(vj_importer *im) {
    if (!plain_attention(im)) return false;
    vj_value q = vj_operand(im, 0), k = vj_operand(im, 1), v = vj_operand(im, 2);
    int64_t q_heads = vj_int_attribute(im, "q_num_heads", 0), kv_heads = vj_int_attribute(im, "kv_num_heads", 0);
    if (!vj_going(im)) return false;
    bool flat = type_of(im, q)->rank == 3;
    q = by_heads(im, q, q_heads);
    k = by_heads(im, k, kv_heads);
    v = by_heads(im, v, kv_heads);
    if (!vj_going(im)) return false;
    const vj_type qt = *type_of(im, q), kt = *type_of(im, k);
    if (qt.rank != 4 || kt.rank != 4 || type_of(im, v)->rank != 4)
        return vj_stop(im, VJ_BAD_INPUT, "queries, keys and values differ in rank");
    k = share_heads(im, k, qt.dims[1]);
    v = share_heads(im, v, qt.dims[1]);
    attention_mask mask = read_mask(im, qt.dtype, qt.dims[2], kt.dims[2]);
    double scale = vj_float_attribute(im, "scale", 0);
    if (scale == 0) scale = 1 / sqrt((double)qt.dims[3].c);
    vj_attr attr = vj_float(VJ_ATTR_SCALE, scale);
    vj_value y = vj_emit(im, VJ_OP_attention, (vj_value[]){q, k, v, mask.bias}, mask.bias < 0 ? 3 : 4, &attr, 1);
    /* A row without a key to look at is 0, where a softmax of nothing would be NaN. */
    if (mask.looks >= 0) y = vj_emit3(im, VJ_OP_select, mask.looks, y, vj_emit_number(im, qt.dtype, 0));
    if (!vj_going(im) || !flat) return vj_bind(im, 0, y);
    const vj_type yt = *type_of(im, y);
    vj_dim dims[3] = {yt.dims[0], yt.dims[2]};
    if (!vj_dim_product(im, (vj_dim[]){yt.dims[1], yt.dims[3]}, 2, &dims[2])) return false;
    return vj_bind(im, 0, vj_emit_reshape(im, vj_emit_transpose(im, y, (int32_t[]){0, 2, 1, 3}), dims, 3));
}
