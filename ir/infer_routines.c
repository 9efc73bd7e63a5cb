/* infer_routines.c - result types of the ops that a routine computes. */
#include "infer.h"

#include <inttypes.h>

bool vj_infer_topk(vj_inference *in) {
    const vj_type *x = vj_infer_arg(in, 0);
    const int64_t axis = vj_attr_int(in->node, VJ_ATTR_AXIS, 0), k = vj_attr_int(in->node, VJ_ATTR_K, 0);
    const int64_t largest = vj_attr_int(in->node, VJ_ATTR_LARGEST, 1);
    if (!vj_infer_number(in, 0) || !vj_infer_axis(in, axis, x->rank)) return false;
    if (largest != 0 && largest != 1) return vj_infer_fail(in, "largest is %" PRId64 ", not 0 or 1", largest);
    if (x->dims[axis].sym != VJ_SYM_NONE) return vj_infer_fail(in, "axis %" PRId64 " has no fixed size", axis);
    if (k < 0 || k > x->dims[axis].c)
        return vj_infer_fail(in, "takes %" PRId64 " of %" PRId64 " elements", k, x->dims[axis].c);
    in->results[0] = *x;
    in->results[0].dims[axis] = vj_dim_const(k);
    in->results[1] = in->results[0];
    in->results[1].dtype = VJ_I64;
    return true;
}
