/* SPDX-License-Identifier: Apache-2.0 */
/* web.c - an emitted object as a WebAssembly module for bench/web.mjs: one image, static memory, no imports. */
#include "model.h"

#define EXPORT(name) __attribute__((export_name(#name))) name

static _Alignas(M_ALIGNMENT) unsigned char scratch[M_SCRATCH_BYTES(1, 1)];
static _Alignas(M_ALIGNMENT) unsigned char packed[M_WEIGHTS_BYTES];
static float in[M_INPUT_0_BYTES(1) / sizeof(float)], out[M_OUTPUT_0_BYTES(1) / sizeof(float)];
static m_context context;
_Static_assert(M_INPUT_COUNT == 1 && M_OUTPUT_COUNT == 1, "one input and one output");

unsigned char *EXPORT(weights)(void);
float *EXPORT(input)(void);
float *EXPORT(output)(void);
int EXPORT(input_count)(void);
int EXPORT(output_count)(void);
int EXPORT(rank)(void);
int EXPORT(dim)(int axis);
int EXPORT(start)(void);
int EXPORT(run)(void);
unsigned char *EXPORT(weights)(void) { return packed; }
float *EXPORT(input)(void) { return in; }
float *EXPORT(output)(void) { return out; }
int EXPORT(input_count)(void) { return (int)(sizeof in / sizeof *in); }
int EXPORT(output_count)(void) { return (int)(sizeof out / sizeof *out); }
int EXPORT(rank)(void) { return m_model()->inputs[0].rank; }
/* The dim of an axis, for one image. */
int EXPORT(dim)(int axis) {
    const int64_t dim = m_model()->inputs[0].dims[axis];
    return (int)(dim < 0 ? -dim : dim);
}
int EXPORT(start)(void) { return m_init(&context, packed, sizeof packed); }
int EXPORT(run)(void) { return m_run(&context, 1, (const void *[]){in}, (void *[]){out}, scratch); }
