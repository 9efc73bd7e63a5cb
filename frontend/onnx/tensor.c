/* SPDX-License-Identifier: Apache-2.0 */
/* tensor.c - a TensorProto as a type and a constant.
 *
 * The elements are raw bytes, in the model or in a file beside it, or a list of numbers in a field of their type. Raw
 * bytes and lists of floats have the constant's layout, so that a large one stays in the file; lists of integers are
 * varints and must be decoded.
 */
#include "wire.h"
#include "model.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    vj_dtype dtype;
} onnx_dtypes[] = {
    [0] = {"undefined", VJ_NO_DTYPE},
    [1] = {"float", VJ_F32},
    [2] = {"uint8", VJ_U8},
    [3] = {"int8", VJ_I8},
    [4] = {"uint16", VJ_U16},
    [5] = {"int16", VJ_I16},
    [6] = {"int32", VJ_I32},
    [7] = {"int64", VJ_I64},
    [8] = {"string", VJ_NO_DTYPE},
    [9] = {"bool", VJ_BOOL},
    [10] = {"float16", VJ_F16},
    [11] = {"double", VJ_F64},
    [12] = {"uint32", VJ_U32},
    [13] = {"uint64", VJ_U64},
    [14] = {"complex64", VJ_NO_DTYPE},
    [15] = {"complex128", VJ_NO_DTYPE},
    [16] = {"bfloat16", VJ_BF16},
    [17] = {"float8e4m3fn", VJ_NO_DTYPE},
    [18] = {"float8e4m3fnuz", VJ_NO_DTYPE},
    [19] = {"float8e5m2", VJ_NO_DTYPE},
    [20] = {"float8e5m2fnuz", VJ_NO_DTYPE},
    [21] = {"uint4", VJ_NO_DTYPE},
    [22] = {"int4", VJ_NO_DTYPE},
    [23] = {"float4e2m1", VJ_NO_DTYPE},
    [24] = {"float8e8m0", VJ_NO_DTYPE},
    [25] = {"uint2", VJ_NO_DTYPE},
    [26] = {"int2", VJ_NO_DTYPE},
    [27] = {"float6e2m3", VJ_NO_DTYPE},
    [28] = {"float6e3m2", VJ_NO_DTYPE},
};
enum { ONNX_DTYPES = sizeof onnx_dtypes / sizeof onnx_dtypes[0] };

enum { FIELD_FLOAT = 4, FIELD_INT32 = 5, FIELD_INT64 = 7, FIELD_RAW = 9, FIELD_DOUBLE = 10, FIELD_UINT64 = 11 };
enum { LOCATION_EXTERNAL = 1 };

/* int4 and uint4 are read as int8 and uint8, of which two stand in a byte. */
static vj_dtype dtype_of_nibbles(int32_t elem_type) {
    return elem_type == 21 ? VJ_U8 : elem_type == 22 ? VJ_I8 : VJ_NO_DTYPE;
}

vj_dtype vj_dtype_of_onnx(int32_t elem_type) {
    return elem_type > 0 && elem_type < ONNX_DTYPES ? onnx_dtypes[elem_type].dtype : VJ_NO_DTYPE;
}

bool vj_is_onnx_dtype(int32_t elem_type) { return elem_type > 0 && elem_type < ONNX_DTYPES; }

const char *vj_onnx_dtype_name(int32_t elem_type) {
    return elem_type >= 0 && elem_type < ONNX_DTYPES ? onnx_dtypes[elem_type].name : "unknown";
}

