/* cache.c - files of earlier compilations.
 *
 * FILEKEY.entry     a text: the graph key, and the external files with their hashes; kept small
 * GRAPHKEY.image    an image
 * DIGEST.weights    packed weights, shared by images
 * All are written under a temporary name and renamed. The folder must be the user's own and closed to others. What is
 * damaged counts as missing and is written anew. The least recently used files go when the folder grows too large.
 */
#include "runtime.h"

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

static bool write_own(vj_cache *c, const char *path, const void *bytes, size_t size) {
    if (c->read_only) return false;
    char name[4400];
    temporary_name(c, path, name, sizeof name);
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    size_t done = 0;
    while (fd >= 0 && done < size) {
        ssize_t n = write(fd, (const char *)bytes + done, size - done);
        if (n <= 0) break;
        done += (size_t)n;
    }
    bool good = fd >= 0 && done == size;
    if (fd >= 0 && close(fd) != 0) good = false;
    if (good) good = rename(name, path) == 0;
    if (!good) {
        cannot_write(c, path, errno);
        unlink(name);
    }
    return good;
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

/* "vitjit-entry 1", then the graph key, then "HASH NAME" a line for each external file. */
bool vj_cache_find(vj_cache *c, const vj_key *file_key, const char *model_path, vj_compiled *found) {
    char path[4300], *line, *rest;
    size_t bytes;
    path_of(c, file_key->half, "entry", path, sizeof path);
    char *entry = read_own(path, 1 << 20, &bytes);
    if (!entry) return false;
    bool good = false;
    uint64_t graph[2];
    line = strtok_r(entry, "\n", &rest);
    if (line && strcmp(line, "vitjit-entry 1") == 0 && (line = strtok_r(NULL, "\n", &rest)) && strlen(line) == 32) {
        graph[0] = strtoull(line + 16, NULL, 16);
        line[16] = 0;
        graph[1] = strtoull(line, NULL, 16);
        good = true;
    }
    while (good && (line = strtok_r(NULL, "\n", &rest))) {
        char file[4400], text[VJ_KEY_TEXT];
        vj_key key;
        good = strlen(line) > 33 && model_path;
        if (!good) break;
        vj_cache_beside(model_path, line + 33, file, sizeof file);
        good = vj_digest_file(file, &key) == VJ_OK;
        if (good) {
            vj_key_text(key.half, text);
            good = strncmp(text, line, 32) == 0;
        }
    }
    free(entry);
    if (!good) return false;
    size_t image_bytes;
    void *image = find_image(c, graph, &image_bytes);
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

void vj_cache_put(vj_cache *c, const vj_key *file_key, const char *model_path, const vj_compiled *compiled) {
    char path[4300], key[VJ_KEY_TEXT], *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (!out) return;
    vj_key_text(compiled->graph_key, key);
    fprintf(out, "vitjit-entry 1\n%s\n", key);
    bool good = true;
    for (int32_t i = 0; i < compiled->external_count; i++) {
        char file[4400];
        vj_key content;
        vj_cache_beside(model_path, compiled->external[i], file, sizeof file);
        if (strchr(compiled->external[i], '\n') || vj_digest_file(file, &content) != VJ_OK) good = false;
        if (!good) break;
        vj_key_text(content.half, key);
        fprintf(out, "%s %s\n", key, compiled->external[i]);
    }
    if (fclose(out) != 0) good = false;
    path_of(c, compiled->graph_key, "image", path, sizeof path);
    if (good && !compiled->from_cache) good = write_own(c, path, compiled->image, compiled->image_bytes);
    path_of(c, file_key->half, "entry", path, sizeof path);
    if (good) write_own(c, path, text, size);
    free(text);
    vj_cache_bound(c->folder, VJ_CACHE_BYTES);
}
