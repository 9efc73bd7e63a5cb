/* SPDX-License-Identifier: Apache-2.0 */
/* operands.c - the current node's operands, attributes and results. */
#include "import.h"

#include <string.h>

bool vj_has_operand(const vj_importer *im, int32_t i) {
    if (i < 0 || (size_t)i >= im->node->n_input || !*im->node->input[i]) return false;
    const vj_binding *b = im->scope->function ? vj_bindings_find(im->names, im->node->input[i]) : NULL;
    return !b || !b->is_absent;
}

/* Notes why a name has no value: a later node defines it, or nothing does. */
static void explain_undefined(vj_importer *im, const char *name) {
    const Onnx__NodeProto *definer = vj_scope_definer(im->scope, name);
    if (definer)
        vj_stop(im, VJ_BAD_INPUT, "uses '%s' before node '%s' defines it: the nodes form a cycle", name,
                vj_onnx_node_name(definer));
    else
        vj_stop(im, VJ_BAD_INPUT, "uses '%s', which nothing defines", name);
}

vj_binding *vj_operand_binding(vj_importer *im, int32_t i) {
    if (!vj_going(im)) return NULL;
    if (!vj_has_operand(im, i)) {
        vj_stop(im, VJ_BAD_INPUT, "operand %d is missing", i);
        return NULL;
    }
    vj_binding *b = vj_bindings_find(im->names, im->node->input[i]);
    if (!b) explain_undefined(im, im->node->input[i]);
    return b;
}

vj_value vj_operand_value(vj_importer *im, int32_t i) {
    vj_binding *b = vj_operand_binding(im, i);
    return b ? vj_materialise(im, b) : VJ_NONE;
}

vj_value vj_materialise(vj_importer *im, vj_binding *b) {
    if (b->value >= 0 || !vj_going(im)) return b->value;
    const vj_known *k = b->known;
    double *f = VJ_NEW_ARRAY(im->arena, double, k->count + 1);
    int64_t *n = VJ_NEW_ARRAY(im->arena, int64_t, k->count + 1);
    bool has_data = false;
    for (int64_t i = 0; i < k->count; i++) {
        has_data |= k->at[i].a && k->at[i].data;
        if (k->at[i].a && !k->at[i].data) {
            vj_stop(im, VJ_UNSUPPORTED, "'%s' depends on the batch and is used as data", b->name);
            vj_advise_batch(im->error, 1);
            return VJ_NONE;
        }
        f[i] = k->at[i].f;
        n[i] = k->at[i].b;
    }
    if (has_data) {
        b->value = vj_known_value(im, k);
        return b->value;
    }
    b->value = vj_dtype_is_float(k->dtype) ? vj_add_const_f64(im->f, k->dtype, k->rank, k->dims, f)
                                           : vj_add_const_i64(im->f, k->dtype, k->rank, k->dims, n);
    im->f->values[b->value].name = vj_strdup(im->arena, b->name);
    return b->value;
}

static bool has_name(const vj_importer *im, int32_t result) {
    return (size_t)result < im->node->n_output && *im->node->output[result];
}

bool vj_result_is_used(const vj_importer *im, int32_t result) {
    if (!has_name(im, result)) return false;
    const char *name = im->node->output[result];
    if (vj_scope_uses(im->scope, name)) return true;
    for (int32_t i = 0; !im->scope->outer && im->options && i < im->options->also_output_count; i++)
        if (strcmp(im->options->also_outputs[i], name) == 0) return true;
    return false;
}

static vj_binding *new_binding(vj_importer *im, int32_t result) {
    vj_binding *b = vj_bindings_add(im->names, im->node->output[result]);
    if (!b) vj_stop(im, VJ_BAD_INPUT, "defines '%s', which is defined already", im->node->output[result]);
    return b;
}

bool vj_bind(vj_importer *im, int32_t result, vj_value value) {
    if (!vj_going(im)) return false;
    if (!has_name(im, result)) return true;
    vj_binding *b = new_binding(im, result);
    if (!b) return false;
    b->value = value;
    const char **name = &im->f->values[value].name;
    if (!*name) *name = vj_sprintf(im->arena, "%s%s", im->scope->path, b->name);
    return true;
}