bool vj_tensor_shape(const Onnx__TensorProto *t, const char *what, vj_type *type, int64_t *elements, vj_error *error) {
    const vj_dtype nibbles = dtype_of_nibbles(t->data_type);
    const vj_dtype dtype = nibbles != VJ_NO_DTYPE ? nibbles : vj_dtype_of_onnx(t->data_type);
    if (dtype == VJ_NO_DTYPE) {
        bool known = t->data_type > 0 && t->data_type < ONNX_DTYPES;
        vj_fail(error, known ? VJ_UNSUPPORTED : VJ_BAD_INPUT, "%s has element type %s (%d), which is not supported",
                what, vj_onnx_dtype_name(t->data_type), (int)t->data_type);
        return false;
    }
    if (t->n_dims > VJ_MAX_RANK) {
        vj_fail(error, VJ_UNSUPPORTED, "%s has %zu dims; at most %d are supported", what, t->n_dims, VJ_MAX_RANK);
        return false;
    }
    int64_t count = 1, bytes;
    for (size_t i = 0; i < t->n_dims; i++) {
        if (t->dims[i] < 0) {
            vj_fail(error, VJ_BAD_INPUT, "%s has the negative dim %lld", what, (long long)t->dims[i]);
            return false;
        }
        if (!vj_mul(count, t->dims[i], &count)) count = -1;
        if (count < 0) break;
    }
    if (count < 0 || !vj_mul(count, (int64_t)vj_element_bytes(dtype), &bytes)) {
        vj_fail(error, VJ_BAD_INPUT, "%s has dims whose product is too large", what);
        return false;
    }
    *type = vj_type_of(dtype, (int32_t)t->n_dims, t->dims);
    *elements = count;
    return true;
}

static bool wrong_size(const char *what, const char *have, int64_t got, int64_t want, vj_error *error) {
    vj_fail(error, VJ_BAD_INPUT, "%s has %lld %s, but its dims need %lld", what, (long long)got, have, (long long)want);
    return false;
}

static bool parse_number(const char *text, int64_t *number) {
    if (!*text || strspn(text, "0123456789") != strlen(text) || strlen(text) > 18) return false;
    *number = strtoll(text, NULL, 10);
    return true;
}

static vj_source *external_source(vj_onnx *onnx, const char *name, vj_error *error) {
    for (int32_t i = 0; i < onnx->external_count; i++)
        if (strcmp(onnx->externals[i].name, name) == 0) return onnx->externals[i].source;
    const char *kept = vj_strdup(onnx->arena, name);
    vj_external *slot = VJ_PUSH(onnx->arena, onnx->externals, onnx->external_count, onnx->external_capacity);
    *slot = (vj_external){.name = kept};
    slot->source = vj_source_open_external(onnx->arena, onnx->path, name, error);
    if (!slot->source) onnx->external_count--;
    return slot->source;
}

static bool external_constant(vj_onnx *onnx, const Onnx__TensorProto *t, const char *what, int64_t bytes,
                              vj_const *constant, vj_error *error) {
    const char *location = NULL;
    int64_t offset = 0, length = bytes;
    for (size_t i = 0; i < t->n_external_data; i++) {
        const char *key = vj_text_of(t->external_data[i]->key), *value = vj_text_of(t->external_data[i]->value);
        bool is_offset = strcmp(key, "offset") == 0, is_length = strcmp(key, "length") == 0;
        if (strcmp(key, "location") == 0) location = value;
        if ((is_offset || is_length) && !parse_number(value, is_offset ? &offset : &length)) {
            vj_fail(error, VJ_BAD_INPUT, "%s has external data with %s '%.40s', which is no number", what, key, value);
            return false;
        }
    }
    if (!location) {
        vj_fail(error, VJ_BAD_INPUT, "%s has external data without a location", what);
        return false;
    }
    if (onnx->in_memory) {
        vj_fail(error, VJ_BAD_INPUT, "%s has external data '%s', which a model in memory cannot have", what, location);
        vj_hint(error, "compile the file by its path, or save the model as one file");
        return false;
    }
    if (length != bytes) return wrong_size(what, "bytes of external data", length, bytes, error);
    const vj_source *source = external_source(onnx, location, error);
    if (!source) return false;
    if (!vj_range_inside(offset, length, source->size)) {
        vj_fail(error, VJ_BAD_INPUT, "%s needs bytes %lld to %lld of external data '%s', which has %lld", what,
                (long long)offset, (long long)(offset + length), location, (long long)source->size);
        return false;
    }
    *constant = (vj_const){.kind = VJ_CONST_BYTES, .source = source, .offset = offset, .length = length};
    return true;
}

static uint32_t typed_field(vj_dtype dtype) {
    switch (dtype) {
    case VJ_F32:
        return FIELD_FLOAT;
    case VJ_F64:
        return FIELD_DOUBLE;
    case VJ_I64:
        return FIELD_INT64;
    case VJ_U32:
    case VJ_U64:
        return FIELD_UINT64;
    default:
        return FIELD_INT32; /* narrow integers, booleans, and the bits of float16 and bfloat16 */
    }
}

