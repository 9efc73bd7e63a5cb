/* SPDX-License-Identifier: Apache-2.0 */
/* heat.c - draws a map of weights over a picture. The map is resized to the picture, coloured by a ramp and mixed with
 * the picture in grey. */
#include "picture.h"

#include <math.h>

/* Colours from the least weight to the largest: dark blue, purple, red, orange, light yellow. Lightness rises
 * throughout. */
static const uint8_t ramp[][3] = {{0, 0, 20}, {80, 18, 110}, {185, 50, 85}, {245, 125, 20}, {252, 255, 165}};
enum { STEPS = sizeof ramp / sizeof *ramp - 1 };

/* The share of the colour; the rest is the picture. */
#define SHARE 0.6

static double colour(double weight, int32_t channel) {
    const double at = weight * (double)STEPS;
    const int32_t below = at >= (double)STEPS ? STEPS - 1 : (int32_t)at;
    return ramp[below][channel] + (at - below) * (ramp[below + 1][channel] - ramp[below][channel]);
}

static double grey(const vj_picture *picture, size_t i) {
    const uint8_t *p = picture->pixels + i * (size_t)picture->channels;
    return picture->channels == 1 ? p[0] : 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2];
}

/* The weights as a grey picture with a pixel for each weight, scaled from the least to the largest. */
static bool as_picture(const float *weights, int32_t rows, int32_t columns, vj_picture *to, vj_why *why) {
    const size_t count = (size_t)rows * (size_t)columns;
    double least = INFINITY, largest = -INFINITY;
    if (!vj_picture_alloc(to, columns, rows, 1, why)) return false;
    for (size_t i = 0; i < count; i++) {
        if (weights[i] < least) least = weights[i]; /* false for NaN */
        if (weights[i] > largest) largest = weights[i];
    }
    const double range = largest - least;
    for (size_t i = 0; i < count; i++) {
        const double part = (weights[i] - least) / range;
        to->pixels[i] = part >= 0 && part <= 1 ? (uint8_t)lrint(255 * part) : 0;
    }
    return true;
}

bool vj_heat_over(const vj_picture *picture, const float *weights, int32_t rows, int32_t columns, vj_picture *to,
                  vj_why *why) {
    vj_picture small = {0}, map = {0};
    bool good = as_picture(weights, rows, columns, &small, why) &&
                vj_resample(&small, picture->width, picture->height, VJ_BILINEAR, &map, why) &&
                vj_picture_alloc(to, picture->width, picture->height, 3, why);
    const size_t pixels = (size_t)picture->width * (size_t)picture->height;
    for (size_t i = 0; good && i < pixels; i++)
        for (int32_t c = 0; c < 3; c++)
            to->pixels[i * 3 + (size_t)c] =
                (uint8_t)lrint(SHARE * colour(map.pixels[i] / 255.0, c) + (1 - SHARE) * grey(picture, i));
    vj_picture_free(&small);
    vj_picture_free(&map);
    return good;
}
