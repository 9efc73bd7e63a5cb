/* SPDX-License-Identifier: Apache-2.0 */
/* instances.c - objects with a mask each, as the post_process_instance_segmentation of MaskFormer, Mask2Former and EoMT: the likeliest
 * pairs of query and class, weighed by how sure the mask is where it is; one that comes later lies over those before. EoMT takes a
 * query's best class, and judges the mask at the picture's size. Where transformers leaves the order of the pairs open (few classes
 * for many queries), the likeliest come first here. */
#include "results.h"

#include <math.h>
#include <stdlib.h>

/* Objects on their way onto the picture. */
typedef struct stack {
    const vj_result *result;
    vj_placement size;       /* at which masks are judged */
    float *plane, *whole;    /* a mask of that size; of the picture's, for EoMT */
    int64_t *columns, *rows; /* which of the plane's is the picture's */
    int32_t *map;            /* [height][width] of the picture: an object; -1: none */
} stack;

static bool is_eomt(const vj_result *r) { return r->reading->kind->variant == VJ_QUERIES_INPUT; }

/* The nearest place, as PyTorch has it: the lower one, in float32. */
static int64_t *nearest(int32_t count, double scale, double shift, int32_t input, int32_t size) {
    int64_t *at = malloc((size_t)count * sizeof *at);
    const float step = (float)(scale * size / input), from = (float)(shift * size / input);
    for (int32_t i = 0; at && i < count; i++) {
        const float place = floorf((float)i * step + from);
        at[i] = place < 0 ? 0 : place >= (float)size ? size - 1 : (int64_t)place;
    }
    return at;
}

/* How sure a mask is where it is. */
static double sureness(const float *mask, int64_t count) {
    double sum = 0, there = 0;
    for (int64_t i = 0; i < count; i++) {
        if (!(mask[i] > 0)) continue;
        sum += 1 / (1 + exp(-(double)mask[i]));
        there++;
    }
    return sum / (there + 1e-6);
}

static float at(const stack *s, int32_t x, int32_t y) {
    if (s->whole) return s->whole[(int64_t)y * s->result->placement->width + x];
    return s->plane[s->rows[y] * s->size.width + s->columns[x]];
}

/* Puts the mask over those before; false: there is nothing of it in the picture. */
static bool lay(stack *s, int32_t number) {
    const vj_placement *g = s->result->placement;
    bool any = false;
    for (int32_t y = 0; y < g->height; y++) {
        if (!vj_seen_row(g, y)) continue;
        for (int32_t x = 0; x < g->width; x++) {
            if (!vj_seen_column(g, x) || !(at(s, x, y) > 0)) continue;
            s->map[(int64_t)y * g->width + x] = number;
            any = true;
        }
    }
    return any;
}

/* One of the picture's size. */
static bool enlarge(stack *s) {
    const vj_placement *g = s->result->placement;
    free(s->whole);
    s->whole = vj_sample_plane(g, VJ_SAMPLE_BILINEAR, s->plane, s->size.height, s->size.width);
    return s->whole != NULL;
}

/* All claims in turn; those that are objects move to the front. False: no memory. */
static bool lay_all(stack *s, vj_claim *claims, int64_t count, int32_t *kept) {
    const vj_placement *g = s->result->placement;
    for (int64_t k = 0; k < count; k++) {
        vj_claim claim = claims[k];
        if (!vj_mask_of(s->result, claim.query, &s->size, s->plane)) return false;
        if (is_eomt(s->result) && !enlarge(s)) return false;
        claim.score *= s->whole ? sureness(s->whole, (int64_t)g->width * g->height)
                                : sureness(s->plane, (int64_t)s->size.width * s->size.height);
        if (claim.score >= s->result->threshold && lay(s, *kept)) claims[(*kept)++] = claim;
    }
    return true;
}

static bool open_stack(stack *s) {
    const vj_placement *g = s->result->placement;
    const size_t pixels = (size_t)g->width * (size_t)g->height;
    s->size = vj_mask_size(s->result);
    s->plane = malloc((size_t)s->size.width * (size_t)s->size.height * sizeof *s->plane);
    s->columns = nearest(g->width, g->scale_x, g->shift_x, g->input_width, s->size.width);
    s->rows = nearest(g->height, g->scale_y, g->shift_y, g->input_height, s->size.height);
    s->map = malloc(pixels * sizeof *s->map);
    for (size_t i = 0; s->map && i < pixels; i++)
        s->map[i] = -1;
    return s->plane && s->columns && s->rows && s->map;
}

static void close_stack(stack *s) {
    free(s->plane);
    free(s->whole);
    free(s->columns);
    free(s->rows);
    free(s->map);
}

vj_status vj_show_instances(const vj_result *r, const double *p) {
    stack s = {.result = r};
    vj_claim *claims = NULL;
    int64_t count = 0;
    int32_t kept = 0;
    vj_status status;
    if (is_eomt(r)) {
        claims = malloc(((size_t)r->outputs[0].dims[1] + 1) * sizeof *claims);
        if (claims) count = vj_claims_best(r, p, false, claims);
    } else {
        count = vj_claims_top(r, p, &claims);
    }
    if (claims && open_stack(&s) && lay_all(&s, claims, count, &kept))
        status = vj_show_pieces(r, claims, kept, s.map);
    else
        status = vj_print_error(VJ_SYSTEM, r->file, "no memory for the masks of %lld queries", (long long)count);
    close_stack(&s);
    free(claims);
    return status;
}
