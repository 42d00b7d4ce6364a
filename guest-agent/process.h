/* Processes in the guest: the application as a container would run it, and others beside it. */
#ifndef DORMOUSE_PROCESS_H
#define DORMOUSE_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct process_io {
    pid_t pid;
    int input, output, errors; /* non-blocking; -1 when absent */
    int report;                /* non-blocking: an errno (int) when it cannot run, or just the end when it does */
    int verdict;               /* non-blocking: how the application ended (a wait status), before its process 1 does */
    bool terminal, detached;
};

/*
 * 0 or an errno, also one that occurred on the far side of fork().
 * The application gets its own mount, process, UTS and IPC namespaces, rooted on the image's disk.
 */
int process_start_app(const uint8_t *fields, size_t length, struct process_io *io);
/* Joins the namespaces of the application. 0 or an errno; whether the program runs is told by the report. */
int process_exec(const uint8_t *fields, size_t length, struct process_io *io);
/* Ids of the boot and of the machine, and the host name. 0 or an errno. */
int process_set_identity(const uint8_t *fields, size_t length);
/* Runs processes beside the agent, without namespaces: for tests on an ordinary machine. */
void process_stay_on_host(void);

#endif
