/* type.c - types of values: an element type and dims. */
#include "ir.h"

#include <assert.h>
#include <inttypes.h>
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

bool vj_type_elements(const vj_func *f, const vj_type *type, int64_t *count) {
    int64_t n = 1;
    bool empty = false;
    for (int32_t i = 0; i < type->rank; i++) {
        int64_t c = type->dims[i].c;
        int32_t sym = type->dims[i].sym;
        if (sym >= VJ_SYM_FIRST_DATA) c = f->symbols[sym - VJ_SYM_FIRST_DATA].bound;
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

vj_dtype vj_dtype_by_name(const char *name, size_t length) {
    for (int d = VJ_NO_DTYPE + 1; d < VJ_DTYPE_COUNT; d++) {
        const char *known = vj_element_name((vj_dtype)d);
        if (strlen(known) == length && memcmp(known, name, length) == 0) return (vj_dtype)d;
    }
    return VJ_NO_DTYPE;
}

char *vj_type_text(vj_arena *arena, const vj_type *type) {
    vj_text text = {.arena = arena};
    vj_text_add(&text, "%s[", vj_element_name(type->dtype));
    for (int32_t i = 0; i < type->rank; i++) {
        vj_dim d = type->dims[i];
        if (i) vj_text_add(&text, ",");
        if (d.sym >= VJ_SYM_FIRST_DATA)
            vj_text_add(&text, "s%d", d.sym - VJ_SYM_FIRST_DATA);
        else if (d.sym == VJ_SYM_NONE)
            vj_text_add(&text, "%" PRId64, d.c);
        else if (d.c == 1)
            vj_text_add(&text, "N");
        else
            vj_text_add(&text, "%" PRId64 "N", d.c);
    }
    vj_text_add(&text, "]");
    return text.at;
}
