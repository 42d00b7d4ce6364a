/* Requests of the host that are no streams. */
#ifndef DORMOUSE_CONTROL_H
#define DORMOUSE_CONTROL_H

#include <stddef.h>
#include <stdint.h>

/* First frame of a session: who this is and how the application does. */
void control_introduce(void);
/* Answers a request. */
void control_reply(uint32_t id, int error, const void *body, size_t length);
void control_request(const uint8_t *payload, size_t length);

#endif
