/* Terminals for processes beside the application. */
#ifndef DORMOUSE_TERMINAL_H
#define DORMOUSE_TERMINAL_H

#include <sys/ioctl.h>
#include <sys/types.h>

/*
 * Opens a terminal among those of the container that `pid` is in, so that programs there find it by its name; of this
 * namespace's own where `pid` is 0. Both ends are closed by exec. 0 or an errno.
 */
int terminal_open(pid_t pid, const struct winsize *size, int *ours, int *theirs);

#endif
