/* SPDX-License-Identifier: Apache-2.0 */
/* quantised.c - products whose factors are dequantised bytes, (q - zero) * scale, multiply the bytes: u8 by i8, the weight, with
 * sums in i32. With columns n of the weight and c[n] the sum over one of q - zero,
 *
 *     sum (a - za) (w - zw[n])  =  sum a w  -  za c[n]  -  zw[n] sum a
 *
 * which is exact. Only constants and the last sum, over a row of activations, stand behind the product, and that one only where the
 * weight's differences to its zero points do not fit into i8. A product of floats is then scaled, once, by the product of both
 * scales, and its bias is added.
 *
 * Of two activations the differences are multiplied in f32 where a bound shows that this is exact: there the search for
 * attention goes on. */
#include "quantised.h"

#include <math.h>
#include <string.h>

/* Whole numbers are exact in f32 up to this. */
#define EXACT 0x1p24

typedef struct product {
    vj_pass_context *c;
    vj_func *f;
    vj_node node;
    vj_quantised a, b; /* its factors */
    bool of_floats;
    vj_byte_weight w; /* of b */
    bool is_turned;   /* the weight stood on the left: (w a) is (aT wT)T */
    const char *reason;
} product;

static bool stop(product *p, const char *reason) {
    p->reason = reason;
    return false;
}

static vj_value binary(const product *p, vj_op op, vj_value a, vj_value b) {
    return vj_make_binary(p->f, op, a, b, p->node.origin);
}

/* a * b, where VJ_NONE is 1. */
static vj_value times(const product *p, vj_value a, vj_value b) {
    return a < 0 ? b : b < 0 ? a : binary(p, VJ_OP_mul, a, b);
}

static bool is_conv(const product *p) { return p->node.op == VJ_OP_conv; }

/* Values one a column, as they are added to the result: by the last axis, of a convolution by the second. */
static vj_value beside_result(const product *p, vj_value v) {
    vj_dim dims[VJ_MAX_RANK];
    const int32_t rank = vj_type_at(p->f, p->node.first_result)->rank - 1;
    if (!is_conv(p) || vj_type_at(p->f, v)->rank == 0) return v;
    dims[0] = vj_type_at(p->f, v)->dims[0];
    for (int32_t i = 1; i < rank; i++)
        dims[i] = vj_dim_const(1);
    return vj_make_reshape(p->f, v, rank, dims, p->node.origin);
}

/* factor * x[column] as i32; VJ_NONE: all are 0. */
static vj_value by_column(const product *p, const int64_t *x, int64_t factor) {
    vj_arena *scratch = vj_arena_scratch(p->f->arena);
    int64_t *at = VJ_NEW_ARRAY(scratch, int64_t, p->w.columns);
    bool any = false, differ = false;
    for (int64_t i = 0; i < p->w.columns; i++) {
        at[i] = vj_wrap(VJ_I32, factor * x[i]);
        any = any || at[i] != 0;
        differ = differ || at[i] != at[0];
    }
    const vj_value v = any ? vj_add_const_i64(p->f, VJ_I32, differ, &p->w.columns, at) : VJ_NONE;
    vj_arena_free(scratch);
    return v;
}

static bool number_of(vj_func *f, vj_value v, int64_t *number) {
    vj_arena *scratch = vj_arena_scratch(f->arena);
    const vj_tensor *t = vj_known_elements(f, v, scratch);
    if (t) *number = t->i[0];
    vj_arena_free(scratch);
    return t != NULL;
}

/* The sums over the rows of a. */
static vj_value row_sums(const product *p, vj_value a, const vj_attr *attrs, int32_t attr_count) {
    if (is_conv(p)) return vj_window_sums(p->f, a, p->w.q, attrs, attr_count, p->node.origin);
    const int64_t last = vj_type_at(p->f, a)->rank - 1;
    const vj_attr over[] = {vj_ints(VJ_ATTR_AXES, &last, 1), vj_int(VJ_ATTR_KEEP, 1), vj_name(VJ_ATTR_KIND, "sum")};
    a = vj_make_cast(p->f, a, VJ_I32, p->node.origin);
    return vj_make(p->f, VJ_OP_reduce, &a, 1, over, 3, p->node.origin);
}

