/* SPDX-License-Identifier: Apache-2.0 */
/* matte.c - the foreground: a plane [1,1,H,W] of logits or probabilities, at the picture's size (bilinear), and a grey picture of it.
 * Values that lie outside of 0 to 1 are logits. What the model has not seen is black. */
#include "results.h"

#include <math.h>
#include <stdlib.h>

#include <cjson/cJSON.h>

/* One plane as large as the input, and nothing else. */
bool vj_is_matte(const vj_model *model, const int32_t *at) {
    const int64_t *dims = model->outputs[at[0]].dims;
    vj_picture_input in;
    return vj_model_picture(model, &in) && model->input_count == 1 && vj_plain_outputs(model) == 1 && dims[1] == 1 &&
           in.channels == 3 && dims[2] == in.height && dims[3] == in.width;
}

static float sigmoid(float x) { return 1 / (1 + expf(-x)); }

/* The plane as probabilities, malloc'ed. */
static float *probabilities(const float *plane, int64_t count) {
    float *out = malloc((size_t)count * sizeof *out);
    bool logits = false;
    for (int64_t i = 0; i < count; i++)
        logits |= plane[i] < -1e-3f || plane[i] > 1 + 1e-3f;
    for (int64_t i = 0; out && i < count; i++)
        out[i] = logits ? sigmoid(plane[i]) : plane[i];
    return out;
}

/* The sum of all pixels. */
static double paint(const vj_placement *g, const float *plane, vj_picture *picture) {
    double sum = 0;
    for (int32_t y = 0; y < g->height; y++)
        for (int32_t x = 0; x < g->width; x++) {
            const size_t i = (size_t)y * (size_t)g->width + (size_t)x;
            const bool seen = vj_seen_row(g, y) && vj_seen_column(g, x);
            const double v = seen ? fmin(fmax((double)plane[i], 0), 1) : 0;
            picture->pixels[i] = (uint8_t)lrint(v * 255);
            sum += v;
        }
    return sum;
}

static vj_status print(const vj_result *r, double share, const char *path) {
    if (!vj_wants_json(r->command)) {
        printf("%s\n  %6.2f %%  foreground\n", r->file, 100 * share);
        return VJ_OK;
    }
    cJSON *json = vj_result_json(r);
    cJSON_AddNumberToObject(json, "foreground", share);
    if (path) cJSON_AddStringToObject(json, "picture", path);
    return vj_json_print(json);
}

vj_status vj_show_matte(const vj_result *r) {
    const vj_array *a = &r->outputs[0];
    const vj_placement *g = r->placement;
    char path[VJ_PATH_ROOM];
    vj_picture picture = {0};
    vj_why why = {.text = "no memory for the foreground"};
    vj_status status = VJ_OK;
    if (a->dims[1] < 1 || a->dims[2] < 1 || a->dims[3] < 1)
        return vj_print_error(VJ_BAD_INPUT, r->file, "no foreground came out");
    float *small = probabilities(vj_result_data(r, 0), a->dims[2] * a->dims[3]);
    float *plane = small ? vj_sample_plane(g, VJ_SAMPLE_BILINEAR, small, a->dims[2], a->dims[3]) : NULL;
    if (plane && vj_picture_alloc(&picture, g->width, g->height, 1, &why)) {
        const double sum = paint(g, plane, &picture);
        const bool written = vj_result_path(r, path);
        status = print(r, sum / ((double)g->width * g->height), written ? path : NULL);
        if (written && status == VJ_OK) status = vj_png_write_said(path, &picture);
    } else {
        status = vj_print_error(VJ_SYSTEM, r->file, "%s", why.text);
    }
    vj_picture_free(&picture);
    free(plane);
    free(small);
    return status;
}
