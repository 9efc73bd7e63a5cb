/* SPDX-License-Identifier: Apache-2.0 */
/* canvas.c - draws boxes, dots and text over pictures in red, green and blue. */
#include "results.h"

#include <math.h>
#include <string.h>

/* As the colours of PASCAL VOC: the bits of the number, three at a time, become the upper bits of red, green and blue. One is added, so
 * that no class is black. */
vj_colour vj_class_colour(int64_t index) {
    uint8_t parts[3] = {0};
    uint64_t number = (uint64_t)index + 1;
    for (int32_t bit = 7; bit >= 0; bit--, number >>= 3)
        for (int32_t c = 0; c < 3; c++)
            parts[c] = (uint8_t)(parts[c] | (number >> c & 1) << bit);
    return (vj_colour){parts[0], parts[1], parts[2]};
}

static bool copy_in_colour(const vj_picture *picture, vj_picture *canvas, vj_why *why) {
    if (!vj_picture_alloc(canvas, picture->width, picture->height, 3, why)) return false;
    const size_t pixels = (size_t)picture->width * (size_t)picture->height;
    for (size_t i = 0; i < pixels; i++)
        for (size_t c = 0; c < 3; c++)
            canvas->pixels[i * 3 + c] =
                picture->channels == 3 ? picture->pixels[i * 3 + c] : picture->pixels[i * (size_t)picture->channels];
    return true;
}

vj_status vj_canvas_open(const vj_result *r, vj_picture *canvas) {
    vj_picture picture = {0};
    vj_why why = {0};
    vj_status status = VJ_OK;
    *canvas = (vj_picture){0};
    if (vj_picture_read(r->file, NULL, &picture, &why) != VJ_OK || !copy_in_colour(&picture, canvas, &why))
        status = vj_print_error(VJ_BAD_INPUT, r->file, "%s", why.text);
    vj_picture_free(&picture);
    return status;
}

static void put(vj_picture *canvas, int64_t x, int64_t y, vj_colour colour) {
    if (x < 0 || y < 0 || x >= canvas->width || y >= canvas->height) return;
    uint8_t *to = canvas->pixels + ((size_t)y * (size_t)canvas->width + (size_t)x) * 3;
    to[0] = colour.red;
    to[1] = colour.green;
    to[2] = colour.blue;
}

static int64_t within(double at, int64_t most) { return at<0 ? 0 : at>(double) most ? most : (int64_t)at; }

void vj_draw_rectangle(vj_picture *canvas, int64_t x, int64_t y, int64_t width, int64_t height, vj_colour colour) {
    const int64_t right = within((double)x + (double)width, canvas->width);
    const int64_t bottom = within((double)y + (double)height, canvas->height);
    for (int64_t j = y < 0 ? 0 : y; j < bottom; j++)
        for (int64_t i = x < 0 ? 0 : x; i < right; i++)
            put(canvas, i, j, colour);
}

/* A box that is not finite, or outside, is not drawn; its sides beyond the picture neither. */
void vj_draw_frame(vj_picture *canvas, const double box[4], int32_t thickness, vj_colour colour) {
    double at[4];
    for (int32_t i = 0; i < 4; i++) {
        if (!isfinite(box[i])) return;
        at[i] = fmin(fmax(floor(box[i]), -1000), (i % 2 ? canvas->height : canvas->width) + 1000.0);
    }
    if (at[2] < at[0] || at[3] < at[1]) return;
    const int64_t x = (int64_t)at[0], y = (int64_t)at[1], width = (int64_t)at[2] - x + 1,
                  height = (int64_t)at[3] - y + 1;
    vj_draw_rectangle(canvas, x, y, width, thickness, colour);
    vj_draw_rectangle(canvas, x, y + height - thickness, width, thickness, colour);
    vj_draw_rectangle(canvas, x, y, thickness, height, colour);
    vj_draw_rectangle(canvas, x + width - thickness, y, thickness, height, colour);
}

void vj_draw_dot(vj_picture *canvas, double x, double y, int32_t radius, vj_colour colour) {
    if (!(x >= 0 && y >= 0 && x < canvas->width && y < canvas->height)) return;
    const int64_t at_x = (int64_t)floor(x + 0.5), at_y = (int64_t)floor(y + 0.5);
    for (int64_t j = -radius; j <= radius; j++)
        for (int64_t i = -radius; i <= radius; i++)
            if (i * i + j * j <= (int64_t)radius * radius) put(canvas, at_x + i, at_y + j, colour);
}

/* Bytes that continue a character of UTF-8 are none of their own. */
static bool continues(char c) { return ((unsigned char)c & 0xc0) == 0x80; }

int64_t vj_text_width(const char *text, int32_t times) {
    int64_t count = 0;
    for (; *text; text++)
        count += !continues(*text);
    return count * (VJ_FONT_WIDTH + 1) * times;
}

void vj_draw_text(vj_picture *canvas, int64_t x, int64_t y, const char *text, int32_t times, vj_colour colour) {
    for (; *text && x < canvas->width; text++) {
        if (continues(*text)) continue;
        const uint8_t *columns = vj_font_columns((unsigned char)*text);
        for (int32_t i = 0; i < VJ_FONT_WIDTH; i++)
            for (int32_t j = 0; j < VJ_FONT_HEIGHT; j++)
                if (columns[i] >> j & 1) vj_draw_rectangle(canvas, x + i * times, y + j * times, times, times, colour);
        x += (VJ_FONT_WIDTH + 1) * times;
    }
}

void vj_draw_label(vj_picture *canvas, int64_t x, int64_t y, const char *text, int32_t times, vj_colour ground) {
    const double light = 0.299 * ground.red + 0.587 * ground.green + 0.114 * ground.blue;
    const vj_colour black = {0, 0, 0}, white = {255, 255, 255};
    vj_draw_rectangle(canvas, x, y, vj_text_width(text, times) + times, (VJ_FONT_HEIGHT + 2) * times, ground);
    vj_draw_text(canvas, x + times, y + times, text, times, light > 140 ? black : white);
}

int32_t vj_times_of(const vj_picture *picture) {
    const int32_t longer = picture->width > picture->height ? picture->width : picture->height;
    return longer < 800 ? 1 : longer / 500;
}
