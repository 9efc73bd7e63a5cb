/* SPDX-License-Identifier: Apache-2.0 */
/* session.c - one caller's bindings and scratch memory; the run. */
#include "runtime.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Of an image that all threads share. More make a phase's end more even and cost a call each. */
#define PARTS_PER_THREAD 4

struct vj_session {
    vj_model_state *s;
    int64_t n;      /* the batch that the bound inputs agree on; 0: none yet */
    int64_t *batch; /* of each input: 0 when it is not bound, -1 when none of its dims has the batch */
    const void **inputs;
    void **outputs;           /* all of the code's: the caller's, then those that get dims */
    int64_t *dims;            /* what these are written to, VJ_MODEL_MAX_RANK each */
    const void **rest_inputs; /* the same from the first image on that is no thread's whole one */
    void **rest_outputs;
    void *scratch;
    size_t scratch_bytes;
    vj_spans *spans; /* of code with marks, when they are wanted */
};

static void free_scratch(vj_session *x) {
    if (!x->scratch) return;
    vj_scratch_unpoison(x->scratch, x->scratch_bytes);
    munmap(x->scratch, x->scratch_bytes);
}

static vj_status grow_scratch(vj_session *x, int64_t n) {
    int64_t weights, arena;
    vj_status status = vj_plan_bytes(&x->s->model, n, &weights, &arena);
    if (status) return status;
    if ((size_t)arena <= x->scratch_bytes) {
        vj_scratch_unpoison(x->scratch, x->scratch_bytes);
        vj_scratch_poison(x->s, x->scratch, arena, x->scratch_bytes);
        return VJ_OK;
    }
    size_t bytes = ((size_t)arena + 4095) & ~(size_t)4095;
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) return vj_error_set(VJ_SYSTEM, "out of memory for %zu bytes of scratch", bytes);
    madvise(at, bytes, MADV_HUGEPAGE);
    free_scratch(x);
    vj_scratch_poison(x->s, at, arena, bytes);
    x->scratch = at;
    x->scratch_bytes = bytes;
    return VJ_OK;
}

static void make_pool(vj_model_state *s) {
    while (__atomic_exchange_n(&s->pool_lock, 1, __ATOMIC_ACQUIRE)) {
    }
    if (s->own_threads && s->parts > 1 && !s->pool) s->pool = vj_pool_new(s->parts);
    __atomic_store_n(&s->pool_lock, 0, __ATOMIC_RELEASE);
}

vj_status vj_session_create(vj_model *model, vj_session **session) {
    if (session) *session = NULL;
    if (!model || !session) return vj_error_set(VJ_USAGE, "no %s", model ? "place for the session" : "model");
    vj_session *x = calloc(1, sizeof *x);
    if (!x) return vj_error_set(VJ_SYSTEM, "out of memory");
    x->s = (vj_model_state *)model;
    x->batch = calloc((size_t)model->input_count + 1, sizeof *x->batch);
    x->inputs = calloc((size_t)model->input_count + 1, sizeof *x->inputs);
    const size_t outputs = (size_t)x->s->all_outputs, own = (size_t)model->output_count;
    x->outputs = calloc(outputs + 1, sizeof *x->outputs);
    x->dims = calloc((outputs - own) * VJ_MODEL_MAX_RANK + 1, sizeof *x->dims);
    x->rest_inputs = calloc((size_t)model->input_count + 1, sizeof *x->rest_inputs);
    x->rest_outputs = calloc(outputs + 1, sizeof *x->rest_outputs);
    const bool whole = x->batch && x->inputs && x->outputs && x->dims && x->rest_inputs && x->rest_outputs;
    for (size_t i = own; whole && i < outputs; i++)
        x->outputs[i] = x->dims + (i - own) * VJ_MODEL_MAX_RANK;
    vj_status status = whole ? grow_scratch(x, 1) : vj_error_set(VJ_SYSTEM, "out of memory");
    if (status) {
        vj_session_free(x);
        return status;
    }
    make_pool(x->s);
    *session = x;
    return VJ_OK;
}

void vj_session_free(vj_session *x) {
    if (!x) return;
    free_scratch(x);
    vj_spans_free(x->spans);
    free(x->batch);
    free(x->inputs);
    free(x->outputs);
    free(x->dims);
    free(x->rest_inputs);
    free(x->rest_outputs);
    free(x);
}

