/* SPDX-License-Identifier: Apache-2.0 */
/* restore.c - pictures from pictures: planes [1,C,H,W] from 0 to 1 become a picture. Of the part of the input that shows the picture
 * alone: what was padded is cut off. */
#include "results.h"

#include <math.h>

#include <cjson/cJSON.h>

/* Where the picture begins and ends along an axis of the output. */
static void part(double scale, double shift, int32_t size, int32_t input, int64_t output, int64_t *from, int64_t *to) {
    const double times = (double)output / input;
    const double begin = nearbyint(shift * times), end = nearbyint((shift + size * scale) * times);
    *from = begin<0 ? 0 : begin>(double) output ? output : (int64_t)begin;
    *to = end<0 ? 0 : end>(double) output ? output : (int64_t)end;
}

static uint8_t to_byte(float v) { return (uint8_t)lrint(fmin(fmax((double)v, 0), 1) * 255); }

static void fill(const vj_result *r, int64_t top, int64_t left, vj_picture *to) {
    const vj_array *a = &r->outputs[0];
    const int64_t plane = a->dims[2] * a->dims[3];
    uint8_t *out = to->pixels;
    for (int64_t y = top; y < top + to->height; y++)
        for (int64_t x = left; x < left + to->width; x++)
            for (int32_t c = 0; c < to->channels; c++)
                *out++ = to_byte(vj_result_data(r, 0)[c * plane + y * a->dims[3] + x]);
}

static vj_status print(const vj_result *r, const vj_picture *picture, const char *path) {
    if (!vj_wants_json(r->command)) {
        printf("%s\n  %dx%d to %dx%d pixels\n", r->file, (int)r->placement->width, (int)r->placement->height,
               (int)picture->width, (int)picture->height);
        return VJ_OK;
    }
    cJSON *json = vj_result_json(r);
    cJSON_AddNumberToObject(json, "width", picture->width);
    cJSON_AddNumberToObject(json, "height", picture->height);
    if (path) cJSON_AddStringToObject(json, "picture", path);
    return vj_json_print(json);
}

vj_status vj_show_restored(const vj_result *r) {
    const vj_array *a = &r->outputs[0];
    const vj_placement *g = r->placement;
    int64_t top, bottom, left, right;
    char path[VJ_PATH_ROOM];
    vj_picture picture = {0};
    vj_why why = {0};
    if (a->dims[1] != 1 && a->dims[1] != 3)
        return vj_print_error(VJ_BAD_INPUT, r->file, "a picture of %lld channels came out", (long long)a->dims[1]);
    part(g->scale_y, g->shift_y, g->height, g->input_height, a->dims[2], &top, &bottom);
    part(g->scale_x, g->shift_x, g->width, g->input_width, a->dims[3], &left, &right);
    if (!vj_picture_alloc(&picture, right - left, bottom - top, (int32_t)a->dims[1], &why))
        return vj_print_error(VJ_SYSTEM, r->file, "%s", why.text);
    fill(r, top, left, &picture);
    const bool written = vj_result_path(r, path);
    vj_status status = print(r, &picture, written ? path : NULL);
    if (written && status == VJ_OK) status = vj_png_write_said(path, &picture);
    vj_picture_free(&picture);
    return status;
}
