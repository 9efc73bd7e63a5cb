/* SPDX-License-Identifier: Apache-2.0 */
/* permission.c - the request for tiles: what the CPU is found to have when the system grants it, refuses it, or must not be
 * asked. Filters of system calls play the system, in processes of their own, so that a machine without tiles shows it all.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "abi.h"
#include "target/target.h"
#include "vitjit_host.h"

/* A CPU as Intel's servers are, and code for it and for those before it. */
#define TILES (VJ_CPU_X86_64_V4 | VJ_CPU_AVX512VNNI | VJ_CPU_AVX512VBMI | VJ_CPU_AVX512BF16 | VJ_CPU_AMX)
static const vj_cpu_variant cpus[] = {{"baseline", 0, 0, 0}, {"tiles", TILES, 60, 0}};
const vj_model vj_abi_shapes[] = {{.cpus = cpus, .cpu_count = 2, .shapes = vj_abi_shapes, .shape_count = 1}};
const void *const vj_abi_weights = NULL;

#if defined(__x86_64__)

#define GRANT  SECCOMP_RET_ERRNO /* the call's result is 0, and nothing is done */
#define REFUSE (SECCOMP_RET_ERRNO | EPERM)
#define FORBID SECCOMP_RET_KILL_PROCESS

/* From now on arch_prctl(ARCH_REQ_XCOMP_PERM, ...) has this result. */
static bool filter_requests(uint32_t result) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_arch_prctl, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x1023, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, result),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog filter = {sizeof code / sizeof *code, code};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

/* Does it hold in a process whose requests have this result? What kills the process does not hold. */
static bool holds(bool (*claim)(void), uint32_t result) {
    int status = -1;
    const pid_t child = fork();
    if (child == 0) _exit(filter_requests(result) && claim() ? 0 : 1);
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static const char *row_for(uint64_t have) { return vj_target_best(vj_target_by_name("x86-64")->machine, have)->name; }

static bool tiles_are_taken(void) {
    return vj_cpu_permitted(TILES) == TILES && strcmp(row_for(vj_cpu_permitted(TILES)), "x86-64-v4-amx") == 0;
}

static bool the_next_row_is_taken(void) {
    const uint64_t amd = TILES | VJ_CPU_SSE4A;
    return strcmp(row_for(vj_cpu_permitted(TILES)), "x86-64-v4-vnni") == 0 &&
           strcmp(row_for(vj_cpu_permitted(amd)), "x86-64-v4-bf16") == 0;
}

/* Whatever the answer is. */
static bool a_request_is_let_through(void) {
    vj_cpu_tiles_permitted();
    return true;
}

/* The CPU that this is; also asked by an object. */
static bool this_cpu_has_no_tiles(void) {
    vj_context c = {0};
    return !(vj_cpu_ask(UINT64_MAX) & VJ_CPU_AMX) && vj_target_host()->tiles == VJ_TILES_NONE &&
           !vj_target_runs_here(vj_target_by_name("x86-64-v4-amx")) && vj_abi_init(&c, NULL, 0) == VJ_RUN_OK &&
           c.variant == 0;
}

static bool nothing_is_asked(void) {
    vj_context c = {0};
    const uint64_t others = UINT64_MAX & ~VJ_CPU_AMX;
    if (vj_cpu_permitted(VJ_CPU_X86_64_V4) != VJ_CPU_X86_64_V4 || vj_cpu_ask(others) & VJ_CPU_AMX) return false;
    if (!vj_target_runs_here(vj_target_by_name("x86-64"))) return false;
    return vj_abi_init_as(&c, NULL, 0, 0, VJ_CPU_X86_64_V4) == VJ_RUN_OK && c.variant == 0;
}

static bool nor_by_the_host_that_refuses_tiles(void) {
    return setenv("VITJIT_NO_TILES", "1", 1) == 0 && !(vj_host_features(UINT64_MAX) & VJ_CPU_AMX) &&
           vj_target_host()->tiles == VJ_TILES_NONE && !vj_target_runs_here(vj_target_by_name("x86-64-v4-amx"));
}

static bool a_zero_refuses_nothing(void) {
    return setenv("VITJIT_NO_TILES", "0", 1) == 0 && vj_host_features(UINT64_MAX) == vj_cpu_ask(UINT64_MAX);
}

static void the_system_decides(void **state) {
    (void)state;
    assert_true(holds(tiles_are_taken, GRANT));
    assert_true(holds(the_next_row_is_taken, REFUSE));
    assert_true(holds(this_cpu_has_no_tiles, REFUSE));
    assert_true(holds(a_zero_refuses_nothing, GRANT));
}

static void only_who_wants_tiles_asks(void **state) {
    (void)state;
    assert_false(holds(a_request_is_let_through, FORBID));
    assert_true(holds(nothing_is_asked, FORBID));
    assert_true(holds(nor_by_the_host_that_refuses_tiles, FORBID));
}

/* All that this CPU has is wanted. */
static bool this_cpu_is_asked(void) {
    vj_context c = {0};
    const uint64_t have = vj_cpu_ask(UINT64_MAX);
    return vj_target_best(vj_target_by_name("x86-64")->machine, have) == vj_target_host() &&
           vj_abi_init(&c, NULL, 0) == VJ_RUN_OK;
}

static bool cpu_has_tiles(void) {
    const vj_cpuid leaf = vj_cpuid_checked(7, 0);
    return (leaf.word[3] >> 24 & 1) && (vj_cpu_saved() & 0x60000) == 0x60000;
}

static void a_cpu_without_tiles_asks_for_none(void **state) {
    (void)state;
    assert_true(holds(this_cpu_is_asked, FORBID) == !cpu_has_tiles());
    assert_true(holds(this_cpu_is_asked, SECCOMP_RET_ALLOW));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_system_decides),
                                       cmocka_unit_test(only_who_wants_tiles_asks),
                                       cmocka_unit_test(a_cpu_without_tiles_asks_for_none)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void) { return 0; } /* no other machine has tiles */

#endif
