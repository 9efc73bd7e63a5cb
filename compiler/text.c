/* SPDX-License-Identifier: Apache-2.0 */
/* text.c - words of a model for others: names as terminals may see them, strings of JSON. */
#include "compiler.h"

const char *vj_shown(vj_arena *arena, const char *name) {
    char *copy = vj_strdup(arena, name ? name : "");
    for (char *at = copy; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f) *at = '?';
    return copy;
}

/* A JSON string. Bytes that are no UTF-8 become U+FFFD, so that the text is always valid. */
static int32_t utf8_length(const unsigned char *at) {
    if (at[0] < 0x80) return 1;
    const int32_t length = at[0] >= 0xf0 ? 4 : at[0] >= 0xe0 ? 3 : 2;
    if (at[0] < 0xc2 || at[0] > 0xf4) return 0;
    for (int32_t i = 1; i < length; i++)
        if ((at[i] & 0xc0) != 0x80) return 0;
    /* Overlong forms, surrogates and what is beyond U+10FFFF. */
    if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f)) return 0;
    return (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f) ? 0 : length;
}

void vj_add_json_string(vj_text *out, const char *text) {
    vj_text_add(out, "\"");
    for (const unsigned char *at = (const unsigned char *)(text ? text : ""); *at;) {
        const int32_t length = utf8_length(at);
        if (length == 0)
            vj_text_add(out, "\\ufffd");
        else if (*at < 0x20)
            vj_text_add(out, "\\u%04x", *at);
        else if (*at == '"' || *at == '\\')
            vj_text_add(out, "\\%c", *at);
        else
            vj_text_add(out, "%.*s", (int)length, (const char *)at);
        at += length ? length : 1;
    }
    vj_text_add(out, "\"");
}
