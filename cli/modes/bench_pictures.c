/* SPDX-License-Identifier: Apache-2.0 */
/* bench_pictures.c - --bench with pictures: from their files to their classes, batch after batch, in turn. */
#include "modes.h"

#include <stdlib.h>

#include "vitjit_clock.h"

#include "runtime/runtime.h"

enum { TOP = 5 };

/* One after another, for ever: those that cannot be read are left out. */
typedef struct way {
    const vj_command *command;
    vj_job job;
    vj_loader loader;
    vj_paths paths;
    int32_t next;
    int64_t classes; /* of a single output [N, C]; 0: the way ends with the run */
    double *probabilities;
    vj_times decode, run, label; /* the parts of each run, while they are wanted */
    bool wanted;
} way;

static vj_status load_batch(way *w) {
    vj_status status = VJ_OK;
    w->loader.filled = 0;
    while (status == VJ_OK && w->loader.filled < w->loader.batch) {
        status = vj_loader_add(&w->loader, w->paths.at[w->next]);
        w->next = (w->next + 1) % w->paths.count;
    }
    return status;
}

static void label_batch(way *w) {
    int32_t top[TOP];
    const int32_t k = w->classes < TOP ? (int32_t)w->classes : TOP;
    for (int64_t i = 0; i < w->loader.filled && w->classes; i++)
        vj_rank_classes(&w->job.outputs[0], i, w->classes, w->probabilities, top, k);
}

/* Times are kept as long as there is room for them. */
static void keep(vj_times *s, double ms) {
    double *more = realloc(s->ms, (size_t)(s->runs + 1) * sizeof *more);
    if (!more) return;
    s->ms = more;
    s->ms[s->runs++] = ms;
}

static vj_status step(void *self) {
    way *w = self;
    const double begin = vj_clock_ms();
    vj_status status = load_batch(w);
    const double loaded = vj_clock_ms();
    const vj_array input = vj_loader_batch(&w->loader);
    if (status == VJ_OK) status = vj_job_bind(&w->job, &input, 1);
    if (status == VJ_OK) status = vj_job_run(&w->job);
    const double ran = vj_clock_ms();
    if (status == VJ_OK) label_batch(w);
    if (status == VJ_OK && w->wanted) {
        keep(&w->decode, loaded - begin);
        keep(&w->run, ran - loaded);
        keep(&w->label, vj_clock_ms() - ran);
    }
    return status;
}

/* Each is read once before: what cannot be is said once. */
static vj_status leave_bad_out(way *w, vj_status *worst) {
    int32_t good = 0;
    for (int32_t i = 0; i < w->paths.count; i++) {
        w->loader.filled = 0;
        const vj_status status = vj_loader_add(&w->loader, w->paths.at[i]);
        if (status == VJ_SYSTEM) return status;
        if (status == VJ_OK) {
            char *path = w->paths.at[good];
            w->paths.at[good++] = w->paths.at[i];
            w->paths.at[i] = path;
        } else {
            *worst = status;
        }
    }
    for (int32_t i = good; i < w->paths.count; i++)
        free(w->paths.at[i]);
    w->paths.count = good;
    return good ? VJ_OK : *worst;
}

static vj_status open_way(way *w, vj_status *worst) {
    vj_status status = vj_job_open(w->command, NULL, 0, &w->job);
    if (status == VJ_OK) status = vj_loader_open(w->command, &w->job, 0, &w->loader);
    if (status) return status;
    vj_loader_announce(&w->loader);
    const vj_tensor_info *t = &w->job.model->outputs[0];
    if (vj_output_count(w->job.model) == 1 && vj_are_class_rows(t)) w->classes = t->dims[1];
    w->probabilities = malloc((size_t)(w->classes + 1) * sizeof *w->probabilities);
    if (!w->probabilities) return vj_print_error(VJ_SYSTEM, w->command->model, "no memory");
    return leave_bad_out(w, worst);
}

static double median_of(const vj_times *times) {
    vj_timing timing = {0};
    return vj_timing_of(times, &timing) ? timing.median_ms : 0;
}

static vj_status bench(way *w, vj_benched *b) {
    const vj_command *c = w->command;
    vj_status status = vj_warm_up(step, w, c->seconds, &b->times);
    w->wanted = true;
    if (status == VJ_OK) status = vj_take_times(step, w, c->seconds, c->iterations, &b->times);
    if (status) return status;
    if (!vj_timing_of(&b->times, &b->timing)) return vj_print_error(VJ_SYSTEM, c->model, "no memory");
    vj_bench_model(b, &w->job);
    b->images = w->loader.batch;
    b->pictures = w->paths.count;
    b->decode_ms = median_of(&w->decode);
    b->run_ms = median_of(&w->run);
    b->label_ms = median_of(&w->label);
    vj_print_benched(c, b);
    return vj_print_bench_stats(c, &b->stats, b, NULL);
}

vj_status vj_run_bench_pictures(const vj_command *command) {
    way w = {.command = command};
    vj_benched b = {.streams = 1};
    vj_status worst = vj_paths_find(command, &w.paths), status = worst == VJ_SYSTEM ? worst : VJ_OK;
    if (status == VJ_OK && w.paths.count > 0) {
        status = open_way(&w, &worst);
        if (status == VJ_OK) status = bench(&w, &b);
    }
    free(w.probabilities);
    vj_times_free(&b.times);
    vj_times_free(&w.decode);
    vj_times_free(&w.run);
    vj_times_free(&w.label);
    vj_loader_free(&w.loader);
    vj_job_close(&w.job);
    vj_paths_free(&w.paths);
    return status ? status : worst;
}
