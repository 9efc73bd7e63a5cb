/* SPDX-License-Identifier: Apache-2.0 */
/* labels.c - the names of classes in Paddle's files, and the characters of readers. */
#include "paddle.h"

#include <string.h>

static const cJSON *get(const cJSON *json, const char *key) { return cJSON_GetObjectItemCaseSensitive(json, key); }

/* A name as text: a plain number of YAML is one too, and what stands for true or for nothing, as Python prints it. */
static cJSON *as_text(const cJSON *item) {
    char number[32];
    if (cJSON_IsString(item)) return cJSON_CreateString(item->valuestring);
    if (cJSON_IsBool(item)) return cJSON_CreateString(cJSON_IsTrue(item) ? "True" : "False");
    if (cJSON_IsNull(item)) return cJSON_CreateString("None");
    if (!cJSON_IsNumber(item)) return NULL;
    snprintf(number, sizeof number, "%.15g", item->valuedouble);
    return cJSON_CreateString(number);
}

static bool append(cJSON *list, cJSON *text) {
    const bool good = text && cJSON_AddItemToArray(list, text);
    if (!good) cJSON_Delete(text);
    return good;
}

/* The list as labels. A reader's 0 stands between characters, and behind them there is the space, which its file does not list. */
static bool take(vj_recipe *recipe, const cJSON *names, bool of_reader) {
    cJSON *list = cJSON_CreateArray();
    bool good = list && cJSON_IsArray(names) && (!of_reader || append(list, cJSON_CreateString("")));
    const cJSON *item;
    cJSON_ArrayForEach(item, names) good = good && append(list, as_text(item));
    good = good && (!of_reader || append(list, cJSON_CreateString(" "))) && vj_labels_from_json(recipe, list);
    cJSON_Delete(list);
    return good;
}

static bool take_from(vj_recipe *recipe, const cJSON *holder, const char *key, bool of_reader, vj_why *why) {
    const cJSON *names = get(holder, key);
    if (!names || cJSON_IsNull(names) || recipe->labels || take(recipe, names, of_reader)) return true;
    return vj_recipe_fail(why, "a value that makes no sense for the key", key);
}

bool vj_paddle_labels(vj_recipe *recipe, const cJSON *file, vj_why *why) {
    const cJSON *post = get(file, "PostProcess"), *name = get(post, "name"), *step;
    const bool reader = cJSON_IsString(name) && strcmp(name->valuestring, "CTCLabelDecode") == 0;
    if (!take_from(recipe, file, "label_list", false, why)) return false;
    if (reader) return take_from(recipe, post, "character_dict", true, why);
    cJSON_ArrayForEach(step, post) { /* Topk, MultiLabelThreshOutput, ... */
        if (cJSON_IsObject(step) && !take_from(recipe, step, "label_list", false, why)) return false;
    }
    return true;
}
