/* SPDX-License-Identifier: Apache-2.0 */
/* queries.c - segmenters of queries: each has logits of classes and a mask. A pixel's score of a class is the sum over the queries of
 * the class's probability times the mask's, as in transformers' post_process_semantic_segmentation. The last class is "nothing here",
 * where the kind has one. */
#include "results.h"

#include <math.h>
#include <stdlib.h>

/* Softmax over the classes, for each query. */
static double *probabilities(const float *logits, int64_t queries, int64_t classes) {
    double *p = malloc((size_t)queries * (size_t)classes * sizeof *p);
    for (int64_t q = 0; p && q < queries; q++) {
        const float *row = logits + q * classes;
        double most = -INFINITY, sum = 0;
        for (int64_t c = 0; c < classes; c++)
            most = fmax(most, (double)row[c]);
        for (int64_t c = 0; c < classes; c++)
            sum += p[q * classes + c] = exp((double)row[c] - most);
        for (int64_t c = 0; c < classes; c++)
            p[q * classes + c] /= sum;
    }
    return p;
}

/* A query's mask, enlarged where the kind wants it, as probabilities. */
static bool mask_of(const float *mask, const vj_placement *to, int64_t height, int64_t width, float *out) {
    vj_sampler sampler;
    if (!vj_sampler_open(&sampler, to, VJ_SAMPLE_BILINEAR, height, width)) return false;
    for (int32_t y = 0; y < to->height; y++) {
        float *row = out + (size_t)y * (size_t)to->width;
        vj_sample_row(&sampler, mask, y, row);
        for (int32_t x = 0; x < to->width; x++)
            row[x] = 1 / (1 + expf(-row[x]));
    }
    vj_sampler_close(&sampler);
    return true;
}

/* planes[kept][pixels] += p[query][class] * mask */
static bool add_up(const vj_result *r, const double *p, const vj_placement *to, int64_t kept, float *planes) {
    const vj_array *masks = &r->outputs[1];
    const int64_t queries = masks->dims[1], height = masks->dims[2], width = masks->dims[3];
    const int64_t classes = r->outputs[0].dims[2], pixels = (int64_t)to->width * to->height;
    float *mask = malloc((size_t)pixels * sizeof *mask);
    bool good = mask != NULL;
    for (int64_t q = 0; good && q < queries; q++) {
        good = mask_of(vj_result_data(r, 1) + q * height * width, to, height, width, mask);
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

/* The size at which masks become probabilities: as if they were a picture of that size that became the masks. */
static vj_placement size_of(const vj_result *r) {
    const vj_array *masks = &r->outputs[1];
    int64_t height = masks->dims[2], width = masks->dims[3];
    if (r->reading->kind->variant == VJ_QUERIES_384) height = width = 384;
    if (r->reading->kind->variant == VJ_QUERIES_INPUT) {
        height = r->placement->input_height;
        width = r->placement->input_width;
    }
    const int32_t h = (int32_t)height, w = (int32_t)width;
    return (vj_placement){.width = w, .height = h, .input_width = w, .input_height = h, .scale_x = 1, .scale_y = 1};
}

vj_status vj_show_queries(const vj_result *r) {
    const vj_array *logits = &r->outputs[0], *masks = &r->outputs[1];
    const int64_t queries = logits->dims[1], classes = logits->dims[2];
    const int64_t kept = classes - (r->reading->kind->variant != VJ_QUERIES_NO_NULL);
    if (masks->dims[1] != queries || kept < 1 || masks->dims[2] > 1 << 15 || masks->dims[3] > 1 << 15)
        return vj_print_error(VJ_BAD_INPUT, r->file, "logits of %lld queries and %lld classes for %lld masks",
                              (long long)queries, (long long)classes, (long long)masks->dims[1]);
    const vj_placement to = size_of(r);
    vj_array planes = {.dtype = VJ_F32, .rank = 3, .dims = {kept, to.height, to.width}};
    double *p = probabilities(vj_result_data(r, 0), queries, classes);
    vj_status status;
    if (p && vj_array_alloc(&planes) && add_up(r, p, &to, kept, planes.data))
        status = vj_show_classes(r, planes.data, kept, to.height, to.width);
    else
        status = vj_print_error(VJ_SYSTEM, r->file, "no memory for %lld classes of %dx%d", (long long)kept,
                                (int)to.height, (int)to.width);
    vj_array_free(&planes);
    free(p);
    return status;
}
