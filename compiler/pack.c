/* SPDX-License-Identifier: Apache-2.0 */
/* pack.c - packed weights, made in pieces of some megabytes and written to a descriptor.
 *
 * A matrix's element (k, n) stands in its dense source at offset + koff[k] + noff[n]. Reading follows whichever side is
 * compact there: a [K, N] source by rows of k, a transposed or convolution weight by rows of n. Both read long runs, so
 * plain constants are packed at the speed of memory; each thread takes whole pieces, the largest first. Written, not
 * mapped: a fault for every page of a new file costs several times what packing does.
 */
#include "compiler.h"
#include "ir/base/threads.h"
#include "pack_blocks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xxhash.h>

#include "vitjit_digest.h"
#include "vitjit_half.h"

#define BLOCK_ELEMENTS (1 << 18)
/* Most matrices are one piece: parts of their columns are read by short runs, each a system call. */
#define PIECE_BYTES ((int64_t)32 << 20)
/* What blocks are made of takes so many times the room. */
#define WIDER 16

/* Columns (of panels: whole ones) or elements [first, first + count) of a buffer of a unit of the group. */
typedef struct piece {
    int32_t unit, buffer;
    int64_t first, count, bytes;
} piece;

typedef struct packer {
    const vj_unit *const *units;
    int32_t unit_count;
    int descriptor;
    piece *pieces; /* the largest first */
    int32_t count;
    int64_t room; /* bytes of the largest */
    atomic_int next;
    atomic_bool failed;
} packer;

typedef struct worker {
    packer *p;
    vj_arena *arena;
    const vj_func *f;           /* of the piece at hand, */
    vj_weight_reader *reader;   /* and its reader */
    vj_weight_reader **readers; /* one a unit; NULL: not yet */
    float *block;               /* of BLOCK_ELEMENTS, for what is read */
    uint8_t *room;              /* where a piece is made */
    vj_error error;
} worker;

static bool in_order(const vj_side *s) {
    for (int64_t i = 0; i < s->count; i++)
        if (s->offset[i] != i) return false;
    return true;
}

/* The panels that a piece becomes. */
typedef struct panels {
    uint8_t *at;
    vj_dtype dtype;
    int64_t depth;
} panels;

/* Floats that stand `step` elements apart once they are halves. */
static void store_halves(vj_dtype dtype, uint16_t *out, int64_t step, const float *values, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        out[i * step] = dtype == VJ_F16 ? vj_f16_of_f32(values[i]) : vj_bf16_of_f32(values[i]);
}

/* Floats that are integers of 8 bits. */
static void store_bytes(int8_t *out, int64_t step, const float *values, int64_t count) {
    for (int64_t i = 0; i < count; i++)
        out[i * step] = (int8_t)values[i];
}

/* The elements (k, n) to (k, n + count), of one panel: the only place where floats become packed ones. */
static void store(const panels *to, int64_t k, int64_t n, const float *values, int64_t count) {
    const int64_t at = vj_panel_at(to->dtype, to->depth, k, n);
    float *out = (float *)(void *)to->at + at;
    if (to->dtype == VJ_I8)
        store_bytes((int8_t *)to->at + at, vj_panel_group(to->dtype), values, count);
    else if (to->dtype != VJ_F32)
        store_halves(to->dtype, (uint16_t *)(void *)to->at + at, vj_panel_group(to->dtype), values, count);
    else if (count == VJ_PANEL)
        memcpy(out, values, VJ_PANEL * sizeof *out); /* of a size that the compiler knows: most are */
    else
        memcpy(out, values, (size_t)count * sizeof *out);
}

/* Room for runs of `span` elements, which are read together as far as a block holds them. */
static float *block_for(worker *w, int64_t span) {
    return span <= BLOCK_ELEMENTS ? w->block : VJ_NEW_ARRAY(w->arena, float, span);
}

