/* SPDX-License-Identifier: Apache-2.0 */
/* compiler_library.c - where the compiler is, and its library opened in this process. */
#include "runtime.h"

#include <dlfcn.h>
#include <string.h>
#include <sys/stat.h>

void vj_beside(const char *name, char *path, size_t room) {
    Dl_info info;
    snprintf(path, room, "%s", name);
    if (!dladdr((void *)(uintptr_t)vj_version, &info) || !info.dli_fname) return;
    const char *slash = strrchr(info.dli_fname, '/');
    if (slash) snprintf(path, room, "%.*s/%s", (int)(slash - info.dli_fname), info.dli_fname, name);
}

void vj_compiler_path(char *path, size_t room) { vj_beside("libvitjit_compiler.so", path, room); }

void vj_compiler_build(char text[256]) {
    char path[4096], id[128];
    struct stat st = {0};
    vj_compiler_path(path, sizeof path);
    if (vj_build_id_of(path, id, sizeof id)) {
        snprintf(text, 256, "%s %s", VITJIT_VERSION, id);
        return;
    }
    if (stat(path, &st) != 0) memset(&st, 0, sizeof st);
    snprintf(text, 256, "%s %lld %lld.%09ld", VITJIT_VERSION, (long long)st.st_size, (long long)st.st_mtim.tv_sec,
             st.st_mtim.tv_nsec);
}

vj_status vj_compiler_open_at(const char *path, const vj_compiler_api **api) {
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL); /* stays for the life of the process */
    if (!library)
        return vj_error_set(
            VJ_SYSTEM,
            "the compiler library cannot be opened: %s\n  hint: install libvitjit_compiler.so beside libvitjit.so",
            dlerror());
    const vj_compiler_api *(*get)(void);
    void *symbol = dlsym(library, "vj_compiler_get");
    memcpy(&get, &symbol, sizeof get);
    const vj_compiler_api *found = get ? get() : NULL;
    if (!found || found->version != VJ_COMPILER_API)
        return vj_error_set(VJ_SYSTEM, "%s is of another version of vitjit", path);
    *api = found;
    return VJ_OK;
}

vj_status vj_compiler_open(const vj_compiler_api **api) {
    char path[4096];
    vj_compiler_path(path, sizeof path);
    return vj_compiler_open_at(path, api);
}