/* sum (a - za) (w - zw) as i32; VJ_NONE: see the reason. */
static vj_value whole_product(product *p) {
    vj_attr attrs[8];
    int64_t zero = 0;
    const int32_t attr_count = p->node.attr_count;
    if (attr_count > 8) return VJ_NONE;
    memcpy(attrs, p->node.attrs, (size_t)attr_count * sizeof *attrs);
    vj_value a = p->a.q;
    if (is_conv(p) && (a = vj_pad_bytes(p->f, a, p->a.zero, attrs, attr_count, p->node.origin)) < 0) {
        stop(p, "its padding is beyond the bytes");
        return VJ_NONE;
    }
    const bool is_known = p->a.zero < 0 || number_of(p->f, p->a.zero, &zero);
    vj_value shift = by_column(p, p->w.sums, is_known ? -zero : 1);
    vj_value y = vj_make(p->f, is_conv(p) ? VJ_OP_conv : VJ_OP_matmul, (vj_value[]){a, p->w.q}, 2, attrs, attr_count,
                         p->node.origin);
    if (!is_known && shift >= 0)
        y = binary(p, VJ_OP_sub, y, binary(p, VJ_OP_mul, p->a.zero, beside_result(p, shift)));
    else if (is_known && shift >= 0)
        y = binary(p, VJ_OP_add, y, beside_result(p, shift));
    if (!p->w.zero) return y;
    const vj_value factor = beside_result(p, by_column(p, p->w.zero, 1));
    return binary(p, VJ_OP_sub, y, binary(p, VJ_OP_mul, row_sums(p, a, attrs, attr_count), factor));
}

static vj_value finished(const product *p, vj_value whole) {
    if (p->is_turned) whole = vj_swap_last(p->f, whole);
    if (!p->of_floats) return whole;
    vj_value scale = p->w.scale < 0 ? p->w.scale : beside_result(p, p->w.scale);
    if (p->is_turned && scale >= 0 && vj_type_at(p->f, scale)->rank > 0) {
        const vj_dim dims[] = {vj_type_at(p->f, scale)->dims[0], vj_dim_const(1)};
        scale = vj_make_reshape(p->f, scale, 2, dims, p->node.origin);
    }
    vj_value y = times(p, vj_make_cast(p->f, whole, VJ_F32, p->node.origin), times(p, p->a.scale, scale));
    const vj_value bias = p->node.arg_count > 2 ? p->node.args[2] : VJ_NONE;
    return bias < 0 ? y : binary(p, VJ_OP_add, y, beside_result(p, bias));
}

/* The weight as the right factor, one matrix. */
static bool take_weight(product *p) {
    vj_func *f = p->f;
    if (p->a.is_constant) {
        if (is_conv(p)) return stop(p, "its picture is a constant");
        const vj_quantised w = p->a;
        p->a = p->b;
        p->b = w;
        p->is_turned = true;
    }
    if (is_conv(p)) return true;
    if (vj_type_at(f, p->a.q)->rank < (p->is_turned ? 2 : 1) || vj_type_at(f, p->b.q)->rank < 2)
        return stop(p, "one of its factors is a vector");
    if (vj_type_at(f, p->b.q)->rank > 2) return stop(p, "its weight is several matrices");
    if (!p->is_turned) return true;
    p->a.q = vj_swap_last(f, p->a.q);
    p->b.q = vj_swap_last(f, p->b.q);
    if (p->b.zero >= 0 && vj_type_at(f, p->b.zero)->rank > 0) p->b.zero = vj_swap_last(f, p->b.zero);
    if (p->b.scale >= 0 && vj_type_at(f, p->b.scale)->rank > 0) p->b.scale = vj_swap_last(f, p->b.scale);
    return true;
}

