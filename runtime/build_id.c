/* SPDX-License-Identifier: Apache-2.0 */
/* build_id.c - the build-id of a library that is not loaded. */
#include "runtime.h"

#include <fcntl.h>
#include <unistd.h>

#include "vitjit_build_id.h"

enum { MOST_SEGMENTS = 64, MOST_NOTES = 4096 };

static bool in_segment(int fd, const Elf64_Phdr *segment, char *text, size_t room) {
    uint8_t notes[MOST_NOTES];
    const size_t bytes = segment->p_filesz < sizeof notes ? (size_t)segment->p_filesz : sizeof notes;
    if (segment->p_type != PT_NOTE || segment->p_offset > INT64_MAX) return false;
    return pread(fd, notes, bytes, (off_t)segment->p_offset) == (ssize_t)bytes &&
           vj_build_id_in(notes, bytes, text, room);
}

static bool in_file(int fd, char *text, size_t room) {
    Elf64_Ehdr header;
    Elf64_Phdr segments[MOST_SEGMENTS];
    if (pread(fd, &header, sizeof header, 0) != (ssize_t)sizeof header ||
        memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
        header.e_phentsize != sizeof *segments || header.e_phnum > MOST_SEGMENTS || header.e_phoff > INT64_MAX)
        return false;
    const size_t bytes = header.e_phnum * sizeof *segments;
    if (pread(fd, segments, bytes, (off_t)header.e_phoff) != (ssize_t)bytes) return false;
    for (int i = 0; i < header.e_phnum; i++)
        if (in_segment(fd, &segments[i], text, room)) return true;
    return false;
}

bool vj_build_id_of(const char *path, char *text, size_t room) {
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const bool found = fd >= 0 && in_file(fd, text, room);
    if (fd >= 0) close(fd);
    return found;
}
