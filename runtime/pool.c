/* pool.c - threads that run the steps of a job together, with a barrier after each step.
 *
 * The caller is part 0. Waiting spins for a short while and then sleeps on a futex; when there are more parts than CPUs
 * nobody spins, since the one waited for may need the CPU. A job claims all workers or none. After a fork the child has
 * no workers: it must not run models of its parent.
 */
#include "runtime.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SPIN_NS 200000 /* longer than any wait inside a balanced run; shorter than what a user would notice as load */

/* A number that changes, and those who sleep until it does. */
typedef struct bell {
    _Alignas(64) atomic_uint value;
    atomic_int sleepers;
} bell;

struct vj_pool {
    bell start;   /* a new job */
    bell barrier; /* a step is over */
    _Alignas(64) atomic_int arrived;
    _Alignas(64) atomic_flag busy;
    atomic_bool ending;
    int32_t parts;
    int64_t spin_ns;
    vj_step step;
    void *arg;
    int32_t first, last;
    pthread_t *threads;
};

typedef struct seat {
    vj_pool *pool;
    int32_t part;
} seat;

static void relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    __asm__ volatile("" ::: "memory");
#endif
}

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void bell_wait(bell *b, unsigned old, int64_t spin_ns) {
    if (spin_ns > 0) {
        int64_t end = 0;
        for (unsigned turn = 1;; turn++) {
            if (atomic_load_explicit(&b->value, memory_order_acquire) != old) return;
            relax();
            if (turn % 64 == 0) {
                int64_t now = now_ns();
                if (end == 0) end = now + spin_ns;
                if (now >= end) break;
                if (turn >= 512) sched_yield(); /* the one waited for may be queued behind us on this CPU */
            }
        }
    }
    while (atomic_load(&b->value) == old) {
        atomic_fetch_add(&b->sleepers, 1);
        syscall(SYS_futex, &b->value, FUTEX_WAIT_PRIVATE, old, NULL, NULL, 0);
        atomic_fetch_sub(&b->sleepers, 1);
    }
}

static void bell_ring(bell *b) {
    atomic_fetch_add(&b->value, 1);
    if (atomic_load(&b->sleepers) > 0) syscall(SYS_futex, &b->value, FUTEX_WAKE_PRIVATE, 1 << 30, NULL, NULL, 0);
}

static void barrier(vj_pool *pool) {
    unsigned old = atomic_load_explicit(&pool->barrier.value, memory_order_acquire);
    if (atomic_fetch_add(&pool->arrived, 1) + 1 == pool->parts) {
        atomic_store(&pool->arrived, 0);
        bell_ring(&pool->barrier);
    } else {
        bell_wait(&pool->barrier, old, pool->spin_ns);
    }
}

static void work(vj_pool *pool, int32_t part) {
    int32_t last = pool->last; /* the job may be replaced once the last barrier is passed */
    for (int32_t i = pool->first; i < last; i++) {
        pool->step(pool->arg, i, part, pool->parts);
        barrier(pool);
    }
}

static void *worker(void *self) {
    seat s = *(seat *)self;
    free(self);
    unsigned seen = 0; /* the bell starts at 0 */
    for (;;) {
        bell_wait(&s.pool->start, seen, s.pool->spin_ns);
        seen++;
        if (atomic_load(&s.pool->ending)) return NULL;
        work(s.pool, s.part);
    }
}

static bool start_worker(vj_pool *pool, int32_t part) {
    seat *s = malloc(sizeof *s);
    if (!s) return false;
    *s = (seat){pool, part};
    if (pthread_create(&pool->threads[part], NULL, worker, s) == 0) return true;
    free(s);
    return false;
}

vj_pool *vj_pool_new(int32_t parts) {
    vj_pool *pool = aligned_alloc(64, (sizeof *pool + 63) / 64 * 64);
    if (!pool) return NULL;
    *pool = (vj_pool){.busy = ATOMIC_FLAG_INIT, .parts = parts};
    pool->spin_ns = parts <= vj_cpu_available() ? SPIN_NS : 0;
    pool->threads = calloc((size_t)parts, sizeof *pool->threads);
    if (!pool->threads) {
        free(pool);
        return NULL;
    }
    int32_t made = 1;
    while (made < parts && start_worker(pool, made))
        made++;
    pool->parts = made; /* workers read it after the first start only */
    return pool;
}

void vj_pool_free(vj_pool *pool) {
    if (!pool) return;
    atomic_store(&pool->ending, true);
    bell_ring(&pool->start);
    for (int32_t i = 1; i < pool->parts; i++)
        pthread_join(pool->threads[i], NULL);
    free(pool->threads);
    free(pool);
}

int32_t vj_pool_parts(const vj_pool *pool) { return pool->parts; }

bool vj_pool_try(vj_pool *pool, vj_step step, void *arg, int32_t first, int32_t last) {
    if (first >= last) return true;
    if (atomic_flag_test_and_set_explicit(&pool->busy, memory_order_acquire)) return false;
    pool->step = step;
    pool->arg = arg;
    pool->first = first;
    pool->last = last;
    bell_ring(&pool->start);
    work(pool, 0);
    atomic_flag_clear_explicit(&pool->busy, memory_order_release);
    return true;
}
