/* SPDX-License-Identifier: Apache-2.0 */
/* machine.c - runs a planned program's code on buffers that end at a page that must not be touched. Scratch and outputs
 * begin as bytes of 0xff, so that a float which is read before it is written is NaN. */
#include "graph.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backend/backend.h"
#include "compiler/compiler.h"
#include "vitjit_half.h"
#include "vitjit_image.h"

enum { MOST_OPERANDS = 32 };

typedef struct guarded {
    uint8_t *at;
    size_t bytes, front; /* front: bytes of the mapping before `at` */
    void *map;
    size_t map_bytes;
} guarded;

struct machine {
    vj_arena *arena;
    const vj_program *p;
    vj_bytes code;
    void *mapped;
    vj_phase_fn phase;
    vj_orc *orc;
    uint8_t *weights;
    size_t weights_bytes;
};

int machine_can(const vj_target *target) { return vj_target_runs_here(target); }

static bool pack(machine *x, vj_error *error) {
    vj_unit *u = VJ_NEW(x->arena, vj_unit);
    u->arena = x->arena;
    u->f = (vj_func *)(uintptr_t)x->p->f;
    u->program = (vj_program *)(uintptr_t)x->p;
    const int fd = memfd_create("weights", MFD_CLOEXEC);
    if (fd < 0 || vj_pack_weights(u, fd, 1) != VJ_OK) {
        *error = u->error;
        vj_fail(error, VJ_SYSTEM, "no memory for weights");
        return false;
    }
    x->weights_bytes = (size_t)(VJ_WEIGHTS_HEADER + x->p->weights_bytes);
    x->weights = mmap(NULL, x->weights_bytes, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    return x->weights != MAP_FAILED;
}

static bool map_code(machine *x, uint64_t entry) {
    x->mapped = mmap(NULL, x->code.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (x->mapped == MAP_FAILED) return false;
    memcpy(x->mapped, x->code.at, x->code.size);
    const void *function = (const uint8_t *)x->mapped + entry;
    memcpy(&x->phase, &function, sizeof function);
    return mprotect(x->mapped, x->code.size, PROT_READ | PROT_EXEC) == 0;
}

static bool load_by_orc(machine *x, const vj_codegen_options *options, vj_error *error) {
    vj_bytes object = {0};
    vj_codegen_stats stats;
    void *function = NULL;
    if (vj_generate(x->p, options, &object, &stats, error) == VJ_OK)
        x->orc = vj_orc_load(&object, "vj_phase", &function, error);
    vj_bytes_free(&object);
    memcpy(&x->phase, &function, sizeof function);
    return x->orc != NULL;
}

machine *machine_new(vj_arena *arena, const vj_program *p, const vj_target *target, int32_t threads, bool by_orc,
                     vj_error *error) {
    machine *x = VJ_NEW(arena, machine);
    x->arena = arena;
    x->p = p;
    vj_codegen_options options = {.target = target, .kind = VJ_EMIT_OBJECT, .threads = threads};
#ifdef __SANITIZE_ADDRESS__
    options.sanitize_address = by_orc;
#endif
    vj_codegen_stats stats;
    uint64_t entry = 0;
    if (!pack(x, error)) return NULL;
    if (by_orc) return load_by_orc(x, &options, error) ? x : NULL;
    if (vj_generate_code(p, &options, &x->code, &entry, &stats, error) != VJ_OK) return NULL;
    return map_code(x, entry) ? x : NULL;
}

const void *machine_code(const machine *x, size_t *bytes) {
    *bytes = x->code.size;
    return x->code.at;
}

void machine_free(machine *x) {
    if (x->orc) vj_orc_free(x->orc);
    if (x->mapped) munmap(x->mapped, x->code.size);
    munmap(x->weights, x->weights_bytes);
    vj_bytes_free(&x->code);
}

/* Buffers */

static guarded guarded_new(size_t bytes, size_t alignment) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), body = (bytes + page - 1) / page * page;
    guarded g = {.bytes = bytes, .map_bytes = body + page};
    g.map = mmap(NULL, g.map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (g.map == MAP_FAILED || mprotect((uint8_t *)g.map + body, page, PROT_NONE)) abort();
    memset(g.map, 0xff, body);
    g.front = (body - bytes) / alignment * alignment;
    g.at = (uint8_t *)g.map + g.front;
    return g;
}

static bool untouched_before(const guarded *g) {
    for (size_t i = 0; i < g->front; i++)
        if (((const uint8_t *)g->map)[i] != 0xff) return false;
    return true;
}

static void write_elements(uint8_t *at, const vj_tensor *t) {
    vj_dtype dtype = t->type.dtype;
    const size_t size = (size_t)vj_element_bytes(dtype);
    for (int64_t i = 0; i < t->count; i++) {
        float f32 = t->f ? (float)t->f[i] : 0;
        uint16_t half = 0;
        if (dtype == VJ_F16) half = vj_f16_of(t->f[i]);
        if (dtype == VJ_BF16) half = vj_bf16_of(t->f[i]);
        const void *from = dtype == VJ_F32   ? (const void *)&f32
                           : dtype == VJ_F64 ? (const void *)&t->f[i]
                           : t->f            ? (const void *)&half
                                             : &t->i[i]; /* little-endian */
        memcpy(at + (size_t)i * size, from, size);
    }
}

static void read_element(const uint8_t *at, vj_tensor *t, int64_t i) {
    float f32;
    uint16_t half;
    int64_t bits = 0;
    const size_t size = (size_t)vj_element_bytes(t->type.dtype);
    at += (size_t)i * size;
    switch (t->type.dtype) {
    case VJ_F32:
        memcpy(&f32, at, 4);
        t->f[i] = f32;
        return;
    case VJ_F64:
        memcpy(&t->f[i], at, 8);
        return;
    case VJ_F16:
    case VJ_BF16:
        memcpy(&half, at, 2);
        t->f[i] = t->type.dtype == VJ_F16 ? vj_f32_of_f16(half) : vj_f32_of_bf16(half);
        return;
    default:
        memcpy(&bits, at, size);
        const bool is_signed = t->type.dtype == VJ_I8 || t->type.dtype == VJ_I16 || t->type.dtype == VJ_I32;
        if (is_signed && bits >> (8 * size - 1)) bits |= (int64_t)(UINT64_MAX << (8 * size));
        t->i[i] = bits;
    }
}

/* Runs */

static void run_parts(const machine *x, const vj_args *args, int32_t phase, int32_t parts, bool backwards) {
    for (int32_t i = 0; i < parts; i++)
        x->phase(args, phase, backwards ? parts - 1 - i : i, parts);
}

static void run_phases(const machine *x, const vj_args *args, int32_t parts, bool backwards) {
    if (args->n >= parts) run_parts(x, args, 0, parts, backwards);
    if (args->n % parts == 0) return;
    for (int32_t i = 1; i <= x->p->phase_count; i++)
        run_parts(x, args, i, parts, backwards);
}

const char *machine_run(machine *x, int64_t n, vj_tensor *const *inputs, vj_tensor **outputs, int32_t parts,
                        bool backwards) {
    const vj_func *f = x->p->f;
    guarded in[MOST_OPERANDS], out[MOST_OPERANDS];
    const void *in_at[MOST_OPERANDS];
    void *out_at[MOST_OPERANDS];
    const char *wrong = NULL;
    if (f->input_count > MOST_OPERANDS || f->output_count > MOST_OPERANDS) abort();
    for (int32_t i = 0; i < f->input_count; i++) {
        const size_t size = (size_t)vj_element_bytes(inputs[i]->type.dtype);
        in[i] = guarded_new((size_t)inputs[i]->count * size, size);
        write_elements(in[i].at, inputs[i]);
        in_at[i] = in[i].at;
    }
    for (int32_t i = 0; i < f->output_count; i++) {
        const size_t size = (size_t)vj_element_bytes(outputs[i]->type.dtype);
        out[i] = guarded_new((size_t)outputs[i]->count * size, size);
        out_at[i] = out[i].at;
    }
    const int64_t slots = n > parts ? n : parts;
    guarded scratch = guarded_new((size_t)(slots * x->p->per_image_bytes), VJ_ALIGN);
    const vj_args args = {in_at, out_at, x->weights + VJ_WEIGHTS_HEADER, scratch.at, n, 0};
    run_phases(x, &args, parts, backwards);
    if (!untouched_before(&scratch)) wrong = "bytes before the scratch were written";
    for (int32_t i = 0; i < f->output_count; i++) {
        if (!untouched_before(&out[i])) wrong = "bytes before an output were written";
        for (int64_t e = 0; e < outputs[i]->count; e++)
            read_element(out[i].at, outputs[i], e);
        munmap(out[i].map, out[i].map_bytes);
    }
    for (int32_t i = 0; i < f->input_count; i++)
        munmap(in[i].map, in[i].map_bytes);
    munmap(scratch.map, scratch.map_bytes);
    return wrong;
}
