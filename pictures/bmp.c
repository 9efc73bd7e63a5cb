/* SPDX-License-Identifier: Apache-2.0 */
/* bmp.c - uncompressed BMP: 1, 4 and 8 bits by a palette, 16, 24 and 32 bits by masks. What is run-length coded, or holds a JPEG or
 * PNG, is refused. Numbers are little-endian; every offset is checked against the file's end before it is used. */
#include "picture.h"

#include <string.h>

enum { FILE_HEADER = 14, CORE = 12, INFO = 40, WITH_ALPHA = 56, MASKS_AT = 54 };
enum { PLAIN = 0, BY_MASKS = 3, BY_MASKS_WITH_ALPHA = 6 }; /* the compressions that are none */

/* A part of a pixel's bits: (pixel & mask) >> shift, from 0 to most. */
typedef struct part {
    uint32_t mask, most;
    int32_t shift;
} part;

typedef struct bmp {
    vj_encoded file;
    int64_t width, height;
    bool from_top;
    uint32_t header_bytes, bits, compression;
    size_t pixels_at, stride;
    const uint8_t *palette; /* entry_bytes each: blue, green, red */
    uint32_t colours, entry_bytes;
    part parts[4]; /* red, green, blue, alpha */
} bmp;

static uint32_t u16(const uint8_t *at) { return at[0] | (uint32_t)at[1] << 8; }
static uint32_t u32(const uint8_t *at) { return u16(at) | u16(at + 2) << 16; }

static bool damaged(vj_why *why, const char *what) { return vj_because(why, VJ_BAD_INPUT, "a damaged BMP: %s", what); }

static bool read_header(bmp *b, vj_why *why) {
    const uint8_t *at = b->file.at;
    if (b->file.size < FILE_HEADER + CORE) return damaged(why, "it is cut short");
    b->pixels_at = u32(at + 10);
    b->header_bytes = u32(at + 14);
    if (b->header_bytes == CORE) {
        b->width = u16(at + 18);
        b->height = u16(at + 20);
        b->bits = u16(at + 24);
        b->entry_bytes = 3;
        return true;
    }
    if (b->header_bytes < INFO || b->header_bytes > 1024) return damaged(why, "its header has an unknown size");
    if (b->file.size < FILE_HEADER + (size_t)b->header_bytes) return damaged(why, "it is cut short");
    b->width = (int32_t)u32(at + 18);
    b->height = (int32_t)u32(at + 22);
    b->from_top = b->height < 0;
    if (b->from_top) b->height = -b->height;
    b->bits = u16(at + 28);
    b->compression = u32(at + 30);
    b->colours = u32(at + 46);
    b->entry_bytes = 4;
    return true;
}

static bool read_palette(bmp *b, vj_why *why) {
    const uint32_t most = 1u << b->bits;
    const size_t begin = FILE_HEADER + (size_t)b->header_bytes;
    if (b->compression != PLAIN) return damaged(why, "a palette and masks");
    if (b->colours == 0 || b->colours > most) b->colours = most;
    if (b->file.size - begin < (size_t)b->colours * b->entry_bytes) return damaged(why, "its palette is cut short");
    b->palette = b->file.at + begin;
    return true;
}

/* A mask is one run of bits. */
static bool set_part(part *p, uint32_t mask) {
    *p = (part){.mask = mask};
    while (mask && !(mask & 1)) {
        mask >>= 1;
        p->shift++;
    }
    p->most = mask;
    return (mask & (mask + 1)) == 0;
}

static bool read_masks(bmp *b, vj_why *why) {
    static const uint32_t of_16[3] = {0x7c00, 0x3e0, 0x1f}, of_32[3] = {0xff0000, 0xff00, 0xff};
    const bool given = b->compression != PLAIN;
    if (given && b->bits == 24) return damaged(why, "masks for 24 bits");
    if (given && b->file.size < MASKS_AT + 16) return damaged(why, "it is cut short");
    for (int32_t i = 0; i < 3; i++) {
        const uint32_t mask = given ? u32(b->file.at + MASKS_AT + 4 * i) : b->bits == 16 ? of_16[i] : of_32[i];
        if (mask == 0 || !set_part(&b->parts[i], mask)) return damaged(why, "its masks make no sense");
    }
    const bool alpha = given && (b->header_bytes >= WITH_ALPHA || b->compression == BY_MASKS_WITH_ALPHA);
    if (!set_part(&b->parts[3], alpha ? u32(b->file.at + MASKS_AT + 12) : 0))
        return damaged(why, "its masks make no sense");
    return true;
}

