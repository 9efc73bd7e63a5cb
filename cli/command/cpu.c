/* SPDX-License-Identifier: Apache-2.0 */
/* cpu.c - --target, --cpu and --features become rows of `vitjit targets`. */
#include "command.h"

#include <stdlib.h>
#include <string.h>

#include "vitjit_cpu.h"

static bool same_machine(const char *triple, const char *other) {
    const size_t length = strcspn(triple, "-");
    return strncmp(triple, other, length) == 0 && (other[length] == '-' || !other[length]);
}

/* A triple is one of the rows' own, or its machine alone; names of rows are understood too. */
static bool is_target(const vj_target_info *row, const char *text) {
    return strcmp(text, row->name) == 0 || strcmp(text, row->triple) == 0 ||
           (same_machine(row->triple, text) && (!strchr(text, '-') || strstr(text, "-linux-gnu")));
}

/* Names that other tools have for a machine: arm64-linux-gnu is aarch64-linux-gnu. */
static const char *usual_name(const char *text, char name[128]) {
    static const char *const others[][2] = {{"arm64", "aarch64"}, {"amd64", "x86_64"}, {"x64", "x86_64"}};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        const size_t length = strlen(others[i][0]);
        if (strncmp(text, others[i][0], length) != 0 || (text[length] && text[length] != '-')) continue;
        const int written = snprintf(name, 128, "%s%s", others[i][1], text + length);
        if (written < 128) return name;
    }
    return text;
}

/* Known, and not ELF or wasm. */
static bool has_other_format(const char *triple) {
    static const char *const systems[] = {"windows", "mingw", "cygwin", "darwin", "macos", "ios", "uefi", "aix"};
    for (size_t i = 0; strchr(triple, '-') && i < sizeof systems / sizeof *systems; i++)
        if (strstr(triple, systems[i])) return true;
    return false;
}

static vj_status no_target(const char *option, const char *text) {
    if (has_other_format(text)) {
        vj_print_error(VJ_UNSUPPORTED, NULL, "%s: objects for '%s' are not written, only ELF and WebAssembly", option,
                       text);
        vj_print_hint("vitjit targets lists what code can be made for");
        return VJ_UNSUPPORTED;
    }
    vj_print_error(VJ_USAGE, NULL, "%s: nothing is called '%s'", option, text);
    vj_print_hint("vitjit targets lists what code can be made for");
    return VJ_USAGE;
}

static bool find_target(const vj_compiler_api *api, const char *text, vj_target_info *row) {
    char name[128];
    text = usual_name(text, name);
    for (int32_t i = 0; api->target(i, row); i++)
        if (is_target(row, text)) return true;
    return false;
}

/* A row by its name, or by what stands behind its architecture's in it (v3: x86-64-v3), or by LLVM's name of a CPU. The
 * psABI's x86-64-v1 is x86-64. The row's number; -1: none. */
static int32_t find_cpu(const vj_compiler_api *api, const char *word, vj_target_info *row) {
    vj_target_info base = {0};
    char name[128];
    word = usual_name(word, name);
    if (strcmp(word, "v1") == 0 || strcmp(word, "x86-64-v1") == 0 || strcmp(word, "x86_64") == 0) word = "x86-64";
    for (int32_t i = 0; api->target(i, row); i++) {
        if (!base.name || !same_machine(base.triple, row->triple)) base = *row;
        const size_t length = strlen(base.name);
        const bool is_better = strncmp(row->name, base.name, length) == 0 && row->name[length] == '-';
        if (strcmp(row->name, word) == 0 || (is_better && strcmp(row->name + length + 1, word) == 0)) return i;
    }
    const char *known = api->cpu(word);
    for (int32_t i = 0; known && api->target(i, row); i++)
        if (strcmp(row->name, known) == 0) return i;
    return -1;
}

static bool host_row(const vj_compiler_api *api, vj_target_info *row) {
    for (int32_t i = 0; api->target(i, row); i++)
        if (row->is_host) return true;
    return false;
}

/* A feature that some row of the machine has; 0: no row. */
static uint64_t known_feature(const vj_compiler_api *api, const char *triple, const char *name, size_t length,
                              uint64_t *companions) {
    const uint64_t bit = api->feature(name, length, companions);
    vj_target_info row;
    for (int32_t i = 0; api->target(i, &row); i++)
        if (same_machine(row.triple, triple) && (row.cpu.features & bit)) return bit;
    return 0;
}

/* What --features says of a CPU. A word without a sign adds; the last word counts. */
typedef struct feature_words {
    uint64_t added, taken;
} feature_words;

