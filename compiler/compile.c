/* compile.c - the way from a model file to an image: open, import, passes, then packing and code generation side by
 * side. */
#include "compiler.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

void vj_warn(const vj_compile_request *request, const char *text) {
    if (request->options->log) request->options->log(request->options->log_self, VJ_LOG_WARNING, text);
}

static void warn(void *self, const char *text) { vj_warn(self, text); }

static int32_t asked_to_stop(void *self) {
    const vj_options *o = ((const vj_compile_request *)self)->options;
    return o->cancel ? o->cancel(o->cancel_self) : 0;
}

static vj_status open_model(vj_unit *u) {
    const vj_compile_request *r = u->request;
    u->target = r->options->cpu ? vj_target_by_name(r->options->cpu) : vj_target_host();
    if (!u->target) {
        vj_fail(&u->error, VJ_USAGE, "no CPU or target is called '%s'", r->options->cpu);
        vj_hint(&u->error, "`vitjit targets` lists them");
        return VJ_USAGE;
    }
    u->onnx = r->bytes ? vj_onnx_open_memory(u->arena, r->bytes, r->bytes_size, r->path, &u->facts, &u->error)
                       : vj_onnx_open(u->arena, r->path, &u->facts, &u->error);
    return u->onnx ? VJ_OK : u->error.status;
}

static int64_t batch_asked(const vj_unit *u) { return u->request->fixed_batch > 0 ? u->request->fixed_batch : 1; }

static vj_status import_once(vj_unit *u) {
    const vj_options *o = u->request->options;
    const vj_import_options options = {.shapes = u->sizes.shapes,
                                       .shape_count = u->sizes.count,
                                       .fixed_batch = u->fixed_batch,
                                       .also_outputs = o->also_outputs,
                                       .also_output_count = o->also_output_count,
                                       .fixed = o->fixed,
                                       .fixed_count = o->fixed_count,
                                       .offered = u->request->offered,
                                       .offered_count = u->request->offered_count,
                                       .warn = u->quiet ? NULL : warn,
                                       .warn_self = (void *)(uintptr_t)u->request};
    u->f = vj_import(u->arena, u->onnx, &options, &u->error);
    if (!u->f) return u->error.status;
    return u->keyed ? vj_graph_key_begin(u) : VJ_OK;
}

/* May the code be for one batch, if it cannot be for any? Not where the caller wants the batch open. */
static bool may_fix_batch(const vj_unit *u) {
    for (int32_t i = 0; i < u->sizes.count; i++)
        for (int32_t d = 0; d < u->sizes.shapes[i].rank; d++)
            if (u->sizes.shapes[i].dims[d] == VJ_BATCH_DIM) return false;
    return u->fixed_batch == 0;
}

/* Some graphs show already here that they mix the images of a batch: as in vj_unit_plan. */
vj_status vj_unit_import(vj_unit *u) {
    vj_status status = import_once(u);
    if (status == VJ_UNSUPPORTED && may_fix_batch(u)) {
        const vj_error first = u->error;
        u->error = (vj_error){0};
        u->fixed_batch = batch_asked(u);
        status = import_once(u);
        if (status != VJ_OK && status != VJ_USAGE) { /* what is asked of the caller may make it work */
            u->error = first;
            u->fixed_batch = 0;
            status = first.status;
        }
    }
    return status;
}

static vj_status run_passes(vj_unit *u) {
    const vj_compile_request *r = u->request;
    const vj_pipeline_options options = {.target = u->target,
                                         .print_after = r->print_after,
                                         .stop_after = r->stop_after,
                                         .disabled = r->disabled_passes,
                                         .disabled_count = r->disabled_pass_count,
                                         .pass_limit = r->pass_limit,
                                         .keep_attention = r->options->keep_attention,
                                         .cancel = asked_to_stop,
                                         .cancel_self = (void *)(uintptr_t)r};
    u->report = (vj_report){.arena = u->arena};
    return vj_run_passes(u->arena, u->f, &options, &u->report, &u->program, &u->error);
}

/* A graph that mixes the images of a batch cannot stay generic in it: it is compiled for the batch asked for. */
static vj_status plan(vj_unit *u) {
    vj_status status = run_passes(u);
    if (status == VJ_UNSUPPORTED && u->f->batch_is_open && may_fix_batch(u)) {
        const vj_error first = u->error;
        u->error = (vj_error){0};
        u->fixed_batch = batch_asked(u);
        status = vj_unit_import(u);
        if (status == VJ_OK) status = run_passes(u);
        if (status != VJ_OK && status != VJ_USAGE) {
            u->error = first;
            status = first.status;
        }
    }
    return status;
}

vj_status vj_unit_plan(vj_unit *u) {
    const vj_status status = plan(u);
    return status == VJ_OK && u->keyed ? vj_graph_key(u) : status;
}

static void report_error(const vj_error *e, char *error, size_t error_bytes) {
    if (error_bytes > 0) snprintf(error, error_bytes, "%s%s%s", e->text, e->hint[0] ? "\n  hint: " : "", e->hint);
}

vj_status vj_with_arena(vj_arena_work work, void *self, char *error, size_t error_bytes) {
    vj_arena *arena = vj_arena_new();
    vj_error failure = {0};
    volatile vj_status status = VJ_SYSTEM;
    jmp_buf oom;
    if (setjmp(oom)) {
        failure = (vj_error){.status = VJ_SYSTEM, .text = "the machine has not enough memory for this model"};
    } else {
        vj_arena_on_oom(arena, &oom);
        status = work(arena, &oom, self, &failure);
    }
    if (status != VJ_OK) report_error(&failure, error, error_bytes);
    vj_arena_free(arena);
    return status;
}

