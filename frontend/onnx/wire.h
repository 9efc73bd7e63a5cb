/* SPDX-License-Identifier: Apache-2.0 */
/* wire.h - the walk over the protobuf wire format that comes before protobuf-c. Private to frontend/. */
#ifndef VITJIT_FRONTEND_ONNX_WIRE_H
#define VITJIT_FRONTEND_ONNX_WIRE_H

#include "ir/tensor/ir.h"

/* Payloads up to this many bytes stay in the message; longer ones are left in the file. */
enum { VJ_WIRE_INLINE = 256 };
/* How deep graphs may be nested inside the nodes of graphs. */
enum { VJ_WIRE_GRAPHS = 8 };
/* The largest slim message, in bytes: a graph without its weights. */
#define VJ_WIRE_SLIM_LIMIT ((int64_t)128 << 20)

typedef enum vj_wire_root { VJ_WIRE_MODEL, VJ_WIRE_TENSOR } vj_wire_root;

/* Checks `source` as a message of the given kind and makes a slim copy: it keeps only the fields of onnx.proto, and
 * replaces every payload above VJ_WIRE_INLINE by its offset and length in the source. The bytes are malloc'ed. Returns
 * NULL on an error. */
uint8_t *vj_wire_slim(const vj_source *source, vj_wire_root root, size_t *size, vj_error *error);

#endif
