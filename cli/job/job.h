/* SPDX-License-Identifier: Apache-2.0 */
/* job.h - what the command asks of the compiler, and the compiled model with its inputs and outputs bound.
 *
 * job.c      compiles, binds, runs. The way in: vj_job_open, or vj_job_prepare with the command's own inputs
 * request.c  the command as a request to the compiler
 * ranges.c   --shape with ranges of sizes
 * calibration.c  which calibration a command takes
 * expect.c   --expect: the outputs beside files
 *
 * Sees the rooms command and tensors.
 */
#ifndef VITJIT_CLI_JOB_JOB_H
#define VITJIT_CLI_JOB_JOB_H

#include "cli/tensors/tensors.h"

/* request.c */

/* The array as a value that the compiler may take; it stays the array's. */
vj_fixed_input vj_as_fixed(const vj_array *array);

/* A word of --shape: NAME=1x3x48x64..640:32 has the least sizes in the shape. */
typedef struct vj_sizes {
    vj_shape shape;
    int64_t most[VJ_MODEL_MAX_RANK], step[VJ_MODEL_MAX_RANK]; /* step 0: the dim has one size */
    bool is_range;                                            /* some dim has a range */
} vj_sizes;

/* The request that the command means. The parts point into it: it must not move. */
typedef struct vj_request {
    vj_options options;
    vj_compile_request compile;
    vj_sizes *given; /* by --shape, in order; malloc'ed */
    int32_t given_count;
    vj_shape_set
        *sets; /* what those without ranges make, at least one; all but --emit take the first alone; malloc'ed */
    int32_t set_count;
    vj_shape *shapes;    /* those of all sets, the first one's first; malloc'ed */
    int32_t shape_count; /* of the first */
    vj_array *fixes;     /* --fix, and the same as the compiler takes them; malloc'ed */
    vj_fixed_input *fixed;
    int32_t fix_count;
    vj_cpu_choice cpu;
    char *calibration;        /* the text of a file; malloc'ed */
    char picture_source[256]; /* where compile.picture comes from; "": nothing says it */
    const char *model;
} vj_request;
/* Options that say where the compiler runs and what it may take, and nothing else. */
void vj_request_limits(const vj_command *command, vj_options *options);
vj_status vj_request_fill(const vj_command *command, vj_request *request);
void vj_request_free(vj_request *request);

/* ranges.c */

/* All words of --shape, as they came; of an object each size of a range is one. */
vj_status vj_read_sizes(const vj_command *command, vj_request *request);
/* Is each input one of its range's sizes? With --round-up it becomes one, by zeros behind its elements. */
vj_status vj_take_sizes(const vj_command *command, vj_array *inputs, int32_t count);

/* The range that pictures take their sizes from; none: not is_range. The name is the caller's to free, on failure too. */
vj_status vj_picture_range(const vj_command *command, vj_sizes *range);
/* Heights and widths: of the model's input, and of what the picture becomes in its corner. */
typedef struct vj_fitted_size {
    int64_t size[2], seen[2];
} vj_fitted_size;
vj_status vj_size_of_picture(const vj_command *command, const vj_sizes *range, const char *file, int64_t height,
                             int64_t width, vj_fitted_size *of);
/* Says what is filled up. */
void vj_tell_zeros(const char *file, const vj_fitted_size *of);
/* The command for pictures of one size. */
typedef struct vj_sized_command {
    vj_command command;
    char *word; /* of --shape */
} vj_sized_command;
vj_status vj_command_of_size(const vj_command *command, const vj_sizes *range, const int64_t size[2],
                             vj_sized_command *one);
void vj_sized_free(vj_sized_command *one);

/* calibration.c */

/* Where the command's calibration is, or is to be written: beside the model, unless it says where. */
vj_status vj_calibration_path(const vj_command *command, char *path, size_t room);
/* Sets the options of precision int8: the text that the command brings, or its file's, if there is one. */
vj_status vj_request_calibration(const vj_command *command, vj_request *request);

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
/* Is --batch, if it was given, the bound inputs' one? */
vj_status vj_job_check_batch(const vj_job *job);
/* Seeded arrays for all inputs, for the batch asked for; others for each number. */
vj_status vj_job_seed(vj_job *job, uint64_t number, vj_array **inputs);
/* A session anew, with memory of its own; to be bound again. */
vj_status vj_job_renew(vj_job *job);
vj_status vj_job_run(vj_job *job);
void vj_job_close(vj_job *job);
/* A session more of the job's model, to be bound; it goes before the job. */
vj_status vj_job_join(const vj_job *job, vj_job *other);
void vj_job_leave(vj_job *other);
/* The batch of a model whose first input has this shape, for --batch (0: 1). */
vj_status vj_job_batch(const vj_job *job, int64_t *n, int64_t *images);
/* Inputs read (--input) or seeded, compiled, bound. Frees are the caller's, on failure too. */
vj_status vj_job_prepare(const vj_command *command, vj_job *job, vj_array **inputs, int32_t *count);

/* expect.c: --expect NAME=y.npy, all of them. */
vj_status vj_expect_all(const vj_command *command, const vj_job *job);

#endif
