/* SPDX-License-Identifier: Apache-2.0 */
/* make.c - makes random functions. Every node is made twice, in the function and in its twin with a fixed batch, and
 * evaluated there. A graph whose numbers overflow after three steps would find nothing. */
#include "graph.h"

#include <math.h>
#include <string.h>

enum { MOST_STEPS = 14, TRIES = 24 };

/* A state to which both functions return when a node did not turn out well. */
typedef struct bookmark {
    int32_t nodes, values;
} bookmark;

static bookmark here(const vj_func *f) { return (bookmark){f->node_count, f->value_count}; }

static void take_back(vj_func *f, bookmark at) {
    f->node_count = at.nodes;
    f->value_count = at.values;
}

static vj_tensor **slot_for(maker *m, vj_value v) {
    while (v >= m->at_capacity) {
        int32_t used = m->at_capacity;
        m->at = vj_grow(m->arena, m->at, used, &m->at_capacity, sizeof *m->at);
    }
    return &m->at[v];
}

/* Returns whether a result is usable. Large numbers and infinities are, now and then. */
static bool says_something(maker *m, const vj_tensor *t) {
    double largest = 0;
    for (int64_t i = 0; t->f && i < t->count; i++)
        if (!(fabs(t->f[i]) <= largest)) largest = fabs(t->f[i]);
    return largest <= 1e4 || (isfinite(largest) ? chance(m->random, 10) : chance(m->random, 4));
}

/* The twin's attributes. A dim c * N, which is -1 - c in attributes, becomes a number. */
static vj_attr *fixed_attrs(maker *m, const vj_attr *attrs, int32_t count) {
    vj_attr *out = VJ_NEW_ARRAY(m->arena, vj_attr, count + 1);
    for (int32_t i = 0; i < count; i++) {
        out[i] = attrs[i];
        if (attrs[i].key != VJ_ATTR_DIMS && attrs[i].key != VJ_ATTR_SIZES) continue;
        int64_t *ints = VJ_NEW_ARRAY(m->arena, int64_t, attrs[i].count + 1);
        for (int32_t k = 0; k < attrs[i].count; k++)
            ints[k] = attrs[i].as.ints[k] < 0 ? (-1 - attrs[i].as.ints[k]) * TWIN_BATCH : attrs[i].as.ints[k];
        out[i].as.ints = ints;
    }
    return out;
}

static bool evaluate_last(maker *m) {
    const vj_node *node = &m->twin->nodes[m->twin->node_count - 1];
    vj_tensor **args = VJ_NEW_ARRAY(m->arena, vj_tensor *, node->arg_count + 1);
    vj_tensor **results = VJ_NEW_ARRAY(m->arena, vj_tensor *, node->result_count + 1);
    vj_error error = {0};
    for (int32_t i = 0; i < node->arg_count; i++)
        args[i] = node->args[i] < 0 ? NULL : m->at[node->args[i]];
    if (!vj_eval_node(m->arena, m->twin, node, args, results, &error)) return false;
    for (int32_t r = 0; r < node->result_count; r++) {
        if (!says_something(m, results[r])) return false;
        *slot_for(m, node->first_result + r) = results[r];
    }
    return true;
}

static bool small_enough(const maker *m, vj_value v) {
    for (int32_t r = 0; r < vj_producer(m->f, v)->result_count; r++) {
        int64_t elements;
        if (!vj_type_elements(m->f, type_in(m, v + r), &elements) || elements > m->most_elements) return false;
    }
    return true;
}

vj_value make_node(maker *m, vj_op op, const vj_value *args, int32_t arg_count, const vj_attr *attrs,
                   int32_t attr_count) {
    const bookmark f = here(m->f), twin = here(m->twin);
    vj_error error = {0};
    for (int32_t i = 0; i < arg_count && i < vj_op_table(op)->min_args; i++)
        if (args[i] < 0) return VJ_NONE;
    const vj_value v = vj_add_node(m->f, op, args, arg_count, attrs, attr_count, NULL, &error);
    if (v < 0) return VJ_NONE;
    if (small_enough(m, v) &&
        vj_add_node(m->twin, op, args, arg_count, fixed_attrs(m, attrs, attr_count), attr_count, NULL, &error) == v &&
        evaluate_last(m))
        return v;
    take_back(m->f, f);
    take_back(m->twin, twin);
    return VJ_NONE;
}

