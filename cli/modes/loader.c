/* SPDX-License-Identifier: Apache-2.0 */
/* loader.c - pictures as batches of a model's input, by the recipe of its pre-processing. */
#include "modes.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/runtime.h"

static vj_status not_for_pictures(const vj_command *command, const char *why) {
    vj_print_error(VJ_USAGE, command->model, "it does not take pictures: %s", why);
    vj_print_hint("--input NAME=x.npy gives it tensors");
    return VJ_USAGE;
}

/* One input that holds pictures; false with the reason otherwise. */
static bool picture_input(const vj_command *command, const vj_model *model, int32_t *place, vj_picture_input *input,
                          vj_why *why) {
    *place = vj_picture_place(command, model);
    if (*place < 0)
        return vj_because(why, VJ_UNSUPPORTED,
                          "it has not exactly one input, or but one that no --input NAME=x.npy gives");
    const vj_tensor_info *t = &model->inputs[*place];
    if (t->rank > 0 && (t->dims[0] == 0 || t->dims[0] < -1))
        return vj_because(why, VJ_UNSUPPORTED, "its input's first dim is no batch");
    return vj_picture_input_of((vj_dtype)t->dtype, t->rank, t->dims, input, why) == VJ_OK;
}

/* Labels are printed, in tables and pictures' texts: a file's control characters are not. */
static bool make_labels_plain(vj_recipe *recipe, vj_why *why) {
    for (int32_t i = 0; i < recipe->label_count; i++) {
        if (!recipe->labels[i]) continue;
        char *plain = vj_plain_text(recipe->labels[i]);
        if (!plain) return vj_because(why, VJ_SYSTEM, "no memory for labels");
        free(recipe->labels[i]);
        recipe->labels[i] = plain;
    }
    return true;
}

static bool find_recipe(const vj_command *command, const vj_model *model, vj_recipe *recipe, vj_why *why) {
    const vj_recipe_options options = {.mean = command->mean,
                                       .std = command->std,
                                       .interpolation = command->interpolation,
                                       .resize = command->resize,
                                       .crop_pct = command->crop_pct,
                                       .labels = command->labels};
    if (!vj_recipe_of_model(command->model, vj_model_metadata(model), &options, recipe, why)) return false;
    if (make_labels_plain(recipe, why)) return true;
    vj_recipe_free(recipe);
    return false;
}

/* A wrong option is the caller's mistake, a wrong file or metadata the input's; what is not followed is neither's. */
vj_status vj_recipe_failed(const vj_command *command, const vj_why *why) {
    const vj_status status = why->status ? why->status : VJ_BAD_INPUT;
    return vj_print_error(status, status == VJ_USAGE ? NULL : command->model, "%s", why->text);
}

vj_status vj_print_recipe(const vj_command *command, const vj_model *model) {
    vj_recipe recipe;
    vj_why why = {0};
    char text[1024];
    vj_picture_input input;
    int32_t place;
    if (!picture_input(command, model, &place, &input, &why)) return VJ_OK;
    why = (vj_why){0};
    if (!find_recipe(command, model, &recipe, &why)) {
        vj_print_warning(command->model, "pre-processing: %s", why.text);
        return VJ_OK;
    }
    vj_recipe_words(&recipe, &input, text, sizeof text);
    printf("%-11s %s; %d labels\n", "pictures", text, (int)recipe.label_count);
    vj_recipe_free(&recipe);
    return VJ_OK;
}

void vj_loader_announce(const vj_loader *l) {
    char text[1024];
    vj_recipe_words(&l->recipe, &l->shape, text, sizeof text);
    if (l->recipe.guessed)
        vj_print_warning(l->command->model,
                         "pre-processing is %s: results may be wrong\n"
                         "  hint: set it with --mean, --std, --resize, --crop-pct, --interpolation, or put the model's "
                         "preprocessor_config.json beside it",
                         text);
    else
        vj_print_notice(l->command->model, "pre-processing: %s", text);
}

static vj_status prepare_batch(vj_loader *l, const vj_job *job, int64_t batch) {
    const vj_tensor_info *t = &job->model->inputs[l->place];
    int64_t n;
    vj_status status = vj_job_batch(job, &n, &l->batch);
    if (status) return status;
    l->fixed = t->dims[0] > 0 || batch;
    if (l->fixed) l->batch = t->dims[0] > 0 ? t->dims[0] : batch;
    l->image_bytes = vj_picture_input_bytes(&l->shape);
    l->input = (vj_array){.name = strdup(t->name), .dtype = l->shape.dtype, .rank = 4};
    const int64_t dims[4] = {l->batch, t->dims[1], t->dims[2], t->dims[3]};
    memcpy(l->input.dims, dims, sizeof dims);
    l->files = calloc((size_t)l->batch, sizeof *l->files);
    l->placements = calloc((size_t)l->batch, sizeof *l->placements);
    if (!l->input.name || !l->files || !l->placements || !vj_array_alloc(&l->input))
        return vj_print_error(VJ_SYSTEM, l->command->model, "no memory for a batch of %lld", (long long)l->batch);
    return VJ_OK;
}

vj_status vj_loader_open(const vj_command *command, const vj_job *job, int64_t batch, vj_loader *l) {
    vj_why why = {0};
    *l = (vj_loader){.command = command};
    if (!picture_input(command, job->model, &l->place, &l->shape, &why)) return not_for_pictures(command, why.text);
    const vj_status status = prepare_batch(l, job, batch);
    if (status) return status;
    why = (vj_why){0};
    if (!find_recipe(command, job->model, &l->recipe, &why)) return vj_recipe_failed(command, &why);
    if (command->fit_pictures) l->recipe.geometry = (vj_geometry){.mode = VJ_RESIZE_EXACT, .crop_pct = 1};
    return VJ_OK;
}

