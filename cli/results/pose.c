/* SPDX-License-Identifier: Apache-2.0 */
/* pose.c - key points: the largest value of a heat map each, [1,K,h,w], moved between the map's pixels by one Newton step on the
 * logarithm of the blurred map (DARK: Zhang et al. 2020; with unbiased data processing: Huang et al. 2020), as transformers'
 * VitPoseImageProcessor does. The map's outer pixels are the input's. Or points that the model itself has found (SuperPoint): places as
 * parts of the input [1,K,2], scores [1,K], and which of them are any [1,K]. */
#include "results.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include <cjson/cJSON.h>

enum { RADIUS = 5 };
static const double sigma = 0.8;

typedef struct point {
    double x, y, score;
} point;

/* Points of heat maps have names; those that were found have numbers alone. */
static bool are_named(const vj_result *r) { return r->reading->kind->variant == VJ_POSE_MAPS; }

/* A place beyond the edge is mirrored, with the edge's pixel twice. */
static int64_t mirrored(int64_t i, int64_t size) {
    const int64_t turn = 2 * size;
    i = ((i % turn) + turn) % turn;
    return i < size ? i : turn - 1 - i;
}

static void gauss(double weights[2 * RADIUS + 1]) {
    double sum = 0;
    for (int32_t i = -RADIUS; i <= RADIUS; i++)
        sum += weights[i + RADIUS] = exp(-0.5 * i * i / (sigma * sigma));
    for (int32_t i = 0; i <= 2 * RADIUS; i++)
        weights[i] /= sum;
}

/* The logarithm of the blurred map at a place, which may lie one beyond the edge: that is the edge then. */
static double blurred(const float *map, int64_t height, int64_t width, int64_t y, int64_t x) {
    double weights[2 * RADIUS + 1], sum = 0;
    gauss(weights);
    y = y < 0 ? 0 : y >= height ? height - 1 : y;
    x = x < 0 ? 0 : x >= width ? width - 1 : x;
    for (int32_t i = -RADIUS; i <= RADIUS; i++) {
        const float *row = map + mirrored(y + i, height) * width;
        double line = 0;
        for (int32_t j = -RADIUS; j <= RADIUS; j++)
            line += weights[j + RADIUS] * (double)row[mirrored(x + j, width)];
        sum += weights[i + RADIUS] * line;
    }
    return log(fmin(fmax(sum, 0.001), 50));
}

/* The Newton step from the map's largest pixel. */
static void refine(const float *map, int64_t height, int64_t width, int64_t y, int64_t x, point *p) {
    double v[3][3];
    for (int32_t i = 0; i < 3; i++)
        for (int32_t j = 0; j < 3; j++)
            v[i][j] = blurred(map, height, width, y + i - 1, x + j - 1);
    const double dx = 0.5 * (v[1][2] - v[1][0]), dy = 0.5 * (v[2][1] - v[0][1]);
    const double dxx = v[1][2] - 2 * v[1][1] + v[1][0] + (double)FLT_EPSILON;
    const double dyy = v[2][1] - 2 * v[1][1] + v[0][1] + (double)FLT_EPSILON;
    const double dxy = 0.5 * (v[2][2] - v[1][2] - v[2][1] + 2 * v[1][1] - v[1][0] - v[0][1] + v[0][0]);
    const double determinant = dxx * dyy - dxy * dxy;
    const double step_x = (dyy * dx - dxy * dy) / determinant, step_y = (dxx * dy - dxy * dx) / determinant;
    if (!isfinite(step_x) || !isfinite(step_y)) return;
    p->x -= step_x;
    p->y -= step_y;
}

/* In pixels of the map. One with no positive value has no place: it is put at -1, and not refined. */
static point find(const float *map, int64_t height, int64_t width) {
    int64_t best = 0;
    for (int64_t i = 1; i < height * width; i++)
        if (map[i] > map[best]) best = i;
    point p = {-1, -1, (double)map[best]};
    if (!(p.score > 0)) return p;
    p.x = (double)(best % width);
    p.y = (double)(best / width);
    refine(map, height, width, best / width, best % width, &p);
    return p;
}

/* The middle of a pixel of the map as that of a pixel of the picture. */
static double place(double at, int64_t map, int32_t input, double scale, double shift) {
    const double in = map > 1 ? at * (input - 1) / (double)(map - 1) : 0;
    return (in + 0.5 - shift) / scale - 0.5;
}

