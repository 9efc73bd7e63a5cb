/* SPDX-License-Identifier: Apache-2.0 */
/* companions.c - a model's inputs beside the picture's: those of --input, which are the same for all pictures (texts), and those that
 * made.c makes. */
#include "modes.h"

#include <stdlib.h>
#include <string.h>

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
        if (is_given(command, name) || (model->input_count > 1 && vj_is_made(name))) continue;
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

vj_status vj_companions_bind(const vj_companions *c, const vj_loader *l, const vj_array *input, vj_job *job) {
    const vj_command *command = job->command;
    const int32_t inputs = job->model->input_count, given = c->given + 1;
    vj_array *all = calloc((size_t)given + (size_t)inputs, sizeof *all);
    vj_status status = all ? VJ_OK : vj_print_error(VJ_SYSTEM, command->model, "no memory for the inputs");
    int32_t count = given;
    if (all && c->given) memcpy(all + 1, c->arrays, (size_t)c->given * sizeof *all);
    if (all) all[0] = *input;
    for (int32_t i = 0; i < inputs && status == VJ_OK && inputs > 1; i++) {
        const vj_tensor_info *t = &job->model->inputs[i];
        if (vj_is_made(t->name) && !is_given(command, t->name))
            status = vj_make_input(command, t, l, input->dims[0], c->task, &all[count++]);
    }
    if (status == VJ_OK) status = vj_job_bind(job, all, count);
    if (status == VJ_OK) status = vj_job_run(job);
    for (int32_t i = given; i < count; i++)
        vj_array_free(&all[i]);
    free(all);
    return status;
}

void vj_companions_free(vj_companions *c) {
    vj_arrays_free(c->arrays, c->given);
    *c = (vj_companions){0};
}
