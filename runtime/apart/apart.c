/* SPDX-License-Identifier: Apache-2.0 */
/* apart.c - a call of the compiler in a process of its own: the call is sent, what the program asks of its host is answered, until
 * its answer comes, or it cannot come. What a process that is gone has left half-written is removed.
 */
#include "apart.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper.h"
#include "runtime/runtime.h"

#define MOST_QUESTION ((uint64_t)64 << 20)
#define MOST_ANSWER   ((uint64_t)1 << 31) /* as of an image in the cache */
#define MOST_BEGUN    512
#define SECOND        1e9

typedef struct talk {
    const vj_call *call;
    const vj_weights_store *store;
    vj_helper helper;
    vj_limits limits;
    int64_t begun_ns;
    int weights;        /* that the store gave last; -1: none */
    bool writing;       /* they were created, and the store was not told their outcome yet */
    uint64_t digest[2]; /* of those */
    struct begun_file {
        char *path, *temporary;
    } begun[MOST_BEGUN]; /* of emitting */
    int32_t begun_count;
} talk;

static void set_limits(talk *t, int64_t external_bytes) {
    t->limits = vj_limits_of(t->call, external_bytes);
    const double seconds = t->limits.seconds;
    t->helper.channel.over_ns = seconds > 0 && seconds < 1e9 ? t->begun_ns + (int64_t)(seconds * SECOND) : 0;
}

/* Replies */

static vj_heard reply(const talk *t, const vj_packet *packet, int descriptor) {
    return vj_channel_send(&t->helper.channel, VJ_FRAME_REPLY, packet, descriptor);
}

static vj_heard reply_number(const talk *t, int64_t number, int descriptor) {
    vj_packet packet = {0};
    vj_put_number(&packet, number);
    const vj_heard heard = reply(t, &packet, descriptor);
    vj_packet_free(&packet);
    return heard;
}

static bool take_key(vj_packet *p, uint64_t key[2]) {
    size_t size;
    const void *bytes = vj_take_bytes(p, &size);
    if (!bytes || size != 2 * sizeof *key) return false;
    memcpy(key, bytes, size);
    return true;
}

/* Packed weights */

static void end_writing(talk *t, bool whole) {
    if (t->writing) t->store->commit(t->store->self, t->digest, t->weights, whole);
    t->writing = false;
}

static void drop_weights(talk *t) {
    end_writing(t, false);
    if (t->weights >= 0) close(t->weights);
    t->weights = -1;
}

static vj_heard on_weights(talk *t, vj_packet *p, bool create) {
    uint64_t digest[2];
    const bool keyed = take_key(p, digest);
    const int64_t bytes = vj_take_number(p, 0, INT64_MAX - VJ_WEIGHTS_HEADER);
    if (!t->store || !keyed || !vj_packet_done(p)) return VJ_HEARD_NONSENSE;
    drop_weights(t);
    errno = 0;
    t->weights =
        create ? t->store->create(t->store->self, digest, bytes) : t->store->find(t->store->self, digest, bytes);
    const int why = t->weights >= 0 ? 0 : errno;
    t->writing = create && t->weights >= 0;
    memcpy(t->digest, digest, sizeof digest);
    return reply_number(t, why, t->weights);
}

static vj_heard on_find(talk *t, vj_packet *p) { return on_weights(t, p, false); }
static vj_heard on_create(talk *t, vj_packet *p) { return on_weights(t, p, true); }

static vj_heard on_commit(talk *t, vj_packet *p) {
    const bool whole = vj_take_number(p, 0, 1);
    if (!vj_packet_done(p) || !t->writing) return VJ_HEARD_NONSENSE;
    end_writing(t, whole);
    return reply(t, NULL, -1);
}

static vj_heard on_image(talk *t, vj_packet *p) {
    uint64_t key[2];
    if (!take_key(p, key) || !vj_packet_done(p) || !t->store || !t->store->find_image) return VJ_HEARD_NONSENSE;
    size_t bytes = 0;
    void *image = t->store->find_image(t->store->self, key, &bytes);
    vj_packet packet = {0};
    vj_put_bytes(&packet, image, image ? bytes : 0);
    free(image);
    const vj_heard heard = reply(t, &packet, -1);
    vj_packet_free(&packet);
    return heard;
}

/* The options' functions */

static vj_heard on_cancel(talk *t, vj_packet *p) {
    const vj_options *o = t->call->request.options;
    if (!vj_packet_done(p) || !o->cancel) return VJ_HEARD_NONSENSE;
    return reply_number(t, o->cancel(o->cancel_self), -1);
}

