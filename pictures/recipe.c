/* recipe.c - finds pre-processing and labels. Wrong pre-processing is the commonest silent error of the field, so
 * recipe->source names whatever is used.
 *
 * The keys understood, in the model's metadata_props and in JSON files alike, are timm's (mean, std, interpolation,
 * crop_pct, crop_mode, label_names; also inside pretrained_cfg) and Hugging Face's (image_mean, image_std, resample,
 * size, crop_size, do_resize, do_center_crop, do_rescale, rescale_factor, do_normalize, id2label).
 */
#include "picture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#define MAX_TEXT_FILE ((size_t)16 << 20)

/* The file's bytes as a string, or NULL with the reason. */
static char *read_text(const char *path, bool *missing, vj_why *why) {
    uint8_t *text;
    size_t size;
    return vj_file_read(path, MAX_TEXT_FILE, &text, &size, missing, why) ? (char *)text : NULL;
}

static bool fail(vj_why *why, const char *what, const char *text) {
    snprintf(why->text, sizeof why->text, "%s: '%.200s'", what, text);
    return false;
}

static void drop_labels(vj_recipe *recipe) {
    for (int32_t i = 0; i < recipe->label_count; i++)
        free(recipe->labels[i]);
    free(recipe->labels);
    recipe->labels = NULL;
    recipe->label_count = 0;
}

void vj_recipe_free(vj_recipe *recipe) { drop_labels(recipe); }

static bool set_label(vj_recipe *recipe, int64_t at, const char *text) {
    if (at < 0 || at >= (1 << 20)) return false;
    if (at >= recipe->label_count) {
        char **more = realloc(recipe->labels, (size_t)(at + 1) * sizeof *more);
        if (!more) return false;
        memset(more + recipe->label_count, 0, (size_t)(at + 1 - recipe->label_count) * sizeof *more);
        recipe->labels = more;
        recipe->label_count = (int32_t)at + 1;
    }
    free(recipe->labels[at]);
    return (recipe->labels[at] = strdup(text)) != NULL;
}

/* Reads labels from an array of names, or from an object whose keys are the indices as text. */
static bool labels_from_json(vj_recipe *recipe, const cJSON *json) {
    if (!cJSON_IsArray(json) && !cJSON_IsObject(json)) return false;
    drop_labels(recipe);
    int64_t at = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, json) {
        char *end = NULL;
        if (!cJSON_IsString(item)) return false;
        if (cJSON_IsObject(json)) {
            at = strtoll(item->string, &end, 10);
            if (end == item->string || *end) return false;
        }
        if (!set_label(recipe, at++, item->valuestring)) return false;
    }
    return true;
}

static bool labels_from_lines(vj_recipe *recipe, char *text) {
    drop_labels(recipe);
    int64_t at = 0;
    char *rest = NULL;
    for (char *line = strtok_r(text, "\r\n", &rest); line; line = strtok_r(NULL, "\r\n", &rest))
        if (!set_label(recipe, at++, line)) return false;
    return at > 0;
}

static bool labels_from_file(vj_recipe *recipe, const char *path, vj_why *why) {
    vj_why reason = {0};
    char *text = read_text(path, NULL, &reason);
    if (!text) return vj_because(why, reason.status, "labels '%.200s': %.250s", path, reason.text);
    cJSON *json = cJSON_Parse(text);
    const cJSON *inner = cJSON_GetObjectItemCaseSensitive(json, "id2label");
    const bool good = json ? labels_from_json(recipe, inner ? inner : json) : labels_from_lines(recipe, text);
    cJSON_Delete(json);
    free(text);
    return good || fail(why, "no labels (a label a line, or JSON) in", path);
}

static bool good_number(double x, bool positive) { return isfinite(x) && (!positive || x > 0); }

