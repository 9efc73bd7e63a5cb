/* SPDX-License-Identifier: Apache-2.0 */
/* const_test.c - tests the reading of constants, and the half precision formats. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vitjit_half.h"
#include "ir/tensor/ir.h"

static vj_func *parse(vj_arena *arena, const char *text) {
    vj_error error = {0};
    vj_func *f = vj_parse(arena, text, VJ_TEST_DIR, NULL, &error);
    if (!f) fail_msg("%s", error.text);
    return f;
}

static vj_value constant(vj_arena *arena, const char *declaration, vj_func **f) {
    *f = parse(arena, vj_sprintf(arena, "func @f() { @c = const %s }", declaration));
    return 0;
}

static void every_type_is_read(void **state) {
    static const struct {
        const char *declaration;
        double first, second;
    } rows[] = {{"[0.5,-3] : f32[2]", 0.5, -3},
                {"[0.1,-3] : f64[2]", 0.1, -3},
                {"[65504,-0.5] : f16[2]", 65504, -0.5},
                {"[1.5,-2] : bf16[2]", 1.5, -2},
                {"[-128,127] : i8[2]", -128, 127},
                {"[0,255] : u8[2]", 0, 255},
                {"[-32768,32767] : i16[2]", -32768, 32767},
                {"[1,65535] : u16[2]", 1, 65535},
                {"[-2147483648,2147483647] : i32[2]", -2147483648.0, 2147483647.0},
                {"[1,4294967295] : u32[2]", 1, 4294967295.0},
                {"[-9007199254740992,1] : i64[2]", -9007199254740992.0, 1},
                {"[18446744073709551615,1] : u64[2]", 18446744073709551616.0, 1},
                {"[true,false] : bool[2]", 1, 0},
                {"splat(0.1) : f32[2]", 0.1f, 0.1f},
                {"splat(0.1) : f16[2]", 0.0999755859375, 0.0999755859375},
                {"iota : i32[2]", 0, 1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        vj_func *f;
        vj_value v = constant(*state, rows[i].declaration, &f);
        vj_error error = {0};
        double wide[2];
        float narrow[2];
        assert_true(vj_const_read_f64(f, v, 0, 2, wide, &error));
        assert_true(wide[0] == rows[i].first && wide[1] == rows[i].second);
        assert_true(vj_const_read_f32(f, v, 1, 1, narrow, &error));
        assert_true(narrow[0] == (float)rows[i].second);
    }
}

static void integers_are_exact(void **state) {
    vj_func *f;
    int64_t numbers[3];
    vj_error error = {0};
    vj_value v = constant(*state, "[9223372036854775807,-9223372036854775808,9007199254740993] : i64[3]", &f);
    assert_true(vj_const_read_i64(f, v, 0, 3, numbers, &error));
    assert_true(numbers[0] == INT64_MAX && numbers[1] == INT64_MIN && numbers[2] == 9007199254740993);
    v = constant(*state, "[2.9,-2.9,nan] : f32[3]", &f); /* floats are truncated */
    assert_true(vj_const_read_i64(f, v, 0, 3, numbers, &error));
    assert_true(numbers[0] == 2 && numbers[1] == -2 && numbers[2] == 0);
    v = constant(*state, "[1e30,-1e30,inf] : f64[3]", &f);
    assert_true(vj_const_read_i64(f, v, 0, 3, numbers, &error));
    assert_true(numbers[0] == INT64_MAX && numbers[1] == INT64_MIN && numbers[2] == INT64_MAX);
}

/* elements.bin holds the floats 0 to 100. */
static void files_are_read_in_blocks(void **state) {
    vj_func *f;
    float elements[100];
    vj_error error = {0};
    vj_value v = constant(*state, "file(\"elements.bin\", 4) : f32[10,10]", &f);
    assert_true(vj_const_read_f32(f, v, 0, 100, elements, &error));
    for (int i = 0; i < 100; i++)
        assert_true(elements[i] == (float)(i + 1));
    assert_true(vj_const_read_f32(f, v, 98, 2, elements, &error));
    assert_true(elements[0] == 99 && elements[1] == 100);
    uint8_t bytes[3];
    assert_true(vj_const_read_bytes(f, v, 5, 3, bytes, &error)); /* of 2.0f, 0x40000000 */
    assert_memory_equal(bytes, "\x00\x00\x40", 3);
}

/* The float 1, 0x3f800000, as halves of its bytes. */
static void numbers_of_4_bits_are_read(void **state) {
    static const int64_t low[8] = {0, 0, 0, 0, 0, 8, 15, 3}, high[7] = {0, 0, 0, 0, -8, 0, 3};
    vj_func *f;
    int64_t numbers[8];
    float first;
    vj_error error = {0};
    vj_value v = constant(*state, "low_nibbles(\"elements.bin\", 4) : u8[2,4]", &f);
    assert_int_equal(vj_const_nibbles(f, v), VJ_NIBBLES_LOW_FIRST);
    assert_true(vj_const_read_i64(f, v, 0, 8, numbers, &error));
    assert_memory_equal(numbers, low, sizeof low);
    assert_true(vj_const_read_f32(f, v, 7, 1, &first, &error) && first == 3);
    v = constant(*state, "high_nibbles(\"elements.bin\", 4) : i8[7]", &f); /* of an odd number of elements */
    assert_true(vj_const_read_i64(f, v, 0, 7, numbers, &error));
    assert_memory_equal(numbers, high, sizeof high);
}

