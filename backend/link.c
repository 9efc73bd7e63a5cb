/* link.c - resolves an ELF64 relocatable object into one position-independent blob of code.
 *
 * The object is ours, but nothing in it is believed: every offset and size is checked before use. Loadable sections are
 * laid out in the order of the file; only PC-relative relocations to symbols of the object itself are applied, so the
 * blob works wherever it is mapped. Writable data, any other relocation and any undefined symbol are refused by name.
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "backend.h"

#define PLACED_LIMIT ((uint64_t)1 << 31) /* PC-relative offsets have 32 bits */

typedef struct linker {
    const uint8_t *at;
    uint64_t size;
    const Elf64_Ehdr *header;
    const Elf64_Shdr *sections;
    uint64_t *place; /* of each section in the blob; UINT64_MAX: not loaded */
    const Elf64_Sym *symbols;
    uint64_t symbol_count;
    const char *names; /* of symbols; ends with 0 */
    uint64_t names_size;
    uint8_t *code;
    uint64_t code_size;
    vj_error *error;
} linker;

static bool bad(const linker *l, const char *what) {
    vj_fail(l->error, VJ_SYSTEM, "linking: %s", what);
    return false;
}

static bool inside(uint64_t offset, uint64_t length, uint64_t size) {
    return offset <= size && length <= size - offset;
}

/* The object itself is. */
static bool is_aligned(uint64_t offset) { return offset % 8 == 0; }

static bool read_header(linker *l) {
    static const uint8_t magic[] = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT};
    if (l->size < sizeof(Elf64_Ehdr) || memcmp(l->at, magic, sizeof magic) != 0) return bad(l, "not an ELF64 object");
    l->header = (const Elf64_Ehdr *)(const void *)l->at;
    const Elf64_Ehdr *h = l->header;
    if (h->e_type != ET_REL) return bad(l, "not a relocatable object");
    if (h->e_machine != EM_X86_64 && h->e_machine != EM_AARCH64) return bad(l, "an object for another machine");
    if (h->e_shentsize != sizeof(Elf64_Shdr) || !is_aligned(h->e_shoff) ||
        !inside(h->e_shoff, (uint64_t)h->e_shnum * sizeof(Elf64_Shdr), l->size))
        return bad(l, "the section table is outside of the object");
    l->sections = (const Elf64_Shdr *)(const void *)(l->at + h->e_shoff);
    for (uint32_t i = 0; i < h->e_shnum; i++) {
        const Elf64_Shdr *s = &l->sections[i];
        if (s->sh_type != SHT_NOBITS && s->sh_type != SHT_NULL && !inside(s->sh_offset, s->sh_size, l->size))
            return bad(l, "a section is outside of the object");
    }
    return true;
}

static bool read_symbols(linker *l) {
    for (uint32_t i = 0; i < l->header->e_shnum; i++) {
        const Elf64_Shdr *s = &l->sections[i];
        if (s->sh_type != SHT_SYMTAB) continue;
        if (l->symbols) return bad(l, "two symbol tables");
        if (s->sh_entsize != sizeof(Elf64_Sym) || !is_aligned(s->sh_offset) || s->sh_link >= l->header->e_shnum)
            return bad(l, "a malformed symbol table");
        const Elf64_Shdr *names = &l->sections[s->sh_link];
        if (names->sh_type != SHT_STRTAB || names->sh_size == 0 || l->at[names->sh_offset + names->sh_size - 1] != 0)
            return bad(l, "a malformed string table");
        l->symbols = (const Elf64_Sym *)(const void *)(l->at + s->sh_offset);
        l->symbol_count = s->sh_size / sizeof(Elf64_Sym);
        l->names = (const char *)(l->at + names->sh_offset);
        l->names_size = names->sh_size;
    }
    return l->symbols || bad(l, "no symbol table");
}

static const char *name_of(const linker *l, const Elf64_Sym *symbol) {
    return symbol->st_name < l->names_size ? l->names + symbol->st_name : "?";
}

/* A place for every section that is loaded; code_size becomes the blob's size. Sections that speak of the code, not to
 * it, are left out: unwinding tables. */
