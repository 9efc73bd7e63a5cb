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

#include "vitjit_digest.h"

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

/* Where the values of a group of digits stand, from the lowest on: offset[i] >= 0, and the lowest is at *base. *span is
 * the largest plus 1. */
static int64_t *offsets_of(vj_arena *arena, int32_t rank, const int64_t *extent, const int64_t *stride, int64_t count,
                           int64_t *base, int64_t *span) {
    int64_t *offset = VJ_NEW_ARRAY(arena, int64_t, count);
    int64_t low = 0, high = 0;
    for (int64_t i = 0; i < count; i++) {
        int64_t rest = i;
        for (int32_t d = rank - 1; d >= 0; d--) {
            offset[i] += rest % extent[d] * stride[d];
            rest /= extent[d];
        }
        low = vj_min64(low, offset[i]);
        high = vj_max64(high, offset[i]);
    }
    for (int64_t i = 0; low < 0 && i < count; i++)
        offset[i] -= low;
    *base = low;
    *span = high - low + 1;
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
static bool pack_rows_of_k(worker *w, const vj_weight *x, const int64_t *koff, const int64_t *noff, int64_t base,
                           int64_t span, float *to) {
    float *block = VJ_NEW_ARRAY(w->arena, float, vj_max64(span, BLOCK_ELEMENTS));
    const bool dense = in_order(noff, x->n);
    for (int64_t k = 0; k < x->k;) {
        const int64_t run = run_of(koff, k, x->k, span);
        if (!vj_weight_read(w->reader, x->source, base + koff[k], run * span, block, &w->error)) return false;
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
static bool pack_rows_of_n(worker *w, const vj_weight *x, const int64_t *koff, const int64_t *noff, int64_t base,
                           int64_t span, float *to) {
    float *block = VJ_NEW_ARRAY(w->arena, float, vj_max64(span, BLOCK_ELEMENTS));
    for (int64_t n = 0; n < x->n;) {
        const int64_t run = vj_min64(run_of(noff, n, x->n, span), VJ_PANEL - n % VJ_PANEL);
        if (!vj_weight_read(w->reader, x->source, base + noff[n], run * span, block, &w->error)) return false;
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
static bool pack_scattered(worker *w, const vj_weight *x, const int64_t *koff, const int64_t *noff, int64_t base,
                           int64_t span, float *to) {
    float *whole = VJ_NEW_ARRAY(w->arena, float, span);
    if (!vj_weight_read(w->reader, x->source, base, span, whole, &w->error)) return false;
    for (int64_t k = 0; k < x->k; k++)
        for (int64_t n = 0; n < x->n; n++)
            *panel_at(to, x->k, k, n) = whole[koff[k] + noff[n]];
    return true;
}

static bool pack_panels(worker *w, const vj_weight *x, float *to) {
    int64_t k_base, k_span, n_base, n_span;
    const int64_t *koff = offsets_of(w->arena, x->k_rank, x->k_extent, x->k_stride, x->k, &k_base, &k_span);
    const int64_t *noff = offsets_of(w->arena, x->n_rank, x->n_extent, x->n_stride, x->n, &n_base, &n_span);
    const int64_t base = x->source_offset + k_base + n_base;
    if (n_span <= 2 * x->n) return pack_rows_of_k(w, x, koff, noff, base, n_span, to);
    if (k_span <= 2 * x->k) return pack_rows_of_n(w, x, koff, noff, base, k_span, to);
    return pack_scattered(w, x, koff, noff, base, k_span + n_span - 1, to);
}

/* Elements of a plain constant, in its own type: integers beyond 2^24 do not pass through float. */
static bool pack_constant(worker *w, const vj_weight *x, int64_t size, const int64_t *noff, int64_t base, int64_t span,
                          uint8_t *to) {
    const vj_func *f = w->p->u->f;
    if (in_order(noff, x->n)) return vj_const_read_bytes(f, x->source, base * size, x->n * size, to, &w->error);
    uint8_t *whole = vj_alloc_array(w->arena, (size_t)span, (size_t)size);
    if (!vj_const_read_bytes(f, x->source, base * size, span * size, whole, &w->error)) return false;
    for (int64_t i = 0; i < x->n; i++)
        memcpy(to + i * size, whole + noff[i] * size, (size_t)size);
    return true;
}

static bool pack_dense(worker *w, const vj_weight *x, vj_dtype dtype, uint8_t *to) {
    int64_t base, span;
    const int64_t *noff = offsets_of(w->arena, x->n_rank, x->n_extent, x->n_stride, x->n, &base, &span);
    const vj_func *f = w->p->u->f;
    base += x->source_offset;
    if (vj_is_const(f, x->source) && vj_type_at(f, x->source)->dtype == dtype)
        return pack_constant(w, x, vj_element_bytes(dtype), noff, base, span, to);
    if (dtype != VJ_F32)
        return vj_fail(&w->error, VJ_UNSUPPORTED, "computed constants of type %s", vj_element_name(dtype)) == VJ_OK;
    float *out = (float *)(void *)to;
    if (in_order(noff, x->n)) return vj_weight_read(w->reader, x->source, base, x->n, out, &w->error);
    float *whole = VJ_NEW_ARRAY(w->arena, float, span);
    if (!vj_weight_read(w->reader, x->source, base, span, whole, &w->error)) return false;
    for (int64_t i = 0; i < x->n; i++)
        out[i] = whole[noff[i]];
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

static bool order_by_size(packer *p) {
    const vj_program *program = p->u->program;
    p->order = calloc((size_t)program->buffer_count + 1, sizeof *p->order);
    for (int32_t i = 0; p->order && i < program->buffer_count; i++) {
        if (program->buffers[i].kind != VJ_BUFFER_WEIGHT) continue;
        int32_t at = p->count++;
        for (; at > 0 && program->buffers[p->order[at - 1]].elements < program->buffers[i].elements; at--)
            p->order[at] = p->order[at - 1];
        p->order[at] = i;
    }
    return p->order != NULL;
}

#define MAX_WORKERS 16

/* The unit's arena may be another thread's by now: each worker has one of its own. */
static vj_status pack_all(vj_unit *u, uint8_t *base, int32_t threads) {
    packer p = {.u = u, .base = base};
    worker workers[MAX_WORKERS];
    pthread_t ids[MAX_WORKERS];
    int32_t started = 0;
    if (!order_by_size(&p)) return vj_fail(&u->error, VJ_SYSTEM, "no memory while packing weights");
    threads = threads < 1 ? 1 : threads > MAX_WORKERS ? MAX_WORKERS : threads;
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
    free(p.order);
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
    vj_status status = pack_all(u, map + VJ_WEIGHTS_HEADER, threads);
    if (status == VJ_OK) status = vj_sources_unchanged(u);
    if (status == VJ_OK) {
        const XXH128_hash_t check = vj_digest_of(map + VJ_WEIGHTS_HEADER, (size_t)bytes);
        vj_weights_header h = {.magic = VJ_WEIGHTS_MAGIC, .bytes = bytes, .check = {check.low64, check.high64}};
        memcpy(h.digest, u->weights_digest, sizeof h.digest);
        memcpy(map, &h, sizeof h);
    }
    munmap(map, whole);
    return status;
}
