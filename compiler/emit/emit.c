/* SPDX-License-Identifier: Apache-2.0 */
/* emit.c - --emit-obj, --emit-lib, --emit-asm, --emit-llvm and --emit-ir: code as files, for the host or for another target. */
#include "emit.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Packed weights above this stand in a file of their own: an object that large is slow to link. */
#define WEIGHTS_INSIDE_BYTES (INT64_C(64) << 20)

typedef struct emission {
    vj_unit *u;              /* the first of the units */
    vj_unit *const *units;   /* shape-major, as vj_plan_several has them */
    int32_t shapes, targets; /* how many */
    const vj_emit_request *request;
    char **summary;
    const char *base; /* path without the extension */
    const char *prefix;
    vj_new_files files;
    /* packed weights for the inside of the object */
    void *weights;
    size_t weights_bytes;
    vj_bytes code;
    char *header_part; /* as the request gave it, malloc'ed */
    /* of a shared library */
    vj_bytes *images; /* of each CPU, malloc'ed */
    vj_object_library library;
} emission;

/* Names */

static const char *after_slash(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static char *without(vj_arena *arena, const char *path, const char *extension) {
    const size_t length = strlen(path), end = strlen(extension);
    return length > end && strcasecmp(path + length - end, extension) == 0 ? vj_strndup(arena, path, length - end)
                                                                           : vj_strdup(arena, path);
}

/* The model's file name without .onnx, fit for a file of ours. */
static const char *stem_of(vj_arena *arena, const char *model_path) {
    char *stem = without(arena, after_slash(model_path), ".onnx");
    for (char *at = stem; *at; at++)
        if (!isalnum((unsigned char)*at) && !strchr("._-", *at)) *at = '_';
    return *stem && *stem != '.' ? stem : "model";
}

static const char *prefix_of(vj_arena *arena, const char *stem) {
    char *prefix = vj_sprintf(arena, "%s%s", isdigit((unsigned char)*stem) ? "m" : "", stem);
    for (char *at = prefix; *at; at++)
        if (!isalnum((unsigned char)*at)) *at = '_';
    return prefix;
}

static bool is_identifier(const char *text) {
    if (!isalpha((unsigned char)*text) && *text != '_') return false;
    for (const char *at = text; *at; at++)
        if (!isalnum((unsigned char)*at) && *at != '_') return false;
    return true;
}

static bool is_folder(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static const char *extension_of(vj_emit_format what) {
    static const char *const extensions[] = {
        [VJ_EMIT_OBJ] = ".o", [VJ_EMIT_ASM] = ".s", [VJ_EMIT_LL] = ".ll", [VJ_EMIT_IR] = ".vj", [VJ_EMIT_LIB] = ".so"};
    return extensions[what];
}

static vj_status choose_names(emission *e) {
    vj_unit *u = e->u;
    const char *output = e->request->output, *stem = stem_of(u->arena, u->request->path);
    const size_t length = output ? strlen(output) : 0;
    e->prefix = e->request->prefix ? e->request->prefix : prefix_of(u->arena, stem);
    if (!is_identifier(e->prefix)) return vj_fail(&u->error, VJ_USAGE, "the prefix '%s' is no C identifier", e->prefix);
    if (length == 0) {
        e->base = stem;
    } else if (is_folder(output)) {
        e->base = vj_sprintf(u->arena, "%s%s%s", output, output[length - 1] == '/' ? "" : "/", stem);
    } else if (output[length - 1] == '/') {
        return vj_fail(&u->error, VJ_USAGE, "there is no folder %s", output);
    } else {
        e->base = without(u->arena, output, extension_of(e->request->what));
    }
    return VJ_OK;
}

static const char *path_of(const emission *e, const char *extension) {
    return vj_sprintf(e->u->arena, "%s%s", e->base, extension);
}

/* The name that -o gave stands as it is, whatever its extension. */
static const char *main_path(const emission *e) {
    const char *output = e->request->output;
    const bool is_file = output && *output && !is_folder(output);
    return is_file ? output : path_of(e, extension_of(e->request->what));
}

/* Weights */

static int32_t processors(void) {
    const long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count < 1 ? 1 : (int32_t)count;
}

static vj_status pack_inside(emission *e) {
    vj_unit *u = e->u;
    const int memory = memfd_create("weights", MFD_CLOEXEC);
    if (memory < 0) return vj_fail(&u->error, VJ_SYSTEM, "no memory for packed weights: %s", strerror(errno));
    vj_status status = vj_pack_weights(u, memory, processors());
    if (status == VJ_OK) {
        e->weights_bytes = (size_t)(u->program->weights_bytes + VJ_WEIGHTS_HEADER);
        e->weights = mmap(NULL, e->weights_bytes, PROT_READ, MAP_SHARED, memory, 0);
        if (e->weights == MAP_FAILED) {
            e->weights = NULL;
            status = vj_fail(&u->error, VJ_SYSTEM, "no memory for packed weights: %s", strerror(errno));
        }
    }
    close(memory);
    return status;
}

static bool weights_stand_apart(const emission *e) {
    const int64_t bytes = e->u->program->weights_bytes;
    if (bytes == 0 || e->request->weights_file == 0) return false;
    return e->request->weights_file > 0 || bytes > WEIGHTS_INSIDE_BYTES;
}

/* Code */

/* The values that inputs must have, for each shape and input, as vj_object_abi.required wants them. */
static const uint8_t *const *const *required_values(const emission *e) {
    vj_arena *arena = e->u->arena;
    const uint8_t *const **values = VJ_NEW_ARRAY(arena, const uint8_t *const *, e->shapes);
    int64_t bytes;
    for (int32_t s = 0; s < e->shapes; s++) {
        const vj_unit *u = e->units[s * e->targets];
        const uint8_t **own = VJ_NEW_ARRAY(arena, const uint8_t *, u->f->input_count + 1);
        for (int32_t i = 0; i < u->f->input_count; i++)
            own[i] = vj_required_value(u, i, &bytes);
        values[s] = own;
    }
    return values;
}

static const vj_model *descriptors(const emission *e) {
    return vj_describe_shapes(e->units, e->shapes, e->targets, stem_of(e->u->arena, e->u->request->path));
}

static const vj_variant *variants(const emission *e) {
    vj_variant *all = VJ_NEW_ARRAY(e->u->arena, vj_variant, e->shapes * e->targets);
    for (int32_t i = 0; i < e->shapes * e->targets; i++)
        all[i] = (vj_variant){e->units[i]->program, e->units[i]->target};
    return all;
}

static vj_status generate(emission *e, vj_emit_kind kind) {
    vj_unit *u = e->u;
    const vj_object_abi abi = {.prefix = e->prefix,
                               .cpu_count = e->targets,
                               .shape_count = e->shapes,
                               .variants = variants(e),
                               .shapes = descriptors(e),
                               .weights = e->weights ? (const uint8_t *)e->weights + VJ_WEIGHTS_HEADER : NULL,
                               .required = required_values(e),
                               .library = e->images ? &e->library : NULL};
    vj_codegen_stats stats;
    return vj_generate_object(&abi, kind, &e->code, &stats, &u->error);
}

/* What the request has to say in the header. */
static const char *header_part(emission *e) {
    vj_arena *arena = e->u->arena;
    const vj_header_request x = {.shapes = descriptors(e),
                                 .shape_count = e->shapes,
                                 .metadata = vj_metadata_json(e->u),
                                 .prefix = e->prefix,
                                 .macros = vj_macro_prefix(arena, e->prefix)};
    if (e->request->header_part) e->header_part = e->request->header_part(e->request->header_self, &x);
    return e->header_part ? e->header_part : "";
}

static vj_status write_header(emission *e, const char *header, const char *object, const char *weights) {
    vj_unit *u = e->u;
    const vj_header_facts facts = {.required = required_values(e),
                                   .target = u->target,
                                   .shapes = descriptors(e),
                                   .shape_count = e->shapes,
                                   .prefix = e->prefix,
                                   .object = after_slash(object),
                                   .weights_file = weights ? after_slash(weights) : NULL,
                                   .header = after_slash(header),
                                   .link = vj_link_line(u->arena, u->target, e->request->linker, after_slash(object),
                                                        e->request->what == VJ_EMIT_LIB),
                                   .precision = vj_precision_text(u),
                                   .producer = u->facts.producer,
                                   .source = after_slash(u->request->path),
                                   .part = header_part(e)};
    const char *text = vj_header_text(u->arena, &facts);
    return vj_new_file_write(&e->files, header, text, strlen(text), &u->error);
}

/* Into a file of their own, whose name is then in *weights, or into memory. */
static vj_status pack(emission *e, const char **weights) {
    vj_unit *u = e->u;
    vj_status status = vj_share_weights(u);
    for (int32_t i = 0; i < u->group_count && status == VJ_OK; i++)
        if ((status = vj_fits_machine(e->units[i])) != VJ_OK) u->error = e->units[i]->error;
    if (status == VJ_OK && weights_stand_apart(e)) {
        *weights = path_of(e, ".weights");
        const int descriptor = vj_new_file_open(&e->files, *weights, &u->error);
        status = descriptor < 0 ? u->error.status : vj_pack_weights(u, descriptor, processors());
    } else if (status == VJ_OK && u->program->weights_bytes > 0) {
        status = pack_inside(e);
    }
    return status;
}

/* The line that is printed: how a program is linked with it, and what it is. */
static void summarise(const emission *e, const char *file, const char *weights) {
    vj_arena *arena = e->u->arena;
    const char *line = vj_link_line(arena, e->u->target, e->request->linker, file, e->request->what == VJ_EMIT_LIB);
    *e->summary = strdup(vj_sprintf(arena, "%s   # %s%s%s%s%s", line, descriptors(e)->cpu,
                                    e->request->prefix ? ", functions " : "",
                                    e->request->prefix ? vj_sprintf(arena, "%s_*", e->prefix) : "",
                                    weights ? ", weights in " : "", weights ? weights : ""));
}

static vj_status emit_object(emission *e) {
    vj_unit *u = e->u;
    const char *object = main_path(e), *header = path_of(e, ".h"), *weights = NULL;
    vj_status status = pack(e, &weights);
    if (status == VJ_OK) status = generate(e, VJ_EMIT_OBJECT);
    if (status == VJ_OK) status = write_header(e, header, object, weights);
    if (status == VJ_OK) status = vj_new_file_write(&e->files, object, e->code.at, e->code.size, &u->error);
    if (status != VJ_OK) return status;
    summarise(e, object, weights);
    return VJ_OK;
}

static vj_status add_images(emission *e, const char *weights) {
    vj_unit *u = e->u;
    if (weights && strlen(after_slash(weights)) >= VJ_LIBRARY_FILE)
        return vj_fail(&u->error, VJ_USAGE, "%s: the name is too long", weights);
    e->library.weights_file = weights ? after_slash(weights) : "";
    if (e->weights)
        memcpy(e->library.weights_check, ((const vj_weights_header *)e->weights)->check, sizeof(uint64_t[2]));
    e->images = VJ_NEW_ARRAY(u->arena, vj_bytes, e->targets);
    e->library.images = e->images;
    for (int32_t i = 0; i < e->targets && u->error.status == VJ_OK; i++)
        if (vj_library_image(e->units[i], &e->images[i]) != VJ_OK) u->error = e->units[i]->error;
    return u->error.status;
}

/* The linker writes to the new file's temporary name, or puts another file there. */
static vj_status link_library(emission *e, const char *linker, const char *library) {
    vj_unit *u = e->u;
    vj_status status = vj_new_file_write(&e->files, path_of(e, ".link.o"), e->code.at, e->code.size, &u->error);
    if (status != VJ_OK) return status;
    vj_new_file *object = &e->files.file[e->files.count - 1];
    object->passing = true;
    if (vj_new_file_open(&e->files, library, &u->error) < 0) return u->error.status;
    const vj_library_link link = {.linker = linker,
                                  .object = object->temporary,
                                  .output = e->files.file[e->files.count - 1].temporary,
                                  .name = after_slash(library)};
    return vj_link_library(u, &link);
}

static vj_status emit_library(emission *e) {
    vj_unit *u = e->u;
    const char *library = main_path(e), *header = path_of(e, ".h"), *weights = NULL;
    const char *linker = e->request->linker ? e->request->linker : vj_default_linker(u->arena, u->target);
    if (e->shapes > 1)
        return vj_fail(&u->error, VJ_UNSUPPORTED,
                       "a shared library has one shape: --emit-obj makes objects for several");
    if (u->target->machine->format != VJ_FORMAT_ELF)
        return vj_fail(&u->error, VJ_UNSUPPORTED, "%s has no shared libraries: --emit-obj writes an object",
                       u->target->name);
    vj_status status = pack(e, &weights);
    if (status == VJ_OK) status = add_images(e, weights);
    if (status == VJ_OK) status = generate(e, VJ_EMIT_OBJECT);
    if (status == VJ_OK) status = write_header(e, header, library, weights);
    if (status == VJ_OK) status = link_library(e, linker, library);
    if (status != VJ_OK) return status;
    summarise(e, library, weights);
    return VJ_OK;
}

static vj_status emit_text(emission *e, const void *text, size_t size) {
    vj_unit *u = e->u;
    const char *path = main_path(e);
    const vj_status status = vj_new_file_write(&e->files, path, text, size, &u->error);
    if (status == VJ_OK) *e->summary = strdup(vj_sprintf(u->arena, "%s   # %s", path, descriptors(e)->cpu));
    return status;
}

/* The code alone, without the weights. */
static vj_status emit_listing(emission *e, vj_emit_kind kind) {
    vj_status status = vj_share_weights(e->u);
    if (status == VJ_OK) status = generate(e, kind);
    return status == VJ_OK ? emit_text(e, e->code.at, e->code.size) : status;
}

static vj_status emit_ir(emission *e) {
    vj_text text = {.arena = e->u->arena};
    for (int32_t i = 0; i < e->shapes * e->targets; i++)
        vj_add_program(&text, e->units[i]->program, vj_schedule_text);
    return emit_text(e, text.at, text.length);
}

static vj_status emit_kind(emission *e) {
    switch (e->request->what) {
    case VJ_EMIT_ASM:
        return emit_listing(e, VJ_EMIT_ASSEMBLY);
    case VJ_EMIT_LL:
        return emit_listing(e, VJ_EMIT_LLVM);
    case VJ_EMIT_IR:
        return emit_ir(e);
    case VJ_EMIT_LIB:
        return emit_library(e);
    default:
        return emit_object(e);
    }
}

/* Those of one machine, each once. */
static vj_status choose_targets(emission *e, const vj_target **targets) {
    vj_unit *u = e->u;
    e->targets = e->request->cpu_count > 1 ? e->request->cpu_count : 1;
    targets[0] = u->target;
    for (int32_t i = 0; i < e->targets && e->targets > 1; i++) {
        targets[i] = vj_target_by_name(e->request->cpus[i]);
        if (!targets[i]) return vj_fail(&u->error, VJ_USAGE, "no CPU or target is called '%s'", e->request->cpus[i]);
        if (targets[i]->machine != targets[0]->machine)
            return vj_fail(&u->error, VJ_USAGE, "%s and %s are CPUs of different machines", targets[0]->name,
                           targets[i]->name);
        for (int32_t j = 0; j < i; j++)
            if (targets[j] == targets[i]) return vj_fail(&u->error, VJ_USAGE, "%s stands twice", targets[i]->name);
    }
    return VJ_OK;
}

static vj_status plan_all(emission *e) {
    vj_unit *u = e->u;
    const vj_target **targets = VJ_NEW_ARRAY(u->arena, const vj_target *, e->request->cpu_count + 1);
    const vj_shape_set own = u->sizes;
    const bool several = e->request->set_count > 0;
    u->keyed = true;
    e->shapes = several ? e->request->set_count : 1;
    const vj_status status = choose_targets(e, targets);
    if (status != VJ_OK) return status;
    return vj_plan_several(u, several ? e->request->sets : &own, e->shapes, targets, e->targets, &e->units);
}

static vj_status plan_and_emit(emission *e) {
    vj_unit *u = e->u;
    vj_status status = vj_unit_open(u);
    if (status == VJ_OK) status = choose_names(e);
    if (status == VJ_OK) status = plan_all(e);
    if (status == VJ_OK) status = emit_kind(e);
    if (status == VJ_OK && !*e->summary) status = vj_fail(&u->error, VJ_SYSTEM, "out of memory");
    if (status == VJ_OK) status = vj_new_files_rename(&e->files, &u->error);
    for (int32_t i = 0; i < e->files.count && status == VJ_OK && e->request->wrote; i++)
        if (e->files.file[i].placed) e->request->wrote(e->request->wrote_self, e->files.file[i].path);
    return status;
}

/* Also when memory ends in the middle. */
static void clean_up(void *self) {
    emission *e = self;
    vj_new_files_drop(&e->files);
    if (e->weights) munmap(e->weights, e->weights_bytes);
    free(e->header_part);
    vj_bytes_free(&e->code);
    for (int32_t i = 0; e->images && i < e->targets; i++)
        vj_bytes_free(&e->images[i]);
}

typedef struct order {
    const vj_emit_request *request;
    char **summary;
} order;

static vj_status emit_unit(vj_unit *u, void *self) {
    const order *o = self;
    emission *e = VJ_NEW(u->arena, emission);
    *e = (emission){
        .u = u, .request = o->request, .summary = o->summary, .files = {.arena = u->arena, .request = o->request}};
    vj_arena_at_free(u->arena, clean_up, e);
    return plan_and_emit(e);
}

vj_status vj_emit_files(const vj_compile_request *request, const vj_emit_request *emit, char **summary, char *error,
                        size_t error_bytes) {
    *summary = NULL;
    const vj_status status = vj_with_unit(request, emit_unit, &(order){emit, summary}, error, error_bytes);
    if (status == VJ_OK) return VJ_OK;
    free(*summary);
    *summary = NULL;
    return status;
}
