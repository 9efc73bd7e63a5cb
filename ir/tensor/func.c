/* SPDX-License-Identifier: Apache-2.0 */
/* func.c - building and editing functions. Names, operands and attributes are copied into the function's arena. */
#include "users.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

vj_func *vj_func_new(vj_arena *arena, const char *name) {
    vj_func *f = VJ_NEW(arena, vj_func);
    f->arena = arena;
    f->name = vj_strdup(arena, name);
    return f;
}

static void note_batch(vj_func *f, const vj_type *type) {
    for (int32_t i = 0; i < type->rank; i++)
        if (type->dims[i].sym == VJ_SYM_BATCH) f->batch_is_open = true;
}

static vj_value add_value(vj_func *f, const vj_type *type, int32_t node, const char *name) {
    vj_value_info *info = VJ_PUSH(f->arena, f->values, f->value_count, f->value_capacity);
    *info = (vj_value_info){.type = *type,
                            .node = node,
                            .name = name ? vj_strdup(f->arena, name) : NULL,
                            .first_use = -1,
                            .last_use = -1,
                            .changed = true};
    note_batch(f, type);
    return f->value_count - 1;
}

/* The node without results, at the end of the list. */
static vj_node *add_bare_node(vj_func *f, vj_op op) {
    vj_node *node = VJ_PUSH(f->arena, f->nodes, f->node_count, f->node_capacity);
    *node = (vj_node){.op = op, .first_result = f->value_count};
    return node;
}

vj_value vj_add_param(vj_func *f, const char *name, const vj_type *type) {
    add_bare_node(f, VJ_OP_param)->result_count = 1;
    vj_value v = add_value(f, type, f->node_count - 1, name);
    *VJ_PUSH(f->arena, f->inputs, f->input_count, f->input_capacity) = v;
    return v;
}

vj_value vj_add_const(vj_func *f, const char *name, const vj_type *type, const vj_const *constant) {
    vj_const *copy = VJ_NEW(f->arena, vj_const);
    *copy = *constant;
    vj_node *node = add_bare_node(f, VJ_OP_const);
    node->result_count = 1;
    node->attrs = VJ_NEW(f->arena, vj_attr);
    node->attr_count = 1;
    node->attrs[0] = (vj_attr){.key = VJ_ATTR_CONSTANT, .as.constant = copy};
    vj_value v = add_value(f, type, f->node_count - 1, name);
    f->values[v].is_weight = true;
    return v;
}

static vj_value add_host_const(vj_func *f, vj_dtype dtype, int32_t rank, const int64_t *dims, const double *floats,
                               const int64_t *ints) {
    vj_type type = vj_type_of(dtype, rank, dims);
    vj_const constant;
    int64_t count = 0;
    bool fits = vj_type_elements(f, &type, &count);
    assert(fits && "the data stood in memory");
    (void)fits;
    vj_const_from_host(f->arena, dtype, count, floats, ints, &constant);
    return vj_add_const(f, NULL, &type, &constant);
}

vj_value vj_add_const_f64(vj_func *f, vj_dtype dtype, int32_t rank, const int64_t *dims, const double *data) {
    return add_host_const(f, dtype, rank, dims, data, NULL);
}

vj_value vj_add_const_i64(vj_func *f, vj_dtype dtype, int32_t rank, const int64_t *dims, const int64_t *data) {
    return add_host_const(f, dtype, rank, dims, NULL, data);
}

static int by_key(const void *a, const void *b) {
    return (int)((const vj_attr *)a)->key - (int)((const vj_attr *)b)->key;
}

