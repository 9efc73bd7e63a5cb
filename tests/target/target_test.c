/* SPDX-License-Identifier: Apache-2.0 */
/* target_test.c - tests the table of targets, and the choice of the host's row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "target/schedule.h"
#include "vitjit_cpu.h"

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
    assert_ptr_equal(vj_target_by_name("native"), vj_target_host());
    static const char *const known[][2] = {{"znver2", "x86-64-v3"},
                                           {"znver4", "x86-64-v4-bf16"},
                                           {"skylake-avx512", "x86-64-v4"},
                                           {"icelake-server", "x86-64-v4-vnni"},
                                           {"sapphirerapids", "x86-64-v4-amx"},
                                           {"alderlake", "x86-64-v3-vnni"},
                                           {"nehalem", "x86-64-v2"},
                                           {"neoverse-n1", "aarch64"},
                                           {"neoverse-v1", "aarch64-bf16"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        assert_string_equal(vj_target_by_name(known[i][0])->name, known[i][1]);
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
    const vj_target *amx = vj_target_by_name("x86-64-v4-amx");
    assert_true(amx->tiles == VJ_TILES_AMX && amx->dot == VJ_DOT_NONE && amx->bf16_conversions);
    assert_true(v4->tiles == VJ_TILES_NONE && !v4->bf16_conversions);
    char text[VJ_FEATURES_TEXT];
    assert_non_null(strstr(vj_target_llvm_features(amx, text), "+amx-bf16,"));
    assert_non_null(strstr(vj_target_llvm_features(v4, text), "+avx512vl,"));
    assert_non_null(strstr(text, "-prefer-256-bit"));
    const vj_target *amd = vj_target_by_name("x86-64-v4-bf16");
    assert_non_null(strstr(vj_target_llvm_features(amd, text), "-sse4a")); /* behind what turns it on */
    assert_true(strstr(text, "-sse4a") > strstr(text, "+sse4a"));
    assert_string_equal(vj_target_llvm_features(baseline, text), "");
    assert_string_equal(vj_target_llvm_features(arm, text), "+neon");
    const vj_target *riscv = vj_target_by_name("riscv64-v"), *wasm = vj_target_by_name("wasm32");
    assert_string_equal(riscv->machine->llvm_abi, "lp64d");
    assert_int_equal(riscv->cpu_feature_bits, VJ_CPU_RVV);
    assert_int_equal(wasm->machine->pointer_bytes, 4);
    assert_int_equal(wasm->machine->format, VJ_FORMAT_WASM);
    assert_int_equal(wasm->muladd, VJ_MULADD_SEPARATE);
    assert_true(wasm->machine->recompiled && !arm->machine->recompiled);
    assert_int_equal(vj_k_unroll(wasm, 8, 1), 1);
    assert_int_equal(vj_k_unroll(arm, 24, 1), 2);
    assert_int_equal(arm->vector_bytes, 16);
    assert_int_equal(arm->registers, 32);
    assert_non_null(strstr(arm->triple, "aarch64"));
}

/* The order by features and the order by rank have no circle if no row of a machine has both more and a lower rank. */
static void ranks_agree(void **state) {
    (void)state;
    for (int32_t i = 0; i < vj_target_count(); i++)
        for (int32_t j = 0; j < vj_target_count(); j++) {
            const vj_target *a = vj_target_at(i), *b = vj_target_at(j);
            if (i == j || a->machine != b->machine) continue;
            if (a->rank == b->rank || a->cpu_feature_bits == b->cpu_feature_bits ||
                (vj_cpu_has(a->cpu_feature_bits, b->cpu_feature_bits) && a->rank < b->rank))
                fail_msg("%s and %s", a->name, b->name);
        }
}

static const char *best_of(const char *machine, uint64_t have) {
    return vj_target_best(vj_target_by_name(machine)->machine, have)->name;
}

static const char *best_for(uint64_t have) { return best_of("x86-64", have); }

