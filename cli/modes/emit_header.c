/* SPDX-License-Identifier: Apache-2.0 */
/* emit_header.c - what an emitted header says of pictures and classes: the size, mean and deviation of the recipe, the labels. */
#include "modes.h"

#include <stdlib.h>
#include <string.h>

/* Text of a file inside a comment. */
static void put_comment(FILE *out, const char *text) {
    for (; *text; text++)
        fputc(*text < 0x20 || *text > 0x7e || *text == '*' || *text == '\\' ? '_' : *text, out);
}

/* As a string of C: plain ASCII; ? too, since two of them begin a trigraph. */
static void put_string(FILE *out, const char *text) {
    fputc('"', out);
    for (; *text; text++)
        if (*text < 0x20 || *text > 0x7e || strchr("\"\\?", *text))
            fprintf(out, "\\%03o", (unsigned char)*text);
        else
            fputc(*text, out);
    fputc('"', out);
}

static bool picture_input(const vj_model *shape, vj_picture_input *input) {
    const vj_tensor_info *t = &shape->inputs[0];
    return shape->input_count == 1 && vj_picture_input_of((vj_dtype)t->dtype, t->rank, t->dims, input, NULL) == VJ_OK;
}

/* In the order of the input's channels. */
static void put_numbers(FILE *out, const vj_header_request *x, const char *name, const vj_recipe *recipe,
                        double (*number)(const vj_recipe *, int32_t), int32_t count) {
    fprintf(out, "#define %s_IMAGE_%s {", x->macros, name);
    for (int32_t c = 0; c < count; c++)
        fprintf(out, "%s%.9g", c ? ", " : "", number(recipe, recipe->bgr ? count - 1 - c : c));
    fputs("}\n", out);
}

static void put_picture(FILE *out, const vj_header_request *x, const vj_recipe *recipe) {
    vj_picture_input input;
    if (recipe->guessed || !picture_input(&x->shapes[0], &input)) return;
    fputs("/* Pictures as the input holds them, by ", out);
    put_comment(out, recipe->source);
    fprintf(out, ":\n * %s, channel by channel: %s. */\n",
            input.dtype == VJ_U8 ? "the pixels, 0 to 255" : "(pixel / 255 - mean) / deviation",
            input.channels == 1 ? "grey"
            : recipe->bgr       ? "blue, green, red"
                                : "red, green, blue");
    fprintf(out, "#define %s_IMAGE_CHANNELS %d\n", x->macros, (int)input.channels);
    fprintf(out, "#define %s_IMAGE_CHANNELS_LAST %d\n", x->macros, (int)input.channels_last);
    for (int32_t s = 0; s < x->shape_count; s++) {
        char shape[24] = "";
        if (!picture_input(&x->shapes[s], &input)) continue;
        if (x->shape_count > 1) snprintf(shape, sizeof shape, "SHAPE_%d_", (int)s);
        fprintf(out, "#define %s_%sIMAGE_HEIGHT %d\n", x->macros, shape, (int)input.height);
        fprintf(out, "#define %s_%sIMAGE_WIDTH %d\n", x->macros, shape, (int)input.width);
    }
    if (input.dtype == VJ_U8) return;
    put_numbers(out, x, "MEAN", recipe, vj_recipe_mean, input.channels);
    put_numbers(out, x, "DEVIATION", recipe, vj_recipe_deviation, input.channels);
}

static void put_labels(FILE *out, const vj_header_request *x, const vj_recipe *recipe) {
    if (recipe->label_count == 0) return;
    fprintf(out, "/* The name of class i, in UTF-8; a null pointer where it has none. */\n");
    fprintf(out, "#define %s_LABEL_COUNT %d\n", x->macros, (int)recipe->label_count);
    fprintf(out, "static inline const char *%s_label(int64_t i) {\n    static const char *const labels[] = {\n",
            x->prefix);
    for (int32_t i = 0; i < recipe->label_count; i++) {
        fputs("        ", out);
        if (recipe->labels[i])
            put_string(out, recipe->labels[i]);
        else
            fputc('0', out);
        fputs(",\n", out);
    }
    fprintf(out, "    };\n    return i >= 0 && i < %d ? labels[i] : 0;\n}\n", (int)recipe->label_count);
}

