/* SPDX-License-Identifier: Apache-2.0 */
#include "interpose.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

/* A sanitizer's where there is one, else glibc's own. */
#define REAL(type, name, parameters)                                                                                   \
    extern type __libc_##name parameters;                                                                              \
    extern type __interceptor_##name parameters __attribute__((weak));
REAL(void *, malloc, (size_t))
REAL(void *, calloc, (size_t, size_t))
REAL(void *, realloc, (void *, size_t))
REAL(void, free, (void *))
REAL(void *, memalign, (size_t, size_t))
#define CALL(name, ...) (__interceptor_##name ? __interceptor_##name(__VA_ARGS__) : __libc_##name(__VA_ARGS__))

static atomic_bool armed, tracked;
static atomic_long calls, fails_at;
static fault_kind kind;
static char place[256];

/* Callers */

typedef struct range {
    uintptr_t from, to;
} range;
static range passed_on[8];
static int passed_on_count;

static int note_library(struct dl_phdr_info *info, size_t size, void *self) {
    (void)size;
    (void)self;
    if (!strstr(info->dlpi_name, "libLLVM") && !strstr(info->dlpi_name, "libstdc++") &&
        !strstr(info->dlpi_name, "/ld-linux"))
        return 0;
    range r = {UINTPTR_MAX, 0};
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type != PT_LOAD) continue;
        if (info->dlpi_addr + p->p_vaddr < r.from) r.from = info->dlpi_addr + p->p_vaddr;
        if (info->dlpi_addr + p->p_vaddr + p->p_memsz > r.to) r.to = info->dlpi_addr + p->p_vaddr + p->p_memsz;
    }
    if (passed_on_count < 8) passed_on[passed_on_count++] = r;
    return 0;
}

static bool is_in(const range *r, const void *at) { return (uintptr_t)at >= r->from && (uintptr_t)at < r->to; }

static bool counts(const void *caller) {
    for (int i = 0; i < passed_on_count; i++)
        if (is_in(&passed_on[i], caller)) return false;
    return true;
}

static void name_place(const void *caller, char *to, size_t room) {
    Dl_info info;
    if (!dladdr(caller, &info) || !info.dli_fname) {
        snprintf(to, room, "%p", caller);
        return;
    }
    const char *slash = strrchr(info.dli_fname, '/');
    snprintf(to, room, "%s%s%s+0x%lx", info.dli_sname ? info.dli_sname : "", info.dli_sname ? " " : "",
             slash ? slash + 1 : info.dli_fname, (unsigned long)((uintptr_t)caller - (uintptr_t)info.dli_fbase));
}

/* Shared with the process that forked: the one with the fault may crash. */
static const void **failed_caller;

/* Has this thread come to what it was made for? Before that the C library and sanitizers set it up. */
static _Thread_local bool has_begun;

static bool fails(fault_kind of, const void *caller, int why) {
    if (!atomic_load(&armed) || !has_begun || of != kind || !counts(caller)) return false;
    if (atomic_fetch_add(&calls, 1) != atomic_load(&fails_at)) return false;
    *failed_caller = caller;
    errno = why;
    return true;
}

/* Blocks */

#define TABLE (1u << 20)
typedef struct block {
    void *at;
    const void *caller;
} block;
static block *blocks;
static long block_count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static uint32_t slot_of(const void *at) { return (uint32_t)(((uintptr_t)at >> 4) * 2654435761u) & (TABLE - 1); }

static void *track(void *at, const void *caller) {
    if (!at || !atomic_load(&tracked) || !counts(caller)) return at;
    pthread_mutex_lock(&lock);
    if (block_count < TABLE / 2) {
        uint32_t i = slot_of(at);
        while (blocks[i].at && blocks[i].at != at)
            i = (i + 1) & (TABLE - 1);
        block_count += !blocks[i].at;
        blocks[i] = (block){at, caller};
    }
    pthread_mutex_unlock(&lock);
    return at;
}

/* Backward shift, so that no run has a hole. */
static void untrack(const void *at) {
    if (!at || !atomic_load(&tracked)) return;
    pthread_mutex_lock(&lock);
    uint32_t i = slot_of(at);
    while (blocks[i].at && blocks[i].at != at)
        i = (i + 1) & (TABLE - 1);
    if (blocks[i].at) {
        block_count--;
        for (uint32_t next = (i + 1) & (TABLE - 1); blocks[next].at; next = (next + 1) & (TABLE - 1)) {
            const uint32_t home = slot_of(blocks[next].at);
            if (((next - home) & (TABLE - 1)) < ((next - i) & (TABLE - 1))) continue;
            blocks[i] = blocks[next];
            i = next;
        }
        blocks[i].at = NULL;
    }
    pthread_mutex_unlock(&lock);
}

#define CALLER __builtin_extract_return_addr(__builtin_return_address(0))

