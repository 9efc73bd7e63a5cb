/* SPDX-License-Identifier: Apache-2.0 */
/* Classifies the held-out digits with the emitted object alone, and compares with what `vitjit --output` wrote.
 *     vitjit digits.onnx --emit-obj && cc main.c digits.o -lm -o digits
 *     ./digits test_images.npy test_labels.npy jit/logits.npy */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "digits.h"

/* The data of an .npy file, behind its header (version 1). */
static void *npy_data(const char *path, size_t bytes) {
    unsigned char head[10];
    FILE *file = fopen(path, "rb");
    void *data = malloc(bytes);
    if (!file || !data || fread(head, 1, 10, file) != 10 || fseek(file, 10 + head[8] + head[9] * 256, SEEK_SET) ||
        fread(data, 1, bytes, file) != bytes) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(2);
    }
    fclose(file);
    return data;
}

int main(int argc, char **argv) {
    enum { N = 360, CLASSES = 10 };
    if (argc != 4) return 1;
    const float *images = npy_data(argv[1], DIGITS_INPUT_0_BYTES(N));
    const long long *labels = npy_data(argv[2], N * sizeof(long long));
    const float *jit = npy_data(argv[3], DIGITS_OUTPUT_0_BYTES(N));
    float *logits = malloc(DIGITS_OUTPUT_0_BYTES(N));
    void *scratch = aligned_alloc(DIGITS_ALIGNMENT, DIGITS_SCRATCH_BYTES(N, 1));
    digits_context context;
    if (digits_init(&context, NULL, 0) ||
        digits_run(&context, N, (const void *[]){images}, (void *[]){logits}, scratch))
        return 2;
    int right = 0;
    for (int i = 0; i < N; i++) {
        int best = 0;
        for (int c = 1; c < CLASSES; c++)
            if (logits[i * CLASSES + c] > logits[i * CLASSES + best]) best = c;
        right += best == labels[i];
    }
    const int same = memcmp(logits, jit, DIGITS_OUTPUT_0_BYTES(N)) == 0;
    printf("%d of %d right; %s\n", right, N, same ? "every bit as just in time" : "DIFFERENT from just in time");
    return !same;
}
