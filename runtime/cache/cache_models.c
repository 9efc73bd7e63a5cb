/* SPDX-License-Identifier: Apache-2.0 */
/* cache_models.c - the cache by its models: what `vitjit cache ls` and `cache rm` are about. Nothing is marked as used by it, and
 * nothing in the files is trusted: what is damaged has no precision and no CPU.
 */
#include "runtime/runtime.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "vitjit_dtype.h"

enum { NAME = 64, MOST_TEXT = 16 << 20 };

/* An entry, and the files that it leads to; names are empty where there are none. */
typedef struct cached_model {
    char *path; /* malloc'ed: of the model, when it was compiled */
    char entry[NAME], image[NAME], weights[NAME];
    char cpu[32];
    const char *precision, *weight_format;
    int64_t image_bytes, weights_bytes, used; /* used: ns since the epoch */
} cached_model;

typedef struct cached_models {
    char folder[4096];
    int dir;
    cached_model *at;
    size_t count;
    size_t files;
    int64_t bytes; /* of all files */
} cached_models;

/* The bytes that a file takes, 0: there is none; the time of its last use. */
static int64_t size_of(const cached_models *all, const char *name, int64_t *used) {
    struct stat st;
    if (!*name || fstatat(all->dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode)) return 0;
    const int64_t time = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    if (used && time > *used) *used = time;
    return st.st_blocks * 512;
}

static int open_in(const cached_models *all, const char *name) {
    return openat(all->dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
}

static char *read_text(const cached_models *all, const char *name) {
    struct stat st;
    const int fd = open_in(all, name);
    char *text = NULL;
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= MOST_TEXT &&
        (text = calloc(1, (size_t)st.st_size + 1)) && pread(fd, text, (size_t)st.st_size, 0) != st.st_size) {
        free(text);
        text = NULL;
    }
    if (fd >= 0) close(fd);
    return text;
}

static void read_image(const cached_models *all, cached_model *m) {
    vj_image_header h;
    const int fd = open_in(all, m->image);
    const bool whole = fd >= 0 && pread(fd, &h, sizeof h, 0) == (ssize_t)sizeof h && h.magic == VJ_IMAGE_MAGIC &&
                       h.version == VJ_IMAGE_VERSION && vj_is_precision((vj_dtype)h.precision) &&
                       vj_is_weight_format((vj_dtype)h.weight_format) && h.cpu < h.strings_bytes &&
                       h.strings <= INT64_MAX / 2 && h.strings_bytes <= INT32_MAX;
    if (whole) {
        char text[VJ_KEY_TEXT];
        vj_key_text(h.weights_digest, text);
        snprintf(m->weights, NAME, "%s.weights", text);
        m->precision = vj_precision_name((vj_dtype)h.precision);
        m->weight_format = vj_precision_name((vj_dtype)h.weight_format);
        const ssize_t got = pread(fd, m->cpu, sizeof m->cpu - 1, (off_t)(h.strings + h.cpu));
        m->cpu[got > 0 ? got : 0] = 0;
    }
    if (fd >= 0) close(fd);
}

/* Lines of entry.c's text. False: errno says why the machine cannot read it; one that is gone or damaged is no failure. */
static bool read_entry(const cached_models *all, const char *name, cached_model *m) {
    errno = 0;
    char *text = read_text(all, name), key[VJ_KEY_TEXT] = "";
    if (!text && (errno == ENOMEM || errno == EIO)) return false;
    *m = (cached_model){.precision = "?", .weight_format = "?"};
    snprintf(m->entry, NAME, "%.*s", NAME - 1, name); /* what is longer is none of the cache's */
    const char *graph = text ? strstr(text, "\ngraph ") : NULL, *model = text ? strstr(text, "\nmodel ") : NULL;
    if (graph && sscanf(graph, "\ngraph %32[0-9a-f]", key) == 1) snprintf(m->image, NAME, "%s.image", key);
    m->path = model ? strndup(model + 7, strcspn(model + 7, "\n")) : strdup("(in memory)");
    free(text);
    read_image(all, m);
    if (!m->path || errno == ENOMEM || errno == EIO) {
        free(m->path);
        return false;
    }
    size_of(all, m->entry, &m->used);
    m->image_bytes = size_of(all, m->image, &m->used);
    m->weights_bytes = size_of(all, m->weights, &m->used);
    return true;
}

static int by_model(const void *a, const void *b) {
    const cached_model *x = a, *y = b;
    const int order = strcmp(x->path, y->path);
    return order ? order : x->used < y->used ? -1 : x->used > y->used;
}

static void close_models(cached_models *all) {
    for (size_t i = 0; i < all->count; i++)
        free(all->at[i].path);
    free(all->at);
    if (all->dir >= 0) close(all->dir);
}

