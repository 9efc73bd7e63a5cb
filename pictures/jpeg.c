/* jpeg.c - JPEG through libjpeg: grey, colour, and CMYK as Pillow converts it. A damaged file is refused. */
#include "picture.h"

#include <setjmp.h>
#include <string.h>

#include <jpeglib.h>
#include <libexif/exif-data.h>

typedef struct jpeg_failure {
    struct jpeg_error_mgr base; /* must be first: libjpeg passes a pointer to it */
    jmp_buf back;
    char text[JMSG_LENGTH_MAX];
} jpeg_failure;

static void fail(j_common_ptr info) {
    jpeg_failure *failure = (jpeg_failure *)info->err;
    info->err->format_message(info, failure->text);
    longjmp(failure->back, 1);
}

/* A warning means damaged data (a truncated scan is filled with grey), which would give a wrong answer, so it fails
 * too. */
static void warn(j_common_ptr info, int level) {
    if (level < 0) fail(info);
}

static int32_t exif_orientation(const struct jpeg_decompress_struct *info) {
    int32_t orientation = 1;
    for (jpeg_saved_marker_ptr m = info->marker_list; m; m = m->next) {
        if (m->marker != JPEG_APP0 + 1 || m->data_length < 6 || memcmp(m->data, "Exif\0", 6) != 0) continue;
        ExifData *data = exif_data_new_from_data(m->data, m->data_length);
        ExifEntry *entry = data ? exif_content_get_entry(data->ifd[EXIF_IFD_0], EXIF_TAG_ORIENTATION) : NULL;
        if (entry && entry->format == EXIF_FORMAT_SHORT && entry->components == 1)
            orientation = exif_get_short(entry->data, exif_data_get_byte_order(data));
        if (data) exif_data_unref(data);
        break;
    }
    return orientation;
}

/* x * y / 255, rounded. */
static uint8_t scaled(uint32_t x, uint32_t y) { return (uint8_t)((x * y + 127) / 255); }

/* Converts a row of C, M, Y, K to red, green, blue. Adobe's files hold the complement of each. */
static void cmyk_row(const uint8_t *from, bool complement, int32_t width, uint8_t *to) {
    for (int32_t x = 0; x < width; x++, from += 4, to += 3) {
        const uint8_t light = complement ? from[3] : (uint8_t)(255 - from[3]);
        for (int32_t c = 0; c < 3; c++) {
            const uint8_t ink = complement ? (uint8_t)(255 - from[c]) : from[c];
            to[c] = (uint8_t)(light - scaled(ink, light));
        }
    }
}

/* Decodes the file. libjpeg may leave this function by longjmp. */
static bool decode(struct jpeg_decompress_struct *info, FILE *file, vj_picture *picture, int32_t *orientation,
                   vj_why *why) {
    jpeg_stdio_src(info, file);
    jpeg_save_markers(info, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(info, TRUE);
    *orientation = exif_orientation(info);
    const bool cmyk = info->jpeg_color_space == JCS_CMYK || info->jpeg_color_space == JCS_YCCK;
    if (info->jpeg_color_space == JCS_UNKNOWN) {
        snprintf(why->text, sizeof why->text, "a JPEG with an unknown colour space");
        return false;
    }
    const bool grey = info->jpeg_color_space == JCS_GRAYSCALE;
    info->out_color_space = cmyk ? JCS_CMYK : grey ? JCS_GRAYSCALE : JCS_RGB;
    if (!vj_picture_alloc(picture, info->image_width, info->image_height, grey ? 1 : 3, why)) return false;
    jpeg_start_decompress(info);
    const size_t stride = (size_t)picture->width * (size_t)picture->channels;
    JSAMPARRAY row = NULL; /* from libjpeg's pool, freed with the decompressor */
    if (cmyk) row = info->mem->alloc_sarray((j_common_ptr)info, JPOOL_IMAGE, info->image_width * 4, 1);
    while (info->output_scanline < info->output_height) {
        uint8_t *to = picture->pixels + info->output_scanline * stride;
        JSAMPROW line = row ? row[0] : to;
        jpeg_read_scanlines(info, &line, 1);
        if (row) cmyk_row(row[0], info->saw_Adobe_marker, picture->width, to);
    }
    jpeg_finish_decompress(info);
    return true;
}

bool vj_jpeg_read(FILE *file, vj_picture *picture, int32_t *orientation, vj_why *why) {
    struct jpeg_decompress_struct info;
    jpeg_failure failure;
    info.err = jpeg_std_error(&failure.base);
    failure.base.error_exit = fail;
    failure.base.emit_message = warn;
    volatile bool good = false;
    jpeg_create_decompress(&info);
    if (setjmp(failure.back))
        snprintf(why->text, sizeof why->text, "a damaged JPEG: %s", failure.text);
    else
        good = decode(&info, file, picture, orientation, why);
    jpeg_destroy_decompress(&info);
    return good;
}
