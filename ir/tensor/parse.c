/* SPDX-License-Identifier: Apache-2.0 */
/* parse.c - reads the textual form. Any bytes may come: what is no function is refused with line:column. */
#include "parse.h"

#include <string.h>

enum { NUMBERED = 256 }; /* %12 and %"12" are two values */

/* The name behind a sigil; *kind tells the kinds of names apart. */
static bool parse_value_name(vj_parser *p, char sigil, const char **name, int32_t *kind) {
    const char *at = vj_lex_here(&p->l);
    bool quoted;
    if (!vj_lex_name(&p->l, name, &quoted)) return false;
    *kind = sigil;
    if (quoted || **name < '0' || **name > '9') return true;
    if (strspn(*name, "0123456789") != strlen(*name))
        return vj_lex_fail(&p->l, at, "'%.40s' begins with a digit, but is no number", *name);
    *kind += NUMBERED;
    return true;
}

static const char *model_name(const char *name, int32_t kind) { return kind >= NUMBERED ? NULL : name; }

static bool define(vj_parser *p, const char *at, const char *name, int32_t kind, vj_value v) {
    if (vj_names_find(&p->values, kind, name) >= 0)
        return vj_lex_fail(&p->l, at, "%c%.80s is already defined", (char)(kind % NUMBERED), name);
    vj_names_add(&p->values, kind, name, v);
    return true;
}

/* Types */

/* s3, or 4s3: `digits` of the factor in front. */
static bool parse_symbol_dim(vj_parser *p, vj_text_span word, size_t digits, vj_dim *dim) {
    int64_t i, factor = 1;
    if (digits && !vj_lex_to_int(&p->l, (vj_text_span){word.at, digits}, &factor)) return false;
    if (!vj_lex_to_int(&p->l, (vj_text_span){word.at + digits + 1, word.length - digits - 1}, &i)) return false;
    if (i < 0 || i >= VJ_MAX_SYMBOLS)
        return vj_lex_fail(&p->l, word.at, "symbols go from s0 to s%d", VJ_MAX_SYMBOLS - 1);
    if (factor < 1 || factor >= (int64_t)1 << 54) return vj_lex_fail(&p->l, word.at, "a dim out of range");
    *dim = (vj_dim){factor, VJ_SYM_FIRST_DATA + (int32_t)i};
    if (p->symbols_used <= i) p->symbols_used = (int32_t)i + 1;
    return true;
}

static bool parse_dim(vj_parser *p, vj_dim *dim) {
    vj_text_span word = vj_lex_number(&p->l);
    int64_t i;
    if (vj_lex_is(word, "N")) {
        *dim = (vj_dim){1, VJ_SYM_BATCH};
        return true;
    }
    size_t digits = strspn(word.at, "0123456789");
    if (word.length > digits + 1 && word.at[digits] == 's') return parse_symbol_dim(p, word, digits, dim);
    bool is_batch = word.length > 1 && word.at[word.length - 1] == 'N';
    if (!vj_lex_to_int(&p->l, (vj_text_span){word.at, word.length - is_batch}, &i)) return false;
    if (i < 0 || (is_batch && (i < 1 || i == INT64_MAX))) return vj_lex_fail(&p->l, word.at, "a dim out of range");
    *dim = (vj_dim){i, is_batch ? VJ_SYM_BATCH : VJ_SYM_NONE};
    return true;
}

bool vj_parse_type(vj_parser *p, vj_type *type) {
    vj_text_span word = vj_lex_word(&p->l);
    *type = (vj_type){.dtype = vj_dtype_by_name(word.at, word.length)};
    if (type->dtype == VJ_NO_DTYPE)
        return vj_lex_fail(&p->l, word.at, "expected a type, found '%.*s'", (int)vj_min64((int64_t)word.length, 40),
                           word.at);
    if (!vj_lex_expect(&p->l, "[")) return false;
    if (vj_lex_take(&p->l, "]")) return true;
    do {
        if (type->rank == VJ_MAX_RANK) return vj_lex_fail(&p->l, vj_lex_here(&p->l), "more than %d dims", VJ_MAX_RANK);
        if (!parse_dim(p, &type->dims[type->rank++])) return false;
    } while (vj_lex_take(&p->l, ","));
    return vj_lex_expect(&p->l, "]");
}

