/* attr.c - looking up a node's attributes. */
#include "ir.h"

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
