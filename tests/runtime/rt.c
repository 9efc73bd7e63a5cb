/* SPDX-License-Identifier: Apache-2.0 */
/* rt.c - tests libvitjit_rt alone: the public pool under load and in forked processes, and mapped weights. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include <pthread.h>

#include "vitjit_digest.h"
#include "vitjit_image.h"
#include "vitjit_rt.h"

#define TASKS 37

typedef struct tally {
    atomic_int times[TASKS];
} tally;

static void count(void *arg, int32_t part) { atomic_fetch_add(&((tally *)arg)->times[part], 1); }

static bool each_once(const vj_threads *threads, int32_t parts) {
    tally t = {0};
    threads->run(threads->self, count, &t, parts);
    for (int32_t i = 0; i < TASKS; i++)
        if (atomic_load(&t.times[i]) != (i < parts)) return false;
    return true;
}

static void every_task_runs_once(void **state) {
    (void)state;
    for (int32_t size = 0; size <= 5; size++) {
        vj_pool *pool = vj_pool_new(size);
        assert_non_null(pool);
        vj_threads threads = vj_pool_threads(pool);
        assert_int_equal(threads.parts, size ? size : vj_cpu_available());
        for (int32_t round = 0; round < 200; round++)
            assert_true(each_once(&threads, round % (TASKS + 1)));
        vj_pool_free(pool);
    }
}

typedef struct caller {
    const vj_threads *threads;
    atomic_int wrong;
} caller;

static void *call_often(void *self) {
    caller *c = self;
    for (int32_t round = 0; round < 300; round++)
        if (!each_once(c->threads, TASKS)) atomic_fetch_add(&c->wrong, 1);
    return NULL;
}

/* One caller has the pool; the others do their tasks alone. None waits for another. */
static void callers_share_a_pool(void **state) {
    (void)state;
    vj_pool *pool = vj_pool_new(2);
    vj_threads threads = vj_pool_threads(pool);
    caller c = {.threads = &threads};
    pthread_t others[3];
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&others[i], NULL, call_often, &c), 0);
    call_often(&c);
    for (int i = 0; i < 3; i++)
        pthread_join(others[i], NULL);
    assert_int_equal(atomic_load(&c.wrong), 0);
    vj_pool_free(pool);
}

static void sleepers_wake(void **state) {
    (void)state;
    vj_pool *pool = vj_pool_new(3);
    vj_threads threads = vj_pool_threads(pool);
    for (int32_t round = 0; round < 20; round++) {
        usleep(2000); /* longer than any spinning */
        assert_true(each_once(&threads, TASKS));
    }
    vj_pool_free(pool);
}

#if !defined(__SANITIZE_THREAD__) /* which does not allow threads after a fork */
static void child_of_a_fork_goes_on_alone(void **state) {
    (void)state;
    vj_pool *pool = vj_pool_new(3);
    vj_threads threads = vj_pool_threads(pool);
    assert_true(each_once(&threads, TASKS));
    const pid_t child = fork();
    if (child == 0) {
        alarm(10);
        bool right = true;
        for (int32_t round = 0; round < 50; round++)
            right &= each_once(&threads, TASKS);
        vj_pool_free(pool);
        _exit(!right);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(each_once(&threads, TASKS));
    vj_pool_free(pool);
}
#endif

static void affinity_counts(void **state) {
    (void)state;
    cpu_set_t was, one;
    assert_int_equal(sched_getaffinity(0, sizeof was, &was), 0);
    CPU_ZERO(&one);
    for (size_t i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++)
        if (CPU_ISSET(i, &was)) CPU_SET(i, &one);
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0);
    const int32_t now = vj_cpu_available();
    vj_pool *pool = vj_pool_new(4); /* four threads on one CPU: slow, never stuck */
    vj_threads threads = vj_pool_threads(pool);
    bool right = true;
    for (int32_t round = 0; round < 50; round++)
        right &= each_once(&threads, TASKS);
    vj_pool_free(pool);
    sched_setaffinity(0, sizeof was, &was);
    assert_int_equal(now, 1);
    assert_true(right);
}

static void weights_are_mapped(void **state) {
    (void)state;
    char name[] = "/tmp/vitjit-rt-XXXXXX";
    const int fd = mkstemp(name);
    assert_int_equal(write(fd, "weights", 7), 7);
    close(fd);
    size_t bytes = 0;
    const void *at = vj_weights_open(name, &bytes);
    assert_non_null(at);
    assert_int_equal(bytes, 7);
    assert_memory_equal(at, "weights", 7);
    vj_weights_close(at, bytes);
    unlink(name);
    assert_null(vj_weights_open(name, &bytes));
}

