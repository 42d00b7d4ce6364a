#include "mux.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "app.h"
#include "control.h"
#include "loop.h"

enum {
  IN_SIZE = 2 * (HEADER_SIZE + MAX_PAYLOAD),
  OUT_SIZE = 512 * 1024,
  /* Above this neither data is read for the host nor are its frames handled; the rest is for small frames. */
  OUT_HIGH = 128 * 1024,
  LARGEST_WRITE = 32 * 1024,
  READS_PER_TURN = 16,
};

static struct source port;
static bool is_serial_port;
static uint8_t in[IN_SIZE];
static size_t in_start, in_end;
static uint8_t out[OUT_SIZE];
static size_t out_start, out_end;
static uint32_t session, sessions_begun;
static uint8_t nonce[NONCE_SIZE];
/* The port is watched for edges: what an edge announced must be remembered until it is read. */
static bool input_waits;

static void on_port(struct source *source, uint32_t events) {
  (void)source;
  (void)events;
  input_waits = true;
}

void mux_init(int fd, bool is_port) {
  is_serial_port = is_port;
  source_init(&port, fd, on_port);
  /* Edges, because a port without a host reports a hang-up for as long as that lasts. */
  if (!source_watch(&port, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET)) abort();
}

uint32_t mux_session(void) { return session; }
bool mux_has_backlog(void) { return out_end > out_start; }
static bool has_room(void) { return out_end - out_start <= OUT_HIGH; }

void mux_leave(void) {
  session = 0;
  session_ended();
}

static void fail(void) {
  mux_send(FRAME_FAULT, 0, 0, EPROTO, NULL, 0);
  mux_leave();
}

static bool make_room(size_t length) {
  if (OUT_SIZE - out_end >= length) return true;
  memmove(out, out + out_start, out_end - out_start);
  out_end -= out_start;
  out_start = 0;
  return OUT_SIZE - out_end >= length;
}

void mux_send(enum frame_type type, uint8_t flags, uint32_t stream, uint32_t argument, const void *payload,
              size_t length) {
  if (session == 0) return;
  if (!make_room(HEADER_SIZE + length)) {
    /* Only a host that asks and never reads gets here. */
    out_start = out_end = 0;
    mux_leave();
    return;
  }
  struct header header = {
      .type = (uint8_t)type, .flags = flags, .stream = stream, .length = (uint32_t)length, .argument = argument};
  memcpy(out + out_end, &header, HEADER_SIZE);
  if (length > 0) memcpy(out + out_end + HEADER_SIZE, payload, length);
  out_end += HEADER_SIZE + length;
}

uint8_t *mux_reserve(void) {
  if (session == 0 || !has_room() || !make_room(HEADER_SIZE + MAX_DATA)) return NULL;
  return out + out_end + HEADER_SIZE;
}

void mux_commit(enum frame_type type, uint32_t stream, uint32_t argument, size_t length) {
  struct header header = {
      .type = (uint8_t)type, .stream = stream, .length = (uint32_t)length, .argument = argument};
  memcpy(out + out_end, &header, HEADER_SIZE);
  out_end += HEADER_SIZE + length;
}

static void flush(void) {
  while (out_end > out_start) {
    size_t length = out_end - out_start;
    ssize_t written = write(port.fd, out + out_start, length < LARGEST_WRITE ? length : LARGEST_WRITE);
    if (written <= 0) break;
    out_start += (size_t)written;
  }
  if (out_start == out_end) out_start = out_end = 0;
  loop_pause_readers(!has_room());
}

static void begin_session(const uint8_t *hello) {
  if (session != 0) mux_leave();
  /* The host skips whatever part of an earlier session's frame is still on its way. */
  out_start = out_end = 0;
  memcpy(nonce, hello + HELLO_SIZE - NONCE_SIZE, NONCE_SIZE);
  session = ++sessions_begun;
  struct app_state state = app_state();
  uint32_t facts[4] = {PROTOCOL_VERSION, state.phase, state.code, state.signal};
  memcpy(out, ACK_MAGIC, HEADER_SIZE);
  memcpy(out + HEADER_SIZE, nonce, NONCE_SIZE);
  memcpy(out + HEADER_SIZE + NONCE_SIZE, facts, sizeof facts);
  uint8_t *build = out + HEADER_SIZE + NONCE_SIZE + sizeof facts;
  memset(build, 0, BUILD_SIZE);
  memcpy(build, BUILD_ID, sizeof BUILD_ID - 1);
  _Static_assert(sizeof BUILD_ID <= BUILD_SIZE, "build id");
  out_end = ACK_SIZE;
}

/* Handles one frame, HELLO or run of rubbish; false when more input is needed first. */
static bool parse_one(void) {
  size_t length = in_end - in_start;
  const uint8_t *bytes = in + in_start;
  if (session == 0) {
    const uint8_t *magic = memmem(bytes, length, HELLO_MAGIC, HEADER_SIZE);
    if (magic == NULL) {
      size_t kept = length < HEADER_SIZE - 1 ? length : HEADER_SIZE - 1;
      in_start = in_end - kept;
      return false;
    }
    in_start = (size_t)(magic - in);
    bytes = magic;
    length = in_end - in_start;
  }
  if (length < HEADER_SIZE) return false;
  if (memcmp(bytes, HELLO_MAGIC, HEADER_SIZE) == 0) {
    if (length < HELLO_SIZE) return false;
    /* A host that waited long for its answer repeats itself. */
    bool repeated = session != 0 && memcmp(bytes + HELLO_SIZE - NONCE_SIZE, nonce, NONCE_SIZE) == 0;
    if (!repeated) begin_session(bytes);
    in_start += HELLO_SIZE;
    return true;
  }
  struct header header;
  memcpy(&header, bytes, HEADER_SIZE);
  if (header.type > FRAME_LAST || header.reserved != 0 || header.length > MAX_PAYLOAD) {
    fail();
    return true;
  }
  if (length < HEADER_SIZE + header.length) return false;
  in_start += HEADER_SIZE + header.length;
  if (!handle_frame(&header, bytes + HEADER_SIZE)) fail();
  return true;
}

bool mux_pump(void) {
  for (int reads = 0; reads < READS_PER_TURN; reads++) {
    while (has_room() && parse_one()) continue;
    flush();
    if (!has_room()) return false;
    if (!input_waits) return false;
    if (in_start > 0) {
      memmove(in, in + in_start, in_end - in_start);
      in_end -= in_start;
      in_start = 0;
    }
    ssize_t count = read(port.fd, in + in_end, IN_SIZE - in_end);
    if (count > 0) {
      in_end += (size_t)count;
      continue;
    }
    if (count < 0 && errno == EINTR) continue;
    input_waits = false;
    if (count < 0 && errno == EAGAIN) return false;
    if (!is_serial_port) exit(0);
    in_start = in_end = 0;
    out_start = out_end = 0;
    if (session != 0) mux_leave();
    loop_pause_readers(false);
    return false;
  }
  return true;
}
