#include "stream.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mux.h"

static struct stream *table[MAX_STREAMS];
static unsigned stream_count;

struct stream *stream_find(uint32_t id) {
  struct stream *stream = table[id % MAX_STREAMS];
  while (stream != NULL && stream->id != id) stream = stream->next;
  return stream;
}

struct stream *stream_of_process(pid_t pid) {
  for (unsigned i = 0; i < MAX_STREAMS; i++)
    for (struct stream *stream = table[i]; stream != NULL; stream = stream->next)
      if (stream->pid == pid) return stream;
  return NULL;
}

struct stream *stream_new(uint32_t id, enum stream_kind kind) {
  if (stream_count >= MAX_STREAMS || stream_find(id) != NULL) return NULL;
  struct stream *stream = calloc(1, sizeof *stream);
  if (stream == NULL) return NULL;
  stream->id = id;
  stream->kind = kind;
  stream->credit = WINDOW;
  stream->in.fd = stream->out.fd = stream->start.fd = -1;
  stream->next = table[id % MAX_STREAMS];
  table[id % MAX_STREAMS] = stream;
  stream_count++;
  return stream;
}

void stream_destroy(struct stream *stream) {
  struct stream **link = &table[stream->id % MAX_STREAMS];
  while (*link != stream) link = &(*link)->next;
  *link = stream->next;
  stream_count--;
  if (stream->pid > 0 && stream->exit_pending) {
    /* The process leads a group unless it has not come so far yet. */
    kill(stream->pid, SIGHUP);
    kill(-stream->pid, SIGHUP);
  }
  source_close(&stream->in);
  source_close(&stream->out);
  source_close(&stream->start);
  free(stream->waiting);
  free_later(stream);
}

void streams_destroy_all(void) {
  for (unsigned i = 0; i < MAX_STREAMS; i++)
    while (table[i] != NULL) stream_destroy(table[i]);
}

void stream_refuse(struct stream *stream, int error) {
  mux_send(FRAME_OPENED, 0, stream->id, (uint32_t)error, NULL, 0);
  stream_destroy(stream);
}

void stream_settle(struct stream *stream) {
  if (stream->opened && stream->in_done && stream->out_done && !stream->exit_pending) stream_destroy(stream);
}

static void break_off(struct stream *stream, int error) {
  mux_send(FRAME_RESET, 0, stream->id, (uint32_t)error, NULL, 0);
  stream_destroy(stream);
}

static void watch_in(struct stream *stream) {
  if (!source_watch(&stream->in, stream->credit > 0 ? EPOLLIN : 0)) break_off(stream, errno);
}

static void on_readable(struct source *source, uint32_t events) {
  (void)events;
  struct stream *stream = container_of(source, struct stream, in);
  uint8_t *room = mux_reserve();
  if (room == NULL) return loop_pause_readers(true);
  ssize_t count = read(source->fd, room, stream->credit < MAX_DATA ? stream->credit : MAX_DATA);
  if (count > 0) {
    mux_commit(FRAME_DATA, stream->id, 0, (size_t)count);
    stream->credit -= (uint32_t)count;
    if (stream->credit == 0) watch_in(stream);
    return;
  }
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  /* EIO is how a terminal tells that its last process closed it. */
  if (count < 0 && !(errno == EIO && stream->is_pty)) return break_off(stream, errno);
  source_close(source);
  stream->in_done = true;
  mux_send(FRAME_EOF, 0, stream->id, 0, NULL, 0);
  stream_settle(stream);
}

static void finish_out(struct stream *stream) {
  if (stream->kind == STREAM_TCP) shutdown(stream->out.fd, SHUT_WR);
  source_close(&stream->out);
  stream->out_done = true;
  stream_settle(stream);
}

static void grant(struct stream *stream, uint32_t count) {
  stream->ungranted += count;
  if (stream->ungranted < WINDOW / 2) return;
  mux_send(FRAME_CREDIT, 0, stream->id, stream->ungranted, NULL, 0);
  stream->ungranted = 0;
}

/* Bytes written; -1 when the stream is gone. */
static ssize_t write_out(struct stream *stream, const uint8_t *data, uint32_t length) {
  ssize_t count = stream->kind == STREAM_TCP ? send(stream->out.fd, data, length, MSG_NOSIGNAL)
                                             : write(stream->out.fd, data, length);
  if (count >= 0) return count;
  if (errno == EAGAIN || errno == EINTR) return 0;
  if (stream->kind == STREAM_TCP) {
    break_off(stream, errno);
    return -1;
  }
  /* A process that closed its standard input goes on: what is sent to it is for nobody. */
  finish_out(stream);
  return -1;
}

static void drain(struct stream *stream) {
  while (stream->waiting_length > 0) {
    ssize_t count = write_out(stream, stream->waiting + stream->waiting_start, stream->waiting_length);
    if (count < 0) return;
    if (count == 0) {
      if (!source_watch(&stream->out, EPOLLOUT)) break_off(stream, errno);
      return;
    }
    stream->waiting_start += (uint32_t)count;
    stream->waiting_length -= (uint32_t)count;
    grant(stream, (uint32_t)count);
  }
  free(stream->waiting);
  stream->waiting = NULL;
  source_watch(&stream->out, 0);
  if (stream->host_ended) finish_out(stream);
}

