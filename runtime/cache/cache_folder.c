/* SPDX-License-Identifier: Apache-2.0 */
/* cache_folder.c - the folder of the cache: it must be the user's own and closed to others. Files are written under a temporary
 * name and renamed.
 */
#include "cache_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void warn(const vj_cache *c, const char *format, ...) {
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (c->log) c->log(c->log_self, VJ_LOG_WARNING, text);
}

void vj_cache_found(const vj_cache *c, const vj_key *graph_key) {
    char path[4300], text[4400];
    if (!c->log || c->log_level < VJ_LOG_INFO) return;
    vj_cache_path(c, graph_key->half, "image", path, sizeof path);
    snprintf(text, sizeof text, "found in the cache: %s", path);
    c->log(c->log_self, VJ_LOG_INFO, text);
}

bool vj_cache_folder(const char *asked, char *folder, size_t room) {
    const char *home;
    if (asked)
        snprintf(folder, room, "%s", asked);
    else if ((home = getenv("VITJIT_CACHE")))
        snprintf(folder, room, "%s", home);
    else if ((home = getenv("XDG_CACHE_HOME")) && *home == '/')
        snprintf(folder, room, "%s/vitjit", home);
    else if ((home = getenv("HOME")) && *home == '/')
        snprintf(folder, room, "%s/.cache/vitjit", home);
    else
        folder[0] = 0;
    return folder[0] != 0;
}

static bool make_folder(char *path) {
    for (char *at = path + 1; *at; at++) {
        if (*at != '/') continue;
        *at = 0;
        int made = mkdir(path, 0700);
        int why = errno;
        *at = '/';
        if (made != 0 && why != EEXIST) return false;
    }
    return mkdir(path, 0700) == 0 || errno == EEXIST;
}

/* Process numbers are no names: in containers they are all 1. */
static uint64_t new_token(void) {
    static atomic_uint opened;
    uint64_t token;
    struct timespec now;
    if (getrandom(&token, sizeof token, GRND_NONBLOCK) == (ssize_t)sizeof token) return token;
    clock_gettime(CLOCK_REALTIME, &now);
    const uint64_t facts[] = {(uint64_t)now.tv_sec, (uint64_t)now.tv_nsec, (uint64_t)getpid(),
                              atomic_fetch_add(&opened, 1)};
    return vj_key_of(facts, sizeof facts).half[0];
}

vj_cache *vj_cache_open(const char *asked, vj_log_fn log, void *log_self, int32_t log_level) {
    vj_cache *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    c->log = log;
    c->log_self = log_self;
    c->log_level = log_level;
    c->token = new_token();
    struct stat st;
    if (!vj_cache_folder(asked, c->folder, sizeof c->folder - 128)) {
        free(c);
        return NULL;
    }
    if (!make_folder(c->folder) || stat(c->folder, &st) != 0 || !S_ISDIR(st.st_mode))
        warn(c, "no cache: %s cannot be made: %s", c->folder, strerror(errno));
    else if (st.st_uid != geteuid() || (st.st_mode & 077))
        warn(c, "no cache: %s must belong to you alone (chmod 700)", c->folder);
    else
        return c;
    free(c);
    return NULL;
}

void vj_cache_close(vj_cache *c) { free(c); }

void vj_cache_path(const vj_cache *c, const uint64_t key[2], const char *kind, char *path, size_t room) {
    char text[VJ_KEY_TEXT];
    vj_key_text(key, text);
    snprintf(path, room, "%s/%s.%s", c->folder, text, kind);
}

int vj_cache_open_own(const char *path) {
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) return -1;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid()) {
        futimens(fd, NULL); /* used just now */
        return fd;
    }
    close(fd);
    return -1;
}

/* Whole files of bounded size; one byte more than the file has, 0. */
static char *read_own(const char *path, size_t most, size_t *bytes) {
    int fd = vj_cache_open_own(path);
    if (fd < 0) return NULL;
    struct stat st;
    char *at = NULL;
    if (fstat(fd, &st) == 0 && st.st_size > 0 && (size_t)st.st_size <= most) at = malloc((size_t)st.st_size + 1);
    size_t done = 0;
    while (at && done < (size_t)st.st_size) {
        ssize_t n = read(fd, at + done, (size_t)st.st_size - done);
        if (n <= 0) {
            free(at);
            at = NULL;
            break;
        }
        done += (size_t)n;
    }
    close(fd);
    if (at) at[done] = 0;
    *bytes = done;
    return at;
}

void vj_cache_temporary(const vj_cache *c, const char *path, char *name, size_t room) {
    snprintf(name, room, "%s.%016llx.tmp", path, (unsigned long long)c->token);
}

void vj_cache_cannot_write(vj_cache *c, const char *path, int why) {
    warn(c, "the result is not kept: cannot write %s: %s", path, strerror(why));
    c->read_only = true;
}

int vj_cache_create(const char *name) {
    const int fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0) flock(fd, LOCK_EX | LOCK_NB); /* without locks there is the file's age (vj_cache_bound) */
    return fd;
}

/* 0, or why not. */
static int write_file(const vj_cache *c, const char *path, const void *bytes, size_t size) {
    char name[4400];
    vj_cache_temporary(c, path, name, sizeof name);
    int fd = vj_cache_create(name);
    if (fd < 0) return errno;
    size_t done = 0;
    int why = 0;
    while (!why && done < size) {
        ssize_t n = write(fd, (const char *)bytes + done, size - done);
        if (n <= 0)
            why = n < 0 ? errno : ENOSPC;
        else
            done += (size_t)n;
    }
    if (close(fd) != 0 && !why) why = errno;
    if (!why && rename(name, path) != 0) why = errno;
    if (why) unlink(name);
    return why;
}

bool vj_cache_write(vj_cache *c, const char *path, const void *bytes, size_t size) {
    if (c->read_only) return false;
    const int why = write_file(c, path, bytes, size);
    if (why) vj_cache_cannot_write(c, path, why);
    return !why;
}

void *vj_cache_get(const vj_cache *c, const vj_key *key, const char *kind, size_t most, size_t *bytes) {
    char path[4300];
    vj_cache_path(c, key->half, kind, path, sizeof path);
    return read_own(path, most, bytes);
}

void vj_cache_set(vj_cache *c, const vj_key *key, const char *kind, const void *bytes, size_t size, bool warned) {
    char path[4300];
    vj_cache_path(c, key->half, kind, path, sizeof path);
    if (c->read_only) return;
    const int why = write_file(c, path, bytes, size);
    if (why && warned) vj_cache_cannot_write(c, path, why);
}

void *vj_cache_read(const char *path, size_t *bytes) { return read_own(path, (size_t)1 << 31, bytes); }

void vj_cache_beside(const char *model_path, const char *name, char *path, size_t room) {
    const char *slash = model_path ? strrchr(model_path, '/') : NULL;
    snprintf(path, room, "%.*s%s", slash ? (int)(slash - model_path + 1) : 0, slash ? model_path : "", name);
}
