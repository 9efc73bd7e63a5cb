/* SPDX-License-Identifier: Apache-2.0 */
/* api.c - recipes for programs: found, asked, closed. */
#include "picture.h"

#include <stdlib.h>
#include <string.h>

static vj_status find(const char *model_path, const char *metadata, const vj_recipe_options *options,
                      vj_recipe **recipe, vj_why *why) {
    vj_recipe_options own = {0}; /* those of an older caller end earlier */
    if (options && (options->size == 0 || options->size > sizeof own)) {
        vj_because(why, VJ_USAGE, "vj_recipe_options.size is not set, or of a newer version");
        return VJ_USAGE;
    }
    if (options) memcpy(&own, options, options->size);
    vj_recipe *found = calloc(1, sizeof *found);
    if (!found) {
        vj_because(why, VJ_SYSTEM, "out of memory");
        return VJ_SYSTEM;
    }
    if (vj_recipe_of_model(model_path, metadata ? metadata : "{}", &own, found, why)) {
        *recipe = found;
        return VJ_OK;
    }
    free(found);
    return why->status ? why->status : VJ_BAD_INPUT;
}

vj_status vj_recipe_open(const char *model_path, const char *metadata, const vj_recipe_options *options,
                         vj_recipe **recipe, vj_why *why) {
    vj_why unwanted;
    if (!why) why = &unwanted;
    *why = (vj_why){0};
    *recipe = NULL;
    return find(model_path, metadata, options, recipe, why);
}

void vj_recipe_close(vj_recipe *recipe) {
    if (!recipe) return;
    vj_recipe_free(recipe);
    free(recipe);
}

const char *vj_recipe_source(const vj_recipe *recipe) { return recipe->source; }

int32_t vj_recipe_guessed(const vj_recipe *recipe) { return recipe->guessed; }

static double of_channel(const double *numbers, int32_t count, int32_t c) {
    return numbers[c > 0 && c < count ? c : 0];
}

/* Pixels from 0 to 1 are what `scale` makes of bytes when it is 1 / 255. */
double vj_recipe_mean(const vj_recipe *recipe, int32_t c) {
    return of_channel(recipe->mean, recipe->mean_count, c) / (255 * recipe->scale);
}

double vj_recipe_deviation(const vj_recipe *recipe, int32_t c) {
    return of_channel(recipe->std, recipe->std_count, c) / (255 * recipe->scale);
}

int32_t vj_recipe_label_count(const vj_recipe *recipe) { return recipe->label_count; }

const char *vj_recipe_label(const vj_recipe *recipe, int32_t i) {
    return i >= 0 && i < recipe->label_count ? recipe->labels[i] : NULL;
}
