/* SPDX-License-Identifier: Apache-2.0 */
/* modes.h - one function a mode of the command, vj_run_*, vj_classify and vj_run_introduction, and what they share.
 *
 * run.c        tensors in, tensors out; the introduction of a model
 * classify.c   pictures in, labels out; pictures.c finds the files, loader.c makes inputs of them, labels.c prints,
 *              companions.c brings the inputs beside them, made.c makes some,
 *              classes.c says whether an output is of classes, attention.c draws where heads look, sheet.c all of them in one
 * bench.c      --bench: measure.c takes times, streams.c those of several callers, bench_pictures.c those of pictures, in the models of
 *              bench_rooms.c; bench_text.c prints them; profile.c runs code with marks: when each thread worked on which kernel; trace.c writes it for Perfetto
 * comparison.c --bench of several precisions, side by side; comparison_table.c prints them
 * test.c       --test: ONNX test data
 * stats.c      --stats
 * emit_header.c  what an emitted header says of pictures and classes
 * tools.c      --inspect, --report, --check, passes, --emit-*, targets, cache, --version
 *
 * Sees the rooms command, tensors, job and results.
 */
#ifndef VITJIT_CLI_MODES_MODES_H
#define VITJIT_CLI_MODES_MODES_H

#include "cli/job/job.h"
#include "cli/results/results.h"
#include "pictures/picture.h"

struct cJSON;

/* run.c */
vj_status vj_run_tensors(const vj_command *command);
vj_status vj_run_introduction(const vj_command *command);

/* pictures.c */
typedef struct vj_paths {
    char **at;
    int32_t count;
    size_t shared; /* so many characters say the folder that all words are in, with its slash */
} vj_paths;
/* What cannot be listed has been said; the rest is there all the same. */
vj_status vj_paths_find(const vj_command *command, vj_paths *paths);
void vj_paths_free(vj_paths *paths);

/* loader.c */

typedef struct vj_loader {
    const vj_command *command;
    vj_recipe recipe;
    int64_t batch; /* pictures a run at most; exactly so many when the graph has its batch baked in */
    bool fixed;
    bool silent;            /* no warnings: the pictures have been read before */
    int32_t place;          /* of the picture's input */
    vj_picture_input shape; /* of one picture */
    size_t image_bytes;
    vj_array input;
    const char **files;       /* of the pictures in the batch; borrowed */
    vj_placement *placements; /* of each */
    int64_t filled;           /* so many; the user empties it */
} vj_loader;
/* Does the model take pictures, and how are they prepared? Says what does not fit. Free it on failure too. */
/* `batch`: what the pictures of each run must be where the code leaves it open; 0: up to as many as a run takes. */
vj_status vj_loader_open(const vj_command *command, const vj_job *job, int64_t batch, vj_loader *loader);
void vj_loader_announce(const vj_loader *loader);
/* Into the batch, in which there is room; what cannot be read has been said. */
vj_status vj_loader_add(vj_loader *loader, const char *path);
/* The two steps of that. A picture that is open has its size; its pixels may come with the second step, when it is known what for. Free it
 * with vj_loader_drop, on failure too. `seen`, which may be NULL: it becomes so high and wide, in a corner of the input. */
typedef struct vj_opened_picture {
    const char *path; /* borrowed */
    int32_t height, width;
    uint8_t *bytes;
    size_t size;
    vj_picture picture;
} vj_opened_picture;
vj_status vj_loader_read(const vj_command *command, const char *path, vj_opened_picture *picture);
vj_status vj_loader_put(vj_loader *loader, vj_opened_picture *picture, const int64_t seen[2]);
void vj_loader_drop(vj_opened_picture *picture);
/* The model's input with the pictures so far, and zeros where the graph wants more; borrows the loader's memory. */
vj_array vj_loader_batch(vj_loader *loader);
void vj_loader_free(vj_loader *loader);
/* Says why there is no recipe. */
vj_status vj_recipe_failed(const vj_command *command, const vj_why *why);
/* The pre-processing as a line of the introduction; nothing for models that take no picture. */
vj_status vj_print_recipe(const vj_command *command, const vj_model *model);

/* companions.c: inputs beside the picture's */
typedef struct vj_companions {
    vj_array *arrays; /* of --input, so many are given */
    int32_t given;
    vj_task task; /* that the model is asked for, where it has an input that says so */
} vj_companions;
/* Which input the picture's is; -1: none, or several may be. */
int32_t vj_picture_place(const vj_command *command, const vj_model *model);
/* Opens the job for them; where they are others in number than the pictures, for a batch of pictures of its own. */
vj_status vj_companions_open(const vj_command *command, vj_companions *companions, vj_job *job);
/* The batch that they have where the code leaves it open, which is then the pictures' too; 0: none. */
int64_t vj_companions_batch(const vj_companions *companions, const vj_model *model);
/* Binds them and the batch of pictures that the loader has, and runs. */
vj_status vj_companions_bind(const vj_companions *companions, const vj_loader *loader, const vj_array *batch,
                             vj_job *job);
