/* SPDX-License-Identifier: Apache-2.0 */
/* link.c - resolves ELF64 relocatable objects into one position-independent blob of code.
 *
 * The objects come from LLVM, but nothing in them is trusted: every offset and size is checked before use. Loadable
 * sections are laid out in the order of the files. Only PC-relative relocations to symbols of the objects are applied,
 * so that the blob works wherever it is mapped. Writable data, other relocations and undefined symbols are refused by
 * name.
 */
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "link.h"
#include "backend/module/object.h"

#define PLACED_LIMIT ((uint64_t)1 << 31) /* PC-relative offsets have 32 bits */

/* The blob, and the objects that it is made of. */
typedef struct linker {
    struct object_file *objects;
    int32_t count;
    struct definition *defined; /* by their names: open addressing, at most half full */
    uint64_t defined_room;      /* a power of two */
    uint8_t *code;
    uint64_t code_size;
    vj_error *error;
} linker;

typedef struct object_file {
    linker *l;
    const uint8_t *at;
    uint64_t size;
    const Elf64_Ehdr *header;
    const Elf64_Shdr *sections;
    uint64_t *address; /* of each section in the blob; UINT64_MAX when it is not loaded */
    const Elf64_Sym *symbols;
    uint64_t symbol_count;
    const char *names; /* the symbols' names; the last byte is 0 */
    uint64_t names_size;
} object_file;

static bool bad(const object_file *o, const char *what) {
    vj_fail(o->l->error, VJ_SYSTEM, "linking: %s", what);
    return false;
}

static bool inside(uint64_t offset, uint64_t length, uint64_t size) {
    return offset <= size && length <= size - offset;
}

/* The object itself is aligned to 8 bytes. */
static bool is_aligned(uint64_t offset) { return offset % 8 == 0; }

static bool read_header(object_file *o) {
    static const uint8_t magic[] = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT};
    if (o->size < sizeof(Elf64_Ehdr) || memcmp(o->at, magic, sizeof magic) != 0) return bad(o, "not an ELF64 object");
    o->header = (const Elf64_Ehdr *)(const void *)o->at;
    const Elf64_Ehdr *h = o->header;
    if (h->e_type != ET_REL) return bad(o, "not a relocatable object");
    if (h->e_machine != EM_X86_64 && h->e_machine != EM_AARCH64 && h->e_machine != EM_RISCV) {
        vj_fail(o->l->error, VJ_UNSUPPORTED,
                "code for this target becomes no image, so no shared library: --emit-obj writes an object");
        return false;
    }
    if (h->e_shentsize != sizeof(Elf64_Shdr) || !is_aligned(h->e_shoff) ||
        !inside(h->e_shoff, (uint64_t)h->e_shnum * sizeof(Elf64_Shdr), o->size))
        return bad(o, "the section table is outside of the object");
    o->sections = (const Elf64_Shdr *)(const void *)(o->at + h->e_shoff);
    for (uint32_t i = 0; i < h->e_shnum; i++) {
        const Elf64_Shdr *s = &o->sections[i];
        if (s->sh_type != SHT_NOBITS && s->sh_type != SHT_NULL && !inside(s->sh_offset, s->sh_size, o->size))
            return bad(o, "a section is outside of the object");
    }
    return true;
}

static bool read_symbols(object_file *o) {
    for (uint32_t i = 0; i < o->header->e_shnum; i++) {
        const Elf64_Shdr *s = &o->sections[i];
        if (s->sh_type != SHT_SYMTAB) continue;
        if (o->symbols) return bad(o, "two symbol tables");
        if (s->sh_entsize != sizeof(Elf64_Sym) || !is_aligned(s->sh_offset) || s->sh_link >= o->header->e_shnum)
            return bad(o, "a malformed symbol table");
        const Elf64_Shdr *names = &o->sections[s->sh_link];
        if (names->sh_type != SHT_STRTAB || names->sh_size == 0 || o->at[names->sh_offset + names->sh_size - 1] != 0)
            return bad(o, "a malformed string table");
        o->symbols = (const Elf64_Sym *)(const void *)(o->at + s->sh_offset);
        o->symbol_count = s->sh_size / sizeof(Elf64_Sym);
        o->names = (const char *)(o->at + names->sh_offset);
        o->names_size = names->sh_size;
    }
    return o->symbols || bad(o, "no symbol table");
}