static bool lay_out(linker *l) {
    for (uint32_t i = 0; i < l->header->e_shnum; i++) {
        const Elf64_Shdr *s = &l->sections[i];
        l->place[i] = UINT64_MAX;
        if (!(s->sh_flags & SHF_ALLOC) || s->sh_size == 0) continue;
        if (s->sh_type == SHT_X86_64_UNWIND || s->sh_type == SHT_NOTE) continue;
        if (s->sh_type != SHT_PROGBITS) return bad(l, "a loaded section of unknown kind");
        if (s->sh_flags & (SHF_WRITE | SHF_TLS)) return bad(l, "writable data");
        const uint64_t align = s->sh_addralign ? s->sh_addralign : 1;
        if ((align & (align - 1)) != 0 || align > 4096) return bad(l, "an alignment that makes no sense");
        const uint64_t start = (l->code_size + align - 1) / align * align;
        if (s->sh_size > PLACED_LIMIT || start + s->sh_size > PLACED_LIMIT) return bad(l, "too much code");
        l->place[i] = start;
        l->code_size = start + s->sh_size;
    }
    return l->code_size > 0 || bad(l, "no code");
}

static bool copy_sections(linker *l) {
    l->code = calloc(l->code_size, 1);
    if (!l->code) return bad(l, "no memory");
    for (uint32_t i = 0; i < l->header->e_shnum; i++)
        if (l->place[i] != UINT64_MAX)
            memcpy(l->code + l->place[i], l->at + l->sections[i].sh_offset, l->sections[i].sh_size);
    return true;
}

/* Where a symbol stands in the blob. */
static bool symbol_place(const linker *l, uint64_t number, uint64_t *place) {
    if (number >= l->symbol_count) return bad(l, "a relocation names no symbol");
    const Elf64_Sym *symbol = &l->symbols[number];
    if (symbol->st_shndx == SHN_UNDEF) {
        vj_fail(l->error, VJ_SYSTEM, "linking: the code needs '%s', which is not in it", name_of(l, symbol));
        return false;
    }
    if (symbol->st_shndx >= l->header->e_shnum || l->place[symbol->st_shndx] == UINT64_MAX ||
        symbol->st_value > l->sections[symbol->st_shndx].sh_size)
        return bad(l, "a symbol outside of the code");
    *place = l->place[symbol->st_shndx] + symbol->st_value;
    return true;
}

