/* SPDX-License-Identifier: Apache-2.0 */
/* apart.h - the program that compiles for a host.
 *
 * main.c    the process: its descriptors, signals and end
 * limits.c  what it may take of memory and time
 * serve.c   the call, from its packet to the answer's
 * host.c    functions of the host: the store of packed weights, log, cancel and what emitting asks
 */
#ifndef VITJIT_APART_APART_H
#define VITJIT_APART_APART_H

#include <pthread.h>

#include "runtime/apart/answer.h"
#include "runtime/apart/channel.h"

/* The other end. Any thread may ask; a host that is gone ends the process. */
typedef struct vj_host {
    vj_channel channel;
    pthread_mutex_t lock;
    vj_call call;
} vj_host;

/* host.c */
vj_weights_store vj_host_store(vj_host *host);
/* Puts functions that ask the host where it has such into the call's requests. */
void vj_host_fill(vj_host *host);

/* limits.c */
void vj_set_limits(const vj_call *call, int64_t external_bytes);
/* Could the process not get as much memory again as it has? Then an abort was for want of it. Safe in a handler. */
bool vj_memory_ended(void);

/* serve.c: does the call of a packet; `model` is the descriptor of a model in memory, or -1. False: the packet is not sound. */
bool vj_serve(vj_host *host, vj_packet *packet, int model, const char *compiler);

#endif
