/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_parse_body.c - reads kernels: axes, accesses, expressions. */
#include "kernel_parse.h"
#include "ir/routines/routines.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define MAX_DEPTH 200 /* expressions are not nested deeper: the reader recurses */

/* Accesses */

static bool comes_axis(vj_kernel_parser *r) {
    vj_skip_blanks(r);
    return r->at[0] == 'i' && isdigit((unsigned char)r->at[1]);
}

static int32_t take_axis(vj_kernel_parser *r) {
    vj_expect(r, "i");
    const int64_t axis = vj_take_int(r);
    if (axis >= 0 && axis < r->k->rank) return (int32_t)axis;
    vj_parse_fail(r, "an axis of the kernel");
    return 0;
}

static void take_affine(vj_kernel_parser *r, int64_t *coef, int64_t *constant, vj_access *terms);
static int32_t take_expr(vj_kernel_parser *r);

static void take_term(vj_kernel_parser *r, vj_access *access, vj_term_kind kind, int64_t stride) {
    if (!access || access->term_count == VJ_MAX_TERMS) {
        vj_parse_fail(r, "an axis");
        return;
    }
    vj_term *term = &access->terms[access->term_count++];
    *term = (vj_term){.kind = kind, .stride = stride};
    if (kind == VJ_TERM_INDEX)
        term->index = take_expr(r);
    else
        take_affine(r, term->coef, &term->constant, NULL);
    vj_expect(r, ",");
    term->extent = vj_take_int(r);
    vj_expect(r, ")");
}

/* Reads a sum of 3*i0, i1, 7, and with `terms` also of 5*guard(sum, extent), 5*mod(sum, extent) and 5*index(expression,
 * extent). */
static void take_affine(vj_kernel_parser *r, int64_t *coef, int64_t *constant, vj_access *terms) {
    int64_t sign = vj_accept(r, "-") ? -1 : 1;
    while (!r->failed) {
        int64_t factor = sign;
        bool product = false;
        if (!comes_axis(r)) {
            if (!vj_mul(sign, vj_take_int(r), &factor)) vj_parse_fail(r, "a smaller integer");
            product = vj_accept(r, "*");
        }
        if (product && vj_accept(r, "guard("))
            take_term(r, terms, VJ_TERM_GUARD, factor);
        else if (product && vj_accept(r, "mod("))
            take_term(r, terms, VJ_TERM_MOD, factor);
        else if (product && vj_accept(r, "index("))
            take_term(r, terms, VJ_TERM_INDEX, factor);
        else if (product || comes_axis(r))
            coef[take_axis(r)] += factor;
        else
            *constant += factor;
        if (vj_accept(r, "+"))
            sign = 1;
        else if (vj_accept(r, "-"))
            sign = -1;
        else
            return;
    }
}

static int32_t take_access(vj_kernel_parser *r) {
    vj_access access = {.buffer = vj_take_buffer(r)};
    if (!vj_accept_word(r, "packed")) {
        vj_expect(r, "[");
        take_affine(r, access.stride, &access.offset, &access);
        vj_expect(r, "]");
        if (vj_accept_word(r, "else")) access.otherwise = vj_take_number(r);
    }
    const int32_t number = r->failed ? 0 : vj_add_access(r->k, &access);
    if (number < 0) vj_parse_fail(r, "fewer accesses");
    return number;
}

/* Expressions */

/* Leaves are shared, as lowering shares them. */
static int32_t leaf(vj_kernel_parser *r, vj_expr e) {
    e.arg[0] = e.arg[1] = e.arg[2] = -1;
    for (int32_t i = 0; i < r->k->expr_count; i++) {
        const vj_expr *old = &r->k->expr[i];
        if (old->op == e.op && old->dtype == e.dtype && old->index == e.index &&
            memcmp(&old->imm, &e.imm, sizeof e.imm) == 0)
            return i;
    }
    if (e.op == VJ_X_CONST) return vj_x_const(r->arena, r->k, e.dtype, e.imm);
    if (e.op == VJ_X_LOAD) return vj_x_load(r->arena, r->k, e.dtype, e.index);
    return vj_x(r->arena, r->k, e.op, e.dtype, e.index, -1, -1);
}

