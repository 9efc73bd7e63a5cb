/* bench.c - --bench: how long a run takes. */
#include "modes.h"

#include <stdlib.h>

#include "vitjit_clock.h"

#define WARM_UP_MS 200 /* caches, frequency, the pool's threads */
#define LEAST_RUNS 3
#define MOST_RUNS  (INT64_C(1) << 20)

static vj_status run_for(vj_job *job, double seconds, double *ms, int64_t *runs) {
    vj_status status = VJ_OK;
    const double begin = vj_clock_ms(), warm = seconds * 1e3 < WARM_UP_MS ? seconds * 1e3 : WARM_UP_MS;
    do
        status = vj_job_run(job);
    while (status == VJ_OK && vj_clock_ms() - begin < warm);
    const double end = vj_clock_ms() + seconds * 1e3;
    for (*runs = 0; status == VJ_OK && *runs < MOST_RUNS && (*runs < LEAST_RUNS || vj_clock_ms() < end); ++*runs) {
        const double start = vj_clock_ms();
        status = vj_job_run(job);
        ms[*runs] = vj_clock_ms() - start;
    }
    return status;
}

static vj_timing summarise(double *ms, int64_t runs) {
    const double median = vj_median(ms, runs);      /* in rising order from here on */
    const int64_t p99 = (runs * 99 + 99) / 100 - 1; /* the least that 99 % of the runs do not pass */
    return (vj_timing){ms[0], median, ms[p99], runs};
}

vj_status vj_measure(vj_job *job, double seconds, vj_timing *timing) {
    double *ms = malloc((size_t)MOST_RUNS * sizeof *ms); /* touched only as far as it is used */
    int64_t runs = 0;
    if (!ms) return vj_print_error(VJ_SYSTEM, NULL, "no memory");
    const vj_status status = run_for(job, seconds, ms, &runs);
    if (status == VJ_OK) *timing = summarise(ms, runs);
    free(ms);
    return status;
}

/* The table of kernels, after the figures: a profile runs other code, and its cost is in none of them. The model that was
 * measured has gone by then, and its weights with it: the profile's has the same. */
static vj_status finish(const vj_command *command, vj_job *job, const vj_array *inputs, int32_t count,
                        const vj_timing *t, const vj_model_stats *s) {
    vj_profile profile = {.rss_before_bytes = vj_peak_rss_bytes()};
    if (command->compiled || (command->quiet && !command->profile)) return vj_print_bench_stats(command, s, t, NULL);
    vj_job_close(job);
    vj_status status = vj_profile_make(command, inputs, count, &profile);
    if (status == VJ_OK && !command->quiet) vj_profile_print(&profile);
    if (status == VJ_OK && command->profile) status = vj_trace_write(command->profile, command->model, &profile);
    if (status == VJ_OK) status = vj_print_bench_stats(command, s, t, &profile);
    vj_profile_free(&profile);
    return status;
}

static vj_status bench(const vj_command *command, vj_job *job, const vj_array *inputs, int32_t count) {
    vj_timing t;
    const vj_status status = vj_measure(job, command->seconds, &t);
    if (status) return status;
    vj_model_stats stats = {.size = sizeof stats};
    vj_model_get_stats(job->model, &stats);
    const double flops = stats.flops_per_image * (double)job->n;
    printf("min %.3f ms, median %.3f ms, p99 %.3f ms of %lld runs; at the median %.1f GFLOP/s, %.1f images/s\n",
           t.min_ms, t.median_ms, t.p99_ms, (long long)t.runs, flops / t.median_ms * 1e-6,
           (double)job->images * 1e3 / t.median_ms);
    return finish(command, job, inputs, count, &t, &stats);
}

vj_status vj_run_bench(const vj_command *command) {
    vj_job job;
    vj_array *inputs = NULL;
    int32_t count = 0;
    vj_status status = vj_job_prepare(command, &job, &inputs, &count);
    if (status == VJ_OK) status = bench(command, &job, inputs, count);
    vj_arrays_free(inputs, count);
    vj_job_close(&job);
    return status;
}
