/* calls.h - what the routines of this folder share. They are freestanding C: no header but the compiler's own, no call of
 * any library, no constant that would want one (floor and fabs are written out). Each is compiled to LLVM bitcode when
 * vitjit is built, and linked into the module of a kernel that calls it.
 *
 * A routine is a function over the buffers of ir/routines/routines.def in their order, then the integers, the floats, how many
 * units there are, and which to do: [first, last). Any unit may run on any thread, in any order.
 */
#ifndef VITJIT_BACKEND_ROUTINES_CALLS_H
#define VITJIT_BACKEND_ROUTINES_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where the part of `unit` begins of `count` rows (or whatever is dealt out). */
static inline int64_t part_of(int64_t count, int64_t unit, int64_t units) {
    return count / units * unit + count % units * unit / units;
}

/* M(name, type) for each type of numbers. */
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
