/* SPDX-License-Identifier: Apache-2.0 */
/* faults.h - a piece of work is done again and again, each time with another call of the C library failing. Each time it must end with the right
 * answer or with a status that blames the machine, without a crash and without a leak. */
#ifndef VITJIT_TESTS_FAULT_FAULTS_H
#define VITJIT_TESTS_FAULT_FAULTS_H

#include "interpose.h"
#include "vitjit.h"

typedef struct fault_outcome {
    vj_status status;
    char text[4096];  /* of the failure */
    char wrong[1024]; /* what is wrong with it whatever the status is; empty: nothing */
} fault_outcome;

typedef struct fault_case {
    const char *name;
    void (*work)(void *self, fault_outcome *out); /* begins with nothing and leaves nothing */
    void *self;
    bool writes; /* calls that write fail, too */
    long most;   /* calls that fail in the short form; 0: 100, with sanitizers 30 */
    const char
        *fragile; /* NULL, or a library that may crash where a call of its own fails: such crashes are counted apart */
} fault_case;

/* The program's main: `--all` makes each call fail, otherwise as many as the short form has, evenly spread; `--only WORD` takes the cases
 * whose names contain it, `--from N` begins with call N. Returns its exit status. */
int fault_main(int argc, char **argv, const fault_case *cases, int count);

#endif
