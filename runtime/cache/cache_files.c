/* SPDX-License-Identifier: Apache-2.0 */
/* cache_files.c - the cache as a folder of files: its bound, whether they are whole. */
#include "runtime/runtime.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ABANDONED_S 3600 /* a temporary file this old has lost its writer */

typedef struct cached_file {
    char name[256];
    int64_t bytes, used; /* ns since the epoch */
} cached_file;

static int by_use(const void *a, const void *b) {
    const cached_file *x = a, *y = b;
    return x->used < y->used ? -1 : x->used > y->used;
}

static bool ends_in(const char *name, const char *end) {
    const size_t length = strlen(name), tail = strlen(end);
    return length > tail && strcmp(name + length - tail, end) == 0;
}

/* Nothing else in the folder is touched. */
bool vj_cache_is_ours(const char *name) {
    return ends_in(name, ".entry") || ends_in(name, ".image") || ends_in(name, ".weights") || ends_in(name, ".seen") ||
           ends_in(name, ".tmp");
}

static cached_file *list_files(const char *folder, size_t *count) {
    DIR *dir = opendir(folder);
    cached_file *files = NULL;
    size_t room = 0;
    *count = 0;
    for (struct dirent *e; dir && (e = readdir(dir));) {
        struct stat st;
        if (fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode)) continue;
        if (*count == room) {
            void *more = realloc(files, (room = room * 2 + 64) * sizeof *files);
            if (!more) break;
            files = more;
        }
        if (!vj_cache_is_ours(e->d_name)) continue;
        cached_file *f = &files[(*count)++];
        snprintf(f->name, sizeof f->name, "%s", e->d_name);
        f->bytes = st.st_blocks * 512;
        f->used = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    }
    if (dir) closedir(dir);
    if (files) qsort(files, *count, sizeof *files, by_use);
    return files;
}

void vj_cache_bound(const char *folder, int64_t bytes) {
    size_t count;
    int64_t total = 0;
    cached_file *files = list_files(folder, &count);
    const int64_t abandoned = ((int64_t)time(NULL) - ABANDONED_S) * 1000000000;
    for (size_t i = 0; i < count; i++)
        total += files[i].bytes;
    for (size_t i = 0; i < count; i++) { /* least recently used first */
        const bool temporary = ends_in(files[i].name, ".tmp");
        if (temporary ? files[i].used > abandoned : total <= bytes) continue;
        char path[4400];
        snprintf(path, sizeof path, "%s/%s", folder, files[i].name);
        if (unlink(path) == 0) total -= files[i].bytes; /* unlinked, never cut: others may have it mapped */
    }
    free(files);
}

static bool image_is_whole(const char *path) {
    size_t bytes;
    void *image = vj_cache_read(path, &bytes);
    const bool whole = image && vj_image_check(image, bytes) == VJ_OK;
    free(image);
    return whole;
}

static bool weights_are_whole(const char *path) {
    vj_weights_header h;
    vj_weights_map map;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) return false;
    bool whole = pread(fd, &h, sizeof h, 0) == (ssize_t)sizeof h && h.bytes >= 0 && h.bytes <= INT64_MAX / 2 &&
                 vj_weights_map_fd(fd, h.digest, h.bytes, &map) == VJ_OK;
    if (whole) {
        whole = vj_weights_whole(&map);
        vj_weights_unmap(&map);
    }
    close(fd);
    return whole;
}

vj_status vj_cache_verify(const char *asked, FILE *out) {
    char folder[4096], path[4400];
    size_t count, damaged = 0;
    if (!vj_cache_folder(asked, folder, sizeof folder)) return vj_error_set(VJ_USAGE, "there is no cache folder");
    cached_file *files = list_files(folder, &count);
    for (size_t i = 0; i < count; i++) {
        const bool image = ends_in(files[i].name, ".image"), weights = ends_in(files[i].name, ".weights");
        snprintf(path, sizeof path, "%s/%s", folder, files[i].name);
        if ((image && !image_is_whole(path)) || (weights && !weights_are_whole(path))) {
            fprintf(out, "damaged  %s\n", files[i].name);
            damaged++;
        }
    }
    fprintf(out, "%s: %zu files, %zu damaged\n", folder, count, damaged);
    free(files);
    return damaged ? vj_error_set(VJ_BAD_INPUT, "%zu damaged files; they are rebuilt when next needed", damaged)
                   : VJ_OK;
}

vj_status vj_cache_prune(const char *asked, int64_t bytes) {
    char folder[4096];
    if (!vj_cache_folder(asked, folder, sizeof folder)) return vj_error_set(VJ_USAGE, "there is no cache folder");
    vj_cache_bound(folder, bytes);
    return VJ_OK;
}
