/* SPDX-License-Identifier: Apache-2.0 */
/* blocks.c - ops whose weights are numbers of 4 or 8 bits with a scale a block: MatMulNBits, MatMulBnb4 and
 * GatherBlockQuantized of the domain com.microsoft. A weight becomes an expression of constants, scale * (q - zero point)
 * in f32, exactly as ONNX Runtime's ContribOperators documentation defines it; whoever packs it reads it in blocks. */
#include "frontend/import/import.h"

#include <math.h>
#include <string.h>

static const vj_type *type_of(vj_importer *im, vj_value v) { return vj_type_at(im->f, v); }

enum { LEAST_BLOCK = 16 };

/* A size that an attribute must give. */
static int64_t size_attribute(vj_importer *im, const char *name, int64_t least) {
    if (vj_going(im) && !vj_find_attribute(im, name)) vj_stop(im, VJ_BAD_INPUT, "attribute '%s' is missing", name);
    const int64_t size = vj_int_attribute(im, name, 0);
    if (vj_going(im) && size < least)
        vj_stop(im, VJ_BAD_INPUT, "attribute '%s' is %lld, less than %lld", name, (long long)size, (long long)least);
    return vj_going(im) ? size : least;
}

static int64_t block_attribute(vj_importer *im) {
    const int64_t block = size_attribute(im, "block_size", LEAST_BLOCK);
    if (vj_going(im) && (block & (block - 1)) != 0)
        vj_stop(im, VJ_BAD_INPUT, "block_size is %lld, no power of two", (long long)block);
    return block;
}

/* The operand, made of constants; what the run computes is refused. */
static vj_value constant_operand(vj_importer *im, int32_t i, const char *what) {
    vj_value v = vj_operand_value(im, i);
    if (vj_going(im) && !vj_is_weight(im->f, v))
        vj_stop(im, VJ_UNSUPPORTED, "its %s is computed; it must be a constant", what);
    return vj_going(im) ? v : VJ_NONE;
}

static bool has_elements(vj_importer *im, vj_value v, int64_t wanted, const char *what) {
    int64_t count;
    if (!vj_going(im)) return false;
    if (vj_type_elements(im->f, type_of(im, v), &count) && count == wanted) return true;
    return vj_stop(im, VJ_BAD_INPUT, "its %s is %s; K, N and block_size ask for %lld elements", what,
                   vj_type_text(im->arena, type_of(im, v)), (long long)wanted);
}

/* The bytes of a constant of u8 as numbers of 4 bits, of `dims`, which have no more than its elements. */
static vj_value nibbles_of(vj_importer *im, vj_value packed, vj_nibbles order, const int64_t *dims, int32_t rank) {
    if (!vj_going(im)) return VJ_NONE;
    static const vj_const made = {.kind = VJ_CONST_SPLAT};
    const vj_const *from =
        vj_is_const(im->f, packed) ? vj_attr_find(vj_producer(im->f, packed), VJ_ATTR_CONSTANT)->as.constant : &made;
    const vj_type type = vj_type_of(VJ_U8, rank, dims);
    vj_const constant = *from;
    int64_t count;
    constant.nibbles = order;
    const bool fits = from->kind == VJ_CONST_BYTES && !from->nibbles && vj_type_elements(im->f, &type, &count) &&
                      vj_stored_bytes(VJ_U8, order, count, &constant.length) && constant.length <= from->length;
    if (!fits) {
        vj_stop(im, VJ_UNSUPPORTED, "its packed numbers are not bytes of the model");
        return VJ_NONE;
    }
    return vj_add_const(im->f, im->f->values[packed].name, &type, &constant);
}

static vj_value reshaped(vj_importer *im, vj_value v, const int64_t *sizes, int32_t rank) {
    vj_dim dims[VJ_MAX_RANK];
    for (int32_t i = 0; i < rank; i++)
        dims[i] = vj_dim_const(sizes[i]);
    return vj_emit_reshape(im, v, dims, rank);
}

/* MatMulNBits: a [.., K] times the transpose of a weight of N rows, each in `groups` blocks, whose numbers fill whole bytes and
 * whose last one may be larger than what is left of K. */
typedef struct rows {
    int64_t k, n, block, groups, bits;
} rows;

