/* SPDX-License-Identifier: Apache-2.0 */
/* print.c - a function as text. docs/ir.md has the grammar; the parser reads back what is printed here. */
#include "ir.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

#include "ir/base/lex.h"
#include "ir/base/names.h"

#define MOST_ELEMENTS 64 /* larger constants are not written out */

typedef struct printer {
    const vj_func *f;
    vj_text text;
    const char **names; /* of each value, with its sigil: %x, @w, %12 */
    vj_names taken;
    int32_t numbers[2]; /* the next free of % and @ */
} printer;

static bool begins_with_digit(const char *name) { return name[0] >= '0' && name[0] <= '9'; }

/* A value goes by its own name when that is fit and still free: a word that starts with no digit; of inputs, whose
 * names matter to the caller, any, in quotes where needed. Else it goes by a number. */
static void name_value(printer *p, vj_value v) {
    vj_op op = vj_producer(p->f, v)->op;
    int32_t sigil = op == VJ_OP_const ? '@' : '%';
    const char *name = p->f->values[v].name;
    vj_text text = {.arena = p->text.arena};
    bool is_word = name && vj_is_word(name) && !begins_with_digit(name);
    vj_text_add(&text, "%c", sigil);
    if (name && (is_word || op == VJ_OP_param) && vj_names_find(&p->taken, sigil, name) < 0) {
        if (!is_word && vj_is_word(name))
            vj_text_add(&text, "\"%s\"", name);
        else
            vj_text_name(&text, name);
        vj_names_add(&p->taken, sigil, name, v);
    } else {
        vj_text_add(&text, "%d", p->numbers[sigil == '@']++);
    }
    p->names[v] = text.at;
}

static void name_values(printer *p) {
    p->names = VJ_NEW_ARRAY(p->text.arena, const char *, p->f->value_count);
    for (int32_t i = 0; i < p->f->input_count; i++)
        name_value(p, p->f->inputs[i]);
    for (int32_t n = 0; n < p->f->node_count; n++) {
        const vj_node *node = &p->f->nodes[n];
        for (int32_t r = 0; r < node->result_count && !node->dead && node->op != VJ_OP_param; r++)
            name_value(p, node->first_result + r);
    }
}

static void print_type(printer *p, const vj_type *type) {
    vj_text_add(&p->text, "%s", vj_type_text(p->text.arena, type));
}

static void print_int(printer *p, vj_attr_key key, int64_t i) {
    vj_dim dim;
    if ((key == VJ_ATTR_DIMS || key == VJ_ATTR_SIZES || key == VJ_ATTR_SIZE) && vj_dim_of_code(i, &dim))
        vj_text_dim(&p->text, dim);
    else
        vj_text_add(&p->text, "%" PRId64, i);
}

static void print_attr(printer *p, const vj_attr *attr) {
    vj_text_add(&p->text, " %s=", vj_attr_key_name(attr->key));
    switch (vj_attr_key_kind(attr->key)) {
    case VJ_KIND_INT:
        print_int(p, attr->key, attr->as.i);
        break;
    case VJ_KIND_FLOAT:
        vj_text_float(&p->text, VJ_F64, attr->as.f);
        break;
    case VJ_KIND_NAME:
        vj_text_name(&p->text, attr->as.name);
        break;
    case VJ_KIND_INTS:
        vj_text_add(&p->text, "[");
        for (int32_t i = 0; i < attr->count; i++) {
            if (i) vj_text_add(&p->text, ",");
            print_int(p, attr->key, attr->as.ints[i]);
        }
        vj_text_add(&p->text, "]");
        break;
    case VJ_KIND_CONST:
        break; /* its node prints it */
    }
}

/* The elements one by one; false when they cannot be read. */
static bool print_elements(printer *p, vj_value v, int64_t count) {
    vj_dtype dtype = vj_type_at(p->f, v)->dtype;
    double floats[MOST_ELEMENTS];
    int64_t ints[MOST_ELEMENTS];
    vj_error ignored = {0};
    bool is_float = vj_dtype_is_float(dtype);
    if (is_float ? !vj_const_read_f64(p->f, v, 0, count, floats, &ignored)
                 : !vj_const_read_i64(p->f, v, 0, count, ints, &ignored))
        return false;
    vj_text_add(&p->text, "[");
    for (int64_t i = 0; i < count; i++) {
        if (i) vj_text_add(&p->text, ",");
        if (is_float)
            vj_text_float(&p->text, dtype, floats[i]);
        else if (dtype == VJ_BOOL)
            vj_text_add(&p->text, "%s", ints[i] ? "true" : "false");
        else if (dtype == VJ_U64)
            vj_text_add(&p->text, "%" PRIu64, (uint64_t)ints[i]);
        else
            vj_text_add(&p->text, "%" PRId64, ints[i]);
    }
    vj_text_add(&p->text, "]");
    return true;
}

