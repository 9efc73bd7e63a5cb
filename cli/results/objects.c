/* SPDX-License-Identifier: Apache-2.0 */
/* objects.c - detectors of queries: outputs logits [1,Q,C] and boxes [1,Q,4], centre and size as parts of the input. As transformers'
 * post_process_object_detection: either a softmax whose last class is "no object", one object a query, or a sigmoid a class, the best
 * of all queries' classes together.
 * What RT-DETR's own repository exports, and those of D-FINE and DEIM, do this themselves and say labels [1,K], boxes [1,K,4] and scores
 * [1,K], with corners in the picture whose size they are given (orig_target_sizes, width before height). */
#include "results.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A query's box in the picture. */
static void place(const vj_result *r, const float *box, double out[4]) {
    const vj_placement *p = r->placement;
    const bool masked = r->reading->masked;
    const double width = masked ? p->width : p->input_width, height = masked ? p->height : p->input_height;
    out[0] = ((double)box[0] - 0.5 * (double)box[2]) * width;
    out[1] = ((double)box[1] - 0.5 * (double)box[3]) * height;
    out[2] = ((double)box[0] + 0.5 * (double)box[2]) * width;
    out[3] = ((double)box[1] + 0.5 * (double)box[3]) * height;
    if (!masked) vj_box_of_picture(p, out);
}

/* The likeliest class but the last, and its probability among all. */
static vj_object best_of(const float *logits, int64_t classes) {
    vj_object object = {0};
    double most = -INFINITY, sum = 0;
    for (int64_t c = 0; c < classes; c++)
        most = fmax(most, (double)logits[c]);
    for (int64_t c = 0; c < classes; c++)
        sum += exp((double)logits[c] - most);
    for (int64_t c = 1; c < classes - 1; c++)
        if (logits[c] > logits[object.label]) object.label = (int32_t)c;
    object.score = exp((double)logits[object.label] - most) / sum;
    return object;
}

static int64_t by_softmax(const vj_result *r, int64_t queries, int64_t classes, vj_object *objects) {
    const float *logits = vj_result_data(r, 0), *boxes = vj_result_data(r, 1);
    int64_t count = 0;
    for (int64_t q = 0; q < queries && classes > 1; q++) {
        const vj_object object = best_of(logits + q * classes, classes);
        if (!(object.score > r->threshold)) continue;
        objects[count] = object;
        place(r, boxes + q * 4, objects[count++].box);
    }
    return count;
}

/* How many classes of queries are above the threshold; their objects, if there is room for them. */
static int64_t by_sigmoid(const vj_result *r, int64_t queries, int64_t classes, vj_object *objects) {
    const float *logits = vj_result_data(r, 0), *boxes = vj_result_data(r, 1);
    int64_t count = 0;
    for (int64_t q = 0; q < queries; q++)
        for (int64_t c = 0; c < classes; c++) {
            const double score = 1 / (1 + exp(-(double)logits[q * classes + c]));
            if (!(score > r->threshold)) continue;
            if (objects) {
                objects[count] = (vj_object){.label = (int32_t)c, .score = score};
                place(r, boxes + q * 4, objects[count].box);
            }
            count++;
        }
    return count;
}

vj_status vj_show_objects(const vj_result *r) {
    const vj_array *logits = &r->outputs[0], *boxes = &r->outputs[1];
    const int64_t queries = logits->dims[1], classes = logits->dims[2];
    if (boxes->dims[1] != queries)
        return vj_print_error(VJ_BAD_INPUT, r->file, "%lld logits for %lld boxes", (long long)queries,
                              (long long)boxes->dims[1]);
    int32_t variant = r->reading->kind->variant;
    /* one class more than there are labels is "no object" */
    if (variant == VJ_OBJECTS_BY_LABELS)
        variant = r->recipe->label_count > 0 && classes == r->recipe->label_count + 1 ? VJ_OBJECTS_SOFTMAX
                                                                                      : VJ_OBJECTS_TOP_QUERIES;
    const bool softmax = variant == VJ_OBJECTS_SOFTMAX;
    const int64_t room = softmax ? queries : by_sigmoid(r, queries, classes, NULL);
    vj_object *objects = calloc((size_t)room + 1, sizeof *objects);
    if (!objects) return vj_print_error(VJ_SYSTEM, r->file, "no memory for %lld objects", (long long)room);
    const int64_t count = (softmax ? by_softmax : by_sigmoid)(r, queries, classes, objects);
    const int64_t most = variant == VJ_OBJECTS_TOP_100 ? 100 : queries;
    const vj_status status = vj_list_objects(r, objects, count, most);
    free(objects);
    return status;
}

bool vj_is_placed(const vj_model *model, const int32_t *at) {
    (void)at;
    for (int32_t i = 0; i < model->input_count; i++)
        if (strcmp(model->inputs[i].name, "orig_target_sizes") == 0) return true;
    return false;
}

vj_status vj_show_placed(const vj_result *r) {
    const float *labels = vj_result_data(r, 0), *boxes = vj_result_data(r, 1), *scores = vj_result_data(r, 2);
    const int64_t most = r->outputs[2].dims[1];
    if (r->outputs[0].dims[1] != most || r->outputs[1].dims[1] != most)
        return vj_print_error(VJ_BAD_INPUT, r->file, "%lld labels and %lld scores for %lld boxes",
                              (long long)r->outputs[0].dims[1], (long long)most, (long long)r->outputs[1].dims[1]);
    vj_object *objects = calloc((size_t)most + 1, sizeof *objects);
    if (!objects) return vj_print_error(VJ_SYSTEM, r->file, "no memory for %lld objects", (long long)most);
    int64_t count = 0;
    for (int64_t k = 0; k < most; k++) {
        if (!((double)scores[k] > r->threshold) || !(labels[k] >= 0 && labels[k] < 1e6f)) continue;
        vj_object *object = &objects[count++];
        *object = (vj_object){.label = (int32_t)labels[k], .score = (double)scores[k]};
        for (int32_t i = 0; i < 4; i++)
            object->box[i] = (double)boxes[k * 4 + i];
        if (!vj_is_whole(r->placement)) vj_box_of_picture(r->placement, object->box);
    }
    const vj_status status = vj_list_objects(r, objects, count, most);
    free(objects);
    return status;
}
