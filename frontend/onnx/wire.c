/* SPDX-License-Identifier: Apache-2.0 */
/* wire.c - walks the wire format of a model before protobuf-c sees it.
 *
 * protobuf-c copies every bytes field, so that all weights would be in memory, and it trusts the nesting and the number
 * of fields that it is given. The walk reads the file through a small window, follows only the fields of onnx.proto
 * (the tables below), checks every length against the enclosing one, and writes a slim message in which a large payload
 * is (field, offset, length). The only cycle in the tables is that of graphs inside attributes, whose nesting has a
 * limit of its own, so the depth is bounded whatever the file holds.
 */
#include "wire.h"

#include <stdlib.h>
#include <string.h>

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };
enum { FIELD_PAYLOAD = 100000, FIELD_DROPPED = 100001 };

typedef enum action {
    ACTION_COPY,    /* is copied */
    ACTION_TEXT,    /* is copied with '?' for control characters, as names are printed to terminals */
    ACTION_PAYLOAD, /* is cut out when it is long; its unit must divide its length */
    ACTION_CHILD,   /* is a message of kind `child` */
    ACTION_GRAPH,   /* is a graph inside a node */
    ACTION_MARK     /* is dropped, but FIELD_DROPPED is set */
} action;

typedef enum message {
    MSG_MODEL,
    MSG_OPSET,
    MSG_PROPERTY,
    MSG_FUNCTION,
    MSG_GRAPH,
    MSG_NODE,
    MSG_ATTRIBUTE,
    MSG_TENSOR,
    MSG_VALUE_INFO,
    MSG_TYPE,
    MSG_TENSOR_TYPE,
    MSG_SHAPE,
    MSG_DIMENSION,
    MSG_COUNT
} message;

typedef struct rule {
    uint16_t number;
    uint8_t action;
    uint8_t child; /* the kind of message for ACTION_CHILD and ACTION_GRAPH; the unit in bytes for ACTION_PAYLOAD */
} rule;

/* A row ends with number 0. Fields that are not listed are skipped. */
static const rule rules[MSG_COUNT][16] = {
    [MSG_MODEL] = {{1, ACTION_COPY, 0},
                   {2, ACTION_TEXT, 0},
                   {3, ACTION_TEXT, 0},
                   {7, ACTION_CHILD, MSG_GRAPH},
                   {8, ACTION_CHILD, MSG_OPSET},
                   {14, ACTION_CHILD, MSG_PROPERTY},
                   {25, ACTION_CHILD, MSG_FUNCTION}},
    [MSG_OPSET] = {{1, ACTION_TEXT, 0}, {2, ACTION_COPY, 0}},
    [MSG_PROPERTY] = {{1, ACTION_TEXT, 0}, {2, ACTION_COPY, 0}},
    [MSG_FUNCTION] = {{1, ACTION_TEXT, 0},
                      {4, ACTION_TEXT, 0},
                      {5, ACTION_TEXT, 0},
                      {6, ACTION_TEXT, 0},
                      {7, ACTION_CHILD, MSG_NODE},
                      {9, ACTION_CHILD, MSG_OPSET},
                      {10, ACTION_TEXT, 0},
                      {11, ACTION_CHILD, MSG_ATTRIBUTE},
                      {13, ACTION_TEXT, 0}},
    [MSG_GRAPH] = {{1, ACTION_CHILD, MSG_NODE},
                   {2, ACTION_TEXT, 0},
                   {5, ACTION_CHILD, MSG_TENSOR},
                   {11, ACTION_CHILD, MSG_VALUE_INFO},
                   {12, ACTION_CHILD, MSG_VALUE_INFO},
                   {15, ACTION_MARK, 0}},
    [MSG_NODE] = {{1, ACTION_TEXT, 0},
                  {2, ACTION_TEXT, 0},
                  {3, ACTION_TEXT, 0},
                  {4, ACTION_TEXT, 0},
                  {5, ACTION_CHILD, MSG_ATTRIBUTE},
                  {7, ACTION_TEXT, 0},
                  {8, ACTION_TEXT, 0}},
    [MSG_ATTRIBUTE] = {{1, ACTION_TEXT, 0},
                       {2, ACTION_COPY, 0},
                       {3, ACTION_COPY, 0},
                       {4, ACTION_COPY, 0},
                       {5, ACTION_CHILD, MSG_TENSOR},
                       {6, ACTION_GRAPH, MSG_GRAPH},
                       {7, ACTION_COPY, 0},
                       {8, ACTION_COPY, 0},
                       {9, ACTION_COPY, 0},
                       {10, ACTION_MARK, 0},
                       {11, ACTION_MARK, 0},
                       {20, ACTION_COPY, 0},
                       {21, ACTION_TEXT, 0},
                       {22, ACTION_MARK, 0},
                       {23, ACTION_MARK, 0}},
    [MSG_TENSOR] = {{1, ACTION_COPY, 0},
                    {2, ACTION_COPY, 0},
                    {4, ACTION_PAYLOAD, 4},
                    {5, ACTION_PAYLOAD, 1},
                    {7, ACTION_PAYLOAD, 1},
                    {8, ACTION_TEXT, 0},
                    {9, ACTION_PAYLOAD, 1},
                    {10, ACTION_PAYLOAD, 8},
                    {11, ACTION_PAYLOAD, 1},
                    {13, ACTION_CHILD, MSG_PROPERTY},
                    {14, ACTION_COPY, 0}},
    [MSG_VALUE_INFO] = {{1, ACTION_TEXT, 0}, {2, ACTION_CHILD, MSG_TYPE}},
    [MSG_TYPE] = {{1, ACTION_CHILD, MSG_TENSOR_TYPE}},
    [MSG_TENSOR_TYPE] = {{1, ACTION_COPY, 0}, {2, ACTION_CHILD, MSG_SHAPE}},
    [MSG_SHAPE] = {{1, ACTION_CHILD, MSG_DIMENSION}},
    [MSG_DIMENSION] = {{1, ACTION_COPY, 0}, {2, ACTION_TEXT, 0}},
};

