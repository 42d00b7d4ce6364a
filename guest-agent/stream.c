#define _GNU_SOURCE
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "buffer.h"
#include "egress.h"
#include "loop.h"
#include "port.h"
#include "process.h"
#include "wire.h"

/* Streams the host opened have odd ids, those the guest offered even ones; neither kind can crowd out the other. */
static const unsigned limits[2] = {512, 1024};
#define BUCKETS 256
#define CREDIT_STEP (WIRE_WINDOW / 4)

/* Each direction has a descriptor of its own, and so a watch. */
enum { TO_GUEST, FROM_GUEST, FROM_ERRORS, SIDES };

struct stream {
    struct stream *next;
    uint32_t id;
    struct watch side[SIDES]; /* fd -1 when absent or finished */
    struct buffer pending;    /* from the host, not yet written */
    uint32_t credit;          /* bytes the host still takes */
    uint32_t allowed;         /* bytes the host may still send */
    uint32_t consumed;        /* bytes written since the host was last told */
    uint16_t tcp_port;
    bool connecting, tried_ipv6, host_finished, guest_finished;
    bool offered; /* the host has not answered yet */
    bool is_process, is_terminal, exited;
    pid_t pid;
    int status;
};

static struct stream *buckets[BUCKETS];
static unsigned counts[2];

static struct stream **find(uint32_t id)
{
    struct stream **link = &buckets[id % BUCKETS];
    while (*link && (*link)->id != id)
        link = &(*link)->next;
    return link;
}

static struct stream *owner_of(struct watch *watch, int side)
{
    return (struct stream *)(void *)((char *)(watch - side) - offsetof(struct stream, side));
}

static void close_side(struct stream *stream, int side)
{
    struct watch *watch = &stream->side[side];
    if (watch->fd < 0)
        return;
    loop_forget(watch);
    close(watch->fd);
    watch->fd = -1;
}

static void destroy(struct stream *stream)
{
    struct stream **link = find(stream->id);
    *link = stream->next;
    counts[stream->id % 2]--;
    if (stream->is_process && !stream->exited && stream->pid > 0)
        kill(-stream->pid, SIGHUP);
    for (int side = 0; side < SIDES; side++)
        close_side(stream, side);
    buffer_free(&stream->pending);
    free(stream);
}

static void reset(struct stream *stream)
{
    port_send(stream->id, WIRE_RESET, NULL, 0);
    destroy(stream);
}

static void fail(struct stream *stream, int error)
{
    port_send_u32(stream->id, WIRE_FAILED, (uint32_t)error);
    destroy(stream);
}

static void read_when_possible(struct stream *stream)
{
    for (int side = FROM_GUEST; side < SIDES; side++)
        if (stream->side[side].fd >= 0)
            loop_want(&stream->side[side], stream->credit > 0 && port_has_room() ? EPOLLIN : 0);
}

static void send_exit(struct stream *stream)
{
    uint8_t payload[8];
    int killed = WIFSIGNALED(stream->status) ? WTERMSIG(stream->status) : 0;
    put_u32(payload, killed ? 128u + (uint32_t)killed : (uint32_t)WEXITSTATUS(stream->status));
    put_u32(payload + 4, (uint32_t)killed);
    port_send(stream->id, WIRE_EXIT, payload, sizeof payload);
}

/* Once all is said both ways the stream is gone, on both ends alike. */
static bool finish_if_done(struct stream *stream)
{
    bool drained = stream->side[FROM_GUEST].fd < 0 && stream->side[FROM_ERRORS].fd < 0;
    bool done = stream->is_process
                    ? stream->exited && drained
                    : stream->guest_finished && stream->host_finished && !buffer_length(&stream->pending);
    if (!done)
        return false;
    if (stream->is_process)
        send_exit(stream);
    destroy(stream);
    return true;
}

static void side_ended(struct stream *stream, int side)
{
    close_side(stream, side);
    if (!stream->is_process) {
        stream->guest_finished = true;
        port_send(stream->id, WIRE_EOF, NULL, 0);
    }
    finish_if_done(stream);
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
        reset(stream);
    return false;
}

/* Takes what an ended process left; an empty pipe that others still hold open never becomes readable. */
static void drain(struct stream *stream)
{
    const uint32_t id = stream->id;
    for (int side = FROM_GUEST; side < SIDES; side++)
        while (*find(id) == stream && stream->side[side].fd >= 0 && stream->credit > 0 && port_has_room())
            if (!read_side(stream, side))
                break;
    if (*find(id) == stream)
        read_when_possible(stream);
}

static void readable(struct stream *stream, int side)
{
    if (stream->credit > 0 && port_has_room() && !read_side(stream, side))
        return;
    read_when_possible(stream);
}

static void on_output(struct watch *watch, uint32_t events)
{
    (void)events;
    readable(owner_of(watch, FROM_GUEST), FROM_GUEST);
}

