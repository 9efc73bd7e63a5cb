/* SPDX-License-Identifier: Apache-2.0 */
/* bench_text.c - what --bench prints of its figures, and the same as JSON. */
#include "modes.h"

#include <string.h>
#include <unistd.h>

#include <cjson/cJSON.h>

#include "runtime/runtime.h"
#include "vitjit_dtype.h"

/* The CPU's own name, as the system has it; "" where it has none. */
static void cpu_words(char name[128]) {
    char line[512];
    FILE *in = fopen("/proc/cpuinfo", "r");
    name[0] = 0;
    while (in && !name[0] && fgets(line, sizeof line, in)) {
        const char *colon = strncmp(line, "model name", 10) == 0 ? strchr(line, ':') : NULL;
        if (!colon) continue;
        snprintf(name, 128, "%s", colon + 1 + strspn(colon + 1, " \t"));
        name[strcspn(name, "\n")] = 0;
    }
    if (in) fclose(in);
}

static const char *file_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static void print_head(const vj_command *command, const vj_benched *b) {
    char cpu[128];
    const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    cpu_words(cpu);
    printf("%-11s %s, products in %s, weights in %s\n", "model", file_name(command->model),
           vj_precision_name(b->stats.precision), vj_precision_name(b->stats.weight_format));
    printf("%-11s %s%s%d CPU%s, code for %s\n", "machine", cpu, *cpu ? ", " : "", (int)cpus, cpus == 1 ? "" : "s",
           b->cpu);
    printf("%-11s a batch of %s%lld on %d thread%s", "run", b->sizes > 1 && b->images > 1 ? "up to " : "",
           (long long)b->images, (int)b->threads, b->threads == 1 ? "" : "s");
    if (b->streams > 1) printf(", %d streams at once", (int)b->streams);
    if (b->pictures)
        printf(", %d picture%s in turn, from file to class", (int)b->pictures, b->pictures == 1 ? "" : "s");
    if (b->sizes > 1) printf(", of %d sizes", (int)b->sizes);
    printf("; %lld runs of warm-up (%.0f ms), then %lld in %.2f s\n", (long long)b->times.warm_runs, b->times.warm_ms,
           (long long)b->timing.runs, (b->times.end_ms - b->times.begin_ms) * 1e-3);
}

/* Where runs are alike and follow each other the median says it all. */
static bool by_median(const vj_benched *b) { return b->streams == 1 && b->sizes <= 1; }

/* Of something of which a run has so much, and all together so much. */
static double per_second(const vj_benched *b, double of_run, double of_all) {
    if (by_median(b)) return of_run * 1e3 / b->timing.median_ms;
    return of_all * 1e3 / (b->times.end_ms - b->times.begin_ms);
}

static double images_per_second(const vj_benched *b) { return per_second(b, (double)b->images, b->done_images); }

static double above(double ms, const vj_timing *t) { return 100 * (ms / t->median_ms - 1); }

/* By the rule of measure.c */
static void print_noise(const vj_timing *t) {
    if (!t->noisy) return;
    printf("%-11s the machine is noisy, or busy: beside p50 is p90 %+.0f %%, the mean %+.0f %%", "noise",
           above(t->p90_ms, t), above(t->mean_ms, t));
    if (t->drift != 0) printf("; the runs' second half %+.0f %% beside the first", 100 * t->drift);
    puts(" (quiet: 10, 10 and 5 %)");
}

void vj_bench_model(vj_benched *b, const vj_job *job) {
    b->stats.size = sizeof b->stats;
    vj_model_get_stats(job->model, &b->stats);
    snprintf(b->cpu, sizeof b->cpu, "%s", b->stats.cpu ? b->stats.cpu : "");
    b->stats.cpu = NULL;
    b->flops = b->stats.flops_per_image * (double)job->n;
    b->threads = vj_model_parts(job->model);
}

void vj_print_benched(const vj_command *command, const vj_benched *b) {
    const vj_timing *t = &b->timing;
    if (!command->quiet) print_head(command, b);
    printf("%-11s p50 %.3f ms, p90 %.3f, p99 %.3f; min %.3f, max %.3f, deviation %.3f\n", "time", t->median_ms,
           t->p90_ms, t->p99_ms, t->min_ms, t->max_ms, t->deviation_ms);
    if (b->pictures)
        printf("%-11s p50 of reading and preparing %.3f ms, of the run %.3f, of classes %.3f\n", "parts", b->decode_ms,
               b->run_ms, b->label_ms);
    printf("%-11s %.1f images/s, %.1f GFLOP/s %s\n", "throughput", images_per_second(b),
           per_second(b, b->flops, b->done_flops) * 1e-9,
           by_median(b)     ? "at the median"
           : b->streams > 1 ? "of all streams"
                            : "of all sizes");
    if (!command->quiet) print_noise(t);
}

static void add_times(cJSON *json, const vj_times *times) {
    cJSON *list = cJSON_AddArrayToObject(json, "times_ms");
    for (int64_t i = 0; list && i < times->runs; i++) /* each at the list's end, which cJSON knows */
        cJSON_AddItemToArray(list, cJSON_CreateNumber(times->ms[i]));
}

void vj_add_timing(cJSON *json, const vj_timing *t) {
    cJSON_AddNumberToObject(json, "min_ms", t->min_ms);
    cJSON_AddNumberToObject(json, "median_ms", t->median_ms);
    cJSON_AddNumberToObject(json, "p90_ms", t->p90_ms);
    cJSON_AddNumberToObject(json, "p99_ms", t->p99_ms);
    cJSON_AddNumberToObject(json, "max_ms", t->max_ms);
    cJSON_AddNumberToObject(json, "mean_ms", t->mean_ms);
    cJSON_AddNumberToObject(json, "deviation_ms", t->deviation_ms);
    cJSON_AddNumberToObject(json, "runs", (double)t->runs);
}

void vj_add_benched(cJSON *json, const vj_benched *b, bool raw) {
    char cpu[128];
    cpu_words(cpu);
    vj_add_timing(json, &b->timing);
    if (b->timing.drift != 0) cJSON_AddNumberToObject(json, "drift", b->timing.drift);
    cJSON_AddBoolToObject(json, "noisy", b->timing.noisy);
    cJSON_AddStringToObject(json, "machine", cpu);
    cJSON_AddStringToObject(json, "cpu", b->cpu);
    cJSON_AddNumberToObject(json, "batch", (double)b->images);
    cJSON_AddNumberToObject(json, "streams", b->streams);
    cJSON_AddNumberToObject(json, "images_per_s", images_per_second(b));
    cJSON_AddNumberToObject(json, "warm_up_runs", (double)b->times.warm_runs);
    if (b->pictures) {
        cJSON_AddNumberToObject(json, "pictures", b->pictures);
        cJSON_AddNumberToObject(json, "sizes", b->sizes);
        cJSON_AddNumberToObject(json, "decode_ms", b->decode_ms);
        cJSON_AddNumberToObject(json, "run_ms", b->run_ms);
        cJSON_AddNumberToObject(json, "label_ms", b->label_ms);
    }
    if (raw) add_times(json, &b->times);
}