/* Reads a number, or an array of 1 to VJ_MAX_CHANNELS numbers. */
static bool numbers_from_json(const cJSON *json, bool positive, double *out, int32_t *count) {
    if (cJSON_IsNumber(json)) {
        out[0] = json->valuedouble;
        *count = 1;
        return good_number(out[0], positive);
    }
    const int32_t size = cJSON_IsArray(json) ? cJSON_GetArraySize(json) : 0;
    if (size < 1 || size > VJ_MAX_CHANNELS) return false;
    for (int32_t i = 0; i < size; i++) {
        const cJSON *item = cJSON_GetArrayItem(json, i);
        if (!cJSON_IsNumber(item) || !good_number(item->valuedouble, positive)) return false;
        out[i] = item->valuedouble;
    }
    *count = size;
    return true;
}

/* Reads "0.5" or "0.485,0.456,0.406". */
static bool numbers_from_text(const char *text, bool positive, double *out, int32_t *count) {
    *count = 0;
    for (const char *at = text;; at++) {
        char *end;
        if (*count == VJ_MAX_CHANNELS) return false;
        const double x = strtod(at, &end);
        if (end == at || !good_number(x, positive)) return false;
        out[(*count)++] = x;
        if (*end == 0) return true;
        if (*end != ',') return false;
        at = end;
    }
}

static bool in_range(const cJSON *json, int32_t *out) {
    if (!cJSON_IsNumber(json) || json->valuedouble < 1 || json->valuedouble > 1 << 16) return false;
    *out = (int32_t)json->valuedouble;
    return true;
}

/* Reads Hugging Face's size: a number, which gives both sides, {"shortest_edge": n} or {"height": h, "width": w}. */
static bool size_from_json(const cJSON *json, vj_recipe *recipe) {
    const cJSON *edge = cJSON_GetObjectItemCaseSensitive(json, "shortest_edge");
    if (edge) {
        recipe->mode = VJ_RESIZE_SHORTEST;
        return in_range(edge, &recipe->resize);
    }
    recipe->mode = VJ_RESIZE_EXACT;
    if (cJSON_IsNumber(json)) {
        recipe->resize_width = 0;
        return in_range(json, &recipe->resize_height) && (recipe->resize_width = recipe->resize_height) > 0;
    }
    return in_range(cJSON_GetObjectItemCaseSensitive(json, "height"), &recipe->resize_height) &&
           in_range(cJSON_GetObjectItemCaseSensitive(json, "width"), &recipe->resize_width);
}

static bool filter_from_json(const cJSON *json, vj_recipe *recipe) {
    static const vj_filter pillow[] = {VJ_NEAREST, VJ_LANCZOS, VJ_BILINEAR, VJ_BICUBIC, VJ_BOX, VJ_HAMMING};
    if (cJSON_IsString(json))
        recipe->filter = vj_filter_by_name(json->valuestring);
    else if (cJSON_IsNumber(json) && json->valuedouble >= 0 && json->valuedouble < 6)
        recipe->filter = pillow[json->valueint];
    else
        return false;
    return recipe->filter != VJ_FILTER_COUNT;
}

/* Reads one key. *used becomes whether the key is understood. */
static bool take_key(vj_recipe *recipe, const char *key, const cJSON *json, bool *used) {
    *used = true;
    if (!strcmp(key, "mean") || !strcmp(key, "image_mean"))
        return numbers_from_json(json, false, recipe->mean, &recipe->mean_count);
    if (!strcmp(key, "std") || !strcmp(key, "image_std"))
        return numbers_from_json(json, true, recipe->std, &recipe->std_count);
    if (!strcmp(key, "interpolation") || !strcmp(key, "resample")) return filter_from_json(json, recipe);
    if (!strcmp(key, "crop_pct")) {
        recipe->crop_pct = cJSON_IsNumber(json) ? json->valuedouble : 0;
        return recipe->crop_pct > 0.01 && recipe->crop_pct <= 1;
    }
    if (!strcmp(key, "crop_mode")) {
        if (cJSON_IsString(json) && !strcmp(json->valuestring, "squash")) recipe->mode = VJ_RESIZE_EXACT;
        return cJSON_IsString(json) && (!strcmp(json->valuestring, "squash") || !strcmp(json->valuestring, "center"));
    }
    if (!strcmp(key, "size")) return size_from_json(json, recipe);
    if (!strcmp(key, "rescale_factor")) {
        recipe->scale = cJSON_IsNumber(json) ? json->valuedouble : 0;
        return recipe->scale > 0;
    }
    if (!strcmp(key, "label_names") || !strcmp(key, "id2label")) return labels_from_json(recipe, json);
    *used = false;
    return true;
}

