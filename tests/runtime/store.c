/* SPDX-License-Identifier: Apache-2.0 */
/* store.c - tests the whole cache through the public API. Every step runs in a process of its own, which shows what it loads, and
 * whether it had the compiler run. No step may load the compiler itself. */
#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "small.h"

enum { HIT = 1, COMPILED = 2, WARNED = 4, WRONG = 8, FAILED = 16, READ = 32 }; /* what a step reports */

#define LARGE_BYTES (6 << 20) /* of a model that is not read in passing */

typedef struct order {
    const char *model, *folder;
    float first;
    bool in_memory;
    rlim_t most_bytes; /* of a file; 0: no limit */
    bool bound;        /* permissions bind us, even as root */
    vj_dtype precision, weight_format;
    const char *keep_f32; /* a pattern, or NULL */
} order;

static void note_warning(void *self, vj_log_level level, const char *text) {
    (void)text;
    if (level == VJ_LOG_WARNING) ++*(int *)self;
}

static bool maps_name(const char *name) {
    char line[4400];
    bool found = false;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps && fgets(line, sizeof line, maps))
        found |= strstr(line, name) != NULL;
    if (maps) fclose(maps);
    return found;
}

/* Has a process of ours ended? The compiler's does, where it was asked. */
static bool had_children(void) {
    struct rusage use;
    return getrusage(RUSAGE_CHILDREN, &use) == 0 && use.ru_minflt > 0;
}

/* The bytes that this process has read, or -1 when the system does not tell. */
static int64_t bytes_read(void) {
    long long bytes = -1;
    FILE *io = fopen("/proc/self/io", "re");
    if (!io) return -1;
    if (fscanf(io, "rchar: %lld", &bytes) != 1) bytes = -1;
    fclose(io);
    return bytes;
}

static vj_status compile(const order *o, const vj_options *options, vj_model **m) {
    static char bytes[1 << 16];
    if (!o->in_memory) return vj_compile_file(o->model, options, m);
    FILE *in = fopen(o->model, "re");
    const size_t size = in ? fread(bytes, 1, sizeof bytes, in) : 0;
    if (in) fclose(in);
    return vj_compile_memory(bytes, size, options, m);
}

/* Drops root's right to ignore permissions. Other users do not have it. */
static bool drop_override(void) {
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &header, data) != 0) return false;
    data[0].effective &= ~((1u << CAP_DAC_OVERRIDE) | (1u << CAP_DAC_READ_SEARCH));
    return syscall(SYS_capset, &header, data) == 0;
}

static int step(const order *o) {
    int warnings = 0, result = 0;
    vj_options options;
    vj_model *m;
    vj_options_init(&options);
    options.cache = o->folder;
    options.log = note_warning;
    options.log_self = &warnings;
    options.precision = o->precision;
    options.weight_format = o->weight_format;
    options.keep_f32 = &o->keep_f32;
    options.keep_f32_count = o->keep_f32 != NULL;
    if (o->most_bytes) setrlimit(RLIMIT_FSIZE, &(struct rlimit){o->most_bytes, o->most_bytes});
    if (o->bound && !drop_override()) return FAILED;
    const int64_t before = bytes_read();
    if (compile(o, &options, &m) != VJ_OK) return FAILED | (warnings ? WARNED : 0);
    if (bytes_read() - before >= LARGE_BYTES) result |= READ;
    vj_model_stats stats = {.size = sizeof stats};
    if (vj_model_get_stats(m, &stats) != VJ_OK) return FAILED;
    if (stats.cache_hit) result |= HIT;
    if (stats.precision != (o->precision ? o->precision : VJ_F32)) result |= WRONG;
    if (stats.weight_format != (o->weight_format ? o->weight_format : VJ_F32)) result |= WRONG;
    if (!runs_right(m, 3, o->first)) result |= WRONG;
    if (warnings) result |= WARNED;
    if (had_children()) result |= COMPILED;
    if (maps_name("LLVM") || maps_name("protobuf") || maps_name("vitjit_compiler")) result |= WRONG;
    vj_model_free(m);
    return result;
}

static pid_t begin(const order *o) {
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) _exit(step(o));
    return child;
}