static const vj_cpu_variant any_cpu = {"any", 0, 0, 0}, no_cpu = {"none", UINT64_C(1) << 62, 0, 0};
static const vj_model object = {.abi = VJ_MODEL_ABI,
                                .header_size = sizeof(vj_model),
                                .cpu = "a CPU",
                                .cpu_count = 1,
                                .cpus = &any_cpu,
                                .max_batch = 8,
                                .weights_bytes = 640,
                                .weights_alignment = 64,
                                .scratch_fixed = 64,
                                .scratch_per_image = 128,
                                .weights_digest = {1, 2}};

static void expect_status(int got, int want, const char *text) {
    if (got != want || !strstr(vj_error_message(), text)) fail_msg("%d, '%s'", got, vj_error_message());
}

static void objects_are_checked(void **state) {
    (void)state;
    static _Alignas(64) char scratch[64 + 3 * 128 + 64];
    assert_int_equal(vj_object_check(&object, 3, 3, scratch, 64 + 3 * 128), VJ_RUN_OK);
    assert_int_equal(vj_object_check(&object, 8, 1, scratch, 64 + 128), VJ_RUN_OK);
    expect_status(vj_object_check(&object, 3, 8, scratch, 64 + 3 * 128 - 1), VJ_RUN_BAD_ARGUMENT, "448 are needed");
    expect_status(vj_object_check(&object, 1, 1, scratch + 32, 256), VJ_RUN_BAD_ARGUMENT, "aligned to 64");
    expect_status(vj_object_check(&object, 1, 1, NULL, 256), VJ_RUN_BAD_ARGUMENT, "no scratch");
    expect_status(vj_object_check(&object, 9, 1, scratch, sizeof scratch), VJ_RUN_BAD_ARGUMENT, "1 to 8");
    expect_status(vj_object_check(&object, 0, 1, scratch, sizeof scratch), VJ_RUN_BAD_ARGUMENT, "1 to 8");
    expect_status(vj_object_check(NULL, 1, 1, scratch, sizeof scratch), VJ_RUN_BAD_ARGUMENT, "no model");
    vj_model other = object;
    other.abi++;
    expect_status(vj_object_check(&other, 1, 1, scratch, sizeof scratch), VJ_RUN_BAD_ARGUMENT, "ABI");
    expect_status(vj_weights_check(&other, scratch, sizeof scratch), VJ_RUN_BAD_ARGUMENT, "ABI");
    other = object;
    other.cpus = &no_cpu;
    expect_status(vj_object_check(&other, 1, 1, scratch, sizeof scratch), VJ_RUN_BAD_CPU, "a CPU");
    other = object;
    other.scratch_per_image = INT64_MAX;
    expect_status(vj_object_check(&other, 2, 2, scratch, sizeof scratch), VJ_RUN_BAD_ARGUMENT, "addressed");
}

static void weights_are_checked(void **state) {
    (void)state;
    static _Alignas(64) unsigned char file[VJ_WEIGHTS_HEADER + 640];
    for (size_t i = VJ_WEIGHTS_HEADER; i < sizeof file; i++)
        file[i] = (unsigned char)(i * 7);
    const XXH128_hash_t check = vj_digest_of(file + VJ_WEIGHTS_HEADER, 640);
    vj_weights_header h = {VJ_WEIGHTS_MAGIC, {1, 2}, 640, {check.low64, check.high64}};
    memcpy(file, &h, sizeof h);
    assert_int_equal(vj_weights_check(&object, file, sizeof file), VJ_RUN_OK);
    expect_status(vj_weights_check(&object, file, sizeof file - 1), VJ_RUN_BAD_WEIGHTS, "cut short");
    expect_status(vj_weights_check(&object, file, 8), VJ_RUN_BAD_WEIGHTS, "cut short");
    expect_status(vj_weights_check(&object, NULL, 0), VJ_RUN_BAD_ARGUMENT, "no weights");
    expect_status(vj_weights_check(&object, file + 8, sizeof file - 8), VJ_RUN_BAD_ARGUMENT, "aligned");
    file[VJ_WEIGHTS_HEADER + 100] ^= 1;
    expect_status(vj_weights_check(&object, file, sizeof file), VJ_RUN_BAD_WEIGHTS, "damaged");
    h.digest[1]++;
    memcpy(file, &h, sizeof h);
    expect_status(vj_weights_check(&object, file, sizeof file), VJ_RUN_BAD_WEIGHTS, "another model's");
    file[0]++;
    expect_status(vj_weights_check(&object, file, sizeof file), VJ_RUN_BAD_WEIGHTS, "not packed weights");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_task_runs_once),
        cmocka_unit_test(callers_share_a_pool),
        cmocka_unit_test(sleepers_wake),
        cmocka_unit_test(affinity_counts),
        cmocka_unit_test(weights_are_mapped),
        cmocka_unit_test(objects_are_checked),
        cmocka_unit_test(weights_are_checked),
#if !defined(__SANITIZE_THREAD__)
        cmocka_unit_test(child_of_a_fork_goes_on_alone),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
