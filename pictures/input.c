/* SPDX-License-Identifier: Apache-2.0 */
/* input.c - pre-processed pictures in the type and the order of dims that a model's input has, and back. In between is what
 * preprocess.c makes: planes of floats. */
#include "picture.h"

#include <stdlib.h>
#include <string.h>

#include "vitjit_half.h"

enum { MOST_SIDE = 1 << 15 };

static size_t element_bytes(vj_dtype dtype) {
    switch (dtype) {
    case VJ_F32:
        return 4;
    case VJ_F16:
        return 2;
    case VJ_U8:
        return 1;
    default:
        return 0;
    }
}

static size_t elements(const vj_picture_input *input) {
    return (size_t)input->channels * (size_t)input->height * (size_t)input->width;
}

size_t vj_picture_input_bytes(const vj_picture_input *input) { return elements(input) * element_bytes(input->dtype); }

static bool is_channels(int64_t dim) { return dim == 1 || dim == 3; }

/* The reason why such a tensor holds no pictures, or NULL. [N,1,h,1] and the like have their channels first. */
static const char *unfit(vj_dtype dtype, int32_t rank, const int64_t *dims, vj_picture_input *input) {
    if (!element_bytes(dtype)) return "its type is not f32, f16 or u8";
    if (rank == 5 && dims[1] == 2) return "its input is pairs of pictures, [N,2,C,H,W]";
    if (rank != 4) return "its input is not [N,C,H,W] or [N,H,W,C]";
    const bool last = !is_channels(dims[1]) && is_channels(dims[3]);
    if (!last && !is_channels(dims[1])) return "its input has neither 1 nor 3 channels";
    const int64_t height = dims[last ? 1 : 2], width = dims[last ? 2 : 3];
    if (height < 1 || width < 1) return "the height or the width of its input is open";
    if (height > MOST_SIDE || width > MOST_SIDE) return "its input is too large";
    *input = (vj_picture_input){.dtype = dtype,
                                .channels = (int32_t)dims[last ? 3 : 1],
                                .height = (int32_t)height,
                                .width = (int32_t)width,
                                .channels_last = last};
    return NULL;
}

vj_status vj_picture_input_of(vj_dtype dtype, int32_t rank, const int64_t *dims, vj_picture_input *input, vj_why *why) {
    const char *reason = unfit(dtype, rank, dims, input);
    if (!reason) return VJ_OK;
    if (why) vj_because(why, VJ_UNSUPPORTED, "%s", reason);
    *input = (vj_picture_input){0};
    return VJ_UNSUPPORTED;
}

/* The same steps without scale, mean and deviation: what inputs of bytes want. */
static vj_recipe without_numbers(const vj_recipe *recipe) {
    vj_recipe raw = *recipe;
    raw.scale = 1;
    raw.mean_count = raw.std_count = 1;
    raw.mean[0] = 0;
    raw.std[0] = 1;
    return raw;
}

/* Where element (plane c, pixel i) stands. */
static size_t place(const vj_picture_input *input, size_t c, size_t i) {
    const size_t pixels = (size_t)input->height * (size_t)input->width;
    return input->channels_last ? i * (size_t)input->channels + c : c * pixels + i;
}

static void store(const vj_picture_input *input, const float *planes, void *out) {
    const size_t pixels = (size_t)input->height * (size_t)input->width;
    for (size_t c = 0; c < (size_t)input->channels; c++) {
        for (size_t i = 0; i < pixels; i++) {
            const float x = planes[c * pixels + i];
            const size_t at = place(input, c, i);
            if (input->dtype == VJ_F32)
                ((float *)out)[at] = x;
            else if (input->dtype == VJ_F16)
                ((uint16_t *)out)[at] = vj_f16_of_f32(x);
            else
                ((uint8_t *)out)[at] = (uint8_t)x;
        }
    }
}

static void load(const vj_picture_input *input, const void *in, float *planes) {
    const size_t pixels = (size_t)input->height * (size_t)input->width;
    for (size_t c = 0; c < (size_t)input->channels; c++) {
        for (size_t i = 0; i < pixels; i++) {
            const size_t at = place(input, c, i);
            planes[c * pixels + i] = input->dtype == VJ_F32   ? ((const float *)in)[at]
                                     : input->dtype == VJ_F16 ? vj_f32_of_f16(((const uint16_t *)in)[at])
                                                              : (float)((const uint8_t *)in)[at];
        }
    }
}

static bool prepare(const vj_picture *picture, const vj_recipe *recipe, const vj_picture_input *input, void *out,
                    vj_why *why) {
    const vj_recipe raw = without_numbers(recipe);
    if (input->dtype == VJ_F32 && !input->channels_last)
        return vj_preprocess(picture, recipe, input->channels, input->height, input->width, out, why);
    float *planes = malloc(elements(input) * sizeof *planes);
    if (!planes) return vj_because(why, VJ_SYSTEM, "out of memory");
    const bool good = vj_preprocess(picture, input->dtype == VJ_U8 ? &raw : recipe, input->channels, input->height,
                                    input->width, planes, why);
    if (good) store(input, planes, out);
    free(planes);
    return good;
}

static bool makes_sense(const vj_picture *picture, const vj_picture_input *input, size_t bytes) {
    return picture->pixels && is_channels(picture->channels) && picture->width > 0 && picture->height > 0 &&
           picture->height <= VJ_PICTURE_MAX_PIXELS / picture->width && is_channels(input->channels) &&
           input->height > 0 && input->width > 0 && input->height <= MOST_SIDE && input->width <= MOST_SIDE &&
           element_bytes(input->dtype) && bytes == vj_picture_input_bytes(input);
}

vj_status vj_picture_prepare(const vj_picture *picture, const vj_recipe *recipe, const vj_picture_input *input,
                             void *out, size_t bytes, vj_why *why) {
    vj_why unwanted;
    if (!why) why = &unwanted;
    *why = (vj_why){0};
    if (!makes_sense(picture, input, bytes)) {
        vj_because(why, VJ_USAGE, "a picture or an input without pixels, or memory of another size");
        return VJ_USAGE;
    }
    if (prepare(picture, recipe, input, out, why)) return VJ_OK;
    return why->status ? why->status : VJ_BAD_INPUT;
}

bool vj_unprepare(const void *in, const vj_recipe *recipe, const vj_picture_input *input, vj_picture *picture,
                  vj_why *why) {
    const vj_recipe raw = without_numbers(recipe);
    float *planes = malloc(elements(input) * sizeof *planes);
    if (!planes) return vj_because(why, VJ_SYSTEM, "out of memory");
    load(input, in, planes);
    const bool good = vj_unprocess(planes, input->dtype == VJ_U8 ? &raw : recipe, input->channels, input->height,
                                   input->width, picture, why);
    free(planes);
    return good;
}