typedef struct unit_call {
    const vj_compile_request *request;
    vj_unit_work work;
    void *self;
} unit_call;

static void close_model(void *unit) { vj_onnx_close(((vj_unit *)unit)->onnx); }

static vj_status run_unit(vj_arena *arena, jmp_buf *oom, void *self, vj_error *error) {
    const unit_call *call = self;
    vj_unit *u = VJ_NEW(arena, vj_unit);
    u->request = call->request;
    u->sizes = (vj_shape_set){call->request->options->shapes, call->request->options->shape_count};
    u->arena = arena;
    u->oom = oom;
    vj_arena_at_free(arena, close_model, u);
    vj_status status = open_model(u);
    if (status == VJ_OK) status = call->work(u, call->self);
    *error = u->error;
    return status;
}

vj_status vj_with_unit(const vj_compile_request *request, vj_unit_work work, void *self, char *error,
                       size_t error_bytes) {
    unit_call call = {request, work, self};
    return vj_with_arena(run_unit, &call, error, error_bytes);
}

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

static void *generate(void *self) {
    generation *g = self;
    const vj_codegen_options options = {
        .target = g->u->target, .kind = VJ_EMIT_OBJECT, .marks = g->u->request->marks != 0};
    const vj_program *p = g->u->program;
    jmp_buf oom;
    if (setjmp(oom)) {
        vj_fail(&g->error, VJ_SYSTEM, "the machine has not enough memory to generate code");
        return NULL;
    }
    vj_arena_on_oom(g->u->arena, &oom);
    if (!g->u->request->options->use_orc)
        vj_generate_code(p, &options, &g->code, &g->entry, &g->stats, &g->error);
    else if (vj_generate(p, &options, &g->object, &g->stats, &g->error) == VJ_OK)
        vj_link_code(&g->object, "vj_phase", &g->code, &g->entry, &g->error);
    return NULL;
}

static vj_status pack_into_store(vj_unit *u, const vj_weights_store *store, int *descriptor) {
    const int64_t bytes = u->program->weights_bytes;
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    *descriptor = store->find(store->self, u->weights_digest, bytes);
    if (*descriptor >= 0) return VJ_OK;
    *descriptor = store->create(store->self, u->weights_digest, bytes);
    if (*descriptor < 0) return vj_fail(&u->error, VJ_SYSTEM, "no place for packed weights: %s", strerror(errno));
    const vj_status status = vj_pack_weights(u, *descriptor, (int32_t)cores);
    store->commit(store->self, u->weights_digest, *descriptor, status == VJ_OK);
    return status;
}

typedef struct compilation {
    const vj_weights_store *store;
    vj_compiled *out;
} compilation;

static vj_status link_and_write(vj_unit *u, generation *g, vj_compiled *out) {
    if (g->error.status != VJ_OK) {
        u->error = g->error;
        return u->error.status;
    }
    if (u->request->options->use_orc && vj_load_by_orc(u, &g->object, out) != VJ_OK) return u->error.status;
    return vj_write_image(u, &g->code, g->entry, &g->stats, &out->image, &out->image_bytes);
}

static vj_status generate_and_pack(vj_unit *u, const compilation *c) {
    generation g = {.u = u};
    pthread_t thread;
    const bool apart = pthread_create(&thread, NULL, generate, &g) == 0;
    vj_status status = pack_into_store(u, c->store, &c->out->weights_fd);
    if (apart)
        pthread_join(thread, NULL);
    else
        generate(&g);
    vj_arena_on_oom(u->arena, u->oom);
    if (status == VJ_OK) status = link_and_write(u, &g, c->out);
    vj_bytes_free(&g.object);
    vj_bytes_free(&g.code);
    return status;
}

/* An image for the same graph, and its packed weights; false: there is none. */
static bool take_from_cache(vj_unit *u, const compilation *c) {
    const vj_weights_store *store = c->store;
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
    c->out->image = image;
    c->out->image_bytes = bytes;
    c->out->weights_fd = fd;
    c->out->from_cache = 1;
    return true;
}

static vj_status compile_unit(vj_unit *u, void *self) {
    const compilation *c = self;
    u->keyed = true;
    vj_status status = vj_unit_import(u);
    if (status == VJ_OK) status = vj_unit_plan(u); /* sooner done than the key: constants are hashed meanwhile */
    if (status == VJ_OK && !take_from_cache(u, c)) {
        if (!u->program) status = vj_fail(&u->error, VJ_USAGE, "stopped before there is code");
        if (status == VJ_OK) status = vj_share_weights(u);
        if (status == VJ_OK) status = generate_and_pack(u, c);
    }
    if (status == VJ_OK) status = vj_list_files(u, c->out); /* the last that can fail */
    memcpy(c->out->graph_key, u->graph_key, sizeof u->graph_key);
    return status;
}

vj_status vj_compile(const vj_compile_request *request, const vj_weights_store *store, vj_compiled *out, char *error,
                     size_t error_bytes) {
    const double start = now_ms();
    *out = (vj_compiled){.weights_fd = -1};
    compilation c = {store, out};
    const vj_status status = vj_with_unit(request, compile_unit, &c, error, error_bytes);
    out->compile_ms = now_ms() - start;
    if (status == VJ_OK) return VJ_OK;
    free(out->image);
    free(out->gaps);
    if (out->weights_fd >= 0) close(out->weights_fd);
    if (out->orc) vj_orc_free(out->orc);
    *out = (vj_compiled){.weights_fd = -1};
    return status;
}
