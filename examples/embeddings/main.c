/* SPDX-License-Identifier: Apache-2.0 */
/* Embeddings of a folder of pictures, as one .npy with a row a picture, in the order of the files' names:
 *     embeddings MODEL.onnx FOLDER OUT.npy [--output NAME] [--pool class|mean|tokens] [--prefix N] [--normalise]
 *
 * --output     which of the model's outputs (the first): DINOv2's last_hidden_state or pooler_output, CLIP's image_embeds,
 *              SigLIP's pooler_output
 * --pool       what becomes of tokens, an output [N,tokens,dims]: the first one (class), the mean of those behind the prefix
 *              (mean), or all as they are (tokens: the default). Outputs [N,dims] are taken as they are
 * --prefix     tokens before the patches that a mean leaves out (1: the class token; 5 with four registers; SigLIP 0)
 * --normalise  each vector by its Euclidean length
 *
 * Pre-processing comes from the model's metadata or the files beside it, as in the command line. The names of the files
 * go to stdout, a line a row. */
#include <dirent.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vitjit.h>
#include <vitjit_picture.h>

enum { BATCH = 8 };
typedef enum pooling { TOKENS, CLASS, MEAN } pooling;

typedef struct arguments {
    const char *model, *folder, *out, *output;
    pooling pool;
    int64_t prefix;
    bool normalise;
} arguments;

/* Rows so far; every row has `size` floats: [tokens, dims], or [dims]. */
typedef struct rows {
    float *data;
    int64_t count, tokens, dims; /* tokens 0: one vector a row */
} rows;

static vj_status usage(void) {
    fputs("usage: embeddings MODEL.onnx FOLDER OUT.npy [--output NAME] [--pool class|mean|tokens] [--prefix N] "
          "[--normalise]\n",
          stderr);
    return VJ_USAGE;
}

static vj_status fail(vj_status status, const char *file, const char *why) {
    fprintf(stderr, "embeddings: %s: %s\n", file, why);
    return status;
}

static bool read_arguments(int argc, char **argv, arguments *a) {
    static const char *const pools[] = {"tokens", "class", "mean"};
    *a = (arguments){.prefix = 1};
    if (argc < 4) return false;
    a->model = argv[1];
    a->folder = argv[2];
    a->out = argv[3];
    for (int i = 4; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        bool good = value != NULL;
        if (strcmp(argv[i], "--normalise") == 0) {
            good = a->normalise = true;
            continue;
        }
        if (good && strcmp(argv[i], "--output") == 0) {
            a->output = value;
        } else if (good && strcmp(argv[i], "--prefix") == 0) {
            char *end;
            a->prefix = strtoll(value, &end, 10);
            good = end != value && !*end && a->prefix >= 0;
        } else if (good && strcmp(argv[i], "--pool") == 0) {
            good = false;
            for (int p = 0; p < 3; p++)
                if (strcmp(value, pools[p]) == 0) {
                    a->pool = (pooling)p;
                    good = true;
                }
        } else {
            good = false;
        }
        if (!good) return false;
        i++;
    }
    return true;
}

static int is_picture(const struct dirent *entry) { return vj_picture_is_name(entry->d_name); }

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

/* How many pictures a run takes when it may have n. */
static int64_t batch_of(const vj_model *model, int64_t n) {
    int64_t dims[VJ_MODEL_MAX_RANK];
    vj_input_shape(model, 0, n, dims);
    return dims[0];
}

static int32_t output_named(const vj_model *model, const char *name) {
    for (int32_t i = 0; i < vj_output_count(model); i++)
        if (!name || strcmp(vj_output_name(model, i), name) == 0) return i;
    return -1;
}

/* Decides what a row is made of. Returns NULL, or why the output does not fit. */
static const char *plan_rows(const arguments *a, const vj_model *model, int32_t output, rows *r) {
    int64_t dims[VJ_MODEL_MAX_RANK];
    const int32_t rank = vj_output_shape_of(model, output, 1, dims);
    if (vj_output_dtype(model, output) != VJ_F32 || rank < 2 || rank > 3)
        return "is not f32 [N,dims] or [N,tokens,dims]";
    for (int32_t d = 1; d < rank; d++)
        if (dims[d] < 1) return "has a size that the data decides";
    r->dims = dims[rank - 1];
    r->tokens = rank == 3 ? dims[1] : 0;
    if (a->pool != TOKENS && rank != 3) return "has no tokens to pool";
    if (a->pool == MEAN && a->prefix >= r->tokens) return "has no tokens behind the prefix";
    return NULL;
}