vj_value vj_bound(vj_importer *im, int32_t result) {
    vj_binding *b = vj_going(im) && has_name(im, result) ? vj_bindings_find(im->names, im->node->output[result]) : NULL;
    return b ? vj_materialise(im, b) : VJ_NONE;
}

bool vj_rebind(vj_importer *im, int32_t result, vj_value value) {
    if (!vj_going(im)) return false;
    vj_binding *b = vj_bindings_find(im->names, im->node->output[result]);
    vj_value_info *old = &im->f->values[b->value], *now = &im->f->values[value];
    if (!now->name) {
        now->name = old->name;
        old->name = NULL;
    }
    b->value = value;
    b->known = NULL;
    b->asked = false;
    return true;
}

bool vj_bind_same(vj_importer *im, int32_t result, const vj_binding *as) {
    if (!vj_going(im)) return false;
    if (!has_name(im, result)) return true;
    vj_binding *b = new_binding(im, result);
    if (!b) return false;
    b->value = as->value;
    b->known = as->known;
    b->asked = as->asked;
    return true;
}

bool vj_bind_known(vj_importer *im, int32_t result, const vj_known *known) {
    if (!vj_going(im)) return false;
    if (!has_name(im, result)) return true;
    vj_binding *b = new_binding(im, result);
    if (b) b->known = known;
    return b != NULL;
}

/* Attributes. Old exporters did not write the kind, which then reads as 0. */

enum { KIND_FLOAT = 1, KIND_INT = 2, KIND_TEXT = 3, KIND_TENSOR = 4, KIND_INTS = 7 };

const Onnx__AttributeProto *vj_find_attribute(vj_importer *im, const char *name) {
    for (size_t i = 0; i < im->node->n_attribute; i++)
        if (strcmp(vj_text_of(im->node->attribute[i]->name), name) == 0) return im->node->attribute[i];
    return NULL;
}

static const Onnx__AttributeProto *attribute_of_kind(vj_importer *im, const char *name, int32_t kind) {
    if (!vj_going(im)) return NULL;
    const Onnx__AttributeProto *a = vj_find_attribute(im, name);
    if (a && a->type != kind && a->type != 0) {
        vj_stop(im, VJ_BAD_INPUT, "attribute '%s' is of the wrong kind", name);
        return NULL;
    }
    return a;
}

int64_t vj_int_attribute(vj_importer *im, const char *name, int64_t otherwise) {
    const Onnx__AttributeProto *a = attribute_of_kind(im, name, KIND_INT);
    return a ? a->i : otherwise;
}

double vj_float_attribute(vj_importer *im, const char *name, double otherwise) {
    const Onnx__AttributeProto *a = attribute_of_kind(im, name, KIND_FLOAT);
    return a ? (double)a->f : otherwise;
}

double vj_epsilon(vj_importer *im, double otherwise) {
    const double eps = vj_float_attribute(im, "epsilon", otherwise);
    if (!(eps >= 0 && eps < 1e30)) vj_stop(im, VJ_BAD_INPUT, "its epsilon is %g", eps);
    return eps;
}

const char *vj_text_attribute(vj_importer *im, const char *name, const char *otherwise) {
    const Onnx__AttributeProto *a = attribute_of_kind(im, name, KIND_TEXT);
    return a ? vj_strndup(im->arena, (const char *)a->s.data, a->s.len) : otherwise;
}

const int64_t *vj_ints_attribute(vj_importer *im, const char *name, int32_t *count) {
    const Onnx__AttributeProto *a = attribute_of_kind(im, name, KIND_INTS);
    *count = 0;
    if (!a) return NULL;
    if (a->n_ints > VJ_KNOWN_LIMIT) {
        vj_stop(im, VJ_BAD_INPUT, "attribute '%s' is too long", name);
        return NULL;
    }
    *count = (int32_t)a->n_ints;
    static const int64_t none[1];
    return a->n_ints ? a->ints : none;
}

int32_t vj_axis_of(vj_importer *im, int64_t axis, int32_t rank) {
    if (!vj_going(im)) return -1;
    if (axis < -rank || axis >= rank) {
        vj_stop(im, VJ_BAD_INPUT, "axis %lld is outside a tensor of rank %d", (long long)axis, rank);
        return -1;
    }
    return (int32_t)(axis < 0 ? axis + rank : axis);
}
