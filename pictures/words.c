/* SPDX-License-Identifier: Apache-2.0 */
/* words.c - says what a recipe does, step by step, for an input of one size. */
#include "picture.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

/* Text that grows until the room is full. */
typedef struct words {
    char *text;
    size_t room, used;
} words;

__attribute__((format(printf, 2, 3))) static void say(words *w, const char *format, ...) {
    va_list list;
    va_start(list, format);
    const int n = vsnprintf(w->text + w->used, w->room - w->used, format, list);
    va_end(list);
    if (n > 0) w->used += (size_t)n < w->room - w->used ? (size_t)n : w->room - w->used - 1;
}

static void say_resize(words *w, const vj_geometry *g) {
    const char *only = g->shrink_only ? "shrunk" : g->grow_only ? "enlarged" : "resized";
    switch (g->mode) {
    case VJ_RESIZE_EXACT:
        say(w, "resized to %d x %d", g->height, g->width);
        break;
    case VJ_RESIZE_SHORTEST:
        say(w, "shorter side to %d", g->height);
        if (g->longest) say(w, ", longer at most %d", g->longest);
        break;
    case VJ_RESIZE_LONGEST:
        say(w, "longer side to %d", g->height);
        break;
    case VJ_RESIZE_COVER:
        say(w, "%s to cover %d x %d", only, g->height, g->width);
        if (g->longest) say(w, ", longer side at most %d", g->longest);
        break;
    case VJ_RESIZE_FIT:
        say(w, "%s to fit %d x %d", only, g->height, g->width);
        break;
    case VJ_RESIZE_HEIGHT:
        say(w, "height to %d, width at most %d", g->height, g->width);
        break;
    case VJ_RESIZE_NEARER:
        say(w, "height to %d or width to %d, whichever changes less", g->height, g->width);
        break;
    default:
        say(w, "not resized");
        break;
    }
    if (g->multiple > 1)
        say(w, ", %s to multiples of %d",
            g->multiple_rounding == VJ_ROUND_UP     ? "up"
            : g->multiple_rounding == VJ_ROUND_DOWN ? "down"
                                                    : "rounded",
            g->multiple);
}

static void say_numbers(words *w, const double *numbers, int32_t count) {
    for (int32_t i = 0; i < count; i++)
        say(w, "%s%.4g", i ? "," : " ", numbers[i]);
}

static void say_colour(words *w, const double *colour) {
    say(w, " with the colour");
    say_numbers(w, colour, 3);
}

static void say_filling(words *w, const vj_recipe *recipe) {
    const vj_geometry *g = &recipe->geometry;
    if (g->pad == VJ_PAD_MIRROR)
        say(w, " with what is mirrored");
    else if (g->fill != VJ_FILL_COLOUR)
        say(w, " with %s", g->fill == VJ_FILL_ZERO ? "zeros after mean and std" : "black");
    else
        say_colour(w, recipe->colour);
}

static void say_before(words *w, const vj_recipe *recipe) {
    const vj_geometry *g = &recipe->geometry;
    if (g->turn) say(w, "turned where it lies across, ");
    if (g->cut_height > 0) say(w, "centre cut to %.4g x %.4g of the shorter side, ", g->cut_height, g->cut_width);
    if (g->border) say(w, "what is mirrored around it, ");
    if (g->square) {
        say(w, "padded to a square");
        say_filling(w, recipe);
        say(w, ", ");
    }
}

/* What makes the result as large as the input. */
static void say_after(words *w, const vj_recipe *recipe, const vj_geometry *g, int32_t height, int32_t width) {
    const bool short_of = g->crop_height && !g->crop_input && g->mode != VJ_RESIZE_NONE &&
                          (g->height < g->crop_height || (g->width && g->width < g->crop_width));
    if (g->within_height) say(w, ", shrunk to fit %d x %d", g->within_height, g->within_width);
    if (g->crop_height) {
        say(w, ", centre crop %d x %d", g->crop_height, g->crop_width);
        if (g->mode == VJ_RESIZE_FIT || short_of) {
            say(w, " padded");
            say_filling(w, recipe);
        }
    } else if (!g->pad && (g->mode != VJ_RESIZE_EXACT || g->height != height || g->width != width)) {
        say(w, "; where that is not %d x %d, resized to %s", height, width,
            g->squash ? "it" : "cover it and cropped to its centre");
    }
    if (!g->pad) return;
    say(w, ", padded %s to %d x %d", g->pad == VJ_PAD_CENTRE ? "on all sides" : "below and right", height, width);
    say_filling(w, recipe);
    if (!g->pad_height) say(w, "; where it is not that small, shrunk to fit");
}

/* Inputs of bytes take the pixels as they are. */
static void say_arithmetic(words *w, const vj_recipe *recipe, vj_dtype dtype) {
    const double inverse = 1 / recipe->scale;
    if (dtype == VJ_U8) {
        say(w, ", pixels as they are (0 to 255)");
        return;
    }
    if (recipe->scale != 1 && fabs(2 * inverse - nearbyint(2 * inverse)) < 1e-9 * inverse)
        say(w, ", / %.6g", inverse);
    else if (recipe->scale != 1)
        say(w, ", x %.6g", recipe->scale);
    say(w, ", mean");
    say_numbers(w, recipe->mean, recipe->mean_count);
    say(w, ", std");
    say_numbers(w, recipe->std, recipe->std_count);
}

static void say_filter(words *w, const vj_recipe *recipe) {
    static const char *const whose[] = {[VJ_RESAMPLE_PILLOW] = "",
                                        [VJ_RESAMPLE_PLAIN] = ", not antialiased",
                                        [VJ_RESAMPLE_CORNERS] = ", not antialiased, corners aligned",
                                        [VJ_RESAMPLE_GAUSS] = ", behind a Gaussian"};
    say(w, " (%s%s)", vj_filter_name(recipe->filter), whose[recipe->resampling]);
}

void vj_recipe_words(const vj_recipe *recipe, const vj_picture_input *input, char *text, size_t room) {
    words w = {text, room, 0};
    const int32_t height = input->height, width = input->width;
    vj_geometry g;
    const bool scaled = vj_geometry_for(&recipe->geometry, height, width, &g);
    *text = 0;
    say_before(&w, recipe);
    if (recipe->geometry.mode == VJ_RESIZE_EXACT && !recipe->geometry.height && recipe->geometry.crop_pct == 1) {
        say(&w, "resized to the input's size");
        say_filter(&w, recipe);
    } else {
        say_resize(&w, &g);
        say_filter(&w, recipe);
        say_after(&w, recipe, &g, height, width);
    }
    if (scaled) say(&w, " (the recipe's sizes, scaled to the input's)");
    if (recipe->bgr) say(&w, ", blue first");
    say_arithmetic(&w, recipe, input->dtype);
    say(&w, ", from %s", recipe->source);
}
