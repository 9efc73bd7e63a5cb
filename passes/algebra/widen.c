/* SPDX-License-Identifier: Apache-2.0 */
/* widen.c - float16 and bfloat16 are ways to store: everything between inputs, constants and outputs is float32.
 *
 * Inputs and constants are cast where they come in, outputs where they go out, and casts to a half in between are gone,
 * so results are rounded once and what would overflow a half on the way does not. Weights are widened while they are
 * packed (weight_read.c), so the code is that of a float32 model.
 */
#include "passes/rewrite/rewrite.h"

#include "vitjit_half.h"

static double rounded(vj_dtype dtype, double x) { return dtype == VJ_F16 ? vj_round_f16(x) : vj_round_bf16(x); }

/* Numbers of GELU that an exporter had to round: sqrt(2), its inverse, sqrt(2 / pi), 0.044715, 1.702. Meant is the
 * number, and the float32 arithmetic around it deserves it. */
static bool is_known_number(const vj_func *f, vj_value v, double *number) {
    static const double known[] = {1.4142135623730951, 0.7071067811865476, 0.7978845608028654, 0.044715, 1.702};
    const vj_type *type = vj_type_at(f, v);
    int64_t count;
    double x;
    if (!vj_type_elements(f, type, &count) || count != 1 || !vj_is_uniform(f, v, &x)) return false;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (x == rounded(type->dtype, known[i])) return *number = known[i], true;
    return false;
}

static vj_value wide_constant(vj_func *f, vj_value v) {
    const vj_type *type = vj_type_at(f, v);
    int64_t dims[VJ_MAX_RANK];
    double number;
    if (!is_known_number(f, v, &number)) return vj_make_cast(f, v, VJ_F32, NULL);
    for (int32_t i = 0; i < type->rank; i++)
        dims[i] = type->dims[i].c;
    return vj_add_const_f64(f, VJ_F32, type->rank, dims, &number);
}

static void widen_leaf(vj_func *f, int32_t n) {
    const vj_value v = f->nodes[n].first_result;
    const vj_value wide = f->nodes[n].op == VJ_OP_const ? wide_constant(f, v) : vj_make_cast(f, v, VJ_F32, NULL);
    vj_replace_uses(f, v, wide);
    if (vj_producer(f, wide)->op == VJ_OP_cast) vj_set_operand(f, f->values[wide].node, 0, v);
}

static void widen_cast(vj_func *f, int32_t n) {
    const vj_node node = f->nodes[n];
    const vj_value x = node.args[0];
    const vj_value wide = vj_type_at(f, x)->dtype == VJ_F32 ? x : vj_make_cast(f, x, VJ_F32, node.origin);
    if (!f->values[wide].name) f->values[wide].name = f->values[node.first_result].name; /* a product of halves */
    vj_replace_uses(f, node.first_result, wide);
    vj_kill(f, n);
}

/* In the list's order: when a node's turn comes, its operands are wide. */
static void widen_node(vj_func *f, int32_t n) {
    const vj_node *node = &f->nodes[n];
    if (node->op == VJ_OP_cast && !node->dead &&
        vj_type_at(f, node->args[0])->dtype == vj_type_at(f, node->first_result)->dtype) {
        vj_replace_uses(f, node->first_result, node->args[0]); /* of a half that is a float32 now */
        vj_kill(f, n);
        return;
    }
    bool halves = false;
    for (int32_t r = 0; r < node->result_count; r++)
        halves |= vj_is_half(vj_type_at(f, node->first_result + r)->dtype);
    if (!halves || node->dead) return;
    if (node->op == VJ_OP_const || node->op == VJ_OP_param) {
        widen_leaf(f, n);
    } else if (node->op == VJ_OP_cast) {
        widen_cast(f, n);
    } else {
        for (int32_t r = 0; r < node->result_count; r++)
            if (vj_is_half(vj_type_at(f, node->first_result + r)->dtype))
                vj_set_dtype(f, node->first_result + r, VJ_F32);
    }
}

/* Are the only halves inputs, constants, and casts that are outputs? */
static bool is_widened(const vj_func *f) {
    for (int32_t n = 0; n < f->node_count; n++) {
        const vj_node *node = &f->nodes[n];
        if (node->dead || node->op == VJ_OP_param || node->op == VJ_OP_const) continue;
        for (int32_t r = 0; r < node->result_count; r++) {
            const vj_value v = node->first_result + r;
            if (vj_is_half(vj_type_at(f, v)->dtype) && !(node->op == VJ_OP_cast && vj_is_output(f, v))) return false;
        }
        for (int32_t i = 0; i < node->arg_count; i++)
            if (node->args[i] >= 0 && node->op != VJ_OP_cast && vj_is_half(vj_type_at(f, node->args[i])->dtype))
                return false;
    }
    return true;
}

vj_status vj_pass_widen(vj_pass_context *c) {
    vj_func *f = c->f;
    if (is_widened(f) || !vj_may_rewrite(c, "float32", NULL)) return c->error->status;
    vj_dtype *declared = VJ_NEW_ARRAY(c->arena, vj_dtype, f->output_count + 1);
    for (int32_t o = 0; o < f->output_count; o++)
        declared[o] = vj_type_at(f, f->outputs[o])->dtype;
    const int32_t nodes = f->node_count;
    for (int32_t n = 0; n < nodes; n++)
        widen_node(f, n);
    for (int32_t o = 0; o < f->output_count; o++)
        if (vj_is_half(declared[o])) vj_set_output(f, o, vj_make_cast(f, f->outputs[o], declared[o], NULL));
    vj_compact(f);
    return c->error->status;
}