static const char *shape_text(char *text, size_t room, const int64_t *dims, int32_t rank) {
    size_t used = (size_t)snprintf(text, room, "[");
    for (int32_t d = 0; d < rank && used < room; d++) {
        if (dims[d] == -1)
            used += (size_t)snprintf(text + used, room - used, "%sN", d ? "," : "");
        else if (dims[d] < 0)
            used +=
                (size_t)snprintf(text + used, room - used, "%s%lluN", d ? "," : "", 0 - (unsigned long long)dims[d]);
        else
            used += (size_t)snprintf(text + used, room - used, "%s%lld", d ? "," : "", (long long)dims[d]);
    }
    if (used < room) snprintf(text + used, room - used, "]");
    return text;
}

static vj_status wrong_shape(const vj_tensor_info *t, const int64_t *dims, int32_t rank) {
    char got[256], want[256];
    return vj_error_set(VJ_BAD_INPUT, "input '%s' has the shape %s, the model wants %s", t->name,
                        shape_text(got, sizeof got, dims, rank), shape_text(want, sizeof want, t->dims, t->rank));
}

/* The batch that these dims mean, -1 when no dim has it. */
static vj_status batch_of(const vj_tensor_info *t, const int64_t *dims, int32_t rank, int64_t *batch) {
    int64_t n = -1;
    if (rank != t->rank)
        return wrong_shape(t, dims, rank < 0 ? 0 : rank > VJ_MODEL_MAX_RANK ? VJ_MODEL_MAX_RANK : rank);
    for (int32_t d = 0; d < rank; d++) {
        if (t->dims[d] >= 0) {
            if (dims[d] != t->dims[d]) return wrong_shape(t, dims, rank);
            continue;
        }
        if (dims[d] < 1 || dims[d] % -t->dims[d] != 0) return wrong_shape(t, dims, rank);
        int64_t this_n = dims[d] / -t->dims[d];
        if (n >= 0 && n != this_n) return wrong_shape(t, dims, rank);
        n = this_n;
    }
    *batch = n;
    return VJ_OK;
}

vj_status vj_bind_input(vj_session *x, const char *name, const void *data, size_t bytes, vj_dtype dtype,
                        const int64_t *dims, int32_t rank) {
    if (!x) return vj_error_set(VJ_USAGE, "no session");
    if (!name || (!dims && rank)) return vj_error_set(VJ_USAGE, "an input without %s", name ? "dims" : "a name");
    const vj_model *model = &x->s->model;
    int32_t i = vj_input_find(model, name);
    if (i < 0) return vj_error_set(VJ_USAGE, "the model has no input '%s'", name);
    const vj_tensor_info *t = &model->inputs[i];
    if ((int32_t)dtype != t->dtype)
        return vj_error_set(VJ_BAD_INPUT, "input '%s' is %s, the model wants %s", name, vj_dtype_name(dtype),
                            vj_dtype_name((vj_dtype)t->dtype));
    int64_t n = -1;
    vj_status status = batch_of(t, dims, rank, &n);
    if (status) return status;
    if (n > model->max_batch)
        return vj_error_set(VJ_BAD_INPUT, "input '%s' has a batch of %lld, at most %lld fit", name, (long long)n,
                            (long long)model->max_batch);
    if (bytes != (size_t)t->bytes_per_image * (size_t)(n < 0 ? 1 : n))
        return vj_error_set(VJ_BAD_INPUT, "input '%s' has %zu bytes, its shape wants %zu", name, bytes,
                            (size_t)t->bytes_per_image * (size_t)(n < 0 ? 1 : n));
    if (!data && bytes) return vj_error_set(VJ_USAGE, "input '%s' has no data", name);
    if ((uintptr_t)data % vj_dtype_bytes(dtype)) return vj_error_set(VJ_USAGE, "input '%s' is not aligned", name);
    if (n > 0 && (status = grow_scratch(x, n))) return status;
    x->inputs[i] = data;
    x->batch[i] = n;
    if (n > 0 && n != x->n) { /* outputs were checked for another batch */
        memset(x->outputs, 0, (size_t)model->output_count * sizeof *x->outputs);
        x->n = n;
    }
    return VJ_OK;
}

static int64_t batch_now(const vj_session *x) { return x->n > 0 ? x->n : 1; }

