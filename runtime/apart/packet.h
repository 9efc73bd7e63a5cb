/* SPDX-License-Identifier: Apache-2.0 */
/* packet.h - values as bytes, one after another: what the runtime and the compiler's program tell each other. A value is
 * taken in the order in which it was put, and as what it was put.
 */
#ifndef VITJIT_RUNTIME_APART_PACKET_H
#define VITJIT_RUNTIME_APART_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct vj_packet {
    uint8_t *bytes; /* malloc'ed */
    size_t size, room, at;
    bool bad; /* memory ended, or something else was there than what was to be taken: zeros are taken from then on */
    bool no_memory; /* it was memory */
    void **lists;   /* that were taken */
    size_t list_count;
} vj_packet;

void vj_packet_free(vj_packet *p);

void vj_put_number(vj_packet *p, int64_t number);
void vj_put_real(vj_packet *p, double number);
void vj_put_bytes(vj_packet *p, const void *bytes, size_t size);
void vj_put_text(vj_packet *p, const char *text); /* or NULL */
void vj_put_texts(vj_packet *p, const char *const *texts, int32_t count);

int64_t vj_take_number(vj_packet *p, int64_t least, int64_t most);
double vj_take_real(vj_packet *p);
/* What is taken stays the packet's, until it is freed. Bytes begin at a multiple of 8. */
const void *vj_take_bytes(vj_packet *p, size_t *size);
const char *vj_take_text(vj_packet *p);
const char *const *vj_take_texts(vj_packet *p, int32_t *count);
/* The length of a list, each of whose elements follows; *list becomes zeros for them, or NULL: none. */
int32_t vj_take_count(vj_packet *p, size_t element_bytes, void **list);
void vj_packet_lacks_memory(vj_packet *p);
/* Is it sound, and is nothing left? */
bool vj_packet_done(const vj_packet *p);

#endif