/* Attributes */

static bool parse_attr_int(vj_parser *p, vj_attr_key key, int64_t *out) {
    vj_dim dim;
    if (key != VJ_ATTR_DIMS && key != VJ_ATTR_SIZES && key != VJ_ATTR_SIZE) return vj_lex_int(&p->l, out);
    if (!parse_dim(p, &dim)) return false;
    *out = vj_dim_code(dim);
    return true;
}

static bool parse_attr_ints(vj_parser *p, vj_attr *attr) {
    int64_t *ints = NULL;
    int32_t capacity = 0;
    if (!vj_lex_expect(&p->l, "[")) return false;
    if (vj_lex_take(&p->l, "]")) return true;
    do {
        int64_t i;
        if (!parse_attr_int(p, attr->key, &i)) return false;
        *VJ_PUSH(p->l.arena, ints, attr->count, capacity) = i;
    } while (vj_lex_take(&p->l, ","));
    attr->as.ints = ints;
    return vj_lex_expect(&p->l, "]");
}

static bool parse_attr_value(vj_parser *p, vj_attr *attr) {
    bool quoted;
    switch (vj_attr_key_kind(attr->key)) {
    case VJ_KIND_INT:
        return parse_attr_int(p, attr->key, &attr->as.i);
    case VJ_KIND_FLOAT:
        return vj_lex_to_float(&p->l, vj_lex_number(&p->l), &attr->as.f);
    case VJ_KIND_INTS:
        return parse_attr_ints(p, attr);
    case VJ_KIND_NAME:
        return vj_lex_name(&p->l, &attr->as.name, &quoted);
    default:
        return vj_lex_fail(&p->l, vj_lex_here(&p->l), "a constant is no attribute here");
    }
}

/* Up to the type, or the next statement: key=value. */
static bool parse_attrs(vj_parser *p, vj_attr attrs[VJ_ATTR_COUNT], int32_t *count) {
    for (;;) {
        const char *at = vj_lex_here(&p->l);
        vj_text_span word = vj_lex_word(&p->l);
        if (!word.length || !vj_lex_take(&p->l, "=")) {
            p->l.at = at;
            return true;
        }
        vj_attr_key key = 0;
        while (key < VJ_ATTR_COUNT && !vj_lex_is(word, vj_attr_key_name(key)))
            key++;
        if (key == VJ_ATTR_COUNT)
            return vj_lex_fail(&p->l, at, "unknown attribute '%.*s'", (int)vj_min64((int64_t)word.length, 40), word.at);
        for (int32_t i = 0; i < *count; i++)
            if (attrs[i].key == key)
                return vj_lex_fail(&p->l, at, "attribute %s is there twice", vj_attr_key_name(key));
        attrs[*count] = (vj_attr){.key = key};
        if (!parse_attr_value(p, &attrs[(*count)++])) return false;
    }
}

/* Nodes */

typedef struct named {
    const char *at, *name;
    int32_t kind;
} named;

typedef struct parsed_node {
    const char *at; /* of the op */
    named results[8];
    int32_t result_count;
    vj_value *args;
    int32_t arg_count, arg_capacity;
    vj_attr attrs[VJ_ATTR_COUNT];
    int32_t attr_count;
} parsed_node;

/* %name or @name that stands for a value; *v is VJ_NONE for _. False without an error: none stands here. */
static bool parse_use(vj_parser *p, vj_value *v) {
    const char *at = vj_lex_here(&p->l), *name;
    int32_t kind;
    *v = VJ_NONE;
    if (vj_lex_take_word(&p->l, "_")) return true;
    if (*at != '%' && *at != '@') return false;
    p->l.at++;
    if (!parse_value_name(p, *at, &name, &kind)) return false;
    *v = vj_names_find(&p->values, kind, name);
    return *v >= 0 || vj_lex_fail(&p->l, at, "%c%.80s is not defined", *at, name);
}

static bool parse_operands(vj_parser *p, parsed_node *n) {
    vj_value v;
    if (!parse_use(p, &v)) return p->l.error->status == VJ_OK;
    for (;;) {
        *VJ_PUSH(p->l.arena, n->args, n->arg_count, n->arg_capacity) = v;
        if (!vj_lex_take(&p->l, ",")) return true;
        if (!parse_use(p, &v)) return vj_lex_fail(&p->l, vj_lex_here(&p->l), "expected an operand");
    }
}

