/* SPDX-License-Identifier: Apache-2.0 */
/* build.c - the name of this build: the cache must not take what another compiler made. */
#include "compiler.h"

#include <elf.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

/* The GNU build-id of the library that holds this code: it changes with every change of the compiler, and stays when
 * the same sources are built again. */
typedef struct build {
    uintptr_t here;
    char text[sizeof VITJIT_VERSION + 64];
} build;

static bool holds(const struct dl_phdr_info *info, uintptr_t address) {
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type == PT_LOAD && address - (info->dlpi_addr + p->p_vaddr) < p->p_memsz) return true;
    }
    return false;
}

static void read_notes(const uint8_t *at, size_t left, build *b) {
    while (left >= sizeof(ElfW(Nhdr))) {
        ElfW(Nhdr) note;
        memcpy(&note, at, sizeof note);
        const size_t name = (note.n_namesz + 3u) & ~3u, data = (note.n_descsz + 3u) & ~3u;
        if (name > left - sizeof note || data > left - sizeof note - name) return;
        const uint8_t *id = at + sizeof note + name;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && memcmp(at + sizeof note, "GNU", 4) == 0) {
            size_t length = strlen(b->text);
            for (size_t i = 0; i < note.n_descsz && length + 3 < sizeof b->text; i++, length += 2)
                snprintf(b->text + length, 3, "%02x", id[i]);
            return;
        }
        at += sizeof note + name + data;
        left -= sizeof note + name + data;
    }
}

static int look(struct dl_phdr_info *info, size_t size, void *self) {
    build *b = self;
    (void)size;
    if (!holds(info, b->here)) return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type == PT_NOTE) read_notes((const uint8_t *)(info->dlpi_addr + p->p_vaddr), p->p_memsz, b);
    }
    return 1;
}

static build this_build;

static void find(void) {
    this_build.here = (uintptr_t)&find;
    snprintf(this_build.text, sizeof this_build.text, "%s+", VITJIT_VERSION);
    dl_iterate_phdr(look, &this_build);
}

const char *vj_build_id(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, find);
    return this_build.text;
}
