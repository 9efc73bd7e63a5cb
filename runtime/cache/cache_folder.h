/* SPDX-License-Identifier: Apache-2.0 */
/* cache_folder.h - the cache as a folder: names of its files, which are read and written whole. */
#ifndef VITJIT_RUNTIME_CACHE_CACHE_FOLDER_H
#define VITJIT_RUNTIME_CACHE_CACHE_FOLDER_H

#include "runtime/runtime.h"

struct vj_cache {
    char folder[4096];
    vj_log_fn log;
    void *log_self;
    int32_t log_level;
    uint64_t token; /* of this handle alone, for names of temporary files */
    bool read_only; /* writing failed once: said so, and not tried again */
};

void vj_cache_found(const vj_cache *c, const vj_key *graph_key); /* logs it */
void vj_cache_path(const vj_cache *c, const uint64_t key[2], const char *kind, char *path, size_t room);
/* A name of this handle alone: two compilations at once, in one process or in two, do not meet. */
void vj_cache_temporary(const vj_cache *c, const char *path, char *name, size_t room);
int vj_cache_create(
    const char *name); /* a temporary file, locked as long as its writer has it open; -1: errno says why */
/* A regular file of the user's own, marked as used just now; -1: there is none. */
int vj_cache_open_own(const char *path);
bool vj_cache_write(vj_cache *c, const char *path, const void *bytes, size_t size);
/* Says so once; the cache is read-only from then on. */
void vj_cache_cannot_write(vj_cache *c, const char *path, int why);

#endif
