/* expr.c - scalar expressions at a point of the iteration space, for one element or for lanes along one axis.
 *
 * Integers wrap; division and remainder by zero give 0 (the evaluator's rules; the machine would trap). Floats that are
 * cast to integers truncate and saturate, NaN becomes 0.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "backend/emit/gen.h"
#include "backend/math/vmath.h"

static bool is_unsigned(vj_dtype dtype) {
    return dtype == VJ_U8 || dtype == VJ_U16 || dtype == VJ_U32 || dtype == VJ_U64 || dtype == VJ_BOOL;
}

static bool is_float(vj_dtype dtype) { return dtype == VJ_F32 || dtype == VJ_F64; }

static LLVMValueRef refuse(vj_gen *g, const vj_expr *e, int32_t lanes) {
    vj_fail(g->error, VJ_UNSUPPORTED, "kernel '%s': %s of %s has no code generator", g->k->name, vj_xop_name(e->op),
            vj_element_name(e->dtype));
    return LLVMGetPoison(vj_vector_type(g, e->dtype, lanes));
}

/* A constant of the type of `like`. */
static LLVMValueRef number(const vj_gen *g, LLVMValueRef like, double x) {
    LLVMTypeRef type = LLVMTypeOf(like);
    const bool vector = LLVMGetTypeKind(type) == LLVMVectorTypeKind;
    LLVMTypeRef element = vector ? LLVMGetElementType(type) : type;
    const bool integer = LLVMGetTypeKind(element) == LLVMIntegerTypeKind;
    LLVMValueRef one =
        integer ? LLVMConstInt(element, (unsigned long long)(int64_t)x, true) : LLVMConstReal(element, x);
    return vector ? vj_splat(g, one, (int32_t)LLVMGetVectorSize(type)) : one;
}

static LLVMValueRef intrinsic(const vj_gen *g, const char *name, LLVMTypeRef *types, size_t type_count,
                              LLVMValueRef *args, unsigned arg_count) {
    const unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    assert(id != 0);
    LLVMValueRef f = LLVMGetIntrinsicDeclaration(g->module, id, types, type_count);
    return LLVMBuildCall2(g->b, LLVMGlobalGetValueType(f), f, args, arg_count, "");
}

static LLVMValueRef intrinsic1(const vj_gen *g, const char *name, LLVMValueRef x) {
    LLVMTypeRef type = LLVMTypeOf(x);
    return intrinsic(g, name, &type, 1, &x, 1);
}

/* lane 0, 1, 2, ... times step, as i64 */
static LLVMValueRef steps(const vj_gen *g, int32_t lanes, int64_t step) {
    LLVMValueRef lane[64];
    assert(lanes <= 64);
    for (int32_t i = 0; i < lanes; i++)
        lane[i] = vj_i64(g, i * step);
    return lanes == 1 ? lane[0] : LLVMConstVector(lane, (unsigned)lanes);
}

static LLVMValueRef add_product(const vj_gen *g, LLVMValueRef sum, LLVMValueRef index, int64_t factor) {
    if (factor == 0) return sum;
    assert(index);
    LLVMValueRef product = factor == 1 ? index : LLVMBuildNSWMul(g->b, index, vj_i64(g, factor), "");
    return LLVMBuildNSWAdd(g->b, sum, product, "");
}

/* first + the sum of factor * (index + shift) over the axes. */
static LLVMValueRef affine(vj_gen *g, int64_t first, const int64_t *factor, const vj_point *point) {
    LLVMValueRef sum = vj_i64(g, 0);
    for (int32_t axis = 0; axis < g->k->rank; axis++) {
        LLVMValueRef index = point->index[axis];
        first += point->shift[axis] * factor[axis];
        if (index && LLVMIsAConstantInt(index))
            first += LLVMConstIntGetSExtValue(index) * factor[axis];
        else
            sum = add_product(g, sum, index, factor[axis]);
    }
    return first == 0 ? sum : LLVMBuildNSWAdd(g->b, sum, vj_i64(g, first), "");
}

LLVMValueRef vj_emit_offset(vj_gen *g, const vj_access *access, const vj_point *point) {
    return affine(g, 0, access->stride, point);
}

