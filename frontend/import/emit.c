/* SPDX-License-Identifier: Apache-2.0 */
/* emit.c - emits IR nodes with the current node's origin. A failure names the ONNX node. */
#include "import.h"

#include <string.h>

static vj_value emit(vj_importer *im, vj_op op, const vj_value *args, int32_t arg_count, const vj_attr *attrs,
                     int32_t attr_count) {
    vj_error local = {0};
    vj_value v = vj_add_node(im->f, op, args, arg_count, attrs, attr_count, im->origin, &local);
    if (v < 0) {
        vj_stop(im, local.status, "%s", local.text);
        if (local.hint[0]) vj_hint(im->error, "%s", local.hint);
        return VJ_NONE;
    }
    return v;
}

/* ONNX gives a product the type of its operands, which are of one type; the IR's gives f32 for a half. Behind the factors
 * stands what is added to the products. */
static vj_value emit_product_of_halves(vj_importer *im, vj_op op, const vj_value *args, int32_t arg_count,
                                       const vj_attr *attrs, int32_t attr_count) {
    const vj_dtype dtype = vj_type_at(im->f, args[0])->dtype;
    const int32_t factors = vj_op_factors(op);
    vj_value wide[5];
    for (int32_t i = 0; i < arg_count; i++) {
        wide[i] = args[i];
        if (i == factors && args[i] >= 0) wide[i] = vj_emit_cast(im, args[i], VJ_F32);
    }
    if (!vj_going(im)) return VJ_NONE;
    return vj_emit_cast(im, emit(im, op, wide, arg_count, attrs, attr_count), dtype);
}

static bool have_one_type(vj_importer *im, vj_op op, const vj_value *args, int32_t count) {
    const vj_dtype first = vj_type_at(im->f, args[0])->dtype;
    for (int32_t i = 1; i < count; i++) {
        const vj_dtype dtype = args[i] < 0 ? first : vj_type_at(im->f, args[i])->dtype;
        if (dtype != first)
            return vj_stop(im, VJ_BAD_INPUT, "%s: operands 0 and %d differ in type: %s and %s", vj_op_table(op)->name,
                           (int)i, vj_element_name(first), vj_element_name(dtype));
    }
    return true;
}

vj_value vj_emit(vj_importer *im, vj_op op, const vj_value *args, int32_t arg_count, const vj_attr *attrs,
                 int32_t attr_count) {
    if (!vj_going(im)) return VJ_NONE;
    const int32_t factors = vj_op_factors(op);
    if (factors == 0) return emit(im, op, args, arg_count, attrs, attr_count);
    if (!have_one_type(im, op, args, arg_count < factors + 1 ? arg_count : factors + 1)) return VJ_NONE;
    const vj_dtype dtype = vj_type_at(im->f, args[0])->dtype;
    return dtype == VJ_F16 || dtype == VJ_BF16 ? emit_product_of_halves(im, op, args, arg_count, attrs, attr_count)
                                               : emit(im, op, args, arg_count, attrs, attr_count);
}

vj_value vj_emit1(vj_importer *im, vj_op op, vj_value a) { return vj_emit(im, op, &a, 1, NULL, 0); }
vj_value vj_emit2(vj_importer *im, vj_op op, vj_value a, vj_value b) {
    return vj_emit(im, op, (vj_value[]){a, b}, 2, NULL, 0);
}
vj_value vj_emit3(vj_importer *im, vj_op op, vj_value a, vj_value b, vj_value c) {
    return vj_emit(im, op, (vj_value[]){a, b, c}, 3, NULL, 0);
}

vj_value vj_emit_number(vj_importer *im, vj_dtype dtype, double number) {
    if (!vj_going(im)) return VJ_NONE;
    if (vj_dtype_is_float(dtype)) return vj_add_const_f64(im->f, dtype, 0, NULL, &number);
    const int64_t integer = vj_float_to_int(dtype, number);
    return vj_add_const_i64(im->f, dtype, 0, NULL, &integer);
}

vj_value vj_emit_cast(vj_importer *im, vj_value x, vj_dtype to) {
    if (!vj_going(im) || vj_type_at(im->f, x)->dtype == to) return x;
    vj_attr attr = vj_name(VJ_ATTR_TO, vj_element_name(to));
    return vj_emit(im, VJ_OP_cast, &x, 1, &attr, 1);
}

static bool has_dims(const vj_type *type, const vj_dim *dims, int32_t rank) {
    if (type->rank != rank) return false;
    for (int32_t i = 0; i < rank; i++)
        if (!vj_dim_equal(type->dims[i], dims[i])) return false;
    return true;
}

static vj_value emit_to_dims(vj_importer *im, vj_op op, vj_value x, const vj_dim *dims, int32_t rank) {
    if (!vj_going(im) || has_dims(vj_type_at(im->f, x), dims, rank)) return x;
    if (rank > VJ_MAX_RANK) {
        vj_stop(im, VJ_UNSUPPORTED, "makes a tensor of rank %d; at most %d is supported", rank, VJ_MAX_RANK);
        return VJ_NONE;
    }
    int64_t list[VJ_MAX_RANK];
    for (int32_t i = 0; i < rank; i++)
        list[i] = vj_dim_code(dims[i]);
    vj_attr attr = vj_ints(VJ_ATTR_DIMS, list, rank);
    return vj_emit(im, op, &x, 1, &attr, 1);
}

