#define _GNU_SOURCE
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loopback.h"
#include "port.h"
#include "stream-parts.h"
#include "wire.h"

/* The host's connections must find room beside them. */
#define MAX_ASSOCIATIONS 512
/* A frame costs its header too, so that empty datagrams are counted. */
#define LONGEST_COST (WIRE_MAX_DATAGRAM + 2 * WIRE_HEADER_BYTES)
/* Taken at once from one association before others get their turn. */
#define TURN 16

static unsigned associations;

static void on_datagrams(struct watch *watch, uint32_t events);

static int open_socket(uint16_t port, bool ipv6)
{
    struct loopback to;
    int fd = socket(loopback_address(&to, port, ipv6), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, &to.address.any, to.size)) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

void datagram_open(struct stream *stream, uint16_t port)
{
    stream->guest_port = port;
    associations++;
    int fd = associations > MAX_ASSOCIATIONS ? -1 : open_socket(port, false);
    if (fd < 0) {
        stream_fail(stream, associations > MAX_ASSOCIATIONS ? EMFILE : errno);
        return;
    }
    stream->side[FROM_GUEST] = (struct watch){.fd = fd, .ready = on_datagrams};
    port_send_u32(stream->id, WIRE_OPENED, WIRE_WINDOW);
    flow_read_when_possible(stream);
}

void datagram_closed(struct stream *stream)
{
    (void)stream;
    associations--;
}

/* What waits meanwhile is in the socket, which drops what is too much. */
void datagram_read_when_possible(struct stream *stream)
{
    loop_want(&stream->side[FROM_GUEST], stream->credit >= LONGEST_COST && port_may_read() ? EPOLLIN : 0);
}

static void send_frame(struct stream *stream, uint8_t type, const uint8_t *bytes, size_t length)
{
    port_send(stream->id, type, bytes, length);
    stream->credit -= (uint32_t)(length + WIRE_HEADER_BYTES);
}

static void on_datagrams(struct watch *watch, uint32_t events)
{
    (void)events;
    static uint8_t bytes[WIRE_MAX_DATAGRAM + 1];
    struct stream *stream = stream_owning(watch, FROM_GUEST);
    for (int turn = 0; turn < TURN && stream->credit >= LONGEST_COST && port_may_read(); turn++) {
        ssize_t count = recv(watch->fd, bytes, sizeof bytes, 0);
        /* An error is that of an earlier datagram nobody took; reading has cleared it. */
        if (count < 0)
            break;
        if ((size_t)count > WIRE_MAX_DATAGRAM)
            continue;
        stream->answered = true;
        size_t first = (size_t)count > WIRE_MAX_PAYLOAD ? WIRE_MAX_PAYLOAD : 0;
        if (first)
            send_frame(stream, WIRE_DATA_PART, bytes, first);
        send_frame(stream, WIRE_DATA, bytes + first, (size_t)count - first);
    }
    flow_read_when_possible(stream);
}

static bool was_refused(int fd)
{
    int error = 0;
    socklen_t size = sizeof error;
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == ECONNREFUSED;
}

static bool try_other_family(struct stream *stream)
{
    int fd = open_socket(stream->guest_port, !stream->use_ipv6);
    if (fd < 0)
        return false;
    stream_close_side(stream, FROM_GUEST);
    stream->side[FROM_GUEST].fd = fd;
    stream->use_ipv6 = !stream->use_ipv6;
    flow_read_when_possible(stream);
    return true;
}

/* Like any sender of datagrams: what finds no room or no receiver is lost. */
static void deliver(struct stream *stream, const uint8_t *bytes, size_t length)
{
    /* The error of an earlier datagram would be taken for this one's. */
    was_refused(stream->side[FROM_GUEST].fd);
    if (send(stream->side[FROM_GUEST].fd, bytes, length, 0) < 0 || stream->answered)
        return;
    /* On loopback a refusal is there at once. The application may listen on ::1 only. */
    if (was_refused(stream->side[FROM_GUEST].fd) && try_other_family(stream))
        (void)send(stream->side[FROM_GUEST].fd, bytes, length, 0);
}

void datagram_take(struct stream *stream, const uint8_t *payload, size_t length, bool more)
{
    size_t before = buffer_length(&stream->pending);
    if (more ? before > 0 || length != WIRE_MAX_PAYLOAD : before + length > WIRE_MAX_DATAGRAM) {
        stream_reset(stream);
        return;
    }
    if (!flow_take(stream, length + WIRE_HEADER_BYTES))
        return;
    if (more || before > 0)
        buffer_append(&stream->pending, payload, length);
    if (!more && before == 0)
        deliver(stream, payload, length);
    else if (!more)
        deliver(stream, buffer_head(&stream->pending), buffer_length(&stream->pending));
    if (!more)
        buffer_free(&stream->pending);
    flow_consumed(stream, length + WIRE_HEADER_BYTES);
}
