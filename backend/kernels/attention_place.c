/* SPDX-License-Identifier: Apache-2.0 */
/* attention_place.c - where the tiles of keys and values are that attention multiplies by.
 *
 * Floats: keys with a unit stride over j are read as they are; keys with a unit stride over d are transposed, a tile at a
 * time, into a piece of stack; values are read as they are. Halves: a tile of either is brought into pairs there, [depth / 2]
 * rows of a pair a lane, so that a query's pairs meet it; the last of an odd depth is filled up with zeros. Where halves are
 * multiplied as floats, such a tile has a widened row for each element of a pair, and a block's queries are widened too. Any
 * other access of floats goes through vj_emit_load.
 */
#include "attention_product.h"

/* A tile of transposed keys has at most so many bytes. */
#define KEYS_BYTES 65536

static bool is_plain(const vj_access *access) { return access->term_count == 0; }

vj_micro vj_product_micro(const vj_attention *m) {
    return vj_micro_of(m->g, m->s->form, m->multiplied, m->multiplied, false, m->lanes);
}

LLVMValueRef vj_access_at(const vj_attention *m, int32_t access, const vj_point *point) {
    vj_gen *g = m->g;
    const vj_access *at = &m->k->access[access];
    return vj_element(g, g->access[access], g->p->buffers[at->buffer].dtype, vj_emit_offset(g, at, point));
}

static LLVMValueRef lane_mask(const vj_gen *g, int32_t count, int32_t lanes) {
    return count < lanes ? vj_mask_first(g, vj_i64(g, count), lanes) : NULL;
}

void vj_product_go_to(vj_product *t, LLVMValueRef row, LLVMValueRef lane) {
    const vj_attention *m = t->m;
    for (int32_t axis = 0; axis < m->k->rank; axis++)
        t->point.index[axis] = axis < m->i ? m->batch[axis] : vj_i64(m->g, 0);
    t->point.index[t->row_axis] = row;
    t->point.index[t->lane_axis] = lane;
}

vj_point vj_product_point(const vj_product *t, int32_t r, int32_t v) {
    const vj_gen *g = t->m->g;
    vj_point point = t->point;
    point.index[t->row_axis] = vj_plus(g, point.index[t->row_axis], r);
    point.index[t->lane_axis] = vj_plus(g, point.index[t->lane_axis], (int64_t)v * t->m->lanes);
    point.lanes = t->m->lanes;
    point.vector_axis = t->lane_axis;
    point.mask = lane_mask(g, vj_product_lanes(t, v), point.lanes);
    return point;
}

/* So many elements of a key or of a value are read as one. */
static int32_t read_together(const vj_attention *m) { return vj_is_half(m->dtype) ? 2 : 1; }

static bool widens(const vj_attention *m) { return m->multiplied != m->dtype; }

/* Keys with adjacent elements can be transposed as they are: floats, or pairs of halves of which none is half empty. */
static bool has_rows(const vj_attention *m) {
    const vj_access *keys = &m->k->access[m->k->k];
    return is_plain(keys) && keys->stride[m->d] == 1 && m->k->extent[m->d] % read_together(m) == 0;
}

void vj_attention_plan(vj_attention *m) {
    const bool pairs = vj_is_half(m->dtype);
    const int64_t lanes = (int64_t)m->s->width * m->lanes, dims = m->k->extent[m->d], keys = m->k->extent[m->j];
    const int64_t most_keys = m->blocked ? m->s->key_block : keys;
    const bool transposed = has_rows(m) && m->k->access[m->k->k].stride[m->j] != 1 && lanes * dims * 4 <= KEYS_BYTES;
    if (widens(m)) {
        m->tile = vj_stack(m->g, VJ_F32, lanes * vj_max64(dims, most_keys));
        m->wide_queries = vj_stack(m->g, VJ_F32, m->s->query_block * dims);
    } else if (pairs) {
        m->tile = vj_stack(m->g, VJ_I32, lanes * vj_ceil_div(vj_max64(dims, most_keys), 2));
    } else if (transposed) {
        m->tile = vj_stack(m->g, VJ_F32, lanes * dims);
    }
}

