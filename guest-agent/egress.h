/* The way out: the guest's connections and name look-ups, made by the host on its behalf. */
#ifndef DORMOUSE_EGRESS_H
#define DORMOUSE_EGRESS_H

#include <stddef.h>
#include <stdint.h>

/* As process 1: captures what leaves for other machines. Without it the guest has no network but works. */
void egress_start(void);
/* At the beginning of a session: a sandbox that was restored has lost its routes. */
void egress_renew(void);
/* For tests on an ordinary machine: takes what comes to 127.0.0.1 and this port, captures nothing. */
void egress_start_at(uint16_t port);
/* Once a turn: hands over what waits, as far as there is a host and room. */
void egress_turn(void);
/* The host's answer to a name look-up. */
void egress_answer(uint32_t id, uint8_t type, const uint8_t *payload, size_t length);

/* Where the agent takes connections and name look-ups; /etc/resolv.conf names the address. */
#define EGRESS_ADDRESS 0x7f000002u
#define EGRESS_ADDRESS_IN_PROC "0200007F"
#define EGRESS_PORT 53

#endif
