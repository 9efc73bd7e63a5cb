/* SPDX-License-Identifier: Apache-2.0 */
/* pool.c - threads that run the steps of a job together; every step is cut into parts, and ends before the next begins.
 *
 * Parts are claimed, not assigned. Each thread begins with a range of its own, so that the usual case touches one cache
 * line nobody else writes; whoever has finished takes parts from the others' ranges. A step is over when its parts are
 * done, whoever did them: the caller never waits for a thread that has not begun a part, be it asleep, descheduled or
 * lost in a fork. Whoever ends the last part of a step opens the next one.
 *
 * Steps are numbered through the pool's life. A range is one word, (number of the step, next part), changed by
 * compare-and-swap only: a thread that comes late finds another number there and cannot claim what is no longer its
 * step's. A word with an older number stands for a range from which nobody has taken yet.
 *
 * Callers that found the pool busy work alone meanwhile, as its guests. There are to be no more threads at work than the
 * pool has: for each guest a worker (those of the highest numbers first) takes no more parts, but waits at the gate
 * until there are fewer guests. A pool with as many guests as workers refuses further jobs: they are guests too.
 *
 * Waiting spins for a short while and then sleeps on a futex. It never calls sched_yield: on a busy machine that gives
 * away a whole time slice, milliseconds, where the wait would have lasted microseconds.
 *
 * Some systems, virtual machines above all, put a thread that is created or woken behind the one that did so, on the same
 * CPU, and part them only milliseconds later: as long as a small model takes. New threads therefore begin on another CPU
 * than their creator's (they may go where they like from then on), and spin longer for their first job, which is near.
 */
#include "pool.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vitjit_clock.h"

#define SPIN_NS       100000  /* several times what a part takes; far below what a user would notice as load */
#define FIRST_SPIN_NS 3000000 /* of a new thread; making its pool and binding a model take one or two milliseconds */
#define PART_BITS     20      /* of a range's word; the other 44 bits number the steps, enough for years */
#define PART_MASK     ((UINT64_C(1) << PART_BITS) - 1)
#define MOST_THREADS  1024

typedef struct range {
    _Alignas(64) _Atomic uint64_t word;
} range;

typedef struct seat {
    vj_pool *pool;
    int32_t number;
    pthread_t thread;
    bool has_affinity;
    cpu_set_t allowed; /* when it has one: what it may use once it runs */
} seat;

struct vj_pool {
    _Alignas(64) _Atomic uint64_t now; /* the step under way, or the end of the last job */
    atomic_int sleepers;
    atomic_uint bell; /* what sleepers sleep on */
    _Alignas(64) atomic_int guests;
    atomic_int parked;            /* workers at the gate */
    atomic_uint gate;             /* what they sleep on */
    _Alignas(64) atomic_int done; /* parts of this step */
    /* The job. Written after every range has a number of the new job's, so whoever sees a new value here and comes from
     * an older step finds nothing to claim. */
    _Alignas(64) _Atomic(vj_step) step;
    _Atomic(void *) arg;
    _Atomic uint64_t begin, end; /* numbers of its first step and of the one after its last */
    _Atomic int32_t first, parts;
    _Alignas(64) atomic_flag busy;
    atomic_bool ending;
    int32_t threads; /* the caller's included */
    int64_t spin_ns;
    pid_t owner; /* threads are lost in a fork */
    range *ranges;
    seat *seats;
};

static void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield" ::: "memory");
#else
    __asm__ volatile("" ::: "memory");
#endif
}

static uint64_t step_now(vj_pool *pool) { return atomic_load_explicit(&pool->now, memory_order_acquire); }

static void sleep_while(vj_pool *pool, uint64_t step) {
    atomic_fetch_add(&pool->sleepers, 1);
    for (;;) {
        unsigned bell = atomic_load(&pool->bell);
        if (atomic_load(&pool->now) != step) break;
        syscall(SYS_futex, &pool->bell, FUTEX_WAIT_PRIVATE, bell, NULL, NULL, 0);
    }
    atomic_fetch_sub(&pool->sleepers, 1);
}

/* Are there too many guests for this thread to work? Never for the job's own caller, number 0. */
static bool is_crowded(vj_pool *pool, int32_t number) {
    return number > 0 && atomic_load(&pool->guests) >= pool->threads - number;
}

static void park_while_crowded(vj_pool *pool, int32_t number) {
    atomic_fetch_add(&pool->parked, 1);
    for (;;) {
        unsigned gate = atomic_load(&pool->gate);
        if (!is_crowded(pool, number) || atomic_load(&pool->ending)) break;
        syscall(SYS_futex, &pool->gate, FUTEX_WAIT_PRIVATE, gate, NULL, NULL, 0);
    }
    atomic_fetch_sub(&pool->parked, 1);
}