/* Elements [d, d + lanes) of the block's query `row`. */
static void widen_query(const vj_attention *m, LLVMValueRef row, LLVMValueRef d, int32_t lanes) {
    vj_gen *g = m->g;
    vj_point point = {.lanes = lanes, .vector_axis = lanes > 1 ? m->d : -1};
    for (int32_t axis = 0; axis < m->k->rank; axis++)
        point.index[axis] = axis < m->i ? m->batch[axis] : vj_i64(g, 0);
    point.index[m->i] = LLVMBuildNSWAdd(g->b, m->query, row, "");
    point.index[m->d] = d;
    LLVMValueRef at = LLVMBuildNSWAdd(g->b, LLVMBuildNSWMul(g->b, row, vj_i64(g, m->k->extent[m->d]), ""), d, "");
    LLVMValueRef value = vj_from_half(g, m->dtype, vj_emit_load(g, m->k->q, &point), lanes);
    vj_store_vector(g, vj_element(g, m->wide_queries, VJ_F32, at), value, NULL);
}

void vj_attention_widen_queries(const vj_attention *m, LLVMValueRef rows) {
    vj_gen *g = m->g;
    const int64_t dims = m->k->extent[m->d], whole = dims / m->lanes * m->lanes;
    vj_loop loop;
    vj_loop_begin(g, &loop, vj_i64(g, 0), rows, 1, true, NULL, 0);
    for (int32_t part = 0; part < 2; part++) { /* whole vectors, and the rest one by one */
        const int64_t from = part ? whole : 0, to = part ? dims : whole;
        if (from == to) continue;
        vj_loop inner;
        vj_loop_begin(g, &inner, vj_i64(g, from), vj_i64(g, to), part ? 1 : m->lanes, true, NULL, 0);
        widen_query(m, loop.index, inner.index, part ? 1 : m->lanes);
        vj_loop_end(g, &inner, NULL);
    }
    vj_loop_end(g, &loop, NULL);
}

/* Vector v of row `n` of the tile. */
static void store_row(const vj_product *t, LLVMValueRef n, int32_t v, LLVMValueRef value) {
    const vj_attention *m = t->m;
    const vj_gen *g = m->g;
    LLVMValueRef offset = LLVMBuildNSWMul(g->b, n, vj_i64(g, t->b_step), "");
    LLVMValueRef at = vj_element(g, m->tile, t->b_dtype, vj_plus(g, offset, (int64_t)v * m->lanes));
    vj_store_vector(g, at, value, NULL);
}

/* Pairs begin where any half does. */
static void align_load(const vj_gen *g, LLVMValueRef load, unsigned bytes, bool masked) {
    enum { MASKED_LOAD_ALIGNMENT = 1 };
    if (masked)
        LLVMSetOperand(load, MASKED_LOAD_ALIGNMENT, LLVMConstInt(g->i32, bytes, false));
    else
        LLVMSetAlignment(load, bytes);
}

/* The keys' elements that were read together, group `n` of the depth. */
static void store_transposed(const vj_product *t, LLVMValueRef n, int32_t v, LLVMValueRef elements) {
    vj_gen *g = t->m->g;
    if (!widens(t->m)) {
        store_row(t, n, v, elements);
        return;
    }
    for (int32_t e = 0; e < 2; e++) {
        LLVMValueRef row = vj_plus(g, LLVMBuildNSWMul(g->b, n, vj_i64(g, 2), ""), e);
        store_row(t, row, v, vj_of_pairs(g, elements, e, t->m->lanes));
    }
}

