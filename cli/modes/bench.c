/* SPDX-License-Identifier: Apache-2.0 */
/* bench.c - --bench: how long a run takes, of one caller or of several. */
#include "modes.h"

#include <stdlib.h>

/* The table of kernels, after the figures: a profile runs other code, and its cost is in none of them. The model that was
 * measured has gone by then, and its weights with it: the profile's has the same. Of several callers there is none. */
static vj_status finish(const vj_command *command, vj_job *job, const vj_array *inputs, int32_t count,
                        const vj_benched *b) {
    vj_profile profile = {.rss_before_bytes = vj_peak_rss_bytes()};
    if (command->compiled || b->streams > 1 || (command->quiet && !command->profile))
        return vj_print_bench_stats(command, &b->stats, b, NULL);
    vj_job_close(job);
    vj_status status = vj_profile_make(command, inputs, count, &profile);
    if (status == VJ_OK && !command->quiet) vj_profile_print(&profile);
    if (status == VJ_OK && command->profile) status = vj_trace_write(command->profile, command->model, &profile);
    if (status == VJ_OK) status = vj_print_bench_stats(command, &b->stats, b, &profile);
    vj_profile_free(&profile);
    return status;
}

/* A caller with a session of its own of the job's model. */
typedef struct stream {
    vj_job job;
    vj_caller caller;
} stream;

static vj_status open_stream(const vj_job *job, const vj_array *inputs, int32_t count, stream *s) {
    vj_status status = vj_job_join(job, &s->job);
    s->caller = (vj_caller){.step = vj_run_once, .self = &s->job};
    return status ? status : vj_job_bind(&s->job, inputs, count);
}

static vj_status time_streams(const vj_command *command, const vj_job *job, const vj_array *inputs, int32_t count,
                              vj_times *all) {
    const int32_t number = (int32_t)command->streams;
    stream *streams = calloc((size_t)number, sizeof *streams);
    vj_caller **callers = calloc((size_t)number, sizeof *callers);
    vj_status status = VJ_OK;
    if (!streams || !callers) status = vj_print_error(VJ_SYSTEM, NULL, "no memory for %d streams", (int)number);
    for (int32_t i = 0; i < number && status == VJ_OK; i++) {
        status = open_stream(job, inputs, count, &streams[i]);
        callers[i] = &streams[i].caller;
    }
    if (status == VJ_OK) status = vj_time_callers(command, callers, number, all);
    for (int32_t i = 0; streams && i < number; i++)
        vj_job_leave(&streams[i].job);
    free(callers);
    free(streams);
    return status;
}

static vj_status take(const vj_command *command, vj_job *job, const vj_array *inputs, int32_t count, vj_times *s) {
    if (command->streams > 1) return time_streams(command, job, inputs, count, s);
    vj_caller caller = {.step = vj_run_once, .self = job}, *one = &caller;
    return vj_time_callers(command, &one, 1, s);
}

static vj_status bench(const vj_command *command, vj_job *job, const vj_array *inputs, int32_t count, vj_benched *b) {
    vj_status status = take(command, job, inputs, count, &b->times);
    if (status) return status;
    if (!vj_timing_of(&b->times, &b->timing)) return vj_print_error(VJ_SYSTEM, command->model, "no memory");
    vj_bench_model(b, job);
    b->images = job->images;
    b->streams = command->streams ? (int32_t)command->streams : 1;
    b->done_images = (double)(b->timing.runs * b->images);
    b->done_flops = (double)b->timing.runs * b->flops;
    vj_print_benched(command, b);
    return finish(command, job, inputs, count, b);
}

vj_status vj_run_bench(const vj_command *given) {
    vj_command command = *given;
    vj_benched b = {.stats = {0}};
    vj_job job;
    vj_array *inputs = NULL;
    int32_t count = 0;
    if (command.streams > 1 && !command.threads) command.threads = 1; /* a stream is a thread */
    vj_status status = vj_job_prepare(&command, &job, &inputs, &count);
    if (status == VJ_OK) status = bench(&command, &job, inputs, count, &b);
    vj_times_free(&b.times);
    vj_arrays_free(inputs, count);
    vj_job_close(&job);
    return status;
}
