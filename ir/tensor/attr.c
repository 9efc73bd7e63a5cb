/* SPDX-License-Identifier: Apache-2.0 */
/* attr.c - looking up a node's attributes. */
#include "ir.h"

#include <string.h>

const vj_attr *vj_attr_find(const vj_node *node, vj_attr_key key) {
    for (int32_t i = 0; i < node->attr_count; i++)
        if (node->attrs[i].key == key) return &node->attrs[i];
    return NULL;
}

int64_t vj_attr_int(const vj_node *node, vj_attr_key key, int64_t otherwise) {
    const vj_attr *attr = vj_attr_find(node, key);
    return attr ? attr->as.i : otherwise;
}

double vj_attr_float(const vj_node *node, vj_attr_key key, double otherwise) {
    const vj_attr *attr = vj_attr_find(node, key);
    return attr ? attr->as.f : otherwise;
}

const char *vj_attr_name(const vj_node *node, vj_attr_key key, const char *otherwise) {
    const vj_attr *attr = vj_attr_find(node, key);
    return attr ? attr->as.name : otherwise;
}

bool vj_attr_equal(const vj_attr *a, const vj_attr *b) {
    if (a->key != b->key) return false;
    switch (vj_attr_key_kind(a->key)) {
    case VJ_KIND_INT:
        return a->as.i == b->as.i;
    case VJ_KIND_FLOAT:
        return memcmp(&a->as.f, &b->as.f, sizeof a->as.f) == 0;
    case VJ_KIND_INTS:
        return a->count == b->count && memcmp(a->as.ints, b->as.ints, (size_t)a->count * sizeof *a->as.ints) == 0;
    case VJ_KIND_NAME:
        return strcmp(a->as.name, b->as.name) == 0;
    default:
        return false;
    }
}
