/* pack.c - packed weights, written in blocks straight into the file's mapping.
 *
 * A matrix's element (k, n) stands in its dense source at offset + koff[k] + noff[n]. Reading follows whichever side is
 * compact there: a [K, N] source by rows of k, a transposed or convolution weight by rows of n. Both read long runs, so
 * plain constants are packed at the speed of memory; each thread takes whole weights, the largest first.
 */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xxhash.h>

#define BLOCK_ELEMENTS (1 << 18)

typedef struct packer {
    vj_unit *u;
    uint8_t *base;  /* of the packed weights */
    int32_t *order; /* buffers, the largest first */
    int32_t count;
    atomic_int next;
    atomic_bool failed;
} packer;

typedef struct worker {
    packer *p;
    vj_arena *arena;
    vj_weight_reader *reader;
    vj_error error;
    jmp_buf oom;
} worker;

/* Offsets of all values of a group of digits; *span is the largest plus 1. */
static int64_t *offsets_of(vj_arena *arena, int32_t rank, const int64_t *extent, const int64_t *stride, int64_t count,
                           int64_t *span) {
    int64_t *offset = VJ_NEW_ARRAY(arena, int64_t, count);
    *span = 1;
    for (int64_t i = 0; i < count; i++) {
        int64_t rest = i;
        for (int32_t d = rank - 1; d >= 0; d--) {
            offset[i] += rest % extent[d] * stride[d];
            rest /= extent[d];
        }
        *span = vj_max64(*span, offset[i] + 1);
    }
    return offset;
}

static bool in_order(const int64_t *offset, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        if (offset[i] != i) return false;
    return true;
}

static float *panel_at(float *to, int64_t k_count, int64_t k, int64_t n) {
    return to + ((n / VJ_PANEL) * k_count + k) * VJ_PANEL + n % VJ_PANEL;
}

/* How many offsets from `first` on follow each other at a distance of `span`: what one read can take. */
static int64_t run_of(const int64_t *offset, int64_t first, int64_t count, int64_t span) {
    const int64_t most = vj_max64(1, BLOCK_ELEMENTS / span);
    int64_t run = 1;
    while (run < most && first + run < count && offset[first + run] - offset[first + run - 1] == span)
        run++;
    return run;
}

/* The source is compact along n: a row of k is one run of `span` elements. */
static bool pack_rows_of_k(worker *w, const vj_weight *x, const int64_t *koff, const int64_t *noff, int64_t span,
                           float *to) {
    float *block = VJ_NEW_ARRAY(w->arena, float, vj_max64(span, BLOCK_ELEMENTS));
    const bool dense = in_order(noff, x->n);
    for (int64_t k = 0; k < x->k;) {
        const int64_t run = run_of(koff, k, x->k, span);
        if (!vj_weight_read(w->reader, x->source, x->source_offset + koff[k], run * span, block, &w->error))
            return false;
        for (int64_t r = 0; r < run; r++, k++) {
            const float *row = block + r * span;
            for (int64_t n = 0; n < x->n; n += VJ_PANEL) {
                float *out = panel_at(to, x->k, k, n);
                const int64_t lanes = vj_min64(VJ_PANEL, x->n - n);
                if (dense)
                    memcpy(out, row + n, (size_t)lanes * sizeof *out);
                else
                    for (int64_t i = 0; i < lanes; i++)
                        out[i] = row[noff[n + i]];
            }
        }
    }
    return true;
}

/* The source is compact along k: a column is one run of `span` elements. */
static bool pack_rows_of_n(worker *w, const vj_weight *x, const int64_t *koff, const int64_t *noff, int64_t span,
                           float *to) {
    float *block = VJ_NEW_ARRAY(w->arena, float, vj_max64(span, BLOCK_ELEMENTS));
    for (int64_t n = 0; n < x->n;) {
        const int64_t run = vj_min64(run_of(noff, n, x->n, span), VJ_PANEL - n % VJ_PANEL);
        if (!vj_weight_read(w->reader, x->source, x->source_offset + noff[n], run * span, block, &w->error))
            return false;
        for (int64_t k = 0; k < x->k; k++) {
            float *out = panel_at(to, x->k, k, n);
            for (int64_t r = 0; r < run; r++)
                out[r] = block[r * span + koff[k]];
        }
        n += run;
    }
    return true;
}