static void open_gate(vj_pool *pool) {
    if (atomic_load(&pool->parked) == 0) return;
    atomic_fetch_add(&pool->gate, 1);
    syscall(SYS_futex, &pool->gate, FUTEX_WAKE_PRIVATE, 1 << 30, NULL, NULL, 0);
}

static void wait_while(vj_pool *pool, uint64_t step, int64_t spin_ns) {
    int64_t end = 0;
    for (unsigned turn = 1; spin_ns > 0; turn++) {
        if (step_now(pool) != step) return;
        relax();
        if (turn % 32 != 0) continue;
        int64_t now = vj_clock_ns();
        if (end == 0) end = now + spin_ns;
        if (now >= end) break;
    }
    sleep_while(pool, step);
}

static void open_step(vj_pool *pool, uint64_t step) {
    atomic_store_explicit(&pool->done, 0, memory_order_relaxed);
    atomic_store(&pool->now, step);
    if (atomic_load(&pool->sleepers) == 0) return;
    atomic_fetch_add(&pool->bell, 1);
    syscall(SYS_futex, &pool->bell, FUTEX_WAKE_PRIVATE, 1 << 30, NULL, NULL, 0);
}

/* The next part of a range in this step, or -1. */
static int32_t claim(vj_pool *pool, int32_t owner, uint64_t step, int32_t parts) {
    _Atomic uint64_t *word = &pool->ranges[owner].word;
    const uint64_t from = (uint64_t)parts * (uint64_t)owner / (uint64_t)pool->threads;
    const uint64_t to = (uint64_t)parts * (uint64_t)(owner + 1) / (uint64_t)pool->threads;
    uint64_t seen = atomic_load_explicit(word, memory_order_relaxed);
    for (;;) {
        if (seen >> PART_BITS > step) return -1;
        uint64_t next = seen >> PART_BITS == step ? seen & PART_MASK : from;
        if (next >= to) return -1;
        if (atomic_compare_exchange_weak_explicit(word, &seen, step << PART_BITS | (next + 1), memory_order_acq_rel,
                                                  memory_order_relaxed))
            return (int32_t)next;
    }
}

/* All that is left of a step, own parts first. */
static void take_part(vj_pool *pool, int32_t self, uint64_t step) {
    const uint64_t begin = atomic_load_explicit(&pool->begin, memory_order_acquire);
    const uint64_t end = atomic_load_explicit(&pool->end, memory_order_acquire);
    const int32_t parts = atomic_load_explicit(&pool->parts, memory_order_acquire);
    const int32_t first = atomic_load_explicit(&pool->first, memory_order_acquire);
    const vj_step work = atomic_load_explicit(&pool->step, memory_order_acquire);
    void *arg = atomic_load_explicit(&pool->arg, memory_order_acquire);
    if (step < begin || step >= end) return;
    int32_t did = 0;
    for (int32_t k = 0; k < pool->threads; k++) {
        const int32_t owner = self + k < pool->threads ? self + k : self + k - pool->threads;
        for (int32_t part; !is_crowded(pool, self) && (part = claim(pool, owner, step, parts)) >= 0; did++)
            work(arg, first + (int32_t)(step - begin), part, parts);
    }
    if (did && atomic_fetch_add_explicit(&pool->done, did, memory_order_acq_rel) + did == parts)
        open_step(pool, step + 1);
}

static void *worker(void *self) {
    const seat *s = self;
    if (s->has_affinity) sched_setaffinity(0, sizeof s->allowed, &s->allowed);
    for (uint64_t step = 0;;) {
        const bool is_new = step == 0 && s->pool->spin_ns > 0;
        wait_while(s->pool, step, is_new ? FIRST_SPIN_NS : s->pool->spin_ns);
        if (is_crowded(s->pool, s->number)) park_while_crowded(s->pool, s->number);
        step = step_now(s->pool);
        if (atomic_load(&s->pool->ending)) return NULL;
        take_part(s->pool, s->number, step);
    }
}

/* On any CPU but this one, where there are others. */
static void set_affinity(seat *s, pthread_attr_t *attributes) {
    const int here = sched_getcpu();
    if (here < 0 || sched_getaffinity(0, sizeof s->allowed, &s->allowed) != 0) return;
    cpu_set_t others = s->allowed;
    CPU_CLR((unsigned)here, &others);
    s->has_affinity = CPU_COUNT(&others) > 0 && pthread_attr_setaffinity_np(attributes, sizeof others, &others) == 0;
}

