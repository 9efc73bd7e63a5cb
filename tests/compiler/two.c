/* SPDX-License-Identifier: Apache-2.0 */
/* two.c - links two models into one program, which includes the library's header too.
 * usage: two INPUT1 INPUT2 OUTPUT1 OUTPUT2 */
#include <stdio.h>

#include "digits.h"
#include "other.h"
#include "vitjit.h"

enum { N = 5 };
static _Alignas(64) unsigned char in1[DIGITS_INPUT_0_BYTES(N)], out1[DIGITS_OUTPUT_0_BYTES(N)],
    scratch1[DIGITS_SCRATCH_BYTES(N, 1)];
static _Alignas(64) unsigned char in2[OTHER_INPUT_0_BYTES(N)], out2[OTHER_OUTPUT_0_BYTES(N)],
    scratch2[OTHER_SCRATCH_BYTES(N, 1)];

static int transfer(const char *path, const char *mode, void *data, size_t bytes) {
    FILE *f = fopen(path, mode);
    if (!f) return 0;
    const size_t done = *mode == 'r' ? fread(data, 1, bytes, f) : fwrite(data, 1, bytes, f);
    return fclose(f) == 0 && done == bytes;
}

int main(int argc, char **argv) {
    digits_context one;
    other_context two;
    const void *inputs1[] = {in1}, *inputs2[] = {in2};
    void *outputs1[] = {out1}, *outputs2[] = {out2};
    if (argc != 5 || !transfer(argv[1], "rb", in1, sizeof in1) || !transfer(argv[2], "rb", in2, sizeof in2)) return 1;
    if (digits_init(&one, NULL, 0) || other_init(&two, NULL, 0)) return 2;
    /* A context serves only its own model. */
    if (digits_run(&two, N, inputs1, outputs1, scratch1) != VJ_RUN_BAD_ARGUMENT) return 3;
    if (digits_run(&one, N, inputs1, outputs1, scratch1) || other_run(&two, N, inputs2, outputs2, scratch2)) return 4;
    return !transfer(argv[3], "wb", out1, sizeof out1) || !transfer(argv[4], "wb", out2, sizeof out2);
}
