/* SPDX-License-Identifier: Apache-2.0 */
/* attention_test.c - compares kept attention weights with ONNX Runtime's, and tests the pictures that are drawn of
 * them. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/modes/modes.h"

#define DIGITS VJ_TEST_DIR "/../../examples/digits/digits.onnx"

static vj_array read_npy(const char *name) {
    char path[1024], why[512];
    vj_array array = {0};
    snprintf(path, sizeof path, VJ_TEST_DIR "/data/%s", name);
    if (vj_npy_read(path, &array, why) != VJ_OK) fail_msg("%s: %s", path, why);
    return array;
}

static int32_t find_output(const vj_model *model, const char *name) {
    for (int32_t i = 0; i < vj_output_count(model); i++)
        if (strcmp(vj_output_name(model, i), name) == 0) return i;
    fail_msg("there is no output %s", name);
    return -1;
}

/* Runs four digits through a model that keeps the weights named by `keep`. Returns the output's data, malloc'ed. */
static float *run(int32_t keep, const char *name, size_t *count) {
    vj_array image = read_npy("attention.image.npy");
    vj_options options;
    vj_model *model;
    vj_session *session;
    float *kept = NULL;
    vj_options_init(&options);
    options.cache = "";
    options.threads = 1;
    options.keep_attention = keep;
    assert_int_equal(vj_compile_file(DIGITS, &options, &model), VJ_OK);
    assert_int_equal(vj_output_count(model), 1 + 4);
    assert_int_equal(vj_session_create(model, &session), VJ_OK);
    assert_int_equal(vj_bind_input(session, "image", image.data, image.bytes, VJ_F32, image.dims, image.rank), VJ_OK);
    const int32_t wanted = find_output(model, name);
    void *data[5];
    for (int32_t i = 0; i < 5; i++) {
        const size_t bytes = vj_output_bound(session, i);
        data[i] = malloc(bytes);
        assert_non_null(data[i]);
        assert_int_equal(vj_bind_output(session, i, data[i], bytes), VJ_OK);
        if (i == wanted) *count = bytes / sizeof(float);
    }
    assert_int_equal(vj_run(session), VJ_OK);
    for (int32_t i = 0; i < 5; i++)
        if (i == wanted)
            kept = data[i];
        else
            free(data[i]);
    vj_session_free(session);
    vj_model_free(model);
    vj_array_free(&image);
    return kept;
}

static void close_to(const float *got, const float *want, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (fabsf(got[i] - want[i]) > 1e-5f) fail_msg("weight %zu is %g, not %g", i, (double)got[i], (double)want[i]);
}

/* [4 images, 4 heads, 17 queries, 17 keys]: a class token and 4 x 4 patches */
static void whole_weights(void **state) {
    static const char *const names[] = {"vitjit.attention.00.4x4+1", "vitjit.attention.03.4x4+1"};
    static const char *const files[] = {"attention.first.npy", "attention.last.npy"};
    (void)state;
    for (int32_t i = 0; i < 2; i++) {
        size_t count;
        vj_array want = read_npy(files[i]);
        float *got = run(VJ_KEEP_ATTENTION, names[i], &count);
        assert_int_equal(count * sizeof(float), want.bytes);
        close_to(got, want.data, count);
        free(got);
        vj_array_free(&want);
    }
}

static void rows_of_the_class_token(void **state) {
    size_t count;
    (void)state;
    vj_array want = read_npy("attention.last.npy");
    float *got = run(VJ_KEEP_ATTENTION_ROWS, "vitjit.attention.03.4x4+1", &count);
    assert_int_equal(count, 4 * 4 * 17);
    for (size_t head = 0; head < 16; head++)
        close_to(got + head * 17, (const float *)want.data + head * 17 * 17, 17);
    free(got);
    vj_array_free(&want);
}

static void wrong_option(void **state) {
    vj_options options;
    vj_model *model;
    (void)state;
    vj_options_init(&options);
    options.keep_attention = 7;
    assert_int_equal(vj_compile_file(DIGITS, &options, &model), VJ_USAGE);
}

static int32_t light(const vj_picture *p, int32_t y, int32_t x) {
    const uint8_t *at = p->pixels + ((size_t)y * (size_t)p->width + (size_t)x) * 3;
    return at[0] + at[1] + at[2];
}

