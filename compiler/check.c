/* SPDX-License-Identifier: Apache-2.0 */
/* check.c - --check: the compiled kernels beside the evaluator.
 *
 * The code runs phase by phase on seeded inputs, in the arena as planned and as two parts, so what the planner and the
 * split do is checked too. Each kernel is evaluated in double precision on what the code before it wrote: the first
 * kernel that differs is the one that is wrong.
 */
#include "compiler.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PARTS 2

/* An f32 kernel may be off by this share of the value and of the result's root mean square: a product of 4096 terms in
 * any order stays a hundred times below it. */
#define TOLERANCE 1e-4

/* A float that is rounded to a whole number may be off by this share of itself and of half a byte's steps: a fortieth of that. */
#define LEAN (TOLERANCE / 40)

/* Rounding to the type changes a value by at most this share of it. */
static double rounding(vj_dtype dtype) { return dtype == VJ_BF16 ? 0x1p-8 : dtype == VJ_F16 ? 0x1p-11 : 0; }

#define SENTINEL UINT64_C(0x7ff8dead0000beef) /* a NaN that no arithmetic makes */

typedef struct checking {
    vj_unit *u;
    uint8_t **memory; /* of each buffer: arena, inputs, outputs, weights */
    uint8_t *arena, *weights;
    size_t arena_bytes, weights_bytes, code_bytes;
    void *code;
    vj_phase_fn phase;
    vj_bytes object, blob;
    double worst; /* as a share of what is allowed */
    const char *worst_kernel;
    int64_t ties; /* elements that were rounded to the other side */
} checking;

/* What the evaluator says of a buffer: each element, and where it would be if what is rounded to whole numbers were a little less, or
 * more; NULL: nothing is. */
typedef struct wanted {
    const double *at, *less, *more;
    double room; /* for what is rounded on the way */
} wanted;

static void fill_with_sentinels(double *to, int64_t count) {
    const uint64_t bits = SENTINEL;
    for (int64_t i = 0; i < count; i++)
        memcpy(&to[i], &bits, sizeof bits);
}

static bool is_sentinel(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits == SENTINEL;
}

/* A boolean's byte is taken as it is: any but 0 and 1 is a difference. */
static double element(const uint8_t *memory, vj_dtype dtype, int64_t i) {
    const uint8_t *at = memory + i * vj_element_bytes(dtype);
    int64_t exact = 0;
    return dtype == VJ_BOOL ? (double)*at : vj_element_of(dtype, at, &exact);
}

/* Seeded inputs: floats in [-1, 1), integers 0 or 1, which every table has. */
static void fill_input(uint8_t *to, vj_dtype dtype, int64_t count, uint64_t seed) {
    for (int64_t i = 0; i < count; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        const float x = (float)(seed >> 40) * 0x1p-23f - 1;
        const double wide = (double)x;
        const int64_t bit = (int64_t)(seed >> 63);
        uint8_t *at = to + i * vj_element_bytes(dtype);
        if (dtype == VJ_F32)
            memcpy(at, &x, sizeof x);
        else if (dtype == VJ_F64)
            memcpy(at, &wide, sizeof wide);
        else if (vj_dtype_is_float(dtype))
            memset(at, bit ? 0x3c : 0, 2); /* f16 1.06, bf16 0.0115 */
        else
            memcpy(at, &bit, (size_t)vj_element_bytes(dtype));
    }
}

/* Memory and code */

static vj_status load_code(checking *c) {
    vj_unit *u = c->u;
    const vj_codegen_options options = {.target = u->target, .kind = VJ_EMIT_OBJECT, .threads = 1};
    vj_codegen_stats stats;
    uint64_t entry = 0;
    if (vj_generate(u->program, &options, &c->object, &stats, &u->error) != VJ_OK ||
        vj_link_code(&c->object, "vj_phase", &c->blob, &entry, &u->error) != VJ_OK)
        return u->error.status;
    void *at = mmap(NULL, c->blob.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) return vj_fail(&u->error, VJ_SYSTEM, "out of memory for code: %s", strerror(errno));
    c->code = at;
    c->code_bytes = c->blob.size;
    memcpy(at, c->blob.at, c->blob.size);
    if (mprotect(at, c->code_bytes, PROT_READ | PROT_EXEC) != 0)
        return vj_fail(&u->error, VJ_SYSTEM, "code cannot be made executable: %s", strerror(errno));
    at = (uint8_t *)at + entry;
    memcpy(&c->phase, &at, sizeof at);
    return VJ_OK;
}

