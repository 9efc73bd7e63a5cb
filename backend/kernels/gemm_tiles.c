/* SPDX-License-Identifier: Apache-2.0 */
/* gemm_tiles.c - a block of a product by a matrix unit: up to 48 x 32 sums in six tiles, of three tiles of A and two of B.
 *
 * A step of k is 16 groups (pairs of bfloat16, fours of bytes), as many as rows of a tile of B, which are 1 KiB of a panel in a row. The end of a depth
 * that steps do not divide is copied to the stack and filled up with zeros; panels are padded so. The sums of the whole depth go
 * to memory, where gemm_store.c finds them.
 *
 * What limits a large block is the second level of the cache, from which both operands come: six tiles of sums take five of operands
 * a step, four would take four. Two tiles are left for operands, so that some are read twice, from the first level.
 */
#include "gemm.h"

#include <assert.h>

/* Sums i, j are tile 2 i + j. A block of less than three tiles of rows has tiles for all its operands. */
enum { A = 4, B = 6, LAST_A = 6, LAST_B = 7 };
enum { STEP_BYTES = VJ_TILE_ROWS * VJ_TILE_ROW };

static int64_t step_of(const vj_gemm *m) { return vj_panel_step(m->micro.b); }

static int64_t gathered_row(const vj_gemm *m) { return vj_gathered_row(m->depth, step_of(m)); }

static int32_t tiles_of_rows(int32_t height) { return (int32_t)vj_ceil_div(height, VJ_TILE_ROWS); }

int32_t vj_gemm_tile_rows(const vj_gemm *m) { return (int32_t)vj_min64(VJ_TILE_ROWS, m->row_extent); }

/* All tiles have as many rows, so that the last of a block may have some of the one before once more. */
static int32_t row_of_tile(const vj_gemm_tile *t, int32_t i) {
    const int32_t row = i * VJ_TILE_ROWS;
    return i > 0 && row + VJ_TILE_ROWS > t->height ? t->height - VJ_TILE_ROWS : row;
}

static int32_t sum_tile(int32_t i, int32_t j) { return 2 * i + j; }

/* Rows that are gathered are filled up. */
static bool has_rest(const vj_gemm *m) { return !m->s->gathered && m->depth % step_of(m) != 0; }

int64_t vj_gemm_steps(const vj_gemm *m) {
    return m->s->gathered ? vj_ceil_div(m->depth, step_of(m)) : m->depth / step_of(m);
}

void vj_gemm_place_row(const vj_gemm *m, vj_gemm_tile *t, LLVMValueRef row) {
    LLVMValueRef index[VJ_MAX_AXES];
    vj_gemm_unflatten(m, row, m->rows, index);
    for (int32_t axis = m->rows.first; axis < m->inner_row; axis++)
        t->index[axis] = index[axis];
    t->row = index[m->inner_row];
}

void vj_gemm_tiles_begin(vj_gemm *m) {
    LLVMValueRef rows[VJ_TILES];
    m->unit = vj_tiles_new(m->g);
    assert(!has_rest(m) || m->depth_count == 1);
    if (has_rest(m)) m->rest = vj_stack(m->g, VJ_U8, VJ_BLOCK_ROWS * VJ_TILE_ROW);
    if (m->s->gathered) m->rest = vj_stack(m->g, VJ_U8, VJ_BLOCK_ROWS * gathered_row(m));
    for (int32_t tile = 0; tile < VJ_TILES; tile++)
        rows[tile] = vj_i64(m->g, VJ_TILE_ROWS);
    const int32_t few = vj_gemm_tile_rows(m); /* then there is one tile of them */
    if (few < VJ_TILE_ROWS) rows[sum_tile(0, 0)] = rows[sum_tile(0, 1)] = rows[A] = vj_i64(m->g, few);
    vj_tiles_configure(&m->unit, rows);
}

