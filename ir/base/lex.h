/* SPDX-License-Identifier: Apache-2.0 */
/* lex.h - tokens of the textual form. Blanks, newlines and comments (from ; to the end of the line) separate tokens and
 * mean nothing else. Errors begin with line:column. The text may be any zero-terminated bytes. */
#ifndef VITJIT_IR_BASE_LEX_H
#define VITJIT_IR_BASE_LEX_H

#include "base.h"

typedef struct vj_lexer {
    const char *text; /* the whole text, for line and column */
    const char *at;
    vj_arena *arena;
    vj_error *error;
} vj_lexer;

typedef struct vj_text_span {
    const char *at;
    size_t length;
} vj_text_span;

/* Notes an error at a position of the text. Returns false. */
bool vj_lex_fail(vj_lexer *l, const char *at, const char *format, ...) VJ_PRINTF(3, 4);
const char *vj_lex_here(vj_lexer *l);            /* the next token's first byte */
bool vj_lex_take(vj_lexer *l, const char *mark); /* consumes the mark if it is next */
bool vj_lex_expect(vj_lexer *l, const char *mark);
/* The next word, of letters, digits and _ . / - (but not the - of a ->). It is empty when there is none. */
vj_text_span vj_lex_word(vj_lexer *l);
bool vj_lex_is(vj_text_span word, const char *text);
/* Consumes the next word if it is this one. */
bool vj_lex_take_word(vj_lexer *l, const char *word);
/* Reads a word, or a string in double quotes with the escapes \" \\ \n \t \xHH. */
bool vj_lex_name(vj_lexer *l, const char **name, bool *quoted);
/* Takes the span of a number. It is converted later, when its kind is known. */
vj_text_span vj_lex_number(vj_lexer *l);
bool vj_lex_to_int(vj_lexer *l, vj_text_span number, int64_t *value);
bool vj_lex_to_uint(vj_lexer *l, vj_text_span number, uint64_t *value);
bool vj_lex_to_float(vj_lexer *l, vj_text_span number, double *value);
bool vj_lex_int(vj_lexer *l, int64_t *value);

/* Printing. */
bool vj_is_word(const char *name);
void vj_text_name(vj_text *text, const char *name); /* a word as it is, any other name in quotes */
/* Adds the fewest digits that read back as the same number: as an f32 where dtype is f32, else as a double. */
void vj_text_float(vj_text *text, vj_dtype dtype, double value);

#endif
