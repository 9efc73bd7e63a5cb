/* SPDX-License-Identifier: Apache-2.0 */
/* pixels.c - the memory of a picture. */
#include "picture.h"

#include <stdlib.h>

void vj_picture_free(vj_picture *picture) {
    free(picture->pixels);
    *picture = (vj_picture){0};
}

bool vj_picture_alloc(vj_picture *picture, int64_t width, int64_t height, int32_t channels, vj_why *why) {
    *picture = (vj_picture){0};
    if (width < 1 || height < 1 || width > VJ_PICTURE_MAX_PIXELS || height > VJ_PICTURE_MAX_PIXELS / width)
        return vj_because(why, VJ_BAD_INPUT, "%lld x %lld pixels are none, or more than the %lld that are read",
                          (long long)width, (long long)height, (long long)VJ_PICTURE_MAX_PIXELS);
    picture->pixels = malloc((size_t)(width * height) * (size_t)channels);
    if (!picture->pixels)
        return vj_because(why, VJ_SYSTEM, "out of memory for %lld x %lld pixels", (long long)width, (long long)height);
    picture->width = (int32_t)width;
    picture->height = (int32_t)height;
    picture->channels = channels;
    return true;
}
