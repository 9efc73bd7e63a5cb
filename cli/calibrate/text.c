/* text.c - the calibration as a file (docs/numbers.md has its form), and as a table for people. */
#include "calibrate.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "vitjit_dtype.h"

static bool is_smoothed(const vj_layer *layer) {
    for (int64_t k = 0; layer->shift && k < layer->depth; k++)
        if (layer->shift[k]) return true;
    return false;
}

static double largest(const vj_layer *layer) {
    double most = 0;
    for (int64_t k = 0; k < layer->depth; k++)
        most = fmax(most, (double)layer->weight[k]);
    return most;
}

static void add_smoothing(cJSON *json, const vj_layer *layer) {
    int *shifts = calloc((size_t)layer->depth + 1, sizeof *shifts);
    for (int64_t k = 0; shifts && k < layer->depth; k++)
        shifts[k] = layer->shift[k];
    cJSON *list = shifts ? cJSON_CreateIntArray(shifts, (int)layer->depth) : NULL;
    if (list) cJSON_AddItemToObject(json, "smoothing", list);
    free(shifts);
}

static char *layer_text(const vj_layer *layer) {
    cJSON *json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "node", layer->node);
    cJSON_AddStringToObject(json, "precision", vj_precision_name(layer->precision));
    if (layer->precision == VJ_I8) cJSON_AddNumberToObject(json, "largest_weight", largest(layer));
    if (layer->precision == VJ_I8 && is_smoothed(layer)) add_smoothing(json, layer);
    char *text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    return text;
}

/* A layer a line. */
static bool write_text(const vj_trial *t, FILE *out) {
    fprintf(out, "{\"vitjit_calibration\": 1, \"inputs\": %lld, \"least_cosine\": %.9g,", (long long)t->samples.images,
            t->least_cosine);
    if (t->agreement >= 0) fprintf(out, " \"agreement\": %.9g,", t->agreement);
    fputs(" \"layers\": [", out);
    bool whole = true;
    for (int32_t i = 0; i < t->layers.count; i++) {
        char *text = layer_text(&t->layers.at[i]);
        whole = whole && text;
        fprintf(out, "%s\n%s", i ? "," : "", text ? text : "");
        cJSON_free(text);
    }
    fputs("\n]}\n", out);
    return whole;
}

char *vj_calibration_text(const vj_trial *t, size_t *bytes) {
    char *text = NULL;
    FILE *out = open_memstream(&text, bytes);
    if (!out) return NULL;
    bool whole = write_text(t, out);
    whole = fclose(out) == 0 && whole;
    if (whole) return text;
    free(text);
    return NULL;
}

/* Whole or not at all. */
vj_status vj_calibration_write(const vj_trial *t, const char *path) {
    char temporary[4096];
    if (snprintf(temporary, sizeof temporary, "%s.%ld.tmp", path, (long)getpid()) >= (int)sizeof temporary)
        return vj_print_error(VJ_BAD_INPUT, path, "the name is too long");
    FILE *out = fopen(temporary, "wx");
    bool good = out && write_text(t, out) && fflush(out) == 0 && !ferror(out);
    if (out) good = fclose(out) == 0 && good;
    if (good && rename(temporary, path) == 0) return VJ_OK;
    const vj_status status = vj_print_error(VJ_SYSTEM, path, "the calibration cannot be written: %s", strerror(errno));
    if (out) unlink(temporary);
    return status;
}

/* Milliseconds of all threads in kernels of the node. */
static double time_of(const vj_profile *profile, const char *node) {
    double ms = 0;
    for (int32_t k = 0; k < profile->kernel_count; k++) {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(profile->kernels[k].facts, "node"));
        if (name && strcmp(name, node) == 0) ms += profile->kernels[k].busy_ms;
    }
    return ms / (profile->threads ? profile->threads : 1);
}

static void print_error_column(bool known, double error) {
    if (known)
        printf(" %9.2e", error);
    else
        printf(" %9s", "-");
}

static void print_layers(const vj_trial *t, const vj_profile *profile) {
    int32_t width = 5;
    for (int32_t i = 0; i < t->layers.count; i++)
        if ((int32_t)strlen(t->layers.at[i].node) > width) width = (int32_t)strlen(t->layers.at[i].node);
    if (width > 60) width = 60;
    printf("%-*s %-9s %9s %9s %9s\n", (int)width, "layer", "precision", "int8 err", "bf16 err", "ms");
    for (int32_t i = 0; i < t->layers.count; i++) {
        const vj_layer *layer = &t->layers.at[i];
        char precision[80];
        snprintf(precision, sizeof precision, "%s%s", vj_precision_name(layer->precision),
                 layer->precision == VJ_I8 && is_smoothed(layer) ? "*" : "");
        printf("%-*.*s %-9s", (int)width, (int)width, layer->node, precision);
        print_error_column(layer->may_be_int8, vj_relative_error(layer, VJ_I8));
        print_error_column(layer->may_be_bf16, vj_relative_error(layer, VJ_BF16));
        printf(" %9.3f\n", time_of(profile, layer->node));
    }
    puts("* its channels are smoothed; errors are parts of the layer's own results, from the same inputs in float32");
}

vj_status vj_calibration_print(const vj_trial *t) {
    vj_command running = *t->command;
    vj_profile profile = {0};
    running.no_cache = true;
    char *text = vj_calibration_text(t, &running.calibration_bytes);
    if (!text) return vj_print_error(VJ_SYSTEM, t->command->model, "no memory to calibrate");
    running.calibration_text = text;
    const vj_status status = vj_profile_make(&running, t->samples.at, t->samples.inputs, &profile);
    if (status == VJ_OK) print_layers(t, &profile);
    vj_profile_free(&profile);
    free(text);
    return status;
}
