/* SPDX-License-Identifier: Apache-2.0 */
/* compile.c - the way from a model file to an image: open, import, passes (the last of them plans), code generation beside
 * the packing of weights, link, write. compile_model at the end has them in this order. */
#include "compiler.h"
#include "ir/base/threads.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vitjit_clock.h"

static void warn(void *self, const char *text) { vj_warn(self, text); }

static int32_t asked_to_stop(void *self) {
    const vj_options *o = ((const vj_compile_request *)self)->options;
    return o->cancel ? o->cancel(o->cancel_self) : 0;
}

typedef struct unit_call {
    vj_unit unit;
    vj_status (*work)(vj_unit *u, void *self);
    void *self;
    vj_status status;
} unit_call;

static void work_on_unit(void *self) {
    unit_call *c = self;
    c->status = c->work(&c->unit, c->self);
}

vj_status vj_with_unit(const vj_compile_request *request, vj_status (*work)(vj_unit *u, void *self), void *self,
                       char *error, size_t error_bytes) {
    unit_call c = {.work = work, .self = self};
    vj_unit *u = &c.unit;
    *u = (vj_unit){.request = request,
                   .sizes = {request->options->shapes, request->options->shape_count},
                   .arena = vj_arena_new(),
                   .told_ms = vj_clock_ms(),
                   .error = {.for_command = request->for_command != 0}};
    if (!vj_arena_try(u->arena, work_on_unit, &c)) c.status = vj_no_memory(&u->error);
    if (c.status != VJ_OK) vj_write_error(&u->error, error, error_bytes);
    vj_arena_free(u->arena);
    return c.status;
}

vj_status vj_no_memory(vj_error *error) {
    *error = (vj_error){.status = VJ_SYSTEM, .text = "out of memory", .for_command = error->for_command};
    return VJ_SYSTEM;
}

void vj_write_error(const vj_error *e, char *error, size_t error_bytes) {
    if (error_bytes > 0) snprintf(error, error_bytes, "%s%s%s", e->text, e->hint[0] ? "\n  hint: " : "", e->hint);
}

/* Open */

/* What of external data is there; what is wrong with it the import says. */
static void tell_opened(vj_unit *u) {
    const vj_compile_request *r = u->request;
    const char *slash = strrchr(r->path, '/');
    const int folder = slash ? (int)(slash - r->path + 1) : 0;
    int64_t bytes = 0;
    for (int32_t i = 0; i < u->facts.external_count && !r->bytes; i++) {
        struct stat st;
        const char *path = vj_sprintf(u->arena, "%.*s%s", folder, r->path, u->facts.external[i].name);
        if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && bytes < INT64_MAX - st.st_size) bytes += st.st_size;
    }
    r->opened(r->opened_self, bytes);
}

vj_status vj_unit_open(vj_unit *u) {
    const vj_compile_request *r = u->request;
    u->target = r->options->cpu ? vj_target_by_name(r->options->cpu) : vj_target_host();
    if (!u->target) {
        vj_fail(&u->error, VJ_USAGE, "no CPU or target is called '%s'", r->options->cpu);
        vj_hint(&u->error, "`vitjit targets` lists them");
        return VJ_USAGE;
    }
    u->onnx = r->bytes ? vj_onnx_open_memory(u->arena, r->bytes, r->bytes_size, r->path, &u->facts, &u->error)
                       : vj_onnx_open(u->arena, r->path, &u->facts, &u->error);
    if (!u->onnx) return u->error.status;
    if (r->opened) tell_opened(u);
    vj_tell(u, "read: opset %lld, %d nodes, %.1f MB of constants%s%s", (long long)u->facts.opset, u->facts.node_count,
            (double)u->facts.parameter_bytes / 1e6, u->facts.producer ? ", written by " : "",
            u->facts.producer ? u->facts.producer : "");
    return VJ_OK;
}

/* Import and passes */

static vj_status import(vj_unit *u) {
    const vj_options *o = u->request->options;
    const vj_picture_size *picture = &u->request->picture;
    const vj_import_options options = {.shapes = u->sizes.shapes,
                                       .shape_count = u->sizes.count,
                                       .fixed_batch = u->fixed_batch,
                                       .also_outputs = o->also_outputs,
                                       .also_output_count = o->also_output_count,
                                       .fixed = o->fixed,
                                       .fixed_count = o->fixed_count,
                                       .offered = u->request->offered,
                                       .offered_count = u->request->offered_count,
                                       .picture = {picture->channels, picture->height, picture->width},
                                       .warn = u->quiet ? NULL : warn,
                                       .warn_self = (void *)(uintptr_t)u->request};
    u->f = vj_import(u->arena, u->onnx, &options, &u->error);
    if (!u->f) return u->error.status;
    vj_tell(u, "imported: %d operations, %s", u->f->node_count,
            u->f->batch_is_open ? "for any batch" : "for one batch");
    return VJ_OK;
}

