/* SPDX-License-Identifier: Apache-2.0 */
/* page.c - what the compiler explains, a profile's kernels with the spans of one of its runs, and what each product loses in smaller
 * types go as JSON into page.html, which draws them.
 */
#include "page.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "cli/calibrate/calibrate.h"
#include "cli/modes/modes.h"

#include "runtime/runtime.h"

#define STREAM_SECONDS 0.2
#define MOST_SPANS     20000
#define PLACE          "@DATA@"

extern const char vj_page_html[];

/* The run whose time is nearest to the median of all. */
static int32_t typical_run(const vj_profile *p) {
    int32_t best = 0;
    double least = 0;
    for (int32_t r = 0; r < p->runs; r++) {
        const double off = (double)(p->run_end[r] - p->run_begin[r]) * 1e-6 - p->wall_ms, far = off < 0 ? -off : off;
        if (r > 0 && far >= least) continue;
        least = far;
        best = r;
    }
    return best;
}

/* [kernel, thread, begin, end] in microseconds from the run's begin. */
static cJSON *spans_of(const vj_profile *p, int32_t run) {
    cJSON *list = cJSON_CreateArray();
    int32_t count = 0;
    for (int64_t i = 0; i < p->work_count && count < MOST_SPANS; i++) {
        const vj_work *w = &p->work[i];
        if (w->begin_ns < p->run_begin[run] || w->begin_ns >= p->run_end[run]) continue;
        const double span[] = {w->kernel, w->thread, (double)(w->begin_ns - p->run_begin[run]) * 1e-3,
                               (double)(w->end_ns - p->run_begin[run]) * 1e-3};
        cJSON_AddItemToArray(list, cJSON_CreateDoubleArray(span, 4));
        count++;
    }
    return list;
}

static void add_profile(cJSON *data, const vj_profile *p) {
    cJSON *kernels = cJSON_AddArrayToObject(data, "kernels");
    for (int32_t i = 0; i < p->kernel_count; i++) {
        cJSON *kernel = cJSON_Duplicate(p->kernels[i].facts, true);
        cJSON_AddNumberToObject(kernel, "busy_ms", p->kernels[i].busy_ms);
        cJSON_AddItemToArray(kernels, kernel);
    }
    cJSON_AddItemToObject(data, "work", spans_of(p, typical_run(p)));
    cJSON_AddNumberToObject(data, "runs", p->runs);
    cJSON_AddNumberToObject(data, "threads", p->threads);
    cJSON_AddNumberToObject(data, "images", (double)p->images);
    cJSON_AddNumberToObject(data, "wall_ms", p->wall_ms);
    cJSON_AddNumberToObject(data, "waiting_ms", p->waiting_ms);
    cJSON_AddNumberToObject(data, "peak_gflops", p->peak_gflops);
}

/* What products lose in bf16 and int8 on these inputs: each a part of its own results. */
static vj_status add_losses(cJSON *data, const vj_command *command, vj_array *inputs, int32_t count) {
    vj_command asked = *command;
    asked.precision = "int8";
    asked.weight_format = NULL;
    asked.calibration = "none";
    asked.keep_f32.count = 0;
    vj_trial trial = {.command = &asked, .samples = {.at = inputs, .inputs = count, .runs = 1}};
    const vj_status status = vj_probe_layers(&trial);
    cJSON *list = cJSON_AddArrayToObject(data, "losses");
    for (int32_t i = 0; status == VJ_OK && i < trial.layers.count; i++) {
        const vj_layer *layer = &trial.layers.at[i];
        cJSON *loss = cJSON_CreateObject();
        cJSON_AddStringToObject(loss, "node", layer->node ? layer->node : "");
        if (layer->may_be_bf16) cJSON_AddNumberToObject(loss, "bf16", vj_relative_error(layer, VJ_BF16));
        if (layer->may_be_int8) cJSON_AddNumberToObject(loss, "int8", vj_relative_error(layer, VJ_I8));
        cJSON_AddItemToArray(list, loss);
    }
    vj_layers_free(&trial.layers);
    return status;
}

/* The JSON within the page: no '<' of it may end the element that it stands in. */
static void write_data(FILE *out, const char *json) {
    for (; *json; json++) {
        if (*json == '<')
            fputs("\\u003c", out);
        else
            fputc(*json, out);
    }
}

static vj_status write_page(const char *path, const cJSON *data) {
    const char *place = strstr(vj_page_html, PLACE);
    char *json = vj_json_text(data);
    if (!json || !place) {
        cJSON_free(json);
        return vj_print_error(VJ_SYSTEM, path, "no memory for the page");
    }
    FILE *out = fopen(path, "w");
    if (!out) {
        cJSON_free(json);
        return vj_print_error(VJ_BAD_INPUT, path, "cannot be written: %s", strerror(errno));
    }
    fwrite(vj_page_html, 1, (size_t)(place - vj_page_html), out);
    write_data(out, json);
    fputs(place + strlen(PLACE), out);
    cJSON_free(json);
    const bool bad = ferror(out) != 0;
    if (fclose(out) == 0 && !bad) return VJ_OK;
    vj_print_error(VJ_SYSTEM, path, "cannot be written: %s", strerror(errno));
    unlink(path);
    return VJ_SYSTEM;
}

static vj_status explain(const vj_command *command, cJSON **data) {
    vj_request request;
    char *text = NULL;
    vj_status status = vj_request_fill(command, &request);
    if (status == VJ_OK) {
        status = vj_ask_text(VJ_ERRAND_EXPLAIN, &request.compile, &text);
        if (status) vj_print_error(status, command->model, "%s", vj_error_message());
    }
    *data = status == VJ_OK ? cJSON_Parse(text) : NULL;
    if (status == VJ_OK && !*data) status = vj_print_error(VJ_SYSTEM, command->model, "no memory for the page");
    free(text);
    vj_request_free(&request);
    return status;
}

/* Everything that the page shows; of the profile, too, which the caller frees. */
static vj_status collect(const vj_command *command, const vj_compiler_api *api, vj_profile *profile, cJSON **data) {
    vj_array *inputs = NULL;
    vj_job job;
    int32_t count = 0;
    double stream = 0;
    vj_status status = vj_job_prepare(command, &job, &inputs, &count);
    vj_job_close(&job);
    if (status == VJ_OK) status = vj_profile_make(command, inputs, count, profile);
    if (status == VJ_OK) status = explain(command, data);
    if (status == VJ_OK) status = add_losses(*data, command, inputs, count);
    vj_arrays_free(inputs, count);
    if (status == VJ_OK && (status = api->stream(profile->threads, STREAM_SECONDS, &stream)))
        vj_print_error(status, command->model, "no memory to measure memory with");
    if (status) return status;
    cJSON_AddStringToObject(*data, "model", command->model);
    cJSON_AddStringToObject(*data, "version", vj_version());
    cJSON_AddNumberToObject(*data, "stream_gbs", stream);
    add_profile(*data, profile);
    return VJ_OK;
}

vj_status vj_write_page(const vj_command *command) {
    const vj_compiler_api *api;
    vj_profile profile = {0};
    cJSON *data = NULL;
    vj_status status = vj_outputs_folder_of(command->report_page, "--report");
    if (status == VJ_OK) status = vj_compiler(&api);
    if (status) return status;
    status = collect(command, api, &profile, &data);
    if (status == VJ_OK) status = write_page(command->report_page, data);
    if (status == VJ_OK) vj_print_wrote(command->report_page);
    cJSON_Delete(data);
    vj_profile_free(&profile);
    return status;
}