static bool start(seat *s) {
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0) return false;
    set_affinity(s, &attributes);
    const bool started = pthread_create(&s->thread, &attributes, worker, s) == 0;
    pthread_attr_destroy(&attributes);
    return started || pthread_create(&s->thread, NULL, worker, s) == 0; /* placing may be forbidden */
}

vj_pool *vj_pool_new(int32_t threads) {
    if (threads < 1) threads = vj_cpu_available();
    if (threads > MOST_THREADS) threads = MOST_THREADS;
    vj_pool *pool = aligned_alloc(64, sizeof *pool);
    range *ranges = aligned_alloc(64, (size_t)threads * sizeof *ranges);
    seat *seats = calloc((size_t)threads, sizeof *seats);
    if (!pool || !ranges || !seats) {
        free(pool);
        free(ranges);
        free(seats);
        return NULL;
    }
    *pool = (vj_pool){.busy = ATOMIC_FLAG_INIT, .owner = getpid(), .ranges = ranges, .seats = seats};
    pool->spin_ns = threads <= vj_cpu_available() ? SPIN_NS : 0;
    for (int32_t i = 0; i < threads; i++)
        atomic_init(&ranges[i].word, 0);
    int32_t made = 1;
    for (; made < threads; made++) {
        seats[made] = (seat){.pool = pool, .number = made};
        if (!start(&seats[made])) break;
    }
    pool->threads = made; /* workers read it when the first step is open */
    return pool;
}

void vj_pool_free(vj_pool *pool) {
    if (!pool) return;
    if (pool->owner == getpid()) {
        atomic_store(&pool->ending, true);
        open_gate(pool);
        open_step(pool, step_now(pool) + 1);
        for (int32_t i = 1; i < pool->threads; i++)
            pthread_join(pool->seats[i].thread, NULL);
    }
    free(pool->ranges);
    free(pool->seats);
    free(pool);
}

int32_t vj_pool_size(const vj_pool *pool) { return pool->threads; }

static uint64_t publish_job(vj_pool *pool, vj_step step, void *arg, int32_t first, int32_t last, int32_t parts) {
    const uint64_t begin = step_now(pool) + 1, end = begin + (uint64_t)(last - first);
    for (int32_t i = 0; i < pool->threads; i++) {
        const uint64_t from = (uint64_t)parts * (uint64_t)i / (uint64_t)pool->threads;
        atomic_store_explicit(&pool->ranges[i].word, begin << PART_BITS | from, memory_order_relaxed);
    }
    atomic_store_explicit(&pool->step, step, memory_order_release);
    atomic_store_explicit(&pool->arg, arg, memory_order_release);
    atomic_store_explicit(&pool->first, first, memory_order_release);
    atomic_store_explicit(&pool->parts, parts, memory_order_release);
    atomic_store_explicit(&pool->begin, begin, memory_order_release);
    atomic_store_explicit(&pool->end, end, memory_order_release);
    open_step(pool, begin);
    return end;
}

bool vj_pool_try(vj_pool *pool, vj_step step, void *arg, int32_t first, int32_t last, int32_t parts) {
    if (first >= last || parts < 1) return true;
    if ((uint64_t)parts >= PART_MASK) return false;
    if (pool->threads > 1 && is_crowded(pool, 1)) return false;
    if (atomic_flag_test_and_set_explicit(&pool->busy, memory_order_acquire)) return false;
    const uint64_t end = publish_job(pool, step, arg, first, last, parts);
    for (uint64_t at; (at = step_now(pool)) < end;) {
        take_part(pool, 0, at);
        if (step_now(pool) == at) wait_while(pool, at, pool->spin_ns);
    }
    atomic_flag_clear_explicit(&pool->busy, memory_order_release);
    return true;
}

void vj_pool_alone(vj_pool *pool, void (*work)(void *arg), void *arg) {
    atomic_fetch_add(&pool->guests, 1);
    work(arg);
    atomic_fetch_sub(&pool->guests, 1);
    open_gate(pool);
}

typedef struct call {
    void (*task)(void *arg, int32_t part);
    void *arg;
    int32_t parts;
} call;

static void one_task(void *self, int32_t i, int32_t part, int32_t parts) {
    const call *c = self;
    (void)i;
    (void)parts;
    c->task(c->arg, part);
}

static void all_tasks(void *self) {
    const call *c = self;
    for (int32_t part = 0; part < c->parts; part++)
        c->task(c->arg, part);
}

static void run(void *self, void (*task)(void *arg, int32_t part), void *arg, int32_t parts) {
    call c = {task, arg, parts};
    if (!vj_pool_try(self, one_task, &c, 0, 1, parts)) vj_pool_alone(self, all_tasks, &c);
}

vj_threads vj_pool_threads(vj_pool *pool) { return (vj_threads){.self = pool, .parts = pool->threads, .run = run}; }
