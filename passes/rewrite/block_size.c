/* SPDX-License-Identifier: Apache-2.0 */
/* block_size.c - how many elements of the depth share a scale and a zero point: whatever moved and joined them, what they are says it. */
#include "rewrite.h"

#include <math.h>
#include <string.h>

typedef struct search {
    const vj_weight *w;
    int64_t *row; /* where each k is, from the first on */
    int64_t block;
    bool fits;
} search;

static int64_t divisor(int64_t a, int64_t b) {
    while (b) {
        const int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Do the columns stand side by side? */
static bool has_rows(const vj_weight *w) { return w->n_rank == 1 && w->n_stride[0] == 1; }

/* Every k whose value is another than that before begins a block. */
static void find_borders(search *s, const float *part) {
    const vj_weight *w = s->w;
    part += w->source_offset;
    for (int64_t k = 1; k < w->k && has_rows(w); k++)
        if ((s->block == 0 || k % s->block != 0) &&
            memcmp(&part[s->row[k]], &part[s->row[k - 1]], (size_t)w->n * sizeof *part) != 0)
            s->block = divisor(k, s->block);
    if (has_rows(w)) return;
    for (int64_t n = 0; n < w->n; n++) {
        const float *column = part + vj_subaxes_at(n, w->n_rank, w->n_extent, w->n_stride);
        for (int64_t k = 1; k < w->k; k++)
            if (memcmp(&column[s->row[k]], &column[s->row[k - 1]], sizeof *column) != 0)
                s->block = divisor(k, s->block);
    }
}

static bool are_zeros(const float *part, int64_t count, int32_t least, int32_t most) {
    for (int64_t i = 0; i < count; i++)
        if (!(part[i] >= (float)least && part[i] <= (float)most) || part[i] != floorf(part[i])) return false;
    return true;
}

/* A sixteenth of each is as exact. */
static bool are_scales(const float *part, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        if (!isfinite(part[i]) || (part[i] != 0 && fabsf(part[i]) < 0x1p-120F)) return false;
    return true;
}

/* Reads a part whole. */
static void look_at(search *s, const vj_func *f, const vj_block_parts *parts, bool zeros) {
    const vj_value v = zeros ? parts->zeros : parts->scales;
    const int32_t most = parts->least + (parts->bits == 4 ? 15 : 255);
    vj_error ignored = {0};
    int64_t count;
    if (!vj_type_elements(f, vj_type_at(f, v), &count) || count > VJ_BLOCKS_ELEMENTS) {
        s->fits = false;
        return;
    }
    vj_arena *scratch = vj_arena_scratch(f->arena);
    float *part = VJ_NEW_ARRAY(scratch, float, count);
    vj_weight_reader *reader = vj_weight_reader_new(scratch, f);
    s->fits = vj_weight_read(reader, v, 0, count, part, &ignored) &&
              (zeros ? are_zeros(part, count, parts->least, most) : are_scales(part, count));
    if (s->fits) find_borders(s, part);
    vj_arena_free(scratch);
}

/* What a table of fewer than 16 is filled up with is 0. */
static bool has_a_zero(const vj_func *f, vj_value table) {
    float x[VJ_BLOCK_TABLE] = {0};
    vj_error ignored = {0};
    bool found = false;
    if (!vj_const_read_f32(f, table, 0, vj_type_at(f, table)->dims[0].c, x, &ignored)) return false;
    for (int32_t i = 0; i < VJ_BLOCK_TABLE; i++)
        found = found || x[i] == 0;
    return found;
}

const char *vj_pack_in_blocks(const vj_func *f, vj_arena *arena, vj_weight *w) {
    vj_block_parts parts;
    if (!vj_find_blocks(f, w->source, &parts)) return "its weight is not in parts of its dims";
    if (w->k > VJ_BLOCKS_DEPTH || w->k < VJ_LEAST_BLOCK) return "its depth is below 16 or above 8192";
    search s = {.w = w, .row = VJ_NEW_ARRAY(arena, int64_t, w->k), .fits = true};
    for (int64_t k = 0; k < w->k; k++)
        s.row[k] = vj_subaxes_at(k, w->k_rank, w->k_extent, w->k_stride);
    look_at(&s, f, &parts, false);
    if (!s.fits) return "a scale of its weight is infinite, or hardly above 0";
    if (parts.zeros >= 0) look_at(&s, f, &parts, true);
    if (!s.fits) return "a zero point of its weight is no number of as many bits";
    const int64_t found = s.block ? s.block : vj_round_up(w->k, w->block ? w->block : 2);
    if (w->block && found % w->block != 0) return "its weight has other blocks";
    const int64_t block = w->block ? w->block : found;
    if (block < VJ_LEAST_BLOCK || block % 2 != 0)
        return "fewer than 16 elements of its weight share a scale, or an odd number";
    if (parts.table >= 0 && w->k % block != 0 && !has_a_zero(f, parts.table))
        return "its depth is no multiple of its blocks, and its table has no 0";
    w->kind = VJ_PACK_BLOCKS;
    w->bits = parts.bits;
    w->least = parts.least;
    w->block = block;
    w->table = parts.table >= 0;
    return NULL;
}

/* A part whole, or NULL. */
static const float *part_of(const vj_func *f, vj_value v, vj_arena *scratch, int64_t *count) {
    vj_error ignored = {0};
    if (vj_op_of(f, v) == VJ_OP_broadcast) v = vj_operand(f, v, 0); /* the same numbers */
    if (!vj_type_elements(f, vj_type_at(f, v), count) || *count > VJ_BLOCKS_ELEMENTS) return NULL;
    float *part = VJ_NEW_ARRAY(scratch, float, *count);
    return vj_weight_read(vj_weight_reader_new(scratch, f), v, 0, *count, part, &ignored) ? part : NULL;
}

/* Numbers less zero points of 8 bits. */
static bool differences_fit(const vj_func *f, const vj_block_parts *parts) {
    enum { PART = 4096 };
    float number[PART], zero[PART];
    int64_t count = 0;
    vj_error ignored = {0};
    bool fits = vj_type_elements(f, vj_type_at(f, parts->numbers), &count);
    vj_arena *scratch = vj_arena_scratch(f->arena);
    vj_weight_reader *numbers = vj_weight_reader_new(scratch, f), *zeros = vj_weight_reader_new(scratch, f);
    for (int64_t at = 0; at < count && fits; at += PART) {
        const int64_t some = vj_min64(PART, count - at);
        fits = vj_weight_read(numbers, parts->numbers, at, some, number, &ignored) &&
               vj_weight_read(zeros, parts->zeros, at, some, zero, &ignored);
        for (int64_t i = 0; i < some && fits; i++)
            fits = number[i] - zero[i] >= INT8_MIN && number[i] - zero[i] <= INT8_MAX;
    }
    vj_arena_free(scratch);
    return fits;
}

static bool all_are(const float *part, int64_t count, int32_t number) {
    for (int64_t i = 0; i < count; i++)
        if (part[i] != (float)number) return false;
    return true;
}

const char *vj_why_no_bytes(const vj_func *f, vj_value weight) {
    vj_block_parts parts;
    int64_t scale_count = 0, zero_count = 0;
    while (vj_op_of(f, weight) != VJ_OP_mul && vj_producer(f, weight)->arg_count == 1)
        weight = vj_operand(f, weight, 0);
    if (!vj_find_blocks(f, weight, &parts)) return "its weight is not in three parts";
    if (parts.table >= 0) return "its weight's numbers are places in a table";
    vj_arena *scratch = vj_arena_scratch(f->arena);
    const float *scales = part_of(f, parts.scales, scratch, &scale_count);
    const float *zeros = part_of(f, parts.zeros, scratch, &zero_count);
    const int32_t most = parts.least + (parts.bits == 4 ? 15 : 255);
    const char *why = NULL;
    if (!scales || !are_scales(scales, scale_count))
        why = "a scale of its weight is infinite, or hardly above 0";
    else if (!zeros || !are_zeros(zeros, zero_count, parts.least, most))
        why = "a zero point of its weight is no number of as many bits";
    else if (parts.bits == 8 && !all_are(zeros, zero_count, parts.least - INT8_MIN) && !differences_fit(f, &parts))
        why = "its numbers less their zero points are no bytes";
    vj_arena_free(scratch);
    return why;
}
