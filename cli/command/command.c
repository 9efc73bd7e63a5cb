/* SPDX-License-Identifier: Apache-2.0 */
/* command.c - what the options mean together: the mode, the words it needs, the options it takes. */
#include "command.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
    vj_mode mode;
    const char *what;
} modes[] = {
    {VJ_MODE_INTRODUCE, "introducing a model"},
    {VJ_MODE_PICTURES, "classifying pictures"},
    {VJ_MODE_TENSORS, "running tensors"},
    {VJ_MODE_BENCH, "--bench"},
    {VJ_MODE_TEST, "--test"},
    {VJ_MODE_INSPECT, "--inspect"},
    {VJ_MODE_REPORT, "--report"},
    {VJ_MODE_CHECK, "--check"},
    {VJ_MODE_PASSES, "running passes alone"},
    {VJ_MODE_EMIT, "--emit"},
    {VJ_MODE_CACHE, "vitjit cache"},
    {VJ_MODE_TARGETS, "vitjit targets"},
    {VJ_MODE_VERSION, "--version"},
    {VJ_MODE_HELP, "--help"},
    {VJ_MODE_CALIBRATE, "--calibration-data"},
};

static const char *mode_name(uint32_t mode) {
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if ((uint32_t)modes[i].mode == mode) return modes[i].what;
    return "this";
}

static bool one_bit(uint32_t bits) { return (bits & (bits - 1)) == 0; }

/* What a command without a mode's option is about. */
static vj_mode implied(const vj_command *c) {
    if (c->calibration_data.count) return VJ_MODE_CALIBRATE;
    if (c->words.count > 1) return VJ_MODE_PICTURES;
    if (c->inputs.count || c->output || c->expects.count) return VJ_MODE_TENSORS;
    return c->print_after || c->print_rewrites || c->stop_after ? VJ_MODE_PASSES : VJ_MODE_INTRODUCE;
}

static vj_status find_mode(vj_command *c) {
    const char *first = c->words.count ? c->words.at[0] : NULL;
    if (c->asked_modes & VJ_MODE_HELP)
        c->mode = VJ_MODE_HELP;
    else if (c->asked_modes & VJ_MODE_VERSION)
        c->mode = VJ_MODE_VERSION;
    else if (!first)
        return vj_print_error(VJ_USAGE, NULL, "no model is given\n  hint: vitjit --help says how to use it");
    else if (strcmp(first, "cache") == 0)
        c->mode = VJ_MODE_CACHE;
    else if (strcmp(first, "targets") == 0)
        c->mode = VJ_MODE_TARGETS;
    else if (!one_bit(c->asked_modes)) {
        const uint32_t lowest = c->asked_modes & (~c->asked_modes + 1);
        const uint32_t rest = c->asked_modes & ~lowest;
        return vj_print_error(VJ_USAGE, NULL, "%s and %s: one at a time", mode_name(lowest),
                              mode_name(rest & (~rest + 1)));
    } else
        c->mode = c->asked_modes ? (vj_mode)c->asked_modes : implied(c);
    return VJ_OK;
}

static vj_status judge_words(vj_command *c) {
    if (c->mode == VJ_MODE_CACHE) {
        const char *work = c->words.count > 1 ? c->words.at[1] : "";
        if (strcmp(work, "rm") == 0 && c->words.count == 3 && *c->words.at[2]) return VJ_OK;
        if (c->words.count != 2) work = "";
        if (strcmp(work, "ls") == 0 || strcmp(work, "verify") == 0 || strcmp(work, "prune") == 0) return VJ_OK;
        return vj_print_error(VJ_USAGE, NULL, "vitjit cache wants ls, verify, prune or rm MODEL");
    }
    if (c->mode == VJ_MODE_HELP || c->mode == VJ_MODE_VERSION) return VJ_OK;
    if (c->mode == VJ_MODE_TARGETS)
        return c->words.count == 1 ? VJ_OK : vj_print_error(VJ_USAGE, NULL, "vitjit targets takes no more words");
    c->model = c->words.at[0];
    if (!*c->model) return vj_print_error(VJ_USAGE, NULL, "the model's name is empty");
    if (c->mode == VJ_MODE_TEST && c->words.count < 2)
        return vj_print_error(VJ_USAGE, NULL, "--test wants folders with input_0.pb, output_0.pb, ...");
    if (c->words.count > 1 && c->mode != VJ_MODE_PICTURES && c->mode != VJ_MODE_TEST && c->mode != VJ_MODE_BENCH)
        return vj_print_error(VJ_USAGE, NULL, "'%s': %s takes one model and no more words", c->words.at[1],
                              mode_name(c->mode));
    return VJ_OK;
}

