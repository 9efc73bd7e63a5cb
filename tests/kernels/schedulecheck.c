/* SPDX-License-Identifier: Apache-2.0 */
/* schedulecheck.c - tests decisions of the schedule: tiles cover the rows exactly, units cover the work, and known
 * shapes get known tiles. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "target/schedule.h"

static void mixes_cover_the_rows(void **state) {
    (void)state;
    for (int64_t rows = 1; rows <= 600; rows++) {
        for (int32_t most = 1; most <= 30; most++) {
            vj_gemm_schedule s = {0};
            vj_tile_mix(rows, most, &s);
            int64_t covered = 0, tiles = 0;
            int32_t low = 1 << 30, high = 0;
            assert_in_range(s.tile_kinds, 1, VJ_MAX_TILE_KINDS);
            for (int32_t i = 0; i < s.tile_kinds; i++) {
                assert_in_range(s.tiles[i].height, 1, most);
                assert_true(s.tiles[i].count > 0);
                covered += (int64_t)s.tiles[i].count * s.tiles[i].height;
                tiles += s.tiles[i].count;
                if (s.tiles[i].height < low) low = s.tiles[i].height;
                if (s.tiles[i].height > high) high = s.tiles[i].height;
            }
            assert_int_equal(covered, rows);
            assert_int_equal(tiles, (rows + most - 1) / most);
            assert_true(high - low <= 1);
        }
    }
}

static vj_kernel *gemm(vj_program *p, int64_t rows, int64_t columns, int64_t depth) {
    vj_kernel *k = vj_add_kernel(p, VJ_KERNEL_GEMM, "gemm");
    vj_set_axes(k, (const int32_t[]){0, 1, 1, 1}, (const int64_t[]){rows, columns, depth});
    const int32_t a = vj_add_buffer(p, VJ_BUFFER_ARENA, VJ_F32, rows * depth, "a");
    const int32_t b = vj_add_buffer(p, VJ_BUFFER_ARENA, VJ_F32, columns * depth, "b");
    k->a = vj_add_access(k, &(vj_access){.buffer = a, .stride = {depth, 0, 1}});
    k->b = vj_add_access(k, &(vj_access){.buffer = b, .stride = {0, 1, columns}});
    return k;
}

static void text_is(const char *target, int64_t rows, int64_t columns, int64_t depth, const char *start) {
    vj_arena *arena = vj_arena_new();
    vj_program *p = vj_program_new(arena, NULL);
    vj_kernel *k = gemm(p, rows, columns, depth);
    vj_schedule_kernel(arena, vj_target_by_name(target), p, k);
    char *text = vj_schedule_text(arena, k);
    text[strlen(start)] = 0;
    assert_string_equal(text, start);
    vj_arena_free(arena);
}

static void known_shapes(void **state) {
    (void)state;
    text_is("x86-64-v4", 197, 768, 768, "tile 13x32, row mix 5x13 + 11x12, ");
    text_is("x86-64-v4", 196, 768, 768, "tile 13x32, row mix 4x13 + 12x12, ");
    text_is("x86-64-v3", 197, 768, 768, "tile 6x16, row mix 32x6 + 1x5, ");
    text_is("x86-64", 197, 768, 768, "tile 5x8, row mix 37x5 + 3x4, ");
}

/* The same in bfloat16 with weights, for tiles. */
static vj_kernel *halves(vj_program *p, int64_t rows, int64_t columns, int64_t depth) {
    vj_kernel *k = gemm(p, rows, columns, depth);
    vj_weight *weight = VJ_PUSH(p->arena, p->weights, p->weight_count, p->weight_capacity);
    *weight = (vj_weight){.kind = VJ_PACK_PANELS, .k = depth, .n = columns};
    for (int32_t i = 0; i < p->buffer_count; i++)
        p->buffers[i].dtype = VJ_BF16;
    vj_buffer *b = &p->buffers[k->access[k->b].buffer];
    b->kind = VJ_BUFFER_WEIGHT;
    b->index = p->weight_count - 1;
    return k;
}

/* Rows by 48 and a rest; the sums of two units, and a tile's rows before each, in the second level; A's rows and the panels of
 * several column tiles in the first, or one column tile. */
