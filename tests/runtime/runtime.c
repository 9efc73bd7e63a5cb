/* SPDX-License-Identifier: Apache-2.0 */
/* runtime.c - tests the pool, images and bindings. The code of the image made by hand counts its calls, so that the number of phases, parts and images of a run can be checked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <stdint.h>
#include <cmocka.h>
#include <xxhash.h>

#include "by_hand.h"

#define PARTS 3

typedef struct sums {
    int64_t cell[PARTS];
    int64_t total[8];
} sums;

/* Each step reads what the other parts wrote in the step before, so that a missing barrier gives a wrong sum. */
static void add_up(void *self, int32_t i, int32_t part, int32_t parts) {
    sums *s = self;
    if (i % 2 == 0) {
        s->cell[part] = i + part;
    } else if (part == parts - 1) {
        s->total[i] = 0;
        for (int32_t p = 0; p < parts; p++)
            s->total[i] += s->cell[p];
    }
}

static void pool_has_barriers(void **state) {
    (void)state;
    for (int32_t parts = 1; parts <= PARTS; parts++) {
        vj_pool *pool = vj_pool_new(parts);
        assert_non_null(pool);
        for (int32_t round = 0; round < 300; round++) {
            sums s = {{0}, {0}};
            assert_true(vj_pool_try(pool, add_up, &s, 0, 8, parts));
            const int64_t n = parts;
            for (int32_t i = 1; i < 8; i += 2)
                assert_int_equal(s.total[i], n * (i - 1) + n * (n - 1) / 2);
        }
        vj_pool_free(pool);
    }
}

static void note_allowed(void *self, int32_t i, int32_t part, int32_t parts) {
    cpu_set_t *allowed = self;
    (void)i;
    (void)parts;
    if (sched_getaffinity(0, sizeof allowed[part], &allowed[part]) != 0) CPU_ZERO(&allowed[part]);
    const struct timespec other_turn = {0, 2000000}; /* the other threads take the other parts */
    nanosleep(&other_turn, NULL);
}

/* Workers begin on another CPU than their creator, and may run on all CPUs that it may. */
static void pool_threads_run_anywhere(void **state) {
    (void)state;
    cpu_set_t here, allowed[PARTS];
    assert_int_equal(sched_getaffinity(0, sizeof here, &here), 0);
    for (int32_t round = 0; round < 10; round++) {
        vj_pool *pool = vj_pool_new(PARTS);
        assert_true(vj_pool_try(pool, note_allowed, allowed, 0, 2, PARTS));
        for (int32_t part = 0; part < PARTS; part++)
            assert_true(CPU_EQUAL(&here, &allowed[part]));
        vj_pool_free(pool);
    }
}

static void nested(void *self, int32_t i, int32_t part, int32_t parts) {
    (void)i;
    (void)parts;
    if (part == 0) assert_false(vj_pool_try(self, nested, self, 0, 1, 2));
}

static void busy_pool_refuses(void **state) {
    (void)state;
    vj_pool *pool = vj_pool_new(2);
    assert_true(vj_pool_try(pool, nested, pool, 0, 1, 2));
    vj_pool_free(pool);
}

/* A guest joins in the middle of a job, and stays until it is over. */
typedef struct guest {
    vj_pool *pool;
    pthread_t caller, thread;
    atomic_bool here, may_go;
    atomic_int by_others; /* parts of later steps that another thread than the caller did */
} guest;

static void stay(void *self) {
    guest *g = self;
    atomic_store(&g->here, true);
    while (!atomic_load(&g->may_go))
        usleep(100);
}

static void *visit(void *self) {
    guest *g = self;
    vj_pool_alone(g->pool, stay, g);
    return NULL;
}

static void work_beside_guest(void *self, int32_t i, int32_t part, int32_t parts) {
    guest *g = self;
    (void)parts;
    if (i == 0 && part == 0) {
        assert_int_equal(pthread_create(&g->thread, NULL, visit, g), 0);
        while (!atomic_load(&g->here))
            usleep(100);
    }
    if (i > 0 && !pthread_equal(pthread_self(), g->caller)) atomic_fetch_add(&g->by_others, 1);
}

static void nothing(void *self, int32_t i, int32_t part, int32_t parts) {
    (void)self;
    (void)i;
    (void)part;
    (void)parts;
}

/* The worker of a pool of two leaves the job to its caller; with three threads one worker goes on. */
static void workers_make_room_for_guests(void **state) {
    (void)state;
    for (int32_t threads = 2; threads <= 3; threads++) {
        guest g = {.pool = vj_pool_new(threads), .caller = pthread_self()};
        assert_non_null(g.pool);
        assert_true(vj_pool_try(g.pool, work_beside_guest, &g, 0, 500, 8));
        if (threads == 2) assert_int_equal(atomic_load(&g.by_others), 0);
        assert_int_equal(vj_pool_try(g.pool, nothing, NULL, 0, 1, 2), threads == 3);
        atomic_store(&g.may_go, true);
        pthread_join(g.thread, NULL);
        for (int32_t i = 0; i < 100; i++)
            assert_true(vj_pool_try(g.pool, nothing, NULL, 0, 3, 4));
        vj_pool_free(g.pool);
    }
}

