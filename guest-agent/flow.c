#define _GNU_SOURCE
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "port.h"
#include "stream-parts.h"
#include "wire.h"

#define CREDIT_STEP (WIRE_WINDOW / 4)

static bool is_process(const struct stream *stream) { return stream->kind == WIRE_KIND_EXEC; }

void flow_read_when_possible(struct stream *stream)
{
    if (stream->kind == WIRE_KIND_UDP) {
        datagram_read_when_possible(stream);
        return;
    }
    for (int side = FROM_GUEST; side <= FROM_ERRORS; side++)
        if (stream->side[side].fd >= 0 && !stream->connecting)
            loop_want(&stream->side[side], stream->credit > 0 && port_may_read() ? EPOLLIN : 0);
}

/* Once all is said both ways the stream is gone, on both ends alike. */
bool flow_finish_if_done(struct stream *stream)
{
    bool drained = stream->side[FROM_GUEST].fd < 0 && stream->side[FROM_ERRORS].fd < 0;
    bool done = is_process(stream) ? stream->exited && drained
                                   : stream->guest_finished && stream->host_finished && !buffer_length(&stream->pending);
    if (!done)
        return false;
    if (is_process(stream))
        exec_send_exit(stream);
    stream_destroy(stream);
    return true;
}

static void side_ended(struct stream *stream, int side)
{
    stream_close_side(stream, side);
    if (!is_process(stream)) {
        stream->guest_finished = true;
        port_send(stream->id, WIRE_EOF, NULL, 0);
    }
    flow_finish_if_done(stream);
}

/* Reads one helping; true while there may be more. The stream may be gone when it is false. */
static bool read_side(struct stream *stream, int side)
{
    size_t wanted = stream->credit < WIRE_MAX_PAYLOAD ? stream->credit : WIRE_MAX_PAYLOAD;
    ssize_t count = read(stream->side[side].fd, port_reserve(wanted), wanted);
    if (count > 0) {
        port_commit(stream->id, side == FROM_ERRORS ? WIRE_DATA_ERR : WIRE_DATA, (size_t)count);
        stream->credit -= (uint32_t)count;
        return true;
    }
    if (count < 0 && errno == EINTR)
        return true;
    if (count < 0 && errno == EAGAIN) {
        /* What a process left behind in the background may hold its output open for ever. */
        if (stream->exited)
            side_ended(stream, side);
        return false;
    }
    /* A terminal whose last user is gone says EIO. */
    if (count == 0 || errno == EIO)
        side_ended(stream, side);
    else
        stream_reset(stream);
    return false;
}

/* To the end at once: an empty pipe that others still hold open never becomes readable. */
static void drain(struct stream *stream)
{
    const uint32_t id = stream->id;
    for (int side = FROM_GUEST; side <= FROM_ERRORS; side++)
        while (stream_alive(id, stream) && stream->side[side].fd >= 0 && stream->credit > 0 && port_may_read())
            if (!read_side(stream, side))
                break;
    if (stream_alive(id, stream))
        flow_read_when_possible(stream);
}

void flow_resume(struct stream *stream)
{
    if (stream->exited && !stream->connecting)
        drain(stream);
    else
        flow_read_when_possible(stream);
}

static void readable(struct stream *stream, int side)
{
    if (stream->exited)
        drain(stream);
    else if (!(stream->credit > 0 && port_may_read()) || read_side(stream, side))
        flow_read_when_possible(stream);
}

static void on_output(struct watch *watch, uint32_t events)
{
    (void)events;
    readable(stream_owning(watch, FROM_GUEST), FROM_GUEST);
}

static void on_errors(struct watch *watch, uint32_t events)
{
    (void)events;
    readable(stream_owning(watch, FROM_ERRORS), FROM_ERRORS);
}

bool flow_take(struct stream *stream, size_t cost)
{
    if (cost > stream->allowed || stream->host_finished) {
        stream_reset(stream);
        return false;
    }
    stream->allowed -= (uint32_t)cost;
    return true;
}

static void grant_consumed(struct stream *stream)
{
    if (stream->consumed < CREDIT_STEP)
        return;
    port_send_u32(stream->id, WIRE_WINDOW_MORE, stream->consumed);
    stream->allowed += stream->consumed;
    stream->consumed = 0;
}

void flow_consumed(struct stream *stream, size_t cost)
{
    stream->consumed += (uint32_t)cost;
    grant_consumed(stream);
}

/* The host has finished and everything it sent is written. */
static void end_input(struct stream *stream)
{
    const char end_of_transmission = 4;
    int fd = stream->side[TO_GUEST].fd;
    if (stream->is_terminal && write(fd, &end_of_transmission, 1) < 0 && errno == EAGAIN) {
        loop_want(&stream->side[TO_GUEST], EPOLLOUT);
        return;
    }
    if (!is_process(stream))
        shutdown(fd, SHUT_WR);
    stream_close_side(stream, TO_GUEST);
    flow_finish_if_done(stream);
}

void flow_write_pending(struct stream *stream)
{
    struct watch *watch = &stream->side[TO_GUEST];
    while (watch->fd >= 0 && buffer_length(&stream->pending)) {
        ssize_t count = write(watch->fd, buffer_head(&stream->pending), buffer_length(&stream->pending));
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0 && errno == EAGAIN)
            break;
        if (count < 0 && !is_process(stream)) {
            stream_reset(stream);
            return;
        }
        if (count < 0) {
            /* The process does not read any more; that ends its input, not the process. */
            stream->consumed += (uint32_t)buffer_length(&stream->pending);
            buffer_clear(&stream->pending);
            stream_close_side(stream, TO_GUEST);
            break;
        }
        buffer_consume(&stream->pending, (size_t)count);
        stream->consumed += (uint32_t)count;
    }
    grant_consumed(stream);
    if (watch->fd < 0)
        return;
    bool waiting = buffer_length(&stream->pending) > 0;
    loop_want(watch, waiting ? EPOLLOUT : 0);
    if (!waiting && stream->host_finished)
        end_input(stream);
}

void flow_data(struct stream *stream, const uint8_t *payload, size_t length)
{
    if (!flow_take(stream, length))
        return;
    if (stream->side[TO_GUEST].fd < 0) {
        /* Nobody reads it any more; the host must not wait for credit either. */
        flow_consumed(stream, length);
        return;
    }
    buffer_append(&stream->pending, payload, length);
    if (!stream->connecting)
        flow_write_pending(stream);
}

static void on_writable(struct watch *watch, uint32_t events)
{
    (void)events;
    struct stream *stream = stream_owning(watch, TO_GUEST);
    if (stream->connecting)
        tcp_ready(stream);
    else
        flow_write_pending(stream);
}

void flow_start(struct stream *stream)
{
    stream->allowed = WIRE_WINDOW;
    stream->side[TO_GUEST] = (struct watch){.fd = -1, .ready = on_writable};
    stream->side[FROM_GUEST] = (struct watch){.fd = -1, .ready = on_output};
    stream->side[FROM_ERRORS] = (struct watch){.fd = -1, .ready = on_errors};
    stream->side[REPORT] = (struct watch){.fd = -1, .ready = exec_on_report};
}
