/* SPDX-License-Identifier: Apache-2.0 */
/* link_line.c - the command that links a program with what was emitted, as it is typed where the program is. */
#include "emit.h"

#include <string.h>

static const char *quoted(vj_arena *arena, const char *path) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/+-@=,";
    vj_text text = {.arena = arena};
    if (!path[strspn(path, plain)]) return path;
    vj_text_add(&text, "'");
    for (const char *at = path; *at; at++)
        vj_text_add(&text, *at == '\'' ? "'\\''" : "%c", *at);
    vj_text_add(&text, "'");
    return text.at;
}

/* The folder of a path, "" for the current one. */
static const char *folder_of(vj_arena *arena, const char *path) {
    const char *slash = strrchr(path, '/');
    if (!slash) return "";
    return slash == path ? "/" : vj_strndup(arena, path, (size_t)(slash - path));
}

/* The linker of shared libraries may be another than who compiles for the machine: it is the caller's word. */
const char *vj_link_line(vj_arena *arena, const vj_target *target, const char *linker, const char *file,
                         bool is_library) {
    const char *folder = folder_of(arena, file);
    const char *include = *folder ? vj_sprintf(arena, " -I%s", quoted(arena, folder)) : "";
    if (target->machine->format != VJ_FORMAT_ELF)
        return vj_sprintf(arena,
                          "clang --target=wasm32 -ffreestanding -nostdlib -Wl,--no-entry%s main.c %s -o main.wasm",
                          include, quoted(arena, file));
    if (!linker) linker = vj_default_linker(arena, target);
    if (!is_library) return vj_sprintf(arena, "%s%s main.c %s -lm", linker, include, quoted(arena, file));
    /* The program finds the library beside itself, or where it is from there. */
    const char *from = *folder == '/' ? folder : vj_sprintf(arena, "$ORIGIN%s%s", *folder ? "/" : "", folder);
    return vj_sprintf(arena, "%s%s main.c %s%s -Wl,-rpath,%s -lm", linker, include, strchr(file, '/') ? "" : "./",
                      quoted(arena, file), quoted(arena, from));
}
