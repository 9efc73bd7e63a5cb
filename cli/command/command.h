/* SPDX-License-Identifier: Apache-2.0 */
/* command.h - the command line as it was typed, and what is said to people about it.
 *
 * command.c   what the options mean together: the mode, and which options it takes. The way in: vj_command_read
 * options.c   the table of options (option_table.h): parsing, --help, suggestions
 * cpu.c       which CPUs --target, --cpu and --features mean
 * compiler.c  the compiler's library, opened when it is wanted
 * model_folder.c  a folder for a model: which of its files is meant
 * hub.c       a model's folder of the Hub's cache: which of its snapshots is meant
 * foreign.c   files given as a model that are something else
 * folder.c    folders that are to be written to
 * json.c      JSON that has all its parts, or a failure
 * messages.c  one form for errors, warnings, notices
 * plain.c     texts from files, without what a terminal would obey
 * progress.c  how long the work has been going on
 *
 * The lowest room of cli: it sees runtime and pictures alone.
 */
#ifndef VITJIT_CLI_COMMAND_COMMAND_H
#define VITJIT_CLI_COMMAND_COMMAND_H

#include <stdbool.h>
#include <stdio.h>

#include "vitjit_compiler.h"

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
    VJ_MODE_PASSES = 1 << 8, /* --print-after, --print-rewrites, --stop-after alone */
    VJ_MODE_EMIT = 1 << 9,
    VJ_MODE_CACHE = 1 << 10,
    VJ_MODE_TARGETS = 1 << 11,
    VJ_MODE_VERSION = 1 << 12,
    VJ_MODE_HELP = 1 << 13,
    VJ_MODE_CALIBRATE = 1 << 14
} vj_mode;

/* Texts given with a repeatable option, in order; borrowed from argv. */
typedef struct vj_list {
    const char **at;
    int32_t count;
} vj_list;

#define VJ_MOST_OPTIONS 128
/* The command as it was typed. Strings are argv's; 0 and NULL: not given. */
typedef struct vj_command {
    vj_mode mode;
    const char *model;
    char *found_model; /* malloc'ed: the model's file where its folder was given */
    vj_list words;     /* words that are no options: the model first */
    uint32_t asked_modes;
    bool given[VJ_MOST_OPTIONS]; /* by the row of the table */
    vj_emit_format emit;
    bool recursive, fast_decode; /* of pictures */
    vj_list inputs, expects, shapes, fixes, also_outputs, disabled_passes, keep_f32, calibration_data;
    const char *output, *attention, *draw, *emit_path, *prefix, *weights, *linker;
    const char *cpu, *target, *features, *precision, *weight_format, *calibration, *jit;
    const char *cache, *print_after, *stop_after;
    const char *format, *log, *variant, *task, *labels, *mean, *std, *resize, *crop_pct, *interpolation;
    int64_t batch, threads, topk, pass_limit, streams, iterations;
    const char *profile, *report_page;
    double seconds, rtol, atol, threshold, min_cosine, min_agreement;
    int64_t max_memory; /* 0: not given; -1: none, as the next */
    double max_seconds;
    const char *stats; /* a file; "": standard output */
    bool no_cache, quiet, print_rewrites, round_up, in_process;
    bool compiled;     /* the model is a shared library, by its first bytes */
    bool fit_pictures; /* of a copy for one size of a range: pictures are resized to the input, nothing is cropped */
    bool marks;        /* of a profile's own copy of the command: code that says when its kernels begin and end */
    /* Of a calibration's own copies: probes, and its text so far. */
    bool probe;
    const char *calibration_text;
    size_t calibration_bytes;
} vj_command;

/* Parses and judges. On failure the message has been printed. */
vj_status vj_command_read(int argc, char **argv, vj_command *command);
void vj_command_free(vj_command *command);
/* Is it --bench with a list of precisions, which are compared? */
bool vj_is_comparison(const vj_command *command);
/* The command for precision i of the list alone, whose text is kept in `word`: without a --weight-format and --keep-f32
 * that do not fit it. False: there are no more. */
#define VJ_WORD_TEXT 16
bool vj_command_of_precision(const vj_command *list, int32_t i, char word[VJ_WORD_TEXT], vj_command *one);

/* model_folder.c, foreign.c: the model's file, where a folder is given; says what a file is that is no model. Behind vj_set_quiet. */
vj_status vj_find_model(vj_command *command);

/* hub.c: the path of the snapshot that a model's folder of the Hub's cache means; "": it is no such folder. */
vj_status vj_hub_snapshot(const char *folder, char *path, size_t room);
vj_status vj_check_model_file(const vj_command *command);

/* options.c */

vj_status vj_options_parse(int argc, char **argv, vj_command *command);
/* The first option given that the mode does not take, or NULL. */
const char *vj_options_misplaced(const vj_command *command);
bool vj_option_given(const vj_command *command, const char *name);
void vj_options_help(FILE *out);

/* json.c */

struct cJSON;
void vj_json_begin(void); /* once a call of vj_cli */
/* As cJSON_PrintUnformatted; NULL: no memory for it or for a part of it. */
char *vj_json_text(const struct cJSON *json);
/* VJ_SYSTEM, and said, where memory ended for JSON and nothing else failed. */
vj_status vj_json_end(vj_status status);

/* messages.c: all of it to stderr */

/* `vitjit: FILE: text`; returns the status. A text may bring its hint behind "\n  hint: ". file may be NULL. */
vj_status vj_print_error(vj_status status, const char *file, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Who is at fault, by errno, where a file or folder cannot be read: VJ_SYSTEM or VJ_BAD_INPUT. */
vj_status vj_file_status(int why);
void vj_print_hint(const char *format, ...) __attribute__((format(printf, 1, 2)));
void vj_print_warning(const char *file, const char *format, ...) __attribute__((format(printf, 2, 3)));
void vj_print_notice(const char *file, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A file that is there now, with its size. */
void vj_print_wrote(const char *path);

/* progress.c: a line that changes in place, on a terminal, once the work has lasted; at most one at a time */
void vj_progress_begin(const char *what);
void vj_progress_end(void);
/* --quiet: no warnings, no notices, no progress. */
void vj_set_quiet(void);
bool vj_is_quiet(void);

/* plain.c: control characters, bytes that are no UTF-8 and what turns the direction of text become \xNN; with `lines`, ends of
 * lines stay. */
void vj_put_plain(FILE *out, const char *text, bool lines);
char *vj_plain_text(const char *text); /* malloc'ed, one line; NULL: no memory */

/* folder.c: is the folder there, and can it be written to? Asked before long work. */
vj_status vj_outputs_folder(const char *folder);
vj_status vj_outputs_folder_of(const char *path, const char *option); /* of a file to come */

/* compiler.c: the compiler's library, which is opened when it is first wanted; says why it cannot be. */
vj_status vj_compiler(const vj_compiler_api **api);

/* cpu.c: --target, --cpu and --features become rows of `vitjit targets`. */
#define VJ_MOST_CPUS 32 /* that there are */
typedef struct vj_cpu_choice {
    const char *cpus[VJ_MOST_CPUS]; /* rows that code is for, each once; none: the host's */
    int32_t cpu_count;
} vj_cpu_choice;
vj_status vj_choose_cpus(const vj_command *command, vj_cpu_choice *choice);

#endif