static int end(pid_t child) {
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int run(const order *o) { return end(begin(o)); }

static char folder[64], model[256];

/* Writes a doc string of the model. The last one counts, so it may be anywhere in the file, and more than once. With 0
 * bytes none is written. */
static void add_doc_string(FILE *out, uint32_t bytes) {
    if (bytes == 0) return;
    fputc(6 << 3 | 2, out);
    uint32_t length = bytes;
    for (; length >= 128; length >>= 7)
        fputc((int)(length & 127) | 128, out);
    fputc((int)length, out);
    for (uint32_t i = 0; i < bytes; i++)
        fputc('a' + (int)(i % 23), out);
}

static void copy_between(const char *from, const char *to, uint32_t before, uint32_t behind) {
    char bytes[1 << 13];
    FILE *in = fopen(data_file(from), "re"), *out = fopen(to, "we");
    assert_non_null(in);
    assert_non_null(out);
    const size_t n = fread(bytes, 1, sizeof bytes, in);
    add_doc_string(out, before);
    assert_int_equal(fwrite(bytes, 1, n, out), n);
    add_doc_string(out, behind);
    assert_int_equal(fclose(out), 0);
    fclose(in);
}

static void copy(const char *from, const char *to) { copy_between(from, to, 0, 0); }

/* The weights are between two long doc strings, so that what is sampled before the file is read does not depend on
 * them. */
static void copy_large(const char *from, const char *to) { copy_between(from, to, LARGE_BYTES, 30000); }

static void empty(const char *path) {
    DIR *dir = opendir(path);
    for (struct dirent *e; dir && (e = readdir(dir));)
        unlinkat(dirfd(dir), e->d_name, 0);
    if (dir) closedir(dir);
}

static int new_folder(void **state) {
    (void)state;
    strcpy(folder, "/tmp/vitjit-store-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    snprintf(model, sizeof model, "%s-model.onnx", folder);
    return 0;
}

static int remove_folder(void **state) {
    (void)state;
    empty(folder);
    rmdir(folder);
    unlink(model);
    return 0;
}

/* The offset at which W begins in a copy of small.onnx, found by its first row. */
static long offset_of_w(const char *path) {
    static char bytes[LARGE_BYTES + (1 << 17)];
    float row[WIDTH];
    for (int32_t i = 0; i < WIDTH; i++)
        row[i] = (float)(5 * i % 7 - 3);
    FILE *in = fopen(path, "re");
    assert_non_null(in);
    const size_t size = fread(bytes, 1, sizeof bytes, in);
    fclose(in);
    const char *at = memmem(bytes, size, row, sizeof row);
    assert_non_null(at);
    return at - bytes;
}

/* Damages every file of a kind. Returns how many there were. */
static int damage(const char *kind, off_t at) {
    int count = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *e; (e = readdir(dir));) {
        if (!strstr(e->d_name, kind)) continue;
        char path[400], byte;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        FILE *file = fopen(path, "r+e");
        assert_non_null(file);
        fseek(file, at, at < 0 ? SEEK_END : SEEK_SET);
        byte = (char)fgetc(file);
        fseek(file, at, at < 0 ? SEEK_END : SEEK_SET);
        fputc(byte ^ 0x11, file);
        assert_int_equal(fclose(file), 0);
        count++;
    }
    closedir(dir);
    return count;
}

static void warm_start_loads_no_compiler(void **state) {
    (void)state;
    const order o = {.model = data_file("small.onnx"), .folder = folder, .first = FIRST};
    assert_int_equal(run(&o), COMPILED);
    assert_int_equal(run(&o), HIT);
    const order memory = {.model = o.model, .folder = folder, .first = FIRST, .in_memory = true};
    assert_int_equal(run(&memory), HIT);
    const order none = {.model = o.model, .folder = "", .first = FIRST};
    assert_int_equal(run(&none), COMPILED);
}

static void other_names_are_the_same_graph(void **state) {
    (void)state;
    order o = {.model = model, .folder = folder, .first = FIRST};
    copy("small.onnx", model);
    assert_int_equal(run(&o), COMPILED);
    copy("renamed.onnx", model);
    assert_int_equal(run(&o), HIT | COMPILED); /* by the graph key, which the compiler finds */
    assert_int_equal(run(&o), HIT);            /* by the entry that was added */
    copy("other_w.onnx", model);
    o.first = 4;
    assert_int_equal(run(&o), COMPILED);
}

/* Whatever is in the folder, and by whichever key it is found. */
static void precisions_do_not_mix(void **state) {
    (void)state;
    static const struct {
        vj_dtype precision, weight_format;
        const char *keep_f32;
        bool first; /* of those that mean the same */
    } asked[] = {{VJ_F32, VJ_F32, NULL, true},       {VJ_BF16, VJ_F32, NULL, true},
                 {VJ_F32, VJ_F16, NULL, true},       {VJ_F32, VJ_BF16, NULL, true},
                 {VJ_BF16, VJ_BF16, NULL, true},     {VJ_BF16, VJ_F32, "*n?", true},
                 {VJ_BF16, VJ_F32, "*", true},       {VJ_NO_DTYPE, VJ_NO_DTYPE, NULL, false},
                 {VJ_BF16, VJ_NO_DTYPE, "*", false}, {VJ_NO_DTYPE, VJ_F16, NULL, false},
                 {VJ_F32, VJ_I8, NULL, true},        {VJ_F32, VJ_I4, NULL, true},
                 {VJ_BF16, VJ_I4, NULL, true},       {VJ_NO_DTYPE, VJ_I4, NULL, false},
                 {VJ_F32, VJ_I4, "*n?", true}};
    order o = {.model = model, .folder = folder, .first = FIRST};
    copy("small.onnx", model);
    for (int round = 0; round < 3; round++) {
        if (round == 1) copy("renamed.onnx", model); /* the same graph: found by the graph key alone */
        for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
            o.precision = asked[i].precision;
            o.weight_format = asked[i].weight_format;
            o.keep_f32 = asked[i].keep_f32;
            const int compiled = asked[i].first ? COMPILED : HIT;
            const int renamed = o.keep_f32 ? compiled : compiled | HIT; /* patterns are about names */
            const bool in_blocks = o.weight_format == VJ_I8 || o.weight_format == VJ_I4;
            const int wrong = in_blocks && !o.keep_f32 ? WRONG : 0; /* whole numbers are no longer whole */
            const int result = run(&o);
            const int want[] = {compiled | wrong, renamed | wrong, HIT | wrong};
            if (result != want[round]) fail_msg("round %d, options %zu: %d, not %d", round, i, result, want[round]);
        }
    }
}

