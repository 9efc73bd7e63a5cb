/* SPDX-License-Identifier: Apache-2.0 */
/* segments.c - segmenters: planes of a class each, read at every pixel of the picture; the largest is the pixel's class. As
 * transformers' post_process_semantic_segmentation. What the model has not seen, because it was cropped, is black, and counts for no
 * class. */
#include "results.h"

#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

typedef struct share {
    int64_t index, pixels;
} share;

/* The picture of classes in the making. */
typedef struct mask {
    const vj_result *result;
    vj_sampler sampler;
    vj_picture picture;
    float *line, *best; /* of the picture's width */
    int32_t *label;
    share *shares; /* of all classes */
    int64_t classes, seen;
} mask;

static void classify_row(mask *m, const float *planes, int64_t plane, int32_t y) {
    const int32_t width = m->picture.width;
    for (int64_t c = 0; c < m->classes; c++) {
        vj_sample_row(&m->sampler, planes + c * plane, y, c ? m->line : m->best);
        for (int32_t x = 0; x < width; x++) {
            if (c && !(m->line[x] > m->best[x])) continue;
            if (c) m->best[x] = m->line[x];
            m->label[x] = (int32_t)c;
        }
    }
}

static void paint_row(mask *m, int32_t y) {
    const vj_placement *g = m->result->placement;
    uint8_t *to = m->picture.pixels + (size_t)y * (size_t)g->width * 3;
    for (int32_t x = 0; x < g->width; x++, to += 3) {
        if (!vj_seen_column(g, x)) continue;
        const vj_colour colour = vj_class_colour(m->label[x]);
        to[0] = colour.red;
        to[1] = colour.green;
        to[2] = colour.blue;
        m->shares[m->label[x]].pixels++;
        m->seen++;
    }
}

static int by_pixels(const void *left, const void *right) {
    const share *a = left, *b = right;
    if (a->pixels != b->pixels) return a->pixels < b->pixels ? 1 : -1;
    return a->index < b->index ? -1 : 1;
}

static double part(const mask *m, int64_t pixels) { return m->seen ? (double)pixels / (double)m->seen : 0; }

static vj_status print_json(const mask *m, const char *path) {
    const vj_placement *g = m->result->placement;
    cJSON *json = vj_result_json(m->result), *list = cJSON_AddArrayToObject(json, "classes");
    for (int64_t i = 0; i < m->classes && m->shares[i].pixels; i++) {
        cJSON *one = vj_json_class(m->result, list, m->shares[i].index);
        cJSON_AddNumberToObject(one, "share", part(m, m->shares[i].pixels));
    }
    cJSON_AddNumberToObject(json, "seen", (double)m->seen / ((double)g->width * g->height));
    if (path) cJSON_AddStringToObject(json, "picture", path);
    return vj_json_print(json);
}

static void print_text(const mask *m) {
    char text[256];
    printf("%s\n", m->result->file);
    for (int64_t i = 0; i < m->classes && m->shares[i].pixels; i++) {
        const vj_colour c = vj_class_colour(m->shares[i].index);
        printf("  %6.2f %%  #%02x%02x%02x  %s\n", 100 * part(m, m->shares[i].pixels), c.red, c.green, c.blue,
               vj_class_name(m->result, m->shares[i].index, text));
    }
}

static bool open_mask(mask *m, int64_t height, int64_t width, vj_why *why) {
    const vj_placement *g = m->result->placement;
    if (!vj_picture_alloc(&m->picture, g->width, g->height, 3, why)) return false;
    memset(m->picture.pixels, 0, (size_t)g->width * (size_t)g->height * 3);
    m->line = malloc((size_t)g->width * sizeof *m->line);
    m->best = malloc((size_t)g->width * sizeof *m->best);
    m->label = calloc((size_t)g->width, sizeof *m->label);
    m->shares = calloc((size_t)m->classes, sizeof *m->shares);
    for (int64_t i = 0; m->shares && i < m->classes; i++)
        m->shares[i].index = i;
    snprintf(why->text, sizeof why->text, "no memory for the mask");
    return m->line && m->best && m->label && m->shares &&
           vj_sampler_open(&m->sampler, g, VJ_SAMPLE_BILINEAR, height, width);
}

static void close_mask(mask *m) {
    vj_picture_free(&m->picture);
    vj_sampler_close(&m->sampler);
    free(m->line);
    free(m->best);
    free(m->label);
    free(m->shares);
}

static vj_status print_mask(mask *m) {
    char path[VJ_PATH_ROOM];
    const bool written = vj_result_path(m->result, path);
    vj_status status = VJ_OK;
    qsort(m->shares, (size_t)m->classes, sizeof *m->shares, by_pixels);
    if (vj_wants_json(m->result->command))
        status = print_json(m, written ? path : NULL);
    else
        print_text(m);
    return written && status == VJ_OK ? vj_png_write_said(path, &m->picture) : status;
}

vj_status vj_show_classes(const vj_result *r, const float *planes, int64_t classes, int64_t height, int64_t width) {
    mask m = {.result = r, .classes = classes};
    vj_why why = {0};
    vj_status status = VJ_OK;
    if (classes < 1 || height < 1 || width < 1) return vj_print_error(VJ_BAD_INPUT, r->file, "no classes came out");
    if (!open_mask(&m, height, width, &why)) {
        status = vj_print_error(VJ_SYSTEM, r->file, "%s", why.text);
    } else {
        for (int32_t y = 0; y < m.picture.height; y++) {
            if (!vj_seen_row(r->placement, y)) continue;
            classify_row(&m, planes, height * width, y);
            paint_row(&m, y);
        }
        status = print_mask(&m);
    }
    close_mask(&m);
    return status;
}

vj_status vj_show_segments(const vj_result *r) {
    const vj_array *logits = &r->outputs[0];
    return vj_show_classes(r, vj_result_data(r, 0), logits->dims[1], logits->dims[2], logits->dims[3]);
}
