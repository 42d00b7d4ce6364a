#define _GNU_SOURCE
#include "stopper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "worker.h"

/* A process that forks while it is looked at is found by another look; only one that forks for ever is not. */
#define LONGEST_LOOKS 1000

static pid_t *stopped;
static size_t count, room;
static bool frozen;

/* R, S, D, T, …; 0 when it is gone. */
static char state_of(pid_t pid)
{
    char path[32], line[512];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t length = read(fd, line, sizeof line - 1);
    close(fd);
    if (length <= 0)
        return 0;
    line[length] = 0;
    /* The name is in brackets and may hold any. */
    const char *after = strrchr(line, ')');
    return after && after[1] ? after[2] : 0;
}

static bool is_ours(pid_t pid)
{
    for (size_t at = 0; at < count; at++)
        if (stopped[at] == pid)
            return true;
    return false;
}

static int remember(pid_t pid)
{
    if (count == room) {
        size_t more = room ? 2 * room : 64;
        pid_t *grown = realloc(stopped, more * sizeof *stopped);
        if (!grown)
            return ENOMEM;
        stopped = grown;
        room = more;
    }
    stopped[count++] = pid;
    return 0;
}

/* Sends each that still runs a signal; whether there was any is in `found`. */
static int look(bool *found)
{
    DIR *processes = opendir("/proc");
    if (!processes)
        return errno;
    int error = 0;
    struct dirent *entry;
    *found = false;
    while (!error && (entry = readdir(processes))) {
        const pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (pid <= 1 || worker_is(pid))
            continue;
        const char state = state_of(pid);
        if (!state || state == 'Z' || state == 'X' || state == 'T')
            continue;
        *found = true;
        if (is_ours(pid) || kill(pid, SIGSTOP))
            continue;
        error = remember(pid);
    }
    closedir(processes);
    return error;
}

int stopper_stop(void)
{
    if (frozen)
        return 0;
    count = 0;
    frozen = true;
    for (int looks = 0; looks < LONGEST_LOOKS; looks++) {
        bool found = false;
        int error = look(&found);
        if (error || !found)
            return error;
        if (looks > 2)
            poll(NULL, 0, 1);
    }
    return EBUSY;
}

int stopper_continue(void)
{
    if (!frozen)
        return 0;
    frozen = false;
    for (size_t at = count; at > 0; at--)
        kill(stopped[at - 1], SIGCONT);
    count = 0;
    return 0;
}
