#define _GNU_SOURCE
#include "guest.h"

#include "../../guest-agent/wire.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static const char ram_magic[8] = "FAKERAM";
static const char *const hook_names[6] = {"ready", "validate", "run", "resume", "suspend", "terminate"};
enum { MAX_STREAMS = 64, REQUEST_BYTES = 8192, INPUT_BYTES = 1 << 17, APP_PORT = 8080 };

struct stream {
    uint32_t id; /* 0: free */
    size_t used;
    char request[REQUEST_BYTES];
};

struct channel {
    struct guest *guest;
    int fd;
    int in_session;
    size_t used;
    unsigned char input[INPUT_BYTES];
    struct stream streams[MAX_STREAMS];
};

static uint64_t random_word(void)
{
    uint64_t word = 0;
    if (getrandom(&word, sizeof word, 0) != (ssize_t)sizeof word) abort();
    return word;
}

void guest_boot(struct guest *guest)
{
    *guest->ram = (struct ram){.identity = random_word()};
    memcpy(guest->ram->magic, ram_magic, sizeof ram_magic);
    for (int hook = 0; hook < 6; hook++) guest->ram->hook_status[hook] = 200;
}

uint64_t guest_registers(const struct guest *guest) { return guest->ram->count * 31 + guest->ram->app_state; }

static uint64_t read_count(int fd)
{
    uint64_t count = 0;
    if (fd < 0 || pread(fd, &count, sizeof count, COUNT_AT) != (ssize_t)sizeof count) return 0;
    return count;
}

/* The overlay holds what this machine wrote; before that, what the snapshot's disk holds. */
static uint64_t count_on_disk(struct guest *guest)
{
    uint64_t count = read_count(guest->disk);
    if (count == 0) count = read_count(guest->lower_disk);
    count++;
    if (pwrite(guest->disk, &count, sizeof count, COUNT_AT) != (ssize_t)sizeof count) return 0;
    return count;
}

static int send_all(int fd, const void *data, size_t length)
{
    for (const char *at = data; length > 0;) {
        ssize_t put = send(fd, at, length, MSG_NOSIGNAL);
        if (put < 0 && errno == EAGAIN) {
            struct pollfd ready = {.fd = fd, .events = POLLOUT};
            poll(&ready, 1, -1);
        } else if (put < 0 && errno != EINTR) {
            return 0;
        } else if (put > 0) {
            at += put;
            length -= (size_t)put;
        }
    }
    return 1;
}

static int send_frame(struct channel *channel, uint32_t stream, uint8_t type, const void *payload, size_t length)
{
    unsigned char frame[WIRE_HEADER_BYTES + WIRE_MAX_PAYLOAD];
    put_u32(frame, stream);
    put_u16(frame + 4, (uint16_t)length);
    frame[6] = type;
    frame[7] = 0;
    if (length > 0) memcpy(frame + WIRE_HEADER_BYTES, payload, length);
    return send_all(channel->fd, frame, WIRE_HEADER_BYTES + length);
}

static size_t app_status(const struct guest *guest, unsigned char *out)
{
    out[0] = (unsigned char)guest->ram->app_state;
    put_u32(out + 1, guest->ram->exit_code);
    put_u32(out + 5, 0);
    return 9;
}

static int reply(struct channel *channel, uint32_t id, uint32_t error, const void *body, size_t length)
{
    unsigned char payload[64];
    put_u32(payload, id);
    put_u32(payload + 4, error);
    if (length > 0) memcpy(payload + 8, body, length);
    return send_frame(channel, 0, WIRE_REPLY, payload, 8 + length);
}

static int on_request(struct channel *channel, const unsigned char *payload, size_t length)
{
    struct guest *guest = channel->guest;
    if (length < 5) return 0;
    uint32_t id = get_u32(payload);
    unsigned char body[32] = {0};
    switch (payload[4]) {
    case OP_START_APP:
        guest->ram->app_state = 1;
        return reply(channel, id, 0, NULL, 0);
    case OP_APP_STATUS:
        return reply(channel, id, 0, body, app_status(guest, body));
    case OP_SET_IDENTITY: {
        const size_t before = 5 + 2 * 16;
        if (length <= before) return reply(channel, id, EPROTO, NULL, 0);
        size_t named = length - before;
        if (named >= sizeof guest->ram->hostname) named = sizeof guest->ram->hostname - 1;
        memcpy(guest->ram->hostname, payload + before, named);
        guest->ram->hostname[named] = '\0';
        return reply(channel, id, 0, NULL, 0);
    }
    case OP_STATS:
        return reply(channel, id, 0, body, 32);
    case OP_LISTENING:
        put_u16(body, APP_PORT);
        return reply(channel, id, 0, body, guest->ram->app_state == 1 ? 2 : 0);
    case OP_FREEZE:
        guest->ram->frozen = length == 6 && payload[5];
        return reply(channel, id, 0, NULL, 0);
    case OP_QUIESCE:
        guest->ram->frozen = 1;
        reply(channel, id, 0, NULL, 0);
        channel->in_session = 0;
        return 1;
    case OP_SET_CLOCK:
    case OP_ADD_ENTROPY:
    case OP_SYNC:
    case OP_APP_FIELDS:
        return reply(channel, id, 0, NULL, 0);
    default:
        return reply(channel, id, ENOSYS, NULL, 0);
    }
}

