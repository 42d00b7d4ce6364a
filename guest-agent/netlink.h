/* Addresses and routes of the loopback interface. Each answers 0 or an errno. */
#ifndef DORMOUSE_NETLINK_H
#define DORMOUSE_NETLINK_H

#include <stdint.h>

#define OWN_ADDRESS 0xa9fe0002u /* 169.254.0.2, as in the service */

int netlink_add_address(uint32_t address);
/* Every IPv4 address is one of this machine's, and connections to them come from OWN_ADDRESS. */
int netlink_make_all_local(void);
/* What is for other machines goes to loopback, which has nobody there to take it. */
int netlink_route_all_to_loopback(void);

#endif
