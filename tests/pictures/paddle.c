/* SPDX-License-Identifier: Apache-2.0 */
/* paddle.c - Paddle's files as recipes: YAML, steps, labels, what is refused. What pictures become is compared in recipes.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pictures/paddle/paddle.h"
#include "recipe_of.h"

/* As PaddleOCR 3 exports it, with an alias in a part that nobody reads. */
static const char reader[] = "Global:\n"
                             "  model_name: PP-OCRv5_mobile_rec\n"
                             "Hpi:\n"
                             "  backend_configs:\n"
                             "    paddle_infer:\n"
                             "      trt_dynamic_shapes: &id001\n"
                             "        x:\n"
                             "        - - 1\n"
                             "          - 3\n"
                             "          - 48\n"
                             "          - 160\n"
                             "    tensorrt:\n"
                             "      dynamic_shapes: *id001\n"
                             "PreProcess:\n"
                             "  transform_ops:\n"
                             "  - DecodeImage:\n"
                             "      channel_first: false\n"
                             "      img_mode: BGR\n"
                             "  - MultiLabelEncode:\n"
                             "      gtc_encode: NRTRLabelEncode\n"
                             "  - RecResizeImg:\n"
                             "      image_shape:\n"
                             "      - 3\n"
                             "      - 48\n"
                             "      - 320\n"
                             "  - KeepKeys:\n"
                             "      keep_keys:\n"
                             "      - image\n"
                             "PostProcess:\n"
                             "  name: CTCLabelDecode\n"
                             "  character_dict:\n"
                             "  - '0'\n"
                             "  - 7\n"
                             "  - \"\\u3000\"\n"
                             "  - \xE7\x96\x97\n"
                             "  - ''''\n"
                             "  - '-'\n"
                             "  - '~'\n";

static void reads_blocks(void **state) {
    (void)state;
    static const char *const characters[] = {"", "0", "7", "\xE3\x80\x80", "\xE7\x96\x97", "'", "-", "~", " "};
    const vj_picture_input input = {.dtype = VJ_F32, .channels = 3, .height = 48, .width = 320};
    vj_recipe r;
    vj_why why;
    char text[512];
    int32_t height, width;
    if (!recipe_of("inference.yml", reader, NULL, &r, &why)) fail_msg("%s", why.text);
    assert_int_equal(r.label_count, 9);
    for (int32_t i = 0; i < 9; i++)
        assert_string_equal(r.labels[i], characters[i]);
    vj_recipe_words(&r, &input, text, sizeof text);
    assert_string_equal(text,
                        "height to 48, width at most 320 (bilinear, not antialiased), padded below and right to 48 x "
                        "320 with zeros after mean and std, blue first, / 255, mean 0.5, std 0.5, from inference.yml");
    assert_true(vj_recipe_own_size(&r, &height, &width) && height == 48 && width == 320);
    vj_recipe_free(&r);
}

/* The wide side of a line is pressed where the input has no room for it. */
static void fits_lines(void **state) {
    (void)state;
    static const struct {
        int32_t height, width, input, end;
    } cases[] = {
        {48, 100, 320, 100}, {32, 101, 320, 152}, {20, 400, 320, 320}, {20, 400, 960, 960}, {20, 400, 1000, 960}};
    vj_recipe r;
    vj_why why;
    assert_true(recipe_of("inference.yml", reader, NULL, &r, &why));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        vj_picture_plan plan;
        vj_plan_picture(&r.geometry, cases[i].height, cases[i].width, 48, cases[i].input, &plan);
        assert_int_equal(plan.right, cases[i].end);
        assert_int_equal(plan.bottom, 48);
    }
    vj_recipe_free(&r);
}