/* A pattern that names a product of one model names none of the same graph with other names. */
static void patterns_are_about_names(void **state) {
    (void)state;
    order o = {.model = model, .folder = folder, .first = FIRST, .precision = VJ_BF16, .keep_f32 = "n?"};
    copy("small.onnx", model);
    assert_int_equal(run(&o), COMPILED);
    assert_int_equal(run(&o), HIT);
    copy("renamed.onnx", model);
    assert_int_equal(run(&o), FAILED);
    copy("small.onnx", model);
    assert_int_equal(run(&o), HIT);
}

static void external_data_counts(void **state) {
    (void)state;
    char beside[128], external[256];
    snprintf(beside, sizeof beside, "%s/model", folder);
    assert_int_equal(mkdir(beside, 0700), 0);
    snprintf(model, sizeof model, "%s/external.onnx", beside);
    snprintf(external, sizeof external, "%s/external.bin", beside);
    order o = {.model = model, .folder = folder, .first = FIRST};
    copy("external.onnx", model);
    copy("external.bin", external);
    assert_int_equal(run(&o), COMPILED);
    assert_int_equal(run(&o), HIT);
    const float four = 4;
    FILE *file = fopen(external, "r+e");
    assert_int_equal(fwrite(&four, sizeof four, 1, file), 1);
    fclose(file);
    o.first = four;
    assert_int_equal(run(&o), COMPILED);
    assert_int_equal(run(&o), HIT);
    unlink(external);
    assert_int_equal(run(&o), FAILED);
    unlink(model);
    rmdir(beside);
}

static void files_that_stay_are_not_read(void **state) {
    (void)state;
    if (bytes_read() < 0) skip();
    order o = {.model = model, .folder = folder, .first = FIRST};
    const struct timespec settle = {3, 100000000};
    struct stat first, second;
    copy_large("small.onnx", model);
    assert_int_equal(run(&o) & ~READ, COMPILED);
    assert_int_equal(run(&o), HIT | READ); /* it changed just now */
    nanosleep(&settle, NULL);
    assert_int_equal(run(&o), HIT | READ);
    assert_int_equal(run(&o), HIT);
    assert_int_equal(damage(".seen", 3), 1);
    assert_int_equal(run(&o), HIT | READ);
    assert_int_equal(run(&o), HIT);
    /* Other weights, with the same length and time. */
    assert_int_equal(stat(model, &first), 0);
    copy_large("small.onnx", model);
    FILE *file = fopen(model, "r+e");
    assert_non_null(file);
    const float four = 4;
    fseek(file, offset_of_w(model), SEEK_SET);
    assert_int_equal(fwrite(&four, sizeof four, 1, file), 1);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(utimensat(AT_FDCWD, model, (struct timespec[]){first.st_atim, first.st_mtim}, 0), 0);
    assert_int_equal(stat(model, &second), 0);
    assert_int_equal(first.st_size, second.st_size);
    assert_int_equal(first.st_ino, second.st_ino);
    o.first = four;
    assert_int_equal(run(&o) & ~READ, COMPILED);
    nanosleep(&settle, NULL);
    empty(folder);
    assert_int_equal(run(&o) & ~READ, COMPILED); /* of a file that has settled the compilation itself keeps a note */
    assert_int_equal(run(&o), HIT);
}

