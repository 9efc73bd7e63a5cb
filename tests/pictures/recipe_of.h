/* SPDX-License-Identifier: Apache-2.0 */
/* recipe_of.h - a recipe by one file beside a model. Goes behind cmocka.h. */
#ifndef VITJIT_TESTS_PICTURES_RECIPE_OF_H
#define VITJIT_TESTS_PICTURES_RECIPE_OF_H

#include <stdio.h>
#include <stdlib.h>

#include "pictures/recipe.h"

/* The recipe of a model beside which one file lies; false with the reason. */
static inline bool recipe_of(const char *file, const char *text, const vj_recipe_options *options, vj_recipe *recipe,
                             vj_why *why) {
    static const vj_recipe_options none = {0};
    char folder[] = "/tmp/vitjit-recipe-XXXXXX", path[256];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/%s", folder, file);
    FILE *out = fopen(path, "w");
    fputs(text, out);
    fclose(out);
    char model[256];
    snprintf(model, sizeof model, "%s/model.onnx", folder);
    *why = (vj_why){0};
    const bool good = vj_recipe_find(model, NULL, 0, options ? options : &none, recipe, why);
    remove(path);
    remove(folder);
    return good;
}

#endif
