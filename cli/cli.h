/* cli.h - the command line: a thin user of vitjit.h, and of the compiler's door for what compiles without running.
 *
 * main.c, cli.c   dispatch: one mode a call
 * options.c       the table of options: parsing, --help, suggestions
 * command.c       what the options mean together: the mode, and which options it takes
 * messages.c           messages: one form for errors, warnings, notices
 * progress.c      how long the work has been going on
 * array.c         tensors in memory: seeded values, statistics
 * npy.c           .npy files
 * outputs.c       DIR/NAME.npy, all whole or none
 * request.c         what the command asks of the compiler
 * job.c           a compiled model with inputs and outputs bound
 * run.c           tensors in, tensors out; the introduction
 * classify.c      pictures in, labels out; pictures.c finds the files, labels.c prints, maps.c draws
 * compare.c       --expect, and what --test finds
 * profile.c       runs with marks: when each thread worked on which kernel; trace.c writes it for Perfetto
 * test.c, bench.c, stats.c, tools.c (--inspect, --report, --check, passes, --emit-*, targets, cache)
 */
#ifndef VITJIT_CLI_CLI_H
#define VITJIT_CLI_CLI_H

#include <stdbool.h>
#include <stdio.h>

#include "vitjit_compiler.h"

#include "pictures/picture.h"

/* cli.c */
vj_status vj_cli(int argc, char **argv);

/* command.c */

typedef enum vj_mode {
    VJ_MODE_INTRODUCE = 1 << 0,
    VJ_MODE_PICTURES = 1 << 1,
    VJ_MODE_TENSORS = 1 << 2,
    VJ_MODE_BENCH = 1 << 3,
    VJ_MODE_TEST = 1 << 4,
    VJ_MODE_INSPECT = 1 << 5,
    VJ_MODE_REPORT = 1 << 6,
    VJ_MODE_CHECK = 1 << 7,
    VJ_MODE_PASSES = 1 << 8, /* --print-after, --stop-after alone */
    VJ_MODE_EMIT = 1 << 9,
    VJ_MODE_CACHE = 1 << 10,
    VJ_MODE_TARGETS = 1 << 11,
    VJ_MODE_VERSION = 1 << 12,
    VJ_MODE_HELP = 1 << 13
} vj_mode;

/* Texts given with a repeatable option, in order; borrowed from argv. */
typedef struct vj_list {
    const char **at;
    int32_t count;
} vj_list;

/* The command as it was typed. Strings are argv's; 0 and NULL: not given. */
typedef struct vj_command {
    vj_mode mode;
    const char *model;
    vj_list words; /* words that are no options: the model first */
    uint32_t asked_modes;
    uint64_t given; /* a bit an option of the table */
    vj_emit_format emit;
    vj_list inputs, expects, shapes, fixes, also_outputs, disabled_passes;
    const char *output, *attention, *emit_path, *prefix, *weights, *linker;
    const char *cpu, *target, *features, *precision, *jit;
    const char *cache, *print_after, *stop_after;
    const char *format, *labels, *mean, *std, *resize, *crop_pct, *interpolation;
    int64_t batch, threads, topk, pass_limit;
    const char *profile;
    double seconds, rtol, atol;
    bool no_cache, stats, quiet;
    bool compiled; /* the model is a shared library, by its first bytes */
    bool marks;    /* of a profile's own copy of the command: code that says when its kernels begin and end */
} vj_command;

/* Parses and judges. On failure the message has been printed. */
vj_status vj_command_read(int argc, char **argv, vj_command *command);
void vj_command_free(vj_command *command);

/* options.c */

vj_status vj_options_parse(int argc, char **argv, vj_command *command);
/* The first option given that the mode does not take, or NULL. */
const char *vj_options_misplaced(const vj_command *command);
bool vj_option_given(const vj_command *command, const char *name);
void vj_options_help(FILE *out);

/* messages.c: all of it to stderr */

