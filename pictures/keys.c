/* SPDX-License-Identifier: Apache-2.0 */
/* keys.c - reads the keys of transformers, timm and OpenCLIP over the defaults of a class, and makes a recipe of them. */
#include "recipe.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

typedef enum crop_mode { CROP_CENTRE, CROP_BORDER, CROP_SQUASH } crop_mode;

/* What the keys come to, before it is a recipe. */
typedef struct draft {
    uint32_t habits;
    vj_size size, crop_size, pad_size;
    vj_filter filter;
    bool resize, crop, rescale, normalise, pad, bgr, keep_aspect, offset, twice, thumbnail, turn, never;
    double scale, crop_pct;
    int32_t divisor, longest, shortest;
    double mean[VJ_MAX_CHANNELS], std[VJ_MAX_CHANNELS], colour[VJ_MAX_CHANNELS];
    int32_t mean_count, std_count, colour_count;
    crop_mode mode;
} draft;

typedef enum key_kind { BOOL, SIZE, SIDE, PART, FACTOR, MEAN, STD, COLOUR, FILTER, MODE, DIVISOR, NEVER_TRUE } key_kind;

static const struct {
    const char *name;
    key_kind kind;
    size_t at; /* in the draft */
} keys[] = {
    {"do_resize", BOOL, offsetof(draft, resize)},
    {"do_center_crop", BOOL, offsetof(draft, crop)},
    {"do_rescale", BOOL, offsetof(draft, rescale)},
    {"do_normalize", BOOL, offsetof(draft, normalise)},
    {"do_pad", BOOL, offsetof(draft, pad)},
    {"pad_and_return_pixel_mask", BOOL, offsetof(draft, pad)},
    {"do_flip_channel_order", BOOL, offsetof(draft, bgr)},
    {"keep_aspect_ratio", BOOL, offsetof(draft, keep_aspect)},
    {"rescale_offset", BOOL, offsetof(draft, offset)},
    {"offset", BOOL, offsetof(draft, offset)},
    {"include_top", BOOL, offsetof(draft, twice)},
    {"do_thumbnail", BOOL, offsetof(draft, thumbnail)},
    {"do_align_long_axis", BOOL, offsetof(draft, turn)},
    {"size", SIZE, offsetof(draft, size)},
    {"crop_size", SIZE, offsetof(draft, crop_size)},
    {"pad_size", SIZE, offsetof(draft, pad_size)},
    {"max_size", SIDE, offsetof(draft, longest)},
    {"resize_short", SIDE, offsetof(draft, shortest)},
    {"size_divisor", DIVISOR, offsetof(draft, divisor)},
    {"size_divisibility", DIVISOR, offsetof(draft, divisor)},
    {"ensure_multiple_of", DIVISOR, offsetof(draft, divisor)},
    {"patch_size", DIVISOR, offsetof(draft, divisor)},
    {"rescale_factor", FACTOR, offsetof(draft, scale)},
    {"crop_pct", PART, offsetof(draft, crop_pct)},
    {"image_mean", MEAN, 0},
    {"image_std", STD, 0},
    {"mean", MEAN, 0},
    {"std", STD, 0},
    {"fill_color", COLOUR, 0},
    {"resample", FILTER, 0},
    {"interpolation", FILTER, 0},
    {"crop_mode", MODE, 0},
    {"resize_mode", MODE, 0},
    {"do_image_splitting", NEVER_TRUE, 0},
    {"do_split_image", NEVER_TRUE, 0},
    {"split_image", NEVER_TRUE, 0},
    {"crop_to_patches", NEVER_TRUE, 0},
    {"do_pan_and_scan", NEVER_TRUE, 0},
    {"do_color_quantize", NEVER_TRUE, 0},
    {"do_grayscale", NEVER_TRUE, 0},
};
#define KEYS (sizeof keys / sizeof *keys)

static size_t key_named(const char *name) {
    size_t i = 0;
    while (i < KEYS && strcmp(keys[i].name, name) != 0)
        i++;
    return i;
}

/* Keys that say nothing alone are often of a model's own config.json: patch_size, offset, ... */
static bool is_strong(size_t key) {
    switch (keys[key].kind) {
    case BOOL:
        return strncmp(keys[key].name, "do_", 3) == 0;
    case SIZE:
    case PART:
    case MEAN:
    case STD:
    case FILTER:
    case MODE:
        return true;
    default:
        return false;
    }
}