static bool grows(const vj_tensor_info *t) {
    for (int32_t d = 0; d < t->rank; d++)
        if (t->dims[d] < 0) return true;
    return false;
}

static size_t output_bytes(const vj_session *x, int32_t i) {
    const vj_tensor_info *t = &x->s->model.outputs[i];
    return (size_t)t->bytes_per_image * (size_t)(grows(t) ? batch_now(x) : 1);
}

size_t vj_output_bound(const vj_session *x, int32_t i) {
    return x && i >= 0 && i < x->s->model.output_count ? output_bytes(x, i) : 0;
}

vj_status vj_bind_output(vj_session *x, int32_t i, void *data, size_t bytes) {
    if (!x) return vj_error_set(VJ_USAGE, "no session");
    const vj_model *model = &x->s->model;
    if (i < 0 || i >= model->output_count) return vj_error_set(VJ_USAGE, "the model has no output %d", i);
    const vj_tensor_info *t = &model->outputs[i];
    if (bytes < output_bytes(x, i))
        return vj_error_set(VJ_USAGE, "output '%s' needs %zu bytes, %zu were given", t->name, output_bytes(x, i),
                            bytes);
    if (!data) return vj_error_set(VJ_USAGE, "output '%s' has no memory", t->name);
    if ((uintptr_t)data % vj_dtype_bytes((vj_dtype)t->dtype))
        return vj_error_set(VJ_USAGE, "output '%s' is not aligned", t->name);
    x->outputs[i] = data;
    return VJ_OK;
}

typedef struct job {
    const vj_args *args;
    vj_phase_fn phase;
    const vj_threads *threads;
    int32_t first, last, i;
} job;

static void pool_step(void *self, int32_t i, int32_t part, int32_t parts) {
    const job *j = self;
    j->phase(j->args, i, part, parts);
}

static void run_serially(void *self) {
    const job *j = self;
    j->phase(j->args, 0, 0, 1); /* all images are whole ones */
}

/* What a phase is called with, marks or not. */
static vj_marked_args marked(const vj_session *x, vj_args args) { return (vj_marked_args){args, vj_mark, x->spans}; }

/* From the n-th image on. */
static vj_marked_args rest_of(vj_session *x, const vj_args *args, int64_t n) {
    const vj_model *model = &x->s->model;
    for (int32_t i = 0; i < model->input_count; i++) {
        const vj_tensor_info *t = &model->inputs[i];
        x->rest_inputs[i] = (const char *)args->inputs[i] + (grows(t) ? n * t->bytes_per_image : 0);
    }
    for (int32_t i = 0; i < x->s->all_outputs; i++) {
        const vj_tensor_info *t = &model->outputs[i];
        x->rest_outputs[i] = (char *)args->outputs[i] + (grows(t) ? n * t->bytes_per_image : 0);
    }
    return marked(x, (vj_args){x->rest_inputs, x->rest_outputs, args->weights, args->scratch, args->n - n, 0});
}

/* Whole images, one thread each; then the images that are left, each cut into several parts for each thread, so that
 * those who are early take over from those who are late. */
static void run_on_pool(vj_session *x, vj_pool *pool, job *j) {
    const int32_t threads = vj_pool_size(pool);
    const int64_t left = j->args->n % threads, whole = j->args->n - left;
    if (whole && !vj_pool_try(pool, pool_step, j, 0, 1, threads)) {
        vj_pool_alone(pool, run_serially, j);
    } else if (left) {
        const vj_marked_args rest = rest_of(x, j->args, whole);
        j->args = &rest.args;
        if (!vj_pool_try(pool, pool_step, j, 1, x->s->model.phase_count + 1, threads * PARTS_PER_THREAD))
            vj_pool_alone(pool, run_serially, j);
    }
}

static void all_phases(void *self, int32_t part) {
    const job *j = self;
    for (int32_t i = j->first; i < j->last; i++) {
        j->phase(j->args, i, part, j->threads->parts);
        j->threads->barrier(j->threads->self, part);
    }
}

static void one_phase(void *self, int32_t part) {
    const job *j = self;
    j->phase(j->args, j->i, part, j->threads->parts);
}

