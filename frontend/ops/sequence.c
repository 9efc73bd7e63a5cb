/* sequence.c - the builder of ReverseSequence: places along an axis depend on a number of each batch. */
#include "frontend/import/import.h"

#include <string.h>

static const vj_type *type_of(vj_importer *im, vj_value v) { return vj_type_at(im->f, v); }

static vj_value gathered(vj_importer *im, vj_value data, vj_value index, int32_t axis) {
    const vj_attr attr = vj_int(VJ_ATTR_AXIS, axis);
    return vj_emit(im, VJ_OP_gather_elements, (vj_value[]){data, index}, 2, &attr, 1);
}

/* Numbers [B] as i64 [1, .., B, .., 1]: `rank` dims, B at `axis`. */
static vj_value numbers_along(vj_importer *im, vj_value v, vj_dim batch, int32_t axis, int32_t rank) {
    if (!vj_going(im)) return VJ_NONE;
    const vj_type t = *type_of(im, v);
    if (t.rank != 1 || !vj_dim_equal(t.dims[0], batch) || !vj_dtype_is_int(t.dtype)) {
        vj_stop(im, VJ_BAD_INPUT, "%s is not one integer for each of the batch", vj_type_text(im->arena, &t));
        return VJ_NONE;
    }
    return vj_emit_column(im, vj_emit_cast(im, v, VJ_I64), axis, rank);
}

/* The first `length` elements of each sequence in reverse, the rest as they are. */
bool vj_build_reverse_sequence(vj_importer *im) {
    vj_value x = vj_operand_value(im, 0), lengths = vj_operand_value(im, 1);
    const int64_t time = vj_int_attribute(im, "time_axis", 0), batch = vj_int_attribute(im, "batch_axis", 1);
    if (!vj_going(im)) return false;
    const vj_type t = *type_of(im, x);
    if (t.rank < 2 || time < 0 || time > 1 || batch != 1 - time)
        return vj_stop(im, VJ_BAD_INPUT, "its time and batch axes are %lld and %lld", (long long)time,
                       (long long)batch);
    if (!vj_closed_axis(im, t.dims[time])) return false;
    const int32_t axis = (int32_t)time;
    lengths = numbers_along(im, lengths, t.dims[batch], (int32_t)batch, t.rank);
    vj_value at = vj_emit_iota(im, VJ_I64, t.dims[axis].c, axis, t.rank), one = vj_emit_number(im, VJ_I64, 1);
    vj_value back = vj_emit2(im, VJ_OP_sub, vj_emit2(im, VJ_OP_sub, lengths, one), at);
    vj_value from = vj_emit3(im, VJ_OP_select, vj_emit2(im, VJ_OP_lt, at, lengths), back, at);
    return vj_bind(im, 0, gathered(im, x, vj_emit_broadcast(im, from, t.dims, t.rank), axis));
}
