#define _GNU_SOURCE
#include "app.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "buffer.h"
#include "loop.h"
#include "port.h"
#include "process.h"
#include "wire.h"

/* Output kept while no host listens; the oldest goes first. While one does, the application waits for it instead. */
#define KEPT_BYTES (256 * 1024)
/* Room for what its pipes hold when it ends. */
#define LAST_WORDS_BYTES (128 * 1024)
#define READ_BYTES 16384
/* length u16, source u8 */
#define ENTRY_BYTES 3

static void on_stdout(struct watch *watch, uint32_t events);
static void on_stderr(struct watch *watch, uint32_t events);

static struct watch outputs[2] = {{.fd = -1, .ready = on_stdout}, {.fd = -1, .ready = on_stderr}};
static struct buffer kept;
/* Bytes that the next host is to be told of as missing. */
static uint64_t lost;
static enum { NOT_STARTED, RUNNING, EXITED } state;
static pid_t pid;
static int status, verdict = -1;

static void stop_reading(uint8_t source)
{
    loop_forget(&outputs[source]);
    close(outputs[source].fd);
    outputs[source].fd = -1;
}

pid_t app_pid(void) { return state == RUNNING ? pid : 0; }

int app_start(const uint8_t *fields, size_t length)
{
    const bool ended_well = state == EXITED && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (state != NOT_STARTED && !ended_well)
        return EALREADY;
    struct process_io io;
    int error = process_start_app(fields, length, &io);
    if (error)
        return error;
    /* What an application before it has left behind may hold its output open. */
    for (uint8_t source = 0; source < 2; source++)
        if (outputs[source].fd >= 0)
            stop_reading(source);
    state = RUNNING;
    pid = io.pid;
    verdict = io.verdict;
    outputs[0].fd = io.output;
    outputs[1].fd = io.errors;
    loop_want(&outputs[0], EPOLLIN);
    loop_want(&outputs[1], EPOLLIN);
    return 0;
}

void app_describe(uint8_t out[APP_STATUS_BYTES])
{
    int killed = state == EXITED && WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    int code = state != EXITED ? 0 : killed ? 128 + killed : WEXITSTATUS(status);
    out[0] = (uint8_t)state;
    put_u32(out + 1, (uint32_t)code);
    put_u32(out + 5, (uint32_t)killed);
}

static void read_as_far_as_kept(void)
{
    const bool room = !port_synchronised() || buffer_length(&kept) + READ_BYTES <= KEPT_BYTES - LAST_WORDS_BYTES;
    for (uint8_t source = 0; source < 2; source++)
        if (outputs[source].fd >= 0)
            loop_want(&outputs[source], room ? EPOLLIN : 0);
}

/* A line of its own among the application's, on standard error. */
static void tell_lost(void)
{
    char line[64] = {1};
    int length = snprintf(line + 1, sizeof line - 1, "[%" PRIu64 " bytes of output dropped]\n", lost);
    port_send(0, WIRE_LOG, line, 1 + (size_t)length);
    lost = 0;
}

void app_send_logs(void)
{
    if (lost && port_has_room())
        tell_lost();
    while (buffer_length(&kept) > 0 && port_has_room()) {
        const uint8_t *head = buffer_head(&kept);
        size_t length = get_u16(head);
        port_send(0, WIRE_LOG, head + 2, 1 + length);
        buffer_consume(&kept, ENTRY_BYTES + length);
    }
    read_as_far_as_kept();
}

static void keep(uint8_t source, const uint8_t *bytes, size_t length)
{
    while (buffer_length(&kept) + ENTRY_BYTES + length > KEPT_BYTES) {
        const size_t oldest = get_u16(buffer_head(&kept));
        buffer_consume(&kept, ENTRY_BYTES + oldest);
        lost += oldest;
    }
    uint8_t entry[ENTRY_BYTES];
    put_u16(entry, (uint16_t)length);
    entry[2] = source;
    buffer_append(&kept, entry, sizeof entry);
    buffer_append(&kept, bytes, length);
    app_send_logs();
}

/* True while there may be more. */
static int take(uint8_t source)
{
    uint8_t bytes[READ_BYTES];
    ssize_t count = read(outputs[source].fd, bytes, sizeof bytes);
    if (count > 0) {
        keep(source, bytes, (size_t)count);
        return 1;
    }
    if (count < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    stop_reading(source);
    return 0;
}

static void on_stdout(struct watch *watch, uint32_t events)
{
    (void)watch, (void)events;
    take(0);
}

static void on_stderr(struct watch *watch, uint32_t events)
{
    (void)watch, (void)events;
    take(1);
}

int app_child_ended(pid_t ended, int how)
{
    if (state != RUNNING || ended != pid)
        return 0;
    /* Its last words before the news of its end. */
    for (uint8_t source = 0; source < 2; source++)
        while (outputs[source].fd >= 0 && take(source))
            ;
    state = EXITED;
    /* Process 1 of a namespace cannot end as its application did; where it says nothing it has been killed itself. */
    if (read(verdict, &status, sizeof status) != (ssize_t)sizeof status)
        status = how;
    close(verdict);
    uint8_t description[APP_STATUS_BYTES];
    app_describe(description);
    port_send(0, WIRE_APP_EXIT, description, sizeof description);
    return 1;
}
