/* SPDX-License-Identifier: Apache-2.0 */
/* masks.c - queries: each has logits of classes, of which the last is "nothing here" where the kind has one, and a mask, [1,Q,C] and
 * [1,Q,h,w]. What all their readings share: probabilities, the masks at the size at which they are judged, and which queries are
 * taken as what. */
#include "results.h"

#include <math.h>
#include <stdlib.h>

int64_t vj_mask_classes(const vj_result *r) {
    return r->outputs[0].dims[2] - (r->reading->kind->variant != VJ_QUERIES_NO_NULL);
}

vj_status vj_check_queries(const vj_result *r) {
    const vj_array *logits = &r->outputs[0], *masks = &r->outputs[1];
    if (masks->dims[1] == logits->dims[1] && vj_mask_classes(r) > 0 && masks->dims[2] > 0 && masks->dims[3] > 0 &&
        masks->dims[2] <= 1 << 15 && masks->dims[3] <= 1 << 15)
        return VJ_OK;
    return vj_print_error(VJ_BAD_INPUT, r->file, "logits of %lld queries and %lld classes for %lld masks of %lldx%lld",
                          (long long)logits->dims[1], (long long)logits->dims[2], (long long)masks->dims[1],
                          (long long)masks->dims[2], (long long)masks->dims[3]);
}

double *vj_mask_probabilities(const vj_result *r) {
    const int64_t queries = r->outputs[0].dims[1], classes = r->outputs[0].dims[2];
    const float *logits = vj_result_data(r, 0);
    double *p = malloc(((size_t)queries * (size_t)classes + 1) * sizeof *p);
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

vj_placement vj_mask_size(const vj_result *r) {
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

bool vj_mask_of(const vj_result *r, int64_t query, const vj_placement *size, float *out) {
    const int64_t height = r->outputs[1].dims[2], width = r->outputs[1].dims[3];
    const float *mask = vj_result_data(r, 1) + query * height * width;
    vj_sampler sampler;
    if (!vj_sampler_open(&sampler, size, VJ_SAMPLE_BILINEAR, height, width)) return false;
    for (int32_t y = 0; y < size->height; y++)
        vj_sample_row(&sampler, mask, y, out + (size_t)y * (size_t)size->width);
    vj_sampler_close(&sampler);
    return true;
}

void vj_mask_sigmoid(float *values, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        values[i] = 1 / (1 + expf(-values[i]));
}

static int by_score(const void *left, const void *right) {
    const vj_claim *a = left, *b = right;
    if (a->score != b->score) return a->score < b->score ? 1 : -1;
    if (a->query != b->query) return a->query < b->query ? -1 : 1;
    return a->label - b->label;
}

int64_t vj_claims_best(const vj_result *r, const double *p, bool with_null, vj_claim *claims) {
    const int64_t queries = r->outputs[0].dims[1], classes = r->outputs[0].dims[2];
    int64_t count = 0;
    for (int64_t q = 0; q < queries; q++) {
        const double *row = p + q * classes;
        int64_t best = 0;
        for (int64_t c = 1; c < classes - !with_null; c++)
            if (row[c] > row[best]) best = c;
        if (best < classes - 1 && row[best] > r->threshold) claims[count++] = (vj_claim){q, (int32_t)best, row[best]};
    }
    return count;
}

int64_t vj_claims_top(const vj_result *r, const double *p, vj_claim **claims) {
    const int64_t queries = r->outputs[0].dims[1], classes = r->outputs[0].dims[2];
    int64_t count = 0;
    for (int64_t i = 0; i < queries * classes; i++)
        count += i % classes < classes - 1 && p[i] > r->threshold;
    *claims = malloc(((size_t)count + 1) * sizeof **claims);
    if (!*claims) return 0;
    count = 0;
    for (int64_t i = 0; i < queries * classes; i++)
        if (i % classes < classes - 1 && p[i] > r->threshold)
            (*claims)[count++] = (vj_claim){i / classes, (int32_t)(i % classes), p[i]};
    qsort(*claims, (size_t)count, sizeof **claims, by_score);
    return count < queries ? count : queries;
}
