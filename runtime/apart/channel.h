/* SPDX-License-Identifier: Apache-2.0 */
/* channel.h - frames over a socket between the runtime and the compiler's program: a head, and a packet behind it. The host sends
 * descriptors with heads, the program none.
 */
#ifndef VITJIT_RUNTIME_APART_CHANNEL_H
#define VITJIT_RUNTIME_APART_CHANNEL_H

#include "packet.h"

/* What a frame is. */
typedef enum vj_frame {
    VJ_FRAME_CALL,  /* host to program, once: call.h */
    VJ_FRAME_REPLY, /* host to program: what was asked */
    /* program to host; those that are marked so want no reply */
    VJ_FRAME_FIND,   /* vj_weights_store.find: digest, bytes. Reply: 1 and the descriptor, or 0 */
    VJ_FRAME_CREATE, /* vj_weights_store.create: likewise */
    VJ_FRAME_COMMIT, /* vj_weights_store.commit: whole. Reply: empty */
    VJ_FRAME_IMAGE,  /* vj_weights_store.find_image: graph key. Reply: bytes; of no image 0 */
    VJ_FRAME_CANCEL, /* vj_options.cancel. Reply: its answer */
    VJ_FRAME_LOG,    /* vj_options.log: level, text. No reply */
    VJ_FRAME_OPENED, /* vj_compile_request.opened: bytes. No reply */
    VJ_FRAME_HEADER, /* vj_emit_request.header_part: call.h. Reply: the text */
    VJ_FRAME_MAKING, /* vj_emit_request.making: two paths. Reply: empty */
    VJ_FRAME_WROTE,  /* vj_emit_request.wrote: path. No reply */
    VJ_FRAME_ANSWER, /* to the call, the last: answer.h */
    VJ_FRAME_COUNT
} vj_frame;

typedef struct vj_frame_head {
    uint32_t frame, reserved;
    uint64_t bytes; /* of the packet */
} vj_frame_head;

typedef enum vj_heard {
    VJ_HEARD,
    VJ_HEARD_END,      /* the other side is gone */
    VJ_HEARD_LATE,     /* the time is over */
    VJ_HEARD_NONSENSE, /* what a sound partner does not say */
    VJ_HEARD_NO_ROOM   /* no memory, here, for what is said */
} vj_heard;

typedef struct vj_channel {
    int socket;
    int process;     /* a descriptor that is readable when the other side's process has ended, or -1 */
    int64_t over_ns; /* CLOCK_MONOTONIC: when to wait no longer; 0: never */
} vj_channel;

int64_t vj_channel_now(void);
/* packet NULL: nothing behind the head; descriptor -1: none. No signal is raised. */
vj_heard vj_channel_send(const vj_channel *c, vj_frame frame, const vj_packet *packet, int descriptor);
/* With `descriptor` what came along, or -1: the caller's. Without, descriptors are refused by the system. */
vj_heard vj_channel_head(const vj_channel *c, vj_frame_head *head, int *descriptor);
/* The packet behind a head whose size has been judged. Freed by the caller when VJ_HEARD. */
vj_heard vj_channel_packet(const vj_channel *c, const vj_frame_head *head, vj_packet *packet);

#endif
