/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_kinds.c - the table of kernel kinds, and the axes and operands of a kernel by it. */
#include "kernel.h"

#include <assert.h>
#include <stddef.h>

#define NO_OPERANDS
#define OPERAND(id, field, ...)                                                                                        \
    _Static_assert(offsetof(vj_kernel, field) == offsetof(vj_kernel, operand) + VJ_OPERAND_##id * sizeof(int32_t),     \
                   "the member is the operand of its number");
#define KIND(id, name, axes, operands, ...)                                                                            \
    operands _Static_assert((int)VJ_##id##_OPERANDS <= VJ_MAX_OPERANDS, "a kind has room for its operands");
#include "kernel_kinds.def"
#undef OPERAND
#undef NO_OPERANDS

#define MANY                          VJ_MAX_AXES
#define IN(group)                     (1u << VJ_GROUP_##group)
#define OF(dtype)                     (1u << VJ_##dtype)
#define NO_AXES                       [0] = {0}
#define AXES(group, ...)              [VJ_GROUP_##group] = {__VA_ARGS__},
#define NO_OPERANDS                   {.name = NULL}
#define OPERAND(id, field, text, ...) {.name = text, __VA_ARGS__},
#define KIND(id, word, axes, operands, ...)                                                                            \
    [VJ_KERNEL_##id] = {                                                                                               \
        .name = #word, .group = {axes}, .operand = {operands}, .operand_count = VJ_##id##_OPERANDS, __VA_ARGS__},
static const vj_kind_row kinds[VJ_KERNEL_KINDS] = {
#include "kernel_kinds.def"
};

const vj_kind_row *vj_kind_at(vj_kernel_kind kind) {
    assert(kind >= 0 && kind < VJ_KERNEL_KINDS);
    return &kinds[kind];
}

const char *vj_group_name(vj_axis_group group) {
    static const char *const names[VJ_GROUP_COUNT] = {
#define GROUP(id, name) name,
#include "kernel_kinds.def"
    };
    assert(group >= 0 && group < VJ_GROUP_COUNT);
    return names[group];
}

vj_axes vj_group(const vj_kernel *k, vj_axis_group group) {
    vj_axes axes = {0, k->axes[group]};
    for (int32_t before = 0; before < (int32_t)group; before++)
        axes.first += k->axes[before];
    return axes;
}

int64_t vj_group_extent(const vj_kernel *k, vj_axis_group group) {
    const vj_axes axes = vj_group(k, group);
    return vj_extent_product(k, axes.first, axes.count);
}

uint32_t vj_axes_in(const vj_kernel *k, uint32_t groups) {
    uint32_t mask = 0;
    for (int32_t group = 0, axis = 0; group < VJ_GROUP_COUNT; axis += k->axes[group++])
        if (groups >> group & 1) mask |= ((1u << k->axes[group]) - 1) << axis;
    return mask;
}

int64_t vj_extent_in(const vj_kernel *k, uint32_t groups) {
    int64_t product = 1;
    for (int32_t group = 0; group < VJ_GROUP_COUNT; group++)
        if (groups >> group & 1) product *= vj_group_extent(k, (vj_axis_group)group);
    return product;
}

void vj_add_axis(vj_kernel *k, vj_axis_group group, int64_t extent) {
    assert(vj_group(k, group).first + k->axes[group] == k->rank && k->rank < VJ_MAX_AXES);
    k->extent[k->rank++] = extent;
    k->axes[group]++;
}

void vj_set_axes(vj_kernel *k, const int32_t *counts, const int64_t *extent) {
    const vj_kind_row *row = vj_kind_at(k->kind);
    k->rank = 0;
    for (int32_t group = 0; group < VJ_GROUP_COUNT; group++) {
        k->axes[group] = 0;
        for (int32_t count = row->group[group].most > 0 ? *counts++ : 0; count > 0; count--)
            vj_add_axis(k, (vj_axis_group)group, *extent++);
    }
}

int32_t vj_segment_axis(const vj_kernel *k) {
    const uint32_t axes = vj_axes_in(k, vj_kind_at(k->kind)->segments);
    return axes ? __builtin_ctz(axes) : -1;
}

int32_t vj_operand_of(const vj_kernel *k, int32_t access) {
    const int32_t count = vj_kind_at(k->kind)->operand_count;
    for (int32_t i = 0; i < count; i++)
        if (k->operand[i] == access) return i;
    return -1;
}

bool vj_is_result(const vj_kernel *k, int32_t access) {
    for (int32_t o = 0; o < k->out_count; o++)
        if (k->out[o].access == access) return true;
    return false;
}

bool vj_has_segments(const vj_kernel *k) {
    for (int32_t o = 0; o < k->out_count; o++)
        if (k->out[o].segment >= 0) return true;
    return false;
}

bool vj_packed_elements(const vj_weight *w, vj_dtype dtype, int64_t *elements) {
    const vj_blocks blocks = vj_blocks_of(w);
    if (w->kind == VJ_PACK_BLOCKS) return dtype == VJ_U8 && vj_blocks_bytes(&blocks, w->n, elements);
    return w->kind == VJ_PACK_PANELS ? vj_panel_elements(dtype, w->k, w->n, elements) : vj_mul(w->k, w->n, elements);
}

static const vj_weight *weight_of(const vj_program *p, int32_t buffer) {
    const vj_buffer *b = &p->buffers[buffer];
    const bool is_weight = b->kind == VJ_BUFFER_WEIGHT && b->index >= 0 && b->index < p->weight_count;
    return is_weight ? &p->weights[b->index] : NULL;
}

bool vj_is_packed(const vj_program *p, int32_t buffer) {
    const vj_weight *w = weight_of(p, buffer);
    return w && w->kind != VJ_PACK_DENSE;
}

bool vj_has_blocks(const vj_program *p, int32_t buffer, vj_blocks *blocks) {
    const vj_weight *w = weight_of(p, buffer);
    if (!w || w->kind != VJ_PACK_BLOCKS) return false;
    *blocks = vj_blocks_of(w);
    return true;
}

vj_dtype vj_operand_dtype(const vj_program *p, const vj_kernel *k, int32_t access) {
    vj_blocks blocks;
    const bool widened = vj_has_blocks(p, k->access[access].buffer, &blocks);
    const vj_dtype dtype = p->buffers[k->access[widened ? k->operand[0] : access].buffer].dtype;
    return widened && dtype == VJ_U8 ? VJ_I8 : dtype;
}

/* Bytes by blocks come with the size of their steps, and nothing else does. */
static bool takes_steps(const vj_program *p, const vj_kernel *k, int32_t access) {
    vj_blocks blocks;
    const bool wanted =
        p->buffers[k->access[k->a].buffer].dtype == VJ_U8 && vj_has_blocks(p, k->access[k->b].buffer, &blocks);
    return wanted ? access >= 0 && p->buffers[k->access[access].buffer].dtype == VJ_F32 : access < 0;
}

bool vj_operand_takes(const vj_program *p, const vj_kernel *k, const vj_operand_row *row, int32_t access) {
    if (row->steps) return takes_steps(p, k, access);
    const int32_t buffer = k->access[access].buffer;
    const vj_dtype dtype = p->buffers[buffer].dtype, first = p->buffers[k->access[k->operand[0]].buffer].dtype;
    vj_blocks blocks;
    if (vj_has_blocks(p, buffer, &blocks))
        return row->packed_dtypes && dtype == VJ_U8 && (first == VJ_F32 || first == VJ_BF16 || first == VJ_U8);
    const bool packed = vj_is_packed(p, buffer), widened = packed && first == VJ_F32 && vj_dtype_is_float(dtype);
    const bool of_integers = packed && first == VJ_U8 && dtype == VJ_I8;
    return ((packed ? row->packed_dtypes : row->dtypes) >> dtype & 1) && (dtype == first || widened || of_integers);
}

vj_dtype vj_acc_dtype(const vj_program *p, const vj_kernel *k) {
    const vj_kind_row *row = vj_kind_at(k->kind);
    if (row->operand_count == 0) return row->acc;
    const bool by_blocks = k->kind == VJ_KERNEL_GEMM && k->s >= 0;
    return p->buffers[k->access[k->operand[0]].buffer].dtype == VJ_U8 && !by_blocks ? VJ_I32 : row->acc;
}
