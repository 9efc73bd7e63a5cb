/* SPDX-License-Identifier: Apache-2.0 */
/* roialign.c - divides regions of pictures into bins (ONNX RoiAlign). A bin is the mean of samples that are
 * interpolated between four pixels, or the largest of their weighted pixels.
 *
 * The regions are divided among the units. The samples of a bin are found once for all channels. Samples outside of the
 * picture count as 0, so that only those inside are visited, however large a region is. */
#include "calls.h"

#define BLOCK 16 /* samples at a time */
#define LANES 64 /* channels at a time, where they are adjacent */

static int64_t clamp(int64_t x, int64_t low, int64_t high) { return x < low ? low : x > high ? high : x; }

/* x as an integer. Numbers beyond +-2^62 are clamped; NaN becomes -2^62. */
static int64_t whole(double x) {
    return x >= 0x1p62 ? (int64_t)1 << 62 : x > -0x1p62 ? (int64_t)x : -((int64_t)1 << 62);
}

#define ROIALIGN(name, type)                                                                                             \
    /* Samples of one bin along one side: sample i is at start + (i + 1/2) * step. */                                    \
    typedef struct side_##name {                                                                                         \
        type start, step;                                                                                                \
        int64_t first, last; /* [first, last): holds all that may be inside */                                           \
        int64_t count, size; /* of all samples; of the picture */                                                        \
    } side_##name;                                                                                                       \
                                                                                                                         \
    typedef struct sample_##name {                                                                                       \
        int64_t at[4];                                                                                                   \
        type weight[4];                                                                                                  \
    } sample_##name;                                                                                                     \
                                                                                                                         \
    static side_##name side_of_##name(type start, type bin_size, int64_t bin, int64_t samples, int64_t size) {           \
        side_##name s = {start + (type)bin * bin_size, bin_size / (type)samples, 0, samples, samples, size};             \
        const double low = (-1.0 - (double)s.start) / (double)s.step,                                                    \
                     high = ((double)size - (double)s.start) / (double)s.step;                                           \
        if (s.step > 0) {                                                                                                \
            s.first = clamp(whole(low) - 2, 0, samples);                                                                 \
            s.last = clamp(whole(high) + 2, 0, samples);                                                                 \
        } else if (!(s.step < 0)) {                                                                                      \
            s.last = s.start >= -1 && s.start <= (type)size ? samples : 0; /* all in one place */                        \
        }                                                                                                                \
        return s;                                                                                                        \
    }                                                                                                                    \
                                                                                                                         \
    /* Pixels low and high, and the part of high. False: the sample is outside. */                                       \
    static inline bool place_##name(const side_##name *s, int64_t i, int64_t *low, int64_t *high, type *part) {          \
        type x = s->start + ((type)i + (type)0.5) * s->step;                                                             \
        if (!(x >= -1 && x <= (type)s->size)) return false;                                                              \
        if (x < 0) x = 0;                                                                                                \
        *low = (int64_t)x;                                                                                               \
        if (*low >= s->size - 1) {                                                                                       \
            *low = *high = s->size - 1;                                                                                  \
            x = (type) * low;                                                                                            \
        } else {                                                                                                         \
            *high = *low + 1;                                                                                            \
        }                                                                                                                \
        *part = x - (type) * low;                                                                                        \
        return true;                                                                                                     \
    }                                                                                                                    \
                                                                                                                         \
    static inline type largest_##name(type a, type b, type c, type d, type e) {                                          \
        const type first = a > b ? a : b, second = c > d ? c : d, both = first > second ? first : second;                \
        return both > e ? both : e;                                                                                      \
    }                                                                                                                    \
                                                                                                                         \
    /* All channels of a bin from these samples; `max`: the largest of the weighted pixels. */                           \
    static void add_##name(const type *x, type *y, int64_t channels, int64_t plane, int64_t bins,                        \
                           const sample_##name *sample, int64_t count, bool max) {                                       \
        for (int64_t c = 0; c < channels; c++, x += plane, y += bins) {                                                  \
            type sum = *y;                                                                                               \
            for (int64_t i = 0; i < count; i++) {                                                                        \
                const sample_##name *s = &sample[i];                                                                     \
                const type p0 = s->weight[0] * x[s->at[0]], p1 = s->weight[1] * x[s->at[1]];                             \
                const type p2 = s->weight[2] * x[s->at[2]], p3 = s->weight[3] * x[s->at[3]];                             \
                sum = max ? largest_##name(p0, p1, p2, p3, sum) : sum + (p0 + p1 + p2 + p3);                             \
            }                                                                                                            \
            *y = sum;                                                                                                    \
        }                                                                                                                \
    }                                                                                                                    \
                                                                                                                         \
    /* The same where channels are adjacent: by vectors. */                                                              \
    static void add_adjacent_##name(const type *x, type *y, int64_t channels, int64_t bins,                              \
                                    const sample_##name *sample, int64_t count, bool max) {                              \
        for (int64_t first = 0; first < channels; first += LANES) {                                                      \
            const int64_t lanes = channels - first < LANES ? channels - first : LANES;                                   \
            type sum[LANES];                                                                                             \
            for (int64_t c = 0; c < lanes; c++)                                                                          \
                sum[c] = y[(first + c) * bins];                                                                          \
            for (int64_t i = 0; i < count; i++) {                                                                        \
                const type *w = sample[i].weight, w0 = w[0], w1 = w[1], w2 = w[2], w3 = w[3];                            \
                const type *a = x + sample[i].at[0] * channels + first, *b = x + sample[i].at[1] * channels + first;     \
                const type *p = x + sample[i].at[2] * channels + first, *q = x + sample[i].at[3] * channels + first;     \
                if (max)                                                                                                 \
                    for (int64_t c = 0; c < lanes; c++)                                                                  \
                        sum[c] = largest_##name(w0 * a[c], w1 * b[c], w2 * p[c], w3 * q[c], sum[c]);                     \
                else                                                                                                     \
                    for (int64_t c = 0; c < lanes; c++)                                                                  \
                        sum[c] += w0 * a[c] + w1 * b[c] + w2 * p[c] + w3 * q[c];                                         \
            }                                                                                                            \
            for (int64_t c = 0; c < lanes; c++)                                                                          \
                y[(first + c) * bins] = sum[c];                                                                          \
        }                                                                                                                \
    }                                                                                                                    \
                                                                                                                         \
    static bool sample_at_##name(const side_##name *v, const side_##name *h, int64_t row, int64_t column,                \
                                 sample_##name *sample) {                                                                \
        int64_t y0, y1, x0, x1;                                                                                          \
        type v1, h1;                                                                                                     \
        if (!place_##name(v, row, &y0, &y1, &v1) || !place_##name(h, column, &x0, &x1, &h1)) return false;               \
        *sample = (sample_##name){{y0 * h->size + x0, y0 * h->size + x1, y1 * h->size + x0, y1 * h->size + x1},          \
                                  {(1 - v1) * (1 - h1), (1 - v1) * h1, v1 * (1 - h1), v1 * h1}};                         \
        return true;                                                                                                     \
    }                                                                                                                    \
                                                                                                                         \
    /* One bin of all channels. A maximum begins with the lowest number, and is at least 0 where a sample is outside. */ \
    static void bin_##name(const type *x, type *y, int64_t channels, int64_t bins, const side_##name *v,                 \
                           const side_##name *h, bool max, bool adjacent) {                                              \
        const double all = (double)v->count * (double)h->count;                                                          \
        const type lowest = max && all > 0 ? (type) - __builtin_inf() : 0;                                               \
        double inside = 0;                                                                                               \
        sample_##name list[BLOCK];                                                                                       \
        int64_t count = 0;                                                                                               \
        for (int64_t c = 0; c < channels; c++)                                                                           \
            y[c * bins] = lowest;                                                                                        \
        for (int64_t row = v->first; row < v->last; row++)                                                               \
            for (int64_t column = h->first; column < h->last; column++) {                                                \
                const bool final = row + 1 == v->last && column + 1 == h->last;                                          \
                count += sample_at_##name(v, h, row, column, &list[count]);                                              \
                if (count < BLOCK && !final) continue;                                                                   \
                if (adjacent)                                                                                            \
                    add_adjacent_##name(x, y, channels, bins, list, count, max);                                         \
                else                                                                                                     \
                    add_##name(x, y, channels, v->size * h->size, bins, list, count, max);                               \
                inside += (double)count;                                                                                 \
                count = 0;                                                                                               \
            }                                                                                                            \
        for (int64_t c = 0; c < channels; c++)                                                                           \
            if (!max)                                                                                                    \
                y[c * bins] = y[c * bins] / (type)(all > 1 ? all : 1);                                                   \
            else if (inside < all && !(y[c * bins] > 0))                                                                 \
                y[c * bins] = 0;                                                                                         \
    }                                                                                                                    \
                                                                                                                         \
    static int64_t samples_##name(int64_t given, type size, int64_t bins) {                                              \
        if (given > 0) return given;                                                                                     \
        const double each = (double)(size / (type)bins);                                                                 \
        const int64_t least = whole(each);                                                                               \
        return each > 0 ? least + ((double)least < each) : 0;                                                            \
    }                                                                                                                    \
                                                                                                                         \
    void vj_routine_roialign_##name(const type *x, const type *rois, const int64_t *batch, type *y, int64_t regions,     \
                                    int64_t images, int64_t channels, int64_t height, int64_t width, int64_t out_h,      \
                                    int64_t out_w, int64_t sampling, int64_t max, int64_t half_pixel,                    \
                                    int64_t channels_last, double scale, int64_t units, int64_t first, int64_t last) {   \
        for (int64_t r = part_of(regions, first, units); r < part_of(regions, last, units); r++) {                       \
            const type *roi = rois + 4 * r, offset = half_pixel ? (type)0.5 : 0, by = (type)scale;                       \
            const type left = roi[0] * by - offset, top = roi[1] * by - offset;                                          \
            type wide = roi[2] * by - offset - left, high = roi[3] * by - offset - top;                                  \
            if (!half_pixel && !(wide > 1)) wide = 1;                                                                    \
            if (!half_pixel && !(high > 1)) high = 1;                                                                    \
            const int64_t down = samples_##name(sampling, high, out_h),                                                  \
                          across = samples_##name(sampling, wide, out_w);                                                \
            const type *picture = x + clamp(batch[r], 0, images - 1) * channels * height * width;                        \
            for (int64_t i = 0; i < out_h * out_w; i++) {                                                                \
                const side_##name v = side_of_##name(top, high / (type)out_h, i / out_w, down, height);                  \
                const side_##name h = side_of_##name(left, wide / (type)out_w, i % out_w, across, width);                \
                bin_##name(picture, y + r * channels * out_h * out_w + i, channels, out_h * out_w, &v, &h, max != 0,     \
                           channels_last != 0);                                                                          \
            }                                                                                                            \
        }                                                                                                                \
    }

FOR_FLOATS(ROIALIGN)
