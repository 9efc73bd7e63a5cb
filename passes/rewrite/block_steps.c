/* SPDX-License-Identifier: Apache-2.0 */
/* block_steps.c - what round_blocks says, written out: the bytes of each block, and the size of their steps. */
#include "ir/tensor/scalar.h"
#include "rewrite.h"

#include <string.h>

static vj_value number(vj_func *f, double x) { return vj_add_const_f64(f, VJ_F32, 0, NULL, &x); }

/* x [.., K] as [.., groups, block], with zeros behind the end. */
static vj_value in_groups(vj_func *f, vj_value x, int64_t block, const vj_origin *origin) {
    const vj_type type = *vj_type_at(f, x);
    const int64_t depth = type.dims[type.rank - 1].c, groups = vj_ceil_div(depth, block);
    int64_t none[VJ_MAX_RANK] = {0}, high[VJ_MAX_RANK] = {0};
    vj_dim dims[VJ_MAX_RANK + 1];
    high[type.rank - 1] = groups * block - depth;
    const vj_attr attrs[] = {vj_ints(VJ_ATTR_LOW, none, type.rank), vj_ints(VJ_ATTR_HIGH, high, type.rank),
                             vj_name(VJ_ATTR_MODE, "constant"), vj_float(VJ_ATTR_VALUE, 0)};
    if (groups * block != depth) x = vj_make(f, VJ_OP_pad, &x, 1, attrs, 4, origin);
    memcpy(dims, type.dims, sizeof type.dims);
    dims[type.rank - 1] = vj_dim_const(groups);
    dims[type.rank] = vj_dim_const(block);
    return vj_make_reshape(f, x, type.rank + 1, dims, origin);
}

bool vj_fits_steps(const vj_func *f, vj_value x) { return vj_type_at(f, x)->rank < VJ_MAX_RANK; }

vj_block_steps vj_make_block_steps(vj_func *f, vj_value x, int64_t block, const vj_origin *origin) {
    x = in_groups(f, x, block, origin);
    const vj_value q = vj_make(f, VJ_OP_byte_rows, &x, 1, NULL, 0, origin);
    return (vj_block_steps){q, q + 1};
}

vj_value vj_make_rounded_blocks(vj_func *f, const vj_node *round) {
    const vj_node node = *round;
    const vj_type type = *vj_type_at(f, node.first_result);
    const vj_block_steps made = vj_make_block_steps(f, node.args[0], vj_attr_int(&node, VJ_ATTR_BLOCK, 1), node.origin);
    vj_value y = vj_make_cast(f, made.q, VJ_F32, node.origin);
    y = vj_make_binary(f, VJ_OP_sub, y, number(f, VJ_ZERO_OF_BLOCK), node.origin);
    vj_dim dims[VJ_MAX_RANK];
    const int32_t last = type.rank - 1;
    const int64_t groups = vj_type_at(f, y)->dims[last].c, block = vj_type_at(f, y)->dims[last + 1].c;
    memcpy(dims, vj_type_at(f, y)->dims, sizeof dims);
    dims[last + 1] = vj_dim_const(1);
    y = vj_make_binary(f, VJ_OP_mul, y, vj_make_reshape(f, made.size, type.rank + 1, dims, node.origin), node.origin);
    dims[last] = vj_dim_const(groups * block);
    y = vj_make_reshape(f, y, type.rank, dims, node.origin);
    return dims[last].c == type.dims[last].c ? y : vj_make_slice(f, y, last, 0, type.dims[last].c, node.origin);
}
