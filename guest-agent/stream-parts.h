/* What the kinds of stream share; for stream.c and the files that make one kind work. */
#ifndef DORMOUSE_STREAM_PARTS_H
#define DORMOUSE_STREAM_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "buffer.h"
#include "loop.h"

/* Each direction has a descriptor of its own, and so a watch; REPORT tells how the start of a process went. */
enum { TO_GUEST, FROM_GUEST, FROM_ERRORS, REPORT, SIDES };

struct stream {
    struct stream *next;
    uint32_t id;
    uint8_t kind;             /* of enum wire_kind */
    struct watch side[SIDES]; /* fd -1 when absent or finished */
    struct buffer pending;    /* from the host, not yet written */
    uint32_t credit;          /* bytes the host still takes */
    uint32_t allowed;         /* bytes the host may still send */
    uint32_t consumed;        /* bytes written since the host was last told */
    uint16_t guest_port;
    bool connecting, use_ipv6, host_finished, guest_finished;
    bool offered;  /* the host has not answered yet */
    bool answered; /* a datagram has come from the guest */
    bool is_terminal, exited;
    bool detached; /* its process goes on without it */
    pid_t pid;
    int status;
};

/* stream.c: the table of all streams */
struct stream *stream_add(uint32_t id, uint8_t kind, uint32_t credit);
bool stream_alive(uint32_t id, const struct stream *stream);
struct stream *stream_owning(struct watch *watch, int side);
struct stream *stream_of_process(pid_t pid);
void stream_close_side(struct stream *stream, int side);
void stream_destroy(struct stream *stream);
/* Both tell the host, and destroy. */
void stream_reset(struct stream *stream);
void stream_fail(struct stream *stream, int error);
/* Destroys without a word; a connection's other end sees a reset, unless the host had ended its side. */
void stream_abort(struct stream *stream);

/* flow.c: bytes between descriptors and the host */
void flow_start(struct stream *stream);
void flow_read_when_possible(struct stream *stream);
/* Counts what the host sent; false when it was not allowed to, and the stream is gone. */
bool flow_take(struct stream *stream, size_t cost);
/* What the host sent is dealt with. */
void flow_consumed(struct stream *stream, size_t cost);
/* Writes what the host sent. The stream may be gone afterwards. */
void flow_write_pending(struct stream *stream);
void flow_data(struct stream *stream, const uint8_t *payload, size_t length);
/* Goes on reading as far as there is credit and room. The stream may be gone afterwards. */
void flow_resume(struct stream *stream);
bool flow_finish_if_done(struct stream *stream);

/* tcp.c */
void tcp_open(struct stream *stream, uint16_t port);
void tcp_ready(struct stream *stream);

/* exec.c */
void exec_open(struct stream *stream, const uint8_t *fields, size_t length);
/* `ready` of a process's report. */
void exec_on_report(struct watch *watch, uint32_t events);
void exec_send_exit(struct stream *stream);
void exec_hang_up(struct stream *stream);
/* What was sent of a process that was never opened. */
void exec_forget_fields(void);
void exec_resize(struct stream *stream, const uint8_t *payload);
void exec_signal(struct stream *stream, int number);

/* datagram.c */
void datagram_open(struct stream *stream, uint16_t port);
void datagram_closed(struct stream *stream);
void datagram_read_when_possible(struct stream *stream);
/* A whole datagram or its end; with `more`, the first part of a longer one. */
void datagram_take(struct stream *stream, const uint8_t *payload, size_t length, bool more);

#endif
