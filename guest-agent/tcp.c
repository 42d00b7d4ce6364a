#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "loopback.h"
#include "port.h"
#include "stream-parts.h"
#include "wire.h"

static void try_connect(struct stream *stream)
{
    struct loopback to;
    int one = 1, fd = socket(loopback_address(&to, stream->guest_port, stream->use_ipv6), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    stream->side[TO_GUEST].fd = fd;
    if (fd >= 0 && (connect(fd, &to.address.any, to.size) == 0 || errno == EINPROGRESS)) {
        stream->connecting = true;
        loop_want(&stream->side[TO_GUEST], EPOLLOUT);
        return;
    }
    int error = errno;
    stream_close_side(stream, TO_GUEST);
    if (error == ECONNREFUSED && !stream->use_ipv6) {
        stream->use_ipv6 = true;
        try_connect(stream);
        return;
    }
    /* In a guest without IPv6 the first answer stands. */
    stream_fail(stream, stream->use_ipv6 ? ECONNREFUSED : error);
}

void tcp_open(struct stream *stream, uint16_t port)
{
    stream->guest_port = port;
    try_connect(stream);
}

void tcp_ready(struct stream *stream)
{
    int error = 0, fd = stream->side[TO_GUEST].fd;
    socklen_t size = sizeof error;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    stream->connecting = false;
    if (error == ECONNREFUSED && !stream->use_ipv6) {
        stream_close_side(stream, TO_GUEST);
        stream->use_ipv6 = true;
        try_connect(stream);
        return;
    }
    if (!error && (stream->side[FROM_GUEST].fd = fcntl(fd, F_DUPFD_CLOEXEC, 0)) < 0)
        error = errno;
    if (error) {
        stream_fail(stream, error);
        return;
    }
    port_send_u32(stream->id, WIRE_OPENED, WIRE_WINDOW);
    flow_read_when_possible(stream);
    flow_write_pending(stream);
}
