/* SPDX-License-Identifier: Apache-2.0 */
/* measure.c - how long something takes, again and again: the times as they came, and what they come to. */
#include "modes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "vitjit_clock.h"

#define WARM_UP_MS 200 /* caches, frequency, the pool's threads */
#define LEAST_RUNS 3
#define MOST_RUNS  (INT64_C(1) << 20)

/* A quiet machine's runs: docs/cli.md has the rule. */
#define QUIET_ABOVE 1.10 /* p90 and mean, beside the median */
#define QUIET_DRIFT 0.05
#define TELLING     10 /* runs, below which nothing is said */

vj_status vj_warm_up(vj_repeated step, void *self, double seconds, vj_times *times) {
    const double begin = vj_clock_ms(), most = seconds * 1e3 < WARM_UP_MS ? seconds * 1e3 : WARM_UP_MS;
    vj_status status = VJ_OK;
    do {
        status = step(self);
        times->warm_runs++;
    } while (status == VJ_OK && vj_clock_ms() - begin < most);
    times->warm_ms = vj_clock_ms() - begin;
    return status;
}

vj_status vj_take_times(vj_repeated step, void *self, double seconds, int64_t iterations, vj_times *times) {
    const int64_t most = iterations ? iterations : MOST_RUNS;
    times->ms = malloc((size_t)most * sizeof *times->ms); /* touched only as far as it is used */
    if (!times->ms) return vj_print_error(VJ_SYSTEM, NULL, "no memory for the times of %lld runs", (long long)most);
    vj_status status = VJ_OK;
    times->begin_ms = vj_clock_ms();
    const double end = times->begin_ms + seconds * 1e3;
    for (double now = times->begin_ms; times->runs < most && (iterations || times->runs < LEAST_RUNS || now < end);) {
        if ((status = step(self))) return status;
        times->end_ms = vj_clock_ms();
        times->ms[times->runs++] = times->end_ms - now;
        now = times->end_ms;
    }
    return status;
}

/* The least that so many of a hundred runs do not pass, of times in rising order. */
static double percentile(const double *ms, int64_t runs, int64_t per_cent) {
    return ms[(runs * per_cent + 99) / 100 - 1];
}

static void add_moments(const double *ms, int64_t runs, vj_timing *timing) {
    double sum = 0, squares = 0;
    for (int64_t i = 0; i < runs; i++)
        sum += ms[i];
    timing->mean_ms = sum / (double)runs;
    for (int64_t i = 0; i < runs; i++)
        squares += (ms[i] - timing->mean_ms) * (ms[i] - timing->mean_ms);
    timing->deviation_ms = runs > 1 ? sqrt(squares / (double)(runs - 1)) : 0;
}

static bool is_noisy(const vj_timing *t) {
    const double most = QUIET_ABOVE * t->median_ms;
    return t->runs >= TELLING && (t->p90_ms > most || t->mean_ms > most || fabs(t->drift) > QUIET_DRIFT);
}

bool vj_timing_of(const vj_times *times, vj_timing *timing) {
    const int64_t runs = times->runs, half = runs / 2;
    double *ms = runs > 0 ? malloc((size_t)runs * sizeof *ms) : NULL;
    if (!ms) return false;
    memcpy(ms, times->ms, (size_t)runs * sizeof *ms);
    *timing = (vj_timing){.runs = runs};
    if (half > 0 && !times->mixed) timing->drift = vj_median(ms + half, runs - half) / vj_median(ms, half) - 1;
    timing->median_ms = vj_median(ms, runs); /* in rising order from here on */
    timing->min_ms = ms[0];
    timing->max_ms = ms[runs - 1];
    timing->p90_ms = percentile(ms, runs, 90);
    timing->p99_ms = percentile(ms, runs, 99);
    add_moments(ms, runs, timing);
    timing->noisy = is_noisy(timing);
    free(ms);
    return true;
}

void vj_times_free(vj_times *times) {
    free(times->ms);
    *times = (vj_times){0};
}

vj_status vj_run_once(void *job) { return vj_job_run(job); }

vj_status vj_measure(vj_job *job, double seconds, vj_timing *timing) {
    vj_times times = {0};
    vj_status status = vj_warm_up(vj_run_once, job, seconds, &times);
    if (status == VJ_OK) status = vj_take_times(vj_run_once, job, seconds, 0, &times);
    if (status == VJ_OK && !vj_timing_of(&times, timing)) status = vj_print_error(VJ_SYSTEM, NULL, "no memory");
    vj_times_free(&times);
    return status;
}
