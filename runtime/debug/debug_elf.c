/* SPDX-License-Identifier: Apache-2.0 */
/* debug_elf.c - mapped code as an ELF object with nothing but the address of its text and a symbol table. */
#include "runtime/runtime.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#if defined(__aarch64__)
#define MACHINE EM_AARCH64
#else
#define MACHINE EM_X86_64
#endif

static bool read_hex(const char **at, char end, uint64_t *value) {
    char *stop;
    errno = 0;
    *value = strtoull(*at, &stop, 16);
    const ptrdiff_t digits = stop - *at;
    const bool good = **at != '-' && digits > 0 && *stop == end && errno == 0;
    *at += digits + good;
    return good;
}

bool vj_debug_line(const char **symbols, size_t code_bytes, vj_function_line *line) {
    const char *at = *symbols;
    if (!*at || !read_hex(&at, ' ', &line->offset) || !read_hex(&at, ' ', &line->size)) return false;
    const char *end = strchr(at, '\n');
    if (!end || end == at || end - at > 4096 || line->offset > code_bytes || line->size > code_bytes - line->offset)
        return false;
    line->name = at;
    line->name_length = (int32_t)(end - at);
    *symbols = end + 1;
    return true;
}

enum { NONE, TEXT, SECTION_NAMES, NAMES, SYMBOLS, SECTIONS };
static const char section_names[] = "\0.text\0.shstrtab\0.strtab\0.symtab";

typedef struct layout {
    Elf64_Ehdr header;
    Elf64_Shdr section[SECTIONS];
    char section_names[(sizeof section_names + 7) / 8 * 8];
} layout;

static void describe(layout *l, const void *code, size_t code_bytes, size_t count, size_t names_bytes) {
    l->header = (Elf64_Ehdr){.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
                             .e_type = ET_REL,
                             .e_machine = MACHINE,
                             .e_version = EV_CURRENT,
                             .e_shoff = offsetof(layout, section),
                             .e_ehsize = sizeof(Elf64_Ehdr),
                             .e_shentsize = sizeof(Elf64_Shdr),
                             .e_shnum = SECTIONS,
                             .e_shstrndx = SECTION_NAMES};
    l->section[TEXT] = (Elf64_Shdr){.sh_name = 1,
                                    .sh_type = SHT_NOBITS, /* it is in memory already */
                                    .sh_flags = SHF_ALLOC | SHF_EXECINSTR,
                                    .sh_addr = (uintptr_t)code,
                                    .sh_size = code_bytes,
                                    .sh_addralign = 16};
    l->section[SECTION_NAMES] = (Elf64_Shdr){.sh_name = 7,
                                             .sh_type = SHT_STRTAB,
                                             .sh_offset = offsetof(layout, section_names),
                                             .sh_size = sizeof section_names,
                                             .sh_addralign = 1};
    l->section[SYMBOLS] = (Elf64_Shdr){.sh_name = 25,
                                       .sh_type = SHT_SYMTAB,
                                       .sh_offset = sizeof *l,
                                       .sh_size = count * sizeof(Elf64_Sym),
                                       .sh_link = NAMES,
                                       .sh_info = 1, /* all but the empty one are global */
                                       .sh_addralign = 8,
                                       .sh_entsize = sizeof(Elf64_Sym)};
    l->section[NAMES] = (Elf64_Shdr){.sh_name = 17,
                                     .sh_type = SHT_STRTAB,
                                     .sh_offset = sizeof *l + count * sizeof(Elf64_Sym),
                                     .sh_size = names_bytes,
                                     .sh_addralign = 1};
    memcpy(l->section_names, section_names, sizeof section_names);
}

void *vj_debug_object(const void *code, size_t code_bytes, const char *symbols, size_t *bytes) {
    size_t count = 1, names_bytes = 1;
    vj_function_line line;
    for (const char *at = symbols; vj_debug_line(&at, code_bytes, &line); count++)
        names_bytes += (size_t)line.name_length + 1;
    if (count == 1) return NULL;
    *bytes = sizeof(layout) + count * sizeof(Elf64_Sym) + names_bytes;
    uint8_t *object = calloc(1, *bytes);
    if (!object) return NULL;
    describe((layout *)(void *)object, code, code_bytes, count, names_bytes);
    Elf64_Sym *table = (Elf64_Sym *)(void *)(object + sizeof(layout));
    char *names = (char *)(table + count);
    size_t used = 1;
    for (const char *at = symbols; vj_debug_line(&at, code_bytes, &line);) {
        *++table = (Elf64_Sym){.st_name = (Elf64_Word)used,
                               .st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
                               .st_shndx = TEXT,
                               .st_value = line.offset, /* in the section */
                               .st_size = line.size};
        memcpy(names + used, line.name, (size_t)line.name_length);
        used += (size_t)line.name_length + 1;
    }
    return object;
}
