/* SPDX-License-Identifier: Apache-2.0 */
/* config.c - what the files beside a model say of the model itself: what it is, and the size of the pictures that it takes.
 *
 * Paddle's file goes before all, where its steps end in one size. Hugging Face's preprocessor_config.json goes before config.json (image_size and num_channels, of a vision_config too; timm's
 * pretrained_cfg.input_size): it says what a picture is made into. Its size is the one that the recipe of its class ends in, with the
 * class's own where the file says none; without a class that is known, pad_size, crop_size or size.
 */
#include "pictures/paddle/paddle.h"

#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#define MOST_BYTES ((size_t)16 << 20)
#define MOST_SIDE  (1 << 15)

cJSON *vj_json_beside(const char *model_path, const char *name) {
    char path[4096];
    uint8_t *text;
    size_t size;
    vj_why why;
    if (!vj_file_beside(model_path, name, path, sizeof path)) return NULL;
    if (!vj_file_read(path, MOST_BYTES, &text, &size, NULL, &why)) return NULL;
    cJSON *json = cJSON_Parse((const char *)text);
    free(text);
    return json;
}

static const cJSON *get(const cJSON *json, const char *key) { return cJSON_GetObjectItemCaseSensitive(json, key); }

static int32_t whole(const cJSON *json, double most) {
    if (!cJSON_IsNumber(json) || json->valuedouble < 1 || json->valuedouble > most) return 0;
    return (int32_t)json->valuedouble;
}

static bool set_sides(vj_input_size *size, int32_t height, int32_t width, const char *source) {
    if (size->height || !height || !width) return false;
    size->height = height;
    size->width = width;
    snprintf(size->source, sizeof size->source, "%s", source);
    return true;
}

/* A number for both sides, {"height": h, "width": w}, or [h, w]. */
static bool take_sides(vj_input_size *size, const cJSON *json, const char *source) {
    const int32_t both = whole(json, MOST_SIDE);
    if (cJSON_IsArray(json) && cJSON_GetArraySize(json) == 2)
        return set_sides(size, whole(cJSON_GetArrayItem(json, 0), MOST_SIDE),
                         whole(cJSON_GetArrayItem(json, 1), MOST_SIDE), source);
    if (both) return set_sides(size, both, both, source);
    return set_sides(size, whole(get(json, "height"), MOST_SIDE), whole(get(json, "width"), MOST_SIDE), source);
}

static void take_channels(vj_input_size *size, int32_t channels) {
    if (!size->channels && channels <= VJ_MAX_CHANNELS) size->channels = channels;
}

static void from_preprocessor(vj_input_size *size, const cJSON *json, const char *source) {
    const cJSON *sides = get(json, "size");
    if (cJSON_IsTrue(get(json, "do_pad"))) take_sides(size, get(json, "pad_size"), source);
    if (!cJSON_IsFalse(get(json, "do_center_crop"))) take_sides(size, get(json, "crop_size"), source);
    take_sides(size, sides, source);
    if (get(json, "crop_pct")) /* ConvNeXt's: resized by crop_pct, then cropped to this size */
        take_sides(size, get(sides, "shortest_edge"), source);
    take_channels(size, cJSON_GetArraySize(get(json, "image_mean")));
}

/* The recipe's own size. Classes have pictures of three channels. */
static void from_class(vj_input_size *size, const char *model_path, const cJSON *json) {
    const vj_recipe_options none = {0};
    vj_recipe recipe;
    vj_why why = {0};
    int32_t height, width;
    if (!vj_recipe_find(model_path, NULL, 0, &none, &recipe, &why)) return;
    if (recipe.class && !recipe.guessed && vj_recipe_own_size(&recipe, &height, &width) &&
        set_sides(size, height, width, recipe.source)) {
        take_channels(size, cJSON_GetArraySize(get(json, "image_mean")));
        take_channels(size, 3);
    }
    vj_recipe_free(&recipe);
}

static void from_paddle(vj_input_size *size, const char *model_path) {
    cJSON *file;
    const char *name;
    vj_why why;
    if (vj_paddle_beside(model_path, &file, &name, &why) && file) from_class(size, model_path, NULL);
    cJSON_Delete(file);
}

static void from_config(vj_input_size *size, const cJSON *json) {
    const cJSON *cfg = get(json, "pretrained_cfg");
    const cJSON *input = get(cfg ? cfg : json, "input_size"), *vision = get(json, "vision_config");
    if (cJSON_IsArray(input) && cJSON_GetArraySize(input) == 3) {
        take_channels(size, whole(cJSON_GetArrayItem(input, 0), VJ_MAX_CHANNELS));
        set_sides(size, whole(cJSON_GetArrayItem(input, 1), MOST_SIDE), whole(cJSON_GetArrayItem(input, 2), MOST_SIDE),
                  "config.json");
    }
    take_sides(size, get(json, "image_size"), "config.json");
    take_sides(size, get(vision, "image_size"), "config.json");
    take_channels(size, whole(get(json, "num_channels"), VJ_MAX_CHANNELS));
    take_channels(size, whole(get(vision, "num_channels"), VJ_MAX_CHANNELS));
}

void vj_input_size_find(const char *model_path, vj_input_size *size) {
    static const char *const names[] = {"preprocessor_config.json", "processor_config.json"};
    *size = (vj_input_size){0};
    from_paddle(size, model_path);
    cJSON *config = vj_json_beside(model_path, "config.json");
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        cJSON *json = vj_json_beside(model_path, names[i]);
        const cJSON *inner = get(json, "image_processor"), *keys = inner ? inner : json;
        if (keys) from_class(size, model_path, keys);
        from_preprocessor(size, keys, names[i]);
        cJSON_Delete(json);
    }
    from_config(size, config);
    cJSON_Delete(config);
}

vj_head vj_head_find(const char *model_path) {
    cJSON *config = vj_json_beside(model_path, "config.json");
    const cJSON *first = cJSON_GetArrayItem(get(config, "architectures"), 0);
    const cJSON *classes = get(config, "num_classes"); /* timm's, whose `architecture` says nothing of the head */
    vj_head head = VJ_HEAD_UNKNOWN;
    if (cJSON_IsString(first))
        head = strstr(first->valuestring, "ImageClassification") ? VJ_HEAD_CLASSES : VJ_HEAD_OTHER;
    else if (cJSON_IsNumber(classes))
        head = classes->valuedouble > 0 ? VJ_HEAD_CLASSES : VJ_HEAD_OTHER;
    cJSON_Delete(config);
    return head;
}
