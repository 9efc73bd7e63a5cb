/* SPDX-License-Identifier: Apache-2.0 */
/* fold.c - constant expressions with a small result are computed, by the reference evaluator in double precision, and
 * rounded once. A product with a large weight is summed up while the weight is read in blocks of rows. What only moves
 * or scales a weight stays an expression (weight_read.c) above a size, so that weights are never held whole. */
#include "passes/rewrite/rewrite.h"

#include <string.h>

#define RESULT_BYTES     ((int64_t)1 << 20)   /* of any result */
#define WEIGHT_BYTES     ((int64_t)64 << 10)  /* of a result that could as well be read in blocks */
#define OPERAND_ELEMENTS ((int64_t)4 << 20)   /* evaluated at once: 32 MiB as doubles */
#define MOST_WORK        0x1p30               /* steps: about a second */
enum { ROWS = 64, BLOCK_ELEMENTS = 1 << 16 }; /* of a streamed product */

static bool sizes_allow(const vj_func *f, const vj_node *node) {
    int64_t total = 0, count, bytes;
    bool is_readable = vj_is_weight(f, node->first_result);
    for (int32_t r = 0; r < node->result_count; r++) {
        const vj_type *type = vj_type_at(f, node->first_result + r);
        if (!vj_type_is_static(type) || !vj_type_elements(f, type, &count) ||
            !vj_mul(count, vj_element_bytes(type->dtype), &bytes) ||
            bytes > (is_readable ? WEIGHT_BYTES : RESULT_BYTES))
            return false;
    }
    for (int32_t i = 0; i < node->arg_count; i++)
        if (node->args[i] >= 0 &&
            (!vj_type_elements(f, vj_type_at(f, node->args[i]), &count) || !vj_add(total, count, &total)))
            return false;
    return total <= OPERAND_ELEMENTS && vj_node_work(f, node) <= MOST_WORK;
}

/* What can be read in blocks waits for whoever computes with it; that one takes expressions too. */
static bool has_const_operands(const vj_func *f, const vj_node *node) {
    if (node->op == VJ_OP_param || node->op == VJ_OP_const || node->arg_count == 0) return false;
    if (vj_op_table(node->op)->flags & VJ_FLAG_DATA_SHAPE) return false;
    const bool is_readable = vj_is_weight(f, node->first_result);
    for (int32_t i = 0; i < node->arg_count; i++)
        if (node->args[i] >= 0 && !vj_is_const(f, node->args[i]) && (is_readable || !vj_is_weight(f, node->args[i])))
            return false;
    return true;
}

static bool read_expression(vj_arena *arena, const vj_func *f, vj_value v, vj_tensor *t, vj_error *error) {
    float block[1024];
    vj_weight_reader *reader = vj_weight_reader_new(arena, f);
    for (int64_t at = 0; at < t->count; at += 1024) {
        const int64_t part = vj_min64(1024, t->count - at);
        if (!vj_weight_read(reader, v, at, part, block, error)) return false;
        for (int64_t i = 0; i < part; i++) {
            if (t->f)
                t->f[at + i] = (double)block[i];
            else
                t->i[at + i] = (int64_t)block[i]; /* i8 */
        }
    }
    return true;
}

static vj_tensor *tensor_of(vj_arena *arena, const vj_func *f, vj_value v, vj_error *error) {
    vj_tensor *t = vj_tensor_new(arena, vj_type_at(f, v), error);
    if (!t) return NULL;
    if (!vj_is_const(f, v)) return read_expression(arena, f, v, t, error) ? t : NULL;
    bool good = vj_dtype_is_float(t->type.dtype) ? vj_const_read_f64(f, v, 0, t->count, t->f, error)
                                                 : vj_const_read_i64(f, v, 0, t->count, t->i, error);
    return good ? t : NULL;
}

static vj_value add_tensor(vj_func *f, const vj_tensor *t) {
    vj_const constant;
    vj_const_from_host(f->arena, t->type.dtype, t->count, vj_dtype_is_float(t->type.dtype) ? t->f : NULL, t->i,
                       &constant);
    return vj_add_const(f, NULL, &t->type, &constant);
}

