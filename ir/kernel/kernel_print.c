/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_print.c - the textual form of programs (docs/kernel-ir.md has the grammar). kernel_parse.c reads it back. */
#include "kernel.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

typedef struct printer {
    vj_text text;
    const vj_program *p;
    const char **label; /* of each buffer: its name where that is plain and unique, else its number */
    const vj_kernel *k;
    int32_t *uses;                  /* of each expression entry, by entries and by roots */
    int32_t *let;                   /* number of the `let` line of an entry; -1: none */
    int32_t lets;                   /* numbered so far */
    int32_t input[VJ_MAX_ACCESSES]; /* x0, x1, ...: the accesses that expressions load */
} printer;

static void number(vj_text *text, double x) {
    char digits[40];
    if (isnan(x)) {
        vj_text_add(text, "nan");
        return;
    }
    if (isinf(x)) {
        vj_text_add(text, x < 0 ? "-inf" : "inf");
        return;
    }
    for (int precision = 6; precision <= 17; precision++) {
        vj_print_double(digits, precision, x);
        if (vj_strtod(digits, NULL) == x) break;
    }
    vj_text_add(text, "%s", digits);
}

/* Names come from models: what the text's own syntax uses becomes '_'. */
static char *plain(vj_arena *arena, const char *name) {
    char *copy = vj_strdup(arena, name);
    for (char *c = copy; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("._/-", *c)) *c = '_';
    return copy;
}

static bool all_digits(const char *name) { return name[strspn(name, "0123456789")] == 0; }

static void label_buffers(printer *w) {
    const vj_program *p = w->p;
    w->label = VJ_NEW_ARRAY(w->text.arena, const char *, p->buffer_count + 1);
    for (int32_t i = 0; i < p->buffer_count; i++)
        w->label[i] = p->buffers[i].name ? plain(w->text.arena, p->buffers[i].name) : "";
    for (int32_t i = 0; i < p->buffer_count; i++) {
        bool unique = !all_digits(w->label[i]);
        for (int32_t j = 0; j < i && unique; j++)
            unique = strcmp(w->label[i], w->label[j]) != 0;
        if (!unique) w->label[i] = vj_sprintf(w->text.arena, "%" PRId32, i);
    }
}

static void affine(printer *w, const int64_t *coef, int64_t constant) {
    bool first = true;
    for (int32_t a = 0; a < w->k->rank; a++) {
        if (coef[a] == 0) continue;
        const char *sign = first ? (coef[a] < 0 ? "-" : "") : (coef[a] < 0 ? " - " : " + ");
        const uint64_t size = coef[a] < 0 ? 0 - (uint64_t)coef[a] : (uint64_t)coef[a];
        vj_text_add(&w->text, "%s", sign);
        if (size != 1) vj_text_add(&w->text, "%" PRIu64 "*", size);
        vj_text_add(&w->text, "i%" PRId32, a);
        first = false;
    }
    if (first)
        vj_text_add(&w->text, "%" PRId64, constant);
    else if (constant != 0)
        vj_text_add(&w->text, constant < 0 ? " - %" PRIu64 : " + %" PRIu64,
                    constant < 0 ? 0 - (uint64_t)constant : (uint64_t)constant);
}

static void expression(printer *w, int32_t at, int level, bool whole);

static void access_map(printer *w, const vj_access *access) {
    static const char *const kinds[] = {"guard", "mod", "index"};
    vj_text_add(&w->text, "%%%s[", w->label[access->buffer]);
    affine(w, access->stride, access->offset);
    bool guarded = false;
    for (int32_t t = 0; t < access->term_count; t++) {
        const vj_term *term = &access->terms[t];
        guarded |= term->kind == VJ_TERM_GUARD;
        vj_text_add(&w->text, " + %" PRId64 "*%s(", term->stride, kinds[term->kind]);
        if (term->kind == VJ_TERM_INDEX)
            expression(w, term->index, 0, false);
        else
            affine(w, term->coef, term->constant);
        vj_text_add(&w->text, ", %" PRId64 ")", term->extent);
    }
    vj_text_add(&w->text, "]");
    if (!guarded) return;
    vj_text_add(&w->text, " else ");
    number(&w->text, access->otherwise);
}

