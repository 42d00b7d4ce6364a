/* The application's view of its machine. */
#ifndef DORMOUSE_CONTAINER_H
#define DORMOUSE_CONTAINER_H

#include <stdbool.h>

/* Where the root disk is mounted before the application starts. */
#define CONTAINER_ROOT "/root"

/* In fresh namespaces: makes the root disk the root and mounts what every program expects. 0 or an errno. */
int container_enter(const char *hostname, bool privileged);

#endif
