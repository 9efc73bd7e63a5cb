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
 * preprocess.c   resize, crop, scale, mean and std: from pixels to a plane-by-plane float tensor
 * input.c        the tensor in the type and the order of dims that a model's input has, and back
 * heat.c         draws a heat map of weights over a picture
 * recipe.c       finds pre-processing and labels: options, the model's metadata, files beside it, a guess
 * beside.c       where the files beside a model are
 * config.c       what they say of the model itself: its head, the size of its input
 * imagenet.c     ImageNet's class names
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

/* jpeg.c, png.c, webp.c, bmp.c. *orientation is EXIF's, 1 to 8, and stays when the file says none. */
bool vj_jpeg_read(vj_encoded file, vj_picture *picture, int32_t *orientation, vj_why *why);
bool vj_png_read(vj_encoded file, vj_picture *picture, int32_t *orientation, vj_why *why);
bool vj_webp_read(vj_encoded file, vj_picture *picture, int32_t *orientation, vj_why *why);
bool vj_bmp_read(vj_encoded file, vj_picture *picture, vj_why *why);
bool vj_png_write(FILE *file, const vj_picture *picture, vj_why *why);

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
/* resample.c: Pillow's Image.resize, antialiased, the horizontal pass first, rounded to 8 bits between the passes. */
bool vj_resample(const vj_picture *from, int32_t width, int32_t height, vj_filter filter, vj_picture *to, vj_why *why);

#define VJ_MAX_CHANNELS 4
typedef enum vj_resize_mode {
    VJ_RESIZE_SHORTEST, /* the shorter side becomes `resize`, the aspect is kept */
    VJ_RESIZE_EXACT     /* to resize_height x resize_width, whatever the aspect */
} vj_resize_mode;

/* How a picture becomes the input, height x width, of a model. */
struct vj_recipe {
    vj_resize_mode mode;
    int32_t resize;                      /* for VJ_RESIZE_SHORTEST; 0: it follows from crop_pct */
    int32_t resize_height, resize_width; /* for VJ_RESIZE_EXACT; 0: the model's size */
    bool floor_crop;                     /* whether the crop's corner (a - b) / 2 is rounded down, not to even */
    double crop_pct;                     /* the input's side divided by the resized shorter side */
    vj_filter filter;
    double scale;                  /* the factor of a pixel before mean and std; 1 / 255 */
    int32_t mean_count, std_count; /* 1, or the number of channels */
    double mean[VJ_MAX_CHANNELS], std[VJ_MAX_CHANNELS];
    char **labels; /* malloc'ed; NULL when there are none */
    int32_t label_count;
    char source[256]; /* where all this comes from, for one line on stderr */
    bool guessed;
};

/* preprocess.c: fills out[channels][height][width]. */
bool vj_preprocess(const vj_picture *picture, const vj_recipe *recipe, int32_t channels, int32_t height, int32_t width,
                   float *out, vj_why *why);

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

/* recipe.c: options win over the model's metadata, metadata over preprocessor_config.json and config.json beside the model, and
 * these over a guess (bicubic, crop 0.9, mean = std = 0.5). Returns false with a reason when an option or a file is
 * wrong. */
bool vj_recipe_find(const char *model_path, const vj_key_value *metadata, int32_t metadata_count,
                    const vj_recipe_options *options, vj_recipe *recipe, vj_why *why);
/* The same with the metadata as a JSON object of strings (vj_model_metadata). */
bool vj_recipe_of_model(const char *model_path, const char *metadata, const vj_recipe_options *options,
                        vj_recipe *recipe, vj_why *why);
/* Frees what it holds, not the struct. */
void vj_recipe_free(vj_recipe *recipe);

/* beside.c: the path of a file that belongs to the model: beside it, or above its folder where that is called `onnx`. False:
 * there is none, and the path is that beside it. */
bool vj_file_beside(const char *model_path, const char *name, char *path, size_t room);

/* config.c */

/* The size of the pictures that a model takes, as the files beside it say; 0: they do not. */
typedef struct vj_input_size {
    int32_t channels, height, width;
    char source[32]; /* the file that says height and width */
} vj_input_size;
void vj_input_size_find(const char *model_path, vj_input_size *size);

/* What config.json says that a single output of rows is. */
typedef enum vj_head { VJ_HEAD_UNKNOWN, VJ_HEAD_CLASSES, VJ_HEAD_OTHER } vj_head;
vj_head vj_head_find(const char *model_path);

/* imagenet.c: takes the names of ImageNet-1k's classes for labels, where there are none. */
#define VJ_IMAGENET_CLASSES 1000
bool vj_imagenet_labels(vj_recipe *recipe);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#endif
