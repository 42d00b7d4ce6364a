/* Users of the image, by its own files. */
#ifndef DORMOUSE_ACCOUNT_H
#define DORMOUSE_ACCOUNT_H

#include "description.h"

/*
 * Finds `user` of a description, in the form of USER in a Dockerfile, in /etc/passwd and /etc/group of the root it
 * runs in, and with it the groups and, unless it is set, HOME. What no file names "root" is 0 all the same. 0 or an
 * errno; ESRCH: there is no such user; ENODATA: there is no such group.
 */
int account_find(struct description *description);

#endif