/* What a page is resized to. */
static void fits_pages(void **state) {
    (void)state;
    static const struct {
        const char *keys;
        int32_t height, width, to_height, to_width;
    } cases[] = {
        {"{limit_side_len: 960, limit_type: max}", 1000, 2000, 480, 960},
        {"{limit_side_len: 960, limit_type: max}", 100, 200, 96, 192},
        {"{limit_side_len: 736, limit_type: min}", 100, 200, 736, 1472},
        {"{limit_side_len: 64, limit_type: min}", 1000, 5000, 800, 4000},
        {"{limit_side_len: 960, limit_type: resize_long}", 100, 200, 480, 960},
        {"{resize_long: 320}", 100, 200, 320, 640},
        {"null", 1000, 800, 992, 800},
        {"{}", 10, 20, 736, 736},
        {"{limit_side_len: 32}", 80, 112, 64, 128}, /* 2.5 and 3.5 times 32 */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256];
        vj_recipe r;
        vj_why why;
        vj_picture_plan plan;
        snprintf(text, sizeof text, "{PreProcess: {transform_ops: [{DetResizeForTest: %s}]}}", cases[i].keys);
        if (!recipe_of("inference.yml", text, NULL, &r, &why)) fail_msg("%s: %s", text, why.text);
        r.geometry.pad = VJ_PAD_END; /* so that an input with room shows what it is resized to */
        vj_plan_picture(&r.geometry, cases[i].height, cases[i].width, 5000, 5000, &plan);
        if (plan.bottom != cases[i].to_height || plan.right != cases[i].to_width)
            fail_msg("%s at %d x %d: %d x %d", text, cases[i].height, cases[i].width, plan.bottom, plan.right);
        vj_recipe_free(&r);
    }
}

static void names_classes(void **state) {
    (void)state;
    static const char *const names[] = {"0_degree", "90", "1.5", "True", "None"};
    vj_recipe r;
    vj_why why;
    assert_true(recipe_of("inference.yml",
                          "PreProcess:\n  transform_ops:\n  - ResizeImage: {resize_short: 256}\n"
                          "PostProcess:\n  Topk:\n    topk: 5\n    label_list: [0_degree, 90, 1.5, true, null]\n",
                          NULL, &r, &why));
    assert_int_equal(r.label_count, 5);
    for (int32_t i = 0; i < 5; i++)
        assert_string_equal(r.labels[i], names[i]);
    vj_recipe_free(&r);
    assert_true(
        recipe_of("infer_cfg.yml", "Preprocess:\n- type: Permute\nlabel_list:\n- person\n- car\n", NULL, &r, &why));
    assert_int_equal(r.label_count, 2);
    assert_string_equal(r.labels[1], "car");
    assert_string_equal(r.source, "infer_cfg.yml");
    vj_recipe_free(&r);
}

/* Others have files of this name. */
static void leaves_others(void **state) {
    (void)state;
    vj_recipe r;
    vj_why why;
    assert_true(recipe_of("inference.yml", "model:\n  checkpoint: best.pt\n", NULL, &r, &why));
    assert_true(r.guessed);
    vj_recipe_free(&r);
}

#define STEPS(steps) "{PreProcess: {transform_ops: [" steps "]}}"
#define OCR          "inference.yml"
#define DETECTION    "infer_cfg.yml"

