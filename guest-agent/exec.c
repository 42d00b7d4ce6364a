#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "buffer.h"
#include "port.h"
#include "process.h"
#include "stream-parts.h"
#include "stream.h"
#include "wire.h"

/* What was sent of the next process's description before its opening. */
static struct buffer pending;

int exec_add_fields(const uint8_t *fields, size_t length)
{
    if (buffer_length(&pending) + length > WIRE_MAX_DESCRIPTION) {
        buffer_free(&pending);
        return E2BIG;
    }
    buffer_append(&pending, fields, length);
    return 0;
}

void exec_forget_fields(void) { buffer_free(&pending); }

void exec_open(struct stream *stream, const uint8_t *fields, size_t length)
{
    struct process_io io;
    int error = exec_add_fields(fields, length);
    if (!error)
        error = process_exec(buffer_head(&pending), buffer_length(&pending), &io);
    buffer_free(&pending);
    if (error) {
        stream_fail(stream, error);
        return;
    }
    stream->is_terminal = io.terminal;
    stream->pid = io.pid;
    stream->detached = io.detached;
    stream->side[TO_GUEST].fd = io.input;
    stream->side[FROM_GUEST].fd = io.output;
    stream->side[FROM_ERRORS].fd = io.errors;
    stream->side[REPORT].fd = io.report;
    stream->connecting = true;
    loop_want(&stream->side[REPORT], EPOLLIN);
}

static void flow_on(struct stream *stream)
{
    if (!flow_finish_if_done(stream))
        flow_resume(stream);
}

/* Closed without a word by a successful exec. */
void exec_on_report(struct watch *watch, uint32_t events)
{
    (void)events;
    int failure = 0;
    struct stream *stream = stream_owning(watch, REPORT);
    ssize_t count = read(watch->fd, &failure, sizeof failure);
    if (count < 0)
        return;
    if (count > 0) {
        stream_fail(stream, failure);
        return;
    }
    const uint32_t id = stream->id;
    stream_close_side(stream, REPORT);
    stream->connecting = false;
    port_send_u32(id, WIRE_OPENED, WIRE_WINDOW);
    if (stream->detached) {
        stream->status = 0;
        exec_send_exit(stream);
        stream_destroy(stream);
        return;
    }
    if (!stream->exited)
        flow_write_pending(stream);
    if (stream_alive(id, stream))
        flow_on(stream);
}

void exec_send_exit(struct stream *stream)
{
    uint8_t payload[8];
    int killed = WIFSIGNALED(stream->status) ? WTERMSIG(stream->status) : 0;
    put_u32(payload, killed ? 128u + (uint32_t)killed : (uint32_t)WEXITSTATUS(stream->status));
    put_u32(payload + 4, (uint32_t)killed);
    port_send(stream->id, WIRE_EXIT, payload, sizeof payload);
}

void exec_hang_up(struct stream *stream)
{
    if (!stream->detached)
        exec_signal(stream, SIGHUP);
}

void exec_resize(struct stream *stream, const uint8_t *payload)
{
    struct winsize size = {.ws_col = get_u16(payload), .ws_row = get_u16(payload + 2)};
    if (stream->side[FROM_GUEST].fd >= 0)
        ioctl(stream->side[FROM_GUEST].fd, TIOCSWINSZ, &size);
}

void exec_signal(struct stream *stream, int number)
{
    if (stream->exited || stream->pid <= 0)
        return;
    /* One that has just been started is no group yet. */
    if (kill(-stream->pid, number))
        kill(stream->pid, number);
}

bool streams_child_ended(pid_t pid, int status)
{
    struct stream *stream = stream_of_process(pid);
    if (!stream)
        return false;
    stream->exited = true;
    stream->status = status;
    stream_close_side(stream, TO_GUEST);
    /* Its report is still to be read. */
    if (!stream->connecting)
        flow_on(stream);
    return true;
}
