/* SPDX-License-Identifier: Apache-2.0 */
/* schedule.c - how a kernel is cut into tiles and units on a target, from counts of instructions.
 *
 * The model of a core: two multiply-adds and two loads a cycle, and a multiply-add's result after four. It only has to
 * rank shapes; bench/gemm_bench.c measures them.
 */
#include "multiplier.h"
#include "tiling.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>

#define TILE_OVERHEAD 40.0

void vj_tile_mix(int64_t rows, int32_t max_height, vj_gemm_schedule *schedule) {
    assert(rows > 0 && max_height > 0);
    const int64_t tiles = vj_ceil_div(rows, max_height), low = rows / tiles, higher = rows % tiles;
    schedule->tile_kinds = 0;
    if (higher) schedule->tiles[schedule->tile_kinds++] = (vj_tile_rows){(int32_t)low + 1, (int32_t)higher};
    schedule->tiles[schedule->tile_kinds++] = (vj_tile_rows){(int32_t)low, (int32_t)(tiles - higher)};
}

/* One core reads so many bytes a cycle from memory. */
#define STREAM_BYTES 12.0

/* What one column tile of `width` vectors takes, over all tiles of the inner row axis. */
static double column_cycles(const vj_multiplier *m, const vj_gemm_schedule *s, int32_t width, double groups) {
    double cycles = 0;
    for (int32_t i = 0; i < s->tile_kinds; i++)
        cycles += s->tiles[i].count * (TILE_OVERHEAD + groups * vj_step_cycles(m, s->tiles[i].height, width));
    return cycles;
}

/* How many lanes a vector of columns has: those of a register; the end of a single axis is masked. */
static int32_t column_lanes(const vj_target *target, const vj_kernel *k, int64_t n, bool panels) {
    int32_t lanes = vj_target_lanes(target, VJ_F32);
    const vj_axes cols = vj_group(k, VJ_GROUP_COLS);
    const int64_t last = k->extent[vj_last_of(cols)];
    if (cols.count == 1) {
        if (vj_has_segments(k)) return 1;
        while (lanes / 2 >= n)
            lanes /= 2;
        return lanes;
    }
    /* Panels hold columns without regard to axes, results go through the stack; a plain B is read by its axes. */
    while (!panels && last % lanes != 0)
        lanes /= 2;
    return lanes;
}

/* Cuts `total` cycles in `pieces` natural pieces: how many of the finest pieces a unit should have, at least 1. */
static int64_t pieces_per_unit(double total, int64_t pieces) {
    const double each = total / (double)pieces;
    if (each >= VJ_UNIT_LEAST || pieces <= 1) return 1;
    int64_t group = (int64_t)(VJ_UNIT_LEAST / each) + 1;
    return group < pieces ? group : pieces;
}

static double entry_cycles(const vj_target *target, const vj_expr *entry) {
    return target->cycles[vj_xop_cost(entry->op)];
}

/* Results that take so many instructions a vector are not written out for each vector of a tile. */
#define LONG_EPILOGUE 16.0

static bool wants_looped_store(const vj_target *target, const vj_kernel *k) {
    const int32_t last_col = vj_last_of(vj_group(k, VJ_GROUP_COLS));
    double cycles = 0;
    bool transposed = false;
    for (int32_t i = 0; i < k->expr_count; i++)
        cycles += entry_cycles(target, &k->expr[i]);
    for (int32_t i = 0; i < k->out_count; i++)
        transposed |= k->access[k->out[i].access].stride[last_col] != 1;
    return transposed || cycles >= LONG_EPILOGUE;
}

