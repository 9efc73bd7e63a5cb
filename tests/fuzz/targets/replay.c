/* SPDX-License-Identifier: Apache-2.0 */
/* replay.c - runs a target over the files that are named and those of folders, in the order of their names, where there is no fuzzing
 * engine. The name of a file is printed before it runs; one that takes more than ten seconds ends the program. */
#include "target.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECONDS = 10 };

static int run_file(const char *path) {
    FILE *file = fopen(path, "rb");
    struct stat st;
    if (!file || fstat(fileno(file), &st) != 0) {
        perror(path);
        exit(2);
    }
    uint8_t *bytes = malloc((size_t)st.st_size + 1);
    if (!bytes || fread(bytes, 1, (size_t)st.st_size, file) != (size_t)st.st_size) exit(2);
    fclose(file);
    fprintf(stderr, "%s\n", path);
    uint8_t *exact = exact_copy(bytes, (size_t)st.st_size);
    free(bytes);
    alarm(SECONDS);
    LLVMFuzzerTestOneInput(exact, (size_t)st.st_size);
    alarm(0);
    free(exact);
    return 1;
}

static int visible(const struct dirent *entry) { return entry->d_name[0] != '.'; }

static int run(const char *path) {
    struct stat st;
    struct dirent **entries = NULL;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) return run_file(path);
    const int count = scandir(path, &entries, visible, alphasort);
    for (int i = 0; i < count; i++) {
        char inner[4096];
        snprintf(inner, sizeof inner, "%s/%s", path, entries[i]->d_name);
        run_file(inner);
        free(entries[i]);
    }
    free(entries);
    return count;
}

int main(int argc, char **argv) {
    int done = 0;
    for (int i = 1; i < argc; i++)
        done += run(argv[i]);
    printf("%d inputs\n", done);
    return done > 0 ? 0 : 1; /* an empty folder tests nothing */
}
