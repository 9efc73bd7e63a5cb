/* SPDX-License-Identifier: Apache-2.0 */
/* kernels.c - what a profile wants to know of each kernel: its work, its traffic, its place in the plan. */
#include "compiler.h"

#include <string.h>

#include "vitjit_dtype.h"

/* Elements that the access can reach: a step of every axis that moves it, or all of the buffer where the map is not a
 * plain one (windows, gathers, packed panels, whole buffers of calls). */
static int64_t reached(const vj_program *p, const vj_kernel *k, int32_t access) {
    const vj_access *at = &k->access[access];
    const vj_buffer *buffer = &p->buffers[at->buffer];
    if (vj_kind_at(k->kind)->is_call || at->term_count) return buffer->elements;
    if (vj_is_packed(p, at->buffer)) return buffer->elements;
    int64_t elements = 1;
    for (int32_t a = 0; a < k->rank && elements < buffer->elements; a++)
        if (at->stride[a]) elements *= k->extent[a];
    return vj_min64(elements, buffer->elements);
}

/* Bytes of one image that the kernel has to read and write: of each buffer what its accesses reach, once. */
static double traffic(const vj_program *p, const vj_kernel *k, bool weights_only) {
    double bytes = 0;
    for (int32_t i = 0; i < k->access_count; i++) {
        const vj_buffer *buffer = &p->buffers[k->access[i].buffer];
        int64_t elements = 0;
        bool counted = false;
        for (int32_t j = 0; j < k->access_count; j++) {
            if (k->access[j].buffer != k->access[i].buffer) continue;
            counted |= j < i;
            elements = vj_min64(buffer->elements, elements + reached(p, k, j));
        }
        if (counted || (weights_only && buffer->kind != VJ_BUFFER_WEIGHT)) continue;
        bytes += (double)elements * (double)vj_element_bytes(buffer->dtype);
    }
    return bytes;
}

static void add_text(vj_text *out, const char *key, const char *text) {
    vj_text_add(out, "\"%s\":", key);
    vj_add_json_string(out, text);
    vj_text_add(out, ",");
}

/* M, N and K of a product: rows, columns and depth, a batch of such products apart. */
static void add_product(vj_text *out, const vj_kernel *k) {
    static const struct {
        const char *key;
        vj_axis_group group;
    } groups[] = {{"batch", VJ_GROUP_BATCH}, {"m", VJ_GROUP_ROWS}, {"n", VJ_GROUP_COLS}, {"k", VJ_GROUP_DEPTH}};
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
        if (i || k->axes[groups[i].group])
            vj_text_add(out, "\"%s\":%lld,", groups[i].key, (long long)vj_group_extent(k, groups[i].group));
}

static const char *domain(vj_arena *arena, const vj_kernel *k) {
    vj_text text = {.arena = arena};
    vj_text_add(&text, "%s", "");
    for (int32_t a = 0; a < k->rank; a++)
        vj_text_add(&text, "%s%lld", a ? "x" : "", (long long)k->extent[a]);
    return text.at;
}

/* `first`: of the kernels that are the same code. */
static void add_kernel(vj_text *out, const vj_program *p, int32_t i, const vj_kernel *first, int32_t number,
                       int32_t phase) {
    const vj_kernel *k = p->kernels[i];
    char symbol[VJ_KERNEL_SYMBOL];
    vj_kernel_symbol(first, number, symbol, sizeof symbol);
    vj_text_add(out, "{");
    add_text(out, "name", k->name);
    add_text(out, "kind", vj_kind_at(k->kind)->name);
    add_text(out, "symbol", symbol);
    add_text(out, "domain", domain(out->arena, k));
    if (k->kind == VJ_KERNEL_GEMM) add_product(out, k);
    if (k->kind == VJ_KERNEL_GEMM || k->kind == VJ_KERNEL_ATTENTION)
        add_text(out, "type", vj_element_name(vj_operand_dtype(p, k, k->kind == VJ_KERNEL_GEMM ? k->a : k->q)));
    if (k->schedule) add_text(out, "tile", vj_schedule_text(out->arena, k));
    if (k->origin) add_text(out, "node", k->origin->node);
    vj_text_add(out, "\"phase\":%d,\"units\":%lld,\"flops\":%.17g,\"bytes\":%.17g,\"weight_bytes\":%.17g}", (int)phase,
                (long long)vj_max64(1, k->units), k->flops, traffic(p, k, false), traffic(p, k, true));
}

char *vj_kernels_json(vj_unit *u) {
    const vj_program *p = u->program;
    int32_t *number = VJ_NEW_ARRAY(u->arena, int32_t, p->kernel_count + 1);
    const vj_kernel **first = VJ_NEW_ARRAY(u->arena, const vj_kernel *, p->kernel_count + 1);
    vj_distinct_kernels(p, number);
    for (int32_t i = p->kernel_count - 1; i >= 0; i--)
        first[number[i]] = p->kernels[i];
    vj_text text = {.arena = u->arena};
    vj_text_add(&text, "[");
    for (int32_t phase = 0; phase < p->phase_count; phase++)
        for (int32_t i = 0; i < p->phases[phase].count; i++) {
            const int32_t kernel = p->phases[phase].first + i;
            if (kernel) vj_text_add(&text, ",\n");
            add_kernel(&text, p, kernel, first[number[kernel]], number[kernel], phase);
        }
    vj_text_add(&text, "]");
    return text.at;
}