static void packed_or_map(printer *w, const vj_access *access) {
    if (vj_is_packed(w->p, access->buffer))
        vj_text_add(&w->text, "%%%s packed", w->label[access->buffer]);
    else
        access_map(w, access);
}

static const struct {
    vj_xop op;
    const char *sign;
    int level; /* how strongly it binds */
} infix[] = {{VJ_X_EQ, "==", 1}, {VJ_X_LT, "<", 1},  {VJ_X_LE, "<=", 1}, {VJ_X_ADD, "+", 2},
             {VJ_X_SUB, "-", 2}, {VJ_X_MUL, "*", 3}, {VJ_X_DIV, "/", 3}};

static void suffix(printer *w, const vj_expr *e) {
    if (e->dtype != VJ_F32) vj_text_add(&w->text, ":%s", vj_element_name(e->dtype));
}

static void call(printer *w, const vj_expr *e) {
    vj_text_add(&w->text, "%s", vj_xop_name(e->op));
    if (e->op == VJ_X_CAST) vj_text_add(&w->text, ":%s", vj_element_name(e->dtype));
    for (int32_t i = 0; i < vj_xop_args(e->op); i++) {
        vj_text_add(&w->text, i == 0 ? "(" : ", ");
        expression(w, e->arg[i], 0, false);
    }
    vj_text_add(&w->text, ")");
}

/* `level`: what binds less strongly than this is put in parentheses. `whole`: print the entry itself, not its name. */
static void expression(printer *w, int32_t at, int level, bool whole) {
    const vj_expr *e = &w->k->expr[at];
    if (!whole && w->let[at] >= 0) {
        vj_text_add(&w->text, "t%" PRId32, w->let[at]);
        return;
    }
    for (size_t i = 0; i < sizeof infix / sizeof *infix; i++) {
        if (infix[i].op != e->op) continue;
        const bool parentheses = infix[i].level < level;
        if (parentheses) vj_text_add(&w->text, "(");
        expression(w, e->arg[0], infix[i].level, false);
        vj_text_add(&w->text, " %s ", infix[i].sign);
        expression(w, e->arg[1], infix[i].level + 1, false);
        if (parentheses) vj_text_add(&w->text, ")");
        return;
    }
    switch (e->op) {
    case VJ_X_CONST:
        number(&w->text, e->imm);
        suffix(w, e);
        break;
    case VJ_X_ACC:
        vj_text_add(&w->text, "acc");
        suffix(w, e);
        break;
    case VJ_X_LOAD:
        vj_text_add(&w->text, "x%" PRId32, w->input[e->index]);
        break;
    case VJ_X_STAGE:
        vj_text_add(&w->text, "s%" PRId32, e->index);
        break;
    case VJ_X_AXIS:
        vj_text_add(&w->text, "i%" PRId32, e->index);
        break;
    default:
        call(w, e);
    }
}

/* Entries that the root needs, are used more than once, and are more than a leaf get a line and a name before it. */
static void let_lines(printer *w, int32_t root) {
    bool *needed = VJ_NEW_ARRAY(w->text.arena, bool, root + 1);
    vj_mark_needed(w->k, root, needed);
    for (int32_t at = 0; at <= root; at++) {
        if (!needed[at] || w->let[at] >= 0 || w->uses[at] < 2 || vj_xop_args(w->k->expr[at].op) == 0) continue;
        vj_text_add(&w->text, "    let t%" PRId32 " = ", w->lets);
        expression(w, at, 0, true);
        vj_text_add(&w->text, "\n");
        w->let[at] = w->lets++;
    }
}

static void add_root(printer *w, bool *reached, int32_t root) {
    reached[root] = true;
    w->uses[root]++;
}