vj_value make_unary(maker *m, vj_op op, vj_value x) { return make_node(m, op, &x, 1, NULL, 0); }

vj_value make_binary(maker *m, vj_op op, vj_value a, vj_value b) {
    return make_node(m, op, (vj_value[]){a, b}, 2, NULL, 0);
}

/* Leaves */

static vj_value add_constant(maker *m, const vj_type *type, const vj_const *constant) {
    const vj_value v = vj_add_const(m->f, NULL, type, constant);
    vj_add_const(m->twin, NULL, type, constant);
    vj_error error = {0};
    vj_tensor *t = *slot_for(m, v) = vj_tensor_new(m->arena, type, &error);
    bool read = t->f ? vj_const_read_f64(m->f, v, 0, t->count, t->f, &error)
                     : vj_const_read_i64(m->f, v, 0, t->count, t->i, &error);
    return read ? v : VJ_NONE;
}

vj_value make_constant(maker *m, vj_dtype dtype, int32_t rank, const int64_t *dims) {
    const vj_type type = vj_type_of(dtype, rank, dims);
    int64_t elements;
    if (!vj_type_elements(m->f, &type, &elements) || elements > 4 * m->most_elements) return VJ_NONE;
    static const double numbers[] = {0, 1, -1, 0.5, 2, 3, 1e-5, 0.125, 7};
    const int32_t kind = pick(m->random, 10);
    vj_const constant = {.kind = VJ_CONST_SEED, .seed = (uint64_t)pick(m->random, 1000)};
    if (kind == 0) constant = (vj_const){.kind = VJ_CONST_SPLAT, .splat = numbers[pick(m->random, 9)]};
    if (kind == 0 && !vj_dtype_is_float(dtype)) constant.splat = pick(m->random, 2);
    if (kind == 1 && elements <= 100 && dtype != VJ_BOOL) constant.kind = VJ_CONST_IOTA;
    return add_constant(m, &type, &constant);
}

vj_value make_number(maker *m, vj_dtype dtype, double number) {
    static const int64_t ones[] = {1, 1, 1};
    const vj_type type = vj_type_of(dtype, chance(m->random, 70) ? 0 : 1 + pick(m->random, 2), ones);
    vj_const constant;
    const int64_t whole = vj_dtype_is_float(dtype) ? 0 : (int64_t)number;
    vj_const_from_host(m->arena, dtype, 1, vj_dtype_is_float(dtype) ? &number : NULL, &whole, &constant);
    return add_constant(m, &type, &constant);
}

vj_value make_list(maker *m, vj_dtype dtype, int32_t rank, const int64_t *dims, const int64_t *elements) {
    const vj_type type = vj_type_of(dtype, rank, dims);
    int64_t count;
    vj_const constant;
    if (!vj_type_elements(m->f, &type, &count)) return VJ_NONE;
    vj_const_from_host(m->arena, dtype, count, NULL, elements, &constant);
    return add_constant(m, &type, &constant);
}

vj_value make_floats(maker *m, int64_t count, const double *elements) {
    const vj_type type = vj_type_of(VJ_F32, 1, &count);
    vj_const constant;
    vj_const_from_host(m->arena, VJ_F32, count, elements, NULL, &constant);
    return add_constant(m, &type, &constant);
}

vj_value make_seeded(maker *m, vj_dtype dtype, int32_t rank, const int64_t *dims) {
    const vj_type type = vj_type_of(dtype, rank, dims);
    const vj_const constant = {.kind = VJ_CONST_SEED, .seed = (uint64_t)pick(m->random, 1000)};
    int64_t elements;
    if (!vj_type_elements(m->f, &type, &elements) || elements > 4 * m->most_elements) return VJ_NONE;
    return add_constant(m, &type, &constant);
}

vj_value make_bytes(maker *m, vj_dtype dtype, vj_nibbles nibbles, int32_t rank, const int64_t *dims) {
    const vj_type type = vj_type_of(dtype, rank, dims);
    int64_t elements, bytes;
    vj_const constant;
    if (!vj_type_elements(m->f, &type, &elements) || elements > 4 * m->most_elements ||
        !vj_stored_bytes(dtype, nibbles, elements, &bytes))
        return VJ_NONE;
    int64_t *list = VJ_NEW_ARRAY(m->arena, int64_t, bytes + 1);
    for (int64_t i = 0; i < bytes; i++)
        list[i] = pick(m->random, 256) - (dtype == VJ_I8 && !nibbles ? 128 : 0);
    vj_const_from_host(m->arena, nibbles ? VJ_U8 : dtype, bytes, NULL, list, &constant);
    constant.nibbles = nibbles;
    return add_constant(m, &type, &constant);
}

