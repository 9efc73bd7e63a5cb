/* SPDX-License-Identifier: Apache-2.0 */
/* calibration.c - the text of a calibration (docs/numbers.md has its form) as the passes take it. It is a file that people pass on: all of it is
 * checked. */
#include "compiler.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#include "vitjit_dtype.h"

enum { LARGEST_SHIFT = 30 };

static bool refuse(vj_unit *u, const char *why) {
    vj_fail(&u->error, VJ_BAD_INPUT, "the calibration is damaged: %s", why);
    return false;
}

static const cJSON *item(const cJSON *object, const char *key) { return cJSON_GetObjectItemCaseSensitive(object, key); }

/* A number in a range; `otherwise` where there is none. */
static bool read_number(vj_unit *u, const cJSON *object, const char *key, double least, double most, double otherwise,
                        double *to) {
    const cJSON *at = item(object, key);
    *to = otherwise;
    if (!at) return true;
    *to = cJSON_IsNumber(at) ? at->valuedouble : NAN;
    if (*to >= least && *to <= most) return true;
    return refuse(u, vj_sprintf(u->arena, "'%s' is no number from %g to %g", key, least, most));
}

static vj_dtype precision_named(const char *name) {
    static const vj_dtype precisions[] = {VJ_F32, VJ_BF16, VJ_I8};
    for (size_t i = 0; name && i < sizeof precisions / sizeof *precisions; i++)
        if (strcmp(vj_precision_name(precisions[i]), name) == 0) return precisions[i];
    return VJ_NO_DTYPE;
}

static bool read_smoothing(vj_unit *u, const cJSON *list, vj_layer_choice *layer) {
    if (!list) return true;
    if (!cJSON_IsArray(list)) return refuse(u, "'smoothing' is no list");
    layer->depth = cJSON_GetArraySize(list);
    int8_t *shift = VJ_NEW_ARRAY(u->arena, int8_t, layer->depth + 1);
    int64_t k = 0;
    for (const cJSON *at = list->child; at; at = at->next) {
        const double x = cJSON_IsNumber(at) ? at->valuedouble : NAN;
        if (!(fabs(x) <= (double)LARGEST_SHIFT) || x != floor(x))
            return refuse(u, "'smoothing' has something else than whole numbers from -30 to 30");
        shift[k++] = (int8_t)x;
    }
    layer->shift = shift;
    return true;
}

static bool read_layer(vj_unit *u, const cJSON *object, vj_layer_choice *layer) {
    double largest;
    const char *node = cJSON_GetStringValue(item(object, "node"));
    layer->precision = precision_named(cJSON_GetStringValue(item(object, "precision")));
    if (!node) return refuse(u, "a layer has no 'node'");
    layer->node = vj_sprintf(u->arena, "%s", node);
    if (layer->precision == VJ_NO_DTYPE) return refuse(u, "a layer's 'precision' is none of f32, bf16 and int8");
    if (!read_number(u, object, "largest_weight", 0, 3.5e38, 0, &largest) ||
        !read_smoothing(u, item(object, "smoothing"), layer))
        return false;
    layer->largest = (float)largest;
    return true;
}

static bool read_calibration(vj_unit *u, const cJSON *json, vj_calibration *to) {
    double version, inputs;
    const cJSON *layers = item(json, "layers");
    if (!cJSON_IsObject(json) || !item(json, "vitjit_calibration"))
        return refuse(u, "it is no JSON object with 'vitjit_calibration'");
    if (!read_number(u, json, "vitjit_calibration", 1, 1, 1, &version)) return false;
    if (!cJSON_IsArray(layers)) return refuse(u, "it has no list 'layers'");
    if (!read_number(u, json, "inputs", 0, 1e15, 0, &inputs) ||
        !read_number(u, json, "least_cosine", -1, 1, 1, &to->least_cosine) ||
        !read_number(u, json, "agreement", 0, 1, -1, &to->agreement))
        return false;
    to->inputs = (int64_t)inputs;
    to->layers = VJ_NEW_ARRAY(u->arena, vj_layer_choice, cJSON_GetArraySize(layers) + 1);
    for (const cJSON *at = layers->child; at; at = at->next)
        if (!read_layer(u, at, &to->layers[to->layer_count++])) return false;
    return true;
}

typedef struct parsed {
    cJSON *json;
} parsed;

static void free_parsed(void *self) {
    parsed *p = self;
    cJSON_Delete(p->json);
    p->json = NULL;
}

vj_status vj_read_calibration(vj_unit *u, const char *text, size_t bytes, const vj_calibration **calibration) {
    vj_calibration *to = VJ_NEW(u->arena, vj_calibration);
    parsed *p = VJ_NEW(u->arena, parsed);
    vj_arena_at_free(u->arena, free_parsed, p);
    errno = 0; /* the parser does not tell a text that is no JSON from an end of memory */
    p->json = cJSON_ParseWithLength(text, bytes);
    *calibration = NULL;
    if (!p->json && errno == ENOMEM) vj_out_of_memory(u->arena);
    if (p->json ? read_calibration(u, p->json, to) : refuse(u, "it is no JSON")) *calibration = to;
    free_parsed(p);
    return u->error.status;
}

vj_status vj_check_layers(vj_unit *u, const vj_pipeline_options *options) {
    const vj_calibration *calibration = options->calibration;
    for (int32_t i = 0; calibration && i < calibration->layer_count; i++) {
        if (options->layer_matched[i]) continue;
        return vj_fail(&u->error, VJ_BAD_INPUT, "the calibration is of another model: there is no product '%.200s'",
                       vj_shown(u->arena, calibration->layers[i].node));
    }
    return VJ_OK;
}
