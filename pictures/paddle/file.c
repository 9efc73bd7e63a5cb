/* SPDX-License-Identifier: Apache-2.0 */
/* file.c - finds Paddle's file beside a model. Others use these names too: a file that has none of its keys is not read. */
#include "paddle.h"

#include <stdlib.h>
#include <string.h>

static const cJSON *get(const cJSON *json, const char *key) { return cJSON_GetObjectItemCaseSensitive(json, key); }

const cJSON *vj_paddle_list(const cJSON *file) {
    const cJSON *other = get(file, "PreProcess");
    return other ? get(other, "transform_ops") : get(file, "Preprocess");
}

static bool is_paddles(const cJSON *file) {
    return cJSON_IsObject(file) && (get(file, "PreProcess") || get(file, "Preprocess"));
}

bool vj_paddle_beside(const char *model_path, cJSON **file, const char **name, vj_why *why) {
    static const char *const names[] = {"inference.yml", "infer_cfg.yml"};
    *file = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[4096];
        bool missing = false;
        vj_why reason = {0};
        if (!vj_file_beside(model_path, names[i], path, sizeof path)) continue;
        char *text = vj_text_read(path, &missing, &reason);
        if (!text && missing) continue;
        cJSON *json = text ? vj_yaml_parse(text, strlen(text), &reason) : NULL;
        free(text);
        if (!json) return vj_because(why, reason.status, "'%.200s': %.250s", path, reason.text);
        if (is_paddles(json)) {
            *file = json;
            *name = names[i];
            return true;
        }
        cJSON_Delete(json);
    }
    return true;
}

void vj_paddle_decoder(const char *model_path, char *name, size_t room) {
    cJSON *file;
    const char *file_name;
    vj_why why;
    const bool good = vj_paddle_beside(model_path, &file, &file_name, &why);
    const cJSON *post = good ? get(get(file, "PostProcess"), "name") : NULL;
    snprintf(name, room, "%s", cJSON_IsString(post) ? post->valuestring : "");
    cJSON_Delete(file);
}
