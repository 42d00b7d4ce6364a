#define _GNU_SOURCE
#include "worker.h"

#include <errno.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control.h"
#include "port.h"

#define MAX_WORKERS 16

/* pid 0 is a free place. */
static struct {
    pid_t pid;
    uint32_t request, session;
} workers[MAX_WORKERS];

void worker_start(uint32_t request, int (*work)(void))
{
    size_t at = 0;
    while (at < MAX_WORKERS && workers[at].pid)
        at++;
    pid_t pid = at < MAX_WORKERS ? fork() : -1;
    if (pid < 0) {
        control_reply(request, at < MAX_WORKERS ? errno : EBUSY, NULL, 0);
        return;
    }
    if (pid == 0)
        _exit(work());
    workers[at].pid = pid;
    workers[at].request = request;
    workers[at].session = port_session();
}

bool worker_is(pid_t pid)
{
    for (size_t at = 0; at < MAX_WORKERS; at++)
        if (workers[at].pid == pid)
            return true;
    return false;
}

bool worker_child_ended(pid_t pid, int status)
{
    size_t at = 0;
    while (at < MAX_WORKERS && workers[at].pid != pid)
        at++;
    if (at == MAX_WORKERS)
        return false;
    workers[at].pid = 0;
    if (workers[at].session == port_session())
        control_reply(workers[at].request, WIFEXITED(status) ? WEXITSTATUS(status) : EINTR, NULL, 0);
    return true;
}
