#define _GNU_SOURCE
#include "freezer.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "stopper.h"

#define GROUPS "/sys/fs/cgroup"
#define APP_GROUP GROUPS "/application"

static int group = -1;
static bool by_signals;

void freezer_start(enum freezer_means means)
{
    by_signals = means == FREEZE_BY_SIGNALS;
    if (by_signals)
        return;
    if (mount("cgroup2", GROUPS, "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) || mkdir(APP_GROUP, 0755) ||
        (group = open(APP_GROUP, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        say("the application cannot be frozen: errno %d", errno);
}

void freezer_give_up(void)
{
    by_signals = false;
    if (group < 0)
        return;
    close(group);
    group = -1;
    rmdir(APP_GROUP);
}

int freezer_group(void) { return group; }

int freezer_set(bool frozen)
{
    if (by_signals)
        return frozen ? stopper_stop() : stopper_continue();
    if (group < 0)
        return 0;
    int fd = openat(group, "cgroup.freeze", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    int error = write(fd, frozen ? "1" : "0", 1) == 1 ? 0 : errno;
    close(fd);
    return error;
}