static bool read_features(const vj_compiler_api *api, const char *list, const char *triple, feature_words *words) {
    for (const char *word = list; *word;) {
        const size_t whole = strcspn(word, ","), skip = *word == '-' || *word == '+';
        uint64_t companions = 0, bit = known_feature(api, triple, word + skip, whole - skip, &companions);
        if (!bit) {
            vj_print_error(VJ_USAGE, NULL, "--features: '%.*s' is not a feature that code is made for", (int)whole,
                           word);
            vj_print_hint("vitjit targets lists them");
            return false;
        }
        if (*word == '-')
            words->taken |= bit;
        else
            words->taken &= ~bit;
        words->added = *word == '-' ? words->added & ~bit : words->added | bit | companions;
        word += whole + (word[whole] == ',');
    }
    return true;
}

/* The best row of the machine of *row that has nothing but what this one has and the list adds, and nothing that the list
 * takes away. */
static bool apply_features(const vj_compiler_api *api, const char *list, vj_target_info *row) {
    const vj_target_info start = *row;
    feature_words words = {0};
    bool found = false;
    vj_target_info other;
    if (!read_features(api, list, start.triple, &words)) return false;
    const uint64_t have = (start.cpu.features | words.added) & ~words.taken;
    for (int32_t i = 0; api->target(i, &other); i++) {
        if (!same_machine(other.triple, start.triple) || !vj_cpu_has(have, other.cpu.features)) continue;
        if (!found || vj_cpu_better(&other.cpu, &row->cpu)) *row = other;
        found = true;
    }
    return true;
}

/* Words of --cpu, parted by commas, become the request's CPUs in the order of `vitjit targets`; *row is the first. */
static vj_status read_cpus(const vj_compiler_api *api, const char *list, vj_cpu_choice *request, vj_target_info *row) {
    bool named[VJ_MOST_CPUS] = {false};
    char word[64];
    for (const char *at = list;; at++) {
        const size_t length = strcspn(at, ",");
        vj_target_info other;
        snprintf(word, sizeof word, "%.*s", (int)(length < sizeof word ? length : sizeof word - 1), at);
        const int32_t i = find_cpu(api, word, &other);
        if (i < 0 || i >= VJ_MOST_CPUS || length >= sizeof word) return no_target("--cpu", word);
        if (named[i]) return vj_print_error(VJ_USAGE, NULL, "--cpu names %s twice", other.name);
        named[i] = true;
        if (at == list) *row = other;
        if (!same_machine(row->triple, other.triple))
            return vj_print_error(VJ_USAGE, NULL,
                                  "--cpu: %s and %s are CPUs of different machines, an object is for one", row->name,
                                  other.name);
        at += length;
        if (!*at) break;
    }
    for (int32_t i = 0; i < VJ_MOST_CPUS; i++) {
        vj_target_info other;
        if (named[i] && api->target(i, &other) && request->cpu_count < VJ_MOST_CPUS)
            request->cpus[request->cpu_count++] = other.name;
    }
    return VJ_OK;
}

/* Several CPUs: not everything can be for them. */
static vj_status judge_several(const vj_command *command) {
    if (command->features) return vj_print_error(VJ_USAGE, NULL, "--features means nothing with several CPUs");
    if (command->mode != VJ_MODE_EMIT) {
        vj_print_error(VJ_USAGE, NULL, "--cpu: several CPUs are for objects and libraries");
        vj_print_hint("--emit-obj makes one object for them");
        return VJ_USAGE;
    }
    return VJ_OK;
}

vj_status vj_choose_cpus(const vj_command *command, vj_cpu_choice *request) {
    const vj_compiler_api *api;
    vj_target_info target, row, host;
    if (!command->cpu && !command->target && !command->features) return VJ_OK;
    vj_status status = vj_compiler(&api);
    if (status) return status;
    if (command->target && !find_target(api, command->target, &target)) return no_target("--target", command->target);
    if (command->cpu && (status = read_cpus(api, command->cpu, request, &row))) return status;
    if (!command->cpu && command->target) row = target;
    if (!command->cpu && !command->target && !host_row(api, &row)) return VJ_OK;
    if (command->target && !same_machine(target.triple, row.triple))
        return vj_print_error(VJ_USAGE, NULL, "--cpu %s is not a CPU of --target %s", command->cpu, command->target);
    if (request->cpu_count > 1) return judge_several(command);
    if (command->features && !apply_features(api, command->features, &row)) return VJ_USAGE;
    const bool runs = !(command->mode & (VJ_MODE_EMIT | VJ_MODE_INSPECT | VJ_MODE_REPORT | VJ_MODE_PASSES));
    if (runs && host_row(api, &host) && !same_machine(host.triple, row.triple)) {
        vj_print_error(VJ_USAGE, NULL, "code for %s does not run on this machine", row.name);
        vj_print_hint("--emit-obj writes it to a file");
        return VJ_USAGE;
    }
    request->cpus[0] = row.name;
    request->cpu_count = 1;
    return VJ_OK;
}