/* The sizes, and that the packed numbers have them. */
static bool read_rows(vj_importer *im, rows *r, vj_value packed) {
    int64_t scales, numbers;
    r->k = size_attribute(im, "K", 1);
    r->n = size_attribute(im, "N", 1);
    r->bits = vj_int_attribute(im, "bits", 4);
    r->block = block_attribute(im);
    if (!vj_going(im)) return false;
    if (r->bits != 4 && r->bits != 8)
        return vj_stop(im, VJ_UNSUPPORTED, "weights of %lld bits; 4 and 8 are supported", (long long)r->bits);
    if (vj_int_attribute(im, "weight_prepacked", 0) != 0)
        return vj_stop(im, VJ_UNSUPPORTED, "its weight is packed for another device (weight_prepacked)");
    if (!vj_going(im)) return false;
    const bool fits = r->k <= INT64_MAX - r->block;
    r->groups = fits ? vj_ceil_div(r->k, r->block) : 0;
    if (!fits || !vj_mul(r->n, r->groups, &scales) || !vj_mul(scales, r->block, &numbers))
        return vj_stop(im, VJ_BAD_INPUT, "K and N are too large");
    if (type_of(im, packed)->dtype != VJ_U8 || vj_const_nibbles(im->f, packed) != VJ_NO_NIBBLES)
        return vj_stop(im, VJ_BAD_INPUT, "its B is not of uint8");
    return has_elements(im, packed, r->bits == 8 ? numbers : numbers / 2, "B");
}

/* Packed numbers as f32 [N, width, last]. */
static vj_value numbers_of(vj_importer *im, const rows *r, vj_value packed, int64_t width, int64_t last) {
    const int64_t dims[3] = {r->n, width, last};
    vj_value q = r->bits == 8 ? reshaped(im, packed, dims, 3) : nibbles_of(im, packed, VJ_NIBBLES_LOW_FIRST, dims, 3);
    return vj_emit_cast(im, q, VJ_F32);
}

/* Zero points as f32 [N, groups, 1]: packed as the weights, each row in whole bytes, or floats. */
static vj_value zeros_of(vj_importer *im, const rows *r) {
    const int64_t dims[3] = {r->n, r->groups, 1};
    if (!vj_has_operand(im, 3)) return vj_emit_number(im, VJ_F32, r->bits == 8 ? 128 : 8);
    vj_value zero = constant_operand(im, 3, "zero_points");
    if (!vj_going(im)) return VJ_NONE;
    if (vj_dtype_is_float(type_of(im, zero)->dtype)) {
        if (!has_elements(im, zero, r->n * r->groups, "zero_points")) return VJ_NONE;
        return vj_emit_cast(im, reshaped(im, zero, dims, 3), VJ_F32);
    }
    const int64_t width = r->bits == 8 ? r->groups : vj_round_up(r->groups, 2);
    if (type_of(im, zero)->dtype != VJ_U8 || vj_const_nibbles(im->f, zero) != VJ_NO_NIBBLES) {
        vj_stop(im, VJ_BAD_INPUT, "its zero_points are neither of uint8 nor floats");
        return VJ_NONE;
    }
    if (!has_elements(im, zero, r->bits == 8 ? r->n * width : r->n * width / 2, "zero_points")) return VJ_NONE;
    return vj_emit_slice(im, numbers_of(im, r, zero, width, 1), 1, 0, vj_dim_const(r->groups), 1);
}

/* Of any sign: the number that is largest without its sign may decide it. */
static bool are_finite(vj_importer *im, vj_value scale, const char *what) {
    enum { PART = 512 };
    double part[PART];
    int64_t count;
    if (!vj_is_const(im->f, scale) || !vj_type_elements(im->f, type_of(im, scale), &count)) return true;
    for (int64_t at = 0; at < count; at += PART) {
        const int64_t some = vj_min64(PART, count - at);
        if (!vj_const_read_f64(im->f, scale, at, some, part, im->error)) return false;
        for (int64_t i = 0; i < some; i++)
            if (!isfinite(part[i]))
                return vj_stop(im, VJ_BAD_INPUT, "one of its %s is %g, not a finite number", what, part[i]);
    }
    return true;
}

/* The scales as f32 of `dims`. */
static vj_value scales_of(vj_importer *im, int32_t operand, const char *what, int64_t count, const int64_t *dims,
                          int32_t rank) {
    vj_value scale = constant_operand(im, operand, what);
    if (!vj_going(im)) return VJ_NONE;
    if (!vj_dtype_is_float(type_of(im, scale)->dtype)) {
        vj_stop(im, VJ_BAD_INPUT, "its %s is not of floats", what);
        return VJ_NONE;
    }
    if (!has_elements(im, scale, count, what) || !are_finite(im, scale, what)) return VJ_NONE;
    return vj_emit_cast(im, reshaped(im, scale, dims, rank), VJ_F32);
}

