/* cli.h - the command line, a thin user of vitjit.h.
 *
 * options.c   the table of options, --help
 * command.c   what was asked for, step by step
 * npy.c       .npy files
 * tensors.c   a model's inputs and outputs in memory: from files, seeded, to files
 * bench.c     --bench, --stats
 * expect.c    --expect, --test
 * classify.c  pictures
 */
#ifndef VITJIT_CLI_CLI_H
#define VITJIT_CLI_CLI_H

#include "runtime/runtime.h"

#define VJ_MAX_REPEATS 64

/* NAME=VALUE of the command line. */
typedef struct vj_pair {
    const char *name, *value;
} vj_pair;

typedef struct vj_cli_options {
    const char *model;
    const char **pictures; /* the other arguments */
    int32_t picture_count;
    vj_pair inputs[VJ_MAX_REPEATS], expects[VJ_MAX_REPEATS];
    int32_t input_count, expect_count;
    const char *also[VJ_MAX_REPEATS], *disabled[VJ_MAX_REPEATS], *tests[VJ_MAX_REPEATS];
    int32_t also_count, disabled_count, test_count;
    vj_shape shapes[VJ_MAX_REPEATS];
    int32_t shape_count;
    const char *output, *file, *prefix, *weights, *cache, *cpu, *print_after, *stop_after, *jit, *precision;
    const char *labels, *format, *mean, *std, *resize, *crop_pct, *interpolation;
    int64_t batch, threads, topk, pass_limit;
    double bench, rtol, atol;
    int32_t inspect, report, check, stats, quiet, version, help, no_cache;
    int32_t emit_obj, emit_asm, emit_llvm, emit_ir;
} vj_cli_options;

int vj_cli(int argc, char **argv);

/* options.c: false after saying what is wrong */
bool vj_read_options(int argc, char **argv, vj_cli_options *o);
void vj_print_help(FILE *out);
/* "vitjit: FILE: what" on stderr; the hint may be NULL. Returns the status. */
vj_status vj_say(vj_status status, const char *file, const char *hint, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* npy.c: data malloc'ed */
typedef struct vj_array {
    vj_dtype dtype;
    int32_t rank;
    int64_t dims[VJ_MODEL_MAX_RANK];
    void *data;
    size_t bytes;
} vj_array;
vj_status vj_npy_read(const char *path, vj_array *array);
/* Whole or not at all. */
vj_status vj_npy_write(const char *path, const vj_array *array);

/* tensors.c */
typedef struct vj_io {
    vj_model *model;
    vj_session *session;
    int64_t n;
    vj_array *inputs, *outputs;
} vj_io;
/* Reads the inputs that are named, makes up the others from a seed, binds all. */
vj_status vj_io_open(vj_model *model, const vj_cli_options *o, vj_io *io);
void vj_io_close(vj_io *io);
vj_status vj_io_write(const vj_io *io, const char *folder);
void vj_io_print(const vj_io *io, FILE *out);

/* bench.c */
typedef struct vj_bench {
    double min_ms, median_ms, p99_ms;
    int64_t runs;
} vj_bench;
vj_status vj_bench_run(const vj_io *io, double seconds, vj_bench *bench);
vj_status vj_print_stats(const vj_io *io, const vj_bench *bench); /* NULL: no --bench */

/* expect.c */
vj_status vj_compare(const char *name, const vj_array *got, const vj_array *want, double rtol, double atol);
vj_status vj_expect(const vj_io *io, const vj_cli_options *o);
vj_status vj_run_tests(vj_model *model, const vj_cli_options *o);

/* classify.c */
vj_status vj_classify(vj_model *model, const vj_cli_options *o);

#endif
