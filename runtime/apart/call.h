/* SPDX-License-Identifier: Apache-2.0 */
/* call.h - what is asked of the compiler's program, as a packet. */
#ifndef VITJIT_RUNTIME_APART_CALL_H
#define VITJIT_RUNTIME_APART_CALL_H

#include "packet.h"
#include "vitjit_compiler.h"

/* One call. Of VJ_ERRAND_TENSOR the request's path and options count alone. */
typedef struct vj_call {
    vj_errand errand;
    int64_t file_bytes; /* of the model's own file, or of its memory, which comes along as a descriptor */
    vj_compile_request
        request; /* taken: `options` points to the member below; of `bytes` it is said alone whether there are some */
    vj_emit_request emit; /* of VJ_ERRAND_EMIT */
    vj_options options;
    /* Taken: which functions of the host's there are. */
    bool logs, cancels, finds_images, adds_header, hears_wrote;
} vj_call;

/* finds_images is the caller's to say, the other functions are those that the requests have. */
void vj_put_call(vj_packet *p, const vj_call *call);
/* What is taken points into the packet and into *call: neither may move. False: it is not sound. */
bool vj_take_call(vj_packet *p, vj_call *call);

/* What vj_emit_request.header_part is asked. */
void vj_put_header_request(vj_packet *p, const vj_header_request *request);
/* Descriptors with inputs and outputs alone. */
bool vj_take_header_request(vj_packet *p, vj_header_request *request);

#endif