/* Transposes one square of `count` keys from [lane][d] to [d][lane], `groups` of d from group `d` on. */
static void transpose_square(const vj_product *t, LLVMValueRef d, int32_t groups, int32_t v, int32_t count) {
    const vj_attention *m = t->m;
    vj_gen *g = m->g;
    const vj_dtype read = read_together(m) == 2 ? VJ_I32 : VJ_F32;
    LLVMValueRef rows[64];
    for (int32_t lane = 0; lane < m->lanes; lane++) {
        rows[lane] = LLVMGetPoison(vj_vector_type(g, read, m->lanes));
        if (lane >= count) continue;
        vj_point point = t->point;
        point.index[m->j] = vj_plus(g, point.index[m->j], (int64_t)v * m->lanes + lane);
        point.index[m->d] = LLVMBuildNSWMul(g->b, d, vj_i64(g, read_together(m)), "");
        rows[lane] =
            vj_load_vector(g, vj_access_at(m, m->k->k, &point), read, m->lanes, lane_mask(g, groups, m->lanes), NULL);
        align_load(g, rows[lane], (unsigned)vj_element_bytes(m->dtype), groups < m->lanes);
    }
    vj_transpose(g, rows, m->lanes);
    for (int32_t i = 0; i < groups; i++)
        store_transposed(t, vj_plus(g, d, i), v, rows[i]);
}

static void transpose_keys(const vj_product *t) {
    const vj_attention *m = t->m;
    vj_gen *g = m->g;
    const int64_t groups = m->k->extent[m->d] / read_together(m), whole = groups / m->lanes * m->lanes;
    for (int32_t v = 0; v < t->width; v++) {
        const int32_t count = vj_product_lanes(t, v);
        if (whole > 0) {
            vj_loop loop;
            vj_loop_begin(g, &loop, vj_i64(g, 0), vj_i64(g, whole), m->lanes, true, NULL, 0);
            transpose_square(t, loop.index, m->lanes, v, count);
            vj_loop_end(g, &loop, NULL);
        }
        if (groups > whole) transpose_square(t, vj_i64(g, whole), (int32_t)(groups - whole), v, count);
    }
}

/* Row `n` of the tile: element n of the depth, widened. */
static void wide_row(const vj_product *t, LLVMValueRef n) {
    vj_gen *g = t->m->g;
    for (int32_t v = 0; v < t->width; v++) {
        vj_point point = vj_product_point(t, 0, v);
        point.index[t->depth_axis] = LLVMBuildNSWAdd(g->b, t->first, n, "");
        store_row(t, n, v, vj_from_half(g, t->m->dtype, vj_emit_load(g, t->b_access, &point), t->m->lanes));
    }
}

static void wide_rows(const vj_product *t) {
    vj_loop loop;
    vj_loop_begin(t->m->g, &loop, vj_i64(t->m->g, 0), t->steps, 1, true, NULL, 0);
    wide_row(t, loop.index);
    vj_loop_end(t->m->g, &loop, NULL);
}

/* Row `n` of the tile: pairs of elements 2n and 2n + 1 of the depth, or of the first alone. */
static void pair_row(const vj_product *t, LLVMValueRef n, int32_t count) {
    vj_gen *g = t->m->g;
    LLVMValueRef first = LLVMBuildNSWAdd(g->b, t->first, LLVMBuildNSWMul(g->b, n, vj_i64(g, 2), ""), "");
    for (int32_t v = 0; v < t->width; v++) {
        LLVMValueRef element[2] = {NULL, NULL};
        vj_point point = vj_product_point(t, 0, v);
        for (int32_t e = 0; e < count; e++) {
            point.index[t->depth_axis] = vj_plus(g, first, e);
            element[e] = vj_emit_load(g, t->b_access, &point);
        }
        store_row(t, n, v, vj_group_of(g, element, count));
    }
}

static void pair_rows(const vj_product *t) {
    vj_gen *g = t->m->g;
    vj_loop loop;
    LLVMValueRef whole = LLVMBuildLShr(g->b, t->steps, vj_i64(g, 1), "");
    vj_loop_begin(g, &loop, vj_i64(g, 0), whole, 1, false, NULL, 0);
    pair_row(t, loop.index, 2);
    vj_loop_end(g, &loop, NULL);
    LLVMValueRef all = LLVMBuildLShr(g->b, vj_plus(g, t->steps, 1), vj_i64(g, 1), "");
    vj_loop_begin(g, &loop, whole, all, 1, false, NULL, 0); /* runs once, where the depth is odd */
    pair_row(t, loop.index, 1);
    vj_loop_end(g, &loop, NULL);
}

static void make_rows(const vj_product *t) {
    if (widens(t->m))
        wide_rows(t);
    else
        pair_rows(t);
}

