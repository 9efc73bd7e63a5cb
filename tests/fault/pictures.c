/* SPDX-License-Identifier: Apache-2.0 */
/* pictures.c - the picture library with failing memory and failing reads: decoders, recipes, and a picture on its way to an input. Nothing that
 * is missing for want of memory may make another picture of it. */
#include "faults.h"
#include "folder.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vitjit_picture.h"

typedef struct job {
    const char *path; /* a picture, or a model beside which files stand */
    const char *metadata;
    const char *labels;
    uint64_t wanted; /* a sum of the first answer; 0: not yet */
} job;

static uint64_t sum_of(uint64_t sum, const void *data, size_t bytes) {
    const uint8_t *at = data;
    for (size_t i = 0; i < bytes; i++)
        sum = (sum ^ at[i]) * 1099511628211u;
    return sum;
}

static void compare(job *j, uint64_t sum, fault_outcome *out) {
    if (!j->wanted) j->wanted = sum;
    if (j->wanted != sum) snprintf(out->wrong, sizeof out->wrong, "another answer than without the fault");
}

static vj_status take(fault_outcome *out, vj_status status, const vj_why *why) {
    out->status = status;
    snprintf(out->text, sizeof out->text, "%s", why->text);
    return status;
}

static void read_picture(void *self, fault_outcome *out) {
    job *j = self;
    vj_picture picture = {0};
    vj_why why = {0};
    if (take(out, vj_picture_read(j->path, NULL, &picture, &why), &why) == VJ_OK)
        compare(j, sum_of(1, picture.pixels, (size_t)picture.width * (size_t)picture.height * (size_t)picture.channels),
                out);
    vj_picture_free(&picture);
}

static uint64_t sum_of_recipe(const vj_recipe *recipe) {
    const double numbers[] = {vj_recipe_mean(recipe, 0), vj_recipe_deviation(recipe, 1), vj_recipe_label_count(recipe),
                              vj_recipe_guessed(recipe)};
    uint64_t sum = sum_of(1, numbers, sizeof numbers);
    for (int32_t i = 0; i < vj_recipe_label_count(recipe); i++)
        sum = sum_of(sum, vj_recipe_label(recipe, i), strlen(vj_recipe_label(recipe, i)));
    return sum_of(sum, vj_recipe_source(recipe), strlen(vj_recipe_source(recipe)));
}

static void open_recipe(void *self, fault_outcome *out) {
    job *j = self;
    const vj_recipe_options options = {.size = sizeof options, .labels = j->labels};
    vj_recipe *recipe = NULL;
    vj_why why = {0};
    if (take(out, vj_recipe_open(j->path, j->metadata, &options, &recipe, &why), &why) == VJ_OK)
        compare(j, sum_of_recipe(recipe), out);
    vj_recipe_close(recipe);
}

static void prepare(void *self, fault_outcome *out) {
    job *j = self;
    static float data[3 * 24 * 24];
    const int64_t dims[] = {1, 3, 24, 24};
    vj_picture picture = {0};
    vj_recipe *recipe = NULL;
    vj_picture_input input;
    vj_why why = {0};
    vj_status status = vj_recipe_open(j->path, j->metadata, NULL, &recipe, &why);
    if (status == VJ_OK) status = vj_picture_input_of(VJ_F32, 4, dims, &input, &why);
    if (status == VJ_OK) status = vj_picture_read(VJ_PICTURES "formats/progressive.jpg", NULL, &picture, &why);
    if (status == VJ_OK) status = vj_picture_prepare(&picture, recipe, &input, data, sizeof data, &why);
    if (take(out, status, &why) == VJ_OK) compare(j, sum_of(1, data, sizeof data), out);
    vj_picture_free(&picture);
    vj_recipe_close(recipe);
}

static const char preprocessor[] = "{\"image_processor_type\": \"ViTImageProcessor\", \"image_mean\": [0.1, 0.2, 0.3], "
                                   "\"image_std\": [0.5, 0.6, 0.7], "
                                   "\"do_resize\": true, \"size\": {\"height\": 24, \"width\": 24}, \"resample\": 3, "
                                   "\"rescale_factor\": 0.00392156862745098}";
