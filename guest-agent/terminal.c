#define _GNU_SOURCE
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* The device behind /dev/ptmx. */
#define PTMX_MAJOR 5
#define PTMX_MINOR 2

/* What a container has at that place may have been put there by its root. */
static int open_multiplexer(const char *path)
{
    struct stat found;
    const int fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -1;
    if (fstat(fd, &found) || !S_ISCHR(found.st_mode) || found.st_rdev != makedev(PTMX_MAJOR, PTMX_MINOR)) {
        close(fd);
        errno = ENXIO;
        return -1;
    }
    return fd;
}

int terminal_open(pid_t pid, const struct winsize *size, int *ours, int *theirs)
{
    char path[64] = "/dev/ptmx";
    if (pid > 0)
        snprintf(path, sizeof path, "/proc/%d/root/dev/pts/ptmx", (int)pid);
    const int master = open_multiplexer(path);
    if (master < 0)
        return errno;
    const int unlock = 0;
    int slave = -1;
    if (ioctl(master, TIOCSPTLCK, &unlock) || ioctl(master, TIOCSWINSZ, size) ||
        (slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC)) < 0) {
        const int error = errno;
        close(master);
        return error;
    }
    *ours = master;
    *theirs = slave;
    return 0;
}
