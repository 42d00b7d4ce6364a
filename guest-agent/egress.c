#define _GNU_SOURCE
#include "egress.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "capture.h"
#include "log.h"
#include "loop.h"
#include "port.h"
#include "redirect.h"
#include "sandbox.h"
#include "stream.h"
#include "wire.h"

#define BACKLOG 1024
/* Connections that wait for a host or for room; more wait in the kernel. */
#define MAX_WAITING 128
#define WAIT_SECONDS 10
#define RETRY_SECONDS 1
#define MAX_QUERIES 128

static void on_connection(struct watch *watch, uint32_t events);
static void on_query(struct watch *watch, uint32_t events);
static void on_time(struct watch *watch, uint32_t events);

static struct watch connections = {.fd = -1, .ready = on_connection};
static struct watch queries = {.fd = -1, .ready = on_query};
static struct watch timer = {.fd = -1, .ready = on_time};

/* In the order they came. */
static struct {
    int fd;
    time_t until;
} waiting[MAX_WAITING];
static size_t waiting_count;
static bool out_of_descriptors;

/* A new query takes the place of the oldest, which nobody waits for any more when that many came after it. */
static struct {
    uint32_t id;
    struct sockaddr_in asker;
    struct in_addr asked;
} pending[MAX_QUERIES];
static size_t next_pending;

static time_t now(void)
{
    struct timespec time = {0};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec;
}

static void set_timer(time_t seconds)
{
    struct itimerspec when = {.it_value = {.tv_sec = seconds}};
    timerfd_settime(timer.fd, 0, &when, NULL);
}

static void refuse(int fd)
{
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(fd);
}

static void drop_waiting(size_t count)
{
    waiting_count -= count;
    memmove(waiting, waiting + count, waiting_count * sizeof *waiting);
}

static void refuse_expired(void)
{
    size_t expired = 0;
    while (expired < waiting_count && waiting[expired].until <= now())
        refuse(waiting[expired++].fd);
    drop_waiting(expired);
    if (waiting_count)
        set_timer(waiting[0].until - now());
}

static void on_time(struct watch *watch, uint32_t events)
{
    (void)events;
    uint64_t times;
    if (read(watch->fd, &times, sizeof times) < 0)
        return;
    out_of_descriptors = false;
    refuse_expired();
}

static void on_connection(struct watch *watch, uint32_t events)
{
    (void)events;
    while (waiting_count < MAX_WAITING) {
        int one = 1, fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        if (fd < 0) {
            out_of_descriptors = errno != EAGAIN;
            if (out_of_descriptors)
                set_timer(RETRY_SECONDS);
            return;
        }
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (!waiting_count)
            set_timer(WAIT_SECONDS);
        waiting[waiting_count].fd = fd;
        waiting[waiting_count++].until = now() + WAIT_SECONDS;
    }
}

static bool meant_for(int fd, struct sockaddr_in *meant)
{
    if (in_sandbox())
        return redirect_meant(fd, meant);
    socklen_t size = sizeof *meant;
    return !getsockname(fd, (struct sockaddr *)meant, &size) && meant->sin_family == AF_INET;
}

/* family u8, address, port u16; false when the connection is gone. */
static bool offer(int fd)
{
    struct sockaddr_in meant = {0};
    if (!meant_for(fd, &meant))
        return false;
    uint8_t body[7] = {4};
    memcpy(body + 1, &meant.sin_addr, 4);
    put_u16(body + 5, ntohs(meant.sin_port));
    return stream_offer(fd, body, sizeof body);
}

static void offer_waiting(void)
{
    size_t offered = 0;
    while (offered < waiting_count && port_has_room() && stream_may_offer()) {
        int fd = waiting[offered++].fd;
        if (!offer(fd))
            refuse(fd);
    }
    drop_waiting(offered);
}