static void fill_twin_input(maker *m, vj_tensor *t) {
    for (int64_t i = 0; i < t->count; i++) {
        if (t->f)
            t->f[i] = real(m->random, -2, 2);
        else
            t->i[i] = pick(m->random, t->type.dtype == VJ_BOOL ? 2 : 8);
    }
}

static vj_value add_input(maker *m, const vj_type *type) {
    vj_type fixed = *type;
    for (int32_t i = 0; i < fixed.rank; i++)
        if (fixed.dims[i].sym == VJ_SYM_BATCH) fixed.dims[i] = vj_dim_const(fixed.dims[i].c * TWIN_BATCH);
    const char *name = vj_sprintf(m->arena, "in%d", (int)m->f->input_count);
    const vj_value v = vj_add_param(m->f, name, type);
    vj_add_param(m->twin, name, &fixed);
    vj_error error = {0};
    vj_tensor *t = *slot_for(m, v) = vj_tensor_new(m->arena, &fixed, &error);
    fill_twin_input(m, t);
    *VJ_PUSH(m->arena, m->usable, m->usable_count, m->usable_capacity) = v;
    return v;
}

static int64_t any_dim(rng *r) {
    static const int8_t dims[] = {1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 6, 6, 7, 8, 8, 9, 12, 13, 16, 17, 24, 33};
    return chance(r, 1) ? 0 : dims[pick(r, (int32_t)sizeof dims)];
}

static vj_dtype any_dtype(rng *r) {
    static const vj_dtype others[] = {VJ_I64, VJ_I64, VJ_I32, VJ_I32, VJ_BOOL, VJ_BOOL, VJ_U8,  VJ_I8,
                                      VJ_F64, VJ_F16, VJ_U32, VJ_I16, VJ_U16,  VJ_U64,  VJ_BF16};
    return chance(r, 78) ? VJ_F32 : others[pick(r, (int32_t)(sizeof others / sizeof *others))];
}

static vj_type any_type(maker *m) {
    vj_type type = {.dtype = any_dtype(m->random),
                    .rank = pick(m->random, 10) < 7 ? 2 + pick(m->random, 3) : pick(m->random, 7)};
    int64_t elements = 1;
    for (int32_t i = 0; i < type.rank; i++) {
        int64_t c = any_dim(m->random);
        while (c > 1 && elements * c > m->most_elements / 2)
            c /= 2;
        type.dims[i] = vj_dim_const(c);
        elements *= c ? c : 1;
    }
    const bool batched = m->open && type.rank > 0 && chance(m->random, 85);
    if (!batched) return type;
    const int32_t axis = type.rank > 1 && chance(m->random, 3) ? 1 : 0;
    if (axis) type.dims[0] = vj_dim_const(1);
    type.dims[axis] = (vj_dim){chance(m->random, 95) ? 1 : 2, VJ_SYM_BATCH};
    return type;
}

/* Choosing */

vj_value any_value(maker *m) {
    const int32_t count = m->usable_count;
    return m->usable[chance(m->random, 55) ? count - 1 : pick(m->random, count)];
}

vj_value any_of(maker *m, bool (*is)(vj_dtype dtype)) {
    for (int32_t t = 0; t < TRIES; t++) {
        const vj_value v = any_value(m);
        if (is(type_in(m, v)->dtype)) return v;
    }
    return VJ_NONE;
}

static bool is_f32(vj_dtype dtype) { return dtype == VJ_F32; }

vj_value any_float(maker *m, int32_t least_rank) {
    for (int32_t t = 0; t < TRIES; t++) {
        const vj_value v = any_of(m, chance(m->random, 95) ? is_f32 : vj_dtype_is_float);
        if (v >= 0 && type_in(m, v)->rank >= least_rank) return v;
    }
    if (least_rank > 4 || m->f->input_count > 4) return VJ_NONE;
    vj_type type = {.dtype = VJ_F32, .rank = least_rank};
    for (int32_t i = 0; i < least_rank; i++)
        type.dims[i] = vj_dim_const(2 + pick(m->random, 5));
    if (m->open && least_rank) type.dims[0] = (vj_dim){1, VJ_SYM_BATCH};
    return add_input(m, &type);
}