vj_value vj_emit_reshape(vj_importer *im, vj_value x, const vj_dim *dims, int32_t rank) {
    return emit_to_dims(im, VJ_OP_reshape, x, dims, rank);
}

vj_value vj_emit_broadcast(vj_importer *im, vj_value x, const vj_dim *dims, int32_t rank) {
    return emit_to_dims(im, VJ_OP_broadcast, x, dims, rank);
}

vj_value vj_emit_transpose(vj_importer *im, vj_value x, const int32_t *perm) {
    if (!vj_going(im)) return VJ_NONE;
    int32_t rank = vj_type_at(im->f, x)->rank;
    int64_t list[VJ_MAX_RANK];
    bool same = true;
    for (int32_t i = 0; i < rank; i++) {
        list[i] = perm[i];
        same = same && perm[i] == i;
    }
    vj_attr attr = vj_ints(VJ_ATTR_PERM, list, rank);
    return same ? x : vj_emit(im, VJ_OP_transpose, &x, 1, &attr, 1);
}

vj_value vj_emit_slice(vj_importer *im, vj_value x, int32_t axis, int64_t start, vj_dim size, int64_t step) {
    if (!vj_going(im)) return VJ_NONE;
    const vj_type *type = vj_type_at(im->f, x);
    if (start == 0 && step == 1 && vj_dim_equal(size, type->dims[axis])) return x;
    int64_t starts[VJ_MAX_RANK] = {0}, sizes[VJ_MAX_RANK], steps[VJ_MAX_RANK];
    for (int32_t i = 0; i < type->rank; i++) {
        sizes[i] = vj_dim_code(type->dims[i]);
        steps[i] = 1;
    }
    starts[axis] = start;
    sizes[axis] = vj_dim_code(size);
    steps[axis] = step;
    vj_attr attrs[] = {vj_ints(VJ_ATTR_STARTS, starts, type->rank), vj_ints(VJ_ATTR_SIZES, sizes, type->rank),
                       vj_ints(VJ_ATTR_STEPS, steps, type->rank)};
    return vj_emit(im, VJ_OP_slice, &x, 1, attrs, 3);
}

vj_value vj_emit_reduce(vj_importer *im, const char *kind, vj_value x, const int32_t *axes, int32_t count, bool keep) {
    int64_t list[VJ_MAX_RANK];
    for (int32_t i = 0; i < count; i++)
        list[i] = axes[i];
    vj_attr attrs[] = {vj_name(VJ_ATTR_KIND, kind), vj_ints(VJ_ATTR_AXES, list, count), vj_int(VJ_ATTR_KEEP, keep)};
    return count ? vj_emit(im, VJ_OP_reduce, &x, 1, attrs, 3) : x;
}

vj_value vj_emit_iota(vj_importer *im, vj_dtype dtype, int64_t count, int32_t axis, int32_t rank) {
    enum { LIMIT = 1 << 22 };
    int64_t dims[VJ_MAX_RANK];
    if (!vj_going(im)) return VJ_NONE;
    if (count > LIMIT) {
        vj_stop(im, VJ_UNSUPPORTED, "an axis of %lld is too long", (long long)count);
        return VJ_NONE;
    }
    int64_t *list = VJ_NEW_ARRAY(im->arena, int64_t, count + 1);
    for (int64_t i = 0; i < count; i++)
        list[i] = i;
    for (int32_t d = 0; d < rank; d++)
        dims[d] = d == axis ? count : 1;
    return vj_add_const_i64(im->f, dtype, rank, dims, list);
}

bool vj_closed_axis(vj_importer *im, vj_dim dim) {
    if (!dim.sym || !vj_going(im)) return vj_going(im);
    if (vj_is_data_dim(dim)) return vj_stop(im, VJ_UNSUPPORTED, "works along a size that the data decides");
    vj_stop(im, VJ_UNSUPPORTED, "works along the batch");
    vj_advise_batch(im->error, 1);
    return false;
}

vj_value vj_emit_column(vj_importer *im, vj_value x, int32_t axis, int32_t rank) {
    if (!vj_going(im)) return VJ_NONE;
    const vj_type *type = vj_type_at(im->f, x);
    if (type->rank != 1) {
        vj_stop(im, VJ_BAD_INPUT, "an operand that has one number a channel has rank %d", type->rank);
        return VJ_NONE;
    }
    vj_dim dims[VJ_MAX_RANK];
    for (int32_t i = 0; i < rank; i++)
        dims[i] = i == axis ? type->dims[0] : vj_dim_const(1);
    return vj_emit_reshape(im, x, dims, rank);
}

bool vj_dim_product(vj_importer *im, const vj_dim *dims, int32_t count, vj_dim *product) {
    vj_dim p = vj_dim_const(1);
    for (int32_t i = 0; i < count; i++) {
        if (!vj_mul(p.c, dims[i].c, &p.c)) return vj_stop(im, VJ_BAD_INPUT, "a product of dims is too large");
        if (dims[i].sym == VJ_SYM_NONE) continue;
        if (vj_is_data_dim(p) || (p.sym && vj_is_data_dim(dims[i])))
            return vj_stop(im, VJ_UNSUPPORTED, "a dim would be the product of two sizes that the data decides");
        if (p.sym != VJ_SYM_NONE) return vj_stop(im, VJ_UNSUPPORTED, "a dim would be the square of the batch");
        p.sym = dims[i].sym;
    }
    *product = p;
    return true;
}
