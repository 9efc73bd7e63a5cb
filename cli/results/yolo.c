/* SPDX-License-Identifier: Apache-2.0 */
/* yolo.c - detectors of a grid, whose boxes overlap: of boxes of a class that overlap more than a bound the likelier stays.
 *
 * VJ_YOLO_PLANES  [1,4+C,A], as YOLOv8 and YOLO11 have it: centre and size in the input's pixels, then a score a class
 * VJ_YOLO_ROWS    [1,A,5+C]: centre, size, whether there is an object, a score a class. In grid steps and logarithms (YOLOX) where A is
 *                 a place of the strides 8, 16 and 32 each; in the input's pixels (YOLOv5) where it is three
 * VJ_YOLO_DONE    [1,K,6]: corners in the input's pixels, score, class; nothing overlaps any more */
#include "results.h"

#include <math.h>
#include <stdlib.h>

enum { MOST_OBJECTS = 300, MOST_CANDIDATES = 30000 };

static int64_t places(int64_t height, int64_t width) {
    int64_t count = 0;
    for (int64_t stride = 8; stride <= 32; stride *= 2)
        count += (height / stride) * (width / stride);
    return count;
}

static int64_t places_of(const vj_model *model) {
    vj_picture_input in;
    return vj_model_picture(model, &in) ? places(in.height, in.width) : 0;
}

bool vj_is_yolo_planes(const vj_model *model, const int32_t *at) {
    const vj_tensor_info *t = &model->outputs[at[0]];
    const int64_t count = places_of(model);
    return count > 0 && t->dims[2] == count && t->dims[1] > 4 && t->dims[1] < count;
}

bool vj_is_yolo_rows(const vj_model *model, const int32_t *at) {
    const vj_tensor_info *t = &model->outputs[at[0]];
    const int64_t count = places_of(model);
    return count > 0 && (t->dims[1] == count || t->dims[1] == 3 * count) && t->dims[2] > 5 && t->dims[2] < count;
}

bool vj_is_yolo_done(const vj_model *model, const int32_t *at) {
    return vj_plain_outputs(model) == 1 && places_of(model) > 0 && model->outputs[at[0]].dims[1] > 0;
}

static void corners(const double centre[4], double box[4]) {
    box[0] = centre[0] - centre[2] / 2;
    box[1] = centre[1] - centre[3] / 2;
    box[2] = centre[0] + centre[2] / 2;
    box[3] = centre[1] + centre[3] / 2;
}

/* Row a of YOLOX: its place on the grid of its stride. */
static void decode_grid(const vj_placement *g, int64_t a, double centre[4]) {
    for (int64_t stride = 8; stride <= 32; stride *= 2) {
        const int64_t columns = g->input_width / stride, count = columns * (g->input_height / stride);
        if (a >= count) {
            a -= count;
            continue;
        }
        centre[0] = (centre[0] + (double)(a % columns)) * (double)stride;
        centre[1] = (centre[1] + (double)(a / columns)) * (double)stride;
        centre[2] = exp(centre[2]) * (double)stride;
        centre[3] = exp(centre[3]) * (double)stride;
        return;
    }
}

/* The output as numbers of a place: where the first one is, and how far apart they are. */
typedef struct grid {
    const float *data;
    int64_t count, step, next; /* of places; between the numbers of a place, between places */
    int64_t classes, first;    /* of a place's numbers the first that is a class */
    bool steps;                /* in steps of the grid */
} grid;

static grid grid_of(const vj_result *r) {
    const vj_array *a = &r->outputs[0];
    if (r->reading->kind->variant == VJ_YOLO_PLANES)
        return (grid){vj_result_data(r, 0), a->dims[2], a->dims[2], 1, a->dims[1] - 4, 4, false};
    const bool steps = a->dims[1] == places(r->placement->input_height, r->placement->input_width);
    return (grid){vj_result_data(r, 0), a->dims[1], 1, a->dims[2], a->dims[2] - 5, 5, steps};
}

/* The best class of a place. */
static vj_object best_of(const grid *g, const float *at) {
    vj_object object = {.score = -1};
    const double is_object = g->first == 5 ? (double)at[4 * g->step] : 1;
    for (int64_t c = 0; c < g->classes; c++) {
        const double score = (double)at[(g->first + c) * g->step] * is_object;
        if (score > object.score) object = (vj_object){.label = (int32_t)c, .score = score};
    }
    return object;
}

static int64_t candidates(const vj_result *r, const grid *g, vj_object *objects) {
    int64_t count = 0;
    for (int64_t a = 0; a < g->count; a++) {
        const float *at = g->data + a * g->next;
        vj_object object = best_of(g, at);
        if (!(object.score > r->threshold)) continue;
        double centre[4];
        for (int32_t i = 0; i < 4; i++)
            centre[i] = (double)at[i * g->step];
        if (g->steps) decode_grid(r->placement, a, centre);
        corners(centre, object.box);
        objects[count++] = object;
    }
    return count;
}

static double overlap(const double a[4], const double b[4]) {
    const double width = fmin(a[2], b[2]) - fmax(a[0], b[0]), height = fmin(a[3], b[3]) - fmax(a[1], b[1]);
    if (!(width > 0 && height > 0)) return 0;
    const double both = width * height;
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both);
}

/* Sorted objects: those stay that no likelier one of their class covers. */
static int64_t suppress(vj_object *objects, int64_t count, double bound) {
    int64_t kept = 0;
    for (int64_t i = 0; i < count && kept < MOST_OBJECTS; i++) {
        bool stays = true;
        for (int64_t k = 0; k < kept && stays; k++)
            stays = objects[k].label != objects[i].label || overlap(objects[k].box, objects[i].box) <= bound;
        if (stays) objects[kept++] = objects[i];
    }
    return kept;
}

static int64_t done(const vj_result *r, vj_object *objects) {
    const float *rows = vj_result_data(r, 0);
    int64_t count = 0;
    for (int64_t k = 0; k < r->outputs[0].dims[1]; k++, rows += 6) {
        if (!((double)rows[4] > r->threshold) || !(rows[5] >= 0 && rows[5] < 1e6f)) continue;
        vj_object *object = &objects[count++];
        *object = (vj_object){.label = (int32_t)rows[5], .score = (double)rows[4]};
        for (int32_t i = 0; i < 4; i++)
            object->box[i] = (double)rows[i];
    }
    return count;
}

vj_status vj_show_yolo(const vj_result *r) {
    const bool is_done = r->reading->kind->variant == VJ_YOLO_DONE;
    const grid g = grid_of(r);
    const int64_t room = is_done ? r->outputs[0].dims[1] : g.count;
    vj_object *objects = calloc((size_t)room + 1, sizeof *objects);
    if (!objects) return vj_print_error(VJ_SYSTEM, r->file, "no memory for %lld objects", (long long)room);
    int64_t count = is_done ? done(r, objects) : candidates(r, &g, objects);
    if (!is_done) {
        vj_objects_sort(objects, count);
        count = suppress(objects, count < MOST_CANDIDATES ? count : MOST_CANDIDATES, g.first == 4 ? 0.7 : 0.45);
    }
    for (int64_t i = 0; i < count; i++)
        vj_box_of_picture(r->placement, objects[i].box);
    const vj_status status = vj_list_objects(r, objects, count, MOST_OBJECTS);
    free(objects);
    return status;
}
