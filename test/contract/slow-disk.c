/* Loaded into the agent of a test: a disk whose write-back takes until somebody opens the FIFO named by SLOW_DISK. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

void sync(void)
{
    int fd = open(getenv("SLOW_DISK"), O_RDONLY);
    if (fd >= 0)
        close(fd);
}

/* Nor are the disks of the machine that runs the test trimmed. */
int ioctl(int fd, unsigned long request, ...)
{
    (void)fd, (void)request;
    errno = ENOTTY;
    return -1;
}
