/* SPDX-License-Identifier: Apache-2.0 */
/* fixed.c - inputs whose value decides shapes.
 *
 * A shape must be known when the code is generated. Where it depends on an input's value (the axes of a reduction, a
 * target of Reshape, pads), the model is specialised by that value as it is by the sizes of open dims: the value
 * becomes a constant, the input stays an input, and whoever runs the code checks that it has that value
 * (vj_func.required). An offered value is taken when a node needs it. The graph is then imported again from its start,
 * as earlier nodes may follow from the value too.
 */
#include "import.h"

#include <string.h>

enum { RESTARTS = 64, NODES_WALKED = 4096 };

static const vj_fixed_input *find(const vj_fixed_input *list, int32_t count, const char *name) {
    for (int32_t i = 0; i < count; i++)
        if (strcmp(list[i].name, name) == 0) return &list[i];
    return NULL;
}

const vj_fixed_input *vj_fixed_value(const vj_importer *im, const char *name) {
    const vj_import_options *o = im->options;
    if (!o) return NULL;
    const vj_fixed_input *fixed = find(o->fixed, o->fixed_count, name);
    if (fixed) return fixed;
    const vj_fixed_input *offered = find(o->offered, o->offered_count, name);
    return offered && im->taken[offered - o->offered] ? offered : NULL;
}

static bool wrong(vj_importer *im, const vj_fixed_input *value, const char *what) {
    return vj_stop(im, VJ_USAGE, "the value given for the input '%.100s' %s", value->name, what);
}

/* Checks that the value's size agrees with its dims, and that its type can have its elements. */
static bool is_sound(vj_importer *im, const vj_fixed_input *value, vj_type *type) {
    if (value->rank < 0 || value->rank > VJ_MAX_RANK || value->dtype <= VJ_NO_DTYPE || value->dtype >= VJ_DTYPE_COUNT)
        return wrong(im, value, "has no type");
    int64_t bytes = vj_element_bytes(value->dtype);
    for (int32_t i = 0; i < value->rank; i++)
        if (value->dims[i] < 0 || !vj_mul(bytes, value->dims[i], &bytes)) return wrong(im, value, "has no size");
    if (bytes > VJ_FIXED_BYTES) return wrong(im, value, "is too large to become a part of the program");
    if ((size_t)bytes != value->bytes || (bytes && !value->data))
        return wrong(im, value, "has not as many bytes as its dims say");
    for (size_t i = 0; value->dtype == VJ_BOOL && i < value->bytes; i++)
        if (((const uint8_t *)value->data)[i] > 1) return wrong(im, value, "has a boolean that is neither 0 nor 1");
    *type = vj_type_of(value->dtype, value->rank, value->dims);
    return true;
}

/* Checks that the type which the model declares allows the value. */
static bool is_declared(vj_importer *im, const vj_fixed_input *value, const Onnx__TensorTypeProto *t) {
    if (vj_dtype_of_onnx(t->elem_type) != value->dtype) return wrong(im, value, "is of another type");
    if (!t->shape) return true;
    if (t->shape->n_dim != (size_t)value->rank) return wrong(im, value, "has another rank");
    for (int32_t i = 0; i < value->rank; i++) {
        const Onnx__Dimension *d = t->shape->dim[i];
        const bool open = (d->dim_param && *d->dim_param) || !d->has_dim_value || d->dim_value < 0;
        if (!open && d->dim_value != value->dims[i]) return wrong(im, value, "has another shape");
    }
    return true;
}

bool vj_bind_fixed_input(vj_importer *im, const vj_fixed_input *value, const Onnx__TensorTypeProto *t) {
    vj_type type;
    if (!is_sound(im, value, &type) || !is_declared(im, value, t)) return false;
    vj_func *f = im->f;
    const char *name = vj_strdup(im->arena, value->name);
    vj_binding *b = vj_bindings_add(im->names, name);
    if (!b) return vj_stop(im, VJ_BAD_INPUT, "'%.100s' is an input twice", name);
    uint8_t *copy = vj_alloc(im->arena, value->bytes + 1);
    if (value->bytes) memcpy(copy, value->data, value->bytes);
    vj_const *constant = VJ_NEW(im->arena, vj_const);
    *constant = (vj_const){.kind = VJ_CONST_BYTES,
                           .source = vj_source_memory(im->arena, im->onnx->path, copy, (int64_t)value->bytes),
                           .length = (int64_t)value->bytes};
    if (!f->required) f->required = VJ_NEW_ARRAY(im->arena, const vj_const *, im->onnx->graph->n_input + 1);
    f->required[f->input_count] = constant;
    vj_add_param(f, name, &type);
    b->value = vj_add_const(f, NULL, &type, constant);
    return true;
}

