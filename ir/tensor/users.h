/* SPDX-License-Identifier: Apache-2.0 */
/* users.h - private to ir/tensor: how the verbs keep the index of uses and the weights true. */
#ifndef VITJIT_IR_TENSOR_USERS_H
#define VITJIT_IR_TENSOR_USERS_H

#include "ir.h"

/* users.c */

/* A new use of v by a user, at the end of v's list; its index in vj_func.uses. v may be VJ_NONE: then it is in no list. */
int32_t vj_link(vj_func *f, vj_value v, int32_t user, int32_t operand);
/* Use u leaves the list of v, or comes to its end. v may be VJ_NONE. */
void vj_unlink(vj_func *f, vj_value v, int32_t u);
void vj_relink(vj_func *f, vj_value v, int32_t u);
/* Where the used value is written. */
vj_value *vj_operand_of_use(const vj_func *f, const vj_use *use);
void vj_link_operands(vj_func *f, int32_t node);
/* The whole index anew; of values, `changed` stays. */
void vj_index_uses(vj_func *f);
/* The first value whose list is not what a recount finds; VJ_NONE: all are right. */
vj_value vj_wrongly_indexed(const vj_func *f);

/* weight.c */

/* Whether the results of a node are weights, from its operands and types. What changes reaches its users. */
void vj_note_weights(vj_func *f, int32_t node);
/* Operand `from` of a node has become `to`. */
void vj_operand_changed(vj_func *f, int32_t node, vj_value from, vj_value to);
/* Of a function in topological order, all at once. */
void vj_note_all_weights(vj_func *f);
/* Is it one, by the operands' own notes? */
bool vj_makes_weight(const vj_func *f, const vj_node *node);

#endif
