/* SPDX-License-Identifier: Apache-2.0 */
/* run.c - lowers and runs functions. The arena is filled with NaN, so that reading what was never written shows. */
#include "run.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

bool choose_bf16(vj_arena *arena, vj_func *f, vj_error *error) {
    const vj_pipeline_options options = {.pass_limit = -1, .precision = VJ_BF16};
    vj_report report = {.arena = arena};
    vj_pass_context c = {
        .arena = arena, .f = f, .options = &options, .report = &report, .error = error, .rewrites_left = -1};
    return vj_run_pass(vj_pass_by_name("precision"), &c) == VJ_OK && vj_verify(f, error);
}

vj_program *lower_function(vj_arena *arena, vj_func *f, vj_error *error) {
    static const char *const names[] = {"lower", "turn", "layout", "partition", "plan"};
    const vj_pipeline_options options = {.target = vj_target_by_name("x86-64-v3"), .pass_limit = -1};
    vj_report report = {.arena = arena};
    vj_pass_context c = {
        .arena = arena, .f = f, .options = &options, .report = &report, .error = error, .rewrites_left = -1};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (vj_run_pass(vj_pass_by_name(names[i]), &c) != VJ_OK || !vj_verify_program(c.p, error)) return NULL;
    return c.p;
}

static double seeded(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 33) / (double)(1u << 31) * 2 - 1;
}

static vj_tensor **inputs_of(vj_arena *arena, const vj_func *f, vj_error *error) {
    vj_tensor **inputs = VJ_NEW_ARRAY(arena, vj_tensor *, f->input_count + 1);
    uint64_t state = 7;
    for (int32_t i = 0; i < f->input_count; i++) {
        vj_type type = *vj_type_at(f, f->inputs[i]);
        for (int32_t d = 0; d < type.rank; d++)
            type.dims[d].sym = VJ_SYM_NONE;
        inputs[i] = vj_tensor_new(arena, &type, error);
        if (!inputs[i]) return NULL;
        for (int64_t e = 0; e < inputs[i]->count; e++) {
            const double x = seeded(&state);
            if (inputs[i]->f)
                inputs[i]->f[e] = x;
            else
                inputs[i]->i[e] = type.dtype == VJ_BOOL ? x > 0
                                  : type.dtype == VJ_U8 ? (int64_t)(4 + 4 * x)
                                                        : (int64_t)(6 * x);
        }
    }
    return inputs;
}

/* The offset in its source of element (k, n) of a weight, by the subaxes of k and n. */
static int64_t source_element(int64_t index, int32_t rank, const int64_t *extent, const int64_t *stride) {
    int64_t at = 0;
    for (int32_t d = rank - 1; d >= 0; d--) {
        at += index % extent[d] * stride[d];
        index /= extent[d];
    }
    return at;
}

static bool read_weight(vj_arena *arena, const vj_program *p, vj_weight_reader *reader, vj_value v, int64_t count,
                        double *to, vj_error *error) {
    const vj_dtype dtype = vj_type_at(p->f, v)->dtype;
    if (dtype == VJ_F32 || dtype == VJ_F16 || dtype == VJ_BF16) {
        float *read = VJ_NEW_ARRAY(arena, float, count);
        if (!vj_weight_read(reader, v, 0, count, read, error)) return false;
        for (int64_t i = 0; i < count; i++)
            to[i] = (double)read[i];
        return true;
    }
    int64_t *read = VJ_NEW_ARRAY(arena, int64_t, count);
    if (!vj_const_read_i64(p->f, v, 0, count, read, error)) return false;
    for (int64_t i = 0; i < count; i++)
        to[i] = (double)read[i];
    return true;
}

static void put_float(float x, double *to) {
    uint8_t bytes[sizeof x];
    memcpy(bytes, &x, sizeof x);
    for (int32_t i = 0; i < (int32_t)sizeof x; i++)
        to[i] = bytes[i];
}

/* The place of x in the table, by its sign too. */
static int32_t place_in(const double *table, double x) {
    int32_t place = 0;
    while (place < VJ_BLOCK_TABLE - 1 && (table[place] != x || signbit(table[place]) != signbit(x)))
        place++;
    return place;
}

/* The bytes of blocks, as doubles. */
static bool pack_blocks(vj_arena *arena, const vj_program *p, vj_weight_reader *reader, const vj_weight *w, double *to,
                        vj_error *error) {
    const vj_blocks blocks = vj_blocks_of(w);
    vj_block_parts parts;
    int64_t count;
    if (!vj_find_blocks(p->f, w->source, &parts) || !vj_type_elements(p->f, vj_type_at(p->f, w->source), &count))
        return false;
    const vj_value values[3] = {parts.numbers, w->table ? parts.numbers : parts.zeros, parts.scales};
    double *part[3], table[VJ_BLOCK_TABLE] = {0};
    if (w->table && !read_weight(arena, p, reader, parts.table, vj_type_at(p->f, parts.table)->dims[0].c, table, error))
        return false;
    for (int32_t i = 0; i < 3; i++) {
        part[i] = VJ_NEW_ARRAY(arena, double, count);
        if (!read_weight(arena, p, reader, values[i], count, part[i], error)) return false;
    }
    for (int64_t k = 0; k < w->k; k++)
        for (int64_t n = 0; n < w->n; n++) {
            const int64_t from = w->source_offset + source_element(k, w->k_rank, w->k_extent, w->k_stride) +
                                 source_element(n, w->n_rank, w->n_extent, w->n_stride);
            double *panel = to + n / VJ_PANEL * vj_blocks_panel(&blocks);
            put_float((float)part[2][from], panel + vj_blocks_scale(k / w->block, n % VJ_PANEL));
            for (int32_t i = 0; w->table && i < VJ_BLOCK_TABLE; i++)
                put_float((float)table[i], panel + vj_blocks_table(&blocks) + 4 * (ptrdiff_t)i);
            if (!w->table) panel[vj_blocks_zero(&blocks, k / w->block, n % VJ_PANEL)] = part[1][from] - w->least;
            const double q = w->table ? place_in(table, part[0][from]) : part[0][from] - w->least;
            panel[vj_blocks_number(&blocks, k, n % VJ_PANEL)] += q * (w->bits == 4 && k % 2 ? 16 : 1);
        }
    return true;
}

