/* SPDX-License-Identifier: Apache-2.0 */
/* inputs.c - binds initializers and inputs, and decides the sizes of open dims.
 *
 * The first dim of an input is the batch when the model leaves it open: N, or options->fixed_batch. A name of a dim
 * means the same size throughout the model. Other open dims take their size from options->shapes. Where the shapes
 * differ in open first dims (three texts, one image), these are batches of their own: N where a shape says so, else the
 * size given, whatever they are called.
 */
#include "import.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

static vj_dim batch_dim(const vj_importer *im) {
    int64_t fixed = im->options ? im->options->fixed_batch : 0;
    return fixed > 0 ? vj_dim_const(fixed) : (vj_dim){1, VJ_SYM_BATCH};
}

/* Returns whether the name says no more than that a size is not known: exporters and scripts write "", "?", "*", "-1",
 * "None" or "unknown" for any dim. A numbered one (unk__7) is a name. */
static bool means_nothing(const char *name) {
    static const char *const words[] = {"none", "null", "unk", "unknown"};
    bool is_named = false;
    if (!name) return true;
    for (const char *at = name; *at; at++)
        is_named |=
            isalpha((unsigned char)*at) || (unsigned char)*at > 127 || (isdigit((unsigned char)*at) && *name != '-');
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasecmp(name, words[i]) == 0) return true;
    return !is_named;
}

static vj_dim_name *find_dim(vj_importer *im, const char *name) {
    if (means_nothing(name)) return NULL;
    for (int32_t i = 0; i < im->dim_count; i++)
        if (strcmp(im->dims[i].name, name) == 0) return &im->dims[i];
    return NULL;
}

static void add_name(vj_importer *im, const char *name, vj_dim dim) {
    *VJ_PUSH(im->arena, im->dims, im->dim_count, im->dim_capacity) = (vj_dim_name){.name = name, .dim = dim};
}

static bool name_dim(vj_importer *im, const char *name, vj_dim dim) {
    if (means_nothing(name)) return true;
    const vj_dim_name *known = find_dim(im, name);
    if (known && !known->has_several && !vj_dim_equal(known->dim, dim))
        return vj_stop(im, VJ_USAGE, "the dim '%.60s' is given two sizes", name);
    if (!known) add_name(im, name, dim);
    return true;
}

static const vj_shape *given_shape(const vj_importer *im, const char *name) {
    for (int32_t i = 0; im->options && i < im->options->shape_count; i++)
        if (strcmp(im->options->shapes[i].name, name) == 0) return &im->options->shapes[i];
    return NULL;
}

/* Returns whether the size of an input's or output's dim is open. An output's 0 may stand for an unknown size. */
static bool is_open(const Onnx__Dimension *d) {
    return (d->dim_param && *d->dim_param) || !d->has_dim_value || d->dim_value < 1;
}

/* Returns whether the dim is really 0. Old exporters wrote 0 for an unknown batch, so a given shape decides there. */
static bool is_zero(const Onnx__Dimension *d, int32_t axis, const vj_shape *given) {
    if ((d->dim_param && *d->dim_param) || !d->has_dim_value || d->dim_value != 0) return false;
    return given ? given->dims[axis] == 0 : axis > 0;
}

/* The batches of the inputs */

static const Onnx__TensorTypeProto *tensor_of(const Onnx__ValueInfoProto *info) {
    return info->type ? info->type->tensor_type : NULL;
}

/* The first dim of a shape that is given for an input which leaves it open, or NULL. */
static const int64_t *given_batch(const vj_importer *im, const Onnx__ValueInfoProto *info) {
    const Onnx__TensorTypeProto *t = tensor_of(info);
    const vj_shape *given = given_shape(im, vj_text_of(info->name));
    const bool is_a_value = !t || vj_fixed_value(im, vj_text_of(info->name));
    if (is_a_value || !given || given->rank < 1 || given->dims[0] == 0) return NULL;
    if (t->shape && (t->shape->n_dim != (size_t)given->rank || !is_open(t->shape->dim[0]))) return NULL;
    return given->dims;
}

/* A name of several batches means none of them. */
static void name_batch(vj_importer *im, const Onnx__ValueInfoProto *info, vj_dim dim) {
    const Onnx__TensorTypeProto *t = tensor_of(info);
    const char *name = t->shape ? t->shape->dim[0]->dim_param : NULL;
    vj_dim_name *known = find_dim(im, name);
    if (known)
        known->has_several |= !vj_dim_equal(known->dim, dim);
    else if (!means_nothing(name))
        add_name(im, name, dim);
}

/* Do the shapes differ in open first dims? Their names are known then. */
static void part_batches(vj_importer *im) {
    const Onnx__GraphProto *g = im->onnx->graph;
    const int64_t *first = NULL;
    for (size_t i = 0; i < g->n_input; i++) {
        const int64_t *batch = given_batch(im, g->input[i]);
        if (!first) first = batch;
        im->batches_differ |= batch && *batch != *first;
    }
    for (size_t i = 0; i < g->n_input && im->batches_differ; i++) {
        const int64_t *batch = given_batch(im, g->input[i]);
        if (batch) name_batch(im, g->input[i], *batch > 0 ? vj_dim_const(*batch) : batch_dim(im));
    }
}

