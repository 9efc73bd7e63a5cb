/* SPDX-License-Identifier: Apache-2.0 */
/* companions.c - a model's inputs beside the picture's: those of --input, which are the same for all pictures (texts), and pixel_mask,
 * which is 1 where the picture lies in the input. */
#include "modes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char mask_name[] = "pixel_mask";

static bool is_given(const vj_command *command, const char *name) {
    const size_t length = strlen(name);
    for (int32_t i = 0; i < command->inputs.count; i++)
        if (strncmp(command->inputs.at[i], name, length) == 0 && command->inputs.at[i][length] == '=') return true;
    return false;
}

int32_t vj_picture_place(const vj_command *command, const vj_model *model) {
    int32_t place = -1;
    for (int32_t i = 0; i < model->input_count; i++) {
        const char *name = model->inputs[i].name;
        if (is_given(command, name) || (model->input_count > 1 && strcmp(name, mask_name) == 0)) continue;
        if (place >= 0) return -1;
        place = i;
    }
    return place;
}

/* The batch that the arrays given have, where the model's is open; 0: none. */
static int64_t batch_of(const vj_companions *c, const vj_model *model) {
    for (int32_t i = 0; i < model->input_count; i++) {
        const vj_tensor_info *t = &model->inputs[i];
        const vj_array *a = vj_array_find(c->arrays, c->given, t->name);
        if (a && t->rank > 0 && a->rank == t->rank && t->dims[0] == -1) return a->dims[0];
    }
    return 0;
}

/* The arrays given with a picture's of a batch of its own, so that both keep theirs. */
static vj_status open_apart(const vj_command *command, vj_companions *c, vj_job *job, int32_t place, int64_t images) {
    const vj_tensor_info *t = &job->model->inputs[place];
    vj_array picture = {.name = strdup(t->name), .dtype = (vj_dtype)t->dtype, .rank = t->rank};
    vj_array *all = calloc((size_t)c->given + 1, sizeof *all);
    memcpy(picture.dims, t->dims, sizeof picture.dims);
    picture.dims[0] = images;
    vj_status status = VJ_SYSTEM;
    if (all && picture.name && vj_array_alloc(&picture)) {
        memcpy(all, c->arrays, (size_t)c->given * sizeof *all);
        all[c->given] = picture;
        vj_job_close(job);
        status = vj_job_open(command, all, c->given + 1, job);
    } else {
        vj_print_error(status, command->model, "no memory for the inputs");
    }
    vj_array_free(&picture);
    free(all);
    return status;
}

vj_status vj_companions_open(const vj_command *command, vj_companions *c, vj_job *job) {
    *c = (vj_companions){0};
    vj_status status = vj_read_named(&command->inputs, "--input", &c->arrays);
    if (status) return status;
    c->given = command->inputs.count;
    status = vj_job_open(command, c->given ? c->arrays : NULL, c->given, job);
    if (status || !c->given) return status;
    const int32_t place = vj_picture_place(command, job->model);
    const int64_t images = command->batch ? command->batch : 1, batch = batch_of(c, job->model);
    const bool apart = place >= 0 && job->model->inputs[place].rank == 4 && job->model->inputs[place].dims[0] == -1;
    return apart && batch && batch != images ? open_apart(command, c, job, place, images) : VJ_OK;
}

int64_t vj_companions_batch(const vj_companions *c, const vj_model *model) { return batch_of(c, model); }

static void put_one(vj_array *a, int64_t i) {
    switch (a->dtype) {
    case VJ_F32:
        ((float *)a->data)[i] = 1;
        break;
    case VJ_I32:
        ((int32_t *)a->data)[i] = 1;
        break;
    case VJ_I64:
        ((int64_t *)a->data)[i] = 1;
        break;
    default: /* a byte */
        ((uint8_t *)a->data)[i] = 1;
    }
}

static bool is_inside(int64_t at, int64_t size, int32_t input, double scale, double shift, int32_t picture) {
    const double x = ((double)at + 0.5) * input / (double)size;
    return x > shift && x < shift + picture * scale;
}

/* mask [N,h,w], of whatever size: 1 where the middle of the place lies in the picture. */
static void fill_mask(vj_array *mask, const vj_placement *placements, int64_t filled) {
    const int64_t height = mask->dims[1], width = mask->dims[2];
    for (int64_t n = 0; n < filled; n++)
        for (int64_t y = 0; y < height; y++)
            for (int64_t x = 0; x < width; x++) {
                const vj_placement *p = &placements[n];
                if (is_inside(y, height, p->input_height, p->scale_y, p->shift_y, p->height) &&
                    is_inside(x, width, p->input_width, p->scale_x, p->shift_x, p->width))
                    put_one(mask, (n * height + y) * width + x);
            }
}

/* A batch of no pictures is one of masks that are all 1, so that no row of attention is empty. */
static vj_status make_mask(const vj_command *command, const vj_tensor_info *t, const vj_loader *l, int64_t rows,
                           vj_array *mask) {
    const bool plain =
        t->dtype == VJ_F32 || t->dtype == VJ_I32 || t->dtype == VJ_I64 || vj_dtype_bytes((vj_dtype)t->dtype) == 1;
    if (t->rank != 3 || t->dims[1] < 1 || t->dims[2] < 1 || !plain)
        return vj_print_error(VJ_UNSUPPORTED, command->model, "its input '%s' is no mask [N,H,W]", t->name);
    *mask = (vj_array){
        .name = strdup(t->name), .dtype = (vj_dtype)t->dtype, .rank = 3, .dims = {rows, t->dims[1], t->dims[2]}};
    if (!mask->name || !vj_array_alloc(mask))
        return vj_print_error(VJ_SYSTEM, command->model, "no memory for '%s'", t->name);
    fill_mask(mask, l->placements, l->filled);
    for (int64_t i = l->filled * t->dims[1] * t->dims[2]; i < vj_array_elements(mask); i++)
        put_one(mask, i);
    return VJ_OK;
}

vj_status vj_companions_bind(const vj_companions *c, const vj_loader *l, const vj_array *input, vj_job *job) {
    const vj_command *command = job->command;
    vj_array *all = calloc((size_t)c->given + 2, sizeof *all), mask = {0};
    vj_status status = all ? VJ_OK : vj_print_error(VJ_SYSTEM, command->model, "no memory for the inputs");
    int32_t count = c->given + 1;
    if (all && c->given) memcpy(all + 1, c->arrays, (size_t)c->given * sizeof *all);
    if (all) all[0] = *input;
    for (int32_t i = 0; i < job->model->input_count && status == VJ_OK && job->model->input_count > 1; i++) {
        const vj_tensor_info *t = &job->model->inputs[i];
        if (strcmp(t->name, mask_name) != 0 || is_given(command, mask_name)) continue;
        status = make_mask(command, t, l, input->dims[0], &mask);
        all[count++] = mask;
    }
    if (status == VJ_OK) status = vj_job_bind(job, all, count);
    if (status == VJ_OK) status = vj_job_run(job);
    vj_array_free(&mask);
    free(all);
    return status;
}

void vj_companions_free(vj_companions *c) {
    vj_arrays_free(c->arrays, c->given);
    *c = (vj_companions){0};
}
