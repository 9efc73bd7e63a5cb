/* gemm_tiles.c - a tile of a product by a matrix unit: up to 32 x 32 sums in four tiles, of two tiles of A and two of B.
 *
 * A slice of k is 32 elements: 16 pairs, as many as rows of a tile of B, which are 1 KiB of a panel in a row. The end of a depth
 * that slices do not divide is copied to the stack and filled up with zeros; panels are padded so. The sums of the whole depth
 * go to the stack, where gemm_store.c finds them.
 */
#include "gemm.h"

enum { SUMS = 0, A = 4, B = 6 };
enum { SLICE = 2 * VJ_TILE_GROUPS, SLICE_BYTES = VJ_TILE_ROWS * VJ_TILE_ROW, LINE = 64 };

static int32_t tiles_of_rows(int32_t height) { return height > VJ_TILE_ROWS ? 2 : 1; }

static int32_t rows_of(int32_t height, int32_t half) {
    const int32_t rows = height - half * VJ_TILE_ROWS;
    return rows > VJ_TILE_ROWS ? VJ_TILE_ROWS : rows;
}

static int32_t panels_of(const vj_gemm *m, const vj_gemm_tile *t) { return (int32_t)(vj_gemm_pitch(m, t) / VJ_PANEL); }

void vj_gemm_tiles_begin(vj_gemm *m) {
    m->unit = vj_tiles_new(m->g);
    if (m->depths[m->depth_count - 1].extent % SLICE) m->rest = vj_stack(m->g, VJ_U8, VJ_TILED_ROWS * VJ_TILE_ROW);
}

void vj_gemm_tiles_configure(vj_gemm *m, int32_t height) {
    LLVMValueRef rows[VJ_TILES] = {NULL};
    for (int32_t half = 0; half < tiles_of_rows(height); half++)
        rows[SUMS + 2 * half] = rows[SUMS + 2 * half + 1] = rows[A + half] = vj_i64(m->g, rows_of(height, half));
    rows[B] = rows[B + 1] = vj_i64(m->g, VJ_TILE_ROWS);
    vj_tiles_configure(&m->unit, rows);
}

/* Where the slices at hand read: rows of A, and panels of B. */
typedef struct slices {
    const vj_gemm *m;
    const vj_gemm_tile *t;
    LLVMValueRef a, a_stride; /* bytes */
    LLVMValueRef b;
    LLVMValueRef fetch; /* NULL: nowhere */
} slices;

static LLVMValueRef bytes_on(const vj_gen *g, LLVMValueRef pointer, LLVMValueRef bytes) {
    return vj_element(g, pointer, VJ_U8, bytes);
}

/* Adds the products of one slice. */
static void add_slice(const slices *s, LLVMValueRef a, LLVMValueRef b) {
    const vj_gemm *m = s->m;
    const vj_gen *g = m->g;
    const int32_t halves = tiles_of_rows(s->t->height), panels = panels_of(m, s->t);
    const int64_t panel = vj_panel_depth(VJ_BF16, m->depth) * VJ_PANEL * vj_element_bytes(VJ_BF16);
    for (int32_t j = 0; j < panels; j++)
        vj_tile_load(&m->unit, B + j, bytes_on(g, b, vj_i64(g, j * panel)), vj_i64(g, VJ_TILE_ROW));
    for (int32_t half = 0; half < halves; half++) {
        LLVMValueRef first = LLVMBuildMul(g->b, s->a_stride, vj_i64(g, half * VJ_TILE_ROWS), "");
        vj_tile_load(&m->unit, A + half, bytes_on(g, a, first), s->a_stride);
        for (int32_t j = 0; j < panels; j++)
            vj_tile_dot_bf16(&m->unit, SUMS + 2 * half + j, A + half, B + j);
    }
}

/* The share of the next panels that comes in beside the slice at element `k`. */
static void fetch_share(const slices *s, LLVMValueRef k) {
    const vj_gen *g = s->m->g;
    const int64_t bytes = (int64_t)s->m->s->prefetch * SLICE;
    LLVMValueRef from = bytes_on(g, s->fetch, LLVMBuildMul(g->b, k, vj_i64(g, s->m->s->prefetch), ""));
    for (int64_t at = 0; at < bytes; at += LINE)
        vj_prefetch(g, bytes_on(g, from, vj_i64(g, at)));
}

/* Elements [first, depth) of A's rows, then zeros. */
static void copy_rest(const slices *s, int64_t first, int64_t count) {
    const vj_gemm *m = s->m;
    vj_gen *g = m->g;
    vj_loop rows;
    vj_loop_begin(g, &rows, vj_i64(g, 0), vj_i64(g, s->t->height), 1, true, NULL, 0);
    LLVMValueRef row = bytes_on(g, s->a, LLVMBuildMul(g->b, rows.index, s->a_stride, ""));
    LLVMValueRef from = vj_element(g, row, VJ_BF16, vj_i64(g, first)), mask = vj_mask_first(g, vj_i64(g, count), SLICE);
    LLVMValueRef values = vj_load_vector(g, from, VJ_BF16, SLICE, mask, NULL);
    LLVMValueRef to = bytes_on(g, m->rest, LLVMBuildMul(g->b, rows.index, vj_i64(g, VJ_TILE_ROW), ""));
    vj_store_vector(g, to, values, NULL);
    vj_loop_end(g, &rows, NULL);
}

