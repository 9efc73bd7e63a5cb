/* SPDX-License-Identifier: Apache-2.0 */
/* roialign.c - ONNX RoiAlign: divides regions into bins. A bin is the mean of samples that are interpolated between
 * pixels, or the largest of the samples' weighted pixels. A sample outside of the picture is 0. */
#include "routines.h"

#include <math.h>

enum { REGIONS, IMAGES, CHANNELS, HEIGHT, WIDTH, OUT_H, OUT_W, SAMPLING, MAXIMUM, HALF_PIXEL, CHANNELS_LAST };
enum { X, ROIS, BATCH, Y };

bool vj_bound_roialign(vj_routine_use *use) {
    const int64_t *p = use->param, picture[] = {p[IMAGES], p[CHANNELS], p[HEIGHT], p[WIDTH]};
    const int64_t bins[] = {p[REGIONS], p[CHANNELS], p[OUT_H], p[OUT_W]}, corners[] = {p[REGIONS], 4};
    if (!vj_routine_product(use, picture, 4, &use->elements[X]) ||
        !vj_routine_product(use, bins, 4, &use->elements[Y]) ||
        !vj_routine_product(use, corners, 2, &use->elements[ROIS]))
        return false;
    use->elements[BATCH] = p[REGIONS];
    if (p[SAMPLING] < 0 || p[SAMPLING] > VJ_MOST_SAMPLES)
        return vj_routine_wrong(use, "its sampling ratio is too large");
    if (use->dtype[X] != VJ_F32 && use->dtype[X] != VJ_F64)
        return vj_routine_wrong(use, "only f32 and f64 are supported");
    return (use->dtype[ROIS] == use->dtype[X] && use->dtype[Y] == use->dtype[X] && use->dtype[BATCH] == VJ_I64) ||
           vj_routine_wrong(use, "its operands have other types");
}

/* Rounds a result to the operands' type, in which the routine computes, so that a sample on an edge of the picture is
 * the same for both. */
static double in(const vj_host_array *x, double number) { return x->dtype == VJ_F32 ? (double)(float)number : number; }

/* The samples of one bin along one side: sample i is at start + (i + 1/2) * step. Those inside the picture are among
 * [first, last). */
typedef struct side {
    double start, step;
    double count;
    int64_t first, last, size;
} side;

/* x clamped to [0, most]; NaN becomes 0. */
static int64_t clipped(double x, double most) { return (int64_t)fmin(x > 0 ? x : 0, most); }

static side side_of(const vj_host_array *x, double start, double bin_size, int64_t bin, double samples, int64_t size) {
    side s = {.start = in(x, start + in(x, (double)bin * bin_size)), .count = samples, .size = size};
    s.step = in(x, bin_size / samples);
    s.last = (int64_t)samples;
    if (s.step > 0) { /* a region may be far larger than the picture */
        s.first = clipped(floor((-1 - s.start) / s.step) - 2, samples);
        s.last = clipped(ceil(((double)size - s.start) / s.step) + 2, samples);
    } else if (!(s.step < 0)) {
        s.last = s.start >= -1 && s.start <= (double)size ? (int64_t)samples : 0;
    }
    return s;
}

static bool place(const vj_host_array *x, const side *s, int64_t i, int64_t *low, int64_t *high, double *part) {
    double at = in(x, s->start + in(x, in(x, (double)i + 0.5) * s->step));
    const int64_t last = s->size - 1;
    if (!(at >= -1 && at <= (double)s->size)) return false;
    at = fmax(at, 0);
    *low = (int64_t)at;
    if (*low >= last) {
        *low = *high = last;
        *part = 0;
        return true;
    }
    *high = *low + 1;
    *part = at - (double)*low;
    return true;
}

static double larger(double a, double b) { return a > b ? a : b; }

