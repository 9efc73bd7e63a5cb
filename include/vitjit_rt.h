/* SPDX-License-Identifier: Apache-2.0 */
/* vitjit_rt.h - what a program that links an emitted object may want beside it: threads and mapped weights. The library
 * is libvitjit_rt, which has vj_load and the sessions of vitjit.h too; it needs libc alone. Nothing here is needed to call
 * `vit_run`.
 *
 *     size_t bytes;
 *     const void *weights = vj_weights_open("vit.weights", &bytes);
 *     vj_context vit;
 *     if (!weights || vit_init(&vit, weights, bytes) != VJ_RUN_OK) ...
 *     vj_pool *pool = vj_pool_new(0);
 *     vj_threads threads = vj_pool_threads(pool);
 *     vit_run_on(&vit, 1, inputs, outputs, scratch, &threads);     scratch for min(n, threads.parts) images
 */
#ifndef VITJIT_RT_H
#define VITJIT_RT_H

#include "vitjit_model.h"

#ifdef __cplusplus
extern "C" {
#endif
#if defined(__GNUC__)
#pragma GCC visibility push(default)
#endif

/* CPUs that this process may use: its affinity mask and its cgroups' quotas. At least 1. */
int32_t vj_cpu_available(void);

/* A pool of `threads` threads, the caller's included (0: one for each available CPU), or fewer when the system gives no
 * more; NULL when memory is short. It runs one job at a time: a caller that finds it busy does its job alone, with
 * the same result. In the child of a fork the pool goes on working, on the calling thread alone. */
typedef struct vj_pool vj_pool;
vj_pool *vj_pool_new(int32_t threads);
/* No job may be running. */
void vj_pool_free(vj_pool *pool);
/* The pool as run_on wants it; valid as long as the pool. */
vj_threads vj_pool_threads(vj_pool *pool);

/* Maps a file of packed weights, read-only and shared with every other process that does. NULL: see errno. */
const void *vj_weights_open(const char *path, size_t *bytes);
void vj_weights_close(const void *weights, size_t bytes);

/* What is wrong, in words: an object's init and run answer with a number, and know no sizes. Both return a VJ_RUN_ status,
 * and vj_error_message() has the text. For runs of n images of which so many are in flight (1 for `vit_run`, the parts for
 * `vit_run_on`): the object's ABI, this CPU, the batch, and the scratch memory's place and size. */
int vj_object_check(const vj_model *model, int64_t n, int32_t images_in_flight, const void *scratch,
                    size_t scratch_bytes);
/* Weights beside the object: is it this model's file, whole, and every byte as it was written? Reads all of it. */
int vj_weights_check(const vj_model *model, const void *weights, size_t bytes);
const char *vj_error_message(void);

#if defined(__GNUC__)
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif
