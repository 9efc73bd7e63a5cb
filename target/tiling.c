/* SPDX-License-Identifier: Apache-2.0 */
/* tiling.c - products on a matrix unit: which they are, and how they are cut; and what blocks of weights take. */
#include "tiling.h"

#include <assert.h>

#define UNIT_GOOD    20000.0
#define UNITS_PLENTY 64

int64_t vj_widened_row(const vj_program *p, const vj_kernel *k, vj_dtype to, int32_t parts) {
    vj_blocks blocks;
    if (!vj_has_blocks(p, k->access[k->b].buffer, &blocks)) return 0;
    const int64_t starts = k->s < 0 ? 0 : vj_blocks_count(&blocks) * vj_element_bytes(VJ_I32);
    return vj_blocks_rows(&blocks, to) * vj_element_bytes(to) * parts + starts;
}

int64_t vj_tile_bytes(const vj_program *p, const vj_kernel *k, int64_t columns) {
    const vj_buffer *b = &p->buffers[k->access[k->b].buffer];
    vj_blocks blocks;
    if (vj_has_blocks(p, k->access[k->b].buffer, &blocks))
        return vj_ceil_div(columns * vj_blocks_panel(&blocks), VJ_PANEL);
    return columns * vj_element_bytes(b->dtype) * vj_group_extent(k, VJ_GROUP_DEPTH);
}

/* How many elements of the depth A has in one run, the last of all among them; 0: they are not adjacent. */
static int64_t run_of_a(const vj_kernel *k) {
    const vj_axes depth = vj_group(k, VJ_GROUP_DEPTH);
    const vj_access *a = &k->access[k->a];
    int64_t run = k->extent[vj_last_of(depth)];
    if (a->stride[vj_last_of(depth)] != 1 && run > 1) return 0;
    for (int32_t d = vj_last_of(depth) - 1; d >= depth.first && a->stride[d] == run; d--)
        run *= k->extent[d];
    return run;
}

/* Tiles read rows of A at a constant distance, and whole slices but for the end of the depth. Vectors that straddle columns are not
 * transposed from the stack. */
bool vj_suits_tiles(const vj_target *target, const vj_program *p, const vj_kernel *k, int32_t lanes) {
    const vj_dtype a = vj_operand_dtype(p, k, k->a), b = vj_operand_dtype(p, k, k->b);
    const vj_axes cols = vj_group(k, VJ_GROUP_COLS), rows = vj_group(k, VJ_GROUP_ROWS);
    const int64_t run = run_of_a(k), last = k->extent[vj_last_of(cols)];
    const bool fits = (a == VJ_BF16 && b == VJ_BF16) || (a == VJ_U8 && b == VJ_I8);
    if (target->tiles == VJ_TILES_NONE || !fits || k->s >= 0 || lanes < vj_target_lanes(target, VJ_F32)) return false;
    if (!vj_is_packed(p, k->access[k->b].buffer) || k->access[k->a].term_count > 0) return false;
    for (int32_t i = 0; i < k->out_count; i++) {
        const vj_access *out = &k->access[k->out[i].access];
        const bool transposed = out->stride[vj_last_of(cols)] != 1 && out->stride[vj_last_of(rows)] == 1;
        if (transposed && cols.count > 1 && last % lanes != 0) return false;
    }
    return run > 0 && (run % vj_panel_step(b) == 0 || run == vj_group_extent(k, VJ_GROUP_DEPTH));
}

void vj_tiled_mix(int64_t rows, vj_gemm_schedule *schedule) {
    assert(rows > 0);
    const int64_t whole = rows / VJ_BLOCK_ROWS, rest = rows % VJ_BLOCK_ROWS;
    schedule->tile_kinds = 0;
    if (whole) schedule->tiles[schedule->tile_kinds++] = (vj_tile_rows){VJ_BLOCK_ROWS, (int32_t)whole};
    if (rest) schedule->tiles[schedule->tile_kinds++] = (vj_tile_rows){(int32_t)rest, 1};
}

/* Are the points of all row axes at one distance in A? */
static bool is_one_walk(const vj_kernel *k) {
    const vj_axes rows = vj_group(k, VJ_GROUP_ROWS);
    const vj_access *a = &k->access[k->a];
    for (int32_t d = rows.first; d < vj_last_of(rows); d++)
        if (a->stride[d] != a->stride[d + 1] * k->extent[d + 1]) return false;
    return true;
}

static bool is_turned(const vj_kernel *k) {
    const int32_t col = vj_last_of(vj_group(k, VJ_GROUP_COLS)), row = vj_last_of(vj_group(k, VJ_GROUP_ROWS));
    for (int32_t i = 0; i < k->out_count; i++) {
        const vj_access *out = &k->access[k->out[i].access];
        if (out->stride[col] != 1 && out->stride[row] == 1) return true;
    }
    return false;
}

/* Rows of windows are short: the last row axis would leave most of a tile empty. With fewer rows than that they are taken as
 * one axis; A's rows are copied only where the axis is shorter still, and there is a use for it in more than a pair of panels. */
#define SHORT_ROWS     32
#define GATHERED_ROWS  16
#define GATHERED_BYTES (256 << 10)