/* The table's rows on CPUs with made-up features: every one counts by itself. */
static void rows_are_chosen_by_features(void **state) {
    (void)state;
    static const uint64_t v4[] = {VJ_CPU_AVX512F, VJ_CPU_AVX512BW, VJ_CPU_AVX512CD, VJ_CPU_AVX512DQ, VJ_CPU_AVX512VL};
    static const uint64_t v3[] = {VJ_CPU_AVX,  VJ_CPU_AVX2, VJ_CPU_BMI1,  VJ_CPU_BMI2,
                                  VJ_CPU_F16C, VJ_CPU_FMA,  VJ_CPU_LZCNT, VJ_CPU_MOVBE};
    static const uint64_t v2[] = {VJ_CPU_SSE3,   VJ_CPU_SSSE3, VJ_CPU_SSE41, VJ_CPU_SSE42,
                                  VJ_CPU_POPCNT, VJ_CPU_CX16,  VJ_CPU_LAHF};
    const uint64_t all = VJ_CPU_X86_64_V4;
    assert_string_equal(best_for(all), "x86-64-v4");
    const uint64_t vnni = all | VJ_CPU_AVX512VNNI;
    assert_string_equal(best_for(vnni), "x86-64-v4-vnni");
    assert_string_equal(best_for(vnni | VJ_CPU_AVX512BF16), "x86-64-v4-vnni"); /* Intel's are slow */
    assert_string_equal(best_for(all | VJ_CPU_SSE4A), "x86-64-v4");
    assert_string_equal(best_for(vnni | VJ_CPU_AVX512VBMI | VJ_CPU_AVX512BF16 | VJ_CPU_SSE4A), "x86-64-v4-bf16");
    const uint64_t tiles = vnni | VJ_CPU_AVX512VBMI | VJ_CPU_AVX512BF16 | VJ_CPU_AMX;
    assert_string_equal(best_for(tiles), "x86-64-v4-amx");
    assert_string_equal(best_for(tiles & ~VJ_CPU_AMX_TILE), "x86-64-v4-vnni");
    assert_string_equal(best_for(tiles & ~VJ_CPU_AMX_BF16), "x86-64-v4-vnni");
    assert_string_equal(best_for(tiles & ~VJ_CPU_AMX_INT8), "x86-64-v4-vnni");
    assert_string_equal(best_for(tiles & ~VJ_CPU_AVX512BF16), "x86-64-v4-vnni");
    assert_string_equal(best_for(VJ_CPU_X86_64_V3 | VJ_CPU_AVXVNNI), "x86-64-v3-vnni");
    assert_string_equal(best_for(all | VJ_CPU_AVXVNNI), "x86-64-v4");
    assert_string_equal(best_for((tiles & ~VJ_CPU_AMX_TILE) | VJ_CPU_SSE4A), "x86-64-v4-bf16");
    assert_string_equal(best_for(UINT64_MAX), "x86-64-v4-amx");
    assert_string_equal(best_for(0), "x86-64");
    for (size_t i = 0; i < sizeof v4 / sizeof *v4; i++)
        assert_string_equal(best_for(all & ~v4[i]), "x86-64-v3");
    for (size_t i = 0; i < sizeof v3 / sizeof *v3; i++)
        assert_string_equal(best_for(all & ~v3[i]), "x86-64-v2");
    for (size_t i = 0; i < sizeof v2 / sizeof *v2; i++)
        assert_string_equal(best_for(all & ~v2[i]), "x86-64");
    assert_string_equal(best_of("riscv64", VJ_CPU_RVV), "riscv64-v");
    assert_string_equal(best_of("riscv64", all), "riscv64");
    assert_string_equal(best_of("aarch64", VJ_CPU_NEON_BF16 | VJ_CPU_NEON_I8MM), "aarch64-bf16");
    assert_string_equal(best_of("aarch64", all | VJ_CPU_RVV), "aarch64");
}

/* Each feature has a bit, a name and companions of its own machine. */
static void features_have_names(void **state) {
    (void)state;
    uint64_t companions = 1, all = 0;
    static const char *const names[] = {
        "sse3",     "ssse3",    "sse4.1",   "sse4.2",     "popcnt",     "cx16",       "sahf",     "avx",
        "avx2",     "bmi",      "bmi2",     "f16c",       "fma",        "lzcnt",      "movbe",    "avx512f",
        "avx512bw", "avx512cd", "avx512dq", "avx512vl",   "avx512bf16", "sse4a",      "amx-tile", "amx-bf16",
        "amx-int8", "v",        "bf16",     "avx512vnni", "avxvnni",    "avx512vbmi", "i8mm"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const uint64_t bit = vj_feature_by_name(names[i], strlen(names[i]), &companions);
        char text[VJ_FEATURES_TEXT], one[32];
        if (!bit || bit & (bit - 1) || all & bit ||
            companions &
                ~(VJ_CPU_X86_64_V4 | VJ_CPU_AMX_TILE | VJ_CPU_AVX512VNNI | VJ_CPU_AVX512VBMI | VJ_CPU_NEON_I8MM))
            fail_msg("%s", names[i]);
        snprintf(one, sizeof one, "+%s", names[i]);
        assert_string_equal(vj_features_text(bit, text), one);
        all |= bit;
    }
    assert_true(all == (VJ_CPU_X86_64_V4 | VJ_CPU_AVX512BF16 | VJ_CPU_SSE4A | VJ_CPU_AMX | VJ_CPU_RVV |
                        VJ_CPU_NEON_BF16 | VJ_CPU_AVX512VNNI | VJ_CPU_AVXVNNI | VJ_CPU_AVX512VBMI | VJ_CPU_NEON_I8MM));
    assert_true(vj_feature_by_name("avx512", 6, &companions) == 0);
    assert_true(vj_feature_by_name("", 0, &companions) == 0);
    assert_true(vj_feature_by_name("avx2", 4, &companions) == VJ_CPU_AVX2 && companions & VJ_CPU_BMI2);
}

