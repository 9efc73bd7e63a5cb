/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_cursor.c - what the reader of programs takes from the text: signs, words, numbers, types, buffers. */
#include "kernel_parse.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void vj_parse_fail(vj_kernel_parser *r, const char *wanted) {
    if (r->failed) return;
    r->failed = true;
    int line = 1;
    for (const char *c = r->text; c < r->at; c++)
        line += *c == '\n';
    vj_fail(r->error, VJ_BAD_INPUT, "line %d: %s is wanted before '%.20s'", line, wanted, r->at);
}

void vj_skip_blanks(vj_kernel_parser *r) {
    for (;;) {
        while (isspace((unsigned char)*r->at))
            r->at++;
        if (*r->at != '#') return;
        r->at += strcspn(r->at, "\n");
    }
}

bool vj_accept(vj_kernel_parser *r, const char *sign) {
    vj_skip_blanks(r);
    const size_t length = strlen(sign);
    if (r->failed || strncmp(r->at, sign, length) != 0) return false;
    r->at += length;
    return true;
}

void vj_expect(vj_kernel_parser *r, const char *sign) {
    if (!vj_accept(r, sign)) vj_parse_fail(r, sign);
}

static size_t name_length(const char *at) {
    size_t n = 0;
    while (isalnum((unsigned char)at[n]) || (at[n] && strchr("._/-", at[n])))
        n++;
    return n;
}

bool vj_accept_word(vj_kernel_parser *r, const char *word) {
    vj_skip_blanks(r);
    const size_t length = strlen(word);
    if (r->failed || name_length(r->at) != length || strncmp(r->at, word, length) != 0) return false;
    r->at += length;
    return true;
}

char *vj_take_name(vj_kernel_parser *r) {
    vj_skip_blanks(r);
    const size_t length = name_length(r->at);
    if (length == 0) vj_parse_fail(r, "a name");
    char *name = vj_strndup(r->arena, r->at, r->failed ? 0 : length);
    if (!r->failed) r->at += length;
    return name;
}

int64_t vj_take_int(vj_kernel_parser *r) {
    vj_skip_blanks(r);
    char *end;
    errno = 0;
    const long long x = strtoll(r->at, &end, 10);
    if (end == r->at || errno != 0) vj_parse_fail(r, "an integer");
    if (!r->failed) r->at = end;
    return r->failed ? 0 : x;
}

double vj_take_number(vj_kernel_parser *r) {
    if (vj_accept(r, "inf")) return INFINITY;
    if (vj_accept(r, "-inf")) return -INFINITY;
    if (vj_accept(r, "nan")) return NAN;
    char *end;
    const double x = vj_strtod(r->at, &end);
    if (end == r->at) vj_parse_fail(r, "a number");
    if (!r->failed) r->at = end;
    return r->failed ? 0 : x;
}

vj_dtype vj_take_dtype(vj_kernel_parser *r) {
    vj_skip_blanks(r);
    size_t length = 0;
    while (isalnum((unsigned char)r->at[length]))
        length++;
    const vj_dtype dtype = vj_dtype_by_name(r->at, length);
    if (dtype == VJ_NO_DTYPE) vj_parse_fail(r, "a dtype");
    if (!r->failed) r->at += length;
    return dtype;
}

static bool all_digits(const char *name) { return name[strspn(name, "0123456789")] == 0; }

int32_t vj_take_buffer(vj_kernel_parser *r) {
    vj_expect(r, "%");
    const char *name = vj_take_name(r);
    if (r->failed) return 0;
    for (int32_t i = 0; i < r->p->buffer_count; i++)
        if (r->p->buffers[i].name && strcmp(r->p->buffers[i].name, name) == 0) return i;
    const long number = all_digits(name) ? strtol(name, NULL, 10) : -1;
    if (number >= 0 && number < r->p->buffer_count) return (int32_t)number;
    vj_parse_fail(r, "a buffer that is declared");
    return 0;
}
