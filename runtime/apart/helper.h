/* SPDX-License-Identifier: Apache-2.0 */
/* helper.h - the process of the compiler's program, as its host sees it: begun, ended, and why it ended. */
#ifndef VITJIT_RUNTIME_APART_HELPER_H
#define VITJIT_RUNTIME_APART_HELPER_H

#include <sys/types.h>

#include "channel.h"
#include "limits.h"

#define VJ_HELPER_SOCKET 3 /* the program's end */

typedef struct vj_helper {
    vj_channel channel;
    pid_t process;
} vj_helper;

/* How it ended. The host may have taken the news of it away: it ignores SIGCHLD, or waits for whatever child. */
typedef struct vj_helper_end {
    bool known;
    int signal; /* or 0 */
    int status; /* of exit */
} vj_helper_end;

/* What the program exits with when memory ended. */
#define VJ_HELPER_NO_MEMORY VJ_SYSTEM

/* Descriptors, signals and their handlers stay as they are in the host. Sets the thread's error. */
vj_status vj_helper_start(vj_helper *h);
/* Nothing of it is left: neither process nor descriptor. */
vj_helper_end vj_helper_stop(vj_helper *h);
/* Sets the thread's error for a call that had no answer. */
vj_status vj_helper_failed(const vj_call *call, vj_heard heard, const vj_helper_end *end, const vj_limits *limits);

#endif
