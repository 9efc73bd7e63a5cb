/* cache.c - files of earlier compilations.
 *
 * FILEKEY.entry     a text: the graph key, and of what content it is that of (entry.c)
 * GRAPHKEY.image    an image
 * DIGEST.weights    packed weights, shared by images
 * IDENTITY.seen     files that were read for an entry, and found to be what it says
 * All are written under a temporary name and renamed. The folder must be the user's own and closed to others. What is
 * damaged counts as missing and is written anew. The least recently used files go when the folder grows too large.
 */
#include "runtime/runtime.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

struct vj_cache {
    char folder[4096];
    vj_log_fn log;
    void *log_self;
    unsigned serial; /* of this handle in the process, for names of temporary files */
    bool read_only;  /* writing failed once: said so, and not tried again */
};

static void warn(const vj_cache *c, const char *format, ...) {
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (c->log) c->log(c->log_self, VJ_LOG_WARNING, text);
}

/* False when caching is switched off. */
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

vj_cache *vj_cache_open(const char *asked, vj_log_fn log, void *log_self) {
    vj_cache *c = calloc(1, sizeof *c);
    if (!c) return NULL;
    static atomic_uint opened;
    c->log = log;
    c->log_self = log_self;
    c->serial = atomic_fetch_add(&opened, 1);
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

static void path_of(const vj_cache *c, const uint64_t key[2], const char *kind, char *path, size_t room) {
    char text[VJ_KEY_TEXT];
    vj_key_text(key, text);
    snprintf(path, room, "%s/%s.%s", c->folder, text, kind);
}

static int open_own(const char *path) {
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
    int fd = open_own(path);
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

/* Of this handle alone: two compilations at once, in one process or in two, do not meet. */
static void temporary_name(const vj_cache *c, const char *path, char *name, size_t room) {
    snprintf(name, room, "%s.%ld.%u.tmp", path, (long)getpid(), c->serial);
}

static void cannot_write(vj_cache *c, const char *path, int why) {
    warn(c, "the result is not kept: cannot write %s: %s", path, strerror(why));
    c->read_only = true;
}

/* 0, or why not. */
static int write_file(const vj_cache *c, const char *path, const void *bytes, size_t size) {
    char name[4400];
    temporary_name(c, path, name, sizeof name);
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
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

static bool write_own(vj_cache *c, const char *path, const void *bytes, size_t size) {
    if (c->read_only) return false;
    const int why = write_file(c, path, bytes, size);
    if (why) cannot_write(c, path, why);
    return !why;
}

void *vj_cache_get(const vj_cache *c, const vj_key *key, const char *kind, size_t most, size_t *bytes) {
    char path[4300];
    path_of(c, key->half, kind, path, sizeof path);
    return read_own(path, most, bytes);
}

void vj_cache_set(vj_cache *c, const vj_key *key, const char *kind, const void *bytes, size_t size, bool warned) {
    char path[4300];
    path_of(c, key->half, kind, path, sizeof path);
    if (c->read_only) return;
    const int why = write_file(c, path, bytes, size);
    if (why && warned) cannot_write(c, path, why);
}

/* The content is checked by whoever maps it. */
static int open_weights(const vj_cache *c, const uint64_t digest[2]) {
    char path[4300];
    path_of(c, digest, "weights", path, sizeof path);
    return open_own(path);
}

static int find_weights(void *self, const uint64_t digest[2], int64_t bytes) {
    const vj_cache *c = self;
    int fd = c ? open_weights(c, digest) : -1;
    vj_weights_map map;
    if (fd < 0) return -1;
    bool whole = vj_weights_map_fd(fd, digest, bytes, &map) == VJ_OK;
    if (whole) {
        whole = vj_weights_whole(&map);
        vj_weights_unmap(&map);
    }
    if (whole) return fd;
    char path[4300];
    path_of(c, digest, "weights", path, sizeof path);
    close(fd);
    unlink(path);
    return -1;
}

static int create_in_folder(vj_cache *c, const uint64_t digest[2], off_t bytes) {
    char path[4300], name[4400];
    path_of(c, digest, "weights", path, sizeof path);
    temporary_name(c, path, name, sizeof name);
    int fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    int why = fd < 0 ? errno : posix_fallocate(fd, 0, bytes);
    if (why == 0) return fd;
    cannot_write(c, path, why);
    if (fd >= 0) {
        close(fd);
        unlink(name);
    }
    return -1;
}

static int create_weights(void *self, const uint64_t digest[2], int64_t bytes) {
    vj_cache *c = self;
    int fd = c && !c->read_only ? create_in_folder(c, digest, bytes + VJ_WEIGHTS_HEADER) : -1;
    if (fd >= 0) return fd;
    fd = memfd_create("vitjit-weights", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, bytes + VJ_WEIGHTS_HEADER) == 0) return fd;
    close(fd);
    return -1;
}

static void commit_weights(void *self, const uint64_t digest[2], int descriptor, int32_t whole) {
    const vj_cache *c = self;
    if (!c) return;
    char path[4300], name[4400];
    struct stat here, there;
    path_of(c, digest, "weights", path, sizeof path);
    temporary_name(c, path, name, sizeof name);
    bool ours = fstat(descriptor, &here) == 0 && stat(name, &there) == 0 && here.st_ino == there.st_ino &&
                here.st_dev == there.st_dev;
    if (!ours) return; /* a memfd */
    if (!whole || rename(name, path) != 0) unlink(name);
}

void *vj_cache_read(const char *path, size_t *bytes) { return read_own(path, (size_t)1 << 31, bytes); }

static void *find_image(void *self, const uint64_t graph_key[2], size_t *bytes) {
    const vj_cache *c = self;
    if (!c) return NULL;
    char path[4300];
    path_of(c, graph_key, "image", path, sizeof path);
    void *image = vj_cache_read(path, bytes);
    if (image && vj_image_check(image, *bytes) == VJ_OK) return image;
    if (image) unlink(path);
    free(image);
    return NULL;
}

vj_weights_store vj_cache_store(vj_cache *cache) {
    return (vj_weights_store){cache, find_weights, create_weights, commit_weights, find_image};
}

void vj_cache_beside(const char *model_path, const char *name, char *path, size_t room) {
    const char *slash = model_path ? strrchr(model_path, '/') : NULL;
    snprintf(path, room, "%.*s%s", slash ? (int)(slash - model_path + 1) : 0, slash ? model_path : "", name);
}

bool vj_cache_find(vj_cache *c, const vj_key *file_key, const vj_content *model, const char *model_path,
                   vj_compiled *found) {
    vj_key graph;
    if (!vj_entry_find(c, file_key, model, model_path, &graph)) return false;
    size_t image_bytes;
    void *image = find_image(c, graph.half, &image_bytes);
    if (!image) return false;
    const vj_image_header *h = image;
    int fd = open_weights(c, h->weights_digest);
    if (fd < 0) {
        free(image);
        return false;
    }
    *found = (vj_compiled){.image = image, .image_bytes = image_bytes, .weights_fd = fd, .from_cache = 1};
    return true;
}

void vj_cache_put(vj_cache *c, const vj_key *file_key, const vj_content *model, const char *model_path,
                  const vj_compiled *compiled) {
    char path[4300];
    size_t size;
    char *text = vj_entry_text(model, model_path, compiled, &size);
    bool good = text != NULL;
    path_of(c, compiled->graph_key, "image", path, sizeof path);
    if (good && !compiled->from_cache) good = write_own(c, path, compiled->image, compiled->image_bytes);
    if (good) {
        vj_cache_set(c, file_key, "entry", text, size, true);
        vj_entry_note(c, file_key, model, model_path);
    }
    free(text);
    vj_cache_bound(c->folder, VJ_CACHE_BYTES);
}
