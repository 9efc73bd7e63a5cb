/* SPDX-License-Identifier: Apache-2.0 */
/* queries.c - masks of queries by the task: for semantic segmentation a pixel's score of a class is the sum over the queries of the
 * class's probability times the mask's, as in transformers' post_process_semantic_segmentation. */
#include "results.h"

#include <stdlib.h>

/* planes[kept][pixels] += p[query][class] * mask */
static bool add_up(const vj_result *r, const double *p, const vj_placement *to, int64_t kept, float *planes) {
    const int64_t queries = r->outputs[1].dims[1], classes = r->outputs[0].dims[2];
    const int64_t pixels = (int64_t)to->width * to->height;
    float *mask = malloc((size_t)pixels * sizeof *mask);
    bool good = mask != NULL;
    for (int64_t q = 0; good && q < queries; q++) {
        good = vj_mask_of(r, q, to, mask);
        if (good) vj_mask_sigmoid(mask, pixels);
        for (int64_t c = 0; good && c < kept; c++) {
            const float weight = (float)p[q * classes + c];
            float *plane = planes + c * pixels;
            for (int64_t i = 0; i < pixels; i++)
                plane[i] += weight * mask[i];
        }
    }
    free(mask);
    return good;
}

static vj_status show_semantic(const vj_result *r, const double *p) {
    const int64_t kept = vj_mask_classes(r);
    const vj_placement to = vj_mask_size(r);
    vj_array planes = {.dtype = VJ_F32, .rank = 3, .dims = {kept, to.height, to.width}};
    vj_status status;
    if (vj_array_alloc(&planes) && add_up(r, p, &to, kept, planes.data))
        status = vj_show_classes(r, planes.data, kept, to.height, to.width);
    else
        status = vj_print_error(VJ_SYSTEM, r->file, "no memory for %lld classes of %dx%d", (long long)kept,
                                (int)to.height, (int)to.width);
    vj_array_free(&planes);
    return status;
}

vj_status vj_show_queries(const vj_result *r) {
    const int32_t variant = r->reading->kind->variant;
    const bool shared = r->reading->task == VJ_TASK_PANOPTIC || variant == VJ_QUERIES_DETR ||
                        variant == VJ_QUERIES_NO_NULL || variant == VJ_QUERIES_ONEFORMER;
    vj_status status = vj_check_queries(r);
    if (status) return status;
    double *p = vj_mask_probabilities(r);
    if (!p)
        status = vj_print_error(VJ_SYSTEM, r->file, "no memory for the queries' classes");
    else if (r->reading->task == VJ_TASK_SEMANTIC)
        status = show_semantic(r, p);
    else
        status = shared ? vj_show_shared(r, p) : vj_show_instances(r, p);
    free(p);
    return status;
}
