/* SPDX-License-Identifier: Apache-2.0 */
/* needs.h - finds the symbols that an emitted object needs from elsewhere. */
#ifndef VITJIT_TESTS_NEEDS_H
#define VITJIT_TESTS_NEEDS_H

#include <stdbool.h>
#include <stddef.h>

/* Returns whether the ELF64 or wasm object has an undefined function or variable, and gives its name. The memory, stack
 * pointer and table of wasm do not count, as the linker makes them. */
bool object_needs(const void *object, size_t bytes, char *name, size_t room);

#endif
