/* SPDX-License-Identifier: Apache-2.0 */
/* options.c - one table of options: it drives parsing, --help, the modes that take each, and suggestions. */
#include "command.h"
#include "option_table.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define RUNS     (VJ_MODE_INTRODUCE | VJ_MODE_PICTURES | VJ_MODE_TENSORS | VJ_MODE_BENCH | VJ_MODE_TEST)
#define COMPILES (RUNS | VJ_MODE_CALIBRATE | VJ_MODE_REPORT | VJ_MODE_CHECK | VJ_MODE_PASSES | VJ_MODE_EMIT)
#define MODELS   (COMPILES | VJ_MODE_INSPECT)
#define ANY      UINT32_MAX
#define PICTURES (VJ_MODE_PICTURES | VJ_MODE_CALIBRATE | VJ_MODE_INTRODUCE)
#define PREPARES (PICTURES | VJ_MODE_BENCH)
#define FIELD(f) offsetof(vj_command, f)

/* A row without a kind's name is a heading of --help. */
// clang-format off
static const vj_option table[] = {
    {.about = "What to do (without any: classify the pictures, run the tensors, or introduce the model)"},
    {"--inspect", 0, MODE, VJ_MODE_INSPECT, 0, NULL, ANY, "introduce the model without compiling; unsupported models too"},
    {"--test", 0, MODE, VJ_MODE_TEST, 0, NULL, ANY, "the words behind MODEL are ONNX test-data sets: run and compare"},
    {"--bench", 0, BENCH, VJ_MODE_BENCH, FIELD(seconds), "[SECONDS]", ANY, "measure for that long (3): p50, p90, p99, images/s, GFLOP/s; then every kernel; of pictures from file to class"},
    {"--report", 0, MODE, VJ_MODE_REPORT, FIELD(report_page), "[=FILE.html]", ANY, "what was fused, and what was not and why; with a file a page with kernels, a timeline, memory, precision"},
    {"--check", 0, MODE, VJ_MODE_CHECK, 0, NULL, ANY, "run every kernel beside the evaluator; name the first that differs"},
    {"--emit-obj", 0, EMIT, VJ_EMIT_OBJ, 0, NULL, ANY, "write STEM.o, STEM.h and, for large models, STEM.weights"},
    {"--emit-lib", 0, EMIT, VJ_EMIT_LIB, 0, NULL, ANY, "write STEM.so, a shared library that vitjit and vj_load run too, and STEM.h"},
    {"--emit-asm", 0, EMIT, VJ_EMIT_ASM, 0, NULL, ANY, "write STEM.s"},
    {"--emit-llvm", 0, EMIT, VJ_EMIT_LL, 0, NULL, ANY, "write STEM.ll"},
    {"--emit-ir", 0, EMIT, VJ_EMIT_IR, 0, NULL, ANY, "write STEM.vj"},

    {.about = "Running"},
    {"--input", 0, LIST, 0, FIELD(inputs), "NAME=x.npy", VJ_MODE_TENSORS | VJ_MODE_BENCH | VJ_MODE_PICTURES, "an input's value (repeat); with none: seeded values; beside pictures: texts"},
    {"--output", 0, TEXT, 0, FIELD(output), "DIR", VJ_MODE_TENSORS | VJ_MODE_PICTURES, "write every output to DIR/NAME.npy"},
    {"--attention", 0, TEXT, 0, FIELD(attention), "DIR", VJ_MODE_PICTURES, "draw where each head looks: DIR/PICTURE.layer-LL.head-HH.png, all in PICTURE.attention.png"},
    {"--expect", 0, LIST, 0, FIELD(expects), "NAME=y.npy", VJ_MODE_TENSORS, "compare an output (repeat); exit status 4 when it differs"},
    {"--rtol", 0, NUMBER, 0, FIELD(rtol), "X", VJ_MODE_TENSORS | VJ_MODE_TEST, "relative tolerance of comparisons (1e-3)"},
    {"--atol", 0, NUMBER, 0, FIELD(atol), "X", VJ_MODE_TENSORS | VJ_MODE_TEST, "absolute tolerance (--test: 1e-7; --expect: 1e-5 of the largest)"},
    {"--batch", 0, COUNT, 1, FIELD(batch), "N", MODELS, "images a run (1)"},
    {"--threads", 'j', COUNT, 1, FIELD(threads), "N", MODELS, "threads (as many CPUs as the process may use)"},
    {"--streams", 0, COUNT, 1, FIELD(streams), "N", VJ_MODE_BENCH, "so many callers at once, each on a thread of its own: latency and throughput"},
    {"--iterations", 0, COUNT, 1, FIELD(iterations), "N", VJ_MODE_BENCH, "so many runs (of each stream), in the place of SECONDS"},
    {"--stats", 0, MAYBE, 0, FIELD(stats), "[=FILE]", RUNS | VJ_MODE_REPORT, "one JSON object as the last line of stdout, or in a file; of --bench then with the time of each run"},
    {"--profile", 0, TEXT, 0, FIELD(profile), "FILE.json", VJ_MODE_INTRODUCE | VJ_MODE_TENSORS | VJ_MODE_BENCH, "a trace of some more runs for Perfetto: a span a kernel and thread"},
    {"--log", 0, CHOICE, 0, FIELD(log), "info|debug", MODELS, "what a compilation does, to stderr: its steps, or each pass too"},
    {"--quiet", 0, FLAG, 0, FIELD(quiet), NULL, ANY, "results and errors only"},

    {.about = "Pictures"},
    {"--recursive", 'r', FLAG, 0, FIELD(recursive), NULL, PREPARES, "pictures of the folders below a folder too"},
    {"--fast-decode", 0, FLAG, 0, FIELD(fast_decode), NULL, PREPARES, "large JPEGs at 1/2, 1/4 or 1/8 of their size: faster, other pixels"},
    {"--topk", 0, COUNT, 1, FIELD(topk), "K", VJ_MODE_PICTURES, "so many labels a picture (5)"},
    {"--format", 0, CHOICE, 0, FIELD(format), "text|jsonl", VJ_MODE_PICTURES, "a table, or a JSON object a picture"},
    {"--threshold", 0, NUMBER, 0, FIELD(threshold), "X", VJ_MODE_PICTURES, "objects, segments and key points that score above it (as their kind has it: 0.5)"},
    {"--task", 0, CHOICE, 0, FIELD(task), "semantic|instance|panoptic", VJ_MODE_PICTURES, "how masks of queries are read (MaskFormer, OneFormer, DETR and their like), where the model does not say it"},
    {"--draw", 0, TEXT, 0, FIELD(draw), "FILE|DIR|none", VJ_MODE_PICTURES, "where pictures of results go: boxes over the picture, masks, depth"},
    {"--labels", 0, TEXT, 0, FIELD(labels), "FILE", PICTURES | VJ_MODE_EMIT, "a label a line, or JSON"},
    {"--mean", 0, TEXT, 0, FIELD(mean), "M[,M,M]", PREPARES | VJ_MODE_EMIT, "pre-processing: (pixel / 255 - mean) / std"},
    {"--std", 0, TEXT, 0, FIELD(std), "S[,S,S]", PREPARES | VJ_MODE_EMIT, NULL},
    {"--resize", 0, TEXT, 0, FIELD(resize), "N|HxW", PREPARES, "the shorter side, or both, before the crop"},
    {"--crop-pct", 0, TEXT, 0, FIELD(crop_pct), "X", PREPARES, "the input's side as a part of the resized shorter side"},
    {"--interpolation", 0, TEXT, 0, FIELD(interpolation), "NAME", PREPARES, "nearest, box, bilinear, hamming, bicubic, lanczos"},

    {.about = "Compiling"},
    {"--variant", 0, CHOICE, 0, FIELD(variant), "fp32|fp16|q8|int8|uint8|q4|q4f16|bnb4", MODELS, "of a folder: which of its files (fp32: model.onnx; q8: model_quantized.onnx; model_NAME.onnx)"},
    {"--shape", 0, LIST, 0, FIELD(shapes), "NAME=1x3x224x224", MODELS, "sizes for an input whose dims the model leaves open (repeat); N: the batch stays open; 64..640:32: a range"},
    {"--round-up", 0, FLAG, 0, FIELD(round_up), NULL, VJ_MODE_TENSORS | VJ_MODE_BENCH | VJ_MODE_PICTURES, "between two sizes of a range: zeros behind the input, up to the next"},
    {"--fix", 0, LIST, 0, FIELD(fixes), "NAME=x.npy", MODELS, "a value that decides shapes becomes part of the program (repeat)"},
    {"--also-output", 0, LIST, 0, FIELD(also_outputs), "VALUE", COMPILES, "a named value of the graph becomes an output too (repeat)"},
    {"--precision", 0, CHOICES, 0, FIELD(precision), "f32|bf16|int8", MODELS, "what products are computed in (f32); with --bench a list, f32,bf16,int8: a table of them"},
    {"--weight-format", 0, CHOICE, 0, FIELD(weight_format), "f32|f16|bf16|int8|int4", MODELS, "how weights of products are stored (f32: as the model has them)"},
    {"--keep-f32", 0, LIST, 0, FIELD(keep_f32), "PATTERN", MODELS, "products of nodes whose names match stay in f32 (repeat)"},
    {"--calibration-data", 0, LIST, 0, FIELD(calibration_data), "FOLDER|NAME=x.npy", VJ_MODE_CALIBRATE, "try int8 on these inputs, choose for each product, write MODEL.calibration.json (repeat)"},
    {"--min-cosine", 0, NUMBER, 0, FIELD(min_cosine), "X", VJ_MODE_CALIBRATE, "how near to f32 the results must be (0.999)"},
    {"--min-agreement", 0, NUMBER, 0, FIELD(min_agreement), "X", VJ_MODE_CALIBRATE, "the part of the inputs whose best class must be f32's, in place of the cosine"},
    {"--calibration", 0, TEXT, 0, FIELD(calibration), "FILE|none", MODELS, "a calibration of --precision int8 (MODEL.calibration.json, if it is there)"},
    {"--cpu", 0, TEXT, 0, FIELD(cpu), "NAME,...", MODELS, "the CPU to make code for (see `vitjit targets`); objects may have several: v2,v3,v4"},
    {"--target", 0, TEXT, 0, FIELD(target), "TRIPLE", MODELS, "the machine to make code for; its baseline CPU without --cpu"},
    {"--features", 0, TEXT, 0, FIELD(features), "LIST", MODELS, "the best CPU of the machine's that these leave: -avx512f, or +avx2,+fma"},
    {"--cache", 0, TEXT, 0, FIELD(cache), "DIR", MODELS | VJ_MODE_CACHE, "where compiled models are kept ($VITJIT_CACHE, ~/.cache/vitjit)"},
    {"--no-cache", 0, FLAG, 0, FIELD(no_cache), NULL, MODELS, "compile anew, keep nothing"},
    {"--max-memory", 0, BYTES, 0, FIELD(max_memory), "BYTES|none", MODELS, "what compiling may take (k, M, G: times 1024; 0.8 GB and 4 times the model's size)"},
    {"--max-seconds", 0, SECONDS, 0, FIELD(max_seconds), "S|none", MODELS, "how long compiling may last (of the processors' time 8, and 4 for each MiB of the model)"},
    {"--output-path", 'o', TEXT, 0, FIELD(emit_path), "PATH", VJ_MODE_EMIT, "a file or a folder (the current folder)"},
    {"--prefix", 0, TEXT, 0, FIELD(prefix), "NAME", VJ_MODE_EMIT, "of the object's symbols (the model's file name)"},
    {"--weights", 0, CHOICE, 0, FIELD(weights), "file|inside", VJ_MODE_EMIT, "beside the object or in it (in it up to 64 MiB)"},
    {"--linker", 0, TEXT, 0, FIELD(linker), "COMMAND", VJ_MODE_EMIT, "what makes the shared library (cc)"},

    {.about = "For the compiler's developers"},
    {"--jit", 0, CHOICE, 0, FIELD(jit), "image|orc", RUNS, "who loads the code: vitjit (image) or LLVM's ORC"},
    {"--in-process", 0, FLAG, 0, FIELD(in_process), NULL, MODELS, "compile in the command's own process, for debuggers and profilers; without limits"},
    {"--print-after", 0, TEXT, 0, FIELD(print_after), "PASS", COMPILES, "the IR after a pass, or after `all`, to stderr"},
    {"--print-rewrites", 0, FLAG, 0, FIELD(print_rewrites), NULL, COMPILES, "pass, rule and node of each rewrite, to stderr"},
    {"--stop-after", 0, TEXT, 0, FIELD(stop_after), "PASS", VJ_MODE_PASSES | VJ_MODE_REPORT | VJ_MODE_EMIT, "no pass behind this one"},
    {"--disable-pass", 0, LIST, 0, FIELD(disabled_passes), "PASS", COMPILES, "leave a pass out (repeat)"},
    {"--pass-limit", 0, COUNT, 0, FIELD(pass_limit), "N", COMPILES, "so many rewrites in all, then no more: to bisect"},

    {.about = "Help"},
    {"--version", 0, MODE, VJ_MODE_VERSION, 0, NULL, ANY, "versions of vitjit and LLVM, and this machine's CPU"},
    {"--help", 'h', MODE, VJ_MODE_HELP, 0, NULL, ANY, "this list of options"},
};
// clang-format on
#define ROWS ((int32_t)(sizeof table / sizeof table[0]))

