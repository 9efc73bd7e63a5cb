/* SPDX-License-Identifier: Apache-2.0 */
/* innerloops.c - reads the assembly of the loops that take almost all time, for every target, including those that do
 * not run here. It checks that sums stay in registers and that all multiplications are fused with additions, and prints
 * the instructions of each loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "harness.h"

/* The words of a target's assembly for a vector multiply-add, for a vector multiplication, for the stack, and for a
 * spill or reload of a vector register (both words in one line). */
typedef struct dialect {
    const char *target, *product, *apart, *stack, *spill[2];
} dialect;

static const dialect dialects[] = {{"x86-64-v3", "\tvfmadd", "\tvmulps", "(%rsp)", {"(%rsp)", "%ymm"}},
                                   {"x86-64-v4", "\tvfmadd", "\tvmulps", "(%rsp)", {"(%rsp)", "%zmm"}},
                                   {"aarch64", "\tfmla\t", "\tfmul\t", "[sp", {"[sp", "\tq"}},
                                   {"riscv64", "\tfmadd.s", "\tfmul.s", "(sp)", {"(sp)", "\tf"}},
                                   /* whole registers: vs1r.v v8, (a0) */
                                   {"riscv64-v", "\tvfma", "\tvfmul", "(sp)", {"r.v\t", "("}}};
/* Of those that multiply pairs. */
static const dialect dots[] = {{"x86-64-v4-bf16", "\tvdpbf16ps", "\tvmulps", "(%rsp)", {"(%rsp)", "%zmm"}},
                               {"aarch64-bf16", "\tbfdot\t", "\tfmul\t", "[sp", {"[sp", "\tq"}}};
/* Of bytes by blocks, whose scales are multiplied apart. */
static const dialect bytes[] = {
    {"x86-64-v4-bf16", "\tvpdpbusd", "\tvpmulld", "(%rsp)", {"(%rsp)", "%zmm"}},
    {"x86-64-v3-vnni", "vpdpbusd", "\tvpmulld", "(%rsp)", {"(%rsp)", "%ymm"}},
    {"x86-64-v3", "\tvpmaddubsw", "\tvpmulld", "(%rsp)", {"(%rsp)", "%ymm"}},
    {"x86-64-v4", "\tvpmaddubsw", "\tvpmulld", "(%rsp)", {"(%rsp)", "%zmm"}},
    {"aarch64-bf16", "\tusdot\t", "\tmul\t", "\tstr\tq", {"[sp", "\tq"}} /* pointers to rows are there */};
#define BYTES    (sizeof bytes / sizeof *bytes)
#define DOTS     (sizeof dots / sizeof *dots)
#define DIALECTS (sizeof dialects / sizeof *dialects)
/* The first of them convert float16 by instructions. */
#define WITH_HALVES 3
/* The targets that no machine here can time. Only their loops of attention and windows are read. */
#define EMULATED      2
#define EMULATED_DOTS 1

typedef struct problem {
    vj_arena *arena;
    vj_program *p;
    vj_kernel *k;
} problem;

static problem problem_new(vj_kernel_kind kind, const int32_t *axes, const int64_t *extent) {
    problem it = {.arena = vj_arena_new()};
    it.p = vj_program_new(it.arena, NULL);
    it.k = vj_add_kernel(it.p, kind, "loops");
    vj_set_axes(it.k, axes, extent);
    return it;
}

static int32_t buffer_of(const problem *it, vj_dtype dtype, int64_t elements) {
    return vj_add_buffer(it->p, VJ_BUFFER_ARENA, dtype, elements, NULL);
}

static int32_t buffer(const problem *it, int64_t elements) { return buffer_of(it, VJ_F32, elements); }

/* Packed weights, whose source does not matter here. */
static int32_t panels(const problem *it, vj_dtype dtype, int64_t depth, int64_t columns) {
    const int32_t b = buffer_of(it, dtype, depth * columns);
    it->p->buffers[b].kind = VJ_BUFFER_WEIGHT;
    it->p->buffers[b].index = it->p->weight_count;
    vj_weight *weight = VJ_PUSH(it->arena, it->p->weights, it->p->weight_count, it->p->weight_capacity);
    *weight = (vj_weight){.kind = VJ_PACK_PANELS, .k = depth, .n = columns, .k_rank = 1, .n_rank = 1};
    return b;
}

static int32_t acc(const problem *it) { return vj_x(it->arena, it->k, VJ_X_ACC, VJ_F32, 0, 0, 0); }

static void result(const problem *it, const vj_access *access, int32_t expr) {
    it->k->out[it->k->out_count++] = (vj_out){vj_add_access(it->k, access), expr, -1};
}

static int count_words(const char *from, const char *to, const char *word) {
    int count = 0;
    for (const char *at = from; at < to; at++)
        count += strncmp(at, word, strlen(word)) == 0;
    return count;
}