/* A folder that is not there has none. */
static vj_status open_models(const char *asked, cached_models *all) {
    size_t room = 0;
    *all = (cached_models){.dir = -1};
    if (!vj_cache_folder(asked, all->folder, sizeof all->folder))
        return vj_error_set(VJ_USAGE, "there is no cache folder");
    vj_status status = VJ_OK;
    DIR *dir = opendir(all->folder);
    if (!dir && errno == ENOMEM) return vj_error_set(VJ_SYSTEM, "%s: %s", all->folder, strerror(errno));
    if (dir) all->dir = dup(dirfd(dir));
    for (struct dirent *e; all->dir >= 0 && status == VJ_OK && (e = readdir(dir));) {
        if (!vj_cache_is_ours(e->d_name) || strlen(e->d_name) >= NAME) continue;
        all->bytes += size_of(all, e->d_name, NULL);
        all->files++;
        if (!vj_cache_ends_in(e->d_name, ".entry")) continue;
        if (all->count == room) {
            void *more = realloc(all->at, (room = room * 2 + 16) * sizeof *all->at);
            if (!more) {
                status = vj_error_set(VJ_SYSTEM, "out of memory");
                break;
            }
            all->at = more;
        }
        if (read_entry(all, e->d_name, &all->at[all->count]))
            all->count++;
        else
            status = vj_error_set(VJ_SYSTEM, "the cache cannot be read: %s", strerror(errno));
    }
    if (dir) closedir(dir);
    if (all->count) qsort(all->at, all->count, sizeof *all->at, by_model);
    return status;
}

static void print_model(const cached_model *m, int width, FILE *out) {
    char when[32] = "", what[32];
    const time_t used = (time_t)(m->used / 1000000000);
    struct tm local;
    if (localtime_r(&used, &local)) strftime(when, sizeof when, "%Y-%m-%d %H:%M", &local);
    const bool plain = strcmp(m->weight_format, "f32") == 0 || strcmp(m->weight_format, m->precision) == 0;
    snprintf(what, sizeof what, "%s%s%s", m->precision, plain ? "" : "+", plain ? "" : m->weight_format);
    fprintf(out, "%-*s  %-10s %-15s %9.2f %11.2f  %s\n", width, m->path, what, *m->cpu ? m->cpu : "?",
            (double)m->image_bytes * 1e-6, (double)m->weights_bytes * 1e-6, when);
}

vj_status vj_cache_list(const char *asked, FILE *out) {
    cached_models all;
    const vj_status status = open_models(asked, &all);
    int width = (int)strlen("model");
    for (size_t i = 0; i < all.count; i++)
        if ((int)strlen(all.at[i].path) > width) width = (int)strlen(all.at[i].path);
    if (status == VJ_OK && all.count)
        fprintf(out, "%-*s  %-10s %-15s %9s %11s  %s\n", width, "model", "precision", "CPU", "code MB", "weights MB",
                "last used");
    for (size_t i = 0; i < all.count && status == VJ_OK; i++)
        print_model(&all.at[i], width, out);
    if (status == VJ_OK) fprintf(out, "%.2f MB in %s: %zu files\n", (double)all.bytes * 1e-6, all.folder, all.files);
    close_models(&all);
    return status;
}

static bool is_in(const char *path, const char *folder) {
    const size_t length = strlen(folder);
    return strncmp(path, folder, length) == 0 && (!path[length] || path[length] == '/');
}

/* The model itself, or one in the folder of that name. The entry's path may be a link's. */
static bool is_of(const cached_model *m, const char *path) {
    char real[PATH_MAX];
    return is_in(m->path, path) || (realpath(m->path, real) && is_in(real, path));
}

static bool is_used(const cached_models *all, const char *path, const char *name) {
    for (size_t i = 0; i < all->count; i++)
        if (!is_of(&all->at[i], path) && (strcmp(all->at[i].image, name) == 0 || strcmp(all->at[i].weights, name) == 0))
            return true;
    return false;
}

static int64_t remove_file(const cached_models *all, const char *path, const char *name) {
    if (!*name || is_used(all, path, name)) return 0;
    const int64_t bytes = size_of(all, name, NULL);
    return unlinkat(all->dir, name, 0) == 0 ? bytes : 0; /* unlinked, never cut: others may have it mapped */
}

/* The path as entries have it; a model that is gone has one too. */
static bool whole_path(const char *model, char path[PATH_MAX]) {
    char here[PATH_MAX];
    if (realpath(model, path)) return true;
    if (*model == '/') return snprintf(path, PATH_MAX, "%s", model) < PATH_MAX;
    return getcwd(here, sizeof here) && snprintf(path, PATH_MAX, "%s/%s", here, model) < PATH_MAX;
}

vj_status vj_cache_remove(const char *asked, const char *model, FILE *out) {
    cached_models all;
    char path[PATH_MAX];
    int64_t bytes = 0;
    size_t entries = 0;
    if (!whole_path(model, path)) return vj_error_set(VJ_USAGE, "the path is too long");
    vj_status status = open_models(asked, &all);
    for (size_t i = 0; i < all.count && status == VJ_OK; i++) { /* all are known: none that is used is removed */
        const cached_model *m = &all.at[i];
        if (!is_of(m, path)) continue;
        bytes += size_of(&all, m->entry, NULL);
        unlinkat(all.dir, m->entry, 0);
        bytes += remove_file(&all, path, m->image) + remove_file(&all, path, m->weights);
        entries++;
    }
    if (status == VJ_OK && entries)
        fprintf(out, "removed %zu entr%s, %.2f MB\n", entries, entries == 1 ? "y" : "ies", (double)bytes * 1e-6);
    else if (status == VJ_OK)
        status =
            vj_error_set(VJ_BAD_INPUT, "%s: nothing of it is in the cache %s\n  hint: vitjit cache ls lists what is",
                         model, all.folder);
    close_models(&all);
    return status;
}
