/* SPDX-License-Identifier: Apache-2.0 */
/* channel.c - see channel.h. Nothing here waits but wait_for. */
#include "channel.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

int64_t vj_channel_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* For poll: -1 without an end, else rounded up, so that it is over when it returns. */
static int milliseconds_left(const vj_channel *c) {
    if (!c->over_ns) return -1;
    const int64_t left = c->over_ns - vj_channel_now();
    return left <= 0 ? 0 : left / 1000000 >= 1000000 ? 1000000000 : (int)((left + 999999) / 1000000);
}

/* What a process said before it ended is heard first. */
static vj_heard wait_for(const vj_channel *c, short events) {
    struct pollfd at[2] = {{c->socket, events, 0}, {c->process, POLLIN, 0}};
    for (;;) {
        const int left = milliseconds_left(c);
        const int count = poll(at, c->process >= 0 ? 2 : 1, left);
        if (count < 0 && errno != EINTR) return VJ_HEARD_END;
        if (count > 0) return at[0].revents ? VJ_HEARD : VJ_HEARD_END;
        if (count == 0 && left == 0) return VJ_HEARD_LATE;
    }
}

static bool must_wait(void) { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }

static vj_heard send_bytes(const vj_channel *c, const void *bytes, size_t size) {
    for (size_t done = 0; done < size;) {
        const ssize_t n = send(c->socket, (const uint8_t *)bytes + done, size - done, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n > 0) done += (size_t)n;
        if (n >= 0) continue;
        if (!must_wait()) return VJ_HEARD_END;
        const vj_heard heard = wait_for(c, POLLOUT);
        if (heard) return heard;
    }
    return VJ_HEARD;
}

/* One descriptor, as sendmsg and recvmsg want it. */
typedef union descriptor_room {
    struct cmsghdr head;
    char bytes[CMSG_SPACE(sizeof(int))];
} descriptor_room;

static vj_heard send_with_descriptor(const vj_channel *c, const vj_frame_head *head, int descriptor) {
    descriptor_room room = {0};
    struct iovec part = {(void *)(uintptr_t)head, sizeof *head};
    const struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = room.bytes, .msg_controllen = sizeof room.bytes};
    room.head = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(&room.head), &descriptor, sizeof descriptor);
    for (;;) {
        const ssize_t n = sendmsg(c->socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0) return send_bytes(c, (const uint8_t *)head + n, sizeof *head - (size_t)n);
        if (!must_wait()) return VJ_HEARD_END;
        const vj_heard heard = wait_for(c, POLLOUT);
        if (heard) return heard;
    }
}

vj_heard vj_channel_send(const vj_channel *c, vj_frame frame, const vj_packet *packet, int descriptor) {
    const vj_frame_head head = {.frame = frame, .bytes = packet ? packet->size : 0};
    if (packet && packet->bad) return VJ_HEARD_NO_ROOM;
    const vj_heard heard =
        descriptor >= 0 ? send_with_descriptor(c, &head, descriptor) : send_bytes(c, &head, sizeof head);
    return heard || !packet ? heard : send_bytes(c, packet->bytes, packet->size);
}

static ssize_t receive_some(const vj_channel *c, void *to, size_t size, int *descriptor) {
    if (!descriptor) return recv(c->socket, to, size, MSG_DONTWAIT);
    descriptor_room room = {0};
    struct iovec part = {to, size};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = room.bytes, .msg_controllen = sizeof room.bytes};
    const ssize_t n = recvmsg(c->socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    const struct cmsghdr *came = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (came && came->cmsg_level == SOL_SOCKET && came->cmsg_type == SCM_RIGHTS)
        memcpy(descriptor, CMSG_DATA(came), sizeof *descriptor);
    return n;
}

static vj_heard receive_bytes(const vj_channel *c, void *to, size_t size, int *descriptor) {
    for (size_t done = 0; done < size;) {
        const vj_heard heard = wait_for(c, POLLIN);
        if (heard) return heard;
        const ssize_t n = receive_some(c, (uint8_t *)to + done, size - done, descriptor);
        if (n == 0 || (n < 0 && !must_wait())) return VJ_HEARD_END;
        if (n > 0) done += (size_t)n;
    }
    return VJ_HEARD;
}

vj_heard vj_channel_head(const vj_channel *c, vj_frame_head *head, int *descriptor) {
    if (descriptor) *descriptor = -1;
    const vj_heard heard = receive_bytes(c, head, sizeof *head, descriptor);
    return heard || head->frame < VJ_FRAME_COUNT ? heard : VJ_HEARD_NONSENSE;
}

vj_heard vj_channel_packet(const vj_channel *c, const vj_frame_head *head, vj_packet *packet) {
    *packet = (vj_packet){.size = head->bytes, .room = head->bytes};
    packet->bytes = malloc(head->bytes ? head->bytes : 1);
    const vj_heard heard = packet->bytes ? receive_bytes(c, packet->bytes, packet->size, NULL) : VJ_HEARD_NO_ROOM;
    if (heard) vj_packet_free(packet);
    return heard;
}
