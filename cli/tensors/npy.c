/* SPDX-License-Identifier: Apache-2.0 */
/* npy.c - .npy files (NumPy's format, versions 1 and 2): C order, little-endian, numbers and booleans. A file is never
 * trusted: its header must be one dictionary of the three keys, and its length must be what the header says. */
#include "tensors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_HEADER 65535 /* bytes; NumPy writes at most a few hundred */

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "elements are copied as they stand");

static const struct {
    const char code[3];
    vj_dtype dtype;
} codes[] = {
    {"f4", VJ_F32}, {"f8", VJ_F64}, {"f2", VJ_F16}, {"i1", VJ_I8},  {"u1", VJ_U8},  {"i2", VJ_I16},
    {"u2", VJ_U16}, {"i4", VJ_I32}, {"u4", VJ_U32}, {"i8", VJ_I64}, {"u8", VJ_U64}, {"b1", VJ_BOOL},
};
#define CODES (sizeof codes / sizeof codes[0])

static const char *code_of(vj_dtype dtype) {
    for (size_t i = 0; i < CODES; i++)
        if (codes[i].dtype == dtype) return codes[i].code;
    return NULL;
}

bool vj_npy_can_hold(vj_dtype dtype) { return code_of(dtype) != NULL; }

/* The header's text, a Python dictionary, while it is read. */
typedef struct cursor {
    const char *at;
    char *why; /* 512 bytes */
} cursor;

static bool fail(char *why, const char *text) {
    snprintf(why, 512, "%s", text);
    return false;
}

static bool bad_header(cursor *c) { return fail(c->why, "not a valid .npy file: its header is not what NumPy writes"); }

static void skip_blanks(cursor *c) { c->at += strspn(c->at, " "); }

static bool take(cursor *c, char letter) {
    skip_blanks(c);
    if (*c->at != letter) return false;
    c->at++;
    return true;
}

static bool take_word(cursor *c, const char *word) {
    skip_blanks(c);
    const size_t length = strlen(word);
    if (strncmp(c->at, word, length) != 0) return false;
    c->at += length;
    return true;
}

/* A string without escapes. */
static bool take_string(cursor *c, char *text, size_t room) {
    skip_blanks(c);
    const char quote = *c->at;
    if (quote != '\'' && quote != '"') return bad_header(c);
    const char *end = strchr(++c->at, quote);
    const size_t length = end ? (size_t)(end - c->at) : 0;
    if (!end || length >= room || memchr(c->at, '\\', length)) return bad_header(c);
    memcpy(text, c->at, length);
    text[length] = 0;
    c->at = end + 1;
    return true;
}

static bool take_descr(cursor *c, vj_array *array) {
    char text[32];
    skip_blanks(c);
    if (*c->at == '[') return fail(c->why, "structured elements are not supported");
    if (!take_string(c, text, sizeof text)) return false;
    for (size_t i = 0; i < CODES; i++)
        if (text[0] && strcmp(text + 1, codes[i].code) == 0) array->dtype = codes[i].dtype;
    const bool one_byte = vj_dtype_bytes(array->dtype) == 1;
    if (array->dtype == VJ_NO_DTYPE || !strchr("<|=>", text[0])) {
        snprintf(c->why, 512, "elements of type '%s' are not supported", text);
        return false;
    }
    if (text[0] == '>' && !one_byte)
        return fail(c->why, "big-endian elements; save x.astype(x.dtype.newbyteorder('<'))");
    return true;
}

static bool take_order(cursor *c) {
    if (take_word(c, "False")) return true;
    if (take_word(c, "True")) return fail(c->why, "Fortran order; save numpy.ascontiguousarray(x)");
    return bad_header(c);
}

static bool take_shape(cursor *c, vj_array *array) {
    if (!take(c, '(')) return bad_header(c);
    while (!take(c, ')')) {
        if (array->rank == VJ_MODEL_MAX_RANK) return fail(c->why, "more than 8 dims");
        skip_blanks(c);
        if (*c->at < '0' || *c->at > '9') return bad_header(c);
        char *end;
        errno = 0;
        const long long dim = strtoll(c->at, &end, 10);
        if (errno) return fail(c->why, "a dim is too large");
        c->at = end;
        array->dims[array->rank++] = dim;
        if (take(c, ',')) continue;
        if (array->rank < 2 || !take(c, ')')) return bad_header(c); /* (3) is a number, (3,) a tuple */
        break;
    }
    return true;
}

static bool take_header(cursor *c, vj_array *array) {
    bool descr = false, order = false, shape = false;
    if (!take(c, '{')) return bad_header(c);
    while (!take(c, '}')) {
        char key[32];
        if (!take_string(c, key, sizeof key)) return false;
        if (!take(c, ':')) return bad_header(c);
        bool *seen = strcmp(key, "descr") == 0           ? &descr
                     : strcmp(key, "fortran_order") == 0 ? &order
                     : strcmp(key, "shape") == 0         ? &shape
                                                         : NULL;
        if (!seen || *seen) return bad_header(c);
        *seen = true;
        if (!(seen == &descr ? take_descr(c, array) : seen == &order ? take_order(c) : take_shape(c, array)))
            return false;
        if (take(c, ',')) continue;
        if (!take(c, '}')) return bad_header(c);
        break;
    }
    skip_blanks(c);
    if (*c->at == '\n') c->at++;
    return descr && order && shape && *c->at == 0 ? true : bad_header(c);
}

