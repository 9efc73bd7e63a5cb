/* SPDX-License-Identifier: Apache-2.0 */
/* apart.c - runs work in a process of its own, so that a crash, an endless loop or too much memory is an outcome. */
#include "graph.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SECONDS = 40 }; /* of CPU; of the clock four times that */
#define MEMORY ((rlim_t)4 << 30)

static void limit(void) {
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    const struct rlimit memory = {MEMORY, MEMORY};
    setrlimit(RLIMIT_AS, &memory);
#endif
    const struct rlimit time = {SECONDS, SECONDS + 5};
    setrlimit(RLIMIT_CPU, &time);
    alarm(4 * SECONDS);
}

bool run_apart(void (*work)(void *self), void *self, void *result, size_t bytes, char *why, size_t room) {
    int ends[2], status = 0;
    if (pipe(ends) != 0) abort();
    fflush(NULL);
    const pid_t child = fork();
    if (child < 0) abort();
    if (child == 0) {
        limit();
        work(self);
        _exit(write(ends[1], result, bytes) != (ssize_t)bytes);
    }
    close(ends[1]);
    const bool told = read(ends[0], result, bytes) == (ssize_t)bytes;
    close(ends[0]);
    waitpid(child, &status, 0);
    if (told && WIFEXITED(status) && WEXITSTATUS(status) == 0) return true;
    if (WIFSIGNALED(status) && (WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGALRM))
        snprintf(why, room, "no end after %d seconds of CPU", SECONDS);
    else if (WIFSIGNALED(status))
        snprintf(why, room, "ended by signal %d", WTERMSIG(status));
    else
        snprintf(why, room, "ended with exit status %d", WEXITSTATUS(status));
    return false;
}