static vj_model *make_model(int32_t threads, const vj_threads *scheduler) {
    vj_compiled c = {.weights_fd = memfd_create("w", 0)};
    fill_weights(c.weights_fd);
    c.image = make_image(&c.image_bytes);
    vj_options o;
    vj_options_init(&o);
    o.threads = threads;
    o.scheduler = scheduler;
    vj_model *m = NULL;
    assert_int_equal(vj_model_new(&c, &o, &m), VJ_OK);
    return m;
}

static int32_t calls_of(vj_session *x, int64_t n) {
    static float in[64];
    int32_t out[16] = {0};
    assert_int_equal(vj_bind_input(x, "x", in, (size_t)n * 16, VJ_F32, (int64_t[]){n, 4}, 2), VJ_OK);
    assert_int_equal(vj_output_bound(x, 0), (size_t)n * 4);
    assert_int_equal(vj_bind_output(x, 0, out, sizeof out), VJ_OK);
    assert_int_equal(vj_run(x), VJ_OK);
    int32_t calls = 0; /* of the images left over, the first one's cell counts */
    for (int32_t i = 0; i < 16; i++)
        calls += out[i];
    return calls;
}

static void run_goes_through_phases(void **state) {
    (void)state;
    for (int32_t parts = 1; parts <= PARTS; parts++) {
        vj_model *m = make_model(parts, NULL);
        vj_session *x;
        assert_int_equal(vj_session_create(m, &x), VJ_OK);
        const int32_t threads = parts < vj_cpu_available() ? parts : vj_cpu_available();
        for (int64_t n = 1; n <= 7; n++)
            assert_int_equal(calls_of(x, n),
                             threads == 1 ? 1
                                          : (n >= threads ? threads : 0) + (n % threads ? PHASES * threads * 4 : 0));
        vj_session_free(x);
        vj_model_free(m);
    }
}

static void run_in_turn(void *self, void (*task)(void *arg, int32_t part), void *arg, int32_t parts) {
    (void)self;
    for (int32_t p = parts - 1; p >= 0; p--)
        task(arg, p);
}

static void callers_scheduler(void **state) {
    (void)state;
    vj_threads threads = {NULL, 4, run_in_turn, NULL};
    vj_model *m = make_model(0, &threads);
    vj_session *x;
    assert_int_equal(vj_session_create(m, &x), VJ_OK);
    assert_int_equal(calls_of(x, 5), 4 + 4 * PHASES);
    vj_session_free(x);
    vj_model_free(m);
}

static void bindings_are_checked(void **state) {
    (void)state;
    vj_model *m = make_model(1, NULL);
    vj_session *x;
    float in[404];
    assert_int_equal(vj_session_create(m, &x), VJ_OK);
    assert_int_equal(vj_run(x), VJ_USAGE);
    assert_int_equal(vj_bind_input(x, "z", in, 16, VJ_F32, (int64_t[]){1, 4}, 2), VJ_USAGE);
    assert_int_equal(vj_bind_input(x, "x", in, 16, VJ_I32, (int64_t[]){1, 4}, 2), VJ_BAD_INPUT);
    assert_int_equal(vj_bind_input(x, "x", in, 16, VJ_F32, (int64_t[]){4}, 1), VJ_BAD_INPUT);
    assert_int_equal(vj_bind_input(x, "x", in, 16, VJ_F32, (int64_t[]){1, 5}, 2), VJ_BAD_INPUT);
    assert_int_equal(vj_bind_input(x, "x", in, 15, VJ_F32, (int64_t[]){1, 4}, 2), VJ_BAD_INPUT);
    assert_int_equal(vj_bind_input(x, "x", in, 0, VJ_F32, (int64_t[]){0, 4}, 2), VJ_BAD_INPUT);
    assert_int_equal(vj_bind_input(x, "x", in, 1616, VJ_F32, (int64_t[]){101, 4}, 2), VJ_BAD_INPUT);
    assert_non_null(strstr(vj_error_message(), "101"));
    assert_int_equal(vj_bind_output(x, 0, in, 3), VJ_USAGE);
    vj_session_free(x);
    vj_model_free(m);
}