/* Loads */

/* How an access moves along the lanes. */
typedef struct lane_walk {
    int64_t stride;    /* with the guards' share: inside of a guard its index is what it is */
    bool moves_guards; /* some lanes may be inside and others outside */
    bool moves_mods;   /* or indices */
} lane_walk;

static lane_walk walk_of(const vj_access *access, int32_t axis) {
    lane_walk w = {.stride = axis < 0 ? 0 : access->stride[axis]};
    for (int32_t t = 0; axis >= 0 && t < access->term_count; t++) {
        const vj_term *term = &access->terms[t];
        if (term->kind == VJ_TERM_INDEX) continue;
        w.stride += term->stride * term->coef[axis];
        if (term->coef[axis] == 0) continue;
        if (term->kind == VJ_TERM_GUARD)
            w.moves_guards = true;
        else
            w.moves_mods = true;
    }
    return w;
}

/* The values of the index terms, inside of their extents: one each where all lanes share it, else a lane each. */
typedef struct indices {
    LLVMValueRef at[VJ_MAX_TERMS];
    bool vary;
} indices;

static LLVMValueRef clipped(const vj_gen *g, LLVMValueRef index, int64_t extent) {
    const bool vector = LLVMGetTypeKind(LLVMTypeOf(index)) == LLVMVectorTypeKind;
    LLVMValueRef zero = number(g, index, 0), last = vj_i64(g, extent - 1);
    if (vector) last = vj_splat(g, last, (int32_t)LLVMGetVectorSize(LLVMTypeOf(index)));
    index = LLVMBuildSelect(g->b, LLVMBuildICmp(g->b, LLVMIntSGT, index, zero, ""), index, zero, "");
    return LLVMBuildSelect(g->b, LLVMBuildICmp(g->b, LLVMIntSLT, index, last, ""), index, last, "");
}