// clang-format off
static const struct {
    const char *file, *text, *word;
    vj_status status;
} refused[] = {
    {OCR, STEPS("{SVTRRecResizeImg: {image_shape: [3, 64, 256]}}"), "the step 'SVTRRecResizeImg' is not followed; options", VJ_UNSUPPORTED},
    {OCR, STEPS("{ResizeImage: {size: 224, interpolation: area}}"), "'interpolation'", VJ_UNSUPPORTED},
    {OCR, STEPS("{ResizeImage: {size: 224, interpolation: linear, backend: pil}}"), "'interpolation'", VJ_UNSUPPORTED},
    {OCR, STEPS("{ResizeImage: {size: 224, mirrored: true}}"), "the key 'mirrored' of the step 'ResizeImage'", VJ_UNSUPPORTED},
    {OCR, STEPS("{CropImage: {size: 20}}, {ResizeImage: {size: 224}}"), "the step 'ResizeImage' behind others", VJ_UNSUPPORTED},
    {OCR, STEPS("{ResizeImage: {size: 224}}, {ResizeImage: {size: 24}}"), "behind others", VJ_UNSUPPORTED},
    {OCR, STEPS("{RecResizeImg: {image_shape: [3, 48, 320]}}, {NormalizeImage: {}}"), "behind others", VJ_UNSUPPORTED},
    {OCR, STEPS("{DecodeImage: {img_mode: GRAY}}"), "'img_mode'", VJ_UNSUPPORTED},
    {OCR, STEPS("{DecodeImage: {channel_first: true}}"), "'channel_first'", VJ_UNSUPPORTED},
    {OCR, STEPS("{NormalizeImage: {channel_num: 4}}"), "'channel_num'", VJ_UNSUPPORTED},
    {OCR, STEPS("{DetResizeForTest: {image_shape: [64, 64], keep_ratio: true}}"), "'keep_ratio'", VJ_UNSUPPORTED},
    {DETECTION, "{Preprocess: [{type: LetterBoxResize, target_size: [320, 320]}]}", "'LetterBoxResize'", VJ_UNSUPPORTED},
    {DETECTION, "{Preprocess: [{type: Permute, to_bgr: true}]}", "'to_bgr'", VJ_UNSUPPORTED},
    {DETECTION, "{Preprocess: [{type: Resize, target_size: 64, interp: 4}]}", "'interp'", VJ_UNSUPPORTED},
    {DETECTION, "{Preprocess: [{type: Pad, size: 700}, {type: PadStride, stride: 32}]}", "'stride'", VJ_UNSUPPORTED},
    {OCR, STEPS("{ResizeImage: {size: 0}}"), "the key 'size'", VJ_BAD_INPUT},
    {OCR, STEPS("{ResizeImage: {size: [224, 99999999999]}}"), "the key 'size'", VJ_BAD_INPUT},
    {OCR, STEPS("{ResizeImage: {size: [1, 2, 3]}}"), "the key 'size'", VJ_BAD_INPUT},
    {OCR, STEPS("{ResizeImage: null}"), "the key 'size'", VJ_BAD_INPUT},
    {OCR, STEPS("{ResizeImage: {resize_short: big}}"), "the key 'resize_short'", VJ_BAD_INPUT},
    {OCR, STEPS("{ResizeImage: {size: 20, interpolation: best}}"), "the key 'interpolation'", VJ_BAD_INPUT},
    {OCR, STEPS("{ResizeImage: {resize_short: 20}}, {CropImage: {size: 21}}"), "'CropImage'", VJ_BAD_INPUT},
    {OCR, STEPS("{NormalizeImage: {mean: [1, 2]}}"), "the key 'mean'", VJ_BAD_INPUT},
    {OCR, STEPS("{NormalizeImage: {std: [0, 1, 1]}}"), "the key 'std'", VJ_BAD_INPUT},
    {OCR, STEPS("{NormalizeImage: {scale: 1./0}}"), "the key 'scale'", VJ_BAD_INPUT},
    {OCR, STEPS("{NormalizeImage: {scale: 1/255 or so}}"), "the key 'scale'", VJ_BAD_INPUT},
    {OCR, STEPS("{RecResizeImg: {image_shape: [2, 48, 320]}}"), "the key 'image_shape'", VJ_BAD_INPUT},
    {OCR, STEPS("{DetResizeForTest: {limit_type: middle}}"), "the key 'limit_type'", VJ_BAD_INPUT},
    {OCR, STEPS("ToCHWImage"), "is not a name with its keys", VJ_BAD_INPUT},
    {OCR, STEPS("{type: 5}"), "is not a name with its keys", VJ_BAD_INPUT},
    {OCR, STEPS("[ToCHWImage]"), "is not a name with its keys", VJ_BAD_INPUT},
    {OCR, STEPS("{ResizeImage: 3}"), "is not a name with its keys", VJ_BAD_INPUT},
    {OCR, "{PreProcess: {transform_ops: 5}}", "no list", VJ_BAD_INPUT},
    {OCR, "PreProcess: 5", "no list", VJ_BAD_INPUT},
    {OCR, "{PreProcess: {transform_ops: []}, PostProcess: {Topk: {label_list: five}}}", "label_list", VJ_BAD_INPUT},
    {OCR, "{PreProcess: {transform_ops: []}, PostProcess: {name: CTCLabelDecode, character_dict: [[a]]}}", "character_dict", VJ_BAD_INPUT},
    {OCR, "PreProcess: [", "inference.yml': line ", VJ_BAD_INPUT},
    {OCR, "", "it is empty", VJ_BAD_INPUT},
};
// clang-format on

