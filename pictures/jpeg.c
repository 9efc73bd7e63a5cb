/* SPDX-License-Identifier: Apache-2.0 */
/* jpeg.c - JPEG through libjpeg: grey, colour, and CMYK as Pillow converts it. A damaged file is refused. */
#include "picture.h"

#include <setjmp.h>
#include <string.h>

#include <jpeglib.h>
#include <jerror.h>

enum {
    MOST_SCANS = 100, /* a file of a few bytes a scan could keep a CPU busy for hours; encoders write 10 or so */
    LINES = 16        /* read at a time */
};

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

/* Called as scans are read. */
static void watch(j_common_ptr info) {
    jpeg_failure *failure = (jpeg_failure *)info->err;
    if (((j_decompress_ptr)info)->input_scan_number <= MOST_SCANS) return;
    snprintf(failure->text, sizeof failure->text, "it has more than %d scans", MOST_SCANS);
    longjmp(failure->back, 1);
}

static int32_t exif_orientation(const struct jpeg_decompress_struct *info) {
    for (jpeg_saved_marker_ptr m = info->marker_list; m; m = m->next)
        if (m->marker == JPEG_APP0 + 1 && m->data_length >= 6 && memcmp(m->data, "Exif\0", 6) == 0)
            return vj_exif_orientation(m->data, m->data_length);
    return 1;
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

/* What comes out: grey, red, green, blue, or what CMYK is converted from. */
static bool choose_colours(struct jpeg_decompress_struct *info, vj_why *why) {
    switch (info->jpeg_color_space) {
    case JCS_UNKNOWN:
        return vj_because(why, VJ_UNSUPPORTED, "a JPEG with an unknown colour space");
    case JCS_CMYK:
    case JCS_YCCK:
        info->out_color_space = JCS_CMYK;
        return true;
    case JCS_GRAYSCALE:
        info->out_color_space = JCS_GRAYSCALE;
        return true;
    default:
        info->out_color_space = JCS_RGB;
        return true;
    }
}

/* The least of the sizes that the inverse transform can give, 1/8, 1/4 and 1/2, which is none smaller than what is wanted. */
static void choose_scale(struct jpeg_decompress_struct *info, const vj_picture_options *options, int32_t orientation) {
    const int32_t height = (int32_t)info->image_height,
                  width = (int32_t)info->image_width; /* as stored, at most 65535 */
    const bool on_side = orientation >= 5;
    int32_t wanted_height, wanted_width;
    if (!options || !options->fast_for ||
        !vj_first_resize(options->fast_for, options->fast_input, on_side ? width : height, on_side ? height : width,
                         &wanted_height, &wanted_width))
        return;
    const JDIMENSION least_height = (JDIMENSION)(on_side ? wanted_width : wanted_height);
    const JDIMENSION least_width = (JDIMENSION)(on_side ? wanted_height : wanted_width);
    info->scale_num = 1;
    for (info->scale_denom = 8; info->scale_denom > 1; info->scale_denom /= 2) {
        jpeg_calc_output_dimensions(info);
        if (info->output_height >= least_height && info->output_width >= least_width) break;
    }
}

static void read_lines(struct jpeg_decompress_struct *info, vj_picture *picture) {
    const size_t stride = (size_t)picture->width * (size_t)picture->channels;
    while (info->output_scanline < info->output_height) {
        JSAMPROW lines[LINES];
        const JDIMENSION left = info->output_height - info->output_scanline;
        const JDIMENSION count = left < LINES ? left : LINES;
        for (JDIMENSION i = 0; i < count; i++)
            lines[i] = picture->pixels + (info->output_scanline + i) * stride;
        jpeg_read_scanlines(info, lines, count);
    }
}

static void read_cmyk(struct jpeg_decompress_struct *info, vj_picture *picture) {
    /* from libjpeg's pool, freed with the decompressor */
    JSAMPARRAY row = info->mem->alloc_sarray((j_common_ptr)info, JPOOL_IMAGE, info->output_width * 4, 1);
    while (info->output_scanline < info->output_height) {
        uint8_t *to = picture->pixels + (size_t)info->output_scanline * (size_t)picture->width * 3;
        jpeg_read_scanlines(info, row, 1);
        cmyk_row(row[0], info->saw_Adobe_marker, picture->width, to);
    }
}

static void read_header(struct jpeg_decompress_struct *info, vj_encoded file, int32_t *orientation) {
    jpeg_create_decompress(info);
    jpeg_mem_src(info, file.at, (unsigned long)file.size);
    jpeg_save_markers(info, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(info, TRUE);
    *orientation = exif_orientation(info);
}

/* Decodes the file. libjpeg may leave this function by longjmp. */
static bool decode(struct jpeg_decompress_struct *info, vj_encoded file, const vj_picture_options *options,
                   vj_picture *picture, int32_t *orientation, vj_why *why) {
    struct jpeg_progress_mgr progress = {.progress_monitor = watch};
    read_header(info, file, orientation);
    info->progress = &progress;
    if (!choose_colours(info, why)) return false;
    choose_scale(info, options, *orientation);
    jpeg_calc_output_dimensions(info);
    const int32_t channels = info->out_color_space == JCS_GRAYSCALE ? 1 : 3;
    if (!vj_picture_alloc(picture, info->output_width, info->output_height, channels, why)) return false;
    jpeg_start_decompress(info);
    if (info->out_color_space == JCS_CMYK)
        read_cmyk(info, picture);
    else
        read_lines(info, picture);
    jpeg_finish_decompress(info);
    return true;
}

static void set_errors(struct jpeg_decompress_struct *info, jpeg_failure *failure) {
    info->err = jpeg_std_error(&failure->base);
    failure->base.error_exit = fail;
    failure->base.emit_message = warn;
}

bool vj_jpeg_read(vj_encoded file, const vj_picture_options *options, vj_picture *picture, int32_t *orientation,
                  vj_why *why) {
    struct jpeg_decompress_struct info = {0};
    jpeg_failure failure;
    set_errors(&info, &failure);
    volatile bool good = false;
    if (setjmp(failure.back)) /* before anything that could fail: making the decompressor allocates */
        vj_because(why, failure.base.msg_code == JERR_OUT_OF_MEMORY ? VJ_SYSTEM : VJ_BAD_INPUT, "a damaged JPEG: %s",
                   failure.text);
    else
        good = decode(&info, file, options, picture, orientation, why);
    jpeg_destroy_decompress(&info);
    return good;
}

bool vj_jpeg_measure(vj_encoded file, int32_t *height, int32_t *width) {
    struct jpeg_decompress_struct info = {0};
    jpeg_failure failure;
    set_errors(&info, &failure);
    volatile bool good = false;
    if (!setjmp(failure.back)) {
        int32_t orientation;
        read_header(&info, file, &orientation);
        const bool on_side = orientation >= 5 && orientation <= 8;
        *height = (int32_t)(on_side ? info.image_width : info.image_height);
        *width = (int32_t)(on_side ? info.image_height : info.image_width);
        good = true;
    }
    jpeg_destroy_decompress(&info);
    return good;
}
