/* SPDX-License-Identifier: Apache-2.0 */
/* stats.c - --stats: one JSON object as the last line of stdout. Per image are flops and the arena's sizes. */
#include "modes.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>

#include <cjson/cJSON.h>

#include "vitjit_dtype.h"

static void add_model(cJSON *json, const vj_model_stats *s) {
    cJSON_AddNumberToObject(json, "flops", s->flops_per_image);
    cJSON_AddStringToObject(json, "precision", vj_precision_name(s->precision));
    cJSON_AddStringToObject(json, "weight_format", vj_precision_name(s->weight_format));
    cJSON_AddNumberToObject(json, "weights_bytes", (double)s->weights_bytes);
    cJSON_AddNumberToObject(json, "arena_bytes", (double)s->arena_bytes);
    cJSON_AddNumberToObject(json, "arena_lower_bound_bytes", (double)s->arena_lower_bound_bytes);
    cJSON_AddNumberToObject(json, "kernels", s->kernels);
    cJSON_AddNumberToObject(json, "distinct_kernels", s->distinct_kernels);
    cJSON_AddNumberToObject(json, "compile_ms", s->compile_ms);
    cJSON_AddBoolToObject(json, "cache_hit", s->cache_hit);
}

static void add_profile(cJSON *json, const vj_profile *profile) {
    cJSON_AddNumberToObject(json, "peak_gflops", profile->peak_gflops);
    cJSON_AddNumberToObject(json, "profiled_ms", profile->wall_ms);
    cJSON_AddNumberToObject(json, "threads", profile->threads);
    cJSON *kernels = cJSON_AddArrayToObject(json, "kernel_times");
    for (int32_t i = 0; kernels && i < profile->kernel_count; i++) {
        cJSON *kernel = cJSON_Duplicate(profile->kernels[i].facts, true);
        cJSON_AddNumberToObject(kernel, "busy_ms", profile->kernels[i].busy_ms);
        cJSON_AddItemToArray(kernels, kernel);
    }
}

cJSON *vj_stats_json(const vj_model_stats *s, const vj_timing *timing) {
    cJSON *json = cJSON_CreateObject();
    add_model(json, s);
    vj_add_timing(json, timing);
    return json;
}

/* The program's own peak. What getrusage knows begins with the process that started it, if that was larger. */
double vj_peak_rss_bytes(void) {
    char line[256];
    long long kib = 0;
    FILE *in = fopen("/proc/self/status", "r");
    while (in && kib == 0 && fgets(line, sizeof line, in))
        if (sscanf(line, "VmHWM: %lld", &kib) != 1) kib = 0;
    if (in) fclose(in);
    struct rusage usage = {0};
    if (kib == 0 && getrusage(RUSAGE_SELF, &usage) == 0) kib = usage.ru_maxrss;
    return (double)kib * 1024;
}

vj_status vj_print_stats(const vj_command *command, const vj_model *model) {
    vj_model_stats s = {.size = sizeof s};
    const vj_status status = vj_model_get_stats(model, &s);
    if (status) return vj_print_error(status, command->model, "%s", vj_error_message());
    return vj_print_bench_stats(command, &s, NULL, NULL);
}

vj_status vj_print_bench_stats(const vj_command *command, const vj_model_stats *s, const vj_benched *benched,
                               const vj_profile *profile) {
    if (!command->stats) return VJ_OK;
    cJSON *json = cJSON_CreateObject();
    add_model(json, s);
    cJSON_AddNumberToObject(json, "peak_rss_bytes", profile ? profile->rss_before_bytes : vj_peak_rss_bytes());
    if (benched) vj_add_benched(json, benched, *command->stats);
    if (profile)
        add_profile(json, profile);
    else if (benched)
        cJSON_AddNumberToObject(json, "threads", benched->threads);
    return vj_deliver_json(command, json);
}

static vj_status write_file(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    bool good = file && fputs(text, file) >= 0 && fputc('\n', file) >= 0;
    const int why = errno;
    if (file && fclose(file) != 0) good = false;
    if (!good) return vj_print_error(VJ_SYSTEM, path, "%s", strerror(why ? why : errno));
    vj_print_wrote(path);
    return VJ_OK;
}

vj_status vj_deliver_json(const vj_command *command, cJSON *json) {
    char *text = vj_json_text(json);
    vj_status status = text ? VJ_OK : vj_print_error(VJ_SYSTEM, NULL, "no memory");
    if (text && *command->stats)
        status = write_file(command->stats, text);
    else if (text)
        puts(text);
    cJSON_free(text);
    cJSON_Delete(json);
    return status;
}
