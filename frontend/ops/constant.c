/* SPDX-License-Identifier: Apache-2.0 */
/* constant.c - builders of constants: Constant, ConstantOfShape, Range, Size. */
#include "frontend/import/import.h"

#include <math.h>
#include <string.h>

enum { RANGE_LIMIT = 1 << 22 };

static bool tensor_constant(vj_importer *im, const Onnx__TensorProto *t) {
    const char *what = vj_sprintf(im->arena, "%s: the value of node '%.100s'", im->onnx->path, im->origin->node);
    vj_type type;
    vj_const constant;
    if (!vj_tensor_constant(im->onnx, t, what, &type, &constant, im->error)) return false;
    return vj_bind(im, 0, vj_add_const(im->f, NULL, &type, &constant));
}

static bool float_list(vj_importer *im, const Onnx__AttributeProto *a) {
    if (a->n_ints || a->has_i || a->has_s || a->has_f)
        return vj_stop(im, VJ_BAD_INPUT, "attribute 'value_floats' is of the wrong kind");
    int64_t dims[1] = {(int64_t)a->n_floats};
    double *data = VJ_NEW_ARRAY(im->arena, double, a->n_floats + 1);
    for (size_t i = 0; i < a->n_floats; i++)
        data[i] = a->floats[i];
    return vj_bind(im, 0, vj_add_const_f64(im->f, VJ_F32, 1, dims, data));
}

bool vj_build_constant(vj_importer *im) {
    if (im->node->n_attribute != 1) return vj_stop(im, VJ_BAD_INPUT, "needs exactly one value");
    const Onnx__AttributeProto *a = im->node->attribute[0];
    const char *name = vj_text_of(a->name);
    if (strcmp(name, "value") == 0) return a->t ? tensor_constant(im, a->t) : vj_stop(im, VJ_BAD_INPUT, "has no value");
    if (strcmp(name, "value_float") == 0)
        return vj_bind(im, 0, vj_emit_number(im, VJ_F32, vj_float_attribute(im, name, 0)));
    if (strcmp(name, "value_floats") == 0) return float_list(im, a);
    if (strcmp(name, "value_int") == 0) {
        int64_t value = vj_int_attribute(im, name, 0);
        return vj_going(im) && vj_bind(im, 0, vj_add_const_i64(im->f, VJ_I64, 0, NULL, &value));
    }
    int32_t count;
    const int64_t *list = vj_ints_attribute(im, name, &count);
    int64_t dims[1] = {count};
    return vj_going(im) && vj_bind(im, 0, vj_add_const_i64(im->f, VJ_I64, 1, dims, list));
}

/* A scalar is broadcast: so the shape may contain N, and a large constant takes no memory. */
bool vj_build_constant_of_shape(vj_importer *im) {
    const vj_known *shape = vj_known_list(im, 0, "dims");
    const Onnx__AttributeProto *a = vj_find_attribute(im, "value");
    if (!vj_going(im)) return false;
    vj_type type = {.dtype = VJ_F32};
    vj_value scalar = VJ_NONE;
    if (a && a->t) {
        int64_t elements;
        vj_const constant;
        if (!vj_tensor_shape(a->t, "its value", &type, &elements, im->error)) return false;
        if (vj_dtype_of_onnx(a->t->data_type) == VJ_NO_DTYPE)
            return vj_stop(im, VJ_UNSUPPORTED, "its value is of type %s", vj_onnx_dtype_name(a->t->data_type));
        if (elements != 1) return vj_stop(im, VJ_BAD_INPUT, "its value has %lld elements", (long long)elements);
        if (!vj_tensor_constant(im->onnx, a->t, "its value", &type, &constant, im->error)) return false;
        type.rank = 0;
        scalar = vj_add_const(im->f, NULL, &type, &constant);
    } else {
        scalar = vj_emit_number(im, VJ_F32, 0);
    }
    if (shape->count > VJ_MAX_RANK) return vj_stop(im, VJ_UNSUPPORTED, "makes a tensor of rank %d", (int)shape->count);
    vj_dim dims[VJ_MAX_RANK];
    int64_t sizes[VJ_MAX_RANK], count = 1;
    for (int32_t i = 0; i < shape->count; i++) {
        if (!vj_dim_of_affine(im, shape->at[i], "shape", &dims[i])) return false;
        sizes[i] = dims[i].c;
        if (dims[i].sym != VJ_SYM_NONE || !vj_mul(count, sizes[i], &count)) count = VJ_KNOWN_LIMIT + 1;
    }
    vj_binding solo = {.value = scalar};
    const vj_known *one = vj_known_of(im, &solo);
    if (one && count <= (vj_dtype_is_float(one->dtype) ? VJ_KNOWN_FLOATS : VJ_KNOWN_LIMIT)) {
        vj_known *k = vj_known_new(im, type.dtype, (int32_t)shape->count, sizes);
        for (int64_t i = 0; i < k->count; i++)
            k->at[i] = one->at[0];
        return vj_bind_known(im, 0, k);
    }
    return vj_bind(im, 0, vj_emit_broadcast(im, scalar, dims, (int32_t)shape->count));
}

