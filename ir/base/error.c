/* SPDX-License-Identifier: Apache-2.0 */
/* error.c - the first failure of a compilation, and growing texts. */
#include "base.h"

#include <stdio.h>
#include <string.h>

vj_status vj_fail(vj_error *error, vj_status status, const char *format, ...) {
    if (!error) return status;
    if (error->status != VJ_OK) return error->status;
    va_list args;
    va_start(args, format);
    vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    error->status = status;
    return status;
}

void vj_hint(vj_error *error, const char *format, ...) {
    if (!error || error->hint[0]) return;
    va_list args;
    va_start(args, format);
    vsnprintf(error->hint, sizeof error->hint, format, args);
    va_end(args);
}

/* Makes room for `more` characters and the final zero. */
static void reserve(vj_text *text, size_t more) {
    size_t needed = text->length + more + 1;
    if (needed <= text->capacity) return;
    size_t capacity = text->capacity ? text->capacity * 2 : 128;
    if (capacity < needed) capacity = needed;
    char *moved = vj_alloc(text->arena, capacity);
    if (text->length) memcpy(moved, text->at, text->length);
    text->at = moved;
    text->capacity = capacity;
}

void vj_text_add(vj_text *text, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    reserve(text, length < 0 ? 0 : (size_t)length);
    if (length > 0) {
        vsnprintf(text->at + text->length, (size_t)length + 1, format, again);
        text->length += (size_t)length;
    }
    va_end(again);
}
