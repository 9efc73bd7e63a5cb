/* SPDX-License-Identifier: Apache-2.0 */
/* sheet.c - all maps of attention of a picture in one: a row a layer, a column a head, the mean of the heads behind them, and what the
 * colours mean. */
#include "modes.h"

#include <stdlib.h>
#include <string.h>

/* The longer side of a map; the letters' size and the room around. */
enum { TILE = 128, TIMES = 1, GAP = 4, LINE = (VJ_FONT_HEIGHT + 4) * TIMES, SCALE_WIDTH = 160, SCALE_HEIGHT = 12 };

static const vj_colour paper = {255, 255, 255}, ink = {0, 0, 0};

static int64_t left_of(const vj_sheet *s, int32_t column) {
    return vj_text_width("layer 00", TIMES) + 2 * GAP + column * (int64_t)(s->tile.width + GAP);
}

static int64_t top_of(const vj_sheet *s, int32_t row) { return LINE + GAP + row * (int64_t)(s->tile.height + GAP); }

static void paste(vj_picture *to, const vj_picture *from, int64_t x, int64_t y) {
    for (int64_t j = 0; j < from->height && y + j < to->height; j++)
        memcpy(to->pixels + ((size_t)(y + j) * (size_t)to->width + (size_t)x) * 3,
               from->pixels + (size_t)j * (size_t)from->width * 3, (size_t)from->width * 3);
}

/* The colours from the least weight to the largest, as they are over grey. */
static bool draw_scale(vj_sheet *s, int64_t y, vj_why *why) {
    vj_picture grey = {0}, bar = {0};
    float weights[SCALE_WIDTH];
    for (int32_t i = 0; i < SCALE_WIDTH; i++)
        weights[i] = (float)i;
    bool good = vj_picture_alloc(&grey, SCALE_WIDTH, SCALE_HEIGHT, 1, why);
    if (good) memset(grey.pixels, 128, SCALE_WIDTH * SCALE_HEIGHT);
    good = good && vj_heat_over(&grey, weights, 1, SCALE_WIDTH, &bar, why);
    const int64_t x = GAP + vj_text_width("least ", TIMES), text = y + (SCALE_HEIGHT - VJ_FONT_HEIGHT) / 2;
    if (good) paste(&s->canvas, &bar, x, y);
    vj_draw_text(&s->canvas, GAP, text, "least", TIMES, ink);
    vj_draw_text(&s->canvas, x + SCALE_WIDTH + GAP, text, "largest weight of each map", TIMES, ink);
    vj_picture_free(&grey);
    vj_picture_free(&bar);
    return good;
}

bool vj_sheet_open(vj_sheet *s, const vj_picture *picture, int32_t layers, int32_t heads, vj_why *why) {
    const int32_t longer = picture->width > picture->height ? picture->width : picture->height;
    const int32_t width = picture->width * TILE / longer, height = picture->height * TILE / longer;
    *s = (vj_sheet){.heads = heads};
    if (!vj_resample(picture, width ? width : 1, height ? height : 1, VJ_BILINEAR, &s->tile, why)) return false;
    const int64_t least = GAP + vj_text_width("least largest weight of each map", TIMES) + SCALE_WIDTH + 2 * GAP;
    const int64_t wide = left_of(s, heads + 1), scale = top_of(s, layers);
    if (!vj_picture_alloc(&s->canvas, wide < least ? least : wide, scale + SCALE_HEIGHT + GAP, 3, why)) return false;
    vj_draw_rectangle(&s->canvas, 0, 0, s->canvas.width, s->canvas.height, paper);
    for (int32_t head = 0; head <= heads; head++) {
        char text[32];
        snprintf(text, sizeof text, head < heads ? "head %02d" : "mean", (int)head);
        vj_draw_text(&s->canvas, left_of(s, head), GAP, text, TIMES, ink);
    }
    return draw_scale(s, scale, why);
}

void vj_sheet_name(vj_sheet *s, int32_t row, int32_t layer) {
    char text[32];
    snprintf(text, sizeof text, "layer %02d", (int)layer);
    vj_draw_text(&s->canvas, GAP, top_of(s, row), text, TIMES, ink);
}

bool vj_sheet_map(vj_sheet *s, int32_t row, int32_t column, const float *weights, int32_t rows, int32_t columns,
                  vj_why *why) {
    vj_picture heat = {0};
    const bool good = vj_heat_over(&s->tile, weights, rows, columns, &heat, why);
    if (good) paste(&s->canvas, &heat, left_of(s, column), top_of(s, row));
    vj_picture_free(&heat);
    return good;
}

void vj_sheet_close(vj_sheet *s) {
    vj_picture_free(&s->canvas);
    vj_picture_free(&s->tile);
}