static vj_value evaluated(vj_pass_context *c, vj_arena *scratch, const vj_node *node) {
    vj_tensor **args = VJ_NEW_ARRAY(scratch, vj_tensor *, node->arg_count);
    vj_tensor **results = VJ_NEW_ARRAY(scratch, vj_tensor *, node->result_count);
    for (int32_t i = 0; i < node->arg_count; i++)
        if (node->args[i] >= 0 && !(args[i] = tensor_of(scratch, c->f, node->args[i], c->error))) return VJ_NONE;
    if (!vj_eval_node(scratch, c->f, node, args, results, c->error)) return VJ_NONE;
    return add_tensor(c->f, results[0]);
}

/* x [.., K] times w [K, N] with few rows of x: rows of w pass by once. */
static bool is_streamed_product(const vj_func *f, const vj_node *node) {
    if (node->op != VJ_OP_linear && node->op != VJ_OP_matmul) return false;
    const vj_type *x = vj_type_at(f, node->args[0]), *w = vj_type_at(f, node->args[1]);
    int64_t count;
    if (w->rank != 2 || w->dtype != VJ_F32 || !vj_is_weight(f, node->args[1]) || !vj_is_const(f, node->args[0]) ||
        !vj_type_elements(f, x, &count) || count > ROWS * w->dims[0].c)
        return false;
    vj_value bias = node->arg_count > 2 ? node->args[2] : VJ_NONE;
    return bias < 0 || vj_is_const(f, bias);
}

/* y += x w for one row of x and `depth` rows of w. */
static void add_product(int64_t depth, int64_t width, const double *restrict x, const float *restrict w,
                        double *restrict y) {
    for (int64_t i = 0; i < depth; i++)
        for (int64_t j = 0; j < width; j++)
            y[j] += x[i] * (double)w[i * width + j];
}

static bool add_rows(vj_pass_context *c, vj_arena *scratch, const vj_node *node, const vj_tensor *x, vj_tensor *y) {
    const vj_type *w = vj_type_at(c->f, node->args[1]);
    int64_t depth = w->dims[0].c, width = w->dims[1].c;
    int64_t rows = depth ? x->count / depth : 0, block = vj_max64(1, BLOCK_ELEMENTS / vj_max64(1, width));
    float *at = VJ_NEW_ARRAY(scratch, float, block *width);
    vj_weight_reader *reader = vj_weight_reader_new(scratch, c->f);
    for (int64_t k = 0; k < depth; k += block) {
        int64_t part = vj_min64(block, depth - k);
        if (!vj_weight_read(reader, node->args[1], k * width, part * width, at, c->error)) return false;
        for (int64_t r = 0; r < rows; r++)
            add_product(part, width, x->f + r * depth + k, at, y->f + r * width);
    }
    return true;
}

static vj_value streamed(vj_pass_context *c, vj_arena *scratch, const vj_node *node) {
    vj_value bias = node->arg_count > 2 ? node->args[2] : VJ_NONE;
    vj_tensor *x = tensor_of(scratch, c->f, node->args[0], c->error), *b = NULL;
    vj_tensor *y = vj_tensor_new(scratch, vj_type_at(c->f, node->first_result), c->error);
    if (bias >= 0) b = tensor_of(scratch, c->f, bias, c->error);
    if (c->error->status || !add_rows(c, scratch, node, x, y)) return VJ_NONE;
    for (int64_t i = 0; b && i < y->count; i++)
        y->f[i] += b->f[i % b->count];
    return add_tensor(c->f, y);
}

/* A constant, or one that is cast and moved, of which folding makes one. */
static bool will_be_const(const vj_func *f, vj_value v) {
    const vj_node *node = vj_producer(f, v);
    while (node->op == VJ_OP_cast || node->op == VJ_OP_reshape || node->op == VJ_OP_broadcast ||
           node->op == VJ_OP_slice)
        node = vj_producer(f, node->args[0]);
    return node->op == VJ_OP_const;
}

