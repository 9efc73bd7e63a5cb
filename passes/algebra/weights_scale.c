/* SPDX-License-Identifier: Apache-2.0 */
/* weights_scale.c - the scale of an attention goes into the columns of the product that make its queries, when it is a
 * power of two: then every product and sum is the same number times that power, bit for bit. */
#include "weights.h"

#include <math.h>
#include <string.h>

/* Which columns of a product a value behind movement ops holds. Each axis steps by stride[i] columns (0: it moves along
 * other axes of the product), from column `base` on. */
typedef struct columns {
    int32_t rank;
    int64_t size[VJ_MAX_RANK], stride[VJ_MAX_RANK];
    int64_t base;
} columns;

/* Row-major regrouping of axes; false when an axis would mix columns with other things. */
static bool reshape_columns(columns *c, const vj_type *to) {
    columns out = {.rank = to->rank, .base = c->base};
    int32_t from = c->rank - 1;
    int64_t left = 1, stride = 0; /* of the axis being split */
    for (int32_t i = to->rank - 1; i >= 0; i--) {
        int64_t need = to->dims[i].c;
        if (need == 0) return false;
        out.size[i] = need;
        if (need == 1) continue;
        bool is_first = true;
        for (int64_t have = 1; have < need;) {
            if (left == 1) {
                while (from >= 0 && c->size[from] == 1)
                    from--;
                if (from < 0 || c->size[from] == 0) return false;
                left = c->size[from];
                stride = c->stride[from--];
            }
            if (is_first)
                out.stride[i] = stride;
            else if (out.stride[i] * have != stride)
                return false;
            is_first = false;
            int64_t part = need / have;
            if (part >= left) {
                if (part % left) return false;
                have *= left;
                left = 1;
            } else {
                if (left % part) return false;
                have *= part;
                left /= part;
                stride *= part;
            }
        }
    }
    *c = out;
    return true;
}

/* The columns of node's result from those of its operand. */
static bool follow(const vj_func *f, const vj_node *node, columns *c) {
    const vj_type *type = vj_type_at(f, node->first_result);
    columns out = {.rank = type->rank, .base = c->base};
    for (int32_t i = 0; i < type->rank; i++) {
        int64_t from = i, step = 1;
        out.size[i] = type->dims[i].c;
        if (node->op == VJ_OP_reshape) return reshape_columns(c, type);
        if (node->op == VJ_OP_transpose) from = vj_attr_find(node, VJ_ATTR_PERM)->as.ints[i];
        if (node->op == VJ_OP_slice) {
            step = vj_attr_find(node, VJ_ATTR_STEPS)->as.ints[i];
            out.base += vj_attr_find(node, VJ_ATTR_STARTS)->as.ints[i] * c->stride[i];
        }
        out.stride[i] = c->stride[from] * step;
    }
    *c = out;
    return true;
}

/* Notes for each column whether it feeds queries of the attention (1) or something else (2). */
static bool mark(const columns *c, uint8_t *column, int64_t width, uint8_t what) {
    int64_t index[VJ_MAX_RANK] = {0};
    for (;;) {
        int64_t at = c->base;
        for (int32_t i = 0; i < c->rank; i++)
            at += index[i] * c->stride[i];
        if (at < 0 || at >= width || (column[at] && column[at] != what)) return false;
        column[at] = what;
        int32_t i = c->rank - 1;
        for (; i >= 0; i--) {
            if (c->stride[i] != 0 && ++index[i] < c->size[i]) break;
            index[i] = 0;
        }
        if (i < 0) return true;
    }
}

/* Readers still to follow, with the columns of what they read. A stack of their own, as graphs can be deep. */
typedef struct readers {
    struct reader {
        vj_value of;
        columns columns;
    } *at;
    int32_t count, capacity;
} readers;

/* Follows one use through a movement op, or marks what it takes. Readers that are not movement ops take whole values. */
static bool mark_use(const vj_func *f, const vj_use *use, const columns *c, int32_t attention, uint8_t *column,
                     int64_t width, vj_arena *scratch, readers *left) {
    if (use->operand < 0) return false; /* an output */
    const vj_node *node = &f->nodes[use->user];
    if (node->op != VJ_OP_reshape && node->op != VJ_OP_transpose && node->op != VJ_OP_slice)
        return mark(c, column, width, use->user == attention && use->operand == 0 ? 1 : 2);
    columns next = *c;
    if (!follow(f, node, &next)) return false;
    *VJ_PUSH(scratch, left->at, left->count, left->capacity) = (struct reader){node->first_result, next};
    return true;
}