static const char *name_of(const object_file *o, const Elf64_Sym *symbol) {
    return symbol->st_name < o->names_size ? o->names + symbol->st_name : "?";
}

/* Gives every loaded section an address. code_size becomes the blob's size. Unwinding tables are left out, as the code
 * does not use them. */
static bool lay_out(object_file *o) {
    for (uint32_t i = 0; i < o->header->e_shnum; i++) {
        const Elf64_Shdr *s = &o->sections[i];
        o->address[i] = UINT64_MAX;
        if (!(s->sh_flags & SHF_ALLOC) || s->sh_size == 0) continue;
        if (s->sh_type == SHT_X86_64_UNWIND || s->sh_type == SHT_NOTE) continue;
        if (s->sh_type != SHT_PROGBITS) return bad(o, "a loaded section of unknown kind");
        if (s->sh_flags & (SHF_WRITE | SHF_TLS)) return bad(o, "writable data");
        const uint64_t align = s->sh_addralign ? s->sh_addralign : 1;
        if ((align & (align - 1)) != 0 || align > 4096) return bad(o, "an alignment that makes no sense");
        const uint64_t start = (o->l->code_size + align - 1) / align * align;
        if (s->sh_size > PLACED_LIMIT || start + s->sh_size > PLACED_LIMIT) return bad(o, "too much code");
        o->address[i] = start;
        o->l->code_size = start + s->sh_size;
    }
    return true;
}

static void copy_sections(const object_file *o) {
    for (uint32_t i = 0; i < o->header->e_shnum; i++)
        if (o->address[i] != UINT64_MAX)
            memcpy(o->l->code + o->address[i], o->at + o->sections[i].sh_offset, o->sections[i].sh_size);
}

/* The address in the blob of a symbol that the object defines. */
static bool own_address(const object_file *o, const Elf64_Sym *symbol, uint64_t *address) {
    if (symbol->st_shndx >= o->header->e_shnum || o->address[symbol->st_shndx] == UINT64_MAX ||
        symbol->st_value > o->sections[symbol->st_shndx].sh_size)
        return bad(o, "a symbol outside of the code");
    *address = o->address[symbol->st_shndx] + symbol->st_value;
    return true;
}

/* What objects define for others. */
typedef struct definition {
    const object_file *object; /* NULL: an empty entry */
    const Elf64_Sym *symbol;
} definition;

static bool is_definition(const object_file *o, const Elf64_Sym *s) {
    return s->st_shndx != SHN_UNDEF && ELF64_ST_BIND(s->st_info) != STB_LOCAL && s->st_name < o->names_size;
}

