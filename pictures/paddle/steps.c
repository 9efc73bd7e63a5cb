/* SPDX-License-Identifier: Apache-2.0 */
/* steps.c - Paddle's steps of pre-processing as a recipe: those of PaddleX 3.7 and PaddleOCR 3.7 (which read inference.yml), and of
 * PaddleDetection's infer_cfg.yml. A step, a key of it or an order that is not followed is refused by name.
 *
 * Resizing is OpenCV's, whose bilinear and bicubic are torch's without antialiasing but for their fixed point, or Pillow's where it says
 * so. Mean and deviation are those of the channels in the order that the model sees them in.
 */
#include "paddle.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define MOST_STEPS 64
#define MOST_LIMIT 4000 /* what the longer side of a page may be, where the shorter one has a limit */

/* The stages of a recipe, in this order. */
typedef enum stage { DECODED, RESIZED, CROPPED, PADDED, NORMALISED, STRIDED, ANY_TIME } stage;

typedef struct making {
    vj_recipe *recipe;
    const cJSON *file;
    const char *step; /* in work */
    stage stage;      /* reached */
    vj_why *why;
} making;

static const cJSON *get(const cJSON *json, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);
    return cJSON_IsNull(item) ? NULL : item;
}

static bool is_text(const cJSON *json, const char *text) {
    return cJSON_IsString(json) && strcasecmp(json->valuestring, text) == 0;
}

static bool wrong(const making *m, const char *key) {
    return vj_because(m->why, VJ_BAD_INPUT, "the step '%.80s': a value that makes no sense for the key '%s'", m->step,
                      key);
}

static bool unfollowed(const making *m, const char *key) {
    return vj_because(m->why, VJ_UNSUPPORTED, "the step '%.80s' with this value of '%.80s' is not followed", m->step,
                      key);
}

/* True or false; *to stays where it is not said. */
static bool take_bool(const making *m, const cJSON *args, const char *key, bool *to) {
    const cJSON *item = get(args, key);
    if (item && !cJSON_IsBool(item)) return wrong(m, key);
    if (item) *to = cJSON_IsTrue(item);
    return true;
}

/* A whole number for both, or two of them. */
static bool take_pair(const making *m, const cJSON *args, const char *key, int32_t *first, int32_t *second) {
    const cJSON *item = get(args, key);
    const bool one = !cJSON_IsArray(item), good = one || cJSON_GetArraySize(item) == 2;
    return (good && vj_side_from_json(one ? item : cJSON_GetArrayItem(item, 0), first) &&
            vj_side_from_json(one ? item : cJSON_GetArrayItem(item, 1), second)) ||
           wrong(m, key);
}

static bool take_side(const making *m, const cJSON *args, const char *key, int32_t *to) {
    const cJSON *item = get(args, key);
    return !item || vj_side_from_json(item, to) || wrong(m, key);
}

/* OpenCV's number of it, or a name; INTER_AREA and INTER_LANCZOS4 are not followed. */
static bool take_filter(const making *m, const cJSON *args, const char *key) {
    static const struct {
        const char *name;
        vj_filter filter;
        bool pillows; /* Pillow has it, too */
    } names[] = {{"nearest", VJ_NEAREST, true},    {"linear", VJ_BILINEAR, false}, {"bicubic", VJ_BICUBIC, true},
                 {"area", VJ_FILTER_COUNT, false}, {"lanczos4", VJ_LANCZOS, true}, {"bilinear", VJ_BILINEAR, true},
                 {"cubic", VJ_BICUBIC, false},     {"lanczos", VJ_LANCZOS, true},  {"box", VJ_BOX, true},
                 {"hamming", VJ_HAMMING, true}};
    enum { NUMBERED = 5 };
    const cJSON *item = get(args, key);
    const bool pillow = m->recipe->resampling == VJ_RESAMPLE_PILLOW;
    size_t i = 0;
    if (!item) return true;
    if (cJSON_IsNumber(item)) {
        while (i < NUMBERED && item->valuedouble != (double)i)
            i++;
        if (i == NUMBERED) return wrong(m, key);
    } else {
        while (i < sizeof names / sizeof *names && !is_text(item, names[i].name))
            i++;
        if (i == sizeof names / sizeof *names) return wrong(m, key);
    }
    m->recipe->filter = names[i].filter;
    const bool known = names[i].filter == VJ_NEAREST || names[i].filter == VJ_BILINEAR || names[i].filter == VJ_BICUBIC;
    return (pillow ? names[i].pillows : known) || unfollowed(m, key);
}

