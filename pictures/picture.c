/* picture.c - opens an image file, tells its kind by its first bytes, and brings it into EXIF's orientation. */
#include "picture.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

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

static bool read_open_file(FILE *file, vj_picture *picture, vj_why *why) {
    uint8_t magic[8] = {0};
    struct stat info;
    if (fstat(fileno(file), &info) == 0 && !S_ISREG(info.st_mode)) {
        snprintf(why->text, sizeof why->text, "not a regular file");
        return false;
    }
    const size_t got = fread(magic, 1, sizeof magic, file);
    rewind(file);
    if (got == 0) {
        snprintf(why->text, sizeof why->text, "the file is empty");
        return false;
    }
    if (got >= 3 && memcmp(magic, "\xff\xd8\xff", 3) == 0) {
        int32_t orientation = 1;
        return vj_jpeg_read(file, picture, &orientation, why) && orient(picture, orientation, why);
    }
    if (got == 8 && memcmp(magic, "\x89PNG\r\n\x1a\n", 8) == 0) return vj_png_read(file, picture, why);
    snprintf(why->text, sizeof why->text, "neither JPEG nor PNG");
    return false;
}

bool vj_picture_read(const char *path, vj_picture *picture, vj_why *why) {
    *picture = (vj_picture){0};
    FILE *file = fopen(path, "rb");
    if (!file) {
        snprintf(why->text, sizeof why->text, "%s", strerror(errno));
        return false;
    }
    const bool good = read_open_file(file, picture, why);
    fclose(file);
    if (!good) vj_picture_free(picture);
    return good;
}
