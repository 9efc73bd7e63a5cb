/* SPDX-License-Identifier: Apache-2.0 */
/* build.c - the name of this build: the cache must not take what another compiler made. */
#include "compiler.h"

#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "vitjit_build_id.h"

/* Of the library that holds this code. */
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

static int look(struct dl_phdr_info *info, size_t size, void *self) {
    build *b = self;
    (void)size;
    if (!holds(info, b->here)) return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        if (p->p_type != PT_NOTE) continue;
        const size_t length = strlen(b->text);
        const uint8_t *notes = (const uint8_t *)(info->dlpi_addr + p->p_vaddr);
        if (vj_build_id_in(notes, p->p_memsz, b->text + length, sizeof b->text - length)) break;
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