typedef struct block {
    const vj_gemm *m;
    const vj_gemm_tile *t;
    int32_t rows, panels;     /* tiles of rows */
    LLVMValueRef a, a_stride; /* bytes */
    LLVMValueRef b;
} block;

/* Where a step reads. */
typedef struct operands {
    const block *block;
    LLVMValueRef a, a_stride, b;
    const vj_gemm_beside *beside; /* NULL: nothing is done beside it */
    LLVMValueRef done;
    int32_t loads; /* so many were */
} operands;

int32_t vj_gemm_step_loads(int32_t height, int32_t panels) {
    const int32_t rows = tiles_of_rows(height);
    return panels == 1 ? 1 + rows : rows == 3 ? 7 : 2 + rows;
}

static void load(operands *s, int32_t tile, LLVMValueRef pointer, LLVMValueRef stride) {
    const block *b = s->block;
    const int32_t of = vj_gemm_step_loads(b->t->height, b->panels);
    if (s->beside) s->beside->at_load(s->beside, s->done, s->loads++, of);
    vj_tile_load(&b->m->unit, tile, pointer, stride);
}

static void load_a(operands *s, int32_t i) {
    const vj_gen *g = s->block->m->g;
    LLVMValueRef first = LLVMBuildMul(g->b, s->a_stride, vj_i64(g, row_of_tile(s->block->t, i)), "");
    load(s, s->block->rows == 3 ? LAST_A : A + i, vj_bytes_on(g, s->a, first), s->a_stride);
}

static void load_b(operands *s, int32_t j) {
    const vj_gemm *m = s->block->m;
    const int64_t panel = vj_panel_depth(m->micro.b, m->depth) * VJ_PANEL * vj_element_bytes(m->micro.b);
    LLVMValueRef at = vj_bytes_on(m->g, s->b, vj_i64(m->g, j * panel));
    load(s, s->block->rows == 3 ? LAST_B : B + j, at, vj_i64(m->g, VJ_TILE_ROW));
}

static void multiply(const operands *s, int32_t i, int32_t j) {
    const bool few = s->block->rows == 3;
    const vj_gemm *m = s->block->m;
    const int32_t sum = sum_tile(i, j), a = few ? LAST_A : A + i, b = few ? LAST_B : B + j;
    (m->micro.sum == VJ_I32 ? vj_tile_dot_u8_i8 : vj_tile_dot_bf16)(&m->unit, sum, a, b);
}

/* Adds the products of one step: down the rows with the first panel, then up with the second. */
static void add_step(operands *s) {
    const int32_t rows = s->block->rows;
    load_b(s, 0);
    for (int32_t i = 0; i < rows; i++) {
        load_a(s, i);
        multiply(s, i, 0);
    }
    if (s->block->panels == 1) return;
    load_b(s, 1);
    for (int32_t i = rows - 1; i >= 0; i--) {
        if (rows == 3 && i < rows - 1) load_a(s, i);
        multiply(s, i, 1);
    }
}

/* Where A's row is. */
static LLVMValueRef a_of(const vj_gemm *m, const vj_gemm_tile *t) {
    vj_gen *g = m->g;
    vj_point point = {0};
    vj_gemm_point(m, t, 0, 0, &point);
    for (int32_t d = m->depth_axes.first; d < m->k->rank; d++)
        point.index[d] = vj_i64(g, 0);
    return vj_element(g, m->a, m->micro.a, vj_emit_offset(g, &m->k->access[m->k->a], &point));
}