/* A picture of a kind that is not read is as bad as a damaged one: the others go on. */
static vj_status bad_picture(const char *path, vj_status status, const vj_why *why) {
    return vj_print_error(status == VJ_SYSTEM ? VJ_SYSTEM : VJ_BAD_INPUT, path, "%s", why->text);
}

/* With --fast-decode a JPEG waits until it is known what for. */
vj_status vj_loader_read(const vj_command *command, const char *path, vj_opened_picture *p) {
    vj_why why = {0};
    *p = (vj_opened_picture){.path = path};
    if (!vj_picture_bytes(path, &p->bytes, &p->size, &why)) return bad_picture(path, why.status, &why);
    if (command->fast_decode && vj_picture_measure(p->bytes, p->size, &p->height, &p->width)) return VJ_OK;
    const vj_status status = vj_picture_decode(p->bytes, p->size, NULL, &p->picture, &why);
    p->height = p->picture.height;
    p->width = p->picture.width;
    return status ? bad_picture(path, status, &why) : VJ_OK;
}

void vj_loader_drop(vj_opened_picture *p) {
    vj_picture_free(&p->picture);
    free(p->bytes);
    *p = (vj_opened_picture){0};
}

/* In the corner of the input, zeros behind it. */
static vj_status prepare_corner(const vj_loader *l, const vj_picture *picture, const int64_t seen[2], char *out,
                                vj_why *why) {
    vj_picture_input corner = l->shape;
    corner.height = (int32_t)seen[0];
    corner.width = (int32_t)seen[1];
    const int64_t planes[] = {1, corner.channels, seen[0], seen[1]}, pixels[] = {1, seen[0], seen[1], corner.channels};
    vj_array array = {.dtype = l->shape.dtype, .rank = 4};
    memcpy(array.dims, corner.channels_last ? pixels : planes, sizeof planes);
    vj_status status = vj_array_alloc(&array) ? VJ_OK : VJ_SYSTEM;
    if (status == VJ_OK) status = vj_picture_prepare(picture, &l->recipe, &corner, array.data, array.bytes, why);
    int64_t dims[VJ_MODEL_MAX_RANK];
    memcpy(dims, l->input.dims, sizeof dims);
    dims[0] = 1;
    if (status == VJ_OK && !vj_array_grow(&array, dims)) status = VJ_SYSTEM;
    if (status == VJ_OK) memcpy(out, array.data, l->image_bytes);
    if (status && !why->text[0]) snprintf(why->text, sizeof why->text, "no memory");
    vj_array_free(&array);
    return status;
}

/* Where the picture's pixels are in the input: in its corner, where it has not the whole. */
static void note_placement(vj_loader *l, const vj_picture *picture, const int64_t seen[2]) {
    vj_placement *placement = &l->placements[l->filled];
    vj_place_picture(&l->recipe, picture->height, picture->width, (int32_t)seen[0], (int32_t)seen[1], placement);
    placement->input_height = l->shape.height;
    placement->input_width = l->shape.width;
}

static vj_status decode_for(const vj_loader *l, const int64_t seen[2], vj_opened_picture *p) {
    vj_why why = {0};
    vj_picture_input input = l->shape;
    input.height = (int32_t)seen[0];
    input.width = (int32_t)seen[1];
    const vj_picture_options fast = {.size = sizeof fast, .fast_for = &l->recipe, .fast_input = &input};
    const vj_status status = vj_picture_decode(p->bytes, p->size, &fast, &p->picture, &why);
    return status ? bad_picture(p->path, status, &why) : VJ_OK;
}

vj_status vj_loader_put(vj_loader *l, vj_opened_picture *p, const int64_t seen[2]) {
    vj_why why = {0};
    char *out = (char *)l->input.data + l->image_bytes * (size_t)l->filled;
    const int64_t all[2] = {l->shape.height, l->shape.width};
    if (!seen) seen = all;
    vj_status status = p->picture.pixels ? VJ_OK : decode_for(l, seen, p);
    if (status) return status;
    if (p->picture.transparent && !l->silent)
        vj_print_warning(p->path, "it has transparent pixels; their colour is taken as it stands");
    status = memcmp(seen, all, sizeof all) == 0
                 ? vj_picture_prepare(&p->picture, &l->recipe, &l->shape, out, l->image_bytes, &why)
                 : prepare_corner(l, &p->picture, seen, out, &why);
    if (status) return bad_picture(p->path, status, &why);
    note_placement(l, &p->picture, seen);
    l->files[l->filled++] = p->path;
    return VJ_OK;
}

vj_status vj_loader_add(vj_loader *l, const char *path) {
    vj_opened_picture picture;
    vj_status status = vj_loader_read(l->command, path, &picture);
    if (status == VJ_OK) status = vj_loader_put(l, &picture, NULL);
    vj_loader_drop(&picture);
    return status;
}

vj_array vj_loader_batch(vj_loader *l) {
    vj_array input = l->input;
    input.dims[0] = l->fixed ? l->batch : l->filled;
    vj_array_measure(&input);
    const size_t used = l->image_bytes * (size_t)l->filled;
    memset((char *)input.data + used, 0, input.bytes - used);
    return input;
}

void vj_loader_free(vj_loader *l) {
    vj_array_free(&l->input);
    free(l->files);
    free(l->placements);
    vj_recipe_free(&l->recipe);
    *l = (vj_loader){0};
}