/* Stores a varint's value as a little-endian element. Returns false when it is not in the type's range. */
static bool store_integer(vj_dtype dtype, uint64_t value, uint8_t *to) {
    size_t bytes = (size_t)vj_element_bytes(dtype);
    int64_t v = (int64_t)value;
    bool is_signed = dtype == VJ_I8 || dtype == VJ_I16 || dtype == VJ_I32;
    if (bytes < 8) {
        int64_t low = is_signed ? -((int64_t)1 << (8 * bytes - 1)) : 0;
        int64_t high = ((int64_t)1 << (8 * bytes - (is_signed ? 1 : 0))) - 1;
        if (dtype == VJ_BOOL) high = 1;
        if (v < low || v > high) return false;
    }
    for (size_t i = 0; i < bytes; i++)
        to[i] = (uint8_t)(value >> (8 * i));
    return true;
}

static bool out_of_range(const char *what, vj_error *error) {
    vj_fail(error, VJ_BAD_INPUT, "%s has an element outside the range of its type", what);
    return false;
}

/* Decodes a list of varints that was cut out of the message, reading it in blocks. */
static bool decode_varints(const vj_source *source, const Onnx__Payload *p, vj_dtype dtype, int64_t elements,
                           const char *what, uint8_t *to, vj_error *error) {
    uint8_t block[4096];
    int64_t done = 0;
    uint64_t value = 0;
    int shift = 0;
    for (int64_t at = 0; at < (int64_t)p->length;) {
        int64_t n = vj_min64((int64_t)sizeof block, (int64_t)p->length - at);
        if (!vj_source_read(source, (int64_t)p->offset + at, n, block, error)) return false;
        at += n;
        for (int64_t i = 0; i < n; i++) {
            if (shift > 63 || (shift == 63 && (block[i] & 0x7f) > 1)) return out_of_range(what, error);
            value |= (uint64_t)(block[i] & 0x7f) << shift;
            shift += 7;
            if (block[i] & 0x80) continue;
            if (done == elements) return wrong_size(what, "or more elements", done + 1, elements, error);
            if (!store_integer(dtype, value, to + done * (int64_t)vj_element_bytes(dtype)))
                return out_of_range(what, error);
            done++;
            value = 0;
            shift = 0;
        }
    }
    if (shift || done != elements) return wrong_size(what, "elements", done, elements, error);
    return true;
}

static bool payload_constant(vj_onnx *onnx, const Onnx__TensorProto *t, const char *what, const vj_type *type,
                             int64_t elements, vj_const *constant, vj_error *error) {
    const Onnx__Payload *p = t->payload[0];
    int64_t bytes = elements * (int64_t)vj_element_bytes(type->dtype), length = (int64_t)p->length;
    if (p->field != FIELD_RAW && p->field != typed_field(type->dtype)) {
        vj_fail(error, VJ_BAD_INPUT, "%s has data in the field of another type", what);
        return false;
    }
    if (p->field == FIELD_RAW || p->field == FIELD_FLOAT || p->field == FIELD_DOUBLE) {
        if (length != bytes) return wrong_size(what, "bytes", length, bytes, error);
        *constant =
            (vj_const){.kind = VJ_CONST_BYTES, .source = onnx->source, .offset = (int64_t)p->offset, .length = length};
        return true;
    }
    if (elements > length) return wrong_size(what, "or fewer elements", length, elements, error);
    uint8_t *to = vj_alloc(onnx->arena, (size_t)bytes);
    if (!decode_varints(onnx->source, p, type->dtype, elements, what, to, error)) return false;
    const vj_source *source = vj_source_memory(onnx->arena, onnx->path, to, bytes);
    *constant = (vj_const){.kind = VJ_CONST_BYTES, .source = source, .length = bytes};
    return true;
}

