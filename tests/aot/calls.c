/* SPDX-License-Identifier: Apache-2.0 */
/* calls.c - runs the code of every routine for every target that runs here, with the units divided in every way, and
 * compares it with the routine's definition. For other architectures the code is only generated and linked, which fails
 * on undefined symbols. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend.h"
#include "callcases.h"
#include "needs.h"
#include "target/schedule.h"
#include "vitjit_image.h"
#include "noise.h"

/* Fills with few different numbers, so that some are equal. Some floats are NaN where the case allows it. */
static double number(const call_case *c, vj_dtype dtype, uint32_t i) {
    const uint32_t bits = noise(i + 77 * (uint32_t)dtype);
    if (vj_dtype_is_float(dtype)) {
        if (c->specials && bits % 13 == 0) return bits % 3 == 0 ? (double)NAN : bits % 3 == 1 ? INFINITY : -0.0;
        return ((double)(bits >> 8) * 0x1p-23 - 1) * c->scale;
    }
    if (dtype == VJ_BOOL) return bits % 2;
    const double x = (double)(bits % (uint32_t)(c->high - c->low + 1)) + c->low;
    return x < 0 && (dtype == VJ_U8 || dtype == VJ_U16 || dtype == VJ_U32 || dtype == VJ_U64) ? -x : x;
}

#define FOR_TYPES(M)                                                                                                   \
    M(VJ_F32, float)                                                                                                   \
    M(VJ_F64, double)                                                                                                  \
    M(VJ_I8, int8_t)                                                                                                   \
    M(VJ_U8, uint8_t)                                                                                                  \
    M(VJ_BOOL, uint8_t)                                                                                                \
    M(VJ_I16, int16_t)                                                                                                 \
    M(VJ_U16, uint16_t)                                                                                                \
    M(VJ_I32, int32_t)                                                                                                 \
    M(VJ_U32, uint32_t)                                                                                                \
    M(VJ_I64, int64_t)                                                                                                 \
    M(VJ_U64, uint64_t)

static void put(void *data, vj_dtype dtype, int64_t i, double x) {
    switch (dtype) {
#define PUT(name, type)                                                                                                \
    case name:                                                                                                         \
        ((type *)data)[i] = (type)x;                                                                                   \
        return;
        FOR_TYPES(PUT)
#undef PUT
    default:
        fail_msg("a type without numbers");
    }
}

static double get(const void *data, vj_dtype dtype, int64_t i) {
    switch (dtype) {
#define GET(name, type)                                                                                                \
    case name:                                                                                                         \
        return (double)((const type *)data)[i];
        FOR_TYPES(GET)
#undef GET
    default:
        fail_msg("a type without numbers");
    }
    return 0;
}

/* The text with its %T replaced by a type. */
static char *typed(vj_arena *arena, const char *text, vj_dtype dtype) {
    vj_text out = {.arena = arena};
    for (const char *at = text; *at; at++) {
        if (at[0] == '@')
            vj_text_add(&out, "%s", vj_element_name(dtype));
        else
            vj_text_add(&out, "%c", *at);
    }
    return out.at;
}

static vj_program *parse(vj_arena *arena, const call_case *c, vj_dtype dtype) {
    vj_error error = {0};
    vj_program *p = vj_parse_program(arena, typed(arena, c->text, dtype), &error);
    if (!p) fail_msg("%s: %s", c->name, error.text);
    for (int32_t i = 0, offset = 0; i < p->buffer_count; i++) { /* scratch, one behind the other */
        vj_buffer *b = &p->buffers[i];
        if (b->kind != VJ_BUFFER_ARENA) continue;
        b->offset = offset;
        offset += (int32_t)vj_round_up(b->elements * vj_element_bytes(b->dtype), VJ_ALIGN);
        p->per_image_bytes = p->lower_bound_bytes = offset;
    }
    p->phases = VJ_NEW(arena, vj_phase);
    p->phases[0] = (vj_phase){0, 1};
    p->phase_count = 1;
    if (!vj_verify_program(p, &error)) fail_msg("%s: %s", c->name, error.text);
    return p;
}

/* Allocates and fills all buffers, including results, so that elements which are not written show. */
typedef struct memory {
    int32_t inputs, outputs;
    void *input[8], *output[8];
    double *truth[16];
} memory;

static void fill(memory *m, vj_arena *arena, const call_case *c, const vj_program *p) {
    *m = (memory){0};
    for (int32_t b = 0; b < p->buffer_count; b++) {
        const vj_buffer *buffer = &p->buffers[b];
        void *at = vj_alloc(arena, (size_t)(buffer->elements * vj_element_bytes(buffer->dtype)));
        m->truth[b] = VJ_NEW_ARRAY(arena, double, buffer->elements);
        for (int64_t i = 0; i < buffer->elements; i++) {
            put(at, buffer->dtype, i, buffer->kind == VJ_BUFFER_INPUT ? number(c, buffer->dtype, (uint32_t)i) : 0);
            m->truth[b][i] = get(at, buffer->dtype, i);
        }
        if (buffer->kind == VJ_BUFFER_INPUT) m->input[m->inputs++] = at;
        if (buffer->kind == VJ_BUFFER_OUTPUT) m->output[m->outputs++] = at;
    }
}