static bool has_data_bounds(vj_importer *im) {
    bool any = false;
    for (int32_t i = 0; i < 3; i++) {
        const vj_known *k = vj_known_operand(im, i);
        if (!k || k->count != 1 || vj_dtype_is_float(k->dtype)) return false;
        any |= k->at[0].a && k->at[0].data;
    }
    return any;
}

/* start, start + delta, ... up to a limit that the data decides. */
static bool range_of_data(vj_importer *im) {
    vj_affine at[3], size, step;
    for (int32_t i = 0; i < 3; i++)
        at[i] = vj_known_operand(im, i)->at[0];
    const vj_dtype dtype = vj_known_operand(im, 0)->dtype;
    step = at[2];
    if (step.a || step.b < 1 || !vj_affine_combine(im, VJ_AFFINE_SUB, at[1], at[0], &size) ||
        !vj_affine_combine(im, VJ_AFFINE_ADD, size, (vj_affine){.b = step.b - 1}, &size) ||
        !vj_affine_combine(im, VJ_AFFINE_MAX, size, (vj_affine){.b = 0}, &size) ||
        !vj_affine_combine(im, VJ_AFFINE_DIV, size, step, &size))
        return vj_going(im) && vj_stop(im, VJ_UNSUPPORTED, "has bounds that the data decides");
    vj_value y = vj_emit_indices(im, size);
    if (step.b != 1) y = vj_emit2(im, VJ_OP_mul, y, vj_affine_value(im, step));
    if (at[0].a || at[0].b) y = vj_emit2(im, VJ_OP_add, y, vj_affine_value(im, at[0]));
    return vj_bind(im, 0, vj_emit_cast(im, y, dtype));
}

/* Builds ranges that are longer than those that shapes.c computes. */
bool vj_build_range(vj_importer *im) {
    int64_t at[3];
    vj_dtype dtype = VJ_NO_DTYPE;
    double f[3];
    if (has_data_bounds(im)) return range_of_data(im);
    for (int32_t i = 0; i < 3; i++) {
        vj_value v = vj_operand_value(im, i);
        const vj_tensor *t = vj_fold(im, v);
        if (!vj_going(im)) return false;
        if (!t) return vj_stop_unknown(im, i, "bounds");
        if (t->count != 1) return vj_stop(im, VJ_BAD_INPUT, "its bounds are not one number each");
        if (i && t->type.dtype != dtype) return vj_stop(im, VJ_BAD_INPUT, "its bounds differ in type");
        dtype = t->type.dtype;
        at[i] = t->i ? t->i[0] : 0;
        f[i] = t->f ? t->f[0] : (double)at[i];
    }
    double span = (f[1] - f[0]) / f[2];
    if (f[2] == 0 || isnan(f[0]) || isnan(f[1]) || isnan(f[2]))
        return vj_stop(im, VJ_BAD_INPUT, "goes from %g to %g by %g", f[0], f[1], f[2]);
    if (!(span <= (double)RANGE_LIMIT)) return vj_stop(im, VJ_UNSUPPORTED, "makes too many elements");
    int64_t count = span > 0 ? (int64_t)span + ((double)(int64_t)span < span) : 0;
    double *reals = VJ_NEW_ARRAY(im->arena, double, count + 1);
    int64_t *list = VJ_NEW_ARRAY(im->arena, int64_t, count + 1);
    for (int64_t i = 0; i < count; i++) {
        reals[i] = f[0] + (double)i * f[2];
        list[i] = (int64_t)((uint64_t)at[0] + (uint64_t)i * (uint64_t)at[2]);
    }
    return vj_bind(im, 0,
                   vj_dtype_is_float(dtype) ? vj_add_const_f64(im->f, dtype, 1, &count, reals)
                                            : vj_add_const_i64(im->f, dtype, 1, &count, list));
}

bool vj_build_size(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0);
    if (!vj_going(im)) return false;
    vj_dim product;
    if (!vj_dim_product(im, vj_type_at(im->f, x)->dims, vj_type_at(im->f, x)->rank, &product)) return false;
    vj_known *k = vj_known_new(im, VJ_I64, 0, NULL);
    k->at[0] = vj_affine_of_dim(im, product);
    return vj_bind_known(im, 0, k);
}
