/* SPDX-License-Identifier: Apache-2.0 */
/* recipes.c - compares pre-processing by recipes with what transformers', timm's and OpenCLIP's give (recipes/ is made by make_recipes.py),
 * with what Paddle's steps give (make_paddle.py), and what is refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "recipe_of.h"
#include "vitjit_half.h"

#define TOLERANCE 2 /* of 255 */

static char *slurp(const char *name, size_t *bytes) {
    char path[4096];
    snprintf(path, sizeof path, "%s/recipes/%s", VJ_TEST_DIR, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    fseek(file, 0, SEEK_END);
    *bytes = (size_t)ftell(file);
    rewind(file);
    char *at = malloc(*bytes + 1);
    assert_int_equal(fread(at, 1, *bytes, file), *bytes);
    at[*bytes] = 0;
    fclose(file);
    return at;
}

/* A line of cases.txt. */
typedef struct recorded {
    char *name, *picture, *file, *text;
    int32_t height, width;
    size_t offset;
    double step;
} recorded;

static recorded parse(char *line) {
    char *field[8], *rest = NULL;
    for (int i = 0; i < 8; i++)
        assert_non_null(field[i] = strtok_r(i ? NULL : line, "\t", &rest));
    return (recorded){.name = field[0],
                      .picture = field[1],
                      .height = atoi(field[2]),
                      .width = atoi(field[3]),
                      .offset = (size_t)atol(field[4]),
                      .step = atof(field[5]),
                      .file = field[6],
                      .text = field[7]};
}

static void check(const recorded *c, const char *expected) {
    char path[4096];
    vj_picture picture;
    vj_recipe recipe;
    vj_why why = {0};
    snprintf(path, sizeof path, "%s/recipes/%s", VJ_TEST_DIR, c->picture);
    assert_int_equal(vj_picture_read(path, NULL, &picture, &why), VJ_OK);
    if (!recipe_of(c->file, c->text, NULL, &recipe, &why)) fail_msg("%s: %s", c->name, why.text);
    const size_t count = (size_t)(3 * c->height * c->width);
    float *got = malloc(count * sizeof *got);
    if (!vj_preprocess(&picture, &recipe, 3, c->height, c->width, got, &why)) fail_msg("%s: %s", c->name, why.text);
    for (size_t i = 0; i < count; i++) {
        uint16_t half;
        memcpy(&half, expected + c->offset + i * sizeof half, sizeof half);
        const double want = (double)vj_f32_of_f16(half), off = fabs((double)got[i] - want);
        /* the recorded values are rounded, by at most 2^-11 of themselves */
        if (!(off <= TOLERANCE * c->step + fabs(want) / 2048))
            fail_msg("%s, %s: element %zu is %g, not %g", c->name, c->picture, i, (double)got[i], want);
    }
    assert_false(recipe.guessed);
    free(got);
    vj_recipe_free(&recipe);
    vj_picture_free(&picture);
}

static void follow(const char *names, const char *values, int least) {
    size_t size, bytes;
    char *cases = slurp(names, &size), *expected = slurp(values, &bytes), *rest = NULL;
    int seen = 0;
    for (char *line = strtok_r(cases, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest), seen++) {
        const recorded c = parse(line);
        assert_true(c.offset + (size_t)(3 * c.height * c.width) * 2 <= bytes);
        check(&c, expected);
    }
    assert_true(seen >= least);
    free(cases);
    free(expected);
}

static void follows_processors(void **state) {
    (void)state;
    follow("cases.txt", "expected.bin", 60);
}

static void follows_paddle(void **state) {
    (void)state;
    follow("paddle.txt", "paddle.bin", 13);
}

static void refuses_unknown_types(void **state) {
    (void)state;
    static const struct {
        const char *text, *word;
    } cases[] = {
        {"{\"image_processor_type\": \"FooImageProcessor\"}",
         "'FooImageProcessor' is not followed (the type is unknown)"},
        {"{\"feature_extractor_type\": \"FooFeatureExtractor\", \"size\": 224}", "unknown"},
        {"{\"image_processor_type\": \"Qwen2VLImageProcessorFast\"}", "row of patches"},
        {"{\"image_processor_type\": \"UVDocImageProcessor\"}", "resampling"},
        {"{\"image_processor_type\": \"ZoeDepthImageProcessor\", \"resample\": 3}", "the filter bicubic"},
        {"{\"image_processor_type\": \"Gemma3ImageProcessor\", \"do_pan_and_scan\": true}", "'do_pan_and_scan'"},
        {"{\"image_processor_type\": \"SuperPointImageProcessor\", \"do_grayscale\": true}", "'do_grayscale'"},
    };
    vj_recipe r;
    vj_why why;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (recipe_of("preprocessor_config.json", cases[i].text, NULL, &r, &why)) fail_msg("%s", cases[i].text);
        assert_int_equal(why.status, VJ_UNSUPPORTED);
        if (!strstr(why.text, cases[i].word)) fail_msg("%s: %s", cases[i].text, why.text);
    }
    const vj_recipe_options all = {.mean = "0.25", .std = "0.5", .resize = "30"}, some = {.mean = "0.25"};
    assert_false(recipe_of("preprocessor_config.json", cases[0].text, &some, &r, &why));
    assert_true(recipe_of("preprocessor_config.json", cases[0].text, &all, &r, &why));
    assert_true(r.mean[0] == 0.25 && r.geometry.mode == VJ_RESIZE_SHORTEST && r.geometry.height == 30);
    assert_string_equal(r.source, "the command line");
    vj_recipe_free(&r);
}