/* How many offsets from `first` on follow each other at a distance of `span`: what one read can take. */
static int64_t run_of(const vj_side *s, int64_t first, int64_t span) {
    const int64_t most = vj_max64(1, BLOCK_ELEMENTS / span);
    int64_t run = 1;
    while (run < most && first + run < s->count && s->offset[first + run] - s->offset[first + run - 1] == span)
        run++;
    return run;
}

/* One row of k, from row[offset of n] on, into all panels; dense: the offsets are 0, 1, 2... */
static void spread_row(const float *row, const vj_side *n, bool dense, int64_t k, const panels *to) {
    float gathered[VJ_PANEL];
    for (int64_t i = 0; i < n->count; i += VJ_PANEL) {
        const int64_t count = vj_min64(VJ_PANEL, n->count - i);
        for (int64_t lane = 0; !dense && lane < count; lane++)
            gathered[lane] = row[n->offset[i + lane]];
        store(to, k, i, dense ? row + i : gathered, count);
    }
}

/* The source is compact along n: a row of k is one run of n->span elements. */
static bool pack_rows_of_k(worker *w, const vj_weight *x, const vj_side *k, const vj_side *n, const panels *to) {
    float *block = block_for(w, n->span);
    const bool dense = in_order(n);
    const int64_t base = x->source_offset + k->base + n->base;
    for (int64_t i = 0; i < k->count;) {
        const int64_t run = run_of(k, i, n->span);
        if (!vj_weight_read(w->reader, x->source, base + k->offset[i], run * n->span, block, &w->error)) return false;
        for (int64_t r = 0; r < run; r++, i++)
            spread_row(block + r * n->span, n, dense, i, to);
    }
    return true;
}

/* The source is compact along k: a column is one run of k->span elements. */
static bool pack_rows_of_n(worker *w, const vj_weight *x, const vj_side *k, const vj_side *n, const panels *to) {
    float *block = block_for(w, k->span);
    const int64_t base = x->source_offset + k->base + n->base;
    for (int64_t j = 0; j < n->count;) {
        const int64_t run = vj_min64(run_of(n, j, k->span), VJ_PANEL - j % VJ_PANEL);
        if (!vj_weight_read(w->reader, x->source, base + n->offset[j], run * k->span, block, &w->error)) return false;
        for (int64_t i = 0; i < k->count; i++) {
            float gathered[VJ_PANEL];
            for (int64_t r = 0; r < run; r++)
                gathered[r] = block[r * k->span + k->offset[i]];
            store(to, i, j, gathered, run);
        }
        j += run;
    }
    return true;
}

/* Neither side is compact: rows from the whole source. */
static bool pack_scattered(worker *w, const vj_weight *x, const vj_side *k, const vj_side *n, const panels *to) {
    const int64_t span = k->span + n->span - 1, base = x->source_offset + k->base + n->base;
    float *whole = VJ_NEW_ARRAY(w->arena, float, span);
    if (!vj_weight_read(w->reader, x->source, base, span, whole, &w->error)) return false;
    const bool dense = in_order(n);
    for (int64_t i = 0; i < k->count; i++)
        spread_row(whole + k->offset[i], n, dense, i, to);
    return true;
}

static bool pack_panels(worker *w, const vj_weight *x, const piece *part, const panels *to) {
    const vj_side k = vj_side_of(w->arena, x->k_rank, x->k_extent, x->k_stride, 0, x->k);
    const vj_side n = vj_side_of(w->arena, x->n_rank, x->n_extent, x->n_stride, part->first, part->count);
    const int64_t columns = vj_panel_depth(to->dtype, k.count) > k.count ? 0 : n.count / VJ_PANEL * VJ_PANEL;
    const int64_t bytes = vj_element_bytes(to->dtype), padded = vj_panel_at(to->dtype, k.count, 0, columns) * bytes;
    if (padded < part->bytes) memset(to->at + padded, 0, (size_t)(part->bytes - padded));
    if (n.span <= 2 * n.count) return pack_rows_of_k(w, x, &k, &n, to);
    if (k.span <= 2 * k.count) return pack_rows_of_n(w, x, &k, &n, to);
    return pack_scattered(w, x, &k, &n, to);
}

