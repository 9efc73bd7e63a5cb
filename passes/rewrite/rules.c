/* SPDX-License-Identifier: Apache-2.0 */
/* rules.c - matching rules over the producers of a value and building what replaces it. Every order of the operands of
 * commutative ops is tried. */
#include "rules.h"

#include <assert.h>
#include <math.h>
#include <string.h>

enum { MAX_SWEEPS = 64 };

vj_value vj_captured(const vj_match *m, const char *name) {
    for (int32_t i = 0; i < m->count; i++)
        if (strcmp(m->names[i], name) == 0) return m->values[i];
    return VJ_NONE;
}

void vj_set_attr(vj_match *m, vj_attr attr) {
    assert(m->attr_count < 4);
    m->attrs[m->attr_count++] = attr;
}

bool vj_has_one_use(const vj_func *f, vj_value v) { return vj_use_count(f, v) == 1; }

static bool capture(vj_match *m, const char *name, vj_value v) {
    if (!name) return true;
    for (int32_t i = 0; i < m->count; i++)
        if (strcmp(m->names[i], name) == 0) return m->values[i] == v;
    assert(m->count < VJ_RULE_CAPTURES);
    m->names[m->count] = name;
    m->values[m->count++] = v;
    return true;
}

/* Whole numbers are meant exactly, others as far as a rule's digits and float precision go. */
static bool is_number(double x, double wanted) {
    return wanted == rint(wanted) ? x == wanted : fabs(x - wanted) <= 1e-5 * fabs(wanted);
}

static bool attr_fits(const vj_func *f, const vj_node *node, const vj_pattern_attr *p) {
    const vj_attr *attr = vj_attr_find(node, p->key);
    if (!attr) return false;
    int64_t last = vj_type_at(f, node->args[0])->rank - 1;
    switch (p->kind) {
    case VJ_IS_INT:
        return attr->as.i == p->i;
    case VJ_IS_FLOAT:
        return is_number(attr->as.f, p->f);
    case VJ_IS_WORD:
        return strcmp(attr->as.name, p->word) == 0;
    case VJ_IS_LAST:
        if (vj_attr_key_kind(p->key) == VJ_KIND_INT) return attr->as.i == last;
        return attr->count == 1 && attr->as.ints[0] == last;
    default:
        return true;
    }
}

static bool class_fits(const vj_func *f, vj_value v, vj_pattern_class class_) {
    double number;
    switch (class_) {
    case VJ_CLASS_CONST:
        return vj_is_const(f, v);
    case VJ_CLASS_WEIGHT:
        return vj_is_weight(f, v);
    case VJ_CLASS_UNIFORM:
        return vj_is_uniform(f, v, &number);
    default:
        return true;
    }
}

/* Could the pattern match in some order of the operands? Asked before all orders are tried, of which a long pattern has
 * hundreds; what is costly to see, numbers and equal captures, is left to them. */
static bool may_match(const vj_func *f, const vj_pattern *p, vj_value v) {
    if (p->kind == VJ_PATTERN_ABSENT) return v < 0;
    if (v < 0) return false;
    if (p->kind == VJ_PATTERN_NUMBER) return vj_is_const(f, v);
    if (p->kind == VJ_PATTERN_ANY) return true;
    const vj_node *node = vj_producer(f, v);
    if (node->op != p->op || node->arg_count != p->arg_count) return false;
    bool straight = true;
    for (int32_t i = 0; i < p->arg_count && straight; i++)
        straight = may_match(f, p->args[i], node->args[i]);
    return straight ||
           (p->swap >= 0 && may_match(f, p->args[0], node->args[1]) && may_match(f, p->args[1], node->args[0]));
}

static bool matches(vj_match *m, const vj_pattern *p, vj_value v, uint32_t swaps) {
    double x;
    if (p->kind == VJ_PATTERN_ABSENT) return v < 0;
    if (v < 0) return false;
    if (p->kind == VJ_PATTERN_NUMBER) return vj_is_uniform(m->f, v, &x) && is_number(x, p->number);
    if (p->kind == VJ_PATTERN_ANY) return class_fits(m->f, v, p->class_) && capture(m, p->name, v);
    const vj_node *node = vj_producer(m->f, v);
    if (node->op != p->op || node->arg_count != p->arg_count) return false;
    for (int32_t i = 0; i < p->attr_count; i++)
        if (!attr_fits(m->f, node, &p->attrs[i])) return false;
    bool is_swapped = p->swap >= 0 && (swaps >> p->swap & 1);
    for (int32_t i = 0; i < p->arg_count; i++)
        if (!matches(m, p->args[i], node->args[is_swapped ? 1 - i : i], swaps)) return false;
    return capture(m, p->name, v);
}

static vj_value add_number(vj_func *f, vj_dtype dtype, double number) {
    int64_t integer = (int64_t)number;
    return vj_dtype_is_float(dtype) ? vj_add_const_f64(f, dtype, 0, NULL, &number)
                                    : vj_add_const_i64(f, dtype, 0, NULL, &integer);
}

