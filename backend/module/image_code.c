/* SPDX-License-Identifier: Apache-2.0 */
/* image_code.c - an image's code: every distinct kernel in a module of its own, and so on any core; the driver in one
 * more; linked to a blob.
 */
#include "object.h"

#include "ir/base/threads.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#define MAX_WORKERS 16

/* Piece 0 is the driver, piece i the kernels whose code has number i - 1. */
typedef struct pieces {
    const vj_program *p;
    const vj_codegen_options *options;
    const int32_t *number;    /* of each kernel's code */
    const vj_kernel **kernel; /* one of each piece */
    int32_t *order;           /* of the pieces, those that take long first */
    int32_t count;
    vj_bytes *objects;
    vj_text symbols;
    vj_bytes *code;
    uint64_t *entry;
    vj_error *error;
    atomic_int next;
    atomic_bool failed;
} pieces;

typedef struct worker {
    pieces *all;
    vj_error error;
} worker;

static void generate_driver(LLVMModuleRef module, const pieces *all, vj_error *error) {
    const vj_program *p = all->p;
    LLVMValueRef *functions = calloc((size_t)p->kernel_count + 1, sizeof *functions);
    if (!functions) {
        vj_fail(error, VJ_SYSTEM, "out of memory to generate code");
        return;
    }
    for (int32_t i = 0; i < p->kernel_count; i++) {
        char name[VJ_KERNEL_SYMBOL];
        vj_kernel_symbol(all->kernel[all->number[i] + 1], all->number[i], name, sizeof name);
        functions[i] = LLVMGetNamedFunction(module, name);
        if (!functions[i]) functions[i] = vj_declare_kernel(module, name);
    }
    vj_gen_phase(module, all->options->target, p, functions, 0, all->options->marks, "vj_phase", error);
    free(functions);
}

static void generate_piece(const pieces *all, int32_t i, LLVMTargetMachineRef machine, vj_error *error) {
    LLVMModuleRef module = vj_module_new(machine, all->options->target);
    if (i == 0) {
        generate_driver(module, all, error);
    } else {
        char name[VJ_KERNEL_SYMBOL];
        vj_kernel_symbol(all->kernel[i], i - 1, name, sizeof name);
        vj_gen_kernel(module, all->options->target, all->p, all->kernel[i], name, error);
    }
    vj_module_write(module, machine, all->options, &all->objects[i], error);
    vj_module_free(module);
}

static void work(void *self, int32_t number) {
    worker *w = (worker *)self + number;
    pieces *all = w->all;
    LLVMTargetMachineRef machine = vj_machine_new(all->options->target, &w->error);
    for (int32_t i; machine && (i = atomic_fetch_add(&all->next, 1)) < all->count && !atomic_load(&all->failed);) {
        generate_piece(all, all->order[i], machine, &w->error);
        if (w->error.status != VJ_OK) atomic_store(&all->failed, true);
    }
    if (machine) LLVMDisposeTargetMachine(machine);
}

/* How much code a piece is, roughly: its multiply-adds, in a tile of each shape. */
static int32_t size_of(const pieces *all, int32_t i) {
    const vj_kernel *k = all->kernel[i];
    if (i == 0) return all->p->kernel_count;
    if (k->kind == VJ_KERNEL_NEST) return 0;
    if (k->kind == VJ_KERNEL_CALL) return 500;
    if (k->kind != VJ_KERNEL_GEMM) return 1000;
    const vj_gemm_schedule *s = &k->schedule->gemm;
    return s->tile_kinds * s->tiles[0].height * s->width * s->k_unroll * (1 + k->out_count);
}

typedef struct sized {
    int32_t size, piece;
} sized;

static int by_size(const void *a, const void *b) {
    const sized *x = a, *y = b;
    if (x->size != y->size) return (x->size < y->size) - (x->size > y->size);
    return (x->piece > y->piece) - (x->piece < y->piece);
}

static void order_by_size(pieces *all, vj_arena *arena) {
    sized *list = VJ_NEW_ARRAY(arena, sized, all->count);
    for (int32_t i = 0; i < all->count; i++)
        list[i] = (sized){size_of(all, i), i};
    qsort(list, (size_t)all->count, sizeof *list, by_size);
    for (int32_t i = 0; i < all->count; i++)
        all->order[i] = list[i].piece;
}

/* All pieces, by this thread and others. */
static void generate_all(pieces *all) {
    vj_error *error = all->error;
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    int32_t threads = all->options->threads > 0 ? all->options->threads : cores > 0 ? (int32_t)cores : 1;
    if (threads > MAX_WORKERS) threads = MAX_WORKERS;
    if (threads > all->count) threads = all->count;
    worker workers[MAX_WORKERS] = {{0}};
    for (int32_t i = 0; i < threads; i++)
        workers[i].all = all;
    vj_fork_join(threads, work, workers);
    for (int32_t i = 0; i < threads && error->status == VJ_OK; i++)
        *error = workers[i].error;
}

static void generate_and_link(void *self) {
    pieces *all = self;
    generate_all(all);
    vj_text_add(&all->symbols, "%s", "");
    if (all->error->status == VJ_OK)
        vj_link_named(all->objects, all->count, "vj_phase", all->code, all->entry, &all->symbols, all->error);
}

vj_status vj_generate_code(const vj_program *p, const vj_codegen_options *options, vj_bytes *code, uint64_t *entry,
                           vj_codegen_stats *stats, vj_error *error) {
    *code = (vj_bytes){0};
    *entry = 0;
    int32_t *number = VJ_NEW_ARRAY(p->arena, int32_t, p->kernel_count + 1);
    const int32_t distinct = vj_distinct_kernels(p, number);
    *stats = (vj_codegen_stats){.kernels = p->kernel_count, .distinct_kernels = distinct};
    pieces all = {.p = p,
                  .options = options,
                  .number = number,
                  .count = distinct + 1,
                  .symbols = {.arena = p->arena},
                  .code = code,
                  .entry = entry,
                  .error = error};
    all.kernel = VJ_NEW_ARRAY(p->arena, const vj_kernel *, all.count);
    all.objects = VJ_NEW_ARRAY(p->arena, vj_bytes, all.count);
    for (int32_t i = p->kernel_count - 1; i >= 0; i--)
        all.kernel[number[i] + 1] = p->kernels[i];
    all.order = VJ_NEW_ARRAY(p->arena, int32_t, all.count);
    order_by_size(&all, p->arena);
    const bool had_memory = vj_arena_try(p->arena, generate_and_link, &all);
    for (int32_t i = 0; i < all.count; i++)
        vj_bytes_free(&all.objects[i]);
    if (!had_memory) vj_out_of_memory(p->arena);
    stats->symbols = all.symbols.at;
    return error->status;
}