static LLVMValueRef b_bytes(const vj_gen *g, LLVMValueRef k) {
    return LLVMBuildMul(g->b, k, vj_i64(g, SLICE_BYTES / SLICE), "");
}

static void innermost(const slices *s) {
    const vj_gemm *m = s->m;
    vj_gen *g = m->g;
    const int64_t extent = m->depths[m->depth_count - 1].extent, whole = extent / SLICE * SLICE;
    if (whole > 0) {
        vj_loop loop;
        vj_loop_begin(g, &loop, vj_i64(g, 0), vj_i64(g, whole), SLICE, true, NULL, 0);
        if (s->fetch) fetch_share(s, loop.index);
        add_slice(s, vj_element(g, s->a, VJ_BF16, loop.index), bytes_on(g, s->b, b_bytes(g, loop.index)));
        vj_loop_end(g, &loop, NULL);
    }
    if (whole == extent) return;
    copy_rest(s, whole, extent - whole);
    const slices rest = {m, s->t, m->rest, vj_i64(g, VJ_TILE_ROW), s->b, NULL};
    add_slice(&rest, m->rest, bytes_on(g, s->b, b_bytes(g, vj_i64(g, whole))));
}

static void walk(const slices *s, int32_t level) {
    const vj_gemm *m = s->m;
    vj_gen *g = m->g;
    if (level == m->depth_count - 1) {
        innermost(s);
        return;
    }
    const vj_depth *d = &m->depths[level];
    int64_t below = 1;
    for (int32_t i = level + 1; i < m->depth_count; i++)
        below *= m->depths[i].extent;
    vj_loop loop;
    vj_loop_begin(g, &loop, vj_i64(g, 0), vj_i64(g, d->extent), 1, true, NULL, 0);
    slices inside = *s;
    LLVMValueRef k = LLVMBuildMul(g->b, loop.index, vj_i64(g, below), "");
    inside.a = vj_element(g, s->a, VJ_BF16, LLVMBuildMul(g->b, loop.index, vj_i64(g, d->a), ""));
    inside.b = bytes_on(g, s->b, b_bytes(g, k));
    if (s->fetch) inside.fetch = bytes_on(g, s->fetch, LLVMBuildMul(g->b, k, vj_i64(g, m->s->prefetch), ""));
    walk(&inside, level + 1);
    vj_loop_end(g, &loop, NULL);
}

/* The sums' way to the stack. */
static void keep_sums(const vj_gemm *m, const vj_gemm_tile *t) {
    const vj_gen *g = m->g;
    const int64_t pitch = vj_gemm_pitch(m, t), row = pitch * vj_element_bytes(VJ_F32);
    for (int32_t half = 0; half < tiles_of_rows(t->height); half++)
        for (int32_t j = 0; j < panels_of(m, t); j++) {
            LLVMValueRef at = vj_i64(g, half * VJ_TILE_ROWS * pitch + (int64_t)j * VJ_PANEL);
            vj_tile_store(&m->unit, SUMS + 2 * half + j, vj_element(g, m->tile, VJ_F32, at), vj_i64(g, row));
        }
}

void vj_gemm_tiles_sum(const vj_gemm *m, const vj_gemm_tile *t) {
    vj_gen *g = m->g;
    const vj_access *a = &m->k->access[m->k->a];
    vj_point point = {0};
    vj_gemm_point(m, t, 0, 0, &point);
    for (int32_t d = m->depth_axes.first; d < m->k->rank; d++)
        point.index[d] = vj_i64(g, 0);
    slices s = {.m = m, .t = t, .fetch = t->fetch};
    s.a = vj_element(g, m->a, VJ_BF16, vj_emit_offset(g, a, &point));
    s.a_stride = vj_i64(g, a->stride[m->inner_row] * vj_element_bytes(VJ_BF16));
    LLVMValueRef column = LLVMBuildMul(g->b, t->first_col, vj_i64(g, vj_panel_depth(VJ_BF16, m->depth)), "");
    s.b = vj_element(g, m->b, VJ_BF16, column); /* a multiple of 16: the panels before it are so long */
    for (int32_t half = 0; half < tiles_of_rows(t->height); half++)
        for (int32_t j = 0; j < panels_of(m, t); j++)
            vj_tile_zero(&m->unit, SUMS + 2 * half + j);
    walk(&s, 0);
    keep_sums(m, t);
}
