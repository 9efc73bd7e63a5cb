/* SPDX-License-Identifier: Apache-2.0 */
/* png.c - PNG through libspng. Of 16 bits a channel the upper 8 are kept, and transparency is noted and dropped, both
 * as in Pillow's convert("RGB"). A damaged file is refused. */
#include "picture.h"

#include <stdlib.h>

#include <spng.h>

/* Copies the picture's channels from RGBA. */
static void take_colours(const uint8_t *rgba, vj_picture *picture) {
    const size_t pixels = (size_t)picture->width * (size_t)picture->height;
    uint8_t *to = picture->pixels;
    for (size_t i = 0; i < pixels; i++, rgba += 4) {
        for (int32_t c = 0; c < picture->channels; c++)
            *to++ = rgba[c];
        if (rgba[3] != 255) picture->transparent = 1;
    }
}

/* A failure of libspng's. */
static bool damaged(int error, vj_why *why) {
    if (error == SPNG_EMEM) return vj_because(why, VJ_SYSTEM, "out of memory");
    return vj_because(why, VJ_BAD_INPUT, "a damaged PNG: %s", spng_strerror(error));
}

static bool decode(spng_ctx *png, vj_picture *picture, vj_why *why) {
    struct spng_ihdr header;
    size_t size = 0;
    int error = spng_get_ihdr(png, &header);
    if (!error) error = spng_decoded_image_size(png, SPNG_FMT_RGBA8, &size);
    if (error) return damaged(error, why);
    const bool grey =
        header.color_type == SPNG_COLOR_TYPE_GRAYSCALE || header.color_type == SPNG_COLOR_TYPE_GRAYSCALE_ALPHA;
    if (!vj_picture_alloc(picture, header.width, header.height, grey ? 1 : 3, why)) return false;
    uint8_t *rgba = malloc(size);
    if (!rgba) return vj_because(why, VJ_SYSTEM, "out of memory");
    error = spng_decode_image(png, rgba, size, SPNG_FMT_RGBA8, SPNG_DECODE_TRNS);
    if (!error) take_colours(rgba, picture);
    free(rgba);
    return error == 0 || damaged(error, why);
}

/* In an eXIf chunk, wherever it stands. */
static int32_t orientation_of(spng_ctx *png) {
    struct spng_exif exif;
    if (spng_decode_chunks(png) != 0 || spng_get_exif(png, &exif) != 0) return 1;
    return vj_exif_orientation((const uint8_t *)exif.data, exif.length);
}

bool vj_png_read(vj_encoded file, vj_picture *picture, int32_t *orientation, vj_why *why) {
    spng_ctx *png = spng_ctx_new(0);
    if (!png) return vj_because(why, VJ_SYSTEM, "out of memory");
    spng_set_image_limits(png, 1u << 28, 1u << 28);
    spng_set_chunk_limits(png, 1u << 24, 1u << 26);
    const bool good = spng_set_png_buffer(png, file.at, file.size) == 0 && decode(png, picture, why);
    if (good) *orientation = orientation_of(png);
    spng_ctx_free(png);
    return good;
}

bool vj_png_write(FILE *file, const vj_picture *picture, vj_why *why) {
    spng_ctx *png = spng_ctx_new(SPNG_CTX_ENCODER);
    struct spng_ihdr header = {.width = (uint32_t)picture->width,
                               .height = (uint32_t)picture->height,
                               .bit_depth = 8,
                               .color_type =
                                   picture->channels == 1 ? SPNG_COLOR_TYPE_GRAYSCALE : SPNG_COLOR_TYPE_TRUECOLOR};
    const size_t size = (size_t)picture->width * (size_t)picture->height * (size_t)picture->channels;
    int error = png ? spng_set_png_file(png, file) : SPNG_EMEM;
    if (!error) error = spng_set_ihdr(png, &header);
    if (!error) error = spng_encode_image(png, picture->pixels, size, SPNG_FMT_PNG, SPNG_ENCODE_FINALIZE);
    if (error) snprintf(why->text, sizeof why->text, "no PNG can be written: %s", spng_strerror(error));
    spng_ctx_free(png);
    return error == 0;
}
