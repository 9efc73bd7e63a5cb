/* SPDX-License-Identifier: Apache-2.0 */
/* yaml.c - YAML as JSON, by libyaml's events. Plain scalars are null, booleans and numbers as Python's tools write them, all else is text.
 *
 * What an alias stands for is copied. Each node costs what it takes in memory, copies too, and the sum is bounded: no small file becomes a
 * large tree.
 */
#include "paddle.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#define MOST_BYTES   ((size_t)128 << 20)
#define MOST_DEEP    64
#define MOST_ANCHORS 64

typedef struct anchor {
    char name[64];
    const cJSON *node;
} anchor;

/* A tree in the making. */
typedef struct building {
    cJSON *root;
    cJSON *open[MOST_DEEP];
    char *keys[MOST_DEEP]; /* of the open mapping, the key whose value comes next */
    int32_t depth;
    anchor anchors[MOST_ANCHORS];
    int32_t anchor_count;
    size_t bytes;
    size_t line;
    vj_why *why;
} building;

static bool refuse(building *b, const char *what) {
    return vj_because(b->why, VJ_BAD_INPUT, "line %zu: %s", b->line, what);
}

static bool spend(building *b, size_t bytes) {
    if (bytes > MOST_BYTES - b->bytes) return refuse(b, "it becomes too large");
    b->bytes += bytes;
    return true;
}

static const char *tail_of(const yaml_char_t *tag) {
    const char *colon = strrchr((const char *)tag, ':');
    return colon ? colon + 1 : (const char *)tag;
}

/* Digits with a point, an exponent behind that, a sign in front; whole numbers do not begin with 0. */
static bool is_number(const char *text, double *number) {
    const char *digits = text + (*text == '-' || *text == '+');
    const bool zeros = digits[0] == '0' && digits[1] >= '0' && digits[1] <= '9';
    if (!*digits || strspn(digits, "0123456789.eE+-") != strlen(digits) ||
        (digits[0] != '.' && strspn(digits, "0123456789") == 0))
        return false;
    if (!strchr(digits, '.') && (zeros || strpbrk(digits, "eE"))) return false;
    char *end;
    *number = strtod(text, &end);
    return end != digits && !*end && isfinite(*number);
}

static bool is_one_of(const char *text, const char *const words[3]) {
    for (int32_t i = 0; i < 3; i++)
        if (strcmp(text, words[i]) == 0) return true;
    return false;
}

static cJSON *plain(const char *text) {
    static const char *const nulls[] = {"null", "Null", "NULL"}, *const trues[] = {"true", "True", "TRUE"},
                             *const falses[] = {"false", "False", "FALSE"};
    double number;
    if (!*text || strcmp(text, "~") == 0 || is_one_of(text, nulls)) return cJSON_CreateNull();
    if (is_one_of(text, trues)) return cJSON_CreateTrue();
    if (is_one_of(text, falses)) return cJSON_CreateFalse();
    return is_number(text, &number) ? cJSON_CreateNumber(number) : cJSON_CreateString(text);
}

/* Takes the node into the tree; frees it where it cannot. */
static bool add(building *b, cJSON *node, const yaml_char_t *name) {
    bool good = node || vj_because(b->why, VJ_SYSTEM, "no memory");
    if (good && name && b->anchor_count == MOST_ANCHORS) good = refuse(b, "too many anchors");
    cJSON *parent = b->depth ? b->open[b->depth - 1] : NULL;
    char **key = b->depth ? &b->keys[b->depth - 1] : NULL;
    if (good && parent && cJSON_IsArray(parent)) good = cJSON_AddItemToArray(parent, node);
    if (good && parent && cJSON_IsObject(parent)) good = cJSON_AddItemToObject(parent, *key, node);
    if (!good) {
        cJSON_Delete(node);
        return b->why->text[0] ? false : vj_because(b->why, VJ_SYSTEM, "no memory");
    }
    if (!parent) b->root = node;
    if (key) {
        free(*key);
        *key = NULL;
    }
    if (name) {
        anchor *a = &b->anchors[b->anchor_count++];
        snprintf(a->name, sizeof a->name, "%s", (const char *)name);
        a->node = node;
    }
    return true;
}

/* Whether a value, not a key, comes next. */
static bool wants_value(const building *b) {
    return !b->depth || cJSON_IsArray(b->open[b->depth - 1]) || b->keys[b->depth - 1];
}