static bool read_kind(bmp *b, vj_why *why) {
    if (b->compression != PLAIN && b->compression != BY_MASKS && b->compression != BY_MASKS_WITH_ALPHA)
        return vj_because(why, VJ_UNSUPPORTED, "a compressed BMP (kind %u): save it uncompressed, or as PNG",
                          (unsigned)b->compression);
    switch (b->bits) {
    case 1:
    case 4:
    case 8:
        return read_palette(b, why);
    case 16:
    case 24:
    case 32:
        return read_masks(b, why);
    default:
        return damaged(why, "its pixels have another number of bits than 1, 4, 8, 16, 24, 32");
    }
}

/* The last row need not be filled up to four bytes. A size that is none, or beyond the limit, is left to vj_picture_alloc. */
static bool check_extent(bmp *b, vj_why *why) {
    if (b->width < 1 || b->height < 1) return true;
    const uint64_t row_bits = (uint64_t)b->width * b->bits;
    b->stride = (size_t)((row_bits + 31) / 32 * 4);
    const uint64_t wanted = (uint64_t)b->stride * (uint64_t)(b->height - 1) + (row_bits + 7) / 8;
    if (b->pixels_at < FILE_HEADER + CORE || b->pixels_at > b->file.size || b->file.size - b->pixels_at < wanted)
        return damaged(why, "its pixels are cut short");
    return true;
}

static bool palette_row(const bmp *b, const uint8_t *row, uint8_t *to) {
    const uint32_t per_byte = 8 / b->bits, mask = (1u << b->bits) - 1;
    for (uint32_t x = 0; x < (uint32_t)b->width; x++, to += 3) {
        const uint32_t shift = 8 - b->bits * (x % per_byte + 1);
        const uint32_t i = (uint32_t)row[x / per_byte] >> shift & mask;
        if (i >= b->colours) return false;
        const uint8_t *entry = b->palette + (size_t)i * b->entry_bytes;
        to[0] = entry[2];
        to[1] = entry[1];
        to[2] = entry[0];
    }
    return true;
}

static void masked_row(const bmp *b, const uint8_t *row, uint8_t *to, int32_t *transparent) {
    const size_t bytes = b->bits / 8;
    for (int64_t x = 0; x < b->width; x++, row += bytes, to += 3) {
        const uint32_t pixel = bytes == 2 ? u16(row) : bytes == 3 ? u16(row) | (uint32_t)row[2] << 16 : u32(row);
        for (int32_t c = 0; c < 3; c++) {
            const part *p = &b->parts[c];
            to[c] = (uint8_t)((uint64_t)((pixel & p->mask) >> p->shift) * 255 / p->most);
        }
        if ((pixel & b->parts[3].mask) != b->parts[3].mask) *transparent = 1;
    }
}

bool vj_bmp_read(vj_encoded file, vj_picture *picture, vj_why *why) {
    bmp b = {.file = file};
    if (!read_header(&b, why) || !read_kind(&b, why) || !check_extent(&b, why) ||
        !vj_picture_alloc(picture, b.width, b.height, 3, why))
        return false;
    for (int64_t y = 0; y < b.height; y++) {
        const int64_t to_y = b.from_top ? y : b.height - 1 - y;
        const uint8_t *row = file.at + b.pixels_at + (size_t)y * b.stride;
        uint8_t *to = picture->pixels + (size_t)(to_y * b.width) * 3;
        if (!b.palette)
            masked_row(&b, row, to, &picture->transparent);
        else if (!palette_row(&b, row, to))
            return damaged(why, "a pixel's colour is not in the palette");
    }
    return true;
}
