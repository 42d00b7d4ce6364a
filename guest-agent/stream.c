#define _GNU_SOURCE
#include "stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "egress.h"
#include "port.h"
#include "stream-parts.h"
#include "wire.h"

/* Streams the host opened have odd ids, those the guest offered even ones; neither kind can crowd out the other. */
static const unsigned limits[2] = {512, 1024};
#define BUCKETS 256

static struct stream *buckets[BUCKETS];
static unsigned counts[2];

static struct stream **find(uint32_t id)
{
    struct stream **link = &buckets[id % BUCKETS];
    while (*link && (*link)->id != id)
        link = &(*link)->next;
    return link;
}

bool stream_alive(uint32_t id, const struct stream *stream) { return *find(id) == stream; }

struct stream *stream_owning(struct watch *watch, int side)
{
    return (struct stream *)(void *)((char *)(watch - side) - offsetof(struct stream, side));
}

struct stream *stream_of_process(pid_t pid)
{
    for (int i = 0; i < BUCKETS; i++)
        for (struct stream *stream = buckets[i]; stream; stream = stream->next)
            if (stream->kind == WIRE_KIND_EXEC && stream->pid == pid)
                return stream;
    return NULL;
}

struct stream *stream_add(uint32_t id, uint8_t kind, uint32_t credit)
{
    struct stream *stream = counts[id % 2] < limits[id % 2] ? calloc(1, sizeof *stream) : NULL;
    if (!stream)
        return NULL;
    stream->id = id;
    stream->kind = kind;
    stream->credit = credit;
    flow_start(stream);
    stream->next = buckets[id % BUCKETS];
    buckets[id % BUCKETS] = stream;
    counts[id % 2]++;
    return stream;
}

void stream_close_side(struct stream *stream, int side)
{
    struct watch *watch = &stream->side[side];
    if (watch->fd < 0)
        return;
    loop_forget(watch);
    close(watch->fd);
    watch->fd = -1;
}

void stream_destroy(struct stream *stream)
{
    struct stream **link = find(stream->id);
    *link = stream->next;
    counts[stream->id % 2]--;
    if (stream->kind == WIRE_KIND_EXEC)
        exec_hang_up(stream);
    if (stream->kind == WIRE_KIND_UDP)
        datagram_closed(stream);
    for (int side = 0; side < SIDES; side++)
        stream_close_side(stream, side);
    buffer_free(&stream->pending);
    free(stream);
}

void stream_reset(struct stream *stream)
{
    port_send(stream->id, WIRE_RESET, NULL, 0);
    stream_destroy(stream);
}

void stream_fail(struct stream *stream, int error)
{
    port_send_u32(stream->id, WIRE_FAILED, (uint32_t)error);
    stream_destroy(stream);
}

void stream_abort(struct stream *stream)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    /* What the host has ended has been told so, and was whole: that it does not wait for the rest is no loss. */
    const bool ended = stream->kind == WIRE_KIND_TCP && stream->host_finished && !buffer_length(&stream->pending);
    /* Either may be gone already; the socket behind both is one. */
    for (int side = TO_GUEST; side <= FROM_GUEST; side++)
        if (!ended && stream->kind != WIRE_KIND_EXEC && stream->side[side].fd >= 0)
            setsockopt(stream->side[side].fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    stream_destroy(stream);
}

static void open_stream(uint32_t id, const uint8_t *payload, size_t length)
{
    const uint8_t kind = length < 5 ? 0 : payload[0];
    const bool known = kind == WIRE_KIND_EXEC || ((kind == WIRE_KIND_TCP || kind == WIRE_KIND_UDP) && length == 7);
    struct stream *stream = known ? stream_add(id, kind, get_u32(payload + 1)) : NULL;
    if (!stream)
        port_send_u32(id, WIRE_FAILED, known ? EMFILE : EPROTO);
    else if (kind == WIRE_KIND_TCP)
        tcp_open(stream, get_u16(payload + 5));
    else if (kind == WIRE_KIND_UDP)
        datagram_open(stream, get_u16(payload + 5));
    else
        exec_open(stream, payload + 5, length - 5);
}

static void grant(struct stream *stream, uint32_t more)
{
    if (more > UINT32_MAX - stream->credit) {
        stream_reset(stream);
        return;
    }
    stream->credit += more;
    flow_resume(stream);
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
    struct stream *stream = copy < 0 ? NULL : stream_add(stream_next_id(), WIRE_KIND_EGRESS_TCP, 0);
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
        stream_abort(stream);
        return;
    }
    stream->offered = false;
    stream->credit = get_u32(payload);
    flow_read_when_possible(stream);
}

static void take_frame(struct stream *stream, uint8_t type, const uint8_t *payload, size_t length)
{
    const bool is_process = stream->kind == WIRE_KIND_EXEC, is_datagrams = stream->kind == WIRE_KIND_UDP;
    if (is_datagrams && (type == WIRE_DATA || type == WIRE_DATA_PART)) {
        datagram_take(stream, payload, length, type == WIRE_DATA_PART);
    } else if (type == WIRE_DATA) {
        flow_data(stream, payload, length);
    } else if (type == WIRE_WINDOW_MORE && length == 4) {
        grant(stream, get_u32(payload));
    } else if (type == WIRE_EOF && !is_datagrams) {
        stream->host_finished = true;
        if (!stream->connecting)
            flow_write_pending(stream);
    } else if (type == WIRE_RESET) {
        stream_abort(stream);
    } else if (type == WIRE_RESIZE && length == 4 && stream->is_terminal) {
        exec_resize(stream, payload);
    } else if (type == WIRE_SIGNAL && length == 4 && is_process) {
        exec_signal(stream, (int)get_u32(payload));
    } else {
        stream_reset(stream);
    }
}

void stream_frame(uint32_t id, uint8_t type, const uint8_t *payload, size_t length)
{
    struct stream *stream = *find(id);
    if (stream && stream->offered)
        take_answer(stream, type, payload, length);
    else if (stream)
        take_frame(stream, type, payload, length);
    /* The host may not yet know that a stream is gone. */
    else if (id % 2 == 0)
        egress_answer(id, type, payload, length);
    else if (type == WIRE_OPEN)
        open_stream(id, payload, length);
}

void streams_reset_all(void)
{
    exec_forget_fields();
    for (int i = 0; i < BUCKETS; i++)
        while (buckets[i])
            stream_abort(buckets[i]);
}

void streams_resume(void)
{
    for (int i = 0; i < BUCKETS; i++)
        for (struct stream *stream = buckets[i], *next; stream; stream = next) {
            next = stream->next;
            flow_resume(stream);
        }
}
