/* SPDX-License-Identifier: Apache-2.0 */
/* pictures.c - compares decoding, resampling and pre-processing with Pillow (data/ is made by make_pictures.py). */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pictures/picture.h"

#define TOLERANCE 2 /* of 255 */

static char *data_path(const char *name) {
    static char path[4096];
    snprintf(path, sizeof path, "%s/data/%s", VJ_TEST_DIR, name);
    return path;
}

static uint8_t *slurp(const char *name, size_t *bytes) {
    FILE *file = fopen(data_path(name), "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    *bytes = (size_t)ftell(file);
    rewind(file);
    uint8_t *at = malloc(*bytes);
    assert_int_equal(fread(at, 1, *bytes, file), *bytes);
    fclose(file);
    return at;
}

static vj_picture read_picture(const char *name) {
    vj_picture picture;
    vj_why why = {0};
    if (vj_picture_read(data_path(name), NULL, &picture, &why) != VJ_OK) fail_msg("%s: %s", name, why.text);
    return picture;
}

static void check_pixels(const char *line, const char *name, int channels, const char *filter, int width, int height,
                         const uint8_t *want) {
    vj_picture picture = read_picture(name), out = picture;
    vj_why why = {0};
    assert_int_equal(picture.channels, channels);
    const bool resized = strcmp(filter, "none") != 0;
    if (resized) assert_true(vj_resample(&picture, width, height, vj_filter_by_name(filter), &out, &why));
    assert_int_equal(out.width, width);
    assert_int_equal(out.height, height);
    for (int i = 0; i < width * height * channels; i++)
        if (abs(out.pixels[i] - want[i]) > TOLERANCE)
            fail_msg("%s: byte %d is %d, Pillow's is %d", line, i, out.pixels[i], want[i]);
    if (resized) vj_picture_free(&out);
    vj_picture_free(&picture);
}

static void check_preprocess(const char *name, int height, int width, const uint8_t *want) {
    static const vj_recipe_options none = {0};
    vj_recipe recipe;
    vj_why why = {0};
    vj_picture picture = read_picture(name);
    const size_t count = (size_t)(3 * height * width);
    float *got = malloc(count * sizeof *got);
    assert_true(vj_recipe_find("nowhere/model.onnx", NULL, 0, &none, &recipe, &why));
    assert_true(recipe.guessed);
    assert_true(vj_preprocess(&picture, &recipe, 3, height, width, got, &why));
    for (size_t i = 0; i < count; i++) {
        float w;
        memcpy(&w, want + i * sizeof w, sizeof w);
        if (!(fabsf(got[i] - w) <= 2.0f * TOLERANCE / 255))
            fail_msg("%s: element %zu is %g, not %g", name, i, (double)got[i], (double)w);
    }
    free(got);
    vj_recipe_free(&recipe);
    vj_picture_free(&picture);
}

static void matches_pillow(void **state) {
    (void)state;
    size_t bytes, pixel_bytes, float_bytes;
    char *cases = (char *)slurp("cases.txt", &bytes);
    uint8_t *pixels = slurp("expected.bin", &pixel_bytes), *floats = slurp("expected_f32.bin", &float_bytes);
    cases = realloc(cases, bytes + 1);
    cases[bytes] = 0;
    char *rest = NULL;
    int seen = 0;
    for (char *line = strtok_r(cases, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest), seen++) {
        char name[64], filter[16];
        int channels, width, height, offset;
        if (sscanf(line, "preprocess %63s %d %d %d", name, &height, &width, &offset) == 4) {
            check_preprocess(name, height, width, floats + offset);
            continue;
        }
        assert_int_equal(sscanf(line, "%63s %d %15s %d %d %d", name, &channels, filter, &width, &height, &offset), 6);
        check_pixels(line, name, channels, filter, width, height, pixels + offset);
    }
    assert_true(seen > 60);
    free(cases);
    free(pixels);
    free(floats);
}

static void refuses_damage(void **state) {
    (void)state;
    static const char *const names[] = {"truncated.jpg", "truncated.png", "text.png", "empty.jpg", "missing.png", "."};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        vj_picture picture;
        vj_why why = {0};
        if (vj_picture_read(data_path(names[i]), NULL, &picture, &why) == VJ_OK) fail_msg("%s was read", names[i]);
        assert_null(picture.pixels);
        assert_true(why.text[0] != 0);
    }
}

static void notes_transparency(void **state) {
    (void)state;
    vj_picture clear = read_picture("rgba.png"), solid = read_picture("rgb.png");
    assert_true(clear.transparent);
    assert_false(solid.transparent);
    vj_picture_free(&clear);
    vj_picture_free(&solid);
}