/* The run of A from `from` on, of the innermost depth axis, with zeros behind its end where that is the depth's. */
static void copy_run(const vj_gemm *m, LLVMValueRef from, LLVMValueRef to, int64_t elements) {
    vj_gen *g = m->g;
    const vj_dtype dtype = m->micro.a;
    const int32_t step = (int32_t)step_of(m);
    const int64_t whole = elements / step * step;
    if (whole > 0) {
        vj_loop loop;
        vj_loop_begin(g, &loop, vj_i64(g, 0), vj_i64(g, whole), step, true, NULL, 0);
        LLVMValueRef run = vj_load_vector(g, vj_element(g, from, dtype, loop.index), dtype, step, NULL, NULL);
        vj_store_vector(g, vj_element(g, to, dtype, loop.index), run, NULL);
        vj_loop_end(g, &loop, NULL);
    }
    if (whole == elements) return;
    LLVMValueRef at = vj_i64(g, whole), mask = vj_mask_first(g, vj_i64(g, elements - whole), step);
    LLVMValueRef rest = vj_load_vector(g, vj_element(g, from, dtype, at), dtype, step, mask, NULL);
    vj_store_vector(g, vj_element(g, to, dtype, at), rest, NULL);
}

/* Elements [first, depth) of A's rows, then zeros. */
static void copy_rest(const block *s, int64_t first, int64_t count) {
    const vj_gemm *m = s->m;
    vj_gen *g = m->g;
    vj_loop rows;
    vj_loop_begin(g, &rows, vj_i64(g, 0), vj_i64(g, s->t->height), 1, true, NULL, 0);
    LLVMValueRef row = vj_bytes_on(g, s->a, LLVMBuildMul(g->b, rows.index, s->a_stride, ""));
    LLVMValueRef from = vj_element(g, row, m->micro.a, vj_i64(g, first));
    copy_run(m, from, vj_bytes_on(g, m->rest, LLVMBuildMul(g->b, rows.index, vj_i64(g, VJ_TILE_ROW), "")), count);
    vj_loop_end(g, &rows, NULL);
}

/* The runs of depth axes [level, depth_count). */
static void copy_runs(const vj_gemm *m, int32_t level, LLVMValueRef from, LLVMValueRef to) {
    vj_gen *g = m->g;
    const vj_depth *d = &m->depths[level];
    if (level == m->depth_count - 1) {
        copy_run(m, from, to, d->extent);
        return;
    }
    int64_t below = 1;
    for (int32_t i = level + 1; i < m->depth_count; i++)
        below *= m->depths[i].extent;
    vj_loop loop;
    vj_loop_begin(g, &loop, vj_i64(g, 0), vj_i64(g, d->extent), 1, true, NULL, 0);
    LLVMValueRef next = vj_element(g, from, m->micro.a, LLVMBuildMul(g->b, loop.index, vj_i64(g, d->a), ""));
    copy_runs(m, level + 1, next, vj_element(g, to, m->micro.a, LLVMBuildMul(g->b, loop.index, vj_i64(g, below), "")));
    vj_loop_end(g, &loop, NULL);
}

void vj_gemm_gather(const vj_gemm *m, const vj_gemm_tile *t) {
    vj_gen *g = m->g;
    vj_loop loop;
    vj_loop_begin(g, &loop, vj_i64(g, 0), vj_i64(g, t->height), 1, true, NULL, 0);
    vj_gemm_tile row = *t;
    vj_gemm_place_row(m, &row, LLVMBuildAdd(g->b, t->row, loop.index, ""));
    LLVMValueRef to = vj_bytes_on(g, m->rest, LLVMBuildMul(g->b, loop.index, vj_i64(g, gathered_row(m)), ""));
    copy_runs(m, 0, a_of(m, &row), to);
    vj_loop_end(g, &loop, NULL);
}

/* Where A's first row is at a step. */
static LLVMValueRef a_at(const block *s, LLVMValueRef step) {
    const vj_gemm *m = s->m;
    const vj_gen *g = m->g;
    LLVMValueRef k = LLVMBuildMul(g->b, step, vj_i64(g, step_of(m)), ""), at = s->a;
    if (m->s->gathered) return vj_element(g, at, m->micro.a, k);
    for (int32_t level = m->depth_count - 1; level >= 0; level--) {
        const vj_depth *d = &m->depths[level];
        LLVMValueRef extent = vj_i64(g, d->extent), here = level ? LLVMBuildURem(g->b, k, extent, "") : k;
        at = vj_element(g, at, m->micro.a, LLVMBuildMul(g->b, here, vj_i64(g, d->a), ""));
        k = level ? LLVMBuildUDiv(g->b, k, extent, "") : k;
    }
    return at;
}

