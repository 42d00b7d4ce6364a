/* Makes every foreign IPv4 address local and steers what is sent there to two sockets. */
#ifndef DORMOUSE_CAPTURE_H
#define DORMOUSE_CAPTURE_H

/*
 * TCP to any address but loopback's and the guest's own comes to `tcp`, UDP to port 53 of such an address to `udp`;
 * other UDP is refused. getsockname() of an accepted connection is the address it was meant for. 0 or an errno.
 */
int capture_start(int tcp, int udp);

#endif