/* Draws two rows of three weights over a grey picture, and reads the file back. */
static void drawn(void **state) {
    static const float weights[6] = {0.1f, 0.2f, 0.1f, 0.1f, 0.1f, 0.9f};
    char path[] = "/tmp/vitjit_heat_XXXXXX";
    vj_why why = {0};
    vj_picture grey = {0}, heat = {0}, again = {0};
    (void)state;
    assert_true(vj_picture_alloc(&grey, 30, 20, 1, &why));
    memset(grey.pixels, 100, 600);
    assert_true(vj_heat_over(&grey, weights, 2, 3, &heat, &why));
    assert_int_equal(heat.width, 30);
    assert_int_equal(heat.height, 20);
    for (int32_t y = 0; y < 20; y++)
        for (int32_t x = 0; x < 30; x++)
            assert_true(light(&heat, y, x) <= light(&heat, 19, 29));
    assert_true(light(&heat, 4, 14) > light(&heat, 4, 4));
    assert_true(light(&heat, 15, 26) > light(&heat, 4, 14) + 100);
    const int descriptor = mkstemp(path);
    FILE *file = fdopen(descriptor, "w+b");
    assert_non_null(file);
    assert_true(vj_png_write(file, &heat, &why));
    assert_int_equal(fflush(file), 0);
    assert_int_equal(vj_picture_read(path, NULL, &again, &why), VJ_OK);
    assert_memory_equal(again.pixels, heat.pixels, 30 * 20 * 3);
    fclose(file);
    remove(path);
    vj_picture_free(&grey);
    vj_picture_free(&heat);
    vj_picture_free(&again);
}

/* Weights that are all equal, or all NaN, are dark everywhere. */
static void flat(void **state) {
    static const float one[4] = {0.25f, 0.25f, 0.25f, 0.25f}, none[4] = {NAN, NAN, NAN, NAN};
    vj_why why = {0};
    vj_picture black = {0}, heat = {0};
    (void)state;
    assert_true(vj_picture_alloc(&black, 8, 8, 3, &why));
    memset(black.pixels, 0, 8 * 8 * 3);
    for (int32_t i = 0; i < 2; i++) {
        assert_true(vj_heat_over(&black, i ? none : one, 2, 2, &heat, &why));
        for (int32_t p = 0; p < 64; p++)
            assert_int_equal(light(&heat, p / 8, p % 8), 12);
        vj_picture_free(&heat);
    }
    vj_picture_free(&black);
}

/* A map of the sheet is what is drawn over the picture at its size, beside each other and the mean's column; the rest is paper. */
static void sheet_of_maps(void **state) {
    static const float weights[2][4] = {{0.1f, 0.2f, 0.3f, 0.4f}, {0.9f, 0, 0, 0.1f}};
    vj_why why = {0};
    vj_picture grey = {0}, heat = {0};
    vj_sheet sheet;
    (void)state;
    assert_true(vj_picture_alloc(&grey, 256, 128, 1, &why));
    memset(grey.pixels, 100, 256 * 128);
    assert_true(vj_sheet_open(&sheet, &grey, 1, 1, &why));
    assert_int_equal(sheet.tile.width, 128);
    assert_int_equal(sheet.tile.height, 64);
    for (int32_t column = 0; column < 2; column++)
        assert_true(vj_sheet_map(&sheet, 0, column, weights[column], 2, 2, &why));
    int32_t left = sheet.canvas.width, top = 0;
    for (int32_t column = 1; column >= 0; column--) {
        assert_true(vj_heat_over(&sheet.tile, weights[column], 2, 2, &heat, &why));
        bool found = false;
        for (int32_t x = left - 128; x >= 0 && !found; x--)
            for (int32_t y = 0; y + 64 <= sheet.canvas.height && !found; y++) {
                found = true;
                for (int32_t row = 0; row < 64 && found; row++)
                    found =
                        memcmp(sheet.canvas.pixels + ((size_t)(y + row) * (size_t)sheet.canvas.width + (size_t)x) * 3,
                               heat.pixels + (size_t)row * 128 * 3, 128 * 3) == 0;
                if (found) left = x, top = column == 1 ? y : (assert_int_equal(y, top), y);
            }
        assert_true(found);
        vj_picture_free(&heat);
    }
    assert_int_equal(light(&sheet.canvas, 0, sheet.canvas.width - 1), 3 * 255);
    vj_sheet_close(&sheet);
    vj_picture_free(&grey);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(whole_weights), cmocka_unit_test(rows_of_the_class_token),
                                       cmocka_unit_test(wrong_option),  cmocka_unit_test(drawn),
                                       cmocka_unit_test(flat),          cmocka_unit_test(sheet_of_maps)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