static int count_spills(const char *from, const char *to, const dialect *d) {
    int count = 0;
    for (const char *line = from; line && line < to; line = strchr(line + 1, '\n')) {
        const char *next = strchr(line + 1, '\n');
        if (!next) next = to;
        count += count_words(line, next, d->spill[0]) && count_words(line, next, d->spill[1]);
    }
    return count;
}

/* The label that the jump at `line` names, which must be an earlier one: a loop is a label, a block, and a jump
 * back. */
static const char *loop_start(const char *text, const char *line) {
    char label[64] = "", place[80];
    const char *end = strchr(line, '\n'), *name = strstr(line, ".LBB");
    if (!end || !name || name > end || sscanf(name, "%62[.A-Za-z0-9_]", label) != 1) return NULL;
    snprintf(place, sizeof place, "\n%s:", label);
    const char *start = strstr(text, place);
    return start && start < line ? start : NULL;
}

/* Counts the innermost loops with at least `least` multiply-adds and checks each. Those of a product may not use the
 * stack at all. In attention, loops with separate multiplications do not count: they are the softmax with its
 * polynomial. */
static int check_loops(const dialect *d, const problem *it, const char *what, int least) {
    const vj_target *target = vj_target_by_name(d->target);
    vj_schedule_kernel(it->arena, target, it->p, it->k);
    char *text = code_assembly(target, it->p, it->k);
    int loops = 0;
    for (const char *line = strchr(text, '\n'); line; line = strchr(line + 1, '\n')) {
        if (strncmp(line, "\n\tj", 3) != 0 && strncmp(line, "\n\tb", 3) != 0) continue;
        const char *start = loop_start(text, line + 1);
        const char *inside = start ? strstr(start + 1, "\n.LBB") : NULL;
        const int products = start ? count_words(start, line, d->product) : 0;
        if (products < least || (inside && inside < line)) continue;
        const int apart = count_words(start, line, d->apart), marks = count_words(start, line, "APP\n");
        const int instructions = count_words(start, line, "\n\t") + 1 - marks; /* marks stand around inline assembly */
        if (it->k->kind == VJ_KERNEL_ATTENTION && apart) continue;
        const int spills = count_spills(start, line, d), stack = count_words(start, line, d->stack);
        loops++;
        print_message("%s, %s: %d instructions, %d of them products\n", d->target, what, instructions, products);
        if (spills || apart || (stack && it->k->kind == VJ_KERNEL_GEMM))
            fail_msg("%s, %s: in a loop of %d products %d spills, %d uses of the stack, %d multiplications alone",
                     d->target, what, products, spills, stack, apart);
    }
    free(text);
    return loops;
}

/* rows x 768 x 768 with panels: a loop over k for each height of a tile. */
static void check_rows(int64_t rows, vj_dtype a_type, vj_dtype b_type, const dialect *all, size_t count) {
    problem it = problem_new(VJ_KERNEL_GEMM, (const int32_t[]){0, 1, 1, 1}, (const int64_t[]){rows, 768, 768});
    const int32_t a = buffer_of(&it, a_type, rows * 784), out = buffer(&it, rows * 768);
    it.k->a = vj_add_access(it.k, &(vj_access){.buffer = a, .stride = {784, 0, 1}});
    it.k->b = vj_add_access(it.k, &(vj_access){.buffer = panels(&it, b_type, 768, 768)});
    result(&it, &(vj_access){.buffer = out, .stride = {768, 1, 0}}, acc(&it));
    char what[64];
    snprintf(what, sizeof what, "product %s x %s", vj_element_name(a_type), vj_element_name(b_type));
    for (size_t i = 0; i < count; i++) {
        const int loops = check_loops(&all[i], &it, what, 16);
        if (loops != it.k->schedule->gemm.tile_kinds) fail_msg("%s: %d loops", all[i].target, loops);
    }
    vj_arena_free(it.arena);
}

/* The registers that LLVM chooses depend on the code around the loop: many rows are another case. */
static void check_product(vj_dtype a_type, vj_dtype b_type, const dialect *all, size_t count) {
    check_rows(197, a_type, b_type, all, count);
    check_rows(896, a_type, b_type, all, count);
}

static void products_do_not_spill(void **state) {
    (void)state;
    check_product(VJ_F32, VJ_F32, dialects, DIALECTS);
    check_product(VJ_BF16, VJ_BF16, dialects, DIALECTS);
    check_product(VJ_F32, VJ_BF16, dialects, DIALECTS);
    check_product(VJ_F32, VJ_F16, dialects, WITH_HALVES);
    check_product(VJ_BF16, VJ_BF16, dots, DOTS);
}

