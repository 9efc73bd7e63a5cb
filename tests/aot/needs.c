/* SPDX-License-Identifier: Apache-2.0 */
/* needs.c - finds undefined symbols. The objects are not checked, as LLVM has just written them. */
#include "needs.h"

#include <elf.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static bool elf_needs(const char *base, char *name, size_t room) {
    Elf64_Ehdr header;
    memcpy(&header, base, sizeof header);
    for (int i = 0; i < header.e_shnum; i++) {
        Elf64_Shdr table, names;
        memcpy(&table, base + header.e_shoff + (size_t)i * sizeof table, sizeof table);
        if (table.sh_type != SHT_SYMTAB) continue;
        memcpy(&names, base + header.e_shoff + table.sh_link * sizeof names, sizeof names);
        for (size_t at = sizeof(Elf64_Sym); at < table.sh_size; at += sizeof(Elf64_Sym)) {
            Elf64_Sym symbol;
            memcpy(&symbol, base + table.sh_offset + at, sizeof symbol);
            if (symbol.st_shndx != SHN_UNDEF) continue;
            snprintf(name, room, "%s", base + names.sh_offset + symbol.st_name);
            return true;
        }
    }
    return false;
}

static uint64_t number(const uint8_t **at) { /* LEB128 */
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
        const uint8_t byte = *(*at)++;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80)) return value;
    }
}

static void skip_limits(const uint8_t **at) {
    const uint64_t flags = number(at);
    number(at);
    if (flags & 1) number(at);
}

/* WebAssembly's specification, 5.5.5: the import section. */
static bool wasm_needs(const uint8_t *at, const uint8_t *end, char *name, size_t room) {
    enum { IMPORTS = 2, FUNCTION = 0, TABLE = 1, MEMORY = 2 };
    for (at += 8; at < end;) {
        const uint8_t section = *at++;
        const uint64_t size = number(&at);
        if (section != IMPORTS) {
            at += size;
            continue;
        }
        for (uint64_t left = number(&at); left > 0; left--) {
            const uint64_t module = number(&at);
            at += module;
            const uint64_t length = number(&at);
            const char *text = (const char *)at;
            at += length;
            const uint8_t kind = *at++;
            const bool is_linkers =
                kind == TABLE || kind == MEMORY || (length == 15 && memcmp(text, "__stack_pointer", 15) == 0);
            if (!is_linkers) {
                snprintf(name, room, "%.*s", (int)length, text);
                return true;
            }
            at += kind == TABLE;
            if (kind == TABLE || kind == MEMORY)
                skip_limits(&at);
            else
                at += 2; /* type, and whether it changes */
        }
        return false;
    }
    return false;
}

bool object_needs(const void *object, size_t bytes, char *name, size_t room) {
    const bool is_elf = memcmp(object, ELFMAG, SELFMAG) == 0;
    return is_elf ? elf_needs(object, name, room) : wasm_needs(object, (const uint8_t *)object + bytes, name, room);
}