/* Movement that rows and patterns share */

static int64_t coded(vj_dim dim) { return dim.sym == VJ_SYM_BATCH ? -1 - dim.c : dim.c; }

vj_value reshaped(maker *m, vj_value x, int32_t rank, const vj_dim *dims) {
    int64_t codes[VJ_MAX_RANK];
    if (x < 0 || rank > VJ_MAX_RANK) return VJ_NONE;
    for (int32_t i = 0; i < rank; i++)
        codes[i] = coded(dims[i]);
    const vj_attr attr = vj_ints(VJ_ATTR_DIMS, codes, rank);
    return make_node(m, VJ_OP_reshape, &x, 1, &attr, 1);
}

vj_value transposed(maker *m, vj_value x, const int64_t *perm) {
    if (x < 0) return VJ_NONE;
    const vj_attr attr = vj_ints(VJ_ATTR_PERM, perm, type_in(m, x)->rank);
    return make_node(m, VJ_OP_transpose, &x, 1, &attr, 1);
}

vj_value sliced(maker *m, vj_value x, int32_t axis, int64_t start, int64_t size, int64_t step) {
    int64_t starts[VJ_MAX_RANK] = {0}, sizes[VJ_MAX_RANK], steps[VJ_MAX_RANK];
    if (x < 0) return VJ_NONE;
    const vj_type *type = type_in(m, x);
    for (int32_t i = 0; i < type->rank; i++) {
        sizes[i] = i == axis ? size : coded(type->dims[i]);
        steps[i] = i == axis ? step : 1;
    }
    if (axis < type->rank) starts[axis] = start;
    const vj_attr attrs[] = {vj_ints(VJ_ATTR_STARTS, starts, type->rank), vj_ints(VJ_ATTR_SIZES, sizes, type->rank),
                             vj_ints(VJ_ATTR_STEPS, steps, type->rank)};
    return make_node(m, VJ_OP_slice, &x, 1, attrs, 3);
}

vj_value reduced(maker *m, vj_value x, int64_t axis, const char *kind, int64_t keep) {
    const vj_attr attrs[] = {vj_ints(VJ_ATTR_AXES, &axis, 1), vj_name(VJ_ATTR_KIND, kind), vj_int(VJ_ATTR_KEEP, keep)};
    return make_node(m, VJ_OP_reduce, &x, 1, attrs, 3);
}

/* Ops without a row of their own get whatever inference accepts. */

static vj_attr guess_attr(maker *m, vj_attr_key key, int32_t rank) {
    static const char *const words[] = {"sum",   "max",      "min",     "mean",  "prod",  "add",        "mul",
                                        "none",  "constant", "reflect", "edge",  "wrap",  "nearest",    "linear",
                                        "cubic", "erf",      "tanh",    "quick", "zeros", "border",     "f32",
                                        "i64",   "i32",      "bool",    "avg",   "align", "reflection", "f64"};
    int64_t *ints = VJ_NEW_ARRAY(m->arena, int64_t, VJ_MAX_RANK);
    for (int32_t i = 0; i < VJ_MAX_RANK; i++)
        ints[i] = pick(m->random, 5) - (chance(m->random, 10) ? 2 : 0);
    switch (vj_attr_key_kind(key)) {
    case VJ_KIND_INT:
        return vj_int(key, pick(m->random, 5) - (chance(m->random, 10) ? 2 : 0));
    case VJ_KIND_FLOAT:
        return vj_float(key, chance(m->random, 50) ? pick(m->random, 4) : real(m->random, -2, 2));
    case VJ_KIND_INTS:
        return vj_ints(key, ints, chance(m->random, 50) ? rank : pick(m->random, 4));
    default:
        return vj_name(key, words[pick(m->random, (int32_t)(sizeof words / sizeof *words))]);
    }
}

static vj_attr_key key_named(const char *text, size_t length) {
    int32_t key = 0;
    while (key < VJ_ATTR_COUNT && (strncmp(vj_attr_key_name((vj_attr_key)key), text, length) != 0 ||
                                   vj_attr_key_name((vj_attr_key)key)[length]))
        key++;
    return (vj_attr_key)key;
}