static void normalise(float *v, int64_t dims) {
    double square = 0;
    for (int64_t i = 0; i < dims; i++)
        square += (double)v[i] * v[i];
    for (int64_t i = 0; i < dims && square > 0; i++)
        v[i] = (float)(v[i] / sqrt(square));
}

/* Copies one picture's output to its row: [tokens, dims] as one vector, or as it is. */
static void pool(const arguments *a, const rows *r, const float *from, float *to) {
    const int64_t tokens = r->tokens ? r->tokens : 1;
    const int64_t first = a->pool == MEAN ? a->prefix : 0, last = a->pool == CLASS ? 1 : tokens;
    if (a->pool == TOKENS) {
        memcpy(to, from, (size_t)(tokens * r->dims) * sizeof *to);
    } else {
        for (int64_t d = 0; d < r->dims; d++) {
            double sum = 0;
            for (int64_t t = first; t < last; t++)
                sum += from[t * r->dims + d];
            to[d] = (float)(sum / (double)(last - first));
        }
    }
    for (int64_t t = 0; a->normalise && t < (a->pool == TOKENS ? tokens : 1); t++)
        normalise(to + t * r->dims, r->dims);
}

static int64_t row_size(const arguments *a, const rows *r) {
    return a->pool == TOKENS && r->tokens ? r->tokens * r->dims : r->dims;
}

static bool append(const arguments *a, rows *r, const float *outputs, int64_t count) {
    const int64_t size = row_size(a, r), whole = (r->tokens ? r->tokens : 1) * r->dims;
    float *more = realloc(r->data, (size_t)((r->count + count) * size) * sizeof *more);
    if (!more) return false;
    r->data = more;
    for (int64_t i = 0; i < count; i++)
        pool(a, r, outputs + i * whole, r->data + r->count++ * size);
    return true;
}

/* Version 1.0: magic, the header's length, a Python dictionary padded to a multiple of 64 bytes, the data. */
static bool write_npy(const arguments *a, const rows *r) {
    char shape[96], header[256] = "";
    if (a->pool == TOKENS && r->tokens)
        snprintf(shape, sizeof shape, "%lld, %lld, %lld", (long long)r->count, (long long)r->tokens,
                 (long long)r->dims);
    else
        snprintf(shape, sizeof shape, "%lld, %lld", (long long)r->count, (long long)r->dims);
    int used = snprintf(header, sizeof header, "{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }", shape);
    while ((10 + used + 1) % 64 != 0)
        header[used++] = ' ';
    header[used++] = '\n';
    const unsigned char head[10] = {
        0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)used, (unsigned char)(used >> 8)};
    const size_t count = (size_t)(r->count * row_size(a, r));
    FILE *file = fopen(a->out, "wb");
    if (!file) return false;
    const bool good = fwrite(head, 1, 10, file) == 10 && fwrite(header, 1, (size_t)used, file) == (size_t)used &&
                      fwrite(r->data, sizeof(float), count, file) == count;
    return fclose(file) == 0 && good;
}

/* The pictures of one run. */
typedef struct embedder {
    const arguments *a;
    vj_model *model;
    vj_session *session;
    vj_recipe *recipe;
    vj_picture_input input; /* of one picture */
    int64_t batch;
    int32_t output;
    char *pixels;
    void **results; /* of all outputs */
    int64_t filled;
    bool fixed; /* whether the graph has a fixed batch size */
    rows rows;
} embedder;

static vj_status run(embedder *e) {
    if (e->filled == 0) return VJ_OK;
    int64_t dims[VJ_MODEL_MAX_RANK];
    const int32_t rank = vj_input_shape(e->model, 0, e->fixed ? 1 : e->filled, dims);
    const size_t bytes = (size_t)dims[0] * vj_picture_input_bytes(&e->input);
    vj_status status =
        vj_bind_input(e->session, vj_input_name(e->model, 0), e->pixels, bytes, e->input.dtype, dims, rank);
    for (int32_t i = 0; i < vj_output_count(e->model) && status == VJ_OK; i++) {
        free(e->results[i]);
        e->results[i] = malloc(vj_output_bound(e->session, i) + 1);
        if (!e->results[i]) return fail(VJ_SYSTEM, e->a->model, "no memory");
        status = vj_bind_output(e->session, i, e->results[i], vj_output_bound(e->session, i));
    }
    if (status == VJ_OK) status = vj_run(e->session);
    if (status) return fail(status, e->a->model, vj_error_message());
    if (!append(e->a, &e->rows, e->results[e->output], e->filled)) return fail(VJ_SYSTEM, e->a->out, "no memory");
    e->filled = 0;
    return VJ_OK;
}

