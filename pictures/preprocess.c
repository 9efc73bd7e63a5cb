/* SPDX-License-Identifier: Apache-2.0 */
/* preprocess.c - turns a picture into a model's input: the steps of its plan, then scale, mean and std, plane by plane. */
#include "picture.h"

#include <math.h>
#include <string.h>

/* Converts a picture to grey for a model of one channel (ITU-R 601-2 luma in 16-bit fixed point, as Pillow's
 * convert("L")), to colour for others. */
static bool convert(const vj_picture *from, int32_t channels, vj_picture *to, vj_why *why) {
    if (!vj_picture_alloc(to, from->width, from->height, channels, why)) return false;
    const size_t pixels = (size_t)from->width * (size_t)from->height;
    const uint8_t *in = from->pixels;
    uint8_t *out = to->pixels;
    for (size_t i = 0; i < pixels; i++, in += from->channels, out += channels) {
        if (channels == 1)
            out[0] = (uint8_t)((in[0] * 19595u + in[1] * 38470u + in[2] * 7471u + 0x8000u) >> 16);
        else
            out[0] = out[1] = out[2] = in[0];
    }
    return true;
}

/* A quarter turn clockwise. */
static void turn(const vj_picture *from, vj_picture *to) {
    const size_t c = (size_t)from->channels;
    uint8_t *out = to->pixels;
    for (int32_t y = 0; y < to->height; y++)
        for (int32_t x = 0; x < to->width; x++, out += c)
            memcpy(out, from->pixels + ((size_t)(from->height - 1 - x) * (size_t)from->width + (size_t)y) * c, c);
}

/* Lays a picture over `to`, which keeps its pixels elsewhere. */
static void lay(const vj_picture *from, const vj_picture_step *step, vj_picture *to) {
    const size_t c = (size_t)from->channels;
    const int32_t first = step->left > 0 ? step->left : 0;
    const int32_t end = step->left + from->width < to->width ? step->left + from->width : to->width;
    for (int32_t y = 0; y < to->height && first < end; y++) {
        const int32_t from_y = y - step->top;
        if (from_y < 0 || from_y >= from->height) continue;
        memcpy(to->pixels + ((size_t)y * (size_t)to->width + (size_t)first) * c,
               from->pixels + ((size_t)from_y * (size_t)from->width + (size_t)(first - step->left)) * c,
               (size_t)(end - first) * c);
    }
}

static void colour(const vj_recipe *recipe, vj_picture *to) {
    const size_t c = (size_t)to->channels, bytes = (size_t)to->width * (size_t)to->height * c;
    if (recipe->geometry.fill != VJ_FILL_COLOUR) memset(to->pixels, 0, bytes);
    for (size_t i = 0; i < bytes && recipe->geometry.fill == VJ_FILL_COLOUR; i++)
        to->pixels[i] = (uint8_t)lrint(fmin(fmax(recipe->colour[i % c], 0), 255));
}

/* The picture, and then back and forth from its edges. */
static int32_t mirrored(int32_t i, int32_t size) {
    const int32_t at = i % (2 * size);
    return at < size ? at : 2 * size - 1 - at;
}

/* The same without the edge once more, on all sides. */
static int32_t reflected(int32_t i, int32_t size) {
    const int32_t period = size > 1 ? 2 * (size - 1) : 1, at = ((i % period) + period) % period;
    return at < size ? at : period - at;
}

static void reflect(const vj_picture *from, const vj_picture_step *step, vj_picture *to) {
    const size_t c = (size_t)from->channels;
    uint8_t *out = to->pixels;
    for (int32_t y = 0; y < to->height; y++) {
        const uint8_t *row = from->pixels + (size_t)reflected(y - step->top, from->height) * (size_t)from->width * c;
        for (int32_t x = 0; x < to->width; x++, out += c)
            memcpy(out, row + (size_t)reflected(x - step->left, from->width) * c, c);
    }
}

static void mirror(const vj_picture *from, vj_picture *to) {
    const size_t c = (size_t)from->channels;
    uint8_t *out = to->pixels;
    for (int32_t y = 0; y < to->height; y++) {
        const uint8_t *row = from->pixels + (size_t)mirrored(y, from->height) * (size_t)from->width * c;
        for (int32_t x = 0; x < to->width; x++, out += c)
            memcpy(out, row + (size_t)mirrored(x, from->width) * c, c);
    }
}

static bool do_step(const vj_picture *from, const vj_recipe *recipe, const vj_picture_step *step, vj_picture *to,
                    vj_why *why) {
    if (step->kind == VJ_STEP_RESIZE && recipe->resampling != VJ_RESAMPLE_PILLOW)
        return vj_interpolate(from, step->width, step->height, recipe->filter, recipe->resampling, to, why);
    if (step->kind == VJ_STEP_RESIZE) return vj_resample(from, step->width, step->height, recipe->filter, to, why);
    if (!vj_picture_alloc(to, step->width, step->height, from->channels, why)) return false;
    if (step->kind == VJ_STEP_TURN) {
        turn(from, to);
    } else if (step->kind == VJ_STEP_MIRROR) {
        mirror(from, to);
    } else if (step->kind == VJ_STEP_REFLECT) {
        reflect(from, step, to);
    } else {
        colour(recipe, to);
        lay(from, step, to);
    }
    return true;
}

