#define _GNU_SOURCE
#include "reaper.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void end(int verdict, int status)
{
    if (write(verdict, &status, sizeof status) < 0)
        _exit(1);
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static void reap(pid_t app, int verdict)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        if (pid == app)
            end(verdict, status);
}

static void close_all_but(int kept)
{
    if (kept > 0)
        close_range(0, (unsigned)kept - 1, 0);
    close_range((unsigned)kept + 1, ~0U, 0);
}

/* The application must not look into the agent's memory, of which this process still has a copy. */
static void be_init(int verdict)
{
    prctl(PR_SET_DUMPABLE, 0);
    prctl(PR_SET_NAME, "init");
    close_all_but(verdict);
}

void reaper_start(int verdict)
{
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    const pid_t app = fork();
    if (app < 0)
        _exit(126);
    if (app == 0) {
        sigprocmask(SIG_SETMASK, &before, NULL);
        setsid();
        return;
    }
    be_init(verdict);
    for (;;) {
        siginfo_t info;
        reap(app, verdict);
        if (sigwaitinfo(&all, &info) > 0 && info.si_signo != SIGCHLD)
            kill(app, info.si_signo);
    }
}

_Noreturn void reaper_hold(int verdict)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    be_init(verdict);
    /* Where the agent is an ordinary program it can end before this one. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) {
        siginfo_t info;
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        if (sigwaitinfo(&all, &info) > 0 && (info.si_signo == SIGTERM || info.si_signo == SIGINT))
            end(verdict, 0);
    }
}
