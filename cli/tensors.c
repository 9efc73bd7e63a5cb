/* tensors.c - a model's inputs and outputs in memory. */
#include "cli.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static uint64_t next_random(uint64_t *state) { /* splitmix64 */
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Normal values for floats of 4 and 8 bytes; zeros for all else, which is an index or a mask. */
static void seed_values(vj_array *a) {
    uint64_t state = 1;
    size_t count = a->bytes / vj_dtype_bytes(a->dtype);
    memset(a->data, 0, a->bytes);
    for (size_t i = 0; i < count && (a->dtype == VJ_F32 || a->dtype == VJ_F64); i++) {
        double u = ((double)(next_random(&state) >> 11) + 0.5) * 0x1p-53,
               v = (double)(next_random(&state) >> 11) * 0x1p-53;
        double x = sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
        if (a->dtype == VJ_F32)
            ((float *)a->data)[i] = (float)x;
        else
            ((double *)a->data)[i] = x;
    }
}

static vj_status make_array(vj_array *a, vj_dtype dtype, int32_t rank, const int64_t *dims) {
    *a = (vj_array){.dtype = dtype, .rank = rank, .bytes = vj_dtype_bytes(dtype)};
    for (int32_t d = 0; d < rank; d++) {
        a->dims[d] = dims[d];
        if (__builtin_mul_overflow(a->bytes, (size_t)dims[d], &a->bytes) || a->bytes > SIZE_MAX / 4)
            return vj_say(VJ_SYSTEM, NULL, NULL, "a tensor is too large");
    }
    size_t room = (a->bytes + 63) / 64 * 64;
    a->data = aligned_alloc(64, room ? room : 64);
    return a->data ? VJ_OK : vj_say(VJ_SYSTEM, NULL, NULL, "no memory for %zu bytes", a->bytes);
}

/* The batch that a given input means: from the first dim that grows. */
static int64_t batch_of(const vj_model *model, int32_t i, const vj_array *a) {
    const vj_tensor_info *t = &model->inputs[i];
    for (int32_t d = 0; d < t->rank && t->rank == a->rank; d++)
        if (t->dims[d] < 0) return a->dims[d] / -t->dims[d];
    return 0;
}

static vj_status read_inputs(const vj_cli_options *o, vj_io *io) {
    for (int32_t k = 0; k < o->input_count; k++) {
        const vj_pair *p = &o->inputs[k];
        int32_t i = vj_input_find(io->model, p->name);
        if (i < 0)
            return vj_say(VJ_USAGE, o->model, "--inspect lists the inputs", "the model has no input '%s'", p->name);
        if (io->inputs[i].data) return vj_say(VJ_USAGE, o->model, NULL, "input '%s' is given twice", p->name);
        vj_status status = vj_npy_read(p->value, &io->inputs[i]);
        if (status) return status;
        int64_t n = batch_of(io->model, i, &io->inputs[i]);
        if (n > 0) io->n = n;
    }
    return VJ_OK;
}

static vj_status bind_all(vj_io *io, const vj_cli_options *o) {
    vj_status status = VJ_OK;
    const vj_model *m = io->model;
    for (int32_t i = 0; i < m->input_count && !status; i++) {
        vj_array *a = &io->inputs[i];
        if (!a->data) {
            int64_t dims[VJ_MODEL_MAX_RANK];
            int32_t rank = vj_input_shape(m, i, io->n, dims);
            status = make_array(a, vj_input_dtype(m, i), rank, dims);
            if (!status) seed_values(a);
        }
        if (!status &&
            (status = vj_bind_input(io->session, m->inputs[i].name, a->data, a->bytes, a->dtype, a->dims, a->rank)))
            vj_say(status, o->model, NULL, "%s", vj_error_message());
    }
    for (int32_t i = 0; i < m->output_count && !status; i++) {
        int64_t dims[VJ_MODEL_MAX_RANK];
        int32_t rank = vj_output_shape_of(m, i, io->n, dims);
        status = make_array(&io->outputs[i], vj_output_dtype(m, i), rank, dims);
        if (!status && (status = vj_bind_output(io->session, i, io->outputs[i].data, io->outputs[i].bytes)))
            vj_say(status, o->model, NULL, "%s", vj_error_message());
    }
    return status;
}

