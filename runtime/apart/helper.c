/* SPDX-License-Identifier: Apache-2.0 */
/* helper.c - see helper.h.
 *
 * The process is held by a descriptor (pidfd), so that neither a signal nor a wait can meet another process that got its number
 * when the host had waited for it. Systems without pidfd (Linux before 5.3) go by the number.
 */
#include "helper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runtime/runtime.h"

#define PROGRAM "vitjit-compile"

extern char **environ;

/* Beside the library as it is built, in a folder of its own where it is installed. */
static void program_path(char *path, size_t room) {
    vj_beside(PROGRAM, path, room);
    if (access(path, X_OK) == 0) return;
    vj_beside("vitjit/" PROGRAM, path, room);
    if (access(path, X_OK) != 0) vj_beside(PROGRAM, path, room);
}

/* Above the standard descriptors, which a host may have closed, and the program's end. */
static int raise_descriptor(int descriptor) {
    if (descriptor < 0 || descriptor > VJ_HELPER_SOCKET) return descriptor;
    const int above = fcntl(descriptor, F_DUPFD_CLOEXEC, VJ_HELPER_SOCKET + 1);
    close(descriptor);
    return above;
}

static bool make_pair(int ends[2]) {
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return false;
    ends[0] = raise_descriptor(ends[0]);
    ends[1] = raise_descriptor(ends[1]);
    if (ends[0] >= 0 && ends[1] >= 0) return true;
    const int why = errno;
    for (int i = 0; i < 2; i++)
        if (ends[i] >= 0) close(ends[i]);
    errno = why;
    return false;
}

/* Signals are as in a process that nobody has touched. 0, or why not. */
static int set_attributes(posix_spawnattr_t *attributes) {
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    int failure = posix_spawnattr_setsigdefault(attributes, &all);
    if (!failure) failure = posix_spawnattr_setsigmask(attributes, &none);
    return failure ? failure : posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
}

static int spawn(const char *program, int socket, pid_t *process) {
    char library[4096];
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    vj_compiler_path(library, sizeof library);
    char *const words[] = {(char[]){PROGRAM}, library, NULL};
    int failure = posix_spawnattr_init(&attributes);
    if (failure) return failure;
    failure = posix_spawn_file_actions_init(&actions);
    if (!failure) {
        failure = set_attributes(&attributes);
        if (!failure) failure = posix_spawn_file_actions_adddup2(&actions, socket, VJ_HELPER_SOCKET);
        if (!failure) failure = posix_spawn(process, program, &actions, &attributes, words, environ);
        posix_spawn_file_actions_destroy(&actions);
    }
    posix_spawnattr_destroy(&attributes);
    return failure;
}

/* It waits for the call, and so has not ended yet. */
static int open_process(pid_t process) {
#ifdef SYS_pidfd_open
    return (int)syscall(SYS_pidfd_open, process, 0);
#else
    (void)process;
    return -1;
#endif
}

vj_status vj_helper_start(vj_helper *h) {
    char program[4096];
    int ends[2];
    program_path(program, sizeof program);
    if (!make_pair(ends)) return vj_error_set(VJ_SYSTEM, "no socket for the compiler: %s", strerror(errno));
    const int failure = spawn(program, ends[1], &h->process);
    close(ends[1]);
    if (failure) {
        close(ends[0]);
        return vj_error_set(VJ_SYSTEM,
                            "the compiler's program %s cannot be run: %s\n  hint: install it with libvitjit.so",
                            program, strerror(failure));
    }
    h->channel = (vj_channel){.socket = ends[0], .process = open_process(h->process)};
    return VJ_OK;
}

static void kill_it(const vj_helper *h) {
#ifdef SYS_pidfd_send_signal
    if (h->channel.process >= 0) {
        syscall(SYS_pidfd_send_signal, h->channel.process, SIGKILL, NULL, 0);
        return;
    }
#endif
    kill(h->process, SIGKILL);
}

/* Is there news of its end? Where SIGCHLD is ignored it waits for the end as well, and hears nothing. */
static bool wait_by(idtype_t type, id_t id, siginfo_t *news) {
    int failed;
    memset(news, 0, sizeof *news);
    do
        failed = waitid(type, id, news, WEXITED);
    while (failed && errno == EINTR);
    return !failed;
}

/* What it was doing goes on nowhere: an answer, if there was one, has been heard. */
vj_helper_end vj_helper_stop(vj_helper *h) {
    siginfo_t news;
    bool known = false;
    kill_it(h);
    close(h->channel.socket);
    errno = 0;
    if (h->channel.process >= 0) {
        known = wait_by(P_PIDFD, (id_t)h->channel.process, &news);
        const int why = errno;
        close(h->channel.process);
        errno = why;
    }
    if (!known && errno != ECHILD) known = wait_by(P_PID, (id_t)h->process, &news);
    if (!known) return (vj_helper_end){0};
    const bool left = news.si_code == CLD_EXITED;
    return (vj_helper_end){true, left ? 0 : news.si_status, left ? news.si_status : 0};
}

static vj_status too_late(const vj_call *call, double seconds, const char *of) {
    return vj_error_set(VJ_SYSTEM, "%s: it was given up after %.3g seconds%s\n  hint: %s allows more",
                        call->request.path, seconds, of,
                        call->request.for_command ? "--max-seconds" : "vj_options.max_seconds");
}

static vj_status too_large(const vj_call *call, int64_t memory) {
    const char *path = call->request.path;
    if (!memory) return vj_error_set(VJ_SYSTEM, "%s: the machine has not enough memory to compile it", path);
    return vj_error_set(VJ_SYSTEM, "%s: compiling it takes more memory than %lld MiB\n  hint: %s allows more", path,
                        (long long)(memory >> 20),
                        call->request.for_command ? "--max-memory" : "vj_options.max_memory");
}

vj_status vj_helper_failed(const vj_call *call, vj_heard heard, const vj_helper_end *end, const vj_limits *limits) {
    const char *path = call->request.path;
    if (end->signal == SIGXCPU) return too_late(call, limits->processors, " of the processors' time");
    if (heard == VJ_HEARD_LATE) return too_late(call, limits->seconds, "");
    if (heard == VJ_HEARD_NO_ROOM) return vj_error_set(VJ_SYSTEM, "%s: no memory for what was compiled", path);
    if (heard == VJ_HEARD_NONSENSE)
        return vj_error_set(VJ_SYSTEM, "%s: what came of the compiler's process makes no sense", path);
    if (!end->known)
        return vj_error_set(VJ_SYSTEM, "%s: the compiler ended without an answer: it crashed, or memory ended", path);
    if (end->signal == SIGKILL)
        return vj_error_set(VJ_SYSTEM, "%s: the compiler was killed (signal 9): by somebody, or for want of memory",
                            path);
    if (end->signal) return vj_error_set(VJ_SYSTEM, "%s: the compiler crashed (signal %d)", path, end->signal);
    if (end->status == VJ_HELPER_NO_MEMORY) return too_large(call, limits->memory);
    return vj_error_set(VJ_SYSTEM, "%s: the compiler's program ended with status %d", path, end->status);
}
