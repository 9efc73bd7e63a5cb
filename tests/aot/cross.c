/* SPDX-License-Identifier: Apache-2.0 */
/* cross.c - a program for another machine that links an emitted object. It runs the object on the caller's thread, and
 * divided into three parts, which must give the same bits. In WebAssembly cross.mjs calls it; elsewhere main reads .npy
 * files of floats and compares. It uses no heap. MODEL_HEADER is the header of an object with the prefix m; N is the
 * batch size. */
#include MODEL_HEADER

#ifndef N
#define N 1
#endif
#define PARTS 3

#ifdef __wasm__
#define EXPORT(name) __attribute__((export_name(#name))) name
#else
#define EXPORT(name) name
#endif

static _Alignas(M_ALIGNMENT) unsigned char scratch[M_SCRATCH_BYTES(N, PARTS)];
static _Alignas(M_ALIGNMENT) unsigned char weights[M_WEIGHTS_BYTES ? M_WEIGHTS_BYTES : 1];
static _Alignas(8) unsigned char input[M_INPUT_0_BYTES(N)];
static _Alignas(8) unsigned char output[2][M_OUTPUT_0_BYTES(N)];
/* Only the first output is checked. Each of the others gets a buffer that is large enough. */
#ifdef M_OUTPUT_4_BYTES
#error "more outputs than this program makes room for"
#endif
#ifndef M_OUTPUT_3_BYTES
#define M_OUTPUT_3_BYTES(n) 0
#endif
#ifndef M_OUTPUT_2_BYTES
#define M_OUTPUT_2_BYTES(n) 0
#endif
#ifdef M_OUTPUT_1_BYTES
static _Alignas(8) unsigned char other[M_OUTPUT_COUNT][M_OUTPUT_1_BYTES(N) + M_OUTPUT_2_BYTES(N) + M_OUTPUT_3_BYTES(N)];
#endif

static void one_after_another(void *self, void (*task)(void *arg, int32_t part), void *arg, int32_t parts) {
    (void)self;
    while (parts-- > 0)
        task(arg, parts);
}

static int run_once(const m_context *context, int in_parts) {
    const vj_threads threads = {NULL, PARTS, one_after_another, NULL};
    const void *inputs[M_INPUT_COUNT] = {input};
    void *outputs[M_OUTPUT_COUNT] = {output[in_parts]};
#ifdef M_OUTPUT_1_BYTES
    for (int i = 1; i < M_OUTPUT_COUNT; i++)
        outputs[i] = other[i];
#endif
    return in_parts ? m_run_on(context, N, inputs, outputs, scratch, &threads)
                    : m_run(context, N, inputs, outputs, scratch);
}

/* Returns 0, the status of what failed, or 9 when the two runs differ. */
int EXPORT(run)(void);
int EXPORT(run)(void) {
    m_context context;
    int status = m_init(&context, M_WEIGHTS_BYTES ? weights : NULL, M_WEIGHTS_BYTES);
    if (status == VJ_RUN_OK) status = m_run(&context, 0, NULL, NULL, scratch) == VJ_RUN_BAD_ARGUMENT ? 0 : 8;
    if (status == VJ_RUN_OK) status = run_once(&context, 0);
    if (status == VJ_RUN_OK) status = run_once(&context, 1);
    if (m_model()->header_size != sizeof(vj_model) || m_model()->abi != VJ_MODEL_ABI) return 7;
    for (size_t i = 0; status == VJ_RUN_OK && i < sizeof output[0]; i++)
        if (output[0][i] != output[1][i]) status = 9;
    return status;
}

#ifdef __wasm__

unsigned char *EXPORT(input_at)(void);
unsigned char *EXPORT(output_at)(void);
unsigned char *EXPORT(weights_at)(void);
size_t EXPORT(input_bytes)(void);
size_t EXPORT(output_bytes)(void);
size_t EXPORT(weights_bytes)(void);
unsigned char *EXPORT(input_at)(void) { return input; }
unsigned char *EXPORT(output_at)(void) { return output[0]; }
unsigned char *EXPORT(weights_at)(void) { return weights; }
size_t EXPORT(input_bytes)(void) { return sizeof input; }
size_t EXPORT(output_bytes)(void) { return sizeof output[0]; }
size_t EXPORT(weights_bytes)(void) { return M_WEIGHTS_BYTES; }

#else

#include "answers.h"

/* cross INPUT.npy WANTED.npy RTOL [WEIGHTS]: no element may be off by more than RTOL of the largest wanted. */
int main(int argc, char **argv) {
    static float want[sizeof output[0] / sizeof(float)];
    const float *got = (const float *)(const void *)output[0];
    double rtol = 0;
    if (argc < 4 || sscanf(argv[3], "%lf", &rtol) != 1) return 2;
    if (read_npy(argv[1], input, sizeof input) != sizeof input) return printf("not the input: %s\n", argv[1]), 2;
    if (M_WEIGHTS_BYTES && (argc < 5 || read_file(argv[4], weights, sizeof weights) != M_WEIGHTS_BYTES))
        return printf("no weights\n"), 2;
    const size_t count = read_npy(argv[2], want, sizeof want) / sizeof *want;
    const int status = run();
    if (status || count == 0) return printf("status %d, %d values wanted\n", status, (int)count), 1;
    const double off = difference(got, want, count);
    printf("off by %.1e of the largest\n", off);
    return off <= rtol ? 0 : 1;
}

#endif
