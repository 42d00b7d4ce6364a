#define _GNU_SOURCE
#include "port.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "app.h"
#include "buffer.h"
#include "control.h"
#include "log.h"
#include "loop.h"
#include "stream.h"
#include "wire.h"

#define READ_BYTES (64 * 1024)
/* Above this nothing more is read on behalf of the host; answers to requests still fit. */
#define OUTGOING_LIMIT (256 * 1024)
/* One write becomes one buffer of the device, which takes no more. */
#define WRITE_BYTES (32 * 1024)

static void on_ready(struct watch *watch, uint32_t events);
static void on_room(struct watch *watch, uint32_t events);

static struct watch port = {.fd = -1, .ready = on_ready};
/* Where the two directions have a descriptor each. */
static struct watch way_out = {.fd = -1, .ready = on_room};
static struct buffer incoming, outgoing;
static bool synchronised, ending;
/* At least one stream was not read from for want of room. */
static bool streams_wait;
static uint32_t session;
/* A session began while what is ready now is being handled. */
static bool greeted;
static void (*closed)(void);

void port_attach(int in, int out, void (*on_closed)(void))
{
    port.fd = in;
    closed = on_closed;
    /* Edge-triggered: without a host the device reports a hang-up for ever. */
    loop_want(&port, EPOLLIN | EPOLLOUT | EPOLLET);
    if (out == in)
        return;
    way_out.fd = out;
    loop_want(&way_out, EPOLLOUT | EPOLLET);
}

static int outgoing_fd(void) { return way_out.fd >= 0 ? way_out.fd : port.fd; }

bool port_synchronised(void) { return synchronised; }
uint32_t port_session(void) { return session; }
bool port_has_room(void) { return synchronised && buffer_length(&outgoing) < OUTGOING_LIMIT; }

bool port_may_read(void)
{
    if (port_has_room())
        return true;
    streams_wait = true;
    return false;
}

static void end_streams(void)
{
    if (synchronised)
        streams_reset_all();
    synchronised = ending = false;
    buffer_clear(&outgoing);
}

static void lose_session(void)
{
    end_streams();
    buffer_clear(&incoming);
}

uint8_t *port_reserve(size_t length) { return buffer_room(&outgoing, WIRE_HEADER_BYTES + length) + WIRE_HEADER_BYTES; }

void port_commit(uint32_t stream, uint8_t type, size_t length)
{
    if (!synchronised)
        return;
    uint8_t *header = buffer_room(&outgoing, WIRE_HEADER_BYTES + length);
    put_u32(header, stream);
    put_u16(header + 4, (uint16_t)length);
    header[6] = type;
    header[7] = 0;
    buffer_added(&outgoing, WIRE_HEADER_BYTES + length);
}

void port_send(uint32_t stream, uint8_t type, const void *payload, size_t length)
{
    if (!synchronised)
        return;
    uint8_t *place = port_reserve(length);
    if (length)
        memcpy(place, payload, length);
    port_commit(stream, type, length);
}

void port_send_u32(uint32_t stream, uint8_t type, uint32_t value)
{
    uint8_t payload[4];
    put_u32(payload, value);
    port_send(stream, type, payload, sizeof payload);
}

void port_end_session(void) { ending = true; }

void port_flush(void)
{
    while (port.fd >= 0 && buffer_length(&outgoing) > 0) {
        size_t length = buffer_length(&outgoing);
        ssize_t written = write(outgoing_fd(), buffer_head(&outgoing), length < WRITE_BYTES ? length : WRITE_BYTES);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            break;
        buffer_consume(&outgoing, (size_t)written);
    }
    if (ending && !buffer_length(&outgoing))
        lose_session();
    if (streams_wait && port_has_room()) {
        streams_wait = false;
        streams_resume();
    }
}

static void handle_frame(uint32_t stream, uint8_t type, const uint8_t *payload, size_t length)
{
    if (stream != 0)
        stream_frame(stream, type, payload, length);
    else if (type == WIRE_REQUEST)
        control_request(payload, length);
}

/* Handles whole frames at the front; false when the host does not keep to the protocol. */
static bool handle_frames(void)
{
    while (synchronised && !ending && buffer_length(&incoming) >= WIRE_HEADER_BYTES) {
        const uint8_t *head = buffer_head(&incoming);
        size_t length = get_u16(head + 4);
        if (length > WIRE_MAX_PAYLOAD || head[7] != 0)
            return false;
        if (buffer_length(&incoming) < WIRE_HEADER_BYTES + length)
            break;
        handle_frame(get_u32(head), head[6], head + WIRE_HEADER_BYTES, length);
        buffer_consume(&incoming, WIRE_HEADER_BYTES + length);
    }
    return true;
}

/* Looks for a host's greeting in what came; everything before it belongs to a session that is over. */
static void synchronise(void)
{
    const uint8_t *head = buffer_head(&incoming);
    size_t length = buffer_length(&incoming);
    const uint8_t *found = length ? memmem(head, length, WIRE_HOST_MAGIC, WIRE_MAGIC_BYTES) : NULL;
    if (!found) {
        size_t keep = length < WIRE_MAGIC_BYTES - 1 ? length : WIRE_MAGIC_BYTES - 1;
        buffer_consume(&incoming, length - keep);
        return;
    }
    buffer_consume(&incoming, (size_t)(found - head));
    if (buffer_length(&incoming) < WIRE_HELLO_BYTES)
        return;
    uint8_t answer[WIRE_HELLO_BYTES];
    memcpy(answer, WIRE_GUEST_MAGIC, WIRE_MAGIC_BYTES);
    put_u32(answer + WIRE_MAGIC_BYTES, WIRE_VERSION);
    memcpy(answer + WIRE_MAGIC_BYTES + 4, buffer_head(&incoming) + WIRE_MAGIC_BYTES + 4, WIRE_NONCE_BYTES);
    buffer_consume(&incoming, WIRE_HELLO_BYTES);
    buffer_clear(&outgoing);
    buffer_append(&outgoing, answer, sizeof answer);
    synchronised = greeted = true;
    session++;
    ending = false;
    control_introduce();
    app_send_logs();
}

static void take(void)
{
    for (;;) {
        if (!synchronised)
            synchronise();
        if (handle_frames())
            return;
        /* A greeting is no frame either: a new host may be there without the old one's hang-up having been seen. */
        end_streams();
    }
}

static void on_ready(struct watch *watch, uint32_t events)
{
    (void)events;
    greeted = false;
    for (;;) {
        uint8_t *place = buffer_room(&incoming, READ_BYTES);
        ssize_t count = read(watch->fd, place, READ_BYTES);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0 && errno == EAGAIN)
            break;
        /* News of an earlier host's end may come after the greeting of the next, which must not be lost for it. */
        if (count == 0 && greeted && !closed)
            break;
        if (count <= 0) {
            lose_session();
            if (closed) {
                loop_forget(watch);
                close(watch->fd);
                watch->fd = -1;
                closed();
            }
            break;
        }
        buffer_added(&incoming, (size_t)count);
        take();
        if (buffer_length(&outgoing) >= OUTGOING_LIMIT)
            port_flush();
    }
    port_flush();
    if (port_has_room())
        app_send_logs();
}

static void on_room(struct watch *watch, uint32_t events)
{
    (void)watch, (void)events;
    port_flush();
    if (port_has_room())
        app_send_logs();
}
