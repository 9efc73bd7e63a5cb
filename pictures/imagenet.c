/* SPDX-License-Identifier: Apache-2.0 */
/* imagenet.c - the names of ImageNet-1k's classes, for models whose head has a thousand and that bring none. */
#include "picture.h"

#include <stdlib.h>
#include <string.h>

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
