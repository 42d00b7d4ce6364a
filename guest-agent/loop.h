/* The event loop: sources are file descriptors with a handler. */
#ifndef LOOP_H
#define LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct source {
  int fd; /* -1 when closed */
  uint32_t mask;
  bool registered;
  bool reader; /* paused as a group while output to the host is full */
  void (*ready)(struct source *source, uint32_t events);
};

#define container_of(pointer, type, member) ((type *)((char *)(pointer) - offsetof(type, member)))

void loop_init(void);
void source_init(struct source *source, int fd, void (*ready)(struct source *, uint32_t));
/* A mask of 0 takes the source out of the poll set, so that a hang-up nobody can act on does not spin. */
bool source_watch(struct source *source, uint32_t mask);
void source_close(struct source *source);
/* Frees memory after the current round of events, which may still name it. */
void free_later(void *memory);
void loop_pause_readers(bool paused);
/* One round; timeout in ms, -1 for none. */
void loop_turn(int timeout);

#endif