static void choose_rows(const vj_kernel *k, int64_t n, int64_t step, vj_gemm_schedule *s) {
    const vj_axes rows = vj_group(k, VJ_GROUP_ROWS);
    const int64_t inner = k->extent[vj_last_of(rows)], depth = vj_group_extent(k, VJ_GROUP_DEPTH);
    if (rows.count < 2 || inner >= SHORT_ROWS || is_turned(k)) return;
    s->flat_rows = is_one_walk(k);
    if (s->flat_rows || inner >= GATHERED_ROWS || n <= VJ_TILED_COLUMNS) return;
    s->gathered = s->flat_rows = vj_gathered_row(depth, step) * VJ_BLOCK_ROWS <= GATHERED_BYTES;
}

/* The sums of a unit on tiles, and of the one before, have at most so many bytes. They stay in the second level. */
#define SUM_BYTES (128 << 10)
/* Its columns, in tiles, at most: they share rows of A in the first level. */
#define UNIT_COL_TILES 2

/* Rows of a unit, at most: see unit_row_blocks. */
static int64_t unit_rows(const vj_gemm_schedule *s, int64_t outer, int64_t rows, int64_t blocks) {
    const int64_t points = vj_ceil_div(outer, vj_min64(blocks, outer)), pieces = vj_max64(1, blocks / outer);
    return points * vj_min64(rows, vj_ceil_div(vj_tile_count(s), pieces) * s->tiles[0].height);
}

/* Cuts rows and columns on tiles: units as large as their sums may be, but for enough of them for sixteen threads. */
void vj_cut_for_tiles(const vj_target *target, int64_t outer, int64_t rows, int64_t n, int64_t row, int64_t wanted,
                      vj_gemm_schedule *s) {
    const int64_t columns = (int64_t)s->width * s->lanes, tiles = vj_tile_count(s), most = outer * tiles;
    s->unit_col_tiles = 1;
    if (s->gathered)
        s->unit_col_tiles = (int32_t)vj_max64(
            1, vj_min64(vj_ceil_div(n, columns), SUM_BYTES / (2 * vj_element_bytes(VJ_F32) * VJ_BLOCK_ROWS * columns)));
    while (!s->gathered && s->unit_col_tiles < vj_min64(UNIT_COL_TILES, vj_ceil_div(n, columns)) &&
           ((s->unit_col_tiles + 1) * columns + s->tiles[0].height) * row <= target->l1_bytes)
        s->unit_col_tiles++;
    const int64_t unit = s->unit_col_tiles * columns, units = vj_ceil_div(n, unit);
    int64_t blocks = vj_max64(1, vj_min64(vj_ceil_div(vj_min64(wanted, VJ_UNITS_ENOUGH), units), most));
    while (blocks < most && unit_rows(s, outer, rows, blocks) * unit * 2 * vj_element_bytes(VJ_F32) > SUM_BYTES)
        blocks++;
    /* Half of the second level is for a block of rows of A, and the other for the panels that pass by: where A is larger than all of
     * it, or than its half while the panels fit the other. */
    const int64_t room = target->l2_bytes / 2, a = outer * rows * row;
    s->panels_pass = !s->gathered && units > 1 && a > (n * row > room ? 2 * room : room);
    while (s->panels_pass && blocks < most && unit_rows(s, outer, rows, blocks) * row > room)
        blocks++;
    if (blocks > outer) blocks = vj_round_up(blocks, outer);
    s->unit_row_blocks = (int32_t)blocks;
    /* Two panels are 32 lines a step; they come in beside the tiles that pass by those before. */
    const int64_t passing = vj_max64(1, s->tiles[0].count * outer / (s->panels_pass ? blocks : 1));
    if (s->prefetch || s->panels_pass) s->prefetch = (int32_t)vj_ceil_div(2 * VJ_TILE_GROUPS, passing);
}

/* A tile of 16 rows by 16 columns takes 16 cycles a slice, fewer rows fewer. The sums' way to the stack and back comes behind them. */
#define TILED_ROW_OVERHEAD 6.0

double vj_schedule_tiles(const vj_kernel *k, int32_t lanes, int64_t n, int64_t step, vj_gemm_schedule *s) {
    const int64_t columns = vj_min64(VJ_TILED_COLUMNS, vj_round_up(n, VJ_PANEL));
    *s = (vj_gemm_schedule){.form = VJ_FORM_TILES, .lanes = lanes, .width = (int32_t)(columns / lanes), .k_unroll = 1};
    choose_rows(k, n, step, s);
    const vj_axes axes = vj_group(k, VJ_GROUP_ROWS);
    const int64_t rows = s->flat_rows ? vj_group_extent(k, VJ_GROUP_ROWS) : k->extent[vj_last_of(axes)];
    vj_tiled_mix(rows, s);
    const double panels = (double)vj_ceil_div(n, VJ_PANEL);
    const double slices = (double)vj_ceil_div(vj_group_extent(k, VJ_GROUP_DEPTH), step);
    return panels * (double)rows * (slices + TILED_ROW_OVERHEAD);
}

int64_t vj_wanted_units(double total) {
    const double good = total / UNIT_GOOD, least = total / VJ_UNIT_LEAST;
    double units = good > UNITS_PLENTY ? UNITS_PLENTY : good;
    if (units < VJ_UNITS_ENOUGH) units = least > VJ_UNITS_ENOUGH ? VJ_UNITS_ENOUGH : least;
    return units < 1 ? 1 : (int64_t)units;
}
