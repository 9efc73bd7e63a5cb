/* SPDX-License-Identifier: Apache-2.0 */
/* movement.c - evaluates ops that move elements and compute nothing. */
#include "eval.h"

#include <string.h>

/* Copies the result's elements in order from the source's, whose offsets are base + index . stride. */
static bool copy_strided(vj_eval_context *c, int64_t base, const int64_t *stride) {
    const vj_tensor *x = c->args[0];
    vj_tensor *y = c->results[0];
    vj_walk w = vj_walk_over(y);
    vj_walk_strided(&w, base, stride);
    for (int64_t i = 0; !w.done; vj_walk_next(&w))
        for (int64_t j = 0; j < w.inner; j++, i++) {
            if (y->f)
                y->f[i] = x->f[w.at[0] + j * w.step[0]];
            else
                y->i[i] = x->i[w.at[0] + j * w.step[0]];
        }
    return true;
}

static void copy_block(vj_tensor *to, int64_t to_at, const vj_tensor *from, int64_t from_at, int64_t count) {
    if (count == 0) return;
    if (to->f)
        memcpy(to->f + to_at, from->f + from_at, (size_t)count * sizeof *to->f);
    else
        memcpy(to->i + to_at, from->i + from_at, (size_t)count * sizeof *to->i);
}

bool vj_eval_reshape(vj_eval_context *c) {
    copy_block(c->results[0], 0, c->args[0], 0, c->args[0]->count);
    return true;
}

bool vj_eval_transpose(vj_eval_context *c) {
    const vj_tensor *x = c->args[0];
    const int64_t *perm = vj_attr_find(c->node, VJ_ATTR_PERM)->as.ints;
    int64_t dense[VJ_MAX_RANK], stride[VJ_MAX_RANK];
    vj_dense_strides(x, dense);
    for (int32_t i = 0; i < x->type.rank; i++)
        stride[i] = dense[perm[i]];
    return copy_strided(c, 0, stride);
}

bool vj_eval_slice(vj_eval_context *c) {
    const vj_tensor *x = c->args[0];
    const int64_t *starts = vj_attr_find(c->node, VJ_ATTR_STARTS)->as.ints;
    const int64_t *steps = vj_attr_find(c->node, VJ_ATTR_STEPS)->as.ints;
    int64_t dense[VJ_MAX_RANK], stride[VJ_MAX_RANK], base = 0;
    vj_dense_strides(x, dense);
    for (int32_t i = 0; i < x->type.rank; i++) {
        base += starts[i] * dense[i];
        stride[i] = steps[i] * dense[i];
    }
    return copy_strided(c, base, stride);
}

bool vj_eval_broadcast(vj_eval_context *c) {
    vj_walk w = vj_walk_over(c->results[0]);
    vj_walk_broadcast(&w, c->args[0]);
    return copy_strided(c, 0, w.stride[0]);
}

/* The index in an axis of `size` that index `at` of the padded axis copies, or -1 for none. */
static int64_t padded_source(const char *mode, int64_t at, int64_t size) {
    if (at >= 0 && at < size) return at;
    if (mode[0] == 'c' || size == 0) return -1;
    if (mode[0] == 'e') return at < 0 ? 0 : size - 1;
    const int64_t period = mode[0] == 'w' ? size : size == 1 ? 1 : 2 * (size - 1); /* reflect repeats no edge */
    at = (at % period + period) % period;
    return at < size ? at : period - at;
}

/* A table for each axis: the element offset in x of each index of the result, or -1. */
static int64_t **pad_tables(vj_eval_context *c) {
    const vj_tensor *x = c->args[0], *y = c->results[0];
    const char *mode = vj_attr_name(c->node, VJ_ATTR_MODE, "constant");
    const int64_t *low = vj_attr_find(c->node, VJ_ATTR_LOW)->as.ints;
    int64_t dense[VJ_MAX_RANK];
    vj_dense_strides(x, dense);
    int64_t **table = VJ_NEW_ARRAY(c->arena, int64_t *, VJ_MAX_RANK);
    for (int32_t a = 0; a < y->type.rank; a++) {
        table[a] = VJ_NEW_ARRAY(c->arena, int64_t, vj_tensor_dim(y, a) + 1);
        for (int64_t i = 0; i < vj_tensor_dim(y, a); i++) {
            const int64_t from = padded_source(mode, i - low[a], vj_tensor_dim(x, a));
            table[a][i] = from < 0 ? -1 : from * dense[a];
        }
    }
    return table;
}