static void a_file_that_shrank_is_an_error(void **state) {
    char path[] = "/tmp/vitjit-const-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    assert_int_equal(write(fd, "12345678", 8), 8);
    vj_func *f = vj_func_new(*state, "f");
    vj_source source = {.path = "weights.bin", .fd = fd, .size = 16};
    vj_type type = vj_type_of(VJ_F32, 1, (int64_t[]){4});
    vj_value v = vj_add_const(f, "w", &type, &(vj_const){.kind = VJ_CONST_BYTES, .source = &source, .length = 16});
    float elements[4];
    vj_error error = {0};
    assert_false(vj_const_read_f32(f, v, 0, 4, elements, &error));
    assert_int_equal(error.status, VJ_BAD_INPUT);
    assert_non_null(strstr(error.text, "weights.bin: the file became shorter"));
    close(fd);
}

/* A constant that is long enough for several blocks, and whose type is converted. */
static void long_conversions_agree_with_single_reads(void **state) {
    enum { COUNT = 20000 };
    vj_func *f = vj_func_new(*state, "f");
    int64_t *ints = VJ_NEW_ARRAY(*state, int64_t, COUNT);
    double *all = VJ_NEW_ARRAY(*state, double, COUNT);
    for (int i = 0; i < COUNT; i++)
        ints[i] = (i * 7919) % 30011 - 15000;
    vj_value v = vj_add_const_i64(f, VJ_I16, 1, (int64_t[]){COUNT}, ints);
    vj_error error = {0};
    assert_true(vj_const_read_f64(f, v, 0, COUNT, all, &error));
    for (int i = 0; i < COUNT; i++)
        assert_true(all[i] == (double)ints[i]);
}

/* An element has the same value whatever range is read with it. Mean and variance are about 0 and 1. */
static void seeds_are_reproducible(void **state) {
    enum { COUNT = 4096 };
    vj_func *f;
    vj_error error = {0};
    vj_value v = constant(*state, "seed(3) : f32[64,64]", &f);
    double *all = VJ_NEW_ARRAY(*state, double, COUNT), sum = 0, squares = 0;
    assert_true(vj_const_read_f64(f, v, 0, COUNT, all, &error));
    for (int i = 0; i < COUNT; i++) {
        double one;
        float bytes;
        assert_true(vj_const_read_f64(f, v, i, 1, &one, &error));
        assert_true(vj_const_read_bytes(f, v, i * 4, 4, &bytes, &error));
        assert_true(one == all[i] && (double)bytes == one);
        sum += one;
        squares += one * one;
    }
    assert_true(fabs(sum / (double)COUNT) < 0.05 && fabs(squares / (double)COUNT - 1) < 0.05);
    double other;
    v = constant(*state, "seed(4) : f32[64,64]", &f);
    assert_true(vj_const_read_f64(f, v, 0, 1, &other, &error));
    assert_true(other != all[0]);
}

static void splats_are_recognised(void **state) {
    static const struct {
        const char *declaration;
        bool is_splat;
        double number;
    } rows[] = {{"splat(2) : f32[1000000]", true, 2}, {"[3,3,3] : i64[3]", true, 3},  {"[3,4] : i64[2]", false, 0},
                {"[0.5] : f16[]", true, 0.5},         {"iota : f32[1]", true, 0},     {"iota : f32[2]", false, 0},
                {"splat(1) : f32[0]", false, 0},      {"seed(1) : f32[65]", false, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        vj_func *f;
        double number = 0;
        vj_value v = constant(*state, rows[i].declaration, &f);
        assert_int_equal(vj_is_splat(f, v, &number), rows[i].is_splat);
        assert_true(number == rows[i].number);
    }
}

/* Every f16 and bf16 survives conversion, but for subnormal numbers of bf16. Ties go to even, and too large numbers become infinite (IEEE 754). */
static void halves_round(void **state) {
    (void)state;
    for (uint32_t h = 0; h < 65536; h++) {
        float x = vj_f32_of_f16((uint16_t)h), y = vj_f32_of_bf16((uint16_t)h);
        if (isnan(x))
            assert_true(isnan(vj_f32_of_f16(vj_f16_of(x))));
        else
            assert_int_equal(vj_f16_of(x), h);
        if (isnan(y))
            assert_true(isnan(vj_f32_of_bf16(vj_bf16_of(y))));
        else
            assert_int_equal(vj_bf16_of(y), fpclassify(y) == FP_SUBNORMAL ? h & 0x8000 : h);
    }
    assert_int_equal(vj_f16_of(1.0 + 0x1p-11), 0x3c00);           /* tie, to even */
    assert_int_equal(vj_f16_of(1.0 + 3 * 0x1p-11), 0x3c02);       /* tie, to even */
    assert_int_equal(vj_f16_of(1.0 + 0x1p-11 + 0x1p-40), 0x3c01); /* just above: no double rounding */
    assert_int_equal(vj_f16_of(65519.99), 0x7bff);
    assert_int_equal(vj_f16_of(65520.0), 0x7c00);
    assert_int_equal(vj_f16_of(0x1p-25), 0);
    assert_int_equal(vj_f16_of(0x1.8p-25), 1);
    assert_int_equal(vj_f16_of(-0.0), 0x8000);
    assert_int_equal(vj_bf16_of(1.0 + 0x1p-8), 0x3f80);
    assert_int_equal(vj_bf16_of(1.0 + 3 * 0x1p-8), 0x3f82);
    assert_int_equal(vj_bf16_of(3.4e38), 0x7f80);
}

static int new_arena(void **state) {
    *state = vj_arena_new();
    return 0;
}

static int free_arena(void **state) {
    vj_arena_free(*state);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, new_arena, free_arena)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(every_type_is_read),
        TEST(integers_are_exact),
        TEST(files_are_read_in_blocks),
        TEST(numbers_of_4_bits_are_read),
        TEST(a_file_that_shrank_is_an_error),
        TEST(long_conversions_agree_with_single_reads),
        TEST(seeds_are_reproducible),
        TEST(splats_are_recognised),
        TEST(halves_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
