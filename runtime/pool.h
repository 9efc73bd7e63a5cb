/* SPDX-License-Identifier: Apache-2.0 */
/* pool.h - the thread pool as the rest of the runtime uses it; vitjit_rt.h is its public half. */
#ifndef VITJIT_RUNTIME_POOL_H
#define VITJIT_RUNTIME_POOL_H

#include <stdbool.h>

#include "vitjit_rt.h"

/* Threads that run at once, the caller's included. */
int32_t vj_pool_size(const vj_pool *pool);
/* step(arg, i, part, parts) once for every part in [0, parts) and every i in [first, last); all parts of i end before
 * any of i + 1 begins. Any thread of the pool may do any part. False: the pool is busy with another job or has too many
 * guests (or there are a million parts), and nothing was done. */
typedef void (*vj_step)(void *arg, int32_t i, int32_t part, int32_t parts);
bool vj_pool_try(vj_pool *pool, vj_step step, void *arg, int32_t first, int32_t last, int32_t parts);
/* work(arg) on the calling thread, as a guest: a thread of the pool pauses meanwhile. */
void vj_pool_alone(vj_pool *pool, void (*work)(void *arg), void *arg);

#endif
