/* SPDX-License-Identifier: Apache-2.0 */
/* data.c - builders of ops where the data decides the size of the result: NonZero, Compress, Unique,
 * NonMaxSuppression. */
#include "frontend/import/import.h"

#include <string.h>

static const vj_type *type_of(vj_importer *im, vj_value v) { return vj_type_at(im->f, v); }

static bool elements_of(vj_importer *im, const vj_type *type, int64_t *count) {
    return vj_type_elements(im->f, type, count) || vj_stop(im, VJ_BAD_INPUT, "has too many elements");
}

/* The result of an earlier node that is the same as this one, or VJ_NONE. Exporters write the same search once for each
 * use, and all of them must have the same size. */
static vj_value twin_of(const vj_func *f, vj_op op, const vj_value *args, int32_t count, const vj_attr *attrs,
                        int32_t attr_count) {
    for (int32_t n = f->node_count - 1; n >= 0; n--) {
        const vj_node *node = &f->nodes[n];
        if (node->op != op || node->arg_count != count || memcmp(node->args, args, (size_t)count * sizeof *args) != 0)
            continue;
        bool same = true;
        for (int32_t i = 0; i < attr_count; i++)
            same = same && vj_attr_int(node, attrs[i].key, -1) == attrs[i].as.i;
        if (same) return node->first_result;
    }
    return VJ_NONE;
}

/* Emits a node that finds at most `most` elements, with its size and `attr` as attributes. Returns its first result. */
static vj_value find(vj_importer *im, vj_op op, const vj_value *args, int32_t count, vj_attr attr, int64_t most) {
    const int32_t last = vj_op_table(op)->results - 1;
    const int32_t attr_count = op == VJ_OP_nonzero ? 0 : 1;
    vj_dim size;
    vj_value v = vj_going(im) ? twin_of(im->f, op, args, count, &attr, attr_count) : VJ_NONE;
    if (v >= 0 || !vj_new_size(im, most, &size)) return v;
    const vj_attr attrs[2] = {vj_int(VJ_ATTR_SIZE, vj_dim_code(size)), attr};
    v = vj_emit(im, op, args, count, attrs, 1 + attr_count);
    vj_set_size(im, size, v + last);
    return v;
}

static vj_value emit_gather(vj_importer *im, vj_value x, vj_value indices, int32_t axis) {
    const vj_attr attr = vj_int(VJ_ATTR_AXIS, axis);
    return vj_emit(im, VJ_OP_gather, (vj_value[]){x, indices}, 2, &attr, 1);
}

/* The indices of the elements of a known value that are not 0, [rank, found]. */
static vj_value known_indices(vj_importer *im, const vj_tensor *t) {
    int64_t found = 0, at = 0;
    const int32_t rank = t->type.rank;
    for (int64_t i = 0; i < t->count; i++)
        found += t->f ? t->f[i] != 0 : t->i[i] != 0;
    int64_t *indices = VJ_NEW_ARRAY(im->arena, int64_t, rank *found + 1);
    for (int64_t i = 0; i < t->count; i++) {
        if (t->f ? t->f[i] == 0 : t->i[i] == 0) continue;
        int64_t rest = i;
        for (int32_t d = rank - 1; d >= 0; d--) {
            indices[d * found + at] = rest % t->type.dims[d].c;
            rest /= t->type.dims[d].c;
        }
        at++;
    }
    return vj_add_const_i64(im->f, VJ_I64, 2, (int64_t[]){rank, found}, indices);
}

/* The indices of the elements of x that are not 0, i64 [rank, found]. */
static vj_value indices_of(vj_importer *im, vj_value x) {
    int64_t most;
    if (!vj_going(im) || !elements_of(im, type_of(im, x), &most)) return VJ_NONE;
    const vj_tensor *known = vj_fold(im, x);
    if (known && known->count > 0) return known_indices(im, known);
    return find(im, VJ_OP_nonzero, &x, 1, (vj_attr){0}, most);
}

bool vj_build_non_zero(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0);
    if (!vj_going(im)) return false;
    if (type_of(im, x)->rank == 0) return vj_stop(im, VJ_UNSUPPORTED, "looks for nonzero elements in a scalar");
    return vj_bind(im, 0, indices_of(im, vj_emit_cast(im, x, VJ_BOOL)));
}

/* The axis that the node names. Without one, x is flattened and the axis is 0. Returns -1 on an error. */
static int32_t axis_or_flat(vj_importer *im, vj_value *x) {
    const vj_type *type = type_of(im, *x);
    vj_dim all;
    if (vj_find_attribute(im, "axis")) return vj_axis_of(im, vj_int_attribute(im, "axis", 0), type->rank);
    if (!vj_dim_product(im, type->dims, type->rank, &all)) return -1;
    *x = vj_emit_reshape(im, *x, &all, 1);
    return 0;
}

/* The elements along an axis, or of flattened x, for which the condition holds. Elements beyond the condition's end are
 * left out. */
