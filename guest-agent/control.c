#define _GNU_SOURCE
#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "app.h"
#include "buffer.h"
#include "disk.h"
#include "egress.h"
#include "freezer.h"
#include "port.h"
#include "process.h"
#include "sandbox.h"
#include "stream.h"
#include "wire.h"
#include "worker.h"

#ifndef AGENT_BUILD
#error "AGENT_BUILD is set by the Makefile"
#endif

#define REPLY_HEAD 8
#define MAX_ENTROPY 512
#define MAX_PORTS 4096

static struct buffer app_fields;

void control_reply(uint32_t id, int error, const void *body, size_t length)
{
    uint8_t *place = port_reserve(REPLY_HEAD + length);
    put_u32(place, id);
    put_u32(place + 4, (uint32_t)error);
    if (length)
        memcpy(place + REPLY_HEAD, body, length);
    port_commit(0, WIRE_REPLY, REPLY_HEAD + length);
}

void control_introduce(void)
{
    egress_renew();
    uint8_t *place = port_reserve(APP_STATUS_BYTES + sizeof AGENT_BUILD - 1);
    app_describe(place);
    memcpy(place + APP_STATUS_BYTES, AGENT_BUILD, sizeof AGENT_BUILD - 1);
    port_commit(0, WIRE_INFO, APP_STATUS_BYTES + sizeof AGENT_BUILD - 1);
}

static int set_clock(const uint8_t *body, size_t length)
{
    if (length != 8)
        return EPROTO;
    /* The host's clock is the sandbox's. */
    if (in_sandbox())
        return 0;
    uint64_t nanoseconds = get_u64(body);
    struct timespec now = {.tv_sec = (time_t)(nanoseconds / 1000000000u), .tv_nsec = (long)(nanoseconds % 1000000000u)};
    return clock_settime(CLOCK_REALTIME, &now) ? errno : 0;
}