bool vj_has_recipe_keys(const cJSON *object) {
    const cJSON *item;
    cJSON_ArrayForEach(item, object) {
        const size_t key = item->string && !cJSON_IsNull(item) ? key_named(item->string) : KEYS;
        if (key < KEYS && is_strong(key)) return true;
    }
    return false;
}

static bool take_bool(const cJSON *json, bool *to) {
    *to = cJSON_IsTrue(json);
    return cJSON_IsBool(json);
}

static bool take_mode(draft *d, const cJSON *json) {
    static const char *const names[] = {"center", "border", "squash", "shortest", "longest"};
    for (size_t i = 0; cJSON_IsString(json) && i < sizeof names / sizeof *names; i++) {
        if (strcmp(json->valuestring, names[i]) != 0) continue;
        d->mode = (crop_mode)(i % 3);
        return true;
    }
    return false;
}

/* A number, or the height of an object (Pixtral's patch_size). Only the classes that have one read it. */
static bool take_divisor(const vj_class *class, const char *name, const cJSON *json, int32_t *to) {
    const bool aspect = class->habits & H_ASPECT, patches = class->habits & H_PATCHES;
    int32_t ignored;
    if ((strcmp(name, "patch_size") == 0) != patches || (strcmp(name, "ensure_multiple_of") == 0) != aspect)
        return true;
    if (cJSON_IsObject(json)) json = cJSON_GetObjectItemCaseSensitive(json, "height");
    if (aspect && (class->habits & H_MIRROR) && cJSON_IsNumber(json) && json->valuedouble == 1 / 32.0) {
        *to = 0; /* what set_habits rounds by */
        return true;
    }
    return vj_side_from_json(json, class->divisor || aspect || patches ? to : &ignored);
}

static bool take_size(draft *d, const vj_class *class, const char *name, const cJSON *json, vj_size *to) {
    const bool size = strcmp(name, "size") == 0;
    if ((d->habits & H_MIRROR) && strcmp(name, "pad_size") == 0 && cJSON_IsNumber(json))
        return vj_side_from_json(json, &d->divisor);
    if (!vj_size_from_json(json, size && (class->habits & H_INT_SHORT), to)) return false;
    if (size && (class->habits & H_DOCUMENT) && cJSON_IsArray(json)) {
        const int32_t height = to->width;
        to->width = to->height;
        to->height = height;
    }
    if (size && (class->habits & H_MAX_1333) && !cJSON_IsObject(json)) to->longest = 1333;
    return true;
}

static bool take_key(draft *d, const vj_class *class, size_t key, const cJSON *json) {
    void *to = (char *)d + keys[key].at;
    double number = cJSON_IsNumber(json) ? json->valuedouble : 0;
    bool never;
    switch (keys[key].kind) {
    case BOOL:
        return take_bool(json, to);
    case SIZE:
        return take_size(d, class, keys[key].name, json, to);
    case SIDE:
        return vj_side_from_json(json, to);
    case DIVISOR:
        return take_divisor(class, keys[key].name, json, to);
    case PART:
        *(double *)to = number;
        return number > 0.01 && number <= 1;
    case FACTOR:
        *(double *)to = number;
        return number > 1e-9 && number < 1e6;
    case MEAN:
        return vj_numbers_from_json(json, false, d->mean, &d->mean_count);
    case STD:
        return vj_numbers_from_json(json, true, d->std, &d->std_count);
    case COLOUR:
        return vj_numbers_from_json(json, false, d->colour, &d->colour_count);
    case FILTER:
        return vj_filter_from_json(json, &d->filter);
    case MODE:
        return take_mode(d, json);
    default:
        if (!take_bool(json, &never)) return false;
        d->never |= never;
        return true;
    }
}