bool vj_build_compress(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0), condition = vj_operand_value(im, 1);
    if (!vj_going(im)) return false;
    const int32_t axis = axis_or_flat(im, &x);
    if (!vj_going(im) || axis < 0) return false;
    const vj_type *type = type_of(im, condition);
    const vj_dim length = type_of(im, x)->dims[axis];
    if (type->rank != 1 || type->dtype != VJ_BOOL)
        return vj_stop(im, VJ_BAD_INPUT, "its condition is no list of booleans");
    if (!vj_dim_equal(type->dims[0], length)) {
        if (type->dims[0].sym || length.sym)
            return vj_stop(im, VJ_UNSUPPORTED, "its condition and its axis have sizes that cannot be compared");
        if (type->dims[0].c > length.c) condition = vj_emit_slice(im, condition, 0, 0, length, 1);
    }
    vj_value indices = indices_of(im, condition);
    if (!vj_going(im)) return false;
    indices = vj_emit_reshape(im, indices, &type_of(im, indices)->dims[1], 1);
    return vj_bind(im, 0, emit_gather(im, x, indices, axis));
}

/* x as rows: the axis in front, the others flattened. */
static vj_value rows_of(vj_importer *im, vj_value x, int32_t axis) {
    const int32_t rank = type_of(im, x)->rank;
    int32_t perm[VJ_MAX_RANK];
    for (int32_t i = 0; i < rank; i++)
        perm[i] = i == 0 ? axis : i <= axis ? i - 1 : i;
    vj_value front = vj_emit_transpose(im, x, perm);
    vj_dim dims[2];
    if (!vj_going(im)) return VJ_NONE;
    dims[0] = type_of(im, front)->dims[0];
    if (!vj_dim_product(im, type_of(im, front)->dims + 1, rank - 1, &dims[1])) return VJ_NONE;
    return vj_emit_reshape(im, front, dims, 2);
}

bool vj_build_unique(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0);
    const int64_t sorted = vj_int_attribute(im, "sorted", 1);
    if (!vj_going(im)) return false;
    if (sorted != 0 && sorted != 1) return vj_stop(im, VJ_BAD_INPUT, "sorted is neither 0 nor 1");
    const int32_t axis = axis_or_flat(im, &x);
    if (axis < 0 || !vj_going(im)) return false;
    vj_value rows = rows_of(im, x, axis);
    int64_t most;
    if (!vj_going(im)) return false;
    const vj_type kinds = {.dtype = VJ_I64, .rank = 1, .dims = {type_of(im, rows)->dims[0]}};
    if (!elements_of(im, &kinds, &most)) return false;
    vj_value v = find(im, VJ_OP_unique, &rows, 1, vj_int(VJ_ATTR_SORTED, sorted), most);
    return vj_going(im) && vj_bind(im, 0, emit_gather(im, x, v, axis)) && vj_bind(im, 1, v) && vj_bind(im, 2, v + 1) &&
           vj_bind(im, 3, v + 2);
}

/* Operand i as a scalar of this type, or `otherwise` when it is absent. */
static vj_value scalar(vj_importer *im, int32_t i, vj_dtype dtype, double otherwise) {
    if (!vj_has_operand(im, i)) return vj_emit_number(im, dtype, otherwise);
    vj_value v = vj_operand_value(im, i);
    if (!vj_going(im)) return VJ_NONE;
    const vj_type *type = type_of(im, v);
    if (type->dtype != dtype || type->rank > 1 || (type->rank == 1 && !vj_dim_equal(type->dims[0], vj_dim_const(1)))) {
        vj_stop(im, VJ_BAD_INPUT, "operand %d is no single %s", i, vj_element_name(dtype));
        return VJ_NONE;
    }
    return vj_emit_reshape(im, v, NULL, 0);
}

bool vj_build_non_max_suppression(vj_importer *im) {
    vj_value args[5] = {vj_operand_value(im, 0), vj_operand_value(im, 1), scalar(im, 2, VJ_I64, 0),
                        scalar(im, 3, VJ_F32, 0), VJ_NONE};
    const bool has_score = vj_has_operand(im, 4);
    if (has_score) args[4] = scalar(im, 4, VJ_F32, 0);
    const int64_t center = vj_int_attribute(im, "center_point_box", 0);
    if (!vj_going(im)) return false;
    const vj_type *scores = type_of(im, args[1]);
    if (scores->rank != 3) return vj_stop(im, VJ_BAD_INPUT, "its scores are not [batches, classes, boxes]");
    const vj_type pairs = {.dtype = VJ_I64, .rank = 2, .dims = {scores->dims[0], scores->dims[1]}};
    const vj_type indices = {.dtype = VJ_I64, .rank = 1, .dims = {scores->dims[2]}};
    int64_t most = 0, boxes = 0, taken = 0;
    if (!elements_of(im, &pairs, &most) || !elements_of(im, &indices, &boxes)) return false;
    const vj_tensor *limit = vj_fold(im, args[2]);
    taken = limit ? vj_max64(0, vj_min64(limit->i[0], boxes)) : boxes;
    if (limit) args[2] = vj_add_const_i64(im->f, VJ_I64, 0, NULL, limit->i);
    if (!vj_mul(most, taken, &most)) return vj_stop(im, VJ_BAD_INPUT, "has too many elements");
    return vj_bind(im, 0, find(im, VJ_OP_nms, args, has_score ? 5 : 4, vj_int(VJ_ATTR_CENTER, center), most));
}
