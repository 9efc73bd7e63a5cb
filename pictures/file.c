/* SPDX-License-Identifier: Apache-2.0 */
/* file.c - reads a whole regular file. Opened without blocking and looked at before anything is read: a FIFO would wait for a
 * writer for ever, and a device has no end. */
#include "picture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool vj_because(vj_why *why, vj_status status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why->text, sizeof why->text, format, arguments);
    va_end(arguments);
    why->status = status;
    return false;
}

/* How many bytes were read, which are fewer than `size` where the file has become shorter (errno 0) or the machine fails. */
static size_t read_all(int descriptor, uint8_t *to, size_t size) {
    size_t used = 0;
    while (used < size) {
        const ssize_t got = read(descriptor, to + used, size - used);
        if (got < 0 && errno == EINTR) continue;
        if (got == 0) errno = 0;
        if (got <= 0) break;
        used += (size_t)got;
    }
    return used;
}

static bool read_descriptor(int descriptor, size_t most, uint8_t **bytes, size_t *size, vj_why *why) {
    struct stat info;
    if (fstat(descriptor, &info) != 0) return vj_because(why, VJ_BAD_INPUT, "%s", strerror(errno));
    if (S_ISDIR(info.st_mode)) return vj_because(why, VJ_BAD_INPUT, "%s", strerror(EISDIR));
    if (!S_ISREG(info.st_mode)) return vj_because(why, VJ_BAD_INPUT, "not a regular file");
    if (info.st_size < 0 || (uint64_t)info.st_size > most)
        return vj_because(why, VJ_BAD_INPUT, "the file has %lld bytes, more than %zu", (long long)info.st_size, most);
    const size_t whole = (size_t)info.st_size;
    if (!(*bytes = malloc(whole + 1))) return vj_because(why, VJ_SYSTEM, "out of memory for %zu bytes", whole);
    *size = read_all(descriptor, *bytes, whole);
    if (*size != whole) {
        const int failure = errno;
        free(*bytes);
        *bytes = NULL;
        return failure ? vj_because(why, VJ_SYSTEM, "it cannot be read: %s", strerror(failure))
                       : vj_because(why, VJ_BAD_INPUT, "it cannot be read to its end");
    }
    (*bytes)[whole] = 0;
    return true;
}

bool vj_file_read(const char *path, size_t most, uint8_t **bytes, size_t *size, bool *missing, vj_why *why) {
    *bytes = NULL;
    *size = 0;
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (missing) *missing = descriptor < 0 && errno == ENOENT;
    if (descriptor < 0) {
        const bool by_machine = errno == EMFILE || errno == ENFILE || errno == ENOMEM;
        return vj_because(why, by_machine ? VJ_SYSTEM : VJ_BAD_INPUT, "%s", strerror(errno));
    }
    const bool good = read_descriptor(descriptor, most, bytes, size, why);
    close(descriptor);
    return good;
}
