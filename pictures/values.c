/* SPDX-License-Identifier: Apache-2.0 */
/* values.c - numbers, sizes and filters, in JSON and in options. */
#include "recipe.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool good_number(double x, bool positive) { return isfinite(x) && fabs(x) < 1e6 && (!positive || x > 1e-6); }

bool vj_numbers_from_json(const cJSON *json, bool positive, double *out, int32_t *count) {
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
bool vj_numbers_from_text(const char *text, bool positive, double *out, int32_t *count) {
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

bool vj_filter_from_json(const cJSON *json, vj_filter *filter) {
    static const vj_filter pillow[] = {VJ_NEAREST, VJ_LANCZOS, VJ_BILINEAR, VJ_BICUBIC, VJ_BOX, VJ_HAMMING};
    if (cJSON_IsString(json))
        *filter = vj_filter_by_name(json->valuestring);
    else if (cJSON_IsNumber(json) && json->valuedouble >= 0 && json->valuedouble < 6 &&
             json->valuedouble == floor(json->valuedouble))
        *filter = pillow[(int)json->valuedouble];
    else
        return false;
    return *filter != VJ_FILTER_COUNT;
}

bool vj_side_from_json(const cJSON *json, int32_t *side) {
    if (!cJSON_IsNumber(json)) return false;
    const double x = json->valuedouble;
    if (!(x >= 1 && x <= VJ_MAX_SIDE) || x != floor(x)) return false;
    *side = (int32_t)x;
    return true;
}

/* {"height": h, "width": w}, {"shortest_edge": n, "longest_edge": m} or one of them, {"max_height": h, "max_width": w}. */
static bool size_from_object(const cJSON *json, vj_size *size) {
    const struct {
        const char *key;
        int32_t *side;
    } keys[] = {{"height", &size->height},        {"width", &size->width},           {"shortest_edge", &size->shortest},
                {"longest_edge", &size->longest}, {"max_height", &size->max_height}, {"max_width", &size->max_width}};
    const cJSON *item;
    cJSON_ArrayForEach(item, json) {
        size_t i = 0;
        while (i < sizeof keys / sizeof *keys && strcmp(item->string, keys[i].key) != 0)
            i++;
        if (i == sizeof keys / sizeof *keys) return false;
        if (!cJSON_IsNull(item) && !vj_side_from_json(item, keys[i].side)) return false;
    }
    const bool both = size->height && size->width, edge = size->shortest || size->longest,
               within = size->max_height && size->max_width;
    return both + edge + within == 1 && !size->height == !size->width && !size->max_height == !size->max_width;
}

bool vj_size_from_json(const cJSON *json, bool number_is_shortest, vj_size *size) {
    *size = (vj_size){0};
    if (cJSON_IsNumber(json) || (cJSON_IsArray(json) && cJSON_GetArraySize(json) == 1)) {
        int32_t side;
        if (!vj_side_from_json(cJSON_IsArray(json) ? cJSON_GetArrayItem(json, 0) : json, &side)) return false;
        if (number_is_shortest)
            size->shortest = side;
        else
            size->height = size->width = side;
        return true;
    }
    if (cJSON_IsArray(json))
        return cJSON_GetArraySize(json) == 2 && vj_side_from_json(cJSON_GetArrayItem(json, 0), &size->height) &&
               vj_side_from_json(cJSON_GetArrayItem(json, 1), &size->width);
    return cJSON_IsObject(json) && size_from_object(json, size);
}

static bool side_from_text(const char *text, int32_t *side, const char **rest) {
    char *end;
    const long x = strtol(text, &end, 10);
    *side = (int32_t)x;
    *rest = end;
    return end != text && x >= 1 && x <= VJ_MAX_SIDE;
}

/* --resize N or HxW, which is then cropped to the input. */
static bool resize_from_text(vj_geometry *g, const char *text) {
    const char *rest;
    *g = (vj_geometry){.mode = VJ_RESIZE_SHORTEST, .crop_input = true, .floor_crop = g->floor_crop};
    if (!side_from_text(text, &g->height, &rest)) return false;
    if (*rest == 0) return true;
    g->mode = VJ_RESIZE_EXACT;
    return *rest == 'x' && side_from_text(rest + 1, &g->width, &rest) && *rest == 0;
}

static bool crop_from_text(vj_geometry *g, const char *text) {
    char *end;
    const double part = strtod(text, &end);
    *g = (vj_geometry){
        .mode = VJ_RESIZE_COVER, .crop_pct = part, .rounding = VJ_ROUND_EVEN, .floor_crop = g->floor_crop};
    return end != text && !*end && part > 0.01 && part <= 1;
}

static bool is_wrong(vj_why *why, const char *what, const char *text) {
    return vj_because(why, VJ_USAGE, "%s: '%.200s'", what, text);
}

bool vj_options_apply(vj_recipe *recipe, const vj_recipe_options *o, vj_why *why) {
    if (o->mean && !vj_numbers_from_text(o->mean, false, recipe->mean, &recipe->mean_count))
        return is_wrong(why, "mean wants numbers, not", o->mean);
    if (o->std && !vj_numbers_from_text(o->std, true, recipe->std, &recipe->std_count))
        return is_wrong(why, "std wants positive numbers, not", o->std);
    if (o->interpolation && (recipe->filter = vj_filter_by_name(o->interpolation)) == VJ_FILTER_COUNT)
        return is_wrong(why, "interpolation wants nearest, box, bilinear, hamming, bicubic or lanczos, not",
                        o->interpolation);
    if (o->interpolation) recipe->resampling = VJ_RESAMPLE_PILLOW;
    if (o->resize && !resize_from_text(&recipe->geometry, o->resize))
        return is_wrong(why, "resize wants N or HxW, not", o->resize);
    if (o->crop_pct && !crop_from_text(&recipe->geometry, o->crop_pct))
        return is_wrong(why, "crop_pct wants a number above 0.01 and up to 1, not", o->crop_pct);
    return !o->labels || vj_labels_from_file(recipe, o->labels, why);
}
