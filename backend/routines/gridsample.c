/* SPDX-License-Identifier: Apache-2.0 */
/* gridsample.c - samples pictures at the points of a grid (ONNX GridSample): the nearest pixel, or a weighted sum of
 * pixels.
 *
 * A point has a coordinate for each of up to three axes, the minor one first. Along an axis it reads up to four pixels
 * with their weights; its samples are all combinations of these. The points are divided among the units. The samples of
 * a block of points are computed once and used for all channels. */
#include "calls.h"

enum { NEAREST, LINEAR, CUBIC };
enum { ZEROS, BORDER, REFLECTION };
#define MOST_TAPS    4
#define MOST_SAMPLES 64
#define BLOCK        64 /* points, or as many as have at most SAMPLES samples */
#define SAMPLES      256

static double floor_of(double x) {
    const double whole = (double)(int64_t)x; /* |x| < 2^41 */
    return whole > x ? whole - 1 : whole;
}

/* x mirrored into [low, high] as often as needed. Far outside, floats could not tell odd from even, so this is in
 * double. */
static double mirror(double x, double low, double high) {
    const double range = high - low;
    if (!(range > 0)) return low;
    if (!(x < low) && !(x > high)) return x;
    const bool below = x < low;
    const double away = below ? low - x : x - high, times = floor_of(away / range), rest = away - times * range;
    const bool odd = times - 2 * floor_of(times / 2) != 0;
    return below == odd ? high - rest : low + rest;
}