static vj_dtype take_suffix(vj_kernel_parser *r) { return vj_accept(r, ":") ? vj_take_dtype(r) : VJ_F32; }

static int32_t take_function(vj_kernel_parser *r) {
    size_t length = 0;
    while (islower((unsigned char)r->at[length]) || r->at[length] == '_')
        length++;
    int32_t op = 0;
    while (op < VJ_X_COUNT && (vj_xop_args((vj_xop)op) == 0 || strlen(vj_xop_name((vj_xop)op)) != length ||
                               strncmp(vj_xop_name((vj_xop)op), r->at, length) != 0))
        op++;
    if (op == VJ_X_COUNT) {
        vj_parse_fail(r, "an expression");
        return 0;
    }
    r->at += length;
    const vj_dtype to = op == VJ_X_CAST ? take_suffix(r) : VJ_NO_DTYPE;
    int32_t arg[3] = {-1, -1, -1};
    for (int32_t i = 0; i < vj_xop_args((vj_xop)op); i++) {
        vj_expect(r, i == 0 ? "(" : ",");
        arg[i] = take_expr(r);
    }
    vj_expect(r, ")");
    if (r->failed) return 0;
    const vj_dtype own = r->k->expr[arg[op == VJ_X_SELECT ? 1 : 0]].dtype;
    const bool comparison = vj_xop_gives_bool((vj_xop)op);
    return vj_x(r->arena, r->k, (vj_xop)op, op == VJ_X_CAST ? to : comparison ? VJ_BOOL : own, arg[0], arg[1], arg[2]);
}

/* Reads x0, s0, t0 or i0. */
static int32_t take_reference(vj_kernel_parser *r) {
    const char kind = *r->at++;
    const int64_t n = vj_take_int(r);
    if (r->failed) return 0;
    if (kind == 't' && n < r->let_count) return r->lets[n];
    if (kind == 'i' && n < r->k->rank) return leaf(r, (vj_expr){.op = VJ_X_AXIS, .dtype = VJ_I64, .index = (int32_t)n});
    if (kind == 'x' && n < r->input_count) {
        const vj_dtype dtype = r->p->buffers[r->k->access[r->input[n]].buffer].dtype;
        return leaf(r, (vj_expr){.op = VJ_X_LOAD, .dtype = dtype, .index = r->input[n]});
    }
    if (kind == 's' && n < r->k->stage_count) {
        const vj_dtype dtype = r->k->expr[r->k->stage[n].expr].dtype;
        return leaf(r, (vj_expr){.op = VJ_X_STAGE, .dtype = dtype, .index = (int32_t)n});
    }
    vj_parse_fail(r, "something that was defined");
    return 0;
}

static bool comes_number(const char *at) {
    if (*at == '-') at++;
    return isdigit((unsigned char)*at) || *at == '.' || strncmp(at, "inf", 3) == 0 || strncmp(at, "nan", 3) == 0;
}

static int32_t take_primary(vj_kernel_parser *r) {
    if (vj_accept(r, "(")) {
        const int32_t inner = take_expr(r);
        vj_expect(r, ")");
        return inner;
    }
    vj_skip_blanks(r);
    if (comes_number(r->at)) {
        const double imm = vj_take_number(r);
        return leaf(r, (vj_expr){.op = VJ_X_CONST, .dtype = take_suffix(r), .index = -1, .imm = imm});
    }
    if (vj_accept(r, "acc")) return leaf(r, (vj_expr){.op = VJ_X_ACC, .dtype = take_suffix(r), .index = -1});
    if (*r->at && strchr("xsti", *r->at) && isdigit((unsigned char)r->at[1])) return take_reference(r);
    return take_function(r);
}

/* The infix operators, those that bind least first. */
static const struct {
    const char *sign;
    vj_xop op;
    int level;
} infix[] = {{"==", VJ_X_EQ, 1}, {"<=", VJ_X_LE, 1}, {"<", VJ_X_LT, 1}, {"+", VJ_X_ADD, 2},
             {"-", VJ_X_SUB, 2}, {"*", VJ_X_MUL, 3}, {"/", VJ_X_DIV, 3}};

