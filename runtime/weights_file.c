/* SPDX-License-Identifier: Apache-2.0 */
/* weights_file.c - a file of packed weights, mapped for programs that link emitted objects. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vitjit_rt.h"

const void *vj_weights_open(const char *path, size_t *bytes) {
    struct stat st;
    void *at = MAP_FAILED;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return NULL;
    if (fstat(fd, &st) == 0) at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (at == MAP_FAILED) return NULL;
    *bytes = (size_t)st.st_size;
    return at;
}

void vj_weights_close(const void *weights, size_t bytes) {
    if (weights) munmap((void *)(uintptr_t)weights, bytes);
}