/* A shared library has a program in it already: what would make another one means nothing. */
static vj_status judge_compiled(const vj_command *c) {
    static const char *const changes[] = {
        "--shape",        "--fix",         "--also-output", "--attention",   "--precision",      "--weight-format",
        "--keep-f32",     "--calibration", "--cpu",         "--target",      "--features",       "--cache",
        "--no-cache",     "--profile",     "--jit",         "--print-after", "--print-rewrites", "--stop-after",
        "--disable-pass", "--pass-limit"};
    const uint32_t runs =
        VJ_MODE_INTRODUCE | VJ_MODE_PICTURES | VJ_MODE_TENSORS | VJ_MODE_BENCH | VJ_MODE_TEST | VJ_MODE_INSPECT;
    const char *what = c->mode & runs ? NULL : mode_name(c->mode);
    for (size_t i = 0; !what && i < sizeof changes / sizeof *changes; i++)
        if (vj_option_given(c, changes[i])) what = changes[i];
    if (!what) return VJ_OK;
    vj_print_error(VJ_USAGE, c->model, "it is compiled already: %s wants the ONNX file", what);
    return VJ_USAGE;
}

static bool is_library(const char *path) {
    char magic[4] = "";
    const int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
    const bool is = fd >= 0 && pread(fd, magic, sizeof magic, 0) == sizeof magic && memcmp(magic, "\177ELF", 4) == 0;
    if (fd >= 0) close(fd);
    return is;
}

static bool is(const char *word, const char *type) { return word && strcmp(word, type) == 0; }

static bool is_list(const char *precision) { return precision && strchr(precision, ','); }

static bool is_narrow(const char *precision) { return is(precision, "bf16") || is(precision, "int8"); }

/* Products in bf16 have weights in bf16, or in blocks; those in bytes have bytes. */
static bool stores(const char *precision, const char *weight_format) {
    if (is(precision, "int8") && is(weight_format, "int4")) return false;
    return !is_narrow(precision) || !is(weight_format, "f16");
}

/* Is anything but float32 asked for? Whether the model itself has other products is known when it is compiled. */
static bool is_less(const char *precision, const char *weight_format) {
    return is_narrow(precision) || (weight_format && !is(weight_format, "f32"));
}

bool vj_is_comparison(const vj_command *c) { return c->mode == VJ_MODE_BENCH && is_list(c->precision); }

bool vj_command_of_precision(const vj_command *list, int32_t i, char word[VJ_WORD_TEXT], vj_command *one) {
    const char *begin = list->precision;
    for (; i > 0 && begin; i--)
        begin = (begin = strchr(begin, ',')) ? begin + 1 : NULL;
    if (!begin) return false;
    snprintf(word, VJ_WORD_TEXT, "%.*s", (int)strcspn(begin, ","), begin);
    *one = *list;
    one->precision = word;
    if (!stores(word, one->weight_format)) one->weight_format = NULL;
    if (!is_less(word, one->weight_format)) one->keep_f32.count = 0;
    return true;
}