static LLVMValueRef b_at(const block *s, LLVMValueRef step) {
    const vj_gen *g = s->m->g;
    return vj_bytes_on(g, s->b, LLVMBuildMul(g->b, step, vj_i64(g, STEP_BYTES), ""));
}

static LLVMValueRef add_steps(const block *b, const vj_gemm_beside *beside, LLVMValueRef done) {
    vj_gen *g = b->m->g;
    vj_loop loop;
    vj_loop_begin(g, &loop, vj_i64(g, 0), vj_i64(g, vj_gemm_steps(b->m)), 1, true, &done, 1);
    operands s = {b, a_at(b, loop.index), b->a_stride, b_at(b, loop.index), beside, loop.carried[0], 0};
    add_step(&s);
    done = beside->at_end(beside, loop.carried[0], vj_gemm_step_loads(b->t->height, b->panels));
    vj_loop_end(g, &loop, &done);
    return loop.carried[0];
}

static void add_rest(const block *b) {
    const vj_gen *g = b->m->g;
    const int64_t steps = vj_gemm_steps(b->m);
    const int64_t first = steps * step_of(b->m);
    copy_rest(b, first, b->m->depth - first);
    operands s = {.block = b, .a = b->m->rest, .a_stride = vj_i64(g, VJ_TILE_ROW), .b = b_at(b, vj_i64(g, steps))};
    add_step(&s);
}

LLVMValueRef vj_gemm_add_block(const vj_gemm *m, const vj_gemm_tile *t, LLVMValueRef panel, int32_t panels,
                               const vj_gemm_beside *beside, LLVMValueRef done) {
    vj_gen *g = m->g;
    const vj_access *a = &m->k->access[m->k->a];
    const int64_t panel_elements = vj_panel_depth(m->micro.b, m->depth) * VJ_PANEL;
    block b = {.m = m, .t = t, .rows = tiles_of_rows(t->height), .panels = panels};
    b.a = m->s->gathered ? m->rest : a_of(m, t);
    b.a_stride = vj_i64(g, m->s->gathered ? gathered_row(m) : a->stride[m->inner_row] * vj_element_bytes(m->micro.a));
    LLVMValueRef first = LLVMBuildUDiv(g->b, t->first_col, vj_i64(g, VJ_PANEL), "");
    LLVMValueRef number = m->wide ? panel : LLVMBuildAdd(g->b, first, panel, "");
    LLVMValueRef elements = LLVMBuildMul(g->b, number, vj_i64(g, panel_elements), "");
    b.b = vj_element(g, m->wide ? m->wide : m->b, m->micro.b, elements);
    for (int32_t i = 0; i < b.rows; i++)
        for (int32_t j = 0; j < panels; j++)
            vj_tile_zero(&m->unit, sum_tile(i, j));
    if (vj_gemm_steps(m) > 0) done = add_steps(&b, beside, done);
    if (has_rest(m)) add_rest(&b);
    const int64_t pitch = vj_gemm_pitch(m, t), row = pitch * vj_element_bytes(VJ_F32);
    LLVMValueRef sums = vj_element(g, t->sums, VJ_F32, LLVMBuildMul(g->b, panel, vj_i64(g, VJ_PANEL), ""));
    for (int32_t i = 0; i < b.rows; i++)
        for (int32_t j = 0; j < panels; j++) {
            LLVMValueRef at = vj_i64(g, row_of_tile(t, i) * pitch + (int64_t)j * VJ_PANEL);
            vj_tile_store(&m->unit, sum_tile(i, j), vj_element(g, sums, VJ_F32, at), vj_i64(g, row));
        }
    return done;
}
