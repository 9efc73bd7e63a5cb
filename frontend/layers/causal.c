/* SPDX-License-Identifier: Apache-2.0 */
/* causal.c - the builder of CausalConvWithState: a depthwise convolution of a sequence that goes on from a state. */
#include "windows.h"

#include <string.h>

static const vj_type *type_of(vj_importer *im, vj_value v) { return vj_type_at(im->f, v); }

/* x [B, C, L] behind the `count` elements that came before it: the state, or zeros. */
static vj_value behind_past(vj_importer *im, vj_value x, int64_t count) {
    if (!vj_going(im) || count == 0) return x;
    const vj_type t = *type_of(im, x);
    if (vj_has_operand(im, 3)) {
        vj_value parts[2] = {vj_operand_value(im, 3), x};
        if (!vj_going(im)) return VJ_NONE;
        const vj_type past = *type_of(im, parts[0]);
        if (past.rank != 3 || !vj_dim_equal(past.dims[2], vj_dim_const(count))) {
            vj_stop(im, VJ_BAD_INPUT, "the state is %s, for %lld elements", vj_type_text(im->arena, &past),
                    (long long)count);
            return VJ_NONE;
        }
        return vj_emit_concat(im, parts, 2, 2);
    }
    const int64_t low[3] = {0, 0, count}, high[3] = {0};
    vj_attr attrs[] = {vj_ints(VJ_ATTR_LOW, low, t.rank), vj_ints(VJ_ATTR_HIGH, high, t.rank),
                       vj_name(VJ_ATTR_MODE, "constant"), vj_float(VJ_ATTR_VALUE, 0)};
    return vj_emit(im, VJ_OP_pad, &x, 1, attrs, 4);
}

bool vj_build_causal_conv(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0), w = vj_operand_value(im, 1),
             bias = vj_has_operand(im, 2) ? vj_operand_value(im, 2) : VJ_NONE;
    const char *activation = vj_text_attribute(im, "activation", "none");
    if (!vj_going(im)) return false;
    const vj_type xt = *type_of(im, x), wt = *type_of(im, w);
    if (xt.rank != 3 || wt.rank != 3 || !vj_type_is_static(&wt) || wt.dims[2].c < 1 || xt.dims[2].sym)
        return vj_stop(im, VJ_BAD_INPUT, "the weight is %s, for an input of %s", vj_type_text(im->arena, &wt),
                       vj_type_text(im->arena, &xt));
    const bool silu = strcmp(activation, "silu") == 0 || strcmp(activation, "swish") == 0;
    if (!silu && strcmp(activation, "none") != 0) return vj_stop(im, VJ_BAD_INPUT, "activation is '%.20s'", activation);
    const int64_t count = wt.dims[2].c - 1, one = 1, none = 0;
    vj_value all = behind_past(im, x, count);
    vj_attr attrs[] = {vj_ints(VJ_ATTR_STRIDE, &one, 1), vj_ints(VJ_ATTR_DILATION, &one, 1),
                       vj_ints(VJ_ATTR_LOW, &none, 1), vj_ints(VJ_ATTR_HIGH, &none, 1),
                       vj_int(VJ_ATTR_GROUPS, wt.dims[0].c)};
    vj_value y = vj_emit(im, VJ_OP_conv, (vj_value[]){all, w, bias}, bias < 0 ? 2 : 3, attrs, 5);
    if (silu) y = vj_emit2(im, VJ_OP_mul, y, vj_emit1(im, VJ_OP_sigmoid, y));
    return vj_bind(im, 0, y) && vj_bind(im, 1, vj_emit_slice(im, all, 2, xt.dims[2].c, vj_dim_const(count), 1));
}
