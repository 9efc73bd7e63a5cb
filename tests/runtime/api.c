/* SPDX-License-Identifier: Apache-2.0 */
/* api.c - tests the C API: the errors of every function, concurrent sessions, the caller's scheduler, and what a run
 * may not do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "small.h"

/* Count every use of the heap. The library's calls are bound to these functions too. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define COUNTS_HEAP 1
#pragma GCC visibility push(default)
static atomic_long heap_uses;
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void __libc_free(void *);
void *malloc(size_t size) {
    atomic_fetch_add(&heap_uses, 1);
    return __libc_malloc(size);
}
void *calloc(size_t count, size_t size) {
    atomic_fetch_add(&heap_uses, 1);
    return __libc_calloc(count, size);
}
void *realloc(void *at, size_t size) {
    atomic_fetch_add(&heap_uses, 1);
    return __libc_realloc(at, size);
}
void free(void *at) {
    if (at) atomic_fetch_add(&heap_uses, 1);
    __libc_free(at);
}
#pragma GCC visibility pop
#endif

static vj_model *compile(const char *name, int32_t threads, const vj_threads *scheduler) {
    vj_options o;
    vj_model *m = NULL;
    vj_options_init(&o);
    o.cache = "";
    o.threads = threads;
    o.scheduler = scheduler;
    const vj_status status = vj_compile_file(data_file(name), &o, &m);
    if (status) fprintf(stderr, "%s\n", vj_error_message());
    assert_int_equal(status, VJ_OK);
    return m;
}

static void null_handles_are_errors(void **state) {
    (void)state;
    int64_t a, b, dims[VJ_MODEL_MAX_RANK];
    vj_model *m = (vj_model *)&a;
    vj_session *s = (vj_session *)&a;
    vj_model_stats stats = {.size = sizeof stats};
    assert_int_equal(vj_compile_file(NULL, NULL, &m), VJ_USAGE);
    assert_null(m);
    assert_int_equal(vj_compile_file("x.onnx", NULL, NULL), VJ_USAGE);
    assert_int_equal(vj_compile_memory(NULL, 3, NULL, &m), VJ_USAGE);
    assert_int_equal(vj_session_create(NULL, &s), VJ_USAGE);
    assert_null(s);
    assert_int_equal(vj_plan_bytes(NULL, 1, &a, &b), VJ_USAGE);
    assert_int_equal(vj_model_get_stats(NULL, &stats), VJ_USAGE);
    assert_int_equal(vj_bind_input(NULL, "x", &a, 4, VJ_F32, dims, 0), VJ_USAGE);
    assert_int_equal(vj_bind_output(NULL, 0, &a, 4), VJ_USAGE);
    assert_int_equal(vj_run(NULL), VJ_USAGE);
    assert_true(strlen(vj_error_message()) > 0);
    assert_int_equal(vj_input_count(NULL) + vj_output_count(NULL), 0);
    assert_int_equal(vj_input_find(NULL, "x"), -1);
    assert_string_equal(vj_input_name(NULL, 0), "");
    assert_int_equal(vj_output_dtype(NULL, 0), VJ_NO_DTYPE);
    assert_int_equal(vj_input_shape(NULL, 0, 1, dims), 0);
    assert_int_equal(vj_output_shape(NULL, 0, dims), 0);
    assert_int_equal(vj_output_bound(NULL, 0), 0);
    vj_options_init(NULL);
    vj_model_free(NULL);
    vj_session_free(NULL);
    assert_int_equal(vj_dtype_bytes((vj_dtype)99), 0);
    assert_string_equal(vj_dtype_name((vj_dtype)-1), "none");
    assert_string_equal(vj_dtype_name(VJ_BF16), "bf16");
}

static void files_that_are_no_models(void **state) {
    (void)state;
    vj_model *m = NULL;
    vj_options o;
    vj_options_init(&o);
    o.cache = "";
    assert_int_equal(vj_compile_file("/nonexistent/x.onnx", &o, &m), VJ_BAD_INPUT);
    assert_non_null(strstr(vj_error_message(), "/nonexistent/x.onnx"));
    assert_int_equal(vj_compile_file(VJ_TEST_DIR, &o, &m), VJ_BAD_INPUT);
    assert_int_equal(vj_compile_file("/dev/zero", &o, &m), VJ_BAD_INPUT);
    assert_int_equal(vj_compile_memory("no model", 8, &o, &m), VJ_BAD_INPUT);
    assert_int_equal(vj_compile_memory("", 0, &o, &m), VJ_BAD_INPUT);
    assert_null(m);
    o.cpu = "z80";
    assert_int_equal(vj_compile_file(data_file("small.onnx"), &o, &m), VJ_USAGE);
    assert_non_null(strstr(vj_error_message(), "z80"));
}

static void options_have_versions(void **state) {
    (void)state;
    vj_model *m = NULL;
    vj_options o;
    vj_options_init(&o);
    assert_int_equal(o.size, sizeof o);
    o.cache = "";
    o.size = offsetof(vj_options, use_orc); /* an older caller's struct: what follows is not its */
    o.use_orc = 77;
    o.log = (void (*)(void *, vj_log_level, const char *))(uintptr_t)1;
    o.cancel = (int32_t (*)(void *))(uintptr_t)1;
    assert_int_equal(vj_compile_file(data_file("small.onnx"), &o, &m), VJ_OK);
    assert_true(runs_right(m, 1, FIRST));
    vj_model_free(m);
    const size_t sizes[] = {0, 8, sizeof o + 8};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        vj_options_init(&o);
        o.size = sizes[i];
        assert_int_equal(vj_compile_file(data_file("small.onnx"), &o, &m), VJ_USAGE);
    }
    vj_options_init(&o);
    o.shape_count = 1;
    assert_int_equal(vj_compile_file(data_file("small.onnx"), &o, &m), VJ_USAGE);
    vj_options_init(&o);
    o.threads = -1;
    assert_int_equal(vj_compile_file(data_file("small.onnx"), &o, &m), VJ_USAGE);
    const vj_threads none = {NULL, 0, NULL, NULL};
    vj_options_init(&o);
    o.scheduler = &none;
    assert_int_equal(vj_compile_file(data_file("small.onnx"), &o, &m), VJ_USAGE);
    m = compile("small.onnx", 1, NULL);
    vj_model_stats stats = {.size = offsetof(vj_model_stats, kernels)};
    stats.kernels = -7;
    assert_int_equal(vj_model_get_stats(m, &stats), VJ_OK);
    assert_int_equal(stats.kernels, -7);
    assert_true(stats.weights_bytes > 0);
    stats.size = sizeof stats + 1;
    assert_int_equal(vj_model_get_stats(m, &stats), VJ_USAGE);
    vj_model_free(m);
}