/* {perm=back}: what undoes the perm that the condition gives. */
static vj_attr undoing(const vj_match *m) {
    for (int32_t i = 0; i < m->attr_count; i++) {
        const vj_attr *perm = &m->attrs[i];
        if (perm->key != VJ_ATTR_PERM) continue;
        int64_t *back = VJ_NEW_ARRAY(m->f->arena, int64_t, perm->count);
        for (int32_t k = 0; k < perm->count; k++)
            back[perm->as.ints[k]] = k;
        return vj_ints(VJ_ATTR_PERM, back, perm->count);
    }
    assert(0 && "a rule's condition does not give a perm");
    return vj_int(VJ_ATTR_PERM, 0);
}

/* {dims=back}: those of what gives way. */
static vj_attr dims_of_root(const vj_match *m) {
    const vj_type *type = vj_type_at(m->f, m->root);
    int64_t *codes = VJ_NEW_ARRAY(m->f->arena, int64_t, type->rank);
    for (int32_t i = 0; i < type->rank; i++)
        codes[i] = vj_dim_code(type->dims[i]);
    return vj_ints(VJ_ATTR_DIMS, codes, type->rank);
}

static vj_attr made_attr(const vj_match *m, const vj_pattern_attr *p, const vj_type *first) {
    if (p->kind == VJ_IS_GIVEN) {
        for (int32_t i = 0; i < m->attr_count; i++)
            if (m->attrs[i].key == p->key) return m->attrs[i];
        assert(0 && "a rule's condition does not give an attribute");
    }
    if (p->kind == VJ_IS_FLOAT) return vj_float(p->key, p->f);
    if (p->kind == VJ_IS_WORD && p->key == VJ_ATTR_PERM) return undoing(m);
    if (p->kind == VJ_IS_WORD && p->key == VJ_ATTR_DIMS) return dims_of_root(m);
    if (p->kind == VJ_IS_WORD) return vj_name(p->key, p->word);
    return vj_int(p->key, p->kind == VJ_IS_LAST ? first->rank - 1 : p->i);
}

/* VJ_NONE when operands do not fit together: then the rule does not hold here. */
static vj_value build(const vj_match *m, const vj_pattern *p, const vj_origin *origin) {
    vj_func *f = m->f;
    if (p->kind == VJ_PATTERN_ANY) return vj_captured(m, p->name);
    if (p->kind == VJ_PATTERN_NUMBER)
        return add_number(f, vj_type_at(f, m->root)->dtype, p->is_given ? m->number : p->number);
    vj_value args[6];
    vj_attr attrs[4];
    for (int32_t i = 0; i < p->arg_count; i++) {
        args[i] = p->args[i]->kind == VJ_PATTERN_ABSENT ? VJ_NONE : build(m, p->args[i], origin);
        if (args[i] < 0 && p->args[i]->kind != VJ_PATTERN_ABSENT) return VJ_NONE;
    }
    for (int32_t i = 0; i < p->attr_count; i++)
        attrs[i] = made_attr(m, &p->attrs[i], vj_type_at(f, args[0]));
    vj_error ignored = {0};
    return vj_add_node(f, p->op, args, p->arg_count, attrs, p->attr_count, origin, &ignored);
}

static vj_value rewritten(vj_pass_context *c, const vj_compiled_rule *r, int32_t n) {
    vj_func *f = c->f;
    const vj_node *node = &f->nodes[n];
    const vj_origin *origin = node->origin;
    vj_value root = node->first_result;
    if (!may_match(f, r->pattern, root)) return VJ_NONE;
    for (uint32_t swaps = 0; swaps < 1u << r->swaps; swaps++) {
        vj_match m = {.f = f, .root = root};
        if (!matches(&m, r->pattern, root, swaps) || (r->rule->condition && !r->rule->condition(&m))) continue;
        vj_value v = build(&m, r->replacement, origin);
        if (v >= 0 && v != root && vj_type_equal(vj_type_at(f, v), vj_type_at(f, root))) return v;
    }
    return VJ_NONE;
}

/* The model's name stays with the value that takes the place. */
static bool replace(vj_pass_context *c, vj_value old, vj_value by, const char *rule) {
    vj_func *f = c->f;
    if (!vj_may_rewrite(c, rule, vj_producer(f, old))) return false;
    assert(vj_type_equal(vj_type_at(f, old), vj_type_at(f, by)));
    vj_op op = vj_op_of(f, by);
    if (!f->values[by].name && op != VJ_OP_const) f->values[by].name = f->values[old].name;
    vj_replace_uses(f, old, by);
    vj_kill(f, f->values[old].node);
    return true;
}