/* Counts uses by entries that some root reaches: what nothing reaches is not printed. */
static void count_uses(printer *w) {
    const vj_kernel *k = w->k;
    w->uses = VJ_NEW_ARRAY(w->text.arena, int32_t, k->expr_count + 1);
    w->let = VJ_NEW_ARRAY(w->text.arena, int32_t, k->expr_count + 1);
    w->lets = 0;
    bool *reached = VJ_NEW_ARRAY(w->text.arena, bool, k->expr_count + 1), loaded[VJ_MAX_ACCESSES] = {false};
    int32_t needs[VJ_MAX_NEEDS];
    for (int32_t s = 0; s < k->stage_count; s++)
        add_root(w, reached, k->stage[s].expr);
    for (int32_t o = 0; o < k->out_count && !vj_kind_at(k->kind)->is_call; o++)
        add_root(w, reached, k->out[o].expr);
    if (vj_kind_at(k->kind)->score) add_root(w, reached, k->score_expr);
    if (k->weight_expr >= 0) add_root(w, reached, k->weight_expr);
    for (int32_t at = k->expr_count - 1; at >= 0; at--) {
        w->let[at] = -1;
        if (!reached[at]) continue;
        bool *again = k->expr[at].op == VJ_X_LOAD ? &loaded[k->expr[at].index] : NULL;
        if (again && *again) continue; /* an access and its indices are written once */
        if (again) *again = true;
        for (int32_t i = vj_expr_needs(k, at, needs); i > 0; i--)
            add_root(w, reached, needs[i - 1]);
    }
    int32_t inputs = 0;
    for (int32_t a = 0; a < k->access_count; a++)
        w->input[a] = loaded[a] ? inputs++ : -1;
}

static void groups(printer *w) {
    const vj_kernel *k = w->k;
    const vj_kind_row *row = vj_kind_at(k->kind);
    for (int32_t group = 0; group < VJ_GROUP_COUNT; group++) {
        const vj_axes axes = vj_group(k, (vj_axis_group)group);
        if (axes.count == 0 && !row->group[group].shown) continue;
        vj_text_add(&w->text, "    %s", vj_group_name((vj_axis_group)group));
        for (int32_t a = axes.first; a < axes.first + axes.count; a++)
            vj_text_add(&w->text, "%s i%" PRId32 ":%" PRId64, a == axes.first ? "" : ",", a, k->extent[a]);
        vj_text_add(&w->text, "\n");
    }
}

static void operand(printer *w, const char *name, int32_t access) {
    vj_text_add(&w->text, "    %s ", name);
    packed_or_map(w, &w->k->access[access]);
    vj_text_add(&w->text, "\n");
}

static void routine(printer *w) {
    const vj_kernel *k = w->k;
    const vj_routine_row *row = vj_routine_at(k->routine);
    size_t length;
    vj_text_add(&w->text, "    routine %s", row->name);
    for (int32_t i = 0; i < vj_word_count(row->params); i++) {
        const char *word = vj_word_at(row->params, i, &length);
        vj_text_add(&w->text, " %.*s=%" PRId64, (int)length, word, k->param[i]);
    }
    for (int32_t i = 0; i < vj_word_count(row->numbers); i++) {
        const char *word = vj_word_at(row->numbers, i, &length);
        vj_text_add(&w->text, " %.*s=", (int)length, word);
        number(&w->text, k->number[i]);
    }
    vj_text_add(&w->text, "\n");
    for (int32_t i = 0; i < k->access_count; i++)
        operand(w, i < row->reads ? "read" : i < row->reads + row->writes ? "write" : "scratch", i);
}

