/* kernelcheck.c - runs a kernel and compares it with the evaluator.
 *
 * The bound of a result's error is that of a sum of products: k terms added one after another in any order have an
 * error of at most (k + 1) * eps * sum |a||b| (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1),
 * times the epilogue's slope. The evaluator computes sum |a||b| from absolute values. BFDOT rounds to odd, which may be off by
 * twice as much, but adds two terms at a time: a term takes part in half as many additions.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "kernelcheck.h"
#include "vitjit_half.h"

case_types use_types = {.plain = VJ_F32, .packed = VJ_F32};

kernel_case case_new(const char *name, vj_kernel_kind kind, uint64_t seed) {
    kernel_case c = {
        .name = name, .types = use_types, .arena = vj_arena_new(), .random = {seed}, .stretch = 1, .own = 4 * EPS};
    if (use_types.plain == VJ_U8 && !use_types.bits) c.own = 2 * EPS; /* of sums of 23 bits that is less than one */
    c.p = vj_program_new(c.arena, NULL);
    c.k = vj_add_kernel(c.p, kind, "case");
    return c;
}

int32_t case_buffer(kernel_case *c, int64_t elements) {
    const int32_t b = vj_add_buffer(c->p, VJ_BUFFER_ARENA, VJ_F32, elements, NULL);
    c->values[b] = VJ_NEW_ARRAY(c->arena, float, elements);
    for (int64_t i = 0; i < elements; i++)
        c->values[b][i] = NAN;
    return b;
}

int32_t case_operand(kernel_case *c, int64_t elements) {
    const int32_t b = case_buffer(c, elements);
    c->p->buffers[b].dtype = c->types.plain;
    return b;
}

void case_fill(kernel_case *c, int32_t buffer, int64_t rows, int64_t length, int64_t pitch, float low, float high) {
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < length; i++)
            c->values[buffer][r * pitch + i] = rng_float(&c->random, low, high);
}

/* Gives a weight the source that the verifier demands. The panels are filled here, not from it. */
static vj_value source_of(kernel_case *c, int64_t depth, int64_t columns) {
    vj_func *f = vj_func_new(c->arena, "weights");
    const vj_type type = vj_type_of(VJ_F32, 2, (const int64_t[]){depth, columns});
    c->p->f = f;
    return vj_add_const(f, "w", &type, &(vj_const){.kind = VJ_CONST_SPLAT});
}

static int32_t weight_buffer(kernel_case *c, int64_t elements, vj_weight weight) {
    const int32_t b = case_buffer(c, elements);
    c->p->buffers[b].dtype = c->types.packed;
    c->p->buffers[b].kind = VJ_BUFFER_WEIGHT;
    c->p->buffers[b].index = c->p->weight_count;
    weight.k_rank = weight.n_rank = 1;
    weight.k_extent[0] = weight.k;
    weight.k_stride[0] = weight.n;
    weight.n_extent[0] = weight.n;
    weight.n_stride[0] = 1;
    weight.source = source_of(c, weight.k, weight.n);
    *VJ_PUSH(c->p->arena, c->p->weights, c->p->weight_count, c->p->weight_capacity) = weight;
    return b;
}

/* The numbers of a column, and zero points and scales; what pads the depth is 0. */
static void fill_column(kernel_case *c, const vj_blocks *blocks, int64_t n, uint8_t *panel) {
    const float most = blocks->bits == 4 ? 15 : 255;
    for (int64_t g = 0; g < vj_blocks_count(blocks); g++) {
        const float scale = rng_float(&c->random, -1, 1) / (blocks->table ? 1 : most);
        memcpy(panel + vj_blocks_scale(g, n), &scale, sizeof scale);
        const bool of_bytes = c->types.plain == VJ_U8 && blocks->bits == 8; /* differences are bytes then */
        if (!blocks->table)
            panel[vj_blocks_zero(blocks, g, n)] = of_bytes ? 128 : (uint8_t)rng_float(&c->random, 0, most);
    }
    for (int64_t k = 0; k < vj_round_up(blocks->depth, blocks->block); k++) {
        const uint8_t zero = blocks->table ? 7 : panel[vj_blocks_zero(blocks, k / blocks->block, n)];
        const uint8_t q = k < blocks->depth ? (uint8_t)rng_float(&c->random, 0, most + 0.99F) : zero;
        uint8_t *to = &panel[vj_blocks_number(blocks, k, n)];
        *to = (uint8_t)(blocks->bits == 8 ? q : *to | q << (k % 2 * 4));
    }
}

