/* SPDX-License-Identifier: Apache-2.0 */
/* random.c - lowers and runs seeded random graphs of products, elementwise ops, reductions and movement, in f32 and with products
 * in bf16: the evaluators round neither, so both must agree. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "random.h"
#include "run.h"

#define GRAPHS 400
#define NODES  14

static uint32_t state;
static bool in_bf16;

static int32_t pick(int32_t below) {
    state = state * 1664525u + 1013904223u;
    return (int32_t)((state >> 8) % (uint32_t)below);
}

static vj_value node(vj_func *f, vj_op op, const vj_value *args, int32_t count, const vj_attr *attrs,
                     int32_t attr_count) {
    vj_error error = {0};
    return vj_add_node(f, op, args, count, attrs, attr_count, NULL, &error);
}

static vj_value constant(vj_func *f, int32_t rank, const int64_t *dims) {
    const vj_type type = vj_type_of(VJ_F32, rank, dims);
    const vj_const seed = {.kind = VJ_CONST_SEED, .seed = (uint64_t)pick(1000)};
    return vj_add_const(f, NULL, &type, &seed);
}

/* Reshapes a value to up to four dims. */
static vj_value reshaped(vj_func *f, vj_value x, const int64_t *dims, int32_t rank) {
    int64_t left = 1, made[4];
    for (int32_t d = 0; d < rank; d++)
        left *= dims[d];
    const int32_t count = 2 + pick(3);
    for (int32_t d = 0; d + 1 < count; d++) {
        int64_t size = 1 + pick(6);
        while (left % size != 0)
            size--;
        made[d] = size;
        left /= size;
    }
    made[count - 1] = left;
    const vj_attr attr = vj_ints(VJ_ATTR_DIMS, made, count);
    return node(f, VJ_OP_reshape, &x, 1, &attr, 1);
}

static vj_value transposed(vj_func *f, vj_value x, int32_t rank) {
    int64_t perm[VJ_MAX_RANK];
    for (int32_t d = 0; d < rank; d++)
        perm[d] = d;
    for (int32_t d = rank - 1; d > 0; d--) {
        const int32_t other = pick(d + 1);
        const int64_t swap = perm[d];
        perm[d] = perm[other];
        perm[other] = swap;
    }
    const vj_attr attr = vj_ints(VJ_ATTR_PERM, perm, rank);
    return node(f, VJ_OP_transpose, &x, 1, &attr, 1);
}

static vj_value sliced(vj_func *f, vj_value x, const int64_t *dims, int32_t rank) {
    int64_t starts[VJ_MAX_RANK] = {0}, sizes[VJ_MAX_RANK], steps[VJ_MAX_RANK];
    for (int32_t d = 0; d < rank; d++) {
        sizes[d] = dims[d];
        steps[d] = 1;
    }
    const int32_t axis = pick(rank);
    if (dims[axis] > 1) {
        sizes[axis] = (dims[axis] + 1) / 2;
        starts[axis] = pick((int32_t)(dims[axis] - sizes[axis] + 1));
    }
    const vj_attr attrs[] = {vj_ints(VJ_ATTR_STARTS, starts, rank), vj_ints(VJ_ATTR_SIZES, sizes, rank),
                             vj_ints(VJ_ATTR_STEPS, steps, rank)};
    return node(f, VJ_OP_slice, &x, 1, attrs, 3);
}

/* In bf16 one that the model stores so, for it is rounded when it is packed. */
static vj_value weight(vj_func *f, const int64_t *dims) {
    if (!in_bf16) return constant(f, 2, dims);
    const vj_type type = vj_type_of(VJ_BF16, 2, dims);
    const vj_const seed = {.kind = VJ_CONST_SEED, .seed = (uint64_t)pick(1000)};
    const vj_value w = vj_add_const(f, NULL, &type, &seed);
    const vj_attr attr = vj_name(VJ_ATTR_TO, vj_element_name(VJ_F32));
    return node(f, VJ_OP_cast, &w, 1, &attr, 1);
}

static vj_value product(vj_func *f, vj_value x, const int64_t *dims, int32_t rank) {
    const int64_t columns = 2 * (1 + pick(6));
    const vj_value args[] = {x, weight(f, (int64_t[]){dims[rank - 1], columns}), constant(f, 1, &columns)};
    return node(f, VJ_OP_linear, args, 2 + pick(2), NULL, 0);
}