static bool take_decode(making *m, const cJSON *args) {
    bool first = false, red_first = true;
    const cJSON *mode = get(args, "img_mode");
    if (!take_bool(m, args, "channel_first", &first) || !take_bool(m, args, "to_rgb", &red_first)) return false;
    if (first) return unfollowed(m, "channel_first");
    if (mode && !cJSON_IsString(mode)) return wrong(m, "img_mode");
    if (mode && !is_text(mode, "RGB") && !is_text(mode, "BGR")) return unfollowed(m, "img_mode");
    m->recipe->bgr = mode ? is_text(mode, "BGR") : !red_first;
    return true;
}

static bool take_resize_image(making *m, const cJSON *args) {
    vj_geometry *g = &m->recipe->geometry;
    const cJSON *backend = get(args, "backend");
    if (backend && !is_text(backend, "cv2") && !is_text(backend, "pil")) return wrong(m, "backend");
    if (is_text(backend, "pil")) m->recipe->resampling = VJ_RESAMPLE_PILLOW;
    g->mode = get(args, "resize_short") ? VJ_RESIZE_SHORTEST : VJ_RESIZE_EXACT;
    g->rounding = VJ_ROUND_EVEN;
    return (g->mode == VJ_RESIZE_SHORTEST ? take_side(m, args, "resize_short", &g->height)
                                          : take_pair(m, args, "size", &g->width, &g->height)) &&
           take_filter(m, args, "interpolation");
}

static bool take_crop(making *m, const cJSON *args) {
    vj_geometry *g = &m->recipe->geometry;
    if (!get(args, "size"))
        g->crop_width = g->crop_height = 224;
    else if (!take_pair(m, args, "size", &g->crop_width, &g->crop_height))
        return false;
    const int32_t height = g->height, width = g->mode == VJ_RESIZE_EXACT ? g->width : g->height;
    return g->mode == VJ_RESIZE_NONE || (g->crop_height <= height && g->crop_width <= width) || wrong(m, "size");
}

/* A number, or a quotient as text: "1./255.". */
static bool take_scale(const making *m, const cJSON *args, double *scale) {
    const cJSON *item = get(args, "scale");
    if (!item) return true;
    double x = cJSON_IsNumber(item) ? item->valuedouble : 0;
    if (cJSON_IsString(item)) {
        char *end, *last;
        x = strtod(item->valuestring, &end);
        if (end == item->valuestring) return wrong(m, "scale");
        if (*end == '/') {
            const double by = strtod(end + 1, &last);
            x = last != end + 1 && by != 0 ? x / by : 0;
            end = last;
        }
        if (*end) return wrong(m, "scale");
    }
    *scale = x;
    return (x > 1e-9 && x < 1e6) || wrong(m, "scale");
}

static bool take_numbers(const making *m, const cJSON *args, const char *key, bool positive, double *to,
                         int32_t *count) {
    const cJSON *item = get(args, key);
    return !item || (vj_numbers_from_json(item, positive, to, count) && (*count == 1 || *count == 3)) || wrong(m, key);
}