/* Random numbers of the case's bits, zero points or a table of them, whose eighth is 0, and scales. */
static int32_t case_blocks(kernel_case *c, int64_t depth, int64_t columns) {
    const vj_blocks blocks = {.bits = c->types.bits,
                              .block = c->types.block ? c->types.block : vj_max64(16, vj_round_up(depth, 2)),
                              .depth = depth,
                              .table = c->types.table};
    int64_t bytes = 0;
    assert_true(vj_blocks_bytes(&blocks, columns, &bytes));
    const int32_t b = weight_buffer(c, bytes,
                                    (vj_weight){.kind = VJ_PACK_BLOCKS,
                                                .k = depth,
                                                .n = columns,
                                                .bits = blocks.bits,
                                                .block = blocks.block,
                                                .table = blocks.table});
    uint8_t *at = vj_alloc(c->arena, (size_t)bytes);
    float table[VJ_BLOCK_TABLE];
    memset(at, 0, (size_t)bytes);
    for (int32_t i = 0; i < VJ_BLOCK_TABLE; i++)
        table[i] = i == 7 ? 0 : rng_float(&c->random, -1, 1);
    for (int64_t n = 0; n < columns; n++) {
        uint8_t *panel = at + n / VJ_PANEL * vj_blocks_panel(&blocks);
        if (blocks.table) memcpy(panel + vj_blocks_table(&blocks), table, sizeof table);
        fill_column(c, &blocks, n % VJ_PANEL, panel);
    }
    for (int64_t i = 0; i < bytes; i++)
        c->values[b][i] = (float)at[i];
    return b;
}

int32_t case_panels(kernel_case *c, int64_t depth, int64_t columns) {
    const vj_dtype dtype = c->types.packed;
    int64_t elements = 0;
    if (c->types.bits) return case_blocks(c, depth, columns);
    assert_true(vj_panel_elements(dtype, depth, columns, &elements));
    const int32_t b = weight_buffer(c, elements, (vj_weight){.kind = VJ_PACK_PANELS, .k = depth, .n = columns});
    memset(c->values[b], 0, (size_t)elements * sizeof *c->values[b]);
    for (int64_t n = 0; n < columns; n++)
        for (int64_t k = 0; k < depth; k++)
            c->values[b][vj_panel_at(dtype, depth, k, n)] = rng_float(&c->random, -1, 1);
    return b;
}

static bool is_half(vj_dtype dtype) { return dtype == VJ_F16 || dtype == VJ_BF16; }

static bool is_narrow_integer(vj_dtype dtype) { return dtype == VJ_U8 || dtype == VJ_I8; }

/* An integer from a number in [-1, 1]: 0 stays 0 where there are negative ones. What may not be read is no small number. */
static float integer_of(vj_dtype dtype, float x) {
    if (isnan(x)) return dtype == VJ_U8 ? 165 : -91;
    const double least = dtype == VJ_U8 ? 0 : -128, y = floor(((double)x + (dtype == VJ_U8)) * 128);
    return (float)fmin(fmax(y, least), least + 255);
}

static void put(vj_dtype dtype, float x, void *memory, int64_t i) {
    if (dtype == VJ_F32)
        ((float *)memory)[i] = x;
    else if (dtype == VJ_I32)
        ((int32_t *)memory)[i] = isnan(x) ? INT32_MIN : (int32_t)x;
    else if (is_narrow_integer(dtype))
        ((uint8_t *)memory)[i] = (uint8_t)(int32_t)x;
    else
        ((uint16_t *)memory)[i] = dtype == VJ_F16 ? vj_f16_of_f32(x) : vj_bf16_of_f32(x);
}

/* Memory of a buffer's type from floats, and back. */
static void to_memory(vj_dtype dtype, const float *values, int64_t count, void *memory) {
    for (int64_t i = 0; i < count; i++)
        put(dtype, values[i], memory, i);
}

