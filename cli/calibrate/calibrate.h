/* SPDX-License-Identifier: Apache-2.0 */
/* calibrate.h - --calibration-data: in which precision each product of a model is computed, tried on the user's inputs.
 *
 * calibrate.c  the way in, and the steps: the model in float32, probes, smoothing, the choice
 * samples.c    the inputs, run after run, from pictures and .npy files
 * probe.c      runs with what products lose in smaller types among the outputs
 * smoothing.c  powers of two between channels of activations and rows of weights
 * choice.c     which products stay wide, so that the results stay as near as asked
 * text.c       the calibration as a file; table.c for people
 *
 * Sees the rooms command, tensors, job and modes.
 */
#ifndef VITJIT_CLI_CALIBRATE_CALIBRATE_H
#define VITJIT_CLI_CALIBRATE_CALIBRATE_H

#include "cli/modes/modes.h"

vj_status vj_run_calibration(const vj_command *command);

/* samples.c */

/* at[run * inputs + input] */
typedef struct vj_samples {
    vj_array *at;
    int32_t inputs, runs;
    int64_t images; /* in all */
} vj_samples;
/* Opens the job in float32, for the shapes of the first. Frees are the caller's, on failure too. */
vj_status vj_samples_read(const vj_command *plain, vj_job *job, vj_samples *samples);
void vj_samples_free(vj_samples *samples);

/* A product of floats, in the order of the model's. Errors and energy are sums of squares over all runs. */
typedef struct vj_layer {
    char *node;
    bool may_be_bf16, may_be_int8;
    double energy, bf16, int8;
    int64_t depth;               /* of those that may be int8 */
    float *activations, *weight; /* [depth]: the largest numbers of channels and of the weight's rows */
    int32_t share;               /* the first layer with the same activations */
    int8_t *shift;               /* [depth]: smoothing; NULL: none */
    vj_dtype precision;          /* the choice */
} vj_layer;
typedef struct vj_layers {
    vj_layer *at;
    int32_t count;
} vj_layers;
void vj_layers_free(vj_layers *layers);
/* The part of its results that the error is; 0 of what is not known. */
double vj_relative_error(const vj_layer *layer, vj_dtype precision);

/* The steps' state. */
typedef struct vj_trial {
    const vj_command *command;
    vj_samples samples;
    vj_array *wide; /* the results of float32: [run * outputs + output] */
    int32_t outputs;
    vj_layers layers;
    double least_cosine, agreement; /* of the layers' choice; agreement below 0: no output has classes */
} vj_trial;

/* probe.c: compiles with the layers' smoothing and runs all samples; fills `layers`, which are made where there are none yet. */
vj_status vj_probe_layers(vj_trial *t);

/* smoothing.c: probes each strength and keeps, of the products of one activation, the one that loses least. */
vj_status vj_fit_smoothing(vj_trial *t);

/* choice.c: sets each layer's precision, and the trial's figures. */
vj_status vj_choose_precisions(vj_trial *t);

/* text.c */

/* malloc'ed; NULL: no memory */
char *vj_calibration_text(const vj_trial *t, size_t *bytes);
vj_status vj_calibration_write(const vj_trial *t, const char *path);
bool vj_is_smoothed(const vj_layer *layer);

/* table.c */

vj_status vj_calibration_print(const vj_trial *t);

#endif