enum { WINDOW = 1 << 16 };

typedef struct walk {
    const vj_source *source;
    vj_error *error;
    int64_t at;                       /* the next byte */
    int64_t window_start, window_end; /* the range of the source that `window` holds */
    uint8_t *window;
    uint8_t *out;
    size_t out_size, out_capacity;
    int32_t depth; /* how deep the current graph is nested */
    bool failed;
} walk;

static bool broken(walk *w, const char *what) {
    if (w->failed) return false;
    w->failed = true;
    vj_fail(w->error, VJ_BAD_INPUT, "%s: not a valid ONNX file: at byte %lld, %s", w->source->path, (long long)w->at,
            what);
    return false;
}

/* The bytes at w->at; *have is at least one and at most `want`. Returns NULL at the end of the source or on an
 * error. */
static const uint8_t *peek(walk *w, int64_t want, int64_t *have) {
    if (w->failed || w->at >= w->source->size) return NULL;
    if (w->source->fd < 0) {
        *have = vj_min64(want, w->source->size - w->at);
        return w->source->at + w->at;
    }
    if (w->at < w->window_start || w->at >= w->window_end) {
        int64_t length = vj_min64(WINDOW, w->source->size - w->at);
        if (!vj_source_read(w->source, w->at, length, w->window, w->error)) {
            w->failed = true;
            return NULL;
        }
        w->window_start = w->at;
        w->window_end = w->at + length;
    }
    *have = vj_min64(want, w->window_end - w->at);
    return w->window + (w->at - w->window_start);
}