/* What is applied: a table of rules, and one that is a function. */
typedef struct rewriting {
    vj_pass_context *c;
    const vj_rule_set *set;
    vj_rewriter also;
    const char *also_name;
} rewriting;

static vj_value first_that_fires(const rewriting *r, int32_t n, const char **rule) {
    const vj_op op = r->c->f->nodes[n].op;
    for (int32_t i = r->set->first[op]; i < r->set->first[op + 1]; i++) {
        vj_value v = rewritten(r->c, &r->set->rules[i], n);
        *rule = r->set->rules[i].rule->name;
        if (v >= 0) return v;
    }
    *rule = r->also_name;
    return r->also ? r->also(r->c, n) : VJ_NONE;
}

/* A sweep looks at what is new, or has changed, and at what is at most REACH below that: farther up no rule looks. */
enum { REACH = 64 };
typedef struct nearness {
    uint8_t *steps; /* of each value that was there before the sweep: below the nearest one that changed */
    int32_t count;
} nearness;

static nearness take_changes(vj_func *f, vj_arena *arena, bool is_first) {
    const nearness near = {VJ_NEW_ARRAY(arena, uint8_t, f->value_count + 1), f->value_count};
    for (vj_value v = 0; v < f->value_count; v++) {
        near.steps[v] = f->values[v].changed || is_first ? 0 : REACH;
        f->values[v].changed = false; /* what the sweep does is noted anew */
    }
    return near;
}

/* Nodes are asked for in the list's order. */
static bool is_near_change(const vj_func *f, int32_t n, const nearness *near) {
    const vj_node *node = &f->nodes[n];
    int32_t least = REACH;
    bool is_near = false;
    for (int32_t i = 0; i < node->arg_count; i++) {
        const vj_value v = node->args[i];
        if (v < 0) continue;
        const int32_t steps = v >= near->count || f->values[v].changed ? 0 : near->steps[v];
        if (steps + 1 < least) least = steps + 1;
    }
    for (int32_t r = 0; r < node->result_count; r++) {
        uint8_t *own = &near->steps[node->first_result + r];
        if (least < *own) *own = (uint8_t)least;
        if (f->values[node->first_result + r].changed) *own = 0;
        is_near = is_near || *own < REACH;
    }
    return is_near;
}

/* True when something changed. */
static bool sweep(const rewriting *r, bool is_first) {
    vj_pass_context *c = r->c;
    vj_func *f = c->f;
    bool changed = false;
    vj_arena *scratch = vj_arena_scratch(c->arena);
    const nearness near = take_changes(f, scratch, is_first);
    int32_t end = f->node_count; /* what is built waits for the next sweep, so that a sweep ends */
    for (int32_t n = 0; n < end && !c->error->status; n++) {
        const char *rule;
        vj_op op = f->nodes[n].op;
        if (f->nodes[n].dead || op == VJ_OP_param || op == VJ_OP_const || !is_near_change(f, n, &near)) continue;
        vj_value old = f->nodes[n].first_result;
        vj_value v = first_that_fires(r, n, &rule);
        if (v < 0 || vj_use_count(f, old) == 0) continue;
        if (!replace(c, old, v, rule)) break;
        changed = true;
    }
    vj_arena_free(scratch);
    if (changed || f->node_count > end) vj_compact(f); /* unused nodes were made at least */
    return changed;
}

/* The table, parsed when it is first applied. */
static const vj_rule_set *set_of(vj_pass_context *c, const vj_rule *table, int32_t count) {
    for (const vj_rule_set *set = c->rule_sets; set; set = set->next)
        if (set->table == table) return set;
    vj_rule_set *set = VJ_NEW(c->arena, vj_rule_set);
    *set =
        (vj_rule_set){.table = table, .rules = VJ_NEW_ARRAY(c->arena, vj_compiled_rule, count), .next = c->rule_sets};
    vj_compiled_rule *parsed = VJ_NEW_ARRAY(c->arena, vj_compiled_rule, count);
    for (int32_t i = 0; i < count; i++) {
        parsed[i] = vj_compile_rule(c->arena, &table[i]);
        set->first[parsed[i].pattern->op + 1]++;
    }
    for (int32_t op = 0; op < VJ_OP_COUNT; op++)
        set->first[op + 1] += set->first[op];
    int32_t next[VJ_OP_COUNT];
    memcpy(next, set->first, sizeof next);
    for (int32_t i = 0; i < count; i++)
        set->rules[next[parsed[i].pattern->op]++] = parsed[i];
    return c->rule_sets = set;
}

void vj_apply_rules(vj_pass_context *c, const vj_rule *rules, int32_t count, vj_rewriter also, const char *also_name) {
    const rewriting r = {.c = c, .set = set_of(c, rules, count), .also = also, .also_name = also_name};
    vj_compact(c->f);
    for (int32_t i = 0; i < MAX_SWEEPS && sweep(&r, i == 0) && c->rewrites_left != 0; i++)
        continue;
}
