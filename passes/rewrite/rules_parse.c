/* SPDX-License-Identifier: Apache-2.0 */
/* rules_parse.c - the text of a rule becomes a tree. Rules are the program's own: a mistake in one is an assert.
 *
 *     expression = [name "="] op "(" [expression {"," expression}] ")" ["{" key "=" value {"," key "=" value} "}"]
 *                | name [":" class] | number | "#" | "_"
 *     class      = const (a constant) | weight (made of constants) | uniform (a constant of equal elements)
 *     value      = number | word | last (the last axis) | $ (given by the condition)
 */
#include "rules.h"

#include <assert.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

typedef struct reader {
    vj_arena *arena;
    const char *at;
    int32_t swaps;
} reader;

static void skip(reader *r) {
    while (*r->at == ' ')
        r->at++;
}

static bool take(reader *r, char c) {
    skip(r);
    if (*r->at != c) return false;
    r->at++;
    return true;
}

static void expect(reader *r, char c) {
    bool is_there = take(r, c);
    assert(is_there && "a rule's text is malformed");
    (void)is_there;
}

static size_t word_length(const char *at) {
    size_t n = 0;
    while (isalnum((unsigned char)at[n]) || at[n] == '_')
        n++;
    return n;
}

static const char *word(reader *r) {
    skip(r);
    size_t n = word_length(r->at);
    assert(n && "a rule's text lacks a word");
    const char *text = vj_strndup(r->arena, r->at, n);
    r->at += n;
    return text;
}

static bool at_number(const reader *r) {
    return isdigit((unsigned char)r->at[0]) || (r->at[0] == '-' && isdigit((unsigned char)r->at[1]));
}

static double number(reader *r) {
    char *end;
    double x = strtod(r->at, &end);
    r->at = end;
    return x;
}

static vj_attr_key key_named(const char *name) {
    int32_t key = 0;
    while (key < VJ_ATTR_COUNT && strcmp(vj_attr_key_name((vj_attr_key)key), name) != 0)
        key++;
    assert(key < VJ_ATTR_COUNT && "a rule names an attribute that there is not");
    return (vj_attr_key)key;
}

static void read_attr(reader *r, vj_pattern *p) {
    assert(p->attr_count < 4);
    vj_pattern_attr *attr = &p->attrs[p->attr_count++];
    attr->key = key_named(word(r));
    expect(r, '=');
    skip(r);
    if (at_number(r)) {
        attr->f = number(r);
        attr->i = (int64_t)attr->f;
        attr->kind = vj_attr_key_kind(attr->key) == VJ_KIND_FLOAT ? VJ_IS_FLOAT : VJ_IS_INT;
    } else if (take(r, '$')) {
        attr->kind = VJ_IS_GIVEN;
    } else {
        attr->word = word(r);
        attr->kind = strcmp(attr->word, "last") == 0 ? VJ_IS_LAST : VJ_IS_WORD;
    }
}

static vj_pattern_class class_named(const char *name) {
    if (strcmp(name, "const") == 0) return VJ_CLASS_CONST;
    if (strcmp(name, "weight") == 0) return VJ_CLASS_WEIGHT;
    assert(strcmp(name, "uniform") == 0 && "a rule names a class that there is not");
    return VJ_CLASS_UNIFORM;
}

static vj_pattern *read_expression(reader *r);

static void read_call(reader *r, vj_pattern *p, const char *op) {
    p->kind = VJ_PATTERN_OP;
    p->op = vj_op_by_name(op, strlen(op));
    assert(p->op != VJ_OP_COUNT && "a rule names an op that there is not");
    while (!take(r, ')')) {
        assert(p->arg_count < 6);
        p->args[p->arg_count++] = read_expression(r);
        take(r, ',');
    }
    p->swap = -1;
    if ((vj_op_table(p->op)->flags & VJ_FLAG_COMMUTATIVE) && p->arg_count == 2) p->swap = r->swaps++;
    if (take(r, '{')) do
            read_attr(r, p);
        while (take(r, ',') || !take(r, '}'));
}

static vj_pattern *read_expression(reader *r) {
    vj_pattern *p = VJ_NEW(r->arena, vj_pattern);
    p->swap = -1;
    skip(r);
    if (at_number(r)) {
        p->kind = VJ_PATTERN_NUMBER;
        p->number = number(r);
        return p;
    }
    if (take(r, '#')) {
        p->kind = VJ_PATTERN_NUMBER;
        p->is_given = true;
        return p;
    }
    if (r->at[0] == '_' && word_length(r->at) == 1) {
        r->at++;
        p->kind = VJ_PATTERN_ABSENT;
        return p;
    }
    const char *name = word(r);
    if (take(r, '(')) {
        read_call(r, p, name);
        return p;
    }
    if (take(r, '=')) {
        p->name = name;
        const char *op = word(r);
        expect(r, '(');
        read_call(r, p, op);
        return p;
    }
    p->name = name;
    if (take(r, ':')) p->class_ = class_named(word(r));
    return p;
}

vj_compiled_rule vj_compile_rule(vj_arena *arena, const vj_rule *rule) {
    reader r = {.arena = arena, .at = rule->pattern};
    vj_compiled_rule compiled = {.rule = rule};
    compiled.pattern = read_expression(&r);
    compiled.swaps = r.swaps;
    skip(&r);
    assert(*r.at == 0 && compiled.pattern->kind == VJ_PATTERN_OP);
    r.at = rule->replacement;
    compiled.replacement = read_expression(&r);
    skip(&r);
    assert(*r.at == 0);
    return compiled;
}
