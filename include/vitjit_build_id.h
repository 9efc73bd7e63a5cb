/* SPDX-License-Identifier: Apache-2.0 */
/* vitjit_build_id.h - the GNU build-id in ELF notes: it changes with every change of a library, and stays when the same
 * sources are built again. Private to the project (not installed).
 */
#ifndef VITJIT_BUILD_ID_H
#define VITJIT_BUILD_ID_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Writes the id in hexadecimal, as much of it as there is room for. `notes` is a whole segment of notes. */
static inline bool vj_build_id_in(const uint8_t *notes, size_t bytes, char *text, size_t room) {
    while (bytes >= sizeof(Elf64_Nhdr)) {
        Elf64_Nhdr note; /* of 32-bit files too */
        memcpy(&note, notes, sizeof note);
        const size_t left = bytes - sizeof note;
        const size_t name = ((size_t)note.n_namesz + 3) & ~(size_t)3, data = ((size_t)note.n_descsz + 3) & ~(size_t)3;
        if (name > left || data > left - name) return false;
        const uint8_t *words = notes + sizeof note, *id = words + name;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && memcmp(words, "GNU", 4) == 0) {
            for (size_t i = 0; i < note.n_descsz && 2 * i + 3 <= room; i++)
                snprintf(text + 2 * i, 3, "%02x", id[i]);
            return note.n_descsz > 0 && room >= 3;
        }
        notes += sizeof note + name + data;
        bytes = left - name - data;
    }
    return false;
}

#endif
