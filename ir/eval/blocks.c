/* SPDX-License-Identifier: Apache-2.0 */
/* blocks.c - evaluates the ops that compute by blocks of the depth. */
#include "eval.h"
#include "ir/tensor/scalar.h"

#include <math.h>

/* The largest of a block, which is divided into steps. Where all are nearly 0 they become 0. */
static double largest_of(const double *x, int64_t count) {
    double largest = VJ_LEAST_OF_BLOCK;
    for (int64_t i = 0; i < count; i++)
        largest = isnan(x[i]) || fabs(x[i]) > largest ? fabs(x[i]) : largest; /* a NaN stays: nothing is larger */
    return largest;
}

static double steps_of(double x, double largest) { return nearbyint(x * (VJ_STEPS_OF_BLOCK / largest)); }

bool vj_eval_round_blocks(vj_eval_context *c) {
    const vj_tensor *x = c->args[0];
    const int64_t block = vj_attr_int(c->node, VJ_ATTR_BLOCK, 1), row = vj_tensor_dim(x, x->type.rank - 1);
    const int64_t rows = vj_tensor_extent(x, 0, x->type.rank - 1);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t k = 0; k < row; k += block) {
            const int64_t first = r * row + k, count = vj_min64(block, row - k);
            const double largest = largest_of(x->f + first, count);
            for (int64_t i = first; i < first + count; i++)
                c->results[0]->f[i] = steps_of(x->f[i], largest) * (largest / VJ_STEPS_OF_BLOCK);
        }
    return true;
}

bool vj_eval_byte_rows(vj_eval_context *c) {
    const vj_tensor *x = c->args[0];
    const int64_t count = vj_tensor_dim(x, x->type.rank - 1), rows = vj_tensor_extent(x, 0, x->type.rank - 1);
    for (int64_t r = 0; r < rows; r++) {
        const double largest = largest_of(x->f + r * count, count);
        for (int64_t i = r * count; i < (r + 1) * count; i++) {
            const double steps =
                steps_of(x->f[i], largest); /* NaN, beside what is not finite, becomes 0 as a cast makes it */
            c->results[0]->i[i] = isnan(steps) ? 0 : (int64_t)steps + VJ_ZERO_OF_BLOCK;
        }
        c->results[1]->f[r] = largest / VJ_STEPS_OF_BLOCK;
    }
    return true;
}

bool vj_eval_linear_blocks(vj_eval_context *c) {
    const vj_tensor *q = c->args[0], *size = c->args[1], *w = c->args[2];
    const int64_t block = vj_tensor_dim(q, q->type.rank - 1), groups = vj_tensor_dim(q, q->type.rank - 2);
    const int64_t rows = vj_tensor_extent(q, 0, q->type.rank - 2), k = vj_tensor_dim(w, 0), n = vj_tensor_dim(w, 1);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < k; i++) {
            const double step = size->f[r * groups + i / block];
            const double x = (double)(q->i[r * groups * block + i] - VJ_ZERO_OF_BLOCK) * step;
            for (int64_t j = 0; j < n; j++)
                c->results[0]->f[r * n + j] += x * w->f[i * n + j];
        }
    return true;
}
