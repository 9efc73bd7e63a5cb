/* SPDX-License-Identifier: Apache-2.0 */
/* cache_files.c - the cache as a folder of files: its bound, whether they are whole. */
#include "runtime/runtime.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Seconds: a temporary file this old has lost its writer, if there is no lock; one that is younger may be about to be locked. */
#define ABANDONED_S 3600
#define UNLOCKED_S  10

typedef struct cached_file {
    char name[256];
    int64_t bytes, used; /* ns since the epoch */
} cached_file;

static int by_use(const void *a, const void *b) {
    const cached_file *x = a, *y = b;
    return x->used < y->used ? -1 : x->used > y->used;
}

bool vj_cache_ends_in(const char *name, const char *end) {
    const size_t length = strlen(name), tail = strlen(end);
    return length > tail && strcmp(name + length - tail, end) == 0;
}

/* Nothing else in the folder is touched. */
bool vj_cache_is_ours(const char *name) {
    return vj_cache_ends_in(name, ".entry") || vj_cache_ends_in(name, ".image") || vj_cache_ends_in(name, ".weights") ||
           vj_cache_ends_in(name, ".seen") || vj_cache_ends_in(name, ".tmp");
}

/* NULL: there is no room, or no folder (errno says why, ENOENT if there is none). *whole: none is left out for want of memory. */
static cached_file *list_files(const char *folder, size_t *count, bool *whole) {
    DIR *dir = opendir(folder);
    *whole = dir || errno != ENOMEM;
    cached_file *files = NULL;
    size_t room = 0;
    *count = 0;
    if (!dir) return NULL;
    for (struct dirent *e; (e = readdir(dir));) {
        struct stat st;
        if (fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode)) continue;
        if (*count == room) {
            void *more = realloc(files, (room = room * 2 + 64) * sizeof *files);
            if (!more) {
                *whole = false;
                break;
            }
            files = more;
        }
        if (!vj_cache_is_ours(e->d_name)) continue;
        cached_file *f = &files[(*count)++];
        snprintf(f->name, sizeof f->name, "%s", e->d_name);
        f->bytes = st.st_blocks * 512;
        f->used = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    }
    closedir(dir);
    if (files) qsort(files, *count, sizeof *files, by_use);
    return files;
}

/* A temporary file that no writer has open any more. Its writer locks it; the time is for the moment before that, and for file
 * systems without locks. A clock that was set back leaves files of the future. */
static bool is_abandoned(const char *path, const cached_file *file) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const int64_t age = now.tv_sec - file->used / 1000000000;
    if (age < UNLOCKED_S && age > -UNLOCKED_S) return false;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    const int got = fd >= 0 ? flock(fd, LOCK_EX | LOCK_NB) : -1;
    const bool has_writer = fd < 0 || (got != 0 && (errno == EWOULDBLOCK || age < ABANDONED_S));
    if (fd >= 0) close(fd);
    return !has_writer;
}

int32_t vj_cache_bound(const char *folder, int64_t bytes, int *why) {
    size_t count;
    int64_t total = 0;
    int32_t failed = 0;
    bool whole; /* or the rest is for the next time */
    cached_file *files = list_files(folder, &count, &whole);
    for (size_t i = 0; i < count; i++)
        if (!vj_cache_ends_in(files[i].name, ".tmp")) total += files[i].bytes;
    for (size_t i = 0; i < count; i++) { /* least recently used first */
        const bool temporary = vj_cache_ends_in(files[i].name, ".tmp");
        char path[4400];
        snprintf(path, sizeof path, "%s/%s", folder, files[i].name);
        if (temporary ? !is_abandoned(path, &files[i]) : total <= bytes) continue;
        if (unlink(path) != 0 && errno != ENOENT) { /* unlinked, never cut: others may have it mapped */
            if (why && !failed) *why = errno;
            failed++;
        } else if (!temporary) {
            total -= files[i].bytes;
        }
    }
    free(files);
    return failed;
}

