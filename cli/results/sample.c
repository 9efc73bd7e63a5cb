/* SPDX-License-Identifier: Apache-2.0 */
/* sample.c - reads a plane of a model's output at the pixels of the picture as it was: bilinear, or bicubic with a = -0.75. Taps
 * beyond the edge of the plane, or of the part of it in which the picture lies, are those at the edge. */
#include "results.h"

#include <math.h>
#include <stdlib.h>

/* The places of one row or column in the plane, and their weights. */
struct vj_taps {
    int64_t at[4];
    float weight[4];
    int32_t count;
};

/* The first and the last place of a row or column in which the picture lies. */
typedef struct span {
    int64_t first, last;
} span;

static int64_t within(double at, span s) {
    return at<(double)s.first ? s.first : at>(double) s.last ? s.last : (int64_t)at;
}

static struct vj_taps bilinear(double at, span s) {
    const double from = at < (double)s.first ? (double)s.first : at, low = floor(from);
    const double part = from - low;
    return (struct vj_taps){{within(low, s), within(low + 1, s)}, {(float)(1 - part), (float)part}, 2};
}

/* Keys 1981, a = -0.75 */
static double cubic(double x) {
    const double a = -0.75;
    x = fabs(x);
    if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

static struct vj_taps bicubic(double at, span s) {
    const double low = floor(at);
    struct vj_taps taps = {.count = 4};
    for (int32_t i = 0; i < 4; i++) {
        taps.at[i] = within(low + i - 1, s);
        taps.weight[i] = (float)cubic(at - (low + i - 1));
    }
    return taps;
}

static span span_of(double begin, double end, int64_t size) {
    const double slack = 1e-6; /* of a place: rounding makes none the picture's */
    const span all = {0, size - 1};
    const int64_t first = within(floor(begin + slack), all), last = within(ceil(end - slack) - 1, all);
    return (span){first, last < first ? first : last};
}

static struct vj_taps *make_taps(int32_t count, double scale, double shift, int32_t input, int64_t size,
                                 vj_sampling sampling) {
    struct vj_taps *taps = calloc((size_t)count, sizeof *taps);
    const double unit = (double)size / input;
    const span s = span_of(shift * unit, (count * scale + shift) * unit, size);
    for (int32_t i = 0; taps && i < count; i++) {
        const double at = ((i + 0.5) * scale + shift) * unit - 0.5;
        taps[i] = sampling == VJ_SAMPLE_BICUBIC ? bicubic(at, s) : bilinear(at, s);
    }
    return taps;
}

bool vj_sampler_open(vj_sampler *s, const vj_placement *g, vj_sampling sampling, int64_t plane_height,
                     int64_t plane_width) {
    *s = (vj_sampler){.plane_width = plane_width, .width = g->width, .height = g->height};
    s->columns = make_taps(g->width, g->scale_x, g->shift_x, g->input_width, plane_width, sampling);
    s->rows = make_taps(g->height, g->scale_y, g->shift_y, g->input_height, plane_height, sampling);
    s->line = malloc((size_t)plane_width * sizeof *s->line);
    if (s->columns && s->rows && s->line) return true;
    vj_sampler_close(s);
    return false;
}

void vj_sampler_close(vj_sampler *s) {
    free(s->columns);
    free(s->rows);
    free(s->line);
    *s = (vj_sampler){0};
}

void vj_sample_row(vj_sampler *s, const float *plane, int32_t y, float *out) {
    const struct vj_taps *row = &s->rows[y];
    for (int64_t x = 0; x < s->plane_width; x++)
        s->line[x] = row->weight[0] * plane[row->at[0] * s->plane_width + x];
    for (int32_t i = 1; i < row->count; i++)
        for (int64_t x = 0; x < s->plane_width; x++)
            s->line[x] += row->weight[i] * plane[row->at[i] * s->plane_width + x];
    for (int32_t x = 0; x < s->width; x++) {
        const struct vj_taps *t = &s->columns[x];
        float sum = t->weight[0] * s->line[t->at[0]] + t->weight[1] * s->line[t->at[1]];
        if (t->count == 4) sum += t->weight[2] * s->line[t->at[2]] + t->weight[3] * s->line[t->at[3]];
        out[x] = sum;
    }
}

static bool seen(double at, int32_t size) { return at >= 0 && at <= size; }

bool vj_seen_row(const vj_placement *g, int32_t y) {
    return seen((y + 0.5) * g->scale_y + g->shift_y, g->input_height);
}

bool vj_seen_column(const vj_placement *g, int32_t x) {
    return seen((x + 0.5) * g->scale_x + g->shift_x, g->input_width);
}

static bool covers(int32_t size, int32_t input, double scale, double shift) {
    return fabs(shift) < 1e-9 && fabs(size * scale - input) < 1e-6 * input;
}

bool vj_is_whole(const vj_placement *g) {
    return covers(g->width, g->input_width, g->scale_x, g->shift_x) &&
           covers(g->height, g->input_height, g->scale_y, g->shift_y);
}

float *vj_sample_plane(const vj_placement *g, vj_sampling sampling, const float *plane, int64_t plane_height,
                       int64_t plane_width) {
    vj_sampler sampler;
    float *out = malloc((size_t)g->width * (size_t)g->height * sizeof *out);
    if (!out || !vj_sampler_open(&sampler, g, sampling, plane_height, plane_width)) {
        free(out);
        return NULL;
    }
    for (int32_t y = 0; y < g->height; y++)
        vj_sample_row(&sampler, plane, y, out + (size_t)y * (size_t)g->width);
    vj_sampler_close(&sampler);
    return out;
}
