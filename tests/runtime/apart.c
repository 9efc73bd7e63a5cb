/* SPDX-License-Identifier: Apache-2.0 */
/* apart.c - the compiler in a process of its own, as hosts meet it: hosts that ignore SIGCHLD, handle it or wait for whatever
 * child; closed descriptors, many threads, forks; a process that is killed, out of memory or out of time. Each case is a process, so
 * that what a host does to itself stays there.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "folder.h"
#include "runtime/runtime.h"
#include "small.h"

/* Of a case's process: a failed check ends it. */
#define CHECK(is)                                                                                                      \
    do {                                                                                                               \
        if (is) break;                                                                                                 \
        dprintf(STDERR_FILENO, "apart.c:%d: %s: %s\n", __LINE__, #is, vj_error_message());                             \
        _exit(1);                                                                                                      \
    } while (0)

static void in_a_process(void (*work)(void)) {
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) {
        alarm(240);
        work();
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status) || WEXITSTATUS(status)) fail_msg("the case's process ended with %x", (unsigned)status);
}

/* The children of a process, by /proc: how many, the last in *child. */
static int children_of(pid_t parent, pid_t *child) {
    int count = 0;
    DIR *all = opendir("/proc");
    for (struct dirent *e; all && (e = readdir(all));) {
        char path[300], text[256] = "";
        int number, its_parent = 0;
        if (sscanf(e->d_name, "%d", &number) != 1) continue;
        snprintf(path, sizeof path, "/proc/%d/stat", number);
        FILE *file = fopen(path, "re");
        if (file && fgets(text, sizeof text, file)) {
            const char *behind = strrchr(text, ')');
            if (behind && sscanf(behind + 1, " %*c %d", &its_parent) == 1 && its_parent == (int)parent) {
                *child = number;
                count++;
            }
        }
        if (file) fclose(file);
    }
    if (all) closedir(all);
    return count;
}

static int descriptors(void) {
    int count = 0;
    for (int d = 0; d < 256; d++)
        count += fcntl(d, F_GETFD) >= 0;
    return count;
}

static vj_status compile(const vj_options *options, vj_model **model) {
    return vj_compile_file(data_file("small.onnx"), options, model);
}

static vj_options plain(void) {
    vj_options options;
    vj_options_init(&options);
    options.cache = "";
    return options;
}

static void compiles(void) {
    const vj_options options = plain();
    vj_model *model;
    pid_t child;
    const int before = descriptors();
    CHECK(compile(&options, &model) == VJ_OK);
    CHECK(runs_right(model, 3, FIRST));
    vj_model_free(model);
    CHECK(descriptors() == before);
    CHECK(children_of(getpid(), &child) == 0);
}

/* By SIGILL in the place of any crash: sanitizers leave that signal alone. */
static int32_t kill_child(void *signal_number) {
    pid_t child = 0;
    CHECK(children_of(getpid(), &child) == 1);
    CHECK(kill(child, *(int *)signal_number) == 0);
    return 0;
}

static void is_told(const char *word) {
    if (strstr(vj_error_message(), word) && strstr(vj_error_message(), "small.onnx")) return;
    dprintf(STDERR_FILENO, "no '%s' in: %s\n", word, vj_error_message());
    _exit(1);
}

/* While it asks whether to stop. */
static void fails_when_killed(int number, const char *word) {
    vj_options options = plain();
    vj_model *model;
    options.cancel = kill_child;
    options.cancel_self = &number;
    CHECK(compile(&options, &model) == VJ_SYSTEM && !model);
    is_told(word);
}

static void is_whole_host(void) {
    compiles();
    fails_when_killed(SIGILL, "crashed (signal 4)");
    fails_when_killed(SIGKILL, "killed (signal 9)");
    compiles();
}

static void plain_host(void **state) {
    (void)state;
    in_a_process(is_whole_host);
}

/* Where the host has the news of the child's end, the socket tells of it. */
static void without_news(void) {
    compiles();
    fails_when_killed(SIGILL, "ended without an answer");
    compiles();
}

static void ignores_children(void) {
    signal(SIGCHLD, SIG_IGN);
    without_news();
    struct sigaction now;
    sigaction(SIGCHLD, NULL, &now);
    CHECK(now.sa_handler == SIG_IGN);
}

static void sigchld_ignored(void **state) {
    (void)state;
    in_a_process(ignores_children);
}

static atomic_int news;
static void note_news(int number) { news += number == SIGCHLD; }

/* System calls that signals interrupt are taken up again. */
static void handles_children(void) {
    struct sigaction now, mine = {.sa_handler = note_news};
    sigaction(SIGCHLD, &mine, NULL);
    sigset_t blocked, is;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    sigprocmask(SIG_SETMASK, &blocked, NULL);
    is_whole_host();
    CHECK(news > 0);
    sigaction(SIGCHLD, NULL, &now);
    sigprocmask(SIG_SETMASK, NULL, &is);
    CHECK(now.sa_handler == note_news && sigismember(&is, SIGUSR1) && !sigismember(&is, SIGCHLD));
}