static double in_memory(vj_dtype dtype, const void *memory, int64_t i) {
    switch (dtype) {
    case VJ_I32:
        return ((const int32_t *)memory)[i];
    case VJ_U8:
        return ((const uint8_t *)memory)[i];
    case VJ_I8:
        return ((const int8_t *)memory)[i];
    case VJ_F16:
        return (double)vj_f32_of_f16(((const uint16_t *)memory)[i]);
    case VJ_BF16:
        return (double)vj_f32_of_bf16(((const uint16_t *)memory)[i]);
    default:
        return (double)((const float *)memory)[i];
    }
}

static void round_values(const kernel_case *c) {
    for (int32_t b = 0; b < c->p->buffer_count; b++) {
        const vj_buffer *buffer = &c->p->buffers[b];
        for (int64_t i = 0; i < buffer->elements; i++) {
            float narrow, *x = &c->values[b][i];
            vj_blocks blocks;
            if (vj_has_blocks(c->p, b, &blocks)) continue;
            if (is_narrow_integer(buffer->dtype)) *x = integer_of(buffer->dtype, *x);
            if (!is_half(buffer->dtype)) continue;
            put(buffer->dtype, *x, &narrow, 0);
            *x = (float)in_memory(buffer->dtype, &narrow, 0);
        }
    }
}

/* Blocks as panels of the magnitudes of their elements, for the evaluator. */
static double *magnitudes_of(const kernel_case *c, int32_t b, const vj_blocks *blocks) {
    const vj_weight *w = &c->p->weights[c->p->buffers[b].index];
    const vj_dtype to = vj_operand_dtype(c->p, c->k, c->k->b);
    const int64_t depth = vj_group_extent(c->k, VJ_GROUP_DEPTH);
    int64_t elements = 0;
    assert_true(vj_panel_elements(VJ_F32, depth, w->n, &elements));
    double *values = VJ_NEW_ARRAY(c->arena, double, elements),
           *bytes = VJ_NEW_ARRAY(c->arena, double, c->p->buffers[b].elements);
    for (int64_t i = 0; i < c->p->buffers[b].elements; i++)
        bytes[i] = (double)c->values[b][i];
    for (int64_t k = 0; k < w->k; k++)
        for (int64_t n = 0; n < w->n; n++)
            values[vj_panel_at(VJ_F32, depth, k, n)] = fabs(vj_blocks_value(blocks, bytes, to, k, n));
    return values;
}

/* Runs the evaluator on all buffers. With `magnitude`, it takes absolute values and the result is the bare sum. */
static double **evaluate_leaning(const kernel_case *c, bool magnitude, double lean) {
    vj_program *p = c->p;
    double **buffers = VJ_NEW_ARRAY(c->arena, double *, p->buffer_count);
    for (int32_t b = 0; b < p->buffer_count; b++) {
        buffers[b] = VJ_NEW_ARRAY(c->arena, double, p->buffers[b].elements);
        for (int64_t i = 0; i < p->buffers[b].elements; i++)
            buffers[b][i] = magnitude ? fabs((double)c->values[b][i]) : (double)c->values[b][i];
    }
    vj_kernel k = *c->k;
    if (magnitude) {
        const int32_t acc = vj_x(c->arena, &k, VJ_X_ACC, VJ_F32, 0, 0, 0);
        for (int32_t i = 0; i < k.out_count; i++)
            k.out[i].expr = acc;
        for (int32_t i = 0; i < k.access_count; i++)
            k.access[i].otherwise = fabs(k.access[i].otherwise);
    }
    const bool by_blocks = k.kind == VJ_KERNEL_GEMM && k.s >= 0;
    const int32_t of_a = by_blocks ? k.access[k.a].buffer : 0;
    for (int64_t i = 0; magnitude && by_blocks && i < p->buffers[of_a].elements; i++) /* 128 stands for 0 */
        buffers[of_a][i] = VJ_ZERO_OF_BLOCK + fabs(buffers[of_a][i] - VJ_ZERO_OF_BLOCK);
    vj_blocks blocks;
    const int32_t of_b = k.kind == VJ_KERNEL_GEMM ? k.access[k.b].buffer : -1;
    const bool as_panels = magnitude && of_b >= 0 && vj_has_blocks(p, of_b, &blocks);
    vj_buffer *buffer = &p->buffers[as_panels ? of_b : 0];
    if (as_panels) {
        buffers[of_b] = magnitudes_of(c, of_b, &blocks);
        p->weights[buffer->index].kind = VJ_PACK_PANELS;
        buffer->dtype = VJ_F32;
    }
    vj_error error = {0};
    if (!vj_eval_kernel_leaning(p, &k, buffers, lean, &error)) fail_msg("%s: %s", c->name, error.text);
    if (as_panels) {
        p->weights[buffer->index].kind = VJ_PACK_BLOCKS;
        buffer->dtype = VJ_U8;
    }
    return buffers;
}

