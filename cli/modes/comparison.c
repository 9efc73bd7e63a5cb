/* SPDX-License-Identifier: Apache-2.0 */
/* comparison.c - --bench with a list of precisions: one model in each, in turns on the same inputs, beside its answers in float32.
 *
 * All are compiled and open at once. Accuracy is taken over all inputs; time on the first batch of them, in rounds, forwards
 * in one and backwards in the next, so that a drift of the machine hits all alike, each turn with a session of its own.
 */
#include "modes.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "vitjit_dtype.h"

#include "runtime/runtime.h"

#define ROUNDS     5 /* an odd number */
#define NOISE_RUNS 8

/* A precision of the list, or float32 for its answers alone. */
typedef struct side {
    char word[VJ_WORD_TEXT];
    vj_command command;
    vj_job job;
    vj_timing rounds[ROUNDS];
} side;

typedef struct comparison {
    const vj_command *command;
    side *sides; /* of the list, and one more */
    vj_compared *rows;
    int32_t count;
    side *wide; /* whose answers are float32's, with weights as the model has them */
    vj_compared_on on;
    vj_status skipped; /* pictures that could not be read: they are named and left out */
} comparison;

static vj_status open_sides(comparison *c, const vj_array *inputs, int32_t input_count) {
    vj_status status = VJ_OK;
    for (c->count = 0;
         vj_command_of_precision(c->command, c->count, c->sides[c->count].word, &c->sides[c->count].command);)
        c->count++;
    for (int32_t i = 0; i < c->count && status == VJ_OK; i++) {
        side *s = &c->sides[i];
        const char *format = s->command.weight_format;
        const bool is_plain = !format || strcmp(format, vj_dtype_name(VJ_F32)) == 0;
        if (is_plain && strcmp(s->word, vj_dtype_name(VJ_F32)) == 0) c->wide = s;
        status = vj_job_open(&s->command, inputs, input_count, &s->job);
    }
    if (status || c->wide) return status;
    c->wide = &c->sides[c->count];
    c->wide->command = *c->command;
    c->wide->command.precision = c->wide->command.weight_format = NULL;
    c->wide->command.keep_f32.count = 0;
    return vj_job_open(&c->wide->command, inputs, input_count, &c->wide->job);
}

/* Image i of `images` of an output, borrowed; the whole of an output that is not one an image. */
static vj_array image_of(const vj_array *output, int64_t i, int64_t images) {
    vj_array image = *output;
    image.dims[0] /= images;
    image.bytes /= (size_t)images;
    image.data = (char *)output->data + image.bytes * (size_t)i;
    return image;
}

static void add_difference(vj_compared *row, const vj_difference *d, bool has_classes) {
    row->cosine = fmin(row->cosine, vj_cosine(d));
    row->max_abs = fmax(row->max_abs, d->max_abs);
    row->judged++;
    if (!has_classes) return;
    row->top1_rows += d->rows;
    row->top1_same += d->same_top;
}

/* The outputs of a run beside float32's: of `images` in it the first `filled`. */
static void judge_run(const comparison *c, const side *s, vj_compared *row, int64_t images, int64_t filled) {
    const vj_tolerance none = {0};
    bool has_classes = true; /* the first output of floats */
    for (int32_t k = 0; k < vj_output_count(s->job.model); k++) {
        const vj_array *got = &s->job.outputs[k], *want = &c->wide->job.outputs[k];
        if (!vj_is_float(want->dtype)) continue;
        if (!vj_same_type(got, want)) { /* of a size that the data decides */
            row->cosine = fmin(row->cosine, 0);
            row->max_abs = INFINITY;
            row->judged++;
            continue;
        }
        const int64_t rows = s->job.model->outputs[k].dims[0]; /* below 0: so many an image */
        const bool by_image = got->rank > 0 && (rows < 0 || rows == images);
        for (int64_t i = 0; i < (by_image ? filled : 1) && got->bytes; i++) {
            const vj_array one = image_of(got, i, by_image ? images : 1),
                           other = image_of(want, i, by_image ? images : 1);
            const vj_difference d = vj_differ(&one, &other, &none);
            add_difference(row, &d, has_classes);
        }
        has_classes = false;
    }
}

