/* SPDX-License-Identifier: Apache-2.0 */
/* op.c - the table of ops and attributes, made of ops.def and attrs.def. */
#include "ir.h"

#include <string.h>

static const vj_op_info op_table[VJ_OP_COUNT] = {
#define OP(id, name, min, max, results, flags, attrs) {name, min, max, results, flags, attrs},
#include "ops.def"
#undef OP
};

static const struct {
    const char *name;
    vj_attr_kind kind;
} attr_table[VJ_ATTR_COUNT] = {
#define ATTR(id, name, kind) {name, kind},
#include "attrs.def"
#undef ATTR
};

const vj_op_info *vj_op_table(vj_op op) { return &op_table[op]; }

vj_op vj_op_by_name(const char *name, size_t length) {
    for (int op = 0; op < VJ_OP_COUNT; op++)
        if (strlen(op_table[op].name) == length && memcmp(op_table[op].name, name, length) == 0) return (vj_op)op;
    return VJ_OP_COUNT;
}

const char *vj_attr_key_name(vj_attr_key key) { return attr_table[key].name; }
vj_attr_kind vj_attr_key_kind(vj_attr_key key) { return attr_table[key].kind; }

int32_t vj_op_factors(vj_op op) {
    return op == VJ_OP_matmul || op == VJ_OP_linear || op == VJ_OP_conv ? 2 : op == VJ_OP_attention ? 3 : 0;
}
