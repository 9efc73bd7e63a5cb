/* SPDX-License-Identifier: Apache-2.0 */
/* parse.h - what the two halves of the parser share. */
#ifndef VITJIT_IR_TENSOR_PARSE_H
#define VITJIT_IR_TENSOR_PARSE_H

#include "ir.h"
#include "ir/base/lex.h"
#include "ir/base/names.h"

typedef struct vj_parser {
    vj_lexer l;
    vj_func *f;
    vj_names values;
    const char *folder;   /* of file("...") constants; NULL: none are allowed */
    int32_t symbols_used; /* s0 up to here stand in some type */
} vj_parser;

/* f32[N,197,768] */
bool vj_parse_type(vj_parser *p, vj_type *type);

/* parse_const.c: the constant behind the word `const`. Its elements are read before its type is known, so a list is
 * kept as it stands until vj_parse_elements turns it to bytes. */
typedef struct vj_parsed_const {
    vj_const constant;
    bool is_list, is_file;
    vj_text_span *elements;
    int32_t count, capacity;
    const char *at; /* for messages */
} vj_parsed_const;
bool vj_parse_const(vj_parser *p, vj_parsed_const *c);
bool vj_parse_const_bytes(vj_parser *p, vj_parsed_const *c, const vj_type *type);

#endif