/* a, which may be rounded by such blocks if they are not 0, times the weight's [K, N], plus a bias where operand `bias` is one, in a's
 * type. */
static bool bind_product(vj_importer *im, vj_value a, int64_t block, vj_value w, int32_t bias) {
    if (!vj_going(im)) return false;
    const vj_dtype dtype = type_of(im, a)->dtype;
    if (dtype != VJ_F32 && dtype != VJ_F16 && dtype != VJ_BF16)
        return vj_stop(im, VJ_UNSUPPORTED, "multiplies %s", vj_element_name(dtype));
    const vj_attr size = vj_int(VJ_ATTR_BLOCK, block);
    a = vj_emit_cast(im, a, VJ_F32);
    if (block && vj_going(im)) a = vj_emit(im, VJ_OP_round_blocks, &a, 1, &size, 1);
    vj_value y = vj_emit2(im, VJ_OP_matmul, a, w);
    if (bias >= 0 && vj_has_operand(im, bias)) {
        vj_value b = vj_operand_value(im, bias);
        if (!vj_going(im)) return false;
        const vj_type *t = type_of(im, b);
        if (t->rank != 1 || !vj_dim_equal(t->dims[0], type_of(im, w)->dims[1]))
            return vj_stop(im, VJ_BAD_INPUT, "its bias is %s, not one number a column", vj_type_text(im->arena, t));
        y = vj_emit2(im, VJ_OP_add, y, vj_emit_cast(im, b, VJ_F32));
    }
    return vj_bind(im, 0, vj_emit_cast(im, y, dtype));
}

static vj_value turned(vj_importer *im, vj_value w) { return vj_emit_transpose(im, w, (const int32_t[]){1, 0}); }

bool vj_build_ms_matmul_nbits(vj_importer *im) {
    rows r = {0};
    vj_value a = vj_operand_value(im, 0), packed = constant_operand(im, 1, "B");
    if (!vj_going(im)) return false;
    if (vj_has_operand(im, 4)) return vj_stop(im, VJ_UNSUPPORTED, "its g_idx, an order of K, is not supported");
    if (!read_rows(im, &r, packed)) return false;
    const int64_t each[3] = {r.n, r.groups, 1}, whole[2] = {r.n, r.groups * r.block};
    vj_value scale = scales_of(im, 2, "scales", r.n * r.groups, each, 3), zero = zeros_of(im, &r);
    vj_value w = vj_emit2(im, VJ_OP_sub, numbers_of(im, &r, packed, r.groups, r.block), zero);
    w = reshaped(im, vj_emit2(im, VJ_OP_mul, w, scale), whole, 2);
    /* Levels say how much a may be rounded: 1 to float32, 2 to float16, 3 to bfloat16, 4 to bytes, by the weight's blocks. */
    const int64_t block = vj_int_attribute(im, "accuracy_level", 0) == 4 ? r.block : 0;
    return bind_product(im, a, block, turned(im, vj_emit_slice(im, w, 1, 0, vj_dim_const(r.k), 1)), 5);
}

/* The 16 values of FP4 and NF4, as bitsandbytes defines them. */
static const double values_of_fp4[16] = {
    0,    0.00520833333f,  0.66666667f,  1,  0.33333333f,  0.5,  0.16666667f,  0.25,
    -0.0, -0.00520833333f, -0.66666667f, -1, -0.33333333f, -0.5, -0.16666667f, -0.25};
static const double values_of_nf4[16] = {-1.0,
                                         -0.6961928009986877f,
                                         -0.5250730514526367f,
                                         -0.39491748809814453f,
                                         -0.28444138169288635f,
                                         -0.18477343022823334f,
                                         -0.09105003625154495f,
                                         0,
                                         0.07958029955625534f,
                                         0.16093020141124725f,
                                         0.24611230194568634f,
                                         0.33791524171829224f,
                                         0.44070982933044434f,
                                         0.5626170039176941f,
                                         0.7229568362236023f,
                                         1};

