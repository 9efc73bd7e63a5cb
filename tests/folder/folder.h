/* SPDX-License-Identifier: Apache-2.0 */
/* folder.h - a temporary folder for a test, its files, and shell commands. */
#ifndef VITJIT_TESTS_FOLDER_H
#define VITJIT_TESTS_FOLDER_H

#include <stdbool.h>
#include <stddef.h>

/* Makes the folder, in $TMPDIR or /tmp. A process has one. */
bool folder_make(void);
bool folder_remove(void); /* with all that is in it */
const char *folder_path(void);

/* The path of `name` in the folder. It is valid until the seventh later call. */
const char *in_folder(const char *name);
/* Writes a file, or ends the test. */
void write_file(const char *path, const void *data, size_t size);

/* Runs a shell command. Returns its exit status, or -1 when a signal ended it. */
int status_of(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