static void on_writable(struct source *source, uint32_t events) {
  (void)events;
  drain(container_of(source, struct stream, out));
}

void stream_start(struct stream *stream, int in, int out) {
  source_init(&stream->in, in, on_readable);
  stream->in.reader = true;
  source_init(&stream->out, out, on_writable);
  stream->in_done = in < 0;
  stream->out_done = out < 0;
  stream->opened = true;
  if (stream->kind != STREAM_STDERR) mux_send(FRAME_OPENED, 0, stream->id, 0, NULL, 0);
  watch_in(stream);
}

bool stream_data(uint32_t id, const uint8_t *data, uint32_t length) {
  struct stream *stream = stream_find(id);
  /* Frames that crossed with the end of their stream are no fault. */
  if (stream == NULL || stream->out_done) return true;
  if (!stream->opened || stream->host_ended) return false;
  if (length > WINDOW - stream->waiting_length - stream->ungranted) return false;
  if (stream->waiting == NULL) {
    ssize_t count = write_out(stream, data, length);
    if (count < 0) return true;
    grant(stream, (uint32_t)count);
    data += count;
    length -= (uint32_t)count;
    if (length == 0) return true;
    stream->waiting = malloc(WINDOW);
    stream->waiting_start = stream->waiting_length = 0;
    if (stream->waiting == NULL) {
      break_off(stream, ENOMEM);
      return true;
    }
  }
  if (stream->waiting_start + stream->waiting_length + length > WINDOW) {
    memmove(stream->waiting, stream->waiting + stream->waiting_start, stream->waiting_length);
    stream->waiting_start = 0;
  }
  memcpy(stream->waiting + stream->waiting_start + stream->waiting_length, data, length);
  stream->waiting_length += length;
  if (!source_watch(&stream->out, EPOLLOUT)) break_off(stream, errno);
  return true;
}

bool stream_credit(uint32_t id, uint32_t amount) {
  struct stream *stream = stream_find(id);
  if (stream == NULL) return true;
  if (amount > WINDOW - stream->credit) return false;
  stream->credit += amount;
  if (stream->in.fd >= 0) watch_in(stream);
  return true;
}

void stream_end(uint32_t id) {
  struct stream *stream = stream_find(id);
  if (stream == NULL || stream->out_done || !stream->opened || stream->host_ended) return;
  if (stream->is_pty) {
    /* What a person types for it; a terminal has no other end of input. */
    static const uint8_t end_of_transmission = 4;
    stream_data(id, &end_of_transmission, 1);
    stream = stream_find(id);
    if (stream == NULL || stream->out_done) return;
  }
  stream->host_ended = true;
  if (stream->waiting == NULL) finish_out(stream);
}

void stream_reset(uint32_t id) {
  struct stream *stream = stream_find(id);
  if (stream == NULL) return;
  if (stream->kind == STREAM_TCP && stream->out.fd >= 0) {
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    setsockopt(stream->out.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  }
  stream_destroy(stream);
}

static void try_connect(struct stream *stream, int family);

static void connected(struct stream *stream, int error) {
  if (error == 0) {
    int out = stream->out.fd;
    int in = fcntl(out, F_DUPFD_CLOEXEC, 3);
    if (in < 0) return stream_refuse(stream, errno);
    source_watch(&stream->out, 0);
    return stream_start(stream, in, out);
  }
  source_close(&stream->out);
  if (stream->first_error != 0) return stream_refuse(stream, stream->first_error);
  stream->first_error = error;
  try_connect(stream, AF_INET6);
}

static void on_connected(struct source *source, uint32_t events) {
  (void)events;
  int error = 0;
  socklen_t length = sizeof error;
  if (getsockopt(source->fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
  connected(container_of(source, struct stream, out), error);
}

static void try_connect(struct stream *stream, int family) {
  int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return stream_refuse(stream, stream->first_error != 0 ? stream->first_error : errno);
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  struct sockaddr_in v4 = {
      .sin_family = AF_INET, .sin_port = htons(stream->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  struct sockaddr_in6 v6 = {
      .sin6_family = AF_INET6, .sin6_port = htons(stream->port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  bool is_v4 = family == AF_INET;
  const void *address = is_v4 ? (const void *)&v4 : (const void *)&v6;
  int outcome = connect(fd, address, is_v4 ? sizeof v4 : sizeof v6) == 0 ? 0 : errno;
  source_init(&stream->out, fd, on_connected);
  if (outcome != EINPROGRESS) return connected(stream, outcome);
  if (!source_watch(&stream->out, EPOLLOUT)) stream_refuse(stream, errno);
}

void stream_open_tcp(uint32_t id, uint32_t port) {
  struct stream *stream = port == 0 || port > UINT16_MAX ? NULL : stream_new(id, STREAM_TCP);
  if (stream == NULL) return mux_send(FRAME_OPENED, 0, id, stream_find(id) != NULL ? EEXIST : EMFILE, NULL, 0);
  stream->port = (uint16_t)port;
  try_connect(stream, AF_INET);
}