static void schedule_gemm(const vj_target *target, const vj_program *p, vj_kernel *k, vj_schedule *schedule) {
    vj_gemm_schedule *best = &schedule->gemm;
    const int64_t all_rows = vj_group_extent(k, VJ_GROUP_ROWS), n = vj_group_extent(k, VJ_GROUP_COLS);
    const int64_t depth = vj_group_extent(k, VJ_GROUP_DEPTH), batch = vj_group_extent(k, VJ_GROUP_BATCH);
    const bool panels = vj_is_packed(p, k->access[k->b].buffer);
    const int32_t lanes = column_lanes(target, k, n, panels);
    const vj_dtype a = p->buffers[k->access[k->a].buffer].dtype, b = vj_operand_dtype(p, k, k->b);
    vj_multiplier m = vj_multiplier_of(target, a, b, panels, lanes);
    vj_blocks blocks;
    if (k->s >= 0 && vj_has_blocks(p, k->access[k->b].buffer, &blocks)) vj_multiply_by_blocks(&m, &blocks, lanes);
    const int64_t widened = vj_widened_row(p, k, b, m.parts);
    const double groups = ceil((double)depth / m.group);
    const bool by_tiles = vj_suits_tiles(target, p, k, lanes);
    double least = by_tiles ? vj_schedule_tiles(k, lanes, n, vj_panel_step(b), best) : 0;
    const int64_t rows = by_tiles && best->flat_rows ? all_rows : k->extent[vj_last_of(vj_group(k, VJ_GROUP_ROWS))];
    const int64_t outer = all_rows / rows;
    for (int32_t width = 1; width <= 8 && !by_tiles; width++) {
        const int64_t columns = (int64_t)width * lanes, full = n / columns, rest = vj_ceil_div(n % columns, lanes);
        if (panels && columns % VJ_PANEL != 0 && VJ_PANEL % columns != 0) continue;
        if ((width > 1 && columns - lanes >= n) || vj_most_rows(&m, width) < 1) continue;
        if (columns > VJ_PANEL && columns * widened > VJ_WIDENED_BYTES) continue;
        vj_gemm_schedule s = {.form = m.form, .lanes = lanes, .width = width};
        vj_tile_mix(rows, vj_most_rows(&m, width), &s);
        s.k_unroll = m.block ? vj_block_unroll(&m) : vj_k_unroll(target, s.tiles[0].height * width, m.products);
        double cycles = (double)full * column_cycles(&m, &s, width, groups);
        if (rest) cycles += column_cycles(&m, &s, (int32_t)rest, groups);
        if (least == 0 || cycles < least * 0.98) {
            least = cycles;
            *best = s;
        }
    }
    /* A few rows take less time than B takes to come. */
    const double b_bytes = widened ? (double)p->buffers[k->access[k->b].buffer].elements
                                   : (double)n * (double)depth * (double)vj_element_bytes(b);
    const double total = vj_larger_of(least * (double)outer, b_bytes / STREAM_BYTES) * (double)batch;
    const int64_t row_tiles = outer * vj_tile_count(best), units = vj_wanted_units(total);
    const int64_t wanted = widened ? vj_min64(units, VJ_UNITS_ENOUGH) : units; /* each block of rows widens again */
    int64_t tiles = vj_ceil_div(n, (int64_t)best->width * lanes);
    if (!by_tiles && row_tiles == 1 && tiles * batch < wanted && best->width > 4 && rows <= vj_most_rows(&m, 4)) {
        best->width = 4; /* more units, still wide enough */
        tiles = vj_ceil_div(n, (int64_t)best->width * lanes);
    }
    const int64_t columns = tiles * batch;
    best->unit_row_blocks = (int32_t)(columns >= wanted ? 1 : vj_min64(vj_ceil_div(wanted, columns), row_tiles));
    best->unit_col_tiles = (int32_t)vj_min64(tiles, pieces_per_unit(total, columns));
    /* The next panel comes in while the row tiles pass by this one, if there are enough of them to spread it, and not
     * so many that its coming is nothing. */
    if (panels && row_tiles >= 4 && row_tiles <= 64)
        best->prefetch = (int32_t)vj_ceil_div(vj_tile_bytes(p, k, best->width * lanes), depth * row_tiles);
    if (by_tiles) vj_cut_for_tiles(target, outer, rows, n, depth * vj_element_bytes(b), wanted, best);
    if (by_tiles && widened) best->prefetch = 0;
    best->looped_store =
        !by_tiles && best->tiles[0].height * best->width >= VJ_LARGE_TILE / 2 && wants_looped_store(target, k);
    k->units = batch * vj_ceil_div(tiles, best->unit_col_tiles) * best->unit_row_blocks;
    k->unit_cost = total / (double)k->units;
}

