/* folder.h - a temporary folder of a test's own, its files, and commands of the shell. */
#ifndef VITJIT_TESTS_FOLDER_H
#define VITJIT_TESTS_FOLDER_H

#include <stdbool.h>
#include <stddef.h>

/* One a process, in $TMPDIR or /tmp. */
bool folder_make(void);
bool folder_remove(void); /* with all that is in it */
const char *folder_path(void);

/* The path of `name` there; good until seven others were asked for. */
const char *in_folder(const char *name);
/* Ends the test when it cannot. */
void write_file(const char *path, const void *data, size_t size);

/* A command's exit status; -1: it was ended by a signal. */
int status_of(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