static vj_status run_passes(vj_unit *u) {
    const vj_compile_request *r = u->request;
    vj_pipeline_options options = {.target = u->target,
                                   .print_after = r->print_after,
                                   .stop_after = r->stop_after,
                                   .print_rewrites = r->print_rewrites != 0,
                                   .disabled = r->disabled_passes,
                                   .disabled_count = r->disabled_pass_count,
                                   .pass_limit = r->pass_limit,
                                   .keep_attention = r->options->keep_attention,
                                   .tell = vj_is_told(r, VJ_LOG_DEBUG) ? vj_tell_pass : NULL,
                                   .tell_self = (void *)(uintptr_t)r,
                                   .cancel = asked_to_stop,
                                   .cancel_self = (void *)(uintptr_t)r};
    vj_status status = vj_ask_precision(u, &options);
    if (status) return status;
    u->report = (vj_report){.arena = u->arena};
    status = vj_run_passes(u->arena, u->f, &options, &u->report, &u->program, &u->error);
    if (status == VJ_OK && u->program)
        vj_tell(u, "planned: %d kernels in %d phases, %.1f MB of packed weights, %.2f MB of scratch an image",
                u->program->kernel_count, u->program->phase_count, (double)u->program->weights_bytes / 1e6,
                (double)u->program->per_image_bytes / 1e6);
    return status == VJ_OK ? vj_check_precision(u, &options) : status;
}

/* The constants are hashed by other threads while the passes run: the key is asked for behind them. */
static vj_status import_and_run_passes(vj_unit *u) {
    vj_status status = import(u);
    if (status == VJ_OK && u->keyed) status = vj_graph_key_begin(u);
    return status == VJ_OK ? run_passes(u) : status;
}

/* May the code be for one batch, if it cannot be for any? Not where the caller wants the batch open. */
static bool may_fix_batch(const vj_unit *u) {
    for (int32_t i = 0; i < u->sizes.count; i++)
        for (int32_t d = 0; d < u->sizes.shapes[i].rank; d++)
            if (u->sizes.shapes[i].dims[d] == VJ_BATCH_DIM) return false;
    const bool is_open = !u->f || u->f->batch_is_open;
    return u->fixed_batch == 0 && is_open;
}

/* A graph that mixes the images of a batch cannot stay generic in it: it is compiled for the batch asked for. Some graphs
 * show that to the import, others to the passes. Where the second try finds nothing else than what is not supported, and comes
 * no further, the first error stands. */
vj_status vj_unit_plan(vj_unit *u) {
    vj_status status = import_and_run_passes(u);
    if (status == VJ_UNSUPPORTED && may_fix_batch(u)) {
        const vj_error first = u->error;
        const bool was_imported = u->f != NULL;
        u->error = (vj_error){.for_command = first.for_command};
        vj_tell(u, "not for any batch: %s; once more for one", first.text);
        u->fixed_batch = u->request->fixed_batch > 0 ? u->request->fixed_batch : 1;
        status = import_and_run_passes(u);
        const bool came_further = u->f && !was_imported;
        if (status == VJ_UNSUPPORTED && !came_further) {
            u->error = first;
            status = first.status;
        }
    }
    return status == VJ_OK && u->keyed ? vj_graph_key(u) : status;
}

/* Generate beside pack */

/* Code generation, in a thread of its own while the weights are packed. Meanwhile the unit's arena is that thread's,
 * and its way out when memory ends. */
typedef struct generation {
    vj_unit *u;
    vj_bytes object; /* for ORC only */
    vj_bytes code;
    uint64_t entry;
    vj_codegen_stats stats;
    vj_error error;
} generation;

static void generate_code(void *self) {
    generation *g = self;
    const vj_codegen_options options = {
        .target = g->u->target, .kind = VJ_EMIT_OBJECT, .marks = g->u->request->marks != 0};
    const vj_program *p = g->u->program;
    if (!g->u->request->options->use_orc)
        vj_generate_code(p, &options, &g->code, &g->entry, &g->stats, &g->error);
    else if (vj_generate(p, &options, &g->object, &g->stats, &g->error) == VJ_OK)
        vj_link_code(&g->object, "vj_phase", &g->code, &g->entry, &g->error);
}

static void generate(void *self, int32_t worker) {
    generation *g = self;
    (void)worker;
    if (!vj_arena_try(g->u->arena, generate_code, g)) vj_no_memory(&g->error);
}

