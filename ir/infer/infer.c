/* infer.c - infers the result types of a node: checks what holds for every op, then calls the op's own rule. Has the
 * helpers of the rules, too. */
#include "infer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool (*const rules[VJ_OP_COUNT])(vj_inference *in) = {
#define OP(id, ...) vj_infer_##id,
#include "ir/tensor/ops.def"
#undef OP
};

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

/* Checks that hold for every op. */

static bool check_operands(vj_inference *in) {
    const vj_op_info *info = vj_op_table(in->node->op);
    int32_t count = in->node->arg_count;
    if (count < info->min_args || (info->max_args >= 0 && count > info->max_args)) {
        if (info->min_args == info->max_args) return vj_infer_fail(in, "%d operands, not %d", count, info->min_args);
        if (info->max_args < 0) return vj_infer_fail(in, "%d operands, fewer than %d", count, info->min_args);
        return vj_infer_fail(in, "%d operands, not %d to %d", count, info->min_args, info->max_args);
    }
    for (int32_t i = 0; i < count; i++)
        if (in->node->args[i] < 0 && (i < info->min_args || info->max_args < 0))
            return vj_infer_fail(in, "operand %d is absent, but not optional", i);
    return true;
}

static bool check_attr_value(vj_inference *in, const vj_attr *attr) {
    const char *name = vj_attr_key_name(attr->key);
    switch (vj_attr_key_kind(attr->key)) {
    case VJ_KIND_NAME:
        return attr->as.name || vj_infer_fail(in, "attribute %s is no word", name);
    case VJ_KIND_CONST:
        return attr->as.constant || vj_infer_fail(in, "attribute %s is no constant", name);
    case VJ_KIND_INTS:
        return (attr->count >= 0 && (attr->count == 0 || attr->as.ints)) ||
               vj_infer_fail(in, "attribute %s is no list", name);
    default:
        return true;
    }
}

/* The schema is "key:kind key:kind?". Each key must occur once, or with ? at most once, and no other key may. */
static bool check_attrs(vj_inference *in) {
    uint64_t allowed = 0;
    _Static_assert(VJ_ATTR_COUNT <= 64, "a bit for each key");
    for (const char *at = vj_op_table(in->node->op)->attrs; *at;) {
        size_t length = strcspn(at, ":"), word = strcspn(at, " ");
        vj_attr_key key = 0;
        while (key < VJ_ATTR_COUNT &&
               (strncmp(vj_attr_key_name(key), at, length) != 0 || vj_attr_key_name(key)[length]))
            key++;
        allowed |= (uint64_t)1 << key;
        if (at[word - 1] != '?' && !vj_attr_find(in->node, key))
            return vj_infer_fail(in, "attribute %s is missing", vj_attr_key_name(key));
        at += word + (at[word] == ' ');
    }
    for (int32_t i = 0; i < in->node->attr_count; i++) {
        const vj_attr *attr = &in->node->attrs[i];
        if (!(allowed >> attr->key & 1)) return vj_infer_fail(in, "has no attribute %s", vj_attr_key_name(attr->key));
        if (i && attr[-1].key == attr->key)
            return vj_infer_fail(in, "attribute %s is there twice", vj_attr_key_name(attr->key));
        if (i && attr[-1].key > attr->key) return vj_infer_fail(in, "attributes are not sorted");
        if (!check_attr_value(in, attr)) return false;
    }
    return true;
}

/* Checks that the dims are valid and that the number of bytes fits an i64. */
static bool check_type(vj_inference *in, const vj_type *type) {
    if (type->dtype <= VJ_NO_DTYPE || type->dtype >= VJ_DTYPE_COUNT) return vj_infer_fail(in, "unknown element type");
    if (type->rank < 0 || type->rank > VJ_MAX_RANK)
        return vj_infer_fail(in, "rank %d, but at most %d dims are possible", type->rank, VJ_MAX_RANK);
    for (int32_t i = 0; i < type->rank; i++) {
        vj_dim d = type->dims[i];
        if (d.sym < 0 || d.sym >= VJ_SYM_FIRST_DATA + in->f->symbol_count)
            return vj_infer_fail(in, "dim %d has an unknown symbol", i);
        if (d.sym && d.c < 1)
            return vj_infer_fail(in, "dim %d is not a positive multiple of %s", i,
                                 d.sym == VJ_SYM_BATCH ? "N" : "its symbol");
        if (d.c < 0) return vj_infer_fail(in, "dim %d is negative (%" PRId64 ")", i, d.c);
    }
    int64_t count, bytes;
    if (!vj_type_elements(in->f, type, &count) || !vj_mul(count, 8, &bytes))
        return vj_infer_fail(in, "%s has more elements than can be counted", vj_brief_type(type).text);
    return true;
}

bool vj_infer(const vj_func *f, const vj_node *node, vj_type *results, vj_error *error) {
    vj_inference in = {.f = f, .node = node, .results = results, .error = error};
    if (!check_operands(&in) || !check_attrs(&in)) return false;
    if (!rules[node->op](&in)) return false;
    for (int32_t r = 0; r < vj_op_table(node->op)->results; r++)
        if (!check_type(&in, &results[r])) return false;
    return true;
}

/* Params and constants, whose types are given, not inferred. */

bool vj_infer_param(vj_inference *in) {
    in->results[0] = *vj_type_at(in->f, in->node->first_result);
    return true;
}

bool vj_infer_const(vj_inference *in) {
    const vj_type *type = vj_type_at(in->f, in->node->first_result);
    const vj_const *constant = vj_attr_find(in->node, VJ_ATTR_CONSTANT)->as.constant;
    in->results[0] = *type;
    if (!check_type(in, type)) return false;
    if (!vj_type_is_static(type)) return vj_infer_fail(in, "a constant's dims must be known");
    if (constant->kind != VJ_CONST_BYTES) return true;
    int64_t count = 0, bytes = 0;
    if (!vj_type_elements(in->f, type, &count) || !vj_mul(count, vj_element_bytes(type->dtype), &bytes)) return false;
    if (bytes != constant->length)
        return vj_infer_fail(in, "%s needs %" PRId64 " bytes, not %" PRId64, vj_brief_type(type).text, bytes,
                             constant->length);
    if (!constant->source || !vj_range_inside(constant->offset, constant->length, constant->source->size))
        return vj_infer_fail(in, "the constant's bytes are outside its source");
    return true;
}

/* Helpers of the rules. */

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
