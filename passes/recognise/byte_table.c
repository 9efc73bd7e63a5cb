/* SPDX-License-Identifier: Apache-2.0 */
/* byte_table.c - long elementwise expressions of a byte and of constants are looked up: a byte has 256 values. Frameworks that quantise
 * around every op write a GELU so: dequantised, and between its divisions, erf, sums and products quantised and dequantised again.
 *
 * The table is the same expression of all bytes, which `tidy` computes. */
#include "passes/rewrite/rewrite.h"

/* What a lookup takes, and a division, and series beside a simple step. */
enum { LOOKUP = 24, DIVISION = 8, SERIES = 16 };
enum { BYTES = 256 };
#define LEAST_ELEMENTS ((int64_t)4 * BYTES)

typedef struct tables {
    vj_pass_context *c;
    vj_func *f;
    vj_value *root;  /* of each value: the byte that it is an expression of; VJ_NONE */
    int32_t *cost;   /* of the expression */
    vj_value *table; /* the expression of all bytes; VJ_NONE: it was not needed yet */
} tables;

static int32_t cost_of(vj_op op) {
    enum { FREE = 0, STEP = 1, WIDE_SERIES = SERIES, LONG_SERIES = SERIES };
    static const int32_t costs[VJ_OP_COUNT] = {
#define UNARY(id, ID, types, f, i, u, cost, traits)          [VJ_OP_##id] = cost,
#define BINARY(id, ID, types, result, f, i, u, cost, traits) [VJ_OP_##id] = cost,
#define TENSOR(id, types, f, i, u, traits)                   [VJ_OP_##id] = STEP,
#define SPECIAL(id, ID, args, attributes, cost, traits)      [VJ_OP_##id] = cost,
#include "ir/tensor/elementwise.def"
        [VJ_OP_gelu] = LONG_SERIES,
    };
    return costs[op];
}

static bool is_number(const tables *t, vj_value v) {
    double number;
    return vj_is_uniform(t->f, v, &number);
}

/* The byte that an operand of an elementwise node is an expression of. */
static vj_value root_of(const tables *t, vj_value v) {
    if (t->root[v] >= 0) return t->root[v];
    return vj_is_byte(vj_type_at(t->f, v)->dtype) && !vj_is_weight(t->f, v) ? v : VJ_NONE;
}

/* Asked first: most nodes have nothing to do with bytes, and to see that a constant is uniform takes reading it. */
static bool is_of_bytes(const tables *t, const vj_node *node) {
    for (int32_t i = 0; i < node->arg_count; i++)
        if (node->args[i] >= 0 && root_of(t, node->args[i]) >= 0) return true;
    return false;
}

static void find_root(tables *t, const vj_node *node) {
    vj_value root = VJ_NONE;
    int32_t cost = cost_of(node->op);
    if (!(vj_op_table(node->op)->flags & VJ_FLAG_ELEMENTWISE) || !is_of_bytes(t, node)) return;
    for (int32_t i = 0; i < node->arg_count; i++) {
        const vj_value v = node->args[i];
        if (v < 0 || is_number(t, v)) continue;
        const vj_value own = root_of(t, v);
        if (own < 0 || (root >= 0 && own != root)) return;
        root = own;
        cost += t->cost[v];
    }
    if (root < 0 || !vj_same_dims(vj_type_at(t->f, root), vj_type_at(t->f, node->first_result))) return;
    t->root[node->first_result] = root;
    t->cost[node->first_result] = (int32_t)vj_min64(cost, BYTES);
}

/* Does somebody read v who is no part of such an expression? */
static bool is_read(const tables *t, vj_value v) {
    for (int32_t u = t->f->values[v].first_use; u >= 0; u = t->f->uses[u].next) {
        const vj_use *use = &t->f->uses[u];
        if (use->operand < 0 || t->root[t->f->nodes[use->user].first_result] != t->root[v]) return true;
    }
    return false;
}