/* Does all steps of the plan. *to is the caller's even when one fails. */
static bool follow(const vj_picture *from, const vj_picture_plan *plan, const vj_recipe *recipe, vj_picture *to,
                   vj_why *why) {
    for (int32_t i = 0; i < plan->count; i++) {
        vj_picture next = {0};
        const bool good = do_step(i ? to : from, recipe, &plan->steps[i], &next, why);
        vj_picture_free(to);
        *to = next;
        if (!good) return false;
    }
    return true;
}

static double of_channel(const double *numbers, int32_t count, int32_t c) { return numbers[count > 1 ? c : 0]; }

/* Which channel of a picture plane c of the input holds. */
static int32_t channel_of(const vj_recipe *recipe, int32_t channels, int32_t c) {
    return recipe->bgr ? channels - 1 - c : c;
}

/* Scale, mean and std. Padding after these is 0. */
static void fill(const vj_picture *picture, const vj_recipe *recipe, const vj_picture_plan *plan, float *out) {
    const bool zero = recipe->geometry.pad && recipe->geometry.fill == VJ_FILL_ZERO;
    for (int32_t plane = 0; plane < picture->channels; plane++) {
        const int32_t c = channel_of(recipe, picture->channels, plane);
        const double mean = of_channel(recipe->mean, recipe->mean_count, c),
                     std = of_channel(recipe->std, recipe->std_count, c);
        const uint8_t *in = picture->pixels + c;
        for (int32_t y = 0; y < picture->height; y++) {
            for (int32_t x = 0; x < picture->width; x++, in += picture->channels) {
                const bool padding = zero && (y < plan->top || y >= plan->bottom || x < plan->left || x >= plan->right);
                *out++ = padding ? 0 : (float)((*in * recipe->scale - mean) / std);
            }
        }
    }
}

/* Only a recipe may ask for padding. */
static bool too_small(const vj_picture_plan *plan, int32_t i, vj_why *why) {
    const vj_picture_step *crop = &plan->steps[i];
    if (i == 0)
        return vj_because(why, VJ_BAD_INPUT, "it is smaller than the input, %d x %d", crop->height, crop->width);
    return vj_because(why, VJ_BAD_INPUT, "resized to %d x %d it is smaller than the input, %d x %d",
                      plan->steps[i - 1].height, plan->steps[i - 1].width, crop->height, crop->width);
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
    vj_picture_plan plan;
    vj_picture converted = {0}, made = {0};
    vj_plan_picture(&recipe->geometry, picture->height, picture->width, height, width, &plan);
    for (int32_t i = 0; recipe->geometry.crop_input && i < plan.count; i++)
        if (plan.steps[i].top > 0 || plan.steps[i].left > 0) return too_small(&plan, i, why);
    const bool same = picture->channels == channels;
    const vj_picture *start = same ? picture : &converted;
    const bool good = (same || convert(picture, channels, &converted, why)) && follow(start, &plan, recipe, &made, why);
    if (good) fill(plan.count ? &made : start, recipe, &plan, out);
    vj_picture_free(&converted);
    vj_picture_free(&made);
    return good;
}

void vj_place_picture(const vj_recipe *recipe, int32_t picture_height, int32_t picture_width, int32_t height,
                      int32_t width, vj_placement *p) {
    vj_picture_plan plan;
    int32_t h = picture_height, w = picture_width;
    vj_plan_picture(&recipe->geometry, h, w, height, width, &plan);
    *p = (vj_placement){w, h, width, height, 1, 1, 0, 0};
    for (int32_t i = 0; i < plan.count; i++) {
        const vj_picture_step *step = &plan.steps[i];
        const bool resizes = step->kind == VJ_STEP_RESIZE;
        const double by_x = resizes ? (double)step->width / w : 1, by_y = resizes ? (double)step->height / h : 1;
        p->scale_x *= by_x;
        p->scale_y *= by_y;
        p->shift_x = p->shift_x * by_x + step->left;
        p->shift_y = p->shift_y * by_y + step->top;
        h = step->height;
        w = step->width;
    }
}

bool vj_unprocess(const float *in, const vj_recipe *recipe, int32_t channels, int32_t height, int32_t width,
                  vj_picture *picture, vj_why *why) {
    if (!vj_picture_alloc(picture, width, height, channels, why)) return false;
    const size_t plane = (size_t)width * (size_t)height;
    for (int32_t at = 0; at < channels; at++) {
        const int32_t c = channel_of(recipe, channels, at);
        const double mean = of_channel(recipe->mean, recipe->mean_count, c),
                     std = of_channel(recipe->std, recipe->std_count, c);
        for (size_t i = 0; i < plane; i++) {
            const double v = (in[(size_t)at * plane + i] * std + mean) / recipe->scale;
            picture->pixels[i * (size_t)channels + (size_t)c] = (uint8_t)lrint(fmin(fmax(v, 0), 255));
        }
    }
    return true;
}
