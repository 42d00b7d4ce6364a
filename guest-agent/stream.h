/* Streams: TCP connections into the guest, and processes run for the host. */
#ifndef DORMOUSE_STREAM_H
#define DORMOUSE_STREAM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

void stream_frame(uint32_t id, uint8_t type, const uint8_t *payload, size_t length);
void streams_reset_all(void);
/* The channel has room again: go on reading for the host. */
void streams_resume(void);
/* A child ended; true when it belonged to a stream. `status` as from waitpid(). */
int streams_child_ended(pid_t pid, int status);

#endif
