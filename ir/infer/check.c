/* SPDX-License-Identifier: Apache-2.0 */
/* check.c - the checks that the rules of ops share, and their messages. */
#include "infer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bool vj_infer_fail(vj_inference *in, const char *format, ...) {
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    vj_fail(in->error, VJ_BAD_INPUT, "%s: %s", vj_op_table(in->node->op)->name, text);
    return false;
}

vj_brief vj_brief_dim(vj_dim dim) {
    vj_brief b;
    char symbol[16] = "", factor[24] = "";
    if (vj_is_data_dim(dim)) snprintf(symbol, sizeof symbol, "s%d", dim.sym - VJ_SYM_FIRST_DATA);
    if (dim.sym == VJ_SYM_BATCH) symbol[0] = 'N';
    if (dim.sym == VJ_SYM_NONE || dim.c != 1) snprintf(factor, sizeof factor, "%" PRId64, dim.c);
    snprintf(b.text, sizeof b.text, "%s%s", factor, symbol);
    return b;
}

vj_brief vj_brief_type(const vj_type *type) {
    vj_brief b;
    int at = snprintf(b.text, sizeof b.text, "%s[", vj_element_name(type->dtype));
    for (int32_t i = 0; i < type->rank && at < (int)sizeof b.text - 1; i++)
        at += snprintf(b.text + at, sizeof b.text - (size_t)at, "%s%s", i ? "," : "", vj_brief_dim(type->dims[i]).text);
    if (at < (int)sizeof b.text - 1) snprintf(b.text + at, sizeof b.text - (size_t)at, "]");
    return b;
}

bool vj_infer_float(vj_inference *in, int32_t operand) {
    vj_dtype dtype = vj_infer_arg(in, operand)->dtype;
    return vj_dtype_is_float(dtype) ||
           vj_infer_fail(in, "operand %d is %s, not a float", operand, vj_element_name(dtype));
}

bool vj_infer_number(vj_inference *in, int32_t operand) {
    return vj_infer_arg(in, operand)->dtype != VJ_BOOL ||
           vj_infer_fail(in, "operand %d is bool, not a number", operand);
}

bool vj_infer_same_dtype(vj_inference *in, int32_t a, int32_t b) {
    vj_dtype x = vj_infer_arg(in, a)->dtype, y = vj_infer_arg(in, b)->dtype;
    return x == y || vj_infer_fail(in, "operands %d and %d differ in type: %s and %s", a, b, vj_element_name(x),
                                   vj_element_name(y));
}

static bool is_widened(vj_dtype dtype) { return dtype == VJ_F32 || dtype == VJ_F16 || dtype == VJ_BF16; }

bool vj_infer_product_dtype(vj_inference *in, int32_t operands, vj_dtype *dtype) {
    bool widened = true;
    if (operands == 2 && vj_infer_arg(in, 0)->dtype == VJ_U8 && vj_infer_arg(in, 1)->dtype == VJ_I8) {
        *dtype = VJ_I32;
        return true;
    }
    for (int32_t i = 0; i < operands; i++)
        widened = widened && is_widened(vj_infer_arg(in, i)->dtype);
    *dtype = widened ? VJ_F32 : vj_infer_arg(in, 0)->dtype;
    for (int32_t i = 1; i < operands; i++)
        if (!widened && !vj_infer_same_dtype(in, 0, i)) return false;
    return true;
}

bool vj_infer_addend(vj_inference *in, int32_t operand, vj_dtype dtype) {
    const vj_dtype own = vj_infer_arg(in, operand)->dtype;
    return own == dtype || vj_infer_fail(in, "operand %d is %s, but the products are added up in %s", operand,
                                         vj_element_name(own), vj_element_name(dtype));
}

bool vj_infer_axis(vj_inference *in, int64_t axis, int32_t rank) {
    return (axis >= 0 && axis < rank) ||
           vj_infer_fail(in, "axis %" PRId64 " is outside a tensor of rank %d", axis, rank);
}

static const int64_t no_numbers = 0; /* the address of an empty list, which must not be NULL */

const int64_t *vj_infer_ints(vj_inference *in, vj_attr_key key, int32_t count, int64_t least) {
    const vj_attr *attr = vj_attr_find(in->node, key);
    const char *name = vj_attr_key_name(key);
    if (attr->count != count) {
        vj_infer_fail(in, "%s has %d numbers, not %d", name, attr->count, count);
        return NULL;
    }
    for (int32_t i = 0; i < count; i++)
        if (attr->as.ints[i] < least) {
            vj_infer_fail(in, "%s[%d] is %" PRId64 ", but at least %" PRId64 " is needed", name, i, attr->as.ints[i],
                          least);
            return NULL;
        }
    return count ? attr->as.ints : &no_numbers;
}

bool vj_infer_decode_dim(vj_inference *in, int64_t coded, vj_dim *dim) {
    if (!vj_dim_of_code(coded, dim)) return vj_infer_fail(in, "a dim of %" PRId64 " is no dim", coded);
    return dim->sym < VJ_SYM_FIRST_DATA + in->f->symbol_count ||
           vj_infer_fail(in, "s%d is unknown", dim->sym - VJ_SYM_FIRST_DATA);
}

bool vj_infer_word(vj_inference *in, vj_attr_key key, const char *const *words, int32_t count) {
    const char *word = vj_attr_name(in->node, key, "");
    for (int32_t i = 0; i < count; i++)
        if (strcmp(word, words[i]) == 0) return true;
    return vj_infer_fail(in, "%s=%.40s is unknown", vj_attr_key_name(key), word);
}

bool vj_broadcast(const vj_type *a, const vj_type *b, vj_type *out) {
    *out = (vj_type){.dtype = a->dtype, .rank = a->rank > b->rank ? a->rank : b->rank};
    const vj_dim one = vj_dim_const(1);
    for (int32_t i = 0; i < out->rank; i++) {
        int32_t in_a = i - (out->rank - a->rank), in_b = i - (out->rank - b->rank);
        vj_dim x = in_a >= 0 ? a->dims[in_a] : one, y = in_b >= 0 ? b->dims[in_b] : one;
        if (!vj_dim_equal(x, y) && !vj_dim_equal(x, one) && !vj_dim_equal(y, one)) return false;
        out->dims[i] = vj_dim_equal(x, one) ? y : x;
    }
    return true;
}

bool vj_infer_meet(vj_inference *in, const vj_type *a, const vj_type *b, vj_type *out) {
    return vj_broadcast(a, b, out) ||
           vj_infer_fail(in, "%s and %s cannot be broadcast together", vj_brief_type(a).text, vj_brief_type(b).text);
}
