/* SPDX-License-Identifier: Apache-2.0 */
/* exif.c - the orientation in EXIF data, through libexif. */
#include "picture.h"

#include <stdlib.h>
#include <string.h>

#include <libexif/exif-data.h>

static const uint8_t start[6] = "Exif\0";

static int32_t orientation_in(ExifData *data) {
    ExifEntry *entry = exif_content_get_entry(data->ifd[EXIF_IFD_0], EXIF_TAG_ORIENTATION);
    const bool fits = entry && entry->format == EXIF_FORMAT_SHORT && entry->components == 1 && entry->size >= 2;
    return fits ? exif_get_short(entry->data, exif_data_get_byte_order(data)) : 1;
}

int32_t vj_exif_orientation(const uint8_t *data, size_t size) {
    enum { MOST = 1 << 20 };
    uint8_t *copy = NULL;
    if (size > MOST) return 1;
    if (size < sizeof start || memcmp(data, start, sizeof start) != 0) { /* libexif knows it by its start */
        if (!(copy = malloc(sizeof start + size + 1))) return 1;
        memcpy(copy, start, sizeof start);
        memcpy(copy + sizeof start, data, size);
        data = copy;
        size += sizeof start;
    }
    ExifData *exif = exif_data_new_from_data(data, (unsigned)size);
    const int32_t orientation = exif ? orientation_in(exif) : 1;
    if (exif) exif_data_unref(exif);
    free(copy);
    return orientation;
}
