/* ops_sequence.c - builders of ops whose places along an axis depend on a number of each batch: ReverseSequence,
 * TensorScatter. */
#include "import.h"

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
    vj_value x = vj_operand(im, 0), lengths = vj_operand(im, 1);
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

/* past [B, .., L, ..] with an update [B, .., U, ..] written from the place on that each of the batch names; `circular` goes
 * on at the front. */
bool vj_build_tensor_scatter(vj_importer *im) {
    vj_value past = vj_operand(im, 0), update = vj_operand(im, 1);
    vj_value first = vj_has_operand(im, 2) ? vj_operand(im, 2) : VJ_NONE;
    const int64_t given = vj_int_attribute(im, "axis", -2);
    const char *mode = vj_text_attribute(im, "mode", "linear");
    const bool circular = strcmp(mode, "circular") == 0;
    if (!vj_going(im)) return false;
    if (!circular && strcmp(mode, "linear") != 0) return vj_stop(im, VJ_BAD_INPUT, "mode is '%.20s'", mode);
    const vj_type t = *type_of(im, past), u = *type_of(im, update);
    const int32_t axis = vj_axis_of(im, given, t.rank);
    if (axis < 0) return false;
    bool fits = axis > 0 && u.rank == t.rank && u.dtype == t.dtype && !t.dims[axis].sym && !u.dims[axis].sym;
    for (int32_t d = 0; fits && d < t.rank; d++)
        fits = d == axis ? u.dims[d].c >= 1 && u.dims[d].c <= t.dims[d].c : vj_dim_equal(u.dims[d], t.dims[d]);
    if (!fits) return vj_stop(im, VJ_BAD_INPUT, "its update does not fit %s", vj_type_text(im->arena, &t));
    vj_value at = vj_emit_iota(im, VJ_I64, t.dims[axis].c, axis, t.rank), zero = vj_emit_number(im, VJ_I64, 0);
    vj_value behind = first < 0 ? at : vj_emit2(im, VJ_OP_sub, at, numbers_along(im, first, t.dims[0], 0, t.rank));
    if (circular) behind = vj_emit2(im, VJ_OP_mod, behind, vj_emit_number(im, VJ_I64, (double)t.dims[axis].c));
    vj_value inside = vj_emit2(im, VJ_OP_lt, behind, vj_emit_number(im, VJ_I64, (double)u.dims[axis].c));
    inside = vj_emit2(im, VJ_OP_and, inside, vj_emit2(im, VJ_OP_le, zero, behind));
    vj_value from = vj_emit3(im, VJ_OP_select, inside, behind, zero);
    vj_value written = gathered(im, update, vj_emit_broadcast(im, from, t.dims, t.rank), axis);
    return vj_bind(im, 0, vj_emit3(im, VJ_OP_select, inside, written, past));
}
