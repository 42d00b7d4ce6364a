/* Work that may take long, done beside the loop. */
#ifndef DORMOUSE_WORKER_H
#define DORMOUSE_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Does it in a child process; the request is answered with what `work` returns, an errno or 0, if its session lasts. */
void worker_start(uint32_t request, int (*work)(void));
/* True when the child was one of these. `status` as from waitpid(). */
/* Whether a process is one of the agent's own at work. */
bool worker_is(pid_t pid);
bool worker_child_ended(pid_t pid, int status);

#endif
