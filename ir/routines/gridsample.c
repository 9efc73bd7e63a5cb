/* SPDX-License-Identifier: Apache-2.0 */
/* gridsample.c - ONNX GridSample: samples pictures at the points of a grid. Along each axis, a sample is the nearest
 * pixel, interpolated between two, or by Keys' cubic kernel over four. */
#include "routines.h"

#include <math.h>

enum { IMAGES, CHANNELS, DEPTH, HEIGHT, WIDTH, PLACES, AXES, MODE, PADDING, ALIGN };
enum { X, GRID, Y };

bool vj_bound_gridsample(vj_routine_use *use) {
    const int64_t *p = use->param, grid[] = {p[IMAGES], p[PLACES], p[AXES]},
                  out[] = {p[IMAGES], p[CHANNELS], p[PLACES]};
    if (!vj_routine_product(use, p, 5, &use->elements[X]) || !vj_routine_product(use, grid, 3, &use->elements[GRID]) ||
        !vj_routine_product(use, out, 3, &use->elements[Y]))
        return false;
    if ((p[AXES] != 2 && p[AXES] != 3) || (p[AXES] == 2 && p[DEPTH] != 1))
        return vj_routine_wrong(use, "it has neither two nor three axes");
    if (p[MODE] < 0 || p[MODE] > VJ_GRID_CUBIC || p[PADDING] < 0 || p[PADDING] > VJ_GRID_REFLECTION)
        return vj_routine_wrong(use, "it knows no such mode");
    if (use->dtype[X] != VJ_F32 && use->dtype[X] != VJ_F64)
        return vj_routine_wrong(use, "only f32 and f64 are supported");
    return (use->dtype[GRID] == use->dtype[X] && use->dtype[Y] == use->dtype[X]) ||
           vj_routine_wrong(use, "its operands have other types");
}

/* Rounds a result to the operands' type, in which the routine computes, so that a point half-way between pixels is the
 * same for both. */
static double in(const vj_host_array *x, double number) { return x->dtype == VJ_F32 ? (double)(float)number : number; }

static double mirrored(double x, double low, double high) {
    const double range = high - low;
    if (!(range > 0)) return low;
    if (x >= low && x <= high) return x;
    const bool below = x < low;
    const double away = below ? low - x : x - high, times = floor(away / range), rest = away - times * range;
    return below == (fmod(times, 2) != 0) ? high - rest : low + rest;
}

/* What a point reads along an axis: pixels (-1 for none) and their weights. */
typedef struct taps {
    int32_t count;
    int64_t at[4];
    double weight[4];
} taps;

typedef struct line {
    int64_t size;
    double low, high; /* the ends of the picture */
    int64_t padding;
} line;

static int64_t pixel(const line *l, double x) {
    const double last = (double)(l->size - 1);
    if (l->padding == VJ_GRID_ZEROS && !(x >= 0 && x <= last)) return -1;
    if (l->padding == VJ_GRID_REFLECTION) x = mirrored(x, l->low, l->high);
    return x > 0 ? x < last ? (int64_t)x : l->size - 1 : 0;
}

static double keys(double t) { /* Keys' kernel at distance t, a = -3/4 */
    const double a = -0.75;
    return t <= 1 ? ((a + 2) * t - (a + 3)) * t * t + 1 : ((a * t - 5 * a) * t + 8 * a) * t - 4 * a;
}

