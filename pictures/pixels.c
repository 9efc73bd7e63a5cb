/* pixels.c - the memory of a picture. */
#include "picture.h"

#include <stdlib.h>

void vj_picture_free(vj_picture *picture) {
    free(picture->pixels);
    *picture = (vj_picture){0};
}

bool vj_picture_alloc(vj_picture *picture, int64_t width, int64_t height, int32_t channels, vj_why *why) {
    *picture = (vj_picture){0};
    if (width < 1 || height < 1 || width > VJ_PICTURE_MAX_PIXELS || height > VJ_PICTURE_MAX_PIXELS / width) {
        snprintf(why->text, sizeof why->text, "%lld x %lld pixels is empty or too large", (long long)width,
                 (long long)height);
        return false;
    }
    picture->pixels = malloc((size_t)(width * height) * (size_t)channels);
    if (!picture->pixels) {
        snprintf(why->text, sizeof why->text, "no memory for %lld x %lld pixels", (long long)width, (long long)height);
        return false;
    }
    picture->width = (int32_t)width;
    picture->height = (int32_t)height;
    picture->channels = channels;
    return true;
}
