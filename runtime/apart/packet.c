/* SPDX-License-Identifier: Apache-2.0 */
/* packet.c - see packet.h. Everything takes a multiple of 8 bytes; a text has its zero with it. */
#include "packet.h"

#include <stdlib.h>
#include <string.h>

#define NO_TEXT (-1)

void vj_packet_free(vj_packet *p) {
    for (size_t i = 0; i < p->list_count; i++)
        free(p->lists[i]);
    free(p->lists);
    free(p->bytes);
    *p = (vj_packet){0};
}

/* Room for so many bytes more, all zero; NULL: there is none. */
static uint8_t *extend(vj_packet *p, size_t size) {
    const size_t padded = (size + 7) & ~(size_t)7;
    if (padded < size || p->size + padded < p->size) p->bad = true;
    if (!p->bad && p->size + padded > p->room) {
        const size_t room = p->size + padded > 2 * p->room ? p->size + padded + 256 : 2 * p->room;
        uint8_t *more = realloc(p->bytes, room);
        p->bad = !more;
        if (more) {
            p->bytes = more;
            p->room = room;
        }
    }
    if (p->bad) return NULL;
    uint8_t *at = p->bytes + p->size;
    memset(at + size, 0, padded - size);
    p->size += padded;
    return at;
}

static void put(vj_packet *p, const void *bytes, size_t size) {
    uint8_t *at = extend(p, size);
    if (at && size) memcpy(at, bytes, size);
}

void vj_put_number(vj_packet *p, int64_t number) { put(p, &number, sizeof number); }
void vj_put_real(vj_packet *p, double number) { put(p, &number, sizeof number); }

void vj_put_bytes(vj_packet *p, const void *bytes, size_t size) {
    vj_put_number(p, (int64_t)size);
    put(p, bytes, size);
}

void vj_put_text(vj_packet *p, const char *text) {
    if (text)
        vj_put_bytes(p, text, strlen(text) + 1);
    else
        vj_put_number(p, NO_TEXT);
}

void vj_put_texts(vj_packet *p, const char *const *texts, int32_t count) {
    vj_put_number(p, count);
    for (int32_t i = 0; i < count; i++)
        vj_put_text(p, texts[i]);
}

static const void *take(vj_packet *p, size_t size) {
    const size_t left = p->size - p->at, padded = (size + 7) & ~(size_t)7;
    if (size > left || padded > left) p->bad = true;
    if (p->bad) return NULL;
    const void *at = p->bytes + p->at;
    p->at += padded;
    return at;
}

int64_t vj_take_number(vj_packet *p, int64_t least, int64_t most) {
    const void *at = take(p, sizeof(int64_t));
    int64_t number = 0;
    if (at) memcpy(&number, at, sizeof number);
    if (number < least || number > most) p->bad = true;
    return p->bad ? 0 : number;
}

double vj_take_real(vj_packet *p) {
    const void *at = take(p, sizeof(double));
    double number = 0;
    if (at) memcpy(&number, at, sizeof number);
    return number;
}

const void *vj_take_bytes(vj_packet *p, size_t *size) {
    *size = (size_t)vj_take_number(p, 0, INT64_MAX);
    const void *at = take(p, *size);
    if (!at) *size = 0;
    return at;
}

const char *vj_take_text(vj_packet *p) {
    const int64_t size = vj_take_number(p, NO_TEXT, INT64_MAX);
    if (p->bad || size == NO_TEXT) return NULL;
    const char *text = take(p, (size_t)size);
    if (text && (size == 0 || strnlen(text, (size_t)size) != (size_t)size - 1)) p->bad = true;
    return p->bad ? NULL : text;
}

int32_t vj_take_count(vj_packet *p, size_t element_bytes, void **list) {
    const int64_t left = (int64_t)((p->size - p->at) / 8), most = left < INT32_MAX ? left : INT32_MAX;
    const int32_t count = (int32_t)vj_take_number(p, 0, most); /* an element has 8 bytes at least */
    void **lists = count ? realloc(p->lists, (p->list_count + 1) * sizeof *lists) : NULL;
    *list = lists ? calloc((size_t)count, element_bytes) : NULL;
    if (lists) p->lists = lists;
    if (*list) p->lists[p->list_count++] = *list;
    if (count && !*list) vj_packet_lacks_memory(p);
    return p->bad ? 0 : count;
}

const char *const *vj_take_texts(vj_packet *p, int32_t *count) {
    void *list;
    *count = vj_take_count(p, sizeof(char *), &list);
    const char **texts = list;
    for (int32_t i = 0; i < *count; i++)
        if (!(texts[i] = vj_take_text(p))) p->bad = true;
    if (p->bad) *count = 0;
    return texts;
}

void vj_packet_lacks_memory(vj_packet *p) { p->bad = p->no_memory = true; }

bool vj_packet_done(const vj_packet *p) { return !p->bad && p->at == p->size; }
