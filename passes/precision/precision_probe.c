/* SPDX-License-Identifier: Apache-2.0 */
/* precision_probe.c - what products lose in smaller types: each is computed in f32, as the model goes on with it, and from the same factors in bf16 and in
 * bytes where these may be. Outputs are, of product i,
 *
 *     vitjit.probe.i.energy:NODE      the sum of the squares of its results
 *     vitjit.probe.i.bf16:NODE        that of what bf16 adds to them
 *     vitjit.probe.i.int8:NODE        that of what bytes add to them
 *     vitjit.probe.i.activations:NODE the largest size of a number of each channel of its first factor
 *     vitjit.probe.i.weight:NODE      of each row of its weight
 *     vitjit.probe.i.share:NODE       the first product with the same first factor
 *
 * the last three where there are bytes. Layers of a calibration are the smoothing to try. */
#include "precision.h"

#include "vitjit_compiler.h"

typedef struct probing {
    vj_pass_context *c;
    vj_int8 bytes;
    int32_t *first;    /* values: the product in bytes that has it as a first factor; -1: none */
    bool *may_be_bf16; /* nodes */
} probing;

static void add(const probing *p, int32_t n, const char *what, int32_t index, vj_value v) {
    vj_func *f = p->c->f;
    vj_add_output(f, vj_sprintf(f->arena, VJ_PROBE_PREFIX "%d.%s:%s", (int)index, what, vj_node_label(f, &f->nodes[n])),
                  v);
}

static vj_value reduced(vj_func *f, vj_value v, const char *kind, int32_t axes) {
    int64_t over[VJ_MAX_RANK];
    for (int32_t i = 0; i < axes; i++)
        over[i] = i;
    const vj_attr attrs[] = {vj_ints(VJ_ATTR_AXES, over, axes), vj_int(VJ_ATTR_KEEP, 0), vj_name(VJ_ATTR_KIND, kind)};
    return axes ? vj_make(f, VJ_OP_reduce, &v, 1, attrs, 3, vj_producer(f, v)->origin) : v;
}

static vj_value sum_of_squares(vj_func *f, vj_value v) {
    v = vj_make_binary(f, VJ_OP_mul, v, v, vj_producer(f, v)->origin);
    return reduced(f, v, "sum", vj_type_at(f, v)->rank);
}

static void add_error(const probing *p, int32_t n, const char *what, int32_t index, vj_value narrow) {
    vj_func *f = p->c->f;
    const vj_node *node = &f->nodes[n];
    const vj_value off = vj_make_binary(f, VJ_OP_sub, narrow, node->first_result, node->origin);
    add(p, n, what, index, sum_of_squares(f, off));
}

static vj_value in_bf16(const probing *p, int32_t n) {
    vj_func *f = p->c->f;
    const vj_node node = f->nodes[n];
    vj_value *args = VJ_NEW_ARRAY(p->c->arena, vj_value, node.arg_count);
    for (int32_t i = 0; i < node.arg_count; i++)
        args[i] = i < vj_op_factors(node.op) ? vj_make_cast(f, node.args[i], VJ_BF16, node.origin) : node.args[i];
    return vj_make(f, node.op, args, node.arg_count, node.attrs, node.attr_count, node.origin);
}

static void add_channels(probing *p, int32_t n, int32_t index) {
    vj_func *f = p->c->f;
    const vj_node node = f->nodes[n];
    const int64_t depth = vj_type_at(f, node.args[1])->dims[0].c;
    double *rows = VJ_NEW_ARRAY(p->c->arena, double, depth), share = p->first[node.args[0]];
    if (!vj_largest_of_rows(p->c, node.args[1], rows)) return;
    vj_value sizes = vj_make(f, VJ_OP_abs, &node.args[0], 1, NULL, 0, node.origin);
    sizes = reduced(f, sizes, "max", vj_type_at(f, sizes)->rank - 1);
    add(p, n, "activations", index, sizes);
    add(p, n, "weight", index, vj_add_const_f64(f, VJ_F32, 1, &depth, rows));
    add(p, n, "share", index, vj_add_const_f64(f, VJ_F32, 0, NULL, &share));
}

static void probe(probing *p, int32_t n, int32_t index) {
    vj_func *f = p->c->f;
    const vj_node node = f->nodes[n];
    add(p, n, "energy", index, sum_of_squares(f, node.first_result));
    if (p->may_be_bf16[n]) add_error(p, n, "bf16", index, in_bf16(p, n));
    if (p->bytes.weights[n].q < 0) return;
    add_error(p, n, "int8", index, vj_int8_product(&p->bytes, n));
    if (p->first[node.args[0]] < 0) p->first[node.args[0]] = index;
    add_channels(p, n, index);
}

vj_status vj_probe_products(vj_pass_context *c, vj_choice *choice, const vj_layer_choice *const *layers) {
    vj_func *f = c->f;
    const int32_t nodes = f->node_count, values = f->value_count;
    probing p = {.c = c,
                 .bytes = vj_no_int8(c, layers),
                 .first = VJ_NEW_ARRAY(c->arena, int32_t, values + 1),
                 .may_be_bf16 = VJ_NEW_ARRAY(c->arena, bool, nodes + 1)};
    for (vj_value v = 0; v < values; v++)
        p.first[v] = -1;
    vj_choose_int8(&p.bytes, choice);
    for (int32_t n = 0; n < nodes; n++) /* asked before there are outputs more */
        p.may_be_bf16[n] =
            !f->nodes[n].dead && vj_is_float_product(f, &f->nodes[n]) && !vj_why_exact(choice, &f->nodes[n]);
    for (int32_t n = 0, index = 0; n < nodes && !c->error->status; n++)
        if (!f->nodes[n].dead && vj_is_float_product(f, &f->nodes[n])) probe(&p, n, index++);
    vj_compact(f);
    return c->error->status;
}