/* An activation has one zero point and one scale. */
static bool is_plain(product *p, const vj_quantised *x) {
    if (x->zero >= 0 && vj_type_at(p->f, x->zero)->rank > 0) return stop(p, "an activation has several zero points");
    if (x->scale >= 0 && vj_type_at(p->f, x->scale)->rank > 0) return stop(p, "an activation has several scales");
    return true;
}

static double largest_of(const vj_quantised *x) { return fmax(fabs(x->least), fabs(x->most)); }

/* By bytes; VJ_NONE: see the reason. */
static vj_value by_bytes(product *p) {
    if (!take_weight(p) || !is_plain(p, &p->a)) return VJ_NONE;
    const int32_t axis = is_conv(p) ? 0 : 1;
    if (!vj_read_byte_weight(p->c, &p->b, axis, &p->w)) {
        p->reason = p->b.reason;
        return VJ_NONE;
    }
    if (p->of_floats && (double)p->w.depth * largest_of(&p->a) * p->w.largest > INT32_MAX) {
        stop(p, "its sums may exceed 32 bits");
        return VJ_NONE;
    }
    const vj_value whole = whole_product(p);
    return whole < 0 ? VJ_NONE : finished(p, whole);
}

/* q - zero as f32 */
static vj_value difference(const product *p, const vj_quantised *x) {
    const vj_value q = vj_make_cast(p->f, x->q, VJ_F32, p->node.origin);
    return x->zero < 0 ? q : binary(p, VJ_OP_sub, q, vj_make_cast(p->f, x->zero, VJ_F32, p->node.origin));
}

/* Of two activations: in f32, where that is exact. */
static vj_value by_floats(product *p) {
    const vj_type *a = vj_type_at(p->f, p->a.q);
    if (is_conv(p)) {
        stop(p, "its weight is computed when it runs");
        return VJ_NONE;
    }
    if (!is_plain(p, &p->a) || !is_plain(p, &p->b)) return VJ_NONE;
    const vj_dim depth = vj_last_dim(a);
    if (depth.sym != VJ_SYM_NONE || (double)depth.c * largest_of(&p->a) * largest_of(&p->b) > EXACT) {
        stop(p, "both factors are computed, and sums of their bytes may exceed what is exact in f32");
        return VJ_NONE;
    }
    const vj_value y = binary(p, VJ_OP_matmul, difference(p, &p->a), difference(p, &p->b));
    return p->of_floats ? times(p, y, times(p, p->a.scale, p->b.scale)) : vj_make_cast(p->f, y, VJ_I32, p->node.origin);
}

/* Is it what by_floats makes? Then it is done. */
static bool is_exact_product(const product *p) { return p->of_floats && p->a.scale < 0 && p->b.scale < 0; }

static bool find_factors(product *p, bool is_multiplied) {
    const vj_value *args = p->node.args;
    p->reason = NULL;
    if (!vj_find_quantised(p->f, args[0], is_multiplied, &p->a)) return stop(p, p->a.reason);
    return vj_find_quantised(p->f, args[1], is_multiplied, &p->b) || stop(p, p->b.reason);
}

/* The product's value made anew, itself when it is done already; VJ_NONE: see the reason. */
static vj_value made_anew(product *p) {
    if (!find_factors(p, true)) return VJ_NONE;
    if (p->a.is_constant && p->b.is_constant) {
        stop(p, "both factors are constants");
        return VJ_NONE;
    }
    if (p->a.is_constant || p->b.is_constant) return by_bytes(p);
    if (is_exact_product(p)) return p->node.first_result;
    return find_factors(p, false) ? by_floats(p) : VJ_NONE;
}