static void tiles_fit_the_caches(void **state) {
    (void)state;
    static const int64_t shapes[][3] = {{197, 768, 768}, {197, 3072, 768}, {197, 768, 192}, {1, 1000, 768},
                                        {49, 96, 96},    {3136, 96, 96},   {5, 16, 3072},   {20000, 40, 20}};
    const vj_target *target = vj_target_by_name("x86-64-v4-amx");
    vj_arena *arena = vj_arena_new();
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        vj_program *p = vj_program_new(arena, NULL);
        vj_kernel *k = halves(p, shapes[i][0], shapes[i][1], shapes[i][2]);
        vj_schedule_kernel(arena, target, p, k);
        const vj_gemm_schedule *s = &k->schedule->gemm;
        assert_int_equal(s->form, VJ_FORM_TILES);
        int64_t rows = 0, tiles = 0;
        for (int32_t t = 0; t < s->tile_kinds; t++) {
            assert_in_range(s->tiles[t].height, 1, 48);
            rows += (int64_t)s->tiles[t].height * s->tiles[t].count;
            tiles += s->tiles[t].count;
        }
        assert_int_equal(rows, shapes[i][0]);
        assert_int_equal(tiles, (rows + 47) / 48);
        const int64_t columns = (int64_t)s->unit_col_tiles * s->width * s->lanes;
        const int64_t unit = (tiles + s->unit_row_blocks - 1) / s->unit_row_blocks * 48;
        assert_true(tiles == 1 || unit * columns * 4 * 2 <= 160 << 10);
        assert_true(s->unit_col_tiles == 1 || (columns + 48) * shapes[i][2] * 2 <= target->l1_bytes);
        assert_int_equal(k->units, (shapes[i][1] + columns - 1) / columns * s->unit_row_blocks);
    }
    vj_program *p = vj_program_new(arena, NULL);
    vj_kernel *k = halves(p, 197, 768, 768);
    vj_schedule_kernel(arena, target, p, k);
    char *text = vj_schedule_text(arena, k), *end = strchr(text, ';');
    assert_non_null(end);
    *end = 0;
    assert_string_equal(text, "tile 48x32, row mix 4x48 + 1x5, units of 1 column tiles, lines a step 8, matrix tiles");
    /* Panels pass by blocks of rows of an A that is larger than the second level; or than its half, if they are small. */
    static const struct {
        int64_t rows, columns, depth;
        bool pass;
    } passing[] = {{197, 768, 3072, false}, {1370, 384, 1536, true}, {1370, 1536, 384, false}, {1370, 384, 384, true}};
    for (size_t i = 0; i < sizeof passing / sizeof *passing; i++) {
        k = halves(p, passing[i].rows, passing[i].columns, passing[i].depth);
        vj_schedule_kernel(arena, target, p, k);
        assert_int_equal(k->schedule->gemm.panels_pass, passing[i].pass);
    }
    vj_arena_free(arena);
}

/* A tile of one row must be wide, to hide the latency of a multiply-add. */
static void one_row_is_wide(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    for (int32_t i = 0; i < vj_target_count(); i++) {
        vj_program *p = vj_program_new(arena, NULL);
        vj_kernel *k = gemm(p, 1, 1000, 768);
        vj_schedule_kernel(arena, vj_target_at(i), p, k);
        assert_in_range(k->schedule->gemm.width, 4, 8);
        assert_int_equal(k->schedule->gemm.tiles[0].height, 1);
    }
    vj_arena_free(arena);
}

/* There must be enough units for sixteen threads where the work allows it, but none below two microseconds. */
static void units_fit_the_work(void **state) {
    (void)state;
    static const int64_t shapes[][3] = {{197, 768, 768}, {197, 192, 768},  {3136, 96, 96},  {1, 1000, 768},
                                        {16, 16, 16},    {197, 2304, 768}, {49, 3072, 768}, {12544, 64, 147}};
    vj_arena *arena = vj_arena_new();
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        vj_program *p = vj_program_new(arena, NULL);
        vj_kernel *k = gemm(p, shapes[i][0], shapes[i][1], shapes[i][2]);
        vj_schedule_kernel(arena, vj_target_by_name("x86-64-v4"), p, k);
        const double total = k->unit_cost * (double)k->units;
        assert_true(k->units >= 1);
        if (total > 16 * 20000.0) assert_true(k->units >= 16);
        assert_true(k->units == 1 || k->unit_cost >= 2000.0);
    }
    vj_arena_free(arena);
}