static void head(printer *w) {
    const vj_kernel *k = w->k;
    const vj_kind_row *row = vj_kind_at(k->kind);
    groups(w);
    for (int32_t i = 0; i < row->operand_count; i++)
        if (k->operand[i] >= 0 || !row->operand[i].steps) operand(w, row->operand[i].name, k->operand[i]);
    if (row->is_call) routine(w);
    for (int32_t a = 0; a < k->access_count; a++) {
        if (w->input[a] < 0) continue;
        for (int32_t t = 0; t < k->access[a].term_count; t++)
            if (k->access[a].terms[t].kind == VJ_TERM_INDEX) let_lines(w, k->access[a].terms[t].index);
        vj_text_add(&w->text, "    in x%" PRId32 " = ", w->input[a]);
        access_map(w, &k->access[a]);
        vj_text_add(&w->text, "\n");
    }
}

static void line(printer *w, const char *name, int32_t root) {
    let_lines(w, root);
    vj_text_add(&w->text, "    %s = ", name);
    expression(w, root, 0, false);
    vj_text_add(&w->text, "\n");
}

static void body(printer *w) {
    static const char *const reductions[] = {"sum", "max", "min", "prod"};
    const vj_kernel *k = w->k;
    const vj_kind_row *row = vj_kind_at(k->kind);
    if (row->is_call) return;
    if (row->score) line(w, "score", k->score_expr);
    if (k->weight_expr >= 0) line(w, "weight", k->weight_expr);
    for (int32_t s = 0; s < k->stage_count; s++) {
        let_lines(w, k->stage[s].expr);
        vj_text_add(&w->text, "    stage s%" PRId32 " = %s(", s, reductions[k->stage[s].reduce]);
        expression(w, k->stage[s].expr, 0, false);
        vj_text_add(&w->text, ")\n");
    }
    for (int32_t o = 0; o < k->out_count; o++) {
        let_lines(w, k->out[o].expr);
        vj_text_add(&w->text, "    out ");
        if (k->out[o].segment >= 0)
            vj_text_add(&w->text, "i%" PRId32 "=%" PRId32 ": ", vj_segment_axis(k), k->out[o].segment);
        access_map(w, &k->access[k->out[o].access]);
        vj_text_add(&w->text, " = ");
        expression(w, k->out[o].expr, 0, false);
        vj_text_add(&w->text, "\n");
    }
}

static void kernel(printer *w, const vj_kernel *k, vj_schedule_printer schedule) {
    w->k = k;
    count_uses(w);
    vj_text_add(&w->text, "  kernel %s %s {\n", vj_kind_at(k->kind)->name,
                plain(w->text.arena, k->name ? k->name : "k"));
    head(w);
    body(w);
    if (k->flops != 0) {
        vj_text_add(&w->text, "    flops ");
        number(&w->text, k->flops);
        vj_text_add(&w->text, "\n");
    }
    if (k->units != 0) {
        vj_text_add(&w->text, "    units %" PRId64 " cost ", k->units);
        number(&w->text, k->unit_cost);
        vj_text_add(&w->text, "\n");
    }
    if (schedule && k->schedule) vj_text_add(&w->text, "    # %s\n", schedule(w->text.arena, k));
    vj_text_add(&w->text, "  }\n");
}

static void print_subaxes(printer *w, const char *name, int32_t rank, const int64_t *extent, const int64_t *stride) {
    vj_text_add(&w->text, " %s(", name);
    for (int32_t i = 0; i < rank; i++)
        vj_text_add(&w->text, "%s%" PRId64 "*%" PRId64, i ? ", " : "", extent[i], stride[i]);
    vj_text_add(&w->text, ")");
}

