/* SPDX-License-Identifier: Apache-2.0 */
/* array.c - tensors in memory: sizes, elements, seeded values, statistics. */
#include "tensors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "vitjit_half.h"

void vj_array_free(vj_array *array) {
    free(array->name);
    free(array->data);
    *array = (vj_array){0};
}

void vj_arrays_free(vj_array *arrays, int32_t count) {
    for (int32_t i = 0; arrays && i < count; i++)
        vj_array_free(&arrays[i]);
    free(arrays);
}

bool vj_array_measure(vj_array *array) {
    size_t bytes = vj_dtype_bytes(array->dtype);
    if (bytes == 0 || array->rank < 0 || array->rank > VJ_MODEL_MAX_RANK) return false;
    bool empty = false;
    for (int32_t d = 0; d < array->rank; d++) {
        if (array->dims[d] < 0) return false;
        empty |= array->dims[d] == 0;
        if (array->dims[d] > 0 && __builtin_mul_overflow(bytes, (size_t)array->dims[d], &bytes)) return false;
    }
    array->bytes = empty ? 0 : bytes;
    return bytes <= PTRDIFF_MAX;
}

bool vj_array_alloc(vj_array *array) {
    if (!vj_array_measure(array)) return false;
    array->data = calloc(1, array->bytes ? array->bytes : 1);
    return array->data != NULL;
}

const vj_array *vj_array_find(const vj_array *arrays, int32_t count, const char *name) {
    for (int32_t i = 0; i < count; i++)
        if (arrays[i].name && strcmp(arrays[i].name, name) == 0) return &arrays[i];
    return NULL;
}

int64_t vj_array_elements(const vj_array *array) { return (int64_t)(array->bytes / vj_dtype_bytes(array->dtype)); }

double vj_array_at(const vj_array *array, int64_t i) {
    const void *data = array->data;
    switch (array->dtype) {
    case VJ_F32:
        return (double)((const float *)data)[i];
    case VJ_F64:
        return ((const double *)data)[i];
    case VJ_F16:
        return (double)vj_f32_of_f16(((const uint16_t *)data)[i]);
    case VJ_BF16:
        return (double)vj_f32_of_bf16(((const uint16_t *)data)[i]);
    case VJ_I8:
        return ((const int8_t *)data)[i];
    case VJ_U8:
    case VJ_BOOL:
        return ((const uint8_t *)data)[i];
    case VJ_I16:
        return ((const int16_t *)data)[i];
    case VJ_U16:
        return ((const uint16_t *)data)[i];
    case VJ_I32:
        return ((const int32_t *)data)[i];
    case VJ_U32:
        return ((const uint32_t *)data)[i];
    case VJ_I64:
        return (double)((const int64_t *)data)[i];
    case VJ_U64:
        return (double)((const uint64_t *)data)[i];
    case VJ_NO_DTYPE:
    case VJ_DTYPE_COUNT:
    case VJ_I4:
        break;
    }
    return NAN;
}

/* splitmix64 (Steele, Lea, Flood 2014). */
static uint64_t next_random(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Sum of 12 uniform numbers of 16 bits less 6: variance 1, no function of libm whose last bit may differ between machines.
 * Two of a word's four are added at a time. */
static double next_normal(uint64_t *state) {
    const uint64_t fields = UINT64_C(0x0000ffff0000ffff);
    uint64_t sums = 0;
    for (int i = 0; i < 3; i++) {
        const uint64_t bits = next_random(state);
        sums += (bits & fields) + (bits >> 16 & fields);
    }
    return (double)((sums >> 32) + (sums & 0xffffffff)) / 65536 - 6;
}

static void store_float(vj_array *array, int64_t i, double x) {
    const float narrow = (float)x;
    switch (array->dtype) {
    case VJ_F32:
        ((float *)array->data)[i] = narrow;
        break;
    case VJ_F64:
        ((double *)array->data)[i] = x;
        break;
    case VJ_F16:
        ((uint16_t *)array->data)[i] = vj_f16_of(x);
        break;
    default: /* bfloat16 is cut off, not rounded: any number would do */
        ((uint16_t *)array->data)[i] = (uint16_t)(vj_bits_of_f32(narrow) >> 16);
    }
}

void vj_array_fill(vj_array *array, uint64_t seed) {
    const bool is_float =
        array->dtype == VJ_F32 || array->dtype == VJ_F64 || array->dtype == VJ_F16 || array->dtype == VJ_BF16;
    const size_t size = vj_dtype_bytes(array->dtype);
    uint64_t state = seed;
    for (int64_t i = 0; i < vj_array_elements(array); i++) {
        if (is_float) {
            store_float(array, i, next_normal(&state));
        } else {
            const uint64_t bit = next_random(&state) >> 63;
            unsigned char *at = (unsigned char *)array->data + (size_t)i * size;
            for (size_t b = 0; b < size; b++) {
                const bool lowest = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? b == 0 : b == size - 1;
                at[b] = lowest ? (unsigned char)bit : 0;
            }
        }
    }
}

bool vj_array_grow(vj_array *array, const int64_t *dims) {
    vj_array large = *array;
    memcpy(large.dims, dims, sizeof large.dims);
    if (!vj_array_alloc(&large)) return false;
    const int32_t last = array->rank - 1;
    const size_t element = vj_dtype_bytes(array->dtype), row = (size_t)array->dims[last] * element;
    const int64_t rows = vj_array_elements(array) / (array->dims[last] ? array->dims[last] : 1);
    for (int64_t i = 0; i < rows; i++) {
        int64_t place = 0, rest = i, stride = 1;
        for (int32_t d = last - 1; d >= 0; d--) {
            place += rest % array->dims[d] * stride;
            rest /= array->dims[d];
            stride *= dims[d];
        }
        memcpy((char *)large.data + (size_t)place * (size_t)dims[last] * element,
               (const char *)array->data + (size_t)i * row, row);
    }
    free(array->data);
    *array = large;
    return true;
}

vj_summary vj_array_summary(const vj_array *array) {
    vj_summary s = {.min = INFINITY, .max = -INFINITY};
    const int64_t elements = vj_array_elements(array);
    double sum = 0;
    for (int64_t i = 0; i < elements; i++) {
        const double x = vj_array_at(array, i);
        if (!isfinite(x)) {
            s.not_finite++;
            continue;
        }
        sum += x;
        if (x < s.min) s.min = x;
        if (x > s.max) s.max = x;
    }
    s.mean = sum / (double)(elements - s.not_finite);
    return s;
}

const char *vj_type_words(vj_dtype dtype, const int64_t *dims, int32_t rank, char text[VJ_TYPE_TEXT]) {
    int used = snprintf(text, VJ_TYPE_TEXT, "%s[", vj_dtype_name(dtype));
    for (int32_t d = 0; d < rank; d++)
        used += snprintf(text + used, VJ_TYPE_TEXT - (size_t)used, "%s%lld", d ? "," : "", (long long)dims[d]);
    snprintf(text + used, VJ_TYPE_TEXT - (size_t)used, "]");
    return text;
}
