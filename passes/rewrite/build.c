/* SPDX-License-Identifier: Apache-2.0 */
/* build.c - building nodes whose operands are known to fit. */
#include "rewrite.h"

#include <assert.h>
#include <string.h>

vj_value vj_make(vj_func *f, vj_op op, const vj_value *args, int32_t arg_count, const vj_attr *attrs,
                 int32_t attr_count, const vj_origin *origin) {
    vj_error error = {0};
    vj_value v = vj_add_node(f, op, args, arg_count, attrs, attr_count, origin, &error);
    assert(v >= 0 && "a pass built a node that does not fit");
    return v;
}

vj_value vj_make_binary(vj_func *f, vj_op op, vj_value a, vj_value b, const vj_origin *origin) {
    return vj_make(f, op, (vj_value[]){a, b}, 2, NULL, 0, origin);
}

vj_value vj_make_cast(vj_func *f, vj_value x, vj_dtype to, const vj_origin *origin) {
    const vj_attr attr = vj_name(VJ_ATTR_TO, vj_element_name(to));
    return vj_make(f, VJ_OP_cast, &x, 1, &attr, 1, origin);
}

vj_value vj_make_transpose(vj_func *f, vj_value x, const int64_t *perm, const vj_origin *origin) {
    vj_attr attr = vj_ints(VJ_ATTR_PERM, perm, vj_type_at(f, x)->rank);
    return vj_make(f, VJ_OP_transpose, &x, 1, &attr, 1, origin);
}

vj_value vj_make_reshape(vj_func *f, vj_value x, int32_t rank, const vj_dim *dims, const vj_origin *origin) {
    int64_t codes[VJ_MAX_RANK];
    for (int32_t i = 0; i < rank; i++)
        codes[i] = vj_dim_code(dims[i]);
    vj_attr attr = vj_ints(VJ_ATTR_DIMS, codes, rank);
    return vj_make(f, VJ_OP_reshape, &x, 1, &attr, 1, origin);
}

vj_value vj_make_strided_slice(vj_func *f, vj_value x, int32_t axis, int64_t start, int64_t size, int64_t step,
                               const vj_origin *origin) {
    const vj_type *type = vj_type_at(f, x);
    int64_t starts[VJ_MAX_RANK] = {0}, sizes[VJ_MAX_RANK], steps[VJ_MAX_RANK];
    for (int32_t i = 0; i < type->rank; i++) {
        sizes[i] = vj_dim_code(type->dims[i]);
        steps[i] = 1;
    }
    starts[axis] = start;
    sizes[axis] = size;
    steps[axis] = step;
    vj_attr attrs[] = {vj_ints(VJ_ATTR_STARTS, starts, type->rank), vj_ints(VJ_ATTR_SIZES, sizes, type->rank),
                       vj_ints(VJ_ATTR_STEPS, steps, type->rank)};
    return vj_make(f, VJ_OP_slice, &x, 1, attrs, 3, origin);
}

vj_value vj_make_slice(vj_func *f, vj_value x, int32_t axis, int64_t start, int64_t size, const vj_origin *origin) {
    return vj_make_strided_slice(f, x, axis, start, size, 1, origin);
}

const char *vj_node_label(const vj_func *f, const vj_node *node) {
    if (node->origin && node->origin->node && *node->origin->node) return node->origin->node;
    const char *name = node->result_count ? f->values[node->first_result].name : NULL;
    return name ? name : vj_op_table(node->op)->name;
}

bool vj_is_uniform(const vj_func *f, vj_value v, double *number) {
    enum { BLOCK = 1024, LIMIT = 1 << 20 };
    int64_t count;
    double first, block[BLOCK];
    vj_error ignored = {0};
    if (vj_is_splat(f, v, number)) return true;
    if (!vj_is_const(f, v) || !vj_type_elements(f, vj_type_at(f, v), &count) || count == 0 || count > LIMIT ||
        !vj_const_read_f64(f, v, 0, 1, &first, &ignored))
        return false;
    for (int64_t at = 0; at < count; at += BLOCK) {
        int64_t part = vj_min64(BLOCK, count - at);
        if (!vj_const_read_f64(f, v, at, part, block, &ignored)) return false;
        for (int64_t i = 0; i < part; i++)
            if (block[i] != first) return false;
    }
    *number = first;
    return true;
}

bool vj_same_dims(const vj_type *a, const vj_type *b) {
    bool same = a->rank == b->rank;
    for (int32_t d = 0; same && d < a->rank; d++)
        same = vj_dim_equal(a->dims[d], b->dims[d]);
    return same;
}

static bool has_ints(const vj_node *node, vj_attr_key key, int64_t wanted) {
    const vj_attr *attr = vj_attr_find(node, key);
    for (int32_t i = 0; i < attr->count; i++)
        if (attr->as.ints[i] != wanted) return false;
    return true;
}

bool vj_is_patch_embedding(const vj_func *f, const vj_node *conv) {
    const vj_type *w = vj_type_at(f, conv->args[1]);
    const vj_attr *stride = vj_attr_find(conv, VJ_ATTR_STRIDE);
    for (int32_t i = 0; i < stride->count; i++)
        if (stride->as.ints[i] != w->dims[2 + i].c || stride->as.ints[i] == 1) return false;
    return vj_attr_int(conv, VJ_ATTR_GROUPS, 1) == 1 && has_ints(conv, VJ_ATTR_DILATION, 1) &&
           has_ints(conv, VJ_ATTR_LOW, 0) && has_ints(conv, VJ_ATTR_HIGH, 0);
}
