/* SPDX-License-Identifier: Apache-2.0 */
/* rotary.c - the builders of RotaryEmbedding, ONNX's and com.microsoft's: pairs of elements of a head are rotated by
 * the angle of their token. */
#include "frontend/ops/indices.h"

static const vj_type *type_of(vj_importer *im, vj_value v) { return vj_type_at(im->f, v); }

typedef struct rotary {
    vj_importer *im;
    int32_t heads;             /* the axis of the heads: 1, or 2 when the operand came as [batch, tokens, hidden] */
    int64_t head_dim, rotated; /* the elements of a head, and how many of them are rotated, from the first on */
    bool interleaved;          /* whether a pair is two neighbours; else it is an element of each half */
    vj_value cosine, sine;     /* [batch or 1, tokens, rotated / 2], or [positions, rotated / 2] with `positions` */
    vj_value positions;        /* [batch or 1, tokens]; VJ_NONE: the tables have a row for each token */
} rotary;

/* The cosines or sines as [batch, tokens, rotated / 2], with an axis of 1 for the heads. */
static vj_value angles(const rotary *r, vj_value v, const vj_type *x) {
    vj_importer *im = r->im;
    if (r->positions >= 0) v = vj_emit_gather(im, v, r->positions, 0);
    if (!vj_going(im)) return VJ_NONE;
    const vj_type t = *type_of(im, v);
    const vj_dim tokens = x->dims[r->heads == 1 ? 2 : 1];
    const vj_dim want[3] = {x->dims[0], tokens, vj_dim_const(r->rotated / 2)};
    bool fits = t.rank == 3;
    for (int32_t d = 0; fits && d < 3; d++)
        fits = vj_dim_equal(t.dims[d], want[d]) || (d == 0 && vj_dim_equal(t.dims[d], vj_dim_const(1)));
    if (!fits) {
        vj_stop(im, VJ_BAD_INPUT, "%s of cosines or sines does not fit %s", vj_type_text(im->arena, &t),
                vj_type_text(im->arena, x));
        return VJ_NONE;
    }
    vj_dim dims[4] = {t.dims[0], vj_dim_const(1), vj_dim_const(1), want[2]};
    dims[r->heads == 1 ? 2 : 1] = tokens;
    return vj_emit_cast(im, vj_emit_reshape(im, v, dims, 4), x->dtype);
}

static vj_value half(const rotary *r, vj_value x, int64_t which) {
    const vj_dim size = vj_dim_const(r->rotated / 2);
    return r->interleaved ? vj_emit_slice(r->im, x, 3, which, size, 2)
                          : vj_emit_slice(r->im, x, 3, which * (r->rotated / 2), size, 1);
}

static vj_value joined(const rotary *r, vj_value first, vj_value second) {
    vj_importer *im = r->im;
    vj_value parts[2] = {first, second};
    if (!vj_going(im)) return VJ_NONE;
    if (!r->interleaved) return vj_emit_concat(im, parts, 2, 3);
    vj_dim dims[5];
    for (int32_t d = 0; d < 4; d++)
        dims[d] = type_of(im, first)->dims[d];
    dims[4] = vj_dim_const(1);
    for (int32_t i = 0; i < 2; i++)
        parts[i] = vj_emit_reshape(im, parts[i], dims, 5);
    dims[3].c *= 2;
    return vj_emit_reshape(im, vj_emit_concat(im, parts, 2, 4), dims, 4);
}

/* x [.., .., .., head dim] with its first `rotated` elements rotated. */
static vj_value rotate(const rotary *r, vj_value x) {
    vj_importer *im = r->im;
    if (!vj_going(im)) return VJ_NONE;
    const vj_type t = *type_of(im, x);
    vj_value cosine = angles(r, r->cosine, &t), sine = angles(r, r->sine, &t), a = half(r, x, 0), b = half(r, x, 1);
    vj_value real = vj_emit2(im, VJ_OP_sub, vj_emit2(im, VJ_OP_mul, cosine, a), vj_emit2(im, VJ_OP_mul, sine, b));
    vj_value imaginary = vj_emit2(im, VJ_OP_add, vj_emit2(im, VJ_OP_mul, sine, a), vj_emit2(im, VJ_OP_mul, cosine, b));
    vj_value parts[2] = {joined(r, real, imaginary), VJ_NONE};
    if (r->rotated == r->head_dim) return parts[0];
    parts[1] = vj_emit_slice(im, x, 3, r->rotated, vj_dim_const(r->head_dim - r->rotated), 1);
    return vj_emit_concat(im, parts, 2, 3);
}

