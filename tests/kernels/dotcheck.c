/* SPDX-License-Identifier: Apache-2.0 */
/* dotcheck.c - compares dot products of pairs of bfloat16, by the row's instruction and by its twin, with their definition in doubles,
 * bit for bit: ordinary numbers, and those at which a product, a sum or their order could be rounded, flushed or lost otherwise.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "primitives.h"
#include "vitjit_half.h"

enum { LANES = 16, ROUNDS = 20000 };

static float defined(const pair_sum *x) {
    const float upper = add_product(vj_f32_of_bits(x->sum), (uint16_t)(x->a >> 16), (uint16_t)(x->b >> 16));
    return add_product(upper, (uint16_t)x->a, (uint16_t)x->b);
}

/* All LANES, by vectors of as many lanes as `what` says. */
static void write_dots(vj_gen *g, const void *what) {
    const int32_t lanes = *(const int32_t *)what;
    LLVMValueRef sum = LLVMGetParam(g->function, 0), a = LLVMGetParam(g->function, 1), b = LLVMGetParam(g->function, 2);
    for (int32_t i = 0; i < LANES; i += lanes) {
        LLVMValueRef at = vj_i64(g, i), to = vj_element(g, sum, VJ_F32, at);
        LLVMValueRef x = vj_load_vector(g, vj_element(g, a, VJ_I32, at), VJ_I32, lanes, NULL, NULL);
        LLVMValueRef y = vj_load_vector(g, vj_element(g, b, VJ_I32, at), VJ_I32, lanes, NULL, NULL);
        LLVMValueRef z = vj_load_vector(g, to, VJ_F32, lanes, NULL, NULL);
        vj_store_vector(g, to, vj_dot_bf16(g, z, x, y), NULL);
    }
}

static void compare(const vj_target *target, primitive_entry entry, rng *r, int32_t kind) {
    pair_sum x[LANES];
    float sum[LANES];
    uint32_t a[LANES], b[LANES];
    for (int32_t i = 0; i < LANES; i++) {
        x[i] = pair_sum_of(r, kind);
        sum[i] = vj_f32_of_bits(x[i].sum);
        a[i] = x[i].a;
        b[i] = x[i].b;
    }
    entry(sum, a, b);
    for (int32_t i = 0; i < LANES; i++)
        same_bits(target->name, sum[i], defined(&x[i]));
}

static void check(const vj_target *target, int32_t lanes) {
    primitive *dots = primitive_make(target, write_dots, &lanes);
    rng r = {.state = 2024};
    for (int32_t round = 0; dots && round < ROUNDS; round++)
        compare(target, primitive_at(dots), &r, round % KINDS);
    primitive_free(dots);
}

static void by_instruction(void **state) {
    (void)state;
    for (int32_t i = 0; i < vj_target_count(); i++)
        for (int32_t lanes = 4; lanes <= LANES; lanes *= 2)
            if (vj_target_at(i)->dot == VJ_DOT_AVX512) check(vj_target_at(i), lanes);
}

static void by_twin(void **state) {
    (void)state;
    for (int32_t i = 0; i < vj_target_count(); i++) {
        vj_target target = *vj_target_at(i);
        target.dot = VJ_DOT_AVX512_TWIN;
        check(&target, target.vector_bytes > 16 ? target.vector_bytes / 4 : 4);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(by_instruction), cmocka_unit_test(by_twin)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