static const char config[] =
    "{\"model_type\": \"vit\", \"image_size\": 24, \"id2label\": {\"0\": \"cat\", \"1\": \"dog\", \"2\": \"newt\"}}";
static const char metadata[] =
    "{\"mean\": \"[0.1, 0.2, 0.3]\", \"std\": \"[0.5, 0.6, 0.7]\", \"interpolation\": \"bicubic\", "
    "\"label_names\": \"[\\\"cat\\\", \\\"dog\\\"]\", \"note\": \"no JSON\"}";

static char model[512], elsewhere[512], names[512];

#define PICTURE(number, file) {.name = file, .work = read_picture, .self = &jobs[number]}

/* libwebp 1.2.4 frees tables of Huffman codes that it could not make. */
#define WEBP(number, file) {.name = file, .work = read_picture, .self = &jobs[number], .fragile = "libwebp.so"}

static job jobs[] = {
    {.path = VJ_PICTURES "formats/progressive.jpg"},
    {.path = VJ_PICTURES "formats/half.jpg"},
    {.path = VJ_PICTURES "data/exif6.jpg"},
    {.path = VJ_PICTURES "data/cmyk.jpg"},
    {.path = VJ_PICTURES "formats/rgb16.png"},
    {.path = VJ_PICTURES "formats/turned.png"},
    {.path = VJ_PICTURES "formats/interlaced.png"},
    {.path = VJ_PICTURES "data/palette.png"},
    {.path = VJ_PICTURES "formats/lossy.webp"},
    {.path = VJ_PICTURES "formats/lossless.webp"},
    {.path = VJ_PICTURES "formats/animated.webp"},
    {.path = VJ_PICTURES "formats/turned.webp"},
    {.path = VJ_PICTURES "formats/rgb24.bmp"},
    {.path = VJ_PICTURES "formats/rgb565.bmp"},
    {.path = model, .metadata = "{}"},
    {.path = elsewhere, .metadata = metadata},
    {.path = elsewhere, .metadata = metadata, .labels = names},
    {.path = model, .metadata = "{}"},
};

int main(int argc, char **argv) {
    static const fault_case cases[] = {
        PICTURE(0, "progressive.jpg"),
        PICTURE(1, "half.jpg"),
        PICTURE(2, "exif6.jpg"),
        PICTURE(3, "cmyk.jpg"),
        PICTURE(4, "rgb16.png"),
        PICTURE(5, "turned.png"),
        PICTURE(6, "interlaced.png"),
        PICTURE(7, "palette.png"),
        WEBP(8, "lossy.webp"),
        WEBP(9, "lossless.webp"),
        WEBP(10, "animated.webp"),
        WEBP(11, "turned.webp"),
        PICTURE(12, "rgb24.bmp"),
        PICTURE(13, "rgb565.bmp"),
        {.name = "recipe of files", .work = open_recipe, .self = &jobs[14], .most = 2000},
        {.name = "recipe of metadata", .work = open_recipe, .self = &jobs[15], .most = 2000},
        {.name = "labels of a file", .work = open_recipe, .self = &jobs[16], .most = 2000},
        {.name = "picture to input", .work = prepare, .self = &jobs[17], .most = 2000},
    };
    if (!folder_make()) return 1;
    snprintf(model, sizeof model, "%s/model.onnx", folder_path());
    snprintf(elsewhere, sizeof elsewhere, "%s/other/model.onnx", folder_path());
    snprintf(names, sizeof names, "%s/names.txt", folder_path());
    write_file(in_folder("preprocessor_config.json"), preprocessor, sizeof preprocessor - 1);
    write_file(in_folder("config.json"), config, sizeof config - 1);
    write_file(names, "ant\nbee\n", 8);
    const int status = fault_main(argc, argv, cases, (int)(sizeof cases / sizeof *cases));
    return folder_remove() ? status : 1;
}