static vj_status pack(vj_unit *u, const vj_weights_store *store, int *descriptor) {
    const int64_t bytes = u->program->weights_bytes;
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    *descriptor = store->find(store->self, u->weights_digest, bytes);
    if (*descriptor >= 0) return VJ_OK;
    *descriptor = store->create(store->self, u->weights_digest, bytes);
    if (*descriptor < 0) {
        const int why = errno;
        vj_fail(&u->error, VJ_SYSTEM, "no place for %lld bytes of packed weights: %s", (long long)bytes, strerror(why));
        if (why == EFBIG) vj_hint(&u->error, "a limit on the size of files (ulimit -f) counts for files in memory too");
        return VJ_SYSTEM;
    }
    const vj_status status = vj_pack_weights(u, *descriptor, (int32_t)cores);
    store->commit(store->self, u->weights_digest, *descriptor, status == VJ_OK);
    return status;
}

/* The generation's error is told where packing had none. */
static vj_status generate_beside_pack(vj_unit *u, generation *g, const vj_weights_store *store, int *descriptor) {
    vj_crew *crew = vj_crew_start(2, generate, g);
    const vj_status status = pack(u, store, descriptor);
    if (vj_crew_join(crew) == 0) generate(g, 0);
    if (status != VJ_OK || g->error.status == VJ_OK) return status;
    u->error = g->error;
    return u->error.status;
}

static void free_code(void *self) {
    generation *g = self;
    vj_bytes_free(&g->object);
    vj_bytes_free(&g->code);
}

static vj_status make_image(vj_unit *u, const vj_weights_store *store, vj_compiled *out) {
    generation *g = VJ_NEW(u->arena, generation);
    g->u = u;
    vj_arena_at_free(u->arena, free_code, g);
    vj_status status = vj_share_weights(u);
    if (status == VJ_OK) status = generate_beside_pack(u, g, store, &out->weights_fd);
    if (status == VJ_OK && u->request->options->use_orc) status = vj_load_by_orc(u, &g->object, out);
    if (status == VJ_OK)
        vj_tell(u, "code for %s: %d different kernels, %.1f kB; weights packed", u->target->name,
                g->stats.distinct_kernels, (double)g->code.size / 1e3);
    if (status == VJ_OK) status = vj_write_image(u, &g->code, g->entry, &g->stats, &out->image, &out->image_bytes);
    return status;
}

/* From the first step to the last */

/* An image for the same graph, and its packed weights; false: there is none. */
static bool take_from_cache(vj_unit *u, const vj_weights_store *store, vj_compiled *out) {
    if (!store->find_image || u->request->options->use_orc) return false;
    size_t bytes = 0;
    void *image = store->find_image(store->self, u->graph_key, &bytes);
    if (!image) return false;
    const vj_image_header *header = image;
    const int fd = store->find(store->self, header->weights_digest, header->weights_bytes);
    if (fd < 0) {
        free(image);
        return false;
    }
    out->image = image;
    out->image_bytes = bytes;
    out->weights_fd = fd;
    out->from_cache = 1;
    return true;
}

typedef struct compilation {
    const vj_weights_store *store;
    vj_compiled *out;
} compilation;

static vj_status compile_model(vj_unit *u, void *self) {
    const vj_weights_store *store = ((const compilation *)self)->store;
    vj_compiled *out = ((const compilation *)self)->out;
    u->keyed = true;
    vj_status status = vj_unit_open(u);
    if (status == VJ_OK) status = vj_unit_plan(u); /* sooner done than the key: constants are hashed meanwhile */
    if (status == VJ_OK && !take_from_cache(u, store, out)) {
        if (!u->program) status = vj_fail(&u->error, VJ_USAGE, "stopped before there is code");
        if (status == VJ_OK) status = make_image(u, store, out);
    }
    if (status == VJ_OK) status = vj_list_files(u, out); /* the last that can fail */
    memcpy(out->graph_key, u->graph_key, sizeof u->graph_key);
    return status;
}

static void drop(vj_compiled *out) {
    free(out->image);
    free(out->gaps);
    if (out->weights_fd >= 0) close(out->weights_fd);
    if (out->orc) vj_orc_free(out->orc);
    *out = (vj_compiled){.weights_fd = -1};
}

vj_status vj_compile(const vj_compile_request *request, const vj_weights_store *store, vj_compiled *out, char *error,
                     size_t error_bytes) {
    const double start = vj_clock_ms();
    *out = (vj_compiled){.weights_fd = -1};
    const vj_status status = vj_with_unit(request, compile_model, &(compilation){store, out}, error, error_bytes);
    out->compile_ms = vj_clock_ms() - start;
    if (status != VJ_OK) drop(out);
    return status;
}
