/* SPDX-License-Identifier: Apache-2.0 */
/* bench_pictures.c - --bench with pictures: from their files to their classes, batch after batch, in turn; by one caller or several. */
#include "modes.h"

#include <stdlib.h>

#include "vitjit_clock.h"

#include "runtime/runtime.h"

enum { TOP = 5 };
enum { DECODE, RUN, LABEL, PARTS }; /* of a run */

/* A caller's place in a room: a session of its model, and memory for what it takes and gives. */
typedef struct seat {
    vj_job job; /* the model is the room's */
    vj_loader loader;
    double *probabilities;
} seat;

/* One caller's way through the pictures, again and again. */
typedef struct way {
    vj_caller caller;
    const vj_bench_rooms *rooms;
    seat *seats; /* one in each room */
    int32_t next;
    vj_times parts[PARTS]; /* of each run that is timed */
    int64_t images;        /* of those runs, all together */
    double flops;
} way;

static vj_status add_one(way *w, seat *s, const vj_bench_guest *guest) {
    vj_opened_picture picture;
    const bool sized = w->rooms->range.is_range;
    vj_status status = vj_loader_read(w->rooms->command, guest->path, &picture);
    if (status == VJ_OK) status = vj_loader_put(&s->loader, &picture, sized ? guest->seen : NULL);
    vj_loader_drop(&picture);
    return status;
}

/* The next pictures of one size, as many as a batch takes. */
static vj_status load_batch(way *w, int32_t *room) {
    const vj_bench_guest *guests = w->rooms->guests;
    vj_status status = VJ_OK;
    *room = guests[w->next].room;
    seat *s = &w->seats[*room];
    s->loader.filled = 0;
    do {
        status = add_one(w, s, &guests[w->next]);
        w->next = (w->next + 1) % w->rooms->guest_count;
    } while (status == VJ_OK && s->loader.filled < s->loader.batch && guests[w->next].room == *room);
    return status;
}

static void label_batch(const seat *s, int64_t classes) {
    int32_t top[TOP];
    const int32_t k = classes < TOP ? (int32_t)classes : TOP;
    for (int64_t i = 0; i < s->loader.filled && classes; i++)
        vj_rank_classes(&s->job.outputs[0], i, classes, s->probabilities, top, k);
}

/* Times are kept as long as there is room for them. */
static void keep(vj_times *s, double ms) {
    double *more = realloc(s->ms, (size_t)(s->runs + 1) * sizeof *more);
    if (!more) return;
    s->ms = more;
    s->ms[s->runs++] = ms;
}

static void keep_parts(way *w, const seat *s, double decode_ms, double run_ms, double label_ms) {
    vj_model_stats stats = {.size = sizeof stats};
    keep(&w->parts[DECODE], decode_ms);
    keep(&w->parts[RUN], run_ms);
    keep(&w->parts[LABEL], label_ms);
    w->images += s->loader.filled;
    if (vj_model_get_stats(s->job.model, &stats) == VJ_OK) w->flops += stats.flops_per_image * (double)s->job.n;
}

static vj_status step(void *self) {
    way *w = self;
    int32_t room;
    const double begin = vj_clock_ms();
    vj_status status = load_batch(w, &room);
    const double loaded = vj_clock_ms();
    seat *s = &w->seats[room];
    const vj_bench_room *r = w->rooms->at[room];
    const vj_array input = vj_loader_batch(&s->loader);
    if (status == VJ_OK) status = vj_companions_bind(&r->companions, &s->loader, &input, &s->job);
    const double ran = vj_clock_ms();
    if (status == VJ_OK) label_batch(s, r->classes);
    if (status == VJ_OK && w->caller.timed) keep_parts(w, s, loaded - begin, ran - loaded, vj_clock_ms() - ran);
    return status;
}

static vj_status take_seat(const vj_bench_room *room, seat *s) {
    vj_status status = vj_job_join(&room->job, &s->job);
    if (status == VJ_OK) status = vj_bench_loader(room, &s->job, &s->loader);
    s->loader.silent = true;
    s->probabilities = malloc((size_t)(room->classes + 1) * sizeof *s->probabilities);
    return status == VJ_OK && !s->probabilities ? vj_print_error(VJ_SYSTEM, room->command->model, "no memory") : status;
}

