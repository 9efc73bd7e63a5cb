/* SPDX-License-Identifier: Apache-2.0 */
/* streams.c - times of a caller, or with --streams of several at once, each on a thread of its own. */
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
    const vj_command *command;
    vj_caller *caller;
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

static vj_status warm_up(const vj_command *command, vj_caller *caller) {
    return vj_warm_up(caller->step, caller->self, command->seconds, &caller->times);
}

static vj_status take_times(const vj_command *command, vj_caller *caller) {
    caller->timed = true;
    return vj_take_times(caller->step, caller->self, command->seconds, command->iterations, &caller->times);
}

static void *run_stream(void *self) {
    stream *s = self;
    s->status = warm_up(s->command, s->caller);
    if (wait_at(s->gate) && s->status == VJ_OK) s->status = take_times(s->command, s->caller);
    return NULL;
}

static vj_status join_times(vj_caller *const *callers, int32_t count, vj_times *all) {
    const vj_times *first = &callers[0]->times;
    *all = (vj_times){.mixed = true, .warm_ms = first->warm_ms, .begin_ms = first->begin_ms};
    for (int32_t i = 0; i < count; i++)
        all->runs += callers[i]->times.runs;
    all->ms = malloc((size_t)all->runs * sizeof *all->ms);
    if (!all->ms) return vj_print_error(VJ_SYSTEM, NULL, "no memory");
    int64_t at = 0;
    for (int32_t i = 0; i < count; i++) {
        const vj_times *s = &callers[i]->times;
        memcpy(all->ms + at, s->ms, (size_t)s->runs * sizeof *s->ms);
        at += s->runs;
        all->warm_runs += s->warm_runs;
        if (s->begin_ms < all->begin_ms) all->begin_ms = s->begin_ms;
        if (s->end_ms > all->end_ms) all->end_ms = s->end_ms;
    }
    return VJ_OK;
}

static vj_status run_all(const vj_command *command, vj_caller *const *callers, stream *streams, int32_t count) {
    gate g = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    int32_t started = 0;
    vj_status status = VJ_OK;
    for (; started < count && status == VJ_OK; started++) {
        stream *s = &streams[started];
        *s = (stream){.command = command, .caller = callers[started], .gate = &g};
        if (pthread_create(&s->thread, NULL, run_stream, s) == 0) continue;
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

/* One alone is on the caller's own thread, and its runs keep their order. */
static vj_status time_one(const vj_command *command, vj_caller *caller, vj_times *all) {
    vj_status status = warm_up(command, caller);
    if (status == VJ_OK) status = take_times(command, caller);
    *all = caller->times;
    caller->times = (vj_times){0};
    return status;
}

vj_status vj_time_callers(const vj_command *command, vj_caller *const *callers, int32_t count, vj_times *all) {
    if (count == 1) return time_one(command, callers[0], all);
    stream *streams = calloc((size_t)count, sizeof *streams);
    vj_status status = streams ? VJ_OK : vj_print_error(VJ_SYSTEM, NULL, "no memory for %d streams", (int)count);
    if (status == VJ_OK) status = run_all(command, callers, streams, count);
    if (status == VJ_OK) status = join_times(callers, count, all);
    for (int32_t i = 0; i < count; i++)
        vj_times_free(&callers[i]->times);
    free(streams);
    return status;
}