/* Elements [first, first + count) of a source. Those of a plain constant are read in its own type: integers beyond 2^24 do not
 * pass through float. */
static bool read_source(worker *w, vj_value source, vj_dtype dtype, int64_t first, int64_t count, uint8_t *to) {
    const int64_t size = vj_element_bytes(dtype);
    if (vj_is_const(w->f, source) && vj_type_at(w->f, source)->dtype == dtype)
        return vj_const_read_bytes(w->f, source, first * size, count * size, to, &w->error);
    if (dtype == VJ_F32) return vj_weight_read(w->reader, source, first, count, (float *)(void *)to, &w->error);
    if (dtype == VJ_F16 || dtype == VJ_BF16 || dtype == VJ_I8) {
        float *wide = VJ_NEW_ARRAY(w->arena, float, count);
        if (!vj_weight_read(w->reader, source, first, count, wide, &w->error)) return false;
        if (dtype == VJ_I8)
            store_bytes((int8_t *)to, 1, wide, count);
        else
            store_halves(dtype, (uint16_t *)(void *)to, 1, wide, count);
        return true;
    }
    return vj_fail(&w->error, VJ_UNSUPPORTED, "computed constants of type %s", vj_element_name(dtype)) == VJ_OK;
}

static bool pack_dense(worker *w, const vj_weight *x, vj_dtype dtype, const piece *part, uint8_t *to) {
    const vj_side n = vj_side_of(w->arena, x->n_rank, x->n_extent, x->n_stride, part->first, part->count);
    const size_t size = (size_t)vj_element_bytes(dtype);
    const int64_t base = x->source_offset + n.base;
    if (in_order(&n)) return read_source(w, x->source, dtype, base, n.count, to);
    uint8_t *whole = vj_alloc_array(w->arena, (size_t)n.span, size);
    if (!read_source(w, x->source, dtype, base, n.span, whole)) return false;
    for (int64_t i = 0; i < n.count; i++)
        memcpy(to + (size_t)i * size, whole + (size_t)n.offset[i] * size, size);
    return true;
}

/* A limit on the size of files and a full disk are errors here. */
static bool write_all(int descriptor, const uint8_t *at, int64_t bytes, int64_t offset, vj_error *error) {
    while (bytes > 0) {
        const ssize_t done = pwrite(descriptor, at, (size_t)bytes, (off_t)offset);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) {
            vj_fail(error, VJ_SYSTEM, "packed weights cannot be written: %s", strerror(done < 0 ? errno : ENOSPC));
            return false;
        }
        at += done;
        bytes -= done;
        offset += done;
    }
    return true;
}

static bool pack_piece(worker *w, const piece *part) {
    const vj_program *program = w->p->units[part->unit]->program;
    const vj_buffer *buffer = &program->buffers[part->buffer];
    const vj_weight *x = &program->weights[buffer->index];
    const bool is_packed = x->kind == VJ_PACK_PANELS;
    const panels to = {w->room, buffer->dtype, x->k};
    if (x->kind == VJ_PACK_BLOCKS) {
        const vj_blocks blocks = vj_blocks_of(x);
        const int64_t at = VJ_WEIGHTS_HEADER + buffer->offset + part->first / VJ_PANEL * vj_blocks_panel(&blocks);
        return vj_pack_blocks(w->reader, w->f, w->arena, x, part->first, part->count, w->room, &w->error) &&
               write_all(w->p->descriptor, w->room, part->bytes, at, &w->error);
    }
    const int64_t elements = is_packed ? vj_panel_at(buffer->dtype, x->k, 0, part->first) : part->first;
    const int64_t before = elements * vj_element_bytes(buffer->dtype);
    if (!(is_packed ? pack_panels(w, x, part, &to) : pack_dense(w, x, buffer->dtype, part, w->room))) return false;
    return write_all(w->p->descriptor, w->room, part->bytes, VJ_WEIGHTS_HEADER + buffer->offset + before, &w->error);
}