static void attention_blocks_fit_the_stack(void **state) {
    (void)state;
    static const int64_t tokens[] = {1, 49, 197, 577, 1370, 4096, 20000};
    enum { TOKENS = sizeof tokens / sizeof *tokens };
    vj_arena *arena = vj_arena_new();
    for (size_t n = 0; n < 2 * TOKENS; n++) {
        const size_t i = n % TOKENS;
        vj_program *p = vj_program_new(arena, NULL);
        vj_kernel *k = vj_add_kernel(p, VJ_KERNEL_ATTENTION, "mha");
        vj_set_axes(k, (const int32_t[]){1, 1, 1, 1, 1}, (const int64_t[]){12, tokens[i], tokens[i], 64, 64});
        const int32_t operand = vj_add_buffer(p, VJ_BUFFER_ARENA, VJ_F32, 12 * tokens[i] * 64, "qkv");
        /* Weights with an expression want whole rows. */
        const bool whole = n >= TOKENS;
        if (whole) k->weight_expr = vj_x(arena, k, VJ_X_ACC, VJ_F32, -1, -1, -1);
        k->q = k->k = k->v = vj_add_access(k, &(vj_access){.buffer = operand});
        for (int32_t t = 0; t < 2 * vj_target_count(); t++) {
            p->buffers[operand].dtype = t % 2 ? VJ_BF16 : VJ_F32;
            vj_schedule_kernel(arena, vj_target_at(t / 2), p, k);
            const vj_attention_schedule *s = &k->schedule->attention;
            /* By tiles scores are of one tile of queries, and what a block keeps are its results. */
            const bool tiles = s->form == VJ_FORM_TILES, blocked = s->key_block < tokens[i];
            assert_in_range(s->query_block, 1, tokens[i] + (tiles ? s->height - 1 : 0));
            assert_in_range(s->key_block, 1, (whole ? 131072 : 65536) / 4 / (tiles ? s->height : s->query_block));
            if (whole && tokens[i] <= 1370) assert_false(blocked);
            if (tiles && blocked) assert_in_range(s->query_block, 1, 65536 / 4 / 64);
            assert_int_equal(s->key_block % (s->width * vj_target_lanes(vj_target_at(t / 2), VJ_F32)), 0);
            assert_int_equal(k->units, 12 * s->units_per_head);
        }
    }
    vj_arena_free(arena);
}

static void nests_run_along_adjacent_elements(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    vj_program *p = vj_program_new(arena, NULL);
    const int32_t buffer = vj_add_buffer(p, VJ_BUFFER_ARENA, VJ_F32, 197 * 768, "x");
    vj_kernel *k = vj_add_kernel(p, VJ_KERNEL_NEST, "ln");
    vj_set_axes(k, (const int32_t[]){1, 1}, (const int64_t[]){197, 768});
    vj_add_access(k, &(vj_access){.buffer = buffer, .stride = {768, 1}});
    vj_schedule_kernel(arena, vj_target_by_name("x86-64-v4"), p, k);
    assert_int_equal(k->schedule->nest.vector_axis, 1);
    assert_true(k->schedule->nest.vector_is_row);
    k->access[0] = (vj_access){.buffer = buffer, .stride = {1, 197}};
    vj_schedule_kernel(arena, vj_target_by_name("x86-64-v4"), p, k);
    assert_int_equal(k->schedule->nest.vector_axis, 0);
    assert_false(k->schedule->nest.vector_is_row);
    assert_int_equal(k->schedule->nest.unit_points % 16, 0);
    vj_arena_free(arena);
}

/* A filter of 3 x 3 for each of 96 channels over 14 x 14 pixels, channels last, has its lanes along the channels. 3 x 3
 * maxima in rows of pixels with stride 2 have them along the pixels. */