/* Neither side is compact: element by element from the whole source. */
static bool pack_scattered(worker *w, const vj_weight *x, const int64_t *koff, const int64_t *noff, int64_t span,
                           float *to) {
    float *whole = VJ_NEW_ARRAY(w->arena, float, span);
    if (!vj_weight_read(w->reader, x->source, x->source_offset, span, whole, &w->error)) return false;
    for (int64_t k = 0; k < x->k; k++)
        for (int64_t n = 0; n < x->n; n++)
            *panel_at(to, x->k, k, n) = whole[koff[k] + noff[n]];
    return true;
}

static bool pack_panels(worker *w, const vj_weight *x, float *to) {
    int64_t k_span, n_span;
    const int64_t *koff = offsets_of(w->arena, x->k_rank, x->k_extent, x->k_stride, x->k, &k_span);
    const int64_t *noff = offsets_of(w->arena, x->n_rank, x->n_extent, x->n_stride, x->n, &n_span);
    if (n_span <= 2 * x->n) return pack_rows_of_k(w, x, koff, noff, n_span, to);
    if (k_span <= 2 * x->k) return pack_rows_of_n(w, x, koff, noff, k_span, to);
    return pack_scattered(w, x, koff, noff, k_span + n_span - 1, to);
}

static void store_dense(uint8_t *to, vj_dtype dtype, int64_t at, float value) {
    switch (dtype) {
    case VJ_F32:
        ((float *)(void *)to)[at] = value;
        break;
    case VJ_I64:
        ((int64_t *)(void *)to)[at] = (int64_t)value;
        break;
    case VJ_I32:
        ((int32_t *)(void *)to)[at] = (int32_t)value;
        break;
    default:
        to[at] = (uint8_t)(value != 0);
        break;
    }
}

/* Integers beyond 2^24 do not pass through float: plain constants keep their bytes. */
static bool pack_dense(worker *w, const vj_weight *x, vj_dtype dtype, uint8_t *to) {
    int64_t span;
    const int64_t *noff = offsets_of(w->arena, x->n_rank, x->n_extent, x->n_stride, x->n, &span);
    const vj_func *f = w->p->u->f;
    const vj_type *type = vj_type_at(f, x->source);
    const int64_t size = vj_element_bytes(dtype);
    if (type->dtype == dtype && in_order(noff, x->n) && vj_is_const(f, x->source) &&
        vj_attr_find(vj_producer(f, x->source), VJ_ATTR_CONSTANT)->as.constant->kind == VJ_CONST_BYTES)
        return vj_const_read_bytes(f, x->source, x->source_offset * size, x->n * size, to, &w->error);
    if (dtype != VJ_F32 && dtype != VJ_I64 && dtype != VJ_I32 && dtype != VJ_BOOL)
        return vj_fail(&w->error, VJ_UNSUPPORTED, "constants of type %s", vj_element_name(dtype)) == VJ_OK;
    float *whole = VJ_NEW_ARRAY(w->arena, float, span);
    if (!vj_weight_read(w->reader, x->source, x->source_offset, span, whole, &w->error)) return false;
    for (int64_t i = 0; i < x->n; i++)
        store_dense(to, dtype, i, whole[noff[i]]);
    return true;
}

static bool pack_buffer(worker *w, const vj_buffer *buffer) {
    const vj_weight *x = &w->p->u->program->weights[buffer->index];
    uint8_t *to = w->p->base + buffer->offset;
    return x->kind == VJ_PACK_PANELS ? pack_panels(w, x, (float *)(void *)to) : pack_dense(w, x, buffer->dtype, to);
}