static bool take_normalize(making *m, const cJSON *args) {
    static const double mean[] = {0.485, 0.456, 0.406}, std[] = {0.229, 0.224, 0.225};
    vj_recipe *r = m->recipe;
    const cJSON *norm = get(args, "norm_type"), *order = get(args, "order"), *channels = get(args, "channel_num");
    bool scaled = true;
    r->scale = 1 / 255.0;
    r->mean_count = r->std_count = 3;
    memcpy(r->mean, mean, sizeof mean);
    memcpy(r->std, std, sizeof std);
    if (norm && !is_text(norm, "mean_std") && !is_text(norm, "none")) return wrong(m, "norm_type");
    if (order && !is_text(order, "") && !is_text(order, "hwc") && !is_text(order, "chw")) return wrong(m, "order");
    if (channels && !(cJSON_IsNumber(channels) && channels->valuedouble == 3)) return unfollowed(m, "channel_num");
    if (!take_bool(m, args, "is_scale", &scaled)) return false;
    if (!scaled) r->scale = 1;
    const bool good = take_scale(m, args, &r->scale) && take_numbers(m, args, "mean", false, r->mean, &r->mean_count) &&
                      take_numbers(m, args, "std", true, r->std, &r->std_count);
    if (good && is_text(norm, "none")) {
        r->mean_count = r->std_count = 1;
        r->mean[0] = 0;
        r->std[0] = 1;
    }
    return good;
}

/* A line of text: the height is the model's, the width follows, zeros fill it up. It normalises, too. */
static bool take_line(making *m, const cJSON *args) {
    vj_recipe *r = m->recipe;
    vj_geometry *g = &r->geometry;
    const cJSON *shape = get(args, "image_shape");
    bool padded = true;
    int32_t channels;
    if (!cJSON_IsArray(shape) || cJSON_GetArraySize(shape) != 3 ||
        !vj_side_from_json(cJSON_GetArrayItem(shape, 0), &channels) || (channels != 1 && channels != 3) ||
        !vj_side_from_json(cJSON_GetArrayItem(shape, 1), &g->height) ||
        !vj_side_from_json(cJSON_GetArrayItem(shape, 2), &g->width))
        return wrong(m, "image_shape");
    if (!take_bool(m, args, "padding", &padded)) return false;
    g->mode = padded ? VJ_RESIZE_HEIGHT : VJ_RESIZE_EXACT;
    g->rounding = VJ_ROUND_UP;
    if (padded) {
        g->pad = VJ_PAD_END;
        g->fill = VJ_FILL_ZERO;
        g->pad_height = g->height;
        g->pad_width = g->width;
    }
    r->scale = 1 / 255.0;
    r->mean[0] = r->std[0] = 0.5;
    m->stage = NORMALISED;
    return true;
}

/* PaddleX takes resize_long for a limit, of the longer side where the model is one of PP-OCR's. */
static bool limits_longer(const making *m, const cJSON *args, bool *longer, bool *always) {
    const cJSON *type = get(args, "limit_type"), *name = get(get(m->file, "Global"), "model_name");
    *longer = !get(args, "limit_side_len") && cJSON_IsString(name) && strncmp(name->valuestring, "PP-OCRv", 7) == 0;
    *always = is_text(type, "resize_long");
    if (type && !*always && !is_text(type, "max") && !is_text(type, "min")) return wrong(m, "limit_type");
    if (type) *longer = *always || is_text(type, "max");
    return true;
}

/* A page. */
static bool take_page(making *m, const cJSON *args) {
    vj_geometry *g = &m->recipe->geometry;
    bool longer = false, always = false, keeps = false;
    if (!take_bool(m, args, "keep_ratio", &keeps) || !limits_longer(m, args, &longer, &always)) return false;
    g->squash = true;
    if (get(args, "image_shape")) {
        if (keeps) return unfollowed(m, "keep_ratio");
        g->mode = VJ_RESIZE_EXACT;
        return take_pair(m, args, "image_shape", &g->height, &g->width);
    }
    g->mode = longer ? VJ_RESIZE_FIT : VJ_RESIZE_COVER;
    g->shrink_only = longer && !always;
    g->grow_only = !longer;
    g->height = longer ? 960 : 736;
    if (!take_side(m, args, "resize_long", &g->height) || !take_side(m, args, "limit_side_len", &g->height))
        return false;
    g->width = g->height;
    g->longest = MOST_LIMIT;
    g->rounding = VJ_ROUND_DOWN;
    g->multiple = 32;
    g->multiple_rounding = VJ_ROUND_EVEN;
    g->least = 32;
    return true;
}

