/* SPDX-License-Identifier: Apache-2.0 */
/* ask.c - calls of the compiler that read a model: in a process of their own, or in this one where the options say so. */
#include "runtime.h"

#include <stdlib.h>

#include "apart/apart.h"

static bool is_apart(const vj_options *o) { return !o->in_process && !o->use_orc; }

static vj_status set_error(vj_status status, const char *error) {
    return status ? vj_error_set(status, "%s", error) : VJ_OK;
}

vj_status vj_ask_compile(const vj_compile_request *request, const vj_weights_store *store, vj_compiled *compiled,
                         void (**free_orc)(void *)) {
    *compiled = (vj_compiled){.weights_fd = -1};
    *free_orc = NULL;
    if (is_apart(request->options)) {
        vj_call call = {.errand = VJ_ERRAND_COMPILE, .request = *request};
        vj_answer answer;
        const vj_status status = vj_apart_call(&call, store, &answer);
        if (status == VJ_OK) *compiled = answer.compiled;
        return status;
    }
    const vj_compiler_api *api;
    char error[VJ_ANSWER_ERROR] = "";
    const vj_status status = vj_compiler_open(&api);
    if (status) return status;
    *free_orc = api->free_orc;
    return set_error(api->compile(request, store, compiled, error, sizeof error), error);
}

/* Of the calls whose answer is a text. */
static vj_status ask_here(vj_errand errand, const vj_compile_request *request, const vj_emit_request *emit,
                          char **text) {
    const vj_compiler_api *api;
    char error[VJ_ANSWER_ERROR] = "";
    const vj_status status = vj_compiler_open(&api);
    if (status) return status;
    if (errand == VJ_ERRAND_EMIT) return set_error(api->emit(request, emit, text, error, sizeof error), error);
    vj_status (*ask)(const vj_compile_request *, char **, char *, size_t) = errand == VJ_ERRAND_INSPECT   ? api->inspect
                                                                            : errand == VJ_ERRAND_REPORT  ? api->report
                                                                            : errand == VJ_ERRAND_EXPLAIN ? api->explain
                                                                                                          : api->check;
    return set_error(ask(request, text, error, sizeof error), error);
}

static vj_status ask_for_text(vj_errand errand, const vj_compile_request *request, const vj_emit_request *emit,
                              char **text) {
    *text = NULL;
    if (!is_apart(request->options)) return ask_here(errand, request, emit, text);
    vj_call call = {.errand = errand, .request = *request};
    if (emit) call.emit = *emit;
    vj_answer answer;
    const vj_status status = vj_apart_call(&call, NULL, &answer);
    *text = answer.text;
    return status;
}

vj_status vj_ask_text(vj_errand errand, const vj_compile_request *request, char **text) {
    return ask_for_text(errand, request, NULL, text);
}

vj_status vj_ask_emit(const vj_compile_request *request, const vj_emit_request *emit, char **summary) {
    return ask_for_text(VJ_ERRAND_EMIT, request, emit, summary);
}

vj_status vj_ask_tensor(const char *path, const vj_options *options, vj_read_data *data) {
    *data = (vj_read_data){0};
    if (is_apart(options)) {
        vj_call call = {.errand = VJ_ERRAND_TENSOR,
                        .request = {.path = path, .options = options, .pass_limit = -1, .for_command = 1}};
        vj_answer answer;
        const vj_status status = vj_apart_call(&call, NULL, &answer);
        if (status == VJ_OK) *data = answer.data;
        return status;
    }
    const vj_compiler_api *api;
    char error[VJ_ANSWER_ERROR] = "";
    const vj_status status = vj_compiler_open(&api);
    return status ? status : set_error(api->read_tensor(path, data, error, sizeof error), error);
}
