/* SPDX-License-Identifier: Apache-2.0 */
/* library.c - finds what vj_load takes of an emitted library, by reading its file.
 *
 * The dynamic linker has no part in it: it would map the code, and run constructors, before anyone could look. Nothing of
 * the file is trusted. Formats: System V ABI, "Program Header" and "Note Section".
 */
#include "runtime.h"

#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vitjit_cpu.h"

#define MOST_SEGMENTS 128
#define MOST_NOTES    (1 << 16) /* bytes of a segment of notes */

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#elif defined(__aarch64__)
#define MACHINE EM_AARCH64
#elif defined(__riscv)
#define MACHINE EM_RISCV
#else
#define MACHINE EM_NONE
#endif

typedef struct elf_file {
    int fd;
    int64_t size;
    Elf64_Phdr segment[MOST_SEGMENTS];
    int32_t segments;
} elf_file;

bool vj_read_at(int fd, void *to, size_t bytes, int64_t at) {
    for (size_t done = 0; done < bytes;) {
        const ssize_t n = pread(fd, (char *)to + done, bytes - done, (off_t)at + (off_t)done);
        if (n < 0 && errno == EINTR) continue;
        if (n == 0) errno = 0; /* the file ends */
        if (n <= 0) return false;
        done += (size_t)n;
    }
    return true;
}

/* Behind vj_read_at: what the file is, where it only ends too early. */
static vj_status not_read(const char *what) {
    return errno ? vj_error_set(VJ_SYSTEM, "the library cannot be read: %s", strerror(errno))
                 : vj_error_set(VJ_BAD_INPUT, "%s", what);
}

static vj_status read_segments(elf_file *f) {
    static const char no_library[] = "it is no shared library of 64 bits";
    static const char no_segments[] = "the library is damaged: its segments cannot be read";
    struct stat st;
    Elf64_Ehdr h;
    if (fstat(f->fd, &st) != 0 || !S_ISREG(st.st_mode)) return vj_error_set(VJ_BAD_INPUT, "it is not a file");
    f->size = st.st_size;
    if (!vj_read_at(f->fd, &h, sizeof h, 0)) return not_read(no_library);
    if (memcmp(h.e_ident, ELFMAG, SELFMAG) != 0 || h.e_ident[EI_CLASS] != ELFCLASS64 ||
        h.e_ident[EI_DATA] != ELFDATA2LSB || h.e_type != ET_DYN)
        return vj_error_set(VJ_BAD_INPUT, no_library);
    if (h.e_machine != MACHINE) return vj_error_set(VJ_USAGE, "it was made for another kind of machine than this");
    if (h.e_phentsize != sizeof(Elf64_Phdr) || h.e_phnum > MOST_SEGMENTS || h.e_phoff > (uint64_t)f->size)
        return vj_error_set(VJ_BAD_INPUT, no_segments);
    if (!vj_read_at(f->fd, f->segment, h.e_phnum * sizeof(Elf64_Phdr), (int64_t)h.e_phoff))
        return not_read(no_segments);
    f->segments = h.e_phnum;
    return VJ_OK;
}

/* Where in the file are `bytes` at an address? -1: not in it. */
static int64_t file_offset_of(const elf_file *f, uint64_t address, uint64_t bytes) {
    for (int32_t i = 0; i < f->segments; i++) {
        const Elf64_Phdr *s = &f->segment[i];
        if (s->p_type != PT_LOAD || address < s->p_vaddr) continue;
        const uint64_t from = address - s->p_vaddr;
        uint64_t at;
        if (from > s->p_filesz || bytes > s->p_filesz - from) continue;
        if (__builtin_add_overflow(s->p_offset, from, &at) || at > (uint64_t)f->size || bytes > (uint64_t)f->size - at)
            return -1;
        return (int64_t)at;
    }
    return -1;
}

