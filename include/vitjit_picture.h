/* SPDX-License-Identifier: Apache-2.0 */
/* vitjit_picture.h - picture files as inputs of models: decoding, and the pre-processing that a model wants (its recipe). The library
 * is libvitjit_picture; it needs neither libvitjit nor a model, and of vitjit.h the types alone.
 *
 *     vj_why why;
 *     vj_recipe *recipe;
 *     vj_picture picture;
 *     vj_picture_input input = {.dtype = VJ_F32, .channels = 3, .height = 224, .width = 224};
 *     if (vj_recipe_open("vit.onnx", vj_model_metadata(model), NULL, &recipe, &why) != VJ_OK ||
 *         vj_picture_read("cat.jpg", NULL, &picture, &why) != VJ_OK ||
 *         vj_picture_prepare(&picture, recipe, &input, pixels, sizeof pixels, &why) != VJ_OK) { puts(why.text); ... }
 *     vj_picture_free(&picture);
 *     vj_recipe_close(recipe);
 *
 * No function exits or aborts. Every function that can fail returns a status and writes one sentence to `why`, which may be
 * NULL: VJ_USAGE the caller's mistake, VJ_BAD_INPUT a file that is missing, damaged or makes no sense, VJ_UNSUPPORTED a valid
 * one that is not read, VJ_SYSTEM no memory. Files are not trusted: only regular files are read, every size is checked before
 * use, and damaged or truncated pictures are refused, not filled up. Functions use no globals: any number of threads may call
 * them at once, on a recipe of their own or a shared one.
 */
#ifndef VITJIT_PICTURE_H
#define VITJIT_PICTURE_H

#include "vitjit.h"

#ifdef __cplusplus
extern "C" {
#endif
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

/* Why something failed: one sentence, ended by 0. */
typedef struct vj_why {
    char text[512];
    vj_status status; /* of the library's own use */
} vj_why;

/* 8 bits a channel, rows from the top without gaps, channels interleaved: grey, or red, green, blue. The functions below fill
 * it, and vj_picture_free frees its pixels (malloc'ed); a caller may also bring pixels of his own, which he then frees. */
typedef struct vj_picture {
    int32_t width, height;
    int32_t channels;    /* 1 or 3 */
    int32_t transparent; /* nonzero: the file had pixels that are not opaque. Alpha is dropped, the colour kept */
    uint8_t *pixels;     /* height * width * channels bytes */
} vj_picture;

/* Larger pictures are refused, before they are decoded. */
#define VJ_PICTURE_MAX_PIXELS (INT64_C(1) << 28)

/* How pictures become a model's input: resize, crop, scale, mean and deviation; and the names of its classes. */
typedef struct vj_recipe vj_recipe;

/* What a model's input holds of one picture. */
typedef struct vj_picture_input {
    vj_dtype
        dtype; /* VJ_F32, VJ_F16; VJ_U8: the pixels, 0 to 255, resized and cropped, without scale, mean and deviation */
    int32_t channels;      /* 1 or 3 */
    int32_t height, width; /* pixels */
    int32_t channels_last; /* 0: [channels, height, width]; nonzero: [height, width, channels] */
} vj_picture_input;

/* How a file is decoded. Set all to 0 but the size. */
typedef struct vj_picture_options {
    size_t size; /* sizeof(vj_picture_options): lets older callers meet newer libraries */
    /* NULL: the whole picture. Else what it is decoded for: a JPEG is then decoded at 1/2, 1/4 or 1/8 of its size where that is
     * not smaller than what the recipe resizes it to. Faster; pixels differ from those of the whole picture. */
    const vj_recipe *fast_for;
    const vj_picture_input *fast_input; /* that recipe's input */
} vj_picture_options;

/* Reads a picture: JPEG, PNG, WebP (of an animation the first frame) or BMP, told by the first bytes, whatever the name. 16 bits a
 * channel become their upper 8; CMYK becomes red, green, blue; palettes are looked up; what EXIF says of the orientation is
 * done. options may be NULL. On failure *picture is empty. vj_picture_decode has the file's bytes in memory. */
vj_status vj_picture_read(const char *path, const vj_picture_options *options, vj_picture *picture, vj_why *why);
vj_status vj_picture_decode(const void *bytes, size_t size, const vj_picture_options *options, vj_picture *picture,
                            vj_why *why);
/* Frees the pixels and empties the struct, which may be empty already. */
void vj_picture_free(vj_picture *picture);
/* Nonzero: the name ends as those of pictures that can be read do (.jpg, .jpeg, .png, .webp, .bmp; capitals or not). The file is not
 * looked at. */
int32_t vj_picture_is_name(const char *name);

/* What goes before what a model brings; NULL where nothing is said. Strings are borrowed for the call. */
typedef struct vj_recipe_options {
    size_t size;               /* sizeof(vj_recipe_options), as above */
    const char *mean, *std;    /* "0.5", or "0.485,0.456,0.406" */
    const char *interpolation; /* "nearest", "box", "bilinear", "hamming", "bicubic", "lanczos" */
    const char *resize;        /* "256": the shorter side; "224x224": height x width */
    const char *crop_pct;      /* "0.9": the input's side as a part of the resized shorter side */
    const char *labels;        /* a file: a label a line, or JSON */
} vj_recipe_options;

/* Finds the recipe of a model: from the options, which may be NULL, else the model's metadata (a JSON object of strings, as vj_model_metadata gives it;
 * NULL: none), else the files beside the model, with the habits of the class that wrote them (docs/pictures.md), else a guess. The model's file itself is
 * not read. A class that is not followed is VJ_UNSUPPORTED. Free it with vj_recipe_close (NULL is fine). On failure *recipe is NULL. */
vj_status vj_recipe_open(const char *model_path, const char *metadata, const vj_recipe_options *options,
                         vj_recipe **recipe, vj_why *why);
void vj_recipe_close(vj_recipe *recipe);
/* Where it comes from, in words: "the model's metadata", "preprocessor_config.json"; the recipe's. */
const char *vj_recipe_source(const vj_recipe *recipe);
/* Nonzero: nothing said how, and results may be wrong. */
int32_t vj_recipe_guessed(const vj_recipe *recipe);
/* Of channel c (0: red or grey), for pixels from 0 to 1: the input is (pixel - mean) / deviation. */
double vj_recipe_mean(const vj_recipe *recipe, int32_t c);
double vj_recipe_deviation(const vj_recipe *recipe, int32_t c);
/* How many classes have names, and class i's; NULL: it has none. The recipe's. */
int32_t vj_recipe_label_count(const vj_recipe *recipe);
const char *vj_recipe_label(const vj_recipe *recipe, int32_t i);

/* Does a tensor of this type and shape hold pictures, [N, 1 or 3, height, width] or [N, height, width, 1 or 3] of a type of
 * vj_picture_input? Then *input says how (dims[0] is not looked at), else it is VJ_UNSUPPORTED with the reason. */
vj_status vj_picture_input_of(vj_dtype dtype, int32_t rank, const int64_t *dims, vj_picture_input *input, vj_why *why);
/* Bytes that the input has for one picture. */
size_t vj_picture_input_bytes(const vj_picture_input *input);
/* Makes the input of a picture by the recipe: `bytes` (exactly vj_picture_input_bytes) at `out`, aligned to the element. */
vj_status vj_picture_prepare(const vj_picture *picture, const vj_recipe *recipe, const vj_picture_input *input,
                             void *out, size_t bytes, vj_why *why);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif
