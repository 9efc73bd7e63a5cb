/* SPDX-License-Identifier: Apache-2.0 */
/* random.h - lowers and runs random graphs (random.c). */
#ifndef VITJIT_TESTS_LOWER_RANDOM_H
#define VITJIT_TESTS_LOWER_RANDOM_H

void random_graphs(void **unused);
void random_graphs_in_bf16(void **unused);

#endif
