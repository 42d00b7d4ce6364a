/* Byte streams of a session: TCP connections, and the standard streams of processes. */
#ifndef STREAM_H
#define STREAM_H

#include <sys/types.h>

#include "loop.h"
#include "protocol.h"

enum stream_kind { STREAM_TCP, STREAM_EXEC, STREAM_STDERR };

struct stream {
  uint32_t id;
  enum stream_kind kind;
  struct stream *next;
  struct source in;    /* what is read for the host */
  struct source out;   /* where the host's bytes go */
  struct source start; /* outcome of a process's start */
  bool opened, in_done, out_done, host_ended, is_pty;
  bool exit_pending; /* stays until the process's exit is reported */
  uint32_t credit;   /* bytes the host still takes */
  uint32_t ungranted; /* bytes passed on for which no credit was given back yet */
  uint8_t *waiting;  /* WINDOW bytes, present while the reader of the host's bytes is slow */
  uint32_t waiting_start, waiting_length;
  uint16_t port;
  int first_error;
  pid_t pid;
  uint32_t stderr_id;
};

struct stream *stream_find(uint32_t id);
/* NULL when there are too many or the id is in use. */
struct stream *stream_new(uint32_t id, enum stream_kind kind);
struct stream *stream_of_process(pid_t pid);
void stream_open_tcp(uint32_t id, uint32_t port);
/* Starts to move bytes; either descriptor may be -1. */
void stream_start(struct stream *stream, int in, int out);
/* Answers an OPEN that failed. */
void stream_refuse(struct stream *stream, int error);
/* Frees the stream if both directions are over. */
void stream_settle(struct stream *stream);
void stream_destroy(struct stream *stream);
void streams_destroy_all(void);

/* Each returns false when the host broke the protocol. */
bool stream_data(uint32_t id, const uint8_t *data, uint32_t length);
bool stream_credit(uint32_t id, uint32_t amount);
void stream_end(uint32_t id);
void stream_reset(uint32_t id);

#endif