/* The oracle is the operating system's list of flags, which considers what it saves. */
static int cpuinfo_has(const char *flag) {
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[8192];
    int found = 0;
    while (file && !found && fgets(line, sizeof line, file)) {
        if (strncmp(line, "flags", 5) != 0 && strncmp(line, "Features", 8) != 0) continue;
        for (char *word = strtok(line, " \t\n"); word; word = strtok(NULL, " \t\n"))
            found |= strcmp(word, flag) == 0;
        break;
    }
    if (file) fclose(file);
    return found;
}

/* Each feature by itself, beside what the kernel says of it. */
static void each_feature_is_asked(void **state) {
    (void)state;
    static const struct {
        uint64_t bit;
        const char *flag;
#if defined(__x86_64__)
    } all[] = {{VJ_CPU_SSE3, "pni"},
               {VJ_CPU_SSSE3, "ssse3"},
               {VJ_CPU_SSE41, "sse4_1"},
               {VJ_CPU_SSE42, "sse4_2"},
               {VJ_CPU_POPCNT, "popcnt"},
               {VJ_CPU_CX16, "cx16"},
               {VJ_CPU_LAHF, "lahf_lm"},
               {VJ_CPU_AVX, "avx"},
               {VJ_CPU_AVX2, "avx2"},
               {VJ_CPU_BMI1, "bmi1"},
               {VJ_CPU_BMI2, "bmi2"},
               {VJ_CPU_F16C, "f16c"},
               {VJ_CPU_FMA, "fma"},
               {VJ_CPU_LZCNT, "abm"},
               {VJ_CPU_MOVBE, "movbe"},
               {VJ_CPU_AVX512F, "avx512f"},
               {VJ_CPU_AVX512BW, "avx512bw"},
               {VJ_CPU_AVX512CD, "avx512cd"},
               {VJ_CPU_AVX512DQ, "avx512dq"},
               {VJ_CPU_AVX512VL, "avx512vl"},
               {VJ_CPU_AVX512BF16, "avx512_bf16"},
               {VJ_CPU_SSE4A, "sse4a"},
               {VJ_CPU_AMX_TILE, "amx_tile"},
               {VJ_CPU_AMX_BF16, "amx_bf16"},
               {VJ_CPU_AMX_INT8, "amx_int8"},
               {VJ_CPU_AVX512VNNI, "avx512_vnni"},
               {VJ_CPU_AVXVNNI, "avx_vnni"},
               {VJ_CPU_AVX512VBMI, "avx512vbmi"}};
#else
    } all[] = {{VJ_CPU_NEON_BF16, "bf16"}, {VJ_CPU_NEON_I8MM, "i8mm"}};
#endif
    uint64_t sum = 0;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const uint64_t have = vj_cpu_ask(all[i].bit);
        if (have != (cpuinfo_has(all[i].flag) ? all[i].bit : 0)) fail_msg("%s", all[i].flag);
        sum |= have;
    }
    assert_true(vj_cpu_ask(UINT64_MAX) == sum);
    assert_true(vj_cpu_ask(0) == 0);
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
    const int bf16 = v4 && cpuinfo_has("avx512_bf16") && cpuinfo_has("sse4a");
    const int tiles = v4 && cpuinfo_has("avx512_bf16") && cpuinfo_has("amx_tile") && cpuinfo_has("amx_bf16") &&
                      cpuinfo_has("amx_int8");
    assert_string_equal(host->name, tiles  ? "x86-64-v4-amx"
                                    : bf16 ? "x86-64-v4-bf16"
                                    : v4   ? "x86-64-v4"
                                    : v3   ? "x86-64-v3"
                                    : v2   ? "x86-64-v2"
                                           : "x86-64");
#else
    assert_string_equal(host->name, cpuinfo_has("bf16") ? "aarch64-bf16" : "aarch64");
#endif
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_sound),      cmocka_unit_test(facts),
        cmocka_unit_test(ranks_agree),         cmocka_unit_test(rows_are_chosen_by_features),
        cmocka_unit_test(features_have_names), cmocka_unit_test(each_feature_is_asked),
        cmocka_unit_test(host_is_the_best_row)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
