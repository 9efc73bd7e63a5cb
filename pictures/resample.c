/* SPDX-License-Identifier: Apache-2.0 */
/* resample.c - Pillow's Image.resize, so that a picture gives a model the pixels it was trained on: the same bytes.
 *
 * It is a separable convolution. When shrinking, the filter is stretched by the scale (antialiasing). Taps outside the
 * picture are dropped and the rest normalised. Weights are rounded to 22 bits behind the point, so that sums are integers and
 * their order is free. The first pass rounds to 8 bits, so the order of the passes is seen: Pillow begins with the horizontal one, since 13
 * with the vertical one where it takes away more than twice as many rows as the other columns. A side that keeps its size has no pass.
 */
#include "picture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    BITS = 22,     /* of a weight, behind the point */
    LOW_BITS = 11, /* of the low part of a weight */
    LANES = 8,     /* products of 16 bits that an instruction adds up */
    BLOCK = 4096   /* taps whose products of low parts fit 32 bits together: 4096 * 255 * 2047 */
};

static const double pi = 3.14159265358979323846;

static double sinc(double x) { return x == 0 ? 1 : sin(pi * x) / (pi * x); }

static double weight_at(vj_filter filter, double x) {
    if (filter == VJ_BOX) return x > -0.5 && x <= 0.5 ? 1 : 0;
    x = fabs(x);
    switch (filter) {
    case VJ_BILINEAR:
        return x < 1 ? 1 - x : 0;
    case VJ_HAMMING:
        return x < 1 ? sinc(x) * (0.54 + 0.46 * cos(pi * x)) : 0;
    case VJ_BICUBIC: { /* Keys 1981, a = -0.5 */
        const double a = -0.5;
        if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
        return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
    }
    case VJ_LANCZOS:
        return x < 3 ? sinc(x) * sinc(x / 3) : 0;
    default:
        return 0;
    }
}

static double support_of(vj_filter filter) {
    static const double support[VJ_FILTER_COUNT] = {0, 0.5, 1, 1, 2, 3};
    return support[filter];
}

/* The taps of one output position: from[first] .. from[first + count - 1]. */
typedef struct taps {
    int32_t first, count;
} taps;

/* Weights of all output positions, `stride` apart. */
typedef struct kernel {
    taps *at;
    int32_t *weights;
    int16_t *high, *low; /* weight = high << LOW_BITS | low; zeros fill them up to a multiple of LANES */
    int32_t to, stride;
} kernel;

static void free_kernel(kernel *k) {
    free(k->at);
    free(k->weights);
    free(k->high);
    free(k->low);
}

static int32_t rounded(double weight) { return (int32_t)(weight * (1 << BITS) + (weight < 0 ? -0.5 : 0.5)); }

/* In Pillow's order of operations, which decides roundings. */
static taps make_taps(vj_filter filter, double scale, int32_t i, int32_t from, double *w) {
    const double stretch = scale > 1 ? scale : 1, inverse = 1 / stretch;
    const double support = support_of(filter) * stretch, centre = (i + 0.5) * scale;
    const double low = centre - support + 0.5, high = centre + support + 0.5;
    const int32_t first = low < 0 ? 0 : (int32_t)low, last = high > from ? from : (int32_t)high;
    double sum = 0;
    for (int32_t j = first; j < last; j++)
        sum += w[j - first] = weight_at(filter, (j - centre + 0.5) * inverse);
    for (int32_t j = first; j < last && sum != 0; j++)
        w[j - first] /= sum;
    return (taps){first, last - first};
}

static bool make_kernel(vj_filter filter, int32_t from, int32_t to, kernel *k) {
    const double scale = (double)from / to;
    const int32_t most = (int32_t)ceil(support_of(filter) * (scale > 1 ? scale : 1)) * 2 + 1;
    *k = (kernel){.to = to, .stride = (most + LANES - 1) / LANES * LANES};
    const size_t count = (size_t)to * (size_t)k->stride;
    double *exact = malloc((size_t)k->stride * sizeof *exact);
    k->at = malloc((size_t)to * sizeof *k->at);
    k->weights = calloc(count, sizeof *k->weights);
    k->high = calloc(count, sizeof *k->high);
    k->low = calloc(count, sizeof *k->low);
    const bool good = exact && k->at && k->weights && k->high && k->low;
    for (int32_t i = 0; i < to && good; i++) {
        const size_t begin = (size_t)i * (size_t)k->stride;
        k->at[i] = make_taps(filter, scale, i, from, exact);
        for (int32_t j = 0; j < k->at[i].count; j++) {
            const int32_t weight = rounded(exact[j]), low = weight & ((1 << LOW_BITS) - 1);
            k->weights[begin + (size_t)j] = weight;
            k->low[begin + (size_t)j] = (int16_t)low;
            k->high[begin + (size_t)j] = (int16_t)((weight - low) / (1 << LOW_BITS));
        }
    }
    free(exact);
    return good;
}