/* Sizes before the crop are not in the header: with mean and deviation all of a recipe is given. */
static vj_recipe_options options_of(const vj_command *command) {
    return (vj_recipe_options){.mean = command->mean,
                               .std = command->std,
                               .labels = command->labels,
                               .crop_pct = command->mean && command->std ? "1" : NULL};
}

static bool is_count(int32_t numbers) { return numbers == 1 || numbers == 3; }

vj_status vj_check_header_options(const vj_command *command) {
    const char *given = command->mean ? "--mean" : command->std ? "--std" : command->labels ? "--labels" : NULL;
    if (!given) return VJ_OK;
    if (command->emit != VJ_EMIT_OBJ && command->emit != VJ_EMIT_LIB)
        return vj_print_error(VJ_USAGE, NULL, "%s is for the header that --emit-obj and --emit-lib write", given);
    const vj_recipe_options options = options_of(command);
    vj_recipe recipe;
    vj_why why = {0};
    if (!vj_recipe_of_options(&options, &recipe, &why)) return vj_recipe_failed(command, &why);
    const bool counts =
        (!command->mean || is_count(recipe.mean_count)) && (!command->std || is_count(recipe.std_count));
    vj_recipe_free(&recipe);
    return counts ? VJ_OK : vj_print_error(VJ_USAGE, NULL, "--mean and --std want 1 or 3 numbers");
}

/* The options' mean alone is a guess where nothing, or a guess, says the deviation; what cannot be written is said. */
static void judge_options(const vj_command *command, const vj_header_request *x, vj_recipe *recipe) {
    const char *given = command->mean ? "--mean" : "--std", *wanted = command->mean ? "--std" : "--mean";
    const vj_recipe_options none = {0};
    vj_picture_input input;
    vj_recipe plain;
    vj_why why = {0};
    if (!command->mean && !command->std) return;
    if (!picture_input(&x->shapes[0], &input) || input.dtype == VJ_U8) {
        vj_print_warning(command->model, "%s is not in the header: the model's input is no picture of floats", given);
    } else if (!(command->mean && command->std)) {
        const bool found = vj_recipe_of_model(command->model, x->metadata, &none, &plain, &why);
        recipe->guessed = !found || plain.guessed;
        if (found) vj_recipe_free(&plain);
        if (recipe->guessed)
            vj_print_warning(command->model, "%s is not in the header: nothing says the other, %s", given, wanted);
    }
}

/* Where the model's own recipe cannot be read, what is known all the same: the names of its classes, and what the options say. */
static bool find_recipe(const vj_command *command, const vj_header_request *x, vj_recipe *recipe) {
    vj_recipe_options options = options_of(command);
    vj_why why = {0}, other = {0};
    if (vj_recipe_of_model(command->model, x->metadata, &options, recipe, &why)) return true;
    const bool told = options.crop_pct != NULL;
    vj_print_warning(command->model,
                     told ? "the header has of pictures what the options say, and not what the model says: %s"
                          : "the header says nothing of pictures: %s",
                     why.text);
    if (!told) {
        options.mean = "0";
        options.std = options.crop_pct = "1";
    }
    const bool good = vj_recipe_of_model(command->model, x->metadata, &options, recipe, &other) ||
                      vj_recipe_of_options(&options, recipe, &other);
    if (good) recipe->guessed = !told;
    return good;
}

char *vj_header_of_recipe(void *self, const vj_header_request *x) {
    const vj_command *command = self;
    vj_recipe recipe;
    char *text = NULL;
    size_t size = 0;
    if (!find_recipe(command, x, &recipe)) return NULL;
    judge_options(command, x, &recipe);
    FILE *out = open_memstream(&text, &size);
    if (out) {
        put_picture(out, x, &recipe);
        put_labels(out, x, &recipe);
        if (fclose(out) != 0) text = NULL;
    }
    vj_recipe_free(&recipe);
    return text;
}
