/* SPDX-License-Identifier: Apache-2.0 */
/* expr.c - scalar expressions at a point of the iteration space, for one element or for lanes along one axis: leaves,
 * and what the table of elementwise ops cannot say. Floats that are cast to integers truncate and saturate, NaN becomes
 * 0. */
#include <stdlib.h>

#include "access.h"
#include "backend/math/vmath.h"

static bool is_unsigned(vj_dtype dtype) { return vj_dtype_is_unsigned(dtype) || dtype == VJ_BOOL; }

static LLVMValueRef refuse(vj_gen *g, const vj_expr *e, int32_t lanes) {
    vj_fail(g->error, VJ_UNSUPPORTED, "kernel '%s': %s of %s has no code generator", g->k->name, vj_xop_name(e->op),
            vj_element_name(e->dtype));
    return LLVMGetPoison(vj_vector_type(g, e->dtype, lanes));
}

/* Loads: an index is an expression of what is read through earlier accesses. */

static LLVMValueRef clipped(const vj_gen *g, LLVMValueRef index, int64_t extent) {
    const bool vector = LLVMGetTypeKind(LLVMTypeOf(index)) == LLVMVectorTypeKind;
    LLVMValueRef zero = vj_number(g, index, 0), last = vj_i64(g, extent - 1);
    if (vector) last = vj_splat(g, last, (int32_t)LLVMGetVectorSize(LLVMTypeOf(index)));
    index = LLVMBuildSelect(g->b, LLVMBuildICmp(g->b, LLVMIntSGT, index, zero, ""), index, zero, "");
    return LLVMBuildSelect(g->b, LLVMBuildICmp(g->b, LLVMIntSLT, index, last, ""), index, last, "");
}

static vj_indices indices_of(vj_gen *g, const vj_access *access, const vj_point *point) {
    vj_indices all = {{0}, false};
    for (int32_t t = 0; t < access->term_count; t++) {
        const vj_term *term = &access->terms[t];
        if (term->kind != VJ_TERM_INDEX) continue;
        vj_point at = *point;
        if (point->lanes > 1 && vj_term_moves(g->k, term, point->vector_axis)) {
            all.vary = true;
        } else {
            at.lanes = 1;
            at.vector_axis = -1;
            at.mask = NULL;
        }
        all.at[t] = clipped(g, vj_emit_expr(g, term->index, &at), term->extent);
    }
    return all;
}

/* The byte that is the index of a lookup in a table of bytes; -1: the access is something else. */
static int32_t index_byte(const vj_gen *g, const vj_access *access) {
    const vj_kernel *k = g->k;
    const vj_term *term = &access->terms[0];
    const vj_dtype dtype = g->p->buffers[access->buffer].dtype;
    if (access->term_count != 1 || term->kind != VJ_TERM_INDEX || term->stride != 1) return -1;
    if (term->extent != VJ_LOOKUP_BYTES || (dtype != VJ_U8 && dtype != VJ_I8)) return -1;
    for (int32_t axis = 0; axis < k->rank; axis++)
        if (access->stride[axis] != 0) return -1;
    const vj_expr *index = &k->expr[term->index];
    return index->op == VJ_X_CAST && k->expr[index->arg[0]].dtype == VJ_U8 ? index->arg[0] : -1;
}

LLVMValueRef vj_emit_load(vj_gen *g, int32_t access, const vj_point *point) {
    const int32_t byte = vj_can_look_up(g, point->lanes) ? index_byte(g, &g->k->access[access]) : -1;
    if (byte >= 0) {
        LLVMValueRef table = vj_element(g, g->access[access], VJ_U8, vj_i64(g, g->k->access[access].offset));
        return vj_look_up(g, table, vj_emit_expr(g, byte, point), point->lanes);
    }
    const vj_indices indexed = indices_of(g, &g->k->access[access], point);
    return vj_load_indexed(g, access, point, &indexed);
}

/* Operations */