static vj_heard on_log(talk *t, vj_packet *p) {
    const vj_options *o = t->call->request.options;
    const vj_log_level level = (vj_log_level)vj_take_number(p, VJ_LOG_ERROR, VJ_LOG_DEBUG);
    const char *text = vj_take_text(p);
    if (!vj_packet_done(p) || !text || !o->log) return VJ_HEARD_NONSENSE;
    o->log(o->log_self, level, text);
    return VJ_HEARD;
}

static vj_heard on_opened(talk *t, vj_packet *p) {
    const int64_t bytes = vj_take_number(p, 0, INT64_MAX);
    if (!vj_packet_done(p)) return VJ_HEARD_NONSENSE;
    set_limits(t, bytes);
    return VJ_HEARD;
}

/* Emitted files */

static vj_heard on_header(talk *t, vj_packet *p) {
    const vj_emit_request *e = &t->call->emit;
    vj_header_request request;
    if (!e->header_part || !vj_take_header_request(p, &request)) return VJ_HEARD_NONSENSE;
    char *text = e->header_part(e->header_self, &request);
    vj_packet packet = {0};
    vj_put_text(&packet, text);
    free(text);
    const vj_heard heard = reply(t, &packet, -1);
    vj_packet_free(&packet);
    return heard;
}

/* Does it stand beside the other, with a dot before its name? */
static bool is_temporary(const char *path, const char *temporary) {
    const char *slash = strrchr(path, '/');
    const size_t folder = slash ? (size_t)(slash - path) + 1 : 0;
    return strncmp(path, temporary, folder) == 0 && temporary[folder] == '.' &&
           strncmp(path + folder, temporary + folder + 1, strlen(path + folder)) == 0 &&
           !strchr(temporary + folder, '/');
}

static vj_heard on_making(talk *t, vj_packet *p) {
    const char *path = vj_take_text(p), *temporary = vj_take_text(p);
    if (!vj_packet_done(p) || t->call->errand != VJ_ERRAND_EMIT || !path || !temporary ||
        !is_temporary(path, temporary) || t->begun_count == MOST_BEGUN)
        return VJ_HEARD_NONSENSE;
    struct begun_file *file = &t->begun[t->begun_count++];
    *file = (struct begun_file){strdup(path), strdup(temporary)};
    return file->path && file->temporary ? reply(t, NULL, -1) : VJ_HEARD_NO_ROOM;
}

static vj_heard on_wrote(talk *t, vj_packet *p) {
    const vj_emit_request *e = &t->call->emit;
    const char *path = vj_take_text(p);
    if (!vj_packet_done(p) || !path || !e->wrote) return VJ_HEARD_NONSENSE;
    e->wrote(e->wrote_self, path);
    return VJ_HEARD;
}

/* The whole talk */

static vj_heard (*const questions[VJ_FRAME_COUNT])(talk *t, vj_packet *p) = {
    [VJ_FRAME_FIND] = on_find,     [VJ_FRAME_CREATE] = on_create, [VJ_FRAME_COMMIT] = on_commit,
    [VJ_FRAME_IMAGE] = on_image,   [VJ_FRAME_CANCEL] = on_cancel, [VJ_FRAME_LOG] = on_log,
    [VJ_FRAME_OPENED] = on_opened, [VJ_FRAME_HEADER] = on_header, [VJ_FRAME_MAKING] = on_making,
    [VJ_FRAME_WROTE] = on_wrote};

static vj_heard hear(talk *t, vj_answer *answer) {
    for (;;) {
        vj_frame_head head;
        vj_packet packet;
        vj_heard heard = vj_channel_head(&t->helper.channel, &head, NULL);
        if (heard) return heard;
        const bool last = head.frame == VJ_FRAME_ANSWER;
        if (head.bytes > (last ? MOST_ANSWER : MOST_QUESTION) || !(last || questions[head.frame]))
            return VJ_HEARD_NONSENSE;
        heard = vj_channel_packet(&t->helper.channel, &head, &packet);
        if (heard) return heard;
        if (!last)
            heard = questions[head.frame](t, &packet);
        else if (!vj_take_answer(&packet, t->call->errand, t->call->request.bytes ? t->call->file_bytes : -1, answer))
            heard = packet.no_memory ? VJ_HEARD_NO_ROOM : VJ_HEARD_NONSENSE;
        vj_packet_free(&packet);
        if (heard || last) return heard;
    }
}