static bool take_scalar(building *b, const yaml_event_t *e) {
    const char *text = (const char *)e->data.scalar.value;
    const char *tag = e->data.scalar.tag ? tail_of(e->data.scalar.tag) : NULL;
    const bool is_plain = e->data.scalar.plain_implicit && e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (strlen(text) != e->data.scalar.length) return refuse(b, "a text with a zero in it");
    if (!spend(b, sizeof(cJSON) + e->data.scalar.length)) return false;
    if (!wants_value(b)) return (b->keys[b->depth - 1] = strdup(text)) || vj_because(b->why, VJ_SYSTEM, "no memory");
    if (tag && strcmp(tag, "str") != 0 && strcmp(tag, "!") != 0)
        return refuse(b, "a scalar with a tag that is not read");
    return add(b, is_plain ? plain(text) : cJSON_CreateString(text), e->data.scalar.anchor);
}

static bool open_node(building *b, cJSON *node, const yaml_char_t *name) {
    const bool good = (wants_value(b) || refuse(b, "a key that is no text")) &&
                      (b->depth < MOST_DEEP || refuse(b, "it is nested too deep")) && spend(b, sizeof(cJSON));
    if (!good) {
        cJSON_Delete(node);
        return false;
    }
    if (!add(b, node, name)) return false;
    b->open[b->depth++] = node;
    return true;
}

/* What a copy of the nodes takes. */
static bool spend_copy(building *b, const cJSON *node, int32_t depth) {
    const size_t text = node->valuestring ? strlen(node->valuestring) : 0,
                 key = node->string ? strlen(node->string) : 0;
    if (depth > MOST_DEEP) return refuse(b, "it is nested too deep");
    if (!spend(b, sizeof(cJSON) + text + key)) return false;
    const cJSON *child;
    cJSON_ArrayForEach(child, node) {
        if (!spend_copy(b, child, depth + 1)) return false;
    }
    return true;
}

static bool take_alias(building *b, const yaml_event_t *e) {
    const char *name = (const char *)e->data.alias.anchor;
    int32_t i = b->anchor_count - 1;
    while (i >= 0 && strcmp(b->anchors[i].name, name) != 0)
        i--;
    if (!wants_value(b)) return refuse(b, "a key that is no text");
    if (i < 0) return refuse(b, "an alias of nothing");
    for (int32_t d = 0; d < b->depth; d++)
        if (b->open[d] == b->anchors[i].node) return refuse(b, "an alias of what it stands in");
    return spend_copy(b, b->anchors[i].node, b->depth + 1) && add(b, cJSON_Duplicate(b->anchors[i].node, true), NULL);
}

static bool take_event(building *b, const yaml_event_t *e) {
    b->line = e->start_mark.line + 1;
    switch (e->type) {
    case YAML_SCALAR_EVENT:
        return take_scalar(b, e);
    case YAML_ALIAS_EVENT:
        return take_alias(b, e);
    case YAML_SEQUENCE_START_EVENT:
        return open_node(b, cJSON_CreateArray(), e->data.sequence_start.anchor);
    case YAML_MAPPING_START_EVENT:
        return open_node(b, cJSON_CreateObject(), e->data.mapping_start.anchor);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        b->depth--;
        return true;
    case YAML_DOCUMENT_START_EVENT:
        return !b->root || refuse(b, "a second document");
    default:
        return true;
    }
}

static bool read_events(building *b, yaml_parser_t *parser) {
    for (bool ended = false; !ended;) {
        yaml_event_t event;
        if (!yaml_parser_parse(parser, &event)) {
            b->line = parser->problem_mark.line + 1;
            return parser->error == YAML_MEMORY_ERROR ? vj_because(b->why, VJ_SYSTEM, "no memory")
                                                      : refuse(b, parser->problem ? parser->problem : "no YAML");
        }
        ended = event.type == YAML_STREAM_END_EVENT;
        const bool good = take_event(b, &event);
        yaml_event_delete(&event);
        if (!good) return false;
    }
    return b->root || vj_because(b->why, VJ_BAD_INPUT, "it is empty");
}

cJSON *vj_yaml_parse(const char *text, size_t size, vj_why *why) {
    vj_why ignored;
    building b = {.why = why ? why : &ignored};
    yaml_parser_t parser;
    *b.why = (vj_why){0};
    if (!yaml_parser_initialize(&parser)) {
        vj_because(b.why, VJ_SYSTEM, "no memory");
        return NULL;
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, size);
    if (!read_events(&b, &parser)) {
        cJSON_Delete(b.root);
        b.root = NULL;
    }
    yaml_parser_delete(&parser);
    for (int32_t i = 0; i < MOST_DEEP; i++)
        free(b.keys[i]);
    return b.root;
}
