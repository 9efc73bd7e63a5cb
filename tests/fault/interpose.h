/* SPDX-License-Identifier: Apache-2.0 */
/* interpose.h - calls of the C library that fail when they are told to. A program that links this has them in place of the C library's, for
 * itself and all libraries that it loads. Calls made by LLVM, the C++ library and the loader are passed on and not counted: these end the
 * process, the loader where a thread has no room for a library's own data. */
#ifndef VITJIT_TESTS_FAULT_INTERPOSE_H
#define VITJIT_TESTS_FAULT_INTERPOSE_H

#include <stdbool.h>
#include <stddef.h>

typedef enum fault_kind {
    FAULT_MEMORY, /* malloc and its like, mmap, pthread_create: ENOMEM or EAGAIN */
    FAULT_READ,   /* read, pread, fread: EIO */
    FAULT_WRITE,  /* write, pwrite, fwrite, fclose of what was written, ftruncate, fsync, rename: ENOSPC */
    FAULT_KINDS
} fault_kind;

/* From here on call number `n` (from 0 on) of the kind fails; n < 0: none does, they are counted. */
void fault_arm(fault_kind kind, long n);
/* Calls of the kind since it was armed; counting ends. */
long fault_disarm(void);
/* No call fails nor counts until fault_resume or the next fault_arm: while a test looks at what was done. */
void fault_pause(void);
void fault_resume(void);
/* Where the call that failed came from: "library+0x1234"; "" when none did. Valid until the next is armed. */
const char *fault_place(void);
/* Blocks allocated since fault_arm by counted calls and not freed; *where is the caller of one of them. */
long fault_leaks(const char **where);

#endif
