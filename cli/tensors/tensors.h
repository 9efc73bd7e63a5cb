/* SPDX-License-Identifier: Apache-2.0 */
/* tensors.h - tensors in memory and in files, apart from any model's code.
 *
 * array.c    tensors in memory: seeded values, statistics. The way in: vj_array
 * npy.c      .npy files
 * median.c   numbers in order
 * named.c    the files of options like --input NAME=x.npy
 * outputs.c  DIR/NAME.npy, all whole or none
 * compare.c  one tensor beside the one that is wanted
 * print.c    what is printed of a tensor
 *
 * Sees the room command.
 */
#ifndef VITJIT_CLI_TENSORS_TENSORS_H
#define VITJIT_CLI_TENSORS_TENSORS_H

#include "cli/command/command.h"

/* array.c */

/* A dense tensor in memory of its own. */
typedef struct vj_array {
    char *name; /* malloc'ed, or NULL */
    vj_dtype dtype;
    int32_t rank;
    int64_t dims[VJ_MODEL_MAX_RANK];
    size_t bytes;
    void *data; /* malloc'ed */
} vj_array;
void vj_array_free(vj_array *array);
void vj_arrays_free(vj_array *arrays, int32_t count);
/* Sets bytes from dtype and dims; false when they do not fit. */
bool vj_array_measure(vj_array *array);
bool vj_array_alloc(vj_array *array); /* measures, then zeroed data */
/* The elements become the corner of a larger array of zeros; false: no memory. */
bool vj_array_grow(vj_array *array, const int64_t *dims);
int64_t vj_array_elements(const vj_array *array);
const vj_array *vj_array_find(const vj_array *arrays, int32_t count, const char *name); /* NULL: none has the name */
double vj_array_at(const vj_array *array, int64_t i);
/* Standard normal values (integers and booleans: 0 and 1), the same for the same seed on every machine. */
void vj_array_fill(vj_array *array, uint64_t seed);
typedef struct vj_summary {
    double min, max, mean;
    int64_t not_finite; /* left out of the other three */
} vj_summary;
vj_summary vj_array_summary(const vj_array *array);
/* "f32[1,3,224,224]" */
#define VJ_TYPE_TEXT 256
const char *vj_type_words(vj_dtype dtype, const int64_t *dims, int32_t rank, char text[VJ_TYPE_TEXT]);

/* median.c: both put the values in rising order, in place */
void vj_sort_numbers(double *values, int64_t count);
double vj_median(double *values, int64_t count); /* of at least one; between the two in the middle of an even number */

/* npy.c: a reason in why when it is not VJ_OK: VJ_BAD_INPUT the file, VJ_SYSTEM the machine */
vj_status vj_npy_read(const char *path, vj_array *array, char why[512]);
bool vj_npy_can_hold(vj_dtype dtype);
bool vj_npy_write(FILE *file, const vj_array *array);

/* named.c: the files of a list of NAME=x.npy; `option` is for messages. The arrays are the caller's on failure too. */
vj_status vj_read_named(const vj_list *list, const char *option, vj_array **arrays);

/* outputs.c */

/* Can its outputs' files be named? Asked before long work. */
vj_status vj_outputs_names(const char *model_path, const vj_model *model);
/* The first `length` bytes of a name, at most `room`, with `_` for what is not in [A-Za-z0-9._-]. */
void vj_plain_name(const char *name, size_t length, char *out, size_t room);
/* Writes FOLDER/NAME.npy for each, all whole or none. */
vj_status vj_outputs_write(const char *folder, const vj_array *arrays, int32_t count);

/* compare.c */
typedef struct vj_tolerance {
    double rtol, atol;
    double atol_of_largest; /* added: this part of the largest expected magnitude */
} vj_tolerance;
typedef struct vj_difference {
    double max_abs, max_rel, dot, got_square, want_square;
    int64_t first_bad;      /* -1: none */
    int64_t rows, same_top; /* rows of the last axis, of floats, and those with the same largest element */
} vj_difference;
bool vj_is_float(vj_dtype dtype);
/* Of two arrays of one type and shape. */
vj_difference vj_differ(const vj_array *got, const vj_array *want, const vj_tolerance *tolerance);
/* Of both as vectors; of two that are zero 1. */
double vj_cosine(const vj_difference *difference);
bool vj_same_type(const vj_array *a, const vj_array *b);
/* Prints one line that begins with `label`; VJ_OK or VJ_DIFFERS. */
vj_status vj_compare(const char *label, const vj_array *got, const vj_array *want, const vj_tolerance *tolerance);

/* print.c: a line each */
void vj_print_outputs(const vj_array *outputs, int32_t count);

#endif
