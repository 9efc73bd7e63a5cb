/* SPDX-License-Identifier: Apache-2.0 */
/* answer.h - what the compiler's program answers, as a packet. The host believes nothing of it: every size is checked where it is
 * taken, and an image as it is where one comes from the cache.
 */
#ifndef VITJIT_RUNTIME_APART_ANSWER_H
#define VITJIT_RUNTIME_APART_ANSWER_H

#include "call.h"

#define VJ_ANSWER_ERROR 4096 /* bytes of a failure's text */

/* What each call gives, by its vj_errand. All pointers are malloc'ed. */
typedef struct vj_answer {
    vj_status status;
    char error[VJ_ANSWER_ERROR];
    vj_compiled compiled; /* weights_fd is not in the packet: the host has it */
    char *text;           /* of emit the summary; may be there in a failure too */
    vj_read_data data;
} vj_answer;

void vj_put_answer(vj_packet *p, vj_errand errand, const vj_answer *answer);
/* content_bytes: of the model in memory; -1: it is a file. False: it is not sound, or there is no memory for it; nothing is to be freed then. */
bool vj_take_answer(vj_packet *p, vj_errand errand, int64_t content_bytes, vj_answer *answer);

void vj_compiled_free_files(vj_compiled *compiled);

#endif