static void set_colours(draft *d, vj_colours colours) {
    static const double table[][2][3] = {
        [HALF] = {{.5, .5, .5}, {.5, .5, .5}},
        [IMAGENET] = {{.485, .456, .406}, {.229, .224, .225}},
        [CLIP] = {{.48145466, .4578275, .40821073}, {.26862954, .26130258, .27577711}},
        [ONE] = {{1, 1, 1}, {1, 1, 1}},
        [CHM] = {{.42, .411, .296}, {.213, .156, .143}},
        [PADDLE] = {{.406, .456, .485}, {.225, .224, .229}},
        [ZERO] = {{0, 0, 0}, {1, 1, 1}},
        [SPARE] = {{.485, .456, .406}, {.229, .224, .225}},
        [PLAIN] = {{0, 0, 0}, {1, 1, 1}},
        [NEVER] = {{0, 0, 0}, {1, 1, 1}},
    };
    memcpy(d->mean, table[colours][0], sizeof table[colours][0]);
    memcpy(d->std, table[colours][1], sizeof table[colours][1]);
    d->mean_count = d->std_count = memcmp(&d->mean[0], &d->mean[1], 2 * sizeof(double)) == 0 ? 1 : 3;
    d->normalise = colours < SPARE;
}

static draft start(const vj_class *class) {
    const uint32_t h = class->habits;
    draft d = {.habits = h,
               .size = class->size,
               .crop_size = class->crop,
               .filter = class->filter,
               .resize = !(h & H_NO_RESIZE),
               .crop = h & H_CROP,
               .rescale = !(h & H_NO_RESCALE),
               .pad = h & H_PAD,
               .bgr = h & H_BGR,
               .keep_aspect = h & H_KEEP,
               .offset = h & H_VIVIT,
               .twice = h & H_TWICE,
               .thumbnail = h & H_DOCUMENT,
               .divisor = class->divisor,
               .colour_count = 1,
               .scale = h & H_VIVIT       ? 1 / 127.5
                        : h & H_CHAMELEON ? 0.0078
                                          : 1 / 255.0};
    d.crop_pct = h & H_WHOLE ? 1 : h & H_CONVNEXT ? 224 / 256.0 : h & H_BY_CROP && *class->name ? 0.875 : 0.9;
    set_colours(&d, class->colours);
    return d;
}

/* torch's filters are those that the class has of itself, and bilinear: what overshoots is not cut off by every class. Of scipy's zoom the
 * key says whether there is a Gaussian alone. */
static bool is_followed(const draft *d, const vj_class *class) {
    const vj_resampling how = vj_class_resampling(class);
    return how == VJ_RESAMPLE_PILLOW || how == VJ_RESAMPLE_GAUSS || d->filter == VJ_BILINEAR ||
           d->filter == class->filter;
}

static bool read_keys(draft *d, const vj_class *class, const cJSON *object, vj_why *why) {
    const cJSON *item;
    cJSON_ArrayForEach(item, object) {
        const size_t key = item->string ? key_named(item->string) : KEYS;
        if (key < KEYS && !cJSON_IsNull(item) && !take_key(d, class, key, item))
            return vj_recipe_fail(why, "a value that makes no sense for the key", item->string);
        if (key < KEYS && d->never)
            return vj_because(why, VJ_UNSUPPORTED, "'%.80s' asks for a pre-processing that is not followed",
                              item->string);
    }
    if (d->shortest) d->size = (vj_size){.shortest = d->shortest};
    if (!is_followed(d, class))
        return vj_because(why, VJ_UNSUPPORTED, "the filter %s of this class is not followed",
                          vj_filter_name(d->filter));
    if (d->longest && d->size.shortest) d->size.longest = d->longest;
    if (class == &vj_no_class && (d->crop_size.height || d->crop_size.shortest) &&
        !cJSON_HasObjectItem(object, "do_center_crop"))
        d->crop = true;
    return true;
}

/* The resize, and the crop of classes that crop by what they resize to. */
static void set_resize(const draft *d, vj_geometry *g) {
    const vj_size *s = &d->size;
    const uint32_t h = d->habits;
    g->multiple = d->divisor;
    g->multiple_rounding = h & (H_UP | H_PATCHES) ? VJ_ROUND_UP : h & H_ASPECT ? VJ_ROUND_EVEN : VJ_ROUND_DOWN;
    if (s->shortest) {
        g->mode = VJ_RESIZE_SHORTEST;
        g->height = s->shortest;
        g->longest = s->longest;
    } else if (s->longest) {
        g->mode = VJ_RESIZE_LONGEST;
        g->height = g->width = s->longest;
        g->rounding = VJ_ROUND_HALF_UP;
    } else if (s->max_height) {
        g->mode = VJ_RESIZE_FIT;
        g->height = s->max_height;
        g->width = s->max_width;
    } else if (s->height) {
        g->mode = VJ_RESIZE_EXACT;
        g->height = s->height;
        g->width = s->width;
        if (!(h & H_ASPECT)) g->multiple = 0;
    }
}

