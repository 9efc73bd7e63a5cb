/* SPDX-License-Identifier: Apache-2.0 */
/* cse.c - nodes of one op with the same operands and attributes are one node. */
#include "rewrite.h"

#include <string.h>

/* Both halves of the product: high bits of x, which tell floats apart, reach the low ones that choose a place. */
static uint64_t mix(uint64_t h, uint64_t x) {
    h = (h ^ x) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 32;
}

enum { SMALL = 4096 };

/* Equal for constants that same_const calls equal; those of one type would else all meet in one place of the table. */
static uint64_t hash_const(const vj_func *f, vj_value v) {
    const vj_const *constant = vj_attr_find(vj_producer(f, v), VJ_ATTR_CONSTANT)->as.constant;
    uint8_t content[SMALL] = {0};
    vj_error ignored = {0};
    uint64_t h = (uint64_t)constant->length, word;
    if (constant->kind != VJ_CONST_BYTES) return mix(h, constant->seed);
    h = mix(h, constant->nibbles);
    if (constant->length > SMALL || constant->nibbles != VJ_NO_NIBBLES)
        return mix(mix(h, (uint64_t)(uintptr_t)constant->source), (uint64_t)constant->offset);
    if (!vj_const_read_bytes(f, v, 0, constant->length, content, &ignored)) return h;
    for (int64_t at = 0; at < constant->length; at += (int64_t)sizeof word) {
        memcpy(&word, content + at, sizeof word);
        h = mix(h, word);
    }
    return h;
}

static uint64_t hash_node(const vj_func *f, const vj_node *node) {
    uint64_t h = mix((uint64_t)node->op, (uint64_t)vj_type_at(f, node->first_result)->dtype);
    for (int32_t i = 0; i < node->arg_count; i++)
        h = mix(h, (uint64_t)(int64_t)node->args[i]);
    for (int32_t i = 0; i < node->attr_count; i++) {
        const vj_attr *attr = &node->attrs[i];
        vj_attr_kind kind = vj_attr_key_kind(attr->key);
        h = mix(h, (uint64_t)attr->key);
        if (kind == VJ_KIND_INT) h = mix(h, (uint64_t)attr->as.i);
        if (kind == VJ_KIND_CONST) h = mix(h, hash_const(f, node->first_result));
        for (int32_t k = 0; kind == VJ_KIND_INTS && k < attr->count; k++)
            h = mix(h, (uint64_t)attr->as.ints[k]);
    }
    return h;
}

/* Small constants are equal when their bytes are; large ones when they stand in the same place. */
static bool same_const(const vj_func *f, vj_value a, vj_value b) {
    const vj_const *x = vj_attr_find(vj_producer(f, a), VJ_ATTR_CONSTANT)->as.constant;
    const vj_const *y = vj_attr_find(vj_producer(f, b), VJ_ATTR_CONSTANT)->as.constant;
    const vj_type *type = vj_type_at(f, a);
    if (!vj_type_equal(type, vj_type_at(f, b)) || x->kind != y->kind || x->nibbles != y->nibbles) return false;
    if (x->kind != VJ_CONST_BYTES) return x->splat == y->splat && x->seed == y->seed;
    if (x->source == y->source && x->offset == y->offset && x->length == y->length) return true;
    if (x->nibbles != VJ_NO_NIBBLES) return false;
    uint8_t left[SMALL], right[SMALL];
    vj_error ignored = {0};
    return x->length == y->length && x->length <= SMALL && vj_const_read_bytes(f, a, 0, x->length, left, &ignored) &&
           vj_const_read_bytes(f, b, 0, x->length, right, &ignored) && memcmp(left, right, (size_t)x->length) == 0;
}

static bool same_node(const vj_func *f, const vj_node *a, const vj_node *b) {
    if (a->op != b->op) return false;
    if (a->op == VJ_OP_const) return same_const(f, a->first_result, b->first_result);
    if (a->arg_count != b->arg_count || a->attr_count != b->attr_count) return false;
    for (int32_t i = 0; i < a->arg_count; i++)
        if (a->args[i] != b->args[i]) return false;
    for (int32_t i = 0; i < a->attr_count; i++)
        if (!vj_attr_equal(&a->attrs[i], &b->attrs[i])) return false;
    return true;
}

/* One walk in topological order: operands are already merged when a node is looked at. */
bool vj_merge_equal_nodes(vj_pass_context *c) {
    vj_func *f = c->f;
    bool changed = false;
    vj_compact(f);
    int32_t size = 1;
    while (size < 2 * f->node_count)
        size *= 2;
    int32_t *table = VJ_NEW_ARRAY(c->arena, int32_t, size); /* node + 1 */
    for (int32_t n = 0; n < f->node_count; n++) {
        const vj_node *node = &f->nodes[n];
        if (node->op == VJ_OP_param) continue;
        uint64_t slot = hash_node(f, node) & (uint64_t)(size - 1);
        while (table[slot] && !same_node(f, &f->nodes[table[slot] - 1], node))
            slot = (slot + 1) & (uint64_t)(size - 1);
        if (!table[slot]) {
            table[slot] = n + 1;
        } else if (vj_may_rewrite(c, "equal_nodes", node)) {
            for (int32_t r = 0; r < node->result_count; r++)
                vj_replace_uses(f, node->first_result + r, f->nodes[table[slot] - 1].first_result + r);
            vj_kill(f, n);
            changed = true;
        }
    }
    if (changed) vj_compact(f);
    return changed;
}
