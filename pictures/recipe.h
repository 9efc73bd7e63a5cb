/* SPDX-License-Identifier: Apache-2.0 */
/* recipe.h - what the files that find a recipe share. */
#ifndef VITJIT_PICTURES_RECIPE_H
#define VITJIT_PICTURES_RECIPE_H

#include "picture.h"

#include <cjson/cJSON.h>

/* Sides of pictures are whole numbers up to this. */
#define VJ_MAX_SIDE (1 << 15)

/* labels.c */
bool vj_labels_from_json(vj_recipe *recipe, const cJSON *json);
bool vj_labels_from_file(vj_recipe *recipe, const char *path, vj_why *why);
/* The file's bytes as a string, or NULL with the reason; *missing may be NULL. */
char *vj_text_read(const char *path, bool *missing, vj_why *why);
/* Says what is wrong with which text; returns false. */
bool vj_recipe_fail(vj_why *why, const char *what, const char *text);

/* transformers' sizes: those that are not 0 were said. */
typedef struct vj_size {
    int32_t height, width, shortest, longest, max_height, max_width;
} vj_size;

/* values.c: false, where a value makes no sense. */
bool vj_numbers_from_json(const cJSON *json, bool positive, double *out, int32_t *count);
bool vj_numbers_from_text(const char *text, bool positive, double *out, int32_t *count);
bool vj_filter_from_json(const cJSON *json, vj_filter *filter);
bool vj_side_from_json(const cJSON *json, int32_t *side);
/* A number is both sides, or the shorter one; [h, w], or an object. */
bool vj_size_from_json(const cJSON *json, bool number_is_shortest, vj_size *size);
bool vj_options_apply(vj_recipe *recipe, const vj_recipe_options *options, vj_why *why);

/* What classes do besides (classes.def). */
enum {
    H_INT_SHORT = 1 << 0,    /* a size that is a number is the shorter side's */
    H_CROP = 1 << 1,         /* do_center_crop */
    H_NO_RESIZE = 1 << 2,    /* not do_resize */
    H_NO_RESCALE = 1 << 3,   /* never rescales */
    H_BGR = 1 << 4,          /* blue first */
    H_BY_CROP = 1 << 5,      /* timm's: sizes follow from the input and crop_pct */
    H_WHOLE = 1 << 6,        /* crop_pct is 1 */
    H_CONVNEXT = 1 << 7,     /* below 384: by crop_pct and cropped, above: both sides */
    H_POOLFORMER = 1 << 8,   /* by crop_pct, then cropped */
    H_LEVIT = 1 << 9,        /* the shorter side times 256 / 224 */
    H_BOUNDED = 1 << 10,     /* the longer side is at most 1333 / 800 of the shorter side's size */
    H_MAX_1333 = 1 << 11,    /* a size that is a number has the longer side 1333 */
    H_UP = 1 << 12,          /* the divisor rounds up, not down */
    H_ASPECT = 1 << 13,      /* keep_aspect_ratio and ensure_multiple_of */
    H_KEEP = 1 << 14,        /* keep_aspect_ratio unless it says otherwise */
    H_PAD = 1 << 15,         /* do_pad: to the largest picture of a batch, here the input */
    H_PAD_TO_SIZE = 1 << 16, /* ... to size, unless there is a pad_size */
    H_PAD_CENTRE = 1 << 17,  /* ... on all sides */
    H_PAD_BLACK = 1 << 18,   /* ... before mean and std */
    H_PAD_COLOUR = 1 << 19,  /* ... in the colour of the mean */
    H_MIRROR = 1 << 20,      /* ... by mirroring; with H_ASPECT (ZoeDepth) around the picture, before resizing */
    H_LETTERBOX = 1 << 21,   /* the longer side becomes size */
    H_DOCUMENT = 1 << 22,    /* Donut: shorter side, thumbnail, pad; sizes in lists are [w, h] */
    H_SQUARE = 1 << 23, /* do_pad pads to a square first, in the colour of the mean, with H_PAD_BLACK below and right */
    H_CUT = 1 << 24,    /* Perceiver: the crop goes first, size / crop_size of the shorter side */
    H_OWN_SIZE = 1 << 25, /* the picture's own size; GLPN: down to a multiple */
    H_PATCHES = 1 << 26,  /* Pixtral: shrunk to fit, then up to a multiple of patch_size */
    H_TWICE = 1 << 27,    /* EfficientNet: include_top divides by std again */
    H_VIVIT = 1 << 28,    /* rescaled by 1 / 127.5, less 1 */
    H_ROUND = 1 << 30,    /* sides that follow from the aspect are rounded, not cut */
    H_CHAMELEON = 1 << 29 /* rescaled by 0.0078 */
};

/* mean and std of classes. PLAIN: not normalised, unless do_normalize, mean and std are said. SPARE: IMAGENET's, if do_normalize is said.
 * NEVER: not, whatever is said. */
typedef enum vj_colours { HALF, IMAGENET, CLIP, ONE, CHM, PADDLE, ZERO, SPARE, PLAIN, NEVER } vj_colours;

typedef struct vj_class {
    const char *name;
    vj_size size, crop;
    vj_filter filter;
    vj_colours colours;
    int32_t divisor;
    uint32_t habits;
} vj_class;

/* classes.c */

/* By image_processor_type or feature_extractor_type, with or without its ending; NULL: unknown, or known to be none that is
 * followed, for the reason *refused. */
const vj_class *vj_class_by_type(const char *type, const char **refused);
const vj_class *vj_class_by_model(const char *model_type);
/* Row i of each table, for who lists them; false: there is none. */
bool vj_class_at(size_t i, const vj_class **class);
bool vj_refusal_at(size_t i, const char **name, const char **reason);
/* Whose way of resampling the class has. */
vj_resampling vj_class_resampling(const vj_class *class);
/* For a recipe of no class. */
extern const vj_class vj_no_class;

/* keys.c: *recipe becomes what the object's keys say, and what the class does where they say nothing. */
bool vj_recipe_from_keys(vj_recipe *recipe, const vj_class *class, const cJSON *object, vj_why *why);
/* Whether any key of the object says alone that it is a recipe. */
bool vj_has_recipe_keys(const cJSON *object);

#endif
