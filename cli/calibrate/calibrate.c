/* SPDX-License-Identifier: Apache-2.0 */
/* calibrate.c - --calibration-data, step by step. */
#include "calibrate.h"

#include <stdlib.h>
#include <string.h>

#include "vitjit_dtype.h"

#include "cli/job/job.h"

#include "runtime/runtime.h"

/* The model as it is, in float32. Pictures stand where a command has them: behind the model. */
static vj_status plain_command(const vj_command *command, vj_command *plain) {
    *plain = *command;
    plain->precision = plain->weight_format = NULL;
    plain->keep_f32.count = 0;
    plain->words = (vj_list){.at = calloc((size_t)command->calibration_data.count + 1, sizeof *plain->words.at)};
    if (!plain->words.at) return vj_print_error(VJ_SYSTEM, NULL, "no memory");
    plain->words.at[plain->words.count++] = command->model;
    for (int32_t i = 0; i < command->calibration_data.count; i++)
        plain->words.at[plain->words.count++] = command->calibration_data.at[i];
    return VJ_OK;
}

/* The results of float32, which all others are held to. */
static vj_status run_wide(vj_trial *t, vj_job *job) {
    vj_status status = VJ_OK;
    t->outputs = vj_output_count(job->model);
    t->wide = calloc((size_t)t->samples.runs * (size_t)t->outputs + 1, sizeof *t->wide);
    if (!t->wide) return vj_print_error(VJ_SYSTEM, t->command->model, "no memory for the results in float32");
    for (int32_t run = 0; run < t->samples.runs && status == VJ_OK; run++) {
        status = vj_job_bind(job, t->samples.at + (size_t)run * (size_t)t->samples.inputs, t->samples.inputs);
        if (status == VJ_OK) status = vj_job_run(job);
        for (int32_t k = 0; k < t->outputs && status == VJ_OK; k++) {
            vj_array *to = &t->wide[(size_t)run * (size_t)t->outputs + (size_t)k];
            *to = job->outputs[k];
            to->name = NULL;
            to->data = NULL;
            if (!vj_array_alloc(to))
                return vj_print_error(VJ_SYSTEM, t->command->model, "no memory for the results in float32");
            memcpy(to->data, job->outputs[k].data, to->bytes);
        }
    }
    return status;
}

static vj_status start(vj_trial *t) {
    vj_command plain;
    vj_job job = {0};
    vj_status status = plain_command(t->command, &plain);
    if (status == VJ_OK) status = vj_samples_read(&plain, &job, &t->samples);
    if (status == VJ_OK && t->samples.runs == 0)
        status = vj_print_error(VJ_BAD_INPUT, t->command->model, "--calibration-data has no inputs");
    if (status == VJ_OK) status = run_wide(t, &job);
    vj_job_close(&job);
    free(plain.words.at);
    return status;
}

static int32_t count_of(const vj_layers *layers, vj_dtype precision) {
    int32_t count = 0;
    for (int32_t i = 0; i < layers->count; i++)
        count += layers->at[i].precision == precision;
    return count;
}

static vj_status finish(const vj_trial *t, const char *path) {
    printf("%d of %d products in int8, %d in bf16, %d in f32; on %lld inputs the least cosine is %.6f",
           (int)count_of(&t->layers, VJ_I8), (int)t->layers.count, (int)count_of(&t->layers, VJ_BF16),
           (int)count_of(&t->layers, VJ_F32), (long long)t->samples.images, t->least_cosine);
    if (t->agreement >= 0) printf(", the best class is the same for %.1f %%", 100 * t->agreement);
    printf("\n");
    const vj_status written = vj_calibration_write(t, path);
    if (written == VJ_OK) printf("written to %s: --precision int8 takes it\n", path);
    return written;
}

static vj_status calibrate(vj_trial *t) {
    char path[4096];
    vj_status status = vj_calibration_path(t->command, path, sizeof path);
    if (status == VJ_OK) status = vj_outputs_folder_of(path, "--calibration");
    if (status == VJ_OK) status = start(t);
    if (status == VJ_OK) status = vj_probe_layers(t);
    if (status == VJ_OK && t->layers.count == 0)
        status = vj_print_error(VJ_UNSUPPORTED, t->command->model, "it has no products of floats to choose for");
    if (status == VJ_OK) status = vj_fit_smoothing(t);
    if (status == VJ_OK) status = vj_choose_precisions(t);
    if (status == VJ_OK) status = vj_calibration_print(t);
    return status ? status : finish(t, path);
}

vj_status vj_run_calibration(const vj_command *command) {
    vj_trial t = {.command = command};
    const vj_status status = calibrate(&t);
    for (int32_t i = 0; t.wide && i < t.samples.runs * t.outputs; i++)
        vj_array_free(&t.wide[i]);
    free(t.wide);
    vj_samples_free(&t.samples);
    vj_layers_free(&t.layers);
    return status;
}