static int add_entropy(const uint8_t *body, size_t length)
{
    if (length == 0 || length > MAX_ENTROPY)
        return EPROTO;
    /* Its kernel takes every byte from the host's. */
    if (in_sandbox())
        return 0;
    union {
        struct rand_pool_info info;
        uint8_t space[sizeof(struct rand_pool_info) + MAX_ENTROPY];
    } pool;
    pool.info.entropy_count = (int)length * 8;
    pool.info.buf_size = (int)length;
    memcpy(pool.info.buf, body, length);
    int fd = open("/dev/urandom", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int error = ioctl(fd, RNDADDENTROPY, &pool.info) || ioctl(fd, RNDRESEEDCRNG) ? errno : 0;
    close(fd);
    return error;
}

static int write_back(void)
{
    sync();
    disk_trim();
    return 0;
}

static int write_back_and_drop(void)
{
    write_back();
    if (in_sandbox())
        return 0;
    int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int error = write(fd, "3", 1) == 1 ? 0 : errno;
    close(fd);
    return error;
}

/* Nothing else may wait for a slow disk. */
static void synchronise_disks(uint32_t id, const uint8_t *body, size_t length)
{
    if (length != 1)
        control_reply(id, EPROTO, NULL, 0);
    else
        worker_start(id, body[0] ? write_back_and_drop : write_back);
}

static uint64_t field_of(const char *file, const char *name)
{
    char line[256];
    unsigned long long value = 0;
    FILE *stream = fopen(file, "re");
    if (!stream)
        return 0;
    size_t length = strlen(name);
    while (fgets(line, sizeof line, stream))
        if (strncmp(line, name, length) == 0) {
            value = strtoull(line + length, NULL, 10);
            break;
        }
    fclose(stream);
    return value;
}

/* Milliseconds of CPU time, idle and waiting left out. */
static uint64_t busy_milliseconds(void)
{
    unsigned long long user = 0, nice = 0, system = 0;
    FILE *stream = fopen("/proc/stat", "re");
    if (!stream)
        return 0;
    if (fscanf(stream, "cpu %llu %llu %llu", &user, &nice, &system) != 3)
        user = nice = system = 0;
    fclose(stream);
    return (user + nice + system) * 1000 / (uint64_t)sysconf(_SC_CLK_TCK);
}

static void send_stats(uint32_t id)
{
    struct timespec up = {0};
    clock_gettime(CLOCK_BOOTTIME, &up);
    uint8_t body[32];
    put_u64(body, field_of("/proc/meminfo", "MemTotal:") * 1024);
    put_u64(body + 8, field_of("/proc/meminfo", "MemAvailable:") * 1024);
    put_u64(body + 16, busy_milliseconds());
    put_u64(body + 24, (uint64_t)up.tv_sec * 1000 + (uint64_t)up.tv_nsec / 1000000);
    control_reply(id, 0, body, sizeof body);
}

static size_t listening_in(const char *file, uint8_t *ports, size_t count)
{
    enum { LISTEN = 0x0a };
    char line[512];
    FILE *stream = fopen(file, "re");
    if (!stream)
        return count;
    while (count < MAX_PORTS && fgets(line, sizeof line, stream)) {
        char address[33];
        unsigned port, state;
        if (sscanf(line, " %*u: %32[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x", address, &port, &state) != 3 || state != LISTEN)
            continue;
        if (port != EGRESS_PORT || strcmp(address, EGRESS_ADDRESS_IN_PROC) != 0)
            put_u16(ports + 2 * count++, (uint16_t)port);
    }
    fclose(stream);
    return count;
}

static void send_listening(uint32_t id)
{
    static uint8_t ports[2 * MAX_PORTS];
    size_t count = listening_in("/proc/net/tcp", ports, 0);
    count = listening_in("/proc/net/tcp6", ports, count);
    control_reply(id, 0, ports, 2 * count);
}

static int add_app_fields(const uint8_t *body, size_t length)
{
    if (buffer_length(&app_fields) + length > WIRE_MAX_DESCRIPTION)
        return E2BIG;
    buffer_append(&app_fields, body, length);
    return 0;
}

void control_request(const uint8_t *payload, size_t length)
{
    if (length < 5)
        return;
    uint32_t id = get_u32(payload);
    const uint8_t *body = payload + 5;
    size_t size = length - 5;
    uint8_t status[APP_STATUS_BYTES];
    switch (payload[4]) {
    case OP_START_APP:
        control_reply(id, app_start(buffer_head(&app_fields), buffer_length(&app_fields)), NULL, 0);
        buffer_free(&app_fields);
        return;
    case OP_EXEC_FIELDS:
        control_reply(id, exec_add_fields(body, size), NULL, 0);
        return;
    case OP_APP_FIELDS:
        control_reply(id, add_app_fields(body, size), NULL, 0);
        return;
    case OP_APP_STATUS:
        app_describe(status);
        control_reply(id, 0, status, sizeof status);
        return;
    case OP_SET_CLOCK:
        control_reply(id, set_clock(body, size), NULL, 0);
        return;
    case OP_ADD_ENTROPY:
        control_reply(id, add_entropy(body, size), NULL, 0);
        return;
    case OP_SET_IDENTITY:
        control_reply(id, process_set_identity(body, size), NULL, 0);
        return;
    case OP_FREEZE:
        control_reply(id, size == 1 ? freezer_set(body[0]) : EPROTO, NULL, 0);
        return;
    case OP_SYNC:
        synchronise_disks(id, body, size);
        return;
    case OP_STATS:
        send_stats(id);
        return;
    case OP_LISTENING:
        send_listening(id);
        return;
    case OP_QUIESCE:
        streams_reset_all();
        control_reply(id, freezer_set(true), NULL, 0);
        port_end_session();
        return;
    default:
        control_reply(id, ENOSYS, NULL, 0);
    }
}
