/* SPDX-License-Identifier: Apache-2.0 */
/* debug.c - what debuggers and profilers learn of mapped code.
 *
 * gdb and lldb stop at __jit_debug_register_code and read __jit_debug_descriptor ("JIT Compilation Interface", GDB
 * manual): the interface demands these two names, and that they can be written to. They are local to this library, so
 * that a process with another compiler's pair (LLVM has one) keeps the two apart.
 *
 * perf reads /tmp/perf-PID.map, "address size name" a line (perf's jit-interface.txt): written when VITJIT_PERF_MAP is
 * set, since a file stays behind.
 */
#include "runtime/runtime.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NO_ACTION, REGISTER, UNREGISTER };

struct vj_debug {
    struct vj_debug *next, *before; /* from here on as the interface says: jit_code_entry */
    const void *object;
    uint64_t object_bytes;
};

typedef struct vj_debug_list {
    uint32_t version, action;
    vj_debug *changed, *first;
} vj_debug_list;

void __jit_debug_register_code(void);
extern vj_debug_list __jit_debug_descriptor;

__attribute__((used)) vj_debug_list __jit_debug_descriptor = {.version = 1};

/* Where debuggers stop. */
__attribute__((noinline, used)) void __jit_debug_register_code(void) { __asm__ volatile("" ::: "memory"); }

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the list */

static void tell(vj_debug *entry, uint32_t action) {
    __jit_debug_descriptor.changed = entry;
    __jit_debug_descriptor.action = action;
    __jit_debug_register_code();
    __jit_debug_descriptor.action = NO_ACTION;
    __jit_debug_descriptor.changed = NULL;
}

static void add_to_list(vj_debug *entry) {
    pthread_mutex_lock(&lock);
    entry->next = __jit_debug_descriptor.first;
    if (entry->next) entry->next->before = entry;
    __jit_debug_descriptor.first = entry;
    tell(entry, REGISTER);
    pthread_mutex_unlock(&lock);
}

static void write_perf_map(const void *code, size_t code_bytes, const char *symbols) {
    const char *wanted = getenv("VITJIT_PERF_MAP");
    if (!wanted || !*wanted || strcmp(wanted, "0") == 0) return;
    char path[64];
    struct stat st;
    snprintf(path, sizeof path, "/tmp/perf-%ld.map", (long)getpid());
    const int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return;
    FILE *out = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() ? fdopen(fd, "a") : NULL;
    if (!out) {
        close(fd);
        return;
    }
    vj_function_line line;
    while (vj_debug_line(&symbols, code_bytes, &line))
        fprintf(out, "%llx %llx %.*s\n", (unsigned long long)((uintptr_t)code + line.offset),
                (unsigned long long)line.size, (int)line.name_length, line.name);
    fclose(out);
}

vj_debug *vj_debug_register(const void *code, size_t code_bytes, const char *symbols) {
    write_perf_map(code, code_bytes, symbols);
    vj_debug *entry = calloc(1, sizeof *entry);
    if (!entry) return NULL;
    size_t bytes = 0;
    entry->object = vj_debug_object(code, code_bytes, symbols, &bytes);
    entry->object_bytes = bytes;
    if (!entry->object) {
        free(entry);
        return NULL;
    }
    add_to_list(entry);
    return entry;
}

void vj_debug_unregister(vj_debug *entry) {
    if (!entry) return;
    pthread_mutex_lock(&lock);
    if (entry->before)
        entry->before->next = entry->next;
    else
        __jit_debug_descriptor.first = entry->next;
    if (entry->next) entry->next->before = entry->before;
    tell(entry, UNREGISTER);
    pthread_mutex_unlock(&lock);
    free((void *)(uintptr_t)entry->object);
    free(entry);
}
