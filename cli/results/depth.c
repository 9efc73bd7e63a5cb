/* SPDX-License-Identifier: Apache-2.0 */
/* depth.c - depth: a plane [1,H,W] or [1,1,H,W], at the picture's size as transformers' post_process_depth_estimation makes it
 * (bicubic), and a grey picture of it, from the least (black) to the largest (white). What is printed is of the picture's pixels. */
#include "results.h"

#include <math.h>
#include <stdlib.h>

#include <cjson/cJSON.h>

static vj_summary summary_of(float *plane, int32_t height, int32_t width) {
    vj_array a = {.dtype = VJ_F32, .rank = 2, .dims = {height, width}, .data = plane};
    vj_array_measure(&a);
    return vj_array_summary(&a);
}

static void print_text(const vj_result *r, const vj_summary *s) {
    printf("%s\n  depth  min %.6g  max %.6g  mean %.6g\n", r->file, s->min, s->max, s->mean);
}

static vj_status print_json(const vj_result *r, const vj_summary *s, const char *path) {
    cJSON *json = vj_result_json(r), *depth = cJSON_AddObjectToObject(json, "depth");
    cJSON_AddNumberToObject(depth, "min", s->min);
    cJSON_AddNumberToObject(depth, "max", s->max);
    cJSON_AddNumberToObject(depth, "mean", s->mean);
    if (path) cJSON_AddStringToObject(json, "picture", path);
    return vj_json_print(json);
}

static void paint(const float *plane, const vj_summary *s, vj_picture *picture) {
    const size_t pixels = (size_t)picture->width * (size_t)picture->height;
    const double range = s->max - s->min;
    for (size_t i = 0; i < pixels; i++) {
        const double part = range > 0 ? ((double)plane[i] - s->min) / range : 0;
        picture->pixels[i] = part >= 0 && part <= 1 ? (uint8_t)(part * 255) : 0;
    }
}

vj_status vj_show_depth(const vj_result *r) {
    const vj_array *a = &r->outputs[0];
    const vj_placement *g = r->placement;
    const int64_t height = a->dims[a->rank - 2], width = a->dims[a->rank - 1];
    char path[VJ_PATH_ROOM];
    vj_picture picture = {0};
    vj_why why = {.text = "no memory for the depth"};
    if (height < 1 || width < 1) return vj_print_error(VJ_BAD_INPUT, r->file, "no depth came out");
    float *plane = vj_sample_plane(g, VJ_SAMPLE_BICUBIC, vj_result_data(r, 0), height, width);
    if (!plane || !vj_picture_alloc(&picture, g->width, g->height, 1, &why)) {
        free(plane);
        return vj_print_error(VJ_SYSTEM, r->file, "%s", why.text);
    }
    const vj_summary s = summary_of(plane, g->height, g->width);
    const bool written = vj_result_path(r, path);
    vj_status status = VJ_OK;
    if (vj_wants_json(r->command))
        status = print_json(r, &s, written ? path : NULL);
    else
        print_text(r, &s);
    paint(plane, &s, &picture);
    if (written && status == VJ_OK) status = vj_png_write_said(path, &picture);
    vj_picture_free(&picture);
    free(plane);
    return status;
}
