/* SPDX-License-Identifier: Apache-2.0 */
/* pack_blocks.c - panels of blocks (ir/kernel/blocks.h), from the numbers, zero points or table, and scales of their source. */
#include "pack_blocks.h"

#include <string.h>

vj_side vj_side_of(vj_arena *arena, int32_t rank, const int64_t *extent, const int64_t *stride, int64_t first,
                   int64_t count) {
    vj_side s = {.offset = VJ_NEW_ARRAY(arena, int64_t, count), .count = count};
    int64_t low = INT64_MAX, high = INT64_MIN;
    for (int64_t i = 0; i < count; i++) {
        s.offset[i] = vj_subaxes_at(first + i, rank, extent, stride);
        low = vj_min64(low, s.offset[i]);
        high = vj_max64(high, s.offset[i]);
    }
    for (int64_t i = 0; i < count; i++)
        s.offset[i] -= low;
    s.base = count ? low : 0;
    s.span = count ? high - low + 1 : 1;
    return s;
}

/* What a weight is made of: floats of rows and columns, and what numbers stand for. */
typedef struct source {
    const vj_blocks *blocks;
    const vj_side *row, *column;
    const float *number, *zero, *scale; /* zero: NULL beside a table */
    int32_t least;
    float table[VJ_BLOCK_TABLE];
    uint32_t bits[VJ_BLOCK_TABLE]; /* those of the table's floats, in order, and where they stand */
    uint8_t place[VJ_BLOCK_TABLE];
    uint8_t padding; /* the place of a 0 in the table */
} source;

/* A place in the table that has the bits of x; all that is looked for is there. */
static uint8_t place_of(const source *s, float x) {
    uint32_t wanted, at = 0;
    memcpy(&wanted, &x, sizeof wanted);
    for (uint32_t step = VJ_BLOCK_TABLE / 2; step; step /= 2)
        at += s->bits[at + step] <= wanted ? step : 0;
    return s->place[at];
}

static uint8_t number_of(const source *s, float x) { return s->zero ? (uint8_t)(x - (float)s->least) : place_of(s, x); }

/* One panel, of columns from number `first` on. */
static void fill_panel(const source *s, int64_t first, int64_t columns, uint8_t *to) {
    const vj_blocks *b = s->blocks;
    memset(to, 0, (size_t)vj_blocks_panel(b));
    if (b->table) memcpy(to + vj_blocks_table(b), s->table, sizeof s->table);
    for (int64_t n = 0; n < columns; n++) {
        const int64_t column = s->column->offset[first + n];
        for (int64_t g = 0; g < vj_blocks_count(b); g++) {
            const int64_t at = column + s->row->offset[g * b->block];
            memcpy(to + vj_blocks_scale(g, n), &s->scale[at], sizeof(float));
            if (s->zero) to[vj_blocks_zero(b, g, n)] = number_of(s, s->zero[at]);
        }
        for (int64_t k = 0; k < vj_blocks_count(b) * b->block; k++) {
            uint8_t *byte = &to[vj_blocks_number(b, k, n)];
            uint8_t q = s->zero ? to[vj_blocks_zero(b, k / b->block, n)] : s->padding;
            if (k < b->depth) q = number_of(s, s->number[column + s->row->offset[k]]);
            *byte = (uint8_t)(b->bits == 8 ? q : *byte | q << (k % 2 * 4));
        }
    }
}

static bool read_table(source *s, const vj_func *f, vj_value table, vj_error *error) {
    if (table < 0) return true;
    if (!vj_const_read_f32(f, table, 0, vj_type_at(f, table)->dims[0].c, s->table, error)) return false;
    for (uint8_t i = 0; i < VJ_BLOCK_TABLE; i++) {
        uint32_t bits;
        int32_t at = i;
        memcpy(&bits, &s->table[i], sizeof bits);
        for (; at > 0 && s->bits[at - 1] > bits; at--) {
            s->bits[at] = s->bits[at - 1];
            s->place[at] = s->place[at - 1];
        }
        s->bits[at] = bits;
        s->place[at] = i;
        if (s->table[i] == 0) s->padding = i;
    }
    return true;
}

bool vj_pack_blocks(vj_weight_reader *reader, const vj_func *f, vj_arena *arena, const vj_weight *w, int64_t first,
                    int64_t columns, uint8_t *to, vj_error *error) {
    const vj_blocks b = vj_blocks_of(w);
    const vj_side row = vj_side_of(arena, w->k_rank, w->k_extent, w->k_stride, 0, w->k);
    const vj_side column = vj_side_of(arena, w->n_rank, w->n_extent, w->n_stride, first, columns);
    const int64_t base = w->source_offset + row.base + column.base, span = row.span + column.span - 1;
    vj_block_parts parts;
    if (!vj_find_blocks(f, w->source, &parts)) {
        vj_fail(error, VJ_SYSTEM, "packed weights: a source is not in blocks");
        return false;
    }
    const vj_value values[3] = {parts.numbers, parts.zeros, parts.scales};
    const float *part[3] = {NULL};
    for (int32_t i = 0; i < 3; i++) {
        if (values[i] < 0) continue;
        float *read = VJ_NEW_ARRAY(arena, float, span);
        if (!vj_weight_read(reader, values[i], base, span, read, error)) return false;
        part[i] = read;
    }
    source s = {.blocks = &b,
                .row = &row,
                .column = &column,
                .number = part[0],
                .zero = part[1],
                .scale = part[2],
                .least = w->least};
    if (!read_table(&s, f, parts.table, error)) return false;
    for (int64_t at = 0; at < columns; at += VJ_PANEL)
        fill_panel(&s, at, vj_min64(VJ_PANEL, columns - at), to + at / VJ_PANEL * vj_blocks_panel(&b));
    return true;
}