/* What a product takes in the largest tile of `width` vectors. */
static double tile_cost(const vj_multiplier *m, int32_t width) {
    const int32_t height = vj_most_rows(m, width);
    return vj_step_cycles(m, height, width) / (height * width);
}

/* A tile of keys is read for so many tiles of queries. */
#define QUERY_TILES 4
/* A block of scores has at most so many bytes: it goes through the first level row by row, and stays in the second. */
#define SCORE_BYTES 65536

/* A weight that is made of 1 / sum is not known before the row's last key: blocks of keys would have to be multiplied twice. */
#define WHOLE_ROW_BYTES (2 * SCORE_BYTES)

/* How many tiles of queries a block has. Where weights need whole rows it is fewer tiles rather than blocks of keys. */
static int32_t query_tiles(const vj_kernel *k, int32_t height) {
    const int64_t keys = vj_group_extent(k, VJ_GROUP_KEYS);
    int32_t tiles = QUERY_TILES;
    if (k->weight_expr < 0) return tiles;
    while (tiles > 1 && keys > WHOLE_ROW_BYTES / 4 / ((int64_t)tiles * height))
        tiles /= 2;
    return tiles;
}

static void schedule_attention(const vj_target *target, const vj_program *p, vj_kernel *k, vj_schedule *schedule) {
    vj_attention_schedule *s = &schedule->attention;
    const int32_t lanes = vj_target_lanes(target, VJ_F32);
    const vj_dtype dtype = p->buffers[k->access[k->q].buffer].dtype;
    if (vj_attention_suits_tiles(target, p, k)) {
        vj_schedule_attention_tiles(k, lanes, s);
        return;
    }
    vj_multiplier m = vj_multiplier_of(target, dtype, dtype, false, lanes);
    if (m.form == VJ_FORM_FMA)
        m = vj_multiplier_of(target, VJ_F32, VJ_F32, false, lanes); /* operands are widened before */
    const int64_t i = vj_group_extent(k, VJ_GROUP_QUERIES), j = vj_group_extent(k, VJ_GROUP_KEYS);
    const int64_t d = vj_group_extent(k, VJ_GROUP_DIM), e = vj_group_extent(k, VJ_GROUP_VALUE);
    s->form = m.form;
    s->width = 2;
    if (tile_cost(&m, 4) < 0.98 * tile_cost(&m, 2)) s->width = 4;
    s->height = (int32_t)vj_min64(vj_most_rows(&m, s->width), i);
    const int64_t tile = (int64_t)s->width * lanes, rows = vj_min64((int64_t)query_tiles(k, s->height) * s->height, i);
    const int64_t bytes = k->weight_expr >= 0 ? WHOLE_ROW_BYTES : SCORE_BYTES;
    s->query_block = (int32_t)rows;
    s->key_block = vj_max64(tile, bytes / 4 / rows / tile * tile);
    const int64_t tiles = vj_ceil_div(i, s->height), batch = vj_group_extent(k, VJ_GROUP_BATCH);
    const int64_t blocks = vj_ceil_div(tiles, s->query_block / s->height);
    const double products = (double)i * (double)j * (double)(d + e) / lanes / (m.form == VJ_FORM_DOT ? 4 : 2);
    const double softmax = (double)i * (double)j * (k->weight_expr >= 0 ? 24 : 16) / lanes;
    const double total = (double)batch * (products * 1.2 + softmax);
    const int64_t wanted = vj_wanted_units(total);
    s->units_per_head = (int32_t)(batch >= wanted ? 1 : vj_min64(vj_ceil_div(wanted, batch), blocks));
    k->units = batch * s->units_per_head;
    k->unit_cost = total / (double)k->units;
}