/* To an integer of 8 or 16 bits, by way of 32: LLVM takes vectors apart for saturating conversions to narrower ones. */
static LLVMValueRef narrow_integer(const vj_gen *g, vj_dtype to, LLVMValueRef x, int32_t lanes) {
    const double span = vj_element_bytes(to) == 1 ? 255 : 65535, least = is_unsigned(to) ? 0 : -(span + 1) / 2;
    LLVMValueRef low = vj_number(g, x, least), high = vj_number(g, x, least + span), zero = vj_number(g, x, 0);
    LLVMValueRef y = LLVMBuildSelect(g->b, LLVMBuildFCmp(g->b, LLVMRealOGT, x, low, ""), x, low, "");
    y = LLVMBuildSelect(g->b, LLVMBuildFCmp(g->b, LLVMRealOLT, y, high, ""), y, high, "");
    if (least < 0) y = LLVMBuildSelect(g->b, LLVMBuildFCmp(g->b, LLVMRealUNO, x, x, ""), zero, y, "");
    LLVMValueRef whole = LLVMBuildFPToSI(g->b, y, vj_vector_type(g, VJ_I32, lanes), "");
    return LLVMBuildTrunc(g->b, whole, vj_vector_type(g, to, lanes), "");
}

static LLVMValueRef cast(vj_gen *g, vj_dtype from, vj_dtype to, LLVMValueRef x, int32_t lanes) {
    if (from == to) return x;
    if (vj_is_half(from)) return cast(g, VJ_F32, to, vj_from_half(g, from, x, lanes), lanes);
    if (vj_is_half(to)) return vj_to_half(g, to, cast(g, from, VJ_F32, x, lanes), lanes);
    LLVMTypeRef type = vj_vector_type(g, to, lanes), types[2] = {type, LLVMTypeOf(x)};
    if (vj_dtype_is_float(from)) {
        if (to == VJ_BOOL) return LLVMBuildFCmp(g->b, LLVMRealUNE, x, vj_number(g, x, 0), "");
        if (vj_dtype_is_float(to))
            return to == VJ_F64 ? LLVMBuildFPExt(g->b, x, type, "") : LLVMBuildFPTrunc(g->b, x, type, "");
        if (vj_element_bytes(to) <= 2) return narrow_integer(g, to, x, lanes);
        return vj_intrinsic(g, is_unsigned(to) ? "llvm.fptoui.sat" : "llvm.fptosi.sat", types, 2, &x, 1);
    }
    if (to == VJ_BOOL) return LLVMBuildICmp(g->b, LLVMIntNE, x, vj_number(g, x, 0), "");
    if (vj_dtype_is_float(to))
        return is_unsigned(from) ? LLVMBuildUIToFP(g->b, x, type, "") : LLVMBuildSIToFP(g->b, x, type, "");
    const int64_t old_bytes = from == VJ_BOOL ? 0 : vj_element_bytes(from), new_bytes = vj_element_bytes(to);
    if (old_bytes == new_bytes) return x;
    if (old_bytes > new_bytes) return LLVMBuildTrunc(g->b, x, type, "");
    return is_unsigned(from) ? LLVMBuildZExt(g->b, x, type, "") : LLVMBuildSExt(g->b, x, type, "");
}

/* Booleans are i1 in registers. */
static LLVMValueRef same_bits(vj_gen *g, vj_dtype from, vj_dtype to, LLVMValueRef x, int32_t lanes) {
    LLVMTypeRef type = vj_vector_type(g, to, lanes);
    return from == VJ_BOOL && to != VJ_BOOL ? LLVMBuildZExt(g->b, x, type, "") : LLVMBuildBitCast(g->b, x, type, "");
}

static LLVMValueRef constant(vj_gen *g, const vj_expr *e, int32_t lanes) {
    LLVMTypeRef element = e->dtype == VJ_BOOL ? g->i1 : vj_llvm_type(g, e->dtype);
    LLVMValueRef one;
    if (vj_is_half(e->dtype))
        one = vj_half_constant(g, e->dtype, e->imm);
    else if (vj_dtype_is_float(e->dtype))
        one = LLVMConstReal(element, e->imm);
    else if (e->dtype == VJ_BOOL)
        one = LLVMConstInt(element, e->imm != 0, false);
    else
        one = LLVMConstInt(element, (unsigned long long)vj_float_to_int(e->dtype, e->imm), true);
    return vj_splat(g, one, lanes);
}