static void sigchld_handled(void **state) {
    (void)state;
    in_a_process(handles_children);
}

static atomic_int reaped;

static void *reap(void *self) {
    (void)self;
    for (;;)
        if (wait(NULL) > 0)
            reaped++;
        else
            usleep(200);
    return NULL;
}

static void waits_for_any(void) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, reap, NULL) == 0);
    for (int i = 0; i < 4; i++)
        compiles();
    vj_options options = plain();
    vj_model *model;
    int number = SIGILL;
    options.cancel = kill_child;
    options.cancel_self = &number;
    CHECK(compile(&options, &model) == VJ_SYSTEM && !model);
    compiles();
}

static void reaper_thread(void **state) {
    (void)state;
    in_a_process(waits_for_any);
}

/* A thread that signals hit all the time. */
static void hit(int number) { (void)number; }

static void is_interrupted(void) {
    struct sigaction mine = {.sa_handler = hit};
    sigaction(SIGALRM, &mine, NULL);
    const struct itimerspec often = {{0, 300000}, {0, 300000}};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    timer_t timer;
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0 && timer_settime(timer, 0, &often, NULL) == 0);
    compiles();
    compiles();
}

static void interrupted_host(void **state) {
    (void)state;
    in_a_process(is_interrupted);
}

enum { THREADS = 8 };

static void *compile_in_thread(void *self) {
    vj_options options = plain();
    options.max_seconds = *(int *)self % 2 ? 1e-3 : 0;
    for (int i = 0; i < 2; i++) {
        vj_model *model;
        const vj_status status = compile(&options, &model);
        CHECK(status == (options.max_seconds > 0 ? VJ_SYSTEM : VJ_OK));
        CHECK(status || runs_right(model, 2, FIRST));
        vj_model_free(model);
    }
    return NULL;
}