/* Behind the colon: what the node was thought to give. */
static bool check_types(vj_parser *p, const parsed_node *n, vj_value first) {
    for (int32_t r = 0; r < n->result_count; r++) {
        vj_type declared;
        if (!vj_lex_expect(&p->l, r ? "," : ":")) return false;
        const char *at = vj_lex_here(&p->l);
        if (!vj_parse_type(p, &declared)) return false;
        if (vj_type_equal(&declared, vj_type_at(p->f, first + r))) continue;
        return vj_lex_fail(&p->l, at, "declared %s, but it is %s", vj_type_text(p->l.arena, &declared),
                           vj_type_text(p->l.arena, vj_type_at(p->f, first + r)));
    }
    return true;
}

/* An error of inference gets its place in the text. */
static bool locate(vj_parser *p, const char *at, const vj_error *why) {
    vj_lex_fail(&p->l, at, "%s", why->text);
    if (why->hint[0]) vj_hint(p->l.error, "%s", why->hint);
    return false;
}

static bool finish_const(vj_parser *p, const parsed_node *n) {
    vj_parsed_const c;
    vj_type type;
    vj_error why = {0};
    const named *result = &n->results[0];
    if (n->result_count != 1 || result->kind % NUMBERED != '@')
        return vj_lex_fail(&p->l, result->at, "a constant has one name, which begins with @");
    if (!vj_parse_const(p, &c) || !vj_lex_expect(&p->l, ":") || !vj_parse_type(p, &type) ||
        !vj_parse_const_bytes(p, &c, &type))
        return false;
    vj_value v = vj_add_const(p->f, model_name(result->name, result->kind), &type, &c.constant);
    if (!vj_infer(p->f, vj_producer(p->f, v), &type, &why)) return locate(p, n->at, &why);
    return define(p, result->at, result->name, result->kind, v);
}

static bool finish_node(vj_parser *p, parsed_node *n, vj_op op) {
    const vj_op_info *info = vj_op_table(op);
    vj_error why = {0};
    for (int32_t r = 0; r < n->result_count; r++)
        if (n->results[r].kind % NUMBERED != '%')
            return vj_lex_fail(&p->l, n->results[r].at, "the name of a node's result begins with %%");
    if (n->result_count != info->results)
        return vj_lex_fail(&p->l, n->at, "%s has %d results, not %d", info->name, info->results, n->result_count);
    if (!parse_operands(p, n) || !parse_attrs(p, n->attrs, &n->attr_count)) return false;
    vj_value first = vj_add_node(p->f, op, n->args, n->arg_count, n->attrs, n->attr_count, NULL, &why);
    if (first < 0) return locate(p, n->at, &why);
    for (int32_t r = 0; r < n->result_count; r++) {
        const char *name = model_name(n->results[r].name, n->results[r].kind);
        p->f->values[first + r].name = name;
        if (!define(p, n->results[r].at, n->results[r].name, n->results[r].kind, first + r)) return false;
    }
    return *vj_lex_here(&p->l) != ':' || check_types(p, n, first);
}

/* Does a value made before this node have the symbol in its type? */
static bool is_used_before(const vj_func *f, int32_t symbol, int32_t node) {
    for (vj_value v = 0; v < f->value_count && f->values[v].node < node; v++)
        for (int32_t i = 0; i < f->values[v].type.rank; i++)
            if (f->values[v].type.dims[i].sym == VJ_SYM_FIRST_DATA + symbol) return true;
    return false;
}

/* size s0 = %n */
static bool parse_size(vj_parser *p) {
    const char *at = vj_lex_here(&p->l);
    vj_dim dim = {0};
    vj_value v;
    if (!parse_dim(p, &dim)) return false;
    int32_t i = dim.sym - VJ_SYM_FIRST_DATA;
    if (i < 0 || dim.c != 1) return vj_lex_fail(&p->l, at, "expected a symbol");
    if (i >= p->f->symbol_count) return vj_lex_fail(&p->l, at, "s%d has no bound", i);
    if (p->f->symbols[i].value >= 0) return vj_lex_fail(&p->l, at, "s%d has a value already", i);
    if (!vj_lex_expect(&p->l, "=")) return false;
    at = vj_lex_here(&p->l);
    if (!parse_use(p, &v) || v < 0) return vj_lex_fail(&p->l, at, "expected a value");
    const vj_type *type = vj_type_at(p->f, v);
    if (type->dtype != VJ_I64 || type->rank) return vj_lex_fail(&p->l, at, "a size is an i64[]");
    if (is_used_before(p->f, i, p->f->values[v].node))
        return vj_lex_fail(&p->l, at, "s%d is the size of a value made before", i);
    vj_set_symbol(p->f, i, v);
    return true;
}

