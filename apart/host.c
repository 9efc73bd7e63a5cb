/* SPDX-License-Identifier: Apache-2.0 */
/* host.c - functions of the host, each a frame and its reply. */
#include "apart.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Without a host nothing is left to be done. */
static void must(vj_heard heard) {
    if (heard) _exit(1);
}

static void tell(vj_host *host, vj_frame frame, vj_packet *packet) {
    pthread_mutex_lock(&host->lock);
    must(vj_channel_send(&host->channel, frame, packet, -1));
    pthread_mutex_unlock(&host->lock);
    vj_packet_free(packet);
}

/* Takes the packet and gives the reply's, to be freed. */
static vj_packet ask(vj_host *host, vj_frame frame, vj_packet *packet, int *descriptor) {
    vj_frame_head head;
    vj_packet reply = {0};
    int came;
    pthread_mutex_lock(&host->lock);
    must(vj_channel_send(&host->channel, frame, packet, -1));
    must(vj_channel_head(&host->channel, &head, &came));
    must(head.frame == VJ_FRAME_REPLY ? vj_channel_packet(&host->channel, &head, &reply) : VJ_HEARD_NONSENSE);
    pthread_mutex_unlock(&host->lock);
    vj_packet_free(packet);
    if (descriptor)
        *descriptor = came;
    else if (came >= 0)
        close(came);
    return reply;
}

static int ask_weights(vj_host *host, vj_frame frame, const uint64_t digest[2], int64_t bytes) {
    vj_packet packet = {0};
    int descriptor;
    vj_put_bytes(&packet, digest, 2 * sizeof *digest);
    vj_put_number(&packet, bytes);
    vj_packet reply = ask(host, frame, &packet, &descriptor);
    const int why = (int)vj_take_number(&reply, 0, INT32_MAX);
    vj_packet_free(&reply);
    if (descriptor < 0) errno = why;
    return descriptor;
}

static int find_weights(void *self, const uint64_t digest[2], int64_t bytes) {
    return ask_weights(self, VJ_FRAME_FIND, digest, bytes);
}

static int create_weights(void *self, const uint64_t digest[2], int64_t bytes) {
    return ask_weights(self, VJ_FRAME_CREATE, digest, bytes);
}

/* The host knows which: it made them. */
static void commit_weights(void *self, const uint64_t digest[2], int descriptor, int32_t whole) {
    vj_packet packet = {0};
    (void)digest, (void)descriptor;
    vj_put_number(&packet, whole != 0);
    vj_packet reply = ask(self, VJ_FRAME_COMMIT, &packet, NULL);
    vj_packet_free(&reply);
}

static void *find_image(void *self, const uint64_t graph_key[2], size_t *bytes) {
    vj_packet packet = {0};
    vj_put_bytes(&packet, graph_key, 2 * sizeof *graph_key);
    vj_packet reply = ask(self, VJ_FRAME_IMAGE, &packet, NULL);
    const void *at = vj_take_bytes(&reply, bytes);
    void *image = at && *bytes ? malloc(*bytes) : NULL;
    if (image) memcpy(image, at, *bytes);
    vj_packet_free(&reply);
    return image;
}

vj_weights_store vj_host_store(vj_host *host) {
    return (vj_weights_store){host, find_weights, create_weights, commit_weights,
                              host->call.finds_images ? find_image : NULL};
}

static void log_line(void *self, vj_log_level level, const char *text) {
    vj_packet packet = {0};
    vj_put_number(&packet, level);
    vj_put_text(&packet, text);
    tell(self, VJ_FRAME_LOG, &packet);
}

static int32_t is_cancelled(void *self) {
    vj_packet packet = {0};
    vj_packet reply = ask(self, VJ_FRAME_CANCEL, &packet, NULL);
    const int32_t cancelled = (int32_t)vj_take_number(&reply, INT32_MIN, INT32_MAX);
    vj_packet_free(&reply);
    return cancelled;
}

static void opened(void *self, int64_t external_bytes) {
    vj_host *host = self;
    vj_packet packet = {0};
    vj_set_limits(&host->call, external_bytes);
    vj_put_number(&packet, external_bytes);
    tell(host, VJ_FRAME_OPENED, &packet);
}

static char *header_part(void *self, const vj_header_request *request) {
    vj_packet packet = {0};
    vj_put_header_request(&packet, request);
    vj_packet reply = ask(self, VJ_FRAME_HEADER, &packet, NULL);
    const char *text = vj_take_text(&reply);
    char *copy = text ? strdup(text) : NULL;
    vj_packet_free(&reply);
    return copy;
}

static void making(void *self, const char *path, const char *temporary) {
    vj_packet packet = {0};
    vj_put_text(&packet, path);
    vj_put_text(&packet, temporary);
    vj_packet reply = ask(self, VJ_FRAME_MAKING, &packet, NULL);
    vj_packet_free(&reply);
}

static void wrote(void *self, const char *path) {
    vj_packet packet = {0};
    vj_put_text(&packet, path);
    tell(self, VJ_FRAME_WROTE, &packet);
}

void vj_host_fill(vj_host *host) {
    vj_call *call = &host->call;
    call->request.opened = opened;
    call->request.opened_self = host;
    call->options.log = call->logs ? log_line : NULL;
    call->options.log_self = host;
    call->options.cancel = call->cancels ? is_cancelled : NULL;
    call->options.cancel_self = host;
    call->emit.header_part = call->adds_header ? header_part : NULL;
    call->emit.header_self = host;
    call->emit.making = making;
    call->emit.making_self = host;
    call->emit.wrote = call->hears_wrote ? wrote : NULL;
    call->emit.wrote_self = host;
}
