/* SPDX-License-Identifier: Apache-2.0 */
/* lex.c - tokens of the textual form. */
#include "lex.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool vj_lex_fail(vj_lexer *l, const char *at, const char *format, ...) {
    int line = 1, column = 1;
    for (const char *c = l->text; c < at && *c; c++) {
        column = *c == '\n' ? 1 : column + 1;
        line += *c == '\n';
    }
    char text[1500];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    vj_fail(l->error, VJ_BAD_INPUT, "%d:%d: %s", line, column, text);
    return false;
}

const char *vj_lex_here(vj_lexer *l) {
    for (;;) {
        l->at += strspn(l->at, " \t\r\n");
        if (*l->at != ';') return l->at;
        l->at += strcspn(l->at, "\n");
    }
}

bool vj_lex_take(vj_lexer *l, const char *mark) {
    size_t length = strlen(mark);
    if (strncmp(vj_lex_here(l), mark, length) != 0) return false;
    l->at += length;
    return true;
}

/* The first bytes at a position, for messages. */
static const char *excerpt(vj_lexer *l, const char *at, char out[24]) {
    if (!*at) return "the end";
    size_t length = strcspn(at, "\n");
    snprintf(out, 24, "'%.*s'", (int)(length < 20 ? length : 20), at);
    (void)l;
    return out;
}

bool vj_lex_expect(vj_lexer *l, const char *mark) {
    if (vj_lex_take(l, mark)) return true;
    char found[24];
    return vj_lex_fail(l, l->at, "expected '%s', found %s", mark, excerpt(l, l->at, found));
}

static bool is_word_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("_./-", c));
}

static size_t word_length(const char *at) {
    size_t length = 0;
    while (is_word_byte(at[length]) && !(at[length] == '-' && at[length + 1] == '>'))
        length++;
    return length;
}

vj_text_span vj_lex_word(vj_lexer *l) {
    vj_text_span word = {vj_lex_here(l), 0};
    word.length = word_length(word.at);
    l->at += word.length;
    return word;
}

bool vj_lex_is(vj_text_span word, const char *text) {
    return strlen(text) == word.length && memcmp(word.at, text, word.length) == 0;
}

bool vj_lex_take_word(vj_lexer *l, const char *word) {
    const char *before = vj_lex_here(l);
    if (vj_lex_is(vj_lex_word(l), word)) return true;
    l->at = before;
    return false;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The byte that the escape after a backslash stands for, or -1 when it is unknown. */
static int escape(const char **at) {
    char c = *(*at)++;
    if (c == '"' || c == '\\') return c;
    if (c == 'n') return '\n';
    if (c == 't') return '\t';
    if (c != 'x') return -1;
    int high = hex_digit(**at);
    if (high < 0) return -1;
    int low = hex_digit((*at)[1]);
    if (low < 0 || high + low == 0) return -1;
    *at += 2;
    return high * 16 + low;
}

static bool quoted_name(vj_lexer *l, const char **name) {
    const char *start = l->at++, *at = l->at;
    while (*at && *at != '"' && *at != '\n')
        at += 1 + (*at == '\\' && at[1] && at[1] != '\n');
    if (*at != '"') return vj_lex_fail(l, start, "the string has no end");
    char *out = vj_alloc(l->arena, (size_t)(at - l->at) + 1);
    *name = out;
    while (*l->at != '"') {
        const char *here = l->at;
        int byte = (unsigned char)*l->at++;
        if (byte == '\\' && (byte = escape(&l->at)) < 0) return vj_lex_fail(l, here, "unknown escape in a string");
        *out++ = (char)byte;
    }
    l->at++;
    return true;
}

bool vj_lex_name(vj_lexer *l, const char **name, bool *quoted) {
    *quoted = *vj_lex_here(l) == '"';
    if (*quoted) return quoted_name(l, name);
    vj_text_span word = vj_lex_word(l);
    char found[24];
    if (!word.length) return vj_lex_fail(l, word.at, "expected a name, found %s", excerpt(l, word.at, found));
    *name = vj_strndup(l->arena, word.at, word.length);
    return true;
}

vj_text_span vj_lex_number(vj_lexer *l) {
    vj_text_span number = {vj_lex_here(l), 0};
    while (is_word_byte(number.at[number.length]) || number.at[number.length] == '+')
        number.length++;
    l->at += number.length;
    return number;
}

/* Copies a number, as the C library's functions need a zero at the end. A number that does not fit `copy` is an
 * error. */
static bool copy_number(vj_lexer *l, vj_text_span number, char copy[64]) {
    char found[24];
    if (number.length == 0)
        return vj_lex_fail(l, number.at, "expected a number, found %s", excerpt(l, number.at, found));
    if (number.length > 63) return vj_lex_fail(l, number.at, "the number is too long");
    memcpy(copy, number.at, number.length);
    copy[number.length] = 0;
    return true;
}

bool vj_lex_to_int(vj_lexer *l, vj_text_span number, int64_t *value) {
    char copy[64], *end;
    if (!copy_number(l, number, copy)) return false;
    errno = 0;
    *value = strtoll(copy, &end, 10);
    if (end == copy || *end) return vj_lex_fail(l, number.at, "'%s' is no integer", copy);
    return errno == 0 || vj_lex_fail(l, number.at, "'%s' does not fit 64 bits", copy);
}

bool vj_lex_to_uint(vj_lexer *l, vj_text_span number, uint64_t *value) {
    char copy[64], *end;
    if (!copy_number(l, number, copy)) return false;
    errno = 0;
    *value = strtoull(copy, &end, 10);
    if (end == copy || *end || copy[0] == '-') return vj_lex_fail(l, number.at, "'%s' is no unsigned integer", copy);
    return errno == 0 || vj_lex_fail(l, number.at, "'%s' does not fit 64 bits", copy);
}

bool vj_lex_to_float(vj_lexer *l, vj_text_span number, double *value) {
    char copy[64], *end;
    if (!copy_number(l, number, copy)) return false;
    *value = vj_strtod(copy, &end);
    return (end != copy && !*end) || vj_lex_fail(l, number.at, "'%s' is no number", copy);
}

bool vj_lex_int(vj_lexer *l, int64_t *value) { return vj_lex_to_int(l, vj_lex_number(l), value); }

bool vj_is_word(const char *name) { return *name && word_length(name) == strlen(name); }

void vj_text_name(vj_text *text, const char *name) {
    if (vj_is_word(name)) {
        vj_text_add(text, "%s", name);
        return;
    }
    vj_text_add(text, "\"");
    for (const char *c = name; *c; c++) {
        if (*c == '"' || *c == '\\')
            vj_text_add(text, "\\%c", *c);
        else if ((unsigned char)*c < 32 || *c == 127)
            vj_text_add(text, "\\x%02x", (unsigned)*c);
        else
            vj_text_add(text, "%c", *c);
    }
    vj_text_add(text, "\"");
}

void vj_text_float(vj_text *text, vj_dtype dtype, double value) {
    char digits[40];
    if (isnan(value)) {
        vj_text_add(text, "nan");
        return;
    }
    if (value == trunc(value) && fabs(value) < 1e9) {
        vj_text_add(text, "%.0f", value);
        return;
    }
    for (int precision = 1; precision <= 17; precision++) {
        vj_print_double(digits, precision, value);
        double back = vj_strtod(digits, NULL);
        if (back == value || (dtype == VJ_F32 && (float)back == (float)value)) break;
    }
    vj_text_add(text, "%s", digits);
}
