/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_parse.c - reads back what kernel_print.c writes, so that tests of generators are small text files. Weights are
 * constants of a function made on the way; one that was printed elided has a name and no bytes. */
#include "kernel_parse.h"

#include <string.h>

static bool all_digits(const char *name) { return name[strspn(name, "0123456789")] == 0; }

static vj_type take_type(vj_kernel_parser *r) {
    vj_type type = {.dtype = vj_take_dtype(r)};
    vj_expect(r, "[");
    while (!r->failed && !vj_accept(r, "]")) {
        if (type.rank == VJ_MAX_RANK) {
            vj_parse_fail(r, "a smaller rank");
            break;
        }
        type.dims[type.rank++] = vj_dim_const(vj_take_int(r));
        vj_accept(r, ",");
    }
    return type;
}

static vj_value take_source(vj_kernel_parser *r) {
    static const vj_source elided = {.path = "an elided constant", .fd = -1, .at = (const uint8_t *)""};
    const vj_type type = take_type(r);
    vj_const constant = {.kind = VJ_CONST_BYTES, .source = &elided};
    const char *name = NULL;
    if (vj_accept(r, "splat(")) {
        constant.kind = VJ_CONST_SPLAT;
        constant.splat = vj_take_number(r);
        vj_expect(r, ")");
    } else if (vj_accept_word(r, "iota")) {
        constant.kind = VJ_CONST_IOTA;
    } else if (vj_accept(r, "seed(")) {
        constant.kind = VJ_CONST_SEED;
        constant.seed = (uint64_t)vj_take_int(r);
        vj_expect(r, ")");
    } else {
        vj_expect(r, "@");
        name = vj_take_name(r);
    }
    return r->failed ? VJ_NONE : vj_add_const(r->f, name, &type, &constant);
}

/* Reads extents and strides, major first: k(768*2304, ...). */
static int32_t take_subaxes(vj_kernel_parser *r, const char *name, int64_t *extent, int64_t *stride) {
    int32_t rank = 0;
    vj_expect(r, name);
    vj_expect(r, "(");
    while (!r->failed && !vj_accept(r, ")")) {
        if (rank == VJ_MAX_AXES) {
            vj_parse_fail(r, "fewer subaxes");
            break;
        }
        extent[rank] = vj_take_int(r);
        vj_expect(r, "*");
        stride[rank++] = vj_take_int(r);
        vj_accept(r, ",");
    }
    return rank;
}

static int32_t take_weight(vj_kernel_parser *r) {
    vj_weight w = {.kind = VJ_PACK_DENSE};
    if (vj_accept_word(r, "panels"))
        w.kind = VJ_PACK_PANELS;
    else if (vj_accept_word(r, "blocks"))
        w.kind = VJ_PACK_BLOCKS;
    else if (!vj_accept_word(r, "dense"))
        vj_parse_fail(r, "panels, blocks or dense");
    if (w.kind == VJ_PACK_BLOCKS) {
        vj_expect(r, "bits=");
        w.bits = (int32_t)vj_take_int(r);
        w.table = vj_accept_word(r, "table");
        if (!w.table) {
            vj_expect(r, "least=");
            w.least = (int32_t)vj_take_int(r);
        }
        vj_expect(r, "block=");
        w.block = vj_take_int(r);
    }
    vj_expect(r, "k=");
    w.k = vj_take_int(r);
    vj_expect(r, "n=");
    w.n = vj_take_int(r);
    vj_expect(r, "from");
    w.source = take_source(r);
    w.k_rank = take_subaxes(r, "k", w.k_extent, w.k_stride);
    w.n_rank = take_subaxes(r, "n", w.n_extent, w.n_stride);
    if (vj_accept(r, "+")) w.source_offset = vj_take_int(r);
    *VJ_PUSH(r->arena, r->p->weights, r->p->weight_count, r->p->weight_capacity) = w;
    return r->p->weight_count - 1;
}

static void take_declaration(vj_kernel_parser *r) {
    static const char *const kinds[] = {"arena", "input", "output", "weight"};
    const char *name = vj_take_name(r);
    vj_expect(r, ":");
    int32_t kind = 0, index = -1;
    while (kind < 4 && !vj_accept_word(r, kinds[kind]))
        kind++;
    if (kind == 4) vj_parse_fail(r, "arena, input, output or weight");
    if (kind == VJ_BUFFER_INPUT || kind == VJ_BUFFER_OUTPUT) index = (int32_t)vj_take_int(r);
    const vj_type type = take_type(r);
    if (type.rank != 1) vj_parse_fail(r, "one dim");
    int64_t offset = 0;
    if (vj_accept_word(r, "at")) offset = vj_take_int(r);
    if (kind == VJ_BUFFER_WEIGHT) index = take_weight(r);
    if (r->failed) return;
    if (all_digits(name)) name = NULL;
    if (kind == VJ_BUFFER_INPUT) vj_add_param(r->f, name ? name : "input", &type);
    const int32_t number = vj_add_buffer(r->p, (vj_buffer_kind)kind, type.dtype, type.dims[0].c, name);
    vj_buffer *b = &r->p->buffers[number];
    b->index = index;
    b->offset = offset;
}

/* A phase begins here; the kernels that follow are counted in. */
static void take_phase(vj_kernel_parser *r, int32_t *capacity) {
    vj_take_int(r);
    vj_phase *phase = VJ_PUSH(r->arena, r->p->phases, r->p->phase_count, *capacity);
    *phase = (vj_phase){.first = r->p->kernel_count};
}

static void take_sizes(vj_kernel_parser *r) {
    r->p->per_image_bytes = vj_take_int(r);
    vj_expect(r, "lower");
    r->p->lower_bound_bytes = vj_take_int(r);
    vj_expect(r, "weights");
    r->p->weights_bytes = vj_take_int(r);
}

vj_program *vj_parse_program(vj_arena *arena, const char *text, vj_error *error) {
    vj_kernel_parser r = {.arena = arena, .text = text, .at = text, .error = error};
    vj_expect(&r, "program");
    const char *name = vj_take_name(&r);
    r.f = vj_func_new(arena, name);
    r.p = vj_program_new(arena, r.f);
    int32_t phase_capacity = 0;
    vj_expect(&r, "{");
    while (!r.failed && !vj_accept(&r, "}")) {
        if (vj_accept(&r, "%"))
            take_declaration(&r);
        else if (vj_accept_word(&r, "kernel")) {
            vj_parse_kernel(&r);
            if (r.p->phase_count > 0) r.p->phases[r.p->phase_count - 1].count++;
        } else if (vj_accept_word(&r, "phase"))
            take_phase(&r, &phase_capacity);
        else if (vj_accept_word(&r, "arena"))
            take_sizes(&r);
        else
            vj_parse_fail(&r, "a buffer, a phase or a kernel");
    }
    return r.failed ? NULL : r.p;
}
