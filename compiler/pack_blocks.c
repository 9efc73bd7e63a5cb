/* pack_blocks.c - panels of blocks (ir/kernel/blocks.h), from the numbers, zero points and scales of their source. */
#include "pack_blocks.h"

#include <string.h>

/* Where what is read stands: the least place at `base`, column i and row k from there on. */
typedef struct layout {
    int64_t *row, *column, base, span;
} layout;

static int64_t place_of(int64_t number, int32_t rank, const int64_t *extent, const int64_t *stride) {
    int64_t at = 0;
    for (int32_t d = rank - 1; d >= 0; d--) {
        at += number % extent[d] * stride[d];
        number /= extent[d];
    }
    return at;
}

/* The offsets of `count` places from number `first` on, less the least, which is returned; *span grows to hold them. */
static int64_t offsets_of(int64_t *offset, int64_t first, int64_t count, int32_t rank, const int64_t *extent,
                          const int64_t *stride, int64_t *span) {
    int64_t least = INT64_MAX, most = INT64_MIN;
    for (int64_t i = 0; i < count; i++) {
        offset[i] = place_of(first + i, rank, extent, stride);
        least = vj_min64(least, offset[i]);
        most = vj_max64(most, offset[i]);
    }
    for (int64_t i = 0; i < count; i++)
        offset[i] -= least;
    *span += most - least;
    return least;
}

static layout layout_of(vj_arena *arena, const vj_weight *w, int64_t first, int64_t columns) {
    layout l = {.row = VJ_NEW_ARRAY(arena, int64_t, w->k), .column = VJ_NEW_ARRAY(arena, int64_t, columns), .span = 1};
    l.base = w->source_offset + offsets_of(l.row, 0, w->k, w->k_rank, w->k_extent, w->k_stride, &l.span);
    l.base += offsets_of(l.column, first, columns, w->n_rank, w->n_extent, w->n_stride, &l.span);
    return l;
}

/* One panel from the floats of its parts, which `l` places. */
static void fill_panel(const vj_blocks *b, const layout *l, int64_t first, int64_t columns, const float *const part[3],
                       int32_t least, uint8_t *to) {
    memset(to, 0, (size_t)vj_blocks_panel(b));
    for (int64_t n = 0; n < columns; n++) {
        const int64_t column = l->column[first + n];
        for (int64_t g = 0; g < vj_blocks_count(b); g++) {
            const int64_t at = column + l->row[g * b->block];
            memcpy(to + vj_blocks_scale(g, n), &part[2][at], sizeof(float));
            to[vj_blocks_zero(b, g, n)] = (uint8_t)(part[1][at] - (float)least);
        }
        for (int64_t k = 0; k < vj_blocks_count(b) * b->block; k++) {
            uint8_t *byte = &to[vj_blocks_number(b, k, n)], q = to[vj_blocks_zero(b, k / b->block, n)];
            if (k < b->depth) q = (uint8_t)(part[0][column + l->row[k]] - (float)least);
            *byte = (uint8_t)(b->bits == 8 ? q : *byte | q << (k % 2 * 4));
        }
    }
}

bool vj_pack_blocks(vj_weight_reader *reader, const vj_func *f, vj_arena *arena, const vj_weight *w, int64_t first,
                    int64_t columns, uint8_t *to, vj_error *error) {
    const vj_blocks b = {w->bits, w->block, w->k};
    const layout l = layout_of(arena, w, first, columns);
    vj_block_parts parts;
    if (!vj_find_blocks(f, w->source, &parts)) {
        vj_fail(error, VJ_SYSTEM, "packed weights: a source is not in blocks");
        return false;
    }
    const vj_value values[3] = {parts.numbers, parts.zeros, parts.scales};
    const float *part[3];
    for (int32_t i = 0; i < 3; i++) {
        float *read = VJ_NEW_ARRAY(arena, float, l.span);
        if (!vj_weight_read(reader, values[i], l.base, l.span, read, error)) return false;
        part[i] = read;
    }
    for (int64_t at = 0; at < columns; at += VJ_PANEL)
        fill_panel(&b, &l, at, vj_min64(VJ_PANEL, columns - at), part, w->least,
                   to + at / VJ_PANEL * vj_blocks_panel(&b));
    return true;
}