/* The tile on the stack, whose rows are the groups of the depth. */
static void use_tile(vj_product *t) {
    t->b = t->m->tile;
    t->b_dtype = t->micro.group == 1 ? VJ_F32 : VJ_I32;
    t->b_step = t->m->tile_row ? t->m->tile_row : (int64_t)t->width * t->m->lanes;
}

/* Floats as they stand, with this stride. */
static void use_access(vj_product *t, bool adjacent, int64_t stride) {
    t->b = adjacent ? vj_access_at(t->m, t->b_access, &t->point) : NULL;
    t->b_dtype = VJ_F32;
    t->b_step = stride;
}

void vj_place_keys(vj_product *t) {
    const vj_attention *m = t->m;
    const vj_access *keys = &m->k->access[m->k->k];
    if (!m->tile) {
        use_access(t, is_plain(keys) && keys->stride[m->j] == 1, keys->stride[m->d]);
        return;
    }
    use_tile(t);
    if (has_rows(m))
        transpose_keys(t);
    else
        make_rows(t);
}

void vj_place_values(vj_product *t) {
    const vj_attention *m = t->m;
    const vj_access *values = &m->k->access[m->k->v];
    if (!vj_is_half(m->dtype)) {
        use_access(t, is_plain(values) && values->stride[m->e] == 1, values->stride[m->j]);
        return;
    }
    use_tile(t);
    make_rows(t);
}

/* Where a block of queries keeps its scores, its sums and its results so far. */

LLVMValueRef vj_clamp(const vj_gen *g, LLVMValueRef x, int64_t low, int64_t high) {
    return vj_minimum(g, vj_maximum(g, x, vj_i64(g, low)), vj_i64(g, high));
}

LLVMValueRef vj_score_at(const vj_attention *m, LLVMValueRef row, LLVMValueRef key) {
    const vj_gen *g = m->g;
    LLVMValueRef offset = LLVMBuildNSWMul(g->b, row, vj_i64(g, m->row), "");
    LLVMValueRef column = LLVMBuildNSWSub(g->b, key, m->first_key, "");
    return vj_element(g, m->scores, VJ_F32, LLVMBuildNSWAdd(g->b, offset, column, ""));
}

int64_t vj_weights_row(const vj_attention *m) {
    return m->row * vj_element_bytes(VJ_F32) / vj_element_bytes(m->multiplied);
}

LLVMValueRef vj_weight_at(const vj_attention *m, LLVMValueRef row, LLVMValueRef key) {
    const vj_gen *g = m->g;
    LLVMValueRef offset = LLVMBuildNSWMul(g->b, row, vj_i64(g, vj_weights_row(m)), "");
    LLVMValueRef column = LLVMBuildNSWSub(g->b, key, m->first_key, "");
    return vj_element(g, m->scores, m->multiplied, LLVMBuildNSWAdd(g->b, offset, column, ""));
}

LLVMValueRef vj_of_row(const vj_attention *m, LLVMValueRef array, LLVMValueRef row) {
    return vj_element(m->g, array, VJ_F32, row);
}

LLVMValueRef vj_result_at(const vj_attention *m, LLVMValueRef row, LLVMValueRef dim) {
    const vj_gen *g = m->g;
    LLVMValueRef offset = LLVMBuildNSWMul(g->b, row, vj_i64(g, m->result_row), "");
    return vj_element(g, m->results, VJ_F32, LLVMBuildNSWAdd(g->b, offset, dim, ""));
}

LLVMValueRef vj_row_of_tile(const vj_attention *m, LLVMValueRef tile) {
    const vj_gen *g = m->g;
    LLVMValueRef row = vj_i64(g, 0);
    int64_t first = 0;
    for (int32_t i = 0; i < m->mix.tile_kinds; i++) {
        const vj_tile_rows *kind = &m->mix.tiles[i];
        LLVMValueRef count = LLVMBuildSub(g->b, vj_clamp(g, tile, first, first + kind->count), vj_i64(g, first), "");
        row = LLVMBuildAdd(g->b, row, LLVMBuildMul(g->b, count, vj_i64(g, kind->height), ""), "");
        first += kind->count;
    }
    return row;
}
