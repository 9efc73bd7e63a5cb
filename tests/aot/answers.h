/* SPDX-License-Identifier: Apache-2.0 */
/* answers.h - what test programs for other machines share: reading files and comparing floats with recorded ones. */
#ifndef VITJIT_TESTS_ANSWERS_H
#define VITJIT_TESTS_ANSWERS_H

#include <math.h>
#include <stdio.h>

/* Reads the elements of an .npy file, at most `room` bytes. Returns how many bytes there were. */
static size_t read_npy(const char *path, void *data, size_t room) {
    unsigned char head[10] = {0};
    size_t got = 0;
    FILE *f = fopen(path, "rb");
    if (!f) return 0;
    if (fread(head, 1, sizeof head, f) == sizeof head && fseek(f, 10 + head[8] + 256 * head[9], SEEK_SET) == 0)
        got = fread(data, 1, room, f);
    fclose(f);
    return got;
}

static size_t read_file(const char *path, void *data, size_t room) {
    FILE *f = fopen(path, "rb");
    const size_t got = f ? fread(data, 1, room, f) : 0;
    if (f) fclose(f);
    return got;
}

/* The largest difference, divided by the largest wanted magnitude. */
static double difference(const float *got, const float *wanted, size_t count) {
    double scale = 1e-3, off = 0;
    for (size_t i = 0; i < count; i++)
        scale = fmax(scale, fabs((double)wanted[i]));
    for (size_t i = 0; i < count; i++)
        off = isfinite(got[i]) ? fmax(off, fabs((double)got[i] - (double)wanted[i])) : INFINITY;
    return off / scale;
}

#endif
