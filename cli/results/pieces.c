/* SPDX-License-Identifier: Apache-2.0 */
/* pieces.c - the segments of a picture: printed, and painted in a colour each. What belongs to none, or was not seen, is black. */
#include "results.h"

#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

/* A segment in the order in which it is shown. */
typedef struct piece {
    vj_claim claim;
    int64_t number, pixels; /* in the map */
} piece;

typedef struct pieces {
    const vj_result *result;
    piece *at;
    int64_t count, seen;
} pieces;

static int by_score(const void *left, const void *right) {
    const piece *a = left, *b = right;
    if (a->claim.score != b->claim.score) return a->claim.score < b->claim.score ? 1 : -1;
    return a->number < b->number ? -1 : 1;
}

static void count_pixels(pieces *p, const int32_t *map) {
    const vj_placement *g = p->result->placement;
    for (int32_t y = 0; y < g->height; y++) {
        if (!vj_seen_row(g, y)) continue;
        for (int32_t x = 0; x < g->width; x++) {
            if (!vj_seen_column(g, x)) continue;
            const int32_t number = map[(int64_t)y * g->width + x];
            p->seen++;
            if (number >= 0) p->at[number].pixels++;
        }
    }
}

static double share(const pieces *p, int64_t i) { return p->seen ? (double)p->at[i].pixels / (double)p->seen : 0; }

static void colour_text(int64_t i, char text[8]) {
    const vj_colour c = vj_class_colour(i);
    snprintf(text, 8, "#%02x%02x%02x", c.red, c.green, c.blue);
}

static vj_status print_json(const pieces *p, const char *path) {
    const vj_placement *g = p->result->placement;
    cJSON *json = vj_result_json(p->result), *list = cJSON_AddArrayToObject(json, "segments");
    char colour[8];
    for (int64_t i = 0; i < p->count; i++) {
        cJSON *one = vj_json_class(p->result, list, p->at[i].claim.label);
        colour_text(i, colour);
        cJSON_AddNumberToObject(one, "score", p->at[i].claim.score);
        cJSON_AddNumberToObject(one, "share", share(p, i));
        cJSON_AddStringToObject(one, "colour", colour);
    }
    cJSON_AddStringToObject(json, "task", vj_task_word(p->result->reading->task));
    cJSON_AddNumberToObject(json, "seen", (double)p->seen / ((double)g->width * g->height));
    if (path) cJSON_AddStringToObject(json, "picture", path);
    return vj_json_print(json);
}

static void print_text(const pieces *p) {
    char text[256], colour[8];
    printf("%s\n", p->result->file);
    for (int64_t i = 0; i < p->count; i++) {
        colour_text(i, colour);
        printf("  %6.2f %%  %6.2f %% of the pixels  %s  %s\n", 100 * p->at[i].claim.score, 100 * share(p, i), colour,
               vj_class_name(p->result, p->at[i].claim.label, text));
    }
    if (p->count == 0) printf("  no segment scores above %g\n", p->result->threshold);
}

static vj_status paint(const pieces *p, const int32_t *map, const int64_t *rank, const char *path) {
    const vj_placement *g = p->result->placement;
    vj_picture canvas = {0};
    vj_why why = {0};
    if (!vj_picture_alloc(&canvas, g->width, g->height, 3, &why))
        return vj_print_error(VJ_SYSTEM, p->result->file, "%s", why.text);
    const int64_t pixels = (int64_t)g->width * g->height;
    uint8_t *to = canvas.pixels;
    for (int64_t i = 0; i < pixels; i++, to += 3) {
        const vj_colour c = map[i] < 0 ? (vj_colour){0, 0, 0} : vj_class_colour(rank[map[i]]);
        to[0] = c.red;
        to[1] = c.green;
        to[2] = c.blue;
    }
    const vj_status status = vj_png_write_said(path, &canvas);
    vj_picture_free(&canvas);
    return status;
}

vj_status vj_show_pieces(const vj_result *r, const vj_claim *claims, int64_t count, const int32_t *map) {
    char path[VJ_PATH_ROOM];
    pieces p = {.result = r, .at = calloc((size_t)count + 1, sizeof *p.at), .count = count};
    int64_t *rank = calloc((size_t)count + 1, sizeof *rank);
    const bool written = vj_result_path(r, path);
    vj_status status = VJ_OK;
    if (p.at && rank) {
        for (int64_t i = 0; i < count; i++)
            p.at[i] = (piece){claims[i], i, 0};
        count_pixels(&p, map);
        qsort(p.at, (size_t)count, sizeof *p.at, by_score);
        for (int64_t i = 0; i < count; i++)
            rank[p.at[i].number] = i;
        if (vj_wants_json(r->command))
            status = print_json(&p, written ? path : NULL);
        else
            print_text(&p);
        if (written && status == VJ_OK) status = paint(&p, map, rank, path);
    } else {
        status = vj_print_error(VJ_SYSTEM, r->file, "no memory for %lld segments", (long long)count);
    }
    free(rank);
    free(p.at);
    return status;
}