/* `vitjit: FILE: text`; returns the status. A text may bring its hint behind "\n  hint: ". file may be NULL. */
vj_status vj_print_error(vj_status status, const char *file, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void vj_print_hint(const char *format, ...) __attribute__((format(printf, 1, 2)));
void vj_print_warning(const char *file, const char *format, ...) __attribute__((format(printf, 2, 3)));
void vj_print_notice(const char *file, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* --quiet: no warnings, no notices. */
void vj_set_quiet(void);
bool vj_is_quiet(void);
double vj_now_ms(void);

/* progress.c: a line that changes in place, on a terminal, once the work has lasted; at most one at a time */
void vj_progress_begin(const char *what);
void vj_progress_end(void);

/* array.c */

/* A dense tensor in memory of its own. */
typedef struct vj_array {
    char *name; /* malloc'ed, or NULL */
    vj_dtype dtype;
    int32_t rank;
    int64_t dims[VJ_MODEL_MAX_RANK];
    size_t bytes;
    void *data; /* malloc'ed */
} vj_array;
void vj_array_free(vj_array *array);
void vj_arrays_free(vj_array *arrays, int32_t count);
/* Sets bytes from dtype and dims; false when they do not fit. */
bool vj_array_measure(vj_array *array);
bool vj_array_alloc(vj_array *array); /* measures, then zeroed data */
int64_t vj_array_elements(const vj_array *array);
double vj_array_at(const vj_array *array, int64_t i);
/* Standard normal values (integers and booleans: 0 and 1), the same for the same seed on every machine. */
void vj_array_fill(vj_array *array, uint64_t seed);
typedef struct vj_summary {
    double min, max, mean;
    int64_t not_finite; /* left out of the other three */
} vj_summary;
vj_summary vj_array_summary(const vj_array *array);
/* "f32[1,3,224,224]" */
#define VJ_TYPE_TEXT 256
const char *vj_type_words(vj_dtype dtype, const int64_t *dims, int32_t rank, char text[VJ_TYPE_TEXT]);

/* npy.c: a reason in why when false */
bool vj_npy_read(const char *path, vj_array *array, char why[512]);
bool vj_npy_can_hold(vj_dtype dtype);
bool vj_npy_write(FILE *file, const vj_array *array);

/* outputs.c */

/* Is the folder there, and can its files be named? Asked before long work. */
vj_status vj_outputs_folder(const char *folder);
vj_status vj_outputs_names(const char *model_path, const vj_model *model);
/* The first `length` bytes of a name, at most `room`, with `_` for what is not in [A-Za-z0-9._-]. */
void vj_plain_name(const char *name, size_t length, char *out, size_t room);
/* Writes FOLDER/NAME.npy for each, all whole or none. */
vj_status vj_outputs_write(const char *folder, const vj_array *arrays, int32_t count);

/* request.c */

/* The array as a value that the compiler may take; it stays the array's. */
vj_fixed_input vj_as_fixed(const vj_array *array);

/* The request that the command means. The parts point into it: it must not move. */
#define VJ_MOST_CPUS 32 /* that there are */
typedef struct vj_request {
    vj_options options;
    vj_compile_request compile;
    vj_shape *given; /* by --shape, in order; malloc'ed */
    int32_t given_count;
    vj_shape_set *sets; /* what these make, at least one; all but --emit take the first alone; malloc'ed */
    int32_t set_count;
    vj_shape *shapes;    /* those of all sets, the first one's first; malloc'ed */
    int32_t shape_count; /* of the first */
    vj_array *fixes;     /* --fix, and the same as the compiler takes them; malloc'ed */
    vj_fixed_input *fixed;
    int32_t fix_count;
    const char *cpus[VJ_MOST_CPUS]; /* rows that code is for, better ones later; none: the host's */
    int32_t cpu_count;
    const char *model;
} vj_request;
vj_status vj_request_fill(const vj_command *command, vj_request *request);
void vj_request_free(vj_request *request);
vj_status vj_compiler(const vj_compiler_api **api); /* says why not */

/* cpu.c: --target, --cpu and --features become the request's CPUs. */
vj_status vj_choose_cpus(const vj_command *command, vj_request *request);

/* job.c */

typedef struct vj_job {
    const vj_command *command;
    vj_request request;
    vj_model *model;
    vj_session *session;
    int64_t n;         /* the batch that the code runs */
    int64_t images;    /* of one run; n, unless the graph has its batch baked in */
    vj_array *outputs; /* as many as the model has */
} vj_job;
/* Compiles, for the shapes of `inputs` (in any order, named) where the model leaves dims open. */
vj_status vj_job_open(const vj_command *command, const vj_array *inputs, int32_t count, vj_job *job);
/* Binds one array an input, in any order by name, and memory for the outputs. */
vj_status vj_job_bind(vj_job *job, const vj_array *inputs, int32_t count);
/* Seeded arrays for all inputs, for the batch asked for. */
vj_status vj_job_seed(vj_job *job, vj_array **inputs);
vj_status vj_job_run(vj_job *job);
void vj_job_close(vj_job *job);
/* The batch of a model whose first input has this shape, for --batch (0: 1). */
vj_status vj_job_batch(const vj_job *job, int64_t *n, int64_t *images);

/* run.c */
/* Reads --input's files, named. On failure too, the arrays are the caller's (as many as --input was given). */
vj_status vj_read_inputs(const vj_command *command, vj_array **arrays);
/* The files of a list of NAME=x.npy; `option` is for messages. The arrays are the caller's on failure too. */
vj_status vj_read_named(const vj_list *list, const char *option, vj_array **arrays);
/* Inputs read or seeded, compiled, bound. Frees are the caller's, on failure too. */
vj_status vj_job_prepare(const vj_command *command, vj_job *job, vj_array **inputs, int32_t *count);
vj_status vj_run_tensors(const vj_command *command);
vj_status vj_run_introduction(const vj_command *command);
void vj_print_outputs(const vj_array *outputs, int32_t count);

/* compare.c */
typedef struct vj_tolerance {
    double rtol, atol;
    double atol_of_largest; /* added: this part of the largest expected magnitude */
} vj_tolerance;
/* Prints one line that begins with `label`; VJ_OK or VJ_DIFFERS. */
vj_status vj_compare(const char *label, const vj_array *got, const vj_array *want, const vj_tolerance *tolerance);
/* --expect NAME=y.npy, all of them. */
vj_status vj_expect_all(const vj_command *command, const vj_job *job);

/* pictures.c */
typedef struct vj_paths {
    char **at;
    int32_t count;
} vj_paths;
/* What cannot be listed has been said; the rest is there all the same. */
vj_status vj_paths_find(const vj_command *command, vj_paths *paths);
void vj_paths_free(vj_paths *paths);

/* maps.c: --attention */

/* The outputs that are results; maps of attention stand behind them. */
int32_t vj_results_count(const vj_command *command, const vj_model *model);
/* Can maps be drawn, and each picture's be told from the others'? Says which layers have none. */
vj_status vj_check_attention(const vj_command *command, const vj_model *model, const vj_paths *paths);
/* All maps of image `image` of a run of `images`, over the picture as the model sees it. */
vj_status vj_draw_attention(const vj_command *command, const vj_model *model, const vj_array *outputs, int64_t image,
                            int64_t images, const char *file, const vj_picture *picture);

/* labels.c: a picture's results on stdout */
vj_status vj_print_labels(const vj_command *command, const char *file, const vj_recipe *recipe, const float *row,
                          int64_t classes);
void vj_print_summaries(const vj_command *command, const char *file, const vj_array *outputs, int32_t count);

/* classify.c */
vj_status vj_classify(const vj_command *command);
/* The pre-processing as a line of the introduction; nothing for models that take no picture. */
vj_status vj_print_recipe(const vj_command *command, const vj_model *model);

/* test.c, bench.c */
vj_status vj_run_test(const vj_command *command);
typedef struct vj_timing {
    double min_ms, median_ms, p99_ms;
    int64_t runs;
} vj_timing;
vj_status vj_run_bench(const vj_command *command);

/* profile.c */

/* A kernel of a profiled program; texts are the table's. */
typedef struct vj_profiled {
    const struct cJSON *facts; /* docs/cli.md has the keys */
    const char *name, *domain;
    double flops, bytes; /* of one image */
    int64_t units;       /* of one image */
    double busy_ms;      /* of a run, all threads' time added up: the median of the runs */
} vj_profiled;

/* A thread's work on a kernel, in one run. */
typedef struct vj_work {
    int64_t begin_ns, end_ns, busy_ns; /* busy: without what lies between its parts */
    int64_t units;
    int32_t kernel, thread, parts;
} vj_work;

typedef struct vj_profile {
    struct cJSON *table;
    vj_profiled *kernels;
    int32_t kernel_count;
    vj_work *work; /* in the order of their begins */
    int64_t work_count;
    int64_t lost;                 /* shares of kernels for which there was no room */
    int64_t *run_begin, *run_end; /* ns; of each run */
    int32_t runs, threads, threads_seen;
    int64_t images; /* of a run */
    double wall_ms,
        waiting_ms;     /* medians of the runs; waiting: what threads did in no kernel, on average of the threads */
    double peak_gflops; /* of all threads at once; measured for --bench alone */
    double rss_before_bytes;
} vj_profile;
/* Compiles the command's model once more, with marks, and runs it on the inputs, one array an input. */
vj_status vj_profile_make(const vj_command *command, const vj_array *inputs, int32_t count, vj_profile *profile);
void vj_profile_free(vj_profile *profile);
void vj_profile_print(const vj_profile *profile);
/* What --profile asks for, if it was given. */
vj_status vj_profile_if_asked(const vj_command *command, const vj_array *inputs, int32_t count);

/* trace.c: the profile as Chrome's trace events. */
vj_status vj_trace_folder(const char *path); /* Can it be written? Asked before long work. */
vj_status vj_trace_write(const char *path, const char *model, const vj_profile *profile);

/* stats.c: the last line of stdout, when --stats was given; timing and profile may be NULL */
double vj_peak_rss_bytes(void); /* of this process, so far */
vj_status vj_print_stats(const vj_command *command, const vj_model *model);
vj_status vj_print_bench_stats(const vj_command *command, const vj_model_stats *s, const vj_timing *timing,
                               const vj_profile *profile);

/* tools.c */
vj_status vj_run_inspect(const vj_command *command);
vj_status vj_run_report(const vj_command *command);
vj_status vj_run_check(const vj_command *command);
vj_status vj_run_passes_only(const vj_command *command);
vj_status vj_run_emit(const vj_command *command);
vj_status vj_run_cache(const vj_command *command);
vj_status vj_run_targets(void);
vj_status vj_run_version(void);

#endif