/* Decides an open first dim. */
static bool first_dim(vj_importer *im, const char *input, const char *name, const vj_shape *given, vj_dim *dim) {
    const vj_dim_name *known = find_dim(im, name);
    if (!im->batches_differ) {
        *dim = known ? known->dim : batch_dim(im); /* [batch, length] before [length] */
        return known || name_dim(im, name, *dim);
    }
    if (given || (known && !known->has_several)) {
        *dim = !given ? known->dim : given->dims[0] > 0 ? vj_dim_const(given->dims[0]) : batch_dim(im);
        return true;
    }
    vj_stop(im, VJ_USAGE, "input '%.100s' wants its own batch: the shapes given for others have several", input);
    vj_advise_shape(im->error, input, "...");
    return false;
}

/* The dims of an input */

static bool ask_for_size(vj_importer *im, const char *input, const Onnx__TensorTypeProto *t, int32_t axis) {
    const char *name = t->shape ? t->shape->dim[axis]->dim_param : NULL;
    vj_stop(im, VJ_USAGE, "input '%.100s' leaves dim %d ('%.60s') open", input, axis, name && *name ? name : "?");
    vj_advise_shape(im->error, input, vj_example_shape(im->arena, t));
    return false;
}

/* Decides a dim that the model fixes. */
static bool fixed_dim(vj_importer *im, const char *input, const Onnx__Dimension *d, int32_t axis, const vj_shape *given,
                      vj_dim *dim) {
    const int64_t size = given ? given->dims[axis] : d->dim_value;
    if (size == VJ_BATCH_DIM)
        return vj_stop(im, VJ_USAGE, "input '%.100s' has %" PRId64 " as dim %d, which is not open", input, d->dim_value,
                       axis);
    if (size != d->dim_value)
        return vj_stop(im, VJ_USAGE, "input '%.100s' has %" PRId64 " as dim %d, not %" PRId64, input, d->dim_value,
                       axis, size);
    *dim = vj_dim_const(d->dim_value);
    return true;
}

/* Decides one dim of an input. The batch stays N even when a shape gives its size, as code is generic in it. */
static bool input_dim(vj_importer *im, const char *input, const Onnx__TensorTypeProto *t, int32_t axis,
                      const vj_shape *given, vj_dim *dim) {
    static const Onnx__Dimension open = ONNX__DIMENSION__INIT;
    const Onnx__Dimension *d = t->shape ? t->shape->dim[axis] : &open;
    const int64_t size = given ? given->dims[axis] : 0;
    if (is_zero(d, axis, given)) {
        *dim = vj_dim_const(0);
        return true;
    }
    if (!is_open(d)) return fixed_dim(im, input, d, axis, given, dim);
    if (axis == 0) return first_dim(im, input, d->dim_param, given, dim);
    const vj_dim_name *known = find_dim(im, d->dim_param);
    if (known && !known->has_several && (!given || known->dim.sym == VJ_SYM_BATCH || known->dim.c == size)) {
        *dim = known->dim;
        return true;
    }
    if (size == VJ_BATCH_DIM)
        return vj_stop(im, VJ_USAGE, "dim %d of input '%.100s' wants a size: only the batch stays open", axis, input);
    if (!given || size < 1) return ask_for_size(im, input, t, axis);
    *dim = vj_dim_const(size);
    return name_dim(im, d->dim_param, *dim);
}

static bool bind_input(vj_importer *im, const Onnx__ValueInfoProto *info) {
    const char *name = vj_text_of(info->name);
    const Onnx__TensorTypeProto *t = tensor_of(info);
    if (!*name) return vj_stop(im, VJ_BAD_INPUT, "an input has no name");
    if (!t) return vj_stop(im, VJ_UNSUPPORTED, "input '%.100s' is not a tensor", name);
    vj_type type = {.dtype = vj_dtype_of_onnx(t->elem_type)};
    if (type.dtype == VJ_NO_DTYPE)
        return vj_stop(im, vj_is_onnx_dtype(t->elem_type) ? VJ_UNSUPPORTED : VJ_BAD_INPUT,
                       "input '%.100s' has element type %s, which is not supported", name,
                       vj_onnx_dtype_name(t->elem_type));
    const vj_fixed_input *fixed = vj_fixed_value(im, name);
    if (fixed) return vj_bind_fixed_input(im, fixed, t);
    const vj_shape *given = given_shape(im, name);
    vj_shape picture;
    if (!given && vj_picture_shape(im, t, &picture)) {
        given = &picture;
        im->took_picture = true;
    }
    size_t rank = t->shape ? t->shape->n_dim : given ? (size_t)given->rank : 0;
    if (!t->shape && !given) {
        vj_stop(im, VJ_USAGE, "input '%.100s' leaves its shape open", name);
        vj_advise_shape(im->error, name, vj_example_shape(im->arena, t));
        return false;
    }
    if (rank > VJ_MAX_RANK) return vj_stop(im, VJ_UNSUPPORTED, "input '%.100s' has %zu dims", name, rank);
    if (given && (size_t)given->rank != rank)
        return vj_stop(im, VJ_USAGE, "input '%.100s' has %zu dims, but the shape given has %d", name, rank,
                       given->rank);
    type.rank = (int32_t)rank;
    for (int32_t i = 0; i < type.rank; i++)
        if (!input_dim(im, name, t, i, given, &type.dims[i])) return false;
    int64_t elements, bytes;
    if (!vj_type_elements(im->f, &type, &elements) || !vj_mul(elements, 8, &bytes))
        return vj_stop(im, VJ_BAD_INPUT, "input '%.100s' has dims whose product is too large", name);
    vj_binding *b = vj_bindings_add(im->names, name);
    if (!b) return vj_stop(im, VJ_BAD_INPUT, "'%.100s' is an input twice", name);
    b->value = vj_add_param(im->f, name, &type);
    return true;
}