EXPORT void *malloc(size_t size) {
    return fails(FAULT_MEMORY, CALLER, ENOMEM) ? NULL : track(CALL(malloc, size), CALLER);
}
EXPORT void *calloc(size_t count, size_t size) {
    return fails(FAULT_MEMORY, CALLER, ENOMEM) ? NULL : track(CALL(calloc, count, size), CALLER);
}
EXPORT void *realloc(void *at, size_t size) {
    if (size && fails(FAULT_MEMORY, CALLER, ENOMEM)) return NULL;
    untrack(at);
    return track(CALL(realloc, at, size), CALLER);
}
EXPORT void *aligned_alloc(size_t alignment, size_t size) {
    return fails(FAULT_MEMORY, CALLER, ENOMEM) ? NULL : track(CALL(memalign, alignment, size), CALLER);
}
EXPORT int posix_memalign(void **at, size_t alignment, size_t size) {
    if (fails(FAULT_MEMORY, CALLER, ENOMEM)) return ENOMEM;
    *at = track(CALL(memalign, alignment, size), CALLER);
    return *at ? 0 : ENOMEM;
}
EXPORT void free(void *at) {
    untrack(at);
    CALL(free, at);
}

/* The rest is found when it is called first; none of it is called before main. */
#define NEXT(name)                                                                                                     \
    static __typeof__(name) *next;                                                                                     \
    if (!next) {                                                                                                       \
        void *found = dlsym(RTLD_NEXT, #name);                                                                         \
        memcpy(&next, &found, sizeof next);                                                                            \
    }

EXPORT void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset) {
    NEXT(mmap)
    return fails(FAULT_MEMORY, CALLER, ENOMEM) ? MAP_FAILED : next(at, size, protection, flags, fd, offset);
}
typedef struct thread_start {
    void *(*start)(void *self);
    void *self;
} thread_start;

static void *begin(void *given) {
    const thread_start how = *(thread_start *)given;
    CALL(free, given);
    has_begun = true;
    return how.start(how.self);
}

EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *), void *self) {
    NEXT(pthread_create)
    thread_start *how = fails(FAULT_MEMORY, CALLER, EAGAIN) ? NULL : CALL(malloc, sizeof *how);
    if (!how) return EAGAIN;
    *how = (thread_start){start, self};
    const int failure = next(thread, attributes, begin, how);
    if (failure) CALL(free, how);
    return failure;
}
EXPORT ssize_t read(int fd, void *to, size_t bytes) {
    NEXT(read)
    return fails(FAULT_READ, CALLER, EIO) ? -1 : next(fd, to, bytes);
}
EXPORT ssize_t pread(int fd, void *to, size_t bytes, off_t offset) {
    NEXT(pread)
    return fails(FAULT_READ, CALLER, EIO) ? -1 : next(fd, to, bytes, offset);
}
EXPORT ssize_t write(int fd, const void *from, size_t bytes) {
    NEXT(write)
    return fails(FAULT_WRITE, CALLER, ENOSPC) ? -1 : next(fd, from, bytes);
}
EXPORT ssize_t pwrite(int fd, const void *from, size_t bytes, off_t offset) {
    NEXT(pwrite)
    return fails(FAULT_WRITE, CALLER, ENOSPC) ? -1 : next(fd, from, bytes, offset);
}
EXPORT size_t fwrite(const void *from, size_t size, size_t count, FILE *file) {
    NEXT(fwrite)
    return fails(FAULT_WRITE, CALLER, ENOSPC) ? 0 : next(from, size, count, file);
}
EXPORT int ftruncate(int fd, off_t bytes) {
    NEXT(ftruncate)
    return fails(FAULT_WRITE, CALLER, ENOSPC) ? -1 : next(fd, bytes);
}
EXPORT int fsync(int fd) {
    NEXT(fsync)
    return fails(FAULT_WRITE, CALLER, EIO) ? -1 : next(fd);
}
EXPORT int rename(const char *from, const char *to) {
    NEXT(rename)
    return fails(FAULT_WRITE, CALLER, ENOSPC) ? -1 : next(from, to);
}

void fault_arm(fault_kind of, long n) {
    if (!blocks) {
        blocks = mmap(NULL, TABLE * sizeof *blocks, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        failed_caller = mmap(NULL, sizeof *failed_caller, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    }
    passed_on_count = 0;
    dl_iterate_phdr(note_library, NULL); /* libraries come with the work */
    if (block_count) memset(blocks, 0, TABLE * sizeof *blocks);
    block_count = 0;
    kind = of;
    has_begun = true;
    *failed_caller = NULL;
    atomic_store(&calls, 0);
    atomic_store(&fails_at, n < 0 ? -1 : n);
    atomic_store(&tracked, true);
    atomic_store(&armed, true);
}

void fault_pause(void) { atomic_store(&armed, false); }
void fault_resume(void) { atomic_store(&armed, true); }

long fault_disarm(void) {
    fault_pause();
    return atomic_load(&calls);
}

const char *fault_place(void) {
    place[0] = 0;
    if (failed_caller && *failed_caller) name_place(*failed_caller, place, sizeof place);
    return place;
}

long fault_leaks(const char **where) {
    static char text[256];
    atomic_store(&tracked, false);
    for (uint32_t i = 0; i < TABLE && block_count; i++)
        if (blocks[i].at) {
            name_place(blocks[i].caller, text, sizeof text);
            break;
        }
    *where = text;
    return block_count;
}
