#include "loop.h"

#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>

#include "log.h"

#define BATCH 64

static int epoll_fd = -1;
static struct epoll_event batch[BATCH];
static int batch_length;

void loop_init(void)
{
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0)
        fatal("epoll_create1: errno %d", errno);
}

void loop_want(struct watch *watch, uint32_t events)
{
    if (events == watch->events)
        return;
    int operation = events == 0 ? EPOLL_CTL_DEL : watch->events == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
    struct epoll_event event = {.events = events, .data.ptr = watch};
    if (epoll_ctl(epoll_fd, operation, watch->fd, &event) < 0 && operation != EPOLL_CTL_DEL)
        fatal("epoll_ctl: errno %d", errno);
    watch->events = events;
}

void loop_forget(struct watch *watch)
{
    if (watch->events)
        loop_want(watch, 0);
    for (int i = 0; i < batch_length; i++)
        if (batch[i].data.ptr == watch)
            batch[i].data.ptr = NULL;
}

void loop_turn(int timeout_ms)
{
    int count = epoll_wait(epoll_fd, batch, BATCH, timeout_ms);
    if (count < 0) {
        if (errno != EINTR)
            fatal("epoll_wait: errno %d", errno);
        return;
    }
    batch_length = count;
    for (int i = 0; i < count; i++) {
        struct watch *watch = batch[i].data.ptr;
        if (watch)
            watch->ready(watch, batch[i].events);
    }
    batch_length = 0;
}
