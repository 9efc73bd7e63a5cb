/* SPDX-License-Identifier: Apache-2.0 */
/* loss.c - builders of the losses that exporters leave at the end of trained networks: the negative log likelihood of
 * given classes, and the same after a softmax. */
#include "frontend/import/import.h"

#include <string.h>

static const vj_type *type_of(vj_importer *im, vj_value v) { return vj_type_at(im->f, v); }

/* x [N, C, D...] and the classes of its pixels [N, D...]. */
typedef struct pixels {
    vj_value x, classes;
    vj_value skip; /* bool [N, 1, D...]: the pixels that do not count; VJ_NONE when all do */
    vj_type one;   /* [N, 1, D...] */
} pixels;

static bool read_pixels(vj_importer *im, vj_value x, pixels *p) {
    vj_value classes = vj_operand_value(im, 1);
    if (!vj_going(im)) return false;
    const vj_type t = *type_of(im, x), c = *type_of(im, classes);
    bool fits = t.rank >= 2 && c.rank == t.rank - 1 && vj_dtype_is_int(c.dtype) && vj_dtype_is_float(t.dtype);
    for (int32_t d = 0; fits && d < c.rank; d++)
        fits = vj_dim_equal(c.dims[d], t.dims[d ? d + 1 : 0]);
    if (!fits) return vj_stop(im, VJ_BAD_INPUT, "its classes do not fit its scores");
    if (t.dims[1].sym) return vj_stop(im, VJ_UNSUPPORTED, "its classes are the batch");
    *p = (pixels){.x = x, .skip = VJ_NONE, .one = t};
    p->one.dims[1] = vj_dim_const(1);
    p->classes = vj_emit_reshape(im, classes, p->one.dims, t.rank);
    if (!vj_find_attribute(im, "ignore_index")) return vj_going(im);
    vj_value ignored = vj_emit_number(im, c.dtype, (double)vj_int_attribute(im, "ignore_index", 0));
    p->skip = vj_emit2(im, VJ_OP_eq, p->classes, ignored);
    p->classes = vj_emit3(im, VJ_OP_select, p->skip, vj_emit_number(im, c.dtype, 0), p->classes);
    return vj_going(im);
}

static vj_value of_class(vj_importer *im, const pixels *p, vj_value from) {
    const vj_attr attr = vj_int(VJ_ATTR_AXIS, 1);
    return vj_emit(im, VJ_OP_gather_elements, (vj_value[]){from, p->classes}, 2, &attr, 1);
}

/* The weight of each pixel's class, [N, 1, D...], which is 0 for pixels that do not count. */
static vj_value weights_of(vj_importer *im, const pixels *p) {
    const vj_dtype dtype = p->one.dtype;
    vj_value w = vj_emit_number(im, dtype, 1), zero = vj_emit_number(im, dtype, 0);
    if (vj_has_operand(im, 2)) {
        vj_type all = *type_of(im, p->x);
        w = vj_emit_broadcast(im, vj_emit_column(im, vj_operand_value(im, 2), 1, all.rank), all.dims, all.rank);
        w = of_class(im, p, w);
    }
    return p->skip < 0 ? w : vj_emit3(im, VJ_OP_select, p->skip, zero, w);
}

static bool reduced(vj_importer *im, const pixels *p, vj_value loss, vj_value weights) {
    const char *how = vj_text_attribute(im, "reduction", "mean");
    const bool is_sum = strcmp(how, "sum") == 0, none = strcmp(how, "none") == 0;
    if (!vj_going(im)) return false;
    if (none) {
        vj_dim dims[VJ_MAX_RANK] = {p->one.dims[0]};
        memcpy(dims + 1, p->one.dims + 2, (size_t)(p->one.rank - 2) * sizeof *dims);
        return vj_bind(im, 0, vj_emit_reshape(im, loss, dims, p->one.rank - 1));
    }
    if (!is_sum && strcmp(how, "mean") != 0) return vj_stop(im, VJ_BAD_INPUT, "reduction is '%.20s'", how);
    int32_t axes[VJ_MAX_RANK];
    for (int32_t d = 0; d < p->one.rank; d++) {
        axes[d] = d;
        if (!vj_closed_axis(im, p->one.dims[d])) return false;
    }
    vj_value sum = vj_emit_reduce(im, "sum", loss, axes, p->one.rank, false);
    if (is_sum) return vj_bind(im, 0, sum);
    weights = vj_emit_broadcast(im, weights, p->one.dims, p->one.rank);
    return vj_bind(im, 0, vj_emit2(im, VJ_OP_div, sum, vj_emit_reduce(im, "sum", weights, axes, p->one.rank, false)));
}

static bool likelihood(vj_importer *im, vj_value log_probabilities) {
    pixels p;
    if (!read_pixels(im, log_probabilities, &p)) return false;
    vj_value w = weights_of(im, &p), loss = vj_emit1(im, VJ_OP_neg, of_class(im, &p, p.x));
    loss = vj_emit2(im, VJ_OP_mul, loss, w);
    /* the loss of a pixel that does not count is 0 even where its score is infinite */
    if (p.skip >= 0) loss = vj_emit3(im, VJ_OP_select, p.skip, vj_emit_number(im, p.one.dtype, 0), loss);
    return reduced(im, &p, loss, w);
}

bool vj_build_nll_loss(vj_importer *im) { return likelihood(im, vj_operand_value(im, 0)); }

bool vj_build_softmax_loss(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0);
    if (!vj_going(im)) return false;
    if (type_of(im, x)->rank < 2) return vj_stop(im, VJ_BAD_INPUT, "needs [N, C, ...]");
    vj_value log = vj_emit_log_softmax(im, x, 1);
    return likelihood(im, log) && vj_bind(im, 1, log);
}
