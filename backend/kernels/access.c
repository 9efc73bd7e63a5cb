/* SPDX-License-Identifier: Apache-2.0 */
/* access.c - loads and stores through the accesses of a kernel, for one element or for lanes along one axis. What the
 * index terms of an access are at the point is given: expr.c computes it. */
#include "access.h"

#include <assert.h>

#include "backend/math/vmath.h"

/* lane 0, 1, 2, ... times step, as i64 */
LLVMValueRef vj_lane_steps(const vj_gen *g, int32_t lanes, int64_t step) {
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

static LLVMValueRef lane_of(const vj_gen *g, LLVMValueRef index, int64_t lane) {
    const bool vector = LLVMGetTypeKind(LLVMTypeOf(index)) == LLVMVectorTypeKind;
    return vector ? LLVMBuildExtractElement(g->b, index, vj_i64(g, lane), "") : index;
}

/* One address of an access: of lane `lane`, or of lane 0 with `valid` a vector over all lanes. */
typedef struct address {
    LLVMValueRef offset; /* elements */
    LLVMValueRef valid;  /* inside of all guards; NULL: always */
} address;

static address address_of(vj_gen *g, const vj_access *access, const vj_indices *indexed, const vj_point *point,
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
                all = LLVMBuildAdd(g->b, vj_splat(g, i, valid_lanes), vj_lane_steps(g, valid_lanes, term->coef[axis]),
                                   "");
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
    LLVMValueRef one = vj_is_half(dtype) ? vj_half_constant(g, dtype, value)
                       : vj_dtype_is_float(dtype)
                           ? LLVMConstReal(element, value)
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

/* The pointer of an address; outside of guards its offset may be anywhere, so it is no inbounds address until chosen. */
static LLVMValueRef pointer_of(const vj_gen *g, LLVMValueRef base, vj_dtype dtype, address at, LLVMValueRef otherwise) {
    LLVMValueRef pointer = LLVMBuildGEP2(g->b, vj_llvm_type(g, dtype), base, &at.offset, 1, "");
    return at.valid ? LLVMBuildSelect(g->b, at.valid, pointer, otherwise, "") : pointer;
}

static bool lane_is_known_off(LLVMValueRef mask, int32_t lane) {
    if (!mask || !LLVMIsConstant(mask)) return false;
    LLVMValueRef bit = LLVMGetAggregateElement(mask, (unsigned)lane);
    return bit && LLVMIsAConstantInt(bit) && LLVMConstIntGetZExtValue(bit) == 0;
}

static LLVMValueRef gather(vj_gen *g, const vj_access *access, const vj_indices *indexed, LLVMValueRef base,
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

LLVMValueRef vj_load_indexed(vj_gen *g, int32_t access_number, const vj_point *point, const vj_indices *indexed) {
    const vj_access *access = &g->k->access[access_number];
    const vj_dtype dtype = g->p->buffers[access->buffer].dtype;
    LLVMValueRef base = g->access[access_number];
    const int32_t lanes = point->lanes;
    lane_walk walk = walk_of(access, lanes > 1 ? point->vector_axis : -1);
    walk.moves_mods |= indexed->vary;
    bool guards = false;
    for (int32_t t = 0; t < access->term_count; t++)
        guards |= access->terms[t].kind == VJ_TERM_GUARD;
    LLVMValueRef otherwise = NULL;
    if (guards || (point->mask && !LLVMIsConstant(point->mask)))
        otherwise = outside(g, dtype, access->otherwise, lanes);
    const bool still = walk.stride == 0 && !walk.moves_guards && !walk.moves_mods;
    if (lanes == 1 || still) {
        const address at = address_of(g, access, indexed, point, 0, 1);
        LLVMValueRef one = vj_load_vector(g, pointer_of(g, base, dtype, at, otherwise), dtype, 1, NULL, NULL);
        return vj_splat(g, one, lanes);
    }
    if (walk.stride != 1 || walk.moves_mods) return gather(g, access, indexed, base, dtype, point, otherwise);
    if (!walk.moves_guards) {
        const address at = address_of(g, access, indexed, point, 0, 1);
        return vj_load_vector(g, pointer_of(g, base, dtype, at, otherwise), dtype, lanes, point->mask, NULL);
    }
    address at = address_of(g, access, indexed, point, 0, lanes);
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
        LLVMValueRef lane_steps = vj_lane_steps(g, lanes, access->stride[axis]);
        if (dtype == VJ_BOOL) value = LLVMBuildZExt(g->b, value, LLVMVectorType(g->i8, (unsigned)lanes), "");
        LLVMValueRef pointers = LLVMBuildGEP2(g->b, vj_llvm_type(g, dtype), pointer, &lane_steps, 1, "");
        LLVMTypeRef types[2] = {LLVMTypeOf(value), LLVMTypeOf(pointers)};
        LLVMValueRef args[4] = {value, pointers, LLVMConstInt(g->i32, (unsigned)vj_element_bytes(dtype), false),
                                point->mask};
        vj_intrinsic(g, "llvm.masked.scatter", types, 2, args, 4);
        return;
    }
    for (int32_t lane = 0; lane < lanes; lane++) {
        if (lane_is_known_off(point->mask, lane)) continue;
        LLVMValueRef one = LLVMBuildExtractElement(g->b, value, vj_i64(g, lane), "");
        vj_store_vector(g, vj_element(g, pointer, dtype, vj_i64(g, lane * access->stride[axis])), one, NULL);
    }
}
