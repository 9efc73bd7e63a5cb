/* SPDX-License-Identifier: Apache-2.0 */
/* model.c - what kinds of results ask of a model and of its outputs. */
#include "results.h"

#include <string.h>

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