static void *work(void *self) {
    worker *w = self;
    packer *p = w->p;
    if (setjmp(w->oom)) {
        vj_fail(&w->error, VJ_SYSTEM, "no memory while packing weights");
        atomic_store(&p->failed, true);
        return NULL;
    }
    vj_arena_on_oom(w->arena, &w->oom);
    w->reader = vj_weight_reader_new(w->arena, p->u->f);
    for (int32_t i; (i = atomic_fetch_add(&p->next, 1)) < p->count && !atomic_load(&p->failed);) {
        const vj_arena_mark mark = vj_arena_save(w->arena);
        if (!pack_buffer(w, &p->u->program->buffers[p->order[i]])) atomic_store(&p->failed, true);
        vj_arena_release(w->arena, mark);
    }
    return NULL;
}

static void order_by_size(packer *p) {
    const vj_program *program = p->u->program;
    p->order = VJ_NEW_ARRAY(p->u->arena, int32_t, program->buffer_count + 1);
    for (int32_t i = 0; i < program->buffer_count; i++) {
        if (program->buffers[i].kind != VJ_BUFFER_WEIGHT) continue;
        int32_t at = p->count++;
        for (; at > 0 && program->buffers[p->order[at - 1]].elements < program->buffers[i].elements; at--)
            p->order[at] = p->order[at - 1];
        p->order[at] = i;
    }
}

#define MAX_WORKERS 16

static vj_status pack_all(vj_unit *u, uint8_t *base, int32_t threads) {
    packer p = {.u = u, .base = base};
    order_by_size(&p);
    threads = threads < 1 ? 1 : threads > MAX_WORKERS ? MAX_WORKERS : threads;
    worker *workers = VJ_NEW_ARRAY(u->arena, worker, threads);
    pthread_t ids[MAX_WORKERS];
    int32_t started = 0;
    for (int32_t i = 0; i < threads; i++)
        workers[i] = (worker){.p = &p, .arena = vj_arena_new()};
    while (started < threads - 1 && pthread_create(&ids[started], NULL, work, &workers[started + 1]) == 0)
        started++;
    work(&workers[0]);
    for (int32_t i = 0; i < started; i++)
        pthread_join(ids[i], NULL);
    for (int32_t i = 0; i < threads; i++) {
        if (workers[i].error.status) vj_fail(&u->error, workers[i].error.status, "%s", workers[i].error.text);
        vj_arena_free(workers[i].arena);
    }
    return u->error.status;
}

vj_status vj_pack_weights(vj_unit *u, int descriptor, int32_t threads) {
    const int64_t bytes = u->program->weights_bytes;
    const size_t whole = (size_t)(VJ_WEIGHTS_HEADER + bytes);
    /* posix_fallocate, not ftruncate: a full disk must fail here, not as a signal when a page is written. */
    const int no_room = posix_fallocate(descriptor, 0, (off_t)whole);
    if (no_room)
        return vj_fail(&u->error, VJ_SYSTEM, "no room for %zu bytes of packed weights: %s", whole, strerror(no_room));
    uint8_t *map = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (map == MAP_FAILED) return vj_fail(&u->error, VJ_SYSTEM, "packed weights: %s", strerror(errno));
    const vj_status status = pack_all(u, map + VJ_WEIGHTS_HEADER, threads);
    if (status == VJ_OK) {
        const XXH128_hash_t check = XXH3_128bits(map + VJ_WEIGHTS_HEADER, (size_t)bytes);
        vj_weights_header h = {.magic = VJ_WEIGHTS_MAGIC, .bytes = bytes, .check = {check.low64, check.high64}};
        memcpy(h.digest, u->weights_digest, sizeof h.digest);
        memcpy(map, &h, sizeof h);
    }
    munmap(map, whole);
    return status;
}