/* The blocks run over the weight's rows, one behind the other, the first number of a byte in its high half. */
bool vj_build_ms_matmul_bnb4(vj_importer *im) {
    vj_value a = vj_operand_value(im, 0), packed = constant_operand(im, 1, "B");
    const int64_t k = size_attribute(im, "K", 1), n = size_attribute(im, "N", 1), block = block_attribute(im);
    const int64_t kind = vj_int_attribute(im, "quant_type", 1), sixteen = 16;
    int64_t count, covered;
    if (vj_int_attribute(im, "transB", 1) == 0 || vj_int_attribute(im, "training_mode", 0) != 0)
        vj_stop(im, VJ_UNSUPPORTED, "training_mode, and transB of 0, are not supported");
    if (!vj_going(im)) return false;
    if (kind != 0 && kind != 1)
        return vj_stop(im, VJ_BAD_INPUT, "quant_type is %lld; 0 is FP4, 1 is NF4", (long long)kind);
    if (!vj_mul(k, n, &count) || count > INT64_MAX - block || !vj_mul(vj_ceil_div(count, block), block, &covered))
        return vj_stop(im, VJ_BAD_INPUT, "K and N are too large");
    if (type_of(im, packed)->dtype != VJ_U8) return vj_stop(im, VJ_BAD_INPUT, "its B is not of uint8");
    if (!has_elements(im, packed, count / 2 + count % 2, "B")) return false;
    vj_value q = nibbles_of(im, packed, VJ_NIBBLES_HIGH_FIRST, &count, 1);
    vj_value table = vj_add_const_f64(im->f, VJ_F32, 1, &sixteen, kind ? values_of_nf4 : values_of_fp4);
    vj_attr axis = vj_int(VJ_ATTR_AXIS, 0);
    const int64_t blocks = covered / block, each[2] = {blocks, 1}, whole[2] = {n, k};
    const vj_dim wide[2] = {vj_dim_const(blocks), vj_dim_const(block)};
    vj_value scale = vj_emit_broadcast(im, scales_of(im, 2, "absmax", blocks, each, 2), wide, 2);
    scale = vj_emit_slice(im, reshaped(im, scale, &covered, 1), 0, 0, vj_dim_const(count), 1);
    vj_value w = vj_emit2(im, VJ_OP_mul, vj_emit(im, VJ_OP_gather, (vj_value[]){table, q}, 2, &axis, 1), scale);
    return bind_product(im, a, 0, turned(im, reshaped(im, w, whole, 2)), -1);
}

/* GatherBlockQuantized. What is gathered stays as narrow as it is stored; the scales and zero points of the same places are
 * gathered beside it, and stand for a block each. */
typedef struct gathered {
    vj_value indices;
    int32_t gather, quantize, indices_rank;
    int64_t block, size; /* of the quantised axis */
} gathered;

/* The quantised axis behind the gathering: that of the operand, or further on by what the indices add. */
static int32_t axis_behind(const gathered *g) {
    return g->quantize < g->gather ? g->quantize : g->quantize + g->indices_rank - 1;
}

static vj_value picked(vj_importer *im, const gathered *g, vj_value x) {
    return vj_emit_gather(im, x, g->indices, g->gather);
}

/* One number a block as one for each element. */
static vj_value spread(vj_importer *im, const gathered *g, vj_value x) {
    x = picked(im, g, x);
    if (!vj_going(im)) return VJ_NONE;
    const int32_t axis = axis_behind(g), rank = type_of(im, x)->rank;
    if (rank >= VJ_MAX_RANK) {
        vj_stop(im, VJ_UNSUPPORTED, "its result has %d dims", rank);
        return VJ_NONE;
    }
    vj_dim dims[VJ_MAX_RANK], apart[VJ_MAX_RANK + 1];
    memcpy(dims, type_of(im, x)->dims, sizeof dims);
    for (int32_t i = 0; i < rank; i++)
        apart[i + (i > axis)] = dims[i];
    apart[axis + 1] = vj_dim_const(1);
    x = vj_emit_reshape(im, x, apart, rank + 1);
    apart[axis + 1] = vj_dim_const(g->block);
    x = vj_emit_broadcast(im, x, apart, rank + 1);
    dims[axis] = vj_dim_const(dims[axis].c * g->block);
    return vj_emit_slice(im, vj_emit_reshape(im, x, dims, rank), axis, 0, vj_dim_const(g->size), 1);
}

/* Bytes of two numbers each along the last axis become those numbers, the first `size`. */
static vj_value unpacked(vj_importer *im, vj_value packed, int64_t size) {
    int64_t dims[VJ_MAX_RANK];
    if (!vj_going(im)) return VJ_NONE;
    const vj_type t = *type_of(im, packed);
    for (int32_t i = 0; i < t.rank; i++)
        dims[i] = t.dims[i].c * (i == t.rank - 1 ? 2 : 1);
    vj_value v = nibbles_of(im, packed, VJ_NIBBLES_LOW_FIRST, dims, t.rank);
    return vj_emit_slice(im, v, t.rank - 1, 0, vj_dim_const(size), 1);
}

