/* SPDX-License-Identifier: Apache-2.0 */
/* main.c - the program vitjit-compile, and what it makes of its process before it reads anything. */
#include "apart.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/apart/helper.h"

/* LLVM's C++ ends in abort() when there is no memory. */
static void aborted(int number) {
    if (vj_memory_ended()) _exit(VJ_HELPER_NO_MEMORY);
    signal(number, SIG_DFL);
    raise(number);
}

/* What a terminal sends to all of its processes is the host's to judge; that ends this one with it. A limit on the size of files is
 * an error of the write, like a full disk. */
static void set_signals(void) {
    static const int ignored[] = {SIGINT, SIGQUIT, SIGHUP, SIGPIPE, SIGXFSZ};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++)
        signal(ignored[i], SIG_IGN);
    signal(SIGABRT, aborted);
}

/* The host's descriptors are not for the compiler, and no file of it may become one of the standard ones. */
static void set_descriptors(void) {
#ifdef SYS_close_range
    syscall(SYS_close_range, VJ_HELPER_SOCKET + 1, ~0U, 0);
#endif
    fcntl(VJ_HELPER_SOCKET, F_SETFD, FD_CLOEXEC);
    for (int d = 0; d < VJ_HELPER_SOCKET; d++)
        if (fcntl(d, F_GETFD) < 0) (void)open("/dev/null", O_RDWR);
}

static bool is_socket(int descriptor) {
    int type;
    socklen_t size = sizeof type;
    return getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &type, &size) == 0;
}

int main(int argc, char **argv) {
    static vj_host host = {.channel = {VJ_HELPER_SOCKET, -1, 0}, .lock = PTHREAD_MUTEX_INITIALIZER};
    if (argc != 2 || !is_socket(VJ_HELPER_SOCKET)) {
        fputs("vitjit-compile: libvitjit runs this program to compile a model; it is of no other use\n", stderr);
        return VJ_USAGE;
    }
    vj_frame_head head;
    vj_packet packet;
    int model;
    set_signals();
    set_descriptors();
    const bool called = vj_channel_head(&host.channel, &head, &model) == VJ_HEARD && head.frame == VJ_FRAME_CALL &&
                        vj_channel_packet(&host.channel, &head, &packet) == VJ_HEARD;
    const bool answered = called && vj_serve(&host, &packet, model, argv[1]);
    fflush(NULL);
    _exit(answered ? VJ_OK : VJ_USAGE); /* what the system frees need not be freed here */
}