/* All values of the byte, in the order of its bits. */
static vj_value all_bytes(vj_func *f, vj_dtype dtype) {
    const int64_t count = BYTES;
    int64_t at[BYTES];
    for (int32_t i = 0; i < BYTES; i++)
        at[i] = vj_wrap(dtype, i);
    return vj_add_const_i64(f, dtype, 1, &count, at);
}

/* A constant of equal elements as one without dims. */
static vj_value number_of(const tables *t, vj_value v) {
    const vj_dtype dtype = vj_type_at(t->f, v)->dtype;
    double number = 0;
    vj_const splat = {.kind = VJ_CONST_SPLAT};
    (void)vj_is_uniform(t->f, v, &number);
    splat.splat = number;
    return vj_add_const(t->f, NULL, &(vj_type){.dtype = dtype}, &splat);
}

/* Operands stand before their users, so this goes over the nodes from the byte on. */
static vj_value table_of(tables *t, vj_value v) {
    const vj_value root = t->root[v];
    t->table[root] = all_bytes(t->f, vj_type_at(t->f, root)->dtype);
    for (vj_value at = root + 1; at <= v; at++) {
        if (t->root[at] != root) continue;
        const vj_node node = *vj_producer(t->f, at);
        vj_value args[3] = {VJ_NONE, VJ_NONE, VJ_NONE};
        for (int32_t i = 0; i < node.arg_count; i++)
            args[i] = is_number(t, node.args[i]) ? number_of(t, node.args[i]) : t->table[node.args[i]];
        t->table[at] = vj_make(t->f, node.op, args, node.arg_count, node.attrs, node.attr_count, node.origin);
    }
    return t->table[v];
}

static vj_value looked_up(tables *t, vj_value v) {
    const vj_value byte = t->root[v];
    const vj_origin *origin = vj_producer(t->f, v)->origin;
    const vj_attr to = vj_name(VJ_ATTR_TO, vj_element_name(VJ_U8)), axis = vj_int(VJ_ATTR_AXIS, 0);
    const vj_value table = table_of(t, v);
    const bool is_signed = vj_type_at(t->f, byte)->dtype == VJ_I8;
    const vj_value index = is_signed ? vj_make(t->f, VJ_OP_bitcast, &byte, 1, &to, 1, origin) : byte;
    return vj_make(t->f, VJ_OP_gather, (vj_value[]){table, index}, 2, &axis, 1, origin);
}

vj_status vj_pass_byte_table(vj_pass_context *c) {
    vj_func *f = c->f;
    const int32_t values = f->value_count, nodes = f->node_count;
    tables t = {.c = c, .f = f};
    t.root = VJ_NEW_ARRAY(c->arena, vj_value, values + 1);
    t.cost = VJ_NEW_ARRAY(c->arena, int32_t, values + 1);
    t.table = VJ_NEW_ARRAY(c->arena, vj_value, values + 1);
    for (vj_value v = 0; v < values; v++)
        t.root[v] = VJ_NONE;
    for (int32_t n = 0; n < nodes; n++)
        if (!f->nodes[n].dead && f->nodes[n].result_count == 1) find_root(&t, &f->nodes[n]);
    /* All are made of the nodes as they are, before one of these reads a lookup instead. */
    vj_value *lookup = VJ_NEW_ARRAY(c->arena, vj_value, values + 1);
    for (vj_value v = 0; v < values; v++) {
        int64_t elements;
        lookup[v] = VJ_NONE;
        if (t.root[v] < 0 || t.cost[v] < LOOKUP || !is_read(&t, v)) continue;
        if (!vj_type_elements(f, vj_type_at(f, v), &elements) || elements < LEAST_ELEMENTS) continue;
        const vj_node node = *vj_producer(f, v);
        if (vj_may_rewrite(c, "byte_table", &node)) lookup[v] = looked_up(&t, v);
    }
    for (vj_value v = 0; v < values; v++)
        if (lookup[v] >= 0) vj_replace_uses(f, v, lookup[v]);
    vj_compact(f);
    return c->error->status;
}
