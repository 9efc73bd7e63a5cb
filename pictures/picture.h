/* SPDX-License-Identifier: Apache-2.0 */
/* picture.h - what the library of pictures keeps to itself and the command line: include/vitjit_picture.h is its public part.
 *
 * api.c          the public functions over recipes and inputs
 * picture.c      tells a file's kind by its first bytes, applies EXIF's orientation. The way in: vj_picture_read
 * file.c         a regular file's bytes
 * pixels.c       allocates and frees a picture
 * jpeg.c         libjpeg
 * png.c          libspng
 * webp.c         libwebp
 * bmp.c          uncompressed BMP
 * exif.c         libexif
 * resample.c     Pillow's separable resampling, with the same result for every pixel
 * interpolate.c  torch's and scipy's ways of resampling
 * geometry.c     which steps make a picture as large as the input: turn, resize, crop, pad
 * preprocess.c   does them, then scale, mean and std: from pixels to a plane-by-plane float tensor
 * input.c        the tensor in the type and the order of dims that a model's input has, and back
 * heat.c         draws a heat map of weights over a picture
 * recipe.c       finds pre-processing and labels: options, the model's metadata, files beside it, a guess
 * keys.c         the keys of transformers, timm and OpenCLIP, and what they come to with the habits of a class
 * classes.c      finds a class of classes.def
 * values.c       numbers, sizes and filters in JSON and options
 * labels.c       names of classes, ImageNet's too
 * words.c        a recipe in words
 * paddle/        recipes of PaddlePaddle's files
 * beside.c       where the files beside a model are
 * config.c       what they say of the model itself: its head, the size of its input
 *
 * It sees no other folder of the project.
 */
#ifndef VITJIT_PICTURES_PICTURE_H
#define VITJIT_PICTURES_PICTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "vitjit_picture.h"

#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

/* pixels.c */
bool vj_picture_alloc(vj_picture *picture, int64_t width, int64_t height, int32_t channels, vj_why *why);

/* file.c: the bytes of a regular file, malloc'ed, with a 0 behind them that does not count. Nothing that could block is opened: a
 * pipe or a device is refused. Larger files than `most` are too. *missing, which may be NULL: there is no such file. */