static vj_status check_note(const elf_file *f, uint64_t address, vj_library *library) {
    const vj_library_note *n = &library->note;
    if (n->version != VJ_LIBRARY_VERSION)
        return vj_error_set(VJ_BAD_INPUT, "the library was written by another version of vitjit");
    if (n->abi != VJ_MODEL_ABI)
        return vj_error_set(VJ_BAD_INPUT, "the library has version %u of the ABI, this is version %d", (unsigned)n->abi,
                            VJ_MODEL_ABI);
    library->image_at = file_offset_of(f, address + (uint64_t)n->image, n->image_bytes);
    library->weights_at = n->weights ? file_offset_of(f, address + (uint64_t)n->weights, n->weights_bytes) : 0;
    if (library->image_at < 0 || library->weights_at < 0 || n->image_bytes < sizeof(vj_image_header) ||
        memchr(n->weights_file, 0, sizeof n->weights_file) == NULL)
        return vj_error_set(VJ_BAD_INPUT, "the library is damaged or cut short");
    return VJ_OK;
}

/* What the image asks of the CPU. */
static vj_status read_cpu(const elf_file *f, vj_library *library) {
    vj_image_header h;
    library->cpu = (vj_cpu_variant){0};
    library->runs = false;
    if (!vj_read_at(f->fd, &h, sizeof h, library->image_at)) return not_read("the library is damaged or cut short");
    library->cpu = (vj_cpu_variant){.features = h.cpu_feature_bits, .rank = h.cpu_rank};
    library->runs = vj_cpu_has(vj_cpu_features(h.cpu_feature_bits), h.cpu_feature_bits);
    return VJ_OK;
}

static bool is_better(const vj_library *one, const vj_library *other) {
    return one->runs && (!other->runs || vj_cpu_better(&one->cpu, &other->cpu));
}

static uint64_t up(uint64_t x, uint64_t multiple) { return (x + multiple - 1) / multiple * multiple; }

/* The notes of one segment. *found counts those that are ours. */
static vj_status read_notes(const elf_file *f, const Elf64_Phdr *s, vj_library *library, int32_t *found) {
    _Alignas(8) char bytes[MOST_NOTES];
    const uint64_t align = s->p_align == 8 ? 8 : 4;
    /* Another's, or the rest of the file is missing: then nothing is found. */
    if (s->p_filesz > MOST_NOTES || s->p_offset > (uint64_t)f->size) return VJ_OK;
    if (!vj_read_at(f->fd, bytes, s->p_filesz, (int64_t)s->p_offset)) return errno ? not_read("") : VJ_OK;
    for (uint64_t at = 0; at + sizeof(Elf64_Nhdr) <= s->p_filesz;) {
        Elf64_Nhdr h;
        memcpy(&h, bytes + at, sizeof h);
        const uint64_t name = at + sizeof h, content = up(name + h.n_namesz, align), end = content + h.n_descsz;
        if (end > s->p_filesz) break;
        const bool ours = h.n_type == VJ_LIBRARY_TYPE && h.n_namesz == sizeof VJ_LIBRARY_NOTE &&
                          memcmp(bytes + name, VJ_LIBRARY_NOTE, sizeof VJ_LIBRARY_NOTE) == 0;
        if (ours && h.n_descsz == sizeof(vj_library_note)) {
            vj_library one;
            memcpy(&one.note, bytes + content, sizeof one.note);
            vj_status status = check_note(f, s->p_vaddr + content, &one);
            if (status == VJ_OK) status = read_cpu(f, &one);
            if (status) return status;
            if (*found == 0 || is_better(&one, library)) *library = one;
            ++*found;
        } else if (ours) {
            return vj_error_set(VJ_BAD_INPUT, "the library was written by another version of vitjit");
        }
        at = up(end, align);
    }
    return VJ_OK;
}

vj_status vj_library_find(int fd, vj_library *library) {
    elf_file f = {.fd = fd};
    int32_t found = 0;
    vj_status status = read_segments(&f);
    for (int32_t i = 0; i < f.segments && status == VJ_OK; i++)
        if (f.segment[i].p_type == PT_NOTE) status = read_notes(&f, &f.segment[i], library, &found);
    if (status == VJ_OK && found == 0)
        status = vj_error_set(VJ_BAD_INPUT, "the library has no model in it, or is cut short\n  hint: vitjit "
                                            "MODEL.onnx --emit-lib writes one");
    return status;
}
