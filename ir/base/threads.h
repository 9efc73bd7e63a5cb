/* SPDX-License-Identifier: Apache-2.0 */
/* threads.h - work that several threads do at once, and wait for. */
#ifndef VITJIT_IR_BASE_THREADS_H
#define VITJIT_IR_BASE_THREADS_H

#include <stdint.h>

/* One worker's share. Workers usually claim pieces by an atomic counter, so that it does not matter how many there are. */
typedef void vj_work(void *self, int32_t worker);

/* Threads that do work(self, 1) to work(self, count - 1), as many of them as can be started. NULL: none. */
typedef struct vj_crew vj_crew;
vj_crew *vj_crew_start(int32_t count, vj_work *work, void *self);
/* Waits for them; how many there were. */
int32_t vj_crew_join(vj_crew *crew);

/* The same, with work(self, 0) on this thread meanwhile; how many did it, at least 1. */
int32_t vj_fork_join(int32_t count, vj_work *work, void *self);

#endif