/* `heads` is for an operand of rank 3. `rotated` 0 means all elements of a head. */
static bool build(rotary *r, vj_value x, int64_t heads, int64_t rotated) {
    vj_importer *im = r->im;
    if (!vj_going(im)) return false;
    const vj_type t = *type_of(im, x);
    if ((t.rank != 3 && t.rank != 4) || t.dims[t.rank - 1].sym)
        return vj_stop(im, VJ_BAD_INPUT, "its operand is %s", vj_type_text(im->arena, &t));
    r->heads = 1;
    if (t.rank == 3) {
        if (heads < 1 || t.dims[2].c % heads)
            return vj_stop(im, VJ_BAD_INPUT, "%s does not divide into %lld heads", vj_type_text(im->arena, &t),
                           (long long)heads);
        r->heads = 2;
        vj_dim dims[4] = {t.dims[0], t.dims[1], vj_dim_const(heads), vj_dim_const(t.dims[2].c / heads)};
        x = vj_emit_reshape(im, x, dims, 4);
    }
    if (!vj_going(im)) return false;
    r->head_dim = type_of(im, x)->dims[3].c;
    r->rotated = rotated ? rotated : r->head_dim;
    if (r->rotated < 2 || r->rotated > r->head_dim || r->rotated % 2)
        return vj_stop(im, VJ_BAD_INPUT, "rotates %lld elements of %lld", (long long)r->rotated,
                       (long long)r->head_dim);
    return vj_bind(im, 0, vj_emit_reshape(im, rotate(r, x), t.dims, t.rank));
}

bool vj_build_rotary_embedding(vj_importer *im) {
    rotary r = {.im = im, .cosine = vj_operand_value(im, 1), .sine = vj_operand_value(im, 2)};
    r.positions = vj_has_operand(im, 3) ? vj_operand_value(im, 3) : VJ_NONE;
    r.interleaved = vj_int_attribute(im, "interleaved", 0) != 0;
    const int64_t heads = vj_int_attribute(im, "num_heads", 0),
                  rotated = vj_int_attribute(im, "rotary_embedding_dim", 0);
    return build(&r, vj_operand_value(im, 0), heads, rotated);
}

/* Positions that are one number give the position of the first token; the others count on from it. */
static vj_value counted(vj_importer *im, vj_value positions, const vj_type *x) {
    if (!vj_going(im)) return VJ_NONE;
    const vj_type t = *type_of(im, positions);
    const vj_dim tokens = x->dims[x->rank - 2];
    if (t.dtype == VJ_I64 && t.rank == 2) return positions;
    if (t.dtype != VJ_I64 || t.rank != 1 || tokens.sym || !vj_dim_equal(t.dims[0], vj_dim_const(1))) {
        vj_stop(im, VJ_BAD_INPUT, "its positions are %s", vj_type_text(im->arena, &t));
        return VJ_NONE;
    }
    const vj_value at = vj_emit_iota(im, VJ_I64, tokens.c, 1, 2);
    return vj_emit2(im, VJ_OP_add, vj_emit_reshape(im, positions, (vj_dim[]){vj_dim_const(1), vj_dim_const(1)}, 2), at);
}

/* The tables have a row for each position. Without rotary_embedding_dim, their width gives the size of a head. */
bool vj_build_ms_rotary_embedding(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0), given = vj_operand_value(im, 1);
    rotary r = {.im = im, .cosine = vj_operand_value(im, 2), .sine = vj_operand_value(im, 3)};
    r.interleaved = vj_int_attribute(im, "interleaved", 0) != 0;
    const int64_t named = vj_int_attribute(im, "num_heads", 0),
                  rotated = vj_int_attribute(im, "rotary_embedding_dim", 0);
    const double scale = vj_float_attribute(im, "scale", 1);
    if (vj_int_attribute(im, "is_packed_batching", 0) != 0 || scale != 1)
        return vj_stop(im, VJ_UNSUPPORTED, "packed batches and scales other than 1 are not supported");
    if (!vj_going(im)) return false;
    const vj_type t = *type_of(im, x), table = *type_of(im, r.cosine);
    if (t.rank < 3 || table.rank != 2 || !vj_type_equal(&table, type_of(im, r.sine)) || table.dims[0].sym ||
        table.dims[1].sym || table.dims[1].c < 1 || table.dims[1].c > INT32_MAX)
        return vj_stop(im, VJ_BAD_INPUT, "its operand is %s and its cosines are %s", vj_type_text(im->arena, &t),
                       vj_type_text(im->arena, &table));
    if (rotated && named < 1) return vj_stop(im, VJ_BAD_INPUT, "rotary_embedding_dim without num_heads");
    if (rotated && rotated != 2 * table.dims[1].c)
        return vj_stop(im, VJ_BAD_INPUT, "rotates %lld elements by %lld angles", (long long)rotated,
                       (long long)table.dims[1].c);
    const int64_t heads = rotated || t.rank == 4 ? named : t.dims[2].c / (2 * table.dims[1].c);
    if (named && heads != named)
        return vj_stop(im, VJ_BAD_INPUT, "its cosines do not fit %lld heads", (long long)named);
    r.positions = counted(im, given, &t);
    return vj_indices_fit(im, r.positions, table.dims[0].c) && build(&r, x, heads, rotated);
}