static void compiles_in_threads(void) {
    pthread_t threads[THREADS];
    int numbers[THREADS];
    pid_t child;
    const int before = descriptors();
    for (int i = 0; i < THREADS; i++) {
        numbers[i] = i;
        CHECK(pthread_create(&threads[i], NULL, compile_in_thread, &numbers[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK(descriptors() == before && children_of(getpid(), &child) == 0);
}

static void many_threads(void **state) {
    (void)state;
    in_a_process(compiles_in_threads);
}

static void closes_descriptors(void) {
    const int kept = fcntl(STDERR_FILENO, F_DUPFD, 100);
    for (int d = 0; d < 3; d++)
        close(d);
    const vj_options options = plain();
    vj_model *model;
    const vj_status status = compile(&options, &model);
    const bool right = status == VJ_OK && runs_right(model, 3, FIRST);
    bool closed = true;
    for (int d = 0; d < 3; d++)
        closed &= fcntl(d, F_GETFD) < 0;
    dup2(kept, STDERR_FILENO);
    CHECK(right && closed);
}

static void closed_descriptors(void **state) {
    (void)state;
    in_a_process(closes_descriptors);
}

static void forks(void) {
    const vj_options options = plain();
    vj_model *model;
    int status = 1;
    CHECK(compile(&options, &model) == VJ_OK);
    const pid_t child = fork();
    if (child == 0) {
        CHECK(runs_right(model, 3, FIRST));
        compiles();
        _exit(0);
    }
    vj_model *second;
    CHECK(compile(&options, &second) == VJ_OK);
    vj_model_free(second);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(runs_right(model, 3, FIRST));
}

static void fork_afterwards(void **state) {
    (void)state;
    in_a_process(forks);
}

/* The process sees nothing of its host but what it is given. */
static int32_t look_at_child(void *self) {
    pid_t child = 0;
    char path[64], text[256];
    CHECK(children_of(getpid(), &child) == 1);
    for (int d = 0; d < 256; d++) {
        snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)child, d);
        const ssize_t length = readlink(path, text, sizeof text - 1);
        text[length > 0 ? length : 0] = 0;
        CHECK(strcmp(text, self) != 0);
    }
    snprintf(path, sizeof path, "/proc/%d/status", (int)child);
    FILE *file = fopen(path, "re");
    unsigned long long mask = 1;
    while (file && fgets(text, sizeof text, file))
        sscanf(text, "SigBlk: %llx", &mask);
    if (file) fclose(file);
    CHECK(mask == 0);
    return 0;
}

static void is_looked_at(void) {
    vj_options options = plain();
    vj_model *model;
    sigset_t all;
    static char file[] = "/proc/version";
    CHECK(open(file, O_RDONLY) >= 0); /* without FD_CLOEXEC */
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    options.cancel = look_at_child;
    options.cancel_self = file;
    CHECK(compile(&options, &model) == VJ_OK);
    vj_model_free(model);
}

static void child_is_clean(void **state) {
    (void)state;
    in_a_process(is_looked_at);
}

static int told[2];

static int32_t end_host(void *self) {
    pid_t child = 0;
    (void)self;
    CHECK(children_of(getpid(), &child) == 1);
    CHECK(write(told[1], &child, sizeof child) == (ssize_t)sizeof child);
    _exit(0);
}

static void ends(void) {
    vj_options options = plain();
    vj_model *model;
    options.cancel = end_host;
    compile(&options, &model);
}

static void child_ends_with_host(void **state) {
    (void)state;
    pid_t child = 0;
    assert_int_equal(pipe(told), 0);
    in_a_process(ends);
    assert_int_equal(read(told[0], &child, sizeof child), sizeof child);
    bool is_there = true;
    for (int i = 0; i < 500 && is_there; i++) {
        char path[64], text[256] = "";
        usleep(20000);
        snprintf(path, sizeof path, "/proc/%d/stat", (int)child);
        FILE *file = fopen(path, "re");
        is_there = file && fgets(text, sizeof text, file) && !strstr(text, ") Z ");
        if (file) fclose(file);
    }
    assert_false(is_there);
}

/* What a cache's folder is left with. */
static bool has_file(const char *folder, const char *ending) {
    DIR *all = opendir(folder);
    bool found = false;
    for (struct dirent *e; all && (e = readdir(all));)
        found |= strstr(e->d_name, ending) != NULL;
    if (all) closedir(all);
    return found;
}

/* The cache makes room for packed weights by this function, which is the program's own here: then the child dies. */
static bool kills_writers;
__attribute__((visibility("default"))) int posix_fallocate(int descriptor, off_t offset, off_t bytes);
int posix_fallocate(int descriptor, off_t offset, off_t bytes) {
    int number = SIGKILL;
    if (kills_writers) kill_child(&number);
    return ftruncate(descriptor, offset + bytes) == 0 ? 0 : errno;
}

static void is_killed_while_writing(void) {
    CHECK(folder_make());
    vj_options options = plain();
    vj_model *model;
    options.cache = folder_path();
    kills_writers = true;
    CHECK(compile(&options, &model) == VJ_SYSTEM && !model);
    is_told("killed (signal 9)");
    CHECK(!has_file(folder_path(), ".tmp") && !has_file(folder_path(), ".weights") &&
          !has_file(folder_path(), ".image") && !has_file(folder_path(), ".entry"));
    kills_writers = false;
    CHECK(compile(&options, &model) == VJ_OK);
    CHECK(runs_right(model, 3, FIRST) && !has_file(folder_path(), ".tmp") && has_file(folder_path(), ".weights"));
    vj_model_free(model);
    CHECK(folder_remove());
}

static void killed_while_writing(void **state) {
    (void)state;
    in_a_process(is_killed_while_writing);
}

static char *kill_in_header(void *self, const vj_header_request *request) {
    int number = SIGILL;
    (void)request;
    CHECK(has_file(self, ".tmp") || has_file(self, "small.weights"));
    kill_child(&number);
    return NULL;
}

static void is_killed_while_emitting(void) {
    CHECK(folder_make());
    const vj_options options = plain();
    const vj_compile_request request = {.path = data_file("small.onnx"), .options = &options, .pass_limit = -1};
    char output[300], *summary;
    snprintf(output, sizeof output, "%s/", folder_path());
    vj_emit_request emit = {.what = VJ_EMIT_OBJ,
                            .output = output,
                            .weights_file = 1,
                            .header_part = kill_in_header,
                            .header_self = (void *)(uintptr_t)folder_path()};
    CHECK(vj_ask_emit(&request, &emit, &summary) == VJ_SYSTEM && !summary);
    is_told("crashed (signal 4)");
    CHECK(!has_file(folder_path(), "small"));
    emit.header_part = NULL;
    CHECK(vj_ask_emit(&request, &emit, &summary) == VJ_OK && summary);
    CHECK(has_file(folder_path(), "small.weights") && has_file(folder_path(), "small.o") &&
          has_file(folder_path(), "small.h"));
    free(summary);
    CHECK(folder_remove());
}

static void killed_while_emitting(void **state) {
    (void)state;
    in_a_process(is_killed_while_emitting);
}

/* Sanitizers take more address space than a limit may leave: there is none with them. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { LIMITS_MEMORY = 0 };
#else
enum { LIMITS_MEMORY = 1 };
#endif

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void meets_limits(void) {
    vj_options options = plain();
    vj_model *model;
    /* From nothing to enough: each is an answer, and there are both. */
    int answers[6] = {0};
    for (int64_t memory = 4096; LIMITS_MEMORY && memory <= (int64_t)1 << 30; memory *= 4) {
        options.max_memory = memory;
        const vj_status status = compile(&options, &model);
        CHECK(status == VJ_OK || status == VJ_SYSTEM);
        CHECK(status == VJ_OK || strstr(vj_error_message(), "memory"));
        answers[status]++;
        vj_model_free(model);
    }
    CHECK(!LIMITS_MEMORY || (answers[VJ_OK] > 1 && answers[VJ_SYSTEM] > 1));
    options = plain();
    options.max_seconds = 0.02;
    const double start = now();
    CHECK(compile(&options, &model) == VJ_SYSTEM && !model);
    is_told("given up after 0.02 seconds");
    CHECK(now() - start < 10);
    options.max_seconds = -1;
    options.max_memory = -1;
    CHECK(compile(&options, &model) == VJ_OK);
    vj_model_free(model);
    compiles();
}

static int32_t look_at_limit(void *most) {
    pid_t child = 0;
    char path[64], line[256];
    long long memory = 0;
    CHECK(children_of(getpid(), &child) == 1);
    snprintf(path, sizeof path, "/proc/%d/limits", (int)child);
    FILE *file = fopen(path, "re");
    while (file && fgets(line, sizeof line, file))
        sscanf(line, "Max data size %lld", &memory);
    if (file) fclose(file);
    CHECK(memory == *(int64_t *)most);
    return 0;
}

/* A user's own limit stays where it is lower. */
static void meets_own_limit(void) {
    const int64_t own = INT64_C(100) << 20;
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_DATA, &limit) == 0);
    limit.rlim_cur = (rlim_t)own;
    CHECK(setrlimit(RLIMIT_DATA, &limit) == 0);
    for (int64_t asked = own / 2; asked <= 2 * own; asked *= 2) {
        vj_options options = plain();
        vj_model *model;
        int64_t most = asked < own ? asked : own;
        options.max_memory = asked;
        options.cancel = look_at_limit;
        options.cancel_self = &most;
        CHECK(compile(&options, &model) == VJ_OK);
        vj_model_free(model);
    }
}

