/* The byte channel to the host, its sessions and its frames. */
#ifndef DORMOUSE_PORT_H
#define DORMOUSE_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Takes over an open, non-blocking channel: one descriptor for both directions, or one for each. With `on_closed` a
 * closed channel is over, and it is called; otherwise another host may come to the same descriptors.
 */
void port_attach(int in, int out, void (*on_closed)(void));
/* Whether a host is there to be talked to. */
bool port_synchronised(void);
/* Tells one session from another. */
uint32_t port_session(void);
/* Whether enough of what was written has left that more may be read for the host. */
bool port_has_room(void);
/* The same for a stream, which is told by streams_resume() when a no has become a yes. */
bool port_may_read(void);

void port_send(uint32_t stream, uint8_t type, const void *payload, size_t length);
void port_send_u32(uint32_t stream, uint8_t type, uint32_t value);
/* Two-step sending, to read straight into the channel's buffer: at most `length` bytes at the returned place. */
uint8_t *port_reserve(size_t length);
void port_commit(uint32_t stream, uint8_t type, size_t length);
/* Ends the session once everything written so far has left. */
void port_end_session(void);
/* Pushes out what is waiting; called once a turn. */
void port_flush(void);

#endif
