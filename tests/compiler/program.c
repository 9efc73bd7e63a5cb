/* SPDX-License-Identifier: Apache-2.0 */
/* program.c - a plain C program that links an emitted object. It uses no library but libc, and no heap. It is built with
 * MODEL_HEADER, PREFIX and UPPER.   usage: program INPUT OUTPUT [WEIGHTS [WRONG-WEIGHTS...]] */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include MODEL_HEADER

#define JOIN_(a, b) a##b
#define JOIN(a, b)  JOIN_(a, b)
#define FN(name)    JOIN(PREFIX, name)
#define M(name)     JOIN(UPPER, name)

enum { N = 5, PARTS = 2 };

/* glibc's internal names, which the functions below call so that they can replace malloc and free. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *at, size_t size);
static int no_heap;
static void watch(void) {
    static const char text[] = "the model asked for memory\n";
    if (no_heap && write(2, text, sizeof text - 1) > 0) _exit(9);
}
void *malloc(size_t size) { return watch(), __libc_malloc(size); }
void *calloc(size_t count, size_t size) { return watch(), __libc_calloc(count, size); }
void *realloc(void *at, size_t size) { return watch(), __libc_realloc(at, size); }

static _Alignas(M(_ALIGNMENT)) unsigned char in[M(_INPUT_0_BYTES)(N)], out[M(_OUTPUT_0_BYTES)(N)],
    again[M(_OUTPUT_0_BYTES)(N)], scratch[M(_SCRATCH_BYTES)(N, PARTS)];

#define CHECK(what)                                                                                                    \
    do {                                                                                                               \
        if (!(what)) {                                                                                                 \
            fprintf(stderr, "program.c:%d: %s\n", __LINE__, #what);                                                    \
            return 1;                                                                                                  \
        }                                                                                                              \
    } while (0)

static void one_after_another(void *self, void (*task)(void *arg, int32_t part), void *arg, int32_t parts) {
    (void)self;
    for (int32_t part = 0; part < parts; part++)
        task(arg, part);
}

static const void *map(const char *path, size_t *bytes) {
    struct stat st;
    const int fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &st) != 0 || st.st_size == 0) return NULL;
    *bytes = (size_t)st.st_size;
    const void *at = mmap(NULL, *bytes, PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    return at == MAP_FAILED ? NULL : at;
}

static int bind(FN(_context) * context, int argc, char **argv) {
    for (int i = 4; i < argc; i++) {
        size_t bytes = 0;
        const void *wrong = map(argv[i], &bytes);
        CHECK(wrong && FN(_init)(context, wrong, bytes) == VJ_RUN_BAD_WEIGHTS);
    }
    size_t bytes = 0;
    const void *weights = argc > 3 ? map(argv[3], &bytes) : NULL;
    CHECK(bytes == M(_WEIGHTS_BYTES));
    if (bytes) CHECK(FN(_init)(context, weights, bytes - 1) == VJ_RUN_BAD_WEIGHTS);
    CHECK(FN(_init)(context, weights, bytes) == VJ_RUN_OK);
    return 0;
}

int main(int argc, char **argv) {
    const vj_model *m = FN(_model)();
    CHECK(m->abi == VJ_MODEL_ABI && m->max_batch == M(_MAX_BATCH) && m->weights_alignment == M(_ALIGNMENT));
    CHECK(m->input_count == M(_INPUT_COUNT) && m->output_count == M(_OUTPUT_COUNT));
    CHECK((size_t)(m->scratch_fixed + PARTS * m->scratch_per_image) == M(_SCRATCH_BYTES)(N, PARTS));
    CHECK((size_t)(N * m->outputs[0].bytes_per_image) == sizeof out);
    FILE *f = fopen(argv[1], "rb");
    CHECK(f && fread(in, 1, sizeof in, f) == sizeof in);
    fclose(f);
    FN(_context) context;
    if (bind(&context, argc, argv)) return 1;
    const void *inputs[] = {in};
    void *outputs[] = {out}, *others[] = {again};
    const vj_threads threads = {NULL, PARTS, one_after_another, NULL};
    no_heap = 1;
    const int one = FN(_run)(&context, N, inputs, outputs, scratch);
    const int two = FN(_run_on)(&context, N, inputs, others, scratch, &threads);
    no_heap = 0;
    CHECK(one == VJ_RUN_OK && two == VJ_RUN_OK && memcmp(out, again, sizeof out) == 0);
    f = fopen(argv[2], "wb");
    CHECK(f && fwrite(out, 1, sizeof out, f) == sizeof out && fclose(f) == 0);
    return 0;
}