static taps taps_of(const vj_host_array *x, const int64_t *p, int64_t size, double given) {
    const line l = {
        .size = size, .low = p[ALIGN] ? 0 : -0.5, .high = (double)size - (p[ALIGN] ? 1 : 0.5), .padding = p[PADDING]};
    const double moved = in(x, given + 1), last = (double)(size - 1);
    double at = p[ALIGN] ? in(x, moved / 2 * last) : in(x, in(x, moved * (double)size) - 1) / 2;
    if (!(at > -0x1p40 && at < 0x1p40)) at = at > 0 ? 0x1p40 : -0x1p40;
    if (p[MODE] == VJ_GRID_NEAREST) at = nearbyint(at);
    /* The cubic kernel moves each of its pixels inside, as in ONNX Runtime and PyTorch. */
    if (p[PADDING] == VJ_GRID_BORDER && p[MODE] != VJ_GRID_CUBIC && !(at >= l.low && at <= l.high))
        at = at > 0 ? last : 0;
    if (p[PADDING] == VJ_GRID_REFLECTION) at = in(x, mirrored(at, l.low, l.high));
    if (p[MODE] == VJ_GRID_NEAREST) return (taps){1, {pixel(&l, at)}, {1}};
    const double whole = floor(at), part = at - whole;
    if (p[MODE] == VJ_GRID_LINEAR) return (taps){2, {pixel(&l, whole), pixel(&l, whole + 1)}, {1 - part, part}};
    taps four = {.count = 4};
    for (int32_t i = 0; i < 4; i++) {
        four.at[i] = pixel(&l, whole + i - 1);
        four.weight[i] = keys(fabs(part - i + 1));
    }
    return four;
}

static double sample(const double *plane, const int64_t *p, const taps *t) {
    double sum = 0;
    for (int32_t k = 0; k < t[2].count; k++)
        for (int32_t j = 0; j < t[1].count; j++)
            for (int32_t i = 0; i < t[0].count; i++) {
                if (t[0].at[i] < 0 || t[1].at[j] < 0 || t[2].at[k] < 0) continue;
                const int64_t at = (t[2].at[k] * p[HEIGHT] + t[1].at[j]) * p[WIDTH] + t[0].at[i];
                sum += t[2].weight[k] * t[1].weight[j] * t[0].weight[i] * plane[at];
            }
    return sum;
}

void vj_run_gridsample(const vj_routine_run *run) {
    const int64_t *p = run->param, size[] = {p[WIDTH], p[HEIGHT], p[DEPTH]};
    const int64_t plane = p[WIDTH] * p[HEIGHT] * p[DEPTH];
    const vj_host_array *x = &run->array[X];
    for (int64_t point = 0; point < p[IMAGES] * p[PLACES]; point++) {
        taps t[3] = {{0}, {0}, {1, {0}, {1}}};
        for (int64_t a = 0; a < p[AXES]; a++)
            t[a] = taps_of(x, p, size[a], run->array[GRID].f[point * p[AXES] + a]);
        for (int64_t c = 0; c < p[CHANNELS]; c++) {
            const int64_t image = point / p[PLACES] * p[CHANNELS] + c;
            run->array[Y].f[image * p[PLACES] + point % p[PLACES]] = sample(x->f + image * plane, p, t);
        }
    }
}

void vj_site_gridsample(vj_site *site) {
    int64_t *p = site->param;
    const int32_t rank = site->rank[0];
    p[IMAGES] = site->dims[0][0];
    p[CHANNELS] = site->dims[0][1];
    p[DEPTH] = rank == 5 ? site->dims[0][2] : 1;
    p[HEIGHT] = site->dims[0][rank - 2];
    p[WIDTH] = site->dims[0][rank - 1];
    p[PLACES] = 1;
    for (int32_t d = 1; d < rank - 1; d++)
        p[PLACES] *= site->dims[1][d];
    p[AXES] = rank - 2;
    p[MODE] = vj_word_of("nearest linear cubic", vj_attr_name(site->node, VJ_ATTR_MODE, "linear"));
    p[PADDING] = vj_word_of("zeros border reflection", vj_attr_name(site->node, VJ_ATTR_PADDING, "zeros"));
    p[ALIGN] = vj_attr_int(site->node, VJ_ATTR_ALIGN, 0);
    site->routine = VJ_ROUTINE_gridsample;
    site->rows = p[IMAGES] * p[PLACES];
    static const double samples[] = {1, 4, 16};
    site->cycles = (double)site->rows * (80 + (double)p[CHANNELS] * (2 + 2 * samples[p[MODE]]));
}
