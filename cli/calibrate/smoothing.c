/* SPDX-License-Identifier: Apache-2.0 */
/* smoothing.c - how far the channels of an activation are divided before they become bytes, and the rows of the weights multiplied.
 *
 * Xiao and others (SmoothQuant, ICML 2023, section 4) divide channel k by max|x_k|^a / max|w_k|^(1-a), and take one a for the model. Here the
 * factor is rounded to a power of two, so that it rounds nothing, and a is what loses least on the inputs given, or none,
 * chosen for the products of each activation. */
#include "calibrate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double strengths[] = {0.25, 0.5, 0.75};
enum { STRENGTHS = sizeof strengths / sizeof *strengths, LARGEST_SHIFT = 20 };
/* It costs a multiplication of each activation. */
#define WORTH_IT 0.95

/* Over the layers that read the same activations. */
static float largest_weight(const vj_layers *layers, int32_t share, int64_t k) {
    float most = 0;
    for (int32_t i = 0; i < layers->count; i++)
        if (layers->at[i].may_be_int8 && layers->at[i].share == share) most = fmaxf(most, layers->at[i].weight[k]);
    return most;
}

/* Around their median, as factors of all channels change nothing. Channels that are zero everywhere stay as they are. */
static bool fit(const vj_layers *layers, const vj_layer *layer, double strength, int8_t *shift) {
    double *wanted = calloc((size_t)layer->depth * 2 + 1, sizeof *wanted);
    if (!wanted) return false;
    double *sorted = wanted + layer->depth;
    int64_t count = 0;
    for (int64_t k = 0; k < layer->depth; k++) {
        const double x = (double)layer->activations[k], w = (double)largest_weight(layers, layer->share, k);
        wanted[k] = x > 0 && w > 0 && isfinite(x) ? strength * log2(x) - (1 - strength) * log2(w) : NAN;
        if (!isnan(wanted[k])) sorted[count++] = wanted[k];
    }
    vj_sort_numbers(sorted, count);
    const double middle = count ? sorted[count / 2] : 0;
    for (int64_t k = 0; k < layer->depth; k++) {
        const double off = isnan(wanted[k]) ? 0 : round(wanted[k] - middle);
        shift[k] = (int8_t)fmax(-LARGEST_SHIFT, fmin(LARGEST_SHIFT, off));
    }
    free(wanted);
    return true;
}

/* The error of all products of an activation, each as a part of its results. */
static double error_of(const vj_layers *layers, int32_t share) {
    double sum = 0;
    for (int32_t i = 0; i < layers->count; i++)
        if (layers->at[i].may_be_int8 && layers->at[i].share == share) sum += vj_relative_error(&layers->at[i], VJ_I8);
    return sum;
}

/* What was found so far: of each activation, at its share, the error to fall below; of each layer the shift and the error with it. */
typedef struct best {
    double *error;
    int8_t **shift;
    double *int8;
} best;

static void keep_if_better(vj_layers *layers, best *b) {
    for (int32_t s = 0; s < layers->count; s++) {
        const double error = error_of(layers, s);
        if (!(error < b->error[s])) continue;
        b->error[s] = error;
        for (int32_t i = 0; i < layers->count; i++) {
            vj_layer *layer = &layers->at[i];
            if (!layer->may_be_int8 || layer->share != s) continue;
            free(b->shift[i]);
            b->shift[i] = layer->shift;
            b->int8[i] = layer->int8;
            layer->shift = NULL;
        }
    }
}

static bool set_shifts(vj_layers *layers, double strength) {
    for (int32_t i = 0; i < layers->count; i++) {
        vj_layer *layer = &layers->at[i];
        if (!layer->may_be_int8) continue;
        if (!layer->shift) layer->shift = malloc((size_t)layer->depth + 1);
        if (!layer->shift || !fit(layers, layer, strength, layer->shift)) return false;
    }
    return true;
}

static void take_best(vj_layers *layers, const best *b) {
    for (int32_t i = 0; i < layers->count; i++) {
        free(layers->at[i].shift);
        layers->at[i].shift = b->shift[i];
        layers->at[i].int8 = b->int8[i];
        b->shift[i] = NULL;
    }
}

vj_status vj_fit_smoothing(vj_trial *t) {
    vj_layers *layers = &t->layers;
    best b = {.error = calloc((size_t)layers->count + 1, sizeof *b.error),
              .shift = calloc((size_t)layers->count + 1, sizeof *b.shift),
              .int8 = calloc((size_t)layers->count + 1, sizeof *b.int8)};
    bool room = b.error && b.shift && b.int8;
    vj_status status = VJ_OK;
    for (int32_t i = 0; i < layers->count && room; i++) {
        b.error[i] = WORTH_IT * error_of(layers, i);
        b.int8[i] = layers->at[i].int8;
    }
    for (int32_t a = 0; a < STRENGTHS && room && status == VJ_OK; a++) {
        room = set_shifts(layers, strengths[a]);
        if (room) status = vj_probe_layers(t);
        if (room && status == VJ_OK) keep_if_better(layers, &b);
    }
    if (room) take_best(layers, &b);
    for (int32_t i = 0; i < layers->count && b.shift; i++)
        free(b.shift[i]);
    free(b.error);
    free(b.shift);
    free(b.int8);
    return room ? status : vj_print_error(VJ_SYSTEM, t->command->model, "no memory to calibrate");
}
