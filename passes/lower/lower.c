/* SPDX-License-Identifier: Apache-2.0 */
/* lower.c - the pass: nodes become kernels. Movement ops become addresses, elementwise ops go into the kernel that
 * makes their operand, or into the one that uses them, and the rest are kernels of their own. */
#include "lower.h"

#include <string.h>

static bool add_arguments(vj_lowering *l) {
    const vj_func *f = l->f;
    int64_t dims[VJ_MAX_RANK];
    l->out = VJ_NEW_ARRAY(l->arena, int32_t, f->output_count + 1);
    l->filled = VJ_NEW_ARRAY(l->arena, bool, f->output_count + 1);
    for (int32_t i = 0; i < f->input_count; i++) {
        const vj_value v = f->inputs[i];
        const int32_t buffer =
            vj_add_buffer(l->p, VJ_BUFFER_INPUT, vj_dtype_at(f, v), vj_image_elements(f, v), f->values[v].name);
        l->p->buffers[buffer].index = i;
        const int32_t rank = vj_image_dims(f, v, dims);
        const vj_view view = vj_view_dense(buffer, rank, dims, 0, 1);
        vj_set_done(l, v, &view);
    }
    for (int32_t i = 0; i < f->output_count; i++) {
        const vj_value v = f->outputs[i];
        l->out[i] =
            vj_add_buffer(l->p, VJ_BUFFER_OUTPUT, vj_dtype_at(f, v), vj_image_elements(f, v), f->output_names[i]);
        l->p->buffers[l->out[i]].index = i;
        if (l->output[v] < 0) l->output[v] = i;
    }
    return true;
}

/* What the pass `empty` left: nothing can be computed from an empty tensor but another one. */
static bool reads_something(const vj_lowering *l, const vj_node *node) {
    for (int32_t i = 0; i < node->arg_count; i++)
        if (node->args[i] >= 0 && vj_image_elements(l->f, node->args[i]) == 0)
            return vj_lower_fail(l, node, "it reads an empty tensor");
    return true;
}

static bool is_empty(const vj_lowering *l, vj_value v) { return vj_image_elements(l->f, v) == 0; }

/* Every size is bounded. */
static bool sizes_fit(const vj_lowering *l) {
    const vj_func *f = l->f;
    for (int32_t v = 0; v < f->value_count; v++) {
        const vj_type *type = vj_type_at(f, v);
        int64_t count;
        if (f->nodes[f->values[v].node].dead) continue;
        if (!vj_type_elements(f, type, &count) || count > INT64_MAX / 64)
            return vj_lower_fail(l, vj_producer(f, v), "its result is too large");
        for (int32_t d = 0; d < type->rank; d++)
            if (type->dims[d].sym >= VJ_SYM_FIRST_DATA)
                return vj_lower_fail(l, vj_producer(f, v), "sizes that the data decides are not supported");
    }
    return true;
}

/* Elementwise values that are computed where they are used: once, for as many elements, from few operands and by few
 * entries. A reduction reads its operand more than once, so only cheap ones go in there. */

static bool is_elementwise(const vj_node *node) { return vj_op_table(node->op)->flags & VJ_FLAG_ELEMENTWISE; }

static bool is_cheap(const vj_node *node) { return vj_op_table(node->op)->flags & VJ_FLAG_CHEAP; }

static bool goes_into_user(const vj_lowering *l, const vj_node *node, int32_t operands) {
    enum { MOST_OPERANDS = 6, MOST_OF_A_REDUCTION = 3 };
    const vj_func *f = l->f;
    vj_value v = node->first_result;
    if (operands > MOST_OPERANDS) return false;
    for (;;) {
        const int32_t user = vj_only_user(l, v);
        if (user < 0) return false;
        const vj_node *next = &f->nodes[user];
        if (is_elementwise(next)) return vj_image_elements(f, next->first_result) == vj_image_elements(f, v);
        if (next->op == VJ_OP_layernorm || next->op == VJ_OP_softmax)
            return next->args[0] == v && operands <= MOST_OF_A_REDUCTION && is_cheap(node);
        if (next->op == VJ_OP_reduce) return true;
        if (next->op == VJ_OP_gather || next->op == VJ_OP_gather_elements) /* an index; data must stand somewhere */
            return next->args[0] != v && operands <= MOST_OF_A_REDUCTION && is_cheap(node);
        if (next->op != VJ_OP_reshape && next->op != VJ_OP_transpose) return false;
        v = next->first_result;
    }
}

