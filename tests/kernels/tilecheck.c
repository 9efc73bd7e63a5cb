/* SPDX-License-Identifier: Apache-2.0 */
/* tilecheck.c - compares products of tiles, by AMX and by the twin, with their definition in doubles, bit for bit, for several numbers
 * of rows, whose memory has strides and alignments of its own. Where there is no AMX its code is generated.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "backend/emit/tiles.h"
#include "primitives.h"
#include "vitjit_half.h"

/* A row has so many pairs of A or columns of B. Strides are in elements: floats of sums, halves of A, pairs of B. */
enum { WIDTH = 16, SUM_STRIDE = 19, A_STRIDE = 43, B_STRIDE = 17, SUMS = 16 * SUM_STRIDE, ROUNDS = 100 };

typedef struct operands {
    float sum[2 * SUMS]; /* two blocks */
    uint16_t a[16 * A_STRIDE + 1];
    uint32_t b[16 * B_STRIDE];
} operands;

/* The first block += A B, the second = 2 A B: that tile is cleared, and takes the product twice. */
static void write_products(vj_gen *g, const void *what) {
    enum { SUM = 3, CLEARED = 0, A = 5, B = 6 };
    const int32_t rows = *(const int32_t *)what;
    LLVMValueRef some = vj_i64(g, rows), whole = vj_i64(g, VJ_TILE_ROWS);
    LLVMValueRef all[VJ_TILES] = {[SUM] = some, [CLEARED] = some, [A] = some, [B] = whole};
    LLVMValueRef sum = LLVMGetParam(g->function, 0), a = LLVMGetParam(g->function, 1), b = LLVMGetParam(g->function, 2);
    LLVMValueRef stride = vj_i64(g, SUM_STRIDE * 4), second = vj_element(g, sum, VJ_F32, vj_i64(g, SUMS));
    vj_tile_unit u = vj_tiles_new(g);
    vj_tiles_configure(&u, all);
    vj_tile_load(&u, SUM, sum, stride);
    vj_tile_zero(&u, CLEARED);
    vj_tile_load(&u, A, a, vj_i64(g, A_STRIDE * 2));
    vj_tile_load(&u, B, b, vj_i64(g, B_STRIDE * 4));
    vj_tile_dot_bf16(&u, SUM, A, B);
    vj_tile_dot_bf16(&u, CLEARED, A, B);
    vj_tile_dot_bf16(&u, CLEARED, A, B);
    vj_tile_store(&u, SUM, sum, stride);
    vj_tile_store(&u, CLEARED, second, stride);
    vj_tiles_release(&u);
}

static float flushed(float x) { return fabsf(x) < 0x1p-126f ? copysignf(0, x) : x; }
static float add(float x, float y) { return flushed(flushed(x) + flushed(y)); }

/* sum + row m of A by column n of B: even and odd elements of k apart. */
static float defined(const operands *x, float sum, int32_t m, int32_t n) {
    float even = 0, odd = 0;
    for (int32_t k = 0; k < WIDTH; k++) {
        const uint16_t *a = &x->a[m * A_STRIDE + 2 * k];
        const uint32_t b = x->b[k * B_STRIDE + n];
        even = add_product(even, a[0], (uint16_t)b);
        odd = add_product(odd, a[1], (uint16_t)(b >> 16));
    }
    return add(sum, add(even, odd));
}

/* Exponents of factors whose products are ordinary, nearly subnormal, nearly infinite; and of numbers like these products. */
static const uint32_t around[][2] = {{127, 127}, {66, 8}, {189, 247}};
enum { AROUND = sizeof around / sizeof *around };

static uint32_t bits_near(rng *r, uint32_t exponent) {
    return (rng_next(r) & 0x807fffffu) | (exponent - 4 + rng_next(r) % 9) << 23;
}

static uint32_t number(rng *r, int32_t round, int32_t is_sum) {
    if (round % 5 == 4) return rng_next(r) % 64 ? bits_near(r, 127) : pair_sum_of(r, SPECIAL).sum;
    return round % 5 == 3 && rng_next(r) % 64 == 0 ? rng_next(r) : bits_near(r, around[round % AROUND][is_sum]);
}

static void fill(operands *x, rng *r, int32_t round) {
    for (int32_t i = 0; i < 2 * SUMS; i++)
        x->sum[i] = vj_f32_of_bits(number(r, round, 1));
    for (int32_t i = 0; i < (int32_t)(sizeof x->a / sizeof *x->a); i++)
        x->a[i] = (uint16_t)(number(r, round, 0) >> 16);
    for (int32_t i = 0; i < 16 * B_STRIDE; i++)
        x->b[i] = (number(r, round, 0) & 0xffff0000u) | number(r, round, 0) >> 16;
}