/* The product of a value with its own transpose, or attention of a value to itself. */
static vj_value among_itself(vj_func *f, vj_value x, int32_t rank) {
    int64_t perm[VJ_MAX_RANK];
    if (pick(2)) {
        const vj_attr scale = vj_float(VJ_ATTR_SCALE, 0.5);
        const vj_value args[] = {x, x, x};
        return node(f, VJ_OP_attention, args, 3, &scale, 1);
    }
    for (int32_t d = 0; d < rank; d++)
        perm[d] = d;
    perm[rank - 1] = rank - 2;
    perm[rank - 2] = rank - 1;
    const vj_attr attr = vj_ints(VJ_ATTR_PERM, perm, rank);
    const vj_value args[] = {x, node(f, VJ_OP_transpose, &x, 1, &attr, 1)};
    return node(f, VJ_OP_matmul, args, 2, NULL, 0);
}

static vj_value along_axis(vj_func *f, vj_value x, int32_t rank, int32_t what) {
    const int64_t axis = pick(rank);
    if (what == 0) {
        const vj_attr attr = vj_int(VJ_ATTR_AXIS, axis);
        return node(f, VJ_OP_softmax, &x, 1, &attr, 1);
    }
    if (what == 1) {
        const vj_attr attrs[] = {vj_int(VJ_ATTR_AXIS, axis), vj_float(VJ_ATTR_EPS, 1e-3)};
        return node(f, VJ_OP_layernorm, &x, 1, attrs, 2);
    }
    if (what == 2) {
        const vj_attr attrs[] = {vj_ints(VJ_ATTR_AXES, &axis, 1), vj_int(VJ_ATTR_KEEP, 1),
                                 vj_name(VJ_ATTR_KIND, "mean")};
        return node(f, VJ_OP_reduce, &x, 1, attrs, 3);
    }
    const vj_value args[] = {x, node(f, VJ_OP_neg, &x, 1, NULL, 0)};
    const vj_attr attr = vj_int(VJ_ATTR_AXIS, axis);
    return node(f, VJ_OP_concat, args, 2, &attr, 1);
}

static vj_value next(vj_func *f, const vj_value *made, int32_t count) {
    const vj_value x = made[pick(3) ? count - 1 : pick(count)];
    int64_t dims[VJ_MAX_RANK];
    const vj_type *type = vj_type_at(f, x);
    const int32_t rank = type->rank;
    for (int32_t d = 0; d < rank; d++)
        dims[d] = type->dims[d].c;
    switch (pick(11)) {
    case 0:
    case 1:
        return reshaped(f, x, dims, rank);
    case 2:
    case 3:
        return transposed(f, x, rank);
    case 4:
        return sliced(f, x, dims, rank);
    case 5:
    case 6:
        return product(f, x, dims, rank);
    case 7:
        return among_itself(f, x, rank);
    case 8:
        return along_axis(f, x, rank, pick(4));
    case 9:
        return node(f, VJ_OP_tanh, &x, 1, NULL, 0);
    default:
        for (int32_t i = count - 1; i >= 0; i--)
            if (made[i] != x && vj_type_equal(vj_type_at(f, made[i]), type))
                return node(f, VJ_OP_add, (vj_value[]){x, made[i]}, 2, NULL, 0);
        return node(f, VJ_OP_add, (vj_value[]){x, constant(f, 1, dims + rank - 1)}, 2, NULL, 0);
    }
}

static vj_func *random_function(vj_arena *arena) {
    vj_func *f = vj_func_new(arena, "random");
    vj_value made[NODES + 1];
    const vj_type type = vj_type_of(VJ_F32, 3, (int64_t[]){1 + pick(3), 2 * (1 + pick(4)), 6});
    made[0] = vj_add_param(f, "x", &type);
    int32_t count = 1;
    while (count <= NODES) {
        const vj_value v = next(f, made, count);
        int64_t elements;
        if (v < 0 || !vj_type_elements(f, vj_type_at(f, v), &elements) || elements > 4000) continue;
        made[count++] = v;
    }
    vj_add_output(f, "last", made[NODES]);
    vj_add_output(f, "some", made[1 + pick(NODES)]);
    vj_compact(f);
    return f;
}

static void run_random(bool bf16) {
    in_bf16 = bf16;
    for (uint32_t seed = 1; seed <= GRAPHS; seed++) {
        vj_arena *arena = vj_arena_new();
        vj_error error = {0};
        state = seed;
        vj_func *f = random_function(arena);
        const vj_program *p = !bf16 || choose_bf16(arena, f, &error) ? lower_function(arena, f, &error) : NULL;
        const double apart = p ? difference(arena, p, &error) : -1;
        if (!(apart >= 0 && apart <= 1e-12)) {
            vj_print(f, stderr);
            if (p) vj_print_program(p, stderr);
            fail_msg("seed %u: difference %g %s", (unsigned)seed, apart, error.text);
        }
        assert_true(p->per_image_bytes >= p->lower_bound_bytes);
        vj_arena_free(arena);
    }
}

void random_graphs(void **unused) {
    (void)unused;
    run_random(false);
}

void random_graphs_in_bf16(void **unused) {
    (void)unused;
    run_random(true);
}