static void switch_to(worker *w, int32_t unit) {
    w->f = w->p->units[unit]->f;
    if (!w->readers[unit]) w->readers[unit] = vj_weight_reader_new(w->arena, w->f);
    w->reader = w->readers[unit];
}

static void pack_pieces(void *self) {
    worker *w = self;
    packer *p = w->p;
    w->readers = VJ_NEW_ARRAY(w->arena, vj_weight_reader *, p->unit_count);
    w->block = VJ_NEW_ARRAY(w->arena, float, BLOCK_ELEMENTS);
    w->room = vj_alloc(w->arena, (size_t)p->room);
    for (int32_t i; (i = atomic_fetch_add(&p->next, 1)) < p->count && !atomic_load(&p->failed);) {
        switch_to(w, p->pieces[i].unit);
        const vj_arena_mark mark = vj_arena_save(w->arena);
        if (!pack_piece(w, &p->pieces[i])) atomic_store(&p->failed, true);
        vj_arena_release(w->arena, mark);
    }
}

static void no_memory(worker *w) {
    vj_fail(&w->error, VJ_SYSTEM, "out of memory while packing weights");
    atomic_store(&w->p->failed, true);
}

static void work(void *self, int32_t number) {
    worker *w = (worker *)self + number;
    if (!vj_arena_try(w->arena, pack_pieces, w)) no_memory(w);
}

/* Pieces */

/* Elements that a piece begins at a multiple of, and the bytes of so many. */
static int64_t grain_of(const vj_program *program, const vj_buffer *buffer, int64_t *bytes) {
    const vj_weight *x = &program->weights[buffer->index];
    const bool is_packed = x->kind == VJ_PACK_PANELS;
    if (x->kind == VJ_PACK_BLOCKS) {
        const vj_blocks blocks = vj_blocks_of(x);
        *bytes = vj_blocks_panel(&blocks);
        return VJ_PANEL;
    }
    *bytes = vj_element_bytes(buffer->dtype) * (is_packed ? vj_panel_depth(buffer->dtype, x->k) * VJ_PANEL : 1);
    return is_packed ? VJ_PANEL : 1;
}

static void cut(packer *p, int32_t unit, int32_t number, int32_t *capacity, vj_arena *arena) {
    const vj_program *program = p->units[unit]->program;
    const vj_buffer *buffer = &program->buffers[number];
    const vj_weight *x = &program->weights[buffer->index];
    int64_t grain_bytes;
    const int64_t grain = grain_of(program, buffer, &grain_bytes), grains = vj_ceil_div(x->n, grain);
    const int64_t most = x->kind == VJ_PACK_BLOCKS ? PIECE_BYTES / WIDER : PIECE_BYTES;
    const int64_t parts = vj_ceil_div(grains * grain_bytes, most);
    const int64_t each = vj_ceil_div(grains, vj_max64(1, parts));
    for (int64_t at = 0; at < grains; at += each) {
        const int64_t count = vj_min64(each, grains - at);
        *VJ_PUSH(arena, p->pieces, p->count, *capacity) =
            (piece){unit, number, at * grain, vj_min64(count * grain, x->n - at * grain), count * grain_bytes};
        p->room = vj_max64(p->room, count * grain_bytes);
    }
}

static int by_size(const void *a, const void *b) {
    const piece *x = a, *y = b;
    if (x->bytes != y->bytes) return (x->bytes < y->bytes) - (x->bytes > y->bytes);
    if (x->unit != y->unit) return (x->unit > y->unit) - (x->unit < y->unit);
    return (x->buffer > y->buffer) - (x->buffer < y->buffer);
}

static void cut_all(void *self) {
    const worker *w = self;
    packer *p = w->p;
    int32_t capacity = 0;
    for (int32_t unit = 0; unit < p->unit_count; unit++) {
        const vj_unit *u = p->units[unit];
        for (int32_t i = 0; i < u->program->buffer_count; i++)
            if (u->program->buffers[i].kind == VJ_BUFFER_WEIGHT && (!u->packs || u->packs[i]))
                cut(p, unit, i, &capacity, w->arena);
    }
    if (p->count) qsort(p->pieces, (size_t)p->count, sizeof *p->pieces, by_size);
}

