/* Where the guest's own ports are. */
#ifndef DORMOUSE_LOOPBACK_H
#define DORMOUSE_LOOPBACK_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct loopback {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address;
    socklen_t size;
};

/* 127.0.0.1 or ::1; returns the family. */
static inline int loopback_address(struct loopback *to, uint16_t port, bool ipv6)
{
    if (ipv6) {
        to->address.v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
        to->size = sizeof to->address.v6;
        return AF_INET6;
    }
    to->address.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    to->size = sizeof to->address.v4;
    return AF_INET;
}

#endif
