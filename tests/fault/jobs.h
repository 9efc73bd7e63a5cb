/* SPDX-License-Identifier: Apache-2.0 */
/* jobs.h - work of the compiler whose answer must be the same each time. */
#ifndef VITJIT_TESTS_FAULT_JOBS_H
#define VITJIT_TESTS_FAULT_JOBS_H

#include "faults.h"

#include "compiler/compiler.h"

typedef struct job {
    const char *model;
    vj_options options;
    vj_status (*call)(const vj_compile_request *, char **, char *, size_t); /* of a text */
    char *wanted; /* the first answer, which nothing disturbed; malloc'ed */
    size_t wanted_bytes;
} job;

vj_compile_request job_request(const job *j);
/* Is it the first answer? */
void job_compare(job *j, const void *got, size_t bytes, fault_outcome *out);
void job_compare_file(job *j, const char *path, fault_outcome *out); /* which is removed */
void job_look_at_folder(fault_outcome *out);                         /* it must be empty */
void job_text(void *self, fault_outcome *out);                       /* j->call */

/* The program's main: the cases, in a folder that goes with their jobs' answers. */
int job_main(int argc, char **argv, const fault_case *cases, size_t case_count, job *jobs, size_t job_count);

#define DIGITS  VJ_SOURCE_DIR "/examples/digits/digits.onnx"
#define OPTIONS .size = sizeof(vj_options)

#endif
