/* SPDX-License-Identifier: Apache-2.0 */
/* interpolate.c - resizing as torch's interpolate without antialiasing does it, and OpenCV but for its fixed point (within 1 of 255); and scipy's zoom
 * behind a Gaussian: for the classes that use these, and for Paddle's files.
 *
 * Each side has taps of its own, and sums are of floats, rounded to 8 bits at the end alone: a bicubic overshoot of the one side must
 * reach the other. An output row needs a handful of rows, which are weighed first; then its columns.
 */
#include "picture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Where an output position takes from: at[first] .. at[first + count - 1], weights `stride` apart. */
typedef struct side_taps {
    int32_t *first, *count;
    float *weights;
    int32_t stride;
} side_taps;

static void free_taps(side_taps *t) {
    free(t->first);
    free(t->count);
    free(t->weights);
}

/* Keys 1981, with torch's a */
static double cubic_at(double x) {
    const double a = -0.75;
    x = fabs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

/* The nearest element for places outside; scipy's mirror does not repeat the edge. */
static int64_t inside(vj_resampling how, int64_t i, int64_t size) {
    if (how != VJ_RESAMPLE_GAUSS) return i < 0 ? 0 : i < size ? i : size - 1;
    if (size == 1) return 0;
    const int64_t period = 2 * (size - 1), at = ((i % period) + period) % period;
    return at < size ? at : period - at;
}

/* The Gaussian in front of the interpolation: weights for -radius .. radius. */
typedef struct blur {
    double *weights;
    int32_t radius;
} blur;

static bool make_blur(vj_filter filter, vj_resampling how, int32_t from, int32_t to, blur *b) {
    const bool blurs = how == VJ_RESAMPLE_GAUSS && filter != VJ_NEAREST && from > to;
    const double sigma = blurs ? ((double)from / to - 1) / 2 : 0;
    double sum = 0;
    b->radius = (int32_t)(4 * sigma + 0.5);
    b->weights = malloc(((size_t)b->radius * 2 + 1) * sizeof *b->weights);
    for (int32_t i = -b->radius; i <= b->radius && b->weights; i++)
        sum += b->weights[i + b->radius] = b->radius ? exp(-0.5 * i * i / (sigma * sigma)) : 1;
    for (int32_t i = 0; i <= 2 * b->radius && b->weights; i++)
        b->weights[i] /= sum;
    return b->weights != NULL;
}

static double place_of(vj_filter filter, vj_resampling how, int32_t i, int32_t from, int32_t to) {
    if (how == VJ_RESAMPLE_PLAIN && filter == VJ_NEAREST)
        return floor(i * (1 / ((double)to / from))); /* as OpenCV rounds */
    if (how == VJ_RESAMPLE_CORNERS) return to > 1 ? (double)i * (from - 1) / (to - 1) : 0;
    return (i + 0.5) * from / to - 0.5;
}

/* The taps of position i; `w` has room for a weight of each element. */
static void add_taps(vj_filter filter, vj_resampling how, const blur *b, int32_t i, int32_t from, int32_t to,
                     side_taps *t) {
    const bool cubic = filter == VJ_BICUBIC && how != VJ_RESAMPLE_GAUSS;
    const double place = place_of(filter, how, i, from, to), part = place - floor(place);
    const int64_t base = (int64_t)floor(place), low = base - cubic - b->radius, high = base + 1 + cubic + b->radius;
    int64_t first = from, last = 0;
    for (int64_t at = low; at <= high; at++) {
        const int64_t in = inside(how, at, from);
        if (in < first) first = in;
        if (in > last) last = in;
    }
    float *w = t->weights + (size_t)i * (size_t)t->stride;
    t->first[i] = (int32_t)first;
    t->count[i] = (int32_t)(last - first + 1);
    for (int32_t k = -(int32_t)cubic; k <= 1 + (int32_t)cubic; k++) {
        const double weight = cubic ? cubic_at(part - k) : k ? part : 1 - part;
        for (int32_t r = -b->radius; r <= b->radius; r++)
            w[inside(how, base + k + r, from) - first] += (float)(weight * b->weights[r + b->radius]);
    }
}

static bool make_taps(vj_filter filter, vj_resampling how, int32_t from, int32_t to, side_taps *t) {
    blur b = {0};
    *t = (side_taps){0};
    if (!make_blur(filter, how, from, to, &b)) return false;
    const int64_t span = 2 * (int64_t)b.radius + 4; /* what is mirrored lies in the span beside it */
    t->stride = (int32_t)(2 * span < from ? 2 * span : from);
    t->first = malloc((size_t)to * sizeof *t->first);
    t->count = malloc((size_t)to * sizeof *t->count);
    t->weights = calloc((size_t)to * (size_t)t->stride, sizeof *t->weights);
    const bool good = t->first && t->count && t->weights;
    for (int32_t i = 0; i < to && good; i++)
        add_taps(filter, how, &b, i, from, to, t);
    free(b.weights);
    return good;
}

/* A row of floats from the rows that it takes. */
static void weigh_rows(const vj_picture *from, const side_taps *t, int32_t y, float *restrict row) {
    const size_t width = (size_t)from->width * (size_t)from->channels;
    const float *weights = t->weights + (size_t)y * (size_t)t->stride;
    memset(row, 0, width * sizeof *row);
    for (int32_t j = 0; j < t->count[y]; j++) {
        const uint8_t *restrict in = from->pixels + (size_t)(t->first[y] + j) * width;
        for (size_t x = 0; x < width; x++)
            row[x] += weights[j] * in[x];
    }
}

static void weigh_columns(const float *row, const side_taps *t, int32_t width, int32_t channels, uint8_t *to) {
    for (int32_t x = 0; x < width; x++) {
        const float *weights = t->weights + (size_t)x * (size_t)t->stride;
        const float *in = row + (size_t)t->first[x] * (size_t)channels;
        for (int32_t c = 0; c < channels; c++) {
            float sum = 0;
            for (int32_t j = 0; j < t->count[x]; j++)
                sum += weights[j] * in[j * channels + c];
            *to++ = (uint8_t)lrintf(fminf(fmaxf(sum, 0), 255));
        }
    }
}

bool vj_interpolate(const vj_picture *from, int32_t width, int32_t height, vj_filter filter, vj_resampling how,
                    vj_picture *to, vj_why *why) {
    side_taps rows = {0}, columns = {0};
    *to = (vj_picture){0};
    if (!vj_picture_alloc(to, width, height, from->channels, why)) return false;
    float *row = malloc((size_t)from->width * (size_t)from->channels * sizeof *row);
    const bool good = row && make_taps(filter, how, from->height, height, &rows) &&
                      make_taps(filter, how, from->width, width, &columns);
    for (int32_t y = 0; y < height && good; y++) {
        weigh_rows(from, &rows, y, row);
        weigh_columns(row, &columns, width, from->channels,
                      to->pixels + (size_t)y * (size_t)width * (size_t)to->channels);
    }
    free(row);
    free_taps(&rows);
    free_taps(&columns);
    if (!good) vj_picture_free(to);
    return good || vj_because(why, VJ_SYSTEM, "no memory");
}