/* Nests: what a point costs, in instructions, decides along which axis lanes run. */

/* A vector that is read or written element by element takes so much an element: the access and its way into its lane. */
#define SCATTERED 1.5
/* A reduction over lanes goes by halves, and a step of it takes so much. */
#define STEP_ACROSS 3.0

static double access_cycles(const vj_target *target, const vj_kernel *k, const vj_access *access, int32_t axis,
                            int32_t lanes) {
    int64_t stride = access->stride[axis];
    bool guarded = false, scattered = false;
    for (int32_t t = 0; t < access->term_count; t++) {
        const vj_term *term = &access->terms[t];
        if (!vj_term_moves(k, term, axis)) continue;
        if (term->kind == VJ_TERM_GUARD) {
            guarded = true;
            stride += term->stride * term->coef[axis];
        } else {
            scattered = true;
        }
    }
    scattered |= stride != 0 && stride != 1;
    if (scattered || (guarded && (stride != 1 || !target->masked_stores))) return (guarded ? 2 : 1) * SCATTERED * lanes;
    return guarded ? 2 : stride == 1 ? 1 : 0.5;
}

static double op_cycles(const vj_target *target, const vj_kernel *k) {
    double cycles = 0;
    for (int32_t i = 0; i < k->expr_count; i++)
        cycles += entry_cycles(target, &k->expr[i]);
    for (int32_t i = 0; i < k->stage_count; i++) /* extremes look for NaN */
        cycles += k->stage[i].reduce == VJ_REDUCE_MAX || k->stage[i].reduce == VJ_REDUCE_MIN ? 3 : 1;
    return cycles;
}

/* What a point takes with lanes along the axis. */
static double lanes_cycles(const vj_target *target, const vj_kernel *k, int32_t axis) {
    const int64_t extent = k->extent[axis];
    int32_t lanes = vj_target_lanes(target, VJ_F32), steps = 0;
    while (lanes / 2 >= extent)
        lanes /= 2;
    double vector = op_cycles(target, k);
    for (int32_t i = 0; i < k->access_count; i++)
        vector += access_cycles(target, k, &k->access[i], axis, lanes);
    const double cycles = vector * (double)vj_ceil_div(extent, lanes) / (double)extent;
    if (axis < vj_group(k, VJ_GROUP_ROW).first) return cycles;
    for (int32_t left = lanes; left > 1; left /= 2)
        steps++;
    return cycles + k->stage_count * steps * STEP_ACROSS / (double)vj_group_extent(k, VJ_GROUP_ROW);
}

static double scalar_cycles(const vj_target *target, const vj_kernel *k) {
    double cycles = op_cycles(target, k);
    for (int32_t i = 0; i < k->access_count; i++)
        cycles += 1 + k->access[i].term_count;
    return cycles;
}

/* Windows: neighbours along an outer axis share what does not move with it (the filter), and what their windows have in
 * common. As many as divide the axis: sums, and a vector or two of operands, stay in registers. */
static void choose_block(const vj_target *target, const vj_kernel *k, vj_nest_schedule *s) {
    static const int32_t sizes[] = {4, 7, 6, 5, 3, 2};
    const int32_t outer_axes = k->axes[VJ_GROUP_OUTER];
    const int64_t row = vj_group_extent(k, VJ_GROUP_ROW);
    s->block = 1;
    s->block_axis = -1;
    if (k->stage_count != 1 || row < 2 || row > VJ_SHORT_ROW || s->vector_is_row) return;
    int32_t axis = outer_axes - 1;
    while (axis >= 0 && (axis == s->vector_axis || k->extent[axis] == 1))
        axis--;
    bool shares = false;
    for (int32_t i = 0; axis >= 0 && i < k->access_count; i++) {
        bool in_window = false;
        for (int32_t r = outer_axes; r < k->rank; r++)
            in_window |= k->access[i].stride[r] != 0;
        shares |= in_window && k->access[i].stride[axis] == 0 && k->access[i].term_count == 0;
    }
    for (size_t i = 0; shares && i < sizeof sizes / sizeof *sizes; i++)
        if (k->extent[axis] % sizes[i] == 0 && sizes[i] * 2 <= target->registers) {
            s->block = sizes[i];
            s->block_axis = axis;
            return;
        }
}

