/* SPDX-License-Identifier: Apache-2.0 */
/* block_weight.c - a weight of floats becomes one in blocks of 4 or 8 bits, a block of all columns at a time. */
#include "rewrite.h"

#include <string.h>

#include "block_fit.h"

/* A matrix that is read by rows: blocks are parts of its columns. */
typedef struct matrix {
    vj_func *f;
    vj_value w;
    const vj_origin *origin;
    int32_t bits;
    int64_t depth, wide, block, blocks;
    uint8_t *numbers, *zeros;
    float *scales;
} matrix;

/* As equal as whole pairs allow, of at most 32 numbers of 4 bits or 128 of 8: padding is stored too. */
static int64_t block_of(int64_t depth, int32_t bits) {
    const int64_t most = bits == 4 ? 32 : VJ_FIT_DEPTH;
    return vj_round_up(vj_ceil_div(depth, vj_ceil_div(depth, most)), 2);
}

static void put(matrix *m, int64_t k, int64_t n, uint8_t number) {
    const int64_t at = k * m->wide + n;
    if (m->bits == 8)
        m->numbers[at] = number;
    else
        m->numbers[at / 2] = (uint8_t)(m->numbers[at / 2] | number << (at % 2 * 4));
}

/* One block of every column, from its rows. */
static bool fit_rows(matrix *m, int64_t number, const float *x) {
    const int64_t first = number * m->block, depth = vj_min64(m->block, m->depth - first);
    vj_fit fit;
    for (int64_t n = 0; n < m->wide; n += VJ_FIT_BLOCKS) {
        const int64_t count = vj_min64(VJ_FIT_BLOCKS, m->wide - n);
        if (!vj_fit_blocks(m->bits, x + n, depth, m->wide, count, &fit)) return false;
        memcpy(m->scales + number * m->wide + n, fit.scale, (size_t)count * sizeof *fit.scale);
        memcpy(m->zeros + number * m->wide + n, fit.zero, (size_t)count);
        for (int64_t k = 0; k < depth; k++)
            for (int64_t i = 0; i < count; i++)
                put(m, first + k, n + i, fit.number[k][i]);
    }
    return true;
}

/* False: an error, or a float has no block. */
static bool fit_all(matrix *m, vj_error *error) {
    vj_arena *scratch = vj_arena_scratch(m->f->arena);
    vj_weight_reader *reader = vj_weight_reader_new(scratch, m->f);
    float *rows = VJ_NEW_ARRAY(scratch, float, m->block * m->wide);
    bool good = true;
    for (int64_t i = 0; i < m->blocks && good; i++) {
        const int64_t first = i * m->block, depth = vj_min64(m->block, m->depth - first);
        good = vj_weight_read(reader, m->w, first * m->wide, depth * m->wide, rows, error) && fit_rows(m, i, rows);
    }
    vj_arena_free(scratch);
    return good;
}

static vj_value constant_of(const matrix *m, vj_dtype dtype, vj_nibbles nibbles, int32_t rank, const int64_t *dims,
                            const void *at) {
    const vj_type type = vj_type_of(dtype, rank, dims);
    vj_source *source = VJ_NEW(m->f->arena, vj_source);
    vj_const constant = {.kind = VJ_CONST_BYTES, .nibbles = nibbles, .source = source};
    int64_t count = 1;
    for (int32_t d = 0; d < rank; d++)
        count *= dims[d]; /* it stands in memory */
    if (!vj_stored_bytes(dtype, nibbles, count, &constant.length)) return VJ_NONE;
    *source = (vj_source){.path = "a computed constant", .fd = -1, .at = at, .size = constant.length};
    return vj_add_const(m->f, NULL, &type, &constant);
}

/* A value a block and column, for all elements. */
static vj_value spread(const matrix *m, vj_value x) {
    const int64_t dims[] = {m->blocks, m->block, m->wide};
    const vj_attr to = vj_ints(VJ_ATTR_DIMS, dims, 3);
    const vj_dim flat[] = {vj_dim_const(m->blocks * m->block), vj_dim_const(m->wide)};
    x = vj_make_reshape(m->f, vj_make(m->f, VJ_OP_broadcast, &x, 1, &to, 1, m->origin), 2, flat, m->origin);
    return m->blocks * m->block == m->depth ? x : vj_make_slice(m->f, x, 0, 0, m->depth, m->origin);
}

