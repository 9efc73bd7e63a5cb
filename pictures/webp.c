/* SPDX-License-Identifier: Apache-2.0 */
/* webp.c - WebP through libwebp: a still, or the first frame of an animation on its canvas, as Pillow shows it. */
#include "picture.h"

#include <stdlib.h>
#include <string.h>

#include <webp/decode.h>
#include <webp/demux.h>

/* Decodes one bitstream to red, green, blue, alpha at (left, top) of a canvas of `stride` bytes a row. */
static bool decode(const uint8_t *at, size_t size, uint8_t *to, size_t stride, size_t room, vj_why *why) {
    static const char *const words[] = {
        "",          "out of memory", "a parameter",    "its data makes no sense", "a feature that is not known",
        "suspended", "aborted",       "it is cut short"};
    WebPDecoderConfig config;
    if (!WebPInitDecoderConfig(&config)) return vj_because(why, VJ_SYSTEM, "another version of libwebp");
    config.output.colorspace = MODE_RGBA;
    config.output.is_external_memory = 1;
    config.output.u.RGBA = (WebPRGBABuffer){.rgba = to, .stride = (int)stride, .size = room};
    const VP8StatusCode code = WebPDecode(at, size, &config);
    WebPFreeDecBuffer(&config.output);
    if (code == VP8_STATUS_OK) return true;
    if (code == VP8_STATUS_OUT_OF_MEMORY) return vj_because(why, VJ_SYSTEM, "out of memory");
    return vj_because(why, VJ_BAD_INPUT, "a damaged WebP: %s", code > 0 && code < 8 ? words[code] : "?");
}

/* Frames lie within the canvas; where the first one leaves it free, it is transparent black. */
static bool decode_first(WebPDemuxer *demuxer, const vj_picture *picture, uint8_t *rgba, size_t bytes, vj_why *why) {
    WebPIterator frame;
    if (!WebPDemuxGetFrame(demuxer, 1, &frame)) return vj_because(why, VJ_BAD_INPUT, "a damaged WebP: it has no frame");
    const bool fits = frame.complete && frame.x_offset >= 0 && frame.y_offset >= 0 && frame.width > 0 &&
                      frame.height > 0 && frame.x_offset <= picture->width - frame.width &&
                      frame.y_offset <= picture->height - frame.height;
    const size_t stride = (size_t)picture->width * 4;
    const size_t first = fits ? (size_t)frame.y_offset * stride + (size_t)frame.x_offset * 4 : 0;
    int width = 0, height = 0;
    const bool agrees = fits && WebPGetInfo(frame.fragment.bytes, frame.fragment.size, &width, &height) &&
                        width == frame.width && height == frame.height;
    const bool good =
        agrees ? decode(frame.fragment.bytes, frame.fragment.size, rgba + first, stride, bytes - first, why)
               : vj_because(why, VJ_BAD_INPUT, "a damaged WebP: it is cut short, or its first frame does not fit");
    WebPDemuxReleaseIterator(&frame);
    return good;
}

static void take_colours(const uint8_t *rgba, vj_picture *picture) {
    const size_t pixels = (size_t)picture->width * (size_t)picture->height;
    uint8_t *to = picture->pixels;
    for (size_t i = 0; i < pixels; i++, rgba += 4, to += 3) {
        memcpy(to, rgba, 3);
        if (rgba[3] != 255) picture->transparent = 1;
    }
}

static bool read_canvas(WebPDemuxer *demuxer, vj_picture *picture, int32_t *orientation, vj_why *why) {
    WebPChunkIterator chunk;
    if (!vj_picture_alloc(picture, WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_WIDTH),
                          WebPDemuxGetI(demuxer, WEBP_FF_CANVAS_HEIGHT), 3, why))
        return false;
    const size_t bytes = (size_t)picture->width * (size_t)picture->height * 4;
    uint8_t *rgba = calloc(bytes, 1);
    if (!rgba) return vj_because(why, VJ_SYSTEM, "out of memory");
    const bool good = decode_first(demuxer, picture, rgba, bytes, why);
    if (good) take_colours(rgba, picture);
    free(rgba);
    if (good && WebPDemuxGetChunk(demuxer, "EXIF", 1, &chunk)) {
        *orientation = vj_exif_orientation(chunk.chunk.bytes, chunk.chunk.size);
        WebPDemuxReleaseChunkIterator(&chunk);
    }
    return good;
}

bool vj_webp_read(vj_encoded file, vj_picture *picture, int32_t *orientation, vj_why *why) {
    const WebPData data = {file.at, file.size};
    WebPDemuxer *demuxer = WebPDemux(&data); /* NULL where the file is not whole */
    if (!demuxer) return vj_because(why, VJ_BAD_INPUT, "a damaged WebP: its parts make no sense, or it is cut short");
    const bool good = read_canvas(demuxer, picture, orientation, why);
    WebPDemuxDelete(demuxer);
    return good;
}