static bool parse_node(vj_parser *p) {
    parsed_node n = {0};
    if (vj_lex_take_word(&p->l, "size")) return parse_size(p);
    do {
        named *result = &n.results[n.result_count];
        result->at = vj_lex_here(&p->l);
        char sigil = *result->at;
        if (sigil != '%' && sigil != '@') return vj_lex_fail(&p->l, result->at, "expected a node, return or }");
        p->l.at++;
        if (!parse_value_name(p, sigil, &result->name, &result->kind)) return false;
        if (++n.result_count == 8) return vj_lex_fail(&p->l, result->at, "too many results");
    } while (vj_lex_take(&p->l, ","));
    if (!vj_lex_expect(&p->l, "=")) return false;
    n.at = vj_lex_here(&p->l);
    vj_text_span word = vj_lex_word(&p->l);
    vj_op op = vj_op_by_name(word.at, word.length);
    if (op == VJ_OP_COUNT || op == VJ_OP_param)
        return vj_lex_fail(&p->l, n.at, "unknown op '%.*s'", (int)vj_min64((int64_t)word.length, 40), word.at);
    return op == VJ_OP_const ? finish_const(p, &n) : finish_node(p, &n, op);
}

/* The function around them */

static bool parse_params(vj_parser *p) {
    if (!vj_lex_expect(&p->l, "(")) return false;
    if (vj_lex_take(&p->l, ")")) return true;
    do {
        const char *at = vj_lex_here(&p->l), *name;
        int32_t kind;
        vj_type type;
        if (!vj_lex_expect(&p->l, "%") || !parse_value_name(p, '%', &name, &kind) || !vj_lex_expect(&p->l, ":") ||
            !vj_parse_type(p, &type))
            return false;
        vj_value v = vj_add_param(p->f, model_name(name, kind), &type);
        if (!define(p, at, name, kind, v)) return false;
    } while (vj_lex_take(&p->l, ","));
    return vj_lex_expect(&p->l, ")");
}

/* where s0 <= 300, s1 <= 20 */
static bool parse_symbols(vj_parser *p) {
    if (vj_lex_take_word(&p->l, "where")) {
        do {
            const char *at = vj_lex_here(&p->l), *name = vj_sprintf(p->l.arena, "s%d", p->f->symbol_count);
            int64_t bound;
            if (!vj_lex_take_word(&p->l, name)) return vj_lex_fail(&p->l, at, "expected %s", name);
            if (!vj_lex_expect(&p->l, "<=") || !vj_lex_int(&p->l, &bound)) return false;
            if (bound < 0) return vj_lex_fail(&p->l, at, "the bound of %s is negative", name);
            vj_symbol *symbol = VJ_PUSH(p->l.arena, p->f->symbols, p->f->symbol_count, p->f->symbol_capacity);
            *symbol = (vj_symbol){bound, VJ_NONE, -1};
        } while (vj_lex_take(&p->l, ","));
    }
    return p->symbols_used <= p->f->symbol_count ||
           vj_lex_fail(&p->l, vj_lex_here(&p->l), "s%d has no bound", p->symbols_used - 1);
}

static bool check_params(vj_parser *p, const char *at) {
    vj_error why = {0};
    vj_type type;
    for (int32_t i = 0; i < p->f->input_count; i++)
        if (!vj_infer(p->f, vj_producer(p->f, p->f->inputs[i]), &type, &why)) return locate(p, at, &why);
    return true;
}

/* dims=1: output 1 holds this output's dims. */
static bool parse_output_dims(vj_parser *p, int32_t *output) {
    int64_t i;
    const char *at = vj_lex_here(&p->l);
    if (!vj_lex_take_word(&p->l, "dims")) return true;
    if (!vj_lex_expect(&p->l, "=") || !vj_lex_int(&p->l, &i)) return false;
    if (i < 0 || i > INT16_MAX) return vj_lex_fail(&p->l, at, "there is no such output");
    *output = (int32_t)i;
    return true;
}

