/* SPDX-License-Identifier: Apache-2.0 */
/* inside.c - opens a file of a model's folder, and through links what they may lead to.
 *
 * The walk goes step by step with folders that it holds open, and the system follows no link for it: a link is read, and its text is
 * walked in the same way. ".." is the folder that the walk came from, and there is none above the one where it began. So neither a
 * name nor a link leads out of that, whatever is renamed or linked anew meanwhile.
 *
 * The walk begins at the model's folder; for a model in the Hub's cache, models--ORG--NAME/snapshots/REVISION, at models--ORG--NAME, and
 * may then end in its folder `blobs` too, where the snapshot's links lead.
 */
#include "model.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_DEPTH = 64, MOST_LINKS = 16 };

typedef struct walk {
    char root[PATH_MAX]; /* the whole path of the outermost folder */
    int at[MOST_DEPTH];  /* the open folders, from the outermost one on */
    int32_t depth;       /* so many */
    int32_t home;        /* which of them is the model's, when the walk is in it */
    struct stat own;     /* the model's folder */
    bool in_blobs;       /* at[1] is the folder blobs of the Hub's cache */
    int32_t links;
} walk;

static int fail_with(int why) {
    errno = why;
    return -1;
}

static int leave(walk *w) {
    if (w->depth == 1) return fail_with(EXDEV);
    return close(w->at[--w->depth]);
}

static int enter(walk *w, const char *name) {
    if (w->depth == MOST_DEPTH) return fail_with(ENAMETOOLONG);
    const int fd = openat(w->at[w->depth - 1], name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_DIRECTORY);
    if (fd < 0) return -1;
    if (w->depth == 1) w->in_blobs = w->home > 0 && strcmp(name, "blobs") == 0;
    w->at[w->depth++] = fd;
    return 0;
}

/* Is it the model's folder, something below that, or the Hub's blobs, that the walk is in? */
static bool may_read_here(const walk *w) {
    struct stat st;
    if (w->depth == 2 && w->in_blobs) return true;
    return w->depth > w->home && fstat(w->at[w->home], &st) == 0 && st.st_dev == w->own.st_dev &&
           st.st_ino == w->own.st_ino;
}

static int open_last(walk *w, const char *name) {
    /* With O_NONBLOCK, opening a pipe does not wait. */
    const int fd = openat(w->at[w->depth - 1], name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || may_read_here(w)) return fd;
    close(fd);
    return fail_with(EXDEV);
}

static int go(walk *w, const char *path, bool last);

/* What could not be opened as it is may be a link: then there, else the failure stays what it was. An absolute one is walked where it
 * names the outermost folder. */
static int follow(walk *w, const char *name, bool last) {
    char text[PATH_MAX];
    const int why = errno;
    const size_t root = strlen(w->root);
    if (why != ELOOP && why != ENOTDIR) return -1;
    const ssize_t length = readlinkat(w->at[w->depth - 1], name, text, sizeof text - 1);
    if (length <= 0) return fail_with(why);
    text[length] = 0;
    if (++w->links > MOST_LINKS) return fail_with(ELOOP);
    if (*text != '/') return go(w, text, last);
    if (strncmp(text, w->root, root) != 0 || text[root] != '/') return fail_with(EXDEV);
    while (w->depth > 1)
        leave(w);
    return go(w, text + root + 1, last);
}

/* One step; the file's descriptor when it is the last one of a path to a file, else 0; -1 with errno. */
static int step(walk *w, const char *name, bool last) {
    if (!*name || strcmp(name, ".") == 0) return last ? fail_with(EISDIR) : 0;
    if (strcmp(name, "..") == 0) return last ? fail_with(EISDIR) : leave(w);
    const int result = last ? open_last(w, name) : enter(w, name);
    return result < 0 ? follow(w, name, last) : result;
}

/* All steps of a path to a file (`last`) or to a folder. */
static int go(walk *w, const char *path, bool last) {
    for (;;) {
        const size_t length = strcspn(path, "/");
        const bool end = !path[length];
        char name[NAME_MAX + 1]; /* not from the arena, whose way out would leave the folders open */
        if (length >= sizeof name) return fail_with(ENAMETOOLONG);
        memcpy(name, path, length);
        name[length] = 0;
        const int result = step(w, name, end && last);
        if (end || result < 0) return result;
        path += length + 1;
    }
}

/* The part of the path that names the Hub's folder of a model, 0: it is not in one. */
static size_t hub_length(const char *path) {
    static const char inner[] = "/snapshots/";
    for (const char *at = strstr(path, inner); at; at = strstr(at + 1, inner)) {
        const char *name = at;
        while (name > path && name[-1] != '/')
            name--;
        if (strncmp(name, "models--", 8) == 0) return (size_t)(at - path);
    }
    return 0;
}

/* The outermost folder open, and from there the model's. */
static int begin(walk *w, vj_arena *arena, const char *folder) {
    if (!realpath(folder, w->root)) return -1;
    const size_t hub = hub_length(w->root);
    const char *inner = hub ? vj_strdup(arena, w->root + hub + 1) : NULL;
    if (hub) w->root[hub] = 0;
    w->at[0] = open(w->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (w->at[0] < 0) return -1;
    w->depth = 1;
    w->home = inner != NULL; /* or further in */
    if (inner && go(w, inner, false) < 0) return -1;
    w->home = w->depth - 1;
    return fstat(w->at[w->home], &w->own);
}

int vj_open_inside(vj_arena *arena, const char *folder, const char *name, bool *folder_opened) {
    walk *w = VJ_NEW(arena, walk);
    *folder_opened = begin(w, arena, folder) == 0;
    const int fd = *folder_opened ? go(w, name, true) : -1, why = errno;
    while (w->depth > 0)
        close(w->at[--w->depth]);
    errno = why;
    return fd;
}
