/* SPDX-License-Identifier: Apache-2.0 */
/* choice.c - which products stay wide: as few as keep the results as near to float32's as asked.
 *
 * Products are ordered by what they lose themselves, as a part of their results. If all in bytes are too far off, so many of the worst go to
 * bf16 as suffice, found by halving; if bf16 everywhere is too far off still, so many of the worst go to float32. */
#include "calibrate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/runtime.h"

/* One run's results beside float32's. */
typedef struct nearness {
    double least_cosine;
    int64_t same_top, rows;
} nearness;

static void judge_run(const vj_trial *t, const vj_job *job, int32_t run, nearness *n) {
    const vj_tolerance none = {0};
    bool first = true;
    for (int32_t k = 0; k < t->outputs; k++) {
        const vj_array *got = &job->outputs[k], *want = &t->wide[(size_t)run * (size_t)t->outputs + (size_t)k];
        if (!vj_is_float(want->dtype)) continue;
        if (!vj_same_type(got, want)) { /* of a size that the data decides */
            n->least_cosine = fmin(n->least_cosine, 0);
            continue;
        }
        const vj_difference d = vj_differ(got, want, &none);
        const double cosine = vj_cosine(&d);
        n->least_cosine = isnan(cosine) ? -1 : fmin(n->least_cosine, cosine);
        if (first && want->rank == 2) {
            n->same_top += d.same_top;
            n->rows += d.rows;
        }
        first = false;
    }
}

static vj_status measure(vj_trial *t) {
    vj_command trying = *t->command;
    vj_job job = {0};
    nearness n = {.least_cosine = 1};
    trying.no_cache = true;
    char *text = vj_calibration_text(t, &trying.calibration_bytes);
    if (!text) return vj_print_error(VJ_SYSTEM, t->command->model, "no memory to calibrate");
    trying.calibration_text = text;
    vj_status status = vj_job_open(&trying, t->samples.at, t->samples.inputs, &job);
    for (int32_t run = 0; run < t->samples.runs && status == VJ_OK; run++) {
        status = vj_job_bind(&job, t->samples.at + (size_t)run * (size_t)t->samples.inputs, t->samples.inputs);
        if (status == VJ_OK) status = vj_job_run(&job);
        if (status == VJ_OK) judge_run(t, &job, run, &n);
    }
    vj_job_close(&job);
    free(text);
    t->least_cosine = n.least_cosine;
    t->agreement = n.rows ? (double)n.same_top / (double)n.rows : -1;
    return status;
}

/* By the cosine, unless the agreement alone is asked for. */
static bool is_near(const vj_trial *t) {
    const vj_command *c = t->command;
    const bool by_agreement = vj_option_given(c, "--min-agreement"), by_cosine = vj_option_given(c, "--min-cosine");
    if (by_agreement && !(t->agreement >= c->min_agreement)) return false;
    return (by_agreement && !by_cosine) || t->least_cosine >= c->min_cosine;
}

/* Layers that may be of this precision, the one that loses most first. */
typedef struct ranking {
    int32_t *at;
    int32_t count;
} ranking;

static bool rank(const vj_layers *layers, vj_dtype precision, ranking *r) {
    *r = (ranking){.at = calloc((size_t)layers->count + 1, sizeof *r->at)};
    for (int32_t i = 0; i < layers->count && r->at; i++) {
        const vj_layer *layer = &layers->at[i];
        if (!(precision == VJ_I8 ? layer->may_be_int8 : layer->may_be_bf16)) continue;
        int32_t place = r->count++;
        for (; place > 0 &&
               vj_relative_error(&layers->at[r->at[place - 1]], precision) < vj_relative_error(layer, precision);
             place--)
            r->at[place] = r->at[place - 1];
        r->at[place] = i;
    }
    return r->at != NULL;
}

static vj_status try(vj_trial *t, const ranking *r, int32_t wide, vj_dtype narrow_type, vj_dtype wide_type) {
    for (int32_t i = 0; i < r->count; i++)
        t->layers.at[r->at[i]].precision = i < wide ? wide_type : narrow_type;
    return measure(t);
}

/* So few of the ranking in the wide type as are near enough; all of them when none are. */
static vj_status widen(vj_trial *t, const ranking *r, vj_dtype narrow_type, vj_dtype wide_type) {
    int32_t few = 0, enough = r->count; /* few are not enough; `enough` are, or all */
    vj_status status = VJ_OK;
    while (enough - few > 1 && status == VJ_OK) {
        const int32_t middle = few + (enough - few) / 2;
        status = try(t, r, middle, narrow_type, wide_type);
        if (status == VJ_OK && is_near(t))
            enough = middle;
        else
            few = middle;
    }
    return status ? status : try(t, r, enough, narrow_type, wide_type);
}

vj_status vj_choose_precisions(vj_trial *t) {
    ranking bytes, halves;
    bool room = rank(&t->layers, VJ_I8, &bytes);
    room = rank(&t->layers, VJ_BF16, &halves) && room;
    vj_status status = room ? measure(t) : vj_print_error(VJ_SYSTEM, t->command->model, "no memory to calibrate");
    if (status == VJ_OK && !is_near(t) && bytes.count > 0) status = widen(t, &bytes, VJ_I8, VJ_BF16);
    if (status == VJ_OK && !is_near(t) && halves.count > 0) status = widen(t, &halves, VJ_BF16, VJ_F32);
    free(bytes.at);
    free(halves.at);
    return status;
}
