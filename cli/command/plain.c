/* SPDX-License-Identifier: Apache-2.0 */
/* plain.c - texts from files for the terminal: what could move its cursor, change its colours or type for its user is shown as \xNN. */
#include "command.h"

#include <stdlib.h>
#include <string.h>

/* How many bytes the UTF-8 character has; 0: it is none. */
static int32_t character(const unsigned char *at, uint32_t *code) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const int32_t length = *at < 0x80 ? 1 : *at >> 5 == 6 ? 2 : *at >> 4 == 14 ? 3 : *at >> 3 == 30 ? 4 : 0;
    if (length == 0) return 0;
    *code = length == 1 ? *at : *at & (0x7fu >> length);
    for (int32_t i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80) return 0;
        *code = *code << 6 | (at[i] & 0x3fu);
    }
    const bool valid = *code >= least[length] && *code <= 0x10ffff && *code >> 11 != 0x1b;
    return valid ? length : 0;
}

/* Control characters, and those that turn the direction of text or part lines. */
static bool is_control(uint32_t c) {
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

void vj_put_plain(FILE *out, const char *text, bool lines) {
    const unsigned char *at = (const unsigned char *)text;
    while (*at) {
        uint32_t code = 0;
        const int32_t length = character(at, &code), bytes = length ? length : 1;
        if (length && (!is_control(code) || (lines && (code == '\n' || code == '\t'))))
            fwrite(at, 1, (size_t)bytes, out);
        else
            for (int32_t i = 0; i < bytes; i++)
                fprintf(out, "\\x%02x", at[i]);
        at += bytes;
    }
}

char *vj_plain_text(const char *text) {
    char *plain = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&plain, &size);
    if (!out) return NULL;
    vj_put_plain(out, text, false);
    if (fclose(out) == 0) return plain;
    free(plain);
    return NULL;
}
