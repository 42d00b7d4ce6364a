/* Making a machine out of a kernel: what process 1 does before it serves. */
#ifndef DORMOUSE_GUEST_H
#define DORMOUSE_GUEST_H

/* Mounts, modules, root disk, loopback. Returns the open channel to the host; does not return on failure. */
int guest_boot(void);

#endif
