/* precision.h - private to the passes that choose types: precision.c, weight_format.c.
 *
 * precision_choice.c  which products must not lose digits, and why
 * precision_int8.c    products with weights in bytes
 */
#ifndef VITJIT_PASSES_ALGEBRA_PRECISION_H
#define VITJIT_PASSES_ALGEBRA_PRECISION_H

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

/* Products of floats with weights become products of bytes where that does little harm; the report has a row for them. */
void vj_multiply_in_int8(vj_pass_context *c);

#endif