/* A picture that cannot be read is reported, and has no row. */
static vj_status add(embedder *e, const char *path) {
    vj_picture picture;
    vj_why why = {0};
    const size_t bytes = vj_picture_input_bytes(&e->input);
    vj_status status = vj_picture_read(path, NULL, &picture, &why);
    if (status == VJ_OK) {
        status = vj_picture_prepare(&picture, e->recipe, &e->input, e->pixels + (size_t)e->filled * bytes, bytes, &why);
        vj_picture_free(&picture);
    }
    if (status) return fail(status == VJ_SYSTEM ? VJ_SYSTEM : VJ_BAD_INPUT, path, why.text);
    printf("%s\n", path);
    return ++e->filled == e->batch ? run(e) : VJ_OK;
}

static vj_status prepare(embedder *e) {
    const arguments *a = e->a;
    vj_why why = {0};
    int64_t dims[VJ_MODEL_MAX_RANK];
    vj_status status = vj_compile_file(a->model, NULL, &e->model);
    if (status == VJ_OK) status = vj_session_create(e->model, &e->session);
    if (status) return fail(status, a->model, vj_error_message());
    if (vj_input_count(e->model) != 1) return fail(VJ_UNSUPPORTED, a->model, "it has not exactly one input");
    const int32_t rank = vj_input_shape(e->model, 0, 1, dims);
    status = vj_picture_input_of(vj_input_dtype(e->model, 0), rank, dims, &e->input, &why);
    if (status) return fail(status, a->model, why.text);
    e->output = output_named(e->model, a->output);
    if (e->output < 0) return fail(VJ_USAGE, a->output, "the model has no output of this name");
    const char *unfit = plan_rows(a, e->model, e->output, &e->rows);
    if (unfit) return fail(VJ_UNSUPPORTED, vj_output_name(e->model, e->output), unfit);
    e->fixed = batch_of(e->model, 1) == batch_of(e->model, 2);
    e->batch = batch_of(e->model, BATCH);
    status = vj_recipe_open(a->model, vj_model_metadata(e->model), NULL, &e->recipe, &why);
    if (status) return fail(status, a->model, why.text);
    fprintf(stderr, "embeddings: pre-processing from %s\n", vj_recipe_source(e->recipe));
    e->pixels = calloc((size_t)e->batch, vj_picture_input_bytes(&e->input));
    e->results = calloc((size_t)vj_output_count(e->model), sizeof *e->results);
    return e->pixels && e->results ? VJ_OK : fail(VJ_SYSTEM, a->model, "no memory");
}

static vj_status embed(embedder *e) {
    struct dirent **entries = NULL;
    const int count = scandir(e->a->folder, &entries, is_picture, by_name);
    vj_status status = count < 1 ? fail(VJ_BAD_INPUT, e->a->folder, "no pictures in this folder") : prepare(e),
              worst = VJ_OK;
    for (int i = 0; i < count; i++) {
        char path[8192];
        snprintf(path, sizeof path, "%s/%s", e->a->folder, entries[i]->d_name);
        free(entries[i]);
        if (status != VJ_OK) continue;
        status = add(e, path);
        if (status == VJ_BAD_INPUT) worst = status, status = VJ_OK;
    }
    free(entries);
    if (status == VJ_OK) status = run(e);
    if (status == VJ_OK && !write_npy(e->a, &e->rows)) status = fail(VJ_SYSTEM, e->a->out, "cannot be written");
    return status ? status : worst;
}

int main(int argc, char **argv) {
    arguments a;
    if (!read_arguments(argc, argv, &a)) return (int)usage();
    embedder e = {.a = &a};
    const vj_status status = embed(&e);
    for (int32_t i = 0; e.results && i < vj_output_count(e.model); i++)
        free(e.results[i]);
    free(e.results);
    free(e.pixels);
    free(e.rows.data);
    vj_recipe_close(e.recipe);
    vj_session_free(e.session);
    vj_model_free(e.model);
    return (int)status;
}