/* y = x reshaped to 2 * target, and s = y summed over axes. Both target and axes are inputs that decide shapes. */
static void inputs_that_decide_shapes_are_fixed(void **state) {
    (void)state;
    vj_model *m = NULL;
    vj_options o;
    const int64_t target[2] = {1, 6}, other[2] = {6, 1}, axes[1] = {1};
    vj_fixed_input fixed[2] = {{"target", VJ_I64, 1, {2}, target, sizeof target},
                               {"axes", VJ_I64, 1, {1}, axes, sizeof axes}};
    vj_options_init(&o);
    o.cache = "";
    assert_int_equal(vj_compile_file(data_file("../../cli/data/asked.onnx"), &o, &m), VJ_USAGE);
    assert_non_null(strstr(vj_error_message(), "'target'"));
    o.fixed_count = 2;
    assert_int_equal(vj_compile_file(data_file("../../cli/data/asked.onnx"), &o, &m), VJ_USAGE);
    o.fixed = fixed;
    fixed[0].bytes--;
    assert_int_equal(vj_compile_file(data_file("../../cli/data/asked.onnx"), &o, &m), VJ_USAGE);
    fixed[0].bytes++;
    assert_int_equal(vj_compile_file(data_file("../../cli/data/asked.onnx"), &o, &m), VJ_OK);
    assert_int_equal(vj_input_count(m), 3);
    assert_null(vj_input_fixed_value(m, 0));
    assert_null(vj_input_fixed_value(m, 3));
    assert_null(vj_input_fixed_value(NULL, 0));
    assert_memory_equal(vj_input_fixed_value(m, 1), target, sizeof target);
    float x[24], y[24], s[2];
    for (int i = 0; i < 24; i++)
        x[i] = (float)i;
    vj_session *session;
    assert_int_equal(vj_session_create(m, &session), VJ_OK);
    assert_int_equal(vj_bind_input(session, "x", x, sizeof x, VJ_F32, (int64_t[]){4, 6}, 2), VJ_OK);
    assert_int_equal(vj_bind_input(session, "target", target, sizeof target, VJ_I64, (int64_t[]){2}, 1), VJ_OK);
    assert_int_equal(vj_bind_input(session, "axes", axes, sizeof axes, VJ_I64, (int64_t[]){1}, 1), VJ_OK);
    assert_int_equal(vj_bind_output(session, 0, y, sizeof y), VJ_OK);
    assert_int_equal(vj_bind_output(session, 1, s, sizeof s), VJ_OK);
    assert_int_equal(vj_run(session), VJ_OK);
    assert_memory_equal(x, y, sizeof x);
    assert_true(s[0] == 66 && s[1] == 210);
    assert_int_equal(vj_bind_input(session, "target", other, sizeof other, VJ_I64, (int64_t[]){2}, 1), VJ_OK);
    assert_int_equal(vj_run(session), VJ_BAD_INPUT);
    assert_non_null(strstr(vj_error_message(), "'target'"));
    vj_session_free(session);
    vj_model_free(m);
}

