/* SPDX-License-Identifier: Apache-2.0 */
/* debug.c - tests the object that debuggers get, the list that contains it and perf's map; and malformed lines of
 * symbols. */
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "runtime/runtime.h"

/* The interface of the GDB manual, "JIT Compilation Interface". */
struct jit_code_entry {
    struct jit_code_entry *next_entry, *prev_entry;
    const char *symfile_addr;
    uint64_t symfile_size;
};
extern struct jit_descriptor {
    uint32_t version;
    uint32_t action_flag;
    struct jit_code_entry *relevant_entry;
    struct jit_code_entry *first_entry;
} __jit_debug_descriptor;

#define CODE_BYTES 256
static const uint8_t code[CODE_BYTES];
static const char symbols[] = "0 10 vj_phase\n20 a0 vj_gemm_4x4x4_0\n";

static const char *section_name(const char *object, const Elf64_Shdr *s) {
    const Elf64_Ehdr *h = (const Elf64_Ehdr *)(const void *)object;
    const Elf64_Shdr *all = (const Elf64_Shdr *)(const void *)(object + h->e_shoff);
    return object + all[h->e_shstrndx].sh_offset + s->sh_name;
}

static void check_object(const char *object, size_t bytes) {
    const Elf64_Ehdr *h = (const Elf64_Ehdr *)(const void *)object;
    const Elf64_Shdr *all = (const Elf64_Shdr *)(const void *)(object + h->e_shoff), *table = NULL;
    assert_memory_equal(h->e_ident, ELFMAG, SELFMAG);
    for (int i = 0; i < h->e_shnum; i++) {
        if (all[i].sh_type != SHT_NOBITS) assert_true(all[i].sh_offset + all[i].sh_size <= bytes);
        if (all[i].sh_type == SHT_SYMTAB) table = &all[i];
        if (strcmp(section_name(object, &all[i]), ".text") == 0) {
            assert_true(all[i].sh_addr == (uintptr_t)code);
            assert_int_equal(all[i].sh_size, CODE_BYTES);
        }
    }
    assert_non_null(table);
    assert_string_equal(section_name(object, table), ".symtab");
    const Elf64_Sym *s = (const Elf64_Sym *)(const void *)(object + table->sh_offset);
    const char *names = object + all[table->sh_link].sh_offset;
    assert_int_equal(table->sh_size / table->sh_entsize, 3);
    assert_string_equal(names + s[1].st_name, "vj_phase");
    assert_string_equal(names + s[2].st_name, "vj_gemm_4x4x4_0");
    assert_int_equal(s[2].st_value, 0x20);
    assert_int_equal(s[2].st_size, 0xa0);
    assert_string_equal(section_name(object, &all[s[2].st_shndx]), ".text");
}

static void debuggers_see_what_is_mapped(void **state) {
    (void)state;
    assert_int_equal(__jit_debug_descriptor.version, 1);
    assert_null(__jit_debug_descriptor.first_entry);
    vj_debug *a = vj_debug_register(code, CODE_BYTES, symbols), *b = vj_debug_register(code, CODE_BYTES, symbols);
    vj_debug *c = vj_debug_register(code, CODE_BYTES, symbols);
    const struct jit_code_entry *first = __jit_debug_descriptor.first_entry;
    assert_true(a && b && c && first == (void *)c && first->next_entry == (void *)b);
    check_object(first->symfile_addr, first->symfile_size);
    vj_debug_unregister(b);
    assert_true(first->next_entry == (void *)a && first->next_entry->prev_entry == first);
    vj_debug_unregister(c);
    assert_true(__jit_debug_descriptor.first_entry == (void *)a);
    assert_null(__jit_debug_descriptor.first_entry->prev_entry);
    vj_debug_unregister(a);
    assert_null(__jit_debug_descriptor.first_entry);
    vj_debug_unregister(NULL);
}

static void what_is_no_symbol_is_left_out(void **state) {
    static const char *const bad[] = {"",
                                      "0 10 name",
                                      "zz 10 name\n",
                                      "0 name\n",
                                      "0  \n",
                                      "-1 1 name\n",
                                      "0 101 name\n",
                                      "ff 2 name\n",
                                      "0 10 \n",
                                      "0 -1 name\n",
                                      "101 0 name\n",
                                      "10000000000000000 1 name\n",
                                      "0 ffffffffffffffff name\n"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *at = bad[i];
        vj_function_line line;
        assert_false(vj_debug_line(&at, CODE_BYTES, &line));
        assert_null(vj_debug_register(code, CODE_BYTES, bad[i]));
    }
}

static void perf_gets_a_map(void **state) {
    char path[64], text[256] = "", want[256];
    (void)state;
    snprintf(path, sizeof path, "/tmp/perf-%ld.map", (long)getpid());
    unlink(path);
    vj_debug_unregister(vj_debug_register(code, CODE_BYTES, symbols));
    assert_int_not_equal(access(path, F_OK), 0); /* not asked for */
    setenv("VITJIT_PERF_MAP", "1", 1);
    vj_debug_unregister(vj_debug_register(code, CODE_BYTES, symbols));
    unsetenv("VITJIT_PERF_MAP");
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    text[fread(text, 1, sizeof text - 1, in)] = 0;
    fclose(in);
    unlink(path);
    snprintf(want, sizeof want, "%llx 10 vj_phase\n%llx a0 vj_gemm_4x4x4_0\n", (unsigned long long)(uintptr_t)code,
             (unsigned long long)(uintptr_t)code + 0x20);
    assert_string_equal(text, want);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(debuggers_see_what_is_mapped),
        cmocka_unit_test(what_is_no_symbol_is_left_out),
        cmocka_unit_test(perf_gets_a_map),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