static void refuses_nonsense(void **state) {
    (void)state;
    static const char *const texts[] = {
        "{\"image_processor_type\": 5}",
        "{\"image_processor_type\": \"ViTImageProcessor\", \"size\": 0}",
        "{\"image_processor_type\": \"ViTImageProcessor\", \"size\": -3}",
        "{\"image_processor_type\": \"ViTImageProcessor\", \"size\": 1e9}",
        "{\"image_processor_type\": \"ViTImageProcessor\", \"size\": 2.5}",
        "{\"image_processor_type\": \"ViTImageProcessor\", \"size\": \"224\"}",
        "{\"image_processor_type\": \"ViTImageProcessor\", \"size\": {}}",
        "{\"image_processor_type\": \"ViTImageProcessor\", \"size\": {\"height\": 4}}",
        ("{\"image_processor_type\": \"ViTImageProcessor\", "
         "\"size\": {\"height\": 4, \"width\": 4, \"shortest_edge\": 4}}"),
        "{\"image_processor_type\": \"ViTImageProcessor\", \"size\": [1, 2, 3]}",
        "{\"image_processor_type\": \"ViTImageProcessor\", \"size\": {\"depth\": 4}}",
        "{\"image_processor_type\": \"CLIPImageProcessor\", \"crop_size\": {\"height\": 0, \"width\": 1}}",
        "{\"image_processor_type\": \"CLIPImageProcessor\", \"image_std\": [0.5, 0, 0.5]}",
        "{\"image_processor_type\": \"CLIPImageProcessor\", \"image_mean\": [NaN]}",
        "{\"image_processor_type\": \"CLIPImageProcessor\", \"image_mean\": [1e400]}",
        "{\"image_processor_type\": \"CLIPImageProcessor\", \"image_mean\": []}",
        "{\"image_processor_type\": \"CLIPImageProcessor\", \"rescale_factor\": 0}",
        "{\"image_processor_type\": \"CLIPImageProcessor\", \"rescale_factor\": \"1/255\"}",
        "{\"image_processor_type\": \"CLIPImageProcessor\", \"do_resize\": \"yes\"}",
        "{\"image_processor_type\": \"CLIPImageProcessor\", \"do_resize\": 1}",
        "{\"image_processor_type\": \"CLIPImageProcessor\", \"resample\": 6}",
        "{\"image_processor_type\": \"CLIPImageProcessor\", \"resample\": 1.5}",
        "{\"image_processor_type\": \"ConvNextImageProcessor\", \"crop_pct\": 0}",
        "{\"image_processor_type\": \"ConvNextImageProcessor\", \"crop_pct\": 1e-300}",
        "{\"image_processor_type\": \"MaskFormerImageProcessor\", \"size_divisor\": 0}",
        "{\"image_processor_type\": \"PixtralImageProcessor\", \"patch_size\": {\"width\": 4}}",
        "{\"crop_mode\": \"middle\"}",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        vj_recipe r;
        vj_why why;
        if (recipe_of("preprocessor_config.json", texts[i], NULL, &r, &why)) fail_msg("accepted: %s", texts[i]);
        assert_int_not_equal(why.status, VJ_UNSUPPORTED);
        if (!strstr(why.text, "preprocessor_config.json")) fail_msg("%s: %s", texts[i], why.text);
    }
}

