/* SPDX-License-Identifier: Apache-2.0 */
#include "folder.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

static char folder[256];

bool folder_make(void) {
    const char *temporary = getenv("TMPDIR");
    const int length = snprintf(folder, sizeof folder, "%s/vitjit-test-XXXXXX", temporary ? temporary : "/tmp");
    return length < (int)sizeof folder && mkdtemp(folder);
}

bool folder_remove(void) { return status_of("rm -rf '%s'", folder) == 0; }

const char *folder_path(void) { return folder; }

const char *in_folder(const char *name) {
    static char path[8][512];
    static int next;
    char *at = path[next++ % 8];
    snprintf(at, sizeof path[0], "%s/%s", folder, name);
    return at;
}

void write_file(const char *path, const void *data, size_t size) {
    FILE *f = fopen(path, "wb");
    if (f && fwrite(data, 1, size, f) == size && fclose(f) == 0) return;
    perror(path);
    abort();
}

int status_of(const char *format, ...) {
    char command[4096];
    va_list args;
    va_start(args, format);
    vsnprintf(command, sizeof command, format, args);
    va_end(args);
    const int status = system(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