vj_status vj_io_open(vj_model *model, const vj_cli_options *o, vj_io *io) {
    *io = (vj_io){.model = model, .n = o->batch > 0 ? o->batch : 1};
    for (int32_t k = 0; k < o->shape_count && o->batch == 0; k++) {
        int32_t i = vj_input_find(model, o->shapes[k].name);
        vj_array a = {.rank = o->shapes[k].rank};
        memcpy(a.dims, o->shapes[k].dims, sizeof a.dims);
        int64_t n = i < 0 ? 0 : batch_of(model, i, &a);
        if (n > 0) io->n = n;
    }
    io->inputs = calloc((size_t)model->input_count + 1, sizeof *io->inputs);
    io->outputs = calloc((size_t)model->output_count + 1, sizeof *io->outputs);
    if (!io->inputs || !io->outputs) return vj_say(VJ_SYSTEM, NULL, NULL, "no memory");
    vj_status status = read_inputs(o, io);
    if (!status && io->n > model->max_batch)
        status = vj_say(VJ_BAD_INPUT, o->model, NULL, "a batch of %lld, where the graph takes at most %lld",
                        (long long)io->n, (long long)model->max_batch);
    if (!status && (status = vj_session_create(model, &io->session)))
        vj_say(status, o->model, NULL, "%s", vj_error_message());
    return status ? status : bind_all(io, o);
}

void vj_io_close(vj_io *io) {
    for (int32_t i = 0; io->inputs && i < io->model->input_count; i++)
        free(io->inputs[i].data);
    for (int32_t i = 0; io->outputs && i < io->model->output_count; i++)
        free(io->outputs[i].data);
    free(io->inputs);
    free(io->outputs);
    vj_session_free(io->session);
    *io = (vj_io){0};
}

/* A name from the model as the name of a file: it never leaves the folder. */
static void file_name(const char *name, char *out, size_t room) {
    size_t i = 0;
    for (; name[i] && i + 1 < room; i++)
        out[i] = isalnum((unsigned char)name[i]) || strchr("._-", name[i]) ? name[i] : '_';
    out[i] = 0;
    if (out[0] == '.') out[0] = '_';
}

vj_status vj_io_write(const vj_io *io, const char *folder) {
    struct stat st;
    if (stat(folder, &st) != 0 || !S_ISDIR(st.st_mode))
        return vj_say(VJ_USAGE, folder, "make it first: mkdir", "there is no such output folder");
    const vj_model *m = io->model;
    char name[200], other[200], path[4300];
    for (int32_t i = 0; i < m->output_count; i++) {
        file_name(m->outputs[i].name, name, sizeof name);
        for (int32_t j = 0; j < i; j++) {
            file_name(m->outputs[j].name, other, sizeof other);
            if (strcmp(name, other) == 0)
                return vj_say(VJ_BAD_INPUT, folder, NULL, "outputs '%s' and '%s' would both be %s.npy",
                              m->outputs[j].name, m->outputs[i].name, name);
        }
    }
    for (int32_t i = 0; i < m->output_count; i++) {
        file_name(m->outputs[i].name, name, sizeof name);
        snprintf(path, sizeof path, "%.4000s/%s.npy", folder, name);
        vj_status status = vj_npy_write(path, &io->outputs[i]);
        if (status) return status;
    }
    return VJ_OK;
}

void vj_io_print(const vj_io *io, FILE *out) {
    for (int32_t i = 0; i < io->model->output_count; i++) {
        const vj_array *a = &io->outputs[i];
        fprintf(out, "output %s: %s[", io->model->outputs[i].name, vj_dtype_name(a->dtype));
        for (int32_t d = 0; d < a->rank; d++)
            fprintf(out, "%s%lld", d ? "," : "", (long long)a->dims[d]);
        fprintf(out, "]");
        const size_t count = a->bytes / vj_dtype_bytes(a->dtype);
        if (a->dtype == VJ_F32 && count) {
            const float *x = a->data;
            double low = INFINITY, high = -INFINITY, sum = 0;
            for (size_t k = 0; k < count; k++) {
                low = fmin(low, (double)x[k]);
                high = fmax(high, (double)x[k]);
                sum += (double)x[k];
            }
            fprintf(out, "  min %.6g  max %.6g  mean %.6g", low, high, sum / (double)count);
        }
        fprintf(out, "\n");
    }
}