/* Reads Hugging Face's switches, after the keys that they switch off. */
static void take_switches(vj_recipe *recipe, const cJSON *json) {
    if (cJSON_HasObjectItem(json, "do_resize") || cJSON_HasObjectItem(json, "image_mean")) recipe->floor_crop = true;
    if (cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(json, "do_rescale"))) recipe->scale = 1;
    if (cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(json, "do_normalize"))) {
        recipe->mean_count = recipe->std_count = 1;
        recipe->mean[0] = 0;
        recipe->std[0] = 1;
    }
}

static bool take_object(vj_recipe *recipe, const cJSON *json, bool *found, vj_why *why) {
    const cJSON *item;
    cJSON_ArrayForEach(item, json) {
        bool used;
        if (!item->string) return fail(why, "not a JSON object", "");
        if (cJSON_IsNull(item)) continue;
        if (!take_key(recipe, item->string, item, &used))
            return fail(why, "a value that makes no sense for the key", item->string);
        *found |= used;
        if (!strcmp(item->string, "pretrained_cfg") && cJSON_IsObject(item) && !take_object(recipe, item, found, why))
            return false;
    }
    take_switches(recipe, json);
    return true;
}

static void add_source(vj_recipe *recipe, const char *text) {
    const size_t used = strlen(recipe->source);
    snprintf(recipe->source + used, sizeof recipe->source - used, "%s%s", used ? ", " : "", text);
}

static bool from_metadata(vj_recipe *recipe, const vj_key_value *metadata, int32_t count, bool *found, vj_why *why) {
    bool here = false;
    for (int32_t i = 0; i < count; i++) {
        cJSON *json = cJSON_Parse(metadata[i].value);
        if (!json) json = cJSON_CreateString(metadata[i].value);
        bool used = false;
        const bool good = json && take_key(recipe, metadata[i].key, json, &used);
        cJSON_Delete(json);
        if (!good)
            return fail(why, "the model's metadata has a value that makes no sense for the key", metadata[i].key);
        here |= used;
    }
    if (here) add_source(recipe, "the model's metadata");
    *found |= here;
    return true;
}

static bool from_file(vj_recipe *recipe, const char *model_path, const char *name, bool *found, vj_why *why) {
    char path[4096];
    if (!vj_file_beside(model_path, name, path, sizeof path)) return true;
    bool missing = false;
    vj_why reason = {0};
    char *text = read_text(path, &missing, &reason);
    if (!text) return missing || vj_because(why, reason.status, "'%.200s': %.250s", path, reason.text);
    cJSON *json = cJSON_Parse(text);
    free(text);
    bool here = false;
    const bool good = cJSON_IsObject(json) ? take_object(recipe, json, &here, why) : fail(why, "not JSON", path);
    cJSON_Delete(json);
    if (here) add_source(recipe, name);
    *found |= here;
    return good;
}

