/* SPDX-License-Identifier: Apache-2.0 */
/* progress.c - a line on the terminal that says how long work has been going on, from a thread of its own: the work may
 * be one long call. */
#include "command.h"

#include <pthread.h>
#include <time.h>

#include "vitjit_clock.h"
#include <unistd.h>

/* Work shorter than this says nothing. */
#define AFTER_MS 700
#define EVERY_MS 100

static struct {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    pthread_t thread;
    const char *what;
    double began;
    bool running, stop;
} progress = {.lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER};

static bool quiet; /* of the process: its standard error */

void vj_set_quiet(void) { quiet = true; }
bool vj_is_quiet(void) { return quiet; }

static struct timespec in_ms(long ms) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_nsec += ms * 1000000;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    return t;
}

static void *show(void *self) {
    (void)self;
    bool shown = false;
    pthread_mutex_lock(&progress.lock);
    while (!progress.stop) {
        const struct timespec until = in_ms(shown ? EVERY_MS : AFTER_MS);
        pthread_cond_timedwait(&progress.ended, &progress.lock, &until);
        const double ms = vj_clock_ms() - progress.began;
        if (progress.stop || ms < AFTER_MS) continue;
        fprintf(stderr, "\r\033[K%s, %.1f s", progress.what, ms * 1e-3);
        fflush(stderr);
        shown = true;
    }
    if (shown) fputs("\r\033[K", stderr);
    pthread_mutex_unlock(&progress.lock);
    return NULL;
}

void vj_progress_begin(const char *what) {
    vj_progress_end();
    if (quiet || !isatty(STDERR_FILENO)) return;
    progress.what = what;
    progress.began = vj_clock_ms();
    progress.stop = false;
    progress.running = pthread_create(&progress.thread, NULL, show, NULL) == 0;
}

void vj_progress_end(void) {
    if (!progress.running) return;
    pthread_mutex_lock(&progress.lock);
    progress.stop = true;
    pthread_cond_signal(&progress.ended);
    pthread_mutex_unlock(&progress.lock);
    pthread_join(progress.thread, NULL);
    progress.running = false;
}