/* Are x's dims those of the data, with a number a block along the quantised axis? */
static bool fits_blocks(vj_importer *im, const gathered *g, vj_value data, vj_value x, const char *what) {
    if (!vj_going(im)) return false;
    const vj_type *t = type_of(im, data), *s = type_of(im, x);
    bool fits = s->rank == t->rank;
    for (int32_t i = 0; fits && i < t->rank; i++)
        fits = s->dims[i].c == (i == g->quantize ? vj_ceil_div(t->dims[i].c, g->block) : t->dims[i].c);
    if (fits) return true;
    return vj_stop(im, VJ_BAD_INPUT, "its %s are %s, which does not fit data of %s in blocks of %lld", what,
                   vj_type_text(im->arena, s), vj_type_text(im->arena, t), (long long)g->block);
}

static bool read_gathered(vj_importer *im, gathered *g, vj_value data, bool is_byte, int64_t bits) {
    const int64_t gather = vj_int_attribute(im, "gather_axis", 0), quantize = vj_int_attribute(im, "quantize_axis", 1);
    const bool has_block = vj_going(im) && vj_find_attribute(im, "block_size");
    g->block = has_block ? block_attribute(im) : 128;
    if (!vj_going(im)) return false;
    const int32_t rank = type_of(im, data)->rank;
    g->gather = vj_axis_of(im, gather, rank);
    g->quantize = vj_axis_of(im, quantize, rank);
    if (!vj_going(im)) return false;
    if (bits != 4 && !(bits == 8 && is_byte))
        return vj_stop(im, VJ_UNSUPPORTED, "data of %lld bits; 4, and of bytes 8, are supported", (long long)bits);
    if (is_byte && (g->gather != 0 || g->quantize != rank - 1))
        return vj_stop(im, VJ_BAD_INPUT, "data of uint8 is gathered along axis 0 and quantised along the last one");
    if (g->gather == g->quantize) return vj_stop(im, VJ_UNSUPPORTED, "gathers along the axis that is quantised");
    return true;
}

bool vj_build_ms_gather_block_quantized(vj_importer *im) {
    gathered g = {.indices = vj_operand_value(im, 1)};
    vj_value data = constant_operand(im, 0, "data"), scale = constant_operand(im, 2, "scales");
    vj_value zero = vj_has_operand(im, 3) ? constant_operand(im, 3, "zero_points") : VJ_NONE;
    const int64_t bits = vj_int_attribute(im, "bits", 4);
    if (!vj_going(im)) return false;
    const vj_dtype dtype = type_of(im, data)->dtype, result = type_of(im, scale)->dtype;
    const bool is_byte = vj_const_nibbles(im->f, data) == VJ_NO_NIBBLES, packed = is_byte && bits == 4;
    if (is_byte && dtype != VJ_U8) return vj_stop(im, VJ_UNSUPPORTED, "gathers %s", vj_element_name(dtype));
    if (!vj_dtype_is_float(result)) return vj_stop(im, VJ_BAD_INPUT, "its scales are not floats");
    if (zero >= 0 && (type_of(im, zero)->dtype != dtype || (vj_const_nibbles(im->f, zero) == VJ_NO_NIBBLES) != is_byte))
        return vj_stop(im, VJ_BAD_INPUT, "its zero_points are of another type than its data");
    if (!read_gathered(im, &g, data, is_byte, bits)) return false;
    if (packed) data = unpacked(im, data, 2 * type_of(im, data)->dims[g.quantize].c);
    if (!fits_blocks(im, &g, data, scale, "scales") || !are_finite(im, scale, "scales")) return false;
    g.size = type_of(im, data)->dims[g.quantize].c;
    g.indices_rank = type_of(im, g.indices)->rank;
    vj_value q = vj_emit_cast(im, picked(im, &g, data), VJ_F32);
    if (zero >= 0) {
        const int64_t groups = type_of(im, scale)->dims[g.quantize].c, bytes = type_of(im, zero)->rank;
        if (packed && bytes == type_of(im, scale)->rank &&
            type_of(im, zero)->dims[g.quantize].c == vj_ceil_div(groups, 2))
            zero = unpacked(im, zero, groups);
        if (!fits_blocks(im, &g, data, zero, "zero_points")) return false;
        q = vj_emit2(im, VJ_OP_sub, q, vj_emit_cast(im, spread(im, &g, zero), VJ_F32));
    } else if (is_byte) {
        q = vj_emit2(im, VJ_OP_sub, q, vj_emit_number(im, VJ_F32, bits == 8 ? 128 : 8));
    }
    vj_value y = vj_emit2(im, VJ_OP_mul, q, vj_emit_cast(im, spread(im, &g, scale), VJ_F32));
    return vj_bind(im, 0, vj_emit_cast(im, y, result));
}
