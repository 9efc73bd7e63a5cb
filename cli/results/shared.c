/* SPDX-License-Identifier: Apache-2.0 */
/* shared.c - segments that share the pixels: each pixel is the query's whose mask, weighed by the query's score, is the largest there.
 * A query whose mask others cover for the most part is no segment. As transformers' post_process_panoptic_segmentation, and the
 * post_process_instance_segmentation of those that do the same for instances (DETR, OneFormer). Segments of a class are not fused. */
#include "results.h"

#include <math.h>
#include <stdlib.h>

/* A mask is there from so much on, and more than this part of it must be the query's own. */
static const float least_mask = 0.5f;
static const double least_own = 0.8;

/* The queries on their way to segments. */
typedef struct contest {
    const vj_result *result;
    vj_sampler sampler;
    vj_claim *claims;
    int64_t count;
    float *planes;             /* [count][height][width] of the size at which masks are judged */
    int64_t plane;             /* height * width */
    float *line, *best, *mask; /* of the picture's width; what the winner's mask is without its score */
    int64_t *won, *held, *own; /* pixels of each: won, of its mask, and those that are both */
    int32_t *map;              /* [height][width] of the picture: a claim; -1: none */
} contest;

static bool is_eomt(const contest *c) { return c->result->reading->kind->variant == VJ_QUERIES_INPUT; }

/* OneFormer's instances compete by logits, not by probabilities. */
static bool by_logits(const vj_result *r) {
    return r->reading->kind->variant == VJ_QUERIES_ONEFORMER && r->reading->task == VJ_TASK_INSTANCE;
}

static bool fill_planes(contest *c, const vj_placement *size) {
    c->plane = (int64_t)size->width * size->height;
    vj_array room = {.dtype = VJ_F32, .rank = 2, .dims = {c->count, c->plane}};
    if (!vj_array_alloc(&room)) return false;
    c->planes = room.data;
    for (int64_t k = 0; k < c->count; k++) {
        float *plane = c->planes + k * c->plane;
        if (!vj_mask_of(c->result, c->claims[k].query, size, plane)) return false;
        if (!is_eomt(c) && !by_logits(c->result)) vj_mask_sigmoid(plane, c->plane);
    }
    return true;
}

/* One claim on a row: which pixels it wins so far, and how many it holds. */
static void claim_row(contest *c, int64_t k, int32_t y, int32_t *winner) {
    const vj_placement *g = c->result->placement;
    const float score = (float)c->claims[k].score;
    vj_sample_row(&c->sampler, c->planes + k * c->plane, y, c->line);
    if (is_eomt(c)) vj_mask_sigmoid(c->line, g->width);
    for (int32_t x = 0; x < g->width; x++) {
        if (!vj_seen_column(g, x)) continue;
        const float weighed = c->line[x] * score, mask = is_eomt(c) ? c->line[x] : weighed;
        c->held[k] += mask >= least_mask;
        if (!(weighed > c->best[x])) continue;
        c->best[x] = weighed;
        c->mask[x] = mask;
        winner[x] = (int32_t)k;
    }
}

static void contest_row(contest *c, int32_t y) {
    const int32_t width = c->result->placement->width;
    int32_t *winner = c->map + (size_t)y * (size_t)width;
    for (int32_t x = 0; x < width; x++) {
        c->best[x] = -INFINITY;
        winner[x] = -1;
    }
    for (int64_t k = 0; k < c->count && vj_seen_row(c->result->placement, y); k++)
        claim_row(c, k, y, winner);
    for (int32_t x = 0; x < width; x++) {
        if (winner[x] < 0) continue;
        const bool own = c->mask[x] >= least_mask;
        c->won[winner[x]]++;
        c->own[winner[x]] += own;
        if (is_eomt(c) && !own) winner[x] = -1;
    }
}

static bool is_segment(const contest *c, int64_t k) {
    if (c->won[k] == 0 || c->held[k] == 0 || (is_eomt(c) && c->own[k] == 0)) return false;
    return (double)((float)c->won[k] / (float)c->held[k]) > least_own;
}

/* The claims that are segments move to the front, and the map's numbers with them. */
static vj_status show(contest *c) {
    const vj_placement *g = c->result->placement;
    const int64_t pixels = (int64_t)g->width * g->height;
    int32_t *number = malloc(((size_t)c->count + 1) * sizeof *number);
    if (!number) return vj_print_error(VJ_SYSTEM, c->result->file, "no memory for its segments");
    int32_t kept = 0;
    for (int64_t k = 0; k < c->count; k++) {
        number[k] = is_segment(c, k) ? kept : -1;
        if (number[k] >= 0) c->claims[kept++] = c->claims[k];
    }
    for (int64_t i = 0; i < pixels; i++)
        if (c->map[i] >= 0) c->map[i] = number[c->map[i]];
    free(number);
    return vj_show_pieces(c->result, c->claims, kept, c->map);
}

static bool open_contest(contest *c) {
    const vj_placement *g = c->result->placement, size = vj_mask_size(c->result);
    const size_t width = (size_t)g->width, room = (size_t)c->count + 1;
    c->line = malloc(width * sizeof *c->line);
    c->best = malloc(width * sizeof *c->best);
    c->mask = malloc(width * sizeof *c->mask);
    c->won = calloc(room, sizeof *c->won);
    c->held = calloc(room, sizeof *c->held);
    c->own = calloc(room, sizeof *c->own);
    c->map = malloc(width * (size_t)g->height * sizeof *c->map);
    return c->line && c->best && c->mask && c->won && c->held && c->own && c->map && fill_planes(c, &size) &&
           vj_sampler_open(&c->sampler, g, VJ_SAMPLE_BILINEAR, size.height, size.width);
}

static void close_contest(contest *c) {
    vj_sampler_close(&c->sampler);
    free(c->claims);
    free(c->planes);
    free(c->line);
    free(c->best);
    free(c->mask);
    free(c->won);
    free(c->held);
    free(c->own);
    free(c->map);
}

vj_status vj_show_shared(const vj_result *r, const double *p) {
    contest c = {.result = r};
    vj_status status = VJ_OK;
    if (by_logits(r)) {
        c.count = vj_claims_top(r, p, &c.claims);
    } else {
        c.claims = malloc(((size_t)r->outputs[0].dims[1] + 1) * sizeof *c.claims);
        if (c.claims) c.count = vj_claims_best(r, p, true, c.claims);
    }
    if (c.claims && open_contest(&c)) {
        for (int32_t y = 0; y < r->placement->height; y++)
            contest_row(&c, y);
        status = show(&c);
    } else {
        status = vj_print_error(VJ_SYSTEM, r->file, "no memory for the masks of %lld queries", (long long)c.count);
    }
    close_contest(&c);
    return status;
}