static double **evaluate(const kernel_case *c, bool magnitude) { return evaluate_leaning(c, magnitude, 0); }

static bool is_out(const vj_kernel *k, int32_t buffer) {
    for (int32_t i = 0; i < k->out_count; i++)
        if (k->access[k->out[i].access].buffer == buffer) return true;
    return false;
}

/* The relative error of the weights of a softmax, which depends on the largest score's magnitude. */
static double attention_bound(const kernel_case *c) {
    const vj_kernel *k = c->k;
    const double d = (double)vj_group_extent(k, VJ_GROUP_DIM), j = (double)vj_group_extent(k, VJ_GROUP_KEYS);
    double q = 0, keys = 0, others = 0, v = 0;
    for (int32_t b = 0; b < c->p->buffer_count; b++) {
        if (is_out(k, b)) continue;
        double largest = 0;
        for (int64_t i = 0; i < c->p->buffers[b].elements; i++)
            if (isfinite(c->values[b][i])) largest = fmax(largest, fabs((double)c->values[b][i]));
        if (b == k->access[k->q].buffer) {
            q = largest;
        } else if (b == k->access[k->k].buffer) {
            keys = largest;
        } else if (b == k->access[k->v].buffer) {
            v = largest;
        } else {
            others += largest;
        }
    }
    /* scores: |s| <= c * d * |q||k| + |bias|, each with (d + 3) roundings; exp: the difference of two of them, three
     * roundings more of up to twice |s|, and 4 ulp of its own; two sums of J terms; a quotient and a product */
    const double score = c->stretch * d * q * keys + others;
    const double weight = 2 * (d + 3) * EPS * score + 3 * 2 * score * EPS + 8 * EPS;
    /* halves: weights are rounded to them, by half a unit in the last of 8 digits */
    const double narrow = c->types.plain == VJ_F32 ? 0 : 0x1p-8;
    if (k->weight_expr >= 0) return 0; /* they are rounded, and sums of whole numbers are exact */
    return v * (2 * weight + (2 * j + 8) * EPS + narrow);
}

/* What an element may be where numbers beside a tie are rounded to either side: *expected, and what is between those that lean. */
typedef struct answers {
    double **expected, **less, **more; /* less, more: NULL where nothing is */
    double **magnitude;
} answers;

static answers answers_of(const kernel_case *c) {
    /* Sums of integers are exact. */
    const bool of_integers = c->types.plain == VJ_U8 && !c->types.bits;
    const bool summed = c->k->kind == VJ_KERNEL_GEMM && !of_integers;
    answers a = {.expected = evaluate(c, false), .magnitude = summed ? evaluate(c, true) : NULL};
    if (c->lean == 0) return a;
    a.less = evaluate_leaning(c, false, -c->lean);
    a.more = evaluate_leaning(c, false, c->lean);
    return a;
}

static double off(const answers *a, int32_t b, int64_t i, double is) {
    const double want = a->expected[b][i];
    if (!a->less || isnan(want)) return fabs(is - want);
    const double low = fmin(want, fmin(a->less[b][i], a->more[b][i]));
    const double high = fmax(want, fmax(a->less[b][i], a->more[b][i]));
    return isnan(is) ? NAN : is < low ? low - is : is > high ? is - high : 0;
}

