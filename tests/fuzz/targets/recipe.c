/* SPDX-License-Identifier: Apache-2.0 */
/* recipe.c - the JSON beside a model, in its metadata and in a file of labels. The first byte says which of them the rest is; a byte of
 * 0xff (no UTF-8 has it) ends one and begins the next, whose kind is the byte behind it. */
#include "target.h"

#include "pictures/picture.h"

static const char *const files[] = {"preprocessor_config.json",
                                    "processor_config.json",
                                    "open_clip_config.json",
                                    "config.json",
                                    "labels.txt",
                                    "labels.json"};
enum { FILES = sizeof files / sizeof *files };

static void use(const vj_recipe *recipe) {
    static const uint8_t pixels[5 * 7 * 3] = {255, 1, 2};
    const vj_picture picture = {.width = 7, .height = 5, .channels = 3, .pixels = (uint8_t *)(uintptr_t)pixels};
    const vj_picture_input input = {.dtype = VJ_F32, .channels = 3, .height = 6, .width = 9};
    float out[3 * 6 * 9];
    char text[2048];
    vj_recipe_words(recipe, &input, text, sizeof text);
    (void)vj_picture_prepare(&picture, recipe, &input, out, sizeof out, NULL);
    for (int32_t i = 0; i < vj_recipe_label_count(recipe); i++)
        if (vj_recipe_label(recipe, i)) (void)strlen(vj_recipe_label(recipe, i));
}

static void try_recipe(const char *metadata, const char *labels) {
    char path[1200], list[1200];
    vj_recipe *recipe = NULL;
    vj_why why = {0};
    vj_input_size size;
    snprintf(path, sizeof path, "%s/model.onnx", own_folder());
    snprintf(list, sizeof list, "%s/%s", own_folder(), labels ? labels : "");
    const vj_recipe_options options = {.size = sizeof options, .labels = labels ? list : NULL};
    if (vj_recipe_open(path, metadata, &options, &recipe, &why) == VJ_OK)
        use(recipe);
    else
        MUST(why.text[0] && !recipe);
    vj_recipe_close(recipe);
    vj_input_size_find(path, &size);
    (void)vj_head_find(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    bool there[FILES] = {false};
    char *metadata = NULL;
    for (supply s = {data, size}; s.left > 0;) {
        const int32_t kind = next_byte(&s) % (FILES + 1);
        const uint8_t *end = memchr(s.at, 0xff, s.left);
        const size_t length = end ? (size_t)(end - s.at) : s.left;
        if (kind == FILES) {
            free(metadata);
            metadata = text_copy(s.at, length);
        } else {
            file_in_folder(files[kind], s.at, length);
            there[kind] = true;
        }
        s.at += length + (end != NULL);
        s.left -= length + (end != NULL);
    }
    try_recipe(metadata, there[4] ? files[4] : there[5] ? files[5] : NULL);
    for (int32_t i = 0; i < FILES; i++)
        if (there[i]) file_gone(files[i]);
    free(metadata);
    return 0;
}