static int32_t take_level(vj_kernel_parser *r, int level) {
    int32_t left = level > 3 ? take_primary(r) : take_level(r, level + 1);
    for (size_t i = 0; level <= 3 && i < sizeof infix / sizeof *infix && !r->failed; i++) {
        if (infix[i].level != level || !vj_accept(r, infix[i].sign)) continue;
        const int32_t right = take_level(r, level + 1);
        if (r->failed) return 0;
        const vj_dtype dtype = level == 1 ? VJ_BOOL : r->k->expr[left].dtype;
        left = vj_x(r->arena, r->k, infix[i].op, dtype, left, right, -1);
        i = (size_t)-1; /* left associative: look again from the first operator */
    }
    return left;
}

static int32_t take_expr(vj_kernel_parser *r) {
    if (r->depth == MAX_DEPTH) vj_parse_fail(r, "an expression that is less deep");
    if (r->failed) return 0;
    r->depth++;
    const int32_t e = take_level(r, 1);
    r->depth--;
    return e;
}

/* Lines */

static void take_axes(vj_kernel_parser *r, vj_axis_group group) {
    vj_kernel *k = r->k;
    const vj_axes axes = vj_group(k, group);
    if (axes.first + axes.count != k->rank) vj_parse_fail(r, "axis groups in order");
    while (!r->failed && comes_axis(r)) {
        if (k->rank == VJ_MAX_AXES) {
            vj_parse_fail(r, "fewer axes");
            return;
        }
        k->axes[group]++;
        k->rank++;
        if (take_axis(r) != k->rank - 1) vj_parse_fail(r, "axes in order");
        vj_expect(r, ":");
        k->extent[k->rank - 1] = vj_take_int(r);
        vj_accept(r, ",");
    }
}

static void take_stage(vj_kernel_parser *r) {
    static const char *const reductions[] = {"sum", "max", "min", "prod"};
    vj_kernel *k = r->k;
    vj_expect(r, "s");
    if (vj_take_int(r) != k->stage_count || k->stage_count == VJ_MAX_STAGES) vj_parse_fail(r, "stages in order");
    vj_expect(r, "=");
    int32_t kind = 0;
    while (kind < 4 && !vj_accept_word(r, reductions[kind]))
        kind++;
    if (kind == 4) vj_parse_fail(r, "sum, max, min or prod");
    vj_expect(r, "(");
    const int32_t expr = take_expr(r);
    vj_expect(r, ")");
    if (!r->failed) k->stage[k->stage_count++] = (vj_stage){(vj_reduce_kind)kind, expr};
}

static void take_out(vj_kernel_parser *r) {
    vj_out out = {.segment = -1};
    if (comes_axis(r)) {
        if (take_axis(r) != vj_segment_axis(r->k)) vj_parse_fail(r, "the axis that has segments");
        vj_expect(r, "=");
        out.segment = (int32_t)vj_take_int(r);
        vj_expect(r, ":");
    }
    out.access = take_access(r);
    vj_expect(r, "=");
    out.expr = take_expr(r);
    if (r->k->out_count == VJ_MAX_OUTS) vj_parse_fail(r, "fewer results");
    if (!r->failed) r->k->out[r->k->out_count++] = out;
}

static void take_let(vj_kernel_parser *r) {
    vj_expect(r, "t");
    if (vj_take_int(r) != r->let_count) vj_parse_fail(r, "lets in order");
    vj_expect(r, "=");
    const int32_t expr = take_expr(r);
    *VJ_PUSH(r->arena, r->lets, r->let_count, r->let_capacity) = expr;
}

static void take_input(vj_kernel_parser *r) {
    vj_expect(r, "x");
    if (vj_take_int(r) != r->input_count) vj_parse_fail(r, "inputs in order");
    vj_expect(r, "=");
    const int32_t access = take_access(r);
    if (!r->failed) r->input[r->input_count++] = access;
}

static bool take_axis_group(vj_kernel_parser *r) {
    const vj_kind_row *row = vj_kind_at(r->k->kind);
    for (int32_t group = 0; group < VJ_GROUP_COUNT; group++)
        if (row->group[group].most > 0 && vj_accept_word(r, vj_group_name((vj_axis_group)group))) {
            take_axes(r, (vj_axis_group)group);
            return true;
        }
    return false;
}