/* The entry of the definition of `name`, or the empty entry where it belongs. */
static definition *find_definition(const linker *l, const char *name) {
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
    for (const char *c = name; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 0x100000001b3u;
    for (hash ^= hash >> 32;; hash++) {
        definition *d = &l->defined[hash & (l->defined_room - 1)];
        if (!d->object || strcmp(name_of(d->object, d->symbol), name) == 0) return d;
    }
}

/* Of several definitions the first object's holds. */
static bool list_definitions(linker *l) {
    uint64_t count = 0;
    for (int32_t i = 0; i < l->count; i++)
        count += l->objects[i].symbol_count;
    for (l->defined_room = 16; l->defined_room < 2 * count;)
        l->defined_room *= 2;
    l->defined = calloc(l->defined_room, sizeof *l->defined);
    if (!l->defined) return bad(l->objects, "out of memory");
    for (int32_t i = 0; i < l->count; i++) {
        const object_file *o = &l->objects[i];
        for (uint64_t s = 0; s < o->symbol_count; s++) {
            if (!is_definition(o, &o->symbols[s])) continue;
            definition *d = find_definition(l, name_of(o, &o->symbols[s]));
            if (!d->object) *d = (definition){o, &o->symbols[s]};
        }
    }
    return true;
}

/* The address in the blob of a symbol, whichever object defines it. */
static bool symbol_address(const object_file *o, uint64_t number, uint64_t *address) {
    if (number >= o->symbol_count) return bad(o, "a relocation names no symbol");
    const Elf64_Sym *symbol = &o->symbols[number];
    if (symbol->st_shndx != SHN_UNDEF) return own_address(o, symbol, address);
    const definition *there = find_definition(o->l, name_of(o, symbol));
    if (there->object) return own_address(there->object, there->symbol, address);
    vj_fail(o->l->error, VJ_SYSTEM, "linking: the code needs '%s', which is not in it", name_of(o, symbol));
    return false;
}

static uint32_t word_at(const uint8_t *at) {
    uint32_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

static bool unknown(const object_file *o, uint32_t type) {
    vj_fail(o->l->error, VJ_SYSTEM, "linking: relocation type %u is not PC-relative", (unsigned)type);
    return false;
}

/* Stores a distance of 32 bits. With its addend it may lead outside of the blob; that is no error of the format. */
static bool relocate_x86(const object_file *o, uint32_t type, uint8_t *at, int64_t distance) {
    if (type != R_X86_64_PC32 && type != R_X86_64_PLT32) return unknown(o, type);
    if (distance < INT32_MIN || distance > INT32_MAX) return bad(o, "a relocation out of range");
    const int32_t value = (int32_t)distance;
    memcpy(at, &value, sizeof value);
    return true;
}

/* ELF for the Arm 64-bit architecture, PC-relative and static data relocations. The blob is mapped at a multiple of
 * 4096, so that its pages are those of memory. */
static bool relocate_arm(const object_file *o, uint32_t type, uint8_t *at, uint64_t to, uint64_t from) {
    const uint32_t code = word_at(at);
    const int64_t distance = (int64_t)(to - from);
    uint32_t value = 0, shift = 0;
    switch (type) {
    case R_AARCH64_CALL26:
    case R_AARCH64_JUMP26:
        if (distance % 4 != 0 || distance < -(INT64_C(1) << 27) || distance >= INT64_C(1) << 27)
            return bad(o, "a relocation out of range");
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
        return unknown(o, type);
    }
    memcpy(at, &value, sizeof value);
    return true;
}

/* The relocations of a section, or NULL. read_header has checked that they lie inside the object. */
static const Elf64_Rela *relocations(const object_file *o, uint32_t section, uint64_t *count) {
    for (uint32_t i = 0; i < o->header->e_shnum; i++) {
        const Elf64_Shdr *s = &o->sections[i];
        if (s->sh_type != SHT_RELA || s->sh_info != section || !is_aligned(s->sh_offset)) continue;
        *count = s->sh_size / sizeof(Elf64_Rela);
        return (const Elf64_Rela *)(const void *)(o->at + s->sh_offset);
    }
    *count = 0;
    return NULL;
}

/* The distance whose lower 12 bits a relocation wants. Its symbol is a label at the instruction that has the upper
 * bits. */
static bool upper_distance(const object_file *o, uint64_t number, int64_t *distance) {
    if (number >= o->symbol_count) return bad(o, "a relocation names no symbol");
    const Elf64_Sym *label = &o->symbols[number];
    uint64_t from, to, count;
    if (!own_address(o, label, &from)) return false;
    const Elf64_Rela *table = relocations(o, label->st_shndx, &count);
    for (uint64_t i = 0; i < count; i++) {
        const Elf64_Rela *r = &table[i];
        if (r->r_offset != label->st_value || ELF64_R_TYPE(r->r_info) != R_RISCV_PCREL_HI20) continue;
        if (!symbol_address(o, ELF64_R_SYM(r->r_info), &to)) return false;
        if (r->r_addend < INT32_MIN || r->r_addend > INT32_MAX) return bad(o, "a relocation out of range");
        *distance = (int64_t)to + r->r_addend - (int64_t)from;
        return true;
    }
    return bad(o, "the lower part of a distance has no upper part");
}

static bool relocate_riscv(const object_file *o, uint32_t section, const Elf64_Rela *r) {
    const uint32_t type = ELF64_R_TYPE(r->r_info);
    const uint64_t number = ELF64_R_SYM(r->r_info), from = o->address[section] + r->r_offset;
    uint64_t to = 0;
    int64_t distance = 0;
    if (type == R_RISCV_RELAX) return true; /* permits the linker to shorten the code, which is optional */
    if (!inside(r->r_offset, vj_riscv_bytes(type), o->sections[section].sh_size))
        return bad(o, "a relocation outside of its section");
    if (r->r_addend < INT32_MIN || r->r_addend > INT32_MAX) return bad(o, "a relocation out of range");
    if (type == R_RISCV_PCREL_LO12_I || type == R_RISCV_PCREL_LO12_S) {
        if (!upper_distance(o, number, &distance)) return false;
    } else {
        if (!symbol_address(o, number, &to)) return false;
        to += (uint64_t)r->r_addend;
        distance = (int64_t)(to - from);
    }
    switch (vj_riscv_relocate(type, o->l->code + from, to, distance)) {
    case VJ_RELOCATION_UNKNOWN:
        return unknown(o, type);
    case VJ_RELOCATION_TOO_FAR:
        return bad(o, "a relocation out of range");
    default:
        return true;
    }
}

static bool relocate(const object_file *o, uint32_t section, const Elf64_Rela *r) {
    const uint64_t size = o->sections[section].sh_size;
    uint64_t to;
    if (o->header->e_machine == EM_RISCV) return relocate_riscv(o, section, r);
    if (!inside(r->r_offset, 4, size)) return bad(o, "a relocation outside of its section");
    if (!symbol_address(o, ELF64_R_SYM(r->r_info), &to)) return false;
    if (r->r_addend < INT32_MIN || r->r_addend > INT32_MAX) return bad(o, "a relocation out of range");
    const uint64_t from = o->address[section] + r->r_offset;
    const uint32_t type = ELF64_R_TYPE(r->r_info);
    const int64_t target = (int64_t)to + r->r_addend;
    if (o->header->e_machine == EM_X86_64) return relocate_x86(o, type, o->l->code + from, target - (int64_t)from);
    if (target < 0) return bad(o, "a relocation out of range");
    return relocate_arm(o, type, o->l->code + from, (uint64_t)target, from);
}

static bool relocate_all(const object_file *o) {
    for (uint32_t i = 0; i < o->header->e_shnum; i++) {
        const Elf64_Shdr *s = &o->sections[i];
        if (s->sh_type != SHT_RELA && s->sh_type != SHT_REL) continue;
        if (s->sh_info >= o->header->e_shnum) return bad(o, "relocations of no section");
        if (o->address[s->sh_info] == UINT64_MAX) continue;
        if (s->sh_type == SHT_REL || s->sh_entsize != sizeof(Elf64_Rela) || !is_aligned(s->sh_offset))
            return bad(o, "a malformed relocation table");
        const Elf64_Rela *table = (const Elf64_Rela *)(const void *)(o->at + s->sh_offset);
        for (uint64_t r = 0; r < s->sh_size / sizeof *table; r++)
            if (!relocate(o, s->sh_info, &table[r])) return false;
    }
    return true;
}

static bool find_entry(const linker *l, const char *symbol, uint64_t *entry) {
    const definition *d = find_definition(l, symbol);
    if (d->object) {
        if (!own_address(d->object, d->symbol, entry)) return false;
        return *entry < l->code_size || bad(d->object, "a symbol outside of the code");
    }
    vj_fail(l->error, VJ_SYSTEM, "linking: no symbol '%s'", symbol);
    return false;
}

/* Lists the functions and their addresses in the blob. */
static void add_symbols(const object_file *o, vj_text *symbols) {
    for (uint64_t i = 0; i < o->symbol_count; i++) {
        const Elf64_Sym *s = &o->symbols[i];
        if (ELF64_ST_TYPE(s->st_info) != STT_FUNC || s->st_shndx >= o->header->e_shnum ||
            o->address[s->st_shndx] == UINT64_MAX || s->st_value > o->sections[s->st_shndx].sh_size)
            continue;
        vj_text_add(symbols, "%llx %llx %s\n", (unsigned long long)(o->address[s->st_shndx] + s->st_value),
                    (unsigned long long)s->st_size, name_of(o, s));
    }
}

typedef struct listing {
    const linker *l;
    vj_text *symbols;
} listing;

static void list_symbols(void *self) {
    const listing *list = self;
    for (int32_t i = 0; i < list->l->count; i++)
        add_symbols(&list->l->objects[i], list->symbols);
}

static bool open_object(object_file *o, const vj_bytes *bytes) {
    o->at = bytes->at;
    o->size = bytes->size;
    if ((uintptr_t)o->at % 8 != 0) return bad(o, "the object is not aligned");
    if (!read_header(o) || !read_symbols(o)) return false;
    o->address = calloc((size_t)o->header->e_shnum + 1, sizeof *o->address);
    return o->address ? lay_out(o) : bad(o, "out of memory");
}

static bool link_all(linker *l, const vj_bytes *objects, const char *symbol, uint64_t *entry) {
    for (int32_t i = 0; i < l->count; i++) {
        l->objects[i].l = l;
        if (!open_object(&l->objects[i], &objects[i])) return false;
    }
    l->code = calloc(l->code_size + 1, 1);
    if (!l->code) return bad(l->objects, "out of memory");
    if (!list_definitions(l)) return false;
    for (int32_t i = 0; i < l->count; i++)
        copy_sections(&l->objects[i]);
    for (int32_t i = 0; i < l->count; i++)
        if (!relocate_all(&l->objects[i])) return false;
    return find_entry(l, symbol, entry);
}

bool vj_links_for(const vj_target *target) { return target->machine->format == VJ_FORMAT_ELF; }

vj_status vj_link_named(const vj_bytes *objects, int32_t count, const char *symbol, vj_bytes *code, uint64_t *entry,
                        vj_text *symbols, vj_error *error) {
    *code = (vj_bytes){0};
    *entry = 0;
    linker l = {.objects = calloc((size_t)count + 1, sizeof(object_file)), .count = count, .error = error};
    if (!l.objects) return vj_fail(error, VJ_SYSTEM, "out of memory");
    listing list = {&l, symbols};
    const bool fine = link_all(&l, objects, symbol, entry);
    const bool had_memory = !fine || !symbols || vj_arena_try(symbols->arena, list_symbols, &list);
    for (int32_t i = 0; i < count; i++)
        free(l.objects[i].address);
    free(l.objects);
    free(l.defined);
    if (!fine || !had_memory) free(l.code);
    if (!had_memory) vj_out_of_memory(symbols->arena);
    if (!fine) return error->status;
    *code = (vj_bytes){l.code, l.code_size};
    return VJ_OK;
}

vj_status vj_link_objects(const vj_bytes *objects, int32_t count, const char *symbol, vj_bytes *code, uint64_t *entry,
                          vj_error *error) {
    return vj_link_named(objects, count, symbol, code, entry, NULL, error);
}

vj_status vj_link_code(const vj_bytes *object, const char *symbol, vj_bytes *code, uint64_t *entry, vj_error *error) {
    return vj_link_objects(object, 1, symbol, code, entry, error);
}