static vj_status print_json(const vj_result *r, const point *points, int64_t count, const char *drawn) {
    cJSON *json = vj_result_json(r), *list = cJSON_AddArrayToObject(json, "keypoints");
    for (int64_t k = 0; k < count; k++) {
        if (!(points[k].score > r->threshold)) continue;
        cJSON *one = are_named(r) ? vj_json_class(r, list, k) : cJSON_CreateObject();
        if (!are_named(r)) {
            cJSON_AddNumberToObject(one, "index", (double)k);
            cJSON_AddItemToArray(list, one);
        }
        cJSON_AddNumberToObject(one, "score", points[k].score);
        cJSON_AddNumberToObject(one, "x", points[k].x);
        cJSON_AddNumberToObject(one, "y", points[k].y);
    }
    if (drawn) cJSON_AddStringToObject(json, "picture", drawn);
    return vj_json_print(json);
}

static void print_text(const vj_result *r, const point *points, int64_t count) {
    int64_t shown = 0;
    char text[256];
    printf("%s\n", r->file);
    for (int64_t k = 0; k < count; k++) {
        if (!(points[k].score > r->threshold)) continue;
        shown++;
        if (are_named(r))
            vj_class_name(r, k, text);
        else
            snprintf(text, sizeof text, "point %lld", (long long)k);
        printf("  %6.2f %%  %-20s  %.1f %.1f\n", points[k].score * 100, text, points[k].x, points[k].y);
    }
    if (shown) return;
    if (isfinite(r->threshold))
        printf("  no key point scores above %g\n", r->threshold);
    else
        printf("  no key points\n");
}

static vj_status draw(const vj_result *r, const point *points, int64_t count, const char *path) {
    vj_picture canvas;
    vj_status status = vj_canvas_open(r, &canvas);
    if (status == VJ_OK) {
        for (int64_t k = 0; k < count; k++)
            if (points[k].score > r->threshold)
                vj_draw_dot(&canvas, points[k].x, points[k].y, 2 * vj_times_of(&canvas), vj_class_colour(k));
        status = vj_png_write_said(path, &canvas);
    }
    vj_picture_free(&canvas);
    return status;
}

/* Prints, and draws where that is asked for. */
static vj_status show(const vj_result *r, const point *points, int64_t count) {
    char path[VJ_PATH_ROOM];
    const bool drawn = vj_result_path(r, path);
    vj_status status = VJ_OK;
    if (vj_wants_json(r->command))
        status = print_json(r, points, count, drawn ? path : NULL);
    else
        print_text(r, points, count);
    return drawn && status == VJ_OK ? draw(r, points, count, path) : status;
}

vj_status vj_show_pose(const vj_result *r) {
    const vj_array *maps = &r->outputs[0];
    const vj_placement *g = r->placement;
    const int64_t count = maps->dims[1], height = maps->dims[2], width = maps->dims[3];
    if (count < 1 || height < 1 || width < 1) return vj_print_error(VJ_BAD_INPUT, r->file, "no heat map came out");
    point *points = calloc((size_t)count, sizeof *points);
    if (!points) return vj_print_error(VJ_SYSTEM, r->file, "no memory for %lld key points", (long long)count);
    for (int64_t k = 0; k < count; k++) {
        points[k] = find(vj_result_data(r, 0) + k * height * width, height, width);
        points[k].x = place(points[k].x, width, g->input_width, g->scale_x, g->shift_x);
        points[k].y = place(points[k].y, height, g->input_height, g->scale_y, g->shift_y);
    }
    const vj_status status = show(r, points, count);
    free(points);
    return status;
}

vj_status vj_show_points(const vj_result *r) {
    const float *at = vj_result_data(r, 0), *scores = vj_result_data(r, 1), *there = vj_result_data(r, 2);
    const int64_t most = r->outputs[0].dims[1];
    const vj_placement *g = r->placement;
    if (r->outputs[1].dims[1] != most || r->outputs[2].dims[1] != most)
        return vj_print_error(VJ_BAD_INPUT, r->file, "%lld places, %lld scores and a mask of %lld", (long long)most,
                              (long long)r->outputs[1].dims[1], (long long)r->outputs[2].dims[1]);
    point *points = calloc((size_t)most + 1, sizeof *points);
    if (!points) return vj_print_error(VJ_SYSTEM, r->file, "no memory for %lld key points", (long long)most);
    for (int64_t k = 0; k < most; k++) {
        points[k].score = there[k] > 0 ? (double)scores[k] : (double)NAN;
        points[k].x = ((double)at[2 * k] * g->input_width - g->shift_x) / g->scale_x;
        points[k].y = ((double)at[2 * k + 1] * g->input_height - g->shift_y) / g->scale_y;
    }
    const vj_status status = show(r, points, most);
    free(points);
    return status;
}