void vj_companions_free(vj_companions *companions);

/* made.c */
/* Is an input of that name, beside the picture's, made here? */
bool vj_is_made(const char *name);
/* Makes it for the batch that the loader has, in `rows` rows; vj_array_free frees it, on failure too. */
vj_status vj_make_input(const vj_command *command, const vj_tensor_info *input, const vj_loader *loader, int64_t rows,
                        vj_task task, vj_array *made);

/* attention.c: --attention */

/* The outputs that are results; maps of attention stand behind them. */
int32_t vj_results_count(const vj_command *command, const vj_model *model);
/* Can maps be drawn? Says which layers have none. */
vj_status vj_check_attention(const vj_command *command, const vj_model *model);
/* All maps of image `image` of a run of `images`, over the picture as the model sees it; `stem` begins their files' names. */
vj_status vj_draw_attention(const vj_command *command, const vj_model *model, const vj_array *outputs, int64_t image,
                            int64_t images, const char *stem, const vj_picture *picture);

/* sheet.c: maps of attention side by side; tiles are the picture with a map over it */
typedef struct vj_sheet {
    vj_picture canvas, tile;
    int32_t heads;
} vj_sheet;
bool vj_sheet_open(vj_sheet *sheet, const vj_picture *picture, int32_t layers, int32_t heads, vj_why *why);
void vj_sheet_name(vj_sheet *sheet, int32_t row, int32_t layer);
/* Column `heads` is that of the mean. */
bool vj_sheet_map(vj_sheet *sheet, int32_t row, int32_t column, const float *weights, int32_t rows, int32_t columns,
                  vj_why *why);
void vj_sheet_close(vj_sheet *sheet);

/* labels.c: a picture's results on stdout */
bool vj_are_class_rows(const vj_tensor_info *t); /* floats [N, C] */
vj_status vj_print_labels(const vj_command *command, const char *file, const vj_recipe *recipe, const vj_array *logits,
                          int64_t row, int64_t classes);
/* Probabilities of a row's classes, and the k likeliest, from the likeliest on. */
void vj_rank_classes(const vj_array *logits, int64_t row, int64_t classes, double *probabilities, int32_t *top,
                     int32_t k);
void vj_print_summaries(const vj_command *command, const char *file, const vj_array *outputs, int32_t count);

/* classes.c */
/* Is a row of the output [N, C] a number a class? By config.json, by the output's name and its size. */
bool vj_are_classes(const vj_command *command, const vj_tensor_info *output);
/* Of a thousand classes without names: ImageNet's, said to be a guess. */
void vj_guess_labels(const vj_command *command, const vj_tensor_info *output, vj_recipe *recipe);

/* classify.c */
vj_status vj_classify(const vj_command *command);

/* test.c */
vj_status vj_run_test(const vj_command *command);

/* measure.c */

/* Times of runs, in the order in which they came. */
typedef struct vj_times {
    double *ms; /* malloc'ed */
    int64_t runs, warm_runs;
    double warm_ms, begin_ms, end_ms;
    bool mixed; /* of several callers: the order means nothing */
} vj_times;
typedef struct vj_timing {
    double min_ms, median_ms, p90_ms, p99_ms, max_ms, mean_ms, deviation_ms;
    double drift; /* the second half's median beside the first's, less 1 */
    bool noisy;
    int64_t runs;
} vj_timing;
typedef vj_status (*vj_repeated)(void *self);
vj_status vj_warm_up(vj_repeated step, void *self, double seconds, vj_times *times);
/* For so long, or, when they are given, so many. */
vj_status vj_take_times(vj_repeated step, void *self, double seconds, int64_t iterations, vj_times *times);
bool vj_timing_of(const vj_times *times, vj_timing *timing);
void vj_times_free(vj_times *times);
vj_status vj_run_once(void *job);
/* Runs the bound job to warm it up, then for so long. */
vj_status vj_measure(vj_job *job, double seconds, vj_timing *timing);

/* streams.c */

/* Who does something again and again. */
typedef struct vj_caller {
    vj_repeated step;
    void *self;
    bool timed; /* the warm-up is over */
    vj_times times;
} vj_caller;
/* Times of so many at once, for as long or as often as the command says; all begin when all are warm. */
vj_status vj_time_callers(const vj_command *command, vj_caller *const *callers, int32_t count, vj_times *all);

