/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - the command `vitjit`, and what signals would do to its exit status. */
#include "cli/cli.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#ifdef NDEBUG
/* LLVM's C++ ends in abort() when there is no memory. Without assertions nothing else does. */
static void aborted(int number) {
    static const char text[] = "vitjit: no memory: the compiler had to give up\n";
    (void)number;
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    _exit(VJ_SYSTEM);
}
#endif

int main(int argc, char **argv) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_IGN;
    sigaction(SIGXFSZ, &action, NULL); /* a limit on the size of files is an error of the write, like a full disk */
#ifdef NDEBUG
    action.sa_handler = aborted;
    sigaction(SIGABRT, &action, NULL);
#endif
    return (int)vj_cli(argc, argv);
}
