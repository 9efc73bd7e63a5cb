/* SPDX-License-Identifier: Apache-2.0 */
/* header_cpp.c - the C++ part of an emitted header: one small class over the functions. */
#include "emit.h"

/* $ is the prefix, # the same in capitals. A letter behind @ is what depends on whether there are several shapes. */
static const char text[] =
    "\n#ifdef __cplusplus\n"
    "#include <cstdint>\n#include <initializer_list>\n#include <memory>\n\n"
    "/* The same for C++11 and later: init at construction, and scratch memory for `most` images a run. One thread at "
    "a\n"
    " * time uses a session. Weights and threads are the caller's, and stay while the session is used. */\n"
    "class $_session {\n"
    "  public:\n"
    "    explicit $_session(std::int64_t most = 1, const void *weights = nullptr, std::size_t bytes = 0,\n"
    "                       const vj_threads *threads = nullptr@p)\n"
    "        : most_(most < 1 ? 1 : most), threads_(threads), status_(@i),\n"
    "          memory_(new unsigned char[@s + #_ALIGNMENT]) {}\n"
    "    /* VJ_RUN_OK, or why no run will succeed. */\n"
    "    int status() const { return status_; }\n"
    "    int run(std::int64_t n, const void *const *inputs, void *const *outputs) {\n"
    "        if (status_ != VJ_RUN_OK) return status_;\n"
    "        if (n > most_) return VJ_RUN_BAD_ARGUMENT;\n"
    "        return threads_ ? $_run_on(&context_, n, inputs, outputs, scratch(), threads_)\n"
    "                        : $_run(&context_, n, inputs, outputs, scratch());\n"
    "    }\n"
    "    /* run(1, {image}, {logits}) */\n"
    "    int run(std::int64_t n, std::initializer_list<const void *> inputs, std::initializer_list<void *> outputs) {\n"
    "        if (inputs.size() != #_INPUT_COUNT || outputs.size() != #_OUTPUT_COUNT) return VJ_RUN_BAD_ARGUMENT;\n"
    "        return run(n, inputs.begin(), outputs.begin());\n"
    "    }\n"
    "\n"
    "  private:\n"
    "@f    std::int64_t in_flight() const { return threads_ && threads_->parts > 1 ? threads_->parts : 1; }\n"
    "    void *scratch() {\n"
    "        const std::uintptr_t low = #_ALIGNMENT - 1;\n"
    "        return reinterpret_cast<void *>((reinterpret_cast<std::uintptr_t>(memory_.get()) + low) & ~low);\n"
    "    }\n"
    "    std::int64_t most_;\n"
    "    const vj_threads *threads_;\n"
    "    $_context context_;\n"
    "    int status_;\n"
    "    std::unique_ptr<unsigned char[]> memory_;\n"
    "};\n"
    "#endif\n";

/* What @ and a letter stand for, of one shape and of several. */
static const struct {
    char letter;
    const char *of_one, *of_several;
} choices[] = {
    {'p', "", ", std::int32_t shape = 0"},
    {'i', "$_init(&context_, weights, bytes)", "$_init_as(&context_, weights, bytes, shape, VJ_CPU_ASK)"},
    {'s', "#_SCRATCH_BYTES(most_, in_flight())", "scratch_bytes()"},
    {'f', "",
     "    std::size_t scratch_bytes() const {\n"
     "        if (status_ != VJ_RUN_OK) return 0;\n"
     "        const std::int64_t slots = most_ < in_flight() ? most_ : in_flight();\n"
     "        return static_cast<std::size_t>(context_.model->scratch_fixed + slots * "
     "context_.model->scratch_per_image);\n"
     "    }\n"},
};

static const char *choice(char letter, bool several) {
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++)
        if (choices[i].letter == letter) return several ? choices[i].of_several : choices[i].of_one;
    return "";
}

static void add(vj_text *out, const char *from, const char *prefix, bool several) {
    for (const char *at = from; *at; at++)
        if (*at == '$')
            vj_text_add(out, "%s", prefix);
        else if (*at == '#' && at[1] == '_')
            vj_text_add(out, "%s", vj_macro_prefix(out->arena, prefix));
        else if (*at == '@')
            add(out, choice(*++at, several), prefix, several);
        else
            vj_text_add(out, "%c", *at);
}

void vj_add_cpp(vj_text *out, const char *prefix, bool several) { add(out, text, prefix, several); }