const vj_option *vj_option_table(int32_t *rows) {
    *rows = ROWS;
    return table;
}

static const vj_usage usages[] = {
    {"MODEL.onnx IMAGE...", "classify pictures (JPEG, PNG, WebP, BMP; folders; - for a list on stdin)"},
    {"MODEL.onnx --input NAME=x.npy --output DIR", "run on tensors"},
    {"MODEL.onnx", "introduce the model, run it once on seeded inputs"},
    {"MODEL.onnx --inspect|--test DIR...|--bench [SECONDS]|--report|--check|--emit-...", NULL},
    {"MODEL.onnx IMAGE... --bench", "measure from pictures' files to their classes"},
    {"MODEL.onnx [IMAGE...] --bench --precision f32,bf16,int8", "compare precisions: time, memory, accuracy"},
    {"MODEL.onnx --calibration-data FOLDER", "choose the precision of each product on these pictures"},
    {"FOLDER ... [--variant q8]", "the same with FOLDER/onnx/model.onnx or FOLDER/model.onnx"},
    {"MODEL.so ...", "the same with what --emit-lib wrote"},
    {"cache ls|verify|prune|rm MODEL", "what the cache holds; is it whole; delete it all, or a model's"},
    {"targets", "CPUs that code can be made for"},
};

const vj_usage *vj_usage_table(int32_t *rows) {
    *rows = (int32_t)(sizeof usages / sizeof *usages);
    return usages;
}