static bool pack(vj_arena *arena, const vj_program *p, vj_weight_reader *reader, const vj_buffer *b, double *to,
                 vj_error *error) {
    const vj_weight *w = &p->weights[b->index];
    int64_t count;
    if (w->kind == VJ_PACK_BLOCKS) return pack_blocks(arena, p, reader, w, to, error);
    if (!vj_type_elements(p->f, vj_type_at(p->f, w->source), &count)) return false;
    double *source = VJ_NEW_ARRAY(arena, double, count);
    if (!read_weight(arena, p, reader, w->source, count, source, error)) return false;
    for (int64_t k = 0; k < w->k; k++)
        for (int64_t n = 0; n < w->n; n++) {
            const int64_t from = w->source_offset + source_element(k, w->k_rank, w->k_extent, w->k_stride) +
                                 source_element(n, w->n_rank, w->n_extent, w->n_stride);
            to[w->kind == VJ_PACK_DENSE ? n : vj_panel_at(b->dtype, w->k, k, n)] = source[from];
        }
    return true;
}

/* Every element is a double here, while planned offsets count bytes: the buffers of each size of elements have an arena of
 * their own. */
static double **buffers_of(vj_arena *arena, const vj_program *p, vj_tensor *const *inputs, vj_error *error) {
    double **buffers = VJ_NEW_ARRAY(arena, double *, p->buffer_count + 1), *scratch[9] = {NULL};
    vj_weight_reader *reader = vj_weight_reader_new(arena, p->f);
    for (int32_t size = 1; size <= 8; size *= 2) {
        const int64_t room = p->per_image_bytes / size + 1;
        scratch[size] = VJ_NEW_ARRAY(arena, double, room);
        for (int64_t i = 0; i < room; i++)
            scratch[size][i] = NAN;
    }
    for (int32_t i = 0; i < p->buffer_count; i++) {
        const vj_buffer *b = &p->buffers[i];
        if (b->kind == VJ_BUFFER_ARENA) {
            buffers[i] = scratch[vj_element_bytes(b->dtype)] + b->offset / vj_element_bytes(b->dtype);
            continue;
        }
        buffers[i] = VJ_NEW_ARRAY(arena, double, b->elements);
        for (int64_t e = 0; e < b->elements; e++)
            buffers[i][e] = b->kind == VJ_BUFFER_WEIGHT ? 0 : NAN;
        if (b->kind == VJ_BUFFER_WEIGHT && !pack(arena, p, reader, b, buffers[i], error)) return NULL;
        for (int64_t e = 0; b->kind == VJ_BUFFER_INPUT && e < b->elements; e++)
            buffers[i][e] = inputs[b->index]->f ? inputs[b->index]->f[e] : (double)inputs[b->index]->i[e];
    }
    return buffers;
}

double difference(vj_arena *arena, const vj_program *p, vj_error *error) {
    const vj_func *f = p->f;
    vj_tensor **inputs = inputs_of(arena, f, error);
    vj_tensor **outputs = VJ_NEW_ARRAY(arena, vj_tensor *, f->output_count + 1);
    double **buffers = inputs ? buffers_of(arena, p, inputs, error) : NULL;
    if (!buffers || !vj_eval(arena, f, 1, inputs, outputs, false, error)) return -1;
    for (int32_t i = 0; i < p->kernel_count; i++)
        if (!vj_eval_kernel(p, p->kernels[i], buffers, error)) return -1;
    double largest = 1, most = 0;
    for (int32_t i = 0; i < p->buffer_count; i++) {
        if (p->buffers[i].kind != VJ_BUFFER_OUTPUT) continue;
        const vj_tensor *right = outputs[p->buffers[i].index];
        for (int64_t e = 0; e < right->count; e++) {
            const double x = right->f ? right->f[e] : (double)right->i[e], d = fabs(x - buffers[i][e]);
            if (fabs(x) > largest) largest = fabs(x);
            if (!(d <= most)) most = d;
        }
    }
    return most / largest;
}

vj_program *check_text(vj_arena *arena, const char *text) {
    vj_error error = {0};
    vj_func *f = vj_parse(arena, text, ".", &(const char *){NULL}, &error);
    vj_program *p = f ? lower_function(arena, f, &error) : NULL;
    const double apart = p ? difference(arena, p, &error) : -1;
    if (apart >= 0 && apart <= 1e-12) return p;
    fprintf(stderr, "%s\n%s\n", text, error.text);
    if (p) vj_print_program(p, stderr);
    fprintf(stderr, "difference %g\n", apart);
    fail();
    return NULL;
}
