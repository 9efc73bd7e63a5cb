/* SPDX-License-Identifier: Apache-2.0 */
/* precision.h - private to the passes that choose types: precision.c, weight_format.c.
 *
 * precision_choice.c  which products must not lose digits, and why
 * precision_layers.c  what a calibration chose for them
 * precision_int8.c    products with weights in bytes
 * precision_probe.c   what products lose in smaller types, measured
 * weight_columns.c    what columns of weights amount to
 */
#ifndef VITJIT_PASSES_PRECISION_PRECISION_H
#define VITJIT_PASSES_PRECISION_PRECISION_H

#include "passes/rewrite/rewrite.h"

/* What the choice asks of values, found once. */
typedef struct vj_choice {
    vj_pass_context *c;
    bool *varies;   /* it follows from an input */
    int32_t *picks; /* the node that picks by it, without another product between; -1: none */
    vj_weight_reader *reader;
} vj_choice;

bool vj_is_float_product(const vj_func *f, const vj_node *node); /* of f32, f16 and bf16 */
vj_choice vj_choice_of(vj_pass_context *c);
/* Does --keep-f32 name the node? Notes which of its patterns do. */
bool vj_is_kept(vj_pass_context *c, const vj_node *node);
/* Why the product's factors must stay as they are; NULL: they may be narrow. */
const char *vj_why_exact(vj_choice *choice, const vj_node *node);
/* Why its weight must keep all its digits; NULL: it may be rounded. */
const char *vj_why_exact_weight(vj_choice *choice, const vj_node *node);

/* precision_layers.c */

/* Of each node what the calibration chose, or NULL; an array in the arena. NULL: an error. */
const vj_layer_choice *const *vj_layer_choices(vj_pass_context *c);

/* precision_int8.c */

/* A weight [depth, columns] in bytes. */
typedef struct vj_byte_weight {
    vj_value q, scale, shift; /* i8; f32[columns]; i32[columns], -128 times the sums of the columns */
} vj_byte_weight;
typedef struct vj_int8 {
    vj_pass_context *c;
    const vj_layer_choice *const *layers; /* of each node */
    int32_t node_count;
    vj_byte_weight *weights;           /* of nodes that are to be in bytes; q VJ_NONE: of another */
    vj_value *q, *scale;               /* of activations that were made bytes before; VJ_NONE: not yet */
    const vj_layer_choice **smoothing; /* that they were made with */
} vj_int8;
/* None of the products is to be in bytes. */
vj_int8 vj_no_int8(vj_pass_context *c, const vj_layer_choice *const *layers);
/* Chooses some, and tells the report; nothing is changed. */
void vj_choose_int8(vj_int8 *b, vj_choice *choice);
/* The product in bytes of a node that is to be. */
vj_value vj_int8_product(vj_int8 *b, int32_t n);
/* All of them take the place of the products. */
void vj_multiply_in_int8(vj_int8 *b);

/* weight_columns.c: of a weight [depth, columns]; a NaN stays. False: an error. */
bool vj_largest_of_columns(vj_pass_context *c, vj_value w, double *largest);
bool vj_largest_of_rows(vj_pass_context *c, vj_value w, double *largest);
bool vj_sums_of_columns(vj_pass_context *c, vj_value w, double *sums);

/* precision_probe.c: instead of choosing. */
vj_status vj_probe_products(vj_pass_context *c, vj_choice *choice, const vj_layer_choice *const *layers);

#endif
