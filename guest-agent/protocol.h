/* The agent protocol as both ends speak it; see PROTOCOL.md. All numbers are little-endian. */
#ifndef PROTOCOL_H
#define PROTOCOL_H

#include <stdint.h>

enum {
  PROTOCOL_VERSION = 1,
  HEADER_SIZE = 16,
  MAX_PAYLOAD = 64 * 1024,
  /* A whole frame then fits one write of the virtio console. */
  MAX_DATA = 32 * 1024 - HEADER_SIZE,
  WINDOW = 128 * 1024,
  MAX_STREAMS = 1024,
  NONCE_SIZE = 16,
  HELLO_SIZE = 48,
  ACK_SIZE = 80,
  BUILD_SIZE = 32,
};

/* As long as a header and never a valid one, so that a HELLO is recognised wherever a frame may begin. */
#define HELLO_MAGIC "\xd0\x72hello-dormous\xe5"
#define ACK_MAGIC "\xd0\x72guest-dormous\xe5"
_Static_assert(sizeof HELLO_MAGIC == HEADER_SIZE + 1, "magic");
_Static_assert(sizeof ACK_MAGIC == HEADER_SIZE + 1, "magic");

struct header {
  uint8_t type;
  uint8_t flags;
  uint16_t reserved;
  uint32_t stream;
  uint32_t length;
  uint32_t argument;
};
_Static_assert(sizeof(struct header) == HEADER_SIZE, "header");

enum frame_type {
  FRAME_NOOP = 0,
  FRAME_REQUEST = 1,
  FRAME_RESPONSE = 2,
  FRAME_OPEN_TCP = 3,
  FRAME_OPEN_EXEC = 4,
  FRAME_OPENED = 5,
  FRAME_DATA = 6,
  FRAME_EOF = 7,
  FRAME_RESET = 8,
  FRAME_CREDIT = 9,
  FRAME_EXIT = 10,
  FRAME_SIGNAL = 11,
  FRAME_RESIZE = 12,
  FRAME_LOG = 13,
  FRAME_APP_EXITED = 14,
  FRAME_FAULT = 15,
  FRAME_LAST = FRAME_FAULT,
};

enum request {
  REQUEST_START_APP = 1,
  REQUEST_APP_STATUS = 2,
  REQUEST_IDENTITY = 3,
  REQUEST_SYNC = 4,
  REQUEST_STATS = 5,
  REQUEST_PORTS = 6,
  REQUEST_FOLLOW_LOG = 7,
  REQUEST_QUIESCE = 8,
};

#endif