static void print_const(printer *p, vj_value v) {
    const vj_const *c = vj_attr_find(vj_producer(p->f, v), VJ_ATTR_CONSTANT)->as.constant;
    int64_t count = 0;
    vj_text_add(&p->text, "  %s = const ", p->names[v]);
    if (c->kind == VJ_CONST_SPLAT) {
        vj_text_add(&p->text, "splat(");
        vj_text_float(&p->text, VJ_F64, c->splat);
        vj_text_add(&p->text, ")");
    } else if (c->kind == VJ_CONST_IOTA) {
        vj_text_add(&p->text, "iota");
    } else if (c->kind == VJ_CONST_SEED) {
        vj_text_add(&p->text, "seed(%" PRIu64 ")", c->seed);
    } else if (!vj_type_elements(p->f, vj_type_at(p->f, v), &count) || count > MOST_ELEMENTS ||
               !print_elements(p, v, count)) {
        const char *slash = c->source->path ? strrchr(c->source->path, '/') : NULL;
        if (c->source->fd < 0) {
            vj_text_add(&p->text, "bytes(%" PRId64 ")", c->length);
        } else {
            vj_text file = {.arena = p->text.arena};
            vj_text_name(&file, slash ? slash + 1 : c->source->path);
            const char *const kinds[] = {"file", "low_nibbles", "high_nibbles"}, *kind = kinds[c->nibbles];
            vj_text_add(&p->text, file.at[0] == '"' ? "%s(%s, %" PRId64 ")" : "%s(\"%s\", %" PRId64 ")", kind, file.at,
                        c->offset);
        }
    }
    vj_text_add(&p->text, " : ");
    print_type(p, vj_type_at(p->f, v));
    vj_text_add(&p->text, "\n");
}

/* size s0 = %n, behind the node that makes the size. */
static void print_sizes(printer *p, const vj_node *node) {
    for (int32_t r = 0; r < node->result_count; r++)
        for (int32_t i = 0; i < p->f->symbol_count; i++)
            if (p->f->symbols[i].value == node->first_result + r)
                vj_text_add(&p->text, "  size s%d = %s\n", i, p->names[node->first_result + r]);
}

static void print_node(printer *p, const vj_node *node) {
    if (node->op == VJ_OP_const) {
        print_const(p, node->first_result);
        print_sizes(p, node);
        return;
    }
    for (int32_t r = 0; r < node->result_count; r++)
        vj_text_add(&p->text, "%s%s", r ? ", " : "  ", p->names[node->first_result + r]);
    vj_text_add(&p->text, " = %s", vj_op_table(node->op)->name);
    int32_t args = node->arg_count;
    while (args > 0 && node->args[args - 1] == VJ_NONE)
        args--;
    for (int32_t i = 0; i < args; i++)
        vj_text_add(&p->text, "%s%s", i ? ", " : " ", node->args[i] < 0 ? "_" : p->names[node->args[i]]);
    for (int32_t i = 0; i < node->attr_count; i++)
        print_attr(p, &node->attrs[i]);
    for (int32_t r = 0; r < node->result_count; r++) {
        vj_text_add(&p->text, r ? ", " : " : ");
        print_type(p, vj_type_at(p->f, node->first_result + r));
    }
    vj_text_add(&p->text, "\n");
    print_sizes(p, node);
}

static void print_header(printer *p) {
    const vj_func *f = p->f;
    vj_text_add(&p->text, "func @");
    vj_text_name(&p->text, f->name);
    vj_text_add(&p->text, "(");
    for (int32_t i = 0; i < f->input_count; i++) {
        vj_text_add(&p->text, "%s%s: ", i ? ", " : "", p->names[f->inputs[i]]);
        print_type(p, vj_type_at(f, f->inputs[i]));
    }
    vj_text_add(&p->text, ")");
    for (int32_t i = 0; i < f->output_count; i++) {
        vj_text_add(&p->text, i ? ", " : " -> ");
        print_type(p, vj_type_at(f, f->outputs[i]));
    }
    for (int32_t i = 0; i < f->symbol_count; i++)
        vj_text_add(&p->text, "%ss%d <= %" PRId64, i ? ", " : " where ", i, f->symbols[i].bound);
    vj_text_add(&p->text, " {\n");
}

/* An output called like its value, or out<i> when its value has a number, needs no `as`. */
static void print_return(printer *p) {
    const vj_func *f = p->f;
    if (!f->output_count) return;
    vj_text_add(&p->text, "  return");
    for (int32_t i = 0; i < f->output_count; i++) {
        const char *name = p->names[f->outputs[i]], *usual = f->values[f->outputs[i]].name;
        if (begins_with_digit(name + 1)) usual = vj_sprintf(p->text.arena, "out%d", i);
        vj_text_add(&p->text, "%s%s", i ? ", " : " ", name);
        if (strcmp(usual, f->output_names[i]) != 0) {
            vj_text_add(&p->text, " as ");
            vj_text_name(&p->text, f->output_names[i]);
        }
        if (f->output_dims && f->output_dims[i] >= 0) vj_text_add(&p->text, " dims=%d", f->output_dims[i]);
    }
    vj_text_add(&p->text, "\n");
}

void vj_print(const vj_func *f, FILE *out) {
    vj_arena *arena = vj_arena_scratch(f->arena);
    printer p = {.f = f, .text = {.arena = arena}, .taken = {.arena = arena}};
    name_values(&p);
    print_header(&p);
    for (int32_t n = 0; n < f->node_count; n++)
        if (!f->nodes[n].dead && f->nodes[n].op != VJ_OP_param) print_node(&p, &f->nodes[n]);
    print_return(&p);
    vj_text_add(&p.text, "}\n");
    fwrite(p.text.at, 1, p.text.length, out);
    vj_arena_free(arena);
}