/* Stages and accumulators may be given once for all lanes. */
static LLVMValueRef for_lanes(const vj_gen *g, LLVMValueRef value, int32_t lanes) {
    return LLVMGetTypeKind(LLVMTypeOf(value)) == LLVMVectorTypeKind ? value : vj_splat(g, value, lanes);
}

/* What a cast to bfloat16 rounds may be computed in fewer steps. */
static bool coarse(vj_gen *g, const vj_expr *e, const LLVMValueRef *value, LLVMValueRef *result) {
    const vj_expr *of = &g->k->expr[e->arg[0]];
    if (e->dtype != VJ_BF16 || of->dtype != VJ_F32 || vj_xop_args(of->op) != 1) return false;
    *result = vj_emit_coarse(g, of->op, value[of->arg[0]]);
    return *result != NULL;
}

static LLVMValueRef entry(vj_gen *g, const vj_expr *e, const LLVMValueRef *value, const vj_point *point) {
    const int32_t lanes = point->lanes;
    LLVMValueRef result;
    switch (e->op) {
    case VJ_X_CONST:
        return constant(g, e, lanes);
    case VJ_X_LOAD:
        return vj_emit_load(g, e->index, point);
    case VJ_X_ACC:
        return for_lanes(g, point->acc, lanes);
    case VJ_X_STAGE:
        return for_lanes(g, point->stage[e->index], lanes);
    case VJ_X_AXIS: {
        LLVMValueRef at = point->index[e->index];
        if (point->shift[e->index]) at = LLVMBuildNSWAdd(g->b, at, vj_i64(g, point->shift[e->index]), "");
        LLVMValueRef first = vj_splat(g, at, lanes);
        const bool moves = lanes > 1 && e->index == point->vector_axis;
        return moves ? LLVMBuildAdd(g->b, first, vj_lane_steps(g, lanes, 1), "") : first;
    }
    case VJ_X_SELECT:
        return LLVMBuildSelect(g->b, value[e->arg[0]], value[e->arg[1]], value[e->arg[2]], "");
    case VJ_X_CAST:
        if (coarse(g, e, value, &result)) return vj_to_half(g, e->dtype, result, lanes);
        return cast(g, g->k->expr[e->arg[0]].dtype, e->dtype, value[e->arg[0]], lanes);
    case VJ_X_BITCAST:
        return same_bits(g, g->k->expr[e->arg[0]].dtype, e->dtype, value[e->arg[0]], lanes);
    default:
        break;
    }
    const vj_dtype of = g->k->expr[e->arg[0]].dtype;
    if (e->op == VJ_X_NOT && !vj_dtype_is_float(of)) return LLVMBuildNot(g->b, value[e->arg[0]], "");
    const bool two = vj_xop_args(e->op) == 2, half = vj_is_half(of); /* the pass widen leaves casts of halves alone */
    result = half ? NULL : vj_emit_scalar(g, e->op, of, value[e->arg[0]], two ? value[e->arg[1]] : NULL);
    return result ? result : refuse(g, e, lanes);
}

LLVMValueRef vj_emit_expr(vj_gen *g, int32_t root, const vj_point *point) {
    const vj_kernel *k = g->k;
    bool *needed = calloc((size_t)root + 1, sizeof *needed);
    LLVMValueRef *value = calloc((size_t)root + 1, sizeof *value);
    LLVMValueRef result;
    if (!needed || !value) {
        vj_fail(g->error, VJ_SYSTEM, "out of memory for an expression");
        result = LLVMGetPoison(vj_vector_type(g, k->expr[root].dtype, point->lanes));
    } else {
        needed[root] = true;
        for (int32_t at = root; at >= 0; at--)
            for (int32_t i = 0; needed[at] && i < vj_xop_args(k->expr[at].op); i++)
                needed[k->expr[at].arg[i]] = true;
        for (int32_t at = 0; at <= root; at++)
            if (needed[at]) value[at] = entry(g, &k->expr[at], value, point);
        result = value[root];
    }
    free(needed);
    free(value);
    return result;
}