/* -1, and why in errno. */
static int memory_file(const void *bytes, size_t size) {
    const int file = memfd_create("vitjit-model", MFD_CLOEXEC);
    for (size_t done = 0; file >= 0 && done < size;) {
        const ssize_t n = write(file, (const char *)bytes + done, size - done);
        if (n > 0) done += (size_t)n;
        if (n > 0 || errno == EINTR) continue;
        const int why = errno;
        close(file);
        errno = why;
        return -1;
    }
    return file;
}

static vj_heard send_call(const talk *t, int model) {
    vj_packet packet = {0};
    vj_put_call(&packet, t->call);
    const vj_heard heard = vj_channel_send(&t->helper.channel, VJ_FRAME_CALL, &packet, model);
    vj_packet_free(&packet);
    return heard;
}

/* What it was to replace, if that has another name by now, comes back. */
static void undo(const struct begun_file *file) {
    char old[4400];
    if (!file->path || !file->temporary) return;
    unlink(file->temporary);
    if (snprintf(old, sizeof old, "%s" VJ_OLD_FILE, file->temporary) >= (int)sizeof old) return;
    if (rename(old, file->path) == 0) unlink(old); /* there still, where both were one file */
}

/* Behind the end of the process. */
static void clean_up(talk *t, bool answered) {
    end_writing(t, false);
    for (int32_t i = 0; i < t->begun_count; i++) {
        if (!answered) undo(&t->begun[i]);
        free(t->begun[i].path);
        free(t->begun[i].temporary);
    }
}

/* The weights of what was compiled are those that the store gave last. */
static bool take_weights(talk *t, vj_compiled *c) {
    const bool wanted = c->weights_fd >= 0;
    c->weights_fd = -1;
    if (!wanted) drop_weights(t);
    if (wanted && t->weights < 0) return false;
    c->weights_fd = t->weights;
    t->weights = -1;
    return true;
}

/* False, and nothing is left of it: it makes no sense. */
static bool take_compiled(talk *t, vj_compiled *c) {
    if (vj_image_is_of(c->image, c->image_bytes, c->graph_key) && take_weights(t, c)) return true;
    vj_compiled_free_files(c);
    free(c->image);
    return false;
}

static vj_status set_error(const talk *t, const vj_answer *answer) {
    const bool memory_ended = answer->status == VJ_SYSTEM && strstr(answer->error, "out of memory");
    if (!memory_ended || !t->limits.memory) return vj_error_set(answer->status, "%s", answer->error);
    return vj_error_set(answer->status, "%s\n  hint: it had %lld MiB; %s allows more", answer->error,
                        (long long)(t->limits.memory >> 20),
                        t->call->request.for_command ? "--max-memory" : "vj_options.max_memory");
}

static vj_status talk_over(talk *t, int model, vj_answer *answer) {
    const vj_status status = vj_helper_start(&t->helper);
    if (status) return status;
    t->begun_ns = vj_channel_now();
    set_limits(t, 0);
    vj_heard heard = send_call(t, model);
    if (heard == VJ_HEARD) heard = hear(t, answer);
    const vj_helper_end end = vj_helper_stop(&t->helper);
    clean_up(t, heard == VJ_HEARD);
    const bool compiled = heard == VJ_HEARD && t->call->errand == VJ_ERRAND_COMPILE && answer->status == VJ_OK;
    if (compiled && !take_compiled(t, &answer->compiled)) heard = VJ_HEARD_NONSENSE;
    if (heard || !compiled) drop_weights(t);
    if (heard) {
        *answer = (vj_answer){.compiled.weights_fd = -1};
        return vj_helper_failed(t->call, heard, &end, &t->limits);
    }
    return answer->status ? set_error(t, answer) : VJ_OK;
}

vj_status vj_apart_call(vj_call *call, const vj_weights_store *store, vj_answer *answer) {
    const vj_compile_request *r = &call->request;
    struct stat st;
    talk t = {.call = call, .store = store, .weights = -1};
    *answer = (vj_answer){.compiled.weights_fd = -1};
    call->finds_images = store && store->find_image;
    call->file_bytes = r->bytes                                         ? (int64_t)r->bytes_size
                       : stat(r->path, &st) == 0 && S_ISREG(st.st_mode) ? st.st_size
                                                                        : 0;
    int model = -1;
    if (r->bytes && (model = memory_file(r->bytes, r->bytes_size)) < 0)
        return vj_error_set(VJ_SYSTEM, "%s: no memory for a copy of the model: %s", r->path, strerror(errno));
    const vj_status status = talk_over(&t, model, answer);
    if (model >= 0) close(model);
    return status;
}
