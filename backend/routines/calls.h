/* SPDX-License-Identifier: Apache-2.0 */
/* calls.h - what the routines of this folder share. They are freestanding C: they include only the compiler's own
 * headers and call no library (floor and fabs are written out). Each is compiled to LLVM bitcode when vitjit is built,
 * and linked into the module of a kernel that calls it.
 *
 * The arguments of a routine are its buffers in the order of ir/routines/routines.def, its integers, its floats, the
 * number of units, and the range of units to do: [first, last). Any unit may run on any thread, in any order.
 */
#ifndef VITJIT_BACKEND_ROUTINES_CALLS_H
#define VITJIT_BACKEND_ROUTINES_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The first row of `unit` when `count` rows are divided evenly among the units. */
static inline int64_t part_of(int64_t count, int64_t unit, int64_t units) {
    return count / units * unit + count % units * unit / units;
}

/* M(name, type) for each type of number. */
#define FOR_INTEGERS(M)                                                                                                \
    M(i8, int8_t)                                                                                                      \
    M(u8, uint8_t)                                                                                                     \
    M(i16, int16_t)                                                                                                    \
    M(u16, uint16_t)                                                                                                   \
    M(i32, int32_t)                                                                                                    \
    M(u32, uint32_t)                                                                                                   \
    M(i64, int64_t)                                                                                                    \
    M(u64, uint64_t)
#define FOR_FLOATS(M)                                                                                                  \
    M(f32, float)                                                                                                      \
    M(f64, double)

#endif