/* Makes room for `bytes` more of the slim message. Returns NULL when the message would exceed its limit. */
static uint8_t *room(walk *w, size_t bytes) {
    if (w->failed) return NULL;
    if (bytes > (size_t)VJ_WIRE_SLIM_LIMIT - w->out_size) {
        w->failed = true;
        vj_fail(w->error, VJ_UNSUPPORTED, "%s: the graph without its weights is larger than %lld MiB", w->source->path,
                (long long)(VJ_WIRE_SLIM_LIMIT >> 20));
        return NULL;
    }
    if (w->out_size + bytes > w->out_capacity) {
        size_t capacity = w->out_capacity ? w->out_capacity : 4096;
        while (capacity < w->out_size + bytes)
            capacity *= 2;
        uint8_t *grown = realloc(w->out, capacity);
        if (!grown) {
            w->failed = true;
            vj_fail(w->error, VJ_SYSTEM, "%s: out of memory for the graph", w->source->path);
            return NULL;
        }
        w->out = grown;
        w->out_capacity = capacity;
    }
    uint8_t *at = w->out + w->out_size;
    w->out_size += bytes;
    return at;
}

static void put_varint(walk *w, uint64_t value) {
    uint8_t bytes[10];
    size_t n = 0;
    do {
        bytes[n] = (uint8_t)(value & 0x7f);
        value >>= 7;
        if (value) bytes[n] |= 0x80;
        n++;
    } while (value);
    uint8_t *to = room(w, n);
    if (to) memcpy(to, bytes, n);
}

static void put_tag(walk *w, uint32_t number, uint32_t wire) { put_varint(w, (uint64_t)number << 3 | wire); }

/* Reserves a length that is known only later, as a padded varint of five bytes. */
static size_t put_open_length(walk *w) {
    size_t at = w->out_size;
    room(w, 5);
    return at;
}

static void close_length(walk *w, size_t at) {
    if (w->failed) return;
    size_t length = w->out_size - at - 5;
    for (int i = 0; i < 5; i++)
        w->out[at + (size_t)i] = (uint8_t)((length >> (7 * i) & 0x7f) | (i < 4 ? 0x80 : 0));
}

static bool take_byte(walk *w, int64_t end, uint8_t *byte) {
    int64_t have = 0;
    const uint8_t *at = w->at < end ? peek(w, 1, &have) : NULL;
    if (!at)
        return broken(w, w->at < w->source->size ? "a field runs past its message" : "the file ends inside a field");
    *byte = *at;
    w->at++;
    return true;
}

static bool take_varint(walk *w, int64_t end, uint64_t *value) {
    uint64_t v = 0;
    for (int i = 0; i < 10; i++) {
        uint8_t byte;
        if (!take_byte(w, end, &byte)) return false;
        if (i == 9 && byte > 1) break;
        v |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (!(byte & 0x80)) {
            *value = v;
            return true;
        }
    }
    return broken(w, "a number has too many bytes");
}

static bool copy_bytes(walk *w, int64_t length, bool text) {
    if (length > VJ_WIRE_SLIM_LIMIT) return room(w, (size_t)VJ_WIRE_SLIM_LIMIT + 1) != NULL;
    uint8_t *to = room(w, (size_t)length);
    if (!to) return false;
    while (length > 0) {
        int64_t have = 0;
        const uint8_t *from = peek(w, length, &have);
        if (!from) return broken(w, "the file ends inside a field");
        memcpy(to, from, (size_t)have);
        if (text) {
            for (int64_t i = 0; i < have; i++)
                if (to[i] < 0x20 || to[i] == 0x7f) to[i] = '?';
        }
        to += have;
        w->at += have;
        length -= have;
    }
    return true;
}

static void cut_payload(walk *w, uint32_t number, int64_t length) {
    put_tag(w, FIELD_PAYLOAD, WIRE_BYTES);
    size_t open = put_open_length(w);
    put_tag(w, 1, WIRE_VARINT);
    put_varint(w, number);
    put_tag(w, 2, WIRE_VARINT);
    put_varint(w, (uint64_t)w->at);
    put_tag(w, 3, WIRE_VARINT);
    put_varint(w, (uint64_t)length);
    close_length(w, open);
    w->at += length;
}

static const rule *find_rule(message kind, uint64_t number) {
    for (const rule *r = rules[kind]; r < rules[kind] + 16 && r->number; r++)
        if (r->number == number) return r;
    return NULL;
}

static bool walk_message(walk *w, message kind, int64_t end);

static bool walk_child(walk *w, const rule *r, int64_t end) {
    put_tag(w, r->number, WIRE_BYTES);
    size_t open = put_open_length(w);
    if (!walk_message(w, (message)r->child, end)) return false;
    close_length(w, open);
    return !w->failed;
}

