/* SPDX-License-Identifier: Apache-2.0 */
/* init_test.c - which code the init of an emitted object takes: its C, compiled for this machine, beside a made-up model whose
 * CPUs stand side by side.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "abi.h"

/* Two extensions of one CPU, each without the other; and a CPU that has both. */
#define LEFT  (UINT64_C(1) << 60)
#define RIGHT (UINT64_C(1) << 61)

/* In the order of nothing. */
static const vj_cpu_variant cpus[] = {{"left", VJ_CPU_X86_64_V3 | LEFT, 5, 0},
                                      {"v4", VJ_CPU_X86_64_V4, 7, 0},
                                      {"v3", VJ_CPU_X86_64_V3, 3, 0},
                                      {"right", VJ_CPU_X86_64_V3 | RIGHT, 6, 0},
                                      {"v4 left", VJ_CPU_X86_64_V4 | LEFT, 8, 0}};
enum { CPUS = sizeof cpus / sizeof *cpus };

const vj_model vj_abi_shapes[] = {{.cpus = cpus, .cpu_count = CPUS, .shapes = vj_abi_shapes, .shape_count = 2},
                                  {.cpus = cpus, .cpu_count = CPUS, .shapes = vj_abi_shapes, .shape_count = 2}};
const void *const vj_abi_weights = NULL;

/* The code for a CPU with these features, or "none". */
static const char *chosen(int32_t shape, uint64_t have) {
    vj_context c = {0};
    const int status = vj_abi_init_as(&c, NULL, 0, shape, have);
    if (status == VJ_RUN_BAD_CPU) return "none";
    assert_int_equal(status, VJ_RUN_OK);
    assert_ptr_equal(c.model, &vj_abi_shapes[shape]);
    assert_in_range(c.variant, shape * CPUS, shape * CPUS + CPUS - 1);
    return cpus[c.variant - shape * CPUS].name;
}

static void each_on_its_cpu(void **state) {
    (void)state;
    for (int32_t i = 0; i < CPUS; i++)
        for (int32_t shape = 0; shape < 2; shape++)
            assert_string_equal(chosen(shape, cpus[i].features), cpus[i].name);
    assert_string_equal(chosen(0, VJ_CPU_X86_64_V2), "none");
    assert_string_equal(chosen(0, LEFT | RIGHT), "none");
    assert_string_equal(chosen(0, VJ_CPU_X86_64_V4 & ~VJ_CPU_AVX512DQ), "v3");
}

/* Where a CPU has both and no code uses both, the rank says which; code that uses all that another does comes first. */
static void by_rank_on_a_cpu_with_both(void **state) {
    (void)state;
    assert_string_equal(chosen(1, VJ_CPU_X86_64_V3 | LEFT | RIGHT), "right");
    assert_string_equal(chosen(1, VJ_CPU_X86_64_V4 | RIGHT), "v4");
    assert_string_equal(chosen(1, VJ_CPU_X86_64_V4 | LEFT), "v4 left");
    assert_string_equal(chosen(1, VJ_CPU_X86_64_V4 | LEFT | RIGHT), "v4 left");
    assert_string_equal(chosen(1, UINT64_MAX - 1), "none"); /* bit 0 is a feature like any other */
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_on_its_cpu), cmocka_unit_test(by_rank_on_a_cpu_with_both)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