/* Pixels are `step` elements apart. */
static double bin(const vj_host_array *x, const double *plane, int64_t step, const side *v, const side *h, bool max) {
    double sum = 0, best = -INFINITY, inside = 0;
    const double all = v->count * h->count;
    int64_t y0, y1, x0, x1;
    double b, a;
    for (int64_t row = v->first; row < v->last; row++) {
        if (!place(x, v, row, &y0, &y1, &b)) continue;
        for (int64_t column = h->first; column < h->last; column++) {
            if (!place(x, h, column, &x0, &x1, &a)) continue;
            const double *top = plane + y0 * h->size * step, *bottom = plane + y1 * h->size * step;
            const double p[4] = {(1 - b) * (1 - a) * top[x0 * step], (1 - b) * a * top[x1 * step],
                                 b * (1 - a) * bottom[x0 * step], b * a * bottom[x1 * step]};
            inside++;
            sum += p[0] + p[1] + p[2] + p[3];
            best = larger(larger(larger(p[0], p[1]), larger(p[2], p[3])), best);
        }
    }
    if (!max) return sum / larger(all, 1);
    return inside < all || all == 0 ? larger(best, 0) : best;
}

static double samples_of(const vj_host_array *x, int64_t given, double size, int64_t bins) {
    if (given > 0) return (double)given;
    const double each = in(x, size / (double)bins);
    return each > 0 ? fmin(ceil(each), 0x1p62) : 0;
}

static void region(const vj_routine_run *run, int64_t r) {
    const int64_t *p = run->param, images = p[IMAGES], area = p[HEIGHT] * p[WIDTH], bins = p[OUT_H] * p[OUT_W];
    const bool last = p[CHANNELS_LAST] != 0;
    const vj_host_array *x = &run->array[X];
    const double *roi = run->array[ROIS].f + 4 * r, offset = p[HALF_PIXEL] ? 0.5 : 0, scale = in(x, run->number[0]);
    double edge[4];
    for (int32_t i = 0; i < 4; i++)
        edge[i] = in(x, in(x, roi[i] * scale) - offset);
    double wide = in(x, edge[2] - edge[0]), high = in(x, edge[3] - edge[1]);
    if (!p[HALF_PIXEL] && !(wide > 1)) wide = 1;
    if (!p[HALF_PIXEL] && !(high > 1)) high = 1;
    const double down = samples_of(x, p[SAMPLING], high, p[OUT_H]), across = samples_of(x, p[SAMPLING], wide, p[OUT_W]);
    const int64_t given = run->array[BATCH].i[r], image = given < 0 ? 0 : given < images ? given : images - 1;
    for (int64_t c = 0; c < p[CHANNELS]; c++)
        for (int64_t i = 0; i < bins; i++) {
            const side v = side_of(x, edge[1], in(x, high / (double)p[OUT_H]), i / p[OUT_W], down, p[HEIGHT]);
            const side h = side_of(x, edge[0], in(x, wide / (double)p[OUT_W]), i % p[OUT_W], across, p[WIDTH]);
            run->array[Y].f[(r * p[CHANNELS] + c) * bins + i] =
                bin(x, x->f + image * p[CHANNELS] * area + (last ? c : c * area), last ? p[CHANNELS] : 1, &v, &h,
                    p[MAXIMUM] != 0);
        }
}

void vj_run_roialign(const vj_routine_run *run) {
    for (int64_t r = 0; r < run->param[REGIONS]; r++)
        region(run, r);
}

void vj_site_roialign(vj_site *site) {
    int64_t *p = site->param;
    const int64_t *sizes = vj_attr_find(site->node, VJ_ATTR_SIZES)->as.ints;
    p[REGIONS] = site->dims[1][0];
    for (int32_t d = 0; d < 4; d++)
        p[IMAGES + d] = site->dims[0][d];
    p[OUT_H] = sizes[0];
    p[OUT_W] = sizes[1];
    p[SAMPLING] = vj_attr_int(site->node, VJ_ATTR_SAMPLES, 0);
    p[MAXIMUM] = vj_word_of("mean max", vj_attr_name(site->node, VJ_ATTR_KIND, "mean"));
    p[HALF_PIXEL] = vj_attr_int(site->node, VJ_ATTR_HALF_PIXEL, 0);
    site->number[0] = vj_attr_float(site->node, VJ_ATTR_SCALE, 1);
    site->routine = VJ_ROUTINE_roialign;
    site->channels_last = CHANNELS_LAST;
    site->rows = p[REGIONS];
    const double each = p[SAMPLING] > 0 ? (double)p[SAMPLING] * (double)p[SAMPLING] : 4; /* a guess */
    site->cycles = (double)p[REGIONS] * (double)sizes[0] * (double)sizes[1] * each * (20 + 6 * (double)p[CHANNELS]);
}