static bool walk_graph(walk *w, const rule *r, int64_t end) {
    if (w->depth == VJ_WIRE_GRAPHS) {
        w->failed = true;
        vj_fail(w->error, VJ_UNSUPPORTED, "%s: graphs stand inside each other %d deep", w->source->path,
                VJ_WIRE_GRAPHS + 1);
        return false;
    }
    w->depth++;
    bool ok = walk_child(w, r, end);
    w->depth--;
    return ok;
}

static bool walk_bytes(walk *w, const rule *r, int64_t end) {
    uint64_t length;
    if (!take_varint(w, end, &length)) return false;
    if (length > (uint64_t)(end - w->at))
        return broken(w, end < w->source->size ? "a field runs past its message"
                                               : "a field runs past the end of the file");
    int64_t size = (int64_t)length;
    if (!r) {
        w->at += size;
        return true;
    }
    switch ((action)r->action) {
    case ACTION_CHILD:
        return walk_child(w, r, w->at + size);
    case ACTION_GRAPH:
        return walk_graph(w, r, w->at + size);
    case ACTION_PAYLOAD:
        if (size % r->child) return broken(w, "a list of numbers ends inside a number");
        if (size > VJ_WIRE_INLINE) {
            cut_payload(w, r->number, size);
            return !w->failed;
        }
        break;
    case ACTION_MARK:
        put_tag(w, FIELD_DROPPED, WIRE_VARINT);
        put_varint(w, r->number);
        w->at += size;
        return !w->failed;
    case ACTION_COPY:
    case ACTION_TEXT:
        break;
    }
    put_tag(w, r->number, WIRE_BYTES);
    put_varint(w, length);
    return copy_bytes(w, size, r->action == ACTION_TEXT);
}

static bool walk_field(walk *w, message kind, int64_t end) {
    uint64_t tag;
    if (!take_varint(w, end, &tag)) return false;
    uint32_t wire = (uint32_t)(tag & 7);
    uint64_t number = tag >> 3;
    if (!number || number > 0x1fffffff) return broken(w, "a field has an impossible number");
    const rule *r = find_rule(kind, number);
    if (wire == WIRE_BYTES) return walk_bytes(w, r, end);
    if (wire != WIRE_VARINT && wire != WIRE_64 && wire != WIRE_32) return broken(w, "a field has an unknown wire type");
    if (r && (r->action == ACTION_TEXT || r->action == ACTION_CHILD || r->action == ACTION_GRAPH))
        return broken(w, "a field has the wrong wire type");
    uint64_t value = 0;
    if (wire == WIRE_VARINT) {
        if (!take_varint(w, end, &value)) return false;
        if (!r) return true;
        put_tag(w, r->number, wire);
        put_varint(w, value);
        return !w->failed;
    }
    int64_t size = wire == WIRE_64 ? 8 : 4;
    if (size > end - w->at) return broken(w, "a field runs past its message");
    if (!r) {
        w->at += size;
        return true;
    }
    put_tag(w, r->number, wire);
    return copy_bytes(w, size, false);
}

static bool walk_message(walk *w, message kind, int64_t end) {
    while (w->at < end)
        if (!walk_field(w, kind, end)) return false;
    return true;
}

uint8_t *vj_wire_slim(const vj_source *source, vj_wire_root root, size_t *size, vj_error *error) {
    walk w = {.source = source, .error = error};
    if (source->fd >= 0) {
        w.window = malloc(WINDOW);
        if (!w.window) {
            vj_fail(error, VJ_SYSTEM, "%s: out of memory to read it", source->path);
            return NULL;
        }
    }
    bool ok = walk_message(&w, root == VJ_WIRE_MODEL ? MSG_MODEL : MSG_TENSOR, source->size) && room(&w, 1);
    free(w.window);
    if (!ok) {
        free(w.out);
        return NULL;
    }
    *size = w.out_size - 1; /* without the extra byte that makes the buffer exist for an empty message */
    return w.out;
}