static void set_edge(vj_geometry *g, double edge) {
    g->mode = VJ_RESIZE_SHORTEST;
    g->height = (int32_t)fmin(fmax(floor(edge), 1), VJ_MAX_SIDE);
}

/* What single classes do with their size. */
static void set_habits(const draft *d, vj_geometry *g) {
    const vj_size *s = &d->size;
    const uint32_t h = d->habits;
    if ((h & H_CONVNEXT) && s->shortest && s->shortest < 384) {
        set_edge(g, s->shortest / d->crop_pct);
        g->crop_height = g->crop_width = s->shortest;
    } else if ((h & H_CONVNEXT) && s->shortest) {
        g->mode = VJ_RESIZE_EXACT;
        g->width = g->height;
    } else if ((h & H_POOLFORMER) && (s->shortest || (s->height && s->height == s->width))) {
        set_edge(g, (s->shortest ? s->shortest : s->height) / d->crop_pct);
    } else if ((h & H_POOLFORMER) && s->height) {
        g->height = (int32_t)fmin(floor(s->height / d->crop_pct), VJ_MAX_SIDE);
        g->width = (int32_t)fmin(floor(s->width / d->crop_pct), VJ_MAX_SIDE);
    } else if ((h & H_LEVIT) && s->shortest) {
        set_edge(g, 256 / 224.0 * s->shortest);
    } else if ((h & H_BOUNDED) && s->shortest) {
        g->longest = (int32_t)(1333 / 800.0 * s->shortest);
        g->rounding = VJ_ROUND_HALF_UP;
    } else if ((h & H_LETTERBOX) && s->height) {
        g->mode = VJ_RESIZE_LONGEST;
        g->rounding = VJ_ROUND_EVEN;
    } else if ((h & H_PATCHES) && (s->longest || s->height)) {
        g->mode = VJ_RESIZE_FIT;
        g->rounding = VJ_ROUND_DOWN;
        g->multiple = d->divisor;
        g->shrink_only = true;
    } else if (h & H_ASPECT) {
        g->rounding = h & H_MIRROR ? VJ_ROUND_DOWN_32 : VJ_ROUND_EVEN;
        if (d->keep_aspect) g->mode = VJ_RESIZE_NEARER;
    } else if (h & H_DOCUMENT) {
        set_edge(g, s->height < s->width ? s->height : s->width);
    }
    if (h & H_OWN_SIZE) g->mode = VJ_RESIZE_NONE;
    if ((h & H_MIRROR) && !(h & H_ASPECT)) g->multiple = 0;
    if (h & H_ROUND) g->rounding = VJ_ROUND_EVEN;
}

static void set_crop(const draft *d, vj_geometry *g) {
    const vj_size *c = &d->crop_size;
    if ((d->habits & H_CUT) && d->crop && c->height && d->size.height) {
        g->cut_height = (double)d->size.height / c->height;
        g->cut_width = (double)d->size.width / c->width;
    } else if (d->crop && (c->height || c->shortest)) {
        g->crop_height = c->shortest ? c->shortest : c->height;
        g->crop_width = c->shortest ? c->shortest : c->width;
    }
    if ((d->habits & H_DOCUMENT) && d->thumbnail) {
        g->within_height = d->size.height;
        g->within_width = d->size.width;
    }
    g->turn = (d->habits & H_DOCUMENT) && d->turn;
}

/* The colour of the mean, rounded down. */
static void colour_of_mean(const draft *d, vj_recipe *recipe) {
    recipe->geometry.fill = VJ_FILL_COLOUR;
    for (int32_t c = 0; c < VJ_MAX_CHANNELS; c++)
        recipe->colour[c] = floor(255 * d->mean[d->mean_count > 1 ? c % d->mean_count : 0]);
}