static bool is_gather(const vj_lowering *l, const vj_node *node) {
    return (node->op == VJ_OP_gather || node->op == VJ_OP_gather_elements) && !vj_is_view_op(l->f, node);
}

/* The elementwise node of as many elements that alone uses v, behind reshapes and transposes; NULL: there is none. */
static const vj_node *elementwise_user(const vj_lowering *l, vj_value v) {
    for (;;) {
        const int32_t user = vj_only_user(l, v);
        const vj_node *next = user < 0 ? NULL : &l->f->nodes[user];
        if (!next) return NULL;
        if (is_elementwise(next))
            return vj_image_elements(l->f, next->first_result) == vj_image_elements(l->f, v) ? next : NULL;
        if (next->op != VJ_OP_reshape && next->op != VJ_OP_transpose) return NULL;
        v = next->first_result;
    }
}

/* A kernel that gathers takes in what is done with the elements, as far as all else can be read by then. Where what it
 * would end with goes on, to be joined with what other kernels gather, say, the gather is done there. */
static bool is_gathered_by_user(const vj_lowering *l, const vj_node *node, const int32_t *operands) {
    enum { MOST_OPERANDS = 6 };
    if (!is_gather(l, node) || operands[node->args[1]] + 1 > MOST_OPERANDS) return false;
    const vj_node *user = elementwise_user(l, node->first_result);
    return user && elementwise_user(l, user->first_result);
}

static void choose_inlined(vj_lowering *l) {
    enum { ENTRIES_OF_A_GATHER = 6 }; /* as expr.c has them */
    const vj_func *f = l->f;
    int32_t *operands = VJ_NEW_ARRAY(l->arena, int32_t, f->value_count + 1);
    l->entries = VJ_NEW_ARRAY(l->arena, int32_t, f->value_count + 1);
    for (vj_value v = 0; v < f->value_count; v++)
        operands[v] = l->entries[v] = 1;
    for (int32_t n = 0; n < f->node_count; n++) {
        const vj_node *node = &f->nodes[n];
        if (node->dead || node->result_count == 0) continue;
        const vj_value v = node->first_result;
        if (node->op == VJ_OP_reshape || node->op == VJ_OP_transpose) {
            operands[v] = operands[node->args[0]];
            l->entries[v] = l->entries[node->args[0]];
        }
        if (vj_is_static_weight(l, v)) continue;
        if (is_gathered_by_user(l, node, operands)) {
            l->inlined[v] = true;
            operands[v] = operands[node->args[1]] + 1;
            l->entries[v] = l->entries[node->args[1]] + ENTRIES_OF_A_GATHER;
            vj_wait_for_operands(l, n);
        }
        if (!is_elementwise(node)) continue;
        const int32_t entries = vj_entries_of(l, node, VJ_NONE);
        int32_t sum = 0;
        for (int32_t i = 0; i < node->arg_count; i++)
            sum += operands[node->args[i]];
        l->inlined[v] = entries <= VJ_MOST_ENTRIES && goes_into_user(l, node, sum);
        if (!l->inlined[v]) continue;
        operands[v] = sum;
        l->entries[v] = entries;
    }
}

/* vj_lowering.compute */
static bool compute_alone(vj_lowering *l, const vj_node *node) {
    return is_elementwise(node) ? vj_lower_elementwise_alone(l, node) : vj_lower_gather_alone(l, node);
}