static uint32_t word_at(const uint8_t *at) {
    uint32_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

static bool unknown(const linker *l, uint32_t type) {
    vj_fail(l->error, VJ_SYSTEM, "linking: relocation type %u is not PC-relative", (unsigned)type);
    return false;
}

/* `to` and `from` are places of the blob; an addend that leaves the blob is no mistake of the format. */
static bool relocate_x86(const linker *l, uint32_t type, uint8_t *at, int64_t distance) {
    if (type != R_X86_64_PC32 && type != R_X86_64_PLT32) return unknown(l, type);
    if (distance < INT32_MIN || distance > INT32_MAX) return bad(l, "a relocation out of range");
    const int32_t value = (int32_t)distance;
    memcpy(at, &value, sizeof value);
    return true;
}

/* ELF for the Arm 64-bit architecture, table "PC-relative" and static data relocations. Pages are the blob's: it is
 * mapped at a multiple of 4096. */
static bool relocate_arm(const linker *l, uint32_t type, uint8_t *at, uint64_t to, uint64_t from) {
    const uint32_t code = word_at(at);
    const int64_t distance = (int64_t)(to - from);
    uint32_t value = 0, shift = 0;
    switch (type) {
    case R_AARCH64_CALL26:
    case R_AARCH64_JUMP26:
        if (distance % 4 != 0 || distance < -(INT64_C(1) << 27) || distance >= INT64_C(1) << 27)
            return bad(l, "a relocation out of range");
        value = code | ((uint32_t)(distance >> 2) & 0x3ffffff);
        break;
    case R_AARCH64_ADR_PREL_PG_HI21: {
        const uint32_t pages = (uint32_t)((int64_t)(to >> 12) - (int64_t)(from >> 12));
        value = code | (pages & 3) << 29 | (pages >> 2 & 0x7ffff) << 5;
        break;
    }
    case R_AARCH64_ADD_ABS_LO12_NC:
        value = code | (uint32_t)(to & 0xfff) << 10;
        break;
    case R_AARCH64_LDST128_ABS_LO12_NC:
        shift++; /* fall through */
    case R_AARCH64_LDST64_ABS_LO12_NC:
        shift++; /* fall through */
    case R_AARCH64_LDST32_ABS_LO12_NC:
        shift++; /* fall through */
    case R_AARCH64_LDST16_ABS_LO12_NC:
        shift++; /* fall through */
    case R_AARCH64_LDST8_ABS_LO12_NC:
        value = code | (uint32_t)((to & 0xfff) >> shift) << 10;
        break;
    case R_AARCH64_PREL32:
        value = (uint32_t)distance;
        break;
    default:
        return unknown(l, type);
    }
    memcpy(at, &value, sizeof value);
    return true;
}

static bool relocate(const linker *l, uint32_t section, const Elf64_Rela *r) {
    const uint64_t size = l->sections[section].sh_size;
    uint64_t to;
    if (!inside(r->r_offset, 4, size)) return bad(l, "a relocation outside of its section");
    if (!symbol_place(l, ELF64_R_SYM(r->r_info), &to)) return false;
    if (r->r_addend < INT32_MIN || r->r_addend > INT32_MAX) return bad(l, "a relocation out of range");
    const uint64_t from = l->place[section] + r->r_offset;
    const uint32_t type = ELF64_R_TYPE(r->r_info);
    const int64_t target = (int64_t)to + r->r_addend;
    if (l->header->e_machine == EM_X86_64) return relocate_x86(l, type, l->code + from, target - (int64_t)from);
    if (target < 0) return bad(l, "a relocation out of range");
    return relocate_arm(l, type, l->code + from, (uint64_t)target, from);
}

static bool relocate_all(const linker *l) {
    for (uint32_t i = 0; i < l->header->e_shnum; i++) {
        const Elf64_Shdr *s = &l->sections[i];
        if (s->sh_type != SHT_RELA && s->sh_type != SHT_REL) continue;
        if (s->sh_info >= l->header->e_shnum) return bad(l, "relocations of no section");
        if (l->place[s->sh_info] == UINT64_MAX) continue;
        if (s->sh_type == SHT_REL || s->sh_entsize != sizeof(Elf64_Rela) || !is_aligned(s->sh_offset))
            return bad(l, "a malformed relocation table");
        const Elf64_Rela *table = (const Elf64_Rela *)(const void *)(l->at + s->sh_offset);
        for (uint64_t r = 0; r < s->sh_size / sizeof *table; r++)
            if (!relocate(l, s->sh_info, &table[r])) return false;
    }
    return true;
}

static bool find_entry(const linker *l, const char *symbol, uint64_t *entry) {
    for (uint64_t i = 0; i < l->symbol_count; i++) {
        const Elf64_Sym *s = &l->symbols[i];
        if (s->st_shndx == SHN_UNDEF || s->st_name >= l->names_size || strcmp(name_of(l, s), symbol) != 0) continue;
        if (!symbol_place(l, i, entry)) return false;
        return *entry < l->code_size || bad(l, "a symbol outside of the code");
    }
    vj_fail(l->error, VJ_SYSTEM, "linking: no symbol '%s'", symbol);
    return false;
}

vj_status vj_link_code(const vj_bytes *object, const char *symbol, vj_bytes *code, uint64_t *entry, vj_error *error) {
    *code = (vj_bytes){0};
    *entry = 0;
    linker state = {.at = object->at, .size = object->size, .error = error}, *l = &state;
    bool fine = (uintptr_t)object->at % 8 == 0 || bad(l, "the object is not aligned");
    fine = fine && read_header(l) && read_symbols(l);
    if (fine) {
        l->place = calloc((size_t)l->header->e_shnum + 1, sizeof *l->place);
        fine = l->place || bad(l, "no memory");
    }
    fine = fine && lay_out(l) && copy_sections(l) && relocate_all(l) && find_entry(l, symbol, entry);
    free(l->place);
    if (!fine) {
        free(l->code);
        return error->status;
    }
    *code = (vj_bytes){l->code, l->code_size};
    return VJ_OK;
}
