/* SPDX-License-Identifier: Apache-2.0 */
/* picture.c - tells a picture file's kind by its first bytes, and brings it into EXIF's orientation. */
#include "picture.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MOST_BYTES ((size_t)1 << 30) /* of a file */

/* EXIF orientation (EXIF 2.3, tag 0x0112): where row 0 and column 0 of the stored picture belong. Bit 0: mirrored along
 * x, bit 1: along y (both in the upright picture), bit 2: rows and columns exchanged. */
static bool orient(vj_picture *picture, int32_t orientation, vj_why *why) {
    static const uint8_t transforms[9] = {0, 0, 1, 3, 2, 4, 5, 7, 6};
    if (orientation < 2 || orientation > 8) return true;
    const uint8_t transform = transforms[orientation];
    const int32_t width = picture->width, height = picture->height;
    const size_t channels = (size_t)picture->channels;
    vj_picture upright;
    const bool swapped = (transform & 4) != 0;
    if (!vj_picture_alloc(&upright, swapped ? height : width, swapped ? width : height, picture->channels, why))
        return false;
    upright.transparent = picture->transparent;
    for (int32_t y = 0; y < height; y++) {
        for (int32_t x = 0; x < width; x++) {
            int32_t to_x = swapped ? y : x, to_y = swapped ? x : y;
            if (transform & 1) to_x = upright.width - 1 - to_x;
            if (transform & 2) to_y = upright.height - 1 - to_y;
            memcpy(upright.pixels + ((size_t)to_y * (size_t)upright.width + (size_t)to_x) * channels,
                   picture->pixels + ((size_t)y * (size_t)width + (size_t)x) * channels, channels);
        }
    }
    vj_picture_free(picture);
    *picture = upright;
    return true;
}

/* Kinds that are known by their first bytes. A star stands for any byte. */
typedef enum kind { UNKNOWN, JPEG, PNG, WEBP, BMP, OTHER } kind;
static const struct {
    kind kind;
    const char *start;
    const char *name;
} kinds[] = {
    {JPEG, "\xff\xd8\xff", "a JPEG"},
    {PNG, "\x89PNG\r\n\x1a\n", "a PNG"},
    {WEBP, "RIFF****WEBP", "a WebP"},
    {BMP, "BM", "a BMP"},
    {OTHER, "GIF8", "a GIF"},
    {OTHER, "II*", "a TIFF"}, /* the star is its own */
    {OTHER, "MM", "a TIFF"},
    {OTHER, "****ftypheic", "HEIF"},
    {OTHER, "****ftypmif1", "HEIF"},
    {OTHER, "****ftypavif", "AVIF"},
    {OTHER, "\xff\x0a", "JPEG XL"},
    {OTHER, "****jP  ", "JPEG 2000"},
    {OTHER, "%PDF", "a PDF"},
    {OTHER, "version https://git-lfs", "a Git LFS pointer, not the picture (git lfs pull)"},
};
#define KINDS ((int32_t)(sizeof kinds / sizeof kinds[0]))

static bool begins(vj_encoded file, const char *start) {
    const size_t length = strlen(start);
    if (file.size < length) return false;
    for (size_t i = 0; i < length; i++)
        if (start[i] != '*' && (uint8_t)start[i] != file.at[i]) return false;
    return true;
}

static bool refuse(const char *name, vj_why *why) {
    static const char readable[] = "pictures are JPEG, PNG, WebP or BMP";
    if (!name) return vj_because(why, VJ_BAD_INPUT, "neither JPEG, PNG, WebP nor BMP");
    return vj_because(why, VJ_UNSUPPORTED, "%s: %s", name, readable);
}

static kind kind_of(vj_encoded file, const char **name) {
    int32_t at = 0;
    while (at < KINDS && !begins(file, kinds[at].start))
        at++;
    *name = at < KINDS ? kinds[at].name : NULL;
    return at < KINDS ? kinds[at].kind : UNKNOWN;
}

static bool decode(vj_encoded file, const vj_picture_options *options, vj_picture *picture, vj_why *why) {
    int32_t orientation = 1;
    const char *name;
    bool good = false;
    if (file.size == 0) return vj_because(why, VJ_BAD_INPUT, "the file is empty");
    switch (kind_of(file, &name)) {
    case JPEG:
        good = vj_jpeg_read(file, options, picture, &orientation, why);
        break;
    case PNG:
        good = vj_png_read(file, picture, &orientation, why);
        break;
    case WEBP:
        good = vj_webp_read(file, picture, &orientation, why);
        break;
    case BMP:
        good = vj_bmp_read(file, picture, why);
        break;
    case OTHER:
        return refuse(name, why);
    case UNKNOWN:
        return refuse(NULL, why);
    }
    return good && orient(picture, orientation, why);
}

static vj_status decode_file(vj_encoded file, const vj_picture_options *options, vj_picture *picture, vj_why *why) {
    errno = 0;
    bool good = decode(file, options, picture, why);
    /* Without memory the libraries call data damaged, and EXIF without an orientation. */
    if (errno == ENOMEM && (good || why->status != VJ_SYSTEM)) good = vj_because(why, VJ_SYSTEM, "out of memory");
    if (good) return VJ_OK;
    vj_picture_free(picture);
    return why->status ? why->status : VJ_BAD_INPUT;
}

static vj_status check_options(const vj_picture_options *options, vj_why *why) {
    if (!options || (options->size == sizeof *options && !options->fast_for == !options->fast_input)) return VJ_OK;
    vj_because(why, VJ_USAGE, "vj_picture_options.size is not set, or fast_for stands without fast_input");
    return VJ_USAGE;
}

vj_status vj_picture_decode(const void *bytes, size_t size, const vj_picture_options *options, vj_picture *picture,
                            vj_why *why) {
    vj_why unwanted;
    if (!why) why = &unwanted;
    *why = (vj_why){0};
    *picture = (vj_picture){0};
    const vj_status status = check_options(options, why);
    return status ? status : decode_file((vj_encoded){bytes, size}, options, picture, why);
}

bool vj_picture_measure(const void *bytes, size_t size, int32_t *height, int32_t *width) {
    const vj_encoded file = {bytes, size};
    const char *name;
    return kind_of(file, &name) == JPEG && vj_jpeg_measure(file, height, width);
}

bool vj_picture_bytes(const char *path, uint8_t **bytes, size_t *size, vj_why *why) {
    return vj_file_read(path, MOST_BYTES, bytes, size, NULL, why);
}

vj_status vj_picture_read(const char *path, const vj_picture_options *options, vj_picture *picture, vj_why *why) {
    vj_why unwanted;
    uint8_t *bytes;
    size_t size;
    if (!why) why = &unwanted;
    *why = (vj_why){0};
    *picture = (vj_picture){0};
    vj_status status = check_options(options, why);
    if (status) return status;
    if (!vj_picture_bytes(path, &bytes, &size, why)) return why->status;
    status = decode_file((vj_encoded){bytes, size}, options, picture, why);
    free(bytes);
    return status;
}

int32_t vj_picture_is_name(const char *name) {
    static const char *const ends[] = {".jpg", ".jpeg", ".png", ".webp", ".bmp"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && i < sizeof ends / sizeof *ends; i++)
        if (strcasecmp(dot, ends[i]) == 0) return 1;
    return 0;
}