static void a_model_describes_itself(void **state) {
    (void)state;
    vj_model *m = compile("small.onnx", 1, NULL);
    int64_t dims[VJ_MODEL_MAX_RANK], weights, arena, more;
    assert_int_equal(vj_input_count(m), 1);
    assert_int_equal(vj_output_count(m), 1);
    assert_string_equal(vj_input_name(m, 0), "x");
    assert_string_equal(vj_output_name(m, 0), "y");
    assert_string_equal(vj_output_name(m, 1), "");
    assert_string_equal(vj_input_name(m, -1), "");
    assert_int_equal(vj_input_find(m, "y"), -1);
    assert_int_equal(vj_input_find(m, NULL), -1);
    assert_int_equal(vj_input_dtype(m, 0), VJ_F32);
    assert_int_equal(vj_input_shape(m, 0, 5, dims), 2);
    assert_true(dims[0] == 5 && dims[1] == WIDTH);
    assert_int_equal(vj_output_shape_of(m, 0, 3, dims), 2);
    assert_int_equal(dims[0], 3);
    assert_int_equal(vj_output_shape_of(m, 7, 3, dims), 0);
    assert_int_equal(vj_plan_bytes(m, 1, &weights, &arena), VJ_OK);
    assert_true(weights >= WIDTH * WIDTH * 4);
    assert_int_equal(vj_plan_bytes(m, 8, &weights, &more), VJ_OK);
    assert_true(more >= arena);
    assert_int_equal(vj_plan_bytes(m, 0, &weights, &arena), VJ_USAGE);
    assert_int_equal(vj_plan_bytes(m, INT64_MAX, &weights, &arena), VJ_USAGE);
    assert_int_equal(vj_plan_bytes(m, 1, NULL, &arena), VJ_USAGE);
    vj_model_free(m);
}