void vj_options_help(FILE *out) {
    for (size_t i = 0; i < sizeof usages / sizeof *usages; i++) {
        fputs(i ? "       vitjit " : "usage: vitjit ", out);
        fprintf(out, usages[i].about ? "%-42s %s\n" : "%s\n", usages[i].words, usages[i].about);
    }
    for (int32_t i = 0; i < ROWS; i++) {
        const vj_option *o = &table[i];
        if (!o->name) {
            fprintf(out, "\n%s\n", o->about);
            continue;
        }
        char left[64], letter[8] = "";
        if (o->letter) snprintf(letter, sizeof letter, "-%c, ", o->letter);
        snprintf(left, sizeof left, "%s%s%s%s", letter, o->name, o->value && strncmp(o->value, "[=", 2) != 0 ? " " : "",
                 o->value ? o->value : "");
        fprintf(out, o->about ? "  %-28s %s\n" : "  %s\n", left, o->about);
    }
    fputs("\nExit status: 0 done, 1 usage, 2 the model or an input is bad, 3 not supported, 4 a result differs, 5 the "
          "machine "
          "failed us.\n",
          out);
}

/* Edits that turn a into b: insertions, deletions, exchanges of a letter (Levenshtein 1966). */
static int32_t distance(const char *a, size_t a_length, const char *b) {
    enum { MOST = 40 };
    int32_t row[MOST + 1];
    const size_t b_length = strlen(b);
    if (a_length > MOST || b_length > MOST) return MOST;
    for (size_t j = 0; j <= b_length; j++)
        row[j] = (int32_t)j;
    for (size_t i = 1; i <= a_length; i++) {
        int32_t corner = row[0];
        row[0] = (int32_t)i;
        for (size_t j = 1; j <= b_length; j++) {
            int32_t least = corner + (a[i - 1] != b[j - 1]);
            if (row[j] + 1 < least) least = row[j] + 1;
            if (row[j - 1] + 1 < least) least = row[j - 1] + 1;
            corner = row[j];
            row[j] = least;
        }
    }
    return row[b_length];
}