static vj_value guess_operand(maker *m, int32_t i) {
    if (i > 0 && chance(m->random, 30)) {
        int64_t dims[2] = {1 + pick(m->random, 3), 1 + pick(m->random, 3)}, list[9];
        for (int32_t k = 0; k < 9; k++)
            list[k] = pick(m->random, 3);
        return make_list(m, VJ_I64, pick(m->random, 3), dims, list);
    }
    return any_value(m);
}

static vj_value guess_node(maker *m, vj_op op) {
    const vj_op_info *info = vj_op_table(op);
    vj_value args[4];
    vj_attr attrs[8];
    const int32_t most = info->max_args < 0 ? 3 : info->max_args < 4 ? info->max_args : 4;
    const int32_t args_count = info->min_args > 4 ? 4 : info->min_args + pick(m->random, most - info->min_args + 1);
    int32_t count = 0;
    for (int32_t i = 0; i < args_count; i++)
        args[i] = guess_operand(m, i);
    const int32_t rank = args_count && args[0] >= 0 ? type_in(m, args[0])->rank : 1;
    for (const char *at = info->attrs; *at && count < 8;) {
        const size_t word = strcspn(at, " ");
        const vj_attr_key key = key_named(at, strcspn(at, ":"));
        const bool optional = at[word - 1] == '?';
        if (key < VJ_ATTR_COUNT && !(optional && chance(m->random, 50))) attrs[count++] = guess_attr(m, key, rank);
        at += word + (at[word] == ' ');
    }
    return make_node(m, op, args, args_count, attrs, count);
}

/* Steps */

static vj_op any_op(rng *r) {
    const int32_t kind = pick(r, 100);
    for (;;) {
        const vj_op op = (vj_op)pick(r, VJ_OP_COUNT);
        const uint32_t flags = vj_op_table(op)->flags;
        if (op == VJ_OP_param || op == VJ_OP_const) continue;
        if (op == VJ_OP_round_blocks) continue; /* it says what may be rounded, and need not be */
        if (kind < 35   ? (flags & VJ_FLAG_ELEMENTWISE) != 0
            : kind < 65 ? (flags & VJ_FLAG_MOVEMENT) != 0
                        : !(flags & (VJ_FLAG_ELEMENTWISE | VJ_FLAG_MOVEMENT)))
            return op;
    }
}

static void use(maker *m, vj_value v) { *VJ_PUSH(m->arena, m->usable, m->usable_count, m->usable_capacity) = v; }

static void step(maker *m, int32_t patterns) {
    const int32_t before = m->f->value_count;
    vj_value v = VJ_NONE;
    const vj_op op = any_op(m->random);
    const make_row row = row_of(op);
    if (chance(m->random, patterns))
        v = make_pattern(m);
    else
        for (int32_t t = 0; t < TRIES && v < 0; t++)
            v = row ? row(m, op) : guess_node(m, op);
    if (v < 0) return;
    if (m->f->value_count > before + 1 && chance(m->random, 12))
        use(m, before + pick(m->random, m->f->value_count - before)); /* something on the way is read elsewhere too */
    for (int32_t r = vj_producer(m->f, v)->result_count - 1; r >= 0; r--)
        use(m, v + r);
}

static void choose_outputs(maker *m) {
    const int32_t count = 1 + (chance(m->random, 40) ? 1 + pick(m->random, 2) : 0);
    vj_add_output(m->f, "last", m->usable[m->usable_count - 1]);
    for (int32_t i = 1; i < count; i++)
        vj_add_output(m->f, vj_sprintf(m->arena, "out%d", (int)i), any_value(m));
}

vj_func *make_function(vj_arena *arena, uint64_t seed, bool *has_batch) {
    rng random = {seed};
    maker m = {
        .arena = arena, .random = &random, .f = vj_func_new(arena, "random"), .twin = vj_func_new(arena, "twin")};
    m.open = *has_batch = chance(&random, 60);
    m.most_elements = chance(&random, 80) ? 1500 : 6000;
    const int32_t inputs = 1 + (chance(&random, 40) ? 1 + pick(&random, 2) : 0);
    for (int32_t i = 0; i < inputs; i++) {
        const vj_type type = any_type(&m);
        add_input(&m, &type);
    }
    const int32_t steps = 1 + pick(&random, MOST_STEPS), patterns = 10 * pick(&random, 5);
    for (int32_t i = 0; i < steps; i++)
        step(&m, patterns);
    choose_outputs(&m);
    settle(m.f);
    return m.f;
}
