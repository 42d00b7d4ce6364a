/* Stopping the application, and all that was started beside it, for as long as its VM is not quite itself. */
#ifndef DORMOUSE_FREEZER_H
#define DORMOUSE_FREEZER_H

#include <stdbool.h>

enum freezer_means {
    /* The kernel's own, which processes cannot see. */
    FREEZE_BY_GROUP,
    /* Where its kernel has no such thing: parents see their children stop and go on. */
    FREEZE_BY_SIGNALS,
};

/* Makes ready what processes are to be born into. */
void freezer_start(enum freezer_means means);
/* For an application that manages control groups itself: it finds none of ours, and is never frozen. */
void freezer_give_up(void);
/* Descriptor of the control group's directory; -1 where there is none. */
int freezer_group(void);
/* From the return on none of its processes executes an instruction of its own. 0 or an errno. */
int freezer_set(bool frozen);

#endif
