/* SPDX-License-Identifier: Apache-2.0 */
/* model.c - the digits model as a WebAssembly module: static memory for one picture and what JavaScript calls. No libc, no
 * imports, no heap; build.sh compiles it. */
#include "digits.h"

#define EXPORT(name) __attribute__((export_name(#name))) name

static _Alignas(DIGITS_ALIGNMENT) unsigned char scratch[DIGITS_SCRATCH_BYTES(1, 1)];
static _Alignas(DIGITS_ALIGNMENT) unsigned char packed[DIGITS_WEIGHTS_BYTES];
static float pixels[DIGITS_INPUT_0_BYTES(1) / sizeof(float)], scores[DIGITS_OUTPUT_0_BYTES(1) / sizeof(float)];
static digits_context context;

/* Where JavaScript puts the weights file and a picture, and finds the scores. */
unsigned char *EXPORT(weights)(void);
float *EXPORT(image)(void);
float *EXPORT(logits)(void);
unsigned char *EXPORT(weights)(void) { return packed; }
float *EXPORT(image)(void) { return pixels; }
float *EXPORT(logits)(void) { return scores; }

size_t EXPORT(weights_bytes)(void);
const uint64_t *EXPORT(weights_digest)(void);
size_t EXPORT(weights_bytes)(void) { return sizeof packed; }
const uint64_t *EXPORT(weights_digest)(void) { return digits_model()->weights_digest; }

/* The picture is [1, channels, height, width]; the last function gives the number of classes. */
int EXPORT(channels)(void);
int EXPORT(height)(void);
int EXPORT(width)(void);
int EXPORT(classes)(void);
int EXPORT(channels)(void) { return (int)digits_model()->inputs[0].dims[1]; }
int EXPORT(height)(void) { return (int)digits_model()->inputs[0].dims[2]; }
int EXPORT(width)(void) { return (int)digits_model()->inputs[0].dims[3]; }
int EXPORT(classes)(void) { return (int)(sizeof scores / sizeof *scores); }

/* Must be called once, after the weights were written. */
int EXPORT(start)(void);
int EXPORT(start)(void) { return digits_init(&context, packed, sizeof packed); }

int EXPORT(run)(void);
int EXPORT(run)(void) {
    const void *inputs[DIGITS_INPUT_COUNT] = {pixels};
    void *outputs[DIGITS_OUTPUT_COUNT] = {scores};
    return digits_run(&context, 1, inputs, outputs, scratch);
}
