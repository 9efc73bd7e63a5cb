/* SPDX-License-Identifier: Apache-2.0 */
/* text.c - the calibration as a file; docs/numbers.md has its form. */
#include "calibrate.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "vitjit_dtype.h"

bool vj_is_smoothed(const vj_layer *layer) {
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
    if (layer->precision == VJ_I8 && vj_is_smoothed(layer)) add_smoothing(json, layer);
    char *text = vj_json_text(json);
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
    if (good && rename(temporary, path) == 0) {
        vj_print_wrote(path);
        return VJ_OK;
    }
    const vj_status status = vj_print_error(VJ_SYSTEM, path, "the calibration cannot be written: %s", strerror(errno));
    if (out) unlink(temporary);
    return status;
}
