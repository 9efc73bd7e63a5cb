/* SPDX-License-Identifier: Apache-2.0 */
/* json.c - what all kinds of results share of their printing: an object a picture, and the names of classes. */
#include "results.h"

#include <cjson/cJSON.h>

bool vj_wants_json(const vj_command *command) { return command->format && command->format[0] == 'j'; }

cJSON *vj_result_json(const vj_result *result) {
    cJSON *json = cJSON_CreateObject();
    if (json && !cJSON_AddStringToObject(json, "file", result->file)) {
        cJSON_Delete(json);
        json = NULL;
    }
    return json;
}

static const char *label_of(const vj_recipe *recipe, int64_t index) {
    return index >= 0 && index < recipe->label_count ? recipe->labels[index] : NULL;
}

cJSON *vj_json_class(const vj_result *result, cJSON *list, int64_t index) {
    cJSON *one = cJSON_CreateObject();
    const char *label = label_of(result->recipe, index);
    cJSON_AddNumberToObject(one, "index", (double)index);
    if (label) cJSON_AddStringToObject(one, "label", label);
    if (cJSON_AddItemToArray(list, one)) return one;
    cJSON_Delete(one);
    return NULL; /* nothing can be added to it, and the object is not printed */
}

vj_status vj_json_print(cJSON *json) {
    char *text = json ? vj_json_text(json) : NULL;
    if (text) puts(text);
    const bool good = text != NULL;
    cJSON_free(text);
    cJSON_Delete(json);
    return good ? VJ_OK : vj_print_error(VJ_SYSTEM, NULL, "no memory");
}

const char *vj_class_name(const vj_result *result, int64_t index, char text[256]) {
    const char *label = label_of(result->recipe, index);
    size_t used = 0;
    if (!label) {
        snprintf(text, 256, "class %lld", (long long)index);
        return text;
    }
    for (; *label && used < 250; label++) {
        const unsigned char c = (unsigned char)*label;
        if (c < 0x20 || c == 0x7f)
            used += (size_t)snprintf(text + used, 256 - used, "\\x%02x", c);
        else
            text[used++] = *label;
    }
    text[used] = 0;
    return text;
}