/* Phase 0 runs whole images, the others what is left of them: either may have nothing to do. */
static void run_on_callers_threads(const vj_model *model, job *j) {
    const vj_threads *threads = j->threads;
    j->first = j->args->n < threads->parts ? 1 : 0;
    j->last = j->args->n % threads->parts ? model->phase_count + 1 : 1;
    if (threads->barrier) {
        threads->run(threads->self, all_phases, j, threads->parts);
    } else {
        for (j->i = j->first; j->i < j->last; j->i++)
            threads->run(threads->self, one_phase, j, threads->parts);
    }
}

/* Of input i and the one that was bound last. */
static vj_status batches_differ(const vj_session *x, int32_t i) {
    int32_t other = 0;
    while (other + 1 < x->s->model.input_count && x->batch[other] != x->n)
        other++;
    return vj_error_set(VJ_BAD_INPUT,
                        "input '%s' has a batch of %lld, input '%s' of %lld, and the code has one for both\n"
                        "  hint: compiled for the shapes of both, each has its own",
                        x->s->model.inputs[i].name, (long long)x->batch[i], x->s->model.inputs[other].name,
                        (long long)x->n);
}

static vj_status all_bound(const vj_session *x) {
    const vj_model *model = &x->s->model;
    for (int32_t i = 0; i < model->input_count; i++) {
        if (!x->batch[i]) return vj_error_set(VJ_USAGE, "input '%s' is not bound", model->inputs[i].name);
        if (x->batch[i] > 0 && x->batch[i] != x->n) return batches_differ(x, i);
        if (x->s->required[i] && memcmp(x->inputs[i], x->s->required[i], (size_t)model->inputs[i].bytes_per_image) != 0)
            return vj_error_set(VJ_BAD_INPUT,
                                "input '%s' has another value than the one that the model was compiled for: it decides "
                                "a shape",
                                model->inputs[i].name);
    }
    for (int32_t i = 0; i < model->output_count; i++)
        if (!x->outputs[i]) return vj_error_set(VJ_USAGE, "output '%s' is not bound", model->outputs[i].name);
    return VJ_OK;
}

vj_status vj_run(vj_session *x) {
    if (!x) return vj_error_set(VJ_USAGE, "no session");
    vj_status status = all_bound(x);
    if (status) return status;
    vj_model_state *s = x->s;
    const vj_marked_args args =
        marked(x, (vj_args){x->inputs, x->outputs, s->weights.data, x->scratch, batch_now(x), 0});
    job j = {.args = &args.args, .phase = s->phase, .threads = &s->scheduler};
    if (!s->own_threads)
        run_on_callers_threads(&s->model, &j);
    else if (s->pool && vj_pool_size(s->pool) > 1)
        run_on_pool(x, s->pool, &j);
    else
        run_serially(&j);
    return VJ_OK;
}

vj_status vj_session_record(vj_session *x, int64_t most) {
    if (!x || most < 1) return vj_error_set(VJ_USAGE, "no session, or no spans wanted");
    if (!*vj_model_kernels(&x->s->model)) return vj_error_set(VJ_USAGE, "the model was not compiled with marks");
    vj_spans *spans = vj_spans_new(most);
    if (!spans) return vj_error_set(VJ_SYSTEM, "no memory for %lld spans", (long long)most);
    vj_spans_free(x->spans);
    x->spans = spans;
    return VJ_OK;
}

const vj_span *vj_session_spans(const vj_session *x, int64_t *count, int64_t *lost) {
    return vj_spans_kept(x->spans, count, lost);
}

/* Dims that the run wrote; never more than what there is room for, whatever stands there. */
static int32_t written_dims(const vj_session *x, const vj_tensor_info *t, int64_t dims[VJ_MODEL_MAX_RANK]) {
    const int64_t *written = x->outputs[t->dims_output - 1];
    for (int32_t d = 0; d < t->rank; d++)
        dims[d] = written[d] < 0 ? 0 : written[d] > t->dims[d] ? t->dims[d] : written[d];
    return t->rank;
}

int32_t vj_output_shape(const vj_session *x, int32_t i, int64_t dims[VJ_MODEL_MAX_RANK]) {
    if (!x) return 0;
    const vj_model *model = &x->s->model;
    if (dims && i >= 0 && i < model->output_count && model->outputs[i].dims_output)
        return written_dims(x, &model->outputs[i], dims);
    return vj_output_shape_of(model, i, batch_now(x), dims);
}
