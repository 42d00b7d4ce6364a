/* The agent protocol's numbers; docs/agent-protocol.md explains them. src/guest/wire.ts is its twin. */
#ifndef DORMOUSE_WIRE_H
#define DORMOUSE_WIRE_H

#include <stdint.h>

#define WIRE_VERSION 2u
#define WIRE_MAGIC_BYTES 16
#define WIRE_NONCE_BYTES 16
/* magic, version, nonce */
#define WIRE_HELLO_BYTES (WIRE_MAGIC_BYTES + 4 + WIRE_NONCE_BYTES)
#define WIRE_HOST_MAGIC "DORMOUSE\x0e\xa1\x93\x5c\xd8HST"
#define WIRE_GUEST_MAGIC "DORMOUSE\x0e\xa1\x93\x5c\xd8GST"

/* stream u32, length u16, type u8, zero u8 */
#define WIRE_HEADER_BYTES 8
#define WIRE_MAX_PAYLOAD 32768u
#define WIRE_WINDOW (256u * 1024u)
#define WIRE_MAX_QUERY 4096
/* Fields of a process: what Linux takes of arguments and variables, and something for their heads. */
#define WIRE_MAX_DESCRIPTION (4u * 1024u * 1024u)
/* What UDP over IPv4 carries. */
#define WIRE_MAX_DATAGRAM 65507u

enum wire_type {
    WIRE_REQUEST = 1, /* stream 0, to the guest: id u32, operation u8, body */
    WIRE_REPLY = 2,   /* stream 0, to the host: id u32, errno u32, body */
    WIRE_INFO = 3,    /* stream 0, to the host, first frame of a session: app status, build text */
    WIRE_APP_EXIT = 4, /* stream 0, to the host: app status */
    WIRE_LOG = 5,     /* stream 0, to the host: source u8, bytes */
    WIRE_OPEN = 10,   /* kind u8, window u32, body */
    WIRE_OPENED = 11, /* window u32 */
    WIRE_FAILED = 12, /* errno u32; the stream is gone */
    WIRE_DATA = 13,
    WIRE_DATA_ERR = 14, /* standard error of an exec */
    WIRE_EOF = 15,
    WIRE_RESET = 16,
    WIRE_WINDOW_MORE = 17, /* u32 */
    WIRE_EXIT = 18,        /* code u32, signal u32; the last frame of an exec */
    WIRE_RESIZE = 19,      /* columns u16, rows u16 */
    WIRE_SIGNAL = 20,      /* u32 */
    WIRE_DATA_PART = 21,   /* the first WIRE_MAX_PAYLOAD bytes of a datagram that DATA completes */
};

enum wire_kind {
    WIRE_KIND_TCP = 1,
    WIRE_KIND_EXEC = 2,
    WIRE_KIND_EGRESS_TCP = 3, /* to the host: family u8 (4), address, port u16 */
    WIRE_KIND_DNS = 4,        /* to the host: a query; DATA with the answer, or FAILED, ends the stream */
    WIRE_KIND_UDP = 5,        /* port u16; each DATA is a datagram */
};

enum wire_operation {
    OP_START_APP = 1, /* with the fields sent before */
    OP_APP_STATUS = 2,
    OP_SET_CLOCK = 3,
    OP_ADD_ENTROPY = 4,
    OP_SET_IDENTITY = 5, /* id of the boot and of the machine, 16 bytes each, and the host name */
    OP_SYNC = 6,
    OP_STATS = 7,
    OP_LISTENING = 8,
    OP_QUIESCE = 9,
    OP_APP_FIELDS = 10, /* a part of the application's description, which may be longer than a frame */
    OP_FREEZE = 11,     /* u8: the application stands still, or goes on */
    OP_EXEC_FIELDS = 12, /* a part of the description of the process that is opened next */
};

#define FIELD_HEAD_BYTES 3u
/* In a tag: the value goes on in the next field, which has the same tag. */
#define FIELD_CONTINUED 0x80u

/* Fields of a process description: tag u8, length u16, bytes. Repeated tags add up in their order. */
enum wire_field {
    FIELD_ARGV = 1,
    FIELD_ENV = 2,
    FIELD_WORKDIR = 3,
    FIELD_UID = 4,
    FIELD_GID = 5,
    FIELD_GROUP = 6,
    FIELD_HOSTNAME = 7,
    FIELD_ALL_CAPABILITIES = 8,
    FIELD_PTY = 9, /* columns u16, rows u16 */
    FIELD_USER = 10,     /* name or number, with ":" and a group or without; instead of uid and gid */
    FIELD_LIKE_APP = 11, /* what is not given is as it is for the application */
    FIELD_DETACH = 13,   /* of a command: it has no streams, and goes on by itself once it runs */
    FIELD_HOLD = 12,     /* of an application, instead of words: nothing runs, its namespaces stay */
};

static inline uint16_t get_u16(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }
static inline uint32_t get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static inline uint64_t get_u64(const uint8_t *p) { return get_u32(p) | (uint64_t)get_u32(p + 4) << 32; }
static inline void put_u16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)v;
    p[1] = (uint8_t)(v >> 8);
}
static inline void put_u32(uint8_t *p, uint32_t v)
{
    put_u16(p, (uint16_t)v);
    put_u16(p + 2, (uint16_t)(v >> 16));
}
static inline void put_u64(uint8_t *p, uint64_t v)
{
    put_u32(p, (uint32_t)v);
    put_u32(p + 4, (uint32_t)(v >> 32));
}

#endif
