/* SPDX-License-Identifier: Apache-2.0 */
/* bfdotcases.c - bfdotcases FOLDER writes a product of aarch64-bf16 as assembly, entry.s, and cases with the answers of this
 * machine's code for it by the twin of BFDOT. bfdotfar.c runs the one on the others. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

/* A row of A is a sum in three parts, each times 1, a zero, and a pair. Each column of B has a pair of its own. */
enum { ROWS = 2048, COLUMNS = 16, DEPTH = 6, ROUNDS = 48, KINDS = 8 };

static uint16_t a[ROWS][DEPTH], b[DEPTH / 2][COLUMNS][2];
static float out[ROWS][COLUMNS];

static void fail(const char *what) {
    fprintf(stderr, "bfdotcases: %s\n", what);
    exit(1);
}

/* Exponents of factors: about 1; products and sums about the smallest normal number; products about the largest; all bits. */
static uint16_t factor(rng *r, uint32_t kind) {
    static const uint32_t least[KINDS] = {117, 117, 124, 126, 60, 63, 186, 0},
                          count[KINDS] = {21, 21, 6, 2, 8, 2, 8, 256};
    const uint32_t exponent = least[kind] + rng_next(r) % count[kind];
    return (uint16_t)((rng_next(r) & 0x807f) | exponent << 7);
}

/* The exponent of a sum is that of the products of its kind. */
static void fill_sum(rng *r, uint32_t kind, uint16_t *parts) {
    static const uint32_t least[KINDS] = {100, 110, 120, 125, 1, 1, 245, 0},
                          count[KINDS] = {54, 34, 14, 6, 24, 4, 10, 256};
    const uint32_t exponent = least[kind] + rng_next(r) % count[kind], sign = rng_next(r) & 0x8000;
    for (uint32_t i = 0; i < 3; i++) {
        const uint32_t lower = exponent > 8 * i ? exponent - 8 * i : 0;
        parts[i] = (uint16_t)(sign | lower << 7 | (rng_next(r) & 0x7f));
    }
    if (rng_next(r) % 4 == 0) parts[1] = parts[2] = 0;
    if (rng_next(r) % 16 == 0) parts[0] = parts[1] = parts[2] = 0;
}

static void fill(rng *r, uint32_t kind) {
    for (int i = 0; i < ROWS; i++) {
        fill_sum(r, kind, a[i]);
        a[i][3] = 0;
        a[i][4] = factor(r, kind);
        a[i][5] = rng_next(r) % 8 ? factor(r, kind) : a[i][4];
    }
    for (int j = 0; j < COLUMNS; j++) {
        for (int k = 0; k < 4; k++)
            b[k / 2][j][k % 2] = 0x3f80; /* 1 */
        b[2][j][0] = factor(r, kind);
        b[2][j][1] = j % 4 ? factor(r, kind) : b[2][j][0] ^ 0x8000; /* products that cancel */
    }
}

static vj_program *product(vj_arena *arena) {
    vj_program *p = vj_program_new(arena, NULL);
    vj_kernel *k = vj_add_kernel(p, VJ_KERNEL_GEMM, "product");
    vj_set_axes(k, (const int32_t[]){0, 1, 1, 1}, (const int64_t[]){ROWS, COLUMNS, DEPTH});
    const int32_t left = vj_add_buffer(p, VJ_BUFFER_ARENA, VJ_BF16, ROWS * DEPTH, NULL);
    const int32_t panel = vj_add_buffer(p, VJ_BUFFER_ARENA, VJ_BF16, DEPTH * COLUMNS, NULL);
    const int32_t result = vj_add_buffer(p, VJ_BUFFER_ARENA, VJ_F32, ROWS * COLUMNS, NULL);
    p->buffers[panel].kind = VJ_BUFFER_WEIGHT;
    vj_weight *weight = VJ_PUSH(arena, p->weights, p->weight_count, p->weight_capacity);
    *weight = (vj_weight){.kind = VJ_PACK_PANELS, .k = DEPTH, .n = COLUMNS, .k_rank = 1, .n_rank = 1};
    k->a = vj_add_access(k, &(vj_access){.buffer = left, .stride = {DEPTH, 0, 1}});
    k->b = vj_add_access(k, &(vj_access){.buffer = panel});
    const vj_access to = {.buffer = result, .stride = {COLUMNS, 1, 0}};
    k->out[k->out_count++] = (vj_out){vj_add_access(k, &to), vj_x(arena, k, VJ_X_ACC, VJ_F32, 0, 0, 0), -1};
    return p;
}

static FILE *file_in(const char *folder, const char *name) {
    char path[4096];
    FILE *file = snprintf(path, sizeof path, "%s/%s", folder, name) < (int)sizeof path ? fopen(path, "wb") : NULL;
    if (!file) fail(name);
    return file;
}

/* Returns how many units the code has. */
static int64_t write_assembly(FILE *file, vj_arena *arena, const vj_program *p) {
    const vj_target *target = vj_target_by_name("aarch64-bf16");
    vj_schedule_kernel(arena, target, p, p->kernels[0]);
    char *text = code_assembly(target, p, p->kernels[0]);
    if (!strstr(text, "bfdot")) fail("the code has no bfdot");
    fputs(text, file);
    free(text);
    return p->kernels[0]->units;
}

static void write_cases(FILE *file, vj_arena *arena, const vj_program *p) {
    vj_target target = *vj_target_host();
    target.dot = VJ_DOT_BFDOT_TWIN;
    vj_schedule_kernel(arena, &target, p, p->kernels[0]);
    code *c = code_make(&target, p, p->kernels[0]);
    rng random = {1};
    for (uint32_t round = 0; round < ROUNDS; round++) {
        fill(&random, round % KINDS);
        code_run(c, (void *[]){a, b, out}, 0, p->kernels[0]->units);
        fwrite(a, sizeof a, 1, file);
        fwrite(b, sizeof b, 1, file);
        fwrite(out, sizeof out, 1, file);
    }
    code_free(c);
}

int main(int argc, char **argv) {
    if (argc != 2) fail("a folder is wanted");
    vj_arena *arena = vj_arena_new();
    vj_program *p = product(arena);
    FILE *assembly = file_in(argv[1], "entry.s"), *cases = file_in(argv[1], "cases");
    const int64_t head[4] = {ROWS * DEPTH, DEPTH * COLUMNS, ROWS * COLUMNS, write_assembly(assembly, arena, p)};
    fwrite(head, sizeof head, 1, cases);
    write_cases(cases, arena, p);
    if (ferror(assembly) | ferror(cases) | fclose(assembly) | fclose(cases)) fail("cannot write");
    vj_arena_free(arena);
    return 0;
}