static indices indices_of(vj_gen *g, const vj_access *access, const vj_point *point) {
    indices all = {{0}, false};
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

static LLVMValueRef lane_of(const vj_gen *g, LLVMValueRef index, int64_t lane) {
    const bool vector = LLVMGetTypeKind(LLVMTypeOf(index)) == LLVMVectorTypeKind;
    return vector ? LLVMBuildExtractElement(g->b, index, vj_i64(g, lane), "") : index;
}

/* One address of an access: of lane `lane`, or of lane 0 with `valid` a vector over all lanes. */
typedef struct address {
    LLVMValueRef offset; /* elements */
    LLVMValueRef valid;  /* inside of all guards; NULL: always */
} address;

static address address_of(vj_gen *g, const vj_access *access, const indices *indexed, const vj_point *point,
                          int64_t lane, int32_t valid_lanes) {
    const int32_t axis = point->vector_axis;
    address at = {.offset = vj_emit_offset(g, access, point)};
    if (axis >= 0 && lane) at.offset = LLVMBuildNSWAdd(g->b, at.offset, vj_i64(g, lane * access->stride[axis]), "");
    for (int32_t t = 0; t < access->term_count; t++) {
        const vj_term *term = &access->terms[t];
        LLVMValueRef extent = vj_i64(g, term->extent);
        const int64_t first = term->constant + (axis >= 0 ? lane * term->coef[axis] : 0);
        LLVMValueRef i = affine(g, first, term->coef, point);
        if (term->kind == VJ_TERM_INDEX) {
            i = lane_of(g, indexed->at[t], lane);
        } else if (term->kind == VJ_TERM_MOD) {
            i = LLVMBuildURem(g->b, LLVMBuildAdd(g->b, i, extent, ""), extent, "");
        } else {
            LLVMValueRef all = i, limit = extent;
            if (valid_lanes > 1 && term->coef[axis] != 0) {
                all = LLVMBuildAdd(g->b, vj_splat(g, i, valid_lanes), steps(g, valid_lanes, term->coef[axis]), "");
                limit = vj_splat(g, extent, valid_lanes);
            }
            LLVMValueRef inside = LLVMBuildICmp(g->b, LLVMIntULT, all, limit, "");
            if (valid_lanes > 1 && all == i) inside = vj_splat(g, inside, valid_lanes);
            at.valid = at.valid ? LLVMBuildAnd(g->b, at.valid, inside, "") : inside;
        }
        at.offset = LLVMBuildAdd(g->b, at.offset, LLVMBuildMul(g->b, i, vj_i64(g, term->stride), ""), "");
    }
    return at;
}

/* A constant in the object that holds `lanes` times what is read outside of guards: an address that can always be read.
 */
static LLVMValueRef outside(const vj_gen *g, vj_dtype dtype, double value, int32_t lanes) {
    LLVMTypeRef element = vj_llvm_type(g, dtype);
    LLVMValueRef one = is_float(dtype) ? LLVMConstReal(element, value)
                       : vj_is_half(dtype)
                           ? vj_half_constant(g, dtype, value)
                           : LLVMConstInt(element, (unsigned long long)vj_float_to_int(dtype, value), true);
    LLVMValueRef all[64];
    for (int32_t i = 0; i < lanes; i++)
        all[i] = one;
    LLVMValueRef array = LLVMConstArray2(element, all, (uint64_t)lanes);
    LLVMValueRef global = LLVMAddGlobal(g->module, LLVMTypeOf(array), "outside");
    LLVMSetInitializer(global, array);
    LLVMSetGlobalConstant(global, true);
    LLVMSetLinkage(global, LLVMPrivateLinkage);
    LLVMSetUnnamedAddress(global, LLVMGlobalUnnamedAddr);
    LLVMSetAlignment(global, 64);
    return global;
}

/* The pointer of an address. Outside of guards its offset may be anywhere, so it is not inbounds until it is
 * selected. */
static LLVMValueRef pointer_of(const vj_gen *g, LLVMValueRef base, vj_dtype dtype, address at, LLVMValueRef otherwise) {
    LLVMValueRef pointer = LLVMBuildGEP2(g->b, vj_llvm_type(g, dtype), base, &at.offset, 1, "");
    return at.valid ? LLVMBuildSelect(g->b, at.valid, pointer, otherwise, "") : pointer;
}

static bool lane_is_known_off(LLVMValueRef mask, int32_t lane) {
    if (!mask || !LLVMIsConstant(mask)) return false;
    LLVMValueRef bit = LLVMGetAggregateElement(mask, (unsigned)lane);
    return bit && LLVMIsAConstantInt(bit) && LLVMConstIntGetZExtValue(bit) == 0;
}

static LLVMValueRef gather(vj_gen *g, const vj_access *access, const indices *indexed, LLVMValueRef base,
                           vj_dtype dtype, const vj_point *point, LLVMValueRef otherwise) {
    LLVMValueRef vector = LLVMGetUndef(vj_vector_type(g, dtype, point->lanes));
    const bool known = !point->mask || LLVMIsConstant(point->mask);
    for (int32_t lane = 0; lane < point->lanes; lane++) {
        if (lane_is_known_off(point->mask, lane)) continue;
        address at = address_of(g, access, indexed, point, lane, 1);
        if (!known) {
            LLVMValueRef exists = LLVMBuildExtractElement(g->b, point->mask, vj_i64(g, lane), "");
            at.valid = at.valid ? LLVMBuildAnd(g->b, at.valid, exists, "") : exists;
        }
        LLVMValueRef value = vj_load_vector(g, pointer_of(g, base, dtype, at, otherwise), dtype, 1, NULL, NULL);
        vector = LLVMBuildInsertElement(g->b, vector, value, vj_i64(g, lane), "");
    }
    return vector;
}

LLVMValueRef vj_emit_load(vj_gen *g, int32_t access_number, const vj_point *point) {
    const vj_access *access = &g->k->access[access_number];
    const vj_dtype dtype = g->p->buffers[access->buffer].dtype;
    LLVMValueRef base = g->access[access_number];
    const int32_t lanes = point->lanes;
    const indices indexed = indices_of(g, access, point);
    lane_walk walk = walk_of(access, lanes > 1 ? point->vector_axis : -1);
    walk.moves_mods |= indexed.vary;
    bool guards = false;
    for (int32_t t = 0; t < access->term_count; t++)
        guards |= access->terms[t].kind == VJ_TERM_GUARD;
    LLVMValueRef otherwise = NULL;
    if (guards || (point->mask && !LLVMIsConstant(point->mask)))
        otherwise = outside(g, dtype, access->otherwise, lanes);
    const bool still = walk.stride == 0 && !walk.moves_guards && !walk.moves_mods;
    if (lanes == 1 || still) {
        const address at = address_of(g, access, &indexed, point, 0, 1);
        LLVMValueRef one = vj_load_vector(g, pointer_of(g, base, dtype, at, otherwise), dtype, 1, NULL, NULL);
        return vj_splat(g, one, lanes);
    }
    if (walk.stride != 1 || walk.moves_mods) return gather(g, access, &indexed, base, dtype, point, otherwise);
    if (!walk.moves_guards) {
        const address at = address_of(g, access, &indexed, point, 0, 1);
        return vj_load_vector(g, pointer_of(g, base, dtype, at, otherwise), dtype, lanes, point->mask, NULL);
    }
    address at = address_of(g, access, &indexed, point, 0, lanes);
    LLVMValueRef pointer = LLVMBuildGEP2(g->b, vj_llvm_type(g, dtype), base, &at.offset, 1, "");
    LLVMValueRef mask = point->mask ? LLVMBuildAnd(g->b, at.valid, point->mask, "") : at.valid;
    LLVMValueRef pass = vj_load_vector(g, otherwise, dtype, lanes, NULL, NULL);
    return vj_load_vector(g, pointer, dtype, lanes, mask, pass);
}

/* Stores */

void vj_emit_store(vj_gen *g, int32_t access_number, const vj_point *point, LLVMValueRef value) {
    const vj_access *access = &g->k->access[access_number];
    const vj_dtype dtype = g->p->buffers[access->buffer].dtype;
    const int32_t lanes = point->lanes, axis = point->vector_axis;
    assert(access->term_count == 0);
    LLVMValueRef pointer = vj_element(g, g->access[access_number], dtype, vj_emit_offset(g, access, point));
    if (lanes == 1 || access->stride[axis] == 1) {
        vj_store_vector(g, pointer, value, lanes == 1 ? NULL : point->mask);
        return;
    }
    if (point->mask && !LLVMIsConstant(point->mask)) {
        LLVMValueRef lane_steps = steps(g, lanes, access->stride[axis]);
        if (dtype == VJ_BOOL) value = LLVMBuildZExt(g->b, value, LLVMVectorType(g->i8, (unsigned)lanes), "");
        LLVMValueRef pointers = LLVMBuildGEP2(g->b, vj_llvm_type(g, dtype), pointer, &lane_steps, 1, "");
        LLVMTypeRef types[2] = {LLVMTypeOf(value), LLVMTypeOf(pointers)};
        LLVMValueRef args[4] = {value, pointers, LLVMConstInt(g->i32, (unsigned)vj_element_bytes(dtype), false),
                                point->mask};
        intrinsic(g, "llvm.masked.scatter", types, 2, args, 4);
        return;
    }
    for (int32_t lane = 0; lane < lanes; lane++) {
        if (lane_is_known_off(point->mask, lane)) continue;
        LLVMValueRef one = LLVMBuildExtractElement(g->b, value, vj_i64(g, lane), "");
        vj_store_vector(g, vj_element(g, pointer, dtype, vj_i64(g, lane * access->stride[axis])), one, NULL);
    }
}

/* Operations */

/* To the nearest integer, ties to even, by adding and taking away a number whose last digit is 1: no call on any
 * target. Numbers too large to have a fraction, infinities and NaN stay as they are. */
static LLVMValueRef round_even(vj_gen *g, LLVMValueRef x, vj_dtype dtype) {
    LLVMValueRef large = number(g, x, dtype == VJ_F32 ? 0x1p23 : 0x1p52), size = intrinsic1(g, "llvm.fabs", x);
    LLVMValueRef whole = LLVMBuildFSub(g->b, LLVMBuildFAdd(g->b, size, large, ""), large, "");
    LLVMValueRef fraction = LLVMBuildFCmp(g->b, LLVMRealOLT, size, large, "");
    LLVMTypeRef type = LLVMTypeOf(x);
    LLVMValueRef args[2] = {whole, x};
    return LLVMBuildSelect(g->b, fraction, intrinsic(g, "llvm.copysign", &type, 1, args, 2), x, "");
}

static LLVMValueRef round_to(vj_gen *g, LLVMValueRef x, vj_dtype dtype, vj_xop op) {
    LLVMValueRef whole = round_even(g, x, dtype);
    if (op == VJ_X_ROUND) return whole;
    const bool down = op == VJ_X_FLOOR;
    LLVMValueRef wrong = LLVMBuildFCmp(g->b, down ? LLVMRealOGT : LLVMRealOLT, whole, x, "");
    LLVMValueRef step = LLVMBuildFAdd(g->b, whole, number(g, x, down ? -1 : 1), "");
    LLVMTypeRef type = LLVMTypeOf(x);
    LLVMValueRef args[2] = {LLVMBuildSelect(g->b, wrong, step, whole, ""), x};
    return intrinsic(g, "llvm.copysign", &type, 1, args, 2);
}

static LLVMValueRef sign_of(vj_gen *g, LLVMValueRef x, vj_dtype dtype) {
    LLVMValueRef zero = number(g, x, 0), one = number(g, x, 1);
    if (is_float(dtype)) {
        LLVMValueRef up = LLVMBuildFCmp(g->b, LLVMRealOGT, x, zero, "");
        LLVMValueRef down = LLVMBuildFCmp(g->b, LLVMRealOLT, x, zero, "");
        return LLVMBuildSelect(g->b, up, one, LLVMBuildSelect(g->b, down, number(g, x, -1), x, ""), "");
    }
    LLVMValueRef up = LLVMBuildICmp(g->b, is_unsigned(dtype) ? LLVMIntUGT : LLVMIntSGT, x, zero, "");
    LLVMValueRef down = LLVMBuildSelect(g->b, LLVMBuildICmp(g->b, LLVMIntEQ, x, zero, ""), x, number(g, x, -1), "");
    return LLVMBuildSelect(g->b, up, one, down, "");
}

static LLVMValueRef cast(vj_gen *g, vj_dtype from, vj_dtype to, LLVMValueRef x, int32_t lanes) {
    if (from == to) return x;
    if (vj_is_half(from)) return cast(g, VJ_F32, to, vj_from_half(g, from, x, lanes), lanes);
    if (vj_is_half(to)) return vj_to_half(g, to, cast(g, from, VJ_F32, x, lanes), lanes);
    LLVMTypeRef type = vj_vector_type(g, to, lanes), types[2] = {type, LLVMTypeOf(x)};
    if (is_float(from)) {
        if (to == VJ_BOOL) return LLVMBuildFCmp(g->b, LLVMRealUNE, x, number(g, x, 0), "");
        if (is_float(to)) return to == VJ_F64 ? LLVMBuildFPExt(g->b, x, type, "") : LLVMBuildFPTrunc(g->b, x, type, "");
        return intrinsic(g, is_unsigned(to) ? "llvm.fptoui.sat" : "llvm.fptosi.sat", types, 2, &x, 1);
    }
    if (to == VJ_BOOL) return LLVMBuildICmp(g->b, LLVMIntNE, x, number(g, x, 0), "");
    if (is_float(to))
        return is_unsigned(from) ? LLVMBuildUIToFP(g->b, x, type, "") : LLVMBuildSIToFP(g->b, x, type, "");
    const int64_t old_bytes = from == VJ_BOOL ? 0 : vj_element_bytes(from), new_bytes = vj_element_bytes(to);
    if (old_bytes == new_bytes) return x;
    if (old_bytes > new_bytes) return LLVMBuildTrunc(g->b, x, type, "");
    return is_unsigned(from) ? LLVMBuildZExt(g->b, x, type, "") : LLVMBuildSExt(g->b, x, type, "");
}

static LLVMValueRef unary(vj_gen *g, const vj_expr *e, LLVMValueRef x, int32_t lanes) {
    const vj_dtype dtype = e->dtype;
    const bool floats = is_float(dtype), whole = !floats && dtype != VJ_BOOL;
    switch (e->op) {
    case VJ_X_NEG:
        if (!floats && !whole) break;
        return floats ? LLVMBuildFNeg(g->b, x, "") : LLVMBuildNeg(g->b, x, "");
    case VJ_X_ABS:
        if (floats) return intrinsic1(g, "llvm.fabs", x);
        if (is_unsigned(dtype)) return x;
        return LLVMBuildSelect(g->b, LLVMBuildICmp(g->b, LLVMIntSLT, x, number(g, x, 0), ""), LLVMBuildNeg(g->b, x, ""),
                               x, "");
    case VJ_X_SQRT:
        if (floats) return intrinsic1(g, "llvm.sqrt", x);
        break;
    case VJ_X_RSQRT:
        if (floats) return LLVMBuildFDiv(g->b, number(g, x, 1), intrinsic1(g, "llvm.sqrt", x), "");
        break;
    case VJ_X_RECIPROCAL:
        if (floats) return LLVMBuildFDiv(g->b, number(g, x, 1), x, "");
        break;
    case VJ_X_FLOOR:
    case VJ_X_CEIL:
    case VJ_X_ROUND:
        return floats ? round_to(g, x, dtype, e->op) : x;
    case VJ_X_SIGN:
        return dtype == VJ_BOOL ? x : sign_of(g, x, dtype);
    case VJ_X_NOT:
        if (!floats) return LLVMBuildNot(g->b, x, "");
        break;
    default:
        if (dtype == VJ_F32) return vj_math(g, e->op, x);
        if (dtype == VJ_F64) return vj_math_double(g, e->op, x);
        break;
    }
    return refuse(g, e, lanes);
}

/* Division that cannot trap: by 0 it gives 0, the least integer by -1 wraps to itself. */
static LLVMValueRef divide(vj_gen *g, vj_dtype dtype, LLVMValueRef a, LLVMValueRef b, bool remainder) {
    LLVMValueRef zero = number(g, b, 0), one = number(g, b, 1), minus = number(g, b, -1);
    LLVMValueRef none = LLVMBuildICmp(g->b, LLVMIntEQ, b, zero, "");
    if (is_unsigned(dtype)) {
        LLVMValueRef safe = LLVMBuildSelect(g->b, none, one, b, "");
        LLVMValueRef q = remainder ? LLVMBuildURem(g->b, a, safe, "") : LLVMBuildUDiv(g->b, a, safe, "");
        return LLVMBuildSelect(g->b, none, zero, q, "");
    }
    LLVMValueRef negates = LLVMBuildICmp(g->b, LLVMIntEQ, b, minus, "");
    LLVMValueRef safe = LLVMBuildSelect(g->b, LLVMBuildOr(g->b, none, negates, ""), one, b, "");
    if (!remainder) {
        LLVMValueRef q =
            LLVMBuildSelect(g->b, negates, LLVMBuildNeg(g->b, a, ""), LLVMBuildSDiv(g->b, a, safe, ""), "");
        return LLVMBuildSelect(g->b, none, zero, q, "");
    }
    /* The remainder has the divisor's sign. By 1, -1 and 0 it is 0. */
    LLVMValueRef r = LLVMBuildSRem(g->b, a, safe, "");
    LLVMValueRef differ = LLVMBuildICmp(g->b, LLVMIntSLT, LLVMBuildXor(g->b, r, safe, ""), zero, "");
    LLVMValueRef some = LLVMBuildICmp(g->b, LLVMIntNE, r, zero, "");
    LLVMValueRef moved = LLVMBuildAdd(g->b, r, safe, "");
    return LLVMBuildSelect(g->b, LLVMBuildAnd(g->b, differ, some, ""), moved, r, "");
}

/* a^b of integers, wrapping, by squaring over all bits of b; of a negative exponent what truncation leaves of 1 / a^-b:
 * nothing, but for 1 and -1. (0 to a negative power has no integer value and gives 0.) */
static LLVMValueRef whole_power(vj_gen *g, vj_dtype dtype, LLVMValueRef a, LLVMValueRef b) {
    LLVMValueRef zero = number(g, b, 0), one = number(g, b, 1), carried[3] = {one, a, b};
    vj_loop loop;
    vj_loop_begin(g, &loop, vj_i64(g, 0), vj_i64(g, vj_element_bytes(dtype) * 8), 1, true, carried, 3);
    LLVMValueRef low = LLVMBuildAnd(g->b, loop.carried[2], one, "");
    LLVMValueRef set = LLVMBuildICmp(g->b, LLVMIntNE, low, zero, "");
    LLVMValueRef product = LLVMBuildMul(g->b, loop.carried[0], loop.carried[1], "");
    LLVMValueRef next[3] = {LLVMBuildSelect(g->b, set, product, loop.carried[0], ""),
                            LLVMBuildMul(g->b, loop.carried[1], loop.carried[1], ""),
                            LLVMBuildLShr(g->b, loop.carried[2], one, "")};
    vj_loop_end(g, &loop, next);
    if (is_unsigned(dtype)) return loop.carried[0];
    LLVMValueRef minus = number(g, a, -1), unit = LLVMBuildICmp(g->b, LLVMIntEQ, a, one, "");
    unit = LLVMBuildOr(g->b, unit, LLVMBuildICmp(g->b, LLVMIntEQ, a, minus, ""), "");
    LLVMValueRef nothing =
        LLVMBuildAnd(g->b, LLVMBuildICmp(g->b, LLVMIntSLT, b, zero, ""), LLVMBuildNot(g->b, unit, ""), "");
    return LLVMBuildSelect(g->b, nothing, zero, loop.carried[0], "");
}

/* By as many bits as there are, or more, nothing is left. */
static LLVMValueRef shift(vj_gen *g, vj_dtype dtype, LLVMValueRef a, LLVMValueRef b, bool left) {
    LLVMValueRef zero = number(g, b, 0), bits = number(g, b, (double)(8 * vj_element_bytes(dtype)));
    LLVMValueRef inside = LLVMBuildICmp(g->b, LLVMIntULT, b, bits, "");
    LLVMValueRef by = LLVMBuildSelect(g->b, inside, b, zero, "");
    LLVMValueRef moved = left ? LLVMBuildShl(g->b, a, by, "") : LLVMBuildLShr(g->b, a, by, "");
    return LLVMBuildSelect(g->b, inside, moved, zero, "");
}

/* The least and the greatest; NaN in either is the result. */
static LLVMValueRef extreme(vj_gen *g, vj_dtype dtype, LLVMValueRef a, LLVMValueRef b, bool max) {
    if (!is_float(dtype)) {
        const LLVMIntPredicate above = is_unsigned(dtype) ? LLVMIntUGT : LLVMIntSGT;
        LLVMValueRef first = LLVMBuildICmp(g->b, above, max ? a : b, max ? b : a, "");
        return LLVMBuildSelect(g->b, first, a, b, "");
    }
    LLVMValueRef first = LLVMBuildFCmp(g->b, max ? LLVMRealOGT : LLVMRealOLT, a, b, "");
    LLVMValueRef nan = LLVMBuildFCmp(g->b, LLVMRealUNO, a, a, "");
    return LLVMBuildSelect(g->b, LLVMBuildOr(g->b, first, nan, ""), a, b, "");
}

static LLVMValueRef compare(vj_gen *g, vj_xop op, vj_dtype of, LLVMValueRef a, LLVMValueRef b) {
    if (is_float(of)) {
        const LLVMRealPredicate how = op == VJ_X_EQ ? LLVMRealOEQ : op == VJ_X_LT ? LLVMRealOLT : LLVMRealOLE;
        return LLVMBuildFCmp(g->b, how, a, b, "");
    }
    const bool plain = is_unsigned(of);
    const LLVMIntPredicate how = op == VJ_X_EQ   ? LLVMIntEQ
                                 : op == VJ_X_LT ? (plain ? LLVMIntULT : LLVMIntSLT)
                                                 : (plain ? LLVMIntULE : LLVMIntSLE);
    return LLVMBuildICmp(g->b, how, a, b, "");
}

static LLVMValueRef binary(vj_gen *g, const vj_expr *e, vj_dtype of, LLVMValueRef a, LLVMValueRef b, int32_t lanes) {
    const bool floats = is_float(of), whole = !floats && of != VJ_BOOL;
    switch (e->op) {
    case VJ_X_ADD:
        if (floats) return LLVMBuildFAdd(g->b, a, b, "");
        if (whole) return LLVMBuildAdd(g->b, a, b, "");
        break;
    case VJ_X_SUB:
        if (floats) return LLVMBuildFSub(g->b, a, b, "");
        if (whole) return LLVMBuildSub(g->b, a, b, "");
        break;
    case VJ_X_MUL:
        if (floats) return LLVMBuildFMul(g->b, a, b, "");
        if (whole) return LLVMBuildMul(g->b, a, b, "");
        break;
    case VJ_X_DIV:
        if (floats) return LLVMBuildFDiv(g->b, a, b, "");
        if (whole) return divide(g, of, a, b, false);
        break;
    case VJ_X_MOD:
        if (whole) return divide(g, of, a, b, true);
        if (of == VJ_F32) return vj_math_mod(g, a, b);
        break;
    case VJ_X_POW:
        if (of == VJ_F32) return vj_math_pow(g, a, b);
        if (whole) return whole_power(g, of, a, b);
        break;
    case VJ_X_MIN:
    case VJ_X_MAX:
        return extreme(g, of, a, b, e->op == VJ_X_MAX);
    case VJ_X_EQ:
    case VJ_X_LT:
    case VJ_X_LE:
        return compare(g, e->op, of, a, b);
    case VJ_X_AND:
        if (!floats) return LLVMBuildAnd(g->b, a, b, "");
        break;
    case VJ_X_OR:
        if (!floats) return LLVMBuildOr(g->b, a, b, "");
        break;
    case VJ_X_XOR:
        if (!floats) return LLVMBuildXor(g->b, a, b, "");
        break;
    case VJ_X_SHL:
    case VJ_X_SHR:
        if (whole) return shift(g, of, a, b, e->op == VJ_X_SHL);
        break;
    default:
        break;
    }
    return refuse(g, e, lanes);
}

static LLVMValueRef constant(vj_gen *g, const vj_expr *e, int32_t lanes) {
    LLVMTypeRef element = e->dtype == VJ_BOOL ? g->i1 : vj_llvm_type(g, e->dtype);
    LLVMValueRef one;
    if (vj_is_half(e->dtype))
        one = vj_half_constant(g, e->dtype, e->imm);
    else if (is_float(e->dtype))
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

static LLVMValueRef entry(vj_gen *g, const vj_expr *e, const LLVMValueRef *value, const vj_point *point) {
    const int32_t lanes = point->lanes;
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
        return moves ? LLVMBuildAdd(g->b, first, steps(g, lanes, 1), "") : first;
    }
    case VJ_X_SELECT:
        return LLVMBuildSelect(g->b, value[e->arg[0]], value[e->arg[1]], value[e->arg[2]], "");
    default:
        break;
    }
    const vj_dtype of = g->k->expr[e->arg[0]].dtype;
    if (e->op == VJ_X_CAST) return cast(g, of, e->dtype, value[e->arg[0]], lanes);
    if (e->op == VJ_X_BITCAST && of == VJ_BOOL && e->dtype != VJ_BOOL)
        return LLVMBuildZExt(g->b, value[e->arg[0]], vj_vector_type(g, e->dtype, lanes), "");
    if (e->op == VJ_X_BITCAST) return LLVMBuildBitCast(g->b, value[e->arg[0]], vj_vector_type(g, e->dtype, lanes), "");
    if (vj_is_half(of)) return refuse(g, e, lanes); /* the pass widen leaves casts alone */
    if (vj_xop_args(e->op) == 1) return unary(g, e, value[e->arg[0]], lanes);
    return binary(g, e, of, value[e->arg[0]], value[e->arg[1]], lanes);
}

LLVMValueRef vj_emit_expr(vj_gen *g, int32_t root, const vj_point *point) {
    const vj_kernel *k = g->k;
    bool *needed = calloc((size_t)root + 1, sizeof *needed);
    LLVMValueRef *value = calloc((size_t)root + 1, sizeof *value);
    LLVMValueRef result;
    if (!needed || !value) {
        vj_fail(g->error, VJ_SYSTEM, "no memory for an expression");
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