/* The key that the name says; false: it says none. */
static bool key_of_name(const char *name, vj_key *key) {
    unsigned long long high, low;
    int end = 0;
    if (strspn(name, "0123456789abcdef") != VJ_KEY_TEXT - 1) return false;
    if (sscanf(name, "%16llx%16llx%n", &high, &low, &end) != 2 || end != VJ_KEY_TEXT - 1) return false;
    *key = (vj_key){{low, high}};
    return true;
}

static bool image_is_whole(const char *path, const vj_key *key) {
    size_t bytes = 0;
    void *image = vj_cache_read(path, &bytes);
    const bool whole = vj_image_is_of(image, bytes, key->half);
    free(image);
    return whole;
}

static bool weights_are_whole(const char *path, const vj_key *key) {
    vj_weights_header h;
    vj_weights_map map;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) return false;
    bool whole = pread(fd, &h, sizeof h, 0) == (ssize_t)sizeof h && h.bytes >= 0 && h.bytes <= INT64_MAX / 2 &&
                 vj_weights_map_fd(fd, key->half, h.bytes, &map) == VJ_OK;
    if (whole) {
        whole = vj_weights_whole(&map);
        vj_weights_unmap(&map);
    }
    close(fd);
    return whole;
}

static bool entry_is_whole(const char *path, const vj_key *key) {
    size_t bytes;
    vj_key check;
    char *text = vj_cache_read(path, &bytes);
    const bool whole = text && vj_entry_lines(text, bytes, key, &check);
    free(text);
    return whole;
}

static bool note_is_whole(const char *path, const vj_key *key) {
    size_t bytes;
    vj_key *note = vj_cache_read(path, &bytes);
    const bool whole = note && bytes == sizeof *note && memcmp(note, key, sizeof *note) == 0;
    free(note);
    return whole;
}

/* Temporary files are nobody's yet. */
static bool is_whole(const char *folder, const char *name) {
    static const struct {
        const char *end;
        bool (*is_whole)(const char *path, const vj_key *key);
    } kinds[] = {{".image", image_is_whole},
                 {".weights", weights_are_whole},
                 {".entry", entry_is_whole},
                 {".seen", note_is_whole}};
    char path[4400];
    vj_key key;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (vj_cache_ends_in(name, kinds[i].end)) return key_of_name(name, &key) && kinds[i].is_whole(path, &key);
    return true;
}

vj_status vj_cache_verify(const char *asked, FILE *out) {
    char folder[4096];
    size_t count, damaged = 0;
    bool whole;
    if (!vj_cache_folder(asked, folder, sizeof folder)) return vj_error_set(VJ_USAGE, "there is no cache folder");
    cached_file *files = list_files(folder, &count, &whole);
    for (size_t i = 0; i < count && whole; i++) {
        errno = 0;
        if (is_whole(folder, files[i].name)) continue;
        whole = errno != ENOMEM && errno != EIO;
        if (!whole) break;
        fprintf(out, "damaged  %s\n", files[i].name);
        damaged++;
    }
    const int why = errno ? errno : ENOMEM;
    free(files);
    if (!whole) return vj_error_set(VJ_SYSTEM, "%s cannot be read: %s", folder, strerror(why));
    fprintf(out, "%s: %zu files, %zu damaged\n", folder, count, damaged);
    return damaged ? vj_error_set(VJ_BAD_INPUT, "%zu damaged files; they are rebuilt when next needed", damaged)
                   : VJ_OK;
}

vj_status vj_cache_prune(const char *asked, int64_t bytes) {
    char folder[4096];
    if (!vj_cache_folder(asked, folder, sizeof folder)) return vj_error_set(VJ_USAGE, "there is no cache folder");
    int why = 0;
    const int32_t failed = vj_cache_bound(folder, bytes, &why);
    return failed ? vj_error_set(VJ_SYSTEM, "%s: %d file%s cannot be removed: %s", folder, failed,
                                 failed == 1 ? "" : "s", strerror(why))
                  : VJ_OK;
}
