/* SPDX-License-Identifier: Apache-2.0 */
/* quantised_conv.c - convolutions of bytes: a picture is padded with its zero point, windows are summed by a filter of ones. */
#include "quantised.h"

#include <string.h>

static vj_attr *attr_of(vj_attr *attrs, int32_t count, vj_attr_key key) {
    for (int32_t i = 0; i < count; i++)
        if (attrs[i].key == key) return &attrs[i];
    return NULL;
}

#define MOST_PIXELS ((int64_t)1 << 24) /* of a mask */

/* True inside of the picture, along its spatial axes; VJ_NONE: it is too large. */
static vj_value inside(vj_func *f, const vj_type *padded, const int64_t *low, const int64_t *high) {
    int64_t dims[VJ_MAX_RANK], count = 1;
    for (int32_t i = 0; i < padded->rank; i++) {
        dims[i] = i < 2 ? 1 : padded->dims[i].c;
        if (!vj_mul(count, dims[i], &count) || count > MOST_PIXELS) return VJ_NONE;
    }
    vj_arena *scratch = vj_arena_scratch(f->arena);
    int64_t *mask = VJ_NEW_ARRAY(scratch, int64_t, count);
    for (int64_t n = 0; n < count; n++) {
        mask[n] = 1;
        for (int64_t i = padded->rank - 1, rest = n; i >= 2; rest /= dims[i--]) {
            const int64_t at = rest % dims[i];
            if (at < low[i] || at >= dims[i] - high[i]) mask[n] = 0;
        }
    }
    const vj_value v = vj_add_const_i64(f, VJ_BOOL, padded->rank, dims, mask);
    vj_arena_free(scratch);
    return v;
}

/* The number of a zero point; false: it is computed. */
static bool number_of(vj_func *f, vj_value zero, int64_t *number) {
    vj_arena *scratch = vj_arena_scratch(f->arena);
    const vj_tensor *t = vj_known_elements(f, zero, scratch);
    if (t) *number = t->i[0];
    vj_arena_free(scratch);
    return t != NULL;
}

vj_value vj_pad_bytes(vj_func *f, vj_value x, vj_value zero, vj_attr *attrs, int32_t attr_count,
                      const vj_origin *origin) {
    static const int64_t nothing[VJ_MAX_RANK] = {0};
    vj_attr *low = attr_of(attrs, attr_count, VJ_ATTR_LOW), *high = attr_of(attrs, attr_count, VJ_ATTR_HIGH);
    const int32_t rank = vj_type_at(f, x)->rank;
    int64_t before[VJ_MAX_RANK] = {0}, behind[VJ_MAX_RANK] = {0}, number = 0, pads = 0;
    for (int32_t i = 0; i < low->count; i++) {
        before[2 + i] = low->as.ints[i];
        behind[2 + i] = high->as.ints[i];
        pads += before[2 + i] + behind[2 + i];
    }
    const bool is_known = zero < 0 || number_of(f, zero, &number);
    if (pads == 0 || (is_known && number == 0)) return x;
    if (number < 0 || number > 255) return VJ_NONE;
    const vj_attr pad[] = {vj_ints(VJ_ATTR_LOW, before, rank), vj_ints(VJ_ATTR_HIGH, behind, rank),
                           vj_name(VJ_ATTR_MODE, "constant"), vj_float(VJ_ATTR_VALUE, (double)number)};
    *low = vj_ints(VJ_ATTR_LOW, nothing, low->count);
    *high = vj_ints(VJ_ATTR_HIGH, nothing, high->count);
    x = vj_make(f, VJ_OP_pad, &x, 1, pad, 4, origin);
    if (is_known) return x;
    const vj_type type = *vj_type_at(f, x);
    const vj_value args[] = {inside(f, &type, before, behind), x, vj_make_cast(f, zero, VJ_U8, origin)};
    return args[0] < 0 ? VJ_NONE : vj_make(f, VJ_OP_select, args, 3, NULL, 0, origin);
}

vj_value vj_window_sums(vj_func *f, vj_value x, vj_value w, const vj_attr *attrs, int32_t attr_count,
                        const vj_origin *origin) {
    const vj_const one = {.kind = VJ_CONST_SPLAT, .splat = 1};
    vj_type ones = *vj_type_at(f, w);
    const int64_t filters = ones.dims[0].c;
    int64_t groups = 1;
    for (int32_t i = 0; i < attr_count; i++)
        if (attrs[i].key == VJ_ATTR_GROUPS) groups = attrs[i].as.i;
    ones.dims[0] = vj_dim_const(groups);
    const vj_value args[] = {x, vj_add_const(f, NULL, &ones, &one)};
    vj_value sums = vj_make(f, VJ_OP_conv, args, 2, attrs, attr_count, origin);
    if (groups == 1 || groups == filters) return sums;
    const vj_type type = *vj_type_at(f, sums);
    vj_dim dims[VJ_MAX_RANK], apart[VJ_MAX_RANK + 1];
    int64_t codes[VJ_MAX_RANK + 1];
    memcpy(dims, type.dims, sizeof dims);
    memcpy(apart, type.dims, 2 * sizeof *apart);
    memcpy(apart + 3, type.dims + 2, (size_t)(type.rank - 2) * sizeof *apart);
    apart[2] = vj_dim_const(1);
    sums = vj_make_reshape(f, sums, type.rank + 1, apart, origin);
    apart[2] = vj_dim_const(filters / groups);
    for (int32_t i = 0; i <= type.rank; i++)
        codes[i] = vj_dim_code(apart[i]);
    const vj_attr to = vj_ints(VJ_ATTR_DIMS, codes, type.rank + 1);
    sums = vj_make(f, VJ_OP_broadcast, &sums, 1, &to, 1, origin);
    dims[1] = vj_dim_const(filters);
    return vj_make_reshape(f, sums, type.rank, dims, origin);
}