#define GRIDSAMPLE(name, type)                                                                                         \
    /* Adding and taking away a number whose last digit is 1 rounds halves to even. */                                 \
    static type round_##name(type x) {                                                                                 \
        const type large = sizeof(type) == 4 ? (type)0x1p23 : (type)0x1p52, size = x < 0 ? -x : x;                     \
        if (!(size < large)) return x;                                                                                 \
        const type whole = (size + large) - large;                                                                     \
        return x < 0 ? -whole : whole;                                                                                 \
    }                                                                                                                  \
                                                                                                                       \
    static type floor_##name(type x) {                                                                                 \
        const type whole = round_##name(x);                                                                            \
        return whole > x ? whole - 1 : whole;                                                                          \
    }                                                                                                                  \
                                                                                                                       \
    typedef struct axis_##name {                                                                                       \
        int64_t size, stride;                                                                                          \
        type low, high; /* where pictures end */                                                                       \
        int64_t mode, padding;                                                                                         \
        bool align;                                                                                                    \
    } axis_##name;                                                                                                     \
                                                                                                                       \
    typedef struct taps_##name {                                                                                       \
        int64_t count, at[MOST_TAPS]; /* elements; -1: outside, where nothing is */                                    \
        type weight[MOST_TAPS];                                                                                        \
    } taps_##name;                                                                                                     \
                                                                                                                       \
    static int64_t pixel_##name(const axis_##name *a, type x) {                                                        \
        const type last = (type)(a->size - 1);                                                                         \
        if (a->padding == ZEROS && !(x >= 0 && x <= last)) return -1;                                                  \
        if (a->padding == REFLECTION) x = (type)mirror((double)x, (double)a->low, (double)a->high);                    \
        const int64_t at = x > 0 ? x < last ? (int64_t)x : a->size - 1 : 0;                                            \
        return at * a->stride;                                                                                         \
    }                                                                                                                  \
                                                                                                                       \
    /* Keys' kernel with a = -3/4, at 1 + t, t, 1 - t and 2 - t; the outer ones as products, without cancellation. */  \
    static void cubic_##name(type t, type *weight) {                                                                   \
        const type a = (type) - 0.75, s = 1 - t;                                                                       \
        weight[0] = a * t * s * s;                                                                                     \
        weight[1] = ((a + 2) * t - (a + 3)) * t * t + 1;                                                               \
        weight[2] = ((a + 2) * s - (a + 3)) * s * s + 1;                                                               \
        weight[3] = a * s * t * t;                                                                                     \
    }                                                                                                                  \
                                                                                                                       \
    static void taps_of_##name(const axis_##name *a, type given, taps_##name *taps) {                                  \
        const type size = (type)a->size;                                                                               \
        type x = a->align ? (given + 1) / 2 * (size - 1) : ((given + 1) * size - 1) / 2;                               \
        if (!(x > (type) - 0x1p40 && x < (type)0x1p40)) x = x > 0 ? (type)0x1p40 : (type) - 0x1p40;                    \
        if (a->mode == NEAREST) x = round_##name(x);                                                                   \
        /* The cubic kernel's pixels are each taken inside, as ONNX Runtime and PyTorch do. */                         \
        if (a->padding == BORDER && a->mode != CUBIC && !(x >= a->low && x <= a->high)) x = x > 0 ? size - 1 : 0;      \
        if (a->padding == REFLECTION) x = (type)mirror((double)x, (double)a->low, (double)a->high);                    \
        if (a->mode == NEAREST) {                                                                                      \
            *taps = (taps_##name){1, {pixel_##name(a, x)}, {1}};                                                       \
            return;                                                                                                    \
        }                                                                                                              \
        const type whole = floor_##name(x), part = x - whole;                                                          \
        if (a->mode == LINEAR) {                                                                                       \
            *taps = (taps_##name){2, {pixel_##name(a, whole), pixel_##name(a, whole + 1)}, {1 - part, part}};          \
            return;                                                                                                    \
        }                                                                                                              \
        taps->count = 4;                                                                                               \
        for (int64_t i = 0; i < 4; i++)                                                                                \
            taps->at[i] = pixel_##name(a, whole + (type)(i - 1));                                                      \
        cubic_##name(part, taps->weight);                                                                              \
    }                                                                                                                  \
                                                                                                                       \
    /* All combinations of the taps that lie inside. */                                                                \
    static int64_t combine_##name(const taps_##name *taps, int64_t *at, type *weight) {                                \
        int64_t count = 0;                                                                                             \
        for (int64_t k = 0; k < taps[2].count; k++)                                                                    \
            for (int64_t j = 0; j < taps[1].count; j++)                                                                \
                for (int64_t i = 0; i < taps[0].count; i++) {                                                          \
                    if (taps[0].at[i] < 0 || taps[1].at[j] < 0 || taps[2].at[k] < 0) continue;                         \
                    at[count] = taps[0].at[i] + taps[1].at[j] + taps[2].at[k];                                         \
                    weight[count++] = taps[2].weight[k] * taps[1].weight[j] * taps[0].weight[i];                       \
                }                                                                                                      \
        return count;                                                                                                  \
    }                                                                                                                  \
                                                                                                                       \
    void vj_routine_gridsample_##name(const type *x, const type *grid, type *y, int64_t images, int64_t channels,      \
                                      int64_t depth, int64_t height, int64_t width, int64_t places, int64_t axes,      \
                                      int64_t mode, int64_t padding, int64_t align, int64_t units, int64_t first,      \
                                      int64_t last) {                                                                  \
        const int64_t size[3] = {width, height, depth}, stride[3] = {1, width, width * height};                        \
        const int64_t plane = width * height * depth, end = part_of(images * places, last, units);                     \
        axis_##name axis[3];                                                                                           \
        for (int64_t a = 0; a < 3; a++)                                                                                \
            axis[a] = (axis_##name){                                                                                   \
                size[a], stride[a], align ? 0 : (type) - 0.5, (type)(size[a] - 1) + (align ? 0 : (type)0.5), mode,     \
                padding, align != 0};                                                                                  \
        for (int64_t p = part_of(images * places, first, units); p < end;) {                                           \
            const int64_t image = p / places;                                                                          \
            int64_t at[SAMPLES + MOST_SAMPLES], starts[BLOCK + 1], count = 0;                                          \
            starts[0] = 0;                                                                                             \
            type weight[SAMPLES + MOST_SAMPLES];                                                                       \
            while (count < BLOCK && starts[count] < SAMPLES && p + count < end && (p + count) / places == image) {     \
                taps_##name taps[3];                                                                                   \
                taps[2] = (taps_##name){1, {0}, {1}};                                                                  \
                for (int64_t a = 0; a < axes; a++)                                                                     \
                    taps_of_##name(&axis[a], grid[(p + count) * axes + a], &taps[a]);                                  \
                starts[count + 1] = starts[count] + combine_##name(taps, at + starts[count], weight + starts[count]);  \
                count++;                                                                                               \
            }                                                                                                          \
            for (int64_t c = 0; c < channels; c++) {                                                                   \
                const type *from = x + (image * channels + c) * plane;                                                 \
                type *to = y + (image * channels + c) * places + p % places;                                           \
                for (int64_t j = 0; j < count; j++) {                                                                  \
                    type sum = 0;                                                                                      \
                    for (int64_t i = starts[j]; i < starts[j + 1]; i++)                                                \
                        sum += weight[i] * from[at[i]];                                                                \
                    to[j] = sum;                                                                                       \
                }                                                                                                      \
            }                                                                                                          \
            p += count;                                                                                                \
        }                                                                                                              \
    }

FOR_FLOATS(GRIDSAMPLE)