/* Is it a cast, a sum with or a product by a constant, as what dequantises? */
static bool dequantises(const vj_func *f, const vj_node *node, int32_t operand) {
    if (node->op == VJ_OP_cast) return true;
    return (node->op == VJ_OP_add || node->op == VJ_OP_sub || node->op == VJ_OP_mul) &&
           will_be_const(f, node->args[1 - operand]);
}

/* Do products alone read v, behind what moves it, or, where it is made of bytes, dequantises it? */
static bool feeds_products(const vj_func *f, vj_value v, bool of_bytes, int32_t steps) {
    for (int32_t u = f->values[v].first_use; u >= 0; u = f->uses[u].next) {
        if (f->uses[u].operand < 0 || steps == 0) return false;
        const vj_node *node = &f->nodes[f->uses[u].user];
        const bool is_passed = node->op == VJ_OP_reshape || node->op == VJ_OP_transpose || node->op == VJ_OP_slice ||
                               node->op == VJ_OP_concat || (of_bytes && dequantises(f, node, f->uses[u].operand));
        if (f->uses[u].operand >= vj_op_factors(node->op) &&
            !(is_passed && feeds_products(f, node->first_result, of_bytes, steps - 1)))
            return false;
    }
    return true;
}

/* Is the node a weight of products that the model stores in a half? It is packed so (weight_format.c). */
static bool is_half_weight(const vj_func *f, const vj_node *node) {
    enum { LONGEST_WAY = 4 };
    return node->op == VJ_OP_cast && vj_is_weight(f, node->first_result) &&
           vj_type_at(f, node->first_result)->rank > 1 && vj_is_half(vj_type_at(f, node->args[0])->dtype) &&
           vj_type_at(f, node->first_result)->dtype == VJ_F32 &&
           feeds_products(f, node->first_result, false, LONGEST_WAY);
}

/* Is it a weight of products that the model stores in bytes? It is multiplied so (quantised.c). */
static bool is_byte_weight(const vj_func *f, const vj_node *node) {
    enum { LONGEST_WAY = 6 };
    if (node->op != VJ_OP_cast || !vj_is_const(f, node->args[0]) || vj_type_at(f, node->args[0])->rank < 2)
        return false;
    const vj_dtype from = vj_type_at(f, node->args[0])->dtype, to = vj_type_at(f, node->first_result)->dtype;
    return vj_is_byte(from) && (to == VJ_F32 || to == VJ_I32) &&
           feeds_products(f, node->first_result, true, LONGEST_WAY);
}

/* Is it one that the model stores as places in a table of 16 floats? It is packed so (weight_blocks.c). */
static bool is_table_weight(const vj_func *f, const vj_node *node) {
    enum { LONGEST_WAY = 6 };
    return node->op == VJ_OP_gather && vj_is_block_table(f, node->args[0]) && vj_is_const(f, node->args[1]) &&
           feeds_products(f, node->first_result, true, LONGEST_WAY);
}

static vj_value fold_node(vj_pass_context *c, int32_t n) {
    const vj_node node = c->f->nodes[n];
    if (node.result_count != 1 || is_half_weight(c->f, &node) || is_byte_weight(c->f, &node) ||
        is_table_weight(c->f, &node))
        return VJ_NONE;
    bool is_product = is_streamed_product(c->f, &node);
    if (!is_product && (!has_const_operands(c->f, &node) || !sizes_allow(c->f, &node))) return VJ_NONE;
    vj_arena *scratch = vj_arena_scratch(c->arena);
    vj_value v = is_product ? streamed(c, scratch, &node) : evaluated(c, scratch, &node);
    vj_arena_free(scratch);
    return v;
}

vj_status vj_pass_fold(vj_pass_context *c) {
    vj_apply_rules(c, NULL, 0, fold_node, "constant");
    return c->error->status;
}
