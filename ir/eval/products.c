/* SPDX-License-Identifier: Apache-2.0 */
/* products.c - evaluates matmul, linear and attention for floats, and matmul for integers too. Inner loops run along
 * rows of the right operand, so that whole models evaluate in seconds. */
#include "eval.h"
#include "ir/tensor/grids.h"

#include <string.h>

/* y [m, n] += a [m, k] b [k, n] */
static void multiply(const double *a, const double *b, double *y, int64_t m, int64_t k, int64_t n) {
    for (int64_t i = 0; i < m; i++)
        for (int64_t l = 0; l < k; l++) {
            const double factor = a[i * k + l];
            const double *row = b + l * n;
            double *to = y + i * n;
            for (int64_t j = 0; j < n; j++)
                to[j] += factor * row[j];
        }
}

static void multiply_int(const int64_t *a, const int64_t *b, int64_t *y, int64_t m, int64_t k, int64_t n) {
    for (int64_t i = 0; i < m; i++)
        for (int64_t l = 0; l < k; l++)
            for (int64_t j = 0; j < n; j++)
                y[i * n + j] = (int64_t)((uint64_t)y[i * n + j] + (uint64_t)a[i * k + l] * (uint64_t)b[l * n + j]);
}

/* The number of operand t's matrix for the index `batch` of the result's leading dims, broadcast by numpy's rules. */
static int64_t matrix_of(const vj_tensor *t, const int64_t *batch, int32_t batch_rank) {
    const int32_t leading = t->type.rank - 2;
    int64_t at = 0;
    for (int32_t i = 0; i < leading; i++) {
        const int64_t dim = t->type.dims[i].c;
        at = at * dim + (dim == 1 ? 0 : batch[batch_rank - leading + i]);
    }
    return at;
}

static bool next_batch(int64_t *batch, const int64_t *dims, int32_t rank) {
    for (int32_t i = rank - 1; i >= 0; i--) {
        if (++batch[i] < dims[i]) return true;
        batch[i] = 0;
    }
    return false;
}

/* A vector becomes a matrix of one row (left) or one column (right); the result lacks that dim. */
static vj_tensor as_matrix(const vj_tensor *t, bool left) {
    vj_tensor m = *t;
    if (t->type.rank != 1) return m;
    m.type.rank = 2;
    m.type.dims[left ? 0 : 1] = vj_dim_const(1);
    m.type.dims[left ? 1 : 0] = t->type.dims[0];
    return m;
}

bool vj_eval_matmul(vj_eval_context *c) {
    const vj_tensor a = as_matrix(c->args[0], true), b = as_matrix(c->args[1], false);
    vj_tensor *y = c->results[0];
    const int64_t m = vj_tensor_dim(&a, a.type.rank - 2), k = vj_tensor_dim(&a, a.type.rank - 1);
    const int64_t n = vj_tensor_dim(&b, b.type.rank - 1);
    const int32_t batch_rank = (a.type.rank > b.type.rank ? a.type.rank : b.type.rank) - 2;
    int64_t batch[VJ_MAX_RANK] = {0}, dims[VJ_MAX_RANK];
    for (int32_t i = 0; i < batch_rank; i++)
        dims[i] = vj_tensor_dim(y, i);
    if (y->count == 0) return true;
    int64_t at = 0;
    do {
        const int64_t a_at = matrix_of(&a, batch, batch_rank) * m * k, b_at = matrix_of(&b, batch, batch_rank) * k * n;
        if (y->f)
            multiply(a.f + a_at, b.f + b_at, y->f + at, m, k, n);
        else
            multiply_int(a.i + a_at, b.i + b_at, y->i + at, m, k, n);
        at += m * n;
    } while (next_batch(batch, dims, batch_rank));
    for (int64_t i = 0; y->i && i < y->count; i++)
        y->i[i] = vj_wrap(y->type.dtype, y->i[i]);
    return true;
}

bool vj_eval_linear(vj_eval_context *c) {
    const vj_tensor *x = c->args[0], *w = c->args[1], *bias = vj_arg(c, 2);
    vj_tensor *y = c->results[0];
    const int64_t k = vj_tensor_dim(w, 0), n = vj_tensor_dim(w, 1), m = vj_tensor_extent(x, 0, x->type.rank - 1);
    for (int64_t i = 0; bias && i < m; i++)
        memcpy(y->f + i * n, bias->f, (size_t)n * sizeof *y->f);
    multiply(x->f, w->f, y->f, m, k, n);
    return true;
}