static struct stream *find_stream(struct channel *channel, uint32_t id)
{
    for (int i = 0; i < MAX_STREAMS; i++)
        if (channel->streams[i].id == id) return &channel->streams[i];
    return NULL;
}

static int refuse(struct channel *channel, uint32_t id, uint32_t error)
{
    unsigned char payload[4];
    put_u32(payload, error);
    return send_frame(channel, id, WIRE_FAILED, payload, sizeof payload);
}

static int on_open(struct channel *channel, uint32_t id, const unsigned char *payload, size_t length)
{
    if (length < 5) return 0;
    if (payload[0] != WIRE_KIND_TCP || length != 7) return refuse(channel, id, ENOENT);
    struct stream *stream = find_stream(channel, 0);
    if (stream == NULL) return refuse(channel, id, EMFILE);
    if (get_u16(payload + 5) != APP_PORT || channel->guest->ram->app_state != 1)
        return refuse(channel, id, ECONNREFUSED);
    *stream = (struct stream){.id = id};
    unsigned char window[4];
    put_u32(window, WIRE_WINDOW);
    return send_frame(channel, id, WIRE_OPENED, window, sizeof window);
}

static int answer(struct channel *channel, uint32_t id, unsigned status, const char *body)
{
    char text[1024];
    int length = snprintf(text, sizeof text,
                          "HTTP/1.1 %u Answer\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n"
                          "connection: close\r\n\r\n%s",
                          status, strlen(body), body);
    return send_frame(channel, id, WIRE_DATA, text, (size_t)length) && send_frame(channel, id, WIRE_EOF, NULL, 0);
}

static int exit_app(struct channel *channel, uint32_t code)
{
    unsigned char status[9];
    channel->guest->ram->app_state = 2;
    channel->guest->ram->exit_code = code;
    return send_frame(channel, 0, WIRE_APP_EXIT, status, app_status(channel->guest, status));
}

/* GET / counts; POST …/runtime/v1/HOOK answers as told by an earlier GET /hook/HOOK/STATUS; GET /exit/CODE ends. */
static int on_http(struct channel *channel, struct stream *stream)
{
    struct ram *ram = channel->guest->ram;
    uint32_t id = stream->id;
    char name[32], body[512];
    unsigned number;
    if (ram->frozen) return 1;
    stream->id = 0;
    if (sscanf(stream->request, "POST /aws/lambda-microvms/runtime/v1/%31[a-z]", name) == 1) {
        for (int hook = 0; hook < 6; hook++) {
            if (strcmp(name, hook_names[hook]) != 0) continue;
            ram->hook_calls[hook]++;
            return answer(channel, id, ram->hook_status[hook], "");
        }
        return answer(channel, id, 404, "");
    }
    if (sscanf(stream->request, "GET /hook/%31[a-z]/%u", name, &number) == 2) {
        for (int hook = 0; hook < 6; hook++)
            if (strcmp(name, hook_names[hook]) == 0) ram->hook_status[hook] = number;
        return answer(channel, id, 200, "");
    }
    if (sscanf(stream->request, "GET /exit/%u", &number) == 1)
        return answer(channel, id, 200, "") && exit_app(channel, number);
    ram->count++;
    snprintf(body, sizeof body,
             "{\"memory\":%llu,\"disk\":%llu,\"random\":\"%llx\",\"instance\":\"%llx\",\"hostname\":\"%s\","
             "\"runs\":%u,\"resumes\":%u,\"suspends\":%u}",
             (unsigned long long)ram->count, (unsigned long long)count_on_disk(channel->guest),
             (unsigned long long)random_word(), (unsigned long long)ram->identity, ram->hostname,
             ram->hook_calls[2], ram->hook_calls[3], ram->hook_calls[4]);
    return answer(channel, id, 200, body);
}

static int on_data(struct channel *channel, uint32_t id, const unsigned char *payload, size_t length)
{
    struct stream *stream = find_stream(channel, id);
    if (stream == NULL) return 1;
    if (stream->used + length >= REQUEST_BYTES) return send_frame(channel, id, WIRE_RESET, NULL, 0);
    memcpy(stream->request + stream->used, payload, length);
    stream->used += length;
    stream->request[stream->used] = '\0';
    char *end = strstr(stream->request, "\r\n\r\n");
    if (end == NULL) return 1;
    char *stated = strcasestr(stream->request, "content-length:");
    size_t body = stated != NULL && stated < end ? strtoul(stated + strlen("content-length:"), NULL, 10) : 0;
    if (stream->used < (size_t)(end + 4 - stream->request) + body) return 1;
    return on_http(channel, stream);
}