/* bench_rooms.c: pictures that can be read, in rooms: a model for each size, of which there is one without ranges. */
typedef struct vj_bench_room {
    int64_t size[2];
    vj_sized_command own; /* with ranges */
    const vj_command *command;
    vj_job job;
    vj_companions companions;
    vj_loader loader;
    int64_t classes; /* of a single output [N, C]; 0: the way of a picture ends with the run */
} vj_bench_room;
typedef struct vj_bench_guest {
    const char *path;
    int32_t room;
    int64_t seen[2]; /* with ranges: what it becomes, in a corner of the input */
} vj_bench_guest;
typedef struct vj_bench_rooms {
    const vj_command *command;
    vj_sizes range;
    vj_paths paths;
    vj_bench_room **at; /* each stays where it is */
    int32_t count;
    vj_bench_guest *guests;
    int32_t guest_count;
} vj_bench_rooms;
/* *worst: of what could not be read, which has been said. Close it on failure too. */
vj_status vj_bench_rooms_open(const vj_command *command, vj_bench_rooms *rooms, vj_status *worst);
void vj_bench_rooms_close(vj_bench_rooms *rooms);
/* A loader more for the room's pictures; `job` has its model. */
vj_status vj_bench_loader(const vj_bench_room *room, const vj_job *job, vj_loader *loader);

/* bench.c, bench_pictures.c, bench_text.c */

/* What --bench found. */
typedef struct vj_benched {
    vj_model_stats stats; /* but its CPU, which is the model's */
    char cpu[64];
    vj_times times;
    vj_timing timing;
    double flops; /* of a run */
    int64_t images;
    int32_t threads, streams, pictures;
    int32_t sizes;                      /* that pictures have; 0 as 1 */
    double done_images, done_flops;     /* of all runs together */
    double decode_ms, run_ms, label_ms; /* with pictures: medians of the parts of a run */
} vj_benched;
vj_status vj_run_bench(const vj_command *command);
vj_status vj_run_bench_pictures(const vj_command *command);
/* What is known of the model, which may go then. */
void vj_bench_model(vj_benched *b, const vj_job *job);
void vj_print_benched(const vj_command *command, const vj_benched *b);
void vj_add_timing(struct cJSON *json, const vj_timing *timing);
/* raw: with all times */
void vj_add_benched(struct cJSON *json, const vj_benched *b, bool raw);

/* comparison.c, comparison_table.c */

/* A precision beside the others. */
typedef struct vj_compared {
    const char *name, *weight_format; /* as they were asked for; the format may be NULL */
    vj_model_stats stats;
    vj_timing timing; /* over all rounds: the least, the medians of the rounds' medians and 99th percentiles */
    double ratio;     /* of the first one's time to this one's: the median over the rounds */
    int64_t weights_bytes, arena_bytes; /* of the runs that were timed */
    double cosine, max_abs;             /* the least and the largest over images and outputs of floats */
    int64_t judged;                     /* so many of them */
    int64_t top1_same, top1_rows;       /* rows of the first output of floats */
} vj_compared;

/* What they were compared on. */
typedef struct vj_compared_on {
    const char *what; /* "pictures", "given", "noise" */
    int64_t images, batch, fixed_batch;
    int32_t threads, rounds;
} vj_compared_on;
vj_status vj_run_comparison(const vj_command *command);
vj_status vj_print_compared(const vj_command *command, const vj_compared_on *on, const vj_compared *rows,
                            int32_t count);

/* profile.c */

/* A kernel of a profiled program; texts are the table's. */
typedef struct vj_profiled {
    const struct cJSON *facts; /* docs/cli.md has the keys */
    const char *name, *domain;
    double flops, bytes; /* of one image */
    int64_t units;       /* of one image */
    double busy_ms;      /* of the run of the median, all threads' time added up */
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
    int64_t images;     /* of a run */
    double wall_ms;     /* of the run of the median */
    double waiting_ms;  /* of it, what threads did in no kernel, on average of the threads */
    double peak_gflops; /* of all threads at once; measured for --bench and --report */
    double rss_before_bytes;
} vj_profile;
/* Compiles the command's model once more, with marks, and runs it on the inputs, one array an input. */
vj_status vj_profile_make(const vj_command *command, const vj_array *inputs, int32_t count, vj_profile *profile);
void vj_profile_free(vj_profile *profile);
void vj_profile_print(const vj_profile *profile);
/* What --profile asks for, if it was given. */
vj_status vj_profile_if_asked(const vj_command *command, const vj_array *inputs, int32_t count);

/* trace.c: the profile as Chrome's trace events. */
vj_status vj_trace_write(const char *path, const char *model, const vj_profile *profile);

/* stats.c: the last line of stdout or a file, when --stats was given; what was benched and the profile may be NULL */
double vj_peak_rss_bytes(void); /* of this process, so far */
vj_status vj_print_stats(const vj_command *command, const vj_model *model);
struct cJSON *vj_stats_json(const vj_model_stats *s, const vj_timing *timing);
/* To where --stats says; frees the object. */
vj_status vj_deliver_json(const vj_command *command, struct cJSON *json);
vj_status vj_print_bench_stats(const vj_command *command, const vj_model_stats *s, const vj_benched *benched,
                               const vj_profile *profile);

/* emit_header.c: for vj_emit_request.header_part; `self` is the command. */
char *vj_header_of_recipe(void *self, const vj_header_request *x);
/* Do --mean, --std and --labels make sense? Asked before long work. */
vj_status vj_check_header_options(const vj_command *command);

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