static void set_pad(const draft *d, vj_recipe *recipe) {
    vj_geometry *g = &recipe->geometry;
    const uint32_t h = d->habits;
    vj_size to = d->pad_size;
    if (!d->pad) return;
    if (h & H_SQUARE) {
        g->square = h & H_PAD_BLACK ? VJ_PAD_END : VJ_PAD_CENTRE;
        if (!(h & H_PAD_BLACK)) colour_of_mean(d, recipe);
        return;
    }
    if ((h & H_MIRROR) && (h & H_ASPECT)) {
        g->border = true;
        return;
    }
    if (!to.height && (h & H_PAD_TO_SIZE)) {
        const vj_size *s = &d->size;
        to.height = s->height ? s->height : s->max_height ? s->max_height : s->shortest ? s->shortest : s->longest;
        to.width = s->width ? s->width : s->max_width ? s->max_width : s->longest;
        if (!to.width) to.width = to.height;
    }
    if (!to.height && (!(h & (H_PAD | H_ASPECT)) || g->mode == VJ_RESIZE_EXACT || g->crop_height)) return;
    g->pad = h & H_MIRROR ? VJ_PAD_MIRROR : h & H_PAD_CENTRE ? VJ_PAD_CENTRE : VJ_PAD_END;
    g->pad_height = h & H_MIRROR ? 0 : to.height;
    g->pad_width = h & H_MIRROR ? 0 : to.width;
    g->pad_most = (h & (H_MIRROR | H_ASPECT)) && d->divisor > 1 ? d->divisor : 0;
    g->fill = h & (H_PAD_BLACK | H_MIRROR) ? VJ_FILL_BLACK : VJ_FILL_ZERO;
    if (h & H_PAD_COLOUR) colour_of_mean(d, recipe);
}

/* timm's and OpenCLIP's, and those of no class: sizes follow from the input. */
static void set_by_crop(const draft *d, vj_recipe *recipe) {
    vj_geometry *g = &recipe->geometry;
    g->mode = d->mode == CROP_SQUASH ? VJ_RESIZE_EXACT : d->mode == CROP_BORDER ? VJ_RESIZE_FIT : VJ_RESIZE_COVER;
    g->crop_pct = d->crop_pct;
    g->rounding = VJ_ROUND_EVEN;
    g->fill = VJ_FILL_COLOUR;
    for (int32_t c = 0; c < VJ_MAX_CHANNELS; c++)
        recipe->colour[c] = d->habits & H_WHOLE ? d->colour[d->colour_count > 1 ? c % d->colour_count : 0]
                                                : nearbyint(255 * d->mean[d->mean_count > 1 ? c % d->mean_count : 0]);
}

/* rescale, offset, mean and std, as one scale, mean and std. */
static void set_numbers(const draft *d, vj_colours colours, vj_recipe *recipe) {
    const bool normalise = d->normalise && colours != NEVER;
    recipe->scale = d->rescale && !(d->habits & H_NO_RESCALE) ? d->scale : 1;
    recipe->mean_count = recipe->std_count = 1;
    recipe->mean[0] = 0;
    recipe->std[0] = 1;
    if (normalise) {
        memcpy(recipe->mean, d->mean, sizeof d->mean);
        recipe->mean_count = d->mean_count;
    }
    if (normalise || ((d->habits & H_TWICE) && d->twice)) {
        memcpy(recipe->std, d->std, sizeof d->std);
        recipe->std_count = d->std_count;
    }
    for (int32_t c = 0; c < VJ_MAX_CHANNELS; c++) {
        if ((d->habits & (H_TWICE | H_VIVIT)) && d->offset) recipe->mean[c] += 1;
        if (normalise && (d->habits & H_TWICE) && d->twice) recipe->std[c] *= recipe->std[c];
    }
}

bool vj_recipe_from_keys(vj_recipe *recipe, const vj_class *class, const cJSON *object, vj_why *why) {
    draft d = start(class);
    if (!read_keys(&d, class, object, why)) return false;
    vj_geometry *g = &recipe->geometry;
    const bool sized = d.size.height || d.size.shortest || d.size.longest || d.size.max_height;
    *g = (vj_geometry){.floor_crop = !(d.habits & H_BY_CROP) || cJSON_HasObjectItem(object, "image_mean") ||
                                     cJSON_HasObjectItem(object, "do_resize")};
    if ((d.habits & H_BY_CROP) && (!sized || *class->name)) {
        set_by_crop(&d, recipe);
    } else {
        set_resize(&d, g);
        set_habits(&d, g);
        if (!d.resize) *g = (vj_geometry){.mode = VJ_RESIZE_NONE, .floor_crop = g->floor_crop};
        set_crop(&d, g);
        set_pad(&d, recipe);
    }
    recipe->filter = d.filter;
    recipe->resampling = vj_class_resampling(class);
    recipe->bgr = d.bgr;
    set_numbers(&d, class->colours, recipe);
    return true;
}