static void compare(const kernel_case *c, const vj_target *target, const char *how, void *const *got,
                    const answers *a) {
    const vj_kernel *k = c->k;
    const bool of_integers = c->types.plain == VJ_U8 && !c->types.bits, is_gemm = k->kind == VJ_KERNEL_GEMM;
    /* Sums of bytes by blocks are exact within a block. */
    const int64_t added = is_gemm ? vj_group_extent(k, VJ_GROUP_DEPTH) : 0;
    const bool by_blocks = is_gemm && k->s >= 0;
    const int64_t exact = by_blocks ? k->extent[k->rank - 1] : 1;
    const double terms = is_gemm && !of_integers ? (double)(added / exact) + 2 : 0;
    const double uniform = k->kind == VJ_KERNEL_ATTENTION ? attention_bound(c) : 0;
    for (int32_t b = 0; b < c->p->buffer_count; b++) {
        const vj_dtype dtype = c->p->buffers[b].dtype;
        const float *was = c->values[b];
        /* One that lies between two halves may be rounded to either. */
        const double own = is_half(dtype) ? c->own + 0x1p-7 : dtype == VJ_F32 ? c->own : 0;
        for (int64_t i = 0; i < c->p->buffers[b].elements; i++) {
            /* The evaluator starts from the same bytes, as elements that no result writes must keep them. */
            const double want = a->expected[b][i];
            const double is = in_memory(dtype, got[b], i);
            if (isnan(want) ? isnan(is) || dtype == VJ_I32
                            : (float)is == (float)want && (dtype != VJ_I32 || is == want))
                continue;
            if (!is_out(k, b))
                fail_msg("%s (%s, %s): operand %d changed at %lld", c->name, target->name, how, b, (long long)i);
            const double sum = a->magnitude ? a->magnitude[b][i] : of_integers ? 1 : 0;
            const double underflow = (2 * terms + 2) * 0x1p-150; /* a product or sum below the normal range */
            const double bound = c->stretch * terms * EPS * sum + uniform + own * (fabs(want) + sum) + underflow;
            if (!(off(a, b, i, is) <= bound))
                fail_msg("%s (%s, %s): buffer %d element %lld is %.9g, not %.9g (bound %.3g, was %.9g)", c->name,
                         target->name, how, b, (long long)i, is, want, bound, (double)was[i]);
        }
    }
}

static size_t bytes_of(const vj_buffer *buffer) { return (size_t)(buffer->elements * vj_element_bytes(buffer->dtype)); }

/* Leaves the results' bytes in first. */
static void check_target(const kernel_case *c, const vj_target *target, const answers *a, void *first[16]) {
    vj_program *p = c->p;
    vj_schedule_kernel(c->arena, target, p, c->k);
    code *generated = code_make(target, p, c->k);
    for (int at_end = 0; at_end < 2; at_end++) {
        guarded buffers[16];
        void *at[16];
        for (int32_t b = 0; b < p->buffer_count; b++) {
            buffers[b] = guarded_new(bytes_of(&p->buffers[b]), at_end);
            at[b] = buffers[b].at;
            to_memory(p->buffers[b].dtype, c->values[b], p->buffers[b].elements, at[b]);
        }
        if (at_end) {
            code_run(generated, at, 0, c->k->units);
        } else {
            /* Units are run one at a time, the last one first, as each is independent. */
            for (int64_t unit = c->k->units - 1; unit >= 0; unit--)
                code_run(generated, at, unit, unit + 1);
        }
        compare(c, target, at_end ? "guard behind" : "guard before", at, a);
        for (int32_t b = 0; b < p->buffer_count; b++) {
            const size_t bytes = bytes_of(&p->buffers[b]);
            if (at_end == 0) {
                first[b] = memcpy(vj_alloc(c->arena, bytes), at[b], bytes);
            } else if (memcmp(first[b], at[b], bytes) != 0) {
                fail_msg("%s (%s): bits depend on the split", c->name, target->name);
            }
            guarded_free(&buffers[b]);
        }
    }
    code_free(generated);
}

static const char *wanted = ""; /* a part of the names of the cases that are checked */
/* Code for CPUs that this is not is made for every so-manieth case, or for all. */
enum { ELSEWHERE = 3 };
static bool everywhere;
static int checked;

static void compare_twins(const kernel_case *c, const char *what, void **by_instruction, void **by_twin) {
    for (int32_t b = 0; by_instruction[b]; b++)
        if (memcmp(by_instruction[b], by_twin[b], bytes_of(&c->p->buffers[b])) != 0)
            fail_msg("%s: the twin of %s has other bits", c->name, what);
}

/* Dot products by plain code, on every CPU: the same bits as by the instruction, where that is. */
static void check_twin(const kernel_case *c, vj_dot dot, vj_dot twin, const answers *a) {
    vj_target target = *vj_target_host();
    void *by_instruction[16] = {0}, *by_twin[16] = {0};
    target.tiles = VJ_TILES_NONE;
    if (target.dot == dot) check_target(c, &target, a, by_instruction);
    target.dot = twin;
    target.name = "twin";
    check_target(c, &target, a, by_twin);
    compare_twins(c, "dot products", by_instruction, by_twin);
}

