/* SPDX-License-Identifier: Apache-2.0 */
/* library.c - --emit-lib: the image that a library carries for vj_load, and the linker that makes the library. */
#include "emit.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST_WORDS 32 /* of the linker's command */

extern char **environ;

vj_status vj_library_image(vj_unit *u, vj_bytes *image) {
    const vj_codegen_options options = {.target = u->target, .kind = VJ_EMIT_OBJECT};
    vj_bytes code = {0};
    uint64_t entry;
    vj_codegen_stats stats;
    vj_status status = vj_generate_code(u->program, &options, &code, &entry, &stats, &u->error);
    void *at = NULL;
    if (status == VJ_OK) status = vj_write_image(u, &code, entry, &stats, &at, &image->size);
    image->at = at;
    vj_bytes_free(&code);
    return status;
}

/* "aarch64" of "aarch64-unknown-linux-gnu" */
static const char *machine_of(vj_arena *arena, const vj_target *target) {
    return vj_strndup(arena, target->triple, strcspn(target->triple, "-"));
}

const char *vj_default_linker(vj_arena *arena, const vj_target *target) {
    const char *machine = machine_of(arena, target);
    if (strcmp(machine, machine_of(arena, vj_target_host())) == 0) return "cc";
    return vj_sprintf(arena, "%s-linux-gnu-gcc", machine);
}

static vj_status no_linker(const char *name, const vj_unit *u, vj_error *error) {
    const char *machine = machine_of(u->arena, u->target);
    const bool here = strcmp(machine, machine_of(u->arena, vj_target_host())) == 0;
    vj_fail(error, VJ_SYSTEM, "a shared library needs a linker, and '%s' cannot be run: %s", name, strerror(errno));
    vj_hint(error, "apt-get install gcc%s%s, or name another with --linker", here ? "" : "-",
            !here && strcmp(machine, "x86_64") == 0 ? "x86-64-linux-gnu"
            : !here                                 ? vj_sprintf(u->arena, "%s-linux-gnu", machine)
                                                    : "");
    return VJ_SYSTEM;
}

/* Words of a command, without a shell's quoting. */
static int32_t split(vj_arena *arena, const char *command, char **words) {
    int32_t count = 0;
    for (const char *at = command; *at && count < MOST_WORDS;) {
        const size_t blanks = strspn(at, " \t"), length = strcspn(at + blanks, " \t");
        if (length) words[count++] = vj_strndup(arena, at + blanks, length);
        at += blanks + length;
    }
    return count;
}

/* What it says goes to stderr: stdout is for results. */
static int run(char *const *words, int *status) {
    posix_spawn_file_actions_t actions;
    pid_t child;
    if (posix_spawn_file_actions_init(&actions) != 0) return ENOMEM;
    int failure = posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
    if (!failure) failure = posix_spawnp(&child, words[0], &actions, NULL, words, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failure) return failure;
    while (waitpid(child, status, 0) < 0)
        if (errno != EINTR) return errno;
    return 0;
}

vj_status vj_link_library(vj_unit *u, const vj_library_link *link) {
    char *words[MOST_WORDS + 16];
    int32_t count = split(u->arena, link->linker, words);
    if (count == 0) return vj_fail(&u->error, VJ_USAGE, "--linker wants a command");
    /* The object needs nothing, or what every program has: no start files, so no constructors, and no libraries. */
    const char *const rest[] = {
        "-shared", "-nostdlib",  "-Wl,-z,now", "-Wl,-z,noexecstack", vj_sprintf(u->arena, "-Wl,-soname,%s", link->name),
        "-o",      link->output, link->object};
    for (size_t i = 0; i < sizeof rest / sizeof *rest; i++)
        words[count++] = vj_strdup(u->arena, rest[i]);
    words[count] = NULL;
    int status = 0;
    errno = run(words, &status);
    if (errno) return no_linker(words[0], u, &u->error);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return VJ_OK;
    vj_fail(&u->error, VJ_SYSTEM, "the linker '%s' failed", link->linker);
    vj_hint(&u->error, "--linker names one for %s", u->target->triple);
    return VJ_SYSTEM;
}