static void damaged_files_are_rebuilt(void **state) {
    (void)state;
    const order o = {.model = data_file("small.onnx"), .folder = folder, .first = FIRST};
    assert_int_equal(run(&o), COMPILED);
    const struct {
        const char *kind;
        off_t at;
    } places[] = {{".image", 0},   {".image", 100},    {".image", -1},
                  {".weights", 0}, {".weights", 4096}, {".weights", -1}};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        assert_int_equal(damage(places[i].kind, places[i].at), 1);
        assert_int_equal(run(&o), COMPILED);
        assert_int_equal(run(&o), HIT);
    }
    assert_int_equal(damage(".entry", 0), 1);
    assert_int_equal(run(&o), HIT | COMPILED);
    assert_int_equal(run(&o), HIT);
    assert_int_equal(damage(".entry", 20), 1);
    assert_int_equal(run(&o), HIT | COMPILED);
    assert_int_equal(run(&o), HIT);
}

static void folders_of_others_are_refused(void **state) {
    (void)state;
    const order o = {.model = data_file("small.onnx"), .folder = folder, .first = FIRST};
    assert_int_equal(chmod(folder, 0750), 0);
    assert_int_equal(run(&o), COMPILED | WARNED);
    assert_int_equal(chmod(folder, 0700), 0);
    if (geteuid() == 0) { /* else there is nobody to give it to */
        assert_int_equal(chown(folder, 65534, 65534), 0);
        assert_int_equal(run(&o), COMPILED | WARNED);
        assert_int_equal(chown(folder, 0, 0), 0);
    }
    assert_int_equal(run(&o), COMPILED);
}

static void read_only_folder_is_a_warning(void **state) {
    (void)state;
    const order o = {.model = model, .folder = folder, .first = FIRST, .bound = true};
    copy("small.onnx", model);
    assert_int_equal(chmod(folder, 0500), 0);
    assert_int_equal(run(&o), COMPILED | WARNED);
    assert_int_equal(chmod(folder, 0700), 0);
    assert_int_equal(run(&o), COMPILED);
    assert_int_equal(chmod(folder, 0500), 0);
    assert_int_equal(run(&o), HIT);
    assert_int_equal(chmod(folder, 0700), 0);
}

/* When not even memory files may be as large as the weights, the result must be an error, not a signal. */
static void no_room_is_no_crash(void **state) {
    (void)state;
    order o = {.model = data_file("small.onnx"), .folder = folder, .first = FIRST, .most_bytes = 1000};
    assert_int_equal(run(&o), FAILED | WARNED);
    o.most_bytes = 0;
    assert_int_equal(run(&o), COMPILED);
    assert_int_equal(run(&o), HIT);
    o.most_bytes = 1000; /* a hit writes nothing */
    assert_int_equal(run(&o), HIT);
}

static void full_disk_is_a_warning(void **state) {
    (void)state;
    const order o = {.model = data_file("small.onnx"), .folder = folder, .first = FIRST};
    if (mount("none", folder, "tmpfs", 0, "size=4096,mode=0700") != 0) skip();
    const int result = run(&o);
    umount(folder);
    assert_int_equal(result, COMPILED | WARNED);
}

static void two_at_once(void **state) {
    (void)state;
    const order o = {.model = data_file("small.onnx"), .folder = folder, .first = FIRST};
    const pid_t a = begin(&o), b = begin(&o);
    assert_int_equal(end(a) & ~HIT, COMPILED);
    const int second = end(b);
    assert_true(second == HIT || (second & ~HIT) == COMPILED);
    assert_int_equal(run(&o), HIT);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, new_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        CASE(warm_start_loads_no_compiler), CASE(other_names_are_the_same_graph), CASE(patterns_are_about_names),
        CASE(precisions_do_not_mix),        CASE(external_data_counts),           CASE(files_that_stay_are_not_read),
        CASE(damaged_files_are_rebuilt),    CASE(folders_of_others_are_refused),  CASE(read_only_folder_is_a_warning),
        CASE(no_room_is_no_crash),          CASE(full_disk_is_a_warning),         CASE(two_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
