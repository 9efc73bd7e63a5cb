/* SPDX-License-Identifier: Apache-2.0 */
/* infer.c - infers the result types of a node: checks what holds for every op, then calls the op's own rule. */
#include "infer.h"

#include <inttypes.h>
#include <string.h>

static bool (*const rules[VJ_OP_COUNT])(vj_inference *in) = {
#define OP(id, ...) vj_infer_##id,
#include "ir/tensor/ops.def"
#undef OP
};

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
    if (constant->nibbles != VJ_NO_NIBBLES && type->dtype != VJ_I8 && type->dtype != VJ_U8)
        return vj_infer_fail(in, "a constant of 4 bits is no %s", vj_element_name(type->dtype));
    if (!vj_type_elements(in->f, type, &count) || !vj_stored_bytes(type->dtype, constant->nibbles, count, &bytes))
        return false;
    if (bytes != constant->length)
        return vj_infer_fail(in, "%s needs %" PRId64 " bytes, not %" PRId64, vj_brief_type(type).text, bytes,
                             constant->length);
    if (!constant->source || !vj_range_inside(constant->offset, constant->length, constant->source->size))
        return vj_infer_fail(in, "the constant's bytes are outside its source");
    return true;
}
