/* SPDX-License-Identifier: Apache-2.0 */
/* liar.c - a program in the compiler's place that answers what it must not: a lie for each name that is asked for as a model. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/apart/answer.h"
#include "runtime/apart/channel.h"

static const vj_channel host = {3, -1, 0};

static void send_head(uint32_t frame, uint64_t bytes) {
    const vj_frame_head head = {.frame = frame, .bytes = bytes};
    (void)!write(3, &head, sizeof head);
}

static void send_packet(vj_frame frame, vj_packet *p) {
    vj_channel_send(&host, frame, p, -1);
    vj_packet_free(p);
}

/* What a sound program could answer, but for the image, which is none. */
static void put_answer(vj_packet *p) {
    static vj_file_part parts[] = {{0, 16, {1, 2}}, {16, 100, {3, 4}}};
    static char name[] = "data/w.bin";
    static vj_model_file files[] = {{NULL, parts, 2}, {name, parts, 2}};
    const vj_answer answer = {.compiled = {.image = (char[]){"no image"},
                                           .image_bytes = 8,
                                           .weights_fd = -1,
                                           .graph_key = {5, 6},
                                           .files = files,
                                           .file_count = 2}};
    vj_put_answer(p, VJ_ERRAND_COMPILE, &answer);
}

static void answer_nonsense(unsigned seed) {
    vj_packet p = {0};
    put_answer(&p);
    srand(seed);
    for (int i = 0; i < 1 + rand() % 4; i++)
        p.bytes[(size_t)rand() % p.size] ^= (uint8_t)(1 << rand() % 8);
    if (rand() % 4 == 0) p.size = (size_t)rand() % p.size;
    send_packet(VJ_FRAME_ANSWER, &p);
}

/* What is asked in the wrong way, or at the wrong time. */
static bool asks(const char *lie) {
    vj_packet p = {0};
    const uint64_t key[2] = {1, 2};
    vj_frame frame = VJ_FRAME_COMMIT;
    if (strcmp(lie, "commit") == 0) {
        vj_put_number(&p, 1);
    } else if (strcmp(lie, "find") == 0) {
        frame = VJ_FRAME_FIND;
        vj_put_bytes(&p, key, 7);
        vj_put_number(&p, 1);
    } else if (strcmp(lie, "create") == 0) {
        frame = VJ_FRAME_CREATE;
        vj_put_bytes(&p, key, sizeof key);
        vj_put_number(&p, -5000);
    } else if (strcmp(lie, "cancel") == 0) {
        frame = VJ_FRAME_CANCEL;
    } else if (strcmp(lie, "log") == 0) {
        frame = VJ_FRAME_LOG;
        vj_put_number(&p, VJ_LOG_WARNING);
        vj_put_text(&p, NULL);
    } else if (strcmp(lie, "level") == 0) {
        frame = VJ_FRAME_LOG;
        vj_put_number(&p, 1 << 20);
        vj_put_text(&p, "text");
    } else if (strcmp(lie, "making") == 0) {
        frame = VJ_FRAME_MAKING;
        vj_put_text(&p, "/etc/passwd");
        vj_put_text(&p, "/tmp/.passwd");
    } else if (strcmp(lie, "header") == 0) {
        frame = VJ_FRAME_HEADER;
        vj_put_header_request(&p, &(vj_header_request){.metadata = "{}", .prefix = "a", .macros = "A"});
    } else if (strcmp(lie, "wrote") == 0) {
        frame = VJ_FRAME_WROTE;
        vj_put_text(&p, "x");
    } else {
        return false;
    }
    send_packet(frame, &p);
    return true;
}

static void answer_error(void) {
    vj_packet p = {0};
    vj_put_answer(&p, VJ_ERRAND_COMPILE, &(vj_answer){.status = VJ_UNSUPPORTED, .error = "told"});
    send_packet(VJ_FRAME_ANSWER, &p);
}

/* Weights of a wrong size, told to be whole. */
static void claim_weights(void) {
    vj_packet p = {0};
    const uint64_t key[2] = {1, 2};
    vj_put_bytes(&p, key, sizeof key);
    vj_put_number(&p, 4096);
    send_packet(VJ_FRAME_CREATE, &p);
    put_answer(&p);
    send_packet(VJ_FRAME_ANSWER, &p);
}

static void lie(const char *name) {
    if (strcmp(name, "status") == 0) _exit(9);
    if (strcmp(name, "abort") == 0) abort();
    if (strcmp(name, "frame") == 0) send_head(99, 0);
    if (strcmp(name, "call") == 0) send_head(VJ_FRAME_CALL, 0);
    if (strcmp(name, "question") == 0) send_head(VJ_FRAME_FIND, UINT64_C(1) << 40);
    if (strcmp(name, "answer") == 0) send_head(VJ_FRAME_ANSWER, UINT64_MAX);
    if (strcmp(name, "short") == 0) send_head(VJ_FRAME_ANSWER, 1 << 20);
    if (strcmp(name, "empty") == 0) send_head(VJ_FRAME_ANSWER, 0);
    if (strcmp(name, "half") == 0) (void)!write(3, "half", 4);
    if (strcmp(name, "image") == 0) answer_nonsense(0);
    if (strcmp(name, "weights") == 0) claim_weights();
    if (strcmp(name, "descriptor") == 0) vj_channel_send(&host, VJ_FRAME_LOG, NULL, STDERR_FILENO);
    if (strcmp(name, "error") == 0) answer_error();
    if (strcmp(name, "deaf") == 0) {
        close(3);
        sleep(1000);
    }
    if (strcmp(name, "sleep") == 0) sleep(1000);
    if (strncmp(name, "nonsense ", 9) == 0) answer_nonsense((unsigned)atoi(name + 9));
}

int main(void) {
    vj_frame_head head;
    vj_packet packet;
    vj_call call;
    int model;
    if (vj_channel_head(&host, &head, &model) || vj_channel_packet(&host, &head, &packet)) return 1;
    if (!vj_take_call(&packet, &call)) return 2;
    if (!asks(call.request.path)) lie(call.request.path);
    return 0;
}
