#define _GNU_SOURCE
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "freezer.h"
#include "identity.h"
#include "log.h"

static bool booted;

bool in_sandbox(void) { return booted; }

void sandbox_boot(void)
{
    for (int fd = STDIN_FILENO; fd <= STDOUT_FILENO; fd++) {
        const int flags = fcntl(fd, F_GETFL);
        if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) || fcntl(fd, F_SETFD, FD_CLOEXEC))
            fatal("the channel to the host is not open: errno %d", errno);
    }
    booted = true;
    /* The root is the image's: this program is no part of it, and goes on without its name. */
    unlink("/.dormouse-init");
    freezer_start(FREEZE_BY_SIGNALS);
    /* In the agent's own /dev, which the application never sees. */
    identity_start("/dev/.identity");
}