static void source(printer *w, vj_value v) {
    const vj_func *f = w->p->f;
    const vj_node *node = vj_producer(f, v);
    const vj_attr *attr = node->op == VJ_OP_const ? vj_attr_find(node, VJ_ATTR_CONSTANT) : NULL;
    vj_text_add(&w->text, " from %s ", vj_type_text(w->text.arena, vj_type_at(f, v)));
    const vj_const *c = attr ? attr->as.constant : NULL;
    if (c && c->kind == VJ_CONST_SPLAT) {
        vj_text_add(&w->text, "splat(");
        number(&w->text, c->splat);
        vj_text_add(&w->text, ")");
    } else if (c && c->kind == VJ_CONST_IOTA) {
        vj_text_add(&w->text, "iota");
    } else if (c && c->kind == VJ_CONST_SEED) {
        vj_text_add(&w->text, "seed(%" PRIu64 ")", c->seed);
    } else {
        const char *name = f->values[v].name;
        if (!name) name = vj_sprintf(w->text.arena, "%s.%" PRId32, vj_op_table(node->op)->name, v);
        vj_text_add(&w->text, "@%s", plain(w->text.arena, name));
    }
}

static void weight(printer *w, const vj_weight *weight) {
    static const char *const kinds[] = {"dense", "panels", "blocks"};
    vj_text_add(&w->text, " %s", kinds[weight->kind]);
    if (weight->kind == VJ_PACK_BLOCKS) {
        vj_text_add(&w->text, " bits=%" PRId32, weight->bits);
        if (weight->table)
            vj_text_add(&w->text, " table");
        else
            vj_text_add(&w->text, " least=%" PRId32, weight->least);
        vj_text_add(&w->text, " block=%" PRId64, weight->block);
    }
    vj_text_add(&w->text, " k=%" PRId64 " n=%" PRId64, weight->k, weight->n);
    source(w, weight->source);
    print_subaxes(w, "k", weight->k_rank, weight->k_extent, weight->k_stride);
    print_subaxes(w, "n", weight->n_rank, weight->n_extent, weight->n_stride);
    if (weight->source_offset != 0) vj_text_add(&w->text, " + %" PRId64, weight->source_offset);
}

static void buffer(printer *w, int32_t i) {
    static const char *const kinds[] = {"arena", "input", "output", "weight"};
    const vj_buffer *b = &w->p->buffers[i];
    vj_text_add(&w->text, "  %%%s: %s", w->label[i], kinds[b->kind]);
    if (b->kind == VJ_BUFFER_INPUT || b->kind == VJ_BUFFER_OUTPUT) vj_text_add(&w->text, " %" PRId32, b->index);
    vj_text_add(&w->text, " %s[%" PRId64 "]", vj_element_name(b->dtype), b->elements);
    if (w->p->phase_count != 0 && (b->kind == VJ_BUFFER_ARENA || b->kind == VJ_BUFFER_WEIGHT))
        vj_text_add(&w->text, " at %" PRId64, b->offset);
    if (b->kind == VJ_BUFFER_WEIGHT) weight(w, &w->p->weights[b->index]);
    vj_text_add(&w->text, "  # %" PRId64 " B\n", b->elements * vj_element_bytes(b->dtype));
}

void vj_add_program(vj_text *text, const vj_program *p, vj_schedule_printer schedule) {
    printer w = {.text = *text, .p = p};
    label_buffers(&w);
    vj_text_add(&w.text, "program %s {\n", plain(text->arena, p->name ? p->name : "main"));
    if (p->phase_count != 0)
        vj_text_add(&w.text, "  arena %" PRId64 " lower %" PRId64 " weights %" PRId64 "\n", p->per_image_bytes,
                    p->lower_bound_bytes, p->weights_bytes);
    for (int32_t i = 0; i < p->buffer_count; i++)
        buffer(&w, i);
    int32_t phase = 0;
    for (int32_t i = 0; i < p->kernel_count; i++) {
        for (; phase < p->phase_count && p->phases[phase].first == i; phase++)
            vj_text_add(&w.text, "  phase %" PRId32 "\n", phase);
        kernel(&w, p->kernels[i], schedule);
    }
    vj_text_add(&w.text, "}\n");
    *text = w.text;
}

void vj_print_program(const vj_program *p, FILE *out) {
    vj_text text = {.arena = vj_arena_scratch(p->arena)};
    vj_add_program(&text, p, NULL);
    fwrite(text.at, 1, text.length, out);
    vj_arena_free(text.arena);
}
