/* picture.h - reads image files into pixels and turns pixels into a model's input. This is a library of its own, which
 * the command line and examples/embeddings use.
 *
 * picture.c      opens a file, tells JPEG from PNG, applies EXIF's orientation. The way in: vj_picture_read
 * pixels.c       allocates and frees a picture
 * jpeg.c         libjpeg, libexif
 * png.c          libspng
 * resample.c     Pillow's separable resampling, with the same result for every pixel
 * preprocess.c   resize, crop, scale, mean and std: from pixels to a plane-by-plane float tensor
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

/* 8 bits a channel, rows from the top, channels interleaved: 1 (grey) or 3 (red, green, blue). */
typedef struct vj_picture {
    int32_t width, height, channels;
    uint8_t *pixels;  /* malloc'ed; vj_picture_free frees them */
    bool transparent; /* whether the file had pixels that are not opaque; alpha is dropped, the colour kept */
} vj_picture;

/* A reason why something failed: one sentence. */
typedef struct vj_why {
    char text[512];
} vj_why;

/* Larger pictures are refused. */
#define VJ_PICTURE_MAX_PIXELS (INT64_C(1) << 28)

/* picture.c, pixels.c */
bool vj_picture_read(const char *path, vj_picture *picture, vj_why *why);
void vj_picture_free(vj_picture *picture);
bool vj_picture_alloc(vj_picture *picture, int64_t width, int64_t height, int32_t channels, vj_why *why);

/* jpeg.c, png.c: both read an open file from its start. *orientation is EXIF's, 1 to 8. */
bool vj_jpeg_read(FILE *file, vj_picture *picture, int32_t *orientation, vj_why *why);
bool vj_png_read(FILE *file, vj_picture *picture, vj_why *why);
bool vj_png_write(FILE *file, const vj_picture *picture, vj_why *why);

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
typedef struct vj_recipe {
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
} vj_recipe;

/* preprocess.c: fills out[channels][height][width]. */
bool vj_preprocess(const vj_picture *picture, const vj_recipe *recipe, int32_t channels, int32_t height, int32_t width,
                   float *out, vj_why *why);

/* Turns a model's input back into the picture that it shows, resized and cropped; the inverse of vj_preprocess. */
bool vj_unprocess(const float *in, const vj_recipe *recipe, int32_t channels, int32_t height, int32_t width,
                  vj_picture *picture, vj_why *why);

/* heat.c: draws `weights` [rows, columns] over the whole picture, the least dark and the largest bright. */
bool vj_heat_over(const vj_picture *picture, const float *weights, int32_t rows, int32_t columns, vj_picture *to,
                  vj_why *why);

/* What the command line says; NULL where it says nothing. */
typedef struct vj_recipe_options {
    const char *mean, *std; /* "0.5" or "0.485,0.456,0.406" */
    const char *interpolation;
    const char *resize; /* "256" or "224x224" (height x width) */
    const char *crop_pct;
    const char *labels; /* a file: a label a line, or JSON */
} vj_recipe_options;
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

#endif
