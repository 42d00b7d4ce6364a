/* What capture.h does, by the address translation of a gVisor sandbox's network, which knows no BPF. */
#ifndef DORMOUSE_REDIRECT_H
#define DORMOUSE_REDIRECT_H

#include <netinet/in.h>
#include <stdbool.h>

/* As capture_start(), with both sockets at EGRESS_ADDRESS and EGRESS_PORT. 0 or an errno. */
int redirect_start(int tcp, int udp);
/* Where an accepted connection was meant to go; false when nowhere but here. */
bool redirect_meant(int fd, struct sockaddr_in *meant);

#endif