/* Tiles likewise. */
static void check_twin_of_tiles(const kernel_case *c, const answers *a) {
    vj_target target = *vj_target_host();
    void *by_instruction[16] = {0}, *by_twin[16] = {0};
    if (target.tiles == VJ_TILES_AMX) check_target(c, &target, a, by_instruction);
    target.dot = VJ_DOT_NONE;
    target.tiles = VJ_TILES_TWIN;
    target.name = "twin of tiles";
    check_target(c, &target, a, by_twin);
    compare_twins(c, "tiles", by_instruction, by_twin);
}

/* Bytes by blocks in all forms that this CPU has, the simpler ones being those of others: the same bits. */
static void check_forms(const kernel_case *c, const answers *a) {
    static const vj_dot8 simpler[] = {VJ_DOT8_BYTES, VJ_DOT8_PAIRS, VJ_DOT8_PLAIN};
    vj_target target = *vj_target_host();
    const vj_dot8 own = target.dot8;
    void *by_own[16] = {0};
    check_target(c, &target, a, by_own);
    for (size_t i = 0; i < sizeof simpler / sizeof *simpler; i++) {
        void *others[16] = {0};
        if (simpler[i] >= own || (own == VJ_DOT8_USDOT && simpler[i] != VJ_DOT8_PLAIN)) continue;
        target.dot8 = simpler[i];
        target.name = "other form";
        check_target(c, &target, a, others);
        compare_twins(c, "products of bytes", by_own, others);
    }
}

/* Groups of k must lie within the last axis of the depth. */
static bool straddles(const kernel_case *c) {
    const int64_t last = c->k->extent[c->k->rank - 1];
    const vj_dtype dtype = c->types.bits ? c->types.plain : c->types.packed;
    if (dtype == VJ_U8) return false;
    return c->k->kind == VJ_KERNEL_GEMM && last % vj_panel_group(dtype) != 0 &&
           last != vj_group_extent(c->k, VJ_GROUP_DEPTH);
}

void case_check(kernel_case *c) {
    vj_error error = {0};
    const bool is_plain = c->types.plain == VJ_U8 && !vj_is_packed(c->p, c->k->access[c->k->b].buffer);
    if (!strstr(c->name, wanted) || straddles(c) || is_plain) {
        vj_arena_free(c->arena);
        return;
    }
    checked++;
    round_values(c);
    if (!vj_verify_program(c->p, &error)) fail_msg("%s: %s", c->name, error.text);
    const answers all = answers_of(c), *a = &all;
    for (int32_t i = 0; i < vj_target_count(); i++) {
        const vj_target *target = vj_target_at(i);
        if (vj_target_runs_here(target)) {
            void *first[16];
            check_target(c, target, a, first);
        } else if (everywhere || checked % ELSEWHERE == 0) {
            vj_schedule_kernel(c->arena, target, c->p, c->k);
            code_check(target, c->p, c->k);
        }
    }
    if (c->types.plain == VJ_U8 && c->types.bits) check_forms(c, a);
    if (c->types.plain == VJ_BF16 && (c->types.packed == VJ_BF16 || c->types.bits)) {
        check_twin(c, VJ_DOT_AVX512, VJ_DOT_AVX512_TWIN, a);
        check_twin(c, VJ_DOT_BFDOT, VJ_DOT_BFDOT_TWIN, a);
        check_twin_of_tiles(c, a);
    }
    if (c->types.plain == VJ_U8) check_twin_of_tiles(c, a);
    vj_arena_free(c->arena);
}

/* test_kernels [--all] [NAME]: only the cases whose name has it; with code for all CPUs each */
int main(int argc, char **argv) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(gemm_cases),         cmocka_unit_test(attention_cases),
                                       cmocka_unit_test(narrow_gemm_cases),  cmocka_unit_test(narrow_attention_cases),
                                       cmocka_unit_test(integer_gemm_cases), cmocka_unit_test(block_gemm_cases),
                                       cmocka_unit_test(byte_block_cases)};
    everywhere = argc > 1 && strcmp(argv[1], "--all") == 0;
    if (argc > 1 + everywhere) wanted = argv[1 + everywhere];
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    if (!checked) fprintf(stderr, "no case has '%s' in its name\n", wanted);
    return failed || !checked;
}