static bool lower_node(vj_lowering *l, const vj_node *node) {
    switch (node->op) {
    case VJ_OP_linear:
        return vj_lower_linear(l, node);
    case VJ_OP_matmul:
        return vj_lower_matmul(l, node);
    case VJ_OP_linear_blocks:
        return vj_lower_linear_blocks(l, node);
    case VJ_OP_conv:
        return vj_lower_conv(l, node);
    case VJ_OP_attention:
        return vj_lower_attention(l, node);
    case VJ_OP_layernorm:
        return vj_lower_layernorm(l, node);
    case VJ_OP_byte_rows:
        return vj_lower_byte_rows(l, node);
    case VJ_OP_softmax:
        return vj_lower_softmax(l, node);
    case VJ_OP_reduce:
        return vj_lower_reduce(l, node);
    case VJ_OP_pool:
        return vj_lower_pool(l, node);
    case VJ_OP_concat:
        return vj_lower_concat(l, node);
    case VJ_OP_pad:
        return vj_lower_pad(l, node);
    case VJ_OP_topk:
        return vj_lower_site(l, node, vj_site_topk);
    case VJ_OP_nonzero:
        return vj_lower_nonzero(l, node);
    case VJ_OP_unique:
        return vj_lower_unique(l, node);
    case VJ_OP_nms:
        return vj_lower_nms(l, node);
    case VJ_OP_pack:
        return vj_lower_pack(l, node);
    case VJ_OP_unpack:
        return vj_lower_unpack(l, node);
    case VJ_OP_scatter:
        return vj_lower_site(l, node, vj_site_scatter);
    case VJ_OP_scan:
        return vj_lower_site(l, node, vj_site_scan);
    case VJ_OP_roialign:
        return vj_lower_site(l, node, vj_site_roialign);
    case VJ_OP_gridsample:
        return vj_lower_site(l, node, vj_site_gridsample);
    case VJ_OP_gather:
    case VJ_OP_gather_elements:
        return vj_is_view_op(l->f, node) || l->inlined[node->first_result] || vj_lower_gather(l, node);
    default:
        return !is_elementwise(node) || l->inlined[node->first_result] || vj_lower_elementwise(l, node);
    }
}

/* Outputs that no kernel has written: inputs, constants, views, values that are several outputs. */
static bool fill_outputs(vj_lowering *l) {
    const vj_func *f = l->f;
    for (int32_t i = 0; i < f->output_count; i++) {
        const vj_value v = f->outputs[i];
        int64_t dims[VJ_MAX_RANK];
        vj_view from;
        if (is_empty(l, v)) continue;
        const int32_t rank = vj_image_dims(f, v, dims);
        if (!vj_view_of(l, v, &from)) return false;
        if (from.buffer == l->out[i]) continue;
        const vj_view to = vj_view_dense(l->out[i], rank, dims, 0, 1);
        if (!vj_lower_copy(l, &from, &to, vj_dtype_at(f, v), "copy", vj_producer(f, v)->origin)) return false;
    }
    return true;
}

static bool lower_all(vj_lowering *l) {
    for (int32_t n = 0; n < l->f->node_count; n++) {
        const vj_node *node = &l->f->nodes[n];
        if (node->dead || node->result_count == 0 || l->taken[n]) continue;
        const vj_value v = node->first_result;
        bool used = false;
        for (int32_t r = 0; r < node->result_count; r++)
            used |= l->uses[v + r] > 0;
        if (l->done[v] || !used || is_empty(l, v) || vj_is_static_weight(l, v)) continue;
        if (!reads_something(l, node)) return false;
        if (!lower_node(l, node)) return false;
    }
    return fill_outputs(l);
}

vj_status vj_pass_lower(vj_pass_context *c) {
    if (!vj_images_stay_apart(c->f, c->error)) return c->error->status;
    vj_spread_nodes(c);
    vj_cast_factors(c);
    vj_spread_patches(c);
    if (!vj_spread_gathers(c)) return c->error->status;
    vj_spread_over_concats(c);
    const int32_t values = c->f->value_count;
    vj_lowering *l = VJ_NEW(c->arena, vj_lowering);
    *l = (vj_lowering){.arena = c->arena,
                       .f = c->f,
                       .error = c->error,
                       .report = c->report,
                       .p = vj_program_new(c->arena, c->f),
                       .compute = compute_alone};
    l->output = VJ_NEW_ARRAY(c->arena, int32_t, values + 1);
    l->done = VJ_NEW_ARRAY(c->arena, bool, values + 1);
    l->placed = VJ_NEW_ARRAY(c->arena, bool, values + 1);
    l->inlined = VJ_NEW_ARRAY(c->arena, bool, values + 1);
    l->view = VJ_NEW_ARRAY(c->arena, vj_view *, values + 1);
    l->taken = VJ_NEW_ARRAY(c->arena, bool, c->f->node_count + 1);
    l->piece_start = VJ_NEW_ARRAY(c->arena, int64_t *, c->f->node_count + 1);
    l->entered = VJ_NEW_ARRAY(c->arena, bool, values + 1);
    for (int32_t v = 0; v < values; v++)
        l->output[v] = -1;
    vj_find_facts(l);
    if (!sizes_fit(l) || !add_arguments(l)) return c->error->status;
    choose_inlined(l);
    vj_choose_channels_last(l);
    if (!lower_all(l)) return c->error->status != VJ_OK ? c->error->status : VJ_UNSUPPORTED;
    c->rewrites += l->p->kernel_count;
    c->p = l->p;
    return VJ_OK;
}
