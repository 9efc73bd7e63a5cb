/* SPDX-License-Identifier: Apache-2.0 */
/* classes.c - is an output of rows one of classes, and what are these called when the model brings no names? */
#include "modes.h"

#include <string.h>
#include <strings.h>

/* Does one of the words stand in the name, in any case of letters? */
static bool names_one(const char *name, const char *const *words, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (strcasestr(name, words[i])) return true;
    return false;
}

bool vj_are_classes(const vj_command *command, const vj_tensor_info *output) {
    static const char *const others[] = {"embed", "feature", "hidden", "pool", "descriptor", "token", "box", "pose"};
    static const char *const classes[] = {"logit", "prob", "class", "score", "softmax", "label"};
    const vj_head head = vj_head_find(command->model);
    if (head != VJ_HEAD_UNKNOWN) return head == VJ_HEAD_CLASSES;
    if (names_one(output->name, others, sizeof others / sizeof *others)) return false;
    return output->dims[1] == VJ_IMAGENET_CLASSES || names_one(output->name, classes, sizeof classes / sizeof *classes);
}

void vj_guess_labels(const vj_command *command, const vj_tensor_info *output, vj_recipe *recipe) {
    if (output->dims[1] != VJ_IMAGENET_CLASSES || recipe->label_count > 0 || !vj_are_classes(command, output)) return;
    if (!vj_imagenet_labels(recipe))
        vj_print_warning(command->model, "out of memory for the names of its classes");
    else
        vj_print_warning(command->model,
                         "no names of its classes are found: they are taken for ImageNet-1k's, a guess, as "
                         "there are 1000\n  hint: --labels FILE names them");
}
