/* SPDX-License-Identifier: Apache-2.0 */
/* model.c - what kinds of results ask of a model and of its outputs; and what the files beside it say of its architecture, and what it is
 * called. */
#include "results.h"

#include <string.h>

#include <cjson/cJSON.h>

static bool is_map(const char *name) { return strncmp(name, VJ_ATTENTION_PREFIX, strlen(VJ_ATTENTION_PREFIX)) == 0; }

int32_t vj_plain_outputs(const vj_model *model) {
    int32_t count = 0;
    while (count < model->output_count && !is_map(model->outputs[count].name))
        count++;
    return count;
}

bool vj_model_picture(const vj_model *model, vj_picture_input *input) {
    for (int32_t i = 0; i < model->input_count; i++) {
        const vj_tensor_info *t = &model->inputs[i];
        if (vj_picture_input_of((vj_dtype)t->dtype, t->rank, t->dims, input, NULL) == VJ_OK) return true;
    }
    return false;
}

const float *vj_result_data(const vj_result *result, int32_t i) { return result->outputs[i].data; }

void vj_config_read(const char *model_path, vj_config *config) {
    *config = (vj_config){.architecture = ""};
    cJSON *json = vj_json_beside(model_path, "config.json");
    const cJSON *list = cJSON_GetObjectItem(json, "architectures");
    const cJSON *first = cJSON_IsArray(list) ? cJSON_GetArrayItem(list, 0) : list;
    if (cJSON_IsString(first)) snprintf(config->architecture, sizeof config->architecture, "%s", first->valuestring);
    const cJSON *name = cJSON_GetObjectItem(json, "_name_or_path");
    if (cJSON_IsString(name)) snprintf(config->name, sizeof config->name, "%s", name->valuestring);
    cJSON_Delete(json);
    if (!config->architecture[0]) vj_paddle_decoder(model_path, config->architecture, sizeof config->architecture);
}