static void windows_share_their_filter(void **state) {
    (void)state;
    vj_arena *arena = vj_arena_new();
    vj_program *p = vj_program_new(arena, NULL);
    vj_kernel *k = vj_add_kernel(p, VJ_KERNEL_NEST, "windows");
    vj_set_axes(k, (const int32_t[]){3, 2}, (const int64_t[]){14, 14, 96, 3, 3});
    const int32_t x = vj_add_buffer(p, VJ_BUFFER_ARENA, VJ_F32, 16 * 16 * 96, "x");
    const int32_t w = vj_add_buffer(p, VJ_BUFFER_ARENA, VJ_F32, 9 * 96, "w");
    vj_add_access(k, &(vj_access){.buffer = x, .stride = {16 * 96, 96, 1, 16 * 96, 96}});
    vj_add_access(k, &(vj_access){.buffer = w, .stride = {0, 0, 1, 288, 96}});
    k->stage_count = 1;
    vj_schedule_kernel(arena, vj_target_by_name("x86-64-v3"), p, k);
    assert_int_equal(k->schedule->nest.vector_axis, 2);
    assert_int_equal(k->schedule->nest.block_axis, 1);
    assert_int_equal(k->schedule->nest.block, 7);
    k->access_count = 1;
    k->access[0] = (vj_access){.buffer = x, .stride = {1024, 64, 2, 32, 1}};
    k->stage[0].reduce = VJ_REDUCE_MAX;
    vj_set_axes(k, (const int32_t[]){3, 2}, (const int64_t[]){24, 15, 16, 3, 3});
    vj_schedule_kernel(arena, vj_target_by_name("x86-64-v3"), p, k);
    assert_int_equal(k->schedule->nest.vector_axis, 2);
    assert_int_equal(k->schedule->nest.block, 1);
    vj_arena_free(arena);
}

/* Pixels of channels become channels of pixels, as they are or rounded to a half: by squares of vectors, where channels are whole
 * vectors. */
static void floats_are_turned_by_squares(void **state) {
    static const struct {
        const char *target, *to;
        int64_t channels;
        int32_t block;
    } cases[] = {{"x86-64-v4", "bf16", 256, 16}, {"x86-64-v3", "bf16", 256, 8}, {"x86-64", "f16", 20, 4},
                 {"x86-64-v4", "bf16", 40, 1},   {"x86-64-v4", "f32", 256, 16}, {"riscv64", "bf16", 256, 1},
                 {"x86-64-v3", "f32", 256, 8},   {"x86-64", "f32", 20, 4},      {"x86-64-v4", "f32", 40, 1},
                 {"x86-64-v4", "i32", 256, 1}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        vj_arena *arena = vj_arena_new();
        vj_error error = {0};
        const long long channels = cases[i].channels;
        vj_program *p = vj_parse_program(
            arena,
            vj_sprintf(arena,
                       "program p {\n  %%x: arena f32[%lld]\n  %%y: arena %s[%lld]\n  kernel nest turn {\n"
                       "    outer i0:49, i1:%lld\n    row\n    in x0 = %%x[i0 + 49*i1]\n"
                       "    out %%y[%lld*i0 + i1] = cast:%s(x0)\n  }\n}\n",
                       49 * channels, cases[i].to, 49 * channels, channels, channels, cases[i].to),
            &error);
        if (!p) fail_msg("%s", error.text);
        vj_schedule_kernel(arena, vj_target_by_name(cases[i].target), p, p->kernels[0]);
        const vj_nest_schedule *s = &p->kernels[0]->schedule->nest;
        assert_int_equal(s->block, cases[i].block);
        assert_int_equal(s->turned, cases[i].block > 1);
        if (s->turned) assert_int_equal(s->vector_axis, 0);
        if (s->turned) assert_int_equal(s->block_axis, 1);
        vj_arena_free(arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mixes_cover_the_rows),
        cmocka_unit_test(known_shapes),
        cmocka_unit_test(tiles_fit_the_caches),
        cmocka_unit_test(one_row_is_wide),
        cmocka_unit_test(units_fit_the_work),
        cmocka_unit_test(attention_blocks_fit_the_stack),
        cmocka_unit_test(nests_run_along_adjacent_elements),
        cmocka_unit_test(windows_share_their_filter),
        cmocka_unit_test(floats_are_turned_by_squares),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
