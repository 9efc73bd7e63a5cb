/* preprocess.c - turns a picture into a model's input: resize, centre crop, scale, mean and std, plane by plane. */
#include "picture.h"

#include <math.h>
#include <string.h>

/* Where a centred part begins. Halves are rounded to even, like Python's round, or down. */
static int32_t centre(int32_t whole, int32_t part, bool floor_crop) {
    const double half = (whole - part) / 2.0;
    return (int32_t)(floor_crop ? floor(half) : nearbyint(half));
}

/* Converts a picture to grey for a model of one channel (ITU-R 601-2 luma in 16-bit fixed point, as Pillow's
 * convert("L")), to colour for others. */
static bool convert(const vj_picture *from, int32_t channels, vj_picture *to, vj_why *why) {
    if (!vj_picture_alloc(to, from->width, from->height, channels, why)) return false;
    const size_t pixels = (size_t)from->width * (size_t)from->height;
    const uint8_t *in = from->pixels;
    uint8_t *out = to->pixels;
    for (size_t i = 0; i < pixels; i++, in += from->channels, out += channels) {
        if (channels == from->channels)
            memcpy(out, in, (size_t)channels);
        else if (channels == 1)
            out[0] = (uint8_t)((in[0] * 19595u + in[1] * 38470u + in[2] * 7471u + 0x8000u) >> 16);
        else
            out[0] = out[1] = out[2] = in[0];
    }
    return true;
}

/* The size before the crop: timm's and torchvision's rule for the shorter side. */
static void resized(const vj_picture *picture, const vj_recipe *recipe, int32_t height, int32_t width,
                    int32_t *to_height, int32_t *to_width) {
    if (recipe->mode == VJ_RESIZE_EXACT) {
        *to_height = recipe->resize_height ? recipe->resize_height : height;
        *to_width = recipe->resize_width ? recipe->resize_width : width;
        return;
    }
    const int32_t target =
        recipe->resize ? recipe->resize : (int32_t)floor((height < width ? height : width) / recipe->crop_pct);
    const int32_t shorter = picture->width < picture->height ? picture->width : picture->height;
    const int32_t longer = picture->width < picture->height ? picture->height : picture->width;
    const int64_t other = (int64_t)target * longer / shorter;
    const int32_t far = other > INT32_MAX ? INT32_MAX : (int32_t)other;
    *to_width = picture->width <= picture->height ? target : far;
    *to_height = picture->width <= picture->height ? far : target;
}

/* Copies the centre, height x width, of the picture. Beyond the picture's edges it is black, as with torchvision's
 * center_crop. */
static void fill(const vj_picture *picture, const vj_recipe *recipe, int32_t height, int32_t width, float *out) {
    const int32_t top = centre(picture->height, height, recipe->floor_crop);
    const int32_t left = centre(picture->width, width, recipe->floor_crop);
    for (int32_t c = 0; c < picture->channels; c++) {
        const double mean = recipe->mean[recipe->mean_count > 1 ? c : 0],
                     std = recipe->std[recipe->std_count > 1 ? c : 0];
        for (int32_t y = 0; y < height; y++) {
            for (int32_t x = 0; x < width; x++) {
                const int32_t from_y = y + top, from_x = x + left;
                double v = 0;
                if (from_y >= 0 && from_y < picture->height && from_x >= 0 && from_x < picture->width)
                    v = picture->pixels[((size_t)from_y * (size_t)picture->width + (size_t)from_x) *
                                            (size_t)picture->channels +
                                        (size_t)c];
                *out++ = (float)((v * recipe->scale - mean) / std);
            }
        }
    }
}

bool vj_preprocess(const vj_picture *picture, const vj_recipe *recipe, int32_t channels, int32_t height, int32_t width,
                   float *out, vj_why *why) {
    if (channels != 1 && channels != 3) {
        snprintf(why->text, sizeof why->text, "the model wants %d channels; a picture has 1 or 3", channels);
        return false;
    }
    if ((recipe->mean_count > 1 && recipe->mean_count != channels) ||
        (recipe->std_count > 1 && recipe->std_count != channels)) {
        snprintf(why->text, sizeof why->text, "mean and std must have 1 or %d numbers", channels);
        return false;
    }
    vj_picture converted = {0}, small = {0};
    int32_t to_height, to_width;
    resized(picture, recipe, height, width, &to_height, &to_width);
    const bool good = convert(picture, channels, &converted, why) &&
                      vj_resample(&converted, to_width, to_height, recipe->filter, &small, why);
    if (good) fill(&small, recipe, height, width, out);
    vj_picture_free(&converted);
    vj_picture_free(&small);
    return good;
}

bool vj_unprocess(const float *in, const vj_recipe *recipe, int32_t channels, int32_t height, int32_t width,
                  vj_picture *picture, vj_why *why) {
    if (!vj_picture_alloc(picture, width, height, channels, why)) return false;
    const size_t plane = (size_t)width * (size_t)height;
    for (int32_t c = 0; c < channels; c++) {
        const double mean = recipe->mean[recipe->mean_count > 1 ? c : 0],
                     std = recipe->std[recipe->std_count > 1 ? c : 0];
        for (size_t i = 0; i < plane; i++) {
            const double v = (in[(size_t)c * plane + i] * std + mean) / recipe->scale;
            picture->pixels[i * (size_t)channels + (size_t)c] = (uint8_t)lrint(fmin(fmax(v, 0), 255));
        }
    }
    return true;
}
