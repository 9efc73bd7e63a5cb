/* SPDX-License-Identifier: Apache-2.0 */
/* task.c - how the masks of queries are read: as a class a pixel (semantic), as objects that may overlap (instance), or as segments
 * that share the pixels (panoptic). One model's outputs can be read in each way; which one it was trained for is said, in this order,
 * by --task, by the tokens that OneFormer is given, by the model's name, by its architecture; else it is read by classes. */
#include "results.h"

#include <string.h>

static const char *const words[] = {
    [VJ_TASK_SEMANTIC] = "semantic", [VJ_TASK_INSTANCE] = "instance", [VJ_TASK_PANOPTIC] = "panoptic"};
enum { TASKS = sizeof words / sizeof *words };

/* "the task is semantic", "... instance", "... panoptic" as CLIP's tokenizer has them, with its begin and end. */
static const int32_t tokens[TASKS][VJ_TASK_TOKENS] = {
    [VJ_TASK_SEMANTIC] = {49406, 518, 10549, 533, 29119, 1550, 49407},
    [VJ_TASK_INSTANCE] = {49406, 518, 10549, 533, 34572, 49407},
    [VJ_TASK_PANOPTIC] = {49406, 518, 10549, 533, 1072, 24755, 49407},
};

const int32_t *vj_task_tokens(vj_task task, int32_t *count) {
    *count = VJ_TASK_TOKENS;
    return tokens[task];
}

const char *vj_task_word(vj_task task) { return words[task]; }

/* The task whose word is in the text. */
static bool is_in_text(const char *text, vj_task *task) {
    for (int32_t i = 0; i < TASKS; i++)
        if (strstr(text, words[i])) return *task = (vj_task)i, true;
    return false;
}

static bool is_in_tokens(const vj_array *given, int32_t count, vj_task *task) {
    const vj_array *a = vj_array_find(given, count, "task_inputs");
    for (int32_t i = 0; a && i < TASKS; i++) {
        bool same = vj_array_elements(a) >= VJ_TASK_TOKENS;
        for (int32_t k = 0; same && k < VJ_TASK_TOKENS; k++)
            same = vj_array_at(a, k) == tokens[i][k];
        if (same) return *task = (vj_task)i, true;
    }
    return false;
}

/* The name of the folder that the model is in, or of the one above where that is `onnx`. */
static void folder_name(const char *path, char name[256]) {
    const char *end = strrchr(path, '/');
    name[0] = 0;
    for (int32_t round = 0; round < 2 && end; round++) {
        const char *begin = end;
        while (begin > path && begin[-1] != '/')
            begin--;
        snprintf(name, 256, "%.*s", (int)(end - begin < 255 ? end - begin : 255), begin);
        if (strcmp(name, "onnx") != 0) return;
        end = begin > path ? begin - 1 : NULL;
    }
}

const char *vj_task_find(const vj_command *command, const vj_config *config, const vj_array *given, int32_t count,
                         vj_task *task) {
    char folder[256];
    *task = VJ_TASK_SEMANTIC;
    if (command->task && is_in_text(command->task, task)) return "--task";
    if (is_in_tokens(given, count, task)) return "its input 'task_inputs'";
    if (is_in_text(config->name, task)) return "_name_or_path of its config.json";
    folder_name(command->model, folder);
    if (is_in_text(folder, task)) return "the name of its folder";
    return NULL;
}