static int by_number(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* Attributes as they stay: sorted by key, lists and words copied, axes counted from the front and in order, so that
 * equal nodes look equal. Axes that are out of range are left for inference to refuse. */
static void copy_attrs(vj_func *f, vj_node *node, const vj_attr *attrs, int32_t count) {
    node->attrs = VJ_NEW_ARRAY(f->arena, vj_attr, count);
    node->attr_count = count;
    if (count > 0) memcpy(node->attrs, attrs, (size_t)count * sizeof *attrs);
    qsort(node->attrs, (size_t)count, sizeof *attrs, by_key);
    int64_t rank = node->arg_count && node->args[0] >= 0 ? f->values[node->args[0]].type.rank : 0;
    for (int32_t i = 0; i < count; i++) {
        vj_attr *attr = &node->attrs[i];
        vj_attr_kind kind = vj_attr_key_kind(attr->key);
        if (kind == VJ_KIND_NAME) attr->as.name = vj_strdup(f->arena, attr->as.name);
        if (attr->key == VJ_ATTR_AXIS && attr->as.i < 0 && attr->as.i >= -rank) attr->as.i += rank;
        if (kind != VJ_KIND_INTS) continue;
        int64_t *ints = VJ_NEW_ARRAY(f->arena, int64_t, attr->count);
        for (int32_t k = 0; k < attr->count; k++) {
            ints[k] = attr->as.ints[k];
            if (attr->key == VJ_ATTR_AXES && ints[k] < 0 && ints[k] >= -rank) ints[k] += rank;
        }
        if (attr->key == VJ_ATTR_AXES) qsort(ints, (size_t)attr->count, sizeof *ints, by_number);
        attr->as.ints = ints;
    }
}

vj_value vj_add_node(vj_func *f, vj_op op, const vj_value *args, int32_t arg_count, const vj_attr *attrs,
                     int32_t attr_count, const vj_origin *origin, vj_error *error) {
    const vj_op_info *info = vj_op_table(op);
    assert(op != VJ_OP_param && op != VJ_OP_const);
    if (arg_count < 0 || arg_count > INT16_MAX) {
        vj_fail(error, VJ_BAD_INPUT, "%s: %d operands are too many", info->name, arg_count);
        return VJ_NONE;
    }
    vj_node node = {.op = op,
                    .arg_count = (int16_t)arg_count,
                    .result_count = (int16_t)info->results,
                    .first_result = VJ_NONE,
                    .origin = origin};
    node.args = VJ_NEW_ARRAY(f->arena, vj_value, arg_count);
    for (int32_t i = 0; i < arg_count; i++) {
        assert(args[i] >= VJ_NONE && args[i] < f->value_count);
        node.args[i] = args[i];
    }
    copy_attrs(f, &node, attrs, attr_count);
    vj_type *types = VJ_NEW_ARRAY(f->arena, vj_type, info->results);
    if (!vj_infer(f, &node, types, error)) return VJ_NONE;
    node.first_result = f->value_count;
    *VJ_PUSH(f->arena, f->nodes, f->node_count, f->node_capacity) = node;
    for (int32_t r = 0; r < info->results; r++)
        add_value(f, &types[r], f->node_count - 1, NULL);
    vj_link_operands(f, f->node_count - 1);
    vj_note_weights(f, f->node_count - 1);
    return node.first_result;
}

void vj_add_output(vj_func *f, const char *name, vj_value value) {
    assert(value >= 0 && value < f->value_count);
    int32_t names = f->output_capacity, uses = f->output_capacity; /* three arrays grow in step */
    f->output_names = vj_grow(f->arena, f->output_names, f->output_count, &names, sizeof *f->output_names);
    f->output_uses = vj_grow(f->arena, f->output_uses, f->output_count, &uses, sizeof *f->output_uses);
    f->outputs = vj_grow(f->arena, f->outputs, f->output_count, &f->output_capacity, sizeof *f->outputs);
    f->output_names[f->output_count] = vj_strdup(f->arena, name);
    f->outputs[f->output_count] = value;
    f->output_uses[f->output_count] = vj_link(f, value, f->output_count, VJ_USE_OUTPUT);
    f->output_count++;
}

vj_dim vj_add_symbol(vj_func *f, int64_t bound) {
    if (f->symbol_count == VJ_MAX_SYMBOLS) return vj_dim_const(0);
    *VJ_PUSH(f->arena, f->symbols, f->symbol_count, f->symbol_capacity) = (vj_symbol){bound, VJ_NONE, -1};
    return (vj_dim){1, VJ_SYM_FIRST_DATA + f->symbol_count - 1};
}

void vj_replace_uses(vj_func *f, vj_value from, vj_value to) {
    vj_value_info *old = &f->values[from], *now = &f->values[to];
    const int32_t first = old->first_use;
    if (from == to || first < 0) return;
    for (int32_t u = first; u >= 0; u = f->uses[u].next)
        *vj_operand_of_use(f, &f->uses[u]) = to;
    f->uses[first].previous = now->last_use;
    if (now->last_use >= 0)
        f->uses[now->last_use].next = first;
    else
        now->first_use = first;
    now->last_use = old->last_use;
    now->use_count += old->use_count;
    old->first_use = old->last_use = -1;
    old->use_count = 0;
    old->changed = now->changed = true;
    for (int32_t u = first; u >= 0; u = f->uses[u].next)
        if (f->uses[u].operand >= 0) vj_operand_changed(f, f->uses[u].user, from, to);
}

void vj_set_operand(vj_func *f, int32_t node, int32_t operand, vj_value value) {
    assert(operand >= 0 && operand < f->nodes[node].arg_count && !f->nodes[node].dead);
    const vj_value old = f->nodes[node].args[operand];
    vj_unlink(f, old, f->nodes[node].first_use + operand);
    f->nodes[node].args[operand] = value;
    vj_relink(f, value, f->nodes[node].first_use + operand);
    vj_operand_changed(f, node, old, value);
}

void vj_set_output(vj_func *f, int32_t output, vj_value value) {
    assert(output >= 0 && output < f->output_count);
    vj_unlink(f, f->outputs[output], f->output_uses[output]);
    f->outputs[output] = value;
    vj_relink(f, value, f->output_uses[output]);
}

void vj_set_symbol(vj_func *f, int32_t symbol, vj_value value) {
    vj_symbol *s = &f->symbols[symbol];
    if (s->use >= 0) vj_unlink(f, s->value, s->use);
    s->value = value;
    if (s->use >= 0)
        vj_relink(f, value, s->use);
    else if (value >= 0)
        s->use = vj_link(f, value, symbol, VJ_USE_SIZE);
}

void vj_set_dtype(vj_func *f, vj_value v, vj_dtype dtype) {
    f->values[v].type.dtype = dtype;
    vj_note_weights(f, f->values[v].node);
}

void vj_kill(vj_func *f, int32_t n) {
    vj_node *node = &f->nodes[n];
    for (int32_t i = 0; i < node->arg_count && !node->dead; i++)
        vj_unlink(f, node->args[i], node->first_use + i);
    node->dead = true;
}