static vj_status judge(comparison *c, const vj_array *inputs, int32_t input_count, int64_t filled) {
    vj_status status = vj_job_bind(&c->wide->job, inputs, input_count);
    if (status == VJ_OK) status = vj_job_run(&c->wide->job);
    for (int32_t i = 0; i < c->count && status == VJ_OK; i++) {
        side *s = &c->sides[i];
        if (s != c->wide) status = vj_job_bind(&s->job, inputs, input_count);
        if (s != c->wide && status == VJ_OK) status = vj_job_run(&s->job);
        const int64_t images = c->on.fixed_batch ? c->on.fixed_batch : s->job.images;
        if (status == VJ_OK) judge_run(c, s, &c->rows[i], images, filled ? filled : images);
        if (i == 0) c->on.images += filled ? filled : images;
    }
    return status;
}

static vj_status take_turns(comparison *c, const vj_array *inputs, int32_t input_count) {
    vj_status status = VJ_OK;
    for (int32_t k = 0; k < ROUNDS * c->count && status == VJ_OK; k++) {
        const int32_t round = k / c->count, place = k % c->count;
        side *s = &c->sides[round % 2 ? c->count - 1 - place : place];
        status = vj_job_renew(&s->job);
        if (status == VJ_OK) status = vj_job_bind(&s->job, inputs, input_count);
        if (status == VJ_OK) status = vj_measure(&s->job, c->command->seconds / ROUNDS, &s->rounds[round]);
        c->on.batch = c->on.fixed_batch ? c->on.fixed_batch : s->job.images;
    }
    return status;
}

/* The first batch is measured too. */
static vj_status take_batch(comparison *c, const vj_array *inputs, int32_t input_count, int64_t filled) {
    const vj_status status = c->on.batch ? VJ_OK : take_turns(c, inputs, input_count);
    return status ? status : judge(c, inputs, input_count, filled);
}

static vj_status take_noise(comparison *c) {
    vj_status status = VJ_OK;
    for (uint64_t number = 0; number < NOISE_RUNS && status == VJ_OK; number++) {
        vj_array *inputs = NULL;
        const int32_t input_count = vj_input_count(c->wide->job.model);
        status = vj_job_seed(&c->wide->job, number, &inputs);
        if (status == VJ_OK) status = take_batch(c, inputs, input_count, 0);
        vj_arrays_free(inputs, input_count);
    }
    return status;
}

static vj_status take_inputs(comparison *c) {
    vj_array *inputs = NULL;
    const int32_t count = c->command->inputs.count;
    vj_status status = vj_read_named(&c->command->inputs, "--input", &inputs);
    if (status == VJ_OK) status = vj_take_sizes(c->command, inputs, c->command->inputs.count);
    if (status == VJ_OK) status = open_sides(c, inputs, count);
    if (status == VJ_OK) status = vj_job_bind(&c->wide->job, inputs, count);
    if (status == VJ_OK) status = vj_job_check_batch(&c->wide->job);
    if (status == VJ_OK) status = take_batch(c, inputs, count, 0);
    vj_arrays_free(inputs, count);
    return status;
}

static vj_status take_paths(comparison *c, const vj_paths *paths, vj_loader *loader) {
    vj_status status = VJ_OK;
    for (int32_t i = 0; i < paths->count && status == VJ_OK; i++) {
        const vj_status loaded = vj_loader_add(loader, paths->at[i]);
        if (loaded) c->skipped = loaded;
        if (loader->filled == 0 || (loader->filled < loader->batch && i + 1 < paths->count)) continue;
        const vj_array input = vj_loader_batch(loader);
        status = take_batch(c, &input, 1, loader->filled);
        loader->filled = 0;
    }
    return status;
}