static vj_status load_weights(checking *c) {
    vj_unit *u = c->u;
    const int memory = memfd_create("weights", MFD_CLOEXEC);
    if (memory < 0) return vj_fail(&u->error, VJ_SYSTEM, "out of memory for packed weights: %s", strerror(errno));
    vj_status status = vj_pack_weights(u, memory, 1);
    if (status == VJ_OK) {
        c->weights_bytes = (size_t)(u->program->weights_bytes + VJ_WEIGHTS_HEADER);
        void *at = mmap(NULL, c->weights_bytes, PROT_READ, MAP_SHARED, memory, 0);
        if (at == MAP_FAILED)
            status = vj_fail(&u->error, VJ_SYSTEM, "out of memory for packed weights: %s", strerror(errno));
        else
            c->weights = at;
    }
    close(memory);
    return status;
}

static vj_status make_memory(checking *c, const void **inputs, void **outputs) {
    vj_unit *u = c->u;
    const vj_program *p = u->program;
    c->arena_bytes = (size_t)vj_round_up(p->per_image_bytes, 4096) + 4096;
    void *arena = mmap(NULL, c->arena_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (arena == MAP_FAILED) return vj_fail(&u->error, VJ_SYSTEM, "out of memory for the arena: %s", strerror(errno));
    c->arena = arena;
    memset(arena, 0xff, c->arena_bytes); /* NaN: what is read before it is written shows */
    c->memory = VJ_NEW_ARRAY(u->arena, uint8_t *, p->buffer_count + 1);
    for (int32_t i = 0; i < p->buffer_count; i++) {
        const vj_buffer *b = &p->buffers[i];
        if (b->kind == VJ_BUFFER_ARENA) {
            c->memory[i] = c->arena + b->offset;
        } else if (b->kind == VJ_BUFFER_WEIGHT) {
            c->memory[i] = c->weights + VJ_WEIGHTS_HEADER + b->offset;
        } else {
            /* A multiple of the alignment that any code could want. */
            const size_t bytes = (size_t)(b->elements * vj_element_bytes(b->dtype));
            uint8_t *at = vj_alloc(u->arena, bytes + VJ_ALIGN);
            c->memory[i] = at + (VJ_ALIGN - (uintptr_t)at % VJ_ALIGN) % VJ_ALIGN;
            if (b->kind == VJ_BUFFER_INPUT) {
                fill_input(c->memory[i], b->dtype, b->elements, 20241124u + (uint64_t)b->index);
                inputs[b->index] = c->memory[i];
            } else {
                outputs[b->index] = c->memory[i];
            }
        }
    }
    return VJ_OK;
}

/* An input that no kernel reads, or an output that is one already, has no buffer of its own. */
static void complete_pointers(checking *c, const void **inputs, void **outputs) {
    const vj_func *f = c->u->f;
    for (int32_t i = 0; i < f->input_count; i++)
        if (!inputs[i]) inputs[i] = c->arena;
    for (int32_t i = 0; i < f->output_count; i++)
        if (!outputs[i]) outputs[i] = c->arena;
}

/* One phase */

static bool reads(const vj_kernel *k, int32_t buffer) {
    for (int32_t a = 0; a < k->access_count; a++)
        if (k->access[a].buffer == buffer && !vj_is_result(k, a)) return true;
    return false;
}

static bool writes(const vj_kernel *k, int32_t buffer) {
    for (int32_t o = 0; o < k->out_count; o++)
        if (k->access[k->out[o].access].buffer == buffer) return true;
    return false;
}

/* The kernel's operands as they are now; results become sentinels. */
static double **take_operands(checking *c, const vj_kernel *k) {
    const vj_program *p = c->u->program;
    double **doubles = VJ_NEW_ARRAY(c->u->arena, double *, p->buffer_count + 1);
    for (int32_t a = 0; a < k->access_count; a++) {
        const int32_t i = k->access[a].buffer;
        const vj_buffer *b = &p->buffers[i];
        if (doubles[i]) continue;
        doubles[i] = VJ_NEW_ARRAY(c->u->arena, double, b->elements + 1);
        if (writes(k, i) && !reads(k, i)) {
            fill_with_sentinels(doubles[i], b->elements);
            continue;
        }
        for (int64_t e = 0; e < b->elements; e++)
            doubles[i][e] = element(c->memory[i], b->dtype, e);
    }
    return doubles;
}

static bool same(double a, double b) { return a == b || (isnan(a) && isnan(b)); }

/* An attention rounds its weights to the type of its values, by half of the last place at most; they add up to one, so that a result
 * moves by that share of the largest value. What an expression makes of them is rounded by the evaluator too. */
static double moved_by_weights(const vj_program *p, const vj_kernel *k, double *const *operands) {
    double largest = 0;
    if (k->kind != VJ_KERNEL_ATTENTION || k->weight_expr >= 0) return 0;
    const vj_buffer *v = &p->buffers[k->access[k->v].buffer];
    for (int64_t i = 0; i < v->elements; i++)
        if (isfinite(operands[k->access[k->v].buffer][i]))
            largest = fmax(largest, fabs(operands[k->access[k->v].buffer][i]));
    return rounding(v->dtype) / 2 * largest;
}

/* How far an element is off: from the evaluator's, or from all that ties make of it. Each tie of a sum moves it by itself. */
static double distance(const wanted *w, int64_t i, double got) {
    double low = w->at[i], high = w->at[i];
    const double moved[2] = {w->less ? w->less[i] - w->at[i] : 0, w->more ? w->more[i] - w->at[i] : 0};
    for (int32_t m = 0; m < 2; m++)
        if (isfinite(moved[m])) {
            low += fmin(moved[m], 0);
            high += fmax(moved[m], 0);
        }
    return got < low ? low - got : got > high ? got - high : isnan(got) ? NAN : 0;
}

static vj_status compare_buffer(checking *c, const vj_kernel *k, int32_t buffer, const wanted *w) {
    vj_unit *u = c->u;
    const vj_buffer *b = &u->program->buffers[buffer];
    const double *want = w->at;
    const double own = rounding(b->dtype);
    double squares = 0, worst = 0, worst_got = 0;
    int64_t count = 0, at = -1;
    for (int64_t i = 0; i < b->elements; i++)
        if (!is_sentinel(want[i]) && isfinite(want[i])) {
            squares += want[i] * want[i];
            count++;
        }
    const double rms = count ? sqrt(squares / (double)count) : 0;
    for (int64_t i = 0; i < b->elements; i++) {
        if (is_sentinel(want[i])) continue;
        const double got = element(c->memory[buffer], b->dtype, i);
        if (same(got, want[i])) continue;
        const double allowed = vj_dtype_is_float(b->dtype)
                                   ? TOLERANCE * (fabs(want[i]) + rms) + own * fabs(want[i]) + w->room + 1e-30
                                   : 0.5;
        double off = distance(w, i, got) / allowed;
        if (isnan(off) || isinf(got)) off = HUGE_VAL;
        c->ties += off <= 1 && fabs(got - want[i]) > allowed;
        if (off <= worst) continue;
        worst = off;
        worst_got = got;
        at = i;
    }
    if (worst > c->worst) {
        c->worst = worst;
        c->worst_kernel = k->name;
    }
    if (worst <= 1) return VJ_OK;
    vj_fail(&u->error, VJ_DIFFERS, "kernel %s%s%s%s: element %lld of %s is %.9g, the evaluator says %.9g", k->name,
            k->origin && k->origin->node ? " (node '" : "", k->origin && k->origin->node ? k->origin->node : "",
            k->origin && k->origin->node ? "')" : "", (long long)at,
            b->name                       ? b->name
            : b->kind == VJ_BUFFER_OUTPUT ? "an output"
                                          : "its result",
            worst_got, want[at]);
    vj_hint(&u->error, "all kernels before it agree; --emit-ir shows it as it was planned");
    return VJ_DIFFERS;
}

/* The operands of a kernel, for each of the evaluator's runs. */
enum { PLAIN, LESS, MORE, RUNS };
typedef struct operands {
    double **of[RUNS];
    int32_t runs; /* one, if it rounds nothing to whole numbers */
} operands;

static operands take_all_operands(checking *c, const vj_kernel *k) {
    operands all = {.runs = vj_rounds(k) ? RUNS : 1};
    for (int32_t r = 0; r < all.runs; r++)
        all.of[r] = take_operands(c, k);
    return all;
}

static vj_status check_kernel(checking *c, const vj_kernel *k, const operands *all) {
    vj_unit *u = c->u;
    const vj_program *p = u->program;
    if (!vj_eval_kernel(p, k, all->of[PLAIN], &u->error)) return u->error.status;
    for (int32_t r = LESS; r < all->runs; r++)
        if (!vj_eval_kernel_leaning(p, k, all->of[r], r == LESS ? -LEAN : LEAN, &u->error)) return u->error.status;
    const double room = moved_by_weights(p, k, all->of[PLAIN]);
    vj_status status = VJ_OK;
    for (int32_t b = 0; b < p->buffer_count && status == VJ_OK; b++) {
        if (!all->of[PLAIN][b] || !writes(k, b)) continue;
        wanted w = {.at = all->of[PLAIN][b], .room = room};
        if (all->runs == RUNS) {
            w.less = all->of[LESS][b];
            w.more = all->of[MORE][b];
        }
        status = compare_buffer(c, k, b, &w);
    }
    return status;
}

static vj_status check_phase(checking *c, int32_t number, const vj_args *args) {
    vj_unit *u = c->u;
    const vj_program *p = u->program;
    const vj_phase *phase = &p->phases[number];
    const vj_arena_mark mark = vj_arena_save(u->arena);
    operands *all = VJ_NEW_ARRAY(u->arena, operands, phase->count);
    for (int32_t i = 0; i < phase->count; i++)
        all[i] = take_all_operands(c, p->kernels[phase->first + i]);
    for (int32_t part = PARTS; part-- > 0;)
        c->phase(args, number + 1, part, PARTS);
    vj_status status = VJ_OK;
    for (int32_t i = 0; i < phase->count && status == VJ_OK; i++)
        status = check_kernel(c, p->kernels[phase->first + i], &all[i]);
    vj_arena_release(u->arena, mark);
    return status;
}

static void clean_up(void *self) {
    checking *c = self;
    if (c->arena) munmap(c->arena, c->arena_bytes);
    if (c->weights) munmap(c->weights, c->weights_bytes);
    if (c->code) munmap(c->code, c->code_bytes);
    vj_bytes_free(&c->object);
    vj_bytes_free(&c->blob);
}

static vj_status prepare(vj_unit *u) {
    vj_status status = vj_unit_open(u);
    if (status != VJ_OK) return status;
    if (!vj_target_runs_here(u->target))
        return vj_fail(&u->error, VJ_USAGE, "code for %s cannot run on this machine, which is %s", u->target->name,
                       vj_target_host()->name);
    u->keyed = true;
    status = vj_unit_plan(u);
    if (status == VJ_OK && !u->program) status = vj_fail(&u->error, VJ_USAGE, "stopped before there is code");
    return status == VJ_OK ? vj_share_weights(u) : status;
}

static vj_status say(checking *c, char **out) {
    char text[384];
    int at = snprintf(text, sizeof text,
                      "%d kernels agree with the evaluator; the worst, %s, is %.2g %% of what is allowed\n",
                      (int)c->u->program->kernel_count, c->worst_kernel ? c->worst_kernel : "none", c->worst * 100);
    if (c->ties > 0)
        snprintf(text + at, sizeof text - (size_t)at,
                 "numbers rounded to the other side of a tie, which either side is right for: %lld\n",
                 (long long)c->ties);
    *out = strdup(text);
    return *out ? VJ_OK : vj_fail(&c->u->error, VJ_SYSTEM, "out of memory");
}

static vj_status check(vj_unit *u, void *self) {
    char **out = self;
    vj_status status = prepare(u);
    if (status != VJ_OK) return status;
    checking *c = VJ_NEW(u->arena, checking);
    c->u = u;
    vj_arena_at_free(u->arena, clean_up, c);
    const void **inputs = VJ_NEW_ARRAY(u->arena, const void *, u->f->input_count + 1);
    void **outputs = VJ_NEW_ARRAY(u->arena, void *, u->f->output_count + 1);
    status = load_weights(c);
    if (status == VJ_OK) status = load_code(c);
    if (status == VJ_OK) status = make_memory(c, inputs, outputs);
    if (status != VJ_OK) return status;
    complete_pointers(c, inputs, outputs);
    const vj_args args = {inputs, outputs, c->weights + VJ_WEIGHTS_HEADER, c->arena, 1, 0};
    for (int32_t i = 0; i < u->program->phase_count && status == VJ_OK; i++)
        status = check_phase(c, i, &args);
    if (status != VJ_OK) return status;
    return say(c, out);
}

vj_status vj_check(const vj_compile_request *request, char **text, char *error, size_t error_bytes) {
    *text = NULL;
    return vj_with_unit(request, check, text, error, error_bytes);
}