static void on_errors(struct watch *watch, uint32_t events)
{
    (void)events;
    readable(owner_of(watch, FROM_ERRORS), FROM_ERRORS);
}

static void grant_consumed(struct stream *stream)
{
    if (stream->consumed < CREDIT_STEP)
        return;
    port_send_u32(stream->id, WIRE_WINDOW_MORE, stream->consumed);
    stream->allowed += stream->consumed;
    stream->consumed = 0;
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
    if (!stream->is_process)
        shutdown(fd, SHUT_WR);
    close_side(stream, TO_GUEST);
    finish_if_done(stream);
}

/* Writes what the host sent. The stream may be gone afterwards. */
static void write_pending(struct stream *stream)
{
    struct watch *watch = &stream->side[TO_GUEST];
    while (watch->fd >= 0 && buffer_length(&stream->pending)) {
        ssize_t count = write(watch->fd, buffer_head(&stream->pending), buffer_length(&stream->pending));
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0 && errno == EAGAIN)
            break;
        if (count < 0 && !stream->is_process) {
            reset(stream);
            return;
        }
        if (count < 0) {
            /* The process does not read any more; that ends its input, not the process. */
            stream->consumed += (uint32_t)buffer_length(&stream->pending);
            buffer_clear(&stream->pending);
            close_side(stream, TO_GUEST);
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

static void tcp_connect(struct stream *stream)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(stream->tcp_port)};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(stream->tcp_port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const struct sockaddr *address = stream->tried_ipv6 ? (const void *)&v6 : (const void *)&v4;
    socklen_t size = stream->tried_ipv6 ? sizeof v6 : sizeof v4;
    int one = 1, fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    stream->side[TO_GUEST].fd = fd;
    if (fd >= 0 && (connect(fd, address, size) == 0 || errno == EINPROGRESS)) {
        stream->connecting = true;
        loop_want(&stream->side[TO_GUEST], EPOLLOUT);
        return;
    }
    int error = errno;
    close_side(stream, TO_GUEST);
    if (error == ECONNREFUSED && !stream->tried_ipv6) {
        stream->tried_ipv6 = true;
        tcp_connect(stream);
        return;
    }
    /* In a guest without IPv6 the first answer stands. */
    fail(stream, stream->tried_ipv6 ? ECONNREFUSED : error);
}

static void tcp_connected(struct stream *stream)
{
    int error = 0, fd = stream->side[TO_GUEST].fd;
    socklen_t size = sizeof error;
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    stream->connecting = false;
    if (error == ECONNREFUSED && !stream->tried_ipv6) {
        close_side(stream, TO_GUEST);
        stream->tried_ipv6 = true;
        tcp_connect(stream);
        return;
    }
    if (!error && (stream->side[FROM_GUEST].fd = fcntl(fd, F_DUPFD_CLOEXEC, 0)) < 0)
        error = errno;
    if (error) {
        fail(stream, error);
        return;
    }
    port_send_u32(stream->id, WIRE_OPENED, WIRE_WINDOW);
    read_when_possible(stream);
    write_pending(stream);
}

static void on_writable(struct watch *watch, uint32_t events)
{
    (void)events;
    struct stream *stream = owner_of(watch, TO_GUEST);
    if (stream->connecting)
        tcp_connected(stream);
    else
        write_pending(stream);
}

static void open_process(struct stream *stream, const uint8_t *fields, size_t length)
{
    struct process_io io;
    int error = process_exec(fields, length, &io);
    if (error) {
        fail(stream, error);
        return;
    }
    stream->is_process = true;
    stream->is_terminal = io.terminal;
    stream->pid = io.pid;
    stream->side[TO_GUEST].fd = io.input;
    stream->side[FROM_GUEST].fd = io.output;
    stream->side[FROM_ERRORS].fd = io.errors;
    port_send_u32(stream->id, WIRE_OPENED, WIRE_WINDOW);
    read_when_possible(stream);
}

static struct stream *add_stream(uint32_t id, uint32_t credit)
{
    struct stream *stream = counts[id % 2] < limits[id % 2] ? calloc(1, sizeof *stream) : NULL;
    if (!stream)
        return NULL;
    stream->id = id;
    stream->credit = credit;
    stream->allowed = WIRE_WINDOW;
    stream->side[TO_GUEST] = (struct watch){.fd = -1, .ready = on_writable};
    stream->side[FROM_GUEST] = (struct watch){.fd = -1, .ready = on_output};
    stream->side[FROM_ERRORS] = (struct watch){.fd = -1, .ready = on_errors};
    stream->next = buckets[id % BUCKETS];
    buckets[id % BUCKETS] = stream;
    counts[id % 2]++;
    return stream;
}

static void open_stream(uint32_t id, const uint8_t *payload, size_t length)
{
    struct stream *stream = length < 5 ? NULL : add_stream(id, get_u32(payload + 1));
    if (!stream) {
        port_send_u32(id, WIRE_FAILED, length < 5 ? EPROTO : EMFILE);
    } else if (payload[0] == WIRE_KIND_TCP && length == 7) {
        stream->tcp_port = get_u16(payload + 5);
        tcp_connect(stream);
    } else if (payload[0] == WIRE_KIND_EXEC) {
        open_process(stream, payload + 5, length - 5);
    } else {
        fail(stream, EPROTO);
    }
}

static void take_data(struct stream *stream, const uint8_t *payload, size_t length)
{
    if (length > stream->allowed || stream->host_finished) {
        reset(stream);
        return;
    }
    stream->allowed -= (uint32_t)length;
    if (stream->side[TO_GUEST].fd < 0) {
        /* Nobody reads it any more; the host must not wait for credit either. */
        stream->consumed += (uint32_t)length;
        grant_consumed(stream);
        return;
    }
    buffer_append(&stream->pending, payload, length);
    if (!stream->connecting)
        write_pending(stream);
}

static void abort_stream(struct stream *stream)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    /* Either may be gone already; the socket behind both is one. */
    for (int side = TO_GUEST; side <= FROM_GUEST; side++)
        if (!stream->is_process && stream->side[side].fd >= 0)
            setsockopt(stream->side[side].fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    destroy(stream);
}

static void grant(struct stream *stream, uint32_t more)
{
    if (more > UINT32_MAX - stream->credit) {
        reset(stream);
        return;
    }
    stream->credit += more;
    if (stream->exited)
        drain(stream);
    else
        read_when_possible(stream);
}

bool stream_may_offer(void) { return counts[0] < limits[0]; }

uint32_t stream_next_id(void)
{
    static uint32_t last;
    do
        last += 2;
    while (last == 0 || *find(last));
    return last;
}

bool stream_offer(int fd, const uint8_t *destination, size_t length)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    struct stream *stream = copy < 0 ? NULL : add_stream(stream_next_id(), 0);
    if (!stream) {
        if (copy >= 0)
            close(copy);
        return false;
    }
    stream->offered = true;
    stream->side[TO_GUEST].fd = copy;
    stream->side[FROM_GUEST].fd = fd;
    uint8_t *payload = port_reserve(5 + length);
    payload[0] = WIRE_KIND_EGRESS_TCP;
    put_u32(payload + 1, WIRE_WINDOW);
    memcpy(payload + 5, destination, length);
    port_commit(stream->id, WIRE_OPEN, 5 + length);
    return true;
}

