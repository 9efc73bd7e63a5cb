/* SPDX-License-Identifier: Apache-2.0 */
/* option_table.h - a row an option: parsing, --help, the manual page and the shells' completions are made of it. */
#ifndef VITJIT_CLI_COMMAND_OPTION_TABLE_H
#define VITJIT_CLI_COMMAND_OPTION_TABLE_H

#include <stddef.h>
#include <stdint.h>

typedef enum vj_option_kind {
    FLAG,    /* a bool */
    MAYBE,   /* a string behind '=', or none: "" */
    MODE,    /* chooses what is done; `number` is the vj_mode. With a `value`: a string behind '=', or none */
    EMIT,    /* the same, and `number` is the vj_emit_format */
    BENCH,   /* a mode with a number of seconds behind it, or not */
    TEXT,    /* a string */
    COUNT,   /* an integer from `number` up */
    NUMBER,  /* a finite number >= 0 */
    SECONDS, /* a finite number > 0, or `none`: -1 */
    BYTES,   /* a whole number > 0, of times 1024 with k, M, G behind it, or `none`: -1 */
    CHOICE,  /* one of the words in `value`, parted by '|' */
    CHOICES, /* one or more of them, each once, parted by ',' */
    LIST     /* repeatable strings */
} vj_option_kind;

typedef struct vj_option {
    const char *name; /* NULL: the row is a heading */
    char letter;      /* of the short form, or 0 */
    vj_option_kind kind;
    int64_t number;
    size_t field;      /* of vj_command */
    const char *value; /* how --help names it; NULL: there is none */
    uint32_t modes;    /* that take it */
    const char *about; /* NULL: the row above says it */
} vj_option;

const vj_option *vj_option_table(int32_t *rows);

/* A form of the command, and what it does. */
typedef struct vj_usage {
    const char *words, *about;
} vj_usage;
const vj_usage *vj_usage_table(int32_t *rows);

#endif