static vj_status unknown(const char *word, size_t length) {
    const vj_option *best = NULL;
    int32_t least = 1 + (int32_t)length / 3;
    for (int32_t i = 0; i < ROWS; i++) {
        if (!table[i].name) continue;
        int32_t d = distance(word, length, table[i].name);
        if (length > 3 && strncmp(word, table[i].name, length) == 0) d = 0;
        if (d < least) {
            least = d;
            best = &table[i];
        }
    }
    vj_print_error(VJ_USAGE, NULL, "unknown option '%.*s'", (int)length, word);
    if (best)
        vj_print_hint("did you mean %s?", best->name);
    else
        vj_print_hint("vitjit --help lists all options");
    return VJ_USAGE;
}

static const vj_option *find(const char *word, size_t length) {
    for (int32_t i = 0; i < ROWS; i++) {
        const char *name = table[i].name;
        if (name && strlen(name) == length && strncmp(name, word, length) == 0) return &table[i];
    }
    return NULL;
}

static const vj_option *find_letter(char letter) {
    for (int32_t i = 0; i < ROWS; i++)
        if (table[i].name && table[i].letter == letter) return &table[i];
    return NULL;
}

static bool push(vj_list *list, const char *text) {
    const char **more = realloc(list->at, (size_t)(list->count + 1) * sizeof *more);
    if (!more) return false;
    list->at = more;
    more[list->count++] = text;
    return true;
}

