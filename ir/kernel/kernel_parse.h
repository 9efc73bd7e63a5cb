/* SPDX-License-Identifier: Apache-2.0 */
/* kernel_parse.h - private to the reader of programs: the cursor and its few verbs.
 *
 * kernel_parse.c       program, buffers, weights
 * kernel_parse_body.c  kernels: axes, accesses, expressions
 * kernel_cursor.c      the verbs
 */
#ifndef VITJIT_IR_KERNEL_KERNEL_PARSE_H
#define VITJIT_IR_KERNEL_KERNEL_PARSE_H

#include "kernel.h"

typedef struct vj_kernel_parser {
    vj_arena *arena;
    const char *text, *at;
    vj_error *error;
    bool failed; /* from then on every verb does nothing and the caller unwinds */
    vj_program *p;
    vj_func *f;
    vj_kernel *k;
    int32_t input[VJ_MAX_ACCESSES]; /* access of x0, x1, ... */
    int32_t input_count;
    int32_t *lets; /* entry of t0, t1, ... */
    int32_t let_count, let_capacity;
    int32_t depth; /* of nested expressions */
} vj_kernel_parser;

/* kernel_cursor.c */
void vj_parse_fail(vj_kernel_parser *r, const char *wanted);
void vj_skip_blanks(vj_kernel_parser *r);
bool vj_accept(vj_kernel_parser *r, const char *sign); /* takes it if it comes next */
void vj_expect(vj_kernel_parser *r, const char *sign);
bool vj_accept_word(vj_kernel_parser *r, const char *word); /* the same for a whole word */
char *vj_take_name(vj_kernel_parser *r);                    /* letters, digits, and . _ / - */
int64_t vj_take_int(vj_kernel_parser *r);
double vj_take_number(vj_kernel_parser *r); /* inf and nan too */
vj_dtype vj_take_dtype(vj_kernel_parser *r);
int32_t vj_take_buffer(vj_kernel_parser *r); /* %name */

/* kernel_parse_body.c */
void vj_parse_kernel(vj_kernel_parser *r); /* behind the word kernel */

#endif
