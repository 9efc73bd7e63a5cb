/* SPDX-License-Identifier: Apache-2.0 */
/* listing.c - the objects of a picture: printed, and drawn over it. */
#include "results.h"

#include <stdlib.h>

#include <cjson/cJSON.h>

typedef struct ranked {
    vj_object object;
    int64_t place;
} ranked;

static int by_score(const void *left, const void *right) {
    const ranked *a = left, *b = right;
    if (a->object.score != b->object.score) return a->object.score < b->object.score ? 1 : -1;
    return a->place < b->place ? -1 : 1;
}

void vj_objects_sort(vj_object *objects, int64_t count) {
    ranked *all = malloc(((size_t)count + 1) * sizeof *all);
    for (int64_t i = 0; all && i < count; i++)
        all[i] = (ranked){objects[i], i};
    if (all) qsort(all, (size_t)count, sizeof *all, by_score);
    for (int64_t i = 0; all && i < count; i++)
        objects[i] = all[i].object;
    free(all);
}

void vj_box_of_picture(const vj_placement *g, double box[4]) {
    for (int32_t i = 0; i < 4; i += 2) {
        box[i] = (box[i] - g->shift_x) / g->scale_x;
        box[i + 1] = (box[i + 1] - g->shift_y) / g->scale_y;
    }
}

static vj_status print_json(const vj_result *r, const vj_object *objects, int64_t count, const char *drawn) {
    cJSON *json = vj_result_json(r), *list = cJSON_AddArrayToObject(json, "objects");
    for (int64_t i = 0; i < count; i++) {
        cJSON *one = vj_json_class(r, list, objects[i].label);
        cJSON_AddNumberToObject(one, "score", objects[i].score);
        cJSON_AddItemToObject(one, "box", cJSON_CreateDoubleArray(objects[i].box, 4));
    }
    if (drawn) cJSON_AddStringToObject(json, "picture", drawn);
    return vj_json_print(json);
}

static void print_text(const vj_result *r, const vj_object *objects, int64_t count) {
    char text[256];
    printf("%s\n", r->file);
    for (int64_t i = 0; i < count; i++)
        printf("  %6.2f %%  %-20s  %.1f %.1f %.1f %.1f\n", objects[i].score * 100,
               vj_class_name(r, objects[i].label, text), objects[i].box[0], objects[i].box[1], objects[i].box[2],
               objects[i].box[3]);
    if (count == 0) printf("  no object scores above %g\n", r->threshold);
}

/* The likeliest on top. */
static void draw_all(const vj_result *r, const vj_object *objects, int64_t count, vj_picture *canvas) {
    const int32_t times = vj_times_of(canvas);
    for (int64_t i = count - 1; i >= 0; i--) {
        char name[256], text[300];
        const vj_colour colour = vj_class_colour(objects[i].label);
        const double *box = objects[i].box;
        vj_draw_frame(canvas, box, times + 1, colour);
        snprintf(text, sizeof text, "%s %.2f", vj_class_name(r, objects[i].label, name), objects[i].score);
        const double x = box[0] < 0 ? 0 : box[0], above = box[1] - (VJ_FONT_HEIGHT + 2) * times;
        if (x < canvas->width && box[1] < canvas->height)
            vj_draw_label(canvas, (int64_t)x, above < 0 ? 0 : (int64_t)above, text, times, colour);
    }
}

static vj_status draw(const vj_result *r, const vj_object *objects, int64_t count, const char *path) {
    vj_picture canvas;
    vj_status status = vj_canvas_open(r, &canvas);
    if (status == VJ_OK) {
        draw_all(r, objects, count, &canvas);
        status = vj_png_write_said(path, &canvas);
    }
    vj_picture_free(&canvas);
    return status;
}

vj_status vj_list_objects(const vj_result *r, vj_object *objects, int64_t count, int64_t most) {
    char path[VJ_PATH_ROOM];
    vj_status status = VJ_OK;
    vj_objects_sort(objects, count);
    const int64_t shown = count < most ? count : most;
    const bool drawn = vj_result_path(r, path);
    if (vj_wants_json(r->command))
        status = print_json(r, objects, shown, drawn ? path : NULL);
    else
        print_text(r, objects, shown);
    return drawn && status == VJ_OK ? draw(r, objects, shown, path) : status;
}