static void take_answer(struct stream *stream, uint8_t type, const uint8_t *payload, size_t length)
{
    if (type != WIRE_OPENED || length != 4) {
        abort_stream(stream);
        return;
    }
    stream->offered = false;
    stream->credit = get_u32(payload);
    read_when_possible(stream);
}

void stream_frame(uint32_t id, uint8_t type, const uint8_t *payload, size_t length)
{
    struct stream *stream = *find(id);
    /* The host may not yet know that a stream is gone. */
    if (!stream) {
        if (id % 2 == 0)
            egress_answer(id, type, payload, length);
        else if (type == WIRE_OPEN)
            open_stream(id, payload, length);
        return;
    }
    if (stream->offered) {
        take_answer(stream, type, payload, length);
    } else if (type == WIRE_DATA) {
        take_data(stream, payload, length);
    } else if (type == WIRE_WINDOW_MORE && length == 4) {
        grant(stream, get_u32(payload));
    } else if (type == WIRE_EOF) {
        stream->host_finished = true;
        if (!stream->connecting)
            write_pending(stream);
    } else if (type == WIRE_RESET) {
        abort_stream(stream);
    } else if (type == WIRE_RESIZE && length == 4 && stream->is_terminal) {
        struct winsize size = {.ws_col = get_u16(payload), .ws_row = get_u16(payload + 2)};
        if (stream->side[FROM_GUEST].fd >= 0)
            ioctl(stream->side[FROM_GUEST].fd, TIOCSWINSZ, &size);
    } else if (type == WIRE_SIGNAL && length == 4 && stream->is_process) {
        if (!stream->exited)
            kill(-stream->pid, (int)get_u32(payload));
    } else {
        reset(stream);
    }
}

void streams_reset_all(void)
{
    for (int i = 0; i < BUCKETS; i++)
        while (buckets[i])
            abort_stream(buckets[i]);
}

void streams_resume(void)
{
    for (int i = 0; i < BUCKETS; i++)
        for (struct stream *stream = buckets[i]; stream; stream = stream->next)
            read_when_possible(stream);
}

int streams_child_ended(pid_t pid, int status)
{
    for (int i = 0; i < BUCKETS; i++)
        for (struct stream *stream = buckets[i]; stream; stream = stream->next) {
            if (!stream->is_process || stream->pid != pid)
                continue;
            stream->exited = true;
            stream->status = status;
            close_side(stream, TO_GUEST);
            if (!finish_if_done(stream))
                drain(stream);
            return 1;
        }
    return 0;
}
