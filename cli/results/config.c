/* SPDX-License-Identifier: Apache-2.0 */
/* config.c - what the config.json of a model says about its architecture, and what the model is called. */
#include "results.h"

#include <cjson/cJSON.h>

void vj_config_read(const char *model_path, vj_config *config) {
    *config = (vj_config){.architecture = ""};
    cJSON *json = vj_json_beside(model_path, "config.json");
    const cJSON *list = cJSON_GetObjectItem(json, "architectures");
    const cJSON *first = cJSON_IsArray(list) ? cJSON_GetArrayItem(list, 0) : list;
    if (cJSON_IsString(first)) snprintf(config->architecture, sizeof config->architecture, "%s", first->valuestring);
    const cJSON *name = cJSON_GetObjectItem(json, "_name_or_path");
    if (cJSON_IsString(name)) snprintf(config->name, sizeof config->name, "%s", name->valuestring);
    cJSON_Delete(json);
}
