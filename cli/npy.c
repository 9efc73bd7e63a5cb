/* npy.c - numpy's .npy files, versions 1 and 2, C order, little-endian. */
#include "cli.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *const codes[VJ_DTYPE_COUNT] = {"",    "<f4", "<f8", "<f2", "<u2", "|i1", "|u1",
                                                  "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "|b1"};

static vj_dtype dtype_of(const char *code) {
    for (int32_t i = 1; i < VJ_DTYPE_COUNT; i++)
        if (i != VJ_BF16 && strncmp(codes[i], code, 3) == 0) return (vj_dtype)i;
    return VJ_NO_DTYPE;
}

static const char *parse_header(const char *text, vj_array *a) {
    const char *descr = strstr(text, "'descr'"), *order = strstr(text, "'fortran_order'"),
               *shape = strstr(text, "'shape'");
    if (!descr || !order || !shape || !(shape = strchr(shape, '('))) return "its header is damaged";
    if (strncmp(order + 15, ": False", 7) != 0) return "it is in Fortran order; save numpy.ascontiguousarray(x)";
    descr = strchr(descr + 7, '\'');
    a->dtype = descr ? dtype_of(descr + 1) : VJ_NO_DTYPE;
    if (a->dtype == VJ_NO_DTYPE) return "its element type is not one of vitjit's";
    size_t bytes = vj_dtype_bytes(a->dtype);
    for (shape++; *shape && *shape != ')';) {
        char *end;
        errno = 0;
        long long dim = strtoll(shape, &end, 10);
        if (end == shape || dim < 0 || errno || a->rank == VJ_MODEL_MAX_RANK) return "its shape is not one of vitjit's";
        if (__builtin_mul_overflow(bytes, (size_t)dim, &bytes)) return "it is too large";
        a->dims[a->rank++] = dim;
        shape = end;
        while (*shape == ',' || *shape == ' ')
            shape++;
    }
    a->bytes = bytes;
    return NULL;
}

static const char *read_array(FILE *file, vj_array *a) {
    uint8_t head[12];
    if (fread(head, 1, 10, file) != 10 || memcmp(head, "\x93NUMPY", 6) != 0) return "it is not a .npy file";
    size_t length = head[8] | (size_t)head[9] << 8;
    if (head[6] >= 2) {
        if (fread(head + 10, 1, 2, file) != 2) return "it is truncated";
        length |= (size_t)head[10] << 16 | (size_t)head[11] << 24;
    }
    if (head[6] < 1 || head[6] > 3 || length > 65536) return "its header is damaged";
    char *text = calloc(1, length + 1);
    if (!text) return "there is no memory";
    const char *why = fread(text, 1, length, file) == length ? parse_header(text, a) : "it is truncated";
    free(text);
    struct stat st;
    long at = ftell(file);
    if (!why && (fstat(fileno(file), &st) != 0 || at < 0 || (uint64_t)st.st_size - (uint64_t)at < a->bytes))
        why = "it is truncated";
    if (why) return why;
    a->data = malloc(a->bytes + 1);
    if (!a->data) return "there is no memory";
    return fread(a->data, 1, a->bytes, file) == a->bytes ? NULL : "it cannot be read";
}

vj_status vj_npy_read(const char *path, vj_array *array) {
    *array = (vj_array){0};
    FILE *file = fopen(path, "rbe");
    if (!file) return vj_say(VJ_BAD_INPUT, path, NULL, "%s", strerror(errno));
    const char *why = read_array(file, array);
    fclose(file);
    if (!why) return VJ_OK;
    free(array->data);
    array->data = NULL;
    return vj_say(VJ_BAD_INPUT, path, NULL, "%s", why);
}

static bool write_array(FILE *file, const vj_array *a) {
    char head[512], shape[256] = "";
    size_t used = 0;
    for (int32_t d = 0; d < a->rank; d++)
        used += (size_t)snprintf(shape + used, sizeof shape - used, "%lld,%s", (long long)a->dims[d],
                                 d + 1 < a->rank ? " " : "");
    int length =
        snprintf(head, sizeof head, "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", codes[a->dtype], shape);
    int padded = (10 + length + 1 + 63) / 64 * 64 - 10;
    memset(head + length, ' ', (size_t)(padded - length));
    head[padded - 1] = '\n';
    uint8_t start[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (uint8_t)(padded & 255), (uint8_t)(padded >> 8)};
    return fwrite(start, 1, 10, file) == 10 && fwrite(head, 1, (size_t)padded, file) == (size_t)padded &&
           fwrite(a->data, 1, a->bytes, file) == a->bytes;
}

vj_status vj_npy_write(const char *path, const vj_array *array) {
    char name[4400];
    snprintf(name, sizeof name, "%s.%ld.tmp", path, (long)getpid());
    FILE *file = fopen(name, "wbe");
    bool good = file && write_array(file, array);
    int why = errno;
    if (file && fclose(file) != 0 && good) {
        why = errno;
        good = false;
    }
    if (good && rename(name, path) != 0) {
        why = errno;
        good = false;
    }
    if (good) return VJ_OK;
    if (file) unlink(name);
    return vj_say(VJ_SYSTEM, path, NULL, "cannot be written: %s", strerror(why));
}
