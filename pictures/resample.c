/* resample.c - Pillow's Image.resize, so that a picture gives a model the pixels it was trained on.
 *
 * It is a separable convolution. When shrinking, the filter is stretched by the scale (antialiasing). Taps outside the
 * picture are dropped and the rest normalised. The first pass rounds to 8 bits, so their order is seen: Pillow begins with the horizontal
 * one, since 13 with the vertical one where it takes away more than twice as many rows as the other columns.
 */
#include "picture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double pi = 3.14159265358979323846;

static double sinc(double x) { return x == 0 ? 1 : sin(pi * x) / (pi * x); }

static double weight_at(vj_filter filter, double x) {
    x = fabs(x);
    switch (filter) {
    case VJ_BOX:
        return x <= 0.5 ? 1 : 0;
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

/* The weights of all output positions, `stride` apart, or NULL without memory. */
static double *make_taps(vj_filter filter, int32_t from, int32_t to, taps *at, int32_t *stride) {
    const double scale = (double)from / to, stretch = scale > 1 ? scale : 1;
    const double support = support_of(filter) * stretch;
    *stride = (int32_t)ceil(support) * 2 + 1;
    double *weights = calloc((size_t)to * (size_t)*stride, sizeof *weights);
    if (!weights) return NULL;
    for (int32_t i = 0; i < to; i++) {
        const double centre = (i + 0.5) * scale;
        const double low = floor(centre - support + 0.5), high = floor(centre + support + 0.5);
        const int32_t first = low < 0 ? 0 : (int32_t)low, last = high > from ? from : (int32_t)high;
        double *w = weights + (size_t)i * (size_t)*stride, sum = 0;
        for (int32_t j = first; j < last; j++)
            sum += w[j - first] = weight_at(filter, (j - centre + 0.5) / stretch);
        for (int32_t j = first; j < last && sum != 0; j++)
            w[j - first] /= sum;
        at[i] = (taps){first, last - first};
    }
    return weights;
}

static uint8_t to_byte(double x) { return x <= 0 ? 0 : x >= 255 ? 255 : (uint8_t)(x + 0.5); }

/* One pass over lines of `from` elements. Element e of line l is at l * line + e * step, in the input and the
 * output. */
typedef struct pass {
    const uint8_t *in;
    uint8_t *out;
    int64_t lines, in_line, in_step, out_line, out_step;
    int32_t from, to;
} pass;

static bool run_pass(const pass *p, vj_filter filter) {
    taps *at = calloc((size_t)p->to, sizeof *at);
    int32_t stride = 0;
    double *weights = at ? make_taps(filter, p->from, p->to, at, &stride) : NULL;
    for (int64_t l = 0; weights && l < p->lines; l++) {
        for (int32_t i = 0; i < p->to; i++) {
            const double *w = weights + (size_t)i * (size_t)stride;
            const uint8_t *in = p->in + l * p->in_line + at[i].first * p->in_step;
            double sum = 0;
            for (int32_t j = 0; j < at[i].count; j++)
                sum += w[j] * in[j * p->in_step];
            p->out[l * p->out_line + i * p->out_step] = to_byte(sum);
        }
    }
    const bool good = weights != NULL;
    free(weights);
    free(at);
    return good;
}

/* The lines of the horizontal pass are rows of one channel, those of the vertical pass columns of one channel. */
static bool resample_rows(const vj_picture *from, int32_t width, vj_filter filter, vj_picture *to, vj_why *why) {
    if (!vj_picture_alloc(to, width, from->height, from->channels, why)) return false;
    const int32_t c = from->channels;
    bool good = true;
    for (int32_t i = 0; i < c && good; i++) {
        const pass p = {
            from->pixels + i, to->pixels + i, from->height, (int64_t)from->width * c, c, (int64_t)width * c, c,
            from->width,      width};
        good = run_pass(&p, filter);
    }
    if (!good) snprintf(why->text, sizeof why->text, "no memory");
    return good;
}

static bool resample_columns(const vj_picture *from, int32_t height, vj_filter filter, vj_picture *to, vj_why *why) {
    if (!vj_picture_alloc(to, from->width, height, from->channels, why)) return false;
    const int64_t row = (int64_t)from->width * from->channels;
    const pass p = {from->pixels, to->pixels, row, 1, row, 1, row, from->height, height};
    if (run_pass(&p, filter)) return true;
    snprintf(why->text, sizeof why->text, "no memory");
    return false;
}

/* Which of `from` elements each of `to` takes. Sums, as Pillow's: they decide where a middle falls on a border. */
static int32_t *nearest_of(int32_t from, int32_t to) {
    int32_t *at = malloc((size_t)to * sizeof *at);
    const double step = (double)from / to;
    double x = step * 0.5;
    for (int32_t i = 0; at && i < to; i++, x += step)
        at[i] = x < from ? (int32_t)x : from - 1;
    return at;
}

static bool nearest(const vj_picture *from, int32_t width, int32_t height, vj_picture *to, vj_why *why) {
    if (!vj_picture_alloc(to, width, height, from->channels, why)) return false;
    int32_t *rows = nearest_of(from->height, height), *columns = nearest_of(from->width, width);
    const size_t c = (size_t)from->channels;
    uint8_t *out = to->pixels;
    for (int32_t y = 0; y < height && rows && columns; y++) {
        const uint8_t *row = from->pixels + (size_t)rows[y] * (size_t)from->width * c;
        for (int32_t x = 0; x < width; x++, out += c)
            memcpy(out, row + (size_t)columns[x] * c, c);
    }
    const bool good = rows && columns;
    free(rows);
    free(columns);
    if (good) return true;
    vj_picture_free(to);
    return vj_because(why, VJ_SYSTEM, "no memory");
}

static bool columns_first(const vj_picture *from, int32_t width, int32_t height) {
    return from->height > height && (int64_t)from->height - height > 2 * ((int64_t)from->width - width);
}

bool vj_resample(const vj_picture *from, int32_t width, int32_t height, vj_filter filter, vj_picture *to, vj_why *why) {
    if (filter == VJ_NEAREST) return nearest(from, width, height, to, why);
    vj_picture half = {0};
    const bool good =
        columns_first(from, width, height)
            ? resample_columns(from, height, filter, &half, why) && resample_rows(&half, width, filter, to, why)
            : resample_rows(from, width, filter, &half, why) && resample_columns(&half, height, filter, to, why);
    vj_picture_free(&half);
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