static void on_query(struct watch *watch, uint32_t events)
{
    (void)events;
    while (port_has_room()) {
        uint8_t frame[5 + WIRE_MAX_QUERY + 1], control[CMSG_SPACE(sizeof(struct in_pktinfo))];
        struct sockaddr_in asker = {0};
        struct iovec bytes = {.iov_base = frame + 5, .iov_len = WIRE_MAX_QUERY + 1};
        struct msghdr message = {
            .msg_name = &asker, .msg_namelen = sizeof asker, .msg_iov = &bytes, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
        ssize_t length = recvmsg(watch->fd, &message, 0);
        if (length < 0)
            return;
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        if (length > WIRE_MAX_QUERY || !head || head->cmsg_type != IP_PKTINFO)
            continue;
        struct in_pktinfo where;
        memcpy(&where, CMSG_DATA(head), sizeof where);
        uint32_t id = stream_next_id();
        pending[next_pending].id = id;
        pending[next_pending].asker = asker;
        pending[next_pending].asked = where.ipi_addr;
        next_pending = (next_pending + 1) % MAX_QUERIES;
        frame[0] = WIRE_KIND_DNS;
        put_u32(frame + 1, 0);
        port_send(id, WIRE_OPEN, frame, 5 + (size_t)length);
    }
}

void egress_answer(uint32_t id, uint8_t type, const uint8_t *payload, size_t length)
{
    size_t at = 0;
    while (at < MAX_QUERIES && pending[at].id != id)
        at++;
    if (at == MAX_QUERIES)
        return;
    pending[at].id = 0;
    if (type != WIRE_DATA)
        return;
    /* The asker takes an answer only from the address it asked. */
    union {
        struct cmsghdr head;
        uint8_t space[CMSG_SPACE(sizeof(struct in_pktinfo))];
    } control = {.head = {.cmsg_level = IPPROTO_IP, .cmsg_type = IP_PKTINFO, .cmsg_len = CMSG_LEN(sizeof(struct in_pktinfo))}};
    struct in_pktinfo from = {.ipi_spec_dst = pending[at].asked};
    memcpy(CMSG_DATA(&control.head), &from, sizeof from);
    uint8_t answer[WIRE_MAX_PAYLOAD];
    memcpy(answer, payload, length);
    struct iovec bytes = {.iov_base = answer, .iov_len = length};
    struct msghdr message = {.msg_name = &pending[at].asker,
                             .msg_namelen = sizeof pending[at].asker,
                             .msg_iov = &bytes,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof control};
    if (sendmsg(queries.fd, &message, 0) < 0 && errno != EAGAIN)
        say("a name look-up was not answered: errno %d", errno);
}

void egress_turn(void)
{
    if (connections.fd < 0)
        return;
    offer_waiting();
    loop_want(&connections, waiting_count < MAX_WAITING && !out_of_descriptors ? EPOLLIN : 0);
    loop_want(&queries, port_has_room() ? EPOLLIN : 0);
}

static int open_sockets(uint32_t address, uint16_t port)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(address)};
    int one = 1;
    connections.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    queries.fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (connections.fd < 0 || queries.fd < 0 || timer.fd < 0 ||
        setsockopt(queries.fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof one) ||
        setsockopt(connections.fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) ||
        bind(connections.fd, (struct sockaddr *)&here, sizeof here) || listen(connections.fd, BACKLOG) ||
        bind(queries.fd, (struct sockaddr *)&here, sizeof here))
        return errno;
    return 0;
}

static void close_sockets(void)
{
    struct watch *const watches[] = {&connections, &queries, &timer};
    for (size_t i = 0; i < sizeof watches / sizeof *watches; i++) {
        if (watches[i]->fd >= 0)
            close(watches[i]->fd);
        watches[i]->fd = -1;
    }
}

static void start(uint32_t address, uint16_t port, int (*capture)(int tcp, int udp))
{
    int error = open_sockets(address, port);
    if (!error && capture)
        error = capture(connections.fd, queries.fd);
    if (error) {
        say("this guest has no way out: errno %d", error);
        close_sockets();
        return;
    }
    loop_want(&timer, EPOLLIN);
}

void egress_start(void) { start(EGRESS_ADDRESS, EGRESS_PORT, in_sandbox() ? redirect_start : capture_start); }
void egress_renew(void)
{
    const int error = in_sandbox() && connections.fd >= 0 ? redirect_start(connections.fd, queries.fd) : 0;
    if (error)
        say("this guest has no way out: errno %d", error);
}

void egress_start_at(uint16_t port) { start(INADDR_LOOPBACK, port, NULL); }