/* All precisions see the same batches: pictures of one size. */
static vj_status refuse_range(const vj_command *command) {
    vj_sizes range;
    vj_status status = vj_picture_range(command, &range);
    if (status == VJ_OK && range.is_range)
        status = vj_print_error(VJ_USAGE, NULL,
                                "--shape gives '%s' a range of sizes: with a list of precisions "
                                "pictures have one",
                                range.shape.name);
    free((void *)(uintptr_t)range.shape.name);
    return status;
}

static vj_status take_pictures(comparison *c) {
    vj_paths paths;
    vj_loader loader = {0};
    vj_status status = refuse_range(c->command);
    if (status) return status;
    status = c->skipped = vj_paths_find(c->command, &paths);
    if (status != VJ_SYSTEM && paths.count) {
        status = open_sides(c, NULL, 0);
        if (status == VJ_OK) status = vj_loader_open(c->command, &c->wide->job, 0, &loader);
        if (status == VJ_OK) {
            vj_loader_announce(&loader);
            c->on.fixed_batch = loader.fixed ? loader.batch : 0;
            status = take_paths(c, &paths, &loader);
        }
    }
    vj_loader_free(&loader);
    vj_paths_free(&paths);
    return status;
}

static vj_status sum_up(const comparison *c, const side *s, vj_compared *row) {
    double medians[ROUNDS], tails[ROUNDS], ratios[ROUNDS];
    row->name = s->word;
    row->weight_format = s->command.weight_format;
    row->timing.min_ms = INFINITY;
    for (int32_t r = 0; r < ROUNDS; r++) {
        const vj_timing *t = &s->rounds[r];
        medians[r] = t->median_ms;
        tails[r] = t->p99_ms;
        ratios[r] = c->sides[0].rounds[r].median_ms / t->median_ms;
        row->timing.min_ms = fmin(row->timing.min_ms, t->min_ms);
        row->timing.runs += t->runs;
    }
    row->timing.median_ms = vj_median(medians, ROUNDS);
    row->timing.p99_ms = vj_median(tails, ROUNDS);
    row->ratio = vj_median(ratios, ROUNDS);
    row->stats.size = sizeof row->stats;
    vj_status status = vj_model_get_stats(s->job.model, &row->stats);
    if (status == VJ_OK) status = vj_plan_bytes(s->job.model, s->job.n, &row->weights_bytes, &row->arena_bytes);
    return status ? vj_print_error(status, c->command->model, "%s", vj_error_message()) : VJ_OK;
}

static vj_status compare(comparison *c) {
    vj_status status;
    if (c->command->words.count > 1) {
        c->on.what = "pictures";
        status = take_pictures(c);
    } else if (c->command->inputs.count) {
        c->on.what = "given";
        status = take_inputs(c);
    } else {
        c->on.what = "noise";
        status = open_sides(c, NULL, 0);
        if (status == VJ_OK) status = take_noise(c);
    }
    if (status || !c->on.batch) return status ? status : c->skipped;
    for (int32_t i = 0; i < c->count && status == VJ_OK; i++)
        status = sum_up(c, &c->sides[i], &c->rows[i]);
    c->on.threads = vj_model_parts(c->wide->job.model);
    c->on.rounds = ROUNDS;
    if (status == VJ_OK) status = vj_print_compared(c->command, &c->on, c->rows, c->count);
    return status ? status : c->skipped;
}

vj_status vj_run_comparison(const vj_command *command) {
    comparison c = {.command = command};
    int32_t most = 2; /* words of the list, and one */
    for (const char *at = command->precision; *at; at++)
        most += *at == ',';
    c.sides = calloc((size_t)most, sizeof *c.sides);
    c.rows = calloc((size_t)most, sizeof *c.rows);
    vj_status status = VJ_OK;
    if (!c.sides || !c.rows) status = vj_print_error(VJ_SYSTEM, NULL, "no memory");
    for (int32_t i = 0; i < most && status == VJ_OK; i++)
        c.rows[i].cosine = 1;
    if (status == VJ_OK) status = compare(&c);
    for (int32_t i = 0; i < most && c.sides; i++)
        vj_job_close(&c.sides[i].job);
    free(c.sides);
    free(c.rows);
    return status;
}
