/* SPDX-License-Identifier: Apache-2.0 */
/* config.c - what the config.json of a model says about its architecture. */
#include "results.h"

#include <stdlib.h>

#include <cjson/cJSON.h>

#define MOST_BYTES (16L << 20)

static char *read_text(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    char *text = NULL;
    if (fseek(file, 0, SEEK_END) == 0) {
        const long size = ftell(file);
        rewind(file);
        if (size > 0 && size <= MOST_BYTES && (text = malloc((size_t)size + 1)))
            text[fread(text, 1, (size_t)size, file)] = 0;
    }
    fclose(file);
    return text;
}

void vj_config_read(const char *model_path, vj_config *config) {
    char path[4200];
    *config = (vj_config){""};
    char *text = vj_file_beside(model_path, "config.json", path, sizeof path) ? read_text(path) : NULL;
    cJSON *json = text ? cJSON_Parse(text) : NULL;
    const cJSON *list = cJSON_GetObjectItem(json, "architectures");
    const cJSON *first = cJSON_IsArray(list) ? cJSON_GetArrayItem(list, 0) : list;
    if (cJSON_IsString(first)) snprintf(config->architecture, sizeof config->architecture, "%s", first->valuestring);
    cJSON_Delete(json);
    free(text);
}