static bool bind_initializer(vj_importer *im, const vj_scope *scope, const Onnx__TensorProto *t) {
    const char *name = vj_text_of(t->name);
    const char *what = vj_sprintf(im->arena, "%s: initializer '%s%.100s'", im->onnx->path, scope->path, name);
    vj_type type;
    vj_const constant;
    if (!*name) return vj_stop(im, VJ_BAD_INPUT, "an initializer has no name");
    if (!vj_tensor_constant(im->onnx, t, what, &type, &constant, im->error)) return false;
    vj_binding *b = vj_bindings_add(scope->names, name);
    if (!b) return vj_stop(im, VJ_BAD_INPUT, "'%.100s' is an initializer twice", name);
    b->value = vj_add_const(im->f, name, &type, &constant);
    return true;
}

bool vj_bind_initializers(vj_importer *im, const vj_scope *scope) {
    const Onnx__GraphProto *g = scope->graph;
    if (g->has_dropped) return vj_stop(im, VJ_UNSUPPORTED, "sparse initializers are not supported");
    for (size_t i = 0; i < g->n_initializer; i++)
        if (!bind_initializer(im, scope, g->initializer[i])) return false;
    return true;
}

/* Returns whether the declared type allows this one. */
static bool agrees(const Onnx__ValueInfoProto *info, const vj_type *type) {
    const Onnx__TensorTypeProto *t = tensor_of(info);
    if (!t) return true;
    bool fits = t->elem_type == 0 || vj_dtype_of_onnx(t->elem_type) == type->dtype;
    fits = fits && (!t->shape || t->shape->n_dim == (size_t)type->rank);
    for (int32_t i = 0; fits && t->shape && i < type->rank; i++) {
        const Onnx__Dimension *d = t->shape->dim[i];
        fits = is_open(d) || type->dims[i].sym != VJ_SYM_NONE || d->dim_value == type->dims[i].c;
    }
    return fits;
}

bool vj_bind_inputs(vj_importer *im) {
    const Onnx__GraphProto *g = im->onnx->graph;
    if (!vj_bind_initializers(im, im->scope)) return false;
    for (int32_t i = 0; im->options && i < im->options->shape_count; i++) {
        bool found = false;
        for (size_t j = 0; j < g->n_input && !found; j++)
            found = strcmp(vj_text_of(g->input[j]->name), im->options->shapes[i].name) == 0;
        if (!found) return vj_stop(im, VJ_USAGE, "there is no input '%.100s'", im->options->shapes[i].name);
    }
    if (!vj_check_fixed_names(im)) return false;
    part_batches(im);
    for (size_t i = 0; i < g->n_input; i++) {
        /* Old models list initializers as inputs too. Their data is the input's default, which vitjit uses. */
        const vj_binding *known = vj_bindings_find(im->names, vj_text_of(g->input[i]->name));
        if (known && vj_is_const(im->f, known->value)) {
            if (!agrees(g->input[i], vj_type_at(im->f, known->value)))
                return vj_stop(im, VJ_BAD_INPUT, "initializer '%.100s' is %s, which contradicts the input of that name",
                               known->name, vj_type_text(im->arena, vj_type_at(im->f, known->value)));
            if (!vj_fixed_value(im, known->name)) continue;
            return vj_stop(im, VJ_USAGE, "'%.100s' has a value in the model, which is taken", known->name);
        }
        if (!bind_input(im, g->input[i])) return false;
    }
    return true;
}

/* Checks that an output's declared type does not contradict the type of its value. */
bool vj_check_output_type(vj_importer *im, const Onnx__ValueInfoProto *info, vj_value value) {
    const vj_type *type = vj_type_at(im->f, value);
    if (vj_is_of_nibbles(im->f, value))
        return vj_stop(im, VJ_UNSUPPORTED, "output '%.100s' has numbers of 4 bits", vj_text_of(info->name));
    if (agrees(info, type)) return true;
    return vj_stop(im, VJ_BAD_INPUT, "output '%.100s' is %s, which contradicts the type that the model declares",
                   vj_text_of(info->name), vj_type_text(im->arena, type));
}
