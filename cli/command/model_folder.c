/* SPDX-License-Identifier: Apache-2.0 */
/* model_folder.c - a folder for a model: the ONNX file in it, where the Hub and exporters put it, of the variant asked for.
 *
 * FOLDER/onnx goes before FOLDER, and model.onnx before what is called otherwise. Variants have transformers.js's names.
 */
#include "command.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

enum { MOST_FILES = 256, TOLD = 12 };

static const struct {
    const char *name, *suffix;
} variants[] = {{"fp32", ""},        {"fp16", "_fp16"}, {"q8", "_quantized"}, {"int8", "_int8"},
                {"uint8", "_uint8"}, {"q4", "_q4"},     {"q4f16", "_q4f16"},  {"bnb4", "_bnb4"}};
enum { VARIANTS = sizeof variants / sizeof *variants };

/* An ONNX file of the folder: its path from there, "onnx/model_fp16.onnx", what it is, and which variant of that. */
typedef struct found_file {
    char path[320];
    int32_t stem, stem_length; /* "model": where in the path */
    int32_t variant;
} found_file;

typedef struct survey {
    const char *folder;
    found_file files[MOST_FILES];
    int32_t count;
    int32_t pictures, weights; /* files of other kinds */
    char weights_name[256];    /* the first of them */
    bool saved_model;
} survey;

static bool ends_in(const char *name, size_t length, const char *end) {
    const size_t tail = strlen(end);
    return length >= tail && strncasecmp(name + length - tail, end, tail) == 0;
}

static void add_onnx(survey *s, const char *below, const char *name) {
    found_file *f = &s->files[s->count];
    if (s->count == MOST_FILES || snprintf(f->path, sizeof f->path, "%s%s", below, name) >= (int)sizeof f->path) return;
    f->stem = (int32_t)strlen(below);
    f->stem_length = (int32_t)strlen(name) - 5;
    f->variant = 0;
    for (int32_t i = 1; i < VARIANTS; i++) {
        const int32_t tail = (int32_t)strlen(variants[i].suffix);
        if (f->stem_length <= tail || !ends_in(name, (size_t)f->stem_length, variants[i].suffix)) continue;
        f->variant = i;
        f->stem_length -= tail;
        break;
    }
    s->count++;
}

