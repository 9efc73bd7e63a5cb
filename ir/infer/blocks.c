/* SPDX-License-Identifier: Apache-2.0 */
/* blocks.c - result types of the ops that compute by blocks of the depth: round_blocks, byte_rows, linear_blocks. */
#include "infer.h"

#include <inttypes.h>

bool vj_infer_round_blocks(vj_inference *in) {
    const vj_type *x = vj_infer_arg(in, 0);
    const int64_t block = vj_attr_int(in->node, VJ_ATTR_BLOCK, 0);
    in->results[0] = *x;
    if (x->dtype != VJ_F32) return vj_infer_fail(in, "rounds %s, not f32", vj_element_name(x->dtype));
    if (x->rank < 1 || x->dims[x->rank - 1].sym != VJ_SYM_NONE)
        return vj_infer_fail(in, "the last axis has no fixed size");
    return block > 0 || vj_infer_fail(in, "a block of %" PRId64 " elements", block);
}

bool vj_infer_byte_rows(vj_inference *in) {
    const vj_type *x = vj_infer_arg(in, 0);
    if (x->dtype != VJ_F32) return vj_infer_fail(in, "rounds %s, not f32", vj_element_name(x->dtype));
    if (x->rank < 1) return vj_infer_fail(in, "a scalar is no row");
    in->results[0] = in->results[1] = *x;
    in->results[0].dtype = VJ_U8;
    in->results[1].rank--;
    return true;
}

static bool is_blocks_of(vj_inference *in, vj_dim groups, vj_dim block, vj_dim depth) {
    int64_t most;
    if (groups.sym != VJ_SYM_NONE || block.sym != VJ_SYM_NONE || depth.sym != VJ_SYM_NONE)
        return vj_infer_fail(in, "its depth has no fixed size");
    return (vj_mul(groups.c, block.c, &most) && depth.c <= most && depth.c > most - block.c) ||
           vj_infer_fail(in, "%" PRId64 " blocks of %" PRId64 " do not hold %" PRId64 " elements", groups.c, block.c,
                         depth.c);
}

bool vj_infer_linear_blocks(vj_inference *in) {
    const vj_type *q = vj_infer_arg(in, 0), *size = vj_infer_arg(in, 1), *w = vj_infer_arg(in, 2);
    if (q->dtype != VJ_U8 || size->dtype != VJ_F32 || w->dtype != VJ_F32)
        return vj_infer_fail(in, "multiplies %s, %s and %s, not u8, f32 and f32", vj_element_name(q->dtype),
                             vj_element_name(size->dtype), vj_element_name(w->dtype));
    if (q->rank < 2 || w->rank != 2) return vj_infer_fail(in, "its operands are no blocks and no matrix");
    bool fits = size->rank == q->rank - 1;
    for (int32_t d = 0; fits && d < size->rank; d++)
        fits = vj_dim_equal(size->dims[d], q->dims[d]);
    if (!fits)
        return vj_infer_fail(in, "steps of %s for blocks of %s", vj_brief_type(size).text, vj_brief_type(q).text);
    in->results[0] = *size;
    in->results[0].dims[size->rank - 1] = w->dims[1];
    return is_blocks_of(in, q->dims[q->rank - 2], q->dims[q->rank - 1], w->dims[0]);
}
