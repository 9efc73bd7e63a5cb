/* SPDX-License-Identifier: Apache-2.0 */
/* streams.c - --streams: several callers at once, each with a session of its own of one model, on a thread of its own. */
#include "modes.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Where all wait until all are warm. Where one cannot be started the others go home. */
typedef struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int32_t waiting;
    enum { SHUT, OPEN, GIVEN_UP } state;
} gate;

typedef struct stream {
    vj_job job; /* the model is another's */
    vj_times times;
    pthread_t thread;
    gate *gate;
    vj_status status;
} stream;

static bool wait_at(gate *g) {
    pthread_mutex_lock(&g->lock);
    g->waiting++;
    pthread_cond_broadcast(&g->changed);
    while (g->state == SHUT)
        pthread_cond_wait(&g->changed, &g->lock);
    const bool is_open = g->state == OPEN;
    pthread_mutex_unlock(&g->lock);
    return is_open;
}

/* When so many wait, unless it is given up. */
static void open_gate(gate *g, int32_t count, bool give_up) {
    pthread_mutex_lock(&g->lock);
    while (!give_up && g->waiting < count)
        pthread_cond_wait(&g->changed, &g->lock);
    g->state = give_up ? GIVEN_UP : OPEN;
    pthread_cond_broadcast(&g->changed);
    pthread_mutex_unlock(&g->lock);
}

static void *run_stream(void *self) {
    stream *s = self;
    const vj_command *c = s->job.command;
    s->status = vj_warm_up(vj_run_once, &s->job, c->seconds, &s->times);
    if (wait_at(s->gate) && s->status == VJ_OK)
        s->status = vj_take_times(vj_run_once, &s->job, c->seconds, c->iterations, &s->times);
    return NULL;
}

static vj_status join_times(const stream *streams, int32_t count, vj_times *all) {
    *all = (vj_times){.mixed = true, .warm_ms = streams[0].times.warm_ms, .begin_ms = streams[0].times.begin_ms};
    for (int32_t i = 0; i < count; i++)
        all->runs += streams[i].times.runs;
    all->ms = malloc((size_t)all->runs * sizeof *all->ms);
    if (!all->ms) return vj_print_error(VJ_SYSTEM, NULL, "no memory");
    int64_t at = 0;
    for (int32_t i = 0; i < count; i++) {
        const vj_times *s = &streams[i].times;
        memcpy(all->ms + at, s->ms, (size_t)s->runs * sizeof *s->ms);
        at += s->runs;
        all->warm_runs += s->warm_runs;
        if (s->begin_ms < all->begin_ms) all->begin_ms = s->begin_ms;
        if (s->end_ms > all->end_ms) all->end_ms = s->end_ms;
    }
    return VJ_OK;
}

static vj_status run_all(stream *streams, int32_t count) {
    gate g = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    int32_t started = 0;
    vj_status status = VJ_OK;
    for (; started < count && status == VJ_OK; started++) {
        streams[started].gate = &g;
        if (pthread_create(&streams[started].thread, NULL, run_stream, &streams[started]) == 0) continue;
        status = vj_print_error(VJ_SYSTEM, NULL, "no thread for stream %d of %d", (int)started + 1, (int)count);
        break;
    }
    open_gate(&g, started, status != VJ_OK);
    for (int32_t i = 0; i < started; i++) {
        pthread_join(streams[i].thread, NULL);
        if (streams[i].status) status = streams[i].status;
    }
    return status;
}

vj_status vj_time_streams(const vj_job *job, const vj_array *inputs, int32_t count, vj_times *all) {
    const int32_t number = (int32_t)job->command->streams;
    stream *streams = calloc((size_t)number, sizeof *streams);
    vj_status status = streams ? VJ_OK : vj_print_error(VJ_SYSTEM, NULL, "no memory for %d streams", (int)number);
    for (int32_t i = 0; i < number && status == VJ_OK; i++)
        status = vj_job_share(job, inputs, count, &streams[i].job);
    if (status == VJ_OK) status = run_all(streams, number);
    if (status == VJ_OK) status = join_times(streams, number, all);
    for (int32_t i = 0; streams && i < number; i++) {
        vj_job_leave(&streams[i].job);
        vj_times_free(&streams[i].times);
    }
    free(streams);
    return status;
}
