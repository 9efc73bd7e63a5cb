/* inputs.c - binds initializers and inputs, and decides the sizes of open dims.
 *
 * The first dim of an input is the batch when the model leaves it open: N, or options->fixed_batch. A name of a dim
 * means the same size throughout the model. Other open dims take their size from options->shapes.
 */
#include "import.h"

#include <inttypes.h>
#include <string.h>

static vj_dim batch_dim(const vj_importer *im) {
    int64_t fixed = im->options ? im->options->fixed_batch : 0;
    return fixed > 0 ? vj_dim_const(fixed) : (vj_dim){1, VJ_SYM_BATCH};
}

static vj_dim_name *find_dim(vj_importer *im, const char *name) {
    for (int32_t i = 0; name && *name && i < im->dim_count; i++)
        if (strcmp(im->dims[i].name, name) == 0) return &im->dims[i];
    return NULL;
}

static bool name_dim(vj_importer *im, const char *name, vj_dim dim) {
    if (!name || !*name) return true;
    vj_dim_name *known = find_dim(im, name);
    if (known && !vj_dim_equal(known->dim, dim))
        return vj_stop(im, VJ_USAGE, "the dim '%.60s' is given two sizes", name);
    if (!known) *VJ_PUSH(im->arena, im->dims, im->dim_count, im->dim_capacity) = (vj_dim_name){name, dim};
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

/* Decides one dim of an input. The batch stays N even when a shape gives its size, as code is generic in it. */
static bool input_dim(vj_importer *im, const char *input, const Onnx__Dimension *d, int32_t axis, const vj_shape *given,
                      const char *example, vj_dim *dim) {
    int64_t size = given ? given->dims[axis] : 0;
    if (is_zero(d, axis, given)) {
        *dim = vj_dim_const(0);
        return true;
    }
    const bool stays_open = given && size == VJ_BATCH_DIM;
    if (!is_open(d)) {
        if (stays_open)
            return vj_stop(im, VJ_USAGE, "input '%.100s' has %" PRId64 " as dim %d, which is not open", input,
                           d->dim_value, axis);
        if (given && size != d->dim_value)
            return vj_stop(im, VJ_USAGE, "input '%.100s' has %" PRId64 " as dim %d, not %" PRId64, input, d->dim_value,
                           axis, size);
        *dim = vj_dim_const(d->dim_value);
        return true;
    }
    if (axis == 0) {
        *dim = batch_dim(im);
        return name_dim(im, d->dim_param, *dim);
    }
    vj_dim_name *known = find_dim(im, d->dim_param);
    if (known && (!given || known->dim.sym == VJ_SYM_BATCH || known->dim.c == size)) {
        *dim = known->dim;
        return true;
    }
    if (stays_open)
        return vj_stop(im, VJ_USAGE, "dim %d of input '%.100s' wants a size: only the batch stays open", axis, input);
    if (!given || size < 1) {
        const char *name = d->dim_param && *d->dim_param ? d->dim_param : "?";
        vj_stop(im, VJ_USAGE, "input '%.100s' leaves dim %d ('%.60s') open", input, axis, name);
        vj_hint(im->error, "give its size, for example --shape %.60s=%s", input, example);
        return false;
    }
    *dim = vj_dim_const(size);
    return name_dim(im, d->dim_param, *dim);
}

static bool bind_input(vj_importer *im, const Onnx__ValueInfoProto *info) {
    const char *name = vj_text_of(info->name);
    const Onnx__TensorTypeProto *t = info->type ? info->type->tensor_type : NULL;
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
    if (!given && vj_picture_shape(im, t, &picture)) given = &picture;
    size_t rank = t->shape ? t->shape->n_dim : given ? (size_t)given->rank : 0;
    if (!t->shape && !given) {
        vj_stop(im, VJ_USAGE, "input '%.100s' leaves its shape open", name);
        vj_hint(im->error, "give it, for example --shape %.60s=%s", name, vj_example_shape(im->arena, t));
        return false;
    }
    if (rank > VJ_MAX_RANK) return vj_stop(im, VJ_UNSUPPORTED, "input '%.100s' has %zu dims", name, rank);
    if (given && (size_t)given->rank != rank)
        return vj_stop(im, VJ_USAGE, "input '%.100s' has %zu dims, but the shape given has %d", name, rank,
                       given->rank);
    type.rank = (int32_t)rank;
    static const Onnx__Dimension open = ONNX__DIMENSION__INIT;
    const char *example = vj_example_shape(im->arena, t);
    for (int32_t i = 0; i < type.rank; i++)
        if (!input_dim(im, name, t->shape ? t->shape->dim[i] : &open, i, given, example, &type.dims[i])) return false;
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
    const Onnx__TensorTypeProto *t = info->type ? info->type->tensor_type : NULL;
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