/* Every wrong number in the header must be refused although the checksum is right. */
static void damaged_images_are_refused(void **state) {
    (void)state;
    size_t bytes;
    uint8_t *image = make_image(&bytes);
    assert_int_equal(vj_image_check(image, bytes), VJ_OK);
    assert_int_not_equal(vj_image_check(image, bytes - 1), VJ_OK);
    assert_int_not_equal(vj_image_check(image, 10), VJ_OK);
    image[bytes - 1] ^= 1;
    assert_int_not_equal(vj_image_check(image, bytes), VJ_OK);
    image[bytes - 1] ^= 1;
    const size_t fields[] = {offsetof(vj_image_header, inputs),        offsetof(vj_image_header, outputs),
                             offsetof(vj_image_header, strings),       offsetof(vj_image_header, strings_bytes),
                             offsetof(vj_image_header, code),          offsetof(vj_image_header, code_bytes),
                             offsetof(vj_image_header, phase_entry),   offsetof(vj_image_header, notes),
                             offsetof(vj_image_header, symbols),       offsetof(vj_image_header, symbols_bytes),
                             offsetof(vj_image_header, scratch_fixed), offsetof(vj_image_header, max_batch)};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        uint64_t *at = (uint64_t *)(void *)(image + fields[i]), was = *at;
        *at = UINT64_MAX - 5;
        seal(image);
        assert_int_not_equal(vj_image_check(image, bytes), VJ_OK);
        *at = was;
    }
    seal(image);
    assert_int_equal(vj_image_check(image, bytes), VJ_OK);
    free(image);
}

/* An image with a second output that gets the first one's dims. `wrong` chooses a fault; 0 means none. */
static uint8_t *image_with_dims(size_t *bytes, int32_t wrong) {
    uint8_t *image = make_image(bytes);
    vj_image_header *h = (vj_image_header *)(void *)image;
    vj_image_tensor *t = (vj_image_tensor *)(void *)(image + h->outputs);
    h->output_count = 2;
    t[0] = (vj_image_tensor){
        .name = 4, .dtype = VJ_I32, .rank = 1, .dims = {wrong == 1 ? -1 : 6}, .bytes_per_image = wrong == 1 ? 4 : 24};
    t[0].dims_output = wrong == 2 ? 1 : wrong == 3 ? 3 : 2;
    t[1] = (vj_image_tensor){.name = 4, .dtype = VJ_I64, .rank = 1, .dims = {1}, .bytes_per_image = 8};
    if (wrong == 4) t[1].dims[0] = 2, t[1].bytes_per_image = 16;
    if (wrong == 5) t[1].dtype = VJ_F64;
    if (wrong == 6) t[1].dims_output = 1;
    seal(image);
    return image;
}

/* The code counts its calls in the first output, and leaves the dims in the session at 0. */
static void sizes_of_the_data(void **state) {
    (void)state;
    size_t bytes;
    for (int32_t wrong = 0; wrong <= 6; wrong++) {
        uint8_t *image = image_with_dims(&bytes, wrong);
        assert_int_equal(vj_image_check(image, bytes) == VJ_OK, wrong == 0);
        free(image);
    }
    vj_compiled c = {.weights_fd = memfd_create("w", 0)};
    fill_weights(c.weights_fd);
    c.image = image_with_dims(&c.image_bytes, 0);
    vj_options o;
    vj_options_init(&o);
    vj_model *m = NULL;
    assert_int_equal(vj_model_new(&c, &o, &m), VJ_OK);
    assert_int_equal(vj_output_count(m), 1);
    vj_session *x = NULL;
    assert_int_equal(vj_session_create(m, &x), VJ_OK);
    static float in[4];
    int32_t out[6] = {0};
    int64_t dims[VJ_MODEL_MAX_RANK];
    assert_int_equal(vj_bind_input(x, "x", in, sizeof in, VJ_F32, (int64_t[]){1, 4}, 2), VJ_OK);
    assert_int_equal(vj_output_bound(x, 0), sizeof out);
    assert_int_equal(vj_output_bound(x, 1), 0);
    assert_int_equal(vj_bind_output(x, 1, out, sizeof out), VJ_USAGE);
    assert_int_equal(vj_bind_output(x, 0, out, sizeof out), VJ_OK);
    assert_int_equal(vj_run(x), VJ_OK);
    assert_int_equal(vj_output_shape(x, 0, dims), 1);
    assert_int_equal(dims[0], 0);
    assert_int_equal(vj_output_shape_of(m, 0, 1, dims), 1);
    assert_int_equal(dims[0], 6);
    vj_session_free(x);
    vj_model_free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pool_has_barriers),       cmocka_unit_test(pool_threads_run_anywhere),
        cmocka_unit_test(busy_pool_refuses),       cmocka_unit_test(workers_make_room_for_guests),
        cmocka_unit_test(run_goes_through_phases), cmocka_unit_test(callers_scheduler),
        cmocka_unit_test(bindings_are_checked),    cmocka_unit_test(damaged_images_are_refused),
        cmocka_unit_test(sizes_of_the_data),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
