/* SPDX-License-Identifier: Apache-2.0 */
/* table.c - the calibration as a table: each layer, what smaller types lose in it, and its time in a run of the choice. */
#include "calibrate.h"

#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "vitjit_dtype.h"

/* Milliseconds of all threads in kernels of the node. */
static double time_of(const vj_profile *profile, const char *node) {
    double ms = 0;
    for (int32_t k = 0; k < profile->kernel_count; k++) {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(profile->kernels[k].facts, "node"));
        if (name && strcmp(name, node) == 0) ms += profile->kernels[k].busy_ms;
    }
    return ms / (profile->threads ? profile->threads : 1);
}

/* A name of the model, in a column; what would disturb a terminal becomes a question mark. */
static void print_name(const char *name, int32_t width) {
    int32_t used = 0;
    for (; name[used] && used < width; used++)
        putchar((unsigned char)name[used] < 0x20 || name[used] == 0x7f ? '?' : name[used]);
    printf("%*s", (int)(width - used), "");
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
                 layer->precision == VJ_I8 && vj_is_smoothed(layer) ? "*" : "");
        print_name(layer->node, width);
        printf(" %-9s", precision);
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