static bool is_number(const char *text, double *value) {
    char *end;
    errno = 0;
    *value = strtod(text, &end);
    return end != text && !*end && errno == 0 && *value >= 0 && *value <= 1e300;
}

static vj_status set_count(const vj_option *o, const char *value, int64_t *out) {
    char *end;
    errno = 0;
    const long long n = strtoll(value, &end, 10);
    if (end == value || *end || errno || n < o->number || n > INT32_MAX)
        return vj_print_error(VJ_USAGE, NULL, "%s wants a whole number from %lld up, not '%s'", o->name,
                              (long long)o->number, value);
    *out = n;
    return VJ_OK;
}

static vj_status set_seconds(const vj_option *o, const char *value, double *out) {
    if (strcmp(value, "none") == 0)
        *out = -1;
    else if (!is_number(value, out) || *out == 0)
        return vj_print_error(VJ_USAGE, NULL, "%s wants seconds, or none, not '%s'", o->name, value);
    return VJ_OK;
}

static vj_status set_bytes(const vj_option *o, const char *value, int64_t *out) {
    static const char units[] = "kMG";
    char *end;
    errno = 0;
    const long long n = strtoll(value, &end, 10);
    const char *unit = end != value && *end ? strchr(units, *end) : NULL;
    const int shift = unit ? 10 * (int)(unit - units + 1) : 0;
    const bool is_whole = end != value && !end[unit != NULL] && !errno && n > 0 && n <= INT64_MAX >> shift;
    *out = is_whole ? (int64_t)n << shift : -1;
    if (is_whole || strcmp(value, "none") == 0) return VJ_OK;
    return vj_print_error(VJ_USAGE, NULL, "%s wants bytes, as 900M or 4G, or none, not '%s'", o->name, value);
}

/* Is it one of the words of `list`, which `mark` parts, before `end`? */
static bool has_word(const char *list, const char *end, char mark, const char *word, size_t length) {
    for (const char *at = list; length > 0 && at < end;) {
        const char *stop = memchr(at, mark, (size_t)(end - at));
        if (!stop) stop = end;
        if ((size_t)(stop - at) == length && memcmp(at, word, length) == 0) return true;
        at = stop + 1;
    }
    return false;
}

static bool is_choice(const vj_option *o, const char *word, size_t length) {
    return has_word(o->value, o->value + strlen(o->value), '|', word, length);
}

static vj_status set_choice(const vj_option *o, const char *value, const char **out) {
    *out = value;
    if (is_choice(o, value, strlen(value))) return VJ_OK;
    return vj_print_error(VJ_USAGE, NULL, "%s wants %s, not '%s'", o->name, o->value, value);
}

static vj_status set_choices(const vj_option *o, const char *value, const char **out) {
    *out = value;
    for (const char *word = value;;) {
        const char *end = strchrnul(word, ',');
        const int length = (int)(end - word);
        if (!is_choice(o, word, (size_t)length))
            return vj_print_error(VJ_USAGE, NULL, "%s wants %s, not '%.*s'", o->name, o->value, length, word);
        if (has_word(value, word, ',', word, (size_t)length))
            return vj_print_error(VJ_USAGE, NULL, "%s names '%.*s' twice", o->name, length, word);
        if (!*end) return VJ_OK;
        word = end + 1;
    }
}

