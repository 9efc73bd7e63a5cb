/* SPDX-License-Identifier: Apache-2.0 */
/* canonicalise_gather.c - gathers by constant indices that are equally far apart, along one axis or along the rows and columns of a grid
 * (JAX's x[:, 0::2, 0::2]), are slices. */
#include "canonicalise.h"

/* Integers that are widened are the same indices as before. */
static vj_value with_stored_indices(vj_func *f, const vj_node *node) {
    const vj_node *cast = vj_producer(f, node->args[1]);
    if (cast->op != VJ_OP_cast || !vj_is_const(f, cast->args[0])) return VJ_NONE;
    const vj_dtype from = vj_type_at(f, cast->args[0])->dtype, to = vj_type_at(f, node->args[1])->dtype;
    if ((from != VJ_U8 && from != VJ_I8) || (to != VJ_I32 && to != VJ_I64)) return VJ_NONE;
    return vj_make(f, VJ_OP_gather, (vj_value[]){node->args[0], cast->args[0]}, 2, node->attrs, node->attr_count,
                   node->origin);
}

/* first + row * rows_apart + column * apart, row by row; rows_apart is the length of a row of the grid that the axis is seen as. */
typedef struct lattice {
    int64_t first, rows, columns, rows_apart, apart;
} lattice;

static bool is_lattice(const int64_t *indices, int64_t count, int64_t length, lattice *l) {
    const int64_t first = indices[0];
    *l = (lattice){.first = first, .rows = 1, .columns = 1, .rows_apart = length, .apart = 1};
    if (first < 0 || first >= length) return false;
    if (count == 1) return true;
    for (int64_t i = 0; i < count; i++)
        if (indices[i] < first || indices[i] >= length) return false;
    l->apart = indices[1] - first;
    while (l->columns < count && indices[l->columns] - first == l->columns * l->apart)
        l->columns++;
    if (l->apart < 1 || count % l->columns) return false;
    l->rows = count / l->columns;
    if (l->rows == 1) return true;
    l->rows_apart = indices[l->columns] - first;
    if (l->rows_apart < 1 || length % l->rows_apart ||
        first % l->rows_apart + (l->columns - 1) * l->apart >= l->rows_apart)
        return false;
    for (int64_t i = 0; i < count; i++)
        if (indices[i] != first + i / l->columns * l->rows_apart + i % l->columns * l->apart) return false;
    return true;
}

/* The axis seen as rows and columns, and some of both. */
static vj_value of_grid(vj_func *f, vj_value x, int32_t axis, const lattice *l, const vj_origin *origin) {
    const vj_type type = *vj_type_at(f, x);
    vj_dim dims[VJ_MAX_RANK];
    if (type.rank == VJ_MAX_RANK) return VJ_NONE;
    for (int32_t i = 0; i < type.rank; i++)
        dims[i < axis ? i : i + 1] = type.dims[i];
    dims[axis] = vj_dim_const(type.dims[axis].c / l->rows_apart);
    dims[axis + 1] = vj_dim_const(l->rows_apart);
    const vj_value grid = vj_make_reshape(f, x, type.rank + 1, dims, origin);
    const vj_value rows = vj_make_slice(f, grid, axis, l->first / l->rows_apart, l->rows, origin);
    return vj_make_strided_slice(f, rows, axis + 1, l->first % l->rows_apart, l->columns, l->apart, origin);
}

vj_value vj_slices_of_gather(vj_func *f, const vj_node *node) {
    enum { LIMIT = 4096 };
    int64_t indices[LIMIT], count;
    lattice l;
    const vj_value x = node->args[0];
    const int32_t axis = (int32_t)vj_attr_int(node, VJ_ATTR_AXIS, 0);
    const vj_type type = *vj_type_at(f, node->first_result);
    vj_error ignored = {0};
    if (!vj_is_const(f, node->args[1])) return with_stored_indices(f, node);
    if (!vj_type_elements(f, vj_type_at(f, node->args[1]), &count) || count < 1 || count > LIMIT ||
        vj_type_at(f, x)->dims[axis].sym != VJ_SYM_NONE ||
        !vj_const_read_i64(f, node->args[1], 0, count, indices, &ignored) ||
        !is_lattice(indices, count, vj_type_at(f, x)->dims[axis].c, &l))
        return VJ_NONE;
    const vj_value taken = l.rows == 1 ? vj_make_strided_slice(f, x, axis, l.first, l.columns, l.apart, node->origin)
                                       : of_grid(f, x, axis, &l, node->origin);
    return taken < 0 ? VJ_NONE : vj_make_reshape(f, taken, type.rank, type.dims, node->origin);
}
