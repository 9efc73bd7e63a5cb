/* SPDX-License-Identifier: Apache-2.0 */
/* type.c - types of values: an element type and dims. */
#include "ir.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

bool vj_type_equal(const vj_type *a, const vj_type *b) {
    if (a->dtype != b->dtype || a->rank != b->rank) return false;
    for (int32_t i = 0; i < a->rank; i++)
        if (!vj_dim_equal(a->dims[i], b->dims[i])) return false;
    return true;
}

bool vj_type_is_static(const vj_type *type) {
    for (int32_t i = 0; i < type->rank; i++)
        if (type->dims[i].sym != VJ_SYM_NONE) return false;
    return true;
}

vj_type vj_type_of(vj_dtype dtype, int32_t rank, const int64_t *dims) {
    assert(rank >= 0 && rank <= VJ_MAX_RANK);
    vj_type type = {.dtype = dtype, .rank = rank};
    for (int32_t i = 0; i < rank; i++)
        type.dims[i] = vj_dim_const(dims[i]);
    return type;
}

/* Codes of data symbols begin where no dim in multiples of N reaches. */
static const int64_t symbol_step = (int64_t)1 << 54;

int64_t vj_dim_code(vj_dim dim) {
    if (dim.sym == VJ_SYM_NONE) return dim.c;
    if (dim.sym == VJ_SYM_BATCH) return -1 - dim.c;
    return -symbol_step * (dim.sym - VJ_SYM_FIRST_DATA + 1) - dim.c;
}

bool vj_dim_of_code(int64_t code, vj_dim *dim) {
    if (code == -1 || code < -INT64_MAX) return false;
    if (code >= 0)
        *dim = vj_dim_const(code);
    else if (code > -symbol_step)
        *dim = (vj_dim){-1 - code, VJ_SYM_BATCH};
    else
        *dim = (vj_dim){-code % symbol_step, VJ_SYM_FIRST_DATA + (int32_t)(-code / symbol_step) - 1};
    return dim->c > 0 || dim->sym == VJ_SYM_NONE;
}

bool vj_dim_bound(const vj_func *f, vj_dim dim, int64_t *bound) {
    *bound = dim.c;
    return !vj_is_data_dim(dim) || vj_mul(dim.c, f->symbols[dim.sym - VJ_SYM_FIRST_DATA].bound, bound);
}

bool vj_type_has_data_dims(const vj_type *type) {
    for (int32_t i = 0; i < type->rank; i++)
        if (vj_is_data_dim(type->dims[i])) return true;
    return false;
}

bool vj_type_elements(const vj_func *f, const vj_type *type, int64_t *count) {
    int64_t n = 1;
    bool empty = false;
    for (int32_t i = 0; i < type->rank; i++) {
        int64_t c;
        if (!vj_dim_bound(f, type->dims[i], &c)) return false;
        if (c == 0) empty = true;
        /* An empty tensor has no elements, however large its other dims are; those must still fit. */
        else if (!vj_mul(n, c, &n))
            return false;
    }
    *count = empty ? 0 : n;
    return true;
}

bool vj_dtype_is_float(vj_dtype dtype) { return dtype >= VJ_F32 && dtype <= VJ_BF16; }
bool vj_dtype_is_int(vj_dtype dtype) { return dtype >= VJ_I8 && dtype <= VJ_U64; }

int64_t vj_float_to_int(vj_dtype to, double x) {
    static const struct {
        double low, high; /* high: the first number too large */
    } range[VJ_DTYPE_COUNT] = {
        [VJ_I8] = {-0x1p7, 0x1p7},    [VJ_U8] = {0, 0x1p8},   [VJ_I16] = {-0x1p15, 0x1p15}, [VJ_U16] = {0, 0x1p16},
        [VJ_I32] = {-0x1p31, 0x1p31}, [VJ_U32] = {0, 0x1p32}, [VJ_I64] = {-0x1p63, 0x1p63}, [VJ_U64] = {0, 0x1p64}};
    if (to == VJ_BOOL) return x != 0;
    if (isnan(x)) return 0;
    x = trunc(x);
    if (x < range[to].low) x = range[to].low;
    if (to == VJ_U64) return x >= 0x1p64 ? -1 : (int64_t)(uint64_t)x;
    if (to == VJ_I64) return x >= 0x1p63 ? INT64_MAX : (int64_t)x;
    return x >= range[to].high ? (int64_t)range[to].high - 1 : (int64_t)x;
}

double vj_lowest(vj_dtype dtype) {
    return vj_dtype_is_float(dtype) ? -(double)INFINITY : (double)vj_float_to_int(dtype, -(double)INFINITY);
}

vj_dtype vj_dtype_by_name(const char *name, size_t length) {
    for (int d = VJ_NO_DTYPE + 1; d < VJ_DTYPE_COUNT; d++) {
        const char *known = vj_element_name((vj_dtype)d);
        if (strlen(known) == length && memcmp(known, name, length) == 0) return (vj_dtype)d;
    }
    return VJ_NO_DTYPE;
}

void vj_text_dim(vj_text *text, vj_dim d) {
    if (d.sym == VJ_SYM_NONE || d.c != 1) vj_text_add(text, "%" PRId64, d.c);
    if (d.sym == VJ_SYM_BATCH) vj_text_add(text, "N");
    if (vj_is_data_dim(d)) vj_text_add(text, "s%d", d.sym - VJ_SYM_FIRST_DATA);
}

char *vj_type_text(vj_arena *arena, const vj_type *type) {
    vj_text text = {.arena = arena};
    vj_text_add(&text, "%s[", vj_element_name(type->dtype));
    for (int32_t i = 0; i < type->rank; i++) {
        if (i) vj_text_add(&text, ",");
        vj_text_dim(&text, type->dims[i]);
    }
    vj_text_add(&text, "]");
    return text.at;
}

/* Two's complement without overflow: the bits are what C's unsigned arithmetic gives. */
int64_t vj_wrap(vj_dtype dtype, int64_t x) {
    switch (dtype) {
    case VJ_I8:
        return (int8_t)(uint64_t)x;
    case VJ_U8:
        return (uint8_t)x;
    case VJ_I16:
        return (int16_t)(uint64_t)x;
    case VJ_U16:
        return (uint16_t)x;
    case VJ_I32:
        return (int32_t)(uint64_t)x;
    case VJ_U32:
        return (uint32_t)x;
    case VJ_BOOL:
        return x != 0;
    default:
        return x;
    }
}