bool vj_file_read(const char *path, size_t most, uint8_t **bytes, size_t *size, bool *missing, vj_why *why);
/* A failure with its status, for those that have another than VJ_BAD_INPUT; returns false. */
bool vj_because(vj_why *why, vj_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* A picture file in memory. */
typedef struct vj_encoded {
    const uint8_t *at;
    size_t size;
} vj_encoded;

/* jpeg.c, png.c, webp.c, bmp.c. *orientation is EXIF's, 1 to 8, and stays when the file says none. options: the caller's, or
 * NULL. */
bool vj_jpeg_read(vj_encoded file, const vj_picture_options *options, vj_picture *picture, int32_t *orientation,
                  vj_why *why);
bool vj_jpeg_measure(vj_encoded file, int32_t *height, int32_t *width);
bool vj_png_read(vj_encoded file, vj_picture *picture, int32_t *orientation, vj_why *why);
bool vj_webp_read(vj_encoded file, vj_picture *picture, int32_t *orientation, vj_why *why);
bool vj_bmp_read(vj_encoded file, vj_picture *picture, vj_why *why);
bool vj_png_write(FILE *file, const vj_picture *picture, vj_why *why);

/* picture.c: a picture file's bytes, malloc'ed; and the upright size that they say without being decoded. False: of such files only
 * decoding says it (all but JPEG), and why they cannot be read. */
bool vj_picture_bytes(const char *path, uint8_t **bytes, size_t *size, vj_why *why);
bool vj_picture_measure(const void *bytes, size_t size, int32_t *height, int32_t *width);

/* exif.c: the orientation that EXIF data (TIFF, with "Exif" before it or without) has; 1 when it has none. */
int32_t vj_exif_orientation(const uint8_t *data, size_t size);

typedef enum vj_filter {
    VJ_NEAREST,
    VJ_BOX,
    VJ_BILINEAR,
    VJ_HAMMING,
    VJ_BICUBIC,
    VJ_LANCZOS,
    VJ_FILTER_COUNT
} vj_filter;
const char *vj_filter_name(vj_filter filter);
vj_filter vj_filter_by_name(const char *name); /* VJ_FILTER_COUNT when it is unknown */
/* resample.c: Pillow's Image.resize, antialiased, rounded to 8 bits between the passes. */
bool vj_resample(const vj_picture *from, int32_t width, int32_t height, vj_filter filter, vj_picture *to, vj_why *why);

/* Whose way of resampling: Pillow's; torch's and OpenCV's without antialiasing, pixels having a middle, or corners that stay corners; scipy's zoom
 * behind a Gaussian, with pixels mirrored at the edges. */
typedef enum vj_resampling {
    VJ_RESAMPLE_PILLOW,
    VJ_RESAMPLE_PLAIN,
    VJ_RESAMPLE_CORNERS,
    VJ_RESAMPLE_GAUSS
} vj_resampling;
/* interpolate.c: the others than Pillow's; bilinear or bicubic, behind a Gaussian always linear; NEAREST: OpenCV's, or without the Gaussian. */
bool vj_interpolate(const vj_picture *from, int32_t width, int32_t height, vj_filter filter, vj_resampling how,
                    vj_picture *to, vj_why *why);

#define VJ_MAX_CHANNELS 4
typedef enum vj_resize_mode {
    VJ_RESIZE_COVER,    /* to the smallest size that covers height x width, the aspect is kept */
    VJ_RESIZE_EXACT,    /* to height x width, whatever the aspect */
    VJ_RESIZE_SHORTEST, /* the shorter side becomes `height` */
    VJ_RESIZE_LONGEST,  /* the longer side becomes `height` */
    VJ_RESIZE_FIT,      /* to the largest size inside height x width */
    VJ_RESIZE_NEARER,   /* by the factor, of height's and width's, that is nearer to 1 */
    VJ_RESIZE_HEIGHT,   /* to `height`; the width keeps the aspect, and is at most `width` */
    VJ_RESIZE_NONE      /* not at all */
} vj_resize_mode;
/* _DOWN_32: down, behind a rounding to 1/32 */
typedef enum vj_rounding { VJ_ROUND_DOWN, VJ_ROUND_HALF_UP, VJ_ROUND_EVEN, VJ_ROUND_UP, VJ_ROUND_DOWN_32 } vj_rounding;
typedef enum vj_pad { VJ_PAD_NONE, VJ_PAD_END, VJ_PAD_CENTRE, VJ_PAD_MIRROR } vj_pad; /* _MIRROR: at the end */
typedef enum vj_fill {
    VJ_FILL_BLACK, /* before mean and std */
    VJ_FILL_ZERO,  /* zeros after mean and std */
    VJ_FILL_COLOUR /* `colour`, before mean and std */
} vj_fill;

/* Where a picture's pixels go. Sizes of 0 follow from the input's. */
typedef struct vj_geometry {
    vj_resize_mode mode;
    vj_rounding rounding; /* of the sides that follow from the aspect */
    int32_t height, width;
    int32_t longest;  /* VJ_RESIZE_SHORTEST, grow_only: what the longer side may be; 0: anything */
    int32_t multiple; /* what both sides are then a multiple of; 0: anything */
    vj_rounding multiple_rounding;
    bool shrink_only; /* whether smaller pictures are not enlarged */
    bool grow_only;   /* whether larger ones are not shrunk */
    int32_t least;    /* first padded below and right, where height and width together are below twice this */
    bool squash;      /* resized to the input's sides, where it would not end so */
    double crop_pct;  /* the input's sides divided by height and width, where these are 0 */
    bool turn;        /* first a quarter turn, where one of picture and input is wide, the other high */
    double cut_height, cut_width;        /* first the centre: these parts of the shorter side; 0: all */
    bool border;                         /* first what is mirrored around it, 3 sqrt(side / 2) wide */
    vj_pad square;                       /* first padded to a square */
    int32_t within_height, within_width; /* after resizing: shrunk to fit inside; 0: not */
    int32_t crop_height, crop_width;     /* then the centre; 0: not */
    bool crop_input;                     /* ... of the input's size, to which nothing is scaled then */
    bool floor_crop;                     /* whether the crop's corner (a - b) / 2 is rounded down, not to even */
    vj_pad pad;                          /* then padded to pad_height x pad_width */
    int32_t pad_height, pad_width;
    int32_t
        pad_most; /* without these: a side is padded by this at most, else the picture is fitted into the input; 0: by anything */
    vj_fill fill;
} vj_geometry;

/* How a picture becomes the input, height x width, of a model. */
struct vj_recipe {
    vj_geometry geometry;
    vj_filter filter;
    vj_resampling resampling;
    double scale;                  /* the factor of a pixel before mean and std; 1 / 255 */
    int32_t mean_count, std_count; /* 1, or the number of channels */
    double mean[VJ_MAX_CHANNELS], std[VJ_MAX_CHANNELS];
    double colour[VJ_MAX_CHANNELS]; /* VJ_FILL_COLOUR, 0 to 255 */
    bool bgr;                       /* whether the input has blue first; mean and std have red first */
    char **labels;                  /* malloc'ed; NULL when there are none */
    int32_t label_count;
    const char *class; /* of classes.def, whose habits are in it, or "Paddle"; NULL: none's */
    char source[256];  /* where all this comes from, for one line on stderr */
    bool guessed;
};

/* geometry.c */

/* The geometry for an input of height x width: where the recipe's own size differs from it, all its sizes are scaled. Returns whether
 * they were. */
bool vj_geometry_for(const vj_geometry *geometry, int32_t height, int32_t width, vj_geometry *scaled);

/* The one size that the recipe ends in; false: it follows from the picture or the input. */
bool vj_recipe_own_size(const vj_recipe *recipe, int32_t *height, int32_t *width);

typedef enum vj_step_kind { VJ_STEP_TURN, VJ_STEP_RESIZE, VJ_STEP_PLACE, VJ_STEP_MIRROR, VJ_STEP_REFLECT } vj_step_kind;
/* One step: to a picture of height x width. _PLACE, _MIRROR and _REFLECT, which does not repeat the edge: where in it the old one's corner comes to lie; what is beyond the new
 * one is cropped, the rest is padding. */
typedef struct vj_picture_step {
    vj_step_kind kind;
    int32_t height, width, top, left;
} vj_picture_step;
#define VJ_MAX_STEPS 6
/* All steps of a picture, so that it ends as height x width. */
typedef struct vj_picture_plan {
    vj_picture_step steps[VJ_MAX_STEPS];
    int32_t count;
    int32_t top, left, bottom, right; /* where the picture lies in the result: the rest is padding */
} vj_picture_plan;
void vj_plan_picture(const vj_geometry *geometry, int32_t picture_height, int32_t picture_width, int32_t height,
                     int32_t width, vj_picture_plan *plan);

/* words.c: every step, in one line. */
void vj_recipe_words(const vj_recipe *recipe, const vj_picture_input *input, char *text, size_t room);

/* geometry.c: the size that the first resize of an upright picture makes of the whole of it; false: something else comes first. */
bool vj_first_resize(const vj_recipe *recipe, const vj_picture_input *input, int32_t picture_height,
                     int32_t picture_width, int32_t *height, int32_t *width);

/* preprocess.c: fills out[channels][height][width]. */
bool vj_preprocess(const vj_picture *picture, const vj_recipe *recipe, int32_t channels, int32_t height, int32_t width,
                   float *out, vj_why *why);

/* Where a picture's pixels are in the input: x of the picture (edges are whole numbers, a pixel's middle is between them) is at
 * x * scale_x + shift_x. A quarter turn is not followed: recipes that turn are of readers, whose outputs have no places. */
typedef struct vj_placement {
    int32_t width, height, input_width, input_height;
    double scale_x, scale_y, shift_x, shift_y;
} vj_placement;
void vj_place_picture(const vj_recipe *recipe, int32_t picture_height, int32_t picture_width, int32_t height,
                      int32_t width, vj_placement *placement);

/* Turns a model's input back into the picture that it shows, resized and cropped; the inverse of vj_preprocess. */
bool vj_unprocess(const float *in, const vj_recipe *recipe, int32_t channels, int32_t height, int32_t width,
                  vj_picture *picture, vj_why *why);

/* input.c: a tensor as vj_picture_input has it, back to the picture that it shows. */
bool vj_unprepare(const void *in, const vj_recipe *recipe, const vj_picture_input *input, vj_picture *picture,
                  vj_why *why);

/* heat.c: draws `weights` [rows, columns] over the whole picture, the least dark and the largest bright. */
bool vj_heat_over(const vj_picture *picture, const float *weights, int32_t rows, int32_t columns, vj_picture *to,
                  vj_why *why);

typedef struct vj_key_value {
    const char *key, *value;
} vj_key_value;

/* recipe.c: options win over the model's metadata, metadata over the files beside the model, and these over a guess (the habits of config.json's
 * model_type, else bicubic, crop 0.9, mean = std = 0.5). Returns false with a reason when an option or a file is wrong, or names a class
 * that is not followed (VJ_UNSUPPORTED). */
bool vj_recipe_find(const char *model_path, const vj_key_value *metadata, int32_t metadata_count,
                    const vj_recipe_options *options, vj_recipe *recipe, vj_why *why);
/* The same with the metadata as a JSON object of strings (vj_model_metadata). */
bool vj_recipe_of_model(const char *model_path, const char *metadata, const vj_recipe_options *options,
                        vj_recipe *recipe, vj_why *why);
/* By the options alone, whatever a model brings; a guess, unless they say all that a recipe needs. */
bool vj_recipe_of_options(const vj_recipe_options *options, vj_recipe *recipe, vj_why *why);
/* Frees what it holds, not the struct. */
void vj_recipe_free(vj_recipe *recipe);

/* beside.c: the path of a file that belongs to the model: beside it, or above its folder where that is called `onnx`. False:
 * there is none, and the path is that beside it. */
bool vj_file_beside(const char *model_path, const char *name, char *path, size_t room);

/* config.c */

/* A file beside the model as JSON, which the caller frees (cJSON_Delete); NULL: there is none that can be read. What is wrong with
 * it is said by who reads the recipe. */
struct cJSON;
struct cJSON *vj_json_beside(const char *model_path, const char *name);

/* paddle/file.c: the name of the post-processing in Paddle's file beside the model ("CTCLabelDecode"); empty: there is none. */
void vj_paddle_decoder(const char *model_path, char *name, size_t room);

/* The size of the pictures that a model takes, as the files beside it say; 0: they do not. */
typedef struct vj_input_size {
    int32_t channels, height, width;
    char source[256]; /* the file that says height and width, and whose habits, where it leaves them to a class */
} vj_input_size;
void vj_input_size_find(const char *model_path, vj_input_size *size);

/* What config.json says that a single output of rows is. */
typedef enum vj_head { VJ_HEAD_UNKNOWN, VJ_HEAD_CLASSES, VJ_HEAD_OTHER } vj_head;
vj_head vj_head_find(const char *model_path);

/* labels.c: takes the names of ImageNet-1k's classes for labels, where there are none. */
#define VJ_IMAGENET_CLASSES 1000
bool vj_imagenet_labels(vj_recipe *recipe);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#endif
