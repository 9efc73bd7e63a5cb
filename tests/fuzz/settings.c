/* SPDX-License-Identifier: Apache-2.0 */
/* settings.c - reads the arguments that all fuzzers have. */
#include "graph.h"

#include <stdlib.h>
#include <string.h>

int read_setting(settings *s, int argc, char **argv, int i) {
    const char *value = i + 1 < argc ? argv[i + 1] : "";
    if (strcmp(argv[i], "--verbose") == 0) {
        s->verbose = true;
        return 1;
    }
    if (strcmp(argv[i], "--seconds") == 0) {
        s->seconds = atof(value);
    } else if (strcmp(argv[i], "--seed") == 0) {
        s->seed = strtoull(value, NULL, 10);
    } else if (strcmp(argv[i], "--count") == 0) {
        s->count = strtoll(value, NULL, 10);
        s->seconds = 1e9;
    } else if (strcmp(argv[i], "--one") == 0) {
        s->seed = strtoull(value, NULL, 10);
        s->count = 1;
    } else {
        return 0;
    }
    return 2;
}

uint8_t *read_file(const char *path, size_t *size) {
    FILE *f = fopen(path, "rb");
    long length = -1;
    if (f && fseek(f, 0, SEEK_END) == 0) length = ftell(f);
    uint8_t *bytes = length >= 0 ? calloc(1, (size_t)length + 1) : NULL;
    if (f) rewind(f);
    if (!bytes || fread(bytes, 1, (size_t)length, f) != (size_t)length) {
        fprintf(stderr, "%s cannot be read\n", path);
        exit(2);
    }
    fclose(f);
    *size = (size_t)length;
    return bytes;
}