static bool resize_from_text(vj_recipe *recipe, const char *text) {
    int32_t a = 0, b = 0, end = 0;
    if (sscanf(text, "%dx%d%n", &a, &b, &end) == 2 && !text[end] && a > 0 && b > 0 && a <= 1 << 16 && b <= 1 << 16) {
        recipe->mode = VJ_RESIZE_EXACT;
        recipe->resize_height = a;
        recipe->resize_width = b;
        return true;
    }
    if (sscanf(text, "%d%n", &a, &end) != 1 || text[end] || a < 1 || a > 1 << 16) return false;
    recipe->mode = VJ_RESIZE_SHORTEST;
    recipe->resize = a;
    return true;
}

static bool from_options(vj_recipe *recipe, const vj_recipe_options *o, vj_why *why) {
    if (o->mean && !numbers_from_text(o->mean, false, recipe->mean, &recipe->mean_count))
        return fail(why, "--mean wants numbers, not", o->mean);
    if (o->std && !numbers_from_text(o->std, true, recipe->std, &recipe->std_count))
        return fail(why, "--std wants positive numbers, not", o->std);
    if (o->interpolation && (recipe->filter = vj_filter_by_name(o->interpolation)) == VJ_FILTER_COUNT)
        return fail(why, "--interpolation wants nearest, box, bilinear, hamming, bicubic or lanczos, not",
                    o->interpolation);
    if (o->resize && !resize_from_text(recipe, o->resize)) return fail(why, "--resize wants N or HxW, not", o->resize);
    if (o->crop_pct) {
        char *end;
        recipe->crop_pct = strtod(o->crop_pct, &end);
        if (end == o->crop_pct || *end || !(recipe->crop_pct > 0.01 && recipe->crop_pct <= 1))
            return fail(why, "--crop-pct wants a number above 0.01 and up to 1, not", o->crop_pct);
        recipe->mode = VJ_RESIZE_SHORTEST;
        recipe->resize = 0;
    }
    if (o->labels && !labels_from_file(recipe, o->labels, why)) return false;
    if (o->mean || o->std || o->interpolation || o->resize || o->crop_pct) add_source(recipe, "the command line");
    return true;
}

bool vj_recipe_find(const char *model_path, const vj_key_value *metadata, int32_t metadata_count,
                    const vj_recipe_options *options, vj_recipe *recipe, vj_why *why) {
    *recipe = (vj_recipe){.crop_pct = 0.9,
                          .filter = VJ_BICUBIC,
                          .scale = 1.0 / 255,
                          .mean_count = 1,
                          .std_count = 1,
                          .mean = {0.5},
                          .std = {0.5}};
    bool found = false;
    bool good = from_metadata(recipe, metadata, metadata_count, &found, why);
    if (good && !found)
        good = from_file(recipe, model_path, "config.json", &found, why) &&
               from_file(recipe, model_path, "preprocessor_config.json", &found, why);
    recipe->guessed =
        !found && !options->mean && !options->std && !options->interpolation && !options->resize && !options->crop_pct;
    good = good && from_options(recipe, options, why);
    if (recipe->guessed) add_source(recipe, "a guess");
    if (!good) vj_recipe_free(recipe);
    return good;
}

/* The model's metadata as pairs of strings, which are borrowed from the JSON object. */
static vj_key_value *metadata_pairs(const cJSON *json, int32_t *count) {
    const int size = cJSON_GetArraySize(json);
    vj_key_value *pairs = calloc((size_t)size + 1, sizeof *pairs);
    const cJSON *item;
    *count = 0;
    cJSON_ArrayForEach(item, json) {
        if (pairs && item->string && cJSON_IsString(item))
            pairs[(*count)++] = (vj_key_value){item->string, item->valuestring};
    }
    return pairs;
}

bool vj_recipe_of_model(const char *model_path, const char *metadata, const vj_recipe_options *options,
                        vj_recipe *recipe, vj_why *why) {
    cJSON *json = cJSON_Parse(metadata);
    int32_t count = 0;
    vj_key_value *pairs = metadata_pairs(json, &count);
    const bool good = vj_recipe_find(model_path, pairs, count, options, recipe, why);
    free(pairs);
    cJSON_Delete(json);
    return good;
}
