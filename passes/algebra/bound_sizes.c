/* SPDX-License-Identifier: Apache-2.0 */
/* bound_sizes.c - nodes of the function that is made anew: sizes, masks, packing. */
#include "bound.h"

vj_value vj_bounds_fail(vj_bounding *b, const char *why) {
    const vj_node *node = b->node;
    const char *name = vj_op_table(node->op)->name;
    if (node->origin)
        vj_fail(b->c->error, VJ_UNSUPPORTED, "node '%s' (%s, opset %d): %s", vj_node_label(b->f, node),
                node->origin->op ? node->origin->op : name, node->origin->opset, why);
    else
        vj_fail(b->c->error, VJ_UNSUPPORTED, "node '%s' (%s): %s", vj_node_label(b->f, node), name, why);
    return VJ_NONE;
}

vj_value vj_bounds_emit(vj_bounding *b, vj_op op, const vj_value *args, int32_t count, const vj_attr *attrs,
                        int32_t attr_count) {
    vj_error why = {0};
    if (!vj_bounds_going(b)) return VJ_NONE;
    vj_value v = vj_add_node(b->g, op, args, count, attrs, attr_count, b->node ? b->node->origin : NULL, &why);
    return v >= 0 ? v : vj_bounds_fail(b, why.text);
}

vj_value vj_bounds_emit2(vj_bounding *b, vj_op op, vj_value x, vj_value y) {
    return vj_bounds_emit(b, op, (vj_value[]){x, y}, 2, NULL, 0);
}

vj_value vj_bounds_integer(vj_bounding *b, int64_t number) { return vj_add_const_i64(b->g, VJ_I64, 0, NULL, &number); }

vj_value vj_bounds_number(vj_bounding *b, vj_dtype dtype, double x) {
    const int64_t i = vj_dtype_is_float(dtype) ? 0 : (int64_t)x;
    return vj_dtype_is_float(dtype) ? vj_add_const_f64(b->g, dtype, 0, NULL, &x)
                                    : vj_add_const_i64(b->g, dtype, 0, NULL, &i);
}

vj_value vj_bounds_reshape(vj_bounding *b, vj_value x, int32_t rank, const int64_t *dims) {
    vj_attr attr = vj_ints(VJ_ATTR_DIMS, dims, rank);
    return vj_bounds_emit(b, VJ_OP_reshape, &x, 1, &attr, 1);
}

vj_value vj_bounds_cast(vj_bounding *b, vj_value x, vj_dtype to) {
    vj_attr attr = vj_name(VJ_ATTR_TO, vj_element_name(to));
    return vj_bounds_emit(b, VJ_OP_cast, &x, 1, &attr, 1);
}

vj_value vj_bounds_iota(vj_bounding *b, int64_t count, int32_t axis, int32_t rank) {
    int64_t dims[VJ_MAX_RANK];
    for (int32_t i = 0; i < rank; i++)
        dims[i] = i == axis ? count : 1;
    const vj_type type = vj_type_of(VJ_I64, rank, dims);
    return vj_add_const(b->g, NULL, &type, &(vj_const){.kind = VJ_CONST_IOTA});
}

int64_t vj_bounds_of(const vj_bounding *b, vj_dim dim) {
    int64_t bound = 0;
    return vj_dim_bound(b->f, dim, &bound) ? bound : 0; /* inference has seen it fit */
}

vj_value vj_bounds_size(vj_bounding *b, vj_dim dim) {
    if (!vj_bounds_going(b)) return VJ_NONE;
    if (!vj_is_data_dim(dim)) return vj_bounds_integer(b, dim.c);
    const vj_value size = b->to[b->f->symbols[dim.sym - VJ_SYM_FIRST_DATA].value];
    return dim.c == 1 ? size : vj_bounds_emit2(b, VJ_OP_mul, size, vj_bounds_integer(b, dim.c));
}

vj_value vj_bounds_dims(vj_bounding *b, const vj_type *type) {
    vj_value parts[VJ_MAX_RANK];
    for (int32_t i = 0; i < type->rank; i++)
        parts[i] = vj_bounds_reshape(b, vj_bounds_size(b, type->dims[i]), 1, (int64_t[]){1});
    vj_attr attr = vj_int(VJ_ATTR_AXIS, 0);
    return vj_bounds_emit(b, VJ_OP_concat, parts, type->rank, &attr, 1);
}

vj_value vj_bounds_mask(vj_bounding *b, vj_value x, const vj_type *type, uint32_t axes, vj_value fill) {
    for (int32_t i = 0; i < type->rank; i++) {
        if (!(axes >> i & 1) || !vj_is_data_dim(type->dims[i])) continue;
        vj_value inside = vj_bounds_emit2(b, VJ_OP_lt, vj_bounds_iota(b, vj_bounds_of(b, type->dims[i]), i, type->rank),
                                          vj_bounds_size(b, type->dims[i]));
        x = vj_bounds_emit(b, VJ_OP_select, (vj_value[]){inside, x, fill}, 3, NULL, 0);
    }
    return x;
}

bool vj_bounds_is_dense(const vj_type *type) {
    bool is_first = true;
    for (int32_t i = 0; i < type->rank; i++) {
        if (vj_is_data_dim(type->dims[i]) && !is_first) return false;
        if (!vj_dim_equal(type->dims[i], vj_dim_const(1))) is_first = false;
    }
    return true;
}

static int64_t elements(const vj_bounding *b, const vj_type *type) {
    int64_t count = 0;
    return vj_type_elements(b->f, type, &count) ? count : 0;
}

vj_value vj_bounds_pack(vj_bounding *b, vj_value x, const vj_type *type) {
    if (vj_bounds_is_dense(type)) return vj_bounds_reshape(b, x, 1, (int64_t[]){elements(b, type)});
    return vj_bounds_emit2(b, VJ_OP_pack, x, vj_bounds_dims(b, type));
}

vj_value vj_bounds_unpack(vj_bounding *b, vj_value list, const vj_type *type) {
    int64_t dims[VJ_MAX_RANK];
    for (int32_t i = 0; i < type->rank; i++)
        dims[i] = vj_bounds_of(b, type->dims[i]);
    if (vj_bounds_is_dense(type)) return vj_bounds_reshape(b, list, type->rank, dims);
    vj_attr attr = vj_ints(VJ_ATTR_DIMS, dims, type->rank);
    return vj_bounds_emit(b, VJ_OP_unpack, (vj_value[]){list, vj_bounds_dims(b, type)}, 2, &attr, 1);
}