static void compare(const call_case *c, const vj_target *target, const vj_program *p, const memory *m) {
    for (int32_t b = 0; b < p->buffer_count; b++) {
        const vj_buffer *buffer = &p->buffers[b];
        for (int64_t i = 0; buffer->kind == VJ_BUFFER_OUTPUT && i < buffer->elements; i++) {
            const double got = get(m->output[buffer->index], buffer->dtype, i), want = m->truth[b][i];
            const double most = vj_dtype_is_float(buffer->dtype) ? c->tolerance * fmax(1, fabs(want)) : 0;
            if (!(got == want || (isnan(got) && isnan(want)) || fabs(got - want) <= most))
                fail_msg("%s of %s on %s: element %d of '%s' is %.9g, truly %.9g", c->name,
                         vj_element_name(buffer->dtype), target->name, (int)i, buffer->name, got, want);
        }
    }
}

static void run(const call_case *c, vj_dtype dtype, const vj_target *target) {
    vj_arena *arena = vj_arena_new();
    vj_program *p = parse(arena, c, dtype);
    vj_error error = {0};
    vj_bytes object;
    vj_codegen_stats stats;
    void *function = NULL;
    memory m;
    vj_schedule_kernel(arena, target, p, p->kernels[0]);
    const vj_codegen_options options = {.target = target, .kind = VJ_EMIT_OBJECT};
    if (vj_generate(p, &options, &object, &stats, &error) != VJ_OK) fail_msg("%s: %s", c->name, error.text);
    vj_orc *orc = vj_orc_load(&object, "vj_phase", &function, &error);
    if (!orc) fail_msg("%s: %s", c->name, error.text);
    const vj_phase_fn phase = (vj_phase_fn)(uintptr_t)function;
    fill(&m, arena, c, p);
    if (!vj_eval_kernel(p, p->kernels[0], m.truth, &error)) fail_msg("%s: %s", c->name, error.text);
    void *first[8] = {0};
    for (int32_t parts = 1; parts <= 4; parts++) {
        void *scratch = aligned_alloc(64, (size_t)p->per_image_bytes + 64);
        const vj_args args = {(const void *const *)m.input, m.output, NULL, scratch, 1, 0};
        for (int32_t b = 0, o = 0; b < p->buffer_count; b++)
            if (p->buffers[b].kind == VJ_BUFFER_OUTPUT)
                memset(m.output[o++], 0x55, (size_t)(p->buffers[b].elements * vj_element_bytes(p->buffers[b].dtype)));
        for (int32_t number_of = 0; number_of <= 1; number_of++)
            for (int32_t part = parts; part-- > 0;)
                phase(&args, number_of, part, parts);
        free(scratch);
        compare(c, target, p, &m);
        for (int32_t b = 0, o = 0; b < p->buffer_count; b++) {
            if (p->buffers[b].kind != VJ_BUFFER_OUTPUT) continue;
            const size_t bytes = (size_t)(p->buffers[b].elements * vj_element_bytes(p->buffers[b].dtype));
            if (parts == 1) first[o] = memcpy(vj_alloc(arena, bytes), m.output[o], bytes);
            assert_memory_equal(first[o], m.output[o], bytes);
            o++;
        }
    }
    vj_orc_free(orc);
    vj_bytes_free(&object);
    vj_arena_free(arena);
}

/* Checks that the code, as an image or as an object for another architecture, has no undefined symbols. */
static void generate(const call_case *c, vj_dtype dtype, const vj_target *target) {
    vj_arena *arena = vj_arena_new();
    vj_program *p = parse(arena, c, dtype);
    vj_error error = {0};
    vj_bytes code;
    char name[200];
    uint64_t entry;
    vj_codegen_stats stats;
    vj_schedule_kernel(arena, target, p, p->kernels[0]);
    const vj_codegen_options options = {.target = target, .kind = VJ_EMIT_OBJECT, .threads = 1};
    const bool links = vj_links_for(target);
    if (links)
        vj_generate_code(p, &options, &code, &entry, &stats, &error);
    else
        vj_generate(p, &options, &code, &stats, &error);
    if (error.status != VJ_OK)
        fail_msg("%s of %s for %s: %s", c->name, vj_element_name(dtype), target->name, error.text);
    if (!links && object_needs(code.at, code.size, name, sizeof name))
        fail_msg("%s for %s: %s", c->name, target->name, name);
    vj_bytes_free(&code);
    vj_arena_free(arena);
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define INSTRUMENTED true
#else
#define INSTRUMENTED false
#endif

/* A case has code for every row of its first type, and of each other for this machine's row and for two more, others for each case. A sanitizer's build,
 * which does not see LLVM, has the first type's for this machine's row and for two more, the others' for this machine's alone. */
static bool is_taken(int number, int32_t row, int type) {
    enum { OTHERS = 2 };
    const int32_t rows = vj_target_count();
    if (vj_target_at(row) == vj_target_host() || (type == 0 && !INSTRUMENTED)) return true;
    return (type == 0 || !INSTRUMENTED) && (row + number + type * OTHERS) % rows < OTHERS;
}

static void test_case(void **state) {
    const call_case *c = *state;
    const int number = (int)(c - call_cases);
    for (int type = 0; c->types[type]; type++)
        for (int32_t t = 0; t < vj_target_count(); t++) {
            const vj_target *target = vj_target_at(t);
            const bool runs = vj_target_runs_here(target);
            if (!is_taken(number, t, type)) continue;
            if (runs) run(c, c->types[type], target);
            if (!runs || type == 0) generate(c, c->types[type], target);
        }
}

/* calls [PATTERN]: runs the cases whose names match */
int main(int argc, char **argv) {
    if (argc > 1) cmocka_set_test_filter(argv[1]);
    struct CMUnitTest tests[CALL_CASES];
    for (size_t i = 0; i < CALL_CASES; i++)
        tests[i] = (struct CMUnitTest){call_cases[i].name, test_case, NULL, NULL, (void *)(uintptr_t)&call_cases[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