/* Returns whether this input could be specialised by value: it must have few elements, and fewer still if they are
 * floats, which are likely to be data. */
static bool is_small(const vj_importer *im, vj_value v) {
    const vj_type *type = vj_type_at(im->f, v);
    int64_t count;
    const bool is_float = vj_dtype_is_float(type->dtype);
    return type->rank <= 2 && vj_type_elements(im->f, type, &count) &&
           count <= (is_float ? VJ_KNOWN_FLOATS : VJ_KNOWN_LIMIT);
}

/* The inputs that a value follows from. */
typedef struct origins {
    vj_value input[16]; /* the small ones */
    int32_t count, walked;
    vj_value data; /* a large input, or a value whose size the data decides; VJ_NONE when there is none */
    bool *seen;
} origins;

static void walk(const vj_importer *im, vj_value v, origins *at) {
    enum { MOST = sizeof at->input / sizeof at->input[0] };
    if (at->seen[v] || at->data >= 0) return;
    at->seen[v] = true;
    const vj_node *node = vj_producer(im->f, v);
    const bool far = at->walked++ > NODES_WALKED || (vj_op_table(node->op)->flags & VJ_FLAG_DATA_SHAPE);
    if (node->op == VJ_OP_param && !far && at->count < MOST && is_small(im, v))
        at->input[at->count++] = v;
    else if (node->op == VJ_OP_param || far)
        at->data = v;
    for (int32_t i = 0; i < node->arg_count; i++)
        if (node->args[i] >= 0) walk(im, node->args[i], at);
}

static const char *name_of(const vj_importer *im, vj_value v) {
    const char *name = im->f->values[v].name;
    return name ? name : "";
}

/* Takes the values that are offered for the inputs. Returns the name of an input without an offer, or NULL. */
static const char *take(vj_importer *im, const origins *from) {
    const vj_import_options *o = im->options;
    for (int32_t i = 0; i < from->count; i++) {
        const char *name = name_of(im, from->input[i]);
        const vj_fixed_input *offer = o ? find(o->offered, o->offered_count, name) : NULL;
        if (!offer) return name;
        im->again = true;
        im->taken[offer - o->offered] = true;
    }
    return NULL;
}

bool vj_stop_unknown(vj_importer *im, int32_t operand, const char *what) {
    if (!vj_going(im)) return false;
    const vj_value v = vj_operand_value(im, operand);
    if (!vj_going(im)) return false;
    origins from = {.data = VJ_NONE, .seen = VJ_NEW_ARRAY(im->arena, bool, im->f->value_count + 1)};
    walk(im, v, &from);
    if (from.data >= 0 && vj_producer(im->f, from.data)->op == VJ_OP_param)
        return vj_stop(im, VJ_UNSUPPORTED, "its %s: known only while it runs, from the data of '%.100s'", what,
                       name_of(im, from.data));
    if (from.data >= 0 || from.count == 0) return vj_stop(im, VJ_UNSUPPORTED, "its %s: known only while it runs", what);
    const char *lacking = take(im, &from);
    vj_stop(im, VJ_USAGE, "its %s: the input '%.100s' decides a shape, and its value is not given", what,
            lacking ? lacking : "");
    if (lacking) {
        im->again = false;
        vj_advise_value(im->error, lacking);
    }
    return false;
}

bool vj_takes_offers(vj_importer *im, int32_t operand) {
    const vj_value v = vj_operand_value(im, operand);
    const vj_import_options *o = im->options;
    if (!vj_going(im)) return false;
    origins from = {.data = VJ_NONE, .seen = VJ_NEW_ARRAY(im->arena, bool, im->f->value_count + 1)};
    walk(im, v, &from);
    for (int32_t i = 0; i < from.count; i++)
        if (!o || !find(o->offered, o->offered_count, name_of(im, from.input[i]))) return false;
    return from.data < 0 && from.count && !vj_stop_unknown(im, operand, "condition");
}

bool vj_import_again(vj_importer *im, int32_t *restarts) {
    if (!im->again || *restarts >= RESTARTS) return false;
    ++*restarts;
    *im->error = (vj_error){0};
    return true;
}

bool vj_check_fixed_names(vj_importer *im) {
    const vj_import_options *o = im->options;
    const Onnx__GraphProto *g = im->onnx->graph;
    for (int32_t i = 0; o && i < o->fixed_count; i++) {
        bool found = false;
        for (size_t j = 0; j < g->n_input && !found; j++)
            found = strcmp(vj_text_of(g->input[j]->name), o->fixed[i].name) == 0;
        if (!found) return vj_stop(im, VJ_USAGE, "there is no input '%.100s' to be fixed", o->fixed[i].name);
    }
    return true;
}