static int on_frame(struct channel *channel, uint32_t id, uint8_t type, const unsigned char *payload, size_t length)
{
    if (id == 0) return type == WIRE_REQUEST && on_request(channel, payload, length);
    if (type == WIRE_OPEN) return on_open(channel, id, payload, length);
    if (type == WIRE_DATA) return on_data(channel, id, payload, length);
    struct stream *stream = type == WIRE_RESET ? find_stream(channel, id) : NULL;
    if (stream != NULL) stream->id = 0;
    return 1;
}

/* The orders of the contract suite's probe guest; see test/contract/probe-guest/init.c. */
static void obey(struct channel *channel, char order)
{
    struct guest *guest = channel->guest;
    char text[256];
    if (order == 'q') exit(0);
    guest->ram->count++;
    if (order == 'w')
        for (size_t i = 0; i < SCRATCH_BYTES; i++)
            guest->scratch[i] = (unsigned char)(i + (i >> 12) * (size_t)guest->ram->count);
    /* A guest uses some processor time, and the suite looks at it. */
    while (clock() < CLOCKS_PER_SEC / 50) continue;
    int length = snprintf(text, sizeof text, "{\"memory\":%llu,\"disk\":%llu,\"random\":\"%llx\",\"identity\":\"%llx\"}\n",
                          (unsigned long long)guest->ram->count, (unsigned long long)count_on_disk(guest),
                          (unsigned long long)random_word(), (unsigned long long)guest->ram->identity);
    send_all(channel->fd, text, (size_t)length);
}

static void begin_session(struct channel *channel, const unsigned char *nonce)
{
    unsigned char hello[WIRE_HELLO_BYTES], info[9 + 4];
    memcpy(hello, WIRE_GUEST_MAGIC, WIRE_MAGIC_BYTES);
    put_u32(hello + WIRE_MAGIC_BYTES, WIRE_VERSION);
    memcpy(hello + WIRE_MAGIC_BYTES + 4, nonce, WIRE_NONCE_BYTES);
    memcpy(info + app_status(channel->guest, info), "fake", 4);
    memset(channel->streams, 0, sizeof channel->streams);
    channel->in_session = send_all(channel->fd, hello, sizeof hello) &&
                          send_frame(channel, 0, WIRE_INFO, info, sizeof info);
}

static void drop(struct channel *channel, size_t length)
{
    channel->used -= length;
    memmove(channel->input, channel->input + length, channel->used);
}

/* Outside a session everything up to a greeting is discarded, orders of the probe excepted. */
static int await_greeting(struct channel *channel)
{
    while (channel->used > 0 && strchr("hwq", channel->input[0]) != NULL) {
        obey(channel, (char)channel->input[0]);
        drop(channel, 1);
    }
    unsigned char *found = memmem(channel->input, channel->used, WIRE_HOST_MAGIC, WIRE_MAGIC_BYTES);
    if (found == NULL) {
        size_t keep = channel->used < WIRE_MAGIC_BYTES - 1 ? channel->used : WIRE_MAGIC_BYTES - 1;
        drop(channel, channel->used - keep);
        return 0;
    }
    drop(channel, (size_t)(found - channel->input));
    if (channel->used < WIRE_HELLO_BYTES) return 0;
    begin_session(channel, channel->input + WIRE_MAGIC_BYTES + 4);
    drop(channel, WIRE_HELLO_BYTES);
    return 1;
}

static int take_frame(struct channel *channel)
{
    if (channel->used < WIRE_HEADER_BYTES) return 0;
    size_t length = get_u16(channel->input + 4);
    if (channel->input[7] != 0 || length > WIRE_MAX_PAYLOAD) {
        channel->in_session = 0;
        return 1;
    }
    if (channel->used < WIRE_HEADER_BYTES + length) return 0;
    if (!on_frame(channel, get_u32(channel->input), channel->input[6], channel->input + WIRE_HEADER_BYTES, length))
        channel->in_session = 0;
    drop(channel, WIRE_HEADER_BYTES + length);
    return 1;
}

struct channel *channel_open(struct guest *guest, int fd)
{
    struct channel *channel = calloc(1, sizeof *channel);
    if (channel == NULL) abort();
    channel->guest = guest;
    channel->fd = fd;
    return channel;
}

int channel_read(struct channel *channel)
{
    ssize_t got = recv(channel->fd, channel->input + channel->used, INPUT_BYTES - channel->used, MSG_DONTWAIT);
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    if (got == 0) return 0;
    channel->used += (size_t)got;
    while (channel->in_session ? take_frame(channel) : await_greeting(channel)) continue;
    return channel->used < INPUT_BYTES;
}

void channel_close(struct channel *channel)
{
    close(channel->fd);
    free(channel);
}
