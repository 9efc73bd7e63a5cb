/* api.c - the library's one exported symbol, and the name of this build. */
#include "compiler.h"

#include <elf.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static void free_orc(void *orc) { vj_orc_free(orc); }

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

static int32_t target_row(int32_t i, vj_target_info *info) {
    const vj_target *row = i >= 0 && i < vj_target_count() ? vj_target_at(i) : NULL;
    if (row)
        *info = (vj_target_info){.name = row->name,
                                 .triple = row->triple,
                                 .features = row->llvm_features,
                                 .is_host = row == vj_target_host(),
                                 .vector_bits = row->vector_bytes * 8,
                                 .registers = row->registers,
                                 .is_fused = row->muladd == VJ_MULADD_FMA,
                                 .l1_bytes = row->l1_bytes,
                                 .l2_bytes = row->l2_bytes};
    return row != NULL;
}

static vj_compiler_api the_api = {.version = VJ_COMPILER_API,
                                  .compile = vj_compile,
                                  .free_orc = free_orc,
                                  .emit = vj_emit_files,
                                  .inspect = vj_inspect,
                                  .report = vj_report_text,
                                  .check = vj_check,
                                  .read_tensor = vj_read_tensor,
                                  .peak = vj_peak,
                                  .target = target_row};

static void complete(void) {
    static build this_build;
    static char llvm[32];
    this_build.here = (uintptr_t)&the_api;
    snprintf(this_build.text, sizeof this_build.text, "%s+", VITJIT_VERSION);
    dl_iterate_phdr(look, &this_build);
    snprintf(llvm, sizeof llvm, "%s", vj_llvm_version()); /* which is the calling thread's */
    the_api.build_id = this_build.text;
    the_api.llvm_version = llvm;
}

const vj_compiler_api *vj_compiler_get(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, complete);
    return &the_api;
}
