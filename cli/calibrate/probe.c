/* SPDX-License-Identifier: Apache-2.0 */
/* probe.c - runs of the model with what each product loses in smaller types among its outputs (passes/precision/precision_probe.c). */
#include "calibrate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/runtime.h"

void vj_layers_free(vj_layers *layers) {
    for (int32_t i = 0; i < layers->count; i++) {
        free(layers->at[i].node);
        free(layers->at[i].activations);
        free(layers->at[i].weight);
        free(layers->at[i].shift);
    }
    free(layers->at);
    *layers = (vj_layers){0};
}

double vj_relative_error(const vj_layer *layer, vj_dtype precision) {
    const double error = precision == VJ_I8 ? layer->int8 : precision == VJ_BF16 ? layer->bf16 : 0;
    return layer->energy > 0 ? sqrt(error / layer->energy) : error > 0 ? INFINITY : 0;
}

/* "vitjit.probe.3.energy:NODE" */
typedef struct probe_name {
    long index;
    char what[16];
    const char *node;
} probe_name;

static bool read_name(const char *name, probe_name *to) {
    int end = 0;
    if (strncmp(name, VJ_PROBE_PREFIX, strlen(VJ_PROBE_PREFIX)) != 0) return false;
    const char *at = name + strlen(VJ_PROBE_PREFIX);
    if (sscanf(at, "%ld.%15[a-z0-9]:%n", &to->index, to->what, &end) != 2 || end == 0) return false;
    to->node = at + end;
    return true;
}

static vj_status no_memory(const vj_trial *t) {
    return vj_print_error(VJ_SYSTEM, t->command->model, "no memory to calibrate");
}

/* As many layers as the probes have, named. */
static vj_status make_layers(vj_trial *t, const vj_model *model) {
    probe_name name;
    int32_t count = 0;
    for (int32_t i = 0; i < model->output_count; i++)
        if (read_name(model->outputs[i].name, &name) && name.index >= count) count = (int32_t)name.index + 1;
    t->layers.at = calloc((size_t)count + 1, sizeof *t->layers.at);
    if (!t->layers.at) return no_memory(t);
    t->layers.count = count;
    for (int32_t i = 0; i < model->output_count; i++) {
        if (!read_name(model->outputs[i].name, &name)) continue;
        vj_layer *layer = &t->layers.at[name.index];
        if (!layer->node) layer->node = strdup(name.node);
        if (!layer->node) return no_memory(t);
        if (strcmp(name.what, "int8") == 0) layer->may_be_int8 = true;
        if (strcmp(name.what, "bf16") == 0) layer->may_be_bf16 = true;
    }
    return VJ_OK;
}

/* The largest of what the runs gave. */
static bool keep_largest(float **to, const vj_array *from) {
    const int64_t count = vj_array_elements(from);
    if (!*to) *to = calloc((size_t)count + 1, sizeof **to);
    for (int64_t i = 0; *to && i < count; i++)
        (*to)[i] = fmaxf((*to)[i], (float)vj_array_at(from, i));
    return *to != NULL;
}

static bool take_output(vj_layer *layer, const char *what, const vj_array *output) {
    const double first = output->bytes ? vj_array_at(output, 0) : 0;
    if (strcmp(what, "energy") == 0) layer->energy += first;
    if (strcmp(what, "share") == 0) layer->share = (int32_t)first;
    if (strcmp(what, "bf16") == 0) layer->bf16 += first;
    if (strcmp(what, "int8") == 0) layer->int8 += first;
    if (strcmp(what, "activations") == 0) {
        layer->depth = vj_array_elements(output);
        return keep_largest(&layer->activations, output);
    }
    return strcmp(what, "weight") != 0 || keep_largest(&layer->weight, output);
}

static vj_status take_run(vj_trial *t, const vj_job *job) {
    for (int32_t i = 0; i < job->model->output_count; i++) {
        probe_name name;
        if (!read_name(job->model->outputs[i].name, &name) || name.index >= t->layers.count) continue;
        if (!take_output(&t->layers.at[name.index], name.what, &job->outputs[i])) return no_memory(t);
    }
    return VJ_OK;
}

/* Each in the smallest type that it may have. */
static void narrow_all(vj_layers *layers) {
    for (int32_t i = 0; i < layers->count; i++) {
        vj_layer *layer = &layers->at[i];
        layer->precision = layer->may_be_int8 ? VJ_I8 : layer->may_be_bf16 ? VJ_BF16 : VJ_F32;
    }
}

static void forget_errors(vj_layers *layers) {
    for (int32_t i = 0; i < layers->count; i++)
        layers->at[i].energy = layers->at[i].bf16 = layers->at[i].int8 = 0;
}

vj_status vj_probe_layers(vj_trial *t) {
    vj_command probing = *t->command;
    vj_job job = {0};
    probing.probe = probing.no_cache = true;
    char *text = t->layers.count ? vj_calibration_text(t, &probing.calibration_bytes) : NULL;
    if (t->layers.count && !text) return no_memory(t);
    probing.calibration_text = text;
    vj_status status = vj_job_open(&probing, t->samples.at, t->samples.inputs, &job);
    if (status == VJ_OK && t->layers.count == 0) status = make_layers(t, job.model);
    narrow_all(&t->layers);
    forget_errors(&t->layers);
    for (int32_t run = 0; run < t->samples.runs && status == VJ_OK; run++) {
        status = vj_job_bind(&job, t->samples.at + (size_t)run * (size_t)t->samples.inputs, t->samples.inputs);
        if (status == VJ_OK) status = vj_job_run(&job);
        if (status == VJ_OK) status = take_run(t, &job);
    }
    vj_job_close(&job);
    free(text);
    return status;
}