static bool store_typed(const Onnx__TensorProto *t, vj_dtype dtype, int64_t elements, uint8_t *to) {
    size_t size = (size_t)vj_element_bytes(dtype);
    for (int64_t i = 0; i < elements; i++, to += size) {
        switch (typed_field(dtype)) {
        case FIELD_FLOAT:
            memcpy(to, &t->float_data[i], size);
            break;
        case FIELD_DOUBLE:
            memcpy(to, &t->double_data[i], size);
            break;
        case FIELD_INT64:
            memcpy(to, &t->int64_data[i], size);
            break;
        case FIELD_UINT64:
            if (!store_integer(dtype, t->uint64_data[i], to)) return false;
            break;
        default:
            if (!store_integer(dtype, (uint64_t)(int64_t)t->int32_data[i], to)) return false;
        }
    }
    return true;
}

static bool inline_constant(vj_onnx *onnx, const Onnx__TensorProto *t, const char *what, const vj_type *type,
                            int64_t elements, vj_const *constant, vj_error *error) {
    int64_t bytes = elements * (int64_t)vj_element_bytes(type->dtype);
    uint8_t *to;
    if (t->has_raw_data) {
        if ((int64_t)t->raw_data.len != bytes) return wrong_size(what, "bytes", (int64_t)t->raw_data.len, bytes, error);
        to = vj_alloc(onnx->arena, (size_t)bytes + 1);
        if (bytes) memcpy(to, t->raw_data.data, (size_t)bytes);
    } else {
        uint32_t field = typed_field(type->dtype);
        size_t have = field == FIELD_FLOAT    ? t->n_float_data
                      : field == FIELD_DOUBLE ? t->n_double_data
                      : field == FIELD_INT64  ? t->n_int64_data
                      : field == FIELD_UINT64 ? t->n_uint64_data
                                              : t->n_int32_data;
        if ((int64_t)have != elements) return wrong_size(what, "elements", (int64_t)have, elements, error);
        to = vj_alloc(onnx->arena, (size_t)bytes + 1);
        if (!store_typed(t, type->dtype, elements, to)) return out_of_range(what, error);
    }
    const vj_source *source = vj_source_memory(onnx->arena, onnx->path, to, bytes);
    *constant = (vj_const){.kind = VJ_CONST_BYTES, .source = source, .length = bytes};
    return true;
}

/* Booleans must be 0 or 1: generated code and the evaluator rely on it. */
static bool check_booleans(const vj_const *c, const char *what, vj_error *error) {
    uint8_t block[4096];
    for (int64_t at = 0; at < c->length;) {
        int64_t n = vj_min64((int64_t)sizeof block, c->length - at);
        if (!vj_source_read(c->source, c->offset + at, n, block, error)) return false;
        for (int64_t i = 0; i < n; i++)
            if (block[i] > 1) return out_of_range(what, error);
        at += n;
    }
    return true;
}

bool vj_tensor_constant(vj_onnx *onnx, const Onnx__TensorProto *t, const char *what, vj_type *type, vj_const *constant,
                        vj_error *error) {
    int64_t elements;
    if (!vj_tensor_shape(t, what, type, &elements, error)) return false;
    size_t lists = (size_t)(t->n_float_data > 0) + (t->n_int32_data > 0) + (t->n_int64_data > 0) +
                   (t->n_double_data > 0) + (t->n_uint64_data > 0) + (t->has_raw_data != 0) + t->n_payload;
    bool external = t->data_location == LOCATION_EXTERNAL;
    if (lists > 1 || (external && lists)) {
        vj_fail(error, VJ_BAD_INPUT, "%s has its data in more than one place", what);
        return false;
    }
    const bool is_packed = dtype_of_nibbles(t->data_type) != VJ_NO_DTYPE;
    vj_type stored = *type;
    if (is_packed) {
        stored.dtype = VJ_U8;
        elements = elements / 2 + elements % 2;
    }
    const int64_t bytes = elements * (int64_t)vj_element_bytes(stored.dtype);
    bool ok = external       ? external_constant(onnx, t, what, bytes, constant, error)
              : t->n_payload ? payload_constant(onnx, t, what, &stored, elements, constant, error)
                             : inline_constant(onnx, t, what, &stored, elements, constant, error);
    if (ok && is_packed) constant->nibbles = VJ_NIBBLES_LOW_FIRST;
    return ok && (type->dtype != VJ_BOOL || check_booleans(constant, what, error));
}