/* Reads magic, version and header; *offset is where the elements begin. */
static bool read_header(FILE *file, vj_array *array, int64_t *offset, char *why) {
    unsigned char head[12];
    if (fread(head, 1, 10, file) != 10 || memcmp(head, "\x93NUMPY", 6) != 0) return fail(why, "not an .npy file");
    size_t length = (size_t)(head[8] | head[9] << 8);
    *offset = 10;
    if (head[6] == 2 && head[7] == 0) {
        if (fread(head + 10, 1, 2, file) != 2) return fail(why, "the .npy file is truncated");
        length |= (size_t)head[10] << 16 | (size_t)head[11] << 24;
        *offset = 12;
    } else if (head[6] != 1 || head[7] != 0) {
        snprintf(why, 512, "version %d.%d of .npy is not supported", head[6], head[7]);
        return false;
    }
    if (length > MAX_HEADER) return fail(why, "the .npy header is too long");
    char *text = malloc(length + 1);
    if (!text) return fail(why, "no memory");
    bool good = fread(text, 1, length, file) == length || fail(why, "the .npy file is truncated");
    text[length] = 0;
    cursor c = {.at = text, .why = why};
    if (good && strlen(text) != length) good = bad_header(&c);
    good = good && take_header(&c, array);
    free(text);
    *offset += (int64_t)length;
    return good;
}

static bool check_booleans(const vj_array *array, char *why) {
    const unsigned char *at = array->data;
    for (size_t i = 0; array->dtype == VJ_BOOL && i < array->bytes; i++)
        if (at[i] > 1) return fail(why, "a boolean is neither 0 nor 1");
    return true;
}

static bool read_open(FILE *file, vj_array *array, char *why) {
    struct stat st;
    int64_t offset;
    if (fstat(fileno(file), &st) != 0 || !S_ISREG(st.st_mode)) return fail(why, "not a regular file");
    if (!read_header(file, array, &offset, why)) return false;
    if (!vj_array_measure(array)) return fail(why, "its shape is too large");
    const int64_t there = (int64_t)st.st_size - offset;
    if (there < 0 || (size_t)there < array->bytes) {
        snprintf(why, 512, "truncated: its header promises %zu bytes of elements, %lld are there", array->bytes,
                 (long long)(there < 0 ? 0 : there));
        return false;
    }
    if ((size_t)there > array->bytes) {
        snprintf(why, 512, "%zu bytes behind its last element", (size_t)there - array->bytes);
        return false;
    }
    if (!vj_array_alloc(array)) return fail(why, "no memory for its elements");
    if (fread(array->data, 1, array->bytes, file) != array->bytes) return fail(why, "reading failed");
    return check_booleans(array, why);
}

vj_status vj_npy_read(const char *path, vj_array *array, char why[512]) {
    *array = (vj_array){0};
    errno = 0;
    /* A FIFO must not be waited for. */
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    FILE *file = descriptor < 0 ? NULL : fdopen(descriptor, "rb");
    if (!file) {
        const vj_status status = vj_file_status(errno);
        fail(why, strerror(errno));
        if (descriptor >= 0) close(descriptor);
        return status;
    }
    const bool good = read_open(file, array, why);
    const int failure = errno; /* where the machine failed, the file is as it should be */
    fclose(file);
    if (good) return VJ_OK;
    vj_array_free(array);
    if (vj_file_status(failure) == VJ_SYSTEM) fail(why, strerror(failure));
    return vj_file_status(failure);
}

bool vj_npy_write(FILE *file, const vj_array *array) {
    char text[512];
    int used = snprintf(text, sizeof text, "{'descr': '%c%s', 'fortran_order': False, 'shape': (",
                        vj_dtype_bytes(array->dtype) == 1 ? '|' : '<', code_of(array->dtype));
    for (int32_t d = 0; d < array->rank; d++)
        used += snprintf(text + used, sizeof text - (size_t)used, "%s%lld%s", d ? " " : "", (long long)array->dims[d],
                         d + 1 < array->rank || array->rank == 1 ? "," : "");
    used += snprintf(text + used, sizeof text - (size_t)used, "), }");
    while ((10 + used + 1) % 64 != 0)
        text[used++] = ' '; /* elements begin at a multiple of 64 */
    text[used++] = '\n';
    const unsigned char head[10] = {
        0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)(used & 255), (unsigned char)(used >> 8)};
    return fwrite(head, 1, sizeof head, file) == sizeof head && fwrite(text, 1, (size_t)used, file) == (size_t)used &&
           fwrite(array->data, 1, array->bytes, file) == array->bytes;
}