/* What a comparison of precisions does not take. */
static vj_status judge_comparison(const vj_command *c) {
    if (c->mode != VJ_MODE_BENCH)
        return vj_print_error(VJ_USAGE, NULL,
                              "--precision %s: a list is for --bench, which compares them; %s takes one", c->precision,
                              mode_name(c->mode));
    static const char *const others[] = {"--profile", "--streams", "--iterations"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (vj_option_given(c, others[i]))
            return vj_print_error(VJ_USAGE, NULL, "%s means nothing with a list of precisions: it takes one",
                                  others[i]);
    return VJ_OK;
}

/* Does the format of weights go with one of the precisions? */
static vj_status judge_precision(const vj_command *c) {
    char word[VJ_WORD_TEXT];
    vj_command one;
    bool fits = !c->precision;
    if (is_list(c->precision) && judge_comparison(c)) return VJ_USAGE;
    for (int32_t i = 0; c->precision && vj_command_of_precision(c, i, word, &one); i++)
        fits |= one.weight_format == c->weight_format;
    if (fits) return VJ_OK;
    return vj_print_error(VJ_USAGE, NULL, "--precision %s stores weights in %s: --weight-format %s is for %s",
                          c->precision, c->precision, c->weight_format,
                          is(c->weight_format, "int4") ? "f32 and bf16" : "f32");
}

/* --bench takes the options of pictures where there are some, and then not what is for tensors and their kernels. */
static vj_status judge_pictures(const vj_command *c) {
    const bool pictures = c->mode == VJ_MODE_BENCH && c->words.count > 1;
    if (pictures && is_list(c->precision) && c->inputs.count)
        return vj_print_error(VJ_USAGE, NULL, "pictures and --input: one of them with a list of precisions");
    if (pictures && c->profile) return vj_print_error(VJ_USAGE, NULL, "pictures and --profile: one of them");
    if (c->streams > 1 && c->profile) return vj_print_error(VJ_USAGE, NULL, "--streams and --profile: one of them");
    static const char *const options[] = {"--mean", "--std", "--resize", "--crop-pct", "--interpolation"};
    for (size_t i = 0; c->mode == VJ_MODE_BENCH && c->words.count < 2 && i < sizeof options / sizeof *options; i++)
        if (vj_option_given(c, options[i]))
            return vj_print_error(VJ_USAGE, NULL, "%s means nothing with --bench without pictures", options[i]);
    return VJ_OK;
}

/* Alone, or one of a list. */
static bool has_int8(const vj_command *c) {
    char word[VJ_WORD_TEXT];
    vj_command one;
    for (int32_t i = 0; c->precision && vj_command_of_precision(c, i, word, &one); i++)
        if (is(word, "int8")) return true;
    return false;
}

/* A calibration is of int8. */
static vj_status judge_calibration(vj_command *c) {
    if (c->mode == VJ_MODE_CALIBRATE && !c->precision) c->precision = "int8";
    const bool asked = c->mode == VJ_MODE_CALIBRATE || c->calibration;
    if (asked && !has_int8(c))
        return vj_print_error(VJ_USAGE, NULL, "%s is for --precision int8",
                              c->mode == VJ_MODE_CALIBRATE ? "--calibration-data" : "--calibration");
    if (c->mode == VJ_MODE_CALIBRATE && is(c->calibration, "none"))
        return vj_print_error(VJ_USAGE, NULL, "--calibration none names no file to write");
    if (c->min_cosine > 1 || c->min_agreement > 1)
        return vj_print_error(VJ_USAGE, NULL, "%s wants a number up to 1",
                              c->min_cosine > 1 ? "--min-cosine" : "--min-agreement");
    return VJ_OK;
}

vj_status vj_command_read(int argc, char **argv, vj_command *c) {
    *c = (vj_command){.seconds = 3, .rtol = 1e-3, .min_cosine = 0.999, .threshold = -1, .pass_limit = -1};
    vj_status status = vj_options_parse(argc, argv, c);
    if (status == VJ_OK) status = find_mode(c);
    if (status == VJ_OK) status = judge_words(c);
    if (status) return status;
    const char *misplaced = vj_options_misplaced(c);
    if (misplaced) return vj_print_error(VJ_USAGE, NULL, "%s means nothing with %s", misplaced, mode_name(c->mode));
    c->compiled = is_library(c->model);
    if (c->compiled && (status = judge_compiled(c))) return status;
    if (c->linker && c->emit != VJ_EMIT_LIB) return vj_print_error(VJ_USAGE, NULL, "--linker is for --emit-lib");
    if ((status = judge_calibration(c)) || (status = judge_precision(c)) || (status = judge_pictures(c))) return status;
    if (c->no_cache && c->cache) return vj_print_error(VJ_USAGE, NULL, "--cache and --no-cache: one of them");
    if (c->profile && vj_outputs_folder_of(c->profile, "--profile")) return VJ_BAD_INPUT;
    if (c->stats && *c->stats && vj_outputs_folder_of(c->stats, "--stats")) return VJ_BAD_INPUT;
    if (c->output && !*c->output) return vj_print_error(VJ_USAGE, NULL, "--output wants a folder's name");
    return VJ_OK;
}

void vj_command_free(vj_command *c) {
    free(c->found_model);
    free(c->words.at);
    free(c->inputs.at);
    free(c->expects.at);
    free(c->shapes.at);
    free(c->fixes.at);
    free(c->also_outputs.at);
    free(c->disabled_passes.at);
    free(c->keep_f32.at);
    free(c->calibration_data.at);
}