/* Values of f32 that are adjacent along one axis where they are read, and along another where they are stored, or rounded to a half
 * and stored: squares of them are transposed in registers, a step a level. Returns what a point takes, `best` where that is no more
 * than any square's. */
static double choose_square(const vj_target *target, const vj_program *p, const vj_kernel *k, double best,
                            vj_nest_schedule *s) {
    const int32_t lanes = vj_target_lanes(target, VJ_F32), outer_axes = k->axes[VJ_GROUP_OUTER];
    const vj_expr *root = &k->expr[k->out_count == 1 ? k->out[0].expr : 0];
    if (lanes < 2 || k->out_count != 1 || k->stage_count > 0 || vj_group_extent(k, VJ_GROUP_ROW) > 1) return best;
    const vj_access *out = &k->access[k->out[0].access];
    const vj_dtype dtype = p->buffers[out->buffer].dtype;
    const bool is_rounded =
        root->op == VJ_X_CAST && (dtype == VJ_BF16 || dtype == VJ_F16) && k->expr[root->arg[0]].dtype == VJ_F32;
    if (!is_rounded && dtype != VJ_F32) return best;
    int32_t along = outer_axes - 1;
    while (along >= 0 && (out->stride[along] != 1 || k->extent[along] == 1))
        along--;
    if (along < 0 || k->extent[along] % lanes != 0) return best;
    for (int32_t axis = outer_axes - 1; axis >= 0; axis--) {
        if (axis == along || k->extent[axis] < lanes) continue;
        double vector = op_cycles(target, k) + 1;
        for (int32_t level = lanes; level > 1; level /= 2)
            vector += 1;
        for (int32_t i = 0; i < k->access_count; i++)
            if (!vj_is_result(k, i)) vector += access_cycles(target, k, &k->access[i], axis, lanes);
        const double cycles = vector * (double)vj_ceil_div(k->extent[axis], lanes) / (double)k->extent[axis];
        if (cycles >= best) continue;
        best = cycles;
        s->turned = true;
        s->vector_axis = axis;
        s->block_axis = along;
        s->block = lanes;
    }
    return best;
}

static void schedule_nest(const vj_target *target, const vj_program *p, vj_kernel *k, vj_schedule *schedule) {
    vj_nest_schedule *s = &schedule->nest;
    const int32_t lanes = vj_target_lanes(target, VJ_F32), outer_axes = k->axes[VJ_GROUP_OUTER];
    double best = scalar_cycles(target, k);
    s->vector_axis = -1;
    for (int32_t axis = k->rank - 1; axis >= 0; axis--) {
        if (k->extent[axis] < 2) continue;
        const double cycles = lanes_cycles(target, k, axis);
        if (cycles < best) {
            best = cycles;
            s->vector_axis = axis;
        }
    }
    s->vector_is_row = s->vector_axis >= outer_axes;
    choose_block(target, k, s);
    best = choose_square(target, p, k, best, s);
    s->vector_is_row = s->vector_axis >= outer_axes;
    const int64_t outer = vj_group_extent(k, VJ_GROUP_OUTER), row = vj_group_extent(k, VJ_GROUP_ROW);
    const double total = (double)outer * (double)row * best;
    const int64_t points = vj_ceil_div(outer, vj_wanted_units(total));
    /* With lanes along an outer axis, units begin at whole vectors. */
    const bool whole = s->vector_axis >= 0 && !s->vector_is_row;
    s->unit_points = vj_max64(1, whole ? vj_round_up(points, lanes) : points);
    k->units = vj_max64(1, vj_ceil_div(outer, s->unit_points));
    k->unit_cost = total / (double)k->units;
}

