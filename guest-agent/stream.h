/* Streams: connections into and out of the guest, datagrams for it, and processes run for the host. */
#ifndef DORMOUSE_STREAM_H
#define DORMOUSE_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

void stream_frame(uint32_t id, uint8_t type, const uint8_t *payload, size_t length);
void streams_reset_all(void);
/* A part of the description of the process that is opened next. 0 or an errno. */
int exec_add_fields(const uint8_t *fields, size_t length);
/* Whether one more connection of the guest may be offered to the host. */
bool stream_may_offer(void);
/* Asks the host to connect on; on true `fd` is the stream's. A refused connection is reset. */
bool stream_offer(int fd, const uint8_t *destination, size_t length);
/* An id for something else that the guest begins. */
uint32_t stream_next_id(void);
/* The channel has room again: go on reading for the host. */
void streams_resume(void);
/* A child ended; true when it belonged to a stream. `status` as from waitpid(). */
bool streams_child_ended(pid_t pid, int status);

#endif
