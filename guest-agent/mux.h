/* Sessions and frames over the one byte stream to the host. */
#ifndef MUX_H
#define MUX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol.h"

/* A serial port outlives its peers; an ordinary socket ends the program when its peer goes. */
void mux_init(int fd, bool is_port);
/* Sends what is queued and handles what came in; true when there is more to do without waiting. */
bool mux_pump(void);
/* True while output waits for the host. */
bool mux_has_backlog(void);
/* Number of the current session, 0 when there is none; answers to an earlier session are dropped. */
uint32_t mux_session(void);

void mux_send(enum frame_type type, uint8_t flags, uint32_t stream, uint32_t argument, const void *payload,
              size_t length);
/* Room for up to MAX_DATA bytes of payload right in the output buffer, NULL while it is full. */
uint8_t *mux_reserve(void);
/* Sends what was put into the reserved room. */
void mux_commit(enum frame_type type, uint32_t stream, uint32_t argument, size_t length);
/* Leaves the session after what is queued; the next HELLO starts another. */
void mux_leave(void);

#endif