/* As lowering packs it: mul(sub(numbers, zeros), scales). */
static vj_value weight_of(const matrix *m) {
    const int64_t all[] = {m->depth, m->wide}, each[] = {m->blocks, 1, m->wide};
    const bool in_4 = m->bits == 4;
    vj_value q = constant_of(m, in_4 ? VJ_U8 : VJ_I8, in_4 ? VJ_NIBBLES_LOW_FIRST : VJ_NO_NIBBLES, 2, all, m->numbers);
    vj_value z = constant_of(m, VJ_U8, VJ_NO_NIBBLES, 3, each, m->zeros);
    const vj_value s = spread(m, constant_of(m, VJ_F32, VJ_NO_NIBBLES, 3, each, m->scales));
    q = vj_make_cast(m->f, q, VJ_F32, m->origin);
    z = spread(m, vj_make_cast(m->f, z, VJ_F32, m->origin));
    return vj_make_binary(m->f, VJ_OP_mul, vj_make_binary(m->f, VJ_OP_sub, q, z, m->origin), s, m->origin);
}

/* Of a matrix whose columns are what is added up; VJ_NONE: an error, or a float has no block. */
static vj_value in_blocks(matrix *m, vj_error *error) {
    const vj_type *type = vj_type_at(m->f, m->w);
    int64_t bytes = 0;
    m->depth = type->dims[type->rank > 1 ? type->rank - 2 : 0].c;
    m->wide = type->rank > 1 ? type->dims[type->rank - 1].c : 1;
    m->block = block_of(m->depth, m->bits);
    m->blocks = vj_ceil_div(m->depth, m->block);
    if (!vj_stored_bytes(VJ_U8, m->bits == 4 ? VJ_NIBBLES_LOW_FIRST : VJ_NO_NIBBLES, m->depth * m->wide, &bytes))
        return VJ_NONE;
    const vj_arena_mark before = vj_arena_save(m->f->arena);
    m->numbers = vj_alloc(m->f->arena, (size_t)bytes);
    m->zeros = vj_alloc(m->f->arena, (size_t)(m->blocks * m->wide));
    m->scales = VJ_NEW_ARRAY(m->f->arena, float, m->blocks * m->wide);
    if (fit_all(m, error)) return weight_of(m);
    vj_arena_release(m->f->arena, before);
    return VJ_NONE;
}

static vj_value turned(vj_func *f, vj_value x, const vj_origin *origin) {
    const int64_t perm[] = {1, 0};
    return vj_make_transpose(f, x, perm, origin);
}

/* Why it has no blocks, whatever its elements are; NULL: it may. */
static const char *why_none(const vj_func *f, vj_value w, int64_t depth) {
    int64_t count;
    if (depth < VJ_LEAST_BLOCK) return "its sums are shorter than a block";
    if (depth > VJ_BLOCKS_DEPTH) return "its sums have more than 8192 terms";
    if (!vj_type_elements(f, vj_type_at(f, w), &count) || count > VJ_BLOCKS_ELEMENTS) return "its weight is too large";
    return count == 0 ? "its weight is empty" : NULL;
}

vj_value vj_quantise_weight(vj_func *f, vj_value w, bool on_the_left, int32_t bits, const vj_origin *origin,
                            const char **why, vj_error *error) {
    const vj_type type = *vj_type_at(f, w);
    const char *name = f->values[w].name;
    const int64_t rows = type.rank > 1 ? type.dims[type.rank - 2].c : 1, columns = type.dims[type.rank - 1].c;
    const vj_dim flat[] = {vj_dim_const(rows), vj_dim_const(columns)};
    const bool is_deep = on_the_left || type.rank == 1; /* what is added up stands last */
    *why = why_none(f, w, is_deep ? columns : rows);
    if (*why) return VJ_NONE;
    if (vj_op_of(f, w) == VJ_OP_cast && vj_type_at(f, vj_operand(f, w, 0))->dtype == VJ_F32) w = vj_operand(f, w, 0);
    vj_value x = type.rank == 2 ? w : vj_make_reshape(f, w, 2, flat, origin);
    matrix m = {.f = f, .w = is_deep ? turned(f, x, origin) : x, .origin = origin, .bits = bits};
    x = in_blocks(&m, error);
    if (x < 0) {
        *why = "its weight has a number that is not finite, or beyond 2^120";
        return VJ_NONE;
    }
    if (type.dtype == VJ_BF16) x = vj_make_cast(f, x, VJ_BF16, origin);
    f->values[x].name = name;
    if (is_deep) x = turned(f, x, origin);
    return type.rank == 2 ? x : vj_make_reshape(f, x, type.rank, type.dims, origin);
}