/* The input's size wins, and every step is said. */
static void says_every_step(void **state) {
    (void)state;
    static const struct {
        const char *keys;
        int32_t height, width;
        const char *words;
    } cases[] = {
        {"\"DeiTImageProcessor\"", 224, 224,
         "resized to 256 x 256 (bicubic), centre crop 224 x 224, / 255, mean 0.5, std 0.5, from "
         "preprocessor_config.json, DeiT's habits"},
        {"\"CLIPImageProcessor\", \"size\": 256", 112, 112,
         "shorter side to 128 (bicubic), centre crop 112 x 112 (the recipe's sizes, scaled to the input's), / 255"},
        {"\"CLIPImageProcessor\"", 224, 320,
         "resized to cover 224 x 320 (bicubic), centre crop 224 x 320 (the recipe's"},
        {"\"MobileViTImageProcessor\"", 256, 256,
         "shorter side to 224 (bicubic), centre crop 256 x 256 padded with black, blue first, / 255, mean 0, std 1"},
        {"\"DetrImageProcessor\"", 800, 1066,
         "shorter side to 800, longer at most 1333 (bilinear), padded below and right to 800 x 1066 with zeros after "
         "mean and std"},
        {"\"SiglipImageProcessor\", \"size\": 224", 224, 224,
         "; where that is not 224 x 224, resized to cover it and cropped"},
        {"\"LlavaImageProcessor\", \"do_pad\": true", 224, 224,
         "padded to a square with the colour 122,116,104, shorter side"},
        {"\"VivitImageProcessor\"", 224, 224, "/ 127.5, mean 1.5, std 0.5"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        vj_recipe r;
        vj_why why;
        char text[512], words[1024];
        const vj_picture_input input = {
            .dtype = VJ_F32, .channels = 3, .height = cases[i].height, .width = cases[i].width};
        snprintf(text, sizeof text, "{\"image_processor_type\": %s}", cases[i].keys);
        if (!recipe_of("preprocessor_config.json", text, NULL, &r, &why)) fail_msg("%s: %s", text, why.text);
        vj_recipe_words(&r, &input, words, sizeof words);
        if (!strstr(words, cases[i].words)) fail_msg("%s: %s", text, words);
        char few[20]; /* a short room ends the words, and is not left */
        memset(few, '#', sizeof few);
        vj_recipe_words(&r, &input, few, 10);
        assert_true(strlen(few) < 10 && few[10] == '#');
        vj_recipe_free(&r);
    }
}

/* --resize N below the input's size would need padding that nobody asked for. */
static void pads_only_by_recipe(void **state) {
    (void)state;
    const vj_recipe_options small = {.resize = "20"}, large = {.resize = "24"};
    uint8_t pixels[30 * 40 * 3] = {0};
    static float out[3 * 24 * 24];
    const vj_picture picture = {.width = 40, .height = 30, .channels = 3, .pixels = pixels};
    vj_recipe r;
    vj_why why;
    assert_true(recipe_of("config.json", "{}", &small, &r, &why));
    assert_false(vj_preprocess(&picture, &r, 3, 24, 24, out, &why));
    assert_string_equal(why.text, "resized to 20 x 26 it is smaller than the input, 24 x 24");
    vj_recipe_free(&r);
    assert_true(recipe_of("config.json", "{}", &large, &r, &why));
    assert_true(vj_preprocess(&picture, &r, 3, 24, 24, out, &why));
    vj_recipe_free(&r);
}

/* Whatever the picture, the plan of each class ends in the input's size and never at a picture without pixels. */
static void ends_in_the_input(void **state) {
    (void)state;
    static const int32_t sides[] = {1, 2, 31, 224, 1333, 30000};
    static const int32_t inputs[][2] = {{1, 1}, {7, 300}, {224, 224}, {513, 64}};
    enum { SIDES = sizeof sides / sizeof *sides, INPUTS = sizeof inputs / sizeof *inputs };
    const vj_class *class;
    cJSON *none = cJSON_CreateObject();
    for (size_t c = 0; vj_class_at(c, &class); c++) {
        vj_recipe r = {0};
        vj_why why = {0};
        assert_true(vj_recipe_from_keys(&r, class, none, &why));
        for (size_t i = 0; i < SIDES * SIDES * INPUTS; i++) {
            const int32_t *input = inputs[i % INPUTS], h = sides[i / INPUTS % SIDES], w = sides[i / INPUTS / SIDES];
            vj_picture_plan plan;
            vj_plan_picture(&r.geometry, h, w, input[0], input[1], &plan);
            const vj_picture_step *last = plan.count ? &plan.steps[plan.count - 1] : NULL;
            if ((last ? last->height : h) != input[0] || (last ? last->width : w) != input[1])
                fail_msg("%s: %d x %d for %d x %d", class->name, h, w, input[0], input[1]);
            assert_true(plan.count <= VJ_MAX_STEPS);
            for (int32_t s = 0; s < plan.count; s++)
                assert_true(plan.steps[s].height > 0 && plan.steps[s].width > 0);
        }
    }
    cJSON_Delete(none);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_processors),    cmocka_unit_test(follows_paddle),
        cmocka_unit_test(refuses_unknown_types), cmocka_unit_test(refuses_nonsense),
        cmocka_unit_test(says_every_step),       cmocka_unit_test(pads_only_by_recipe),
        cmocka_unit_test(ends_in_the_input),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