static bool take_operand(vj_kernel_parser *r) {
    const vj_kind_row *row = vj_kind_at(r->k->kind);
    for (int32_t i = 0; i < row->operand_count; i++)
        if (vj_accept_word(r, row->operand[i].name)) {
            r->k->operand[i] = take_access(r);
            return true;
        }
    return false;
}

/* Reads name=value for each of the words. */
static void take_named(vj_kernel_parser *r, const char *words, int64_t *integers, double *floats) {
    size_t length;
    for (int32_t i = 0; i < vj_word_count(words) && !r->failed; i++) {
        const char *word = vj_word_at(words, i, &length);
        char text[32];
        snprintf(text, sizeof text, "%.*s", (int)length, word);
        if (!vj_accept_word(r, text)) vj_parse_fail(r, "the routine's parameters in order");
        vj_expect(r, "=");
        if (integers)
            integers[i] = vj_take_int(r);
        else
            floats[i] = vj_take_number(r);
    }
}

static void take_routine(vj_kernel_parser *r) {
    const char *name = vj_take_name(r);
    if (r->failed) return;
    r->k->routine = vj_routine_by_name(name, strlen(name));
    if (r->k->routine == VJ_ROUTINE_COUNT) {
        vj_parse_fail(r, "a routine");
        return;
    }
    const vj_routine_row *row = vj_routine_at(r->k->routine);
    take_named(r, row->params, r->k->param, NULL);
    take_named(r, row->numbers, NULL, r->k->number);
}

/* A buffer that the routine writes is a result; no one else knows of its scratch. */
static void take_written(vj_kernel_parser *r) {
    const int32_t access = take_access(r);
    if (r->k->out_count == VJ_MAX_OUTS) vj_parse_fail(r, "fewer results");
    if (!r->failed) r->k->out[r->k->out_count++] = (vj_out){access, -1, -1};
}

static bool take_call(vj_kernel_parser *r) {
    if (!vj_kind_at(r->k->kind)->is_call) return false;
    if (vj_accept_word(r, "routine"))
        take_routine(r);
    else if (vj_accept_word(r, "read"))
        take_access(r);
    else if (vj_accept_word(r, "write") || vj_accept_word(r, "scratch"))
        take_written(r);
    else
        return false;
    return true;
}

static void take_line(vj_kernel_parser *r) {
    vj_kernel *k = r->k;
    if (take_call(r) || take_axis_group(r) || take_operand(r)) return;
    if (vj_accept_word(r, "in"))
        take_input(r);
    else if (vj_accept_word(r, "let"))
        take_let(r);
    else if (vj_accept_word(r, "stage"))
        take_stage(r);
    else if (vj_accept_word(r, "out"))
        take_out(r);
    else if (vj_accept_word(r, "score")) {
        vj_expect(r, "=");
        k->score_expr = take_expr(r);
    } else if (vj_accept_word(r, "weight")) {
        vj_expect(r, "=");
        k->weight_expr = take_expr(r);
    } else if (vj_accept_word(r, "flops"))
        k->flops = vj_take_number(r);
    else if (vj_accept_word(r, "units")) {
        k->units = vj_take_int(r);
        vj_expect(r, "cost");
        k->unit_cost = vj_take_number(r);
    } else
        vj_parse_fail(r, "a line of a kernel");
}

void vj_parse_kernel(vj_kernel_parser *r) {
    int32_t kind = 0;
    while (kind < VJ_KERNEL_KINDS && !vj_accept_word(r, vj_kind_at((vj_kernel_kind)kind)->name))
        kind++;
    if (kind == VJ_KERNEL_KINDS) vj_parse_fail(r, "a kind of kernel");
    const char *name = vj_take_name(r);
    if (r->failed) return;
    r->k = vj_add_kernel(r->p, (vj_kernel_kind)kind, name);
    r->input_count = r->let_count = 0;
    vj_expect(r, "{");
    while (!r->failed && !vj_accept(r, "}"))
        take_line(r);
}
