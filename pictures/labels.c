/* SPDX-License-Identifier: Apache-2.0 */
/* labels.c - the names of a model's classes, in JSON or a line each; and those of ImageNet-1k, for models whose head has a thousand and that bring
 * none. */
#include "recipe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TEXT_FILE ((size_t)16 << 20)

char *vj_text_read(const char *path, bool *missing, vj_why *why) {
    uint8_t *text;
    size_t size;
    return vj_file_read(path, MAX_TEXT_FILE, &text, &size, missing, why) ? (char *)text : NULL;
}

bool vj_recipe_fail(vj_why *why, const char *what, const char *text) {
    if (errno == ENOMEM) return vj_because(why, VJ_SYSTEM, "out of memory");
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
bool vj_labels_from_json(vj_recipe *recipe, const cJSON *json) {
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

bool vj_labels_from_file(vj_recipe *recipe, const char *path, vj_why *why) {
    vj_why reason = {0};
    char *text = vj_text_read(path, NULL, &reason);
    if (!text) return vj_because(why, reason.status, "labels '%.200s': %.250s", path, reason.text);
    errno = 0;
    cJSON *json = cJSON_Parse(text);
    const cJSON *inner = cJSON_GetObjectItemCaseSensitive(json, "id2label");
    const bool good = json              ? vj_labels_from_json(recipe, inner ? inner : json)
                      : errno != ENOMEM ? labels_from_lines(recipe, text)
                                        : false;
    cJSON_Delete(json);
    free(text);
    return good || vj_recipe_fail(why, "no labels (a label a line, or JSON) in", path);
}

extern const char vj_imagenet_names[]; /* pictures/imagenet.txt: a class a line, in the order of the heads */

bool vj_imagenet_labels(vj_recipe *recipe) {
    if (recipe->label_count > 0) return false;
    recipe->labels = calloc(VJ_IMAGENET_CLASSES, sizeof *recipe->labels);
    const char *line = vj_imagenet_names;
    while (recipe->labels && *line && recipe->label_count < VJ_IMAGENET_CLASSES) {
        const size_t length = strcspn(line, "\n");
        char *label = strndup(line, length);
        if (!label) break;
        recipe->labels[recipe->label_count++] = label;
        line += length + (line[length] == '\n');
    }
    if (recipe->label_count == VJ_IMAGENET_CLASSES) return true;
    vj_recipe_free(recipe);
    return false;
}