/* Caller `i` of so many begins at its part of the pictures, so that not all read the same. */
static vj_status open_way(const vj_bench_rooms *rooms, int32_t i, int32_t callers, way *w) {
    *w = (way){.rooms = rooms, .caller = {.step = step}};
    w->caller.self = w;
    w->next = (int32_t)((int64_t)rooms->guest_count * i / callers);
    w->seats = calloc((size_t)rooms->count, sizeof *w->seats);
    vj_status status = w->seats ? VJ_OK : vj_print_error(VJ_SYSTEM, rooms->command->model, "no memory");
    for (int32_t k = 0; k < rooms->count && status == VJ_OK; k++)
        status = take_seat(rooms->at[k], &w->seats[k]);
    return status;
}

static void close_way(way *w) {
    for (int32_t k = 0; w->seats && k < w->rooms->count; k++) {
        vj_loader_free(&w->seats[k].loader);
        vj_job_leave(&w->seats[k].job);
        free(w->seats[k].probabilities);
    }
    free(w->seats);
    for (int32_t p = 0; p < PARTS; p++)
        vj_times_free(&w->parts[p]);
}

static double median_of(const way *ways, int32_t count, int32_t part) {
    double median = 0, *all;
    int64_t runs = 0, at = 0;
    for (int32_t i = 0; i < count; i++)
        runs += ways[i].parts[part].runs;
    if (runs == 0 || !(all = malloc((size_t)runs * sizeof *all))) return 0;
    for (int32_t i = 0; i < count; i++)
        for (int64_t k = 0; k < ways[i].parts[part].runs; k++)
            all[at++] = ways[i].parts[part].ms[k];
    median = vj_median(all, runs);
    free(all);
    return median;
}

static vj_status report(const vj_bench_rooms *rooms, const way *ways, int32_t count, vj_benched *b) {
    const vj_command *c = rooms->command;
    if (!vj_timing_of(&b->times, &b->timing)) return vj_print_error(VJ_SYSTEM, c->model, "no memory");
    vj_bench_model(b, &ways[0].seats[0].job);
    b->images = rooms->at[0]->loader.batch;
    b->streams = count;
    b->pictures = rooms->guest_count;
    b->sizes = rooms->count;
    b->done_images = b->done_flops = 0;
    for (int32_t i = 0; i < count; i++) {
        b->done_images += (double)ways[i].images;
        b->done_flops += ways[i].flops;
    }
    b->decode_ms = median_of(ways, count, DECODE);
    b->run_ms = median_of(ways, count, RUN);
    b->label_ms = median_of(ways, count, LABEL);
    vj_print_benched(c, b);
    return vj_print_bench_stats(c, &b->stats, b, NULL);
}

static vj_status bench(const vj_bench_rooms *rooms, vj_benched *b) {
    const int32_t count = rooms->command->streams ? (int32_t)rooms->command->streams : 1;
    way *ways = calloc((size_t)count, sizeof *ways);
    vj_caller **callers = calloc((size_t)count, sizeof *callers);
    vj_status status = VJ_OK;
    if (!ways || !callers) status = vj_print_error(VJ_SYSTEM, NULL, "no memory for %d streams", (int)count);
    for (int32_t i = 0; i < count && status == VJ_OK; i++) {
        status = open_way(rooms, i, count, &ways[i]);
        callers[i] = &ways[i].caller;
    }
    if (status == VJ_OK) status = vj_time_callers(rooms->command, callers, count, &b->times);
    if (status == VJ_OK) status = report(rooms, ways, count, b);
    for (int32_t i = 0; ways && i < count; i++)
        close_way(&ways[i]);
    free(callers);
    free(ways);
    return status;
}

vj_status vj_run_bench_pictures(const vj_command *given) {
    vj_command command = *given;
    vj_bench_rooms rooms;
    vj_benched b = {.stats = {0}};
    vj_status worst = VJ_OK;
    if (command.streams > 1 && !command.threads) command.threads = 1; /* a stream is a thread */
    vj_status status = vj_bench_rooms_open(&command, &rooms, &worst);
    if (status == VJ_OK && rooms.guest_count) status = bench(&rooms, &b);
    vj_times_free(&b.times);
    vj_bench_rooms_close(&rooms);
    return status ? status : worst;
}