/* 197 x 768 x 768 of bytes by blocks of 32: a loop over blocks for each height of a tile. */
static void bytes_do_not_spill(void **state) {
    (void)state;
    problem it = problem_new(VJ_KERNEL_GEMM, (const int32_t[]){0, 1, 1, 2}, (const int64_t[]){197, 768, 24, 32});
    const vj_blocks blocks = {.bits = 4, .block = 32, .depth = 768};
    int64_t size = 0;
    assert_true(vj_blocks_bytes(&blocks, 768, &size));
    const int32_t a = buffer_of(&it, VJ_U8, 197 * 768), b = panels(&it, VJ_U8, 1, size);
    const int32_t steps = buffer(&it, 197 * 24), out = buffer(&it, 197 * 768);
    it.p->weights[0] =
        (vj_weight){.kind = VJ_PACK_BLOCKS, .k = 768, .n = 768, .bits = 4, .block = 32, .k_rank = 1, .n_rank = 1};
    it.k->a = vj_add_access(it.k, &(vj_access){.buffer = a, .stride = {768, 0, 32, 1}});
    it.k->b = vj_add_access(it.k, &(vj_access){.buffer = b});
    it.k->s = vj_add_access(it.k, &(vj_access){.buffer = steps, .stride = {24, 0, 1, 0}});
    result(&it, &(vj_access){.buffer = out, .stride = {768, 1, 0, 0}}, acc(&it));
    for (size_t i = 0; i < BYTES; i++) {
        const int loops = check_loops(&bytes[i], &it, "bytes by blocks", 16);
        if (loops != it.k->schedule->gemm.tile_kinds) fail_msg("%s: %d loops", bytes[i].target, loops);
    }
    vj_arena_free(it.arena);
}

/* 197 queries and keys of 64 dims, keys by rows as exporters' models have them: scores, and their products with
 * values. */
static void check_attention(vj_dtype dtype, const dialect *all, size_t count) {
    const int64_t tokens = 197, dims = 64;
    problem it = problem_new(VJ_KERNEL_ATTENTION, (const int32_t[]){1, 1, 1, 1, 1},
                             (const int64_t[]){12, tokens, tokens, dims, dims});
    vj_kernel *k = it.k;
    const int64_t row = 12 * dims;
    const int32_t q = buffer_of(&it, dtype, tokens * row), keys = buffer_of(&it, dtype, tokens * row);
    const int32_t v = buffer_of(&it, dtype, tokens * row);
    k->q = vj_add_access(k, &(vj_access){.buffer = q, .stride = {dims, row, 0, 1, 0}});
    k->k = vj_add_access(k, &(vj_access){.buffer = keys, .stride = {dims, 0, row, 1, 0}});
    k->v = vj_add_access(k, &(vj_access){.buffer = v, .stride = {dims, 0, row, 0, 1}});
    k->score_expr = acc(&it);
    const vj_access to = {.buffer = buffer(&it, tokens * row), .stride = {dims, row, 0, 0, 1}};
    result(&it, &to, acc(&it));
    char what[64];
    snprintf(what, sizeof what, "attention %s", vj_element_name(dtype));
    for (size_t i = 0; i < count; i++) {
        const int loops = check_loops(&all[i], &it, what, 16);
        if (loops < 2) fail_msg("%s: %d loops", all[i].target, loops);
    }
    vj_arena_free(it.arena);
}

static void attention_does_not_spill(void **state) {
    (void)state;
    check_attention(VJ_F32, dialects + EMULATED, DIALECTS - EMULATED);
    check_attention(VJ_BF16, dots + EMULATED_DOTS, DOTS - EMULATED_DOTS);
}

/* A filter of 3 x 3 for each of 96 channels, which are the last axis, over 14 x 14 pixels. The window is unrolled. LLVM
 * spills one vector of it for RVV, the last dialect. */
static void windows_do_not_spill(void **state) {
    (void)state;
    problem it = problem_new(VJ_KERNEL_NEST, (const int32_t[]){3, 2}, (const int64_t[]){14, 14, 96, 3, 3});
    vj_kernel *k = it.k;
    const int32_t x = buffer(&it, 16 * 16 * 96), w = buffer(&it, 9 * 96), out = buffer(&it, 14 * 14 * 96);
    const vj_access place = {.buffer = x, .stride = {16 * 96, 96, 1, 16 * 96, 96}};
    const vj_access filter = {.buffer = w, .stride = {0, 0, 1, 288, 96}};
    const int32_t a = vj_x_load(it.arena, k, VJ_F32, vj_add_access(k, &place));
    const int32_t b = vj_x_load(it.arena, k, VJ_F32, vj_add_access(k, &filter));
    k->stage[k->stage_count++] = (vj_stage){VJ_REDUCE_SUM, vj_x(it.arena, k, VJ_X_MUL, VJ_F32, a, b, 0)};
    result(&it, &(vj_access){.buffer = out, .stride = {14 * 96, 96, 1, 0, 0}},
           vj_x(it.arena, k, VJ_X_STAGE, VJ_F32, 0, 0, 0));
    for (size_t i = EMULATED; i + 1 < DIALECTS; i++) {
        const int loops = check_loops(&dialects[i], &it, "depthwise 3 x 3", 8);
        if (loops < 1) fail_msg("%s: %d loops", dialects[i].target, loops);
    }
    vj_arena_free(it.arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(products_do_not_spill), cmocka_unit_test(bytes_do_not_spill),
                                       cmocka_unit_test(attention_does_not_spill),
                                       cmocka_unit_test(windows_do_not_spill)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