typedef struct attended {
    const vj_tensor *bias, *keep, *addend[VJ_MOST_GRIDS];
    int32_t mask, first_addend; /* the mask's and the first addend's operand numbers in the walk */
    double scale, value;
    int64_t keys, d, e;
    int32_t grids; /* 0: nothing is rounded; else the last one is of weights */
    vj_grid grid[VJ_MOST_GRIDS];
} attended;

/* Reads the grids, and adds the operands that are broadcast to the scores to the walk. */
static void take_operands(const vj_eval_context *c, attended *a, vj_walk *w) {
    const vj_tensor *grids = vj_arg(c, VJ_GRIDS_OPERAND);
    a->grids = grids ? (int32_t)vj_tensor_dim(grids, 0) : 0;
    if (a->bias) vj_walk_broadcast(w, a->bias);
    a->mask = w->operands;
    if (a->keep) vj_walk_broadcast(w, a->keep);
    a->first_addend = w->operands;
    for (int32_t i = 0; i < a->grids; i++) {
        a->grid[i] = vj_grid_of(grids->f + i * VJ_GRID_NUMBERS);
        a->addend[i] = vj_arg(c, VJ_FIRST_ADDEND + i);
        if (a->addend[i]) vj_walk_broadcast(w, a->addend[i]);
    }
}

static double on_grids(const attended *a, const vj_walk *w, int64_t j, double score) {
    int32_t addend = a->first_addend;
    for (int32_t i = 0; i + 1 < a->grids; i++) {
        score = vj_on_grid(&a->grid[i], score);
        if (!a->addend[i]) continue;
        score += a->addend[i]->f[w->at[addend] + j * w->step[addend]];
        addend++;
    }
    return score;
}

/* Computes one query: scores, attention weights, and the weighted sum of v's rows. */
static void attend(const attended *a, const vj_walk *w, const double *q, const double *k, const double *v,
                   double *scores, double *y) {
    for (int64_t j = 0; j < a->keys; j++) {
        double dot = 0;
        for (int64_t l = 0; l < a->d; l++)
            dot += q[l] * k[j * a->d + l];
        scores[j] = dot * a->scale;
        if (a->bias) scores[j] += a->bias->f[w->at[0] + j * w->step[0]];
        if (a->keep && !a->keep->i[w->at[a->mask] + j * w->step[a->mask]]) scores[j] = a->value;
        scores[j] = on_grids(a, w, j, scores[j]);
    }
    vj_softmax_row(scores, a->keys, 1);
    for (int64_t j = 0; j < a->keys && a->grids > 0; j++)
        scores[j] = vj_on_grid(&a->grid[a->grids - 1], scores[j]);
    multiply(scores, v, y, 1, a->keys, a->e);
}

bool vj_eval_attention(vj_eval_context *c) {
    const vj_tensor *q = c->args[0], *k = c->args[1], *v = c->args[2];
    vj_tensor *y = c->results[0];
    const int32_t rank = y->type.rank;
    attended a = {.bias = vj_arg(c, 3),
                  .keep = vj_arg(c, 4),
                  .scale = vj_attr_float(c->node, VJ_ATTR_SCALE, 1),
                  .value = vj_attr_float(c->node, VJ_ATTR_VALUE, 0),
                  .keys = vj_tensor_dim(k, k->type.rank - 2),
                  .d = vj_tensor_dim(k, k->type.rank - 1),
                  .e = vj_tensor_dim(y, rank - 1)};
    const int64_t queries = vj_tensor_dim(y, rank - 2);
    double *scores = VJ_NEW_ARRAY(c->arena, double, a.keys + 1);
    vj_tensor space = *y; /* [.., I, J], to which bias and mask are broadcast */
    space.type.dims[rank - 1] = vj_dim_const(a.keys);
    space.count = vj_tensor_extent(&space, 0, rank);
    if (y->count == 0 || a.keys == 0) return true;
    vj_walk w = vj_walk_over(&space);
    take_operands(c, &a, &w);
    for (double *to = y->f; !w.done; vj_walk_next(&w), to += a.e)
        attend(&a, &w, q->f + (matrix_of(q, w.index, rank - 2) * queries + w.index[rank - 2]) * a.d,
               k->f + matrix_of(k, w.index, rank - 2) * a.keys * a.d,
               v->f + matrix_of(v, w.index, rank - 2) * a.keys * a.e, scores, to);
    return true;
}