static void bindings_are_checked(void **state) {
    (void)state;
    vj_model *m = compile("small.onnx", 1, NULL);
    vj_session *s;
    float x[4 * WIDTH] = {0}, y[4 * WIDTH];
    const int64_t one[] = {1, WIDTH}, wide[] = {1, WIDTH + 1}, none[] = {0, WIDTH}, minus[] = {-1, WIDTH};
    const int64_t four[] = {4, WIDTH}, huge[] = {INT64_MAX, WIDTH}, many[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    const size_t bytes = sizeof x / 4;
    assert_int_equal(vj_session_create(m, &s), VJ_OK);
    assert_int_equal(vj_run(s), VJ_USAGE);
    assert_non_null(strstr(vj_error_message(), "'x'"));
    assert_int_equal(vj_bind_input(s, "X", x, bytes, VJ_F32, one, 2), VJ_USAGE);
    assert_int_equal(vj_bind_input(s, NULL, x, bytes, VJ_F32, one, 2), VJ_USAGE);
    assert_int_equal(vj_bind_input(s, "x", x, bytes, VJ_F32, NULL, 2), VJ_USAGE);
    assert_int_equal(vj_bind_input(s, "x", x, bytes, VJ_F64, one, 2), VJ_BAD_INPUT);
    assert_int_equal(vj_bind_input(s, "x", x, bytes, (vj_dtype)99, one, 2), VJ_BAD_INPUT);
    assert_int_equal(vj_bind_input(s, "x", x, bytes, VJ_F32, one, 1), VJ_BAD_INPUT);
    assert_int_equal(vj_bind_input(s, "x", x, bytes, VJ_F32, one, -1), VJ_BAD_INPUT);
    assert_int_equal(vj_bind_input(s, "x", x, bytes, VJ_F32, many, 9), VJ_BAD_INPUT);
    assert_int_equal(vj_bind_input(s, "x", x, bytes, VJ_F32, wide, 2), VJ_BAD_INPUT);
    assert_int_equal(vj_bind_input(s, "x", x, 0, VJ_F32, none, 2), VJ_BAD_INPUT);
    assert_int_equal(vj_bind_input(s, "x", x, bytes, VJ_F32, minus, 2), VJ_BAD_INPUT);
    assert_int_equal(vj_bind_input(s, "x", x, bytes, VJ_F32, huge, 2), VJ_BAD_INPUT);
    assert_int_equal(vj_bind_input(s, "x", x, bytes - 1, VJ_F32, one, 2), VJ_BAD_INPUT);
    assert_int_equal(vj_bind_input(s, "x", x, bytes + 1, VJ_F32, one, 2), VJ_BAD_INPUT);
    assert_int_equal(vj_bind_input(s, "x", NULL, bytes, VJ_F32, one, 2), VJ_USAGE);
    assert_int_equal(vj_bind_input(s, "x", (char *)x + 2, bytes, VJ_F32, one, 2), VJ_USAGE);
    assert_int_equal(vj_run(s), VJ_USAGE); /* nothing of all that was taken */
    assert_int_equal(vj_bind_input(s, "x", x, bytes, VJ_F32, one, 2), VJ_OK);
    assert_int_equal(vj_run(s), VJ_USAGE);
    assert_non_null(strstr(vj_error_message(), "'y'"));
    assert_int_equal(vj_output_bound(s, 0), bytes);
    assert_int_equal(vj_output_bound(s, 1), 0);
    assert_int_equal(vj_bind_output(s, 1, y, bytes), VJ_USAGE);
    assert_int_equal(vj_bind_output(s, -1, y, bytes), VJ_USAGE);
    assert_int_equal(vj_bind_output(s, 0, y, bytes - 1), VJ_USAGE);
    assert_int_equal(vj_bind_output(s, 0, NULL, bytes), VJ_USAGE);
    assert_int_equal(vj_bind_output(s, 0, (char *)y + 1, bytes), VJ_USAGE);
    assert_int_equal(vj_bind_output(s, 0, y, bytes), VJ_OK);
    assert_int_equal(vj_run(s), VJ_OK);
    assert_int_equal(vj_bind_input(s, "x", x, sizeof x, VJ_F32, four, 2), VJ_OK);
    assert_int_equal(vj_run(s), VJ_USAGE); /* y was checked for one image */
    assert_int_equal(vj_bind_output(s, 0, y, sizeof y), VJ_OK);
    assert_int_equal(vj_run(s), VJ_OK);
    int64_t dims[VJ_MODEL_MAX_RANK];
    assert_int_equal(vj_output_shape(s, 0, dims), 2);
    assert_int_equal(dims[0], 4);
    assert_int_equal(vj_output_shape(s, 3, dims), 0);
    vj_session_free(s);
    vj_model_free(m);
}

static void memory_is_as_good_as_a_file(void **state) {
    (void)state;
    static char bytes[1 << 13];
    vj_options o;
    vj_model *m;
    vj_options_init(&o);
    o.cache = "";
    FILE *in = fopen(data_file("small.onnx"), "re");
    size_t size = fread(bytes, 1, sizeof bytes, in);
    fclose(in);
    assert_int_equal(vj_compile_memory(bytes, size, &o, &m), VJ_OK);
    memset(bytes, 0, sizeof bytes); /* borrowed for the call only */
    assert_true(runs_right(m, 5, FIRST));
    vj_model_free(m);
    in = fopen(data_file("external.onnx"), "re");
    size = fread(bytes, 1, sizeof bytes, in);
    fclose(in);
    assert_int_equal(vj_compile_memory(bytes, size, &o, &m), VJ_BAD_INPUT);
    assert_null(m);
}

static void orc_gives_the_same(void **state) {
    (void)state;
    vj_options o;
    vj_model *m;
    vj_options_init(&o);
    o.cache = "";
    o.use_orc = 1;
    assert_int_equal(vj_compile_file(data_file("small.onnx"), &o, &m), VJ_OK);
    for (int64_t n = 1; n <= MOST_BATCH; n++)
        assert_true(runs_right(m, n, FIRST));
    vj_model_free(m);
}

static int32_t cancel_after(void *left) { return --*(int *)left < 0; }

static void compilation_can_be_cancelled(void **state) {
    (void)state;
    vj_options o;
    vj_model *m;
    int left = 0;
    vj_options_init(&o);
    o.cache = "";
    o.cancel = cancel_after;
    o.cancel_self = &left;
    assert_int_equal(vj_compile_file(data_file("small.onnx"), &o, &m), VJ_SYSTEM);
    assert_null(m);
    left = 1 << 20;
    assert_int_equal(vj_compile_file(data_file("small.onnx"), &o, &m), VJ_OK);
    vj_model_free(m);
}

/* Where the graph mixes the images of a batch, the batch size is fixed: the model says so, and no other size fits. */
static void fixed_batches_stay_fixed(void **state) {
    (void)state;
    const vj_shape shapes[] = {{"x", 2, {1, WIDTH}}, {"x", 2, {3, WIDTH}}};
    for (int i = 0; i < 2; i++) {
        vj_options o;
        vj_model *m;
        vj_session *s;
        float x[3 * WIDTH], y[3 * WIDTH];
        const int64_t n = shapes[i].dims[0];
        vj_options_init(&o);
        o.cache = "";
        o.shapes = &shapes[i];
        o.shape_count = 1;
        fill(x, 3, 1);
        assert_int_equal(vj_compile_file(data_file("mixed.onnx"), &o, &m), VJ_OK);
        assert_int_equal(vj_session_create(m, &s), VJ_OK);
        assert_int_equal(bind_small(s, x, y, n), VJ_OK);
        assert_int_equal(vj_run(s), VJ_OK);
        for (int c = 0; c < WIDTH; c++) {
            float most = x[c];
            for (int64_t r = 1; r < n; r++)
                most = x[r * WIDTH + c] > most ? x[r * WIDTH + c] : most;
            for (int64_t r = 0; r < n; r++)
                assert_true(y[r * WIDTH + c] == x[r * WIDTH + c] - most);
        }
        assert_int_equal(bind_small(s, x, y, n == 1 ? 2 : 1), VJ_BAD_INPUT);
        vj_session_free(s);
        vj_model_free(m);
    }
}

typedef struct user {
    vj_model *m;
    pthread_t thread;
    bool right;
} user;

static void *use(void *self) {
    user *u = self;
    u->right = true;
    for (int round = 0; round < 50; round++)
        u->right &= runs_right(u->m, round % MOST_BATCH + 1, FIRST);
    return NULL;
}

static void sessions_run_side_by_side(void **state) {
    (void)state;
    vj_model *m = compile("small.onnx", 2, NULL);
    user users[4] = {{0}};
    for (int i = 0; i < 4; i++) {
        users[i].m = m;
        assert_int_equal(pthread_create(&users[i].thread, NULL, use, &users[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(users[i].thread, NULL);
        assert_true(users[i].right);
    }
    vj_model_free(m);
}

/* The digits model, which has attention and many phases. */
static vj_model *compile_digits(int32_t threads) {
    vj_options o;
    vj_model *m = NULL;
    vj_options_init(&o);
    o.cache = "";
    o.threads = threads;
#if defined(__SANITIZE_THREAD__)
    o.use_orc = 1; /* instrumented, which the sanitizer can only do with accesses of 16 bytes */
    o.cpu = "x86-64";
#endif
    if (vj_compile_file(data_file("../../../examples/digits/digits.onnx"), &o, &m) != VJ_OK)
        fail_msg("%s", vj_error_message());
    return m;
}

static bool run_digits(vj_model *m, float *out) {
    float in[3 * 64];
    vj_session *s;
    for (int i = 0; i < 3 * 64; i++)
        in[i] = (float)(i * 37 % 101) / 50 - 1;
    const bool right = vj_session_create(m, &s) == VJ_OK &&
                       vj_bind_input(s, "image", in, sizeof in, VJ_F32, (int64_t[]){3, 1, 8, 8}, 4) == VJ_OK &&
                       vj_bind_output(s, 0, out, 30 * sizeof *out) == VJ_OK && vj_run(s) == VJ_OK;
    vj_session_free(s);
    return right;
}

typedef struct reader {
    user user;
    const float *truth;
} reader;

static void *use_digits(void *self) {
    reader *r = self;
    r->user.right = true;
    for (int round = 0; round < 20; round++) {
        float out[30];
        r->user.right &= run_digits(r->user.m, out) && memcmp(out, r->truth, sizeof out) == 0;
    }
    return NULL;
}

/* Two sessions of each of two models run on four threads, while each model has a pool of two. */
static void two_models_run_at_once(void **state) {
    (void)state;
    vj_model *small = compile("small.onnx", 2, NULL), *alone = compile_digits(1), *digits = compile_digits(2);
    float truth[30];
    assert_true(run_digits(alone, truth));
    user users[2] = {{.m = small}, {.m = small}};
    reader readers[2] = {{{.m = digits}, truth}, {{.m = digits}, truth}};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&users[i].thread, NULL, use, &users[i]), 0);
        assert_int_equal(pthread_create(&readers[i].user.thread, NULL, use_digits, &readers[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(users[i].thread, NULL);
        pthread_join(readers[i].user.thread, NULL);
        assert_true(users[i].right && readers[i].user.right);
    }
    vj_model_free(small);
    vj_model_free(alone);
    vj_model_free(digits);
}

static void in_turn(void *self, void (*task)(void *, int32_t), void *arg, int32_t parts) {
    ++*(int *)self;
    for (int32_t part = parts; part-- > 0;)
        task(arg, part);
}

typedef struct gang {
    pthread_barrier_t barrier;
    void (*task)(void *, int32_t);
    void *arg;
} gang;

typedef struct member {
    gang *g;
    int32_t part;
    pthread_t thread;
} member;

static void *do_part(void *self) {
    member *m = self;
    m->g->task(m->g->arg, m->part);
    return NULL;
}

static void at_once(void *self, void (*task)(void *, int32_t), void *arg, int32_t parts) {
    gang *g = self;
    member members[8];
    g->task = task;
    g->arg = arg;
    for (int32_t i = 0; i < parts; i++) {
        members[i] = (member){.g = g, .part = i};
        if (pthread_create(&members[i].thread, NULL, do_part, &members[i]) != 0) abort();
    }
    for (int32_t i = 0; i < parts; i++)
        pthread_join(members[i].thread, NULL);
}

static void meet(void *self, int32_t part) {
    (void)part;
    pthread_barrier_wait(&((gang *)self)->barrier);
}

static void callers_threads(void **state) {
    (void)state;
    int calls = 0;
    const vj_threads turns = {&calls, 3, in_turn, NULL};
    vj_model *m = compile("small.onnx", 0, &turns);
    for (int64_t n = 1; n <= MOST_BATCH; n++)
        assert_true(runs_right(m, n, FIRST));
    assert_true(calls >= MOST_BATCH);
    vj_model_free(m);
    gang g;
    pthread_barrier_init(&g.barrier, NULL, 3);
    const vj_threads together = {&g, 3, at_once, meet};
    m = compile("small.onnx", 0, &together);
    for (int64_t n = 1; n <= MOST_BATCH; n++)
        assert_true(runs_right(m, n, FIRST));
    vj_model_free(m);
    pthread_barrier_destroy(&g.barrier);
}

static void runs_leave_the_heap_alone(void **state) {
    (void)state;
#ifdef COUNTS_HEAP
    for (int32_t threads = 1; threads <= 2; threads++) {
        vj_model *m = compile("small.onnx", threads, NULL);
        vj_session *s;
        float x[3 * WIDTH], y[3 * WIDTH];
        fill(x, 3, 0);
        assert_int_equal(vj_session_create(m, &s), VJ_OK);
        assert_int_equal(bind_small(s, x, y, 3), VJ_OK);
        const long before = atomic_load(&heap_uses);
        assert_true(before > 0);
        for (int i = 0; i < 100; i++)
            if (vj_run(s) != VJ_OK) fail();
        assert_int_equal(atomic_load(&heap_uses), before);
        vj_session_free(s);
        vj_model_free(m);
    }
#else
    skip();
#endif
}

static void child_of_a_fork_runs(void **state) {
    (void)state;
#if defined(__SANITIZE_THREAD__)
    skip(); /* it does not allow a process with threads to fork */
#endif
    vj_model *m = compile("small.onnx", 2, NULL);
    assert_true(runs_right(m, 1, FIRST));
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        alarm(20);
        bool right = true;
        for (int64_t n = 1; n <= MOST_BATCH; n++)
            right &= runs_right(m, n, FIRST);
        vj_model_free(m);
        _exit(!right);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(runs_right(m, 1, FIRST));
    vj_model_free(m);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(child_of_a_fork_runs),
        cmocka_unit_test(null_handles_are_errors),
        cmocka_unit_test(files_that_are_no_models),
        cmocka_unit_test(options_have_versions),
        cmocka_unit_test(inputs_that_decide_shapes_are_fixed),
        cmocka_unit_test(a_model_describes_itself),
        cmocka_unit_test(bindings_are_checked),
        cmocka_unit_test(memory_is_as_good_as_a_file),
        cmocka_unit_test(orc_gives_the_same),
        cmocka_unit_test(compilation_can_be_cancelled),
        cmocka_unit_test(fixed_batches_stay_fixed),
        cmocka_unit_test(sessions_run_side_by_side),
        cmocka_unit_test(two_models_run_at_once),
        cmocka_unit_test(callers_threads),
        cmocka_unit_test(runs_leave_the_heap_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
