/* Being process 1 of a gVisor sandbox: a kernel in user space has made the machine already. */
#ifndef DORMOUSE_SANDBOX_H
#define DORMOUSE_SANDBOX_H

#include <stdbool.h>

/* Standard input and output are the channel to the host, standard error is the log. Does not return on failure. */
void sandbox_boot(void);
bool in_sandbox(void);

#endif