/* Casts of y, whole numbers of i32 that come from f32, are those numbers again. */
static void skip_casts(vj_func *f, vj_value whole) {
    int32_t *users;
    if (vj_op_of(f, whole) != VJ_OP_cast) return;
    const int32_t count = vj_users(f, whole, f->arena, &users);
    for (int32_t u = 0; u < count; u++) {
        const vj_node *node = &f->nodes[users[u]];
        if (node->op == VJ_OP_cast && vj_type_at(f, node->first_result)->dtype == VJ_F32)
            vj_replace_uses(f, node->first_result, vj_operand(f, whole, 0));
    }
}

static bool is_byte_product(const vj_func *f, const vj_node *node) {
    return vj_type_at(f, node->args[0])->dtype == VJ_U8 && vj_type_at(f, node->args[1])->dtype == VJ_I8;
}

/* A filter of ones sums windows up (quantised_conv.c). */
static bool is_counted(const vj_func *f, const vj_node *node) {
    double one;
    return !vj_is_uniform(f, node->args[1], &one) || one != 1;
}

static void recognise(vj_pass_context *c, int32_t n) {
    vj_func *f = c->f;
    product p = {.c = c, .f = f, .node = f->nodes[n]};
    const vj_value old = p.node.first_result;
    const vj_dtype dtype = vj_type_at(f, old)->dtype;
    p.of_floats = dtype == VJ_F32;
    if (!p.of_floats && dtype != VJ_I32) return;
    const bool is_done = is_byte_product(f, &p.node);
    if (is_done ? !is_counted(f, &p.node)
                : !vj_comes_from_bytes(f, p.node.args[0]) || !vj_comes_from_bytes(f, p.node.args[1]))
        return;
    vj_report_seen(c->report, "quantised");
    const vj_value made = is_done ? old : made_anew(&p);
    if (c->error->status) return;
    const bool fits = made >= 0 && vj_type_equal(vj_type_at(f, made), vj_type_at(f, old));
    if (!fits) {
        vj_report_reason(c->report, "quantised", "node '%s': %s", vj_node_label(f, &p.node),
                         p.reason ? p.reason : "its factors do not fit together");
        return;
    }
    if (made != old) {
        if (!vj_may_rewrite(c, "bytes", &p.node)) return;
        if (!f->values[made].name) f->values[made].name = f->values[old].name;
        vj_replace_uses(f, old, made);
        vj_kill(f, n);
        if (!p.of_floats) skip_casts(f, made);
    }
    vj_report_fused(c->report, "quantised");
}

/* A model without such products has no such row. */
static void begin_report(vj_report *report) {
    for (int32_t i = 0; i < report->row_count; i++)
        if (strcmp(report->rows[i].what, "quantised") == 0)
            report->rows[i].seen = report->rows[i].fused = report->rows[i].reason_count = 0;
}

/* Bytes that are dequantised, moved and quantised in the same way are those bytes, moved. */
static void skip_quantising(vj_pass_context *c, int32_t n) {
    vj_func *f = c->f;
    const vj_node node = f->nodes[n];
    const vj_value made = vj_quantised_before(f, &node);
    if (made < 0 || !vj_may_rewrite(c, "quantised_again", &node)) return;
    vj_replace_uses(f, node.first_result, made);
    vj_kill(f, n);
}

static bool is_product(vj_op op) { return op == VJ_OP_linear || op == VJ_OP_matmul || op == VJ_OP_conv; }

vj_status vj_pass_quantised(vj_pass_context *c) {
    vj_func *f = c->f;
    const int64_t before = c->rewrites;
    int32_t end = f->node_count;
    for (int32_t n = 0; n < end; n++)
        if (!f->nodes[n].dead && f->nodes[n].op == VJ_OP_cast) skip_quantising(c, n);
    vj_compact(f);
    begin_report(c->report);
    end = f->node_count;
    for (int32_t n = 0; n < end && !c->error->status; n++)
        if (!f->nodes[n].dead && is_product(f->nodes[n].op)) recognise(c, n);
    vj_compact(f);
    return c->error->status || c->rewrites == before ? c->error->status : vj_pass_tidy(c);
}