#define MAX_WORKERS 16

/* The unit's arena may be another thread's by now: each worker has one of its own. */
static vj_status pack_all(vj_unit *u, int descriptor, int32_t threads) {
    const vj_unit *const alone[] = {u};
    packer p = {.units = alone, .unit_count = 1, .descriptor = descriptor};
    if (u->group) {
        p.units = (const vj_unit *const *)u->group;
        p.unit_count = u->group_count;
    }
    worker workers[MAX_WORKERS];
    for (int32_t i = 0; i < threads; i++)
        workers[i] = (worker){.p = &p, .arena = vj_arena_new()};
    if (vj_arena_try(workers[0].arena, cut_all, &workers[0]))
        vj_fork_join(threads, work, workers);
    else
        no_memory(&workers[0]);
    for (int32_t i = 0; i < threads; i++) {
        if (workers[i].error.status) vj_fail(&u->error, workers[i].error.status, "%s", workers[i].error.text);
        vj_arena_free(workers[i].arena);
    }
    return u->error.status;
}

/* Blocks of the digest, claimed by threads. */
typedef struct blocks {
    const uint8_t *at;
    size_t bytes;
    XXH128_hash_t *hash;
    atomic_size_t next;
} blocks;

static void hash_blocks(void *self, int32_t number) {
    blocks *b = self;
    (void)number;
    for (size_t i; (i = atomic_fetch_add(&b->next, 1)) < vj_digest_blocks(b->bytes);)
        b->hash[i] = XXH3_128bits(b->at + i * VJ_DIGEST_BLOCK, vj_digest_block_bytes(i, b->bytes));
}

/* Of what was written, which also proves that it can be read. */
static vj_status write_header(vj_unit *u, int descriptor, int32_t threads) {
    const size_t bytes = (size_t)u->program->weights_bytes;
    uint8_t *map = mmap(NULL, VJ_WEIGHTS_HEADER + bytes, PROT_READ, MAP_SHARED, descriptor, 0);
    if (map == MAP_FAILED) return vj_fail(&u->error, VJ_SYSTEM, "packed weights: %s", strerror(errno));
    blocks all = {.at = map + VJ_WEIGHTS_HEADER, .bytes = bytes};
    all.hash = calloc(vj_digest_blocks(bytes) + 1, sizeof *all.hash);
    if (all.hash) vj_fork_join(threads, hash_blocks, &all);
    munmap(map, VJ_WEIGHTS_HEADER + bytes);
    if (!all.hash) return vj_fail(&u->error, VJ_SYSTEM, "out of memory while packing weights");
    XXH128_hash_t check = vj_digest_begin(bytes);
    for (size_t i = 0; i < vj_digest_blocks(bytes); i++)
        check = vj_digest_add(check, all.hash[i]);
    free(all.hash);
    vj_weights_header h = {.magic = VJ_WEIGHTS_MAGIC, .bytes = (int64_t)bytes, .check = {check.low64, check.high64}};
    memcpy(h.digest, u->weights_digest, sizeof h.digest);
    return write_all(descriptor, (const uint8_t *)&h, sizeof h, 0, &u->error) ? VJ_OK : u->error.status;
}

vj_status vj_pack_weights(vj_unit *u, int descriptor, int32_t threads) {
    threads = threads < 1 ? 1 : threads > MAX_WORKERS ? MAX_WORKERS : threads;
    const int64_t whole = VJ_WEIGHTS_HEADER + u->program->weights_bytes;
    if (ftruncate(descriptor, (off_t)whole) != 0)
        return vj_fail(&u->error, VJ_SYSTEM, "no room for %lld bytes of packed weights: %s", (long long)whole,
                       strerror(errno));
    vj_status status = pack_all(u, descriptor, threads);
    if (status == VJ_OK) status = vj_sources_unchanged(u);
    return status == VJ_OK ? write_header(u, descriptor, threads) : status;
}
