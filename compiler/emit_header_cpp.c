/* emit_header_cpp.c - the C++ part of an emitted header: one small class over the functions. */
#include "emit.h"

#include <ctype.h>

/* $ is the prefix, # the same in capitals. */
static const char text[] =
    "\n#ifdef __cplusplus\n"
    "#include <cstdint>\n#include <initializer_list>\n#include <memory>\n\n"
    "/* The same for C++11 and later: init at construction, and scratch memory for `most` images a run. One thread at "
    "a\n"
    " * time uses a session. Weights and threads are the caller's, and stay while the session is used. */\n"
    "class $_session {\n"
    "  public:\n"
    "    explicit $_session(std::int64_t most = 1, const void *weights = nullptr, std::size_t bytes = 0,\n"
    "                       const vj_threads *threads = nullptr)\n"
    "        : most_(most < 1 ? 1 : most), threads_(threads), status_($_init(&context_, weights, bytes)),\n"
    "          memory_(new unsigned char[#_SCRATCH_BYTES(most_, in_flight()) + #_ALIGNMENT]) {}\n"
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
    "    std::int64_t in_flight() const { return threads_ && threads_->parts > 1 ? threads_->parts : 1; }\n"
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

void vj_add_cpp(vj_text *out, const char *prefix) {
    for (const char *at = text; *at; at++)
        if (*at == '$')
            vj_text_add(out, "%s", prefix);
        else if (*at == '#' && at[1] == '_')
            for (const char *letter = prefix; *letter; letter++)
                vj_text_add(out, "%c", toupper((unsigned char)*letter));
        else
            vj_text_add(out, "%c", *at);
}
