/* SPDX-License-Identifier: Apache-2.0 */
/* orc.c - loads code through ORC. In a build with a sanitizer that code is instrumented too, as the project's own is: a
 * fault in a kernel is reported as any other. An image's code never is: it may need no symbol of the process. */
#include "compiler.h"

#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
enum { ADDRESS = 1, THREAD = 0 };
#elif defined(__SANITIZE_THREAD__)
enum { ADDRESS = 0, THREAD = 1 };
#else
enum { ADDRESS = 0, THREAD = 0 };
#endif

typedef struct span {
    int64_t from, to;
} span;

static bool is_used(const vj_program *p, int32_t buffer) {
    for (int32_t i = 0; i < p->kernel_count; i++)
        for (int32_t a = 0; a < p->kernels[i]->access_count; a++)
            if (p->kernels[i]->access[a].buffer == buffer) return true;
    return false;
}

static int by_start(const void *a, const void *b) {
    const int64_t x = ((const span *)a)->from, y = ((const span *)b)->from;
    return (x > y) - (x < y);
}

/* The bytes of an image's scratch that no buffer has at any time. */
static vj_status find_gaps(vj_unit *u, vj_compiled *out) {
    const vj_program *p = u->program;
    span *taken = VJ_NEW_ARRAY(u->arena, span, p->buffer_count + 1);
    int32_t count = 0;
    int64_t end = 0;
    for (int32_t i = 0; i < p->buffer_count; i++) {
        const vj_buffer *b = &p->buffers[i];
        if (b->kind != VJ_BUFFER_ARENA || !is_used(p, i)) continue;
        taken[count++] = (span){b->offset, b->offset + b->elements * vj_element_bytes(b->dtype)};
    }
    qsort(taken, (size_t)count, sizeof *taken, by_start);
    taken[count++] = (span){p->per_image_bytes, p->per_image_bytes};
    out->gaps = calloc((size_t)count, sizeof *out->gaps);
    if (!out->gaps) return vj_fail(&u->error, VJ_SYSTEM, "out of memory");
    for (int32_t i = 0; i < count; i++) {
        if (taken[i].from > end) out->gaps[out->gap_count++] = (vj_gap){end, taken[i].from - end};
        end = vj_max64(end, taken[i].to);
    }
    return VJ_OK;
}

vj_status vj_load_by_orc(vj_unit *u, const vj_bytes *object, vj_compiled *out) {
    const vj_codegen_options options = {.target = u->target,
                                        .kind = VJ_EMIT_OBJECT,
                                        .sanitize_address = ADDRESS,
                                        .sanitize_thread = THREAD,
                                        .marks = u->request->marks != 0};
    vj_bytes instrumented = {0};
    vj_codegen_stats stats;
    void *phase = NULL;
    if (ADDRESS || THREAD) {
        if (vj_generate(u->program, &options, &instrumented, &stats, &u->error) != VJ_OK) return u->error.status;
        object = &instrumented;
    }
    out->orc = vj_orc_load(object, "vj_phase", &phase, &u->error);
    vj_bytes_free(&instrumented);
    if (!out->orc) return u->error.status;
    memcpy(&out->orc_phase, &phase, sizeof phase);
    return ADDRESS ? find_gaps(u, out) : VJ_OK;
}