static uint8_t to_byte(int32_t sum) {
    const int32_t x = sum >> BITS;
    return (uint8_t)(x < 0 ? 0 : x > 255 ? 255 : x);
}

/* A multiple of LANES of products with both parts of the weights: multiply-adds of 16 bits, which any CPU has. */
static int32_t weighed(const int16_t *restrict in, const int16_t *restrict high, const int16_t *restrict low,
                       int32_t count) {
    uint32_t total = 1u << (BITS - 1);
    for (int32_t begin = 0; begin < count; begin += BLOCK) {
        const int32_t end = count - begin < BLOCK ? count : begin + BLOCK;
        int32_t highs = 0, lows = 0;
        for (int32_t j = begin; j < end; j++) {
            highs += in[j] * high[j];
            lows += in[j] * low[j];
        }
        total += ((uint32_t)highs << LOW_BITS) + (uint32_t)lows;
    }
    return (int32_t)total;
}

/* Parts a row into planes of 16 bits. */
static void part(const uint8_t *restrict row, int32_t width, int32_t channels, int16_t *restrict planes, size_t plane) {
    if (channels == 1) {
        for (int32_t x = 0; x < width; x++)
            planes[x] = row[x];
        return;
    }
    int16_t *restrict second = planes + plane, *restrict third = second + plane;
    for (int32_t x = 0; x < width; x++) {
        planes[x] = row[3 * x];
        second[x] = row[3 * x + 1];
        third[x] = row[3 * x + 2];
    }
}

static void resample_row(const int16_t *planes, size_t plane, int32_t channels, const kernel *k, uint8_t *to) {
    for (int32_t i = 0; i < k->to; i++) {
        const size_t begin = (size_t)i * (size_t)k->stride;
        const int32_t count = (k->at[i].count + LANES - 1) & ~(LANES - 1);
        for (int32_t c = 0; c < channels; c++)
            *to++ =
                to_byte(weighed(planes + (size_t)c * plane + k->at[i].first, k->high + begin, k->low + begin, count));
    }
}

/* The same for few taps, where vectors would be mostly zeros. */
static void resample_row_simply(const uint8_t *row, int32_t channels, const kernel *k, uint8_t *to) {
    for (int32_t i = 0; i < k->to; i++) {
        const int32_t *weights = k->weights + (size_t)i * (size_t)k->stride;
        const uint8_t *in = row + (size_t)k->at[i].first * (size_t)channels;
        for (int32_t c = 0; c < channels; c++) {
            int32_t sum = 1 << (BITS - 1);
            for (int32_t j = 0; j < k->at[i].count; j++)
                sum += in[j * channels + c] * weights[j];
            *to++ = to_byte(sum);
        }
    }
}

static bool resample_rows(const vj_picture *from, int32_t width, vj_filter filter, vj_picture *to, vj_why *why) {
    if (!vj_picture_alloc(to, width, from->height, from->channels, why)) return false; /* first: it knows the limit */
    const size_t channels = (size_t)from->channels, plane = (size_t)from->width + LANES;
    kernel k = {0};
    int16_t *planes = calloc(plane * channels, sizeof *planes); /* what stands behind a row has the weight 0 */
    const bool good = planes && make_kernel(filter, from->width, width, &k);
    for (int32_t y = 0; y < from->height && good; y++) {
        const uint8_t *row = from->pixels + (size_t)y * (size_t)from->width * channels;
        uint8_t *out = to->pixels + (size_t)y * (size_t)width * channels;
        if (k.stride <= LANES) {
            resample_row_simply(row, from->channels, &k, out);
            continue;
        }
        part(row, from->width, from->channels, planes, plane);
        resample_row(planes, plane, from->channels, &k, out);
    }
    free(planes);
    free_kernel(&k);
    return good || vj_because(why, VJ_SYSTEM, "out of memory");
}

/* `width` bytes of a row, from rows `stride` apart. */
static void weigh_rows(const uint8_t *restrict in, size_t stride, const int32_t *restrict weights, int32_t count,
                       int32_t width, uint8_t *restrict out) {
    int32_t sums[BLOCK / 4];
    for (int32_t x = 0; x < width; x++)
        sums[x] = 1 << (BITS - 1);
    for (int32_t j = 0; j < count; j++) {
        const uint8_t *restrict row = in + (size_t)j * stride;
        for (int32_t x = 0; x < width; x++)
            sums[x] += row[x] * weights[j];
    }
    for (int32_t x = 0; x < width; x++)
        out[x] = to_byte(sums[x]);
}

static bool resample_columns(const vj_picture *from, int32_t height, vj_filter filter, vj_picture *to, vj_why *why) {
    if (!vj_picture_alloc(to, from->width, height, from->channels, why)) return false;
    const size_t row = (size_t)from->width * (size_t)from->channels;
    kernel k = {0};
    const bool good = make_kernel(filter, from->height, height, &k);
    for (int32_t y = 0; y < height && good; y++) {
        const int32_t *weights = k.weights + (size_t)y * (size_t)k.stride;
        const uint8_t *in = from->pixels + (size_t)k.at[y].first * row;
        for (size_t x = 0; x < row; x += BLOCK / 4) {
            const size_t width = row - x < BLOCK / 4 ? row - x : BLOCK / 4;
            weigh_rows(in + x, row, weights, k.at[y].count, (int32_t)width, to->pixels + (size_t)y * row + x);
        }
    }
    free_kernel(&k);
    return good || vj_because(why, VJ_SYSTEM, "out of memory");
}

/* Which element each one is taken from. Pillow adds steps up, and so rounds each time. */
static int32_t *nearest_places(int32_t from, int32_t to) {
    const double step = (double)from / to;
    int32_t *places = malloc((size_t)to * sizeof *places);
    double at = step * 0.5;
    for (int32_t i = 0; i < to && places; i++, at += step)
        places[i] = at < from ? (int32_t)at : from - 1;
    return places;
}

static bool nearest(const vj_picture *from, int32_t width, int32_t height, vj_picture *to, vj_why *why) {
    const size_t c = (size_t)from->channels;
    int32_t *xs = nearest_places(from->width, width), *ys = nearest_places(from->height, height);
    const bool good = xs && ys, made = good && vj_picture_alloc(to, width, height, from->channels, why);
    for (int32_t y = 0; y < height && made; y++) {
        const uint8_t *row = from->pixels + (size_t)ys[y] * (size_t)from->width * c;
        uint8_t *out = to->pixels + (size_t)y * (size_t)width * c;
        for (int32_t x = 0; x < width; x++, out += c)
            memcpy(out, row + (size_t)xs[x] * c, c);
    }
    free(xs);
    free(ys);
    return good ? made : vj_because(why, VJ_SYSTEM, "out of memory");
}

static bool columns_first(const vj_picture *from, int32_t width, int32_t height) {
    return from->height > height && (int64_t)from->height - height > 2 * ((int64_t)from->width - width);
}

static bool copy(const vj_picture *from, vj_picture *to, vj_why *why) {
    if (!vj_picture_alloc(to, from->width, from->height, from->channels, why)) return false;
    memcpy(to->pixels, from->pixels, (size_t)from->width * (size_t)from->height * (size_t)from->channels);
    return true;
}

static bool both(const vj_picture *from, int32_t width, int32_t height, vj_filter filter, vj_picture *to, vj_why *why) {
    vj_picture half = {0};
    const bool good =
        columns_first(from, width, height)
            ? resample_columns(from, height, filter, &half, why) && resample_rows(&half, width, filter, to, why)
            : resample_rows(from, width, filter, &half, why) && resample_columns(&half, height, filter, to, why);
    vj_picture_free(&half);
    return good;
}

bool vj_resample(const vj_picture *from, int32_t width, int32_t height, vj_filter filter, vj_picture *to, vj_why *why) {
    bool good = false;
    *to = (vj_picture){0};
    if (width == from->width && height == from->height)
        good = copy(from, to, why);
    else if (filter == VJ_NEAREST)
        good = nearest(from, width, height, to, why);
    else if (width == from->width)
        good = resample_columns(from, height, filter, to, why);
    else if (height == from->height)
        good = resample_rows(from, width, filter, to, why);
    else
        good = both(from, width, height, filter, to, why);
    if (!good) vj_picture_free(to);
    return good;
}

static const char *const names[VJ_FILTER_COUNT] = {"nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"};

const char *vj_filter_name(vj_filter filter) { return names[filter]; }

vj_filter vj_filter_by_name(const char *name) {
    for (int32_t i = 0; i < VJ_FILTER_COUNT; i++)
        if (strcmp(names[i], name) == 0) return (vj_filter)i;
    return VJ_FILTER_COUNT;
}