static bool holds_dims(const vj_func *f, int32_t dims, int32_t output) {
    if (dims >= f->output_count) return false;
    vj_type list = vj_type_of(VJ_I64, 1, (int64_t[]){vj_type_at(f, f->outputs[output])->rank});
    return dims != output && vj_type_equal(vj_type_at(f, f->outputs[dims]), &list);
}

static bool parse_return(vj_parser *p) {
    int32_t *dims = NULL, count = 0, capacity = 0;
    bool any = false;
    do {
        const char *at = vj_lex_here(&p->l), *name;
        vj_value v;
        bool quoted;
        if (!parse_use(p, &v) || v < 0) return vj_lex_fail(&p->l, at, "expected a value");
        name = p->f->values[v].name;
        if (!name) name = vj_sprintf(p->l.arena, "out%d", p->f->output_count);
        if (vj_lex_take_word(&p->l, "as") && !vj_lex_name(&p->l, &name, &quoted)) return false;
        vj_add_output(p->f, name, v);
        *VJ_PUSH(p->l.arena, dims, count, capacity) = -1;
        if (!parse_output_dims(p, &dims[count - 1])) return false;
        any |= dims[count - 1] >= 0;
    } while (vj_lex_take(&p->l, ","));
    if (any) p->f->output_dims = dims;
    for (int32_t i = 0; i < count; i++)
        if (dims[i] >= 0 && !holds_dims(p->f, dims[i], i))
            return vj_lex_fail(&p->l, vj_lex_here(&p->l), "output %d does not hold the dims of output %d", dims[i], i);
    return true;
}

typedef struct declared {
    const char *at;
    vj_type *types;
    int32_t count, capacity;
} declared;

static bool parse_declared(vj_parser *p, declared *d) {
    d->at = vj_lex_here(&p->l);
    if (!vj_lex_take(&p->l, "->")) return true;
    do {
        vj_type type;
        if (!vj_parse_type(p, &type)) return false;
        *VJ_PUSH(p->l.arena, d->types, d->count, d->capacity) = type;
    } while (vj_lex_take(&p->l, ","));
    return true;
}

static bool check_declared(vj_parser *p, const declared *d) {
    if (!d->count) return true;
    if (d->count != p->f->output_count)
        return vj_lex_fail(&p->l, d->at, "%d results are declared, but %d returned", d->count, p->f->output_count);
    for (int32_t i = 0; i < d->count; i++)
        if (!vj_type_equal(&d->types[i], vj_type_at(p->f, p->f->outputs[i])))
            return vj_lex_fail(&p->l, d->at, "result %d is declared %s, but is %s", i,
                               vj_type_text(p->l.arena, &d->types[i]),
                               vj_type_text(p->l.arena, vj_type_at(p->f, p->f->outputs[i])));
    return true;
}

static bool parse_func(vj_parser *p) {
    const char *at = vj_lex_here(&p->l), *name;
    bool quoted;
    declared d = {0};
    if (!vj_lex_take_word(&p->l, "func")) return vj_lex_fail(&p->l, at, "expected func");
    if (!vj_lex_expect(&p->l, "@") || !vj_lex_name(&p->l, &name, &quoted)) return false;
    p->f = vj_func_new(p->l.arena, name);
    if (!parse_params(p) || !parse_declared(p, &d) || !parse_symbols(p) || !check_params(p, at)) return false;
    if (!vj_lex_expect(&p->l, "{")) return false;
    while (*vj_lex_here(&p->l) != '}' && !vj_lex_take_word(&p->l, "return"))
        if (!parse_node(p)) return false;
    if (*p->l.at != '}' && !parse_return(p)) return false;
    return vj_lex_expect(&p->l, "}") && check_declared(p, &d);
}

vj_func *vj_parse(vj_arena *arena, const char *text, const char *folder, const char **rest, vj_error *error) {
    vj_parser p = {
        .l = {.text = text, .at = text, .arena = arena, .error = error}, .values = {.arena = arena}, .folder = folder};
    bool parsed = parse_func(&p);
    if (rest) *rest = p.l.at;
    return parsed ? p.f : NULL;
}
