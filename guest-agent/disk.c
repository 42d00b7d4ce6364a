#define _GNU_SOURCE
#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "container.h"
#include "log.h"
#include "sandbox.h"

void disk_trim(void)
{
    struct fstrim_range all = {.len = UINT64_MAX};
    /* Its root is no disk. */
    if (in_sandbox())
        return;
    int fd = open(CONTAINER_ROOT, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    /* Blocks that are not trimmed are only stored for nothing. */
    if (fd < 0 || ioctl(fd, FITRIM, &all))
        say("the root disk is not trimmed: errno %d", errno);
    if (fd >= 0)
        close(fd);
}
