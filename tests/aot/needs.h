/* needs.h - what an object of ours would have to be linked with. */
#ifndef VITJIT_TESTS_NEEDS_H
#define VITJIT_TESTS_NEEDS_H

#include <stdbool.h>
#include <stddef.h>

/* Is a function or variable undefined in the ELF64 or wasm object? Its name. Not counted of wasm: memory, stack pointer and
 * table, which the linker makes. */
bool object_needs(const void *object, size_t bytes, char *name, size_t room);

#endif