/* A folder with a model's JSON files. */
static const char *folder_with(const char *name, const char *text) {
    static char folder[64], path[128];
    strcpy(folder, "/tmp/vitjit-recipe-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    fputs(text, file);
    fclose(file);
    snprintf(path, sizeof path, "%s/model.onnx", folder);
    return path;
}

static void remove_folder(const char *model, const char *name) {
    char path[256];
    snprintf(path, sizeof path, "%.*s%s", (int)(strlen(model) - strlen("model.onnx")), model, name);
    remove(path);
    *strrchr(path, '/') = 0;
    remove(path);
}

static void finds_recipes(void **state) {
    (void)state;
    static const vj_recipe_options none = {0};
    vj_recipe r;
    vj_why why = {0};
    const char *hf = "{\"do_resize\": true, \"size\": {\"height\": 224, \"width\": 224}, \"resample\": 2,"
                     " \"image_mean\": [0.1, 0.2, 0.3], \"image_std\": [0.4, 0.5, 0.6], \"rescale_factor\": 0.5}";
    const char *model = folder_with("preprocessor_config.json", hf);
    assert_true(vj_recipe_find(model, NULL, 0, &none, &r, &why));
    assert_int_equal(r.geometry.mode, VJ_RESIZE_EXACT);
    assert_int_equal(r.filter, VJ_BILINEAR);
    assert_int_equal(r.mean_count, 3);
    assert_true(r.std[2] == 0.6 && r.scale == 0.5 && r.geometry.floor_crop && !r.guessed);
    vj_recipe_free(&r);
    remove_folder(model, "preprocessor_config.json");

    const char *timm =
        "{\"num_classes\": 2, \"label_names\": [\"cat\", \"dog\"], \"pretrained_cfg\":"
        " {\"mean\": [0.485, 0.456, 0.406], \"std\": 0.25, \"interpolation\": \"bilinear\", \"crop_pct\": 0.875}}";
    model = folder_with("config.json", timm);
    assert_true(vj_recipe_find(model, NULL, 0, &none, &r, &why));
    assert_true(r.geometry.crop_pct == 0.875 && r.mean[0] == 0.485 && r.std_count == 1 && r.filter == VJ_BILINEAR);
    assert_int_equal(r.label_count, 2);
    assert_string_equal(r.labels[1], "dog");
    vj_recipe_free(&r);

    /* the model's own metadata wins, and options win over it */
    const vj_key_value metadata[] = {
        {"mean", "[0.25]"}, {"interpolation", "box"}, {"id2label", "{\"1\": \"b\", \"0\": \"a\"}"}};
    const vj_recipe_options options = {.mean = "0.75", .crop_pct = "1"};
    assert_true(vj_recipe_find(model, metadata, 3, &options, &r, &why));
    assert_true(r.mean[0] == 0.75 && r.filter == VJ_BOX && r.geometry.crop_pct == 1);
    assert_string_equal(r.labels[1], "b");
    vj_recipe_free(&r);
    remove_folder(model, "config.json");
}

static void refuses_bad_recipes(void **state) {
    (void)state;
    const vj_recipe_options bad[] = {{.mean = "0.5,"},           {.std = "0"},          {.std = "-1"},
                                     {.interpolation = "cubic"}, {.resize = "0"},       {.resize = "2x"},
                                     {.crop_pct = "2"},          {.labels = "nowhere"}, {.mean = "nan"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        vj_recipe r;
        vj_why why = {0};
        assert_false(vj_recipe_find("model.onnx", NULL, 0, &bad[i], &r, &why));
        assert_true(why.text[0] != 0);
    }
    static const char *const texts[] = {"[",
                                        "3",
                                        "{\"image_std\": [0]}",
                                        "{\"size\": {\"height\": -1, \"width\": 4}}",
                                        "{\"resample\": 9}",
                                        "{\"mean\": [1, 2, 3, 4, 5]}",
                                        "{\"crop_pct\": \"a\"}",
                                        "{\"id2label\": {\"x\": \"y\"}}"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        vj_recipe r;
        vj_why why = {0};
        const char *model = folder_with("config.json", texts[i]);
        if (vj_recipe_find(model, NULL, 0, &(vj_recipe_options){0}, &r, &why)) fail_msg("accepted: %s", texts[i]);
        remove_folder(model, "config.json");
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_pillow), cmocka_unit_test(refuses_damage),      cmocka_unit_test(notes_transparency),
        cmocka_unit_test(finds_recipes),  cmocka_unit_test(refuses_bad_recipes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
