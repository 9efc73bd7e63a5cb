/* bench.c - latency, and figures as JSON. */
#include "cli.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int by_value(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

#define MOST_RUNS (1 << 20)

vj_status vj_bench_run(const vj_io *io, double seconds, vj_bench *bench) {
    double *ms = malloc(MOST_RUNS * sizeof *ms);
    if (!ms) return vj_say(VJ_SYSTEM, NULL, NULL, "no memory");
    vj_status status = VJ_OK;
    for (int32_t i = 0; i < 3 && !status; i++)
        status = vj_run(io->session);
    int64_t runs = 0;
    const double end = now_ms() + seconds * 1e3;
    while (!status && runs < MOST_RUNS && (runs < 3 || now_ms() < end)) {
        const double start = now_ms();
        status = vj_run(io->session);
        ms[runs++] = now_ms() - start;
    }
    if (!status) {
        qsort(ms, (size_t)runs, sizeof *ms, by_value);
        *bench = (vj_bench){ms[0], ms[runs / 2], ms[(runs - 1) * 99 / 100], runs};
    }
    free(ms);
    return status ? vj_say(status, NULL, NULL, "%s", vj_error_message()) : VJ_OK;
}

vj_status vj_print_stats(const vj_io *io, const vj_bench *bench) {
    vj_model_stats s = {.size = sizeof s};
    int64_t weights, arena;
    vj_status status = vj_model_get_stats(io->model, &s);
    if (!status) status = vj_plan_bytes(io->model, io->n, &weights, &arena);
    if (status) return vj_say(status, NULL, NULL, "%s", vj_error_message());
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    const double images = (double)(arena - io->model->scratch_fixed) /
                          (double)(io->model->scratch_per_image ? io->model->scratch_per_image : 1);
    cJSON *o = cJSON_CreateObject();
    cJSON_AddNumberToObject(o, "flops", s.flops_per_image * (double)io->n);
    cJSON_AddNumberToObject(o, "weights_bytes", (double)weights);
    cJSON_AddNumberToObject(o, "arena_bytes", (double)arena);
    cJSON_AddNumberToObject(o, "arena_lower_bound_bytes", (double)s.arena_lower_bound_bytes * images);
    cJSON_AddNumberToObject(o, "kernels", s.kernels);
    cJSON_AddNumberToObject(o, "compile_ms", s.compile_ms);
    cJSON_AddBoolToObject(o, "cache_hit", s.cache_hit);
    cJSON_AddNumberToObject(o, "peak_rss_bytes", (double)usage.ru_maxrss * 1024);
    if (bench) {
        cJSON_AddNumberToObject(o, "min_ms", bench->min_ms);
        cJSON_AddNumberToObject(o, "median_ms", bench->median_ms);
        cJSON_AddNumberToObject(o, "p99_ms", bench->p99_ms);
        cJSON_AddNumberToObject(o, "runs", (double)bench->runs);
    }
    char *text = cJSON_PrintUnformatted(o);
    if (text) puts(text);
    cJSON_free(text);
    cJSON_Delete(o);
    return text ? VJ_OK : vj_say(VJ_SYSTEM, NULL, NULL, "no memory");
}
