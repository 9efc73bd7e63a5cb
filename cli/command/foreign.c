/* SPDX-License-Identifier: Apache-2.0 */
/* foreign.c - files that are given as a model and are something else: named by their first bytes, with the way to an ONNX model. */
#include "command.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEAD_BYTES = 512 };

typedef struct file_head {
    const char *path;
    unsigned char at[HEAD_BYTES + 1]; /* with a zero behind */
    size_t bytes;
    long long file_bytes;
} file_head;

/* What a file is, and a way on from there; of a picture and what is not foreign both are NULL. */
typedef struct file_kind {
    const char *what, *hint;
    bool is_picture;
} file_kind;

#define TORCH "export it: torch.onnx.export(model.eval(), (torch.zeros(1, 3, 224, 224),), \"model.onnx\")"

/* Bytes at a place of the file. Rows of one file are looked at in this order. */
static const struct {
    size_t offset, length;
    const char *bytes;
    file_kind kind;
} magics[] = {
    {0, 3, "\xff\xd8\xff", {.is_picture = true}},
    {0, 8, "\x89PNG\r\n\x1a\n", {.is_picture = true}},
    {8, 4, "WEBP", {.is_picture = true}},
    {0, 4, "GIF8", {.is_picture = true}},
    {0,
     4,
     "GGUF",
     {.what = "a GGUF file, weights for llama.cpp without a graph",
      .hint = "export the model to ONNX from its framework"}},
    {4,
     4,
     "TFL3",
     {.what = "a TensorFlow Lite model", .hint = "python -m tf2onnx.convert --tflite FILE --output model.onnx"}},
    {4,
     4,
     "ORTM",
     {.what = "ONNX Runtime's own format (.ort)", .hint = "the .onnx file that it was made from is wanted"}},
    {0,
     8,
     "\x89HDF\r\n\x1a\n",
     {.what = "an HDF5 file, as Keras writes them",
      .hint = "keras.models.load_model(...).export(\"model.onnx\", format=\"onnx\")"}},
    {0,
     6,
     "\x93NUMPY",
     {.what = "an .npy file, a tensor", .hint = "the model goes first: vitjit MODEL.onnx --input NAME=x.npy"}},
    {0,
     5,
     "<?xml",
     {.what = "an XML file, as OpenVINO's models have", .hint = "the .onnx file that it was made from is wanted"}},
    {0,
     9,
     "<!DOCTYPE",
     {.what = "a web page: what was downloaded is not the file",
      .hint = "download it again, from the link that gives the file itself"}},
    {0,
     9,
     "<!doctype",
     {.what = "a web page: what was downloaded is not the file",
      .hint = "download it again, from the link that gives the file itself"}},
    {0,
     5,
     "<html",
     {.what = "a web page: what was downloaded is not the file",
      .hint = "download it again, from the link that gives the file itself"}},
    {0,
     1,
     "{",
     {.what = "a JSON file, as lies beside a model",
      .hint = "the .onnx file, or the folder that both are in, is wanted"}},
    {0, 2, "\x1f\x8b", {.what = "a gzip archive", .hint = "unpack it first"}},
};

static bool has(const file_head *h, size_t offset, const char *bytes, size_t length) {
    return h->bytes >= offset + length && memcmp(h->at + offset, bytes, length) == 0;
}

static bool is_named(const char *path, const char *end) {
    const size_t length = strlen(path), tail = strlen(end);
    return length >= tail && strcmp(path + length - tail, end) == 0;
}

/* A length in 8 bytes, and JSON of that length. */
static bool is_safetensors(const file_head *h) {
    unsigned long long length = 0;
    for (int i = 7; i >= 0; i--)
        length = length << 8 | h->at[i];
    return h->bytes > 9 && h->at[8] == '{' && length >= 2 && length <= (unsigned long long)h->file_bytes - 8 &&
           length < 1ULL << 32;
}

