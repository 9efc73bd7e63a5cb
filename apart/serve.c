/* SPDX-License-Identifier: Apache-2.0 */
/* serve.c - the call, from its packet to the answer's. */
#include "apart.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "runtime/runtime.h"

/* The model's bytes, where it is one in memory. */
static vj_status map_model(vj_call *call, int model) {
    static const char none;
    vj_compile_request *r = &call->request;
    if (!r->bytes) return VJ_OK;
    r->bytes = &none;
    r->bytes_size = (size_t)call->file_bytes;
    if (r->bytes_size == 0) return VJ_OK;
    void *at = mmap(NULL, r->bytes_size, PROT_READ, MAP_PRIVATE, model, 0);
    if (at == MAP_FAILED) return vj_error_set(VJ_SYSTEM, "%s: the model cannot be read: %s", r->path, strerror(errno));
    r->bytes = at;
    return VJ_OK;
}

static vj_status work(vj_host *host, const vj_compiler_api *api, vj_answer *answer) {
    const vj_call *call = &host->call;
    const vj_compile_request *r = &call->request;
    const vj_weights_store store = vj_host_store(host);
    char *error = answer->error;
    const size_t room = sizeof answer->error;
    switch (call->errand) {
    case VJ_ERRAND_COMPILE:
        return api->compile(r, &store, &answer->compiled, error, room);
    case VJ_ERRAND_EMIT:
        return api->emit(r, &call->emit, &answer->text, error, room);
    case VJ_ERRAND_INSPECT:
        return api->inspect(r, &answer->text, error, room);
    case VJ_ERRAND_REPORT:
        return api->report(r, &answer->text, error, room);
    case VJ_ERRAND_EXPLAIN:
        return api->explain(r, &answer->text, error, room);
    case VJ_ERRAND_CHECK:
        return api->check(r, &answer->text, error, room);
    case VJ_ERRAND_TENSOR:
        return api->read_tensor(r->path, &answer->data, error, room);
    }
    return VJ_SYSTEM;
}

bool vj_serve(vj_host *host, vj_packet *packet, int model, const char *compiler) {
    const vj_compiler_api *api;
    vj_answer answer = {.compiled.weights_fd = -1};
    vj_packet said = {0};
    if (!vj_take_call(packet, &host->call)) return false;
    vj_host_fill(host);
    vj_status status = vj_compiler_open_at(compiler, &api);
    vj_set_limits(&host->call, 0); /* not before: what the library cannot do without is no model's fault */
    if (status == VJ_OK) status = map_model(&host->call, model);
    if (status)
        snprintf(answer.error, sizeof answer.error, "%s", vj_error_message());
    else
        status = work(host, api, &answer);
    answer.status = status;
    vj_put_answer(&said, host->call.errand, &answer);
    return vj_channel_send(&host->channel, VJ_FRAME_ANSWER, &said, -1) == VJ_HEARD;
}