static void limits_are_answers(void **state) {
    (void)state;
    in_a_process(meets_limits);
    if (LIMITS_MEMORY) in_a_process(meets_own_limit);
}

/* The same files come of it as in this process: image, packed weights, and what the entry says of the model. */
static void gives_the_same(const char *path, vj_options *options) {
    vj_model *model;
    char folders[2][300];
    for (int32_t in_process = 0; in_process < 2; in_process++) {
        snprintf(folders[in_process], sizeof *folders, "%s/%d", folder_path(), (int)in_process);
        options->cache = folders[in_process];
        options->in_process = in_process;
        CHECK(vj_compile_file(path, options, &model) == VJ_OK);
        vj_model_free(model);
        CHECK(has_file(folders[in_process], ".image") && has_file(folders[in_process], ".entry"));
    }
    CHECK(status_of("diff -r -x '*.seen' %s %s", folders[0], folders[1]) == 0);
    CHECK(status_of("rm -r %s %s", folders[0], folders[1]) == 0);
}

static void gives_the_same_bits(void) {
    const char *pattern = "n?";
    const vj_shape shape = {"x", 2, {3, WIDTH}};
    vj_options options;
    CHECK(folder_make());
    vj_options_init(&options);
    gives_the_same(data_file("small.onnx"), &options);
    gives_the_same(data_file("external.onnx"), &options);
    options.precision = VJ_BF16;
    options.keep_f32 = &pattern;
    options.keep_f32_count = 1;
    gives_the_same(data_file("small.onnx"), &options);
    vj_options_init(&options);
    options.weight_format = VJ_I8;
    options.cpu = "x86-64";
    gives_the_same(VJ_DIGITS, &options);
    vj_options_init(&options);
    options.keep_attention = VJ_KEEP_ATTENTION_ROWS;
    gives_the_same(VJ_DIGITS, &options);
    vj_options_init(&options);
    options.shapes = &shape;
    options.shape_count = 1;
    gives_the_same(data_file("mixed.onnx"), &options);
    CHECK(folder_remove());
}

static void same_bits(void **state) {
    (void)state;
    in_a_process(gives_the_same_bits);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_host),           cmocka_unit_test(sigchld_ignored),
        cmocka_unit_test(sigchld_handled),      cmocka_unit_test(reaper_thread),
        cmocka_unit_test(interrupted_host),     cmocka_unit_test(many_threads),
        cmocka_unit_test(closed_descriptors),   cmocka_unit_test(fork_afterwards),
        cmocka_unit_test(child_is_clean),       cmocka_unit_test(child_ends_with_host),
        cmocka_unit_test(killed_while_writing), cmocka_unit_test(killed_while_emitting),
        cmocka_unit_test(limits_are_answers),   cmocka_unit_test(same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