static void refuses(void **state) {
    (void)state;
    vj_recipe r;
    vj_why why;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        if (recipe_of(refused[i].file, refused[i].text, NULL, &r, &why)) fail_msg("%s", refused[i].text);
        if (why.status != refused[i].status || !strstr(why.text, refused[i].word) || !strstr(why.text, refused[i].file))
            fail_msg("%s: %d, %s", refused[i].text, (int)why.status, why.text);
    }
    const vj_recipe_options all = {.mean = "0.25", .std = "0.5", .resize = "30"};
    assert_true(recipe_of(refused[0].file, refused[0].text, &all, &r, &why));
    assert_true(r.mean[0] == 0.25 && r.geometry.height == 30 && !r.guessed);
    assert_string_equal(r.source, "the command line");
    vj_recipe_free(&r);
}

/* The text as JSON is that. */
static void expect(const char *text, const char *want) {
    vj_why why;
    cJSON *json = vj_yaml_parse(text, strlen(text), &why);
    if (!json) fail_msg("%s: %s", text, why.text);
    char *got = cJSON_PrintUnformatted(json);
    assert_string_equal(got, want);
    cJSON_free(got);
    cJSON_Delete(json);
}

static void reads_yaml(void **state) {
    (void)state;
    expect("a: [1, -2.5, 1.0e-3, +3, .5, 010, 1e5, 0, 1_000, .inf, ., -]",
           "{\"a\":[1,-2.5,0.001,3,0.5,\"010\",\"1e5\",0,\"1_000\",\".inf\",\".\",\"-\"]}");
    expect("[null, ~, true, False, 'true', \"1\", yes, !!str 5]",
           "[null,null,true,false,\"true\",\"1\",\"yes\",\"5\"]");
    expect("- &a {x: &b [1, 2]}\n- *a\n- *b\n- &b 7\n- *b\n", "[{\"x\":[1,2]},{\"x\":[1,2]},[1,2],7,7]");
    expect("k: |\n  two\n  lines\n1: one\n", "{\"k\":\"two\\nlines\\n\",\"1\":\"one\"}");
    expect("just a text", "\"just a text\"");
}

static void refuse_yaml(const char *text, const char *word) {
    vj_why why;
    if (vj_yaml_parse(text, strlen(text), &why)) fail_msg("%s", text);
    if (!strstr(why.text, word)) fail_msg("%.40s: %s", text, why.text);
    assert_int_equal(why.status, VJ_BAD_INPUT);
}

static void bounds_yaml(void **state) {
    (void)state;
    char laughs[2048] = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n", deep[201] = "";
    for (int i = 1; i < 30; i++)
        snprintf(laughs + strlen(laughs), sizeof laughs - strlen(laughs),
                 "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i, i, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1,
                 i - 1);
    refuse_yaml(laughs, "it becomes too large");
    memset(deep, '[', sizeof deep - 1);
    refuse_yaml(deep, "nested too deep");
    refuse_yaml("a: &a [*a]", "an alias of what it stands in");
    refuse_yaml("a: *b", "an alias of nothing");
    refuse_yaml("{[1]: 2}", "a key that is no text");
    refuse_yaml("&a x: 1\n*a : 2", "a key that is no text");
    refuse_yaml("a: \"\\0\"", "a text with a zero in it");
    refuse_yaml("a: !!binary aGk=", "a tag that is not read");
    refuse_yaml("--- 1\n--- 2\n", "a second document");
    refuse_yaml("a: 'open", "line 1: ");
    refuse_yaml("\xFF\xFE\xFD", "line ");
    refuse_yaml("# nothing\n", "it is empty");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_blocks),  cmocka_unit_test(fits_lines),    cmocka_unit_test(fits_pages),
        cmocka_unit_test(names_classes), cmocka_unit_test(leaves_others), cmocka_unit_test(refuses),
        cmocka_unit_test(reads_yaml),    cmocka_unit_test(bounds_yaml),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
