/* SPDX-License-Identifier: Apache-2.0 */
/* parse_const.c - constants of the textual form: splat(2), iota, seed(3), [1,2,3], file("x.bin", 128). */
#include "parse.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void close_source(void *self) { close(((vj_source *)self)->fd); }

/* A plain file directly in the folder: a text from elsewhere must not reach further. */
static bool open_file(vj_parser *p, const char *at, const char *name, vj_parsed_const *c) {
    if (!p->folder) return vj_lex_fail(&p->l, at, "file(...) is not allowed here");
    if (!*name || strchr(name, '/') || strcmp(name, "..") == 0)
        return vj_lex_fail(&p->l, at, "file(...) takes a name in the text's own folder");
    vj_source *source = VJ_NEW(p->l.arena, vj_source);
    source->path = vj_sprintf(p->l.arena, "%s/%s", p->folder, name);
    source->fd = open(source->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (source->fd < 0) return vj_lex_fail(&p->l, at, "'%s' cannot be opened: %s", name, strerror(errno));
    vj_arena_at_free(p->l.arena, close_source, source);
    struct stat status;
    if (fstat(source->fd, &status) != 0 || !S_ISREG(status.st_mode))
        return vj_lex_fail(&p->l, at, "'%s' is no plain file", name);
    source->size = status.st_size;
    c->constant.kind = VJ_CONST_BYTES;
    c->constant.source = source;
    c->is_file = true;
    return true;
}

static bool parse_file(vj_parser *p, vj_parsed_const *c) {
    const char *name, *at = vj_lex_here(&p->l);
    bool quoted;
    return vj_lex_name(&p->l, &name, &quoted) && vj_lex_expect(&p->l, ",") && vj_lex_int(&p->l, &c->constant.offset) &&
           vj_lex_expect(&p->l, ")") && open_file(p, at, name, c);
}

static bool parse_list(vj_parser *p, vj_parsed_const *c) {
    c->is_list = true;
    if (vj_lex_take(&p->l, "]")) return true;
    do {
        vj_text_span element = vj_lex_number(&p->l);
        if (!element.length) return vj_lex_fail(&p->l, element.at, "expected an element");
        *VJ_PUSH(p->l.arena, c->elements, c->count, c->capacity) = element;
    } while (vj_lex_take(&p->l, ","));
    return vj_lex_expect(&p->l, "]");
}

bool vj_parse_const(vj_parser *p, vj_parsed_const *c) {
    *c = (vj_parsed_const){.at = vj_lex_here(&p->l)};
    if (vj_lex_take(&p->l, "[")) return parse_list(p, c);
    vj_text_span form = vj_lex_word(&p->l);
    if (vj_lex_is(form, "iota")) {
        c->constant.kind = VJ_CONST_IOTA;
        return true;
    }
    if (vj_lex_is(form, "bytes"))
        return vj_lex_fail(&p->l, c->at, "a constant that was printed without its bytes cannot be read back");
    if (vj_lex_is(form, "splat")) {
        c->constant.kind = VJ_CONST_SPLAT;
        return vj_lex_expect(&p->l, "(") && vj_lex_to_float(&p->l, vj_lex_number(&p->l), &c->constant.splat) &&
               vj_lex_expect(&p->l, ")");
    }
    if (vj_lex_is(form, "seed")) {
        c->constant.kind = VJ_CONST_SEED;
        return vj_lex_expect(&p->l, "(") && vj_lex_to_uint(&p->l, vj_lex_number(&p->l), &c->constant.seed) &&
               vj_lex_expect(&p->l, ")");
    }
    if (vj_lex_is(form, "low_nibbles")) c->constant.nibbles = VJ_NIBBLES_LOW_FIRST;
    if (vj_lex_is(form, "high_nibbles")) c->constant.nibbles = VJ_NIBBLES_HIGH_FIRST;
    if (vj_lex_is(form, "file") || c->constant.nibbles != VJ_NO_NIBBLES)
        return vj_lex_expect(&p->l, "(") && parse_file(p, c);
    return vj_lex_fail(&p->l, c->at, "expected splat(...), iota, seed(...), file(...) or [...]");
}

/* The least and the largest of an integer type; of u64 the largest is checked by its own reader. */
static bool int_fits(vj_dtype dtype, int64_t i) {
    if (dtype == VJ_I64) return true;
    int32_t bits = (int32_t)vj_element_bytes(dtype) * 8;
    bool is_signed = dtype == VJ_I8 || dtype == VJ_I16 || dtype == VJ_I32;
    int64_t end = (int64_t)1 << (is_signed ? bits - 1 : bits);
    return i < end && i >= (is_signed ? -end : 0);
}

static bool parse_element(vj_parser *p, vj_dtype dtype, vj_text_span element, double *x, int64_t *i) {
    if (vj_dtype_is_float(dtype)) return vj_lex_to_float(&p->l, element, x);
    if (dtype == VJ_BOOL) {
        *i = vj_lex_is(element, "true");
        return *i || vj_lex_is(element, "false") || vj_lex_fail(&p->l, element.at, "expected true or false");
    }
    if (dtype == VJ_U64) {
        uint64_t u;
        if (!vj_lex_to_uint(&p->l, element, &u)) return false;
        memcpy(i, &u, sizeof u);
        return true;
    }
    if (!vj_lex_to_int(&p->l, element, i)) return false;
    return int_fits(dtype, *i) || vj_lex_fail(&p->l, element.at, "the element does not fit %s", vj_element_name(dtype));
}

static bool parse_elements(vj_parser *p, vj_parsed_const *c, const vj_type *type, int64_t count) {
    if (count != c->count)
        return vj_lex_fail(&p->l, c->at, "%d elements for a type of %lld", c->count, (long long)count);
    double *floats = VJ_NEW_ARRAY(p->l.arena, double, count);
    int64_t *ints = VJ_NEW_ARRAY(p->l.arena, int64_t, count);
    for (int32_t k = 0; k < c->count; k++)
        if (!parse_element(p, type->dtype, c->elements[k], &floats[k], &ints[k])) return false;
    vj_const_from_host(p->l.arena, type->dtype, count, vj_dtype_is_float(type->dtype) ? floats : NULL, ints,
                       &c->constant);
    return true;
}

bool vj_parse_const_bytes(vj_parser *p, vj_parsed_const *c, const vj_type *type) {
    int64_t count = 0;
    if (!vj_type_is_static(type)) return vj_lex_fail(&p->l, c->at, "a constant's dims must be known");
    if (!vj_type_elements(p->f, type, &count) ||
        !vj_stored_bytes(type->dtype, c->constant.nibbles, count, &c->constant.length))
        return vj_lex_fail(&p->l, c->at, "the constant is too large");
    if (c->is_list) return parse_elements(p, c, type, count);
    if (c->is_file && !vj_range_inside(c->constant.offset, c->constant.length, c->constant.source->size))
        return vj_lex_fail(&p->l, c->at, "the file does not hold %lld bytes from %lld on",
                           (long long)c->constant.length, (long long)c->constant.offset);
    return true;
}
