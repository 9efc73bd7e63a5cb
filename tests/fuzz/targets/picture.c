/* SPDX-License-Identifier: Apache-2.0 */
/* picture.c - the bytes of a picture: JPEG, PNG, WebP, BMP, with EXIF or without. What is decoded becomes an input. */
#include "target.h"

#include "pictures/picture.h"

/* A decoder's work grows with the pixels that a header promises, and pictures of 16 megapixels are not what is looked for. */
static bool is_large(const uint8_t *data, size_t size) {
    int32_t height, width;
    return vj_picture_measure(data, size, &height, &width) && (int64_t)height * width > 1 << 24;
}

static void prepare(const vj_picture *picture, const vj_recipe *recipe, const vj_picture_input *input) {
    const size_t bytes = vj_picture_input_bytes(input);
    void *out = malloc(bytes);
    if (!out) exit(2);
    (void)vj_picture_prepare(picture, recipe, input, out, bytes, NULL);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static vj_recipe *recipe;
    static const vj_picture_input input = {.dtype = VJ_F32, .channels = 3, .height = 8, .width = 8};
    const vj_recipe_options how = {.size = sizeof how, .mean = "0.5", .std = "0.5", .resize = "8"};
    if (!recipe && vj_recipe_open("/nowhere/model.onnx", NULL, &how, &recipe, NULL) != VJ_OK) abort();
    const vj_picture_options fast = {sizeof fast, recipe, &input};
    uint8_t *copy = exact_copy(data, size);
    for (int i = 0; i < 2 && !is_large(copy, size); i++) {
        vj_picture picture;
        vj_why why = {0};
        if (vj_picture_decode(copy, size, i ? &fast : NULL, &picture, &why) == VJ_OK)
            prepare(&picture, recipe, &input);
        else
            MUST(why.text[0] && !picture.pixels);
        vj_picture_free(&picture);
    }
    free(copy);
    return 0;
}