/* Follows every reader of v. */
static bool mark_readers(const vj_func *f, vj_value v, const columns *c, int32_t attention, uint8_t *column,
                         int64_t width) {
    vj_arena *scratch = vj_arena_scratch(f->arena);
    readers left = {0};
    bool fits = true;
    *VJ_PUSH(scratch, left.at, left.count, left.capacity) = (struct reader){v, *c};
    while (fits && left.count > 0) {
        const struct reader r = left.at[--left.count];
        for (int32_t u = f->values[r.of].first_use; u >= 0 && fits; u = f->uses[u].next)
            fits = mark_use(f, &f->uses[u], &r.columns, attention, column, width, scratch, &left);
    }
    vj_arena_free(scratch);
    return fits;
}

static bool is_power_of_two(double x) {
    int exponent;
    return x > 0x1p-30 && x < 0x1p30 && frexp(x, &exponent) == 0.5;
}

static void scale_queries(vj_pass_context *c, int32_t n) {
    vj_func *f = c->f;
    double scale = vj_attr_float(&f->nodes[n], VJ_ATTR_SCALE, 1);
    vj_value product = vj_source_of_head(f, f->nodes[n].args[0]);
    if (scale == 1 || !is_power_of_two(scale) || vj_op_of(f, product) != VJ_OP_linear) return;
    vj_node linear = *vj_producer(f, product);
    vj_value w = linear.args[1], bias = linear.arg_count > 2 ? linear.args[2] : VJ_NONE;
    if (!vj_is_weight(f, w) || (bias >= 0 && !vj_is_weight(f, bias))) return;
    const vj_type *type = vj_type_at(f, product);
    int64_t width = vj_last_dim(type).c;
    columns all = {.rank = type->rank};
    for (int32_t i = 0; i < type->rank; i++)
        all.size[i] = type->dims[i].c;
    all.stride[type->rank - 1] = 1;
    uint8_t *column = VJ_NEW_ARRAY(c->arena, uint8_t, width);
    if (!mark_readers(f, product, &all, n, column, width)) return;
    double *factors = VJ_NEW_ARRAY(c->arena, double, width);
    for (int64_t i = 0; i < width; i++)
        factors[i] = column[i] == 1 ? scale : 1;
    vj_value vector = vj_add_const_f64(f, VJ_F32, 1, &width, factors);
    if (!vj_may_scale(f, w, vector, 1) || !vj_may_rewrite(c, "scale_of_queries", &f->nodes[n])) return;
    w = vj_scale_weight(f, w, vector, 1, linear.origin);
    if (bias >= 0) bias = vj_make_binary(f, VJ_OP_mul, bias, vector, linear.origin);
    vj_value made =
        vj_make(f, VJ_OP_linear, (vj_value[]){linear.args[0], w, bias}, bias < 0 ? 2 : 3, NULL, 0, linear.origin);
    f->values[made].name = f->values[product].name;
    vj_replace_uses(f, product, made);
    vj_node attention = f->nodes[n];
    vj_attr attrs[2] = {vj_float(VJ_ATTR_SCALE, 1)};
    const vj_attr *value = vj_attr_find(&attention, VJ_ATTR_VALUE);
    if (value) attrs[1] = *value;
    vj_value again =
        vj_make(f, VJ_OP_attention, attention.args, attention.arg_count, attrs, value ? 2 : 1, attention.origin);
    f->values[again].name = f->values[attention.first_result].name;
    vj_replace_uses(f, attention.first_result, again);
    vj_kill(f, n);
}

void vj_fold_attention_scales(vj_pass_context *c) {
    vj_compact(c->f);
    int32_t end = c->f->node_count;
    for (int32_t n = 0; n < end; n++)
        if (c->f->nodes[n].op == VJ_OP_attention && vj_type_at(c->f, c->f->nodes[n].first_result)->dtype == VJ_F32)
            scale_queries(c, n);
}