static void look_at(survey *s, const char *below, const char *name) {
    static const char *const pictures[] = {".jpg", ".jpeg", ".png", ".webp", ".bmp"};
    static const char *const weights[] = {".safetensors", ".bin",  ".pt", ".pth",   ".ckpt",
                                          ".tflite",      ".gguf", ".h5", ".keras", ".msgpack"};
    const size_t length = strlen(name);
    if (length > 5 && ends_in(name, length, ".onnx")) add_onnx(s, below, name);
    if (*below) return;
    for (size_t i = 0; i < sizeof pictures / sizeof *pictures; i++)
        s->pictures += ends_in(name, length, pictures[i]);
    for (size_t i = 0; i < sizeof weights / sizeof *weights; i++)
        if (ends_in(name, length, weights[i]) && s->weights++ == 0)
            snprintf(s->weights_name, sizeof s->weights_name, "%s", name);
    s->saved_model |= strcmp(name, "saved_model.pb") == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

/* The files of FOLDER/below. Where there is no such folder there are none. */
static vj_status look_in(survey *s, const char *below) {
    char path[4096];
    struct dirent **entries = NULL;
    if (snprintf(path, sizeof path, "%s/%s", s->folder, below) >= (int)sizeof path)
        return vj_print_error(VJ_BAD_INPUT, s->folder, "the path is too long");
    const int count = scandir(path, &entries, NULL, by_name);
    if (count < 0 && *below && (errno == ENOENT || errno == ENOTDIR)) return VJ_OK;
    if (count < 0) return vj_print_error(vj_file_status(errno), s->folder, "%s", strerror(errno));
    for (int i = 0; i < count; i++) {
        look_at(s, below, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return VJ_OK;
}

static bool is_called_model(const found_file *f) {
    return f->stem_length == 5 && strncmp(f->path + f->stem, "model", 5) == 0;
}

/* The one of that variant: model.onnx before others. More than one: *several is how many. */
static const found_file *choose(const survey *s, int32_t variant, int32_t *several) {
    const found_file *only = NULL;
    *several = 0;
    for (int32_t i = 0; i < s->count; i++) {
        const found_file *f = &s->files[i];
        if (f->variant != variant) continue;
        if (is_called_model(f)) return f;
        only = f;
        ++*several;
    }
    return *several == 1 ? only : NULL;
}

static vj_status print_several(const survey *s, int32_t variant, int32_t several) {
    char list[4096] = "";
    const found_file *last = NULL;
    int32_t told = 0;
    for (int32_t i = 0; i < s->count; i++) {
        const size_t used = strlen(list);
        if (s->files[i].variant != variant) continue;
        last = &s->files[i];
        if (told++ < TOLD) snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "", last->path);
    }
    vj_print_error(VJ_USAGE, s->folder, "it holds %d models: %s%s", (int)several, list, told > TOLD ? ", ..." : "");
    if (last) vj_print_hint("name one: vitjit %s/%s", s->folder, last->path);
    return VJ_USAGE;
}

/* There are models, but none of that variant. */
static vj_status print_other_variants(const survey *s, int32_t variant) {
    char list[4096] = "";
    for (int32_t i = 0; i < s->count && i < TOLD; i++) {
        const size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s (%s)", used ? ", " : "", s->files[i].path,
                 variants[s->files[i].variant].name);
    }
    vj_print_error(VJ_USAGE, s->folder, "it holds no model of the variant %s; there are %s%s", variants[variant].name,
                   list, s->count > TOLD ? ", ..." : "");
    vj_print_hint("--variant %s takes %s", variants[s->files[0].variant].name, s->files[0].path);
    return VJ_USAGE;
}

static vj_status print_none(const survey *s) {
    if (s->saved_model) {
        vj_print_error(VJ_BAD_INPUT, s->folder, "it is a TensorFlow SavedModel, not an ONNX model");
        vj_print_hint("python -m tf2onnx.convert --saved-model %s --output model.onnx", s->folder);
    } else if (s->weights) {
        vj_print_error(VJ_BAD_INPUT, s->folder, "it holds weights (%s), but no ONNX model", s->weights_name);
        vj_print_hint("export it: optimum-cli export onnx --model %s %s/onnx", s->folder, s->folder);
    } else if (s->pictures) {
        vj_print_error(VJ_USAGE, s->folder, "it holds pictures (%d) and no model", (int)s->pictures);
        vj_print_hint("the model goes before its pictures: vitjit MODEL.onnx %s", s->folder);
        return VJ_USAGE;
    } else {
        vj_print_error(VJ_BAD_INPUT, s->folder, "is a folder without a model: neither onnx/model.onnx nor model.onnx");
    }
    return VJ_BAD_INPUT;
}

static vj_status take(vj_command *c, const survey *s, const found_file *f) {
    const size_t length = strlen(s->folder);
    const int room = (int)(length + strlen(f->path) + 2);
    c->found_model = malloc((size_t)room);
    if (!c->found_model) return vj_print_error(VJ_SYSTEM, s->folder, "no memory");
    snprintf(c->found_model, (size_t)room, "%s%s%s", s->folder, s->folder[length - 1] == '/' ? "" : "/", f->path);
    vj_print_notice(s->folder, "the model is %s", f->path);
    if (s->pictures && c->words.count == 1 && c->mode == VJ_MODE_INTRODUCE)
        vj_print_notice(s->folder, "it holds pictures too: vitjit %s %s is about these", s->folder, s->folder);
    c->model = c->found_model;
    return VJ_OK;
}

static int32_t variant_of(const char *name) {
    int32_t i = 0;
    while (name && i < VARIANTS && strcmp(variants[i].name, name) != 0)
        i++;
    return name && i < VARIANTS ? i : 0;
}

/* The folder itself holds what a folder `onnx` does not: the order of the two is that in which they are taken. */
static vj_status find_in_folder(vj_command *c, survey *s) {
    int32_t several;
    vj_status status = look_in(s, "onnx/");
    if (status == VJ_OK) status = look_in(s, "");
    if (status) return status;
    int32_t variant = variant_of(c->variant);
    if (!c->variant && s->count == 1) variant = s->files[0].variant;
    const found_file *f = choose(s, variant, &several);
    if (f) return take(c, s, f);
    if (several) return print_several(s, variant, several);
    return s->count ? print_other_variants(s, variant) : print_none(s);
}

static bool is_folder(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

vj_status vj_find_model(vj_command *c) {
    if (!c->model) return VJ_OK;
    if (!is_folder(c->model)) {
        if (c->variant)
            return vj_print_error(VJ_USAGE, c->model, "--variant chooses a file of a folder, and this is a file");
        return vj_check_model_file(c);
    }
    char snapshot[4096];
    vj_status status = vj_hub_snapshot(c->model, snapshot, sizeof snapshot);
    if (status) return status;
    survey *s = calloc(1, sizeof *s);
    if (!s) return vj_print_error(VJ_SYSTEM, c->model, "no memory");
    s->folder = *snapshot ? snapshot : c->model;
    status = find_in_folder(c, s);
    free(s);
    return status ? status : vj_check_model_file(c);
}