bool vj_eval_pad(vj_eval_context *c) {
    const vj_tensor *x = c->args[0];
    vj_tensor *y = c->results[0];
    const double value = vj_attr_float(c->node, VJ_ATTR_VALUE, 0);
    int64_t **table = pad_tables(c);
    const int32_t last = y->type.rank - 1;
    vj_walk w = vj_walk_over(y);
    for (int64_t i = 0; !w.done; vj_walk_next(&w)) {
        int64_t row = 0;
        bool inside = true;
        for (int32_t a = 0; a < last; a++) {
            inside &= table[a][w.index[a]] >= 0;
            row += table[a][w.index[a]];
        }
        for (int64_t j = 0; j < w.inner; j++, i++) {
            const int64_t from = last < 0 ? 0 : table[last][j];
            const bool read = inside && from >= 0;
            if (y->f)
                y->f[i] = read ? x->f[row + from] : value;
            else
                y->i[i] = read ? x->i[row + from] : vj_float_to_int(y->type.dtype, value);
        }
    }
    return true;
}

static int32_t axis_of(const vj_node *node, int32_t rank) {
    const int64_t axis = vj_attr_int(node, VJ_ATTR_AXIS, 0);
    return (int32_t)(axis < 0 ? axis + rank : axis);
}

bool vj_eval_concat(vj_eval_context *c) {
    vj_tensor *y = c->results[0];
    const int32_t axis = axis_of(c->node, y->type.rank);
    const int64_t outer = vj_tensor_extent(y, 0, axis), y_row = vj_tensor_extent(y, axis, y->type.rank);
    int64_t column = 0;
    for (int32_t a = 0; a < c->node->arg_count; a++) {
        const vj_tensor *x = c->args[a];
        const int64_t row = vj_tensor_extent(x, axis, x->type.rank);
        for (int64_t o = 0; o < outer; o++)
            copy_block(y, o * y_row + column, x, o * row, row);
        column += row;
    }
    return true;
}

static bool has_elements(vj_eval_context *c, int64_t size) {
    if (size > 0 || c->results[0]->count == 0) return true;
    vj_fail(c->error, VJ_BAD_INPUT, "%s: takes elements of an empty axis", vj_op_table(c->node->op)->name);
    return false;
}

bool vj_eval_gather_elements(vj_eval_context *c) {
    const vj_tensor *x = c->args[0], *index = c->args[1];
    const int32_t axis = axis_of(c->node, x->type.rank);
    const int64_t size = vj_tensor_dim(x, axis), inner = vj_tensor_extent(x, axis + 1, x->type.rank);
    const int64_t count = vj_tensor_dim(index, axis) * inner; /* for one outer index */
    if (!has_elements(c, size)) return false;
    for (int64_t i = 0; i < index->count; i++)
        copy_block(c->results[0], i, x, (i / count * size + vj_index_from_front(index->i[i], size)) * inner + i % inner,
                   1);
    return true;
}

bool vj_eval_gather(vj_eval_context *c) {
    const vj_tensor *x = c->args[0], *index = c->args[1];
    const int32_t axis = axis_of(c->node, x->type.rank);
    const int64_t outer = vj_tensor_extent(x, 0, axis), size = vj_tensor_dim(x, axis);
    const int64_t inner = vj_tensor_extent(x, axis + 1, x->type.rank);
    if (!has_elements(c, size)) return false;
    for (int64_t i = 0; i < index->count; i++)
        for (int64_t o = 0; o < outer; o++)
            copy_block(c->results[0], (o * index->count + i) * inner, x,
                       (o * size + vj_index_from_front(index->i[i], size)) * inner, inner);
    return true;
}
