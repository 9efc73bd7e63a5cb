/* target_test.c - tests the table of targets, and the choice of the host's row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "target/schedule.h"

static void rows_are_sound(void **state) {
    (void)state;
    assert_true(vj_target_count() >= 4);
    for (int32_t i = 0; i < vj_target_count(); i++) {
        const vj_target *t = vj_target_at(i);
        assert_ptr_equal(vj_target_by_name(t->name), t);
        assert_true(t->vector_bytes >= 4 && (t->vector_bytes & (t->vector_bytes - 1)) == 0);
        assert_true(t->registers >= 16 && t->l1_bytes < t->l2_bytes);
    }
    assert_null(vj_target_at(-1));
    assert_null(vj_target_at(vj_target_count()));
    assert_null(vj_target_by_name("z80"));
}

static void facts(void **state) {
    (void)state;
    const vj_target *baseline = vj_target_by_name("x86-64"), *v3 = vj_target_by_name("x86-64-v3");
    const vj_target *v4 = vj_target_by_name("x86-64-v4"), *arm = vj_target_by_name("aarch64");
    assert_int_equal(baseline->muladd, VJ_MULADD_SEPARATE); /* llvm.fma would become a call of fmaf */
    assert_int_equal(baseline->cpu_feature_bits, 0);
    assert_int_equal(v3->vector_bytes, 32);
    assert_int_equal(v4->vector_bytes, 64);
    assert_int_equal(v4->registers, 32);
    assert_true(v4->masked_stores && v4->broadcast_operand);
    assert_non_null(strstr(v4->llvm_features, "-prefer-256-bit"));
    assert_int_equal(v4->cpu_feature_bits, VJ_CPU_SSE42 | VJ_CPU_AVX2_FMA | VJ_CPU_AVX512);
    /* The rows of an architecture are sorted from the least CPU to the best: host and --features take the last that
     * fits. */
    assert_int_equal(vj_target_by_name("x86-64-v2")->cpu_feature_bits, VJ_CPU_SSE42);
    assert_int_equal(v3->cpu_feature_bits, VJ_CPU_SSE42 | VJ_CPU_AVX2_FMA);
    const vj_target *riscv = vj_target_by_name("riscv64-v"), *wasm = vj_target_by_name("wasm32");
    assert_string_equal(riscv->machine->llvm_abi, "lp64d");
    assert_int_equal(riscv->cpu_feature_bits, VJ_CPU_RVV);
    assert_int_equal(wasm->machine->pointer_bytes, 4);
    assert_int_equal(wasm->machine->format, VJ_FORMAT_WASM);
    assert_int_equal(wasm->muladd, VJ_MULADD_SEPARATE);
    assert_true(wasm->machine->recompiled && !arm->machine->recompiled);
    assert_int_equal(vj_k_unroll(wasm, 8), 1);
    assert_int_equal(vj_k_unroll(arm, 24), 2);
    assert_int_equal(arm->vector_bytes, 16);
    assert_int_equal(arm->registers, 32);
    assert_non_null(strstr(arm->triple, "aarch64"));
}

/* The oracle is the operating system's list of flags, which considers what it saves. */
static int cpuinfo_has(const char *flag) {
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[8192];
    int found = 0;
    while (file && !found && fgets(line, sizeof line, file)) {
        if (strncmp(line, "flags", 5) != 0) continue;
        for (char *word = strtok(line, " \t\n"); word; word = strtok(NULL, " \t\n"))
            found |= strcmp(word, flag) == 0;
        break;
    }
    if (file) fclose(file);
    return found;
}

static void host_is_the_best_row(void **state) {
    (void)state;
    const vj_target *host = vj_target_host();
    assert_non_null(host);
#if defined(__x86_64__)
    const int v3 = cpuinfo_has("avx2") && cpuinfo_has("fma") && cpuinfo_has("bmi2") && cpuinfo_has("movbe") &&
                   cpuinfo_has("f16c") && cpuinfo_has("abm");
    const int v4 = v3 && cpuinfo_has("avx512f") && cpuinfo_has("avx512bw") && cpuinfo_has("avx512cd") &&
                   cpuinfo_has("avx512dq") && cpuinfo_has("avx512vl");
    const int v2 = cpuinfo_has("pni") && cpuinfo_has("ssse3") && cpuinfo_has("cx16") && cpuinfo_has("sse4_1") &&
                   cpuinfo_has("sse4_2") && cpuinfo_has("popcnt") && cpuinfo_has("lahf_lm");
    assert_string_equal(host->name, v4 ? "x86-64-v4" : v3 ? "x86-64-v3" : v2 ? "x86-64-v2" : "x86-64");
#else
    assert_int_equal(cpuinfo_has("none"), 0);
    assert_string_equal(host->name, "aarch64");
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(rows_are_sound), cmocka_unit_test(facts),
                                       cmocka_unit_test(host_is_the_best_row)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
