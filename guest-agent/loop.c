#include "loop.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { BATCH = 64 };

static int main_set = -1, reader_set = -1;
static struct source readers = {.fd = -1};
static bool paused;

struct grave {
  void *memory;
  struct grave *next;
};
static struct grave *graves;

static void dispatch(int set, int timeout) {
  struct epoll_event events[BATCH];
  int count = epoll_wait(set, events, BATCH, timeout);
  for (int i = 0; i < count; i++) {
    struct source *source = events[i].data.ptr;
    if (source->fd >= 0 && !(source->reader && paused)) source->ready(source, events[i].events);
  }
}

static void on_readers(struct source *source, uint32_t events) {
  (void)events;
  dispatch(source->fd, 0);
}

void loop_init(void) {
  main_set = epoll_create1(EPOLL_CLOEXEC);
  reader_set = epoll_create1(EPOLL_CLOEXEC);
  if (main_set < 0 || reader_set < 0) abort();
  source_init(&readers, reader_set, on_readers);
  if (!source_watch(&readers, EPOLLIN)) abort();
}

void source_init(struct source *source, int fd, void (*ready)(struct source *, uint32_t)) {
  *source = (struct source){.fd = fd, .ready = ready};
}

bool source_watch(struct source *source, uint32_t mask) {
  if (source->fd < 0 || mask == source->mask) return true;
  struct epoll_event event = {.events = mask, .data.ptr = source};
  int operation = mask == 0 ? EPOLL_CTL_DEL : source->registered ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  if (epoll_ctl(source->reader ? reader_set : main_set, operation, source->fd, &event) != 0) return false;
  source->mask = mask;
  source->registered = mask != 0;
  return true;
}

void source_close(struct source *source) {
  if (source->fd < 0) return;
  source_watch(source, 0);
  close(source->fd);
  source->fd = -1;
}

void free_later(void *memory) {
  struct grave *grave = malloc(sizeof *grave);
  if (grave == NULL) abort();
  *grave = (struct grave){memory, graves};
  graves = grave;
}

void loop_pause_readers(bool pause) {
  if (pause == paused) return;
  paused = pause;
  source_watch(&readers, pause ? 0 : EPOLLIN);
}

void loop_turn(int timeout) {
  dispatch(main_set, timeout);
  while (graves != NULL) {
    struct grave *grave = graves;
    graves = grave->next;
    free(grave->memory);
    free(grave);
  }
}
