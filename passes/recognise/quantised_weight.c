/* SPDX-License-Identifier: Apache-2.0 */
/* quantised_weight.c - weights of products of bytes: their zero points and scales by output columns, the sums of the columns.
 * Where the differences to the zero points fit into i8 they are the weight, so that no sums of activations are wanted. */
#include "quantised.h"

#include <math.h>

enum { BLOCK = 4096 };

/* Is it a number, or one a column? Those have all dims of the factor. */
static bool is_by_column(const vj_func *f, vj_value v, int32_t axis) {
    const vj_type *type = vj_type_at(f, v);
    for (int32_t i = 0; i < type->rank; i++)
        if (i != axis && !vj_dim_equal(type->dims[i], vj_dim_const(1))) return false;
    return true;
}

static bool read_zero_points(vj_pass_context *c, vj_quantised *x, int32_t axis, vj_byte_weight *w) {
    vj_arena *scratch = vj_arena_scratch(c->arena);
    const vj_tensor *t = x->zero < 0 ? NULL : vj_known_elements(c->f, x->zero, scratch);
    if (x->zero >= 0 && !t)
        x->reason = "its weight's zero point is computed when it runs";
    else if (t && !is_by_column(c->f, x->zero, axis))
        x->reason = "its weight's zero points differ along a column";
    if (t && !x->reason) {
        int64_t *zero = VJ_NEW_ARRAY(c->arena, int64_t, w->columns + 1);
        bool any = false;
        for (int64_t i = 0; i < w->columns; i++) {
            zero[i] = t->i[t->count == 1 ? 0 : i];
            any = any || zero[i] != 0;
        }
        w->zero = any ? zero : NULL;
    }
    vj_arena_free(scratch);
    return !x->reason;
}

static bool read_scale(vj_func *f, vj_quantised *x, int32_t axis, vj_byte_weight *w) {
    w->scale = x->scale;
    if (x->scale < 0 || vj_type_at(f, x->scale)->rank == 0) return true;
    const vj_dim columns = vj_dim_const(w->columns);
    if (is_by_column(f, x->scale, axis))
        w->scale = vj_make_reshape(f, x->scale, 1, &columns, NULL);
    else
        x->reason = "its weight's scales differ along a column";
    return !x->reason;
}

/* Of each column of the bytes: the sum, the least and the largest. */
typedef struct columns {
    int64_t *sums, *least, *most;
} columns;

static bool sum_up(vj_pass_context *c, vj_value q, int32_t axis, columns *to) {
    const vj_type type = *vj_type_at(c->f, q);
    int64_t count, inner = 1;
    float block[BLOCK];
    if (!vj_type_elements(c->f, &type, &count)) return false;
    for (int32_t i = axis + 1; i < type.rank; i++)
        inner *= type.dims[i].c;
    vj_arena *scratch = vj_arena_scratch(c->arena);
    vj_weight_reader *reader = vj_weight_reader_new(scratch, c->f);
    bool good = true;
    for (int64_t at = 0; at < count && good; at += BLOCK) {
        const int64_t part = vj_min64(BLOCK, count - at);
        good = vj_weight_read(reader, q, at, part, block, c->error);
        for (int64_t i = 0; i < part && good; i++) {
            const int64_t column = (at + i) / inner % type.dims[axis].c, x = (int64_t)block[i];
            to->sums[column] += x;
            to->least[column] = vj_min64(to->least[column], x);
            to->most[column] = vj_max64(to->most[column], x);
        }
    }
    vj_arena_free(scratch);
    return good;
}

/* q less its zero points, which fit. */
static vj_value centred(vj_func *f, vj_value q, const vj_byte_weight *w, int32_t axis) {
    int64_t dims[VJ_MAX_RANK];
    const int32_t rank = vj_type_at(f, q)->rank;
    vj_arena *scratch = vj_arena_scratch(f->arena);
    double *zero = VJ_NEW_ARRAY(scratch, double, w->columns);
    for (int64_t i = 0; i < w->columns; i++)
        zero[i] = (double)w->zero[i];
    for (int32_t i = 0; i < rank; i++)
        dims[i] = i == axis ? w->columns : 1;
    const vj_value by = vj_add_const_f64(f, VJ_F32, rank, dims, zero);
    vj_arena_free(scratch);
    const vj_value wide = vj_make_cast(f, q, VJ_F32, NULL);
    return vj_make_cast(f, vj_make_binary(f, VJ_OP_sub, wide, by, NULL), VJ_I8, NULL);
}

bool vj_read_byte_weight(vj_pass_context *c, vj_quantised *x, int32_t axis, vj_byte_weight *w) {
    const vj_type type = *vj_type_at(c->f, x->q);
    int64_t count;
    *w = (vj_byte_weight){.q = x->q, .columns = type.dims[axis].c, .scale = VJ_NONE};
    if (!vj_type_elements(c->f, &type, &count) || count < 1) {
        x->reason = "its weight is empty";
        return false;
    }
    w->depth = count / w->columns;
    if (!read_zero_points(c, x, axis, w) || !read_scale(c->f, x, axis, w)) return false;
    columns all = {VJ_NEW_ARRAY(c->arena, int64_t, w->columns), VJ_NEW_ARRAY(c->arena, int64_t, w->columns),
                   VJ_NEW_ARRAY(c->arena, int64_t, w->columns)};
    for (int64_t i = 0; i < w->columns; i++) {
        all.least[i] = INT64_MAX;
        all.most[i] = INT64_MIN;
    }
    if (!sum_up(c, w->q, axis, &all)) return false;
    bool fits = true;
    for (int64_t i = 0; i < w->columns; i++) {
        const int64_t zero = w->zero ? w->zero[i] : 0, least = all.least[i] - zero, most = all.most[i] - zero;
        all.sums[i] -= w->depth * zero;
        fits = fits && least >= -128 && most <= 127;
        w->largest = fmax(w->largest, fmax(-(double)least, (double)most));
    }
    w->sums = all.sums;
    if (!w->zero || !fits) return true;
    w->q = centred(c->f, w->q, w, axis);
    w->zero = NULL;
    return true;
}
