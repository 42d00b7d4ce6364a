/* One epoll loop; a watch belongs to whoever embeds it. */
#ifndef DORMOUSE_LOOP_H
#define DORMOUSE_LOOP_H

#include <stdint.h>

struct watch {
    int fd;
    uint32_t events; /* EPOLLIN and EPOLLOUT as wanted now; 0 is not registered */
    void (*ready)(struct watch *watch, uint32_t events);
};

void loop_init(void);
/* Changes what the watch waits for; 0 takes it out of the loop. */
void loop_want(struct watch *watch, uint32_t events);
/* Handles what is ready; waits at most `timeout_ms` (-1: for ever) when nothing is. */
void loop_turn(int timeout_ms);
/* Of the events being handled, forget those of a watch that is about to be freed. */
void loop_forget(struct watch *watch);

#endif
