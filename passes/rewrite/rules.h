/* SPDX-License-Identifier: Apache-2.0 */
/* rules.h - the compiled form of rules, between rules_parse.c and rules.c. */
#ifndef VITJIT_PASSES_REWRITE_RULES_H
#define VITJIT_PASSES_REWRITE_RULES_H

#include "rewrite.h"

typedef enum vj_pattern_kind { VJ_PATTERN_ANY, VJ_PATTERN_ABSENT, VJ_PATTERN_NUMBER, VJ_PATTERN_OP } vj_pattern_kind;
typedef enum vj_pattern_class { VJ_CLASS_ANY, VJ_CLASS_CONST, VJ_CLASS_WEIGHT, VJ_CLASS_UNIFORM } vj_pattern_class;

/* {key=value} */
typedef struct vj_pattern_attr {
    vj_attr_key key;
    enum { VJ_IS_INT, VJ_IS_FLOAT, VJ_IS_WORD, VJ_IS_LAST, VJ_IS_GIVEN } kind;
    int64_t i;
    double f;
    const char *word;
} vj_pattern_attr;

typedef struct vj_pattern {
    vj_pattern_kind kind;
    vj_pattern_class class_;
    const char *name; /* of the capture, or NULL */
    double number;
    bool is_given; /* `#` */
    vj_op op;
    int32_t swap; /* a commutative op's bit in the order of operands to try; -1: none */
    int32_t arg_count, attr_count;
    struct vj_pattern *args[6];
    vj_pattern_attr attrs[4];
} vj_pattern;

typedef struct vj_compiled_rule {
    const vj_rule *rule;
    vj_pattern *pattern, *replacement;
    int32_t swaps; /* commutative ops in the pattern */
} vj_compiled_rule;

/* A table, parsed: the rules by the op at their root, those of one op in the table's order. */
struct vj_rule_set {
    const vj_rule *table;
    vj_compiled_rule *rules;
    int32_t first[VJ_OP_COUNT + 1]; /* those of op: first[op] .. first[op + 1] */
    vj_rule_set *next;
};

vj_compiled_rule vj_compile_rule(vj_arena *arena, const vj_rule *rule);

#endif
