/* SPDX-License-Identifier: Apache-2.0 */
/* attention_tiling.c - attention on a matrix unit: where it is, and how it is cut. */
#include "tiling.h"

/* By tiles: queries are 32 at a time. Their scores for a block of keys stay in the first level, and with the keys and values
 * of a block, which are packed for all of a block's queries, in the second. */
#define TILED_SCORE_BYTES  49152
#define TILED_PACK_BYTES   131072
#define TILED_RESULT_BYTES 65536
/* Packing is little beside the work on so many tiles of queries, and bearable beside half as many where there were else fewer
 * units than that. */
#define TILED_QUERIES 8
#define UNITS_FEW     8
/* Fewer queries are not worth it. */
#define LEAST_TILED_ROWS 4

bool vj_attention_suits_tiles(const vj_target *target, const vj_program *p, const vj_kernel *k) {
    return target->tiles != VJ_TILES_NONE && p->buffers[k->access[k->q].buffer].dtype == VJ_BF16 &&
           vj_group_extent(k, VJ_GROUP_QUERIES) >= LEAST_TILED_ROWS && k->weight_expr < 0;
}

void vj_schedule_attention_tiles(vj_kernel *k, int32_t lanes, vj_attention_schedule *s) {
    const int64_t i = vj_group_extent(k, VJ_GROUP_QUERIES), j = vj_group_extent(k, VJ_GROUP_KEYS);
    const int64_t d = vj_round_up(vj_group_extent(k, VJ_GROUP_DIM), VJ_STEP);
    const int64_t e = vj_round_up(vj_group_extent(k, VJ_GROUP_VALUE), VJ_PANEL);
    const int64_t batch = vj_group_extent(k, VJ_GROUP_BATCH);
    *s = (vj_attention_schedule){.form = VJ_FORM_TILES, .width = 2};
    s->height = (int32_t)vj_min64(VJ_TILED_ROWS, i);
    const int64_t tiles = vj_ceil_div(i, s->height);
    const int64_t most =
        vj_max64(VJ_STEP, vj_min64(TILED_SCORE_BYTES / 4 / VJ_TILED_ROWS, TILED_PACK_BYTES / 2 / (d + e)));
    s->key_block = vj_round_up(vj_ceil_div(j, vj_ceil_div(j, most)), VJ_STEP);
    const double softmax = (double)i * (double)j * 16 / lanes, products = (double)i * (double)j * (double)(d + e) / 256;
    const double total = (double)batch * (softmax + products);
    const int64_t wanted = vj_wanted_units(total);
    int64_t most_units = vj_ceil_div(tiles, TILED_QUERIES);
    if (batch * most_units < UNITS_FEW) most_units = vj_ceil_div(tiles, TILED_QUERIES / 2);
    s->units_per_head = (int32_t)(batch >= wanted ? 1 : vj_min64(vj_ceil_div(wanted, batch), most_units));
    int64_t block = vj_ceil_div(tiles, s->units_per_head);
    if (s->key_block < j) block = vj_max64(1, vj_min64(block, TILED_RESULT_BYTES / 4 / e / s->height));
    s->query_block = (int32_t)block * s->height;
    k->units = batch * s->units_per_head;
    k->unit_cost = total / (double)k->units;
}