static void compare(const char *name, primitive_entry entry, const operands *x, int32_t rows) {
    float sum[2 * SUMS];
    uint32_t a[(sizeof x->a + 3) / 4];
    memcpy(sum, x->sum, sizeof sum);
    memcpy(a, x->a, sizeof x->a);
    entry(sum, a, x->b);
    for (int32_t m = 0; m < 16; m++)
        for (int32_t n = 0; n < SUM_STRIDE; n++) {
            const int32_t at = m * SUM_STRIDE + n;
            const bool is_written = m < rows && n < WIDTH;
            const float once = is_written ? defined(x, 0, m, n) : 0;
            same_bits(name, sum[at], is_written ? defined(x, x->sum[at], m, n) : x->sum[at]);
            same_bits(name, sum[SUMS + at], is_written ? add(once, once) : x->sum[SUMS + at]);
        }
}

static void check(const vj_target *target, int32_t rows) {
    primitive *products = primitive_make(target, write_products, &rows);
    rng r = {.state = 2025};
    for (int32_t round = 0; products && round < ROUNDS; round++) {
        operands x;
        fill(&x, &r, round);
        compare(target->name, primitive_at(products), &x, rows);
    }
    primitive_free(products);
}

/* Bytes: the whole product of unsigned rows of A by signed fours of B, exact. */
static void write_integers(vj_gen *g, const void *what) {
    enum { SUM = 3, A = 5, B = 6 };
    LLVMValueRef some = vj_i64(g, *(const int32_t *)what), stride = vj_i64(g, SUM_STRIDE * 4);
    LLVMValueRef all[VJ_TILES] = {[SUM] = some, [A] = some, [B] = vj_i64(g, VJ_TILE_ROWS)};
    vj_tile_unit u = vj_tiles_new(g);
    vj_tiles_configure(&u, all);
    vj_tile_load(&u, SUM, LLVMGetParam(g->function, 0), stride);
    vj_tile_load(&u, A, LLVMGetParam(g->function, 1), vj_i64(g, A_STRIDE * 2));
    vj_tile_load(&u, B, LLVMGetParam(g->function, 2), vj_i64(g, B_STRIDE * 4));
    vj_tile_dot_u8_i8(&u, SUM, A, B);
    vj_tile_store(&u, SUM, LLVMGetParam(g->function, 0), stride);
    vj_tiles_release(&u);
}

static void check_integers(const vj_target *target, int32_t rows) {
    enum { A_BYTES = 2 * A_STRIDE, B_BYTES = 4 * B_STRIDE };
    static uint8_t a[16 * A_BYTES];
    static int8_t b[16 * B_BYTES];
    static int32_t sum[SUMS], expected[SUMS];
    primitive *products = primitive_make(target, write_integers, &rows);
    rng r = {.state = 2026};
    for (int32_t round = 0; products && round < ROUNDS; round++) {
        for (size_t i = 0; i < sizeof a; i++)
            a[i] = (uint8_t)(round ? rng_next(&r) : 255);
        for (size_t i = 0; i < sizeof b; i++)
            b[i] = (int8_t)(round ? (int32_t)(rng_next(&r) % 256) - 128 : -128);
        for (int32_t i = 0; i < SUMS; i++)
            expected[i] = sum[i] = (int32_t)(rng_next(&r) % 2000001) - 1000000;
        for (int32_t m = 0; m < rows; m++)
            for (int32_t n = 0; n < WIDTH; n++)
                for (int32_t k = 0; k < 4 * WIDTH; k++)
                    expected[m * SUM_STRIDE + n] += a[m * A_BYTES + k] * b[k / 4 * B_BYTES + 4 * n + k % 4];
        primitive_at(products)((float *)(void *)sum, (const uint32_t *)(const void *)a,
                               (const uint32_t *)(const void *)b);
        assert_memory_equal(sum, expected, sizeof sum);
    }
    primitive_free(products);
}

static const int32_t numbers_of_rows[] = {1, 2, 5, 13, 16};
enum { NUMBERS_OF_ROWS = sizeof numbers_of_rows / sizeof *numbers_of_rows };

static void by_instructions(void **state) {
    (void)state;
    for (int32_t i = 0; i < vj_target_count(); i++)
        for (int32_t j = 0; j < NUMBERS_OF_ROWS; j++)
            if (vj_target_at(i)->tiles == VJ_TILES_AMX) {
                check(vj_target_at(i), numbers_of_rows[j]);
                check_integers(vj_target_at(i), numbers_of_rows[j]);
            }
}

static void by_twin(void **state) {
    (void)state;
    for (int32_t i = 0; i < vj_target_count(); i++) {
        vj_target target = *vj_target_at(i);
        target.tiles = VJ_TILES_TWIN;
        for (int32_t j = 0; j < NUMBERS_OF_ROWS; j++) {
            check(&target, numbers_of_rows[j]);
            check_integers(&target, numbers_of_rows[j]);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(by_instructions), cmocka_unit_test(by_twin)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
