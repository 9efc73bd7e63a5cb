/* SPDX-License-Identifier: Apache-2.0 */
/* const.c - the elements of constants: from files, from memory, or made by a rule. Read in blocks, never held whole. */
#include "ir.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "vitjit_half.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "constants are little-endian, as the compiler's host must be");

#define BLOCK_BYTES 8192

bool vj_is_const(const vj_func *f, vj_value v) { return v >= 0 && vj_producer(f, v)->op == VJ_OP_const; }

static const vj_const *const_of(const vj_func *f, vj_value v) {
    assert(vj_is_const(f, v));
    return vj_attr_find(vj_producer(f, v), VJ_ATTR_CONSTANT)->as.constant;
}

vj_nibbles vj_const_nibbles(const vj_func *f, vj_value v) {
    return vj_is_const(f, v) ? const_of(f, v)->nibbles : VJ_NO_NIBBLES;
}

bool vj_source_read(const vj_source *source, int64_t offset, int64_t length, void *out, vj_error *error) {
    if (!vj_range_inside(offset, length, source->size)) {
        vj_fail(error, VJ_BAD_INPUT, "%s: %lld bytes from %lld on are outside the file", source->path,
                (long long)length, (long long)offset);
        return false;
    }
    if (source->fd < 0) {
        if (length) memcpy(out, source->at + offset, (size_t)length);
        return true;
    }
    for (int64_t done = 0; done < length;) {
        ssize_t got = pread(source->fd, (uint8_t *)out + done, (size_t)(length - done), (off_t)(offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) vj_fail(error, VJ_SYSTEM, "%s: cannot be read: %s", source->path, strerror(errno));
        if (got == 0) vj_fail(error, VJ_BAD_INPUT, "%s: the file became shorter while it was read", source->path);
        if (got <= 0) return false;
        done += got;
    }
    return true;
}

/* SEED. Element i of seed s is a function of (s, i) alone: splitmix64 (Steele, Lea, Flood 2014) as a counter-based
 * generator. f32 and f64: uniform in [-sqrt 3, sqrt 3), 24 bits, so mean 0 and variance 1; f16 and bf16: multiples of
 * 1/4 in [-7/4, 7/4], exact in both; integers: 0 to 7; booleans: 0 or 1. */
static uint64_t seed_bits(uint64_t seed, uint64_t i) {
    uint64_t z = seed * 0xd1342543de82ef95u + (i + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static double seed_element(vj_dtype dtype, uint64_t seed, int64_t i) {
    uint64_t z = seed_bits(seed, (uint64_t)i);
    if (dtype == VJ_F16 || dtype == VJ_BF16) return ((double)(z % 15) - 7) / 4;
    if (vj_dtype_is_float(dtype)) return (float)(((double)(z >> 40) * 0x1p-24 - 0.5) * 3.4641016151377544);
    return (double)(z >> (dtype == VJ_BOOL ? 63 : 61));
}

static double as_stored(vj_dtype dtype, double x) {
    switch (dtype) {
    case VJ_F32:
        return (float)x;
    case VJ_F16:
        return vj_round_f16(x);
    case VJ_BF16:
        return vj_round_bf16(x);
    default:
        return x;
    }
}

/* An element made by a rule. */
static double made_element(const vj_const *constant, vj_dtype dtype, int64_t i) {
    switch (constant->kind) {
    case VJ_CONST_SPLAT:
        return as_stored(dtype, constant->splat);
    case VJ_CONST_IOTA:
        return as_stored(dtype, (double)i);
    default:
        return seed_element(dtype, constant->seed, i);
    }
}

/* One stored element; integers keep all their bits in *exact. */
double vj_element_of(vj_dtype dtype, const uint8_t *at, int64_t *exact) {
    union {
        float f32;
        double f64;
        uint16_t u16;
        int16_t i16;
        uint32_t u32;
        int32_t i32;
        uint64_t u64;
        int64_t i64;
    } u;
    memcpy(&u, at, (size_t)vj_element_bytes(dtype));
    switch (dtype) {
    case VJ_F32:
        return u.f32;
    case VJ_F64:
        return u.f64;
    case VJ_F16:
        return vj_f32_of_f16(u.u16);
    case VJ_BF16:
        return vj_f32_of_bf16(u.u16);
    case VJ_I8:
        return (double)(*exact = (int8_t)*at);
    case VJ_U8:
        return (double)(*exact = *at);
    case VJ_I16:
        return (double)(*exact = u.i16);
    case VJ_U16:
        return (double)(*exact = u.u16);
    case VJ_I32:
        return (double)(*exact = u.i32);
    case VJ_U32:
        return (double)(*exact = u.u32);
    case VJ_I64:
        return (double)(*exact = u.i64);
    case VJ_U64:
        *exact = u.i64;
        return (double)u.u64; /* modulo 2^64 as int64 */
    default:
        return (double)(*exact = *at != 0);
    }
}

/* Truncates; what does not fit becomes the nearest that does, NaN zero. */
static int64_t int_of(double x) {
    if (isnan(x)) return 0;
    if (x >= 0x1p63) return INT64_MAX;
    return x <= -0x1p63 ? INT64_MIN : (int64_t)x;
}

/* What a block of elements is delivered to: exactly one of the three is set. */
typedef struct sink {
    float *f32;
    double *f64;
    int64_t *i64;
} sink;

static void deliver(const sink *to, int64_t i, double x, bool is_exact, int64_t exact) {
    if (to->f32)
        to->f32[i] = (float)x;
    else if (to->f64)
        to->f64[i] = x;
    else
        to->i64[i] = is_exact ? exact : int_of(x);
}

static void deliver_block(const sink *to, int64_t first, vj_dtype dtype, const uint8_t *block, int64_t count) {
    const int64_t size = vj_element_bytes(dtype);
    const bool is_exact = !vj_dtype_is_float(dtype), widens = dtype == VJ_F32 && to->f64;
    for (int64_t i = 0; widens && i < count; i++) {
        float x;
        memcpy(&x, block + i * size, sizeof x);
        to->f64[first + i] = x;
    }
    for (int64_t i = 0; !widens && i < count; i++) {
        int64_t exact = 0;
        double x = vj_element_of(dtype, block + i * size, &exact);
        deliver(to, first + i, x, is_exact, exact);
    }
}

/* Where the elements go as they are stored; NULL: they must be converted. */
static void *unchanged(const sink *to, vj_dtype dtype) {
    if (dtype == VJ_F32) return to->f32;
    return dtype == VJ_F64 ? (void *)to->f64 : dtype == VJ_I64 ? (void *)to->i64 : NULL;
}

static bool read_elements(const vj_func *f, vj_value v, int64_t first, int64_t count, const sink *to, vj_error *error) {
    const vj_const *constant = const_of(f, v);
    vj_dtype dtype = f->values[v].type.dtype;
    assert(first >= 0 && count >= 0);
    if (constant->kind != VJ_CONST_BYTES) {
        for (int64_t i = 0; i < count; i++)
            deliver(to, i, made_element(constant, dtype, first + i), false, 0);
        return true;
    }
    int64_t size = vj_element_bytes(dtype);
    void *whole = unchanged(to, dtype);
    if (whole) return vj_const_read_bytes(f, v, first * size, count * size, whole, error);
    uint8_t block[BLOCK_BYTES];
    for (int64_t done = 0; done < count;) {
        int64_t part = vj_min64(count - done, BLOCK_BYTES / size);
        if (!vj_const_read_bytes(f, v, (first + done) * size, part * size, block, error)) return false;
        deliver_block(to, done, dtype, block, part);
        done += part;
    }
    return true;
}

bool vj_const_read_f32(const vj_func *f, vj_value v, int64_t first, int64_t count, float *out, vj_error *error) {
    return read_elements(f, v, first, count, &(sink){.f32 = out}, error);
}

bool vj_const_read_f64(const vj_func *f, vj_value v, int64_t first, int64_t count, double *out, vj_error *error) {
    return read_elements(f, v, first, count, &(sink){.f64 = out}, error);
}

bool vj_const_read_i64(const vj_func *f, vj_value v, int64_t first, int64_t count, int64_t *out, vj_error *error) {
    return read_elements(f, v, first, count, &(sink){.i64 = out}, error);
}

/* Writes one element in its stored form. */
void vj_element_store(vj_dtype dtype, double x, int64_t exact, uint8_t *at) {
    const float f32 = (float)x;
    const uint8_t truth = exact != 0;
    uint16_t half;
    switch (dtype) {
    case VJ_F32:
        memcpy(at, &f32, sizeof f32);
        break;
    case VJ_F64:
        memcpy(at, &x, sizeof x);
        break;
    case VJ_F16:
    case VJ_BF16:
        half = dtype == VJ_F16 ? vj_f16_of(x) : vj_bf16_of(x);
        memcpy(at, &half, sizeof half);
        break;
    case VJ_BOOL:
        *at = truth;
        break;
    default:
        memcpy(at, &exact, (size_t)vj_element_bytes(dtype));
        break; /* little-endian: the low bytes */
    }
}

/* Elements [first, first + count), a byte each. */
static bool read_nibbles(const vj_const *constant, vj_dtype dtype, int64_t first, int64_t count, uint8_t *out,
                         vj_error *error) {
    const bool high_first = constant->nibbles == VJ_NIBBLES_HIGH_FIRST;
    uint8_t block[BLOCK_BYTES];
    while (count > 0) {
        const int64_t part = vj_min64(count, 2 * BLOCK_BYTES - 2), from = first / 2,
                      bytes = (first + part + 1) / 2 - from;
        if (!vj_source_read(constant->source, constant->offset + from, bytes, block, error)) return false;
        for (int64_t i = 0; i < part; i++) {
            const int64_t at = first + i;
            const bool is_high = (at % 2 == 1) != high_first;
            const uint8_t pair = block[at / 2 - from], nibble = is_high ? pair >> 4 : pair & 15;
            out[i] = dtype == VJ_I8 && nibble > 7 ? (uint8_t)(nibble | 0xf0) : nibble;
        }
        first += part;
        out += part;
        count -= part;
    }
    return true;
}

bool vj_const_read_bytes(const vj_func *f, vj_value v, int64_t offset, int64_t length, void *out, vj_error *error) {
    const vj_const *constant = const_of(f, v);
    if (constant->nibbles != VJ_NO_NIBBLES)
        return read_nibbles(constant, f->values[v].type.dtype, offset, length, out, error);
    if (constant->kind == VJ_CONST_BYTES) {
        assert(vj_range_inside(offset, length, constant->length));
        return vj_source_read(constant->source, constant->offset + offset, length, out, error);
    }
    vj_dtype dtype = f->values[v].type.dtype;
    int64_t size = vj_element_bytes(dtype);
    uint8_t element[8];
    for (int64_t done = 0; done < length;) {
        int64_t i = (offset + done) / size, skip = (offset + done) % size;
        int64_t part = vj_min64(size - skip, length - done);
        double x = made_element(constant, dtype, i);
        vj_element_store(dtype, x, int_of(x), element);
        memcpy((uint8_t *)out + done, element + skip, (size_t)part);
        done += part;
    }
    return true;
}

bool vj_is_splat(const vj_func *f, vj_value v, double *number) {
    if (!vj_is_const(f, v)) return false;
    const vj_const *constant = const_of(f, v);
    int64_t count;
    double elements[64];
    if (!vj_type_elements(f, &f->values[v].type, &count) || count == 0) return false;
    if (constant->kind == VJ_CONST_SPLAT) count = 1;
    vj_error ignored = {0};
    if (count > 64 || !vj_const_read_f64(f, v, 0, count, elements, &ignored)) return false;
    for (int64_t i = 1; i < count; i++)
        if (elements[i] != elements[0]) return false;
    *number = elements[0];
    return true;
}

void vj_const_from_host(vj_arena *arena, vj_dtype dtype, int64_t count, const double *floats, const int64_t *ints,
                        vj_const *constant) {
    int64_t bytes = 0;
    bool fits = vj_mul(count, vj_element_bytes(dtype), &bytes);
    assert(fits && "the data stood in memory");
    (void)fits;
    uint8_t *data = vj_alloc(arena, (size_t)bytes);
    if (ints && dtype == VJ_I64 && count) memcpy(data, ints, (size_t)bytes);
    for (int64_t i = 0; i < count && !(ints && dtype == VJ_I64); i++) {
        double x = floats ? floats[i] : (double)ints[i];
        vj_element_store(dtype, x, floats ? int_of(x) : ints[i], data + i * vj_element_bytes(dtype));
    }
    vj_source *source = VJ_NEW(arena, vj_source);
    *source = (vj_source){.path = "a computed constant", .fd = -1, .at = data, .size = bytes};
    *constant = (vj_const){.kind = VJ_CONST_BYTES, .source = source, .length = bytes};
}