/* PyTorch's archives begin with FOLDER/data.pkl, Keras' with a file of JSON. */
static file_kind kind_of_zip(const file_head *h) {
    const char *name = (const char *)h->at + 30;
    const size_t length = h->bytes > 30 ? h->at[26] : 0;
    if (length && memmem(h->at, h->bytes, ".json", 5))
        return (file_kind){.what = "a Keras model",
                           .hint = "keras.models.load_model(...).export(\"model.onnx\", format=\"onnx\")"};
    if (length && (memmem(name, h->bytes - 30, "data.pkl", 8) || memmem(name, h->bytes - 30, "/.format", 8)))
        return (file_kind){.what = "a PyTorch file (.pt, .pth, .bin)", .hint = TORCH};
    return (file_kind){.what = "a zip archive", .hint = "unpack it first"};
}

static bool is_pickle(const file_head *h) { return h->bytes > 2 && h->at[0] == 0x80 && h->at[1] >= 2 && h->at[1] <= 5; }

static file_kind kind_of(const file_head *h) {
    for (size_t i = 0; i < sizeof magics / sizeof *magics; i++)
        if (has(h, magics[i].offset, magics[i].bytes, magics[i].length)) return magics[i].kind;
    if (has(h, 0, "BM", 2) && is_named(h->path, ".bmp")) return (file_kind){.is_picture = true};
    if (has(h, 0, "PK\3\4", 4)) return kind_of_zip(h);
    if (is_pickle(h)) return (file_kind){.what = "a PyTorch file (.pt, .pth, .bin), or another pickle", .hint = TORCH};
    if (is_safetensors(h))
        return (file_kind){
            .what = "a safetensors file, weights without a graph",
            .hint = "export the model to ONNX from its framework: optimum-cli export onnx --model FOLDER onnx/"};
    if (is_named(h->path, "saved_model.pb"))
        return (file_kind){.what = "a TensorFlow SavedModel",
                           .hint = "python -m tf2onnx.convert --saved-model FOLDER --output model.onnx"};
    if (is_named(h->path, ".pb") && h->bytes &&
        h->at[0] == '\n') /* GraphDef's nodes; an ONNX model has no such field */
        return (file_kind){
            .what = "a TensorFlow graph",
            .hint = "python -m tf2onnx.convert --graphdef FILE --inputs NAME:0 --outputs NAME:0 --output model.onnx"};
    return (file_kind){0};
}

static bool read_head(const char *path, file_head *h) {
    struct stat st;
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    *h = (file_head){.path = path};
    if (fd < 0) return false;
    const ssize_t got = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? pread(fd, h->at, HEAD_BYTES, 0) : -1;
    close(fd);
    if (got < 0) return false;
    h->bytes = (size_t)got;
    h->file_bytes = st.st_size;
    return true;
}

/* The pointer says how large the file is. */
static vj_status print_pointer(const file_head *h) {
    const char *size = strstr((const char *)h->at, "\nsize ");
    const double megabytes = size ? strtod(size + 6, NULL) * 1e-6 : 0;
    vj_print_error(VJ_BAD_INPUT, h->path, "it is a Git LFS pointer: the file itself (%.1f MB) is not here", megabytes);
    vj_print_hint("git lfs pull fetches it");
    return VJ_BAD_INPUT;
}

static bool is_model_name(const char *word) {
    struct stat st;
    return is_named(word, ".onnx") || (stat(word, &st) == 0 && S_ISDIR(st.st_mode));
}

static vj_status print_picture(const vj_command *c) {
    for (int32_t i = 1; i < c->words.count; i++) {
        if (!is_model_name(c->words.at[i])) continue;
        vj_print_error(VJ_USAGE, c->model, "it is a picture: the model goes first");
        vj_print_hint("vitjit %s %s", c->words.at[i], c->words.at[0]);
        return VJ_USAGE;
    }
    vj_print_error(VJ_USAGE, c->model, "it is a picture, and no model is given");
    vj_print_hint("vitjit MODEL.onnx %s", c->words.at[0]);
    return VJ_USAGE;
}

vj_status vj_check_model_file(const vj_command *c) {
    file_head head;
    if (!c->model || !read_head(c->model, &head)) return VJ_OK; /* who opens it says why it cannot be read */
    if (has(&head, 0, "version https://git-lfs", 23)) return print_pointer(&head);
    const file_kind kind = kind_of(&head);
    if (kind.is_picture) return print_picture(c);
    if (!kind.what) return VJ_OK;
    vj_print_error(VJ_BAD_INPUT, c->model, "it is %s, not an ONNX model", kind.what);
    vj_print_hint("%s", kind.hint);
    return VJ_BAD_INPUT;
}
