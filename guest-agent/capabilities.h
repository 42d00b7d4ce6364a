/* The capabilities a container has unless it is given all (CapEff 00000000a80425fb). */
#ifndef DORMOUSE_CAPABILITIES_H
#define DORMOUSE_CAPABILITIES_H

/* Takes the others out of the bounding set; 0, or -1 with errno. Needs CAP_SETPCAP. */
int capabilities_bound(void);
/* Leaves root with just these. */
int capabilities_limit(void);

#endif