static vj_status set(const vj_option *o, const char *value, vj_command *c) {
    void *field = (char *)c + o->field;
    c->given[o - table] = true;
    switch (o->kind) {
    case FLAG:
        *(bool *)field = true;
        return VJ_OK;
    case MAYBE:
        *(const char **)field = value ? value : "";
        if (!value || *value) return VJ_OK;
        return vj_print_error(VJ_USAGE, NULL, "%s= wants a file's name", o->name);
    case MODE:
        c->asked_modes |= (uint32_t)o->number;
        if (value) *(const char **)field = value;
        if (!value || *value) return VJ_OK;
        return vj_print_error(VJ_USAGE, NULL, "%s= wants a file's name", o->name);
    case EMIT:
        if (c->asked_modes & VJ_MODE_EMIT && c->emit != (vj_emit_format)o->number)
            return vj_print_error(VJ_USAGE, NULL, "%s: one --emit option at a time", o->name);
        c->asked_modes |= VJ_MODE_EMIT;
        c->emit = (vj_emit_format)o->number;
        return VJ_OK;
    case BENCH:
        c->asked_modes |= VJ_MODE_BENCH;
        if (value && !is_number(value, &c->seconds))
            return vj_print_error(VJ_USAGE, NULL, "%s wants seconds, not '%s'", o->name, value);
        return VJ_OK;
    case TEXT:
        *(const char **)field = value;
        return VJ_OK;
    case COUNT:
        return set_count(o, value, field);
    case NUMBER:
        if (is_number(value, field)) return VJ_OK;
        return vj_print_error(VJ_USAGE, NULL, "%s wants a number, not '%s'", o->name, value);
    case SECONDS:
        return set_seconds(o, value, field);
    case BYTES:
        return set_bytes(o, value, field);
    case CHOICE:
        return set_choice(o, value, field);
    case CHOICES:
        return set_choices(o, value, field);
    case LIST:
        return push(field, value) ? VJ_OK : vj_print_error(VJ_SYSTEM, NULL, "no memory");
    }
    return VJ_USAGE;
}

static bool wants_value(vj_option_kind k) { return k != FLAG && k != MAYBE && k != MODE && k != EMIT && k != BENCH; }

/* One option and the value behind it, in the same word or the next; *i is moved past what was used. */
static vj_status take(int argc, char **argv, int *i, vj_command *c) {
    const char *word = argv[*i], *value = NULL;
    const vj_option *o;
    if (word[1] == '-') {
        const char *equals = strchr(word, '=');
        const size_t length = equals ? (size_t)(equals - word) : strlen(word);
        value = equals ? equals + 1 : NULL;
        if (!(o = find(word, length))) return unknown(word, length);
    } else {
        if (!(o = find_letter(word[1]))) return unknown(word, strlen(word));
        if (word[2]) value = word + 2;
    }
    if (value && !wants_value(o->kind) && o->kind != BENCH && o->kind != MAYBE && !(o->kind == MODE && o->value))
        return vj_print_error(VJ_USAGE, NULL, "%s takes no value", o->name);
    double seconds;
    const char *next = *i + 1 < argc ? argv[*i + 1] : NULL;
    if (!value && ((wants_value(o->kind) && next) || (o->kind == BENCH && next && is_number(next, &seconds)))) {
        value = next;
        ++*i;
    }
    if (!value && wants_value(o->kind))
        return vj_print_error(VJ_USAGE, NULL, "%s wants a value: %s", o->name, o->value);
    return set(o, value, c);
}

vj_status vj_options_parse(int argc, char **argv, vj_command *command) {
    _Static_assert(ROWS <= VJ_MOST_OPTIONS, "given has room for all options");
    bool words_only = false;
    for (int i = 1; i < argc; i++) {
        vj_status status = VJ_OK;
        if (!words_only && strcmp(argv[i], "--") == 0)
            words_only = true;
        else if (!words_only && argv[i][0] == '-' && argv[i][1])
            status = take(argc, argv, &i, command);
        else if (!push(&command->words, argv[i]))
            status = vj_print_error(VJ_SYSTEM, NULL, "no memory");
        if (status) return status;
    }
    return VJ_OK;
}

const char *vj_options_misplaced(const vj_command *command) {
    for (int32_t i = 0; i < ROWS; i++)
        if (command->given[i] && !(table[i].modes & (uint32_t)command->mode)) return table[i].name;
    return NULL;
}

bool vj_option_given(const vj_command *command, const char *name) {
    const vj_option *o = find(name, strlen(name));
    return o && command->given[o - table];
}
