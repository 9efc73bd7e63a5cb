/* SPDX-License-Identifier: Apache-2.0 */
/* compile.c - from a model's file to a model: found in the cache, or compiled and kept there. */
#include "runtime.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "apart/answer.h"

/* Has a file that was read not changed since? What came from one content must not be kept under another's key. */
static bool older(const char *path, const struct timespec *start) {
    struct stat st;
    if (stat(path, &st) != 0) return false;
    return st.st_ctim.tv_sec != start->tv_sec ? st.st_ctim.tv_sec < start->tv_sec
                                              : st.st_ctim.tv_nsec <= start->tv_nsec;
}

static bool sources_older(const char *path, const vj_compiled *compiled, const struct timespec *start) {
    if (path && !older(path, start)) return false;
    for (int32_t i = 1; i < compiled->file_count; i++) {
        char file[4400];
        vj_cache_beside(path, compiled->files[i].name, file, sizeof file);
        if (!older(file, start)) return false;
    }
    return true;
}

static vj_status compile_and_keep(const vj_compile_request *request, vj_cache *cache, const vj_key *key,
                                  const vj_content *content, const struct timespec *start, vj_model **model) {
    const char *path = request->bytes ? NULL : request->path;
    vj_compiled compiled = {.weights_fd = -1};
    void (*free_orc)(void *) = NULL;
    const vj_weights_store store = vj_cache_store(cache);
    vj_status status = vj_ask_compile(request, &store, &compiled, &free_orc);
    if (status) return status;
    if (cache && sources_older(path, &compiled, start)) vj_cache_put(cache, key, content, path, &compiled);
    status = vj_model_new(&compiled, request->options, model);
    if (status && compiled.orc) free_orc(compiled.orc);
    vj_compiled_free_files(&compiled);
    if (!status) ((vj_model_state *)*model)->free_orc = free_orc;
    return status;
}

static vj_status with_cache(const vj_compile_request *request, vj_cache *cache, const struct timespec *start,
                            vj_model **model) {
    vj_content content = {-1, request->bytes, (int64_t)request->bytes_size};
    vj_compiled compiled = {.weights_fd = -1};
    vj_key sample, key;
    vj_status status = request->bytes ? VJ_OK : vj_content_open(request->path, &content);
    if (status) return status;
    if (vj_content_sample(&content, &sample)) {
        vj_file_key(request, &sample, &key);
        const char *path = request->bytes ? NULL : request->path;
        const bool found = vj_cache_find(cache, &key, &content, path, &compiled);
        if (!found || vj_model_new(&compiled, request->options, model) != VJ_OK)
            status = compile_and_keep(request, cache, &key, &content, start, model);
    } else {
        status = vj_error_set(VJ_SYSTEM, "%s: reading failed", request->path);
    }
    vj_content_close(&content);
    return status;
}

static vj_status compile_or_find(const vj_compile_request *request, vj_model **model) {
    const vj_options *o = request->options;
    struct timespec start;
    clock_gettime(CLOCK_REALTIME, &start);
    /* Passes left out or cut short, and dumps, are for finding faults: nothing of them is kept or found. */
    bool bisecting = request->print_after || request->print_rewrites || request->stop_after ||
                     request->disabled_pass_count || request->pass_limit >= 0;
    vj_cache *cache = o->use_orc || bisecting ? NULL : vj_cache_open(o->cache, o->log, o->log_self, o->log_level);
    if (!cache) return compile_and_keep(request, NULL, NULL, NULL, &start, model);
    const vj_status status = with_cache(request, cache, &start, model);
    vj_cache_close(cache);
    return status;
}

/* A limit on the size of files is an error like a full disk, not a signal. */
vj_status vj_compile_with(const vj_compile_request *request, vj_model **model) {
    sigset_t too_large, was, pending;
    *model = NULL;
    sigemptyset(&too_large);
    sigaddset(&too_large, SIGXFSZ);
    pthread_sigmask(SIG_BLOCK, &too_large, &was);
    sigpending(&pending);
    vj_status status = compile_or_find(request, model);
    if (!sigismember(&pending, SIGXFSZ)) {
        const struct timespec at_once = {0};
        while (sigtimedwait(&too_large, NULL, &at_once) == SIGXFSZ) {
        }
    }
    pthread_sigmask(SIG_SETMASK, &was, NULL);
    return status;
}

static vj_status compile_request(vj_compile_request *request, const vj_options *given, vj_model **model) {
    if (model) *model = NULL;
    if (!model || !request->path || (!request->bytes && request->bytes_size))
        return vj_error_set(VJ_USAGE, "nothing to compile, or no place for the model");
    vj_options options;
    vj_status status = vj_options_take(given, &options);
    if (status) return status;
    request->options = &options;
    request->pass_limit = -1;
    if (options.shape_count && options.shapes[0].rank && options.shapes[0].dims[0] > 0)
        request->fixed_batch = options.shapes[0].dims[0];
    return vj_compile_with(request, model);
}

vj_status vj_compile_file(const char *path, const vj_options *options, vj_model **model) {
    return compile_request(&(vj_compile_request){.path = path}, options, model);
}

vj_status vj_compile_memory(const void *bytes, size_t size, const vj_options *options, vj_model **model) {
    if (!bytes) {
        if (model) *model = NULL;
        return vj_error_set(VJ_USAGE, "no bytes to compile");
    }
    return compile_request(&(vj_compile_request){.path = "model", .bytes = bytes, .bytes_size = size}, options, model);
}