/* Lowering says how a call can be cut. */
static void schedule_call(const vj_target *target, const vj_program *p, vj_kernel *k, vj_schedule *schedule) {
    (void)target, (void)p, (void)schedule;
    k->unit_cost = k->flops / (double)vj_max64(1, k->units);
}

static void text_gemm(vj_text *text, const vj_kernel *k) {
    const vj_gemm_schedule *s = &k->schedule->gemm;
    vj_text_add(text, "tile %dx%d, row mix ", (int)s->tiles[0].height, (int)(s->width * s->lanes));
    for (int32_t i = 0; i < s->tile_kinds; i++)
        vj_text_add(text, "%s%dx%d", i ? " + " : "", (int)s->tiles[i].count, (int)s->tiles[i].height);
    vj_text_add(text, ", units of %d column tiles", (int)s->unit_col_tiles);
    if (s->flat_rows) vj_text_add(text, s->gathered ? " along all rows, gathered" : " along all rows");
    if (s->unit_row_blocks > 1) vj_text_add(text, " and 1/%d of the rows", (int)s->unit_row_blocks);
    if (s->panels_pass) vj_text_add(text, ", panels pass");
    const bool lines = s->form == VJ_FORM_TILES;
    if (s->prefetch) vj_text_add(text, lines ? ", lines a step %d" : ", prefetch %d", (int)s->prefetch);
    if (s->looped_store) vj_text_add(text, ", looped store");
    if (s->form == VJ_FORM_DOT) vj_text_add(text, ", dot products");
    if (s->form == VJ_FORM_TILES) vj_text_add(text, ", matrix tiles");
}

static void text_attention(vj_text *text, const vj_kernel *k) {
    const vj_attention_schedule *s = &k->schedule->attention;
    vj_text_add(text, "query block %d, width %d, %d units a head", (int)s->query_block, (int)s->width,
                (int)s->units_per_head);
    if (s->key_block < vj_group_extent(k, VJ_GROUP_KEYS))
        vj_text_add(text, ", key block %lld", (long long)s->key_block);
    if (s->form == VJ_FORM_DOT) vj_text_add(text, ", dot products");
    if (s->form == VJ_FORM_TILES) vj_text_add(text, ", matrix tiles");
}

static void text_nest(vj_text *text, const vj_kernel *k) {
    const vj_nest_schedule *s = &k->schedule->nest;
    vj_text_add(text, "lanes along axis %d%s, units of %lld points", (int)s->vector_axis,
                s->vector_is_row ? " (row)" : "", (long long)s->unit_points);
    const char *what = s->turned ? "turned with vectors" : "neighbours";
    if (s->block > 1) vj_text_add(text, ", %d %s along axis %d", (int)s->block, what, (int)s->block_axis);
}

static void text_call(vj_text *text, const vj_kernel *k) {
    (void)k;
    vj_text_add(text, "call");
}

/* What each kind has: one decides and sets the kernel's units and unit_cost, one says what was decided. */
static const struct {
    void (*schedule)(const vj_target *target, const vj_program *p, vj_kernel *k, vj_schedule *schedule);
    void (*text)(vj_text *text, const vj_kernel *k);
} kinds[VJ_KERNEL_KINDS] = {
#define KIND(id, name, ...) [VJ_KERNEL_##id] = {schedule_##name, text_##name},
#include "ir/kernel/kernel_kinds.def"
};

void vj_schedule_kernel(vj_arena *arena, const vj_target *target, const vj_program *p, vj_kernel *k) {
    vj_schedule *s = VJ_NEW(arena, vj_schedule);
    kinds[k->kind].schedule(target, p, k, s);
    k->schedule = s;
}

char *vj_schedule_text(vj_arena *arena, const vj_kernel *k) {
    vj_text text = {.arena = arena};
    kinds[k->kind].text(&text, k);
    vj_text_add(&text, "; %lld units of %.0f cycles", (long long)k->units, k->unit_cost);
    return text.at;
}