/* PaddleDetection's: target_size is height and width. */
static bool take_target(making *m, const cJSON *args) {
    vj_geometry *g = &m->recipe->geometry;
    bool keeps = true;
    int32_t height, width;
    if (!take_pair(m, args, "target_size", &height, &width) || !take_bool(m, args, "keep_ratio", &keeps)) return false;
    if (get(args, "image_shape") && !get(args, "keep_ratio")) keeps = false; /* of files before version 2 */
    const cJSON *most = get(args, "max_size");
    if (most && !(cJSON_IsNumber(most) && most->valuedouble == 0)) return unfollowed(m, "max_size");
    g->rounding = VJ_ROUND_EVEN;
    g->mode = keeps ? VJ_RESIZE_SHORTEST : VJ_RESIZE_EXACT;
    g->height = keeps && width < height ? width : height;
    g->width = keeps ? 0 : width;
    g->longest = keeps ? height > width ? height : width : 0;
    return take_filter(m, args, "interp");
}

static bool take_pad(making *m, const cJSON *args) {
    vj_recipe *r = m->recipe;
    vj_geometry *g = &r->geometry;
    int32_t count = 1;
    r->colour[0] = 127.5;
    g->pad_height = g->pad_width = 640;
    if (get(args, "size") && !take_pair(m, args, "size", &g->pad_height, &g->pad_width)) return false;
    if (!take_numbers(m, args, "fill_value", false, r->colour, &count)) return false;
    if (count == 1) r->colour[1] = r->colour[2] = r->colour[0];
    g->pad = VJ_PAD_END;
    g->fill = VJ_FILL_COLOUR;
    return true;
}

static int32_t up_to_multiple(int32_t side, int32_t of) { return (side + of - 1) / of * of; }

static bool take_stride(making *m, const cJSON *args) {
    vj_geometry *g = &m->recipe->geometry;
    const cJSON *item = get(args, "stride");
    int32_t stride = 32;
    if (cJSON_IsNumber(item) && item->valuedouble <= 0 && item->valuedouble > -1e6) return true;
    if (!take_side(m, args, "stride", &stride)) return false;
    const bool sized = g->pad || g->crop_height || g->mode == VJ_RESIZE_EXACT;
    const int32_t height = g->pad           ? g->pad_height
                           : g->crop_height ? g->crop_height
                                            : g->height,
                  width = g->pad           ? g->pad_width
                          : g->crop_height ? g->crop_width
                                           : g->width;
    if (sized && height % stride == 0 && width % stride == 0) return true;
    if (g->pad) return unfollowed(m, "stride");
    g->pad = VJ_PAD_END;
    g->fill = VJ_FILL_ZERO;
    g->pad_height = sized ? up_to_multiple(height, stride) : 0;
    g->pad_width = sized ? up_to_multiple(width, stride) : 0;
    g->pad_most = sized ? 0 : stride;
    return true;
}

/* The keys are those that are read, or that change nothing. */
static const struct {
    const char *name;
    stage stage;
    bool (*take)(making *m, const cJSON *args);
    const char *keys[8];
} steps[] = {
    {"DecodeImage",
     DECODED,
     take_decode,
     {"img_mode", "channel_first", "to_rgb", "to_np", "backend", "ignore_orientation"}},
    {"ResizeImage", RESIZED, take_resize_image, {"resize_short", "size", "interpolation", "backend", "return_numpy"}},
    {"RecResizeImg", RESIZED, take_line, {"image_shape", "padding", "infer_mode", "eval_mode", "character_dict_path"}},
    {"DetResizeForTest",
     RESIZED,
     take_page,
     {"image_shape", "keep_ratio", "limit_side_len", "limit_type", "resize_long"}},
    {"Resize",
     RESIZED,
     take_target,
     {"target_size", "keep_ratio", "interp", "image_shape", "max_size", "use_cv2", "resize_box"}},
    {"CropImage", CROPPED, take_crop, {"size"}},
    {"Pad", PADDED, take_pad, {"size", "fill_value"}},
    {"NormalizeImage",
     NORMALISED,
     take_normalize,
     {"mean", "std", "scale", "order", "channel_num", "is_scale", "norm_type", "output_fp16"}},
    {"Normalize", NORMALISED, take_normalize, {"mean", "std", "is_scale", "is_channel_first", "norm_type"}},
    {"PadStride", STRIDED, take_stride, {"stride"}},
    {"ToCHWImage", ANY_TIME, NULL, {NULL}},
    {"Permute", ANY_TIME, NULL, {"channel_first", "to_bgr"}},
    {"KeepKeys", ANY_TIME, NULL, {"keep_keys"}},
};
enum { STEPS = sizeof steps / sizeof *steps, KEYS = sizeof steps[0].keys / sizeof *steps[0].keys };

static bool ends_in(const char *text, const char *end) {
    const size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

static bool check_keys(const making *m, size_t step, const cJSON *args) {
    const cJSON *item;
    cJSON_ArrayForEach(item, args) {
        size_t k = 0;
        while (k < KEYS && steps[step].keys[k] && strcmp(steps[step].keys[k], item->string) != 0)
            k++;
        if ((k == KEYS || !steps[step].keys[k]) && strcmp(item->string, "type") != 0)
            return vj_because(m->why, VJ_UNSUPPORTED, "the key '%.80s' of the step '%.80s' is not followed",
                              item->string, m->step);
    }
    return true;
}

static bool take_step(making *m, const cJSON *args) {
    size_t i = 0;
    if (ends_in(m->step, "LabelEncode")) return true; /* of training */
    while (i < STEPS && strcmp(steps[i].name, m->step) != 0)
        i++;
    if (i == STEPS) return vj_because(m->why, VJ_UNSUPPORTED, "the step '%.80s' is not followed", m->step);
    if (!check_keys(m, i, args)) return false;
    if (!steps[i].take) {
        bool swaps = false;
        return take_bool(m, args, "to_bgr", &swaps) && (!swaps || unfollowed(m, "to_bgr"));
    }
    if (steps[i].stage < m->stage || (steps[i].stage == m->stage && m->stage != DECODED))
        return vj_because(m->why, VJ_UNSUPPORTED, "the step '%.80s' behind others of its list is not followed",
                          m->step);
    m->stage = steps[i].stage;
    return steps[i].take(m, args);
}

/* {type: name, ...}, or {name: arguments}, which may be left out. */
static bool take_item(making *m, const cJSON *item) {
    const cJSON *type = get(item, "type"), *only = cJSON_GetArraySize(item) == 1 ? item->child : NULL;
    const bool alone = cJSON_IsObject(item) && only && (cJSON_IsObject(only) || cJSON_IsNull(only));
    if (!cJSON_IsString(type) && !alone)
        return vj_because(m->why, VJ_BAD_INPUT, "a step of pre-processing is not a name with its keys");
    m->step = cJSON_IsString(type) ? type->valuestring : only->string;
    return take_step(m, cJSON_IsString(type) ? item : only);
}

/* The numbers are in the order of the model's channels, the recipe's have red first. */
static void red_first(double *numbers, int32_t count) {
    const double first = numbers[0];
    if (count != 3) return;
    numbers[0] = numbers[2];
    numbers[2] = first;
}

bool vj_paddle_steps(vj_recipe *recipe, const cJSON *file, vj_why *why) {
    making m = {recipe, file, "", DECODED, why};
    const cJSON *list = vj_paddle_list(file), *item;
    recipe->geometry = (vj_geometry){.mode = VJ_RESIZE_NONE, .floor_crop = true};
    recipe->filter = VJ_BILINEAR;
    recipe->resampling = VJ_RESAMPLE_PLAIN;
    recipe->scale = recipe->std[0] = recipe->mean_count = recipe->std_count = 1;
    recipe->mean[0] = 0;
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) > MOST_STEPS)
        return vj_because(why, VJ_BAD_INPUT, "its steps of pre-processing are no list, or too many");
    cJSON_ArrayForEach(item, list) {
        if (!take_item(&m, item)) return false;
    }
    if (recipe->bgr) {
        red_first(recipe->mean, recipe->mean_count);
        red_first(recipe->std, recipe->std_count);
        red_first(recipe->colour, 3);
    }
    recipe->class = "Paddle";
    return true;
}
